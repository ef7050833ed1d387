//! The bounded worker pool that trains while the simulated clock goes on.
//!
//! A job is a pure function, so when and where it runs can never show in a result. Jobs wait in a queue ordered by the
//! simulated time at which their value is needed. Whoever needs a value [waits](Job::wait) for it: a job that is still
//! queued is then run by the waiting thread itself when one of the pool's slots is free, and goes to the head of the queue
//! otherwise, so that back-pressure cannot deadlock. A job whose value is no longer needed is
//! [withdrawn](Job::withdraw): it leaves the queue, or stops at its next step; should its value be needed after all, it is
//! run again from the start.
//!
//! At most `workers` jobs compute at any time, the waiting thread included. A job that nobody waits for begins only while
//! fewer than [`Pool::limit`] jobs compute or hold a value that nobody has taken yet; one that somebody waits for begins
//! all the same, so that the values held may pass the limit by as many jobs as run at a time.

mod job;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

pub use job::Job;
use job::Runnable;

use crate::report::Stopwatch;
use crate::training::Cancel;
use crate::units::SimTime;

/// Why a job gave no value.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The work panicked: a bug, reported with the job's name.
    #[error("{job} panicked: {message}")]
    Panicked {
        /// What the job was for, with client and round.
        job: String,
        /// The panic's text.
        message: String,
    },
    /// The operating system gave no thread.
    #[error("cannot start worker thread {worker} of {workers}: {cause}; lower `compute.workers`")]
    NoThread {
        /// The worker's number, from 0.
        worker: usize,
        /// How many were asked for.
        workers: usize,
        /// What the operating system said.
        cause: String,
    },
}

/// Counts of what the pool did, in host time: for `perf.csv` only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolCounts {
    /// Jobs that ran to their end.
    pub finished: u64,
    /// Of these, jobs run by the waiting thread.
    pub inline: u64,
    /// Jobs withdrawn before they ended.
    pub withdrawn: u64,
    /// Nanoseconds spent inside jobs, over all threads.
    pub busy_nanos: u64,
    /// Nanoseconds that the waiting thread waited without computing.
    pub wait_nanos: u64,
}

#[derive(Default)]
struct Counters {
    finished: AtomicU64,
    inline: AtomicU64,
    withdrawn: AtomicU64,
    busy_nanos: AtomicU64,
    wait_nanos: AtomicU64,
}

fn nanos(watch: Stopwatch) -> u64 {
    (watch.seconds() * 1e9) as u64
}

/// Place in the queue: simulated need-by time, then order of submission.
type QueueKey = (SimTime, u64);

struct Queue {
    waiting: BTreeMap<QueueKey, Arc<dyn Runnable>>,
    next_serial: u64,
    running: usize,
    untaken: usize,
    shutting_down: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    workers: usize,
    counters: Counters,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no job runs while the queue is locked, so nothing can panic inside")
    }

    fn limit(&self) -> usize {
        Pool::JOBS_PER_WORKER * self.workers
    }
}

/// Own threads that run jobs.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// How many jobs for each worker may compute or hold a value that nobody has taken yet.
    pub const JOBS_PER_WORKER: usize = 4;

    /// A pool in which at most `workers` jobs compute at a time, each on one thread.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn new(workers: usize) -> Result<Self, PoolError> {
        let queue = Queue { waiting: BTreeMap::new(), next_serial: 0, running: 0, untaken: 0, shutting_down: false };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            workers,
            counters: Counters::default(),
        });
        let mut pool = Self { shared, threads: Vec::with_capacity(workers) };
        for worker in 0..workers {
            let shared = pool.shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || on_one_thread(|| work(&shared)))
                .map_err(|error| PoolError::NoThread { worker, workers, cause: error.to_string() })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// How many jobs may compute or hold an untaken value before workers begin only what somebody waits for.
    pub fn limit(&self) -> usize {
        self.shared.limit()
    }

    /// Queues a job. `work` returns `None` when it stopped because its flag was raised, and otherwise its value, which must
    /// depend on nothing but what the closure holds. `name` tells what it is for, in errors.
    pub fn submit<T: Send + 'static>(
        &self,
        name: String,
        need_by: SimTime,
        work: impl Fn(&Cancel) -> Option<T> + Send + Sync + 'static,
    ) -> Job<T> {
        let job = Job::new(name, work, self.shared.clone());
        job.enqueue(&mut self.shared.lock(), need_by);
        self.shared.changed.notify_all();
        job
    }

    /// What the pool did so far, in host time.
    pub fn counts(&self) -> PoolCounts {
        let Counters { finished, inline, withdrawn, busy_nanos, wait_nanos } = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PoolCounts {
            finished: read(finished),
            inline: read(inline),
            withdrawn: read(withdrawn),
            busy_nanos: read(busy_nanos),
            wait_nanos: read(wait_nanos),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().shutting_down = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of its jobs; were it to die all the same, the pool is going away anyway.
            let _ = thread.join();
        }
    }
}

/// Runs `work` with the calling thread as a rayon pool of its own, so that library code that asks rayon for parallelism
/// neither meets other workers nor uses more than this thread.
fn on_one_thread<R>(work: impl FnOnce() -> R) -> R {
    if let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() {
        // The thread stays registered until it ends, so its pool must not go before it. A second call finds it registered.
        std::mem::forget(pool);
    }
    work()
}

fn work(shared: &Shared) {
    let mut queue = shared.lock();
    while !queue.shutting_down {
        let may_start = queue.running < shared.workers;
        let has_room = queue.running + queue.untaken < shared.limit();
        // A job that somebody waits for has need-by zero: it starts whatever the number of untaken values.
        let next =
            queue.waiting.first_entry().filter(|entry| may_start && (has_room || entry.key().0 == SimTime::ZERO));
        let Some(job) = next.map(|entry| entry.remove()) else {
            queue = shared.changed.wait(queue).expect("see `Shared::lock`");
            continue;
        };
        queue.running += 1;
        job.start();
        drop(queue);
        compute(shared, job.as_ref());
        drop(job);
        queue = shared.lock();
    }
}

/// Runs a job that was taken out of the queue, counted as running and started.
fn compute(shared: &Shared, job: &dyn Runnable) {
    let watch = Stopwatch::start();
    job.run();
    shared.counters.busy_nanos.fetch_add(nanos(watch), Ordering::Relaxed);
    let mut queue = shared.lock();
    let settled = job.settle();
    queue.running -= 1;
    queue.untaken += usize::from(settled.has_value && settled.is_wanted);
    shared.counters.finished.fetch_add(u64::from(settled.has_value), Ordering::Relaxed);
    drop(queue);
    shared.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    /// Blocks the pool's workers until the returned sender is dropped; returns once all of them are blocked.
    fn block(pool: &Pool, workers: usize) -> (mpsc::Sender<()>, Vec<Job<()>>) {
        let (started, has_started) = mpsc::channel();
        let (release, is_released) = mpsc::channel::<()>();
        let is_released = Arc::new(Mutex::new(is_released));
        let jobs = (0..workers).map(|_| {
            let (started, is_released) = (Mutex::new(started.clone()), is_released.clone());
            pool.submit("block".into(), at(1), move |_| {
                started.lock().unwrap().send(()).unwrap();
                // Ends with an error once the sender is gone.
                let _ = is_released.lock().unwrap().recv();
                Some(())
            })
        });
        let jobs: Vec<_> = jobs.collect();
        for _ in 0..workers {
            // With one receiver behind a lock, the second worker blocks on the lock instead: blocked all the same.
            has_started.recv().unwrap();
        }
        (release, jobs)
    }

    #[test]
    fn jobs_run_in_need_by_order_whatever_the_order_of_submission() {
        let pool = Pool::new(1).unwrap();
        let (release, blockers) = block(&pool, 1);
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = [30, 10, 20]
            .map(|need_by| {
                let order = order.clone();
                pool.submit(String::new(), at(need_by), move |_| {
                    order.lock().unwrap().push(need_by);
                    Some(need_by)
                })
            })
            .into();
        drop(release);
        // The blocker's value is taken last: waiting for it would not change the order anyway.
        let values: Vec<u64> = jobs.into_iter().rev().map(|job| job.wait().unwrap()).collect();
        assert_eq!(values, [20, 10, 30]);
        drop(blockers);
        // A waiting thread may have taken the job it needs (20) itself, before or after 10 was started by the worker.
        let order = order.lock().unwrap();
        assert_eq!(order.iter().copied().filter(|need_by| *need_by != 20).collect::<Vec<_>>(), [10, 30]);
    }

    #[test]
    fn never_more_jobs_compute_than_there_are_workers_even_while_somebody_waits() {
        for workers in [1, 2, 3] {
            let pool = Pool::new(workers).unwrap();
            let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let jobs: Vec<_> = (0..40u64)
                .map(|i| {
                    let (now, most) = (now.clone(), most.clone());
                    pool.submit(String::new(), at(100 - i), move |_| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        std::thread::sleep(std::time::Duration::from_micros(200));
                        now.fetch_sub(1, Ordering::SeqCst);
                        Some(i)
                    })
                })
                .collect();
            let values: Vec<u64> = jobs.into_iter().map(|job| job.wait().unwrap()).collect();
            assert_eq!(values, (0..40).collect::<Vec<_>>());
            assert!(most.load(Ordering::SeqCst) <= workers);
        }
    }

    #[test]
    fn workers_pause_at_the_limit_and_waiting_still_gets_every_value() {
        let pool = Pool::new(1).unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..20u64)
            .map(|i| {
                let ran = ran.clone();
                pool.submit(String::new(), at(i), move |_| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    Some(i)
                })
            })
            .collect();
        while ran.load(Ordering::SeqCst) < pool.limit() {
            std::thread::yield_now();
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(ran.load(Ordering::SeqCst), pool.limit());
        // The last ones first: the workers stand still, so the waiting thread computes them itself.
        let values: Vec<u64> = jobs.into_iter().rev().map(|job| job.wait().unwrap()).collect();
        assert_eq!(values, (0..20).rev().collect::<Vec<_>>());
        assert!(pool.counts().inline > 0);
    }

    #[test]
    fn a_withdrawn_job_does_not_run_unless_it_is_needed_after_all() {
        let pool = Pool::new(1).unwrap();
        let (release, _blockers) = block(&pool, 1);
        let ran = Arc::new(AtomicUsize::new(0));
        let submit = || {
            let ran = ran.clone();
            pool.submit(String::new(), at(5), move |_| {
                ran.fetch_add(1, Ordering::SeqCst);
                Some(7)
            })
        };
        let (dropped, withdrawn) = (submit(), submit());
        drop(dropped);
        withdrawn.withdraw();
        drop(release);
        assert_eq!(withdrawn.wait().unwrap(), 7);
        assert_eq!(ran.load(Ordering::SeqCst), 1);
        assert_eq!(pool.counts().withdrawn, 2);
    }

    #[test]
    fn a_withdrawn_job_can_be_queued_again() {
        let pool = Pool::new(1).unwrap();
        let (release, _blockers) = block(&pool, 1);
        let job = pool.submit(String::new(), at(5), |_| Some(7));
        job.withdraw();
        job.queue_again(at(6));
        drop(release);
        // A worker runs it, although nobody waits.
        while !job.is_done() {
            std::thread::yield_now();
        }
        assert_eq!((job.wait().unwrap(), pool.counts().inline), (7, 0));
    }

    #[test]
    fn a_running_job_stops_at_its_next_step_when_withdrawn_and_leaves_room_for_others() {
        let pool = Pool::new(1).unwrap();
        let (started, has_started) = mpsc::channel();
        let started = Mutex::new(started);
        let endless = pool.submit::<()>(String::new(), at(5), move |cancel| {
            started.lock().unwrap().send(()).unwrap();
            while !cancel.is_cancelled() {
                std::thread::yield_now();
            }
            None
        });
        has_started.recv().unwrap();
        // Withdrawn twice, counted once.
        endless.withdraw();
        drop(endless);
        assert_eq!(pool.counts().withdrawn, 1);
        let next = pool.submit(String::new(), at(6), |_| Some("next"));
        assert_eq!(next.wait().unwrap(), "next");
    }

    #[test]
    fn a_panic_fails_its_job_by_name_and_the_pool_goes_on() {
        let pool = Pool::new(2).unwrap();
        let bad = pool.submit::<()>("training of client 7 in round 3".into(), at(5), |_| panic!("index out of range"));
        let error = bad.wait().unwrap_err().to_string();
        assert_eq!(error, "training of client 7 in round 3 panicked: index out of range");
        assert_eq!(pool.submit(String::new(), at(6), |_| Some(1)).wait().unwrap(), 1);
    }
}
