//! Whether a file is what its etag says.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// What an etag says of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A large file: SHA-256 of the content.
    Sha256,
    /// A file in git: SHA-1 of `blob <length>`, a zero byte and the content.
    GitBlob,
}

/// The kind of an etag, if it is one that can be checked. Mirrors may have etags of their own.
fn kind(etag: &str) -> Option<Kind> {
    let is_hex = etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    match etag.len() {
        64 if is_hex => Some(Kind::Sha256),
        40 if is_hex => Some(Kind::GitBlob),
        _ => None,
    }
}

/// True for what can be checked.
pub(super) fn is_one(etag: &str) -> bool {
    kind(etag).is_some()
}

/// The checksum of the file, if the etag is one, in its form.
pub(super) fn of_file(path: &Path, etag: &str) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    Ok(match kind(etag) {
        Some(Kind::Sha256) => Some(digest(Sha256::new(), &mut file)?),
        Some(Kind::GitBlob) => {
            let mut sha = Sha1::new();
            sha.update(format!("blob {}\0", file.metadata()?.len()));
            Some(digest(sha, &mut file)?)
        }
        None => None,
    })
}

fn digest(mut sha: impl Digest, file: &mut File) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            n => sha.update(&buffer[..n]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_etag_are_computed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "hello\n").unwrap();
        // echo hello | git hash-object --stdin; echo hello | sha256sum
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let large = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert_eq!(of_file(&path, git).unwrap().as_deref(), Some(git));
        assert_eq!(of_file(&path, large).unwrap().as_deref(), Some(large));
        assert_eq!(of_file(&path, "abc-1").unwrap(), None);
    }
}
