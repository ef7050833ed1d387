//! Devices: how long local training takes and whether it fits into memory.

mod config;

use rand::RngExt;
use rand_distr::StandardNormal;

pub use config::{
    ComputeConfig, DeviceClassConfig, DrawnTimePerSample, EnergyConfig, Jitter, LognormalJitter, LognormalTime,
    TimePerSample,
};

use super::{BuildContext, SimError};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds, Stream};
use crate::units::{Bytes, Flops, SimDuration, SimTime};

/// The devices of one class, as a run asks them. All answers are functions of the client, the address and the time.
#[derive(Debug, Clone)]
pub struct DeviceClass {
    config: DeviceClassConfig,
    seeds: Seeds,
}

/// Power that a device draws, in watts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PowerDraw {
    /// At all times.
    pub idle_w: f64,
    /// Beside `idle_w` while training.
    pub compute_w: f64,
    /// Beside `idle_w` while a transfer is under way.
    pub radio_w: f64,
}

impl DeviceClassConfig {
    /// What is wrong with the files that the settings name, each message beginning with `file:line: `.
    pub fn file_problems(&self, _context: &BuildContext) -> Vec<Problem> {
        Vec::new()
    }

    /// The devices for a run.
    ///
    /// # Errors
    /// When a file cannot be read; [`file_problems`](Self::file_problems) told why before.
    pub fn build(&self, context: &BuildContext) -> Result<DeviceClass, SimError> {
        Ok(DeviceClass { config: self.clone(), seeds: context.seeds })
    }
}

impl DeviceClass {
    /// Memory that training may use on a client's device. None: no limit.
    pub fn memory(&self, _client_id: u32) -> Option<Bytes> {
        self.config.memory
    }

    /// Simulated time of a task's local training that begins at `start`: samples x epochs x time per sample, where the
    /// time per sample is `flops_per_sample / (flops x efficiency)`, or given, or drawn for the device; times the task's
    /// jitter. `address` tells a client's tasks apart: the round, where there are rounds.
    ///
    /// # Errors
    /// [`SimError::NoDuration`] when the result would be zero, infinite or beyond the clock's range, or a cost is missing:
    /// a training time is never made up.
    pub fn training_duration(
        &self,
        work: &TrainingWork,
        _start: SimTime,
        seeds: &Seeds,
        address: u32,
    ) -> Result<SimDuration, SimError> {
        let factor = self.config.compute.jitter.as_ref().map_or(1.0, |jitter| {
            lognormal(jitter.lognormal.sigma, &mut seeds.task(Purpose::DeviceJitter, work.client_id, address))
        });
        self.duration(work, factor)
    }

    /// [`training_duration`](Self::training_duration) without jitter and without the load of other programs: what a client
    /// states about itself.
    ///
    /// # Errors
    /// As above.
    pub fn nominal_duration(&self, work: &TrainingWork) -> Result<SimDuration, SimError> {
        self.duration(work, 1.0)
    }

    /// Power that the devices draw. None: energy is not counted.
    pub fn power(&self) -> Option<PowerDraw> {
        self.config.energy.map(|energy| PowerDraw {
            idle_w: energy.idle.watts(),
            compute_w: energy.compute.watts(),
            radio_w: energy.radio.watts(),
        })
    }

    fn duration(&self, work: &TrainingWork, factor: f64) -> Result<SimDuration, SimError> {
        let mut device = self.seeds.client(Purpose::DeviceSpeed, work.client_id);
        let error = |reason| SimError::NoDuration { client_id: work.client_id, reason };
        let per_sample_s =
            seconds_per_sample(&self.config.compute, work.flops_per_sample, &mut device).map_err(error)?;
        total(work, per_sample_s, factor)
    }
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
    total(work, per_sample_s, factor)
}

fn total(work: &TrainingWork, per_sample_s: f64, factor: f64) -> Result<SimDuration, SimError> {
    let error = |reason: String| SimError::NoDuration { client_id: work.client_id, reason };
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

    fn compute(yaml_like: serde_json::Value) -> ComputeConfig {
        serde_json::from_value(yaml_like).unwrap()
    }

    fn work() -> TrainingWork {
        TrainingWork { client_id: 17, flops_per_sample: Flops(3e9), n_samples: 100, n_epochs: 2 }
    }

    fn class(compute: &ComputeConfig) -> DeviceClass {
        let config = serde_json::json!({ "share": 1.0, "compute": compute });
        let config: DeviceClassConfig = serde_json::from_value(config).unwrap();
        config.build(&BuildContext::new(Seeds::new(5), 100)).unwrap()
    }

    fn duration(compute: &ComputeConfig, work: &TrainingWork, round: u32) -> Result<SimDuration, SimError> {
        class(compute).training_duration(work, SimTime::ZERO, &Seeds::new(5), round)
    }

    #[test]
    fn the_draws_are_those_of_the_two_streams() {
        let drawn = serde_json::json!({ "lognormal": { "median": "90 ms", "sigma": 0.6 } });
        let jitter = serde_json::json!({ "lognormal": { "sigma": 0.3 } });
        let config = compute(serde_json::json!({ "time_per_sample": drawn, "jitter": jitter }));
        let z = |mut stream: Stream| -> f64 { stream.sample(StandardNormal) };
        let seeds = Seeds::new(5);
        let speed = (0.6 * z(seeds.client(Purpose::DeviceSpeed, 17))).exp();
        let noise = (0.3 * z(seeds.task(Purpose::DeviceJitter, 17, 9))).exp();
        let expected = |noise: f64| SimDuration::from_secs_f64(0.09 * speed * 100.0 * 2.0 * noise).unwrap();
        assert_eq!(duration(&config, &work(), 9), Ok(expected(noise)));
        assert_eq!(class(&config).nominal_duration(&work()), Ok(expected(1.0)));
    }

    #[test]
    fn power_is_told_in_watts() {
        let settings = serde_json::json!({
            "share": 1.0, "compute": { "time_per_sample": "1 ms" },
            "energy": { "idle": "500 mW", "compute": "4 W", "radio": "1.2 W" },
        });
        let config: DeviceClassConfig = serde_json::from_value(settings).unwrap();
        let power = config.build(&BuildContext::new(Seeds::new(5), 100)).unwrap().power();
        assert_eq!(power, Some(PowerDraw { idle_w: 0.5, compute_w: 4.0, radio_w: 1.2 }));
        assert_eq!(class(&compute(serde_json::json!({ "time_per_sample": "1 ms" }))).power(), None);
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
    fn memory_is_compared_in_whole_bytes() {
        assert!(fits(None, Bytes::new(u64::MAX)));
        assert!(fits(Some(Bytes::new(10)), Bytes::new(10)));
        assert!(!fits(Some(Bytes::new(10)), Bytes::new(11)));
    }
}
