//! Patterns of file names.

/// True when `name` is of the pattern: `*` stands for any text within a folder, `**` across folders, `?` for one
/// character.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    matches_from(&pattern, &name)
}

fn matches_from(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', '*', '/', rest @ ..] => {
            let folders = name.iter().enumerate().filter(|(_, c)| **c == '/').map(|(i, _)| i + 1);
            std::iter::once(0).chain(folders).any(|start| matches_from(rest, &name[start..]))
        }
        ['*', '*', rest @ ..] => (0..=name.len()).any(|start| matches_from(rest, &name[start..])),
        ['*', rest @ ..] => {
            let end = name.iter().position(|c| *c == '/').unwrap_or(name.len());
            (0..=end).any(|start| matches_from(rest, &name[start..]))
        }
        ['?', rest @ ..] => matches!(name, [c, tail @ ..] if *c != '/' && matches_from(rest, tail)),
        [wanted, rest @ ..] => matches!(name, [c, tail @ ..] if c == wanted && matches_from(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stay_in_a_folder_unless_doubled() {
        assert!(matches("sst2/train-*", "sst2/train-00000-of-00001.parquet"));
        assert!(!matches("sst2/*", "sst2/a/b.csv"));
        assert!(matches("**/*.csv", "a.csv") && matches("**/*.csv", "a/b/c.csv") && matches("a/**", "a/b/c"));
        assert!(matches("data/?.csv", "data/a.csv") && !matches("data/?.csv", "data/ab.csv"));
        assert!(matches("train.csv", "train.csv") && !matches("train.csv", "train.csv.gz"));
    }
}
