//! The group that the others are compared with, and the differences to it.

use super::comparison::Group;
use super::error::CompareError;
use super::run::Run;
use super::settings::short_paths;
use super::statistics::{Difference, differences};

/// The group that is meant: by its name, `setting=value` of it alone, or the folder of one of its runs.
pub(super) fn find_baseline(given: &str, groups: &[Group], settings: &[String]) -> Result<usize, CompareError> {
    let is_named = |group: &Group| {
        let folder = std::path::Path::new(given).canonicalize().ok();
        let is_folder = |run: &Run| folder.is_some() && run.folder.canonicalize().ok() == folder;
        group.name == given || group.runs.iter().any(is_folder)
    };
    if let Some(index) = groups.iter().position(is_named) {
        return Ok(index);
    }
    let paths = short_paths(&settings.iter().map(String::as_str).collect::<Vec<_>>());
    let has = |group: &Group, (setting, value): (&str, &str)| {
        let at = settings.iter().position(|path| path == setting).or(paths.iter().position(|path| path == setting));
        let is_equal = |own: &str| {
            // 0 and 0.0 are the same number.
            own == value || matches!((own.parse::<f64>(), value.parse::<f64>()), (Ok(own), Ok(value)) if own == value)
        };
        at.is_some_and(|at| is_equal(&group.settings[at]))
    };
    let fitting: Vec<usize> = match given.split_once('=') {
        Some(pair) => (0..groups.len()).filter(|i| has(&groups[*i], pair)).collect(),
        None => Vec::new(),
    };
    let names = |of: &[usize]| of.iter().map(|i| groups[*i].name.clone()).collect();
    match fitting[..] {
        [only] => Ok(only),
        [] => {
            let known = names(&(0..groups.len()).collect::<Vec<_>>());
            Err(CompareError::UnknownBaseline { given: given.into(), known })
        }
        _ => Err(CompareError::AmbiguousBaseline { given: given.into(), fitting: names(&fitting) }),
    }
}

/// Pairs each group with the baseline, seed by seed.
pub(super) fn subtract(groups: &mut [Group], baseline: usize, confidence: f64, notes: &mut Vec<String>) {
    let (seeds, figures) = (groups[baseline].seeds(), groups[baseline].figures.clone());
    for (_, group) in groups.iter_mut().enumerate().filter(|(i, _)| *i != baseline) {
        let own = group.seeds();
        let n_shared = own.iter().filter(|seed| seeds.contains(seed)).count();
        if n_shared < own.len().max(seeds.len()) {
            let name = &group.name;
            notes.push(format!(
                "{name}: {n_shared} of its {} seeds are also the baseline's; only these are paired",
                own.len()
            ));
        }
        for (figure, base) in group.figures.iter_mut().zip(&figures) {
            let pair = |(seed, value): (&u64, &Option<f64>)| {
                let at = seeds.iter().position(|other| other == seed)?;
                Some(((*value)?, base.values[at]?))
            };
            let pairs: Vec<(f64, f64)> = own.iter().zip(&figure.values).filter_map(pair).collect();
            figure.difference = Difference::of(&differences(&pairs), confidence);
        }
    }
}
