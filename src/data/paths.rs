//! Paths as they are written.

use std::path::{Component, Path, PathBuf};

/// The path without detours, so that different ways of writing one place are told to be one: `./a` and `b/../a` are `a`.
/// Files are not looked at.
pub(super) fn plain(path: &str) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => plain.push(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn detours_are_left_out() {
        for path in ["a/r.tsv", "./a/r.tsv", "a//r.tsv", "a/./r.tsv", "b/../a/r.tsv", "a/r.tsv/"] {
            assert_eq!(plain(path), plain("a/r.tsv"), "{path}");
        }
        assert_ne!(plain("../a"), plain("a"));
        assert_ne!(plain("../../a"), plain("../a"));
        assert_ne!(plain("/a"), plain("a"));
    }
}
