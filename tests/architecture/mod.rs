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
        for (number, used) in crate_paths(&without_comments(&text)).filter(|(_, used)| *used != room) {
            let Some(used_floor) = floor_of(&used) else { continue };
            if used_floor >= floor && !NEIGHBOURS.contains(&(&room, &used)) {
                violations.push(format!("{}:{number}: `{room}` uses `{used}`", path.display()));
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
    let found = |text: &str| crate_paths(&without_comments(text)).collect::<Vec<_>>();
    let names = |text: &str| found(text).into_iter().map(|(_, room)| room).collect::<Vec<_>>();
    assert_eq!(names("use crate::{sim::Calendar, units::{Bytes}}; crate::data::load()"), ["sim", "units", "data"]);
    // In braces over several lines, with the line of each; comments name no imports.
    let text = "use crate::{\n    sim::Calendar,\n    // crate::cli,\n    units::{\n        Bytes,\n    },\n};\n/// See [`crate::actors`].\n";
    assert_eq!(found(text), [(2, "sim".to_owned()), (4, "units".to_owned())]);
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

/// A text whose lines of comment are empty.
fn without_comments(text: &str) -> String {
    let line = |line: &'_ str| if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The rooms named in a text with their lines: `crate::room`, also in braces, which may reach over lines.
fn crate_paths(text: &str) -> impl Iterator<Item = (usize, String)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut rooms: BTreeMap<usize, String> = BTreeMap::new();
    for (at, prefix) in text.match_indices("crate::") {
        let rest = &text[at + prefix.len()..];
        if !rest.starts_with('{') {
            rooms.insert(at + prefix.len(), word(rest));
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
                    rooms.insert(at + prefix.len() + offset, word(&rest[offset..]));
                    is_start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    let line_of = |at: usize| 1 + text[..at].matches('\n').count();
    rooms.into_iter().map(|(at, room)| (line_of(at), room)).collect::<Vec<_>>().into_iter()
}
