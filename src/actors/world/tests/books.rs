//! What the books say of bytes, and when rounds are reported.

use std::sync::Mutex;

use super::*;
use crate::actors::messages::RoundEnd;

#[test]
fn bytes_count_when_they_have_moved_and_not_when_their_task_ends() {
    let mut plan = plan();
    plan.rounds.rounds = 3;
    plan.rounds.strategy = from_json(serde_json::json!({ "fedbuff": { "buffer_size": 2, "concurrency": 4 } }));
    let (outcome, notes) = simulate(&plan);
    // Models at 5.2 s, 5.2 s and 10.4 s. By the first, four downloads and two uploads of 1 MB are over; two more uploads by
    // the second. The third ends the run after four more downloads and two uploads; the last two have moved all they had.
    let cumulated: Vec<u64> = notes.rounds.iter().map(|round| round.cum_bytes.get()).collect();
    assert_eq!(cumulated, [6_000_000, 8_000_000, 16_000_000]);
    assert_eq!(outcome.totals.bytes_down + outcome.totals.bytes_up, Bytes::new(16_000_000));
    // What a round is charged for are the tasks that ended in it.
    let charged: Vec<u64> = notes.rounds.iter().map(|round| (round.bytes_down + round.bytes_up).get()).collect();
    assert_eq!(charged, [4_000_000, 4_000_000, 8_000_000]);
}

#[test]
#[should_panic(expected = "0 B were offered, 1 B moved")]
fn bytes_that_move_in_no_transfer_are_noticed() {
    let (plan, mut notes) = (plan(), Notes::default());
    let mut journal = Journal::new(&plan, &mut notes);
    journal.moved(Bytes::new(1));
    journal.check_conservation();
}

/// Hears of rounds, while somebody else looks.
#[derive(Default, Clone)]
struct Heard(Arc<Mutex<Vec<u32>>>);

impl Observer for Heard {
    fn record(&mut self, _: &Record) -> Result<(), ReportError> {
        Ok(())
    }

    fn round(&mut self, report: &RoundReport) -> Result<(), ReportError> {
        self.0.lock().unwrap().push(report.round);
        Ok(())
    }

    fn host(&mut self, _: u32, _: SimTime, _: &HostWork) -> Result<(), ReportError> {
        Ok(())
    }
}

#[test]
fn a_round_is_reported_as_soon_as_it_is_evaluated() {
    let (plan, heard, pool) = (plan(), Heard::default(), Pool::new(1).unwrap());
    let mut observer = heard.clone();
    let mut journal = Journal::new(&plan, &mut observer);
    let params = Arc::new(Params::zeros(Layout::new(vec![TensorSpec::new("w", [1])])));
    let evaluation = Evaluation { loss: 0.0, accuracy: 0.0, f1: 0.0, macro_f1: 0.0, mcc: 0.0, n: 1 };
    let mut end = |round: u32, job: Option<journal::EvaluationJob>| {
        journal.begin_round(SimTime::ZERO, round).unwrap();
        if let Some(job) = job {
            journal.expect_evaluation(params.clone(), job);
        }
        let end = RoundEnd { round, model_version: round, aggregated: 1, train_loss: None };
        journal.end_round(SimTime::ZERO, end).unwrap();
        heard.0.lock().unwrap().clone()
    };
    let done = pool.submit("evaluation".into(), NEVER, move |_| Some(Ok(evaluation)));
    while !done.is_done() {
        std::thread::yield_now();
    }
    assert_eq!(end(1, Some(done)), [1]);
    assert_eq!(end(2, None), [1, 2]);
    let (release, is_released) = std::sync::mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let under_way = pool.submit("evaluation".into(), NEVER, move |_| {
        is_released.lock().unwrap().recv().unwrap();
        Some(Ok(evaluation))
    });
    // Rows come in order: those behind it wait.
    assert_eq!(end(3, Some(under_way)), [1, 2]);
    assert_eq!(end(4, None), [1, 2]);
    release.send(()).unwrap();
    journal.settle_evaluations(0).unwrap();
    assert_eq!(*heard.0.lock().unwrap(), [1, 2, 3, 4]);
}
