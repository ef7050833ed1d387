//! Links from a page to files beside it, wherever the page lies.

use std::path::{Component, Path, PathBuf};

/// What to write into a page in `from` so that it leads to `to`: a relative address where both have a folder in common. Both
/// folders must exist.
pub(super) fn link(from: &Path, to: &Path) -> String {
    let (Ok(from), Ok(to)) = (from.canonicalize(), to.canonicalize()) else { return encoded(to) };
    let n_shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(n_shared).map(|_| Component::ParentDir);
    let relative: PathBuf = up.chain(to.components().skip(n_shared)).collect();
    if relative.as_os_str().is_empty() { ".".into() } else { encoded(&relative) }
}

/// The path with `/` between its parts and everything escaped that means something in an address.
fn encoded(path: &Path) -> String {
    let mut address = String::new();
    for part in path.components() {
        if !address.is_empty() && !address.ends_with('/') {
            address.push('/');
        }
        if part == Component::RootDir {
            address.push('/');
            continue;
        }
        for byte in part.as_os_str().to_string_lossy().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'=' | b',' | b'+' | b'@' => {
                    address.push(byte.into());
                }
                byte => address.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_one_folder_to_the_other() {
        let root = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = root.path().join(name);
            std::fs::create_dir_all(&folder).unwrap();
            folder
        };
        let (sweep, cell) = (folder("study/latest"), folder("study/latest/cells/r=2,a#b?c d%e"));
        assert_eq!(link(&sweep, &cell), "cells/r=2,a%23b%3Fc%20d%25e");
        assert_eq!(link(&folder("pages"), &cell), "../study/latest/cells/r=2,a%23b%3Fc%20d%25e");
        assert_eq!(link(&cell, &folder("größe")), "../../../../gr%C3%B6%C3%9Fe");
        assert_eq!(link(&sweep, &sweep), ".");
        // What is not there cannot be related to anything.
        assert_eq!(link(&sweep, Path::new("/no/such/a b")), "/no/such/a%20b");
    }
}
