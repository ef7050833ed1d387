//! Everything that the files of one run tell, read once for its figures and its page.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::chronicle::Chronicle;
use super::read::{Tail, client_rows, rounds_file, timeline_rows};
use super::{ClientRow, ReportError, RoundsFile, Summary};
use crate::units::SimDuration;

/// What clients of one device class and one network class came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ClassSums {
    pub(super) clients: u64,
    pub(super) selected: u64,
    pub(super) completed: u64,
    pub(super) dropped: u64,
    pub(super) late: u64,
    pub(super) download: SimDuration,
    pub(super) train: SimDuration,
    pub(super) upload: SimDuration,
    /// Sum over those whose availability is known, and how many they are.
    pub(super) availability: f64,
    pub(super) n_availabilities: u64,
}

/// What a client is: the names of its device class, its network class, and of its region where there are regions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClassNames {
    pub(super) device: String,
    pub(super) network: String,
    pub(super) region: Option<String>,
}

/// What `clients.csv` comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct People {
    pub(super) clients: u64,
    pub(super) classes: BTreeMap<ClassNames, ClassSums>,
    /// How many clients were asked so many times.
    pub(super) times_asked: BTreeMap<u32, u64>,
    /// Classes of the clients that are named on the page.
    pub(super) named: BTreeMap<u32, ClassNames>,
}

impl People {
    fn take(&mut self, row: &ClientRow, wanted: &BTreeSet<u32>) {
        self.clients += 1;
        *self.times_asked.entry(row.selected).or_default() += 1;
        let class = ClassNames {
            device: row.device_class.to_string(),
            network: row.network_class.to_string(),
            region: row.region.as_deref().map(str::to_owned),
        };
        if wanted.contains(&row.client_id) {
            self.named.insert(row.client_id, class.clone());
        }
        let sums = self.classes.entry(class).or_default();
        sums.clients += 1;
        sums.selected += u64::from(row.selected);
        sums.completed += u64::from(row.completed);
        sums.dropped += u64::from(row.dropped);
        sums.late += u64::from(row.late);
        sums.download += row.download;
        sums.train += row.train;
        sums.upload += row.upload;
        sums.availability += row.availability.unwrap_or(0.0);
        sums.n_availabilities += u64::from(row.availability.is_some());
    }
}

/// A run as its files tell it.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) rounds: RoundsFile,
    /// `None` when the run did not come to its end.
    pub(super) summary: Option<Summary>,
    /// The text of `scenario.lock.yaml`.
    pub(super) lock: Option<String>,
    pub(super) chronicle: Option<Chronicle>,
    pub(super) people: Option<People>,
    /// Names of files that are not there.
    pub(super) missing: Vec<&'static str>,
}

impl Story {
    /// Reads the folder of a run. Only `rounds.csv` must be there; without a `summary.json` the run was killed, and the
    /// last row of each file may be cut.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub(super) fn read(directory: &Path) -> Result<Self, ReportError> {
        let mut missing = Vec::new();
        let text = optional_text(directory, "summary.json", &mut missing)?;
        let summary = text.map(|text| parse_summary(&directory.join("summary.json"), &text)).transpose()?;
        let tail = if summary.is_some() { Tail::Whole } else { Tail::MayBeCut };
        let lock = optional_text(directory, "scenario.lock.yaml", &mut missing)?;
        let path = directory.join("rounds.csv");
        let is_unwritten = summary.is_none() && path.metadata().is_ok_and(|file| file.len() == 0);
        let rounds = match is_unwritten {
            true => RoundsFile { metric: String::new(), rows: Vec::new() },
            false => rounds_file(&path, tail)?,
        };
        let path = directory.join("timeline.csv");
        let chronicle = match is_there(&path, "timeline.csv", &mut missing) {
            true => Some(Chronicle::read(timeline_rows(&path, tail)?, &rounds.rows)?),
            false => None,
        };
        let path = directory.join("clients.csv");
        let people = match is_there(&path, "clients.csv", &mut missing) {
            true => Some(read_people(&path, tail, chronicle.as_ref())?),
            false => None,
        };
        Ok(Self { rounds, summary, lock, chronicle, people, missing })
    }

    /// The classes of a client, where they are known.
    pub(super) fn class_of(&self, client_id: u32) -> Option<&ClassNames> {
        self.people.as_ref()?.named.get(&client_id)
    }
}

fn read_people(path: &Path, tail: Tail, chronicle: Option<&Chronicle>) -> Result<People, ReportError> {
    let paths = chronicle.iter().flat_map(|chronicle| &chronicle.paths);
    let wanted = paths.flat_map(|path| &path.legs).filter_map(|leg| leg.client_id).collect();
    let mut people = People::default();
    for row in client_rows(path, tail)? {
        people.take(&row?, &wanted);
    }
    Ok(people)
}

/// True when a file is there and not empty: a killed run leaves files to which nothing was written.
fn is_there(path: &Path, name: &'static str, missing: &mut Vec<&'static str>) -> bool {
    let is_there = path.metadata().is_ok_and(|file| file.len() > 0);
    if !is_there {
        missing.push(name);
    }
    is_there
}

fn optional_text(
    directory: &Path,
    name: &'static str,
    missing: &mut Vec<&'static str>,
) -> Result<Option<String>, ReportError> {
    let path = directory.join(name);
    if !path.exists() {
        missing.push(name);
        return Ok(None);
    }
    std::fs::read_to_string(&path).map(Some).map_err(ReportError::read(&path))
}

fn parse_summary(path: &Path, text: &str) -> Result<Summary, ReportError> {
    serde_json::from_str(text).map_err(|error| ReportError::Malformed {
        path: path.into(),
        line: error.line() as u64,
        message: error.to_string(),
    })
}
