//! The starters: one text, in which a preset fills what differs.

use clap::ValueEnum;

const TEXT: &str = include_str!("starter.yaml");

/// What a starter is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Preset {
    /// Texts in synchronous rounds
    #[default]
    Text,
    /// Pictures in synchronous rounds
    Vision,
    /// Texts with a buffered asynchronous server
    Async,
    /// Time and traffic of RoBERTa-base, without training
    Timing,
}

impl Preset {
    /// The starter, for a file that is called so.
    pub(super) fn starter(self, file: &str, name: &str) -> String {
        let parts = [
            ("about", self.about()),
            ("model", self.model()),
            ("tuning", self.tuning()),
            ("total", if self == Self::Timing { "500" } else { "20" }),
            ("examples", if self == Self::Timing { SYNTHETIC } else { "" }),
            ("flops", if self == Self::Timing { "600 GFLOPS" } else { "20 GFLOPS" }),
            ("time_per_sample", if self == Self::Timing { "900 ms" } else { "25 ms" }),
            ("server", if self == Self::Async { STREAM } else { ROUNDS }),
            ("evaluation", if self == Self::Timing { NO_EVALUATION } else { EVALUATION }),
            ("mode", if self == Self::Timing { "timing_only" } else { "real" }),
            ("assert", if self == Self::Timing { NO_ASSERT } else { ASSERT }),
            ("profiles", if self == Self::Async { SYNCHRONOUS } else { PROFILES }),
            ("file", file),
            ("name", name),
        ];
        let mut text = TEXT.to_string();
        for (key, value) in parts {
            text = text.replace(&format!("{{{{{key}}}}}"), value);
        }
        text
    }

    fn about(self) -> &'static str {
        match self {
            Self::Text => "20 phones learn to tell intents of short texts apart: synchronous rounds, LoRA.",
            Self::Vision => "20 phones learn to tell shapes apart: synchronous rounds, LoRA on a small ViT.",
            Self::Async => {
                "20 phones learn to tell intents of short texts apart: a buffered asynchronous server, LoRA."
            }
            Self::Timing => "500 phones tune RoBERTa-base: time, traffic and failures alone, nothing is trained.",
        }
    }

    fn model(self) -> &'static str {
        match self {
            Self::Text | Self::Async => {
                "\
# The encoder, which stays frozen: built in, a Hugging Face directory, or a name on the hub such as FacebookAI/roberta-base.
model: { name: builtin:tiny-roberta }

# The rows, and how they are dealt to the clients.
dataset:
  name: builtin:intents         # or a name on the hub, or `files: { train: rows.tsv }`
  max_seq_length: 32
  partition: { dirichlet: { alpha: 1.0, min_samples: 8 } }     # or iid, label_mix, shards, by_column, file
"
            }
            Self::Vision => {
                "\
# The encoder, which stays frozen: built in, a Hugging Face directory, or a name on the hub.
model: { name: builtin:tiny-vit }

# The pictures, and how they are dealt to the clients.
dataset:
  name: builtin:shapes          # or a name on the hub, or `images: { format: folder, train: pictures }`
  partition: { dirichlet: { alpha: 1.0, min_samples: 8 } }     # or iid, label_mix, shards, by_column, file
"
            }
            Self::Timing => {
                "\
# The encoder. Of shape-only: models the sizes are known and no weights are needed.
model: { name: shape-only:roberta-base }

# dataset: ...                  # rows and their partition; without one, `clients` says how many examples there are
"
            }
        }
    }

    fn tuning(self) -> &'static str {
        match self {
            Self::Vision => {
                "\
# What is trained and what travels; the classification head always is. Exactly one, or a list of them.
tuning:
  lora: { r: 8, lora_alpha: 16, target_modules: [query, value, intermediate.dense] }
"
            }
            _ => {
                "\
# What is trained and what travels; the classification head always is. Exactly one, or a list of them.
tuning:
  lora: { r: 8, lora_alpha: 16, target_modules: [query, value] }
"
            }
        }
    }
}

const SYNTHETIC: &str =
    "  num_examples: { lognormal: { median: 100, sigma: 0.8 } }     # no data set is loaded: only numbers matter
  sequence_length: 64
  num_labels: 2
";

const ROUNDS: &str = "\
# How rounds are run.
server:
  rounds: 5
  clients_per_round: 5          # updates that a round aggregates
  over_selection: 1.2           # asks 6 clients, uses the first 5 that answer
  # deadline: 5 min             # what comes later is not used
  # min_updates: 3              # with fewer at the deadline the round is recorded as failed
  strategy: { fedavg: { weighting: num_samples } }
  selection: uniform            # or weighted, round_robin, fastest_first, oort, power_of_choice, tifl";

const STREAM: &str = "\
# How models are made: every 4 updates make one, and 8 clients are at work at any time.
server:
  rounds: 6                     # models
  strategy: { fedbuff: { buffer_size: 4, concurrency: 8, max_staleness: 20 } }    # or fedasync, semi_sync
  selection: uniform            # or weighted, round_robin, fastest_first, oort, power_of_choice, tifl";

const EVALUATION: &str = "\
# How the global model is judged: on validation rows, which also choose the best round. Test rows choose nothing.
evaluation: { every: 1, metric: accuracy, target: 0.2 }";

const NO_EVALUATION: &str = "\
# How the global model is judged; nothing is, where nothing is trained.
# evaluation: { every: 1, metric: accuracy, target: 0.9 }";

const ASSERT: &str = "
# What must hold at the end; else the exit code is 4.
assert:
  - best.accuracy > 0.05
";

const NO_ASSERT: &str = "
# What must hold at the end; else the exit code is 4.
# assert: [final.accuracy >= 0.88]
";

const PROFILES: &str = "  flaky: { clients: { dropout: { during_train: 0.4 } } }
  async: { server: { clients_per_round: null, over_selection: null, strategy: { fedbuff: { buffer_size: 4, concurrency: 8 } } } }";

const SYNCHRONOUS: &str = "  flaky: { clients: { dropout: { during_train: 0.4 } } }
  rounds: { server: { clients_per_round: 4, strategy: fedavg } }";
