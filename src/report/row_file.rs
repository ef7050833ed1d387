//! A file that grows row by row and always ends with a whole row.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ReportError;
use super::line::{LINE_MAX, Line};

/// Rows collect in memory and go to the file together. If that fails half-way, as on a full disk, the file is cut back
/// to its last whole row.
#[derive(Debug)]
pub(super) struct RowFile {
    path: PathBuf,
    file: File,
    /// Its first `filled` bytes are rows that are not in the file yet; what is behind them is left from earlier ones.
    rows: Vec<u8>,
    filled: usize,
    length: u64,
    /// Of what is in the file.
    crc32c: u32,
}

/// How far a file had come, and a checksum of what it held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileMark {
    /// Its length.
    bytes: u64,
    /// CRC-32C of that.
    crc32c: u32,
}

/// Size of the rows in memory from which they go to the file.
const ROWS_MAX: usize = 64 * 1024;

impl RowFile {
    /// Makes a file that must not exist.
    pub(super) fn create(path: &Path) -> Result<Self, ReportError> {
        let file = File::options().write(true).create_new(true).open(path).map_err(ReportError::write(path))?;
        Ok(Self::from_file(path, file))
    }

    pub(super) fn from_file(path: &Path, file: File) -> Self {
        Self { path: path.into(), file, rows: Vec::new(), filled: 0, length: 0, crc32c: 0 }
    }

    /// Opens a file that was begun earlier and cuts it back to a mark.
    pub(super) fn reopen(path: &Path, mark: FileMark) -> Result<Self, ReportError> {
        let mut file = File::options().read(true).write(true).open(path).map_err(ReportError::read(path))?;
        let (mut crc32c, mut length) = (0, 0);
        let mut buffer = vec![0; ROWS_MAX];
        let mut kept = (&mut file).take(mark.bytes);
        loop {
            match kept.read(&mut buffer).map_err(ReportError::read(path))? {
                0 => break,
                n => {
                    crc32c = crc32c::crc32c_append(crc32c, &buffer[..n]);
                    length += n as u64;
                }
            }
        }
        if (FileMark { bytes: length, crc32c }) != mark {
            return Err(ReportError::Altered { path: path.into() });
        }
        file.set_len(length).and_then(|()| file.seek(SeekFrom::Start(length))).map_err(ReportError::write(path))?;
        Ok(Self { length, crc32c, ..Self::from_file(path, file) })
    }

    /// Opens a file that was begun earlier, behind its last whole row.
    pub(super) fn reopen_behind_last_row(path: &Path) -> Result<Self, ReportError> {
        let content = std::fs::read(path).map_err(ReportError::read(path))?;
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        let mark = FileMark { bytes: whole as u64, crc32c: crc32c::crc32c(&content[..whole]) };
        Self::reopen(path, mark)
    }

    /// Makes sure that what was written out is on the disk, and says how far the file has come.
    pub(super) fn mark(&self) -> Result<FileMark, ReportError> {
        debug_assert!(self.filled == 0, "rows are written out first");
        self.file.sync_data().map_err(ReportError::write(&self.path))?;
        Ok(FileMark { bytes: self.length, crc32c: self.crc32c })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next row goes. Call [`end_row`](Self::end_row) with its length.
    #[inline]
    pub(super) fn row(&mut self) -> Line<'_> {
        Line::begin(self.room(LINE_MAX).first_chunk_mut().expect("there is that much room"))
    }

    /// Writes the rows out if there are many.
    #[inline]
    pub(super) fn end_row(&mut self, length: usize) -> Result<(), ReportError> {
        self.filled += length;
        if self.filled < ROWS_MAX { Ok(()) } else { self.write_out() }
    }

    /// At least `n_bytes` behind the rows.
    #[inline]
    fn room(&mut self, n_bytes: usize) -> &mut [u8] {
        if self.rows.len() < self.filled + n_bytes {
            self.rows.resize(self.filled + n_bytes, 0);
        }
        &mut self.rows[self.filled..]
    }

    /// Writes all rows to the file.
    pub(super) fn write_out(&mut self) -> Result<(), ReportError> {
        self.flush().map_err(ReportError::write(&self.path))
    }
}

impl Write for RowFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let rows = &self.rows[..self.filled];
        if let Err(error) = self.file.write_all(rows) {
            // Best effort: the error that matters is the first one.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(error);
        }
        self.length += rows.len() as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, rows);
        self.filled = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        RowFile::create(&path).unwrap();
        let message = RowFile::create(&path).expect_err("exists").to_string();
        assert!(message.contains("rows.csv`: file exists"), "{message}");
    }

    #[test]
    fn a_file_goes_on_from_a_mark_unless_it_was_altered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.csv");
        let mut file = RowFile::create(&path).unwrap();
        file.write_all(b"a,b\n1,2\n").unwrap();
        file.write_out().unwrap();
        let mark = file.mark().unwrap();
        file.write_all(b"3,4\n5").unwrap();
        file.write_out().unwrap();
        drop(file);
        let mut file = RowFile::reopen(&path, mark).unwrap();
        file.write_all(b"6,7\n").unwrap();
        file.write_out().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a,b\n1,2\n6,7\n");
        assert_eq!(RowFile::reopen(&path, mark).unwrap().mark().unwrap(), mark);
        std::fs::write(&path, "a,b\n1,2\n3").unwrap();
        assert_eq!(RowFile::reopen_behind_last_row(&path).unwrap().mark().unwrap(), mark);
        for altered in ["a,b\n1,3\n", "a,b\n1"] {
            std::fs::write(&path, altered).unwrap();
            let message = RowFile::reopen(&path, mark).expect_err("altered").to_string();
            assert!(message.contains("rows.csv` is not as the checkpoint found it"), "{message}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let mut file = RowFile::from_file(path, File::options().write(true).open(path).unwrap());
        file.write_all(b"a,b\n").unwrap();
        let message = file.write_out().expect_err("no space").to_string();
        assert_eq!(
            message,
            "cannot write `/dev/full`: no space left on device; free some space or choose another place"
        );
    }
}
