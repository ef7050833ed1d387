//! The results directory of a run.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::perf::{PERF_COLUMNS, utc_stamp};
use super::row_file::{FileMark, RowFile};
use super::rows::{CLIENT_COLUMNS, REGION_COLUMN, ROUND_COLUMNS};
use super::timeline::TimelineMark;
use super::{ClientRow, PerfRow, Record, ReportError, RoundRow, Summary, TimelineWriter};
use crate::registry::Problem;

/// Writes the files of a run to `<out>/<name>/<UTC>-<hash4>/`, a directory that it makes and that nothing else holds.
///
/// CSV files grow row by row and go to the disk with [`hand_over`](Self::hand_over), so that a killed run leaves readable
/// files.
/// Other files are written under another name and renamed, so that they are whole or absent.
#[derive(Debug)]
pub struct ResultsWriter {
    directory: PathBuf,
    timeline: TimelineWriter,
    rounds: TableWriter,
    clients: TableWriter,
    perf: TableWriter,
}

/// How far the files of a run had come when its state was saved; all but `perf.csv`, so that it is the same in each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultsMark {
    timeline: TimelineMark,
    rounds: FileMark,
    clients: FileMark,
}

impl ResultsMark {
    /// Rows of `timeline.csv`.
    pub fn n_rows(&self) -> u64 {
        self.timeline.rows
    }
}

impl ResultsWriter {
    /// Makes the directory and the CSV files with their headers. `hash` is a hash of the scenario, of which the first
    /// four digits are used; `metric` names the last column of `rounds.csv`.
    ///
    /// # Errors
    /// When the name is no plain directory name, or something cannot be made.
    pub fn create(out: &Path, name: &str, hash: &str, metric: &str) -> Result<Self, ReportError> {
        Self::in_directory(new_directory(out, name, hash)?, metric)
    }

    /// Like [`create`](Self::create) in the directory of that very name, which must not exist.
    ///
    /// # Errors
    /// When the directory exists, or something cannot be made.
    pub fn create_exactly(directory: &Path, metric: &str) -> Result<Self, ReportError> {
        if let Some(parent) = directory.parent() {
            fs::create_dir_all(parent).map_err(ReportError::write(parent))?;
        }
        fs::create_dir(directory).map_err(ReportError::write(directory))?;
        Self::in_directory(directory.into(), metric)
    }

    fn in_directory(directory: PathBuf, metric: &str) -> Result<Self, ReportError> {
        let metric_column = format!("eval_{metric}");
        let round_columns: Vec<&str> = ROUND_COLUMNS.iter().copied().chain([metric_column.as_str()]).collect();
        Ok(Self {
            timeline: TimelineWriter::create(&directory.join("timeline.csv"))?,
            rounds: TableWriter::create(&directory.join("rounds.csv"), &round_columns)?,
            clients: TableWriter::create(&directory.join("clients.csv"), &CLIENT_COLUMNS)?,
            perf: TableWriter::create(&directory.join("perf.csv"), &PERF_COLUMNS)?,
            directory,
        })
    }

    /// Gives `clients.csv`, before its first row, a column for regions.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_regions(&mut self) -> Result<(), ReportError> {
        let path = self.directory.join("clients.csv");
        let columns: Vec<&str> = CLIENT_COLUMNS.into_iter().chain([REGION_COLUMN]).collect();
        fs::remove_file(&path).map_err(ReportError::write(&path))?;
        self.clients = TableWriter::create(&path, &columns)?;
        Ok(())
    }

    /// Goes on with the files of a run in its directory: what was written after the mark is cut off. `perf.csv` stays, since
    /// the host's time was spent: rounds that are gone through again have two rows there.
    ///
    /// # Errors
    /// When a file cannot be opened, or is not as it was at the mark.
    pub fn reopen(directory: &Path, mark: &ResultsMark) -> Result<Self, ReportError> {
        let table = |name: &str, mark| TableWriter::reopen(&directory.join(name), mark);
        Ok(Self {
            timeline: TimelineWriter::reopen(&directory.join("timeline.csv"), mark.timeline)?,
            rounds: table("rounds.csv", mark.rounds)?,
            clients: table("clients.csv", mark.clients)?,
            perf: TableWriter::on(RowFile::reopen_behind_last_row(&directory.join("perf.csv"))?),
            directory: directory.into(),
        })
    }

    /// Writes all rows to the disk, and says how far the files have come.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn mark(&mut self) -> Result<ResultsMark, ReportError> {
        Ok(ResultsMark { timeline: self.timeline.mark()?, rounds: self.rounds.mark()?, clients: self.clients.mark()? })
    }

    /// The directory of the run.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Appends to `timeline.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.timeline.write(record)
    }

    /// Appends to `rounds.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn round(&mut self, row: &RoundRow) -> Result<(), ReportError> {
        self.rounds.write(row)
    }

    /// Appends to `clients.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn client(&mut self, row: &ClientRow) -> Result<(), ReportError> {
        self.clients.write(row)
    }

    /// Appends to `perf.csv`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn perf(&mut self, row: &PerfRow) -> Result<(), ReportError> {
        self.perf.write(row)
    }

    /// Brings all rows on their way to their files. Call it after each round.
    ///
    /// # Errors
    /// When a file cannot be written, as on a full disk.
    pub fn hand_over(&mut self) -> Result<(), ReportError> {
        self.timeline.hand_over()?;
        self.rounds.flush()?;
        self.clients.flush()?;
        self.perf.flush()
    }

    /// Writes all rows to their files, and waits until they are there. Call it at the end.
    ///
    /// # Errors
    /// When a file cannot be written, as on a full disk.
    pub fn flush(&mut self) -> Result<(), ReportError> {
        self.hand_over()?;
        self.timeline.flush()
    }

    /// Writes `summary.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn summary(&self, summary: &Summary) -> Result<(), ReportError> {
        self.file("summary.json", summary.to_json().as_bytes())
    }

    /// Writes a file of the run whole, such as `scenario.lock.yaml`. `name` may lie in a directory, which is made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: &[u8]) -> Result<(), ReportError> {
        write_whole(&self.directory.join(name), content)
    }
}

/// Makes `<out>/<name>/<UTC>-<hash4>/`, which nothing else holds.
///
/// # Errors
/// When the name is no plain directory name, or something cannot be made.
pub(crate) fn new_directory(out: &Path, name: &str, hash: &str) -> Result<PathBuf, ReportError> {
    if let Some(reason) = not_plain(name) {
        return Err(ReportError::Name { name: name.into(), reason });
    }
    let parent = out.join(name);
    fs::create_dir_all(&parent).map_err(ReportError::write(&parent))?;
    let digits = hash.get(..4).unwrap_or(hash);
    make_new(&parent, &format!("{}-{digits}", utc_stamp()))
}

/// Writes a file under another name and renames it, so that it is whole or absent.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), ReportError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(ReportError::write(parent))?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::File::create(&part).and_then(|mut file| {
        file.write_all(content)?;
        // A full disk may show only when the data really goes there.
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&part, path)).map_err(|source| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&part);
        ReportError::Write { path: path.into(), source }
    })
}

/// A directory that did not exist: `stem`, or `stem-2`, `stem-3` and so on.
fn make_new(parent: &Path, stem: &str) -> Result<PathBuf, ReportError> {
    let mut directory = parent.join(stem);
    for number in 2.. {
        match fs::create_dir(&directory) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                directory = parent.join(format!("{stem}-{number}"));
            }
            Err(source) => return Err(ReportError::Write { path: directory, source }),
        }
    }
    Ok(directory)
}

/// Makes `latest` beside a directory of results a link to it, replacing an older link in one step.
///
/// # Errors
/// When something else is called `latest`, or the file system has no links.
#[cfg(unix)]
pub(crate) fn link_latest(directory: &Path) -> Result<(), ReportError> {
    let parent = directory.parent().expect("a run's directory lies in another");
    let name = directory.file_name().expect("a run's directory has a name");
    // Named after the run, so that two runs that start together do not meet.
    let mut part = std::ffi::OsString::from(".latest-");
    part.push(name);
    let (part, latest) = (parent.join(part), parent.join("latest"));
    std::os::unix::fs::symlink(name, &part).and_then(|()| fs::rename(&part, &latest)).map_err(|source| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&part);
        ReportError::Write { path: latest, source }
    })
}

/// Links need privileges here; the newest directory is the last by name.
#[cfg(not(unix))]
pub(crate) fn link_latest(_: &Path) -> Result<(), ReportError> {
    Ok(())
}

/// What is wrong with a scenario's `name`, which becomes a directory name.
pub fn name_problem(name: &str) -> Option<Problem> {
    let help = "use letters, digits, `-`, `_` and `.`, such as `sst2-lora-100c`";
    not_plain(name).map(|reason| Problem::new("", format!("`{name}` cannot be a directory name: {reason}")).help(help))
}

fn not_plain(name: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '=' | ',' | '@');
    if name.is_empty() {
        return Some("it is empty".into());
    }
    if name.starts_with(['.', '-']) {
        return Some("it starts with a `.` or `-`".into());
    }
    // The usual limit of a file name is 255 bytes.
    if name.len() > 200 {
        return Some(format!("it is {} bytes long, more than 200", name.len()));
    }
    name.chars().find(|c| !plain(*c)).map(|c| format!("it contains {c:?}"))
}

/// A CSV file of rows that may hold text.
#[derive(Debug)]
struct TableWriter {
    writer: csv::Writer<RowFile>,
    /// Rows since the last flush.
    n_rows: u32,
}

/// Rows after which a table goes to the disk by itself; a run may have a million clients.
const TABLE_ROWS_MAX: u32 = 1000;

impl TableWriter {
    fn create(path: &Path, columns: &[&str]) -> Result<Self, ReportError> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(RowFile::create(path)?);
        writer.write_record(columns).map_err(|error| ReportError::write(path)(error.into()))?;
        Ok(Self { writer, n_rows: 0 })
    }

    fn write(&mut self, row: &impl Serialize) -> Result<(), ReportError> {
        if let Err(error) = self.writer.serialize(row) {
            return Err(ReportError::write(self.writer.get_ref().path())(error.into()));
        }
        self.n_rows += 1;
        if self.n_rows < TABLE_ROWS_MAX { Ok(()) } else { self.flush() }
    }

    fn reopen(path: &Path, mark: FileMark) -> Result<Self, ReportError> {
        Ok(Self::on(RowFile::reopen(path, mark)?))
    }

    fn on(file: RowFile) -> Self {
        Self { writer: csv::WriterBuilder::new().has_headers(false).from_writer(file), n_rows: 0 }
    }

    /// Writes all rows to the disk, and says how far the file has come.
    fn mark(&mut self) -> Result<FileMark, ReportError> {
        self.flush()?;
        self.writer.get_ref().mark()
    }

    fn flush(&mut self) -> Result<(), ReportError> {
        self.n_rows = 0;
        self.writer.flush().map_err(|error| ReportError::write(self.writer.get_ref().path())(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::EventKind;
    use crate::units::SimTime;

    #[test]
    fn a_run_gets_a_directory_of_its_own_and_latest_links_to_it() {
        let out = tempfile::tempdir().unwrap();
        let mut directories = Vec::new();
        for _ in 0..3 {
            // Within a second the stamps are equal and only the suffix tells the runs apart.
            let mut writer = ResultsWriter::create(out.path(), "demo", "abcdef", "accuracy").unwrap();
            writer.record(&Record::new(SimTime::ZERO, EventKind::RunStart)).unwrap();
            writer.flush().unwrap();
            writer.file("figures/a.svg", b"<svg/>").unwrap();
            link_latest(writer.directory()).unwrap();
            directories.push(writer.directory().to_owned());
        }
        directories.dedup();
        assert_eq!(directories.len(), 3);
        let last = directories.last().unwrap();
        assert!(last.file_name().unwrap().to_str().unwrap().contains("Z-abcd"));
        assert_eq!(out.path().join("demo/latest").canonicalize().unwrap(), last.canonicalize().unwrap());
        let mut names: Vec<_> = fs::read_dir(last).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["clients.csv", "figures", "perf.csv", "rounds.csv", "timeline.csv"]);
    }

    #[test]
    fn the_directory_of_a_run_may_be_suffixed() {
        let parent = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..3).map(|_| make_new(parent.path(), "x").unwrap()).collect();
        assert_eq!(names, ["x", "x-2", "x-3"].map(|name| parent.path().join(name)));
    }

    #[test]
    #[cfg(unix)]
    fn a_folder_that_is_called_latest_stays() {
        let out = tempfile::tempdir().unwrap();
        // As when results were copied by a program that follows links.
        fs::create_dir_all(out.path().join("demo/latest/figures")).unwrap();
        let writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
        let message = link_latest(writer.directory()).unwrap_err().to_string();
        assert!(message.contains("cannot write `") && message.contains("demo/latest`"), "{message}");
        assert!(out.path().join("demo/latest/figures").is_dir());
        let left = fs::read_dir(out.path().join("demo")).unwrap().count();
        assert_eq!(left, 2, "the run's folder and `latest`, no half-made link");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let out = tempfile::tempdir().unwrap();
        fs::write(out.path().join("taken"), "a file").unwrap();
        let message = ResultsWriter::create(&out.path().join("taken"), "demo", "abcd", "accuracy")
            .expect_err("a file is no directory")
            .to_string();
        assert!(message.contains("taken/demo`: not a directory; check the path"), "{message}");
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "a/b", "../a", "a\\b", "a b", "a\n", ".hidden", "-a", "c:"] {
            assert!(name_problem(name).is_some(), "{name:?}");
            assert!(ResultsWriter::create(Path::new("/nowhere"), name, "abcd", "x").is_err());
        }
        for name in ["quickstart", "sst2-lora_100c.v2", "größe"] {
            assert_eq!(name_problem(name), None);
        }
    }
}
