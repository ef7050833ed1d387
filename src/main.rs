//! The command-line program; see [`straggler::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // The matrix products take their thread count from this variable, whatever pool they run in. One each: parallelism
    // comes from the worker pool, and bits do not depend on the machine.
    // SAFETY: nothing else runs yet. No thread has been started, so no other code can be reading the environment.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    straggler::model::ops::keep_freed_memory();
    straggler::cli::main()
}
