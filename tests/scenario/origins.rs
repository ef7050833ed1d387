//! Diagnostics name the layer in which a value was written, in full as a terminal shows them.

use std::path::Path;

use straggler::scenario::{Input, Overrides, load};

const BASE: &str = "\
version: 1
name: base
model: { name: builtin:tiny-roberta }
dataset: { name: builtin:intents, partition: { dirichlet: { alpha: 0.3 } } }
tuning: { lora: { r: 8 } }
clients:
  total: 8
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 MB/s, latency: 60 ms } }
server: { rounds: 2, clients_per_round: 4 }
";

const FILE: &str = "\
extends: base.yaml
name: file
profiles:
  late: { server: { deadlin: 10 s, strategy: { fedbuff: { buffer_size: 2, concurrency: 90 } } } }
  sound: { clients: { networks: { lte: { uplink: 1.1 Mbps } } } }
";

fn folder(base: &str, file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("base.yaml"), base).unwrap();
    std::fs::write(folder.path().join("file.yaml"), file).unwrap();
    folder
}

/// What is wrong, with the folder left out of the paths.
fn shown(folder: &Path, profiles: &[&str], set: &[&str]) -> String {
    let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let overrides = Overrides { profiles: owned(profiles), set: owned(set) };
    let diagnostics = load(&Input::File(folder.join("file.yaml")), &overrides).expect_err("is wrong");
    diagnostics.to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn a_value_of_the_base_is_shown_in_the_base() {
    let folder = folder(BASE, FILE);
    let expected = "\
error[wrong-unit]: `clients.networks.lte.uplink`: `MB/s` is not a unit of rate; use one of bps kbps Mbps Gbps Tbps; 1.1 MB/s is `8.8 Mbps`
  --> base.yaml:9:60
   |   networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 MB/s, latency: 60 ms } }
   |                                                            ^^^^^^^^";
    assert_eq!(shown(folder.path(), &[], &[]), expected);
}

#[test]
fn every_layer_is_reported_at_once_with_its_own_place() {
    let folder = folder(BASE, FILE);
    let got = shown(folder.path(), &["late"], &["clients.totl=9", "seed=-1"]);
    let places: Vec<&str> = got.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    let expected = ["file.yaml:4:21", "base.yaml:9:60", "--set clients.totl=9", "--set seed=-1"];
    assert_eq!(places, expected, "{got}");
    assert!(got.contains("did you mean `deadline`?") && got.contains("did you mean `total`?"), "{got}");
}

#[test]
fn a_conflict_between_a_profile_and_the_base_names_both() {
    let folder = folder(&BASE.replace("1.1 MB/s", "1.1 Mbps"), &FILE.replace("deadlin:", "deadline:"));
    let got = shown(folder.path(), &["late"], &[]);
    let expected = "\
error[conflict]: `server.deadline`: is a setting of synchronous rounds, which `fedbuff` does not have
  --> file.yaml:4:31
   |   late: { server: { deadline: 10 s, strategy: { fedbuff: { buffer_size: 2, concurrency: 90 } } } }
   |                               ^^^^ help: leave it out, or write `null` in a profile
error[too-few-clients]: 90 clients at work, but `clients.total` is 8
  --> file.yaml:4 and base.yaml:7     help: raise clients.total or lower concurrency";
    assert_eq!(got, expected);
    let set = shown(folder.path(), &["sound"], &["clients.total=3"]);
    let expected = "\
error[too-few-clients]: 4 dispatches per round (4 x over_selection 1) but `clients.total` is 3
  --> base.yaml:10 and --set clients.total=3     help: raise clients.total or lower clients_per_round";
    assert_eq!(set, expected);
}

#[test]
fn a_broken_base_hides_nothing_of_the_file() {
    let folder =
        folder(&BASE.replace("{ lora: { r: 8 } }", "{ lora: { r: 8 }"), &FILE.replace("name: file", "nmae: file"));
    let got = shown(folder.path(), &[], &[]);
    let places: Vec<&str> = got.lines().filter_map(|line| line.trim().strip_prefix("--> ")).collect();
    assert_eq!(places, ["file.yaml:2:1", "base.yaml:5:9", "base.yaml:9:60"], "{got}");
    assert!(got.contains("this `{` is not closed"), "{got}");
}

#[test]
fn what_does_nothing_is_warned_about_in_one_layer_and_not_across_layers() {
    let sound = BASE.replace("1.1 MB/s", "1.1 Mbps");
    let stream = "strategy: { fedbuff: { buffer_size: 2, concurrency: 4 } }";
    let warnings = |base: &str, file: &str, profiles: &[&str], set: &[&str]| {
        let folder = folder(base, file);
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let overrides = Overrides { profiles: owned(profiles), set: owned(set) };
        let scenario = load(&Input::File(folder.path().join("file.yaml")), &overrides).unwrap();
        scenario.warnings().to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    let both = sound.replace("clients_per_round: 4", &format!("clients_per_round: 4,\n  {stream}"));
    let expected = "\
warning[no-effect]: `server.clients_per_round` is a setting of synchronous rounds, which `fedbuff` does not have
  --> base.yaml:10 and :11     help: leave it out; `concurrency` says how many clients are at work";
    assert_eq!(warnings(&both, "extends: base.yaml\n", &[], &[]), expected);
    let profile = format!("extends: base.yaml\nprofiles:\n  a: {{ server: {{ {stream} }} }}\n");
    assert_eq!(warnings(&sound, &profile, &["a"], &[]), "");
    let file = format!("extends: base.yaml\nserver: {{ {stream} }}\n");
    assert_eq!(warnings(&sound, &file, &[], &[]), "");
    assert_eq!(warnings(&both, "extends: base.yaml\n", &[], &["server.clients_per_round=3"]), "");
    assert_eq!(warnings(&sound, "extends: base.yaml\n", &[], &[]), "");

    // Rounds that wait for everybody leave nobody late; with a deadline, or where over-selection is varied, they may.
    let fold = |more: &str| format!("extends: base.yaml\nserver: {{ late_updates: fold{more} }}\n");
    let expected = "\
warning[no-effect]: `server.late_updates`: no update is late, since each round waits for all the clients that it asks
  --> file.yaml:2:25
   | server: { late_updates: fold }
   |                         ^^^^ help: add `deadline: 10 min` or `over_selection: 1.3` to `server`, or leave it out";
    assert_eq!(warnings(&sound, &fold(""), &[], &[]), expected);
    for more in [", deadline: 1 min", ", over_selection: 1.3", ", over_selection: 1"] {
        assert_eq!(warnings(&sound, &fold(more), &[], &[]), "");
    }

    let uploads = |uploads: &str| format!("extends: base.yaml\nclients: {{ uploads: {{ {uploads} }} }}\n");
    let expected = "\
warning[no-effect]: `clients.uploads.retries`: an upload that breaks off fails, and is not tried again
  --> file.yaml:2:32
   | clients: { uploads: { retries: 2 } }
   |                                ^ help: write `when_interrupted: restart` or `resume` beside it, or leave it out";
    assert_eq!(warnings(&sound, &uploads("retries: 2"), &[], &[]), expected);
    assert_eq!(warnings(&sound, &uploads("retries: 2, when_interrupted: resume"), &[], &[]), "");
}

#[test]
fn a_selection_that_has_no_choice_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.yaml");
    let warnings = |server: &str, set: &[&str]| {
        let sound = BASE.replace("1.1 MB/s", "1.1 Mbps");
        std::fs::write(&path, sound.replace("clients_per_round: 4", &format!("clients_per_round: 4, {server}")))
            .unwrap();
        let set = set.iter().map(ToString::to_string).collect();
        load(&Input::File(path.clone()), &Overrides { profiles: Vec::new(), set }).unwrap().warnings().to_string()
    };
    // 4 x 1.25 are asked.
    let five = "over_selection: 1.25, selection: { power_of_choice: { d: 5 } }";
    let told = warnings(five, &[]);
    assert!(
        told.starts_with("warning[no-effect]: `server.selection.power_of_choice.d`: 5 clients are asked at a time")
    );
    assert!(told.contains("such as 10, or `selection: weighted`"), "{told}");
    assert_eq!(warnings("over_selection: 1.25, selection: { power_of_choice: { d: 6 } }", &[]), "");
    let told = warnings("selection: { fastest_first: { candidates: 4 } }", &[]);
    assert!(told.contains("`server.selection.fastest_first.candidates`: 4 clients are asked at a time"), "{told}");
    assert_eq!(warnings("selection: fastest_first", &[]), "");
    let timing = "compute.mode=timing_only";
    let told = warnings("selection: { power_of_choice: { d: 8 } }", &[timing]);
    assert!(told.contains("`server.selection.power_of_choice`: no losses are told in a timing-only run"), "{told}");
    let told = warnings("selection: { tifl: { policy: adaptive_by_loss } }", &[timing]);
    assert!(told.contains("`server.selection.tifl.policy`: no losses are told"), "{told}");
    let told = warnings("selection: { tifl: { interval: 5 } }", &[]);
    assert!(told.contains("`server.selection.tifl.interval`: chances are dealt out anew by"), "{told}");
    // One request of an asynchronous server is for one client.
    let stream = "strategy: { fedbuff: { buffer_size: 2, concurrency: 8 } }, selection: { power_of_choice: { d: 3 } }";
    assert!(!warnings(stream, &[]).contains("`server.selection"));
}

#[test]
fn charging_by_another_clock_than_that_of_the_owners_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clocks.yaml");
    let warnings = |of_charging: &str, of_owners: &str| {
        let text = format!(
            "version: 1\nname: clocks\nmodel: {{ name: builtin:tiny-roberta }}\ndataset: {{ name: builtin:intents }}\n\
             tuning: {{ lora: {{ r: 2 }} }}\n\
             clients:\n  total: 8\n  devices:\n    phone:\n      share: 1\n      compute: {{ time_per_sample: 90 ms }}\n      \
             energy: {{ idle: 0.3 W, compute: 4 W, radio: 1.2 W }}\n      battery:\n        capacity: 15 Wh\n        \
             start_above: 0.3\n        charging: {{ power: 10 W, from: 22 h, for: 8 h{of_charging} }}\n  networks:\n    \
             lte: {{ share: 1, downlink: 5 Mbps, uplink: 1 Mbps, latency: 60 ms }}\n  availability:\n    \
             diurnal: {{ online_at_peak: 0.3, online_at_trough: 0.1, peak_at: 4 h, mean_online: 30 min{of_owners} }}\n\
             server: {{ rounds: 2, clients_per_round: 2 }}\n"
        );
        std::fs::write(&path, text).unwrap();
        let scenario = load(&Input::File(path.clone()), &Overrides::default()).unwrap();
        scenario.warnings().to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(warnings("", ""), "");
    assert_eq!(warnings(", starts_at: 720 min, time_zones: 3 h", ", starts_at: 12 h, time_zones: 3 h"), "");
    let one = warnings("", ", starts_at: 12 h");
    let message = "warning[two-clocks]: `clients.devices.phone.battery.charging.starts_at` is 0 h, but \
                   `clients.availability.diurnal.starts_at` is 12 h: clients have two times of day\n  --> clocks.yaml:16";
    assert!(
        one.starts_with(message) && one.contains(":20") && one.contains("write `starts_at: 12 h` in both"),
        "{one}"
    );
    let both = warnings(", starts_at: 3 h, time_zones: 2 h", ", starts_at: 12 h");
    assert_eq!(both.matches("warning[two-clocks]").count(), 2, "{both}");
}
