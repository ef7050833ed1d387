//! Devices: how long local training takes and whether it fits into memory.

mod config;
mod table;

use std::sync::Arc;

use rand::RngExt;
use rand_distr::StandardNormal;

pub use config::{
    ComputeConfig, DeviceClassConfig, DrawnTimePerSample, EnergyConfig, Jitter, LognormalJitter, LognormalTime,
    TimePerSample,
};
pub use table::TableConfig;

use self::table::Table;
use super::load::Load;
use super::{Battery, BuildContext, SimError};
use crate::registry::Problem;
use crate::seed::{Purpose, Seeds, Stream};
use crate::units::{Bytes, Flops, SimDuration, SimTime};

/// The devices of one class, as a run asks them. All answers are functions of the client, the address and the time.
#[derive(Clone)]
pub struct DeviceClass {
    config: DeviceClassConfig,
    seeds: Seeds,
    table: Option<Arc<Table>>,
    battery: Option<Battery>,
    load: Option<Arc<Load>>,
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
    pub fn file_problems(&self, context: &BuildContext) -> Vec<Problem> {
        let found = self.compute.table.iter().flat_map(|table| table.file_problems(context));
        found.map(|problem| Problem { path: format!("compute.table.{}", problem.path), ..problem }).collect()
    }

    /// The files that are read, with their settings.
    pub fn files_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut String)> {
        self.compute.table.iter_mut().map(|table| ("compute.table.file", &mut table.file))
    }

    /// The devices for a run.
    ///
    /// # Errors
    /// When a file cannot be read; [`file_problems`](Self::file_problems) told why before.
    pub fn build(&self, context: &BuildContext) -> Result<DeviceClass, SimError> {
        let table = self.compute.table.as_ref().map(|table| table.build(context)).transpose()?;
        let idle = self.energy.map(|energy| energy.idle);
        Ok(DeviceClass {
            config: self.clone(),
            seeds: context.seeds,
            table: table.map(Arc::new),
            battery: self.battery.zip(idle).map(|(battery, idle)| Battery::new(battery, idle, context.seeds)),
            load: self.load.map(|load| Arc::new(Load::new(load, context.seeds))),
        })
    }
}

impl DeviceClass {
    /// Memory that training may use on a client's device. None: no limit.
    pub fn memory(&self, client_id: u32) -> Option<Bytes> {
        self.table.as_ref().and_then(|table| table.memory(client_id)).or(self.config.memory)
    }

    /// Simulated time of a task's local training that begins at `start`: samples x epochs x time per sample, where the
    /// time per sample is `flops_per_sample / (flops x efficiency)`, or given, drawn or measured for the device; times the
    /// task's jitter; stretched while other programs keep the device busy. `address` tells a client's tasks apart: the round, where there are rounds.
    ///
    /// # Errors
    /// [`SimError::NoDuration`] when the result would be zero, infinite or beyond the clock's range, or a cost is missing:
    /// a training time is never made up.
    pub fn training_duration(
        &self,
        work: &TrainingWork,
        start: SimTime,
        seeds: &Seeds,
        address: u32,
    ) -> Result<SimDuration, SimError> {
        let factor = self.config.compute.jitter.as_ref().map_or(1.0, |jitter| {
            lognormal(jitter.lognormal.sigma, &mut seeds.task(Purpose::DeviceJitter, work.client_id, address))
        });
        self.duration(work, factor, |alone_s| {
            self.load.as_ref().map_or(alone_s, |load| load.stretched_s(work.client_id, start, alone_s))
        })
    }

    /// [`training_duration`](Self::training_duration) without jitter and without the load of other programs: what a client
    /// states about itself.
    ///
    /// # Errors
    /// As above.
    pub fn nominal_duration(&self, work: &TrainingWork) -> Result<SimDuration, SimError> {
        self.duration(work, 1.0, |alone_s| alone_s)
    }

    /// Power that the devices draw. None: energy is not counted.
    pub fn power(&self) -> Option<PowerDraw> {
        self.config.energy.map(|energy| PowerDraw {
            idle_w: energy.idle.watts(),
            compute_w: energy.compute.watts(),
            radio_w: energy.radio.watts(),
        })
    }

    /// The devices' batteries. None: they are always on the mains.
    pub fn battery(&self) -> Option<&Battery> {
        self.battery.as_ref()
    }

    fn duration(
        &self,
        work: &TrainingWork,
        factor: f64,
        stretched_s: impl Fn(f64) -> f64,
    ) -> Result<SimDuration, SimError> {
        let error = |reason: String| SimError::NoDuration { client_id: work.client_id, reason };
        if work.n_samples == 0 || work.n_epochs == 0 {
            return Err(error(format!("it has {} samples and {} epochs", work.n_samples, work.n_epochs)));
        }
        let per_sample_s = self.seconds_per_sample(work).map_err(error)?;
        let alone_s = per_sample_s * work.n_samples as f64 * work.n_epochs as f64 * factor;
        let beyond = || error(format!("{alone_s} s is beyond the clock's range"));
        // Asked before it is stretched, so that no endless work is walked through.
        SimDuration::from_secs_f64(alone_s).filter(|alone| *alone > SimDuration::ZERO).ok_or_else(beyond)?;
        SimDuration::from_secs_f64(stretched_s(alone_s))
            .filter(|duration| *duration > SimDuration::ZERO)
            .ok_or_else(beyond)
    }

    fn seconds_per_sample(&self, work: &TrainingWork) -> Result<f64, String> {
        let compute = &self.config.compute;
        match (compute.flops, &compute.time_per_sample, &self.table) {
            (Some(flops), None, None) => {
                let efficiency = compute.efficiency.ok_or("its device has `flops` but no `efficiency`")?;
                Ok(checked_operations(work.flops_per_sample)? / (flops.flop_per_s() * efficiency))
            }
            (None, Some(TimePerSample::Fixed(time)), None) => Ok(time.as_secs_f64()),
            (None, Some(TimePerSample::Drawn(drawn)), None) => {
                let mut stream = self.seeds.client(Purpose::DeviceSpeed, work.client_id);
                Ok(drawn.lognormal.median.as_secs_f64() * lognormal(drawn.lognormal.sigma, &mut stream))
            }
            (None, None, Some(table)) => table.seconds_per_sample(work.client_id, work.flops_per_sample),
            (None, None, None) => Err("its device has no `flops`, `time_per_sample` or `table`".into()),
            _ => Err("the speed of its device is stated twice".into()),
        }
    }
}

/// The operations of a sample, unless they are none or without end.
fn checked_operations(work: Flops) -> Result<f64, String> {
    let Flops(operations) = work;
    if operations > 0.0 && operations.is_finite() {
        return Ok(operations);
    }
    Err(format!("a sample costs {operations} operations"))
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

    fn from_table(text: &str, settings: serde_json::Value, n_clients: u32) -> Result<DeviceClass, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("devices.csv"), text).unwrap();
        let mut table = serde_json::json!({ "file": "devices.csv" });
        table.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let config = serde_json::json!({ "share": 1.0, "compute": { "table": table }, "memory": "1 GiB" });
        let config: DeviceClassConfig = serde_json::from_value(config).unwrap();
        assert_eq!(config.problems(), []);
        let context = BuildContext { base_dir: dir.path().to_owned(), ..BuildContext::new(Seeds::new(5), n_clients) };
        let found = config.file_problems(&context);
        assert!(found.iter().all(|problem| problem.path == "compute.table.file" && problem.help.is_some()));
        let built = config.build(&context);
        assert_eq!(built.is_ok(), found.is_empty());
        built.map_err(|_| found.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn measured_devices_are_those_of_the_table() {
        let text = "device_id,time_per_sample_ms,memory_mib\n1,50,\n0,25,512\n";
        let class = from_table(text, serde_json::json!({}), 2).ok().unwrap();
        let seconds = |class: &DeviceClass, client_id| {
            let work = TrainingWork { client_id, n_samples: 10, n_epochs: 1, ..work() };
            class.nominal_duration(&work).unwrap().as_secs_f64()
        };
        assert_eq!((seconds(&class, 0), seconds(&class, 1)), (0.25, 0.5));
        assert_eq!((class.memory(0), class.memory(1)), (Some(Bytes::new(512 << 20)), Some(Bytes::new(1 << 30))));
        // The work of a sample is 3 GFLOP, the measured work was 6: half of the time.
        let scaled = from_table(text, serde_json::json!({ "reference_flops": "6 GFLOP" }), 2).ok().unwrap();
        assert!((seconds(&scaled, 1) - 0.25).abs() < 1e-9);
        let drawn = from_table(text, serde_json::json!({ "assign": "random" }), 2000).ok().unwrap();
        let slow = (0..2000).filter(|client| seconds(&drawn, *client) == 0.5).count();
        // Half, with five standard deviations of sqrt(500).
        assert!((888..1112).contains(&slow), "{slow}");
    }

    #[test]
    fn faults_of_a_table_have_places() {
        let faults = |rows: &str| {
            let text = format!("client_id,time_per_sample_ms,memory_mib\n{rows}");
            from_table(&text, serde_json::json!({}), 3).err().unwrap_or_default()
        };
        assert_eq!(faults("0,1,\n1,1,\n2,1,\n"), [""; 0]);
        assert_eq!(faults("0,0,\n1,1,\n2,1,\n"), ["devices.csv:2: time_per_sample_ms is 0"]);
        // Whatever else is wrong, who is nobody and who is missing is told.
        let several = [
            "devices.csv:2: time_per_sample_ms is 0",
            "devices.csv:3: there is no client `9`; clients are 0 to 2",
            "devices.csv: client 1 has no row, nor have 1 others",
        ];
        assert_eq!(faults("0,0,\n9,1,\n"), several);
        let no_memory = ["devices.csv:2: memory_mib is 0, which holds no training"];
        assert_eq!(faults("0,1,0\n1,1,\n2,1,\n"), no_memory);
        assert_eq!(faults("0,1,x\n1,1,\n2,1,\n"), ["devices.csv:2: memory_mib `x` is not a number"]);
        assert_eq!(faults("0,1,\n0,2,\n1,1,\n2,1,\n"), ["devices.csv:3: `0` has a row in line 2 already"]);
        let too_short = ["devices.csv:3: time_per_sample_ms `1e-322` is less than 1e-6 and not 0"];
        assert_eq!(faults("0,1e-6,\n1,1e-322,\n2,1,\n"), too_short);
        assert_eq!(faults("0,1e300,\n1,1,\n2,1,\n"), ["devices.csv:2: time_per_sample_ms `1e300` is more than 9e12"]);
        assert_eq!(faults("0,1,1e30\n1,1,\n2,1,\n"), ["devices.csv:2: memory_mib `1e30` is more than 1.7e13"]);
        let nobody = ["devices.csv:5: there is no client `7`; clients are 0 to 2"];
        assert_eq!(faults("0,1,\n1,1,\n2,1,\n7,1,\n"), nobody);
        assert_eq!(faults("1,1,\n"), ["devices.csv: client 0 has no row, nor have 1 others"]);
    }

    #[test]
    fn load_stretches_what_is_done_and_not_what_is_stated() {
        let settings = serde_json::json!({
            "share": 1.0, "compute": { "time_per_sample": "1 s" },
            "load": { "mean_busy": "1 min", "mean_idle": "1 min", "slowdown": 4.0 },
            "energy": { "idle": "1 W", "compute": "4 W", "radio": "1 W" },
            "battery": { "capacity": "15 Wh", "initial": 0.5, "start_above": 0.3 },
        });
        let config: DeviceClassConfig = serde_json::from_value(settings).unwrap();
        assert_eq!(config.problems(), []);
        let class = config.build(&BuildContext::new(Seeds::new(5), 100)).unwrap();
        assert_eq!(class.nominal_duration(&work()), Ok(SimDuration::from_nanos(200_000_000_000)));
        let at = |start| class.training_duration(&work(), SimTime::from_nanos(start), &Seeds::new(5), 1).unwrap();
        let (early, late) = (at(0).as_secs_f64(), at(600_000_000_000).as_secs_f64());
        assert!(early != late && [early, late].iter().all(|time| (200.0..=800.0).contains(time)), "{early} {late}");
        // 0.5 x 15 Wh = 27,000 J.
        assert_eq!(class.battery().unwrap().initial(3).joules, 27_000.0);
        assert!(
            from_table("client_id,time_per_sample_ms\n0,1\n", serde_json::json!({}), 1)
                .ok()
                .unwrap()
                .battery()
                .is_none()
        );
    }

    #[test]
    fn jitter_beyond_the_clock_is_refused_before_load_is_walked_through() {
        let settings = serde_json::json!({
            "share": 1.0, "compute": { "time_per_sample": "1000 d", "jitter": { "lognormal": { "sigma": 5.0 } } },
            "load": { "mean_busy": "1 ms", "mean_idle": "1 ms", "slowdown": 2.0 },
        });
        let config: DeviceClassConfig = serde_json::from_value(settings).unwrap();
        let seeds = Seeds::new(5);
        let class = config.build(&BuildContext::new(seeds, 100)).unwrap();
        // 1000 d x 100 x 2 = 1.7e10 s is within the clock's 1.8e10 s, and times a factor above 2 beyond it.
        assert!(class.nominal_duration(&work()).is_ok());
        let factor = |address| lognormal(5.0, &mut seeds.task(Purpose::DeviceJitter, 17, address));
        let address = (0..100).find(|address| factor(*address) > 2.0).unwrap();
        let error = class.training_duration(&work(), SimTime::ZERO, &seeds, address).unwrap_err().to_string();
        assert!(error.contains("is beyond the clock's range"), "{error}");
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
            (compute(serde_json::json!({})), work(), "no `flops`"),
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
