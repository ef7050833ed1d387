//! The encoder that comes with the program.

/// What can be written after `model.name:`.
pub(super) const NAMES: [&str; 2] = ["builtin:tiny-roberta", "builtin:tiny-roberta-random"];

/// The files of a Hugging Face directory, in the program.
pub(super) struct Builtin {
    pub(super) config: &'static [u8],
    pub(super) tokenizer: &'static [u8],
    pub(super) weights: &'static [u8],
}

/// The files of `builtin:tiny-roberta`, written by `straggler pretrain`.
pub(super) const TINY_ROBERTA: Builtin = Builtin {
    config: include_bytes!("builtin/tiny-roberta/config.json"),
    tokenizer: include_bytes!("builtin/tiny-roberta/tokenizer.json"),
    weights: include_bytes!("builtin/tiny-roberta/model.safetensors"),
};
