//! Files that were cut off on their way here.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// The length of a safetensors header; more is no header (the format's own limit).
const LARGEST_HEADER: u64 = 100_000_000;

/// Whether the file is as long as its header says; what is wrong otherwise.
pub(super) fn check_safetensors(bytes: &[u8]) -> Result<(), String> {
    check_pointer(bytes)?;
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("no safetensors file: it has {} bytes; download it again", bytes.len()));
    };
    let header_length = u64::from_le_bytes(*length);
    if header_length > LARGEST_HEADER || rest.first() != Some(&b'{') {
        return Err("no safetensors file: it has no header".into());
    }
    let cut = |expected: u64| {
        let found = bytes.len();
        format!("the file is damaged: by its header it has {expected} bytes, but there are {found}; download it again")
    };
    let header_length = header_length as usize;
    let Some(header) = rest.get(..header_length) else { return Err(cut(8 + header_length as u64)) };
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header)
        .map_err(|error| format!("no safetensors file: its header is no JSON: {error}"))?;
    let ends = header.values().filter_map(|tensor| tensor["data_offsets"][1].as_u64());
    let expected = ends.max().unwrap_or(0).saturating_add(8 + header_length as u64);
    if expected == bytes.len() as u64 { Ok(()) } else { Err(cut(expected)) }
}

/// Whether an archive of PyTorch still has its end, where its list of contents stands.
pub(super) fn check_archive(path: &Path) -> std::io::Result<Result<(), String>> {
    /// The list's last record without its comment, and the longest comment.
    const LAST_RECORD: u64 = 22 + 65_535;
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    file.by_ref().take(64).read_to_end(&mut start)?;
    if let Err(message) = check_pointer(&start) {
        return Ok(Err(message));
    }
    if !start.starts_with(b"PK\x03\x04") {
        // No archive at all, which the reader says better.
        return Ok(Ok(()));
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST_RECORD)))?;
    file.read_to_end(&mut end)?;
    if end.windows(4).any(|window| window == b"PK\x05\x06") {
        return Ok(Ok(()));
    }
    Ok(Err(format!("the file is cut off: its end is missing after {length} bytes; download it again")))
}

/// Git leaves a short text in place of a large file when its extension for them is not installed.
fn check_pointer(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"version https://git-lfs") {
        return Err("this is a pointer of Git LFS and not the file; run `git lfs pull`, or download the file".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_shorter_or_longer_than_its_header_says_is_refused() {
        let header = br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header);
        bytes.extend_from_slice(&[0; 8]);
        assert_eq!(check_safetensors(&bytes), Ok(()));
        // 8 bytes of length, 54 of header, 8 of numbers.
        let message = "the file is damaged: by its header it has 70 bytes, but there are 69; download it again";
        assert_eq!(check_safetensors(&bytes[..69]), Err(message.into()));
        let message = "the file is damaged: by its header it has 62 bytes, but there are 20; download it again";
        assert_eq!(check_safetensors(&bytes[..20]), Err(message.into()));
        bytes.push(0);
        assert!(check_safetensors(&bytes).unwrap_err().contains("70 bytes, but there are 71"));
        assert!(check_safetensors(b"abc").unwrap_err().starts_with("no safetensors file: it has 3 bytes"));
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
        assert!(check_safetensors(pointer).unwrap_err().contains("git lfs pull"));
    }
}
