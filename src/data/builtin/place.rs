//! Which sentences and pictures are held back for validation and test.

use sha2::{Digest, Sha256};

use crate::seed::Stream;

/// Where a sentence or a picture may occur. It is a property of the example alone, so that no seed can bring one of the
/// test set into another seed's training rows or into what an encoder is pretrained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In test rows only: one sentence in eight.
    Test,
    /// In validation rows only: one sentence in eight.
    Validation,
    /// In training rows and the pretraining corpus.
    Training,
}

impl Place {
    /// The place of a sentence.
    fn of(sentence: &str) -> Self {
        Self::of_digest(&Sha256::digest(sentence))
    }

    /// The place of what has this SHA-256.
    pub(super) fn of_digest(digest: &[u8]) -> Self {
        match digest[0] % 8 {
            0 => Self::Test,
            1 => Self::Validation,
            _ => Self::Training,
        }
    }

    /// The first sentence drawn that belongs here.
    pub(super) fn draw(self, rng: &mut Stream, mut sentence: impl FnMut(&mut Stream) -> String) -> String {
        loop {
            let drawn = sentence(rng);
            if Self::of(&drawn) == self {
                return drawn;
            }
        }
    }

    /// The number of the stream that rows of this place are drawn from.
    pub(super) fn stream(self) -> u32 {
        match self {
            Self::Test => 0,
            Self::Validation => 1,
            Self::Training => 2,
        }
    }
}
