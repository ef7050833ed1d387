//! What the C library does with memory that a training step gives back.

use std::sync::Once;

/// Lets the process keep memory that has been freed instead of returning it to the operating system.
///
/// A training step allocates and frees the same few hundred megabytes again and again. By default the GNU C library
/// hands large blocks back at once and gets them anew, page by page, zeroed by the kernel: one fifth of a step, and
/// more with several workers, because they queue for the kernel's lock on the address space. The library also gives
/// threads heaps of their own, of 64 MiB at most, which it maps and unmaps as a step goes on: all share one here, since
/// blocks are large and few. Afterwards the process stays as large as its largest step. Call it once, before there are
/// other threads; later calls and other C libraries do nothing.
pub fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        {
            const BYTES: libc::c_int = 1 << 30;
            // The largest that versions before 2.35 accept. One has to be accepted: the next setting ends the library's own
            // adjustment of this one, which would leave it at 128 KiB.
            const BYTES_BEFORE: libc::c_int = 32 << 20;
            // SAFETY: `mallopt` takes two numbers and may be called at any time; what it does not accept it ignores and
            // answers with 0.
            unsafe {
                if libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES) == 0 {
                    libc::mallopt(libc::M_MMAP_THRESHOLD, BYTES_BEFORE);
                }
                // The only value that says: never, however much lies free at the end of a step.
                libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
                libc::mallopt(libc::M_ARENA_MAX, 1);
            }
        }
    });
}
