//! What the clients got, as a short text.

use std::collections::BTreeSet;
use std::fmt;

use crate::data::RowGroups;

/// Clients shown one by one.
const SHOWN_CLIENTS: usize = 5;

/// Labels shown per client, the most frequent first.
const SHOWN_LABELS: usize = 4;

/// A short table of what the clients got: sizes, labels and skew over all clients, then the first few clients.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionTable {
    n_rows: usize,
    n_clients: usize,
    rows: Spread,
    labels: Spread,
    groups: Option<Spread>,
    mean_distance: f64,
    first_clients: Vec<String>,
}

/// Least, median and greatest of a number per client.
#[derive(Debug, Clone, PartialEq)]
struct Spread {
    min: usize,
    median: usize,
    max: usize,
}

impl Spread {
    fn of(mut numbers: Vec<usize>) -> Self {
        numbers.sort_unstable();
        let at = |i: usize| numbers.get(i).copied().unwrap_or(0);
        Self { min: at(0), median: at(numbers.len() / 2), max: at(numbers.len().saturating_sub(1)) }
    }
}

impl PartitionTable {
    /// The table of `shards`: rows (indices into `labels`) of each client. `label_names` are by label number.
    pub fn new(shards: &[Vec<u32>], labels: &[u32], label_names: &[String]) -> Self {
        let n_classes = label_names.len();
        let counts: Vec<Vec<usize>> = shards.iter().map(|shard| label_counts(shard, labels, n_classes)).collect();
        let present = |counts: &Vec<usize>| counts.iter().filter(|n| **n > 0).count();
        Self {
            n_rows: shards.iter().map(Vec::len).sum(),
            n_clients: shards.len(),
            rows: Spread::of(shards.iter().map(Vec::len).collect()),
            labels: Spread::of(counts.iter().map(present).collect()),
            groups: None,
            mean_distance: mean_total_variation(&counts),
            first_clients: counts.iter().take(SHOWN_CLIENTS).map(|counts| describe(counts, label_names)).collect(),
        }
    }

    /// The table with the natural clients that each client stands for.
    #[must_use]
    pub fn with_groups(mut self, shards: &[Vec<u32>], groups: &RowGroups) -> Self {
        let n_different =
            |shard: &Vec<u32>| shard.iter().map(|&row| groups.of_row()[row as usize]).collect::<BTreeSet<u32>>().len();
        self.groups = Some(Spread::of(shards.iter().map(n_different).collect()));
        self
    }

    /// Mean over clients of the total-variation distance, in \[0, 1\], between a client's label mix and that of all
    /// rows: half the sum of absolute differences. 0 is iid.
    pub fn mean_distance(&self) -> f64 {
        self.mean_distance
    }
}

fn label_counts(shard: &[u32], labels: &[u32], n_classes: usize) -> Vec<usize> {
    let mut counts = vec![0; n_classes];
    shard.iter().for_each(|&row| counts[labels[row as usize] as usize] += 1);
    counts
}

fn mean_total_variation(counts: &[Vec<usize>]) -> f64 {
    let n_classes = counts.first().map_or(0, Vec::len);
    let mix = |counts: &[usize]| {
        let n = counts.iter().sum::<usize>().max(1) as f64;
        counts.iter().map(|&count| count as f64 / n).collect::<Vec<f64>>()
    };
    let all: Vec<usize> = (0..n_classes).map(|class| counts.iter().map(|client| client[class]).sum()).collect();
    let global = mix(&all);
    let distance =
        |client: &Vec<usize>| -> f64 { mix(client).iter().zip(&global).map(|(a, b)| (a - b).abs()).sum::<f64>() / 2.0 };
    counts.iter().map(distance).sum::<f64>() / counts.len().max(1) as f64
}

fn describe(counts: &[usize], names: &[String]) -> String {
    let mut order: Vec<usize> = (0..counts.len()).filter(|&label| counts[label] > 0).collect();
    order.sort_by_key(|&label| std::cmp::Reverse(counts[label]));
    let n_rows: usize = counts.iter().sum();
    let shown: Vec<String> =
        order.iter().take(SHOWN_LABELS).map(|&label| format!("{} {}", names[label], counts[label])).collect();
    let more = order.len().saturating_sub(SHOWN_LABELS);
    let more = if more > 0 { format!(", +{more} labels") } else { String::new() };
    format!("{n_rows:>6}  {}{more}", shown.join(", "))
}

impl fmt::Display for PartitionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows over {} clients", self.n_rows, self.n_clients)?;
        writeln!(f, "                        min  median     max")?;
        let spreads = [("rows per client", Some(&self.rows)), ("labels per client", Some(&self.labels))];
        for (what, spread) in spreads.into_iter().chain([("groups per client", self.groups.as_ref())]) {
            let Some(spread) = spread else { continue };
            writeln!(f, "{what:<19}{:>8}{:>8}{:>8}", spread.min, spread.median, spread.max)?;
        }
        writeln!(f, "label mix: mean distance from that of all rows {:.3} (0 = iid)", self.mean_distance)?;
        writeln!(f, "client    rows  labels")?;
        for (client, line) in self.first_clients.iter().enumerate() {
            writeln!(f, "{client:>6}  {line}")?;
        }
        if self.n_clients > self.first_clients.len() {
            writeln!(f, "   ... +{} clients", self.n_clients - self.first_clients.len())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_short_and_aligned() {
        let names: Vec<String> = ["yes", "no"].map(String::from).into();
        let table = PartitionTable::new(&[vec![0, 1, 2], vec![3]], &[0, 0, 1, 1], &names);
        // All rows are half and half. Client 0 is 2/3, 1/3: distance 1/6. Client 1 is 0, 1: distance 1/2. Mean 1/3.
        let expected = "\
4 rows over 2 clients
                        min  median     max
rows per client           1       3       3
labels per client         1       2       2
label mix: mean distance from that of all rows 0.333 (0 = iid)
client    rows  labels
     0       3  yes 2, no 1
     1       1  no 1
";
        assert_eq!(table.to_string(), expected);
        assert!((table.mean_distance() - 1.0 / 3.0).abs() < 1e-12);
        // Client 0 stands for ann and bob, client 1 for cyd.
        let groups = RowGroups::of(["ann", "bob", "ann", "cyd"]);
        let text = table.with_groups(&[vec![0, 1, 2], vec![3]], &groups).to_string();
        assert!(text.contains("\ngroups per client         1       2       2\nlabel mix"), "{text}");
    }

    #[test]
    fn many_clients_and_labels_are_cut_short() {
        let names: Vec<String> = (0..9).map(|i| format!("l{i}")).collect();
        let labels: Vec<u32> = (0..90).map(|i| i % 9).collect();
        let shards: Vec<Vec<u32>> = (0..10).map(|client| (client * 9..client * 9 + 9).collect()).collect();
        let text = PartitionTable::new(&shards, &labels, &names).to_string();
        assert!(text.contains("l0 1, l1 1, l2 1, l3 1, +5 labels"), "{text}");
        assert!(text.ends_with("   ... +5 clients\n"), "{text}");
    }
}
