//! Generated data sets that need no download, and what to pretrain an encoder on for them.
//!
//! Pictures are drawn by [`shapes`]. For texts a grammar of our own makes the sentences: word classes of many interchangeable words ([`words`] and the two tasks'
//! own), filled into templates that the labels share. A labelled set of usual size shows a part of the words only, so
//! an encoder that has learnt from unlabelled text which words mean the same is ahead of one that has not.

mod canvas;
mod figures;
mod grammar;
mod intents;
mod opinions;
mod phrases;
mod place;
mod sentiment;
mod shapes;
mod statements;
mod words;

use std::collections::BTreeSet;

use rand::RngExt;
use rand::seq::SliceRandom;

use self::grammar::Grammar;
use self::place::Place;
use super::{DataError, TextDataset, TextExample};
use crate::seed::{Purpose, Seeds, Stream};

pub use figures::{ATTRIBUTES, Attribute, FigurePicture, pretraining_figures};
pub(super) use shapes::draw;

/// The built-in texts, as written in `dataset.name`.
pub(super) const TEXT_NAMES: [&str; 2] = [INTENTS.name, SENTIMENT.name];

/// The built-in pictures, as written in `dataset.name`.
pub(super) const IMAGE_NAMES: [&str; 1] = [shapes::NAME];

/// All of them.
pub(super) fn names() -> Vec<&'static str> {
    [&TEXT_NAMES[..], &IMAGE_NAMES].concat()
}

/// Fewest training rows that can be asked for.
pub(crate) const MIN_EXAMPLES: usize = 100;

/// Most training rows that can be asked for; far below the number of sentences of either grammar.
pub(crate) const MAX_EXAMPLES: usize = 200_000;

/// A task: its name, sizes and sentences.
struct Task {
    name: &'static str,
    n_train: usize,
    n_validation: usize,
    n_test: usize,
    labels: fn() -> Vec<String>,
    sentence: fn(&Grammar, usize, &mut Stream) -> String,
}

const INTENTS: Task = Task {
    name: "builtin:intents",
    n_train: 3000,
    n_validation: 600,
    n_test: 1000,
    labels: intents::labels,
    sentence: intents::sentence,
};

const SENTIMENT: Task = Task {
    name: "builtin:sentiment",
    n_train: 2400,
    n_validation: 600,
    n_test: 1000,
    labels: sentiment::labels,
    sentence: sentiment::sentence,
};

/// Sentence lengths in words.
const WORDS: std::ops::RangeInclusive<usize> = 5..=24;

/// The stream of the pretraining corpus.
const CORPUS_STREAM: u32 = 3;

/// The texts called `name`, with `num_examples` training rows (default: the data set's own size). Every label is as
/// frequent as the others, and no sentence occurs twice, in one split or in two. The test and validation rows do not
/// depend on `num_examples`.
///
/// # Errors
/// When no texts of this name are built in.
pub(super) fn generate(name: &str, num_examples: Option<usize>, seeds: &Seeds) -> Result<TextDataset, DataError> {
    let task = [INTENTS, SENTIMENT].into_iter().find(|task| task.name == name);
    let task = task.ok_or_else(|| DataError::BadSettings(format!("dataset.name: `{name}` holds no texts")))?;
    let grammar = grammar();
    let rows = |place, n| draw_rows(&task, &grammar, place, n, seeds);
    let train = rows(Place::Training, num_examples.unwrap_or(task.n_train));
    let validation = rows(Place::Validation, task.n_validation);
    let test = rows(Place::Test, task.n_test);
    Ok(TextDataset::new(name.into(), (task.labels)(), train, validation, Some(test)))
}

fn draw_rows(task: &Task, grammar: &Grammar, place: Place, n: usize, seeds: &Seeds) -> Vec<TextExample> {
    let mut rng = seeds.round(Purpose::DatasetExamples, place.stream());
    let n_labels = (task.labels)().len();
    let mut seen = BTreeSet::new();
    let mut rows = Vec::with_capacity(n);
    for i in 0..n {
        let label = i % n_labels;
        let text = loop {
            let text = place.draw(&mut rng, |rng| (task.sentence)(grammar, label, rng));
            if is_usable(&text) && seen.insert(text.clone()) {
                break text;
            }
        };
        rows.push(TextExample { text, text_pair: None, label: label as u32 });
    }
    rows.shuffle(&mut rng);
    rows
}

fn is_usable(sentence: &str) -> bool {
    WORDS.contains(&sentence.split(' ').count())
}

fn grammar() -> Grammar {
    let grammar = Grammar::default().with_classes(words::CLASSES);
    statements::extend(sentiment::extend(intents::extend(grammar)))
}

/// `n_sentences` unlabelled sentences for masked-language-model pretraining: those of both built-in grammars, and
/// statements about the same words. None of them is a sentence of a validation or test set of a built-in data set, whatever
/// its seed; a longer one may hold the words of such a sentence.
pub fn pretraining_corpus(n_sentences: usize, seed: u64) -> Vec<String> {
    let grammar = grammar();
    let mut rng = Seeds::new(seed).round(Purpose::DatasetExamples, CORPUS_STREAM);
    let (n_intents, n_classes) = (intents::labels().len(), sentiment::labels().len());
    let mut seen = BTreeSet::new();
    let mut corpus = Vec::with_capacity(n_sentences);
    while corpus.len() < n_sentences {
        let sentence = Place::Training.draw(&mut rng, |rng| match rng.random_range(0..100) {
            0..30 => intents::sentence(&grammar, rng.random_range(0..n_intents), rng),
            30..50 => sentiment::sentence(&grammar, rng.random_range(0..n_classes), rng),
            _ => statements::sentence(&grammar, rng),
        });
        if is_usable(&sentence) && seen.insert(sentence.clone()) {
            corpus.push(sentence);
        }
    }
    corpus
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(rows: &[TextExample]) -> Vec<&str> {
        rows.iter().map(|row| row.text.as_str()).collect()
    }

    #[test]
    fn sizes_labels_and_splits_are_as_promised() {
        for (name, n_train, n_labels) in [(INTENTS.name, 3000, 28), (SENTIMENT.name, 2400, 2)] {
            let dataset = generate(name, None, &Seeds::new(42)).expect("built in");
            let test = dataset.test.as_deref().expect("has a test split");
            assert_eq!((dataset.train.len(), dataset.validation.len(), test.len()), (n_train, 600, 1000));
            assert_eq!(dataset.labels.len(), n_labels);
            for rows in [&dataset.train, &dataset.validation, test] {
                let n = |label: usize| rows.iter().filter(|row| row.label as usize == label).count();
                let counts: Vec<usize> = (0..n_labels).map(n).collect();
                assert!(counts.iter().max() <= counts.iter().min().map(|n| n + 1).as_ref(), "{counts:?}");
            }
            let all = [texts(&dataset.train), texts(&dataset.validation), texts(test)].concat();
            assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "no sentence occurs twice");
            assert!(all.iter().all(|text| is_usable(text)));
        }
    }

    #[test]
    fn the_seed_decides_the_rows_and_a_larger_set_changes_training_rows_only() {
        let generate = |n, seed| generate(INTENTS.name, n, &Seeds::new(seed)).expect("built in");
        assert_eq!(generate(None, 1), generate(None, 1));
        let (small, large) = (generate(Some(500), 1), generate(Some(700), 1));
        assert_eq!((small.train.len(), large.train.len()), (500, 700));
        assert_eq!((&small.validation, &small.test), (&large.validation, &large.test));
        assert_ne!(small.hash, large.hash);
        assert_ne!(generate(Some(500), 2).test, small.test);
    }

    #[test]
    fn the_corpus_never_holds_a_held_back_sentence_of_any_seed() {
        let corpus: BTreeSet<String> = pretraining_corpus(5000, 1).into_iter().collect();
        assert_eq!(corpus.len(), 5000);
        for seed in 0..3 {
            for name in TEXT_NAMES {
                let dataset = generate(name, Some(MIN_EXAMPLES), &Seeds::new(seed)).expect("built in");
                let test = dataset.test.expect("has a test split");
                assert!(dataset.validation.iter().chain(&test).all(|row| !corpus.contains(&row.text)));
            }
        }
        assert_eq!(pretraining_corpus(50, 3), pretraining_corpus(50, 3));
        assert_ne!(pretraining_corpus(50, 3), pretraining_corpus(50, 4));
    }

    #[test]
    fn the_vocabulary_is_plain_and_of_moderate_size() {
        let corpus = pretraining_corpus(20_000, 1);
        let words: BTreeSet<&str> = corpus.iter().flat_map(|sentence| sentence.split(' ')).collect();
        assert!((800..1500).contains(&words.len()), "{}", words.len());
        let is_plain = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(words.iter().all(is_plain), "{:?}", words.iter().find(|word| !is_plain(word)));
    }

    #[test]
    fn no_word_class_is_unused() {
        let grammar = grammar();
        let corpus = pretraining_corpus(60_000, 2).join(" ");
        let unused: Vec<&str> = grammar
            .entries()
            .filter(|entry| !entry.contains('{') && !entry.split(' ').all(|word| corpus.contains(word)))
            .collect();
        assert_eq!(unused, [""; 0]);
    }
}
