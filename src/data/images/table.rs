//! Pictures in parquet files, as the `datasets` library writes them: a column of records `{bytes, path}`, in which the bytes
//! are those of a PNG or JPEG file, and a column of labels.

use std::io::Cursor;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::ImageReader;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;

use super::gather::Gatherer;
use super::{ImageDataset, ImageProcessor, folder};
use crate::data::columns::ColumnNames;
use crate::data::files::{
    FileFormat, GROUP_SETTING, PICTURE_BYTES, Problems, Table, field, group, holds_pictures, label,
};
use crate::data::labels::Labels;
use crate::data::sources::Sources;
use crate::data::{DataError, DatasetConfig};
use crate::seed::Seeds;

/// Loads the pictures of a data set that is laid out as on the hub.
pub(super) fn load(
    config: &DatasetConfig,
    sources: Sources,
    base_dir: &Path,
    seeds: &Seeds,
    processor: &ImageProcessor,
) -> Result<ImageDataset, DataError> {
    let mut problems = Problems::default();
    let given = Labels::given(config, base_dir, &mut problems);
    if given.as_ref().is_some_and(|labels| labels.names().is_empty()) {
        problems.into_result()?;
        unreachable!("a list without labels is a problem");
    }
    let columns = config.columns();
    let mut reader = Reader {
        columns: &columns,
        gatherer: Gatherer::new(processor),
        rows: Vec::new(),
        told: None,
        group: None,
        problems,
    };
    reader.group = config.partition.implementation().column();
    reader.gatherer.groups = reader.group.map(|_| Vec::new());
    let train = reader.read(&sources.train);
    reader.group = None;
    let validation = sources.validation.as_deref().map(|files| reader.read(files));
    let test = sources.test.as_deref().map(|files| reader.read(files));
    let Reader { mut gatherer, rows, told, mut problems, .. } = reader;
    if train.is_empty() {
        problems.into_result()?;
        unreachable!("a file without pictures is a problem");
    }
    let labels =
        Labels::resolved(given, told.or(sources.labels), rows[train.clone()].iter().map(|row| row.label.as_str()));
    if let Some(only) = labels.only() {
        problems.of_file(&sources.train[0], format!("has one label only (`{only}`), at least 2 are needed"));
    }
    for (i, row) in rows.iter().enumerate() {
        match labels.number(&row.label) {
            Ok(number) => gatherer.set_label(i, number),
            Err(what) => problems.of_line(&row.path, row.number, what),
        }
    }
    problems.into_result()?;
    let n_of = |rows: &Option<Range<usize>>| rows.as_ref().map(ExactSizeIterator::len);
    sources.promised.check(&sources.name, train.len(), n_of(&validation), n_of(&test))?;
    let splits = (train, validation, test);
    let dataset = gatherer.into_dataset(sources.name, labels.names().to_vec(), splits, config, seeds)?;
    Ok(ImageDataset { notes: sources.notes, ..dataset })
}

/// Where a picture came from, and its label as written.
struct Origin {
    path: Arc<Path>,
    number: u64,
    label: String,
}

struct Reader<'a> {
    columns: &'a ColumnNames,
    gatherer: Gatherer<'a>,
    /// One for each picture.
    rows: Vec<Origin>,
    /// The names of the labels that the first file with any tells.
    told: Option<Vec<String>>,
    /// The column of natural clients, while training pictures are read.
    group: Option<&'a str>,
    problems: Problems,
}

impl Reader<'_> {
    /// Reads the files of one split and gives its pictures.
    fn read(&mut self, paths: &[PathBuf]) -> Range<usize> {
        let start = self.gatherer.len();
        for path in paths {
            let (n_pictures, n_problems) = (self.gatherer.len(), self.problems.len());
            self.file(path);
            if self.gatherer.len() == n_pictures && self.problems.len() == n_problems {
                self.problems.of_file(path, "has no pictures");
            }
        }
        start..self.gatherer.len()
    }

    fn file(&mut self, path: &Path) {
        if FileFormat::of(path) != Some(FileFormat::Parquet) {
            self.problems.of_file(path, "is not named .parquet, the form in which pictures are kept on the hub");
            return;
        }
        let Some(table) = Table::open(path, &mut self.problems) else { return };
        let pictures = self.picture_column(path, &table);
        let labels = table.plain_column("columns.label", &self.columns.label, &mut self.problems);
        let groups = self.group.map(|name| table.plain_column(GROUP_SETTING, name, &mut self.problems));
        let (Some(pictures), Some(labels)) = (pictures, labels) else { return };
        if groups == Some(None) {
            return;
        }
        let groups = groups.flatten();
        if self.told.is_none() {
            self.told = table.class_labels(&self.columns.label);
        }
        let (name, path) = (pictures.name().to_string(), Arc::<Path>::from(path));
        let Self { columns, gatherer, rows, problems, .. } = self;
        let wanted = [pictures, labels].into_iter().chain(groups.clone()).collect();
        table.read(wanted, problems, |number, row| {
            let label = label(row, &columns.label)?;
            let group = groups.as_ref().map(|column| group(row, column.name())).transpose()?;
            // Which number the label has is known when all files are read.
            gatherer.add(picture(row, &name)?, 0)?;
            gatherer.groups.iter_mut().zip(group).for_each(|(groups, group)| groups.push(group));
            rows.push(Origin { path: path.clone(), number, label });
            Ok(())
        });
    }

    /// The column of the pictures: as the scenario says, else the only one that can be.
    fn picture_column(&mut self, path: &Path, table: &Table) -> Option<Arc<Type>> {
        if let Some(name) = &self.columns.image {
            let column = table.column("columns.image", name, &mut self.problems)?;
            if !holds_pictures(&column) {
                let what = format!("column `{name}` holds no pictures (records of `bytes` and `path`)");
                self.problems.of_file(path, format!("{what}; set dataset.columns.image"));
                return None;
            }
            return Some(column);
        }
        let found: Vec<&Arc<Type>> = table.columns().iter().filter(|column| holds_pictures(column)).collect();
        if let [only] = found[..] {
            return Some(only.clone());
        }
        let names = |columns: &mut dyn Iterator<Item = &Arc<Type>>| {
            columns.map(|column| column.name().to_string()).collect::<Vec<_>>().join(", ")
        };
        let what = match found.is_empty() {
            true => {
                let all = names(&mut table.columns().iter());
                format!("no column holds pictures, records of `bytes` and `path` (there are: {all})")
            }
            false => {
                let several = names(&mut found.into_iter());
                format!("several columns hold pictures ({several}); set dataset.columns.image")
            }
        };
        self.problems.of_file(path, what);
        None
    }
}

/// The pixels of a row.
fn picture(row: &Row, column: &str) -> Result<super::Picture, String> {
    let Field::Group(record) = field(row, column)? else { return Err(format!("`{column}` is null")) };
    match field(record, PICTURE_BYTES)? {
        Field::Bytes(bytes) => folder::decode(ImageReader::new(Cursor::new(bytes.data()))),
        Field::Null => Err(format!("`{column}` has no bytes: the picture itself is not in the file")),
        other => Err(format!("`{column}` has {other} for bytes")),
    }
}
