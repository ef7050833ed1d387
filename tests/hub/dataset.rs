//! Data sets in folders laid out as on the hub.

use std::path::Path;

use parquet::basic::Compression;
use straggler::data::{DatasetConfig, ImageDataset, ImageProcessor, TextDataset, load, load_images};
use straggler::seed::Seeds;

use super::table::{parquet, parquet_of_pictures};

fn loaded(base: &Path, settings: serde_json::Value) -> Result<TextDataset, String> {
    let config: DatasetConfig = serde_json::from_value(settings).unwrap();
    load(&config, None, base, &Seeds::new(1))
        .map_err(|error| error.to_string().replace(&base.display().to_string(), "BASE"))
}

fn texts_of(labels: &[i64]) -> Vec<(String, i64)> {
    labels.iter().enumerate().map(|(i, label)| (format!("text {i}"), *label)).collect()
}

fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = base.path().join("set").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    base
}

#[test]
fn a_folder_gives_its_splits_and_the_names_of_its_labels() {
    let names = ["zero", "1", "0"];
    let base = folder(&[
        ("train-00000-of-00002.parquet", parquet(&texts_of(&[0, 1, 2]), &names, Compression::SNAPPY)),
        ("train-00001-of-00002.parquet", parquet(&texts_of(&[2, 1, 0]), &names, Compression::UNCOMPRESSED)),
        ("dev.csv", b"label,text\nzero,a\n1,b\n".to_vec()),
        ("test.jsonl", b"{\"text\": \"c\", \"label\": 2}\n".to_vec()),
    ]);
    let set = loaded(base.path(), serde_json::json!({ "name": "set" })).unwrap();
    assert_eq!((set.name.as_str(), set.labels), ("set", names.map(String::from).to_vec()));
    // Stored numbers are numbers, whatever the names look like.
    assert_eq!(set.train.iter().map(|row| row.label).collect::<Vec<_>>(), [0, 1, 2, 2, 1, 0]);
    assert_eq!(set.train[4].text, "text 1");
    assert_eq!(set.validation.iter().map(|row| row.label).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(set.test.unwrap()[0].label, 2);
}

#[test]
fn files_that_are_left_out_are_told() {
    let csv = || b"label,text\nno,a\nyes,b\nno,c\nyes,d\n".to_vec();
    let base = folder(&[("train/a.csv", csv()), ("test/a.csv", csv()), ("extra.csv", csv())]);
    let set = loaded(base.path(), serde_json::json!({ "name": "set", "validation_fraction": 0.5 })).unwrap();
    assert_eq!((set.train.len() + set.validation.len(), set.test.map(|rows| rows.len())), (4, Some(4)));
    assert_eq!(set.notes, ["data set `set`: not used, since the folders of other files tell their split: extra.csv"]);
}

#[test]
fn bad_parquet_rows_and_files_are_named() {
    let good = parquet(&texts_of(&[0, 1, 0, 1]), &["no", "yes"], Compression::SNAPPY);
    let base = folder(&[
        ("train.parquet", good.clone()),
        ("test.parquet", parquet(&texts_of(&[-1, 5]), &["no", "yes"], Compression::SNAPPY)),
        ("validation.parquet", good[..good.len() - 30].to_vec()),
    ]);
    let message = loaded(base.path(), serde_json::json!({ "name": "set" })).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("BASE/set/validation.parquet: cannot be read as parquet"), "{message}");
    assert_eq!(
        lines[1..],
        [
            "BASE/set/test.parquet:1: the row has no label (-1): choose splits with labels by dataset.splits",
            "BASE/set/test.parquet:2: label 5 is out of range: labels are numbered 0 to 1",
        ]
    );
    let columns = serde_json::json!({ "name": "set", "columns": { "text": "label" }, "splits": {} });
    assert!(loaded(base.path(), columns).unwrap_err().contains("is already the column"));
    let columns = serde_json::json!({ "name": "set", "columns": { "text": "idx" }, "splits": {} });
    assert!(loaded(base.path(), columns).unwrap_err().contains("train.parquet:1: `idx` is 0, not a text"));
}

/// GLUE's own shape: FedPETuning's splits without a word in the scenario, and every one of them overridden.
#[test]
fn glue_has_its_columns_labels_and_splits() {
    let csv = |n: usize, column: &str| {
        let row = |i: usize| format!("sentence number {i},{}\n", i % 2);
        format!("{column},label\n{}", (0..n).map(row).collect::<String>()).into_bytes()
    };
    let base = folder(&[]);
    let set = base.path().join("glue/cola");
    std::fs::create_dir_all(&set).unwrap();
    for (name, n) in [("train.csv", 200), ("validation.csv", 30), ("test.csv", 10)] {
        std::fs::write(set.join(name), csv(n, "sentence")).unwrap();
    }
    let glue = loaded(base.path(), serde_json::json!({ "name": "glue", "config": "cola" })).unwrap();
    // 10 % of 200; the development split is the test split
    assert_eq!((glue.train.len(), glue.validation.len(), glue.test.map(|rows| rows.len())), (180, 20, Some(30)));
    // numpy.random.RandomState(42).permutation(200)[:20], sorted
    let rows = [15, 30, 45, 56, 66, 68, 69, 78, 82, 95, 115, 128, 152, 158, 165, 170, 174, 177, 182, 186];
    let texts: Vec<String> = rows.iter().map(|row| format!("sentence number {row}")).collect();
    assert_eq!(glue.validation.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), texts);
    assert_eq!(glue.labels, ["unacceptable", "acceptable"]);
    let other = serde_json::json!({
        "name": "glue", "config": "cola", "labels": ["no", "yes"], "validation_fraction": 0.25,
        "splits": { "train": "train", "test": "test" },
    });
    let other = loaded(base.path(), other).unwrap();
    assert_eq!((other.train.len(), other.validation.len(), other.test.map(|rows| rows.len())), (150, 50, Some(10)));
    assert_eq!(other.labels, ["no", "yes"]);
}

/// A PNG of one colour.
fn png(colour: [u8; 3]) -> Option<Vec<u8>> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(4, 4, image::Rgb(colour)).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    Some(bytes.into_inner())
}

fn pictures(base: &Path, settings: serde_json::Value) -> Result<ImageDataset, String> {
    let config: DatasetConfig = serde_json::from_value(settings).unwrap();
    let processor = ImageProcessor::new(3, 2);
    load_images(&config, None, base, &Seeds::new(1), &processor)
        .map_err(|error| error.to_string().replace(&base.display().to_string(), "BASE"))
}

#[test]
fn pictures_come_out_of_parquet_files() {
    let names = ["red", "green"];
    let (red, green) = ((png([200, 0, 0]), 0), (png([0, 100, 0]), 1));
    let first = parquet_of_pictures(&[red.clone(), green.clone()], "img", &names);
    let base = folder(&[
        ("plain/train-00000-of-00002.parquet", first.clone()),
        ("plain/train-00001-of-00002.parquet", parquet_of_pictures(std::slice::from_ref(&green), "img", &names)),
        ("plain/validation-00000-of-00001.parquet", first),
        ("plain/test-00000-of-00001.parquet", parquet_of_pictures(std::slice::from_ref(&green), "img", &names)),
    ]);
    let set = pictures(base.path(), serde_json::json!({ "name": "set", "config": "plain" })).unwrap();
    assert_eq!((set.name.as_str(), set.labels), ("set/plain", names.map(String::from).to_vec()));
    assert_eq!(set.train.labels(), [0, 1, 1]);
    // 2 x 2 pixels of each colour, one colour behind the other.
    assert_eq!(set.train.bytes(0), [[200; 4], [0; 4], [0; 4]].concat());
    assert_eq!(set.train.bytes(2), [[0; 4], [100; 4], [0; 4]].concat());
    assert_eq!((set.validation.labels(), set.test.unwrap().labels()), ([0, 1].as_slice(), [1].as_slice()));
    // The same pictures and labels as a folder of files has, so the same data set.
    let files = folder(&[]);
    for (name, (bytes, _)) in
        [("t/red/a", &red), ("t/green/a", &green), ("t/green/b", &green), ("v/red/a", &red), ("v/green/a", &green)]
    {
        let path = files.path().join(format!("{name}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes.as_ref().unwrap()).unwrap();
    }
    let of_files = pictures(
        files.path(),
        serde_json::json!({ "images": { "format": "folder", "train": "t", "validation": "v" }, "labels": names }),
    );
    // Folders come in the order of their names, so the red picture last.
    assert_eq!(of_files.unwrap().train.bytes(2), set.train.bytes(0));
}

#[test]
fn what_is_wrong_with_pictures_in_parquet_files_is_named() {
    let names = ["red", "green"];
    let rows = [(png([200, 0, 0]), 0), (None, 1), (Some(b"no picture".to_vec()), 1), (png([0, 100, 0]), 7)];
    let base = folder(&[
        ("train.parquet", parquet_of_pictures(&rows, "image", &names)),
        ("validation.csv", b"label,text\n0,a\n".to_vec()),
        ("test.parquet", parquet(&texts_of(&[0, 1]), &["no", "yes"], Compression::SNAPPY)),
    ]);
    let message = pictures(base.path(), serde_json::json!({ "name": "set" })).unwrap_err();
    let lines: Vec<&str> = message.lines().collect();
    let expected = [
        "BASE/set/train.parquet:2: `image` has no bytes: the picture itself is not in the file",
        "BASE/set/train.parquet:3: is no picture that can be read",
        "BASE/set/validation.csv: is not named .parquet",
        "BASE/set/test.parquet: no column holds pictures, records of `bytes` and `path` (there are: idx, text, label)",
        "BASE/set/train.parquet:4: label 7 is out of range: labels are numbered 0 to 1",
    ];
    assert_eq!(lines.len(), expected.len(), "{message}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{line}");
    }
    let wrong = |columns: serde_json::Value| {
        let settings = serde_json::json!({ "name": "set", "columns": columns, "splits": {} });
        pictures(base.path(), settings).unwrap_err()
    };
    assert!(
        wrong(serde_json::json!({ "image": "img" }))
            .contains("no column `img` (there are: image, label); set dataset.columns.image")
    );
    assert!(
        wrong(serde_json::json!({ "label": "labels" }))
            .contains("no column `labels` (there are: image, label); set dataset.columns.label")
    );
    let texts = loaded(base.path(), serde_json::json!({ "name": "set", "splits": {} })).unwrap_err();
    let remedy = "set dataset.columns.text, or name a ViT for the pictures of `image`";
    assert!(texts.contains("no column `text` (there are: image, label)") && texts.contains(remedy), "{texts}");
}
