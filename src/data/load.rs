//! From settings to a data set.

use std::path::{Path, PathBuf};

use super::files::{self, Columns, Problems, RawFile};
use super::labels::Labels;
use super::sources::Sources;
use super::{
    DataError, DatasetConfig, DatasetSource, FetchedDataset, RowOrigins, TextDataset, TextExample, builtin, validation,
};
use crate::seed::Seeds;

/// Loads the texts that `config` describes. File names are relative to `base_dir`; `seeds` decides a generated data
/// set's sentences and which rows are carved out for validation. One on the hub has to be `fetched` before.
///
/// # Errors
/// Settings that are wrong or describe pictures, a data set without such a config or split, a file that cannot be read,
/// and every bad row of the files (the first 20 in words, the others counted).
pub fn load(
    config: &DatasetConfig,
    fetched: Option<&FetchedDataset>,
    base_dir: &Path,
    seeds: &Seeds,
) -> Result<TextDataset, DataError> {
    config.check()?;
    match (config.source(base_dir), &config.files) {
        (DatasetSource::Builtin, _) => {
            let name = config.name.as_deref().unwrap_or_default();
            builtin::generate(name, config.num_examples, seeds)
        }
        (DatasetSource::Files, Some(files)) => assemble(config, Sources::listed(files, base_dir), base_dir, seeds),
        (DatasetSource::Files, None) => {
            Err(DataError::BadSettings("dataset: `images` holds pictures, not texts".into()))
        }
        (DatasetSource::Directory(_) | DatasetSource::Hub(_), _) => {
            assemble(config, Sources::of_repository(config, fetched, base_dir)?, base_dir, seeds)
        }
    }
}

fn assemble(
    config: &DatasetConfig,
    sources: Sources,
    base_dir: &Path,
    seeds: &Seeds,
) -> Result<TextDataset, DataError> {
    let names = config.columns();
    let group = config.partition.implementation().column();
    let mut problems = Problems::default();
    let given_labels = Labels::given(config, base_dir, &mut problems);
    let mut read = |paths: Vec<PathBuf>, group| -> Vec<RawFile> {
        let columns = Columns { names: &names, group };
        paths.into_iter().map(|path| files::read(path, &columns, &mut problems)).collect()
    };
    let mut train = read(sources.train, group);
    let validation = sources.validation.map(|paths| read(paths, None));
    let test = sources.test.map(|paths| read(paths, None));

    // Without a sound list of labels or training file, each row would be reported for its label once more.
    let has_rows = train.iter().any(|file| !file.rows.is_empty());
    if given_labels.as_ref().is_some_and(|labels| labels.names().is_empty()) || !has_rows {
        problems.into_result()?;
        unreachable!("an empty file is a problem");
    }
    let told = train.iter_mut().find_map(|file| file.labels.take()).or(sources.labels);
    let written = train.iter().flat_map(|file| &file.rows).map(|row| row.label.as_str());
    let labels = Labels::resolved(given_labels, told, written);
    if let Some(only) = labels.only() {
        problems.of_file(&train[0].path, format!("has one label only (`{only}`), at least 2 are needed"));
    }
    let groups: Option<Vec<String>> =
        group.map(|_| train.iter_mut().flat_map(|file| &mut file.rows).filter_map(|row| row.group.take()).collect());
    let mut examples = |files: Vec<RawFile>| with_numbers(files, &labels, &mut problems);
    let train = examples(train);
    let validation = validation.map(&mut examples);
    let test = test.map(&mut examples);
    problems.into_result()?;

    let n_read = train.len();
    let n_of = |rows: &Option<Vec<TextExample>>| rows.as_ref().map(Vec::len);
    sources.promised.check(&sources.name, n_read, n_of(&validation), n_of(&test))?;
    let numbers: Vec<u32> = (0..n_read as u32).collect();
    let (numbers, train, validation) = match validation {
        Some(validation) => (numbers, train, validation),
        None => {
            let label_of = |number: &u32| train[*number as usize].label;
            let (kept, held_back) =
                validation::carve(numbers, label_of, labels.names().len(), config.held_back(), seeds)?;
            let (train, validation) = parted(train, &held_back);
            (kept, train, validation)
        }
    };
    let dataset = TextDataset::new(sources.name, labels.names().to_vec(), train, validation, test);
    let origins = RowOrigins::new(numbers, n_read, groups.as_deref());
    Ok(TextDataset { origins, notes: sources.notes, ..dataset })
}

/// The rows without those of these numbers, which ascend; and those.
fn parted(rows: Vec<TextExample>, held_back: &[u32]) -> (Vec<TextExample>, Vec<TextExample>) {
    let mut next = held_back.iter().peekable();
    let (mut kept, mut taken) = (Vec::with_capacity(rows.len() - held_back.len()), Vec::with_capacity(held_back.len()));
    for (number, row) in (0u32..).zip(rows) {
        if next.next_if_eq(&&number).is_some() { taken.push(row) } else { kept.push(row) }
    }
    (kept, taken)
}

fn with_numbers(files: Vec<RawFile>, labels: &Labels, problems: &mut Problems) -> Vec<TextExample> {
    let mut examples = Vec::with_capacity(files.iter().map(|file| file.rows.len()).sum());
    for file in files {
        for row in file.rows {
            match labels.number(&row.label) {
                Ok(label) => examples.push(TextExample { text: row.text, text_pair: row.text_pair, label }),
                Err(what) => problems.of_line(&file.path, row.line, what),
            }
        }
    }
    examples
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use super::*;

    /// A directory with files, and the settings to load them.
    struct Case {
        dir: tempfile::TempDir,
        config: DatasetConfig,
    }

    impl Case {
        fn new(files: &[(&str, &[u8])], config: serde_json::Value) -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            for (name, content) in files {
                let mut file = std::fs::File::create(dir.path().join(name)).expect("created");
                if name.ends_with(".gz") {
                    let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::default());
                    packer.write_all(content).expect("written");
                } else {
                    file.write_all(content).expect("written");
                }
            }
            Self { dir, config: serde_json::from_value(config).expect("well-formed settings") }
        }

        fn load(&self) -> Result<TextDataset, DataError> {
            load(&self.config, None, self.dir.path(), &Seeds::new(1))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// The error's lines, the directory left out.
        fn problems(&self) -> Vec<String> {
            let text = self.load().expect_err("must be refused").to_string();
            let directory = format!("{}/", self.dir.path().display());
            text.replace(&directory, "").lines().map(String::from).collect()
        }
    }

    fn rows(rows: &[TextExample]) -> Vec<(&str, Option<&str>, u32)> {
        rows.iter().map(|row| (row.text.as_str(), row.text_pair.as_deref(), row.label)).collect()
    }

    const TSV: &[u8] = b"label\ttext\nno\tbad \"thing\nyes\tgood\nno\tworse\nyes\tbetter\n";

    #[test]
    fn the_same_rows_load_alike_from_each_format() {
        let csv = b"\xef\xbb\xbftext,label\r\n\"bad \"\"thing\",no\r\ngood,yes\r\n\r\nworse,no\r\nbetter,yes\r\n";
        let jsonl = b"{\"text\": \"bad \\\"thing\", \"label\": \"no\"}\n{\"label\": 1, \"text\": \"good\"}\n\
            {\"label\": \"no\", \"text\": \"worse\"}\n{\"label\": \"1\", \"text\": \"better\", \"id\": 7}\n\n";
        for (name, content) in [("t.tsv", TSV), ("t.tsv.gz", TSV), ("t.csv", csv), ("t.jsonl.gz", jsonl)] {
            let case = Case::new(
                &[(name, content), ("v.tsv", TSV)],
                serde_json::json!({ "files": { "train": name, "validation": "v.tsv" }, "labels": ["no", "yes"] }),
            );
            let dataset = case.load().expect(name);
            let expected = [("bad \"thing", None, 0), ("good", None, 1), ("worse", None, 0), ("better", None, 1)];
            assert_eq!(rows(&dataset.train), expected, "{name}");
            assert_eq!(rows(&dataset.validation), expected);
            assert_eq!((dataset.test, dataset.name.as_str()), (None, name));
        }
    }

    #[test]
    fn labels_come_from_a_file_or_from_the_training_rows() {
        let config = serde_json::json!({
            "files": { "train": "t.tsv" }, "labels_file": "l.txt", "validation_fraction": 0.25,
        });
        let case = Case::new(&[("t.tsv", TSV), ("l.txt", b"yes\nno\nmaybe\n")], config);
        let dataset = case.load().expect("sound");
        assert_eq!(dataset.labels, ["yes", "no", "maybe"]);
        assert_eq!((dataset.train.len(), dataset.validation.len()), (3, 1));

        let config = serde_json::json!({ "files": { "train": "t.tsv" }, "validation_fraction": 0.5 });
        let dataset = Case::new(&[("t.tsv", TSV)], config).load().expect("sound");
        assert_eq!(dataset.labels, ["no", "yes"]);
        assert_eq!(dataset.validation.iter().map(|row| row.label).collect::<Vec<_>>().len(), 2);
    }

    #[test]
    fn pairs_are_read_from_two_columns() {
        let config = serde_json::json!({
            "files": { "train": "t.tsv" },
            "columns": { "text": "text_a", "text_pair": "text_b" },
            "validation_fraction": 0.4,
        });
        let content = b"label\ttext_a\ttext_b\n0\ta\tb\n1\tc\td\n0\te\tf\n1\tg\th\n";
        let dataset = Case::new(&[("t.tsv", content)], config).load().expect("sound");
        assert!(dataset.train.iter().chain(&dataset.validation).all(|row| row.text_pair.is_some()));
    }

    #[test]
    fn one_text_of_a_pair_may_be_empty_as_in_qqp() {
        let load = |content: &[u8]| {
            let files = serde_json::json!({ "train": "t.csv", "validation": "t.csv.gz" });
            let columns = serde_json::json!({ "text": "question1", "text_pair": "question2" });
            let config = serde_json::json!({ "files": files, "columns": columns });
            Case::new(&[("t.csv", content), ("t.csv.gz", content)], config)
        };
        let dataset = load(b"question1,question2,label\na,,0\n,b,1\n").load().expect("sound");
        assert_eq!(rows(&dataset.train), [("a", Some(""), 0), ("", Some("b"), 1)]);
        let problems = load(b"question1,question2,label\na,b,0\n, ,1\na,b,1\n").problems();
        assert_eq!(problems, ["t.csv:3: both texts are empty", "t.csv.gz:3: both texts are empty"]);
    }

    #[test]
    fn every_bad_row_is_named() {
        let config = serde_json::json!({
            "files": { "train": "t.tsv", "validation": "v.csv", "test": "x.jsonl" },
            "labels": ["no", "yes"],
        });
        let tsv = b"label\ttext\nno\tbad\tthing\nmaybe\tgood\n\nno\t \n\xffyes\tgood\n2\tgood\nyes\tgood\n";
        let csv = b"label,text\n\nno,bad,thing\nyes,\"two\nlines\"\n,good\nyes,\xff\nyes,\"good\nno,bad\n";
        let jsonl = b"{\"text\": \"a\", \"label\": true}\n{\"txt\": \"a\", \"label\": 0}\n{\"text\": \"a\"\n[]\n\
            {\"text\": 1, \"label\": 0}\n";
        let case = Case::new(&[("t.tsv", tsv), ("v.csv", csv), ("x.jsonl", jsonl)], config);
        assert_eq!(
            case.problems(),
            [
                "t.tsv:2: 3 columns, expected 2 (label, text)",
                "t.tsv:4: the line is blank",
                "t.tsv:5: the text is empty",
                "t.tsv:6: not valid UTF-8 from byte 1 on; save the file as UTF-8",
                "v.csv:3: 3 columns, expected 2 (label, text)",
                "v.csv:6: the label is empty",
                "v.csv:7: not valid UTF-8 from byte 1 on; save the file as UTF-8",
                "v.csv:8: a quote that opens in this row is never closed",
                "x.jsonl:1: `label` is true, not a label's name or number",
                "x.jsonl:2: no key `text` (there are: txt, label); set dataset.columns.text",
                "x.jsonl:3: not a JSON object, see column 12: EOF while parsing an object",
                "x.jsonl:4: not a JSON object: invalid type: sequence, expected a map",
                "x.jsonl:5: `text` is 1, not a text",
                "t.tsv:3: label `maybe` is not among the labels (no, yes)",
                "t.tsv:7: label 2 is out of range: labels are numbered 0 to 1",
            ]
        );
    }

    #[test]
    fn quotes_inside_fields_do_not_join_rows() {
        let load = |content: &[u8]| {
            let config = serde_json::json!({ "files": { "train": "t.csv", "validation": "v.tsv" } });
            Case::new(&[("t.csv", content), ("v.tsv", TSV)], config)
        };
        // A text over two lines, and a quote that is a character like others.
        let dataset = load(b"label,text,size\nyes,\"two\nlines\",5\"\nno,b,6\n").load().expect("sound");
        assert_eq!(rows(&dataset.train), [("two\nlines", None, 1), ("b", None, 0)]);
        let problems = load(b"label,text\nyes,\"good\nno,\"bad\nno,worse\n").problems();
        assert!(problems[0].starts_with("t.csv:2: a quoted field of this row reaches over lines"), "{problems:?}");
    }

    #[test]
    fn missing_columns_and_files_are_named() {
        let config = serde_json::json!({
            "files": { "train": "t.tsv", "validation": "none.tsv", "test": "x.tsv" },
            "columns": { "text": "sentence" },
        });
        let case = Case::new(&[("t.tsv", TSV), ("x.tsv", b"\n \n")], config);
        assert_eq!(
            case.problems(),
            [
                "t.tsv:1: no column `sentence` (there are: label, text); set dataset.columns.text",
                "none.tsv: cannot be read: No such file or directory (os error 2)",
                "x.tsv: is empty",
            ]
        );
        let config = serde_json::json!({ "files": { "train": "t.tsv" }, "labels_file": "none.txt" });
        let case = Case::new(&[("t.tsv", b"label\ttext\n")], config);
        assert_eq!(
            case.problems(),
            ["none.txt: cannot be read: No such file or directory (os error 2)", "t.tsv: has no rows"]
        );
    }

    #[test]
    fn a_truncated_gzip_is_refused() {
        let case = Case::new(&[("t.tsv.gz", TSV)], serde_json::json!({ "files": { "train": "t.tsv.gz" } }));
        let whole = std::fs::read(case.path("t.tsv.gz")).expect("readable");
        std::fs::write(case.path("t.tsv.gz"), &whole[..whole.len() - 12]).expect("written");
        let problems = case.problems();
        assert!(
            problems[0].starts_with("t.tsv.gz: cannot be unpacked, the gzip data is broken or cut off"),
            "{problems:?}"
        );
    }

    #[test]
    fn twenty_problems_are_told_and_the_others_counted() {
        let mut content = TSV.to_vec();
        content.extend(b"no\n".repeat(33));
        let problems =
            Case::new(&[("t.tsv", &content)], serde_json::json!({ "files": { "train": "t.tsv" } })).problems();
        assert_eq!(problems.len(), 21);
        assert_eq!(problems[20], "(+13 more)");
    }

    #[test]
    fn one_label_is_not_enough() {
        let case =
            Case::new(&[("t.tsv", b"label\ttext\nno\ta\n")], serde_json::json!({ "files": { "train": "t.tsv" } }));
        assert_eq!(case.problems(), ["t.tsv: has one label only (`no`), at least 2 are needed"]);
    }

    /// Real data sets: three forms of task.
    #[test]
    #[ignore = "needs data sets that are not in the repository; set STRAGGLER_DATA_DIR or put them into ../shared/data"]
    fn real_sets_load() {
        let dir = std::env::var_os("STRAGGLER_DATA_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
        let load = |name: &str, columns: serde_json::Value, files: serde_json::Value| {
            let config = serde_json::json!({ "files": files, "labels_file": "labels.txt", "columns": columns });
            let config: DatasetConfig = serde_json::from_value(config).expect("well-formed");
            load(&config, None, &dir.join(name), &Seeds::new(1)).expect(name)
        };
        // Row counts are those of the sets' own READMEs.
        let files = serde_json::json!({ "train": "train.tsv.gz", "test": "test.tsv.gz" });
        let banking = load("banking77", serde_json::json!({}), files);
        assert_eq!(banking.labels.len(), 77);
        assert_eq!(banking.train.len() + banking.validation.len(), 9978);
        assert_eq!(banking.test.map(|rows| rows.len()), Some(3080));

        let files = serde_json::json!({ "train": "train.tsv.gz", "validation": "validation.tsv.gz" });
        let rte = load("rte", serde_json::json!({ "text": "text_a", "text_pair": "text_b" }), files.clone());
        assert_eq!(rte.train.len(), 2490);
        assert_eq!(load("sst2", serde_json::json!({}), files).labels, ["negative", "positive"]);
    }
}
