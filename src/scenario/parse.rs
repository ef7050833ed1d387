//! YAML text to nodes. Anchors and aliases are followed; tags and several documents in one file are refused.

mod recover;

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::diagnostic::{Diagnostic, Place, Source};
use super::node::{Entry, Node, Value};

/// Deeper nesting than any scenario needs; protects the stack.
const DEPTH_MAX: usize = 64;
/// More values than any scenario needs; stops aliases that multiply.
const NODES_MAX: usize = 200_000;

/// Reads one text. Duplicate keys are reported and the first one kept. A section with a syntax error is reported and stands
/// in the tree as unreadable; the others are read all the same.
pub(super) fn parse(source: &Source, source_index: usize, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    let mut found = Vec::new();
    match parse_exactly(source, source_index, &mut found) {
        Ok(node) => {
            problems.append(&mut found);
            Some(node)
        }
        Err(problem) => recover::recover(source, source_index, *problem, problems),
    }
}

/// Reads one text up to its first syntax error.
fn parse_exactly(source: &Source, source_index: usize, problems: &mut Vec<Diagnostic>) -> Parsed<Node> {
    let mut reader = Reader {
        parser: Parser::new_from_str(&source.text),
        text: &source.text,
        source: source_index,
        anchors: BTreeMap::new(),
        n_nodes: 0,
        problems,
    };
    reader.document()
}

struct Reader<'text, 'problems> {
    parser: Parser<'text, StrInput<'text>>,
    text: &'text str,
    source: usize,
    anchors: BTreeMap<usize, Node>,
    n_nodes: usize,
    problems: &'problems mut Vec<Diagnostic>,
}

type Parsed<T> = Result<T, Box<Diagnostic>>;

impl<'text> Reader<'text, '_> {
    fn document(&mut self) -> Parsed<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(self.refuse(span, "a second document starts here; a scenario is one document"));
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        let start = Place { source: self.source, line: 1, column: 1, length: 1 };
        match root {
            Some(Node { value: Value::Map(entries), .. }) => Ok(Node { value: Value::Map(entries), place: start }),
            Some(other) => {
                let message = "a scenario is a map of settings, such as `version: 1`";
                Err(Box::new(Diagnostic::new("bad-yaml", message, Some(other.place))))
            }
            None => Err(Box::new(
                Diagnostic::new("empty", format!("`{}` holds no settings", self.text.trim()), Some(start))
                    .help("a scenario starts with `version: 1`"),
            )),
        }
    }

    fn node(&mut self, event: Event<'text>, span: Span, depth: usize) -> Parsed<Node> {
        self.count(1, span)?;
        if depth > DEPTH_MAX {
            return Err(self.refuse(span, "nested too deeply"));
        }
        let place = self.place(span);
        let (value, anchor) = match event {
            Event::Scalar(.., Some(tag)) | Event::SequenceStart(_, Some(tag)) | Event::MappingStart(_, Some(tag)) => {
                return Err(self.refuse(span, &format!("tags such as `{}` are not used in a scenario", *tag)));
            }
            Event::Scalar(text, style, anchor, None) => (scalar(text.into_owned(), style), anchor),
            Event::SequenceStart(anchor, None) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, None) => (self.map(depth)?, anchor),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(self.refuse(span, "an alias to a value that is not complete yet"));
                };
                self.count(size(&node), span)?;
                return Ok(node);
            }
            other => return Err(self.refuse(span, &format!("unexpected {other:?}"))),
        };
        let node = Node { value, place };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (key, key_place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(text, ..), span) => (text.into_owned(), self.place(span)),
                (_, span) => return Err(self.refuse(span, "a key must be a plain word")),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match entries.iter().find(|entry| entry.key == key) {
                Some(first) => self.problems.push(Self::duplicate(&key, key_place, first.key_place)),
                None => entries.push(Entry { key, key_place, value }),
            }
        }
    }

    fn duplicate(key: &str, place: Place, first: Place) -> Diagnostic {
        let message = format!("`{key}` is written twice");
        Diagnostic::new("duplicate-key", message, Some(place)).other(Some(first)).help("keep one of them")
    }

    fn next(&mut self) -> Parsed<(Event<'text>, Span)> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn count(&mut self, n: usize, span: Span) -> Parsed<()> {
        self.n_nodes += n;
        if self.n_nodes > NODES_MAX { Err(self.refuse(span, "too many values")) } else { Ok(()) }
    }

    fn refuse(&self, span: Span, message: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::new("bad-yaml", message, Some(self.place(span))))
    }

    /// Positions of a span; one that covers several lines is cut at the end of its first.
    fn place(&self, span: Span) -> Place {
        let length = if span.start.line() == span.end.line() { span.len() } else { usize::MAX };
        Place {
            source: self.source,
            line: span.start.line().max(1),
            column: span.start.col() + 1,
            length: length.max(1),
        }
    }

    /// The parser's complaint, with the usual cause where there is one.
    fn syntax(&self, error: &ScanError) -> Box<Diagnostic> {
        let marker = error.marker();
        let lines: Vec<&str> = self.text.lines().collect();
        let line = marker.line().clamp(1, lines.len().max(1));
        let mut place = Place { source: self.source, line, column: marker.col() + 1, length: 1 };
        // a tab in the indentation is the cause, whatever the parser stumbles over afterwards
        let tab = lines.iter().take(line).position(|l| indentation(l).contains('\t'));
        if let Some(index) = tab {
            let column = indentation(lines[index]).chars().position(|c| c == '\t').map_or(1, |i| i + 1);
            place = Place { source: self.source, line: index + 1, column, length: 1 };
            let problem = Diagnostic::new("bad-yaml", "a tab in the indentation", Some(place));
            return Box::new(problem.help("YAML is indented with spaces"));
        }
        let problem = Diagnostic::new("bad-yaml", error.info(), Some(place));
        let help = match error.info() {
            "mapping values are not allowed in this context" => {
                "check the indentation, and that every `:` in the lines above has a space after it"
            }
            info if info.contains("simple key") || info.contains("':'") => {
                "each line is `key: value`; check the colon and the space after it"
            }
            info if info.contains("flow") || info.contains("bracket") || info.contains("','") => {
                "check that every `{` and `[` above is closed and items are separated by commas"
            }
            info if info.contains("quoted scalar") => "check that the quotes are closed",
            _ => "check the indentation here and in the line above",
        };
        Box::new(problem.help(help))
    }
}

fn indentation(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        Value::Null
    } else {
        Value::Scalar { text, quoted }
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Unreadable | Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
        let source = Source { name: "t.yaml".into(), text: text.into(), has_lines: true, folder: ".".into() };
        let mut problems = Vec::new();
        let node = parse(&source, 0, &mut problems);
        (node, problems)
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let (node, problems) = read("a: 1\nb:\n  c: [x, 10 Mbps]\n");
        assert!(problems.is_empty());
        let node = node.expect("is valid");
        let c = node.get("b").and_then(|b| b.entry("c")).expect("is there");
        assert_eq!(c.key_place, Place { source: 0, line: 3, column: 3, length: 1 });
        let Value::List(items) = &c.value.value else { panic!("a list was written") };
        assert_eq!(items[1].place, Place { source: 0, line: 3, column: 10, length: 7 });
        assert_eq!(node.locate("b.c.1"), items[1].place);
        assert_eq!(node.locate("b.missing.deeper").line, 2);
    }

    #[test]
    fn aliases_repeat_their_anchor_and_cannot_multiply_without_end() {
        let (node, _) = read("a: &x {k: 1}\nb: *x\n");
        let node = node.expect("is valid");
        assert_eq!(node.get("a").map(|n| &n.value), node.get("b").map(|n| &n.value));
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..8 {
            let previous = format!("*a{}, ", i - 1).repeat(10);
            bomb += &format!("a{i}: &a{i} [{}]\n", previous.trim_end_matches(", "));
        }
        let (node, problems) = read(&bomb);
        assert_eq!(problems[0].message, "too many values");
        assert!(node.is_none_or(|node| size(&node) <= NODES_MAX));
    }

    #[test]
    fn tags_are_refused_wherever_they_stand() {
        for text in ["a: !x 1\n", "a: !x [1]\n", "a: !x {b: 1}\n", "a: !!map {b: 1}\n", "a:\n  - !x\n    b: 1\n"] {
            let (_, problems) = read(text);
            let message = problems.first().map(|problem| problem.message.clone()).unwrap_or_default();
            assert!(message.starts_with("tags such as `"), "{text}: {message}");
        }
    }

    #[test]
    fn null_has_its_spellings_and_quoted_text_is_never_null() {
        let (node, _) = read("a:\nb: ~\nc: null\nd: \"null\"\n");
        let node = node.expect("is valid");
        for key in ["a", "b", "c"] {
            assert_eq!(node.get(key).map(|n| &n.value), Some(&Value::Null), "{key}");
        }
        assert_eq!(node.get("d").map(|n| describe_kind(&n.value)), Some("text"));
    }

    fn describe_kind(value: &Value) -> &'static str {
        match value {
            Value::Scalar { quoted: true, .. } => "text",
            _ => "other",
        }
    }
}
