//! After a syntax error: each section of the file is read on its own, so that one that cannot be read hides nothing of
//! the others.

use super::{Reader, parse_exactly};
use crate::scenario::diagnostic::{Diagnostic, Place, Source};
use crate::scenario::node::{Entry, Node, Value};

/// What can be read of a text that as a whole is no YAML. `whole` is what was wrong with it; it is reported when the
/// sections do not tell more.
pub(super) fn recover(
    source: &Source,
    index: usize,
    whole: Diagnostic,
    problems: &mut Vec<Diagnostic>,
) -> Option<Node> {
    let lines: Vec<&str> = source.text.lines().collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|i| is_section_start(lines[*i])).collect();
    let begins_section = |i: &usize| lines[*i].contains(':') && !lines[*i].starts_with("- ");
    let is_map_of_sections = starts.len() > 1 && starts.iter().all(begins_section);
    if !is_map_of_sections {
        problems.push(whole);
        return None;
    }
    let mut found = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(lines.len());
        let text = format!("{}{}\n", "\n".repeat(*start), lines[*start..end].join("\n"));
        let section = Source { text, ..source.clone() };
        let mut own = Vec::new();
        match parse_exactly(&section, index, &mut own) {
            Ok(node) => {
                found.append(&mut own);
                entries.extend(node.entries().iter().cloned());
            }
            Err(problem) => {
                // an alias to another section is right in the whole text
                if !problem.message.contains("anchor") {
                    found.push(unclosed(&lines[*start..end], *start, index).unwrap_or(*problem));
                }
                entries.push(unreadable(lines[*start], *start, index));
            }
        }
    }
    if found.iter().all(|problem| problem.code != "bad-yaml") {
        found = vec![whole];
    }
    problems.append(&mut found);
    let mut kept: Vec<Entry> = Vec::new();
    for entry in entries {
        match kept.iter().find(|first| first.key == entry.key) {
            Some(first) => problems.push(Reader::duplicate(&entry.key, entry.key_place, first.key_place)),
            None => kept.push(entry),
        }
    }
    let place = Place { source: index, line: 1, column: 1, length: 1 };
    Some(Node { value: Value::Map(kept), place })
}

/// A line that begins a section: text that is not indented and does not end something.
fn is_section_start(line: &str) -> bool {
    line.chars().next().is_some_and(|c| !c.is_whitespace() && !matches!(c, '#' | '}' | ']')) && line != "---"
}

fn unreadable(line: &str, index: usize, source: usize) -> Entry {
    let key = line.split(':').next().unwrap_or_default().trim().to_string();
    let place = Place { source, line: index + 1, column: 1, length: key.chars().count().max(1) };
    Entry { key, key_place: place, value: Node { value: Value::Unreadable, place } }
}

/// The bracket of a section that is opened and never closed: the innermost one at the end, or where another kind is
/// closed. Quoted texts and comments are passed over.
fn unclosed(lines: &[&str], first: usize, source: usize) -> Option<Diagnostic> {
    let mut open: Vec<(char, Place)> = Vec::new();
    'text: for (i, line) in lines.iter().enumerate() {
        let (mut quote, mut before) = (None, ' ');
        for (column, c) in line.chars().enumerate() {
            match (quote, c) {
                (Some(q), c) if q == c => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
                (None, '#') if before.is_whitespace() => break,
                (None, '{' | '[') => {
                    open.push((c, Place { source, line: first + i + 1, column: column + 1, length: 1 }));
                }
                (None, '}' | ']') => match open.last() {
                    Some((bracket, _)) if closing(*bracket) != c => break 'text,
                    _ => drop(open.pop()),
                },
                _ => {}
            }
            before = c;
        }
    }
    let (bracket, place) = open.pop()?;
    let problem = Diagnostic::new("bad-yaml", format!("this `{bracket}` is not closed"), Some(place));
    Some(problem.help(format!("close it with `{}`", closing(bracket))))
}

fn closing(bracket: char) -> char {
    if bracket == '{' { '}' } else { ']' }
}
