//! Imports go strictly downward: a room may use the floors below it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Rooms by floor. `petuning` stands on `model`, `cli` on `actors`, and what a name on the hub is `hub` alone knows, although
/// they share a floor.
const FLOORS: [&[&str]; 5] = [
    &["units", "seed", "params", "registry", "collections"],
    &["sim", "hub", "data", "import", "model", "petuning", "report"],
    &["training", "strategy"],
    &["scenario"],
    &["actors", "cli"],
];
const NEIGHBOURS: [(&str, &str); 4] = [("petuning", "model"), ("cli", "actors"), ("model", "hub"), ("data", "hub")];

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

#[test]
fn imports_go_downward() {
    let mut violations = Vec::new();
    for (path, room) in sources() {
        let floor = floor_of(&room).unwrap_or_else(|| panic!("{} belongs to no room of the design", path.display()));
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for used in crate_paths(line).filter(|used| *used != room) {
                let Some(used_floor) = floor_of(&used) else { continue };
                if used_floor >= floor && !NEIGHBOURS.contains(&(&room, &used)) {
                    violations.push(format!("{}:{}: `{room}` uses `{used}`", path.display(), number + 1));
                }
            }
        }
    }
    assert!(violations.is_empty(), "imports that do not go downward:\n{}", violations.join("\n"));
}

#[test]
fn every_room_has_a_door_file() {
    for room in FLOORS.concat() {
        assert!(Path::new("src").join(format!("{room}.rs")).is_file(), "src/{room}.rs is missing");
    }
}

#[test]
fn host_time_is_asked_for_in_few_places() {
    // clippy forbids the clock; this keeps the exceptions from spreading
    let excused: Vec<PathBuf> = sources()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| std::fs::read_to_string(path).unwrap().contains("clippy::disallowed_methods"))
        .collect();
    assert!(excused.len() <= 3, "host time is read in {excused:?}");
}

#[test]
fn paths_are_found_in_lines() {
    let used: Vec<String> = crate_paths("use crate::{sim::Calendar, units::{Bytes}}; crate::data::load()").collect();
    assert_eq!(used, ["sim", "units", "data"]);
}

/// Every source file with the room that it belongs to.
fn sources() -> Vec<(PathBuf, String)> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("src")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let first = path.iter().nth(1).unwrap().to_string_lossy().replace(".rs", "");
                if first != "lib" && first != "main" {
                    found.push((path, first));
                }
            }
        }
    }
    found.sort();
    assert!(found.len() > 20, "the sources are looked for in the package root");
    found
}

/// The rooms named in a line: `crate::room`, also in braces.
fn crate_paths(line: &str) -> impl Iterator<Item = String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms: BTreeMap<usize, String> = BTreeMap::new();
    for (at, prefix) in line.match_indices("crate::") {
        let rest = &line[at + prefix.len()..];
        if !rest.starts_with('{') {
            rooms.insert(at, word(rest));
            continue;
        }
        let mut depth = 0;
        let mut is_start = false;
        for (offset, c) in rest.char_indices() {
            match c {
                '{' => (depth, is_start) = (depth + 1, depth == 0),
                '}' => depth -= 1,
                ',' if depth == 1 => is_start = true,
                c if is_start && !c.is_whitespace() => {
                    rooms.insert(at + offset, word(&rest[offset..]));
                    is_start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    rooms.into_values()
}
