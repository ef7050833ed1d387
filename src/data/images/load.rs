//! From settings to a data set of pictures.

use std::ops::Range;
use std::path::Path;

use super::gather::Gatherer;
use super::{ImageDataset, ImageFormat, ImageProcessor, ImagesConfig, cifar, folder, idx, table};
use crate::data::files::Problems;
use crate::data::labels::Labels;
use crate::data::sources::Sources;
use crate::data::{DataError, DatasetConfig, DatasetSource, FetchedDataset, builtin};
use crate::seed::Seeds;

/// Loads the pictures that `config` describes, in the form that `processor` gives them. Paths are relative to
/// `base_dir`; `seeds` decides a generated data set's pictures and which ones are carved out for validation. One on the
/// hub has to be `fetched` before.
///
/// # Errors
/// Settings that are wrong or describe texts; every picture or file that cannot be used (the first 20 in words, the
/// others counted).
pub fn load_images(
    config: &DatasetConfig,
    fetched: Option<&FetchedDataset>,
    base_dir: &Path,
    seeds: &Seeds,
    processor: &ImageProcessor,
) -> Result<ImageDataset, DataError> {
    config.check()?;
    match (config.source(base_dir), &config.images) {
        (DatasetSource::Builtin, _) => {
            let name = config.name.as_deref().unwrap_or_default();
            builtin::draw(name, config.num_examples, seeds, processor)
        }
        (DatasetSource::Files, Some(images)) => load_files(config, images, base_dir, seeds, processor),
        (DatasetSource::Files, None) => {
            Err(DataError::BadSettings("dataset: `files` holds texts, not pictures".into()))
        }
        (DatasetSource::Directory(_) | DatasetSource::Hub(_), _) => {
            let sources = Sources::of_repository(config, fetched, base_dir)?;
            table::load(config, sources, base_dir, seeds, processor)
        }
    }
}

fn load_files(
    config: &DatasetConfig,
    images: &ImagesConfig,
    base_dir: &Path,
    seeds: &Seeds,
    processor: &ImageProcessor,
) -> Result<ImageDataset, DataError> {
    let mut problems = Problems::default();
    let given = Labels::given(config, base_dir, &mut problems).map(|labels| labels.names().to_vec());
    let train_path = base_dir.join(&images.train);
    let of_folders = match (&given, images.format) {
        (Some(names), _) => Some(names.clone()),
        (None, ImageFormat::Folder) => Some(folder::classes(&train_path, &mut Problems::default())),
        (None, ImageFormat::Idx | ImageFormat::Cifar) => None,
    };
    if let Some(names) = given.as_ref().filter(|_| images.format == ImageFormat::Folder) {
        for name in names.iter().filter(|name| !train_path.join(name).is_dir()) {
            problems.of_file(&train_path, format!("has no folder `{name}`, which is listed as a label"));
        }
    }
    // Without names of labels each picture would be reported once more.
    if of_folders.as_ref().is_some_and(Vec::is_empty) {
        folder::classes(&train_path, &mut problems);
        problems.into_result()?;
        unreachable!("a list without labels and a folder without folders are problems");
    }
    let mut gatherer = Gatherer::new(processor);
    let mut splits: Vec<(&str, Range<usize>)> = Vec::new();
    for (key, path) in images.paths() {
        let path = base_dir.join(path);
        let (start, n_problems) = (gatherer.len(), problems.len());
        match images.format {
            ImageFormat::Folder => {
                folder::read(&path, of_folders.as_deref().unwrap_or_default(), &mut gatherer, &mut problems);
            }
            ImageFormat::Idx => idx::read(&path, &mut gatherer, &mut problems),
            ImageFormat::Cifar => cifar::read(&path, &mut gatherer, &mut problems),
        }
        if gatherer.len() == start && problems.len() == n_problems {
            problems.of_file(&path, "has no pictures");
        }
        splits.push((key, start..gatherer.len()));
    }
    let train = splits[0].1.clone();
    let names = of_folders.unwrap_or_else(|| numbered(gatherer.labels(train.clone())));
    for ((_, rows), (_, path)) in splits.iter().zip(images.paths()) {
        check_labels(gatherer.labels(rows.clone()), &names, &base_dir.join(path), &mut problems);
    }
    if names.len() < 2 && problems.len() == 0 {
        problems.of_file(&train_path, format!("has {} label, at least 2 are needed", names.len()));
    }
    problems.into_result()?;

    let of = |key: &str| splits.iter().find(|(split, _)| *split == key).map(|(_, range)| range.clone());
    gatherer.into_dataset(images.train.clone(), names, (train, of("validation"), of("test")), config, seeds)
}

/// Names for labels that have none: their numbers, up to the largest in the training pictures.
fn numbered(labels: &[u32]) -> Vec<String> {
    (0..=labels.iter().copied().max().unwrap_or(0)).map(|number| number.to_string()).collect()
}

fn check_labels(labels: &[u32], names: &[String], path: &Path, problems: &mut Problems) {
    for (i, label) in labels.iter().enumerate().filter(|(_, label)| **label as usize >= names.len()) {
        let last = names.len().saturating_sub(1);
        problems.of_file(path, format!("picture {i} has label {label}, out of range: labels are numbered 0 to {last}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use image::{GrayImage, Luma, Rgb, RgbImage};

    use super::*;
    use crate::data::ImageSplit;

    /// A directory with pictures, and the settings to load them.
    struct Case {
        dir: tempfile::TempDir,
        config: DatasetConfig,
    }

    impl Case {
        fn new(config: serde_json::Value) -> Self {
            let dir = tempfile::tempdir().expect("a temporary directory");
            Self { dir, config: serde_json::from_value(config).expect("well-formed settings") }
        }

        fn with(self, name: &str, content: &[u8]) -> Self {
            let path = self.dir.path().join(name);
            std::fs::create_dir_all(path.parent().expect("below the directory")).expect("made");
            let mut file = std::fs::File::create(path).expect("created");
            if name.ends_with(".gz") {
                let mut packer = flate2::write::GzEncoder::new(file, flate2::Compression::default());
                packer.write_all(content).expect("written");
            } else {
                file.write_all(content).expect("written");
            }
            self
        }

        /// A PNG of one colour.
        fn png(self, name: &str, colour: [u8; 3]) -> Self {
            self.encoded(name, &RgbImage::from_pixel(4, 4, Rgb(colour)).into())
        }

        fn encoded(self, name: &str, picture: &image::DynamicImage) -> Self {
            let mut bytes = std::io::Cursor::new(Vec::new());
            let format = image::ImageFormat::from_path(name).expect("a known name");
            picture.write_to(&mut bytes, format).expect("encoded");
            self.with(name, bytes.get_ref())
        }

        fn load(&self) -> Result<ImageDataset, DataError> {
            load_images(&self.config, None, self.dir.path(), &Seeds::new(1), &ImageProcessor::new(3, 2))
        }

        /// The error's lines, the directory left out.
        fn problems(&self) -> Vec<String> {
            let text = self.load().expect_err("must be refused").to_string();
            let directory = format!("{}/", self.dir.path().display());
            text.replace(&directory, "").lines().map(String::from).collect()
        }
    }

    /// The first red, green and blue byte and the label of each picture.
    fn rows(split: &ImageSplit) -> Vec<([u8; 3], u32)> {
        let colour = |bytes: &[u8]| [bytes[0], bytes[4], bytes[8]];
        split.labels().iter().enumerate().map(|(i, label)| (colour(split.bytes(i)), *label)).collect()
    }

    fn idx(sizes: &[u32], bytes: &[u8]) -> Vec<u8> {
        let header = sizes.iter().flat_map(|size| size.to_be_bytes());
        [0, 0, 8, sizes.len() as u8].into_iter().chain(header).chain(bytes.iter().copied()).collect()
    }

    fn cifar(records: &[(u8, [u8; 3])]) -> Vec<u8> {
        let record = |(label, colour): &(u8, [u8; 3])| {
            [vec![*label], vec![colour[0]; 1024], vec![colour[1]; 1024], vec![colour[2]; 1024]].concat()
        };
        records.iter().flat_map(record).collect()
    }

    #[test]
    fn a_folder_gives_its_pictures_by_the_names_of_its_folders() {
        let config = serde_json::json!({
            "images": { "format": "folder", "train": "t", "validation": "v", "test": "t2" },
        });
        let grey = GrayImage::from_pixel(2, 3, Luma([77]));
        let case = Case::new(config)
            .png("t/dog/b.png", [1, 2, 3])
            .png("t/dog/a.png", [4, 5, 6])
            .encoded("t/cat/x.jpeg", &grey.into())
            .with("t/.thumbnails", b"x")
            .with("t/README", b"x")
            .png("v/cat/x.PNG", [7, 8, 9])
            .png("t2/dog/x.png", [10, 11, 12]);
        let dataset = case.load().expect("sound");
        assert_eq!(dataset.labels, ["cat", "dog"]);
        assert_eq!(rows(&dataset.train), [([77; 3], 0), ([4, 5, 6], 1), ([1, 2, 3], 1)]);
        assert_eq!(rows(&dataset.validation), [([7, 8, 9], 0)]);
        assert_eq!(rows(&dataset.test.expect("given")), [([10, 11, 12], 1)]);
    }

    #[test]
    fn idx_and_cifar_files_give_the_same_pictures_plain_and_packed() {
        let mut hashes = Vec::new();
        for (images, labels) in
            [("train-images-idx3-ubyte", "train-labels-idx1-ubyte.gz"), ("images-idx3.gz", "labels-idx1")]
        {
            let config = serde_json::json!({
                "images": { "format": "idx", "train": images }, "validation_fraction": 0.25,
            });
            let pixels: Vec<u8> = (0..4).flat_map(|i| [10 * i; 6]).collect();
            let case =
                Case::new(config).with(images, &idx(&[4, 2, 3], &pixels)).with(labels, &idx(&[4], &[0, 1, 1, 0]));
            let dataset = case.load().expect("sound");
            assert_eq!((dataset.labels.as_slice(), dataset.test), (["0".to_string(), "1".into()].as_slice(), None));
            let mut all = [rows(&dataset.train), rows(&dataset.validation)].concat();
            all.sort();
            assert_eq!(all, [([0; 3], 0), ([10; 3], 1), ([20; 3], 1), ([30; 3], 0)]);
            assert_eq!(dataset.validation.len(), 1);
            hashes.push(dataset.hash);
        }
        assert_eq!(hashes[0], hashes[1]);

        let records = cifar(&[(0, [1, 2, 3]), (1, [4, 5, 6])]);
        let load = |name: &str, names: &[&str]| {
            let config = serde_json::json!({
                "images": { "format": "cifar", "train": name, "validation": "v.bin" }, "labels": names,
            });
            Case::new(config).with(name, &records).with("v.bin", &records).load().expect("sound")
        };
        let (plain, packed) = (load("t.bin", &["cat", "dog"]), load("t.bin.gz", &["cat", "dog"]));
        assert_eq!(rows(&plain.train), [([1, 2, 3], 0), ([4, 5, 6], 1)]);
        assert_eq!(plain.train, packed.train);
        assert_eq!(plain.hash, packed.hash);
        assert_ne!(plain.hash, load("t.bin", &["cat", "cow"]).hash);
    }

    #[test]
    fn the_hash_tells_pixels_and_labels_apart_but_not_models() {
        let config = serde_json::json!({ "images": { "format": "cifar", "train": "t.bin", "validation": "v.bin" } });
        let hash = |records: &[(u8, [u8; 3])], size| {
            let case = Case::new(config.clone()).with("t.bin", &cifar(records)).with("v.bin", &cifar(&[(1, [0; 3])]));
            let processor = ImageProcessor::new(3, size);
            load_images(&case.config, None, case.dir.path(), &Seeds::new(1), &processor).expect("sound").hash
        };
        let base = hash(&[(0, [1, 2, 3]), (1, [4, 5, 6])], 2);
        assert_eq!(base, hash(&[(0, [1, 2, 3]), (1, [4, 5, 6])], 4));
        assert_ne!(base, hash(&[(0, [1, 2, 3]), (1, [4, 5, 7])], 2));
        assert_ne!(base, hash(&[(1, [1, 2, 3]), (0, [4, 5, 6])], 2));
        assert_ne!(base, hash(&[(1, [4, 5, 6]), (0, [1, 2, 3])], 2));
    }

    #[test]
    fn everything_wrong_with_folders_is_named() {
        let config = serde_json::json!({
            "images": { "format": "folder", "train": "t", "validation": "v", "test": "none" },
        });
        let case = Case::new(config)
            .png("t/cat/a.png", [1; 3])
            .with("t/cat/b.png", b"no picture")
            .with("t/cat/c.jpg", b"\xff\xd8\xff\xe0 cut off")
            .with("t/cat/notes.txt", b"x")
            .with("t/dog/.keep", b"")
            .png("t/loose.png", [1; 3])
            .png("v/cow/a.png", [1; 3]);
        let problems = case.problems();
        let expected = [
            "t/loose.png: lies beside the folders of the labels; put it into one of them",
            "t/cat/b.png: is no picture that can be read: ",
            "t/cat/c.jpg: is no picture that can be read: ",
            "t/cat/notes.txt: is not named .png, .jpg or .jpeg",
            "t/dog: is empty; it needs .png, .jpg or .jpeg files",
            "v/cow: is named like none of the labels (cat, dog)",
            "none: cannot be read: No such file or directory (os error 2)",
        ];
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
        for (problem, expected) in problems.iter().zip(expected) {
            assert!(problem.starts_with(expected), "{problem}");
        }

        let config = serde_json::json!({ "images": { "format": "folder", "train": "t" }, "labels": ["cat", "dog"] });
        let case = Case::new(config).png("t/cat/a.png", [1; 3]);
        assert_eq!(case.problems(), ["t: has no folder `dog`, which is listed as a label"]);
        let config = serde_json::json!({ "images": { "format": "folder", "train": "t" } });
        assert_eq!(
            Case::new(config.clone()).with("t/a.txt", b"x").problems(),
            ["t: has no folders, one for each label"]
        );
        let case = Case::new(config).png("t/cat/a.png", [1; 3]);
        assert_eq!(case.problems(), ["t: has 1 label, at least 2 are needed"]);
    }

    #[test]
    fn everything_wrong_with_idx_files_is_named() {
        let case = |images: &[u8], labels: &[u8]| {
            let config =
                serde_json::json!({ "images": { "format": "idx", "train": "images-idx3" }, "labels": ["a", "b"] });
            Case::new(config).with("images-idx3", images).with("labels-idx1", labels).problems()
        };
        let (images, labels) = (idx(&[2, 1, 1], &[1, 2]), idx(&[2], &[0, 1]));
        assert_eq!(case(&images, &idx(&[3], &[0, 1, 1])), ["images-idx3: holds 2 pictures, but labels-idx1 3 labels"]);
        assert_eq!(
            case(&idx(&[2, 1, 1], &[1]), &labels),
            ["images-idx3: has 1 bytes behind its header, which tells of [2, 1, 1]"]
        );
        assert_eq!(
            case(&labels, b"\0\0"),
            [
                "images-idx3: is no IDX file of bytes in 3 dimensions: it begins with [00, 00, 08, 01], not [00, 00, 08, 03]",
                "labels-idx1: is no IDX file of bytes in 1 dimensions: it begins with [00, 00], not [00, 00, 08, 01]",
            ]
        );
        assert_eq!(
            case(&images, &idx(&[2], &[0, 2])),
            ["images-idx3: picture 1 has label 2, out of range: labels are numbered 0 to 1"]
        );
        assert_eq!(case(&idx(&[0, 1, 1], &[]), &idx(&[0], &[])), ["images-idx3: has no pictures"]);
    }

    #[test]
    fn everything_wrong_with_cifar_files_is_named() {
        let config = serde_json::json!({
            "images": { "format": "cifar", "train": "t.bin", "validation": "v.bin.gz", "test": "x.bin" },
            "labels": ["a", "b"],
        });
        let case = Case::new(config)
            .with("t.bin", &cifar(&[(0, [1; 3])])[1..])
            .with("v.bin.gz", &cifar(&[(0, [1; 3]), (2, [1; 3]), (11, [1; 3])]))
            .with("x.bin", b"");
        assert_eq!(
            case.problems(),
            [
                "t.bin: has 3072 bytes, which is no multiple of 3073, the length of a CIFAR-10 record (a label byte and \
                 3 x 32 x 32 bytes)",
                "v.bin.gz: picture 2 has label 11, but CIFAR-10 has 0 to 9",
                "x.bin: has no pictures",
                "v.bin.gz: picture 1 has label 2, out of range: labels are numbered 0 to 1",
            ]
        );
        let config = serde_json::json!({ "images": { "format": "cifar", "train": "t.bin" }, "labels": ["a", "b"] });
        let records = vec![(7, [1; 3]); 33];
        let problems = Case::new(config).with("t.bin", &cifar(&records)).problems();
        assert_eq!((problems.len(), problems[20].as_str()), (21, "(+13 more)"));
    }

    #[test]
    fn texts_are_no_pictures_and_pictures_no_texts() {
        let config = |json| serde_json::from_value::<DatasetConfig>(json).expect("well-formed");
        let seeds = Seeds::new(1);
        for json in
            [serde_json::json!({ "name": "builtin:intents" }), serde_json::json!({ "files": { "train": "a.tsv" } })]
        {
            let refused = load_images(&config(json), None, "".as_ref(), &seeds, &ImageProcessor::new(3, 2));
            let message = refused.expect_err("texts").to_string();
            assert!(message.contains("pictures"), "{message}");
        }
        for json in [
            serde_json::json!({ "name": "builtin:shapes" }),
            serde_json::json!({ "images": { "format": "cifar", "train": "t.bin" } }),
        ] {
            let message =
                crate::data::load(&config(json), None, "".as_ref(), &seeds).expect_err("pictures").to_string();
            assert!(message.contains("texts"), "{message}");
        }
    }

    #[test]
    #[ignore = "needs data sets that are not in the repository; set STRAGGLER_DATA_DIR or put them into ../shared/data"]
    fn the_cifar_subset_loads() {
        let dir = std::env::var_os("STRAGGLER_DATA_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), std::path::PathBuf::from);
        let config = serde_json::json!({
            "images": { "format": "cifar", "train": "train.bin.gz", "test": "test.bin.gz" },
            "labels_file": "labels.txt",
        });
        let config: DatasetConfig = serde_json::from_value(config).expect("well-formed");
        let processor = ImageProcessor::new(3, 32);
        let dataset =
            load_images(&config, None, &dir.join("cifar10_subset"), &Seeds::new(1), &processor).expect("sound");
        // Counts and the first records are those of the set's own README: 6,000 and 1,500 pictures.
        assert_eq!((dataset.train.len(), dataset.validation.len()), (5400, 600));
        assert_eq!(dataset.labels[9], "truck");
        let test = dataset.test.expect("given");
        assert_eq!(test.len(), 1500);
        let n = |split: &ImageSplit, label| split.labels().iter().filter(|found| **found == label).count();
        assert!((0..10).all(|label| (n(&dataset.train, label), n(&test, label)) == (540, 150)));
        assert_eq!(n(&dataset.validation, 9), 60);
    }
}
