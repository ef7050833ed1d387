//! A folder with one folder of pictures per label.

use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, ImageResult, Limits};

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

/// The pixels of a PNG or JPEG. Which it is, its first bytes say; it is turned and mirrored as its EXIF asks, transparency is
/// left out, 16 bits become 8.
pub(super) fn decode<R: BufRead + Seek>(reader: ImageReader<R>) -> Result<Picture, String> {
    let reader = reader.with_guessed_format().map_err(|error| format!("cannot be read: {error}"))?;
    let decoded =
        upright(reader).map_err(|error| format!("is no picture that can be read: {}", error.to_string().trim()))?;
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

/// The picture as its EXIF says that it is to be shown, as the `datasets` library gives it.
fn upright<R: BufRead + Seek>(reader: ImageReader<R>) -> ImageResult<DynamicImage> {
    let mut decoder = reader.into_decoder()?;
    // As `ImageReader::decode` does: no more memory than the limits allow.
    let mut limits = Limits::default();
    limits.reserve(decoder.total_bytes())?;
    decoder.set_limits(limits)?;
    // What cannot be read of the EXIF asks for nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{GrayImage, ImageFormat, Luma};

    use super::*;
    use crate::data::images::testing;

    /// A JPEG with an EXIF segment that holds this orientation alone.
    fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        // "Exif", a TIFF header (big-endian, directory at 8), one entry: tag 0x112, short, 1 value; no further directory.
        let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        // Behind the marker of the beginning.
        [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn a_picture_is_turned_as_its_exif_asks() {
        // Dark left and bright right halves, 16 wide and 8 high.
        let lying = GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 10 } else { 240 }]));
        let mut jpeg = Cursor::new(Vec::new());
        lying.write_to(&mut jpeg, ImageFormat::Jpeg).expect("encoded");
        let pixels = |orientation| {
            let bytes = with_orientation(jpeg.get_ref(), orientation);
            let picture = decode(ImageReader::new(Cursor::new(bytes))).expect("a picture");
            let at = |x: usize, y: usize| picture.bytes[y * picture.width + x] > 128;
            let corners = [at(0, 0), at(picture.width - 1, 0), at(0, picture.height - 1)];
            (picture.width, picture.height, corners)
        };
        assert_eq!(pixels(1), (16, 8, [false, true, false]));
        // 6: to be turned clockwise by 90 degrees, so that left comes up; 3: upside down.
        assert_eq!(pixels(6), (8, 16, [false, false, true]));
        assert_eq!(pixels(3), (16, 8, [true, false, true]));
    }

    #[test]
    fn a_picture_that_asks_for_too_much_memory_is_refused() {
        // The header of a PNG of 60,000 x 60,000 pixels in colour: 10.8 GB.
        let mut png = Cursor::new(Vec::new());
        GrayImage::new(1, 1).write_to(&mut png, ImageFormat::Png).expect("encoded");
        let mut png = png.into_inner();
        png[16..26].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2]);
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let message = decode(ImageReader::new(Cursor::new(png))).expect_err("too large");
        assert!(message.contains("limit exceeded"), "{message}");
    }

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
