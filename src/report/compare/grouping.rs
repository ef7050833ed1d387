//! Which runs form a group, and what the groups are called.

use super::folder::LeftOut;
use super::run::Run;
use super::settings::{Differing, short_paths};

/// Runs that differ by seed only, in the order in which they were found.
pub(super) fn group(runs: Vec<Run>, metric: Option<&str>, left_out: &mut Vec<LeftOut>) -> Vec<Vec<Run>> {
    let mut groups: Vec<Vec<Run>> = Vec::new();
    for run in runs {
        if let (Some(own), Some(metric)) = (run.summary.metric.as_deref(), metric)
            && own != metric
        {
            let reason = format!("its metric is {own}, that of the others {metric}");
            left_out.push(LeftOut { folder: run.folder, reason });
            continue;
        }
        let Some(group) = groups.iter_mut().find(|group| group[0].scenario == run.scenario) else {
            groups.push(vec![run]);
            continue;
        };
        match group.iter().find(|other| other.seed() == run.seed()) {
            Some(other) => {
                let reason = format!("it repeats `{}`: the same scenario and seed", other.folder.display());
                left_out.push(LeftOut { folder: run.folder, reason });
            }
            None => group.push(run),
        }
    }
    for group in &mut groups {
        group.sort_by_key(Run::seed);
    }
    groups
}

/// Most settings that a group is named after.
const NAMED_MAX: usize = 4;

/// What tells the groups apart.
pub(super) fn names(groups: &[Vec<Run>], differing: &[Differing]) -> Vec<String> {
    let alone = |names: &[Option<String>]| {
        let whole: Option<Vec<String>> = names.iter().cloned().collect();
        whole.filter(|names| (1..names.len()).all(|i| !names[..i].contains(&names[i])))
    };
    let of_all = |of: &dyn Fn(&Run) -> Option<String>| {
        let of_group =
            |runs: &Vec<Run>| of(&runs[0]).filter(|name| runs.iter().all(|run| of(run).as_ref() == Some(name)));
        alone(&groups.iter().map(of_group).collect::<Vec<_>>())
    };
    if groups.len() == 1 {
        return vec![groups[0][0].summary.name.clone()];
    }
    if let Some(cells) = of_all(&|run| run.cell.clone()) {
        return cells;
    }
    let scenario = |run: &Run| Some(run.summary.name.clone());
    if (differing.is_empty() || differing.len() > NAMED_MAX)
        && let Some(names) = of_all(&scenario)
    {
        return names;
    }
    let paths = short_paths(&differing.iter().map(|one| one.path.as_str()).collect::<Vec<_>>());
    (0..groups.len())
        .map(|i| {
            let shown = paths.iter().zip(differing).take(NAMED_MAX);
            let words: Vec<String> = shown.map(|(path, one)| format!("{path}={}", one.values[i])).collect();
            match differing.len() > NAMED_MAX {
                // Too many settings to tell: the folder is the shortest thing that is certain to differ.
                true => groups[i][0].folder.display().to_string(),
                false => words.join(","),
            }
        })
        .collect()
}
