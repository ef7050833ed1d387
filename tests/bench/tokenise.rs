//! Tokenising the training rows of SST-2 (58,939 rows) on every core, and reading the ids of an earlier run.
//!
//! `STRAGGLER_DATA_DIR=DIR STRAGGLER_TOKENIZERS=a/tokenizer.json:b/tokenizer.json cargo bench --bench tokenise`, where `DIR`
//! holds `sst2/train.tsv.gz` and `sst2/validation.tsv.gz`

#![expect(clippy::unwrap_used, reason = "a bench that cannot go on fails")]

use std::path::PathBuf;

use straggler::data::{DatasetConfig, TextDataset, TokenCache, encode, load};
use straggler::report::Stopwatch;
use straggler::seed::Seeds;
use tokenizers::Tokenizer;

fn sst2(folder: PathBuf) -> TextDataset {
    let files = serde_json::json!({ "train": "train.tsv.gz", "validation": "validation.tsv.gz" });
    let config: DatasetConfig = serde_json::from_value(serde_json::json!({ "files": files })).unwrap();
    load(&config, None, &folder, &Seeds::new(1)).unwrap()
}

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test --all-targets` only wants to know that it builds.
    }
    let (Some(data), Some(tokenizers)) =
        (std::env::var_os("STRAGGLER_DATA_DIR"), std::env::var_os("STRAGGLER_TOKENIZERS"))
    else {
        println!("skipped: STRAGGLER_DATA_DIR and STRAGGLER_TOKENIZERS are not set");
        return;
    };
    let watch = Stopwatch::start();
    let dataset = sst2(PathBuf::from(data).join("sst2"));
    println!("{} rows, read in {:.2} s", dataset.train.len(), watch.seconds());
    for path in std::env::split_paths(&tokenizers) {
        let tokenizer = Tokenizer::from_file(&path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cache = TokenCache::at(folder.path());
        println!("{}", path.display());
        for _ in 0..3 {
            let watch = Stopwatch::start();
            let encoded = encode(&dataset, &tokenizer, 128).unwrap();
            println!("  tokenised in {:.2} s (to reach: 2 s), {} rows", watch.seconds(), encoded.train.len());
        }
        for _ in 0..3 {
            let watch = Stopwatch::start();
            let (_, outcome) = cache.encode(&dataset, &tokenizer, 128).unwrap();
            println!("  through the cache: {outcome:?} in {:.3} s", watch.seconds());
        }
    }
}
