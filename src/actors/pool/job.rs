//! A job: its work, the stage it is in, and the handle through which its value is had.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{PoolError, Queue, QueueKey, Shared, compute, nanos, on_one_thread};
use crate::report::Stopwatch;
use crate::training::Cancel;
use crate::units::SimTime;

/// What the queue knows of a job. `start` and `settle` are called with the queue locked, `run` without.
pub(super) trait Runnable: Send + Sync {
    fn start(&self);
    fn run(&self);
    /// Publishes what `run` gave.
    fn settle(&self) -> Settled;
}

pub(super) struct Settled {
    pub(super) has_value: bool,
    pub(super) is_wanted: bool,
}

enum Stage<T> {
    /// Not queued: withdrawn, or its value taken.
    Idle,
    Queued(QueueKey),
    Running,
    Done(Result<T, PoolError>),
}

struct Slot<T> {
    stage: Stage<T>,
    /// Nobody can ask for the value any more.
    is_abandoned: bool,
    /// What `run` gave, until it is settled.
    outcome: Option<Result<T, PoolError>>,
    /// Tells the run that goes on to stop; a new one for each run.
    cancel: Cancel,
}

type Work<T> = dyn Fn(&Cancel) -> Option<T> + Send + Sync;

struct JobState<T> {
    name: String,
    work: Box<Work<T>>,
    slot: Mutex<Slot<T>>,
}

impl<T: Send> JobState<T> {
    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().expect("a slot is only assigned to while locked, which cannot panic")
    }
}

impl<T: Send> Runnable for JobState<T> {
    fn start(&self) {
        self.slot().stage = Stage::Running;
    }

    fn run(&self) {
        let cancel = self.slot().cancel.clone();
        let outcome = match catch_unwind(AssertUnwindSafe(|| (self.work)(&cancel))) {
            Ok(value) => value.map(Ok),
            Err(panic) => {
                Some(Err(PoolError::Panicked { job: self.name.clone(), message: panic_text(panic.as_ref()) }))
            }
        };
        self.slot().outcome = outcome;
    }

    fn settle(&self) -> Settled {
        let mut slot = self.slot();
        let outcome = slot.outcome.take();
        let settled = Settled { has_value: outcome.is_some(), is_wanted: !slot.is_abandoned };
        slot.stage = outcome.map_or(Stage::Idle, Stage::Done);
        settled
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}

/// A job that was submitted. Dropping it gives it up for good.
pub struct Job<T: Send + 'static> {
    state: Arc<JobState<T>>,
    shared: Arc<Shared>,
}

impl<T: Send + 'static> Job<T> {
    pub(super) fn new(
        name: String,
        work: impl Fn(&Cancel) -> Option<T> + Send + Sync + 'static,
        shared: Arc<Shared>,
    ) -> Self {
        let slot = Slot { stage: Stage::Idle, is_abandoned: false, outcome: None, cancel: Cancel::new() };
        Self { state: Arc::new(JobState { name, work: Box::new(work), slot: Mutex::new(slot) }), shared }
    }

    pub(super) fn enqueue(&self, queue: &mut Queue, need_by: SimTime) {
        let key = (need_by, queue.next_serial);
        queue.next_serial += 1;
        queue.waiting.insert(key, self.state.clone());
        let mut slot = self.state.slot();
        slot.stage = Stage::Queued(key);
        slot.cancel = Cancel::new();
    }

    /// The value: computed by a worker, or here.
    ///
    /// # Errors
    /// When the job panicked.
    pub fn wait(self) -> Result<T, PoolError> {
        let mut queue = self.shared.lock();
        loop {
            let mut slot = self.state.slot();
            match slot.stage {
                Stage::Done(_) => {
                    let Stage::Done(value) = std::mem::replace(&mut slot.stage, Stage::Idle) else {
                        unreachable!("the slot is locked")
                    };
                    drop(slot);
                    queue.untaken -= 1;
                    drop(queue);
                    self.shared.changed.notify_all();
                    return value;
                }
                Stage::Idle => {
                    drop(slot);
                    self.enqueue(&mut queue, SimTime::ZERO);
                }
                Stage::Queued(key) if queue.running < self.shared.workers => {
                    slot.stage = Stage::Running;
                    drop(slot);
                    queue.waiting.remove(&key);
                    queue.running += 1;
                    drop(queue);
                    self.shared.counters.inline.fetch_add(1, Ordering::Relaxed);
                    on_one_thread(|| compute(&self.shared, self.state.as_ref()));
                    queue = self.shared.lock();
                }
                Stage::Queued(key) => {
                    drop(slot);
                    if key.0 != SimTime::ZERO {
                        queue.waiting.remove(&key);
                        self.enqueue(&mut queue, SimTime::ZERO);
                    }
                    queue = self.pause(queue);
                }
                Stage::Running => {
                    drop(slot);
                    queue = self.pause(queue);
                }
            }
        }
    }

    /// True when the value is there, so that [`wait`](Job::wait) gives it at once. When that is depends on this machine.
    pub fn is_done(&self) -> bool {
        let _queue = self.shared.lock();
        matches!(self.state.slot().stage, Stage::Done(_))
    }

    /// Queues the job again if it was [withdrawn](Job::withdraw) and has stopped.
    pub fn queue_again(&self, need_by: SimTime) {
        let mut queue = self.shared.lock();
        if matches!(self.state.slot().stage, Stage::Idle) {
            self.enqueue(&mut queue, need_by);
            drop(queue);
            self.shared.changed.notify_all();
        }
    }

    fn pause<'a>(&'a self, queue: MutexGuard<'a, Queue>) -> MutexGuard<'a, Queue> {
        let watch = Stopwatch::start();
        let queue = self.shared.changed.wait(queue).expect("see `Shared::lock`");
        self.shared.counters.wait_nanos.fetch_add(nanos(watch), Ordering::Relaxed);
        queue
    }

    /// Gives the job up for now: it leaves the queue, or stops at its next step. A value that is already there stays.
    /// A later [`wait`](Job::wait) runs the job from its start.
    pub fn withdraw(&self) {
        let mut queue = self.shared.lock();
        self.withdraw_from(&mut queue);
    }

    fn withdraw_from(&self, queue: &mut Queue) {
        let mut slot = self.state.slot();
        match slot.stage {
            Stage::Queued(key) => {
                queue.waiting.remove(&key);
                slot.stage = Stage::Idle;
            }
            // Whoever withdrew it before has counted it.
            Stage::Running if slot.cancel.is_cancelled() => return,
            Stage::Running => slot.cancel.cancel(),
            Stage::Idle | Stage::Done(_) => return,
        }
        self.shared.counters.withdrawn.fetch_add(1, Ordering::Relaxed);
    }
}

impl<T: Send + 'static> Drop for Job<T> {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        self.withdraw_from(&mut queue);
        let mut slot = self.state.slot();
        slot.is_abandoned = true;
        if matches!(slot.stage, Stage::Done(_)) {
            slot.stage = Stage::Idle;
            queue.untaken -= 1;
            drop(slot);
            drop(queue);
            self.shared.changed.notify_all();
        }
    }
}
