//! A data set as text.

use sha2::{Digest, Sha256};

use super::RowOrigins;

/// One labelled text, or pair of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextExample {
    /// The (first) text.
    pub text: String,
    /// The second text of a pair. At most one of the two is empty; a text by itself never is.
    pub text_pair: Option<String>,
    /// Index into [`TextDataset::labels`].
    pub label: u32,
}

/// A data set in its splits: training rows are dealt to clients, the server holds the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextDataset {
    /// What the scenario calls it: the built-in's name, or the training file.
    pub name: String,
    /// Names of the labels, by number.
    pub labels: Vec<String>,
    /// Training rows.
    pub train: Vec<TextExample>,
    /// Rows on which rounds are judged and the best one is chosen.
    pub validation: Vec<TextExample>,
    /// Rows used once, at the end.
    pub test: Option<Vec<TextExample>>,
    /// Where the training rows come from.
    pub origins: RowOrigins,
    /// SHA-256, in hex, over labels and rows in order.
    pub hash: String,
    /// What the reader may want to know, such as files that were left out.
    pub notes: Vec<String>,
}

impl TextDataset {
    /// A data set with its hash computed, of whose training rows none is held back or belongs to anyone.
    pub fn new(
        name: String,
        labels: Vec<String>,
        train: Vec<TextExample>,
        validation: Vec<TextExample>,
        test: Option<Vec<TextExample>>,
    ) -> Self {
        let hash = hash(&labels, &train, &validation, test.as_deref());
        let origins = RowOrigins::of_all(train.len());
        Self { name, labels, train, validation, test, origins, hash, notes: Vec::new() }
    }
}

/// Every field goes in behind its length, so that no two data sets give the same bytes.
fn hash(labels: &[String], train: &[TextExample], validation: &[TextExample], test: Option<&[TextExample]>) -> String {
    let mut sha = Sha256::new();
    let text = |sha: &mut Sha256, text: &str| {
        sha.update((text.len() as u64).to_le_bytes());
        sha.update(text);
    };
    sha.update((labels.len() as u64).to_le_bytes());
    labels.iter().for_each(|label| text(&mut sha, label));
    for split in [Some(train), Some(validation), test] {
        sha.update(split.map_or(u64::MAX, |rows| rows.len() as u64).to_le_bytes());
        for row in split.unwrap_or_default() {
            sha.update(row.label.to_le_bytes());
            text(&mut sha, &row.text);
            sha.update([u8::from(row.text_pair.is_some())]);
            text(&mut sha, row.text_pair.as_deref().unwrap_or_default());
        }
    }
    sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, text_pair: Option<&str>, label: u32) -> TextExample {
        TextExample { text: text.into(), text_pair: text_pair.map(Into::into), label }
    }

    fn hash_of(train: Vec<TextExample>, test: Option<Vec<TextExample>>) -> String {
        TextDataset::new("a".into(), vec!["no".into(), "yes".into()], train, vec![], test).hash
    }

    #[test]
    fn the_hash_tells_rows_order_labels_pairs_and_splits_apart() {
        let base = hash_of(vec![row("a", None, 0), row("b", None, 1)], None);
        assert_eq!(base, hash_of(vec![row("a", None, 0), row("b", None, 1)], None));
        assert_eq!(base.len(), 64);
        for other in [
            hash_of(vec![row("b", None, 1), row("a", None, 0)], None),
            hash_of(vec![row("a", None, 1), row("b", None, 1)], None),
            hash_of(vec![row("a", Some(""), 0), row("b", None, 1)], None),
            hash_of(vec![row("ab", None, 0), row("", None, 1)], None),
            hash_of(vec![row("a", None, 0)], Some(vec![row("b", None, 1)])),
            hash_of(vec![row("a", None, 0), row("b", None, 1)], Some(vec![])),
        ] {
            assert_ne!(base, other);
        }
    }
}
