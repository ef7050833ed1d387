//! Draws scenarios: settings of every kind, small numbers, and now and then a mistake.

mod files;

use rand::RngExt;
use serde_json::{Value, json};
use straggler::seed::{Purpose, Seeds, Stream};
use tempfile::TempDir;

/// A scenario, and what is wrong with it, if anything.
pub(super) struct Case {
    pub(super) scenario: Value,
    pub(super) mistake: Option<&'static str>,
    /// Where the files lie that the scenario names.
    #[expect(dead_code, reason = "the folder is there as long as the case")]
    pub(super) folder: TempDir,
}

/// The scenario of a number: always the same.
pub(super) fn draw(number: u32) -> Case {
    let stream = Seeds::new(20_261_121).round(Purpose::Selection, number);
    let mut dice = Dice { stream, folder: tempfile::tempdir().unwrap(), n_files: 0, total: 0 };
    let total = dice.pick(&[1, 2, 5, 12, 30, 60]);
    dice.total = total;
    let mut scenario = json!({
        "version": 1,
        "name": format!("case-{number}"),
        "seed": dice.below(1000),
        "model": { "name": dice.pick(&["builtin:tiny-roberta", "shape-only:distilbert-base-uncased"]) },
        "tuning": tuning(&mut dice),
        "clients": clients(&mut dice, total),
        "server": server(&mut dice, total),
        "compute": { "mode": "timing_only" },
    });
    let mistake = dice.chance(0.12).then(|| {
        let mistakes = MISTAKES.len() as u32;
        let (what, path, value) = MISTAKES[dice.below(mistakes) as usize];
        set(&mut scenario, path, serde_json::from_str(value).unwrap());
        what
    });
    Case { scenario, mistake, folder: dice.folder }
}

fn tuning(dice: &mut Dice) -> Value {
    dice.pick(&[json!({ "lora": { "r": 4 } }), json!("head"), json!("bitfit"), json!("full"), json!({ "adapter": {} })])
}

fn clients(dice: &mut Dice, total: u32) -> Value {
    let mut clients = json!({
        "total": total,
        "num_examples": dice.pick(&[json!(1), json!(20), json!({ "lognormal": { "median": 30, "sigma": 1.0 } })]),
        "sequence_length": dice.pick(&[8, 32]),
        "num_labels": dice.pick(&[2, 15]),
        "devices": classes(dice, device),
        "networks": classes(dice, network),
        "availability": availability(dice),
        "dropout": {
            "during_download": dice.pick(&[0.0, 0.0, 0.1, 0.5]),
            "during_train": dice.pick(&[0.0, 0.0, 0.2, 0.9]),
            "during_upload": dice.pick(&[0.0, 0.0, 0.1, 0.5]),
        },
    });
    if dice.chance(0.3) {
        clients["regions"] = classes(dice, region);
    }
    if dice.chance(0.2) {
        clients["crashes"] = json!({ "mean_time_between": dice.pick(&["3 s", "10 min"]) });
    }
    if dice.chance(0.25) {
        let groups = if clients.get("regions").is_some() { 3 } else { 2 };
        let group = dice.pick(&["device", "network", "region"][..groups]);
        let first = json!({ "start": dice.pick(&["0 s", "5 s"]), "duration": "20 s", group: "a" });
        let second = json!({ "start": "1 min", "duration": "1 min", "every": "10 min", "fraction": 0.5 });
        clients["outages"] = dice.pick(&[json!([first]), json!([second]), json!([first, second])]);
    }
    if dice.chance(0.3) {
        let what = dice.pick(&["fail", "restart", "resume"]);
        clients["uploads"] = json!({ "when_interrupted": what, "retries": dice.pick(&[1, 3]) });
    }
    clients
}

/// One class, or two of unequal shares.
fn classes(dice: &mut Dice, class: fn(&mut Dice) -> Value) -> Value {
    let shares = dice.pick(&[&[1.0][..], &[0.25, 0.75]]);
    let mut all = serde_json::Map::new();
    for (name, share) in ["a", "b"].into_iter().zip(shares) {
        let mut one = class(dice);
        one["share"] = json!(share);
        all.insert(name.into(), one);
    }
    Value::Object(all)
}

fn device(dice: &mut Dice) -> Value {
    let compute = dice.pick(&[
        json!({ "flops": "20 GFLOPS", "efficiency": 0.2 }),
        json!({ "time_per_sample": "50 ms" }),
        json!({ "time_per_sample": { "lognormal": { "median": "80 ms", "sigma": 0.8 } } }),
        json!({ "time_per_sample": "1 ns" }),
        json!({ "table": null }),
    ]);
    let mut device = json!({ "compute": compute });
    if device["compute"].get("table").is_some() {
        device["compute"]["table"] = files::devices(dice);
    }
    if dice.chance(0.4) {
        device["compute"]["jitter"] = json!({ "lognormal": { "sigma": dice.pick(&[0.0, 0.3, 2.0]) } });
    }
    if dice.chance(0.15) {
        device["memory"] = dice.pick(&[json!("1 KiB"), json!("64 MiB"), json!("64 GiB")]);
    }
    if dice.chance(0.3) {
        device["energy"] = json!({ "idle": "0.1 W", "compute": "4 W", "radio": "1.2 W" });
        if dice.chance(0.5) {
            device["battery"] = battery(dice);
        }
    }
    if dice.chance(0.25) {
        let mean = |dice: &mut Dice| dice.pick(&["200 ms", "5 s", "10 min"]);
        let slowdown = dice.pick(&[1.0, 3.0, 50.0]);
        device["load"] = json!({ "mean_busy": mean(dice), "mean_idle": mean(dice), "slowdown": slowdown });
    }
    device
}

fn battery(dice: &mut Dice) -> Value {
    let mut battery = json!({
        "capacity": dice.pick(&["400 J", "2 kJ", "15 Wh"]),
        "initial": dice.pick(&[json!(1.0), json!(0.3), json!({ "uniform": [0.0, 1.0] })]),
        "reserve": dice.pick(&[0.0, 0.2]),
        "start_above": dice.pick(&[0.25, 0.25, 0.6]),
    });
    if dice.chance(0.6) {
        battery["charging"] = json!({
            "power": dice.pick(&["200 mW", "8 W"]),
            "from": dice.pick(&["0 h", "23 h"]),
            "for": dice.pick(&["20 min", "9 h", "24 h"]),
            "starts_at": dice.pick(&["0 h", "22 h"]),
            "time_zones": dice.pick(&["0 h", "6 h"]),
        });
    }
    battery
}

fn network(dice: &mut Dice) -> Value {
    let rates = ["64 kbps", "1 Mbps", "20 Mbps", "1 Gbps"];
    let mut network = json!({
        "downlink": dice.pick(&rates),
        "uplink": dice.pick(&rates),
        "latency": dice.pick(&["1 ms", "20 ms", "3 s"]),
        "jitter": dice.pick(&["0 s", "20 ms", "1 s"]),
    });
    if dice.chance(0.2) {
        network["trace"] = files::bandwidth(dice);
        network.as_object_mut().unwrap().retain(|key, _| !key.ends_with("link"));
    }
    if dice.chance(0.2) {
        network["packet_loss"] = json!(dice.pick(&[0.0001, 0.02, 0.3]));
    }
    if dice.chance(0.3) {
        network["transport"] = json!("lv08");
    }
    network
}

fn region(dice: &mut Dice) -> Value {
    let mut region = json!({ "latency": dice.pick(&["0 s", "15 ms"]) });
    for key in ["uplink", "downlink"] {
        if dice.chance(0.6) {
            region[key] = json!(dice.pick(&["200 kbps", "3 Mbps", "1 Gbps"]));
        }
    }
    region
}

fn availability(dice: &mut Dice) -> Value {
    let time = |dice: &mut Dice| dice.pick(&["2 s", "60 s", "20 min"]);
    match dice.below(7) {
        0..=2 => json!("always"),
        6 => json!({ "trace": files::availability(dice) }),
        3 => json!({ "markov": { "mean_online": time(dice), "mean_offline": time(dice) } }),
        4 => json!({ "weibull": {
            "online": { "shape": dice.pick(&[0.6, 1.0, 2.5]), "mean": time(dice) },
            "offline": { "shape": dice.pick(&[0.6, 1.0, 2.5]), "mean": time(dice) },
        } }),
        _ => json!({ "diurnal": {
            "online_at_peak": 0.8, "online_at_trough": dice.pick(&[0.05, 0.5]),
            "peak_at": "3 h", "mean_online": dice.pick(&["2 min", "30 min"]), "time_zones": "6 h",
        } }),
    }
}

fn server(dice: &mut Dice, total: u32) -> Value {
    let mut server = json!({
        "rounds": 1 + dice.below(6),
        "give_up_after": dice.pick(&["10 min", "1 h"]),
        "selection": selection(dice),
    });
    if dice.chance(0.5) {
        let sharing = dice.pick(&["max_min_fair", "constant"]);
        server["network"] =
            json!({ "uplink": "10 Mbps", "downlink": dice.pick(&["300 kbps", "5 Mbps"]), "sharing": sharing });
    }
    if dice.chance(0.2) {
        let at = dice.pick(&[1, 40]);
        let in_flight = |dice: &mut Dice| dice.pick(&["lost", "resumed"]);
        let first = json!({ "at": format!("{at} s"), "downtime": "30 s", "in_flight": in_flight(dice) });
        // In the instant in which the server is to be up again, or long after it.
        let later = dice.pick(&[at + 30, 600]);
        let second = json!({ "at": format!("{later} s"), "downtime": "1 s", "in_flight": in_flight(dice) });
        server["restarts"] = if dice.chance(0.5) { json!([first]) } else { json!([first, second]) };
    }
    match dice.chance(0.55) {
        true => rounds(dice, total, &mut server),
        false => server["strategy"] = stream(dice, total),
    }
    if server["strategy"]["semi_sync"]["period"] == "1 h" {
        server["give_up_after"] = json!("1 h");
    }
    server
}

/// Settings of synchronous rounds.
fn rounds(dice: &mut Dice, total: u32, server: &mut Value) {
    let over_selection = dice.pick(&[1.0, 1.0, 1.3, 2.0]);
    let most = ((f64::from(total) / over_selection) as u32).max(1);
    let wanted = 1 + dice.below(most.min(12));
    let asked = (f64::from(wanted) * over_selection).ceil() as u32;
    server["over_selection"] = json!(if asked > total { 1.0 } else { over_selection });
    server["clients_per_round"] = json!(wanted);
    server["min_updates"] = json!(1 + dice.below(wanted));
    server["strategy"] = json!({ "fedavg": { "weighting": dice.pick(&["num_samples", "uniform"]) } });
    if dice.chance(0.6) {
        server["deadline"] = json!(dice.pick(&["1 s", "8 s", "1 min", "20 min"]));
        let below = [json!("fail"), json!("accept"), json!({ "extend": { "by": "5 s", "times": 2 } })];
        server["below_min_updates"] = dice.pick(&below);
    }
    if dice.chance(0.4) {
        let fold = json!({ "fold": { "staleness": dice.pick(&["constant", "hinge"]), "max_staleness": 3 } });
        server["late_updates"] = dice.pick(&[json!("discard"), json!("fold"), fold]);
    }
}

/// An asynchronous or semi-synchronous strategy.
fn stream(dice: &mut Dice, total: u32) -> Value {
    let concurrency = 1 + dice.below(total.min(20));
    let staleness = dice.pick(&[json!("constant"), json!({ "polynomial": { "a": 1.0 } }), json!("hinge")]);
    let mut settings = json!({ "concurrency": concurrency, "staleness": staleness });
    if dice.chance(0.5) {
        settings["max_staleness"] = json!(dice.pick(&[0, 1, 4]));
    }
    match dice.below(3) {
        0 => json!({ "fedasync": settings }),
        1 => {
            settings["buffer_size"] = json!(1 + dice.below(concurrency));
            json!({ "fedbuff": settings })
        }
        _ => {
            settings["period"] = json!(dice.pick(&["3 s", "1 min", "1 h"]));
            json!({ "semi_sync": settings })
        }
    }
}

fn selection(dice: &mut Dice) -> Value {
    dice.pick(&[
        json!("uniform"),
        json!("weighted"),
        json!("round_robin"),
        json!({ "fastest_first": { "candidates": 5 } }),
        json!({ "oort": { "max_participation": 3 } }),
        json!({ "power_of_choice": { "d": 8 } }),
        json!({ "tifl": { "tiers": 3, "policy": "adaptive_by_loss", "credits": 2 } }),
    ])
}

/// What is wrong, where, and how it is written: what no scenario can have, whatever its other settings.
const MISTAKES: &[(&str, &str, &str)] = &[
    ("no rounds", "server.rounds", "0"),
    ("no clients", "clients.total", "0"),
    ("more at work than there are", "server.strategy", r#"{ "fedasync": { "concurrency": 61 } }"#),
    ("nobody at work", "server.strategy", r#"{ "fedasync": { "concurrency": 0 } }"#),
    ("a buffer that is never full", "server.strategy", r#"{ "fedbuff": { "concurrency": 1, "buffer_size": 2 } }"#),
    ("an empty buffer", "server.strategy", r#"{ "fedbuff": { "concurrency": 1, "buffer_size": 0 } }"#),
    ("a period of no length", "server.strategy", r#"{ "semi_sync": { "concurrency": 1, "period": "0 s" } }"#),
    ("a period beyond all patience", "server.strategy", r#"{ "semi_sync": { "concurrency": 1, "period": "2 h" } }"#),
    ("a mixing weight above 1", "server.strategy", r#"{ "fedasync": { "concurrency": 1, "alpha": 1.5 } }"#),
    ("two strategies", "server.strategy", r#"{ "fedavg": {}, "fedasync": { "concurrency": 1 } }"#),
    ("an unknown strategy", "server.strategy", r#""fedsgd""#),
    ("no candidates", "server.selection", r#"{ "power_of_choice": { "d": 0 } }"#),
    ("no tiers", "server.selection", r#"{ "tifl": { "tiers": 0 } }"#),
    ("more exploration in the end", "server.selection", r#"{ "oort": { "exploration": 0.1 } }"#),
    ("a deadline at once", "server.deadline", r#""0 s""#),
    ("a negative deadline", "server.deadline", r#""-3 s""#),
    ("no minimum", "server.min_updates", "0"),
    ("a choice that is not there", "server.below_min_updates", r#""pray""#),
    ("a probability above 1", "clients.dropout.during_train", "1.5"),
    ("a negative probability", "clients.dropout.during_upload", "-0.1"),
    ("shares above 1", "clients.devices.c", r#"{ "share": 0.5, "compute": { "time_per_sample": "1 ms" } }"#),
    ("no device", "clients.devices", "{}"),
    ("no speed", "clients.devices.a.compute", "{}"),
    ("free training", "clients.devices.a.compute", r#"{ "time_per_sample": "0 s" }"#),
    ("a rate of zero", "clients.networks.a.uplink", r#""0 bps""#),
    ("a rate without a unit", "clients.networks.a.downlink", "5"),
    ("a negative latency", "clients.networks.a.latency", r#""-1 ms""#),
    ("crashes at once", "clients.crashes", r#"{ "mean_time_between": "0 s" }"#),
    ("an outage of nobody", "clients.outages", r#"[{ "start": "1 s", "duration": "1 s", "device": "z" }]"#),
    ("an outage of no length", "clients.outages", r#"[{ "start": "1 s", "duration": "0 s" }]"#),
    ("an outage after itself", "clients.outages", r#"[{ "start": "1 s", "duration": "9 s", "every": "5 s" }]"#),
    ("a restart at the start", "server.restarts", r#"[{ "at": "0 s", "downtime": "1 s" }]"#),
    ("no time online", "clients.availability", r#"{ "markov": { "mean_online": "0 s", "mean_offline": "1 s" } }"#),
    ("a word for a number", "clients.total", r#""many""#),
    ("an unknown key", "server.round", "3"),
    ("no length", "clients.sequence_length", "0"),
    ("a text that is too long", "clients.sequence_length", "100000"),
    ("one label", "clients.num_labels", "1"),
    ("an unknown model", "model.name", r#""builtin:huge""#),
    ("a rank of zero", "tuning", r#"{ "lora": { "r": 0 } }"#),
];

/// Puts a value at a dotted path.
fn set(scenario: &mut Value, path: &str, value: Value) {
    let place = path.split('.').fold(scenario, |inside, key| &mut inside[key]);
    *place = value;
}

struct Dice {
    stream: Stream,
    folder: TempDir,
    n_files: u32,
    /// Clients of the scenario.
    total: u32,
}

impl Dice {
    fn below(&mut self, n: u32) -> u32 {
        self.stream.random_range(0..n)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.stream.random_bool(probability)
    }

    fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize].clone()
    }
}
