//! What a misspelt name was probably meant to be.

/// The name among `known` that `written` is probably a misspelling of.
pub(in crate::scenario) fn suggest<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let distance = |name: &str| strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase());
    let (name, edits) = known.map(|name| (name, distance(name))).min_by_key(|(_, edits)| *edits)?;
    (edits <= 1 + name.len().min(written.len()) / 4).then_some(name)
}

/// The one name among `known` that shares whole words with `written`: `lora_alpha` for `alpha`.
pub(super) fn suggest_part<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let mut parts = known.filter(|name| has_part(name, written) || has_part(written, name));
    parts.next().filter(|_| parts.next().is_none())
}

/// True when `part` is made of whole words of `name`, words being joined by `_`.
fn has_part(name: &str, part: &str) -> bool {
    !part.is_empty() && format!("_{name}_").contains(&format!("_{part}_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let known = ["rounds", "clients_per_round", "deadline"];
        let near = |written| suggest(written, known.iter().copied());
        assert_eq!(near("clients_per_ruond"), Some("clients_per_round"));
        assert_eq!(near("Deadline"), Some("deadline"));
        assert_eq!(near("colour"), None);
        assert_eq!(suggest_part("alpha", ["lora_alpha", "r"].into_iter()), Some("lora_alpha"));
        assert_eq!(suggest_part("lora", ["lora_alpha", "lora_dropout"].into_iter()), None);
    }
}
