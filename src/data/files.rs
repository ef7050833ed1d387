//! Reading a data set from files: TSV, CSV or JSONL, plain or gzip, and parquet.
//!
//! Every row is either taken or reported as `file:line`; none is skipped silently.

mod bytes;
mod csv;
mod jsonl;
mod parquet;
mod problems;
mod table;
mod tsv;

use std::path::{Path, PathBuf};

pub(super) use bytes::{read_bytes, read_lines};
pub(super) use parquet::{PICTURE_BYTES, Table, field, group, holds_pictures, label};
pub(super) use problems::Problems;

use super::columns::ColumnNames;

/// How rows are written, told by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileFormat {
    /// A header line, then columns between tabs; no quoting or escaping.
    Tsv,
    /// A header line, then columns between commas, quoted where needed (RFC 4180).
    Csv,
    /// One JSON object per line.
    Jsonl,
    /// Columns in binary form, packed by itself.
    Parquet,
}

impl FileFormat {
    /// The format of a file of this name; `.gz` behind it is looked through where the rows are text.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let plain = name.strip_suffix(".gz");
        match plain.unwrap_or(&name).rsplit_once('.')?.1 {
            "tsv" => Some(Self::Tsv),
            "csv" => Some(Self::Csv),
            "jsonl" | "json" => Some(Self::Jsonl),
            "parquet" if plain.is_none() => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// The columns that rows are read from.
#[derive(Debug, Clone)]
pub(super) struct Columns<'a> {
    /// Those of texts and label.
    pub(super) names: &'a ColumnNames,
    /// The one that names the natural client of a row, where the partition asks for it.
    pub(super) group: Option<&'a str>,
}

impl<'a> Columns<'a> {
    /// The settings below `dataset` with the columns that they name.
    fn wanted(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let columns = [
            ("columns.text", Some(self.names.text.as_str())),
            ("columns.text_pair", self.names.text_pair.as_deref()),
            ("columns.label", Some(self.names.label.as_str())),
            (GROUP_SETTING, self.group),
        ];
        columns.into_iter().filter_map(|(setting, name)| Some((setting, name?)))
    }
}

/// The setting below `dataset` that names the column of natural clients.
pub(super) const GROUP_SETTING: &str = "partition.by_column.column";

/// One row of a file, its label not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawRow {
    /// Where the row begins, from 1.
    pub(super) line: u64,
    /// The (first) text.
    pub(super) text: String,
    /// The second text, if a column is named for it. At most one of the two is empty.
    pub(super) text_pair: Option<String>,
    /// The label as written.
    pub(super) label: String,
    /// The natural client as written, if a column is named for it.
    pub(super) group: Option<String>,
}

impl RawRow {
    /// A row of these fields, or what is wrong with them.
    fn new(line: u64, text: String, text_pair: Option<String>, label: String) -> Result<Self, String> {
        // Of a pair one may be empty, as in QQP, where some questions are.
        if text.trim().is_empty() && text_pair.as_ref().is_none_or(|pair| pair.trim().is_empty()) {
            let what = if text_pair.is_some() { "both texts are empty" } else { "the text is empty" };
            return Err(what.into());
        }
        if label.trim().is_empty() {
            return Err("the label is empty".into());
        }
        Ok(Self { line, text, text_pair, label: label.trim().into(), group: None })
    }

    /// The row with its natural client, or what is wrong with that.
    fn in_group(mut self, columns: &Columns<'_>, group: Option<String>) -> Result<Self, String> {
        self.group = group.map(|group| group_named(columns.group.unwrap_or_default(), &group)).transpose()?;
        Ok(self)
    }
}

/// The natural client of this name in a column, or what is wrong with it.
pub(super) fn group_named(column: &str, name: &str) -> Result<String, String> {
    match name.trim() {
        "" => Err(format!("`{column}` is empty, so the row belongs to nobody")),
        name => Ok(name.into()),
    }
}

/// The rows of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawFile {
    /// The file.
    pub(super) path: PathBuf,
    /// Its sound rows.
    pub(super) rows: Vec<RawRow>,
    /// The names of the labels by number, where the file tells them.
    pub(super) labels: Option<Vec<String>>,
}

/// Reads the file at `path`; what is wrong with it or with a row goes to `problems`.
pub(super) fn read(path: PathBuf, columns: &Columns<'_>, problems: &mut Problems) -> RawFile {
    let n_problems = problems.len();
    let mut labels = None;
    let rows = match FileFormat::of(&path) {
        None => {
            problems.of_file(&path, "is not named .tsv, .csv or .jsonl, plain or with .gz behind it, or .parquet");
            Vec::new()
        }
        Some(FileFormat::Parquet) => {
            let (rows, found) = parquet::rows(&path, columns, problems);
            labels = found;
            rows
        }
        Some(text) => match (bytes::read(&path, problems), text) {
            (None, _) | (_, FileFormat::Parquet) => Vec::new(),
            (Some(content), FileFormat::Tsv) => tsv::rows(&path, &content, columns, problems),
            (Some(content), FileFormat::Csv) => csv::rows(&path, &content, columns, problems),
            (Some(content), FileFormat::Jsonl) => jsonl::rows(&path, &content, columns, problems),
        },
    };
    if rows.is_empty() && problems.len() == n_problems {
        problems.of_file(&path, "has no rows");
    }
    RawFile { path, rows, labels }
}
