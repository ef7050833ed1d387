//! Words of a command line that is shown for copying.

use std::path::Path;

/// A path as a shell reads it: in quotes where it holds what a shell would take apart.
pub(super) fn quoted(path: &Path) -> String {
    word(&path.to_string_lossy())
}

/// A word as a shell reads it.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,:=+@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into(),
        // Within quotes only the quote itself means something: it is ended, written, and begun again.
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_would_take_apart_is_quoted() {
        for (text, expected) in [
            ("results/study/20260101T000000Z-ab12", "results/study/20260101T000000Z-ab12"),
            ("r=2,deadline=1.5", "r=2,deadline=1.5"),
            ("größe", "größe"),
            ("my results/a", "'my results/a'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(word(text), expected);
        }
        assert_eq!(quoted(Path::new("a b")), "'a b'");
    }
}
