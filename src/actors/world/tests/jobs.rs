//! When jobs run beside each other, and what becomes of them when the run ends.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::*;

/// Longer than any test should take on a machine that is busy.
const LONG: u32 = 20_000;

/// Waits up to [`LONG`] milliseconds. False when that was in vain.
fn comes_true(what: impl Fn() -> bool) -> bool {
    (0..LONG).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        what()
    })
}

/// Trains, or evaluates, until it is called off.
#[derive(Default)]
struct Endless {
    trains: bool,
    has_begun: AtomicBool,
    was_cancelled: AtomicBool,
}

impl Endless {
    fn go_on(&self, cancel: &Cancel) {
        self.has_begun.store(true, Ordering::SeqCst);
        self.was_cancelled.store(comes_true(|| cancel.is_cancelled()), Ordering::SeqCst);
    }
}

impl Trainer for Endless {
    fn train(&self, start: &Arc<Params>, _: u32, _: u32, cancel: &Cancel) -> Option<Result<Trained, LearningError>> {
        if self.trains {
            self.go_on(cancel);
            return None;
        }
        let update = Update { params: Params::clone(start), num_examples: 10, train_loss: 0.0, steps: 1 };
        Some(Ok(Trained::Update(Box::new(update))))
    }

    fn evaluate(&self, _: &Params, cancel: &Cancel) -> Option<Result<Evaluation, LearningError>> {
        self.go_on(cancel);
        None
    }
}

/// Stops the run once the endless work has begun.
struct Impatient(Arc<Endless>, EventKind, bool);

impl Observer for Impatient {
    fn record(&mut self, record: &Record) -> Result<(), ReportError> {
        self.2 |= record.event == self.1;
        Ok(())
    }

    fn round(&mut self, _: &RoundReport) -> Result<(), ReportError> {
        Ok(())
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }

    fn is_to_stop(&self) -> bool {
        self.2 && comes_true(|| self.0.has_begun.load(Ordering::SeqCst))
    }
}

#[test]
fn a_run_that_stops_calls_off_what_it_was_computing() {
    for (trains, begins_with) in [(true, EventKind::TrainStart), (false, EventKind::Eval)] {
        let trainer = Arc::new(Endless { trains, ..Endless::default() });
        let initial = Arc::new(Params::zeros(Layout::new(vec![TensorSpec::new("w", [3])])));
        let mut plan = plan();
        plan.learning = Some(Learning { trainer: trainer.clone(), initial, workers: 1 });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let stopped = runtime.block_on(run(&plan, &mut Impatient(trainer.clone(), begins_with, false)));
        assert!(matches!(stopped, Err(WorldError::Stopped { .. })));
        assert!(trainer.was_cancelled.load(Ordering::SeqCst), "trains: {trains}");
    }
}

/// Goes on once two trainings have been under way at a time.
#[derive(Default)]
struct InPairs {
    now: AtomicUsize,
    have_met: AtomicBool,
}

impl Trainer for InPairs {
    fn train(&self, start: &Arc<Params>, _: u32, _: u32, _: &Cancel) -> Option<Result<Trained, LearningError>> {
        if self.now.fetch_add(1, Ordering::SeqCst) > 0 {
            self.have_met.store(true, Ordering::SeqCst);
        }
        let in_vain = !comes_true(|| self.have_met.load(Ordering::SeqCst));
        self.now.fetch_sub(1, Ordering::SeqCst);
        let update = Update { params: Params::clone(start), num_examples: 10, train_loss: 0.0, steps: 1 };
        Some(if in_vain { Err(LearningError("alone".into())) } else { Ok(Trained::Update(Box::new(update))) })
    }

    fn evaluate(&self, _: &Params, _: &Cancel) -> Option<Result<Evaluation, LearningError>> {
        Some(Ok(Evaluation { loss: 0.0, accuracy: 0.0, f1: 0.0, macro_f1: 0.0, mcc: 0.0, n: 1 }))
    }
}

#[test]
fn values_that_were_thought_to_be_of_no_use_are_computed_side_by_side() {
    // Training ends at 3.1 s, after the deadline of 2 s, so that no job is submitted; but the round is extended.
    let mut plan = plan();
    plan.rounds.rounds = 1;
    plan.rounds.min_updates = 4;
    plan.rounds.deadline = Some("2 s".parse().unwrap());
    plan.rounds.below_min_updates = from_json(serde_json::json!({ "extend": { "by": "2 s", "times": 2 } }));
    let initial = Arc::new(Params::zeros(Layout::new(vec![TensorSpec::new("w", [3])])));
    plan.learning = Some(Learning { trainer: Arc::new(InPairs::default()), initial, workers: 2 });
    assert_eq!(simulate(&plan).0.totals.aggregated, 4);
}

/// Counts the trainings that it is asked for.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Trainer for Counting {
    fn train(&self, start: &Arc<Params>, _: u32, _: u32, _: &Cancel) -> Option<Result<Trained, LearningError>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let update = Update { params: Params::clone(start), num_examples: 10, train_loss: 0.0, steps: 1 };
        Some(Ok(Trained::Update(Box::new(update))))
    }

    fn evaluate(&self, _: &Params, _: &Cancel) -> Option<Result<Evaluation, LearningError>> {
        Some(Ok(Evaluation { loss: 0.0, accuracy: 0.0, f1: 0.0, macro_f1: 0.0, mcc: 0.0, n: 1 }))
    }
}

#[test]
fn what_a_restart_will_lose_is_not_computed() {
    // Training takes from 1.1 s to 3.1 s: of the first round it is lost at 2 s; the second begins at 3 s and has four values.
    let trainer = Arc::new(Counting::default());
    let initial = Arc::new(Params::zeros(Layout::new(vec![TensorSpec::new("w", [3])])));
    let mut plan = plan();
    plan.restarts = vec![from_json(serde_json::json!({ "at": "2 s", "downtime": "1 s", "in_flight": "lost" }))];
    plan.learning = Some(Learning { trainer: trainer.clone(), initial, workers: 2 });
    let (outcome, _) = simulate(&plan);
    assert_eq!(outcome.totals.dropped, [((Reason::ServerRestart, Phase::Train), 4)].into());
    assert_eq!((outcome.totals.aggregated, trainer.0.load(Ordering::SeqCst)), (4, 4));
}
