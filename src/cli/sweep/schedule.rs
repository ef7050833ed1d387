//! Running the cells of a sweep in parallel under one bound of threads.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use super::cell;
use super::folder::{Folder, Task};
use crate::cli::progress::Bar;
use crate::cli::simulate::{Found, check_assertions};
use crate::cli::{CliError, Console, Exit, interrupt};
use crate::hub::HubSettings;
use crate::report::Summary;
use crate::report::compare::{CellStatus, IndexRow};
use crate::scenario::sweep::Sweep;

/// The stack of a thread that runs a cell: that of a main thread.
const STACK: usize = 8 << 20;

/// What the threads share.
struct State<'a> {
    folder: &'a mut Folder,
    waiting: std::vec::IntoIter<usize>,
    /// Training threads that no running cell has.
    free: usize,
    /// Threads here that run no cell.
    idle: usize,
    running: Vec<Task>,
    bar: Bar,
    stop: Option<CliError>,
}

/// Runs what is not done yet: at most `n_threads` training threads in all. A cell gets one, and more when fewer cells than
/// threads are left; none begins without. Gives what stopped the sweep before its end, if something did.
pub(super) fn run_all(
    sweep: &Sweep,
    folder: &mut Folder,
    n_threads: usize,
    hub: &HubSettings,
    console: &Console,
) -> Result<Option<CliError>, CliError> {
    let n_all = folder.tasks.len();
    let waiting: Vec<usize> = (0..n_all).filter(|&at| folder.tasks[at].1.is_none()).collect();
    let n_runners = n_threads.min(waiting.len());
    // Cells are silent; what a signal does is told here.
    interrupt::watch(console);
    let n_done = n_all - waiting.len();
    if n_done > 0 {
        console.note(format_args!("{n_done} of {n_all} runs are done already"));
    }
    let state = Mutex::new(State {
        folder,
        waiting: waiting.into_iter(),
        free: n_threads,
        idle: n_runners,
        running: Vec::new(),
        bar: Bar::new(console, "runs"),
        stop: None,
    });
    let runner = Runner { sweep, hub, console, n_threads, state: &state };
    std::thread::scope(|scope| {
        for number in 0..n_runners {
            let thread = std::thread::Builder::new().name(format!("cell-{number}")).stack_size(STACK);
            if let Err(error) = thread.spawn_scoped(scope, || runner.work()) {
                // With fewer threads it takes longer; with none it cannot go on.
                if number == 0 {
                    lock(&state).stop = Some(CliError::new(Exit::Environment, "threads", error));
                }
                break;
            }
        }
    });
    let state = state.into_inner().expect("no cell runs while the state is locked, so nothing can panic inside");
    Ok(state.stop)
}

fn lock<'a, 'b>(state: &'a Mutex<State<'b>>) -> MutexGuard<'a, State<'b>> {
    state.lock().expect("no cell runs while the state is locked, so nothing can panic inside")
}

struct Runner<'a, 'b> {
    sweep: &'a Sweep,
    hub: &'a HubSettings,
    console: &'a Console,
    n_threads: usize,
    state: &'a Mutex<State<'b>>,
}

impl Runner<'_, '_> {
    /// Takes one run after the other until none is left.
    fn work(&self) {
        while let Some((at, task, threads, place)) = self.begin() {
            let ended = self.run(task, threads, &place);
            self.end(at, task, threads, ended);
        }
    }

    /// The next run with its threads.
    fn begin(&self) -> Option<(usize, Task, usize, std::path::PathBuf)> {
        let mut state = lock(self.state);
        if let Some(exit) = interrupt::exit() {
            state.stop.get_or_insert_with(|| CliError::new(exit, "interrupted", "stopped between two runs"));
        }
        if state.stop.is_some() {
            return None;
        }
        let n_waiting = state.waiting.len();
        let at = state.waiting.next()?;
        let task = state.folder.tasks[at].0;
        let threads = share(state.free, n_waiting, state.idle);
        state.free -= threads;
        state.idle -= 1;
        state.running.push(task);
        self.show(&mut state);
        Some((at, task, threads, state.folder.run(self.sweep, task)))
    }

    /// One run, whatever becomes of it.
    fn run(&self, task: Task, threads: usize, place: &Path) -> Ended {
        let scenario = self.sweep.cells()[task.cell].scenario(task.seed, threads, self.n_threads);
        let console = self.console.silent();
        let run = || cell::run(&scenario, self.hub, place, &console);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(found)) => {
                let unmet = check_assertions(scenario.assertions(), &found).err();
                Ended::Found { found: Box::new(found), unmet }
            }
            Ok(Err(error)) => Ended::Failed(error),
            Err(panic) => Ended::Panicked(text_of(&*panic)),
        }
    }

    fn end(&self, at: usize, task: Task, threads: usize, ended: Ended) {
        let mut state = lock(self.state);
        state.free += threads;
        state.idle += 1;
        state.running.retain(|running| *running != task);
        if let Ended::Failed(error) = &ended
            && error.is_interruption()
        {
            // The cell was cut off, not ended: it has no row, and is run on the next time.
            state.stop.get_or_insert_with(|| error.clone());
            return;
        }
        let row = ended.row(self.sweep, task);
        if !state.bar.is_drawn() {
            let n_done = 1 + state.folder.tasks.iter().filter(|(_, row)| row.is_some()).count();
            let all = state.folder.tasks.len();
            let what = ended.line(self.sweep.any_scenario().metric().key());
            self.console.note(format_args!("{n_done} of {all}: {} seed {}: {what}", row.cell, row.seed));
        }
        state.folder.tasks[at].1 = Some(row);
        if let Err(error) = state.folder.write_index() {
            state.stop.get_or_insert(error);
        }
        self.show(&mut state);
    }

    fn show(&self, state: &mut State<'_>) {
        let n_done = state.folder.tasks.iter().filter(|(_, row)| row.is_some()).count();
        let n_failed = state.folder.count(CellStatus::Failed);
        let failed = if n_failed == 0 { String::new() } else { format!(", {n_failed} failed") };
        let names = state.running.iter().map(|task| self.sweep.cells()[task.cell].name()).take(3);
        let message = format!("{} running{failed}: {}", state.running.len(), names.collect::<Vec<_>>().join(" · "));
        state.bar.set(n_done as u64, state.folder.tasks.len() as u64, &message);
    }
}

/// The threads of a run that begins: what is free, shared among the runs that can begin with it.
fn share(free: usize, n_waiting: usize, n_idle: usize) -> usize {
    (free / n_waiting.min(n_idle).max(1)).max(1)
}

/// How a run ended.
enum Ended {
    Found { found: Box<Found>, unmet: Option<CliError> },
    Failed(CliError),
    Panicked(String),
}

impl Ended {
    fn row(&self, sweep: &Sweep, task: Task) -> IndexRow {
        let cell = &sweep.cells()[task.cell];
        let (status, exit, message, summary) = match self {
            Self::Found { found, unmet: None } => (CellStatus::Ok, 0, String::new(), Some(&found.summary)),
            Self::Found { found, unmet: Some(unmet) } => {
                (CellStatus::AssertUnmet, unmet.exit() as u8, unmet.message(), Some(&found.summary))
            }
            Self::Failed(error) => (CellStatus::Failed, error.exit() as u8, error.message(), None),
            Self::Panicked(text) => (CellStatus::Failed, 101, format!("a bug: {text}"), None),
        };
        let name = (cell.name(), task.seed);
        IndexRow::new(name, cell.values().to_vec(), (status, exit, &message), summary)
    }

    /// In a few words.
    fn line(&self, metric: &str) -> String {
        let short = |summary: &Summary| {
            let value = summary.validation.as_ref().map(|found| format!("{metric} {:.4}, ", found.best));
            format!("{}{:.1} s simulated", value.unwrap_or_default(), summary.sim_time.as_secs_f64())
        };
        match self {
            Self::Found { found, unmet: None } => short(&found.summary),
            Self::Found { found, unmet: Some(unmet) } => format!("{}, {}", short(&found.summary), unmet.message()),
            Self::Failed(error) => format!("failed: {}", error.message()),
            Self::Panicked(text) => format!("failed, a bug: {text}"),
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without words".into())
}

#[cfg(test)]
mod tests {
    use super::share;

    /// Plays a sweep in which `order` says which running cell ends next; gives the threads of each cell.
    fn play(n_threads: usize, n_cells: usize, order: impl Fn(usize) -> usize) -> Vec<usize> {
        let n_runners = n_threads.min(n_cells);
        let (mut free, mut idle, mut waiting, mut running) = (n_threads, n_runners, n_cells, Vec::new());
        let mut given = Vec::new();
        for step in 0.. {
            while idle > 0 && waiting > 0 {
                let threads = share(free, waiting, idle);
                (free, idle, waiting) =
                    (free.checked_sub(threads).expect("no more than are free"), idle - 1, waiting - 1);
                running.push(threads);
                given.push(threads);
                assert!(running.iter().sum::<usize>() + free == n_threads);
            }
            if running.is_empty() {
                break;
            }
            let ended = running.remove(order(step) % running.len());
            (free, idle) = (free + ended, idle + 1);
        }
        assert_eq!(given.len(), n_cells);
        given
    }

    #[test]
    fn no_more_threads_are_given_than_there_are_whatever_ends_first() {
        assert_eq!(play(4, 9, |_| 0), [1; 9]);
        assert_eq!(play(4, 4, |_| 0), [1; 4]);
        // 4 / 2 each; 4 threads for 3 cells: 1, 1 and what is left.
        assert_eq!(play(4, 2, |_| 0), [2, 2]);
        assert_eq!(play(4, 3, |_| 0), [1, 1, 2]);
        assert_eq!(play(8, 1, |_| 0), [8]);
        for n_threads in 1..10 {
            for n_cells in 1..20 {
                play(n_threads, n_cells, |step| step * 7 + 3);
            }
        }
    }
}
