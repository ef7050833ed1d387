//! Reading a data set from files: TSV, CSV or JSONL, plain or gzip.

use std::path::Path;

/// How rows are written, told by the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileFormat {
    /// A header line, then columns between tabs; no quoting or escaping.
    Tsv,
    /// A header line, then columns between commas, quoted where needed (RFC 4180).
    Csv,
    /// One JSON object per line.
    Jsonl,
}

impl FileFormat {
    /// The format of a file of this name; `.gz` behind it is looked through.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "tsv" => Some(Self::Tsv),
            "csv" => Some(Self::Csv),
            "jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }
}
