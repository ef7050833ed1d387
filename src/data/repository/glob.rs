//! Patterns of file names.

/// True when `name` is of the pattern: `*` stands for any text within a folder, `**` across folders, `?` for one
/// character, `[a-c1]` for one of these and `[!a-c1]` for one of the others.
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
        ['[', inner @ ..] if class(inner).is_some() => {
            let (class, rest) = class(inner).expect("just found");
            matches!(name, [c, tail @ ..] if *c != '/' && class.holds(*c) && matches_from(rest, tail))
        }
        [wanted, rest @ ..] => matches!(name, [c, tail @ ..] if c == wanted && matches_from(rest, tail)),
    }
}

/// The characters between brackets.
struct Class<'a> {
    is_negated: bool,
    members: &'a [char],
}

/// The class that `inner` begins with, behind its `[`, and what follows it. A bracket that is never closed is a character
/// like others; one that closes at once is a member.
fn class(inner: &[char]) -> Option<(Class<'_>, &[char])> {
    let is_negated = matches!(inner, ['!' | '^', ..]);
    let members = &inner[usize::from(is_negated)..];
    let end = members.iter().skip(1).position(|c| *c == ']')? + 1;
    Some((Class { is_negated, members: &members[..end] }, &members[end + 1..]))
}

impl Class<'_> {
    fn holds(&self, c: char) -> bool {
        let mut left = self.members;
        let mut is_member = false;
        while let [first, rest @ ..] = left {
            left = match rest {
                ['-', last, rest @ ..] => {
                    is_member |= (*first..=*last).contains(&c);
                    rest
                }
                _ => {
                    is_member |= *first == c;
                    rest
                }
            };
        }
        is_member != self.is_negated
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

    #[test]
    fn brackets_stand_for_one_of_their_characters() {
        assert!(matches("train-[0-9][0-9].csv", "train-07.csv") && !matches("train-[0-9].csv", "train-a.csv"));
        assert!(matches("[abx-z].csv", "y.csv") && matches("[abx-z].csv", "b.csv") && !matches("[abx-z].csv", "c.csv"));
        assert!(matches("part[!0].csv", "part1.csv") && !matches("part[!0].csv", "part0.csv"));
        assert!(matches("part[^0].csv", "part1.csv") && !matches("part[^0].csv", "part0.csv"));
        // A hyphen at an end, and a bracket that closes at once, are members.
        assert!(matches("a[-.]b", "a-b") && matches("a[._-]b", "a-b") && matches("a[]x]b", "a]b"));
        assert!(matches("a[1.csv", "a[1.csv"), "never closed");
        assert!(!matches("a[!x]b", "a/b"), "a class stays in a folder");
    }
}
