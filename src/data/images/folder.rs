//! A folder with one folder of pictures per label.

use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};

use super::Picture;
use super::gather::Gatherer;
use crate::data::files::Problems;

/// The names of the folders in `path`, sorted: the labels.
pub(super) fn classes(path: &Path, problems: &mut Problems) -> Vec<String> {
    let Some(entries) = entries(path, problems) else { return Vec::new() };
    let mut names = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            names.push(name(&entry));
        } else if is_picture(&entry) {
            problems.of_file(&entry, "lies beside the folders of the labels; put it into one of them");
        }
    }
    if names.is_empty() {
        problems.of_file(path, "has no folders, one for each label");
    }
    names
}

/// Reads the pictures below `path`; what is wrong goes to `problems`.
pub(super) fn read(path: &Path, labels: &[String], gatherer: &mut Gatherer<'_>, problems: &mut Problems) {
    for class in classes(path, problems) {
        let folder = path.join(&class);
        let Some(label) = labels.iter().position(|label| *label == class) else {
            problems.of_file(&folder, format!("is named like none of the labels ({})", labels.join(", ")));
            continue;
        };
        let Some(entries) = entries(&folder, problems) else { continue };
        if entries.is_empty() {
            problems.of_file(&folder, "is empty; it needs .png, .jpg or .jpeg files");
        }
        for file in entries {
            if !file.is_file() || !is_picture(&file) {
                problems.of_file(&file, "is not named .png, .jpg or .jpeg");
                continue;
            }
            let added = decode_file(&file).and_then(|picture| gatherer.add(picture, label as u32));
            if let Err(what) = added {
                problems.of_file(&file, what);
            }
        }
    }
}

/// What lies in a folder, sorted by name. Names that begin with a dot are the system's own.
fn entries(path: &Path, problems: &mut Problems) -> Option<Vec<PathBuf>> {
    let list =
        || -> std::io::Result<Vec<PathBuf>> { std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect() };
    match list() {
        Ok(mut entries) => {
            entries.retain(|entry| !name(entry).starts_with('.'));
            entries.sort();
            Some(entries)
        }
        Err(error) => {
            problems.of_file(path, format!("cannot be read: {error}"));
            None
        }
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

/// The pixels of a file.
pub(super) fn decode_file(path: &Path) -> Result<Picture, String> {
    decode(ImageReader::open(path).map_err(|error| format!("cannot be read: {error}"))?)
}

/// The pixels of a PNG or JPEG. Which it is, its first bytes say; transparency is left out, 16 bits become 8.
pub(super) fn decode<R: BufRead + Seek>(reader: ImageReader<R>) -> Result<Picture, String> {
    let reader = reader.with_guessed_format().map_err(|error| format!("cannot be read: {error}"))?;
    let decoded =
        reader.decode().map_err(|error| format!("is no picture that can be read: {}", error.to_string().trim()))?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let (channels, bytes) = match decoded {
        DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
        grey @ (DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLuma16(_) | DynamicImage::ImageLumaA16(_)) => {
            (1, grey.into_luma8().into_raw())
        }
        colour => (3, colour.into_rgb8().into_raw()),
    };
    Ok(Picture { width, height, channels, bytes })
}

#[cfg(test)]
mod tests {
    use crate::data::images::testing;

    #[test]
    fn jpeg_and_png_give_their_pixels() {
        let (colour, grey) = (testing::picture("photo.png"), testing::picture("grey.png"));
        assert_eq!((colour.width, colour.height, colour.channels), (17, 13, 3));
        assert_eq!((grey.channels, grey.bytes.len()), (1, 17 * 13));
        let jpeg = testing::picture("photo.jpg");
        let pillow: Vec<i32> = serde_json::from_value(testing::golden()["jpeg"].clone()).expect("bytes");
        // Decoders may round the inverse transform and the colours differently.
        let worst = jpeg.bytes.iter().zip(&pillow).map(|(a, b)| (i32::from(*a) - b).abs()).max();
        assert!(worst <= Some(3), "{worst:?}");
    }
}
