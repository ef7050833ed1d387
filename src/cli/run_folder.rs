//! Finds the folder of a run or of a sweep by what the user calls it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, Exit};
use crate::report::html;

/// Which run.
#[derive(Debug, Clone, Args)]
pub(super) struct RunFolder {
    /// The folder of a run, one that holds runs, or the name of a scenario (its newest run)
    #[arg(value_name = "RUN")]
    pub(super) run: PathBuf,
    /// Where runs are looked up by name
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
}

impl RunFolder {
    /// The folder of the run.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn find(&self) -> Result<PathBuf, CliError> {
        let found = self.find_any()?;
        if is_run(&found) {
            return Ok(found);
        }
        let message = format!("`{}` is the folder of a sweep, not of a run", found.display());
        let help =
            format!("give one of its runs, such as {}", found.join("cells").join("CELL").join("seed-1").display());
        Err(CliError::new(Exit::BadInput, "not-a-run", message).help(help))
    }

    /// The folder of the run or of the sweep.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn find_any(&self) -> Result<PathBuf, CliError> {
        let by_name = self.results.join(&self.run);
        let place = match self.run.exists() || self.run.components().count() > 1 || !by_name.is_dir() {
            true => self.run.clone(),
            false => by_name,
        };
        if !place.exists() {
            let message = format!("there is no run `{}`", self.run.display());
            return Err(CliError::new(Exit::BadInput, "no-such-run", message).help(self.known()));
        }
        if !place.is_dir() {
            let message = format!("`{}` is a file, not the folder of a run", place.display());
            let help = "give the folder that holds rounds.csv and timeline.csv";
            return Err(CliError::new(Exit::BadInput, "not-a-run", message).help(help));
        }
        if is_either(&place) {
            return Ok(place);
        }
        newest(&place).ok_or_else(|| {
            let message = format!("`{}` is not the folder of a run: it has no rounds.csv", place.display());
            CliError::new(Exit::BadInput, "not-a-run", message).help(self.known())
        })
    }

    /// What could have been meant.
    fn known(&self) -> String {
        let mut names: Vec<_> = folders(&self.results)
            .into_iter()
            .filter(|folder| is_either(folder) || newest(folder).is_some())
            .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
            .collect();
        names.sort();
        let results = self.results.display();
        match names.is_empty() {
            true => {
                format!("give the folder of a run, such as the one that `straggler run` prints; `{results}` holds none")
            }
            false => format!("give the folder of a run, or one of these names of `{results}`: {}", names.join(", ")),
        }
    }
}

fn is_run(folder: &Path) -> bool {
    folder.join("rounds.csv").is_file()
}

fn is_either(folder: &Path) -> bool {
    is_run(folder) || html::is_sweep(folder)
}

/// The newest run in a folder of runs: the one that `latest` links to, or the last by name, which begins with the time.
fn newest(folder: &Path) -> Option<PathBuf> {
    let latest = folder.join("latest");
    let is_latest = is_either(&latest);
    if is_latest && let Ok(target) = fs::read_link(&latest) {
        // The run itself, so that what is written names it.
        return Some(folder.join(target));
    }
    // A `latest` that is no link was copied, and may be older than what was run since.
    let newest = folders(folder).into_iter().filter(|run| is_either(run) && is_stamped(run)).max();
    newest.or(is_latest.then_some(latest))
}

/// True for names such as `20261120T190332Z-1a2b`.
fn is_stamped(run: &Path) -> bool {
    let name = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.split_once("Z-")
        .is_some_and(|(stamp, _)| stamp.len() == 15 && stamp.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T'))
}

fn folders(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(run: &Path, results: &Path) -> String {
        RunFolder { run: run.into(), results: results.into() }.find().unwrap_err().to_string()
    }

    #[test]
    fn a_run_is_found_by_its_folder_the_folder_of_runs_and_its_name() {
        let results = tempfile::tempdir().unwrap();
        let runs = results.path().join("demo");
        for name in ["20260101T000000Z-aaaa", "20260102T000000Z-bbbb", "notes"] {
            fs::create_dir_all(runs.join(name)).unwrap();
            fs::write(runs.join(name).join("rounds.csv"), "").unwrap();
        }
        let find = |run: &Path| RunFolder { run: run.into(), results: results.path().into() }.find().unwrap();
        let newest = runs.join("20260102T000000Z-bbbb");
        assert_eq!(find(&newest), newest);
        assert_eq!(find(&runs), newest);
        assert_eq!(find(Path::new("demo")), newest);
        fs::create_dir(runs.join("latest")).unwrap();
        fs::write(runs.join("latest/rounds.csv"), "").unwrap();
        assert_eq!(find(Path::new("demo")), newest, "a copy of some earlier run");
        fs::remove_dir_all(runs.join("latest")).unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("20260101T000000Z-aaaa", runs.join("latest")).unwrap();
            assert_eq!(find(Path::new("demo")), runs.join("20260101T000000Z-aaaa"));
        }
    }

    #[test]
    fn what_is_no_run_is_refused_with_what_there_is() {
        let results = tempfile::tempdir().unwrap();
        let folder = results.path().join("demo");
        fs::create_dir_all(&folder).unwrap();
        assert!(message(Path::new("x"), results.path()).contains("holds none"));
        fs::write(folder.join("rounds.csv"), "").unwrap();
        let unknown = message(Path::new("dmeo"), results.path());
        assert!(
            unknown.starts_with("error[no-such-run]: there is no run `dmeo`") && unknown.ends_with(": demo"),
            "{unknown}"
        );
        let file = message(&folder.join("rounds.csv"), results.path());
        assert!(file.contains("is a file, not the folder of a run"), "{file}");
        let empty = tempfile::tempdir().unwrap();
        fs::write(folder.join("sweep.lock.yaml"), "").unwrap();
        fs::remove_file(folder.join("rounds.csv")).unwrap();
        let sweep = message(&folder, results.path());
        assert!(sweep.contains("is the folder of a sweep, not of a run") && sweep.contains("seed-1"), "{sweep}");
        let message = message(empty.path(), results.path());
        assert!(message.starts_with("error[not-a-run]") && message.contains("it has no rounds.csv"), "{message}");
    }
}
