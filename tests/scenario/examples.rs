//! Every file under `scenarios/` is valid, with every cell of its sweep.

use std::path::PathBuf;

use straggler::scenario::{Input, Overrides, load_with_cells};

/// Problems that only say that a user's own data or weights are not on this machine.
const NEEDS_FILES: [&str; 2] = ["missing-file", "missing-model"];

pub(super) fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir("scenarios").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

#[test]
fn every_example_is_valid() {
    assert!(files().len() >= 6);
    for path in files() {
        let Err(diagnostics) = load_with_cells(&Input::File(path.clone()), &Overrides::default()) else { continue };
        let is_excused = diagnostics.list().iter().all(|problem| NEEDS_FILES.contains(&problem.code()));
        let needs_download = std::fs::read_to_string(&path).unwrap().contains("model.name=DIR");
        assert!(is_excused && needs_download, "{}:\n{diagnostics}", path.display());
    }
}

#[test]
fn every_example_is_named_like_its_file_and_says_what_it_shows() {
    for path in files() {
        let text = std::fs::read_to_string(&path).unwrap();
        let stem = path.file_stem().unwrap().to_string_lossy();
        let second = text.lines().nth(1).unwrap_or_default();
        assert!(second.starts_with("# "), "{} says what it shows, below the line for editors", path.display());
        assert!(text.contains(&format!("\nname: {stem}\n")), "{} is named {stem}", path.display());
    }
}
