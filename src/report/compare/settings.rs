//! What groups of runs differ in, read off their scenarios.

use serde_json::Value;

/// A setting in which groups of runs differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Its dotted path.
    pub path: String,
    /// Its value in each group, on one line; `-` where a group has none.
    pub values: Vec<String>,
}

/// The settings in which scenarios differ, in the order of the format. Hashes of inputs are left aside where other
/// settings tell the scenarios apart.
pub fn differing(scenarios: &[&Value]) -> Vec<Differing> {
    let mut found = Vec::new();
    collect("", &scenarios.iter().map(|scenario| Some(*scenario)).collect::<Vec<_>>(), &mut found);
    let plain: Vec<Differing> = found.iter().filter(|one| !one.path.starts_with("lock.")).cloned().collect();
    let row = |of: &[Differing], i: usize| of.iter().map(|one| one.values[i].clone()).collect::<Vec<_>>();
    let mut rows: Vec<_> = (0..scenarios.len()).map(|i| row(&plain, i)).collect();
    rows.sort();
    rows.dedup();
    if rows.len() == scenarios.len() { plain } else { found }
}

fn collect(path: &str, nodes: &[Option<&Value>], found: &mut Vec<Differing>) {
    if nodes.windows(2).all(|pair| pair[0] == pair[1]) {
        return;
    }
    let maps: Option<Vec<_>> = nodes.iter().map(|node| node.and_then(Value::as_object)).collect();
    let Some(maps) = maps else {
        let values = nodes.iter().map(|node| node.map_or_else(|| "-".into(), short)).collect();
        return found.push(Differing { path: path.into(), values });
    };
    let mut keys: Vec<&String> = Vec::new();
    for key in maps.iter().flat_map(|map| map.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    // A choice between several: its name is the value, with its settings where the name alone is not enough.
    if keys.len() > 1 && maps.iter().all(|map| map.len() == 1) {
        let named = |node: &Value| node.as_object().and_then(|map| map.keys().next()).cloned().unwrap_or_default();
        let nodes: Vec<&Value> = nodes.iter().flatten().copied().collect();
        let is_plain = |node: &Value| nodes.iter().all(|other| named(other) != named(node) || *other == node);
        let values = nodes.iter().map(|node| if is_plain(node) { named(node) } else { short(node) }).collect();
        return found.push(Differing { path: path.into(), values });
    }
    for key in keys {
        let below: Vec<Option<&Value>> = maps.iter().map(|map| map.get(key)).collect();
        collect(&if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, &below, found);
    }
}

/// A value on one line, as YAML would have it.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(short).collect::<Vec<_>>().join(", ")),
        Value::Object(map)
            if map.len() == 1 && map.values().all(|below| below.as_object().is_some_and(|m| m.is_empty())) =>
        {
            map.keys().cloned().collect()
        }
        Value::Object(map) => {
            let entries: Vec<String> = map.iter().map(|(key, below)| format!("{key}: {}", short(below))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// The last words of dotted paths: as few as tell them apart.
pub fn short_paths(paths: &[&str]) -> Vec<String> {
    let last = |path: &str, n: usize| {
        let words: Vec<&str> = path.split('.').collect();
        words[words.len().saturating_sub(n)..].join(".")
    };
    let is_alone = |path: &str, n: usize| paths.iter().filter(|other| last(other, n) == last(path, n)).count() == 1;
    let n_words = |path: &str| path.split('.').count();
    paths
        .iter()
        .map(|path| last(path, (1..n_words(path)).find(|n| is_alone(path, *n)).unwrap_or(n_words(path))))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(scenarios: &[Value]) -> Vec<(String, Vec<String>)> {
        let scenarios: Vec<&Value> = scenarios.iter().collect();
        differing(&scenarios).into_iter().map(|one| (one.path, one.values)).collect()
    }

    #[test]
    fn numbers_choices_and_absent_settings_are_told() {
        let scenarios = [
            json!({ "server": { "rounds": 5, "deadline": "1 min" }, "tuning": { "lora": { "r": 8 } } }),
            json!({ "server": { "rounds": 9 }, "tuning": { "bitfit": {} } }),
        ];
        let owned = |path: &str, values: [&str; 2]| (path.to_owned(), values.map(String::from).to_vec());
        assert_eq!(
            found(&scenarios),
            [
                owned("server.rounds", ["5", "9"]),
                owned("server.deadline", ["1 min", "-"]),
                owned("tuning", ["lora", "bitfit"])
            ]
        );
    }

    #[test]
    fn a_choice_is_followed_where_all_chose_the_same() {
        let lora = |r: u32| json!({ "tuning": { "lora": { "r": r, "bias": "none" } } });
        assert_eq!(found(&[lora(2), lora(8)]), [("tuning.lora.r".to_owned(), vec!["2".to_owned(), "8".to_owned()])]);
        let three = found(&[lora(2), lora(8), json!({ "tuning": { "full": {} } })]);
        assert_eq!(three[0].1, ["{lora: {r: 2, bias: none}}", "{lora: {r: 8, bias: none}}", "full"]);
    }

    #[test]
    fn hashes_count_only_where_nothing_else_does() {
        let with = |hash: &str, r: u32| json!({ "lock": { "model_hash": hash }, "r": r });
        assert_eq!(found(&[with("a", 1), with("b", 2)]).len(), 1);
        assert_eq!(found(&[with("a", 1), with("b", 1)])[0].0, "lock.model_hash");
        // 1 and 1 are told apart by the hash alone.
        assert_eq!(found(&[with("a", 1), with("b", 1), with("b", 2)]).len(), 2);
    }

    #[test]
    fn paths_are_as_short_as_they_can_be() {
        let paths = ["clients.dropout.during_train", "a.b.rate", "a.c.rate", "rate"];
        assert_eq!(short_paths(&paths), ["during_train", "b.rate", "c.rate", "rate"]);
    }
}
