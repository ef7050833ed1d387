//! Tensors that lie in a file of PEFT's more than once.
//!
//! A module of `modules_to_save` is wrapped: the wrapper holds the module as it was, `original_module`, and a copy that is
//! trained, `modules_to_save.default`. Mostly a file has the copy's tensors under the module's own name. Where PEFT wraps a
//! module inside one that is wrapped already, as it does with `embeddings` (it takes every module whose name ends in that,
//! `word_embeddings` too), the own name has the untrained values, and the trained ones lie under the copy's.

use std::collections::BTreeMap;

/// What names hold of a module as it was.
const ORIGINAL: &str = "original_module";
/// What names hold of a copy that was trained.
const COPY: &str = "modules_to_save";

/// The names in a file.
pub(super) struct Names {
    all: Vec<String>,
    /// By the own name of a tensor, where copies of it lie.
    copies: BTreeMap<String, Vec<String>>,
    /// By the own name of a tensor, where it lies as it was.
    originals: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(all: Vec<String>) -> Self {
        let (mut copies, mut originals) = (BTreeMap::<_, Vec<String>>::new(), BTreeMap::new());
        for name in &all {
            if is_original(name) {
                originals.insert(name.replacen(&format!(".{ORIGINAL}."), ".", 1), name.clone());
                continue;
            }
            for own in own_names(name).into_iter().filter(|own| own != name) {
                copies.entry(own).or_default().push(name.clone());
            }
        }
        Self { all, copies, originals }
    }

    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// Where a tensor of one of these own names lies, the place of its trained values first.
    pub(super) fn places(&self, own_names: &[String]) -> Vec<String> {
        let copies = own_names.iter().filter_map(|own| self.copies.get(own)).flatten();
        let own = own_names.iter().filter(|own| self.all.contains(own));
        copies.chain(own).cloned().collect()
    }

    /// Where the tensor of this own name lies as it was before training.
    pub(super) fn original(&self, own_name: &str) -> Option<&str> {
        self.originals.get(own_name).map(String::as_str)
    }
}

/// Whether it is the name of a tensor of a module as it was.
pub(super) fn is_original(name: &str) -> bool {
    name.split('.').any(|part| part == ORIGINAL)
}

/// What a name may stand for with every wrapper taken off; behind `modules_to_save` the name of the adapter may follow.
fn own_names(name: &str) -> Vec<String> {
    let parts: Vec<&str> = name.split('.').collect();
    let Some(at) = parts.iter().position(|part| *part == COPY) else { return vec![name.into()] };
    let without = |n: usize| [&parts[..at], parts.get(at + n..).unwrap_or_default()].concat().join(".");
    [1, 2].into_iter().flat_map(|n| own_names(&without(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trained_values_are_looked_for_in_copies_first() {
        // As PEFT 0.21 names them for `modules_to_save: [embeddings]`, whose word embeddings it wraps twice.
        let file = [
            "m.embeddings.LayerNorm.weight",
            "m.embeddings.modules_to_save.default.words.weight",
            "m.embeddings.words.modules_to_save.weight",
            "m.embeddings.words.original_module.weight",
            "m.embeddings.words.weight",
        ];
        let names = Names::new(file.map(String::from).to_vec());
        assert_eq!(names.places(&["m.embeddings.LayerNorm.weight".into()]), [file[0]]);
        assert_eq!(names.places(&["m.other".into(), file[4].into()]), [file[1], file[2], file[4]]);
        assert_eq!(names.original(file[4]), Some(file[3]));
        assert_eq!(names.places(&["m.embeddings.weight".into()]), Vec::<String>::new());
        assert!(is_original(file[3]) && !is_original("m.original_modules.weight"));
    }
}
