//! Token ids kept between runs.
//!
//! A file holds the ids of one data set under one tokenizer and length; its name is a hash of all three, so that it never
//! goes stale. It ends with the checksum of what is before, and is written under another name and renamed: a reader finds
//! it whole or not at all, and one that is damaged all the same is thrown away and made anew.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::encode::{self, TokenSplit};
use super::{DataError, EncodedDataset, EncodedSplit, TextDataset, TextExample};

/// Raised when the form of the files changes, or ids could come out otherwise for the same tokenizer.
const MAGIC: &[u8; 8] = b"STRGTOK1";

/// Length of the checksum at the end.
const CHECKSUM_LEN: usize = 32;

/// Less text than this is tokenised sooner than a file is found.
const TEXT_MIN: usize = 256 << 10;

/// Stands for a split that is not there.
const ABSENT: u64 = u64::MAX;

/// Where token ids are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCache {
    folder: Option<PathBuf>,
}

/// What became of a data set's token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheUse {
    /// They were computed; the cache is off, or the data set is so small that none is needed.
    Unused,
    /// They were read.
    Read,
    /// They were computed and kept.
    Kept,
    /// A damaged file was thrown away; they were computed and kept.
    Replaced,
    /// They were computed and could not be kept, for this reason.
    NotKept(String),
}

impl TokenCache {
    /// Keeps nothing.
    pub fn off() -> Self {
        Self { folder: None }
    }

    /// Keeps files in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()) }
    }

    /// What the environment of this process says: the folder is `STRAGGLER_CACHE`, else `straggler` in `XDG_CACHE_HOME`,
    /// which is `~/.cache` by default; `STRAGGLER_CACHE=off` turns it off.
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    /// What the variables say; one that is empty counts as absent.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        match path("STRAGGLER_CACHE") {
            Some(value) if value.as_os_str() == "off" => Self::off(),
            Some(folder) => Self::at(folder),
            None => {
                let general = path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
                Self { folder: general.map(|general| general.join("straggler")) }
            }
        }
    }

    /// The token ids of `dataset` as [`encode`](super::encode) gives them, read if they were kept before.
    ///
    /// # Errors
    /// As [`encode`](super::encode). A cache that cannot be used is no error.
    pub fn encode(
        &self,
        dataset: &TextDataset,
        tokenizer: &Tokenizer,
        max_seq_length: usize,
    ) -> Result<(EncodedDataset, CacheUse), DataError> {
        let compute = || encode::encode(dataset, tokenizer, max_seq_length);
        let Some(folder) = self.folder.as_ref().filter(|_| is_worthwhile(dataset)) else {
            return Ok((compute()?, CacheUse::Unused));
        };
        let path = folder.join("tokens").join(format!("{}.bin", key(dataset, tokenizer, max_seq_length)?));
        let found = fs::read(&path);
        if let Some(encoded) = found.as_ref().ok().and_then(|bytes| read(bytes, dataset)) {
            return Ok((encoded, CacheUse::Read));
        }
        let was_damaged = found.is_ok();
        let encoded = compute()?;
        let outcome = match bytes_of(&encoded).map_or(Ok(()), |bytes| write(&path, &bytes)) {
            Ok(()) if was_damaged => CacheUse::Replaced,
            Ok(()) => CacheUse::Kept,
            Err(error) => CacheUse::NotKept(format!("`{}`: {error}", path.display())),
        };
        Ok((encoded, outcome))
    }
}

fn is_worthwhile(dataset: &TextDataset) -> bool {
    let text = |row: &TextExample| row.text.len() + row.text_pair.as_ref().map_or(0, String::len);
    splits(dataset).into_iter().flatten().flatten().map(text).sum::<usize>() >= TEXT_MIN
}

fn splits(dataset: &TextDataset) -> [Option<&[TextExample]>; 3] {
    [Some(&dataset.train), Some(&dataset.validation), dataset.test.as_deref()]
}

/// A name for the ids: the data set's hash holds its rows and their order, the tokenizer's text its vocabulary and rules.
fn key(dataset: &TextDataset, tokenizer: &Tokenizer, max_seq_length: usize) -> Result<String, DataError> {
    let tokenizer = tokenizer
        .to_string(false)
        .map_err(|error| DataError::Tokenizer(format!("the tokenizer cannot be written: {error}")))?;
    let mut sha = Sha256::new();
    for part in [MAGIC, dataset.hash.as_bytes(), &(max_seq_length as u64).to_le_bytes(), tokenizer.as_bytes()] {
        sha.update((part.len() as u64).to_le_bytes());
        sha.update(part);
    }
    Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The content of a file; `None` for pictures, and for token types that need more than a byte.
fn bytes_of(encoded: &EncodedDataset) -> Option<Vec<u8>> {
    let mut bytes = MAGIC.to_vec();
    for split in [Some(&encoded.train), Some(&encoded.validation), encoded.test.as_ref()] {
        let Some(split) = split else {
            bytes.extend(ABSENT.to_le_bytes());
            continue;
        };
        let EncodedSplit::Texts(split) = split else { return None };
        bytes.extend((split.len() as u64).to_le_bytes());
        bytes.extend((split.n_tokens() as u64).to_le_bytes());
        for i in 0..split.len() {
            bytes.extend((split.example(i).0.len() as u32).to_le_bytes());
        }
        for i in 0..split.len() {
            split.example(i).0.iter().for_each(|id| bytes.extend(id.to_le_bytes()));
        }
        for i in 0..split.len() {
            for kind in split.example(i).1 {
                bytes.push(u8::try_from(*kind).ok()?);
            }
        }
    }
    let checksum = Sha256::digest(&bytes);
    bytes.extend(checksum);
    Some(bytes)
}

/// The ids in a file for the rows of `dataset`; `None` when it is damaged.
fn read(bytes: &[u8], dataset: &TextDataset) -> Option<EncodedDataset> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_LEN)?)?;
    if Sha256::digest(content).as_slice() != checksum {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    let mut split = |rows: &[TextExample]| read_split(&mut rest, rows).map(EncodedSplit::Texts);
    let (train, validation) = (split(&dataset.train)?, split(&dataset.validation)?);
    let test = match &dataset.test {
        Some(rows) => Some(split(rows)?),
        None => (number(&mut rest)? == ABSENT).then_some(None)?,
    };
    rest.is_empty().then(|| EncodedDataset { labels: dataset.labels.clone(), train, validation, test })
}

fn read_split(rest: &mut &[u8], rows: &[TextExample]) -> Option<TokenSplit> {
    let (n_rows, n_tokens) = (usize::try_from(number(rest)?).ok()?, usize::try_from(number(rest)?).ok()?);
    if n_rows != rows.len() {
        return None;
    }
    let lengths = words(rest, n_rows)?;
    let ids = words(rest, n_tokens)?;
    let type_ids = take(rest, n_tokens)?.iter().map(|kind| u32::from(*kind)).collect();
    let labels = rows.iter().map(|row| row.label).collect();
    TokenSplit::from_parts(ids, type_ids, &lengths, labels)
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(n)?;
    *rest = left;
    Some(taken)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take(rest, 8)?.try_into().ok().map(u64::from_le_bytes)
}

fn words(rest: &mut &[u8], n: usize) -> Option<Vec<u32>> {
    let bytes = take(rest, n.checked_mul(4)?)?;
    Some(bytes.chunks_exact(4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Another process, or another thread of this one, may be writing the same.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed);
    let partial = folder.join(format!(".{name}.{}.{number}", std::process::id()));
    let written = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // the reason is reported; what is left of the file is of no use
        let _ = fs::remove_file(&partial);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tokenizer::train_byte_bpe;

    fn dataset(n: usize, has_test: bool) -> TextDataset {
        let row = |i: usize| TextExample {
            text: format!("row {i} {}", "lorem ipsum dolor sit amet ".repeat(4)),
            text_pair: i.is_multiple_of(3).then(|| format!("pair {i}")),
            label: (i % 2) as u32,
        };
        let rows: Vec<TextExample> = (0..n).map(row).collect();
        let test = has_test.then(|| rows[..n / 10].to_vec());
        TextDataset::new("a".into(), vec!["no".into(), "yes".into()], rows.clone(), rows[..n / 5].to_vec(), test)
    }

    fn bytes() -> Tokenizer {
        train_byte_bpe(&["a b c d e f g h"], 300).unwrap()
    }

    fn only_file(folder: &Path) -> PathBuf {
        let files: Vec<_> = fs::read_dir(folder.join("tokens")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn what_was_kept_is_read_back_the_same() {
        for has_test in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let (cache, dataset) = (TokenCache::at(folder.path()), dataset(3000, has_test));
            let (first, outcome) = cache.encode(&dataset, &bytes(), 40).unwrap();
            assert_eq!(outcome, CacheUse::Kept);
            let (second, outcome) = cache.encode(&dataset, &bytes(), 40).unwrap();
            assert_eq!((outcome, &second), (CacheUse::Read, &first));
            assert_eq!(first, encode::encode(&dataset, &bytes(), 40).unwrap());
        }
    }

    #[test]
    fn other_rows_lengths_and_tokenizers_have_files_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let cache = TokenCache::at(folder.path());
        let other = train_byte_bpe(&["lorem ipsum dolor sit amet"; 9], 300).unwrap();
        for (rows, tokenizer, length) in
            [(3000, bytes(), 40), (3001, bytes(), 40), (3000, other, 40), (3000, bytes(), 41)]
        {
            assert_eq!(cache.encode(&dataset(rows, true), &tokenizer, length).unwrap().1, CacheUse::Kept);
        }
    }

    #[test]
    fn threads_that_write_the_same_file_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens/a.bin");
        let content = vec![7u8; 1 << 16];
        let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
            let start = |_| scope.spawn(|| (0..40).try_for_each(|_| write(&path, &content)));
            let threads: Vec<_> = (0..4).map(start).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert!(fs::read(&path).unwrap() == content);
        assert_eq!(only_file(folder.path()), path, "nothing else is left");
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, dataset) = (TokenCache::at(folder.path()), dataset(3000, true));
        let (first, _) = cache.encode(&dataset, &bytes(), 40).unwrap();
        let path = only_file(folder.path());
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 1;
        for damaged in [&flipped[..], &whole[..whole.len() - 9], &whole[..5], &[]] {
            fs::write(&path, damaged).unwrap();
            let (again, outcome) = cache.encode(&dataset, &bytes(), 40).unwrap();
            assert_eq!((outcome, &again), (CacheUse::Replaced, &first));
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn it_can_be_off_and_does_without_a_folder_that_cannot_be_written() {
        let dataset = dataset(3000, true);
        assert_eq!(TokenCache::off().encode(&dataset, &bytes(), 40).unwrap().1, CacheUse::Unused);
        let file = tempfile::NamedTempFile::new().unwrap();
        let (_, outcome) = TokenCache::at(file.path()).encode(&dataset, &bytes(), 40).unwrap();
        assert!(matches!(outcome, CacheUse::NotKept(_)), "{outcome:?}");
        let folder = tempfile::tempdir().unwrap();
        let small = self::dataset(20, true);
        assert_eq!(TokenCache::at(folder.path()).encode(&small, &bytes(), 40).unwrap().1, CacheUse::Unused);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_variables_say_where_it_is() {
        let of = |variables: &[(&str, &str)]| {
            TokenCache::from_variables(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value))
            })
        };
        assert_eq!(of(&[("STRAGGLER_CACHE", "off"), ("HOME", "/h")]), TokenCache::off());
        assert_eq!(of(&[("STRAGGLER_CACHE", "/c"), ("HOME", "/h")]), TokenCache::at("/c"));
        assert_eq!(of(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]), TokenCache::at("/x/straggler"));
        assert_eq!(of(&[("HOME", "/h")]), TokenCache::at("/h/.cache/straggler"));
        assert_eq!(of(&[]), TokenCache::off());
    }
}
