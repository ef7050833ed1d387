//! Figures of a run, drawn as SVG from its CSV files alone: the same files give the same figures, byte for byte.
//!
//! | file | shows |
//! |---|---|
//! | `metric_over_{time,bytes,rounds}.svg` | the evaluation metric over simulated time, traffic and rounds |
//! | `loss_over_rounds.svg` | training and evaluation loss |
//! | `bytes_over_rounds.svg` | bytes moved so far, by direction, and what of them was wasted |
//! | `rounds.svg` | how long each round took and what became of its tasks |
//! | `traffic.svg` | bytes by direction, and whether they were of use |
//! | `time_spent.svg`, `critical_path.svg` | what the rounds waited for: together, and each |
//! | `clients.svg` | who did what when in the first rounds |
//! | `participation.svg` | how often clients were asked |
//! | `unused.svg` | why tasks were not used, and what they were doing then |
//! | `staleness.svg` | how stale the updates were |
//!
//! Nothing is told by colour alone: bars have textures, curves dashes and marks.
//!
//! The writer of SVG is a page of code of our own: the figures need lines, rectangles and text, and the usual
//! plotting crate has had no release for more than two years.

mod axis;
mod bars;
mod causes;
mod chart;
mod curves;
mod forest;
mod gantt;
mod learning;
mod paints;
mod rounds;
mod svg;
mod thinned;

use std::path::{Path, PathBuf};

use super::ReportError;
use super::critical_path::Leg;
use super::results::write_whole;
use super::story::Story;
pub(super) use axis::{size_unit, time_unit};
pub(super) use causes::in_stage;
pub(super) use chart::short;
pub(super) use forest::{Line, forest};
pub(super) use learning::{GROUPS_MAX, Learners, Over, learning};
pub(super) use svg::escaped;

/// Draws all figures of the run in `directory` into its `figures/` and returns their paths. A figure for which there
/// is nothing to show, such as a metric without real training, is left out.
///
/// # Errors
/// When a CSV file cannot be read or a figure cannot be written.
pub fn write_all(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    write(&Story::read(directory)?, directory)
}

/// The same for a run that has been read.
pub(super) fn write(story: &Story, directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let mut written = Vec::new();
    for (name, figure) in draw(story) {
        let path = directory.join("figures").join(format!("{name}.svg"));
        write_whole(&path, figure.as_bytes())?;
        written.push(path);
    }
    Ok(written)
}

/// The figures of a run, with the names of their files.
pub(super) fn draw(story: &Story) -> Vec<(&'static str, String)> {
    let rounds = &story.rounds;
    let chronicle = story.chronicle.as_ref();
    let paths = chronicle.map(|chronicle| &chronicle.paths[..]).unwrap_or_default();
    let figures = [
        ("metric_over_time", curves::metric_over_time(rounds)),
        ("metric_over_bytes", curves::metric_over_bytes(rounds)),
        ("metric_over_rounds", curves::metric_over_rounds(rounds)),
        ("loss_over_rounds", curves::loss_over_rounds(rounds)),
        ("bytes_over_rounds", curves::bytes_over_rounds(rounds)),
        ("traffic", chronicle.and_then(causes::traffic)),
        ("rounds", rounds::rounds(rounds)),
        ("time_spent", causes::time_spent(paths)),
        ("critical_path", causes::critical_path(paths)),
        ("clients", chronicle.and_then(|chronicle| gantt::first_rounds(chronicle.windows.first()?))),
        ("participation", story.people.as_ref().and_then(causes::participation)),
        ("unused", chronicle.and_then(causes::unused)),
        ("staleness", chronicle.and_then(causes::staleness)),
    ];
    figures.into_iter().filter_map(|(name, figure)| Some((name, figure?))).collect()
}

/// The colour of a part of a critical path, where no texture can be.
pub(super) const fn leg_colour(leg: Leg) -> &'static str {
    paints::of_leg(leg).colour
}

/// What the clients did in each of the longest rounds, longest first.
pub(super) fn longest_rounds(story: &Story) -> Vec<(u32, String)> {
    let Some(chronicle) = &story.chronicle else { return Vec::new() };
    let path_of = |round: u32| chronicle.paths.iter().find(|path| path.round == round);
    let windows = chronicle.windows.iter().filter_map(|window| Some((window.round?, window)));
    windows.filter_map(|(round, window)| Some((round, gantt::round(window, path_of(round))?))).collect()
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
                "metric_over_bytes.svg",
                "metric_over_rounds.svg",
                "loss_over_rounds.svg",
                "bytes_over_rounds.svg",
                "traffic.svg",
                "rounds.svg",
                "time_spent.svg",
                "critical_path.svg",
                "clients.svg",
                "unused.svg"
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
        assert_eq!(
            names,
            [
                "bytes_over_rounds.svg",
                "traffic.svg",
                "rounds.svg",
                "time_spent.svg",
                "critical_path.svg",
                "clients.svg",
                "unused.svg"
            ]
        );
    }
}
