//! What can go wrong with data.

use std::path::PathBuf;

/// Why a data set could not be loaded or encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file's content is not what was asked for. Nothing of it is used.
    #[error("{}", join_problems(problems, *more))]
    BadContent {
        /// The first problems, each naming its file and, where there is one, its line.
        problems: Vec<String>,
        /// How many further problems there are.
        more: usize,
    },
    /// The settings do not name a data set that can be had.
    #[error("{0}")]
    BadSettings(String),
    /// A model's `preprocessor_config.json` cannot be used.
    #[error("{origin}: {message}")]
    ImageProcessor {
        /// The file, or the built-in model.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// The tokenizer failed, or does not fit the settings.
    #[error("{0}")]
    Tokenizer(String),
}

fn join_problems(problems: &[String], more: usize) -> String {
    let mut text = problems.join("\n");
    if more > 0 {
        text.push_str(&format!("\n(+{more} more)"));
    }
    text
}

/// Why the training rows could not be dealt to the clients.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionError {
    /// There are not enough rows for the clients.
    #[error("{n_rows} training rows cannot give {n_clients} clients at least {rows_per_client} each; lower {settings}")]
    TooFewRows {
        /// Training rows.
        n_rows: usize,
        /// Clients.
        n_clients: usize,
        /// Rows that each client must get.
        rows_per_client: usize,
        /// The settings that decide it.
        settings: &'static str,
    },
    /// A client got nothing.
    #[error("client {client} of {n_clients} got no training rows; {remedy}")]
    EmptyShard {
        /// The first such client.
        client: usize,
        /// Clients.
        n_clients: usize,
        /// What to change.
        remedy: &'static str,
    },
    /// The data set has no columns.
    #[error("the training rows have no columns, so none of them is `{column}`; use another partition")]
    NoColumn {
        /// The setting.
        column: String,
    },
    /// There are fewer natural clients than clients.
    #[error(
        "the training rows have {n_groups} different values in column `{column}`, and there are {n_clients} clients: \
         natural clients are never cut; lower clients.total to {n_groups} or less"
    )]
    TooFewGroups {
        /// The column.
        column: String,
        /// Its different values.
        n_groups: usize,
        /// Clients.
        n_clients: usize,
    },
    /// The partition file cannot be used; every line of the text names it.
    #[error("{0}")]
    BadFile(String),
    /// No draw gave each client enough rows.
    #[error(
        "in {attempts} draws there was always a client with fewer than min_samples = {min_samples} rows \
         (at best client {client} with {best}); lower min_samples or clients.total, raise alpha, or use label_mix"
    )]
    MinSamples {
        /// Draws made.
        attempts: usize,
        /// The setting.
        min_samples: usize,
        /// The poorest client of the best draw.
        client: usize,
        /// Its rows.
        best: usize,
    },
}
