//! A YAML tree in which every key and every value knows where it was written.

use super::diagnostic::Place;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    /// A section in which a syntax error was found, and reported.
    Unreadable,
    /// A scalar: its text, and whether it was quoted and so can only be a string.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

impl Node {
    /// The value under `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Where the setting at a dotted path was written: its value if that is a single one, else its key. A setting that
    /// is not there has no place of its own; the nearest one around it that is there stands for it.
    pub(super) fn locate(&self, path: &str) -> Place {
        let mut node = self;
        let mut place = self.place;
        for key in path.split('.').filter(|key| !key.is_empty()) {
            match &node.value {
                Value::Map(entries) => match entries.iter().find(|entry| entry.key == key) {
                    Some(entry) => {
                        node = &entry.value;
                        let is_single = matches!(node.value, Value::Scalar { .. });
                        place = if is_single { node.place } else { entry.key_place };
                    }
                    None => break,
                },
                Value::List(items) => match key.parse::<usize>().ok().and_then(|i| items.get(i)) {
                    Some(item) => {
                        place = item.place;
                        node = item;
                    }
                    None => break,
                },
                Value::Null | Value::Unreadable | Value::Scalar { .. } => break,
            }
        }
        place
    }

    /// True when the setting at a dotted path is written somewhere.
    pub(super) fn has(&self, path: &str) -> bool {
        let mut node = self;
        for key in path.split('.') {
            let next = match &node.value {
                Value::List(items) => key.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => node.get(key),
            };
            match next {
                Some(next) => node = next,
                None => return false,
            }
        }
        true
    }
}

/// What a message calls this kind of value.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Unreadable => "something that cannot be read".into(),
        Value::Scalar { text, quoted: true } => format!("the text \"{text}\""),
        Value::Scalar { text, quoted: false } => format!("`{text}`"),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
    }
}
