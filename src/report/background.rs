//! Writing to a file while the caller goes on.
//!
//! A busy run makes tens of megabytes of timeline in a second; to copy them into the system's cache takes as long as to
//! make them. A thread does that, a few buffers behind.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// Buffers that may be under way; the caller waits beyond that.
const UNDER_WAY_MAX: usize = 4;

/// What came of a buffer, which is empty again.
type Written = (Vec<u8>, io::Result<()>);

/// A thread that appends buffers to a file.
#[derive(Debug)]
pub(super) struct Background {
    /// None once the thread is told to end.
    buffers: Option<Sender<Vec<u8>>>,
    written: Receiver<Written>,
    n_under_way: usize,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread; `length` is where the file ends. `None` when the system gives no thread.
    pub(super) fn start(file: Arc<File>, length: u64) -> Option<Self> {
        let (buffers, to_write) = channel::<Vec<u8>>();
        let (done, written) = channel();
        let work = move || {
            let mut appender = Appender { file, length, has_failed: false };
            for mut buffer in to_write {
                let result = appender.append(&buffer);
                buffer.clear();
                if done.send((buffer, result)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("timeline".into()).spawn(work).ok()?;
        Some(Self { buffers: Some(buffers), written, n_under_way: 0, thread: Some(thread) })
    }

    /// Hands a buffer over and gives an empty one back.
    pub(super) fn append(&mut self, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
        let sender = self.buffers.as_ref().expect("the thread is told to end by `drop` alone");
        sender.send(buffer).map_err(|_| io::Error::other("the thread that writes has ended"))?;
        self.n_under_way += 1;
        match self.n_under_way < UNDER_WAY_MAX {
            true => Ok(Vec::new()),
            false => self.take(),
        }
    }

    /// Waits until everything is in the file.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        while self.n_under_way > 0 {
            self.take()?;
        }
        Ok(())
    }

    fn take(&mut self) -> io::Result<Vec<u8>> {
        let (buffer, result) = self.written.recv().map_err(|_| io::Error::other("the thread that writes has ended"))?;
        self.n_under_way -= 1;
        result.map(|()| buffer)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.buffers = None;
        if let Some(thread) = self.thread.take() {
            // It catches nothing that could be told to anybody now.
            let _ = thread.join();
        }
    }
}

/// Appends to a file that always ends with a whole buffer: when one cannot be written, the file is cut back, and nothing
/// is written any more.
#[derive(Debug)]
pub(super) struct Appender {
    file: Arc<File>,
    length: u64,
    has_failed: bool,
}

impl Appender {
    pub(super) fn new(file: Arc<File>, length: u64) -> Self {
        Self { file, length, has_failed: false }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("an earlier row could not be written"));
        }
        let mut file = &*self.file;
        if let Err(error) = file.write_all(bytes) {
            self.has_failed = true;
            // Best effort: the error that matters is the first one.
            let _ = file.set_len(self.length).and_then(|()| file.seek(SeekFrom::Start(self.length)));
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_land_in_their_order() {
        let mut named = tempfile::NamedTempFile::new().unwrap();
        let mut background = Background::start(Arc::new(named.reopen().unwrap()), 0).expect("a thread");
        let mut expected = String::new();
        for number in 0..100 {
            let row = format!("{number}\n");
            expected += &row;
            let empty = background.append(row.into_bytes()).unwrap();
            assert!(empty.is_empty());
        }
        background.settle().unwrap();
        let mut found = String::new();
        io::Read::read_to_string(&mut named, &mut found).unwrap();
        assert_eq!(found, expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_is_told_and_nothing_is_written_after_it() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut background = Background::start(Arc::new(full), 0).expect("a thread");
        background.append(b"a\n".to_vec()).unwrap();
        assert_eq!(background.settle().unwrap_err().kind(), io::ErrorKind::StorageFull);
        background.append(b"b\n".to_vec()).unwrap();
        assert!(background.settle().unwrap_err().to_string().contains("earlier row"));
    }
}
