//! Settings of device classes, and what can be wrong with them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TableConfig;
use crate::registry::Problem;
use crate::sim::{BatteryConfig, LoadConfig};
use crate::units::{Bytes, FlopRate, Power, SimDuration};

/// A class of devices: `clients.devices.<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceClassConfig {
    /// Fraction of the clients that are of this class, in (0, 1]. All shares sum to 1.
    pub share: f64,
    /// How fast it trains.
    pub compute: ComputeConfig,
    /// Memory that training may use. A client that cannot hold the job drops with reason `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
    /// Power that it draws. Absent: energy is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<EnergyConfig>,
    /// Its battery. Absent: it is always on the mains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<BatteryConfig>,
    /// Other programs that slow training down. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<LoadConfig>,
}

/// Electrical power of a device by what it does. Phones draw about 0.5 W idle, 2 to 5 W while they train and 1 W while
/// they send over Wi-Fi.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnergyConfig {
    /// Drawn at all times, >= 0.
    pub idle: Power,
    /// Drawn beside `idle` while training, >= 0.
    pub compute: Power,
    /// Drawn beside `idle` while a transfer is under way, >= 0.
    pub radio: Power,
}

/// Speed of a device: exactly one of `flops` (with `efficiency`), `time_per_sample` and `table`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// Peak speed, > 0. A task takes its operations / (`flops` x `efficiency`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flops: Option<FlopRate>,
    /// Fraction of the peak that training reaches, in (0, 1]. Required with `flops`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub efficiency: Option<f64>,
    /// Training time of one sample in one epoch, > 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_per_sample: Option<TimePerSample>,
    /// Measured devices from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<TableConfig>,
    /// Noise on each task's training time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Jitter>,
}

/// Training time of one sample: one for all devices of the class, or drawn once for each device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TimePerSample {
    /// The same for each device.
    Fixed(SimDuration),
    /// Log-normal over the devices of the class.
    Drawn(DrawnTimePerSample),
}

/// A distribution over devices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrawnTimePerSample {
    /// Log-normal: `median x exp(sigma Z)`, Z standard normal.
    pub lognormal: LognormalTime,
}

/// Parameters of a log-normal duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalTime {
    /// Half of the devices are faster. > 0.
    pub median: SimDuration,
    /// Standard deviation of the logarithm, in [0, 5]. 0 is no spread.
    pub sigma: f64,
}

/// Noise by which a task's training time is multiplied, drawn for each task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jitter {
    /// Log-normal factor with median 1: `exp(sigma Z)`.
    pub lognormal: LognormalJitter,
}

/// Parameters of a log-normal factor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalJitter {
    /// Standard deviation of the logarithm, in [0, 5]. 0 is no noise.
    pub sigma: f64,
}

/// Above this a log-normal factor spans more than 13 decades within three standard deviations: a slip, not a fleet.
const SIGMA_MAX: f64 = 5.0;

impl DeviceClassConfig {
    /// Devices that take so long for one sample in one epoch; they have memory and power enough.
    pub fn with_time_per_sample(share: f64, time: SimDuration) -> Self {
        let time_per_sample = Some(TimePerSample::Fixed(time));
        let compute = ComputeConfig { flops: None, efficiency: None, time_per_sample, table: None, jitter: None };
        Self { share, compute, memory: None, energy: None, battery: None, load: None }
    }

    /// What is wrong with the settings, the share aside: see [`classes::problems`](crate::sim::classes::problems).
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = self.compute.problems();
        for problem in &mut found {
            problem.path = if problem.path.is_empty() { "compute".into() } else { format!("compute.{}", problem.path) };
        }
        if self.memory == Some(Bytes::ZERO) {
            found.push(Problem::new("memory", "0 B holds no training").help("leave it out for no limit"));
        }
        let mut below = |path: &str, problems: Vec<Problem>| {
            found.extend(problems.into_iter().map(|problem| {
                let path = if problem.path.is_empty() { path.into() } else { format!("{path}.{}", problem.path) };
                Problem { path, ..problem }
            }));
        };
        below("battery", self.battery.map_or(Vec::new(), |battery| battery.problems(self.energy.map(|e| e.idle))));
        below("load", self.load.map_or(Vec::new(), |load| load.problems()));
        found
    }
}

impl ComputeConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        match (self.flops, &self.time_per_sample, &self.table) {
            (Some(flops), None, None) => found.extend(flops_problems(flops, self.efficiency)),
            (None, Some(time), None) => found.extend(time_problems(time)),
            (None, None, Some(table)) => found.extend(
                table
                    .problems()
                    .into_iter()
                    .map(|problem| Problem { path: format!("table.{}", problem.path), ..problem }),
            ),
            (None, None, None) => found.push(
                Problem::new("", "no speed is given; a training time has to come from one")
                    .help("add `flops: 600 GFLOPS` with `efficiency: 0.25`, or `time_per_sample: 90 ms`, or `table`"),
            ),
            (flops, time, table) => {
                let given =
                    [("`flops`", flops.is_some()), ("`time_per_sample`", time.is_some()), ("`table`", table.is_some())];
                let given: Vec<_> = given.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect();
                let both = if given.len() == 2 { "both " } else { "" };
                let message = format!("{both}{} are given; the speed would be stated twice", given.join(" and "));
                found.push(Problem::new("", message).help("keep one of them"));
            }
        }
        if self.flops.is_none() && self.efficiency.is_some() {
            let problem = Problem::new("efficiency", "`efficiency` is a fraction of `flops`, which is not given");
            found.push(problem.help("remove it, or give the speed by `flops`"));
        }
        if let Some(jitter) = &self.jitter {
            found.extend(sigma_problem("jitter.lognormal.sigma", jitter.lognormal.sigma));
        }
        found
    }
}

fn flops_problems(flops: FlopRate, efficiency: Option<f64>) -> Vec<Problem> {
    let mut found = Vec::new();
    // Written so that NaN is refused too.
    if !(flops.flop_per_s() > 0.0 && flops.flop_per_s().is_finite()) {
        let problem = Problem::new("flops", format!("speed {flops} must be above 0"));
        found.push(problem.help("write the device's peak, such as `600 GFLOPS`"));
    }
    match efficiency {
        None => found.push(
            Problem::new("", "`flops` is a peak and needs `efficiency`, the fraction of it that training reaches")
                .help("add `efficiency`, in (0, 1]; phones reach about 0.1 to 0.3"),
        ),
        Some(fraction) if !(fraction > 0.0 && fraction <= 1.0) => {
            let problem = Problem::new("efficiency", format!("efficiency {fraction} is not in (0, 1]"));
            found.push(
                problem.help("it is the fraction of the peak that training reaches; phones reach about 0.1 to 0.3"),
            );
        }
        Some(_) => {}
    }
    found
}

const FREE: &str = "training a sample takes time; 0 would make it free";
const FREE_HELP: &str = "write what was measured, such as `90 ms`";

fn time_problems(time: &TimePerSample) -> Vec<Problem> {
    match time {
        TimePerSample::Fixed(SimDuration::ZERO) => {
            vec![Problem::new("time_per_sample", FREE).help(FREE_HELP)]
        }
        TimePerSample::Fixed(_) => Vec::new(),
        TimePerSample::Drawn(DrawnTimePerSample { lognormal: LognormalTime { median, sigma } }) => {
            let mut found = Vec::new();
            if *median == SimDuration::ZERO {
                found.push(Problem::new("time_per_sample.lognormal.median", FREE).help(FREE_HELP));
            }
            found.extend(sigma_problem("time_per_sample.lognormal.sigma", *sigma));
            found
        }
    }
}

fn sigma_problem(path: &str, sigma: f64) -> Option<Problem> {
    (!(0.0..=SIGMA_MAX).contains(&sigma)).then(|| {
        Problem::new(path, format!("sigma {sigma} is not in [0, {SIGMA_MAX}]"))
            .help("it is the standard deviation of the logarithm; 0.3 is a spread of about 30 %")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compute(yaml_like: serde_json::Value) -> ComputeConfig {
        serde_json::from_value(yaml_like).unwrap()
    }

    #[test]
    fn bad_settings_are_named() {
        let paths = |json| {
            let problems = compute(json).problems();
            problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>()
        };
        assert!(paths(serde_json::json!({ "flops": "1 GFLOPS", "efficiency": 1.0 })).is_empty());
        assert!(paths(serde_json::json!({ "time_per_sample": "1 ms" })).is_empty());
        assert_eq!(paths(serde_json::json!({})), [""]);
        assert_eq!(paths(serde_json::json!({ "flops": "1 GFLOPS" })), [""]);
        assert_eq!(paths(serde_json::json!({ "flops": "1 GFLOPS", "time_per_sample": "1 ms" })), [""]);
        let table = serde_json::json!({ "file": "a.csv", "reference_flops": "0 FLOP" });
        assert_eq!(paths(serde_json::json!({ "table": table })), ["table.reference_flops"]);
        assert_eq!(paths(serde_json::json!({ "table": table, "time_per_sample": "1 ms" })), [""]);
        assert_eq!(paths(serde_json::json!({ "flops": "0 GFLOPS", "efficiency": 1.5 })), ["flops", "efficiency"]);
        assert_eq!(paths(serde_json::json!({ "time_per_sample": "1 ms", "efficiency": 0.5 })), ["efficiency"]);
        let drawn = serde_json::json!({ "lognormal": { "median": "0 ms", "sigma": -1.0 } });
        assert_eq!(
            paths(serde_json::json!({ "time_per_sample": drawn, "jitter": { "lognormal": { "sigma": 9.0 } } })),
            ["time_per_sample.lognormal.median", "time_per_sample.lognormal.sigma", "jitter.lognormal.sigma"]
        );
    }
}
