//! The step size over the steps of one round, as Hugging Face's schedules define it.

use super::{LrSchedule, TrainConfig};

/// The factor on the peak step size at each step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    kind: LrSchedule,
    n_steps: usize,
    n_warmup: usize,
}

impl Schedule {
    /// The schedule of a round of `n_steps` steps. The first `ceil(warmup_ratio x n_steps)` of them warm up, unless the
    /// schedule has no warm-up.
    pub fn new(config: &TrainConfig, n_steps: usize) -> Self {
        let n_warmup = match config.lr_scheduler_type {
            LrSchedule::Constant => 0,
            LrSchedule::Linear | LrSchedule::Cosine | LrSchedule::ConstantWithWarmup => {
                (config.warmup_ratio * n_steps as f64).ceil() as usize
            }
        };
        Self { kind: config.lr_scheduler_type, n_steps, n_warmup }
    }

    /// True when every step warms up, so that none has the peak step size.
    pub fn is_all_warmup(&self) -> bool {
        self.n_warmup >= self.n_steps
    }

    /// The factor, in [0, 1], at step `step` from 0.
    pub fn factor(&self, step: usize) -> f64 {
        if step < self.n_warmup {
            return step as f64 / self.n_warmup as f64;
        }
        let rest = self.n_steps.saturating_sub(self.n_warmup).max(1) as f64;
        let progress = ((step - self.n_warmup) as f64 / rest).min(1.0);
        match self.kind {
            LrSchedule::Linear => 1.0 - progress,
            LrSchedule::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            LrSchedule::Constant | LrSchedule::ConstantWithWarmup => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(kind: LrSchedule, warmup_ratio: f64) -> Vec<f64> {
        let config = TrainConfig { lr_scheduler_type: kind, warmup_ratio, ..TrainConfig::default() };
        let schedule = Schedule::new(&config, 4);
        (0..4).map(|step| (schedule.factor(step) * 1e6).round() / 1e6).collect()
    }

    #[test]
    fn few_steps_are_all_of_the_warmup() {
        let is_all_warmup = |warmup_ratio: f64, n_steps: usize| {
            let config = TrainConfig { warmup_ratio, ..TrainConfig::default() };
            Schedule::new(&config, n_steps).is_all_warmup()
        };
        // ceil(0.1 x 1) = 1 of 1, ceil(0.1 x 2) = 1 of 2; ceil(0.6 x 2) = 2 of 2, ceil(0.6 x 3) = 2 of 3.
        assert_eq!(
            [(0.1, 1), (0.1, 2), (0.6, 2), (0.6, 3)].map(|(ratio, n)| is_all_warmup(ratio, n)),
            [true, false, true, false]
        );
        assert!(!is_all_warmup(0.0, 1));
        let config = TrainConfig { warmup_ratio: 0.1, ..TrainConfig::default() };
        assert_eq!(Schedule::new(&config, 1).factor(0), 0.0, "a single step trains nothing");
    }

    #[test]
    fn factors_are_those_of_the_hugging_face_schedules() {
        // get_linear_schedule_with_warmup(0, 4): (4 - step) / 4.
        assert_eq!(factors(LrSchedule::Linear, 0.0), [1.0, 0.75, 0.5, 0.25]);
        // Two steps of warm-up: 0 / 2, 1 / 2, then (4 - step) / 2.
        assert_eq!(factors(LrSchedule::Linear, 0.5), [0.0, 0.5, 1.0, 0.5]);
        // ceil(0.3 x 4) = 2 steps of warm-up as well.
        assert_eq!(factors(LrSchedule::ConstantWithWarmup, 0.3), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(factors(LrSchedule::Constant, 0.3), [1.0; 4]);
        // (1 + cos(pi step / 4)) / 2.
        assert_eq!(factors(LrSchedule::Cosine, 0.0), [1.0, 0.853553, 0.5, 0.146447]);
    }
}
