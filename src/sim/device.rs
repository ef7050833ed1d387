//! Devices: how long local training takes and whether it fits into memory.

use rand::RngExt;
use rand_distr::StandardNormal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SimError;
use crate::registry::Problem;
use crate::seed::Stream;
use crate::units::{Bytes, FlopRate, Flops, SimDuration};

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
}

/// Speed of a device: exactly one of `flops` (with `efficiency`) and `time_per_sample`.
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
    /// What is wrong with the settings, the share aside: see [`classes::problems`](super::classes::problems).
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = self.compute.problems();
        for problem in &mut found {
            problem.path = if problem.path.is_empty() { "compute".into() } else { format!("compute.{}", problem.path) };
        }
        if self.memory == Some(Bytes::ZERO) {
            found.push(Problem::new("memory", "0 B holds no training").help("leave it out for no limit"));
        }
        found
    }
}

impl ComputeConfig {
    /// What is wrong with the settings.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        match (self.flops, &self.time_per_sample) {
            (Some(_), Some(_)) => found.push(
                Problem::new("", "both `flops` and `time_per_sample` are given; the speed would be stated twice")
                    .help("keep one of them"),
            ),
            (None, None) => found.push(
                Problem::new(
                    "",
                    "neither `flops` nor `time_per_sample` is given; a training time has to come from one",
                )
                .help("add `flops: 600 GFLOPS` with `efficiency: 0.25`, or `time_per_sample: 90 ms`"),
            ),
            (Some(flops), None) => found.extend(flops_problems(flops, self.efficiency)),
            (None, Some(time)) => found.extend(time_problems(time)),
        }
        if self.flops.is_none() && self.efficiency.is_some() {
            found.push(Problem::new("efficiency", "`efficiency` is a fraction of `flops`, which is not given"));
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
        found.push(Problem::new("flops", format!("speed {flops} must be above 0")));
    }
    match efficiency {
        None => found.push(
            Problem::new("", "`flops` is a peak and needs `efficiency`, the fraction of it that training reaches")
                .help("add `efficiency`, in (0, 1]; phones reach about 0.1 to 0.3"),
        ),
        Some(fraction) if !(fraction > 0.0 && fraction <= 1.0) => {
            found.push(Problem::new("efficiency", format!("efficiency {fraction} is not in (0, 1]")));
        }
        Some(_) => {}
    }
    found
}

fn time_problems(time: &TimePerSample) -> Vec<Problem> {
    match time {
        TimePerSample::Fixed(SimDuration::ZERO) => {
            vec![Problem::new("time_per_sample", "training a sample takes time; 0 would make it free")]
        }
        TimePerSample::Fixed(_) => Vec::new(),
        TimePerSample::Drawn(DrawnTimePerSample { lognormal: LognormalTime { median, sigma } }) => {
            let mut found = Vec::new();
            if *median == SimDuration::ZERO {
                let message = "training a sample takes time; 0 would make it free";
                found.push(Problem::new("time_per_sample.lognormal.median", message));
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

/// One task's local training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingWork {
    /// Whose it is; for messages only.
    pub client_id: u32,
    /// Operations for one sample in one epoch, forward and backward. Needed by devices with `flops`.
    pub flops_per_sample: Flops,
    /// Samples in the client's shard.
    pub n_samples: u64,
    /// Passes over the shard.
    pub n_epochs: u64,
}

/// Simulated time of a task's local training: samples x epochs x time per sample, where the time per sample is
/// `flops_per_sample / (flops x efficiency)`, or given, or drawn for the device; times the task's jitter.
///
/// `device` is a stream of the client that does not depend on the round; `task` is a stream of the client in the round.
///
/// # Errors
/// [`SimError::NoDuration`] when the result would be zero, infinite or beyond the clock's range, or a cost is missing:
/// a training time is never made up.
pub fn training_duration(
    compute: &ComputeConfig,
    work: &TrainingWork,
    device: &mut Stream,
    task: &mut Stream,
) -> Result<SimDuration, SimError> {
    let error = |reason: String| SimError::NoDuration { client_id: work.client_id, reason };
    let per_sample_s = seconds_per_sample(compute, work.flops_per_sample, device).map_err(error)?;
    let factor = compute.jitter.as_ref().map_or(1.0, |jitter| lognormal(jitter.lognormal.sigma, task));
    if work.n_samples == 0 || work.n_epochs == 0 {
        return Err(error(format!("it has {} samples and {} epochs", work.n_samples, work.n_epochs)));
    }
    let seconds = per_sample_s * work.n_samples as f64 * work.n_epochs as f64 * factor;
    SimDuration::from_secs_f64(seconds)
        .filter(|duration| *duration > SimDuration::ZERO)
        .ok_or_else(|| error(format!("{seconds} s is beyond the clock's range")))
}

fn seconds_per_sample(compute: &ComputeConfig, work: Flops, device: &mut Stream) -> Result<f64, String> {
    match (compute.flops, &compute.time_per_sample) {
        (Some(flops), None) => {
            let efficiency = compute.efficiency.ok_or("its device has `flops` but no `efficiency`")?;
            let Flops(operations) = work;
            if !(operations > 0.0 && operations.is_finite()) {
                return Err(format!("a sample costs {operations} operations"));
            }
            Ok(operations / (flops.flop_per_s() * efficiency))
        }
        (None, Some(TimePerSample::Fixed(time))) => Ok(time.as_secs_f64()),
        (None, Some(TimePerSample::Drawn(drawn))) => {
            Ok(drawn.lognormal.median.as_secs_f64() * lognormal(drawn.lognormal.sigma, device))
        }
        (None, None) => Err("its device has neither `flops` nor `time_per_sample`".into()),
        (Some(_), Some(_)) => Err("its device has both `flops` and `time_per_sample`".into()),
    }
}

/// `exp(sigma Z)` with Z standard normal: a factor with median 1.
fn lognormal(sigma: f64, stream: &mut Stream) -> f64 {
    if sigma == 0.0 {
        return 1.0;
    }
    let z: f64 = stream.sample(StandardNormal);
    (sigma * z).exp()
}

/// True when a job that needs `need` bytes runs on a device with this memory; a device without a stated memory holds
/// any job.
pub fn fits(memory: Option<Bytes>, need: Bytes) -> bool {
    memory.is_none_or(|memory| need <= memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Seeds};

    fn compute(yaml_like: serde_json::Value) -> ComputeConfig {
        serde_json::from_value(yaml_like).unwrap()
    }

    fn work() -> TrainingWork {
        TrainingWork { client_id: 17, flops_per_sample: Flops(3e9), n_samples: 100, n_epochs: 2 }
    }

    fn duration(compute: &ComputeConfig, work: &TrainingWork, round: u32) -> Result<SimDuration, SimError> {
        let seeds = Seeds::new(5);
        let mut device = seeds.client(Purpose::DeviceClass, work.client_id);
        let mut task = seeds.task(Purpose::DeviceJitter, work.client_id, round);
        training_duration(compute, work, &mut device, &mut task)
    }

    #[test]
    fn time_is_operations_over_speed() {
        // 3e9 x 100 x 2 / (600e9 x 0.25) = 4 s.
        let config = compute(serde_json::json!({ "flops": "600 GFLOPS", "efficiency": 0.25 }));
        assert_eq!(duration(&config, &work(), 1), Ok(SimDuration::from_nanos(4_000_000_000)));
    }

    #[test]
    fn time_is_samples_times_time_per_sample() {
        // 90 ms x 100 x 2 = 18 s.
        let config = compute(serde_json::json!({ "time_per_sample": "90 ms" }));
        assert_eq!(duration(&config, &work(), 1), Ok(SimDuration::from_nanos(18_000_000_000)));
    }

    #[test]
    fn a_device_draws_its_speed_once_and_a_task_its_jitter_each_time() {
        let drawn = serde_json::json!({ "lognormal": { "median": "90 ms", "sigma": 0.6 } });
        let per_device = compute(serde_json::json!({ "time_per_sample": drawn }));
        assert_eq!(duration(&per_device, &work(), 1), duration(&per_device, &work(), 2));
        let other = TrainingWork { client_id: 18, ..work() };
        assert_ne!(duration(&per_device, &work(), 1), duration(&per_device, &other, 1));
        let noisy = serde_json::json!({ "time_per_sample": "90 ms", "jitter": { "lognormal": { "sigma": 0.3 } } });
        assert_ne!(duration(&compute(noisy.clone()), &work(), 1), duration(&compute(noisy), &work(), 2));
    }

    #[test]
    fn drawn_times_are_lognormal() {
        let drawn = serde_json::json!({ "lognormal": { "median": "90 ms", "sigma": 0.6 } });
        let config = compute(serde_json::json!({ "time_per_sample": drawn }));
        let n = 20_000u32;
        let logs: Vec<f64> = (0..n)
            .map(|client_id| {
                let work = TrainingWork { client_id, n_samples: 1, n_epochs: 1, ..work() };
                (duration(&config, &work, 1).unwrap().as_secs_f64() / 0.09).ln()
            })
            .collect();
        let mean = logs.iter().sum::<f64>() / f64::from(n);
        let sd = (logs.iter().map(|log| (log - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt();
        // Five standard errors: 5 x 0.6 / sqrt(n) = 0.021 for the mean, 5 x 0.6 / sqrt(2 n) = 0.015 for the deviation.
        assert!(mean.abs() < 0.021 && (sd - 0.6).abs() < 0.015, "mean {mean}, sd {sd}");
    }

    #[test]
    fn a_time_that_cannot_be_computed_is_an_error_that_names_the_client() {
        let fast = compute(serde_json::json!({ "flops": "600 GFLOPS", "efficiency": 0.25 }));
        let cases = [
            (fast.clone(), TrainingWork { n_samples: 0, ..work() }, "0 samples"),
            (fast.clone(), TrainingWork { flops_per_sample: Flops(0.0), ..work() }, "0 operations"),
            (fast.clone(), TrainingWork { flops_per_sample: Flops(f64::NAN), ..work() }, "NaN operations"),
            (fast.clone(), TrainingWork { flops_per_sample: Flops(1e300), ..work() }, "beyond the clock's range"),
            (compute(serde_json::json!({ "flops": "1 GFLOPS" })), work(), "no `efficiency`"),
            (compute(serde_json::json!({})), work(), "neither `flops`"),
            (compute(serde_json::json!({ "time_per_sample": "0 ms" })), work(), "beyond the clock's range"),
        ];
        for (config, work, expected) in cases {
            let message = duration(&config, &work, 1).expect_err("cannot be computed").to_string();
            assert!(message.contains("client 17") && message.contains(expected), "{message}");
        }
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
        assert_eq!(paths(serde_json::json!({ "flops": "0 GFLOPS", "efficiency": 1.5 })), ["flops", "efficiency"]);
        assert_eq!(paths(serde_json::json!({ "time_per_sample": "1 ms", "efficiency": 0.5 })), ["efficiency"]);
        let drawn = serde_json::json!({ "lognormal": { "median": "0 ms", "sigma": -1.0 } });
        assert_eq!(
            paths(serde_json::json!({ "time_per_sample": drawn, "jitter": { "lognormal": { "sigma": 9.0 } } })),
            ["time_per_sample.lognormal.median", "time_per_sample.lognormal.sigma", "jitter.lognormal.sigma"]
        );
    }

    #[test]
    fn memory_is_compared_in_whole_bytes() {
        assert!(fits(None, Bytes::new(u64::MAX)));
        assert!(fits(Some(Bytes::new(10)), Bytes::new(10)));
        assert!(!fits(Some(Bytes::new(10)), Bytes::new(11)));
    }
}
