//! Generated data sets that need no download.

/// The built-in data sets, as written in `dataset.name`.
pub(crate) const NAMES: [&str; 2] = ["builtin:intents", "builtin:sentiment"];

/// Fewest training rows that can be asked for.
pub(crate) const MIN_EXAMPLES: usize = 100;

/// Most training rows that can be asked for; far below the number of sentences of either grammar.
pub(crate) const MAX_EXAMPLES: usize = 200_000;

/// `n_sentences` unlabelled sentences for masked-language-model pretraining: those of both built-in grammars, and
/// statements about the same words. None of them occurs in a validation or test set of a built-in data set, whatever
/// its seed.
pub fn pretraining_corpus(n_sentences: usize, seed: u64) -> Vec<String> {
    unimplemented!("{n_sentences} {seed}")
}
