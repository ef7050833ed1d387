//! The short summary at the end of a run.

use std::path::Path;

use super::Summary;

/// The text that ends a run.
pub fn summary_text(summary: &Summary, directory: &Path) -> String {
    format!("{} {}", summary.name, directory.display())
}
