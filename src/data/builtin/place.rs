//! Which sentences are held back for validation and test.

use sha2::{Digest, Sha256};

use crate::seed::Stream;

/// Where a sentence may occur. It is a property of the sentence alone, so that no seed can bring a test sentence into
/// another seed's training rows or into the pretraining corpus.
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
    pub(super) fn of(sentence: &str) -> Self {
        match Sha256::digest(sentence)[0] % 8 {
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
