//! Figures of a run, drawn as SVG from its CSV files alone: the same files give the same figures, byte for byte.
//!
//! | file | shows |
//! |---|---|
//! | `metric_over_time.svg`, `metric_over_rounds.svg` | the evaluation metric over simulated time and over rounds |
//! | `loss_over_rounds.svg` | training and evaluation loss |
//! | `bytes_over_rounds.svg` | bytes moved so far, by direction, and what of them was wasted |
//! | `rounds.svg` | how long each round took and what became of its tasks |
//! | `clients.svg` | who did what when in the first rounds |
//!
//! The writer of SVG is a page of code of our own: the figures need lines, rectangles and text, and the usual
//! plotting crate has had no release for more than two years.

mod axis;
mod chart;
mod clients;
mod curves;
mod rounds;
mod svg;

use std::path::{Path, PathBuf};

use super::read::timeline_rows;
use super::results::write_whole;
use super::{ReportError, read_rounds};

/// Draws all figures of the run in `directory` into its `figures/` and returns their paths. A figure for which there
/// is nothing to show, such as a metric without real training, is left out.
///
/// # Errors
/// When a CSV file cannot be read or a figure cannot be written.
pub fn write_all(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let rounds = read_rounds(&directory.join("rounds.csv"))?;
    let timeline = timeline_rows(&directory.join("timeline.csv"))?;
    let figures = [
        ("metric_over_time.svg", curves::metric_over_time(&rounds)),
        ("metric_over_rounds.svg", curves::metric_over_rounds(&rounds)),
        ("loss_over_rounds.svg", curves::loss_over_rounds(&rounds)),
        ("bytes_over_rounds.svg", curves::bytes_over_rounds(&rounds)),
        ("rounds.svg", rounds::rounds(&rounds)),
        ("clients.svg", clients::clients(timeline)?),
    ];
    let mut written = Vec::new();
    for (name, figure) in figures {
        if let Some(figure) = figure {
            let path = directory.join("figures").join(name);
            write_whole(&path, figure.as_bytes())?;
            written.push(path);
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run;
    use super::super::{ResultsWriter, RoundRow};
    use super::*;

    /// Writes the made-up run, changed by `change`, and draws its figures.
    fn draw(change: impl Fn(&RoundRow) -> RoundRow) -> (tempfile::TempDir, Vec<(String, String)>) {
        let out = tempfile::tempdir().unwrap();
        let mut writer = ResultsWriter::create(out.path(), "demo", "abcd", "accuracy").unwrap();
        let run = run();
        run.timeline.iter().for_each(|row| writer.record(&row.record).unwrap());
        run.rounds.iter().for_each(|row| writer.round(&change(row)).unwrap());
        writer.flush().unwrap();
        let paths = write_all(writer.directory()).unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let figures = paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect();
        (out, figures)
    }

    #[test]
    fn all_figures_are_drawn_and_the_same_each_time() {
        let (_, figures) = draw(RoundRow::clone);
        let names: Vec<_> = figures.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "metric_over_time.svg",
                "metric_over_rounds.svg",
                "loss_over_rounds.svg",
                "bytes_over_rounds.svg",
                "rounds.svg",
                "clients.svg"
            ]
        );
        for (name, figure) in &figures {
            assert!(figure.starts_with("<svg ") && figure.ends_with("</svg>\n"), "{name}");
            assert!(!figure.contains("NaN") && !figure.contains("inf"), "{name}");
        }
        assert_eq!(draw(RoundRow::clone).1, figures);
    }

    #[test]
    fn without_training_the_figures_of_the_model_are_left_out() {
        let bare = |row: &RoundRow| RoundRow { train_loss: None, eval_loss: None, eval_metric: None, ..row.clone() };
        let names: Vec<_> = draw(bare).1.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bytes_over_rounds.svg", "rounds.svg", "clients.svg"]);
    }
}
