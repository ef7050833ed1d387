//! IDX, the form of MNIST: a header of the kind of numbers and the sizes, then the numbers.

use std::path::{Path, PathBuf};

use super::Picture;
use super::gather::Gatherer;
use crate::data::files::{Problems, read_bytes};

/// Kind of numbers: unsigned bytes.
const BYTES: u8 = 8;

/// The name of the file with the labels of the pictures in the file of the name `images`.
pub(super) fn labels_name(images: &str) -> Option<String> {
    let at = images.rfind("images-idx3").max(images.rfind("images.idx3"))?;
    let (before, name) = images.split_at(at);
    Some(format!("{before}{}", name.replacen("images", "labels", 1).replacen("idx3", "idx1", 1)))
}

/// Reads the pictures of one file and their labels; what is wrong goes to `problems`.
pub(super) fn read(path: &Path, gatherer: &mut Gatherer<'_>, problems: &mut Problems) {
    let images = read_bytes(path, problems).and_then(|content| {
        let parsed = parse(&content, 3);
        parsed.map_err(|what| problems.of_file(path, what)).ok().map(|sizes| (sizes, content))
    });
    let labels_path = labels_path(path);
    let labels = read_bytes(&labels_path, problems).and_then(|content| {
        let parsed = parse(&content, 1);
        parsed.map_err(|what| problems.of_file(&labels_path, what)).ok().map(|sizes| (sizes, content))
    });
    let (Some((sizes, images)), Some((n_labels, labels))) = (images, labels) else { return };
    let (n, height, width) = (sizes[0], sizes[1], sizes[2]);
    if n != n_labels[0] {
        problems.of_file(path, format!("holds {n} pictures, but {} {} labels", labels_path.display(), n_labels[0]));
        return;
    }
    if height == 0 || width == 0 {
        problems.of_file(path, format!("holds pictures of {height} x {width} pixels"));
        return;
    }
    let pictures = images[header(3)..].chunks_exact(height * width);
    for (i, (bytes, label)) in pictures.zip(&labels[header(1)..]).enumerate() {
        let picture = Picture { width, height, channels: 1, bytes: bytes.to_vec() };
        if let Err(what) = gatherer.add(picture, u32::from(*label)) {
            problems.of_file(path, format!("picture {i} {what}"));
        }
    }
}

/// Where the labels lie: packed or plain, whichever is there.
fn labels_path(images: &Path) -> PathBuf {
    let name = images.file_name().and_then(|name| name.to_str()).and_then(labels_name);
    let path = images.with_file_name(name.expect("the name was checked with the settings"));
    if path.is_file() {
        return path;
    }
    let text = path.to_string_lossy();
    let other = text.strip_suffix(".gz").map_or_else(|| format!("{text}.gz"), String::from);
    if Path::new(&other).is_file() { other.into() } else { path }
}

/// Bytes in front of the numbers.
fn header(n_dims: usize) -> usize {
    4 + 4 * n_dims
}

/// The sizes that the header tells, or what is wrong with it.
fn parse(content: &[u8], n_dims: usize) -> Result<Vec<usize>, String> {
    let expected = [0, 0, BYTES, n_dims as u8];
    if content.len() < header(n_dims) || content[..4] != expected {
        return Err(format!(
            "is no IDX file of bytes in {n_dims} dimensions: it begins with {:02x?}, not {expected:02x?}",
            &content[..content.len().min(4)]
        ));
    }
    let sizes = content[4..header(n_dims)].chunks_exact(4);
    let sizes: Vec<usize> =
        sizes.map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize).collect();
    let n_bytes = sizes.iter().try_fold(1usize, |n, size| n.checked_mul(*size));
    let found = content.len() - header(n_dims);
    match n_bytes {
        Some(n) if n == found => Ok(sizes),
        _ => Err(format!("has {found} bytes behind its header, which tells of {sizes:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_named_like_their_pictures() {
        let name = |images| labels_name(images);
        assert_eq!(name("train-images-idx3-ubyte").as_deref(), Some("train-labels-idx1-ubyte"));
        assert_eq!(name("t10k-images.idx3-ubyte.gz").as_deref(), Some("t10k-labels.idx1-ubyte.gz"));
        assert_eq!(name("pictures.bin"), None);
    }
}
