//! A file that grows row by row and always ends with a whole row.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::ReportError;

/// Rows collect in memory and go to the file together. If that fails half-way, as on a full disk, the file is cut back
/// to its last whole row.
#[derive(Debug)]
pub(super) struct RowFile {
    path: PathBuf,
    file: File,
    rows: Vec<u8>,
    length: u64,
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
        Self { path: path.into(), file, rows: Vec::with_capacity(ROWS_MAX + 512), length: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next row goes. Call [`end_row`](Self::end_row) after it.
    pub(super) fn rows(&mut self) -> &mut Vec<u8> {
        &mut self.rows
    }

    /// Writes the rows out if there are many.
    pub(super) fn end_row(&mut self) -> Result<(), ReportError> {
        if self.rows.len() < ROWS_MAX { Ok(()) } else { self.write_out() }
    }

    /// Writes all rows to the file.
    pub(super) fn write_out(&mut self) -> Result<(), ReportError> {
        self.flush().map_err(ReportError::write(&self.path))
    }
}

impl Write for RowFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rows.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&self.rows) {
            // Best effort: the error that matters is the first one.
            let _ = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
            return Err(error);
        }
        self.length += self.rows.len() as u64;
        self.rows.clear();
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_that_names_the_file() {
        let path = Path::new("/dev/full");
        let mut file = RowFile::from_file(path, File::options().write(true).open(path).unwrap());
        file.rows().extend_from_slice(b"a,b\n");
        let message = file.write_out().expect_err("no space").to_string();
        assert_eq!(
            message,
            "cannot write `/dev/full`: no space left on device; free some space or choose another place with --out"
        );
    }
}
