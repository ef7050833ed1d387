//! What the tests of this room share: the pictures under `tests/peers/images` and what Pillow makes of them.

use std::path::{Path, PathBuf};

use super::{Picture, folder};

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/images")
}

pub(super) fn golden() -> serde_json::Value {
    let bytes = std::fs::read(folder().join("golden.json")).expect("is in the repository");
    serde_json::from_slice(&bytes).expect("JSON")
}

pub(super) fn picture(name: &str) -> Picture {
    folder::decode_file(&folder().join(name)).expect("a picture")
}
