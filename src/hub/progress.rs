//! What a download tells its caller while it goes on.

/// Watches downloads.
pub trait Progress {
    /// A file begins, or goes on after `done` bytes.
    fn begin(&self, file: &str, done: u64);
    /// So many bytes more have come.
    fn advance(&self, bytes: u64);
    /// Something the user may want to know, such as a second attempt.
    fn note(&self, text: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _file: &str, _done: u64) {}
    fn advance(&self, _bytes: u64) {}
    fn note(&self, _text: &str) {}
}
