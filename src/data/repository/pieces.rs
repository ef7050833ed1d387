//! Splits in pieces: `train-00000-of-00002.parquet` and `train-00001-of-00002.parquet`.

use std::collections::{BTreeMap, BTreeSet};

/// What a file's name says of the piece that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The folders and the name before the number.
    path: &'a str,
    number: usize,
    of: usize,
}

impl<'a> Piece<'a> {
    /// The piece that a file of this name holds.
    pub(super) fn of(name: &'a str) -> Option<Self> {
        let start = name.rfind('/').map_or(0, |slash| slash + 1);
        name[start..].match_indices('-').find_map(|(at, _)| {
            let (number, of) = numbers(&name.as_bytes()[start + at + 1..])?;
            (at > 0).then_some(Self { path: &name[..start + at], number, of })
        })
    }

    /// What stands before the number, without the folders.
    pub(super) fn name(self) -> &'a str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// The numbers of `00000-of-00002`, whatever stands behind it.
fn numbers(text: &[u8]) -> Option<(usize, usize)> {
    let number = |digits: &[u8]| match digits.iter().all(u8::is_ascii_digit) {
        true => std::str::from_utf8(digits).ok()?.parse().ok(),
        false => None,
    };
    let is_whole = !text.get(14).is_some_and(u8::is_ascii_digit);
    (is_whole && text.get(5..9)? == b"-of-").then_some(())?;
    Some((number(&text[..5])?, number(text.get(9..14)?)?))
}

/// The pieces that the files speak of and that are not among them, without what stands behind the numbers.
pub(super) fn missing<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut found: BTreeMap<(&str, usize), BTreeSet<usize>> = BTreeMap::new();
    for piece in names.into_iter().filter_map(Piece::of) {
        found.entry((piece.path, piece.of)).or_default().insert(piece.number);
    }
    let of_one = |((path, of), there): ((&str, usize), BTreeSet<usize>)| -> Vec<String> {
        let absent = (0..of).filter(|number| !there.contains(number));
        absent.map(|number| format!("{path}-{number:05}-of-{of:05}")).collect()
    };
    found.into_iter().flat_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        let of = |name| Piece::of(name).map(|piece| (piece.name(), piece.number, piece.of));
        assert_eq!(of("data/train-00001-of-00002.parquet"), Some(("train", 1, 2)));
        assert_eq!(of("my-own-train-00000-of-00001-0f3a.parquet"), Some(("my-own-train", 0, 1)));
        for name in
            ["train.csv", "train-0-of-2.csv", "train-00000-of-000012.csv", "-00000-of-00001.csv", "a-00000-of-1"]
        {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn every_piece_is_asked_for() {
        let names =
            ["a/train-00000-of-00003.parquet", "a/train-00002-of-00003-0f3a.parquet", "b/train-00000-of-00001.csv"];
        assert_eq!(missing(names), ["a/train-00001-of-00003"]);
        assert_eq!(missing(["train.csv", "test-00000-of-00001.csv"]), [""; 0]);
    }
}
