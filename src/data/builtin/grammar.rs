//! Sentences from templates.
//!
//! A template is text with slots: `{name}` becomes a random entry of the word class `name`, `{name?}` half the time
//! nothing. Entries are templates themselves, and the first of a class are the most frequent. A scope says which class a slot means in this sentence, so that one
//! template serves many intents: with `do` bound to `cancel.do`, `{do} the flight` becomes `call off the flight`.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::IndexedRandom;

use crate::seed::Stream;

/// A word class: its name and its entries, the most frequent first.
pub(super) type Class = (&'static str, &'static [&'static str]);

/// A verb: infinitive, past participle, gerund.
pub(super) type Verb = (&'static str, &'static str, &'static str);

/// What slots mean in one sentence: slot, class.
pub(super) type Scope<'a> = [(&'a str, &'a str)];

/// Word classes by name.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    classes: BTreeMap<String, Vec<&'static str>>,
}

impl Grammar {
    /// Adds classes.
    pub(super) fn with_classes(mut self, classes: &[Class]) -> Self {
        for (name, entries) in classes {
            self.insert((*name).into(), entries.to_vec());
        }
        self
    }

    /// Adds a verb class in its three forms: `name.do`, `name.done` and `name.doing`.
    pub(super) fn with_verbs(mut self, name: &str, tables: &[&[Verb]]) -> Self {
        let verbs = || tables.iter().flat_map(|table| table.iter());
        self.insert(format!("{name}.do"), verbs().map(|verb| verb.0).collect());
        self.insert(format!("{name}.done"), verbs().map(|verb| verb.1).collect());
        self.insert(format!("{name}.doing"), verbs().map(|verb| verb.2).collect());
        self
    }

    fn insert(&mut self, name: String, entries: Vec<&'static str>) {
        assert!(!entries.is_empty(), "word class `{name}` has entries");
        let earlier = self.classes.insert(name, entries);
        assert!(earlier.is_none(), "a word class is defined once: {earlier:?}");
    }

    /// A sentence of one of `templates`, words separated by single blanks.
    pub(super) fn sentence(&self, templates: &[&str], scope: &Scope, rng: &mut Stream) -> String {
        let mut sentence = String::new();
        self.expand(templates.choose(rng).expect("there are templates"), scope, rng, &mut sentence);
        join_words(&sentence)
    }

    fn expand(&self, template: &str, scope: &Scope, rng: &mut Stream, out: &mut String) {
        let mut rest = template;
        while let Some((text, after)) = rest.split_once('{') {
            out.push_str(text);
            let (slot, after) = after.split_once('}').expect("a slot is closed");
            rest = after;
            let slot = match slot.strip_suffix('?') {
                Some(_) if rng.random_bool(0.5) => continue,
                Some(slot) => slot,
                None => slot,
            };
            let class = scope.iter().find(|(name, _)| *name == slot).map_or(slot, |(_, class)| class);
            let entries = self.classes.get(class).unwrap_or_else(|| panic!("word class `{class}` exists"));
            self.expand(entries[skewed_index(entries.len(), rng)], scope, rng, out);
        }
        out.push_str(rest);
    }

    /// The entries of all classes.
    #[cfg(test)]
    pub(super) fn entries(&self) -> impl Iterator<Item = &'static str> {
        self.classes.values().flatten().copied()
    }
}

/// A random index below `n`, with density falling as 1 / sqrt: like the words of a language, a few entries of a class
/// are frequent and many are rare. Of 30 entries the first has 18 %, the last 1.7 %.
fn skewed_index(n: usize, rng: &mut Stream) -> usize {
    let uniform: f64 = rng.random();
    // `uniform` is below 1, and so is its square.
    (uniform * uniform * n as f64) as usize
}

/// The words with one blank between them, and "a" as "an" before a vowel.
fn join_words(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        joined.push_str(word);
        if let Some(next) = words.peek() {
            joined.push_str(if word == "a" && next.starts_with(['a', 'e', 'i', 'o', 'u']) { "n " } else { " " });
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    #[test]
    fn slots_are_filled_through_the_scope_and_optional_ones_half_the_time() {
        let grammar = Grammar::default()
            .with_classes(&[("thing", &["a {colour} hat"]), ("colour", &["orange"]), ("tail", &["now"])])
            .with_verbs("sell", &[&[("sell off", "sold off", "selling off")]]);
        let mut rng = Seeds::new(1).global(Purpose::DatasetExamples);
        let mut with_tail = 0;
        for _ in 0..200 {
            let sentence = grammar.sentence(&["{verb} {thing}  {tail?}"], &[("verb", "sell.doing")], &mut rng);
            assert!(sentence.starts_with("selling off an orange hat"), "{sentence}");
            with_tail += usize::from(sentence.ends_with("hat now"));
        }
        // Binomial(200, 1/2): mean 100, standard deviation 7.
        assert!((65..135).contains(&with_tail), "{with_tail}");
    }
}
