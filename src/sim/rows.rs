//! Rows of CSV files with a header, and what is wrong with them: always with file and line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::SimError;
use crate::collections::IdSet;
use crate::registry::Problem;

/// So many faults of a file are told one by one.
const TOLD_MAX: usize = 5;

/// What is wrong with one file.
#[derive(Debug)]
pub(in crate::sim) struct Faults {
    file: String,
    told: Vec<Fault>,
    n: usize,
}

#[derive(Debug)]
struct Fault {
    line: Option<u64>,
    message: String,
    help: String,
}

impl Faults {
    /// Nothing is wrong with `file` so far.
    pub(in crate::sim) fn new(file: &str) -> Self {
        Self { file: file.into(), told: Vec::new(), n: 0 }
    }

    /// A fault of one line.
    pub(in crate::sim) fn at(&mut self, line: u64, message: impl Into<String>, help: impl Into<String>) {
        self.add(Some(line), message.into(), help.into());
    }

    /// A fault of the file as a whole.
    pub(in crate::sim) fn whole(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.add(None, message.into(), help.into());
    }

    fn add(&mut self, line: Option<u64>, message: String, help: String) {
        self.n += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(Fault { line, message, help });
        }
    }

    pub(in crate::sim) fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// As problems of the setting that names the file: the first few, and how many more there are.
    pub(in crate::sim) fn problems(self, setting: &str) -> Vec<Problem> {
        let more = self.n - self.told.len();
        let last = self.told.len().saturating_sub(1);
        let told = self.told.into_iter().enumerate();
        told.map(|(i, fault)| {
            let place = place(&self.file, fault.line);
            let rest = if more > 0 && i == last { format!(" (+{more} more rows)") } else { String::new() };
            Problem::new(setting, format!("{place}: {}{rest}", fault.message)).help(fault.help)
        })
        .collect()
    }

    /// The first fault as an error.
    pub(in crate::sim) fn into_error(self) -> Result<(), SimError> {
        match self.told.into_iter().next() {
            None => Ok(()),
            Some(fault) => Err(SimError::File {
                place: place(&self.file, fault.line),
                message: format!("{}; {}", fault.message, fault.help),
            }),
        }
    }
}

fn place(file: &str, line: Option<u64>) -> String {
    line.map_or_else(|| file.to_string(), |line| format!("{file}:{line}"))
}

/// A column that is read, by any of its names.
#[derive(Debug, Clone, Copy)]
pub(in crate::sim) struct Column {
    /// What it may be called in the header, the usual name first.
    pub(in crate::sim) names: &'static [&'static str],
    /// A file without it is of no use.
    pub(in crate::sim) is_required: bool,
}

/// One row's wanted fields, in the order of the wanted columns; empty where a column is absent.
pub(in crate::sim) struct Row<'a> {
    pub(in crate::sim) line: u64,
    pub(in crate::sim) fields: &'a [&'a str],
}

impl Row<'_> {
    /// A field as a number of at least 0; what is wrong with it otherwise.
    pub(in crate::sim) fn number(&self, column: usize, name: &str) -> Result<f64, String> {
        let field = self.fields[column];
        match field.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
            Ok(_) => Err(format!("{name} `{field}` is not a number of at least 0")),
            Err(_) if field.is_empty() => Err(format!("{name} is empty")),
            Err(_) => Err(format!("{name} `{field}` is not a number")),
        }
    }

    /// As [`number`](Self::number), of at most `max`; 0 or at least `min`. What lies beyond is nothing that was measured, and
    /// would be lost in what is computed of it.
    pub(in crate::sim) fn number_within(&self, column: usize, name: &str, min: f64, max: f64) -> Result<f64, String> {
        let (number, field) = (self.number(column, name)?, self.fields[column]);
        match number {
            _ if number > max => Err(format!("{name} `{field}` is more than {max:e}")),
            _ if number > 0.0 && number < min => Err(format!("{name} `{field}` is less than {min:e} and not 0")),
            _ => Ok(number),
        }
    }
}

/// The clients that a file's ids name, where ids are the clients' numbers. Ids are told of as their rows are read, whatever
/// else is wrong with the row.
pub(in crate::sim) struct ClientIds {
    n_clients: u32,
    help: &'static str,
    /// The client of each spelling; none for one that is nobody's.
    by_spelling: BTreeMap<String, Option<u32>>,
    named: IdSet,
}

impl ClientIds {
    /// None are named so far; `help` is for ids that are nobody's.
    pub(in crate::sim) fn new(n_clients: u32, help: &'static str) -> Self {
        Self { n_clients, help, by_spelling: BTreeMap::new(), named: IdSet::new() }
    }

    /// A row of this line has this id.
    pub(in crate::sim) fn see(&mut self, id: &str, line: u64, faults: &mut Faults) {
        if self.by_spelling.contains_key(id) {
            return;
        }
        let client = id.parse::<u32>().ok().filter(|client| *client < self.n_clients);
        let is_new = client.is_some_and(|client| self.named.insert(client));
        self.by_spelling.insert(id.to_string(), client.filter(|_| is_new));
        match client {
            Some(_) if is_new => {}
            Some(client) => {
                let message = format!("client {client} is already there under another spelling than `{id}`");
                faults.at(line, message, "write each id in one way");
            }
            None => {
                let last = self.n_clients.saturating_sub(1);
                faults.at(line, format!("there is no client `{id}`; clients are 0 to {last}"), self.help);
            }
        }
    }

    /// For each client the place of its id in the list; none for a client whose id is not there.
    pub(in crate::sim) fn places<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Vec<Option<u32>> {
        let mut places = vec![None; self.n_clients as usize];
        for (place, id) in (0u32..).zip(ids) {
            if let Some(client) = self.by_spelling.get(id).copied().flatten() {
                places[client as usize] = Some(place);
            }
        }
        places
    }

    /// Tells of clients without `what`, unless the file has no rows at all, which is told already.
    pub(in crate::sim) fn refuse_missing(&self, what: &str, faults: &mut Faults) {
        let n_missing = self.n_clients as usize - self.named.len();
        let first = (0..self.n_clients).find(|client| !self.named.contains(*client));
        if let Some(first) = first.filter(|_| !self.by_spelling.is_empty()) {
            let rest = if n_missing > 1 { format!(", nor have {} others", n_missing - 1) } else { String::new() };
            faults.whole(format!("client {first} has no {what}{rest}"), self.help);
        }
    }
}

/// Seconds of a row as nanoseconds; what is wrong with them otherwise.
pub(in crate::sim) fn nanos(seconds: f64) -> Result<u64, String> {
    // About half of the clock's range, so that sums with the time of the run stay within it.
    if seconds > 9e9 {
        Err(format!("{seconds} s is beyond the clock's range"))
    } else {
        Ok((seconds * 1e9).round() as u64)
    }
}

/// Reads a file, which may be compressed with gzip, row by row.
pub(in crate::sim) fn read(
    base_dir: &Path,
    file: &str,
    columns: &[Column],
    faults: &mut Faults,
    mut each: impl FnMut(&Row<'_>, &mut Faults),
) {
    let bytes = match open(&base_dir.join(file)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            faults.whole("there is no such file", "paths start from the folder of the scenario file");
            return;
        }
        Err(error) => {
            faults.whole(format!("it cannot be read: {error}"), "give a CSV file, or one compressed with gzip");
            return;
        }
    };
    // Ended by a line feed whatever the file ends with, so that the reader's line after a record is the next one. Carriage
    // returns are trimmed.
    let bytes: Box<dyn Read> = Box::new(bytes.chain(&b"\n"[..]));
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(bytes);
    let Some(indices) = header(&mut reader, columns, faults) else { return };
    let mut record = csv::StringRecord::new();
    let mut n_rows = 0;
    let width = reader.headers().map_or(0, csv::StringRecord::len);
    loop {
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) if record.len() == 1 && record[0].is_empty() => {}
            Ok(true) => {
                n_rows += 1;
                let inside = record.iter().map(|field| field.matches('\n').count() as u64).sum::<u64>();
                let line = reader.position().line() - 1 - inside;
                if record.len() != width {
                    let message = format!("the row has {} fields, the header {width}", record.len());
                    faults.at(line, message, "complete the row");
                    continue;
                }
                let fields: Vec<&str> =
                    indices.iter().map(|index| index.and_then(|index| record.get(index)).unwrap_or("")).collect();
                each(&Row { line, fields: &fields }, faults);
            }
            Err(error) => {
                let line = reader.position().line();
                faults.at(line, format!("it cannot be read: {error}"), "is the file whole, and UTF-8?");
                break;
            }
        }
    }
    if n_rows == 0 && faults.is_empty() {
        faults.whole("it has a header and no row", "give at least one row");
    }
}

fn open(path: &Path) -> std::io::Result<Box<dyn Read>> {
    let file = std::io::BufReader::new(File::open(path)?);
    let is_compressed = path.extension().is_some_and(|extension| extension == "gz");
    if path.is_dir() {
        return Err(std::io::Error::other("it is a folder"));
    }
    Ok(if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

/// Where the wanted columns lie. None, and a fault, when one is missing.
fn header(
    reader: &mut csv::Reader<Box<dyn Read>>,
    columns: &[Column],
    faults: &mut Faults,
) -> Option<Vec<Option<usize>>> {
    let header = match reader.headers() {
        Ok(header) if header.is_empty() || header.iter().all(str::is_empty) => {
            let names: Vec<_> =
                columns.iter().filter(|column| column.is_required).map(|column| column.names[0]).collect();
            faults.whole("it is empty", format!("begin it with the header `{}`", names.join(",")));
            return None;
        }
        Ok(header) => header,
        Err(error) => {
            faults.at(1, format!("it cannot be read: {error}"), "is the file whole, and UTF-8?");
            return None;
        }
    };
    let mut indices = Vec::new();
    for column in columns {
        // A byte order mark, as some spreadsheets write, belongs to no name.
        let names = header.iter().map(|name| name.trim_start_matches('\u{feff}'));
        let found: Vec<_> = names.enumerate().filter(|(_, name)| column.names.contains(name)).collect();
        if found.len() > 1 {
            let written: Vec<_> = found.iter().map(|(_, name)| format!("`{name}`")).collect();
            let message = format!("the header has {} columns for one thing: {}", found.len(), written.join(", "));
            faults.at(1, message, "keep one of them: remove the others, or give them names that mean nothing here");
            return None;
        }
        let index = found.first().map(|(index, _)| *index);
        if index.is_none() && column.is_required {
            let written: Vec<_> = header.iter().collect();
            let message = format!("the header has no column `{}`", column.names[0]);
            faults.at(1, message, format!("its columns are `{}`", written.join(",")));
            return None;
        }
        indices.push(index);
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const COLUMNS: [Column; 2] = [
        Column { names: &["client_id", "device_id"], is_required: true },
        Column { names: &["start_s"], is_required: true },
    ];

    fn read_all(name: &str, bytes: &[u8]) -> (Vec<(u64, Vec<String>)>, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), bytes).unwrap();
        let (mut rows, mut faults) = (Vec::new(), Faults::new(name));
        read(dir.path(), name, &COLUMNS, &mut faults, |row, faults| {
            if let Err(message) = row.number(1, "start_s") {
                faults.at(row.line, message, "seconds");
            }
            rows.push((row.line, row.fields.iter().map(ToString::to_string).collect()));
        });
        let problems = faults.problems("file").into_iter().map(|problem| problem.message).collect();
        (rows, problems)
    }

    #[test]
    fn columns_are_found_by_name_and_rows_know_their_lines() {
        let text = b"note,start_s,device_id\nx, 1.5 ,7\n\n\"a\nb\",2,8\n";
        let rows = vec![(2, vec!["7".into(), "1.5".into()]), (4, vec!["8".into(), "2".into()])];
        assert_eq!(read_all("a.csv", text), (rows.clone(), vec![]));
        let with_returns = String::from_utf8_lossy(text).replace("\n", "\r\n").replace("a\r", "a");
        assert_eq!(read_all("a.csv", with_returns.trim_end().as_bytes()), (rows.clone(), vec![]));
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(read_all("a.csv.gz", &packed), (rows, vec![]));
        let cut = read_all("a.csv.gz", &packed[..packed.len() / 2]).1;
        assert!(cut[0].starts_with("a.csv.gz:") && cut[0].contains("it cannot be read"), "{cut:?}");
    }

    #[test]
    fn faults_have_places_and_only_the_first_are_told() {
        let text = b"client_id,start_s\n0,x\n1,-1\n2,\n3,nan\n4\n5,x\n6,x\n";
        let expected = [
            "a.csv:2: start_s `x` is not a number",
            "a.csv:3: start_s `-1` is not a number of at least 0",
            "a.csv:4: start_s is empty",
            "a.csv:5: start_s `nan` is not a number of at least 0",
            "a.csv:6: the row has 1 fields, the header 2 (+2 more rows)",
        ];
        assert_eq!(read_all("a.csv", text).1, expected);
        assert_eq!(read_all("a.csv", b"").1, ["a.csv: it is empty"]);
        assert_eq!(read_all("a.csv", b"client_id,start_s\n").1, ["a.csv: it has a header and no row"]);
        assert_eq!(read_all("a.csv", b"client_id,end_s\n0,1\n").1, ["a.csv:1: the header has no column `start_s`"]);
        let two_ids = "a.csv:1: the header has 2 columns for one thing: `device_id`, `client_id`";
        assert_eq!(read_all("a.csv", "\u{feff}device_id,start_s,client_id\n7,1,0\n".as_bytes()).1, [two_ids]);
        let two_starts = "a.csv:1: the header has 2 columns for one thing: `start_s`, `start_s`";
        assert_eq!(read_all("a.csv", b"client_id,start_s,start_s\n0,1,2\n").1, [two_starts]);
        let mut faults = Faults::new("nowhere.csv");
        read(Path::new("/"), "nowhere.csv", &COLUMNS, &mut faults, |_, _| {});
        let error = faults.into_error().unwrap_err().to_string();
        assert_eq!(error, "nowhere.csv: there is no such file; paths start from the folder of the scenario file");
    }
}
