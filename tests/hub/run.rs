//! The whole program with models and data sets of the hub.

use std::path::Path;
use std::process::{Command, Output};

use parquet::basic::{Compression, ZstdLevel};

use super::server::{COMMIT, closed_port};
use super::table::{parquet, parquet_of_pictures};
use super::{Served, Server};

/// The program with a hub and caches of its own, whatever the caller's environment says.
fn straggler(endpoint: &str, home: &Path, args: &[&str]) -> Output {
    straggler_where(endpoint, home, &[], args)
}

/// The same, where more is said by the environment.
fn straggler_where(endpoint: &str, home: &Path, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_straggler"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_ascii_uppercase();
        if text.starts_with("HF_") || text.starts_with("TRANSFORMERS_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.envs(variables.iter().copied());
    command.args(args).env("NO_COLOR", "1").env("HF_ENDPOINT", endpoint).env("HF_HOME", home.join("hf"));
    command.env("STRAGGLER_CACHE", home.join("cache")).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const SCENARIO: &str = "\
version: 1
name: from-the-hub
model: { name: org/tiny-roberta }
dataset: { name: org/opinions, max_seq_length: 16, validation_fraction: 0.2 }
tuning: { lora: { r: 2 } }
clients:
  total: 4
  train: { per_device_train_batch_size: 8 }
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
server: { rounds: 1, clients_per_round: 2 }
";

fn opinions(n: usize) -> Vec<(String, i64)> {
    let row = |i: usize| match i % 2 {
        0 => (format!("the food was bad and the service slow number {i}"), 0),
        _ => (format!("the food was good and the service quick number {i}"), 1),
    };
    (0..n).map(row).collect()
}

fn tiny_roberta(name: &str) -> Vec<u8> {
    std::fs::read(Path::new("src/model/builtin/tiny-roberta").join(name)).unwrap()
}

/// A hub with a model and a data set.
fn hub() -> Server {
    let server = Server::start();
    server.add(
        "models/org/tiny-roberta",
        &[
            ("config.json", Served::small(tiny_roberta("config.json"))),
            ("model.safetensors", Served::large(tiny_roberta("model.safetensors"))),
            ("pytorch_model.bin", Served::large("not to be fetched")),
            ("tokenizer.json", Served::small(tiny_roberta("tokenizer.json"))),
        ],
    );
    let zstd = Compression::ZSTD(ZstdLevel::default());
    let names = ["negative", "positive"];
    server.add(
        "datasets/org/opinions",
        &[
            ("README.md", Served::small("# Opinions\n")),
            ("data/train-00000-of-00002.parquet", Served::large(parquet(&opinions(60), &names, Compression::SNAPPY))),
            ("data/train-00001-of-00002.parquet", Served::large(parquet(&opinions(40), &names, zstd))),
            ("data/test-00000-of-00001.parquet", Served::large(parquet(&opinions(20), &names, Compression::SNAPPY))),
        ],
    );
    server
}

/// A folder with the scenario in it.
fn folder() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("scenario.yaml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let out = folder.path().join("results").to_str().unwrap().to_string();
    (folder, scenario.to_str().unwrap().to_string(), out)
}

#[test]
fn a_model_and_a_data_set_are_fetched_and_run_and_the_lock_repeats_it_offline() {
    let server = hub();
    let (folder, scenario, out) = folder();
    let fetched = straggler(&server.endpoint, folder.path(), &["fetch", &scenario, "--json"]);
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    let told: serde_json::Value = serde_json::from_slice(&fetched.stdout).unwrap();
    assert_eq!(told["repositories"][0]["commit"], COMMIT);
    let names = |i: usize| serde_json::from_value::<Vec<String>>(told["repositories"][i]["files"].clone()).unwrap();
    assert_eq!(names(0), ["config.json", "tokenizer.json", "model.safetensors"]);
    assert_eq!(names(1).len(), 4);
    let n_bytes: usize = server.gets().iter().filter_map(|asked| server.length_of(&asked.path)).sum();
    assert_eq!(told["bytes"], n_bytes);
    let notes = text(&fetched.stderr);
    let announced = notes.find("to download: ").unwrap();
    assert!(announced < notes.find("model.safetensors").unwrap(), "the size comes first:\n{notes}");
    assert!(!server.asked().iter().any(|asked| asked.path.contains("pytorch_model.bin")));

    // What was fetched is enough: nobody listens here.
    let run = ["run", &scenario, "--offline", "--quiet", "--out", &out];
    let done = straggler(&closed_port(), folder.path(), &run);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let results = folder.path().join("results/from-the-hub/latest").canonicalize().unwrap();
    let lock_path = results.join("scenario.lock.yaml");
    let lock = std::fs::read_to_string(&lock_path).unwrap();
    assert_eq!(
        lock.matches(&format!("_commit: {COMMIT}")).count() + lock.matches(&format!("_commit: \"{COMMIT}\"")).count(),
        2,
        "{lock}"
    );
    assert!(lock.contains("name: org/tiny-roberta") && lock.contains("name: org/opinions"), "{lock}");
    let clients = std::fs::read_to_string(results.join("clients.csv")).unwrap();
    let n_rows: usize =
        clients.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(n_rows, 80, "100 training rows, a fifth of them held back");

    // The same is said by the environment; a port that is asked would refuse, and not be the cache's fault.
    let elsewhere = folder.path().join("elsewhere");
    let run = ["run", &scenario, "--quiet", "--out", elsewhere.to_str().unwrap()];
    let done = straggler_where(&closed_port(), folder.path(), &[("HF_HUB_OFFLINE", "1")], &run);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let summary = |results: &Path| std::fs::read(results.join("summary.json")).unwrap();
    assert_eq!(summary(&elsewhere.join("from-the-hub/latest")), summary(&results));
    let empty = tempfile::tempdir().unwrap();
    let done = straggler_where(&closed_port(), empty.path(), &[("HF_HUB_OFFLINE", "1")], &run);
    assert_eq!(done.status.code(), Some(3), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("error[hub]: offline, and the cache"), "{}", text(&done.stderr));

    // The lock's commits need no hub, and give the same bytes.
    let again = folder.path().join("again");
    let args = ["run", lock_path.to_str().unwrap(), "--quiet", "--out", again.to_str().unwrap()];
    let done = straggler(&closed_port(), folder.path(), &args);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let repeated = again.join("from-the-hub/latest").canonicalize().unwrap();
    for name in ["scenario.lock.yaml", "rounds.csv", "summary.json"] {
        assert_eq!(std::fs::read(results.join(name)).unwrap(), std::fs::read(repeated.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn pictures_of_the_hub_train_a_vit() {
    let server = hub();
    let names = ["dark", "bright"];
    let png = |i: usize| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let shade = (i * 5 % 100 + 150 * (i % 2)) as u8;
        let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([shade; 3]));
        picture.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        (Some(bytes.into_inner()), (i % 2) as i64)
    };
    let file = |n: usize| Served::large(parquet_of_pictures(&(0..n).map(png).collect::<Vec<_>>(), "img", &names));
    server.add(
        "datasets/org/shades",
        &[("data/train-00000-of-00001.parquet", file(40)), ("data/test-00000-of-00001.parquet", file(10))],
    );
    let (folder, scenario, out) = folder();
    let text_of_scenario = SCENARIO
        .replace("org/tiny-roberta", "builtin:tiny-vit")
        .replace("org/opinions, max_seq_length: 16", "org/shades");
    std::fs::write(&scenario, text_of_scenario).unwrap();
    let done = straggler(&server.endpoint, folder.path(), &["run", &scenario, "--quiet", "--out", &out]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let results = folder.path().join("results/from-the-hub/latest");
    let clients = std::fs::read_to_string(results.join("clients.csv")).unwrap();
    let n_rows: usize =
        clients.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<usize>().unwrap()).sum();
    assert_eq!(n_rows, 32, "40 training pictures, a fifth of them held back");
    // An encoder of texts finds none.
    let args = ["run", &scenario, "--set", "model.name=builtin:tiny-roberta"];
    let done = straggler(&server.endpoint, folder.path(), &args);
    assert_eq!(done.status.code(), Some(2));
    assert!(text(&done.stderr).contains("no column `text` (there are: img, label)"), "{}", text(&done.stderr));
}

#[test]
fn weights_in_pieces_are_fetched_through_their_index() {
    let server = hub();
    let whole = tiny_roberta("model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let mut names = tensors.names();
    names.sort_unstable();
    let (first, second) = names.split_at(names.len() / 2);
    let piece = |names: &[&str]| {
        let views = names.iter().map(|name| (name.to_string(), tensors.tensor(name).unwrap()));
        Served::large(safetensors::serialize(views, None).unwrap())
    };
    let pieces = [("model-00001-of-00002.safetensors", first), ("model-00002-of-00002.safetensors", second)];
    let map: serde_json::Map<String, serde_json::Value> =
        pieces.iter().flat_map(|(file, names)| names.iter().map(|name| (name.to_string(), (*file).into()))).collect();
    let index = serde_json::json!({ "metadata": {}, "weight_map": map }).to_string();
    server.add(
        "models/org/in-pieces",
        &[
            ("config.json", Served::small(tiny_roberta("config.json"))),
            ("tokenizer.json", Served::small(tiny_roberta("tokenizer.json"))),
            ("model.safetensors.index.json", Served::small(index)),
            (pieces[0].0, piece(pieces[0].1)),
            (pieces[1].0, piece(pieces[1].1)),
        ],
    );
    let (folder, scenario, out) = folder();
    let mut hashes = Vec::new();
    for name in ["model.name=org/tiny-roberta", "model.name=org/in-pieces"] {
        let args = ["run", &scenario, "--quiet", "--set", name, "--out", &out];
        let done = straggler(&server.endpoint, folder.path(), &args);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let lock = folder.path().join("results/from-the-hub/latest/scenario.lock.yaml");
        let lock = std::fs::read_to_string(lock).unwrap();
        hashes.push(lock.lines().find(|line| line.contains("model_hash")).unwrap().to_string());
    }
    assert_eq!(hashes[0], hashes[1], "the same tensors, whole or in pieces");
}

#[test]
fn what_does_not_fit_a_model_of_the_hub_is_told_before_its_weights_are_fetched() {
    let server = hub();
    let (folder, scenario, out) = folder();
    let changed = SCENARIO.replace("{ r: 2 }", "{ r: 2, target_modules: [query, q_lin] }");
    std::fs::write(&scenario, &changed).unwrap();
    assert!(straggler(&server.endpoint, folder.path(), &["validate", &scenario]).status.success(), "nobody is asked");
    let expected = "\
error[tuning]: `tuning.lora.target_modules.1`: the encoder has no linear map `q_lin`
  --> scenario.yaml:5:52
   | tuning: { lora: { r: 2, target_modules: [query, q_lin] } }
   |                                                 ^^^^^ help: use `attention.self.query`, `attention.self.key`, `attention.self.value`, `attention.output.dense`, `intermediate.dense`, `output.dense`
".replace(":52", &format!(":{}", changed.lines().nth(4).unwrap().find("q_lin").unwrap() + 1));
    // The last has the description of the model from the cache.
    for args in [&["fetch", &scenario][..], &["run", &scenario, "--out", &out], &["validate", &scenario, "--offline"]] {
        let done = straggler(&server.endpoint, folder.path(), args);
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&done.stderr).replace(&scenario, "scenario.yaml"), expected, "{args:?}");
    }
    // All that is wrong is told at once.
    let prompt =
        "tuning=[{ prompt: { num_virtual_tokens: 64 } }, { lora: { modules_to_save: [classifier, intermediate] } }]";
    let args = ["fetch", &scenario, "--set", prompt, "--set", "model.dtype=bf16"];
    let message = text(&straggler(&server.endpoint, folder.path(), &args).stderr);
    assert!(message.contains("64 virtual tokens leave no room for a text"), "{message}");
    assert!(message.contains("`model.dtype`: bf16 is for a frozen encoder"), "{message}");
    let asked: Vec<String> = server.gets().into_iter().map(|asked| asked.path).collect();
    assert!(asked.iter().any(|path| path.ends_with("/config.json")), "{asked:?}");
    assert!(!asked.iter().any(|path| path.contains("/large/") || path.contains("safetensors")), "{asked:?}");
}

#[test]
fn offline_without_a_cache_is_code_3() {
    let (folder, scenario, out) = folder();
    for args in [
        &["run", scenario.as_str(), "--offline", "--out", &out][..],
        &["fetch", &scenario, "--offline"],
        &["validate", &scenario, "--offline"],
        &["run", &scenario, "--dry-run"],
    ] {
        let done = straggler(&closed_port(), folder.path(), args);
        assert_eq!(done.status.code(), Some(3), "{args:?} {}", text(&done.stderr));
        let message = text(&done.stderr);
        assert!(
            message.contains("error[hub]: offline, and the cache") && message.contains("straggler fetch"),
            "{message}"
        );
    }
    assert!(!folder.path().join("results").exists());
}

#[test]
fn no_network_is_code_3_and_checking_needs_none() {
    let (folder, scenario, _) = folder();
    let endpoint = closed_port();
    let done = straggler(&endpoint, folder.path(), &["validate", &scenario]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let done = straggler(&endpoint, folder.path(), &["fetch", &scenario]);
    assert_eq!(done.status.code(), Some(3));
    assert!(text(&done.stderr).contains(&format!("cannot reach the hub at {endpoint}")), "{}", text(&done.stderr));
}

/// The advice to do without the network is for those who have all that they need.
#[test]
fn offline_is_advised_where_the_cache_has_everything() {
    let server = hub();
    let (folder, scenario, _) = folder();
    let fetch = |endpoint: &str, setting: &str| {
        let done = straggler(endpoint, folder.path(), &["fetch", &scenario, "--set", setting]);
        (done.status.code(), text(&done.stderr))
    };
    assert_eq!(fetch(&server.endpoint, "seed=1").0, Some(0));
    let nobody = closed_port();
    let (code, message) = fetch(&nobody, "seed=1");
    assert!(code == Some(3) && message.contains("add `--offline` to use it"), "{message}");
    // Something is in the cache, but not all that is asked for.
    let cache = folder.path().join("hf/hub/datasets--org--opinions/snapshots").join(COMMIT);
    std::fs::remove_file(cache.join("data/test-00000-of-00001.parquet")).unwrap();
    let (code, message) = fetch(&nobody, "seed=1");
    assert!(code == Some(3) && message.contains("the cache has"), "{message}");
    assert!(!message.contains("--offline"), "{message}");
    // A storage host that is away is a matter of the machine as well.
    server.put_large_files_at(&nobody);
    let blobs = folder.path().join("hf/hub/datasets--org--opinions/blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    let (code, message) = fetch(&server.endpoint, "seed=1");
    assert!(code == Some(3) && message.contains(&format!("cannot be had from {nobody}")), "{message}");
}

/// A cache that another program filled has no list of the repository's files.
#[test]
fn offline_a_cache_with_a_part_of_the_data_is_not_taken_for_the_whole() {
    let server = hub();
    let card = "---\ndataset_info:\n  splits:\n  - { name: train, num_examples: 100 }\n---\n";
    server.add("datasets/org/opinions", &[("README.md", Served::small(card))]);
    let (folder, scenario, out) = folder();
    let fetched = straggler(&server.endpoint, folder.path(), &["fetch", &scenario]);
    assert!(fetched.status.success(), "{}", text(&fetched.stderr));
    let repo = folder.path().join("hf/hub/datasets--org--opinions");
    std::fs::remove_dir_all(repo.join(".straggler")).unwrap();
    let run = || {
        let done = straggler(&closed_port(), folder.path(), &["run", &scenario, "--offline", "--quiet", "--out", &out]);
        (done.status.code(), text(&done.stderr))
    };
    let (code, message) = run();
    assert_eq!(code, Some(0), "{message}");
    let data = repo.join("snapshots").join(COMMIT).join("data");
    let piece = data.join("train-00001-of-00002.parquet");
    let content = std::fs::read(&piece).unwrap();
    std::fs::remove_file(&piece).unwrap();
    let (code, message) = run();
    assert_ne!(code, Some(0));
    assert!(message.contains("pieces of its splits are missing: data/train-00001-of-00002;"), "{message}");
    // Names that do not say how many there are: the README does.
    let first = data.join("train-00000-of-00002.parquet");
    std::fs::rename(&first, data.join("train.parquet")).unwrap();
    std::fs::rename(data.join("test-00000-of-00001.parquet"), data.join("test.parquet")).unwrap();
    let (code, message) = run();
    assert_ne!(code, Some(0));
    assert!(message.contains("the cache has 60 rows of a split that has 100 by its README"), "{message}");
    std::fs::write(data.join("more-train.parquet"), content).unwrap();
    let (code, message) = run();
    assert_eq!(code, Some(0), "{message}");
}

#[test]
fn a_name_that_the_hub_does_not_have_is_code_2() {
    let server = hub();
    let (folder, scenario, _) = folder();
    let fetch = |setting: &str| {
        let done = straggler(&server.endpoint, folder.path(), &["fetch", &scenario, "--set", setting]);
        assert_eq!(done.status.code(), Some(2), "{}", text(&done.stderr));
        text(&done.stderr)
    };
    let message = fetch("model.name=org/none");
    assert!(
        message.contains("has no model `org/none`") && message.contains("--> --set model.name=org/none"),
        "{message}"
    );
    assert!(fetch("model.revision=v9").contains("there are: main, v1.0"));
    // In a file, the line that names it; in `run` as in `fetch`.
    let text_of_scenario = SCENARIO.replace("org/opinions", "org/opinion");
    std::fs::write(&scenario, text_of_scenario).unwrap();
    let done = straggler(&server.endpoint, folder.path(), &["run", &scenario]);
    assert_eq!(done.status.code(), Some(2));
    let message = text(&done.stderr);
    assert!(message.contains("error[hub]: ") && message.contains("has no data set `org/opinion`"), "{message}");
    assert!(message.contains("scenario.yaml:4:18"), "{message}");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let message = fetch("dataset.splits={ validation: dev }");
    assert!(message.contains("no data files of split `dev`; there are: train, test"), "{message}");
    let done =
        straggler(&server.endpoint, folder.path(), &["run", &scenario, "--set", "dataset.columns={ text: sentence }"]);
    assert_eq!(done.status.code(), Some(2));
    let message = text(&done.stderr);
    assert!(
        message.contains("no column `sentence` (there are: idx, text, label); set dataset.columns.text"),
        "{message}"
    );
}

#[test]
fn a_scenario_without_names_of_the_hub_needs_nothing() {
    let (folder, ..) = folder();
    let done = straggler(&closed_port(), folder.path(), &["fetch", "quickstart"]);
    assert!(done.status.success());
    assert_eq!(text(&done.stdout), "quickstart needs nothing from the hub\n");
}
