//! Names of repositories on the hub.

use std::fmt;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RepoKind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl RepoKind {
    /// `models` or `datasets`: in the hub's interface, and at the front of the cache's folders.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
        }
    }

    /// What stands before the name in a web address.
    pub(super) fn address_prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
        }
    }
}

impl fmt::Display for RepoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Dataset => "data set",
        })
    }
}

/// A repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repo {
    /// What it holds.
    pub kind: RepoKind,
    /// Its name: `org/name`, or `name` for those that have no owner.
    pub id: String,
    /// A branch, tag or commit.
    pub revision: String,
}

impl Repo {
    /// A repository at a revision. Both are to be checked with [`Repo::id_problem`] and [`Repo::revision_problem`].
    pub fn new(kind: RepoKind, id: impl Into<String>, revision: impl Into<String>) -> Self {
        Self { kind, id: id.into(), revision: revision.into() }
    }

    /// Why `id` cannot be a repository on the hub; `None` when it can. One or two parts of letters, digits, `-`, `_` and
    /// `.`, each beginning and ending with a letter, digit or `_`.
    pub fn id_problem(id: &str) -> Option<String> {
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() > 2 {
            return Some("a name on the hub is `org/name`, with one slash".into());
        }
        for part in parts {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if part.is_empty() || part.len() > 96 {
                return Some("each part of a name on the hub has 1 to 96 characters".into());
            }
            if let Some(c) = part.chars().find(|c| !is_word(*c) && !matches!(c, '-' | '.')) {
                return Some(format!("a name on the hub cannot hold {c:?}"));
            }
            if !part.starts_with(is_word) || !part.ends_with(is_word) || part.contains("..") || part.contains("--") {
                return Some("a name on the hub neither begins nor ends with `-` or `.`, nor doubles them".into());
            }
        }
        None
    }

    /// Why `revision` cannot be a branch, tag or commit; `None` when it can.
    pub fn revision_problem(revision: &str) -> Option<String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+');
        if revision.is_empty() || revision.len() > 200 {
            return Some("a revision has 1 to 200 characters".into());
        }
        if let Some(c) = revision.chars().find(|c| !is_plain(*c)) {
            return Some(format!("a revision cannot hold {c:?}"));
        }
        let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.contains("..");
        (!revision.split('/').all(is_part)).then(|| "it is no name of a branch, tag or commit".into())
    }

    /// The folder in the cache: `models--org--name`.
    pub(super) fn folder(&self) -> String {
        format!("{}--{}", self.kind.plural(), self.id.replace('/', "--"))
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` (revision {})", self.kind, self.id, self.revision)
    }
}

/// True for a full commit: 40 hexadecimal digits. Commits never change.
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_hub_are_told_from_others() {
        for id in ["FacebookAI/roberta-base", "glue", "google/vit-base-patch16-224", "a/b_c.d", "_x/y2"] {
            assert_eq!(Repo::id_problem(id), None, "{id}");
        }
        for id in ["", "a/b/c", "a//b", "/a", "a b/c", "-a/b", "a/b.", "a/..", "a/b--c", "../a", "C:\\a"] {
            assert!(Repo::id_problem(id).is_some(), "{id}");
        }
        for revision in ["main", "refs/pr/1", "v1.0", "0123456789abcdef0123456789abcdef01234567"] {
            assert_eq!(Repo::revision_problem(revision), None, "{revision}");
        }
        for revision in ["", "../main", "a b", "a//b", "main?x=1", "a/.."] {
            assert!(Repo::revision_problem(revision).is_some(), "{revision}");
        }
        assert_eq!(Repo::new(RepoKind::Dataset, "nyu-mll/glue", "main").folder(), "datasets--nyu-mll--glue");
    }
}
