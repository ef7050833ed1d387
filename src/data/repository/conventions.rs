//! Which file holds which split, told by names.

use super::glob;
use crate::data::files::FileFormat;

/// Splits and the words that name them in file and folder names, as the `datasets` library has them.
const SPLITS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];

/// The files of each split by the card's patterns, in the order of the names.
pub(super) fn by_patterns(patterns: &[(String, Vec<String>)], names: &[&str]) -> Vec<(String, Vec<String>)> {
    let is_of = |patterns: &[String], name: &str| patterns.iter().any(|pattern| glob::matches(pattern, name));
    let files =
        |patterns: &[String]| names.iter().filter(|name| is_of(patterns, name)).map(ToString::to_string).collect();
    patterns.iter().map(|(split, patterns)| (split.clone(), files(patterns))).collect()
}

/// The files of each split by their own names. With a config, those in its folder, or, without one, called after it; when there is only
/// a set of files that no name tells apart, they are the training split.
pub(super) fn by_names(names: &[&str], config: Option<&str>) -> Vec<(String, Vec<String>)> {
    let data: Vec<&str> = names.iter().copied().filter(|name| is_data(name)).collect();
    let of_config = |config: &str| {
        let is_inside = |name: &&str| name.split('/').rev().skip(1).any(|part| part == config);
        let is_called = |name: &&str| is_called_after(name, config);
        let inside: Vec<&str> = data.iter().copied().filter(is_inside).collect();
        if inside.is_empty() { data.iter().copied().filter(is_called).collect() } else { inside }
    };
    let data = match config {
        Some(config) => of_config(config),
        None => data,
    };
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for name in &data {
        if let Some(split) = split_of(name) {
            match found.iter_mut().find(|(other, _)| *other == split) {
                Some((_, files)) => files.push(name.to_string()),
                None => found.push((split, vec![name.to_string()])),
            }
        }
    }
    if found.is_empty() && !data.is_empty() {
        found.push(("train".into(), data.iter().map(ToString::to_string).collect()));
    }
    found.sort_by_key(|(split, _)| SPLITS.iter().position(|(known, _)| known == split).unwrap_or(SPLITS.len()));
    found
}

/// True for a file whose name begins with that of the config, as a word of its own.
fn is_called_after(name: &str, config: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.strip_prefix(config).is_some_and(|rest| rest.starts_with(['.', '-', '_']))
}

/// Files of a form that can hold rows, and of other content: what the `datasets` library and the hub keep beside the data.
const METADATA: [&str; 5] =
    ["config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];

/// Whether a file can hold rows by its name. Hidden files and folders, and those of the tools, do not.
fn is_data(name: &str) -> bool {
    let is_metadata = name.rsplit('/').next().is_some_and(|file| METADATA.contains(&file));
    let is_hidden = name.split('/').any(|part| part.starts_with('.') || part.starts_with("__"));
    FileFormat::of(name.as_ref()).is_some() && !is_metadata && !is_hidden
}

/// The split that a file belongs to. A name such as `validation_matched-00000-of-00001.parquet` tells its own split; else
/// a word of the file's name does, else one of its folders' names.
fn split_of(name: &str) -> Option<String> {
    let (folders, file) = name.rsplit_once('/').unwrap_or(("", name));
    let stem = file.split('.').next().unwrap_or(file);
    if let Some((split, _)) = stem.split_once('-').filter(|(_, rest)| is_piece(rest)) {
        return Some(canonical(split).unwrap_or(split).to_string());
    }
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).find_map(canonical);
    words(stem).or_else(|| folders.split('/').rev().find_map(canonical)).map(String::from)
}

/// `00000-of-00001`, with what may stand behind it.
fn is_piece(text: &str) -> bool {
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = text.split('-');
    parts.next().is_some_and(is_number) && parts.next() == Some("of") && parts.next().is_some_and(is_number)
}

fn canonical(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    SPLITS.into_iter().find(|(_, words)| words.contains(&word.as_str())).map(|(split, _)| split)
}

/// The first names of many.
pub(super) fn shown(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn splits(names: &[&str], config: Option<&str>) -> Vec<(String, Vec<String>)> {
        by_names(names, config)
    }

    fn pair(split: &str, files: &[&str]) -> (String, Vec<String>) {
        (split.into(), files.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn files_called_after_a_config_are_its_own_where_it_has_no_folder() {
        let names = ["en-test.csv", "en-train.csv", "en.csv", "english-train.csv", "fr_train.csv", "train.csv"];
        let of_english = [pair("train", &["en-train.csv"]), pair("test", &["en-test.csv"])];
        assert_eq!(splits(&names, Some("en")), of_english);
        assert_eq!(splits(&names, Some("fr")), [pair("train", &["fr_train.csv"])]);
        assert_eq!(splits(&names, Some("de")), []);
        assert_eq!(splits(&["en/train.csv", "en-test.csv"], Some("en")), [pair("train", &["en/train.csv"])]);
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
}
