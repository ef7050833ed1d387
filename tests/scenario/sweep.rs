//! Sweeps as they are written: their cells, and the words for mistakes.

use straggler::scenario::sweep::{Sweep, SweepPart, load_sweep, read_sweep_lock};
use straggler::scenario::{Diagnostics, Input, Overrides, load};

const RIGHT: &str = "\
version: 1
name: small
seed: 7
model: { name: builtin:tiny-roberta }
tuning: lora
clients:
  total: 8
  num_examples: 20
  sequence_length: 16
  num_labels: 3
  devices: { phone: { share: 1, compute: { time_per_sample: 90 ms } } }
  networks: { lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms } }
server: { rounds: 2, clients_per_round: 4 }
compute: { mode: timing_only }
profiles:
  slow: { clients: { networks: { lte: { uplink: 100 kbps } } } }
";

fn sweep_of(section: &str, set: &[&str]) -> Result<Sweep, Diagnostics> {
    let input = Input::Embedded { name: "small.yaml".into(), text: format!("{RIGHT}{section}") };
    let set = set.iter().map(ToString::to_string).collect();
    load_sweep(&input, &Overrides { profiles: Vec::new(), set }, SweepPart::Whole, None)
}

fn names(sweep: &Sweep) -> Vec<&str> {
    sweep.cells().iter().map(|cell| cell.name()).collect()
}

#[test]
fn cells_are_all_combinations_in_the_order_of_the_matrix() {
    let section = "\
sweep:
  matrix: { server.rounds: [2, 4], tuning: [bitfit, { lora: { r: 2 } }, { lora: { r: 4 } }] }
  exclude: [{ server.rounds: 4, tuning: bitfit }]
  include: [{ server.rounds: 9, server.deadline: 10 min }]
  seeds: 3..5
";
    let sweep = sweep_of(section, &[]).unwrap();
    assert_eq!(sweep.settings(), ["server.rounds", "tuning", "server.deadline"]);
    assert_eq!(sweep.seeds(), [3, 4, 5]);
    assert_eq!(
        names(&sweep),
        [
            "rounds=2,tuning=bitfit",
            "rounds=2,tuning=lora-r-2",
            "rounds=2,tuning=lora-r-4",
            "rounds=4,tuning=lora-r-2",
            "rounds=4,tuning=lora-r-4",
            "rounds=9,deadline=10min"
        ]
    );
    assert_eq!(sweep.cells()[5].values(), ["9", "", "10 min"]);
    let last = sweep.cells()[5].scenario(4, 1, 2);
    assert_eq!((last.rounds(), last.seed(), last.repeats()), (9, 4, 1));
    assert_eq!(last.deadline().map(|deadline| deadline.to_string()), Some("10 min".into()));
    assert_eq!(sweep.cells()[2].scenario(3, 1, 1).tuning().key(), "lora");
}

#[test]
fn profiles_can_be_swept_and_lists_changed_from_the_command_line() {
    let section = "sweep: { matrix: { profile: [null, slow], server.rounds: [2, 3] }, repeats: 2 }\n";
    let sweep = sweep_of(section, &["sweep.matrix.server.rounds=[5]", "clients.total=9"]).unwrap();
    assert_eq!(names(&sweep), ["profile=null,rounds=5", "profile=slow,rounds=5"]);
    assert_eq!(sweep.seeds(), [7, 8]);
    let uplink = |cell: usize| {
        let scenario = sweep.cells()[cell].scenario(7, 1, 1);
        assert_eq!((scenario.rounds(), scenario.n_clients()), (5, 9));
        serde_json::to_value(&scenario.network_classes()["lte"]).unwrap()["uplink"].clone()
    };
    assert_eq!((uplink(0), uplink(1)), ("1.1 Mbps".into(), "100 kbps".into()));
    // A plain run leaves the matrix aside.
    let input = Input::Embedded { name: "small.yaml".into(), text: format!("{RIGHT}{section}") };
    assert_eq!(load(&input, &Overrides::default()).unwrap().rounds(), 2);
}

#[test]
fn a_lock_reads_back_as_the_same_sweep_and_tells_changes() {
    let section = "sweep: { matrix: { server.rounds: [2, 3] }, seeds: [1, 2] }\n";
    let sweep = sweep_of(section, &["compute.workers=3"]).unwrap();
    let lock = sweep.to_lock_yaml();
    let again = read_sweep_lock(&lock).unwrap();
    assert_eq!(again.to_lock_yaml(), lock);
    assert_eq!((names(&again), again.seeds(), again.settings()), (names(&sweep), sweep.seeds(), sweep.settings()));
    // The number of threads decides nothing.
    assert_eq!(again.difference(&sweep_of(section, &["compute.workers=9"]).unwrap()), None);
    let other = |section: &str, set: &[&str]| again.difference(&sweep_of(section, set).unwrap()).unwrap();
    assert_eq!(other(section, &["clients.total=9"]), "in cell `rounds=2`, `clients.total` is 8, not 9");
    assert_eq!(other(section, &["sweep.seeds=[1]"]), "its seeds are 1 2, not 1");
    assert_eq!(
        other(section, &["sweep.matrix.server.rounds=[2, 4]"]),
        "it has a cell `rounds=3`, which is not asked for"
    );
    assert_eq!(other(section, &["sweep.matrix.server.rounds=[2, 3, 4]"]), "it has no cell `rounds=4`");
    assert_eq!(other(section, &["sweep.matrix.server.rounds=[3, 2]"]), "its cells have another order");
    assert_eq!(other(section, &["name=other"]), "it is of `small`, not of `other`");
    let changed = read_sweep_lock(&lock.replace("rounds: 3", "rounds: 30")).unwrap_err().to_string();
    assert_eq!(changed, "it was changed since it was written");
    assert!(read_sweep_lock("name: x\n").unwrap_err().to_string().starts_with("it is no lock of a sweep"));
}

#[test]
fn mistakes_are_explained_at_their_line() {
    let told = |section: &str, set: &[&str]| match sweep_of(section, set) {
        Ok(_) => panic!("{section} is wrong"),
        Err(problems) => problems.to_string(),
    };
    let matrix = |axes: &str| told(&format!("sweep:\n  matrix:\n{axes}"), &[]);
    assert_eq!(
        matrix("    server.ruonds: [1, 2]\n"),
        "\
error[unknown-key]: unknown field `ruonds` in `server`
  --> small.yaml:19:5
   |     server.ruonds: [1, 2]
   |     ^^^^^^^^^^^^^ did you mean `server.rounds`?"
    );
    assert_eq!(
        matrix("    server.rounds: []\n"),
        "\
error[empty-list]: `server.rounds` has no values, so there would be no cells
  --> small.yaml:19:5
   |     server.rounds: []
   |     ^^^^^^^^^^^^^ help: list the values to try, or remove the line"
    );
    assert_eq!(
        matrix("    server.rounds: [1, many]\n"),
        "\
error[wrong-type]: `server.rounds` must be a whole number, 0 or more, not `many` (cell rounds=many)
  --> small.yaml:19:24
   |     server.rounds: [1, many]
   |                        ^^^^"
    );
    // Two settings that do not go together in one cell alone.
    let few = matrix("    clients.total: [8, 3]\n    server.rounds: [1, 2]\n");
    assert!(few.contains("but `clients.total` is 3 (cell total=3,rounds=1 and 1 more)"), "{few}");
    assert!(few.contains("small.yaml:13 and :19"), "{few}");
    // What is wrong with the scenario itself is told once.
    let base = told("sweep: { matrix: { server.rounds: [1, 2] } }\n", &["clients.total=many"]);
    assert_eq!(base.matches("error[").count(), 1, "{base}");
    let cases = [
        ("sweep: [1]\n", "wrong-type]: `sweep` must be a map of settings, not a list"),
        ("sweep: { matirx: { server.rounds: [1] } }\n", "unknown field `matirx` in `sweep`"),
        ("sweep: { matrix: { server.rounds: 3 } }\n", "must be a list of values in `sweep.matrix`, not `3`"),
        ("sweep: { matrix: { server.rounds: [3, 3.0] } }\n", "`server.rounds` has `3.0` twice"),
        ("sweep: { matrix: { seed: [1, 2] } }\n", "`seed` cannot be swept"),
        ("sweep: { matrix: { compute.workers: [1, 2] } }\n", "it decides nothing that is written to the results"),
        ("sweep: { matrix: { profile: [slow, fast] } }\n", "no profile is called `fast`"),
        (
            "sweep: { matrix: { server.rounds: [1] }, exclude: [{ server.round: 1 }] }\n",
            "did you mean `server.rounds`?",
        ),
        ("sweep: { matrix: { server.rounds: [1] }, exclude: [{ server.rounds: 2 }] }\n", "names no cell"),
        ("sweep: { matrix: { server.rounds: [1] }, exclude: [{ server.rounds: 1 }] }\n", "leaves no cell"),
        ("sweep: { matrix: { server.rounds: [1] }, include: [{ server.rounds: 1 }] }\n", "is a cell already"),
        ("sweep: { matrix: { server.rounds: [1] }, seeds: [4, 5, 4] }\n", "`sweep.seeds` has 4 twice"),
        ("sweep: { matrix: { server.rounds: [1] }, seeds: 9..4 }\n", "`9..4` ends before it starts"),
        ("sweep: { matrix: { server.rounds: [1] }, seeds: [] }\n", "`sweep.seeds` is empty"),
        ("sweep: { seeds: [1], repeats: 2 }\n", "both say the seeds"),
        ("repeats: 2\nsweep: { seeds: [1] }\n", "`sweep.seeds` and `repeats` both say the seeds"),
        ("repeats: 0\nsweep: { matrix: { server.rounds: [1] } }\n", "0 must be between 1 and 10000"),
        ("sweep: { repeats: 0 }\n", "`sweep.repeats` must be between 1 and 10000"),
        ("", "the scenario has no `sweep`"),
    ];
    for (section, words) in cases {
        let found = told(section, &[]);
        assert!(found.contains(words) && (section.is_empty() || found.contains("small.yaml:")), "{section}{found}");
    }
    let both = told("sweep: { matrix: { server.rounds: [1] } }\n", &["server.rounds=2"]);
    assert!(both.contains("`--set server.rounds=2` and the matrix both give `server.rounds`"), "{both}");
    // What is below a setting of the matrix would be lost with its value.
    let below = told("sweep: { matrix: { tuning: [lora, head] } }\n", &["tuning.lora.r=2"]);
    assert!(below.contains("`--set tuning.lora.r=2` and the matrix both give `tuning`"), "{below}");
    assert!(below.contains("help: change the list with `--set sweep.matrix.tuning=[…]`"), "{below}");
    assert!(sweep_of("sweep: { matrix: { tuning: [lora, head] } }\n", &["server.rounds=2"]).is_ok());
    let many = format!("    server.rounds: {0:?}\n    clients.total: {0:?}\n", (100..300).collect::<Vec<_>>());
    assert!(matrix(&many).contains("more than 10000 cells"));
}

#[test]
fn a_wrong_sweep_is_told_by_verbs_that_do_not_sweep() {
    let input = Input::Embedded {
        name: "small.yaml".into(),
        text: format!("{RIGHT}sweep: {{ matrix: {{ server.ronds: [1] }} }}\n"),
    };
    let problems = load(&input, &Overrides::default()).unwrap_err().to_string();
    assert!(problems.contains("did you mean `server.rounds`?"), "{problems}");
}

#[test]
fn every_study_with_a_matrix_is_a_sweep() {
    for (name, n_cells) in [("dropout", 4), ("bandwidth", 9), ("stragglers", 3), ("deadline", 6)] {
        let input = Input::File(format!("scenarios/study-{name}.yaml").into());
        let sweep = load_sweep(&input, &Overrides::default(), SweepPart::Whole, None);
        let sweep = sweep.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((sweep.cells().len(), sweep.seeds()), (n_cells, &[42][..]), "{name}: {:?}", names(&sweep));
    }
}
