//! Which file holds which split, told by names.

use super::glob;
use super::pieces::Piece;
use crate::data::files::FileFormat;

/// Splits and the words that name them in file and folder names, as the `datasets` library has them.
const SPLITS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// What stands between the words of a name.
const SEPARATORS: &str = "-._ 0123456789";

/// The folder in which the hub keeps the pieces of splits, whatever those are called.
const PIECES: &str = "data";

/// Files of a form that can hold rows, and of other content: what the `datasets` library and the hub keep beside the data.
const METADATA: [&str; 6] =
    ["README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// Files by split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Splits {
    /// Splits and their files.
    pub(super) files: Vec<(String, Vec<String>)>,
    /// Data files that no split takes, where others tell theirs.
    pub(super) left_out: Vec<String>,
    /// What tells it.
    pub(super) told_by: &'static str,
}

/// The files of each split by the card's patterns, in the order of the names. Files that the `datasets` library keeps beside
/// the data, hidden ones and those in folders of tools (`__pycache__`) are taken only where a pattern names them.
pub(super) fn by_patterns(patterns: &[(String, Vec<String>)], names: &[&str]) -> Splits {
    let is_of = |patterns: &[String], name: &str| {
        patterns.iter().any(|pattern| glob::matches(pattern, name) && is_asked_for(pattern, name))
    };
    let files =
        |patterns: &[String]| names.iter().filter(|name| is_of(patterns, name)).map(ToString::to_string).collect();
    let files = patterns.iter().map(|(split, patterns)| (split.clone(), files(patterns))).collect();
    Splits { files, ..Splits::default() }
}

/// Whether a pattern that fits a name means it: what is special about the name, the pattern must say.
fn is_asked_for(pattern: &str, name: &str) -> bool {
    let n_hidden = |path: &str| path.split('/').filter(|part| is_hidden(part)).count();
    let n_of_tools = |path: &str| path.split('/').rev().skip(1).filter(|part| part.starts_with("__")).count();
    let (file, of_pattern) = (file_of(name), file_of(pattern));
    n_hidden(name) == n_hidden(pattern)
        && n_of_tools(name) == n_of_tools(pattern)
        && (!METADATA.contains(&file) || file == of_pattern)
}

fn is_hidden(part: &str) -> bool {
    part.starts_with('.') && !part.bytes().all(|byte| byte == b'.')
}

fn file_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The files of each split by their own names. With a config, those in its folder, or, without one, called after it.
pub(super) fn by_names(names: &[&str], config: Option<&str>) -> Splits {
    let data: Vec<Named<'_>> = names.iter().filter(|name| is_data(name)).map(|name| Named::new(name, name)).collect();
    let Some(config) = config else { return grouped(&data) };
    let inside: Vec<Named<'_>> = data.iter().filter_map(|name| name.in_folder(config)).collect();
    if inside.is_empty() {
        return grouped(&data.iter().filter_map(|name| name.called_after(config)).collect::<Vec<_>>());
    }
    grouped(&inside)
}

/// The files of each split by the names that they have below a folder.
pub(super) fn below(folder: &str, names: &[&str]) -> Splits {
    let own = |name: &&'_ str| -> Option<usize> {
        match folder {
            "" => Some(0),
            folder => name.strip_prefix(folder)?.starts_with('/').then_some(folder.len() + 1),
        }
    };
    let data = names.iter().filter_map(|name| own(name).map(|start| Named::new(name, &name[start..])));
    grouped(&data.filter(|name| is_data(name.own)).collect::<Vec<_>>())
}

/// A file's name and what of it may tell the split.
struct Named<'a> {
    path: &'a str,
    /// The path below the folder that is looked at.
    own: &'a str,
    folders: Vec<&'a str>,
    file: &'a str,
    /// Lies where each name before `-00000-of-00001` is that of a split.
    is_among_pieces: bool,
}

impl<'a> Named<'a> {
    fn new(path: &'a str, own: &'a str) -> Self {
        let (folders, file) = own.rsplit_once('/').map_or((Vec::new(), own), |(folders, file)| {
            let folders = folders.split('/').collect();
            (folders, file)
        });
        let is_among_pieces = folders == [PIECES];
        Self { path, own, folders, file, is_among_pieces }
    }

    /// The same as a file of a config, when it lies in the folder of it: that folder is no split's.
    fn in_folder(&self, config: &str) -> Option<Self> {
        let at = self.folders.iter().rposition(|folder| *folder == config)?;
        let behind = &self.folders[at + 1..];
        let is_among_pieces = behind.is_empty() || behind == [PIECES];
        let folders = self.folders.iter().copied().filter(|folder| *folder != config).collect();
        Some(Self { folders, is_among_pieces, ..*self })
    }

    /// The same as a file of a config, when its name begins with that of the config, as a word of its own.
    fn called_after(&self, config: &str) -> Option<Self> {
        let rest = self.file.strip_prefix(config).filter(|rest| rest.starts_with(['.', '-', '_']))?;
        Some(Self { folders: self.folders.clone(), file: rest, ..*self })
    }

    /// What stands before `-00000-of-00001`.
    fn piece_of(&self) -> Option<&'a str> {
        Piece::of(self.file).map(Piece::name)
    }
}

/// The splits of a file by one rule; none when the rule tells none.
type Rule<'a> = &'a dyn Fn(&Named<'_>) -> Vec<String>;

/// The splits by the first of the library's rules that tells any: pieces in their folder, names of folders, names of files.
/// Only where none does is an unknown name before `-00000-of-00001` that of a split, and without such everything is for
/// training.
fn grouped(files: &[Named<'_>]) -> Splits {
    let is_piece_of_split = |file: &Named<'_>| file.is_among_pieces && file.piece_of().is_some_and(has_word);
    let among_pieces = |file: &Named<'_>| match files.iter().any(is_piece_of_split) && file.is_among_pieces {
        true => file.piece_of().map(split_of_piece).into_iter().collect(),
        false => Vec::new(),
    };
    // The innermost folder that names a split.
    let folder = |file: &Named<'_>| {
        let mut folders = file.folders.iter().rev().map(|folder| words(folder));
        folders.find(|found| !found.is_empty()).unwrap_or_default()
    };
    let name = |file: &Named<'_>| words(file.file);
    let piece = |file: &Named<'_>| file.piece_of().map(split_of_piece).into_iter().collect();
    let rules: [(&'static str, Rule<'_>); 4] =
        [("pieces", &among_pieces), ("folders", &folder), ("names", &name), ("pieces", &piece)];
    for (told_by, rule) in rules {
        let found = by_rule(files, rule);
        if !found.files.is_empty() {
            return Splits { told_by, ..found };
        }
    }
    let all: Vec<String> = files.iter().map(|file| file.path.to_string()).collect();
    let files = if all.is_empty() { Vec::new() } else { vec![("train".into(), all)] };
    Splits { files, ..Splits::default() }
}

fn by_rule(files: &[Named<'_>], splits_of: Rule<'_>) -> Splits {
    let mut found = Splits::default();
    for file in files {
        let splits = splits_of(file);
        if splits.is_empty() {
            found.left_out.push(file.path.to_string());
        }
        for split in splits {
            match found.files.iter_mut().find(|(other, _)| *other == split) {
                Some((_, files)) => files.push(file.path.to_string()),
                None => found.files.push((split, vec![file.path.to_string()])),
            }
        }
    }
    found.files.sort_by_key(|(split, _)| SPLITS.iter().position(|(known, _)| known == split).unwrap_or(SPLITS.len()));
    found
}

/// Whether a file can hold rows by its name. Hidden files and folders, and those of the tools, do not.
fn is_data(name: &str) -> bool {
    let is_hidden = name.split('/').any(|part| part.starts_with('.') || part.starts_with("__"));
    FileFormat::of(name.as_ref()).is_some() && !METADATA.contains(&file_of(name)) && !is_hidden
}

/// The splits that are named in a text, each once.
fn words(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for split in text.split(|c| SEPARATORS.contains(c)).filter_map(canonical) {
        if !found.iter().any(|other| other == split) {
            found.push(split.into());
        }
    }
    found
}

fn has_word(text: &str) -> bool {
    !words(text).is_empty()
}

/// A piece's split by what stands before its number: `validation_matched` is one of its own.
fn split_of_piece(name: &str) -> String {
    canonical(name).unwrap_or(name).to_string()
}

fn canonical(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    SPLITS.into_iter().find(|(_, words)| words.contains(&word.as_str())).map(|(split, _)| split)
}

/// The first names of many.
pub(super) fn shown(names: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str], config: Option<&str>) -> Vec<(String, Vec<String>)> {
        by_names(names, config).files
    }

    fn pair(split: &str, files: &[&str]) -> (String, Vec<String>) {
        (split.into(), files.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn files_called_after_a_config_are_its_own_where_it_has_no_folder() {
        let names = ["en-test.csv", "en-train.csv", "en.csv", "english-train.csv", "fr_train.csv", "train.csv"];
        let of_english = [pair("train", &["en-train.csv"]), pair("test", &["en-test.csv"])];
        assert_eq!(splits(&names, Some("en")), of_english);
        assert_eq!(by_names(&names, Some("en")).left_out, ["en.csv"]);
        assert_eq!(splits(&names, Some("fr")), [pair("train", &["fr_train.csv"])]);
        assert_eq!(splits(&names, Some("de")), []);
        assert_eq!(splits(&["en/train.csv", "en-test.csv"], Some("en")), [pair("train", &["en/train.csv"])]);
        // The config's own name is none of a split.
        let names = ["dev-set-test.csv", "dev-set-train.csv"];
        let of_set = [pair("train", &names[1..]), pair("test", &names[..1])];
        assert_eq!(splits(&names, Some("dev-set")), of_set);
        let names = ["dev-set/test.csv", "dev-set/train.csv"];
        assert_eq!(splits(&names, Some("dev-set")), [pair("train", &names[1..]), pair("test", &names[..1])]);
    }

    #[test]
    fn names_and_folders_tell_the_split() {
        let names = ["README.md", "data/dev.csv", "data/train.csv", "data/x_test_1.csv", "logo.png"];
        assert_eq!(
            splits(&names, None),
            [
                pair("train", &["data/train.csv"]),
                pair("validation", &["data/dev.csv"]),
                pair("test", &["data/x_test_1.csv"])
            ]
        );
        let names = ["test/a.jsonl", "train/a.jsonl", "train/b.jsonl"];
        assert_eq!(splits(&names, None), [pair("train", &names[1..]), pair("test", &names[..1])]);
        assert_eq!(splits(&["all.csv"], None), [pair("train", &["all.csv"])]);
        assert_eq!(splits(&["README.md"], None), []);
        let names =
            ["dataset_infos.json", "all.jsonl", "a/dataset_info.json", ".cache/train.json", "__MACOSX/train.csv"];
        assert_eq!(splits(&names, None), [pair("train", &["all.jsonl"])]);
    }

    /// Each layout as `datasets` 4 splits it.
    #[test]
    fn words_are_told_apart_as_the_library_does() {
        let three = |dev, test, train| {
            assert_eq!(
                splits(&[dev, test, train], None),
                [pair("train", &[train]), pair("validation", &[dev]), pair("test", &[test])]
            );
        };
        three("snli_1.0_dev.jsonl", "snli_1.0_test.jsonl", "snli_1.0_train.jsonl");
        three("en.dev.csv", "en.test.csv.gz", "en.train.csv");
        three("dev1.csv", "test1.csv", "train1.csv");
        three("my dev.csv", "x.test.csv", "train.csv");
        three("my-dev-00000-of-00001.parquet", "my-test-00000-of-00001.parquet", "my-train-00000-of-00001.parquet");
        // A word is whole.
        assert_eq!(splits(&["latest.csv", "trained.csv"], None), [pair("train", &["latest.csv", "trained.csv"])]);
    }

    #[test]
    fn folders_come_before_files() {
        let names = ["test/part-00000-of-00001.parquet", "train/part-00000-of-00002.parquet"];
        assert_eq!(splits(&names, None), [pair("train", &names[1..]), pair("test", &names[..1])]);
        let names = ["my_test-2/train.csv", "train-set/dev.csv"];
        assert_eq!(splits(&names, None), [pair("train", &names[1..]), pair("test", &names[..1])]);
        // What lies in no such folder is told.
        let found = by_names(&["extra.csv", "train/a.csv", "test.csv"], None);
        assert_eq!(
            (found.files, found.left_out),
            (vec![pair("train", &["train/a.csv"])], vec!["extra.csv".into(), "test.csv".into()])
        );
    }

    #[test]
    fn a_name_with_words_of_two_splits_is_in_both() {
        let names = ["train_and_test.csv"];
        assert_eq!(splits(&names, None), [pair("train", &names), pair("test", &names)]);
    }

    #[test]
    fn unknown_names_of_pieces_are_splits_where_nothing_else_is_told() {
        let names = ["easy-00000-of-00001.parquet", "hard-00000-of-00001.parquet"];
        assert_eq!(splits(&names, None), [pair("easy", &names[..1]), pair("hard", &names[1..])]);
        let names = ["easy-00000-of-00001.parquet", "train.csv"];
        assert_eq!(by_names(&names, None).files, [pair("train", &names[1..])]);
        // In the folder of pieces each is a split beside those that are known.
        let names = ["data/easy-00000-of-00001.parquet", "data/train_a-00000-of-00001.parquet"];
        assert_eq!(splits(&names, None), [pair("easy", &names[..1]), pair("train_a", &names[1..])]);
    }

    #[test]
    fn pieces_are_put_together_and_configs_kept_apart() {
        let names = [
            "a/train-00000-of-00002.parquet",
            "a/train-00001-of-00002.parquet",
            "a/validation_mismatched-00000-of-00001.parquet",
            "b/train-00000-of-00001.parquet",
        ];
        assert_eq!(
            splits(&names, Some("a")),
            [pair("train", &names[..2]), pair("validation_mismatched", &names[2..3])]
        );
        assert_eq!(splits(&names, Some("c")), []);
    }

    #[test]
    fn below_a_folder_its_own_names_count() {
        let names = ["other/train.csv", "test/v1/dev.csv", "test/v1/train.csv", "test/v10/train.csv"];
        assert_eq!(below("test/v1", &names).files, [pair("train", &names[2..3]), pair("validation", &names[1..2])]);
        assert_eq!(below("", &["train.csv"]).files, [pair("train", &["train.csv"])]);
    }

    #[test]
    fn patterns_take_special_files_only_where_they_name_them() {
        let names = [
            ".cache/a.csv",
            "README.md",
            "__pycache__/a.csv",
            "a.csv",
            "dataset_info.json",
            "sub/.b.csv",
            "sub/c.json",
        ];
        let of = |pattern: &str| by_patterns(&[("train".into(), vec![pattern.into()])], &names).files.remove(0).1;
        assert_eq!(of("**"), ["a.csv", "sub/c.json"]);
        assert_eq!(of("**/*.csv"), ["a.csv"]);
        assert_eq!(of("*.json"), [""; 0]);
        assert_eq!(of("dataset_info.json"), ["dataset_info.json"]);
        assert_eq!(of("__pycache__/*"), ["__pycache__/a.csv"]);
        assert_eq!(of(".*/*"), [".cache/a.csv"]);
        assert_eq!(of("sub/.*"), ["sub/.b.csv"]);
    }
}
