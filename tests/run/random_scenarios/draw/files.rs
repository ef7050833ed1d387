//! Files of recordings, small and right.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Dice;

/// Names a new file of these rows.
fn file(dice: &mut Dice, text: &str) -> Value {
    dice.n_files += 1;
    let path = dice.folder.path().join(format!("{}.csv", dice.n_files));
    std::fs::write(&path, text).unwrap();
    json!(path.to_str().unwrap())
}

/// How the rows become clients, and of how many clients there are to be rows.
fn assign(dice: &mut Dice) -> (&'static str, u32) {
    match dice.chance(0.5) {
        true => ("by_id", dice.total),
        false => ("random", 1 + dice.below(4)),
    }
}

fn end(dice: &mut Dice) -> &'static str {
    dice.pick(&["loop", "loop", "loop", "loop", "loop", "hold", "hold", "error"])
}

/// Links whose rates change: `clients.networks.<name>.trace`.
pub(super) fn bandwidth(dice: &mut Dice) -> Value {
    let (assign, n) = assign(dice);
    let mut text = String::from("client_id,time_s,down_kbps,up_kbps\n");
    for id in 0..n {
        let step = dice.pick(&[0.7, 10.0, 90.0]);
        let mut time = dice.pick(&[0.0, 100.0]);
        for _ in 0..dice.below(6) {
            let mut rate = || dice.pick(&[0, 300, 6_000, 50_000]);
            let (down, up) = (rate(), rate());
            writeln!(text, "{id},{time},{down},{up}").unwrap();
            time += step * f64::from(1 + dice.below(3));
        }
        writeln!(text, "{id},{time},20000,9000").unwrap();
    }
    json!({ "file": file(dice, &text), "assign": assign, "end": end(dice) })
}

/// Measured devices: `clients.devices.<name>.compute.table`.
pub(super) fn devices(dice: &mut Dice) -> Value {
    let (assign, n) = assign(dice);
    let mut text = String::from("client_id,time_per_sample_ms,memory_mib\n");
    for id in 0..n {
        let (time, memory) = (dice.pick(&["0.5", "40", "900"]), dice.pick(&["", "", "2048", "1"]));
        writeln!(text, "{id},{time},{memory}").unwrap();
    }
    let mut table = json!({ "file": file(dice, &text), "assign": assign });
    if dice.chance(0.5) {
        table["reference_flops"] = json!("1 GFLOP");
    }
    table
}

/// Recorded windows: `clients.availability.trace`.
pub(super) fn availability(dice: &mut Dice) -> Value {
    let (assign, n) = assign(dice);
    let length = dice.pick(&[300.0, 1200.0, 86_400.0]);
    let mut text = String::from("client_id,start_s,end_s\n");
    let mut spans = String::from("device_id,trace_start_s,trace_end_s\n");
    for id in 0..n {
        writeln!(spans, "{id},0,{length}").unwrap();
        let mut time = length * dice.pick(&[0.0, 0.0, 0.1, 0.4]);
        for window in 0..1 + dice.below(4) {
            // The first one is not empty: somebody is online at some time.
            let shortest = if window == 0 { 0.1 } else { 0.0 };
            let end = time + length * dice.pick(&[shortest, 0.03, 0.3, 0.5]);
            if end <= length {
                writeln!(text, "{id},{time},{end}").unwrap();
            }
            time = end + length * dice.pick(&[0.01, 0.1]);
        }
    }
    let mut trace = json!({
        "file": file(dice, &text), "assign": assign, "end": end(dice),
        "start": format!("{} s", length * dice.pick(&[0.0, 0.5])),
    });
    match dice.chance(0.5) {
        true => trace["devices_file"] = file(dice, &spans),
        false => trace["length"] = json!(format!("{length} s")),
    }
    trace
}
