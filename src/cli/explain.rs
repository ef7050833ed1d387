//! What a scenario comes to: who gets which rows and classes, and what a task costs.

use std::fmt::Write;

use crate::actors::plan::{Class, Population};
use crate::actors::setup::Setup;
use crate::sim::{Direction, LinkClass, NetworkClassConfig};
use crate::units::{Bytes, SimDuration};

/// Tables for a reader.
pub(super) fn text(setup: &Setup) -> String {
    let mut out = String::new();
    if let Some(partition) = &setup.partition {
        // writing to a text cannot fail
        let _ = writeln!(out, "{}\n", partition.to_string().trim_end());
    }
    let population = &*setup.plan.population;
    out += &classes(
        "device class",
        population,
        population.devices.iter().map(|class| (&class.name, class.config.share)),
        Population::device_class,
    );
    out += &classes(
        "network class",
        population,
        population.networks.iter().map(|class| (&class.name, class.config.share)),
        Population::network_class,
    );
    if !population.regions.is_empty() {
        let shares = population.regions.iter().map(|(name, region)| (name, region.share));
        out += &classes("region", population, shares, Population::region);
    }
    out += &task(setup);
    out
}

/// How many clients are of each class.
fn classes<'a>(
    title: &str,
    population: &Population,
    shares: impl Iterator<Item = (&'a String, f64)>,
    class_of: impl Fn(&Population, u32) -> usize,
) -> String {
    let shares: Vec<_> = shares.collect();
    let mut counts = vec![0u32; shares.len()];
    (0..population.n_clients).for_each(|client_id| counts[class_of(population, client_id)] += 1);
    let width = shares.iter().map(|(name, _)| name.chars().count()).chain([title.len()]).max().unwrap_or(0);
    let mut out = format!("{title:width$}  {:>8}  {:>8}\n", "share", "clients");
    for ((name, share), count) in shares.iter().zip(counts) {
        let _ = writeln!(out, "{name:width$}  {share:>8}  {count:>8}");
    }
    out + "\n"
}

/// What one client's task costs.
fn task(setup: &Setup) -> String {
    let population = &*setup.plan.population;
    let n = f64::from(population.n_clients);
    let (mut examples, mut flops) = (0.0, 0.0);
    for client_id in 0..population.n_clients {
        let size = f64::from(population.num_examples(client_id));
        examples += size;
        flops += size * population.flops_per_sample(client_id).0 * population.n_epochs as f64;
    }
    let memory = population.training_memory.total(population.largest_shard() as usize);
    let mut rows = vec![
        ("trained numbers".to_string(), setup.n_trainable.to_string()),
        ("download".to_string(), population.downlink_payload.to_string()),
        ("upload".to_string(), population.uplink_payload.to_string()),
        ("examples (mean)".to_string(), format!("{:.1}, {} times", examples / n, population.n_epochs)),
        ("operations (mean)".to_string(), format!("{:.3} GFLOP", flops / n / 1e9)),
        ("memory to train (most)".to_string(), format!("{:.1} MiB", memory.get() as f64 / 1048576.0)),
    ];
    let on_networks =
        population.networks.iter().map(|class| (format!("transfers on {}", class.name), transfers(class, population)));
    rows.extend(on_networks);
    let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let rows: Vec<String> = rows.into_iter().map(|(name, value)| format!("  {name:width$}  {value}")).collect();
    format!("one task\n{}\n", rows.join("\n"))
}

/// Times of the two transfers on an idle server link, outside of any region.
fn transfers(class: &Class<NetworkClassConfig, LinkClass>, population: &Population) -> String {
    let time = |bytes: Bytes, direction| {
        let own = class.model.nominal_rate(0, direction, SimDuration::ZERO);
        let rate = own.at_most(population.server_rates[direction as usize]);
        class.model.nominal_latency(SimDuration::ZERO).as_secs_f64() + bytes.get() as f64 / rate.bytes_per_s()
    };
    let down = time(population.downlink_payload, Direction::Down);
    let up = time(population.uplink_payload, Direction::Up);
    format!("{down:.3} s down, {up:.3} s up")
}
