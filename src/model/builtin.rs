//! The encoders that come with the program.

/// What can be written after `model.name:`.
pub(super) const NAMES: [&str; 4] =
    ["builtin:tiny-roberta", "builtin:tiny-roberta-random", "builtin:tiny-vit", "builtin:tiny-vit-random"];

/// The files of a Hugging Face directory, in the program.
pub(super) struct Builtin {
    pub(super) config: &'static [u8],
    /// `tokenizer.json` or `preprocessor_config.json`.
    pub(super) preprocessor: &'static [u8],
    pub(super) weights: &'static [u8],
}

/// The files of `builtin:tiny-roberta`, written by `straggler pretrain`.
pub(super) const TINY_ROBERTA: Builtin = Builtin {
    config: include_bytes!("builtin/tiny-roberta/config.json"),
    preprocessor: include_bytes!("builtin/tiny-roberta/tokenizer.json"),
    weights: include_bytes!("builtin/tiny-roberta/model.safetensors"),
};

/// The files of `builtin:tiny-vit`, written by `straggler pretrain --model tiny-vit`.
pub(super) const TINY_VIT: Builtin = Builtin {
    config: include_bytes!("builtin/tiny-vit/config.json"),
    preprocessor: include_bytes!("builtin/tiny-vit/preprocessor_config.json"),
    weights: include_bytes!("builtin/tiny-vit/model.safetensors"),
};
