//! Ctrl-C and SIGTERM: the first ends runs in good order, the second ends the program.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use super::{Console, Exit};

/// The signal that came; 0 while none has.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static IS_WATCHED: OnceLock<()> = OnceLock::new();
/// True once the only run of the program is over and its results are written.
static IS_FINISHING: AtomicBool = AtomicBool::new(false);

/// From now on a signal finds nothing that would save its state: what is left is done, unless a second one comes.
pub(super) fn finishing() {
    IS_FINISHING.store(true, Ordering::Relaxed);
}

/// From now on the first signal is only noted, so that runs can save their state; a second one ends the program at once.
pub(super) fn watch(console: &Console) {
    let console = *console;
    IS_WATCHED.get_or_init(|| start(console));
}

/// The exit code of a run that was interrupted; none while nothing asks it to stop.
pub(super) fn exit() -> Option<Exit> {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => None,
        #[cfg(unix)]
        signal_hook::consts::SIGTERM => Some(Exit::Terminated),
        _ => Some(Exit::Interrupted),
    }
}

#[cfg(unix)]
fn start(console: Console) {
    use signal_hook::consts::{SIGINT, SIGTERM};

    let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else { return };
    let watcher = move || {
        for signal in signals.forever() {
            if SIGNAL.swap(signal, Ordering::Relaxed) != 0 {
                // Nothing more is saved: a run that is killed half-way has the checkpoints that it had, which are whole.
                std::process::exit(128 + signal);
            }
            console.note(match IS_FINISHING.load(Ordering::Relaxed) {
                false => "stopping after what is being computed, and saving the state; once more to stop at once",
                true => "the run is over and its results are being written; once more to stop at once",
            });
        }
    };
    // Without the thread signals have their usual effect: they end the program.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(watcher);
}

/// There are no such signals here; Ctrl-C ends the program.
#[cfg(not(unix))]
fn start(_: Console) {}
