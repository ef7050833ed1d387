//! One picture as bytes.

use sha2::{Digest, Sha256};

/// A picture of 8 bits per channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct Picture {
    /// In pixels.
    pub(in crate::data) width: usize,
    /// In pixels.
    pub(in crate::data) height: usize,
    /// 1 (greyscale) or 3 (red, green, blue).
    pub(in crate::data) channels: usize,
    /// `[height, width, channels]`.
    pub(in crate::data) bytes: Vec<u8>,
}

impl Picture {
    /// A picture of these channels: greyscale is widened by giving each colour the same value.
    ///
    /// # Errors
    /// When a coloured picture would have to lose its colours.
    pub(super) fn widened(self, channels: usize) -> Result<Self, String> {
        match (self.channels, channels) {
            (from, to) if from == to => Ok(self),
            (1, to) => {
                let bytes = self.bytes.iter().flat_map(|byte| std::iter::repeat_n(*byte, to)).collect();
                Ok(Self { channels: to, bytes, ..self })
            }
            (from, to) => Err(format!("has {from} channels, but the model takes {to}; save it as greyscale")),
        }
    }

    /// SHA-256 over size, channels and bytes.
    pub(in crate::data) fn digest(&self) -> [u8; 32] {
        let mut sha = Sha256::new();
        for size in [self.width, self.height, self.channels] {
            sha.update((size as u64).to_le_bytes());
        }
        sha.update(&self.bytes);
        sha.finalize().into()
    }
}
