//! Mistakes in a scenario and the words that explain them, in `mistakes.txt`.
//!
//! `REFRESH=1 cargo test --test main mistakes` writes that file anew.

use std::path::Path;

use straggler::scenario::{Input, Overrides, load};

/// A right scenario; each case below changes it.
const RIGHT: &str = "\
version: 1
name: small
model: { name: builtin:tiny-roberta }
dataset:
  name: builtin:intents
  partition: { dirichlet: { alpha: 0.3 } }
tuning:
  lora: { r: 8 }
clients:
  total: 8
  devices:
    fast: { share: 0.5, compute: { flops: 100 GFLOPS, efficiency: 0.3 } }
    slow: { share: 0.5, compute: { time_per_sample: 90 ms } }
  networks:
    lte: { share: 1, downlink: 5.4 Mbps, uplink: 1.1 Mbps, latency: 60 ms }
  dropout: { during_train: 0.1 }
server:
  rounds: 2
  clients_per_round: 4
";

struct Mistake {
    name: &'static str,
    /// Texts of [`RIGHT`] and what stands in their place.
    changes: &'static [(&'static str, &'static str)],
    set: &'static [&'static str],
}

const fn edit(name: &'static str, changes: &'static [(&'static str, &'static str)]) -> Mistake {
    Mistake { name, changes, set: &[] }
}

const fn set(name: &'static str, set: &'static [&'static str]) -> Mistake {
    Mistake { name, changes: &[], set }
}

const MISTAKES: &[Mistake] = &[
    edit("unknown key with a near one", &[("clients_per_round: 4", "clients_per_ruond: 4")]),
    edit("unknown key with no near one", &[("  rounds: 2", "  rounds: 2\n  colour: blue")]),
    edit("unknown key inside a one-of", &[("{ r: 8 }", "{ r: 8, alpha: 16 }")]),
    edit("key in the wrong section", &[("  total: 8", "  total: 8\n  over_selection: 1.2")]),
    edit("lost indentation", &[("  rounds: 2\n  clients_per_round: 4", "rounds: 2\nclients_per_round: 4")]),
    edit("tab in the indentation", &[("  rounds: 2", "\trounds: 2")]),
    edit("colon without a space", &[("  rounds: 2", "  rounds:2")]),
    edit("brace not closed", &[("lora: { r: 8 }", "lora: { r: 8")]),
    edit("over-indented line", &[("  clients_per_round: 4", "    clients_per_round: 4")]),
    edit("key written twice", &[("  rounds: 2", "  rounds: 2\n  rounds: 3")]),
    edit("missing required key", &[("  rounds: 2\n", "")]),
    edit("missing section", &[("tuning:\n  lora: { r: 8 }\n", "")]),
    edit("empty value of a required key", &[("rounds: 2", "rounds:")]),
    edit("text for a whole number", &[("rounds: 2", "rounds: ten")]),
    edit("negative number", &[("rounds: 2", "rounds: -1")]),
    edit("fraction for a whole number", &[("rounds: 2", "rounds: 2.5")]),
    edit("quoted number", &[("rounds: 2", "rounds: \"2\"")]),
    edit("number too large", &[("rounds: 2", "rounds: 5000000000")]),
    edit("map for a number", &[("rounds: 2", "rounds: { first: 2 }")]),
    edit("value for a map", &[("  dropout: { during_train: 0.1 }", "  dropout: 0.1")]),
    edit("no unit", &[("latency: 60 ms", "latency: 60")]),
    edit("bytes for a rate", &[("downlink: 5.4 Mbps", "downlink: 10 MB/s")]),
    edit("bits with a slash", &[("downlink: 5.4 Mbps", "downlink: 10 Mb/s")]),
    edit("bits for a size", &[("share: 0.5, compute: { time", "share: 0.5, memory: 10 Mb, compute: { time")]),
    edit("unit in the wrong case", &[("100 GFLOPS", "100 gflops")]),
    edit("unit of another kind", &[("latency: 60 ms", "latency: 60 Mbps")]),
    edit("unknown choice", &[("dirichlet: { alpha: 0.3 }", "dirichlet_mix: { alpha: 0.3 }")]),
    edit("unknown choice written bare", &[("partition: { dirichlet: { alpha: 0.3 } }", "partition: idd")]),
    edit("bare choice that needs settings", &[("partition: { dirichlet: { alpha: 0.3 } }", "partition: dirichlet")]),
    edit("two choices", &[("  lora: { r: 8 }", "  lora: { r: 8 }\n  head: {}")]),
    edit("no choice", &[("tuning:\n  lora: { r: 8 }", "tuning: {}")]),
    edit("unknown word", &[("  dropout:", "  train: { optim: adam }\n  dropout:")]),
    edit("natural clients of generated rows", &[("{ dirichlet: { alpha: 0.3 } }", "{ by_column: { column: user } }")]),
    edit("no column of natural clients", &[("partition: { dirichlet: { alpha: 0.3 } }", "partition: by_column")]),
    edit("partition file that is not there", &[("{ dirichlet: { alpha: 0.3 } }", "{ file: parts.csv }")]),
    edit("partition file without a name", &[("partition: { dirichlet: { alpha: 0.3 } }", "partition: file")]),
    edit("sweep over no values", &[("tuning:", "sweep: { matrix: { server.rounds: [] } }\ntuning:")]),
    edit("no repeats", &[("version: 1", "version: 1\nrepeats: 0")]),
    edit("unknown version", &[("version: 1", "version: 2")]),
    edit("name that is no folder", &[("name: small", "name: a/b")]),
    edit("shares that do not sum to 1", &[("fast: { share: 0.5", "fast: { share: 0.6")]),
    edit("share above 1", &[("lte: { share: 1,", "lte: { share: 1.5,")]),
    edit(
        "more dispatches than clients",
        &[("  clients_per_round: 4", "  clients_per_round: 7\n  over_selection: 1.3")],
    ),
    edit("more updates wanted than aggregated", &[("  rounds: 2", "  rounds: 2\n  min_updates: 5")]),
    edit("over-selection below 1", &[("  rounds: 2", "  rounds: 2\n  over_selection: 0.5")]),
    edit(
        "buffer that is never full",
        &[("server:", "server:\n  strategy: { fedbuff: { buffer_size: 10, concurrency: 4 } }")],
    ),
    edit(
        "settings of an asynchronous strategy out of range",
        &[(
            "server:",
            "server:\n  strategy: { fedasync: { concurrency: 0, alpha: 2, staleness: { hinge: { a: -1 } } } }",
        )],
    ),
    edit("no rounds", &[("rounds: 2", "rounds: 0")]),
    edit("probability above 1", &[("during_train: 0.1", "during_train: 10")]),
    edit(
        "both speeds",
        &[("compute: { time_per_sample: 90 ms }", "compute: { time_per_sample: 90 ms, flops: 1 GFLOPS }")],
    ),
    edit("no speed", &[("compute: { time_per_sample: 90 ms }", "compute: {}")]),
    edit("peak speed without efficiency", &[(", efficiency: 0.3", "")]),
    edit("rate of zero", &[("uplink: 1.1 Mbps", "uplink: 0 Mbps")]),
    edit("name and files", &[("  name: builtin:intents", "  name: builtin:intents\n  files: { train: rows.tsv }")]),
    edit("unknown data set", &[("builtin:intents", "builtin:intent")]),
    edit("data set name that no hub has", &[("name: builtin:intents", "name: ./rows")]),
    edit("data set of many parts", &[("name: builtin:intents", "name: nyu-mll/glue")]),
    edit("part that the data set has not", &[("name: builtin:intents", "name: nyu-mll/glue\n  config: sst5")]),
    edit("regression task", &[("name: builtin:intents", "name: nyu-mll/glue\n  config: stsb")]),
    edit(
        "splits of a built-in data set",
        &[("name: builtin:intents", "name: builtin:intents\n  splits: { test: dev }")],
    ),
    edit("a split used twice", &[("name: builtin:intents", "name: org/rows\n  splits: { validation: a, test: a }")]),
    edit("data file that is not there", &[("name: builtin:intents", "files: { train: rows.tsv }")]),
    edit("pictures for a model of texts", &[("name: builtin:intents", "name: builtin:shapes")]),
    edit(
        "picture folder that is not there",
        &[("name: builtin:intents", "images: { format: folder, train: pictures }")],
    ),
    edit("pictures of no known format", &[("name: builtin:intents", "images: { format: png, train: pictures }")]),
    edit(
        "IDX file whose labels are not known",
        &[("name: builtin:intents", "images: { format: idx, train: digits.gz }")],
    ),
    edit(
        "texts and pictures",
        &[("  name: builtin:intents", "  name: builtin:intents\n  images: { format: cifar, train: a.bin }")],
    ),
    edit("no data set", &[("dataset:\n  name: builtin:intents\n  partition: { dirichlet: { alpha: 0.3 } }\n", "")]),
    edit("concentration of zero", &[("alpha: 0.3", "alpha: 0")]),
    edit("model that is not there", &[("builtin:tiny-roberta", "./models/roberta-base")]),
    edit("model name that no hub has", &[("builtin:tiny-roberta", "org/team/roberta-base")]),
    edit(
        "revision of a built-in model",
        &[("name: builtin:tiny-roberta", "name: builtin:tiny-roberta, revision: main")],
    ),
    edit(
        "revision that is none",
        &[("name: builtin:tiny-roberta", "name: FacebookAI/roberta-base, revision: ../main")],
    ),
    edit("directory without weights", &[("builtin:tiny-roberta", "src")]),
    edit("percent for a target", &[("tuning:", "evaluation: { target: 90 }\ntuning:")]),
    edit("unknown metric", &[("tuning:", "evaluation: { metric: auc }\ntuning:")]),
    edit("condition without a comparison", &[("tuning:", "assert: [final.accuracy]\ntuning:")]),
    edit("condition on an unknown name", &[("tuning:", "assert: [\"last.accuracy >= 0.5\"]\ntuning:")]),
    edit("shard sizes in a real run", &[("  total: 8", "  total: 8\n  num_examples: 20")]),
    edit(
        "several at once",
        &[
            ("clients_per_round: 4", "clients_per_ruond: 40"),
            ("latency: 60 ms", "latency: 60"),
            ("{ r: 8 }", "{ r: eight }"),
        ],
    ),
    edit("unknown target", &[("{ r: 8 }", "{ r: 8, target_modules: [query, c_attn] }")]),
    edit("target of another family", &[("{ r: 8 }", "{ r: 8, target_modules: [query, q_lin] }")]),
    edit(
        "target of another family, in a list of methods",
        &[("\n  lora: { r: 8 }", " [bitfit, { ia3: { target_modules: [key, v_lin], feedforward_modules: [] } }]")],
    ),
    edit("module that the model has not", &[("{ r: 8 }", "{ r: 8, modules_to_save: [classifier, pooler] }")]),
    edit("width of which nothing is left", &[("lora: { r: 8 }", "adapter: { reduction_factor: 256 }")]),
    edit("prompt of layers for texts", &[("lora: { r: 8 }", "prompt: { deep: true }")]),
    edit("head not saved", &[("{ r: 8 }", "{ r: 8, modules_to_save: [pooler] }")]),
    edit("adapter of no width", &[("lora: { r: 8 }", "adapter: { bottleneck_dim: 0 }")]),
    edit("adapter of two widths", &[("lora: { r: 8 }", "adapter: { bottleneck_dim: 16, reduction_factor: 48 }")]),
    edit("prefix that does not say what travels", &[("lora: { r: 8 }", "prefix: { prefix_projection: true }")]),
    edit(
        "network of a prefix that has none",
        &[("lora: { r: 8 }", "prefix: { travels: mlp, encoder_hidden_size: 64 }")],
    ),
    edit("empty prompt", &[("lora: { r: 8 }", "prompt: { num_virtual_tokens: 0 }")]),
    edit("feed-forward module that is no target", &[("lora: { r: 8 }", "ia3: { target_modules: [key, value] }")]),
    edit("full tuning among others", &[("\n  lora: { r: 8 }", " [full, bitfit]")]),
    edit("head among others", &[("\n  lora: { r: 8 }", " [lora, head]")]),
    edit("one method twice", &[("\n  lora: { r: 8 }", " [{ lora: { r: 8 } }, { lora: { r: 0 } }]")]),
    edit("unknown method in a list", &[("\n  lora: { r: 8 }", " [lora, bitfits]")]),
    edit("list in a list", &[("\n  lora: { r: 8 }", " [lora, [bitfit]]")]),
    edit("empty list of methods", &[("\n  lora: { r: 8 }", " []")]),
    edit("prompt that leaves no room for a text", &[("lora: { r: 8 }", "prompt: { num_virtual_tokens: 64 }")]),
    edit(
        "prefix and prompt that leave no room for a text",
        &[(
            "\n  lora: { r: 8 }",
            " [{ prefix: { num_virtual_tokens: 30 } }, lora, { prompt: { num_virtual_tokens: 34 } }]",
        )],
    ),
    edit(
        "full tuning of an encoder in 16 bits",
        &[("name: builtin:tiny-roberta", "name: builtin:tiny-roberta, dtype: bf16"), ("lora: { r: 8 }", "full: {}")],
    ),
    edit(
        "a trained matrix of an encoder in 16 bits",
        &[
            ("name: builtin:tiny-roberta", "name: builtin:tiny-roberta, dtype: bf16"),
            ("{ r: 8 }", "{ r: 8, modules_to_save: [classifier, intermediate] }"),
        ],
    ),
    edit(
        "dropout of all, and what is all in 32 bits",
        &[("  total: 8", "  total: 8\n  train: { dropout: 1.0 }"), ("{ r: 8 }", "{ r: 8, lora_dropout: 0.99999999 }")],
    ),
    edit("adapter that is not there", &[("tuning:", "init: results/gone\ntuning:")]),
    edit("tensors trained twice", &[("\n  lora: { r: 8 }", " [{ lora: { bias: all } }, bitfit]")]),
    edit(
        "sections that cannot be read beside others that are wrong",
        &[
            ("lora: { r: 8 }", "lora: { r: 8"),
            ("latency: 60 ms", "latency: 60"),
            ("  rounds: 2\n", "  rounds:2\n"),
            ("name: builtin:intents", "nam: builtin:intents"),
        ],
    ),
    edit("bracket not closed in a list", &[("{ r: 8 }", "{ r: 8, target_modules: [query, value }")]),
    edit("quote not closed", &[("name: small", "name: \"small")]),
    edit("section written twice, one of them broken", &[("server:", "tuning: { head: {}\nserver:")]),
    edit("second document", &[("server:", "---\nserver:")]),
    edit("a list at the top", &[("version: 1", "- version: 1")]),
    set("set without a value", &["server.rounds"]),
    set("set of a key twice", &["clients.dropout={during_train: 0.1, during_train: 0.9}"]),
    set("no rounds between checkpoints", &["output.checkpoint_every=0"]),
    set("rank beyond counting", &["tuning.lora.r=18446744073709551615"]),
    set(
        "prefix beyond counting, timing only",
        &["compute.mode=timing_only", "tuning={prefix: {num_virtual_tokens: 18446744073709551615}}"],
    ),
    set(
        "labels beyond counting",
        &[
            "compute.mode=timing_only",
            "dataset=null",
            "clients.num_examples=10",
            "clients.sequence_length=16",
            "clients.num_labels=18446744073709551615",
        ],
    ),
    set("set of an unknown key", &["server.round=3"]),
    set("set of a wrong value", &["server.rounds=many"]),
    set("set that does not go with the file", &["clients.total=3"]),
    set("set that is no YAML", &["tuning.lora.target_modules=[query"]),
    set("timing only without sizes", &["compute.mode=timing_only", "dataset=null"]),
    set("training a shape without weights", &["model.name=shape-only:roberta-base"]),
    set(
        "a data set for a shape without a tokenizer",
        &["model.name=shape-only:roberta-base", "compute.mode=timing_only"],
    ),
    set("unknown shape", &["model.name=shape-only:gpt2"]),
    set(
        "images of another length",
        &[
            "model.name=shape-only:vit-base-patch16-224",
            "compute.mode=timing_only",
            "dataset=null",
            "clients.num_examples=100",
            "clients.num_labels=10",
            "clients.sequence_length=64",
        ],
    ),
    edit(
        "an asynchronous strategy with settings of rounds",
        &[(
            "  clients_per_round: 4",
            "  strategy: { fedbuff: { buffer_size: 2, concurrency: 4 } }\n  deadline: 5 min\n  over_selection: 1.5",
        )],
    ),
    edit(
        "more clients at work than there are",
        &[("  clients_per_round: 4", "  strategy: { fedasync: { concurrency: 40 } }")],
    ),
    edit(
        "a period of nothing",
        &[("  clients_per_round: 4", "  strategy: { semi_sync: { period: 0 s, concurrency: 4 } }")],
    ),
    edit("rounds of nobody knows how many", &[("\n  clients_per_round: 4", "")]),
    edit(
        "late updates that are all refused",
        &[("  rounds: 2", "  rounds: 2\n  late_updates: { fold: { max_staleness: 0 } }")],
    ),
    edit(
        "an extension by nothing",
        &[("  rounds: 2", "  rounds: 2\n  deadline: 5 min\n  below_min_updates: { extend: { by: 0 s } }")],
    ),
    edit(
        "an extension of no deadline",
        &[("  rounds: 2", "  rounds: 2\n  below_min_updates: { extend: { by: 30 s } }")],
    ),
    edit(
        "a period that outlasts all patience",
        &[(
            "  clients_per_round: 4",
            "  strategy: { semi_sync: { period: 1 h, concurrency: 4 } }\n  give_up_after: 10 min",
        )],
    ),
    edit(
        "a restart that outlasts all patience",
        &[("  rounds: 2", "  rounds: 2\n  restarts: [{ at: 1 min, downtime: 40 d }]")],
    ),
    edit("over-selection of millions", &[("  rounds: 2", "  rounds: 2\n  over_selection: 2000000")]),
    edit("no patience", &[("  rounds: 2", "  rounds: 2\n  give_up_after: 0 s")]),
    edit(
        "a restart during a restart",
        &[(
            "  rounds: 2",
            "  rounds: 2\n  restarts:\n    - { at: 1 h, downtime: 20 min }\n    - { at: 70 min, downtime: 5 min }",
        )],
    ),
    edit(
        "an outage of a region that is not there",
        &[("  total: 8", "  total: 8\n  outages:\n    - { start: 1 h, duration: 10 min, region: north }")],
    ),
    edit(
        "a class whose outage never ends",
        &[(
            "  total: 8",
            "  total: 8\n  outages:\n    - { start: 1 h, duration: 10 min, every: 10 min, network: lte, fraction: 0 }",
        )],
    ),
    edit(
        "regions that are not all",
        &[("  total: 8", "  total: 8\n  regions:\n    north: { share: 0.5, uplink: 0 bps }")],
    ),
    edit("no crash-free moment", &[("  total: 8", "  total: 8\n  crashes: { mean_time_between: 0 s }")]),
    edit(
        "uploads without retries",
        &[("  total: 8", "  total: 8\n  uploads: { when_interrupted: resume, retries: 0 }")],
    ),
    edit(
        "uploads that are tried without end",
        &[("  total: 8", "  total: 8\n  uploads: { when_interrupted: restart, retries: 4000000000 }")],
    ),
    edit(
        "windows that overlap, end before they start, or name nobody",
        &[(
            "  total: 8",
            "  total: 8\n  availability: { trace: { file: tests/scenario/traces/availability.csv, end: loop } }",
        )],
    ),
    edit(
        "a trace that is not there",
        &[("  total: 8", "  total: 8\n  availability: { trace: { file: nowhere.csv, end: loop } }")],
    ),
    edit(
        "a trace of rates that are none",
        &[(
            "downlink: 5.4 Mbps, uplink: 1.1 Mbps,",
            "trace: { file: tests/scenario/traces/bandwidth.csv, end: hold },",
        )],
    ),
    edit(
        "a trace beside rates",
        &[(
            "downlink: 5.4 Mbps,",
            "downlink: 5.4 Mbps, trace: { file: tests/scenario/traces/bandwidth.csv, end: hold },",
        )],
    ),
    edit(
        "a table of devices with mistakes",
        &[(
            "compute: { time_per_sample: 90 ms }",
            "compute: { table: { file: tests/scenario/traces/devices.csv, assign: by_id } }",
        )],
    ),
    edit("packets that are all lost", &[("latency: 60 ms", "latency: 60 ms, packet_loss: 1.0")]),
    edit(
        "a battery without power",
        &[(
            "compute: { time_per_sample: 90 ms }",
            "compute: { time_per_sample: 90 ms }, battery: { capacity: 15 Wh, start_above: 0.3 }",
        )],
    ),
    set(
        "longer than the model's positions with its prompt",
        &[
            "compute.mode=timing_only",
            "dataset=null",
            "clients.num_examples=100",
            "clients.num_labels=10",
            "clients.sequence_length=50",
            "tuning={prompt: {num_virtual_tokens: 20}}",
        ],
    ),
    set(
        "longer than the model's positions",
        &[
            "model.name=shape-only:bert-base-uncased",
            "compute.mode=timing_only",
            "dataset=null",
            "clients.num_examples=100",
            "clients.num_labels=10",
            "clients.sequence_length=513",
        ],
    ),
];

/// The texts of the mistakes that are made in the file itself.
pub(super) fn mistaken_texts() -> impl Iterator<Item = (&'static str, String)> {
    MISTAKES.iter().filter(|mistake| mistake.set.is_empty()).map(|mistake| (mistake.name, text_of(mistake)))
}

fn text_of(mistake: &Mistake) -> String {
    mistake.changes.iter().fold(RIGHT.to_string(), |text, (from, to)| text.replacen(from, to, 1))
}

#[test]
fn every_mistake_is_explained() {
    let mut written = String::new();
    for mistake in MISTAKES {
        let overrides =
            Overrides { profiles: Vec::new(), set: mistake.set.iter().map(|set| (*set).to_string()).collect() };
        let input = Input::Embedded { name: "small.yaml".into(), text: text_of(mistake) };
        let diagnostics = load(&input, &overrides).expect_err(mistake.name);
        written += &format!("== {}\n{diagnostics}\n\n", mistake.name);
    }
    let path = Path::new("tests/scenario/mistakes.txt");
    if std::env::var_os("REFRESH").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    for (got, wanted) in written.split("== ").zip(expected.split("== ")) {
        assert_eq!(got, wanted);
    }
    assert_eq!(written, expected);
}

#[test]
fn what_takes_more_memory_than_any_machine_has_is_told_at_its_setting() {
    // 2²⁴ is the largest width: maps of 2 layers with two adapters of some 128 inputs and outputs and three copies make more
    // than 200 GB; of clients, 4.3 thousand million with 64 bytes each make 275 GB.
    // A network of a prefix with 2²⁴ inputs and outputs makes 2⁴⁸ numbers, more than 10¹⁵ bytes: its values are drawn for a
    // data set also when nothing is trained.
    let network = "tuning={prefix: {prefix_projection: true, travels: mlp, embedding_size: 16777216, \
                   encoder_hidden_size: 16777216}}";
    for (settings, at) in [
        (&["tuning={adapter: {bottleneck_dim: 16777216}}"][..], "`tuning`"),
        (&["clients.total=4294967295"], "`clients.total`"),
        (&[network, "compute.mode=timing_only"], "`tuning`"),
    ] {
        let input = Input::Embedded { name: "small.yaml".into(), text: RIGHT.into() };
        let set = settings.iter().map(ToString::to_string).collect();
        let problems = load(&input, &Overrides { profiles: Vec::new(), set }).expect_err(at);
        let found = problems.list().iter().find(|problem| problem.code() == "memory").expect(at);
        assert!(found.message().starts_with(&format!("{at}: takes ")), "{problems}");
        assert!(found.message().contains(" of memory or more, and ") && found.remedy().is_some(), "{problems}");
        assert!(problems.lacks_only_features(), "with more memory it would do: {problems}");
    }
}

#[test]
fn the_scenario_that_the_mistakes_start_from_is_right() {
    let input = Input::Embedded { name: "small.yaml".into(), text: RIGHT.into() };
    let loaded = load(&input, &Overrides::default());
    assert!(loaded.is_ok(), "{}", loaded.expect_err("was just seen to fail"));
}
