//! Two workers against PyTorch's best arrangement on two cores.

use std::time::Instant;

use anyhow::Result;
use straggler::model::ModelDtype;
use straggler::training::Cancel;

use crate::peer::{Case, Peer};
use crate::shapes::{self, Shape, Work};

/// Steps per second of the project over PyTorch's, at least.
const TARGET: f64 = 0.9;
/// Steps that each worker or process takes in its turn.
const STEPS: usize = 2;
const TURNS: usize = 5;

/// Compares, and says whether the target is met everywhere.
pub(crate) fn compare() -> Result<bool> {
    let (mut wide, mut one, mut other) = (Peer::start(2)?, Peer::start(1)?, Peer::start(1)?);
    println!("steps per second on two cores, LoRA, medians of {TURNS} turns");
    let mut met = true;
    for (shape, batch, length) in [(Shape::MiniLm, 16, 64), (Shape::MiniLm, 32, 128), (Shape::RobertaBase, 16, 128)] {
        let case = Case { shape, work: Work::Lora, batch, length };
        let learner = shapes::learner(shape, &shape.backbone(ModelDtype::F32)?, case.work, batch, length)?;
        let (mut own, mut two_threads, mut two_processes) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..=TURNS {
            let (start, initial) = (Instant::now(), shapes::initial(&learner)?);
            std::thread::scope(|scope| {
                let work = |client_id| {
                    let job = shapes::job(initial, batch, client_id);
                    (0..STEPS).try_for_each(|_| learner.train(&job, &Cancel::new()).map(|_| ()))
                };
                let threads = [0, 1].map(|client_id| scope.spawn(move || work(client_id)));
                threads.into_iter().try_for_each(|thread| {
                    thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?.map_err(anyhow::Error::from)
                })
            })?;
            let own_rate = (2 * STEPS) as f64 / start.elapsed().as_secs_f64();
            let (Some(wide), Some(one), Some(other)) = (&mut wide, &mut one, &mut other) else {
                own.push(own_rate);
                continue;
            };
            let wide_rate = 1.0 / wide.steps(case, "sdpa", 2 * STEPS, 2)?;
            one.ask(case, "sdpa", STEPS, 1)?;
            other.ask(case, "sdpa", STEPS, 1)?;
            let pair_rate = 1.0 / one.answer(STEPS)? + 1.0 / other.answer(STEPS)?;
            if turn > 0 {
                own.push(own_rate);
                two_threads.push(wide_rate);
                two_processes.push(pair_rate);
            }
        }
        let own = crate::median(own);
        print!("  {:12} batch {batch:2} length {length:3}  straggler {own:6.2}", shape.name());
        if !two_threads.is_empty() {
            let (threads, processes) = (crate::median(two_threads), crate::median(two_processes));
            let ratio = own / threads.max(processes);
            met &= ratio >= TARGET;
            print!(
                "  PyTorch: two threads {threads:6.2}, two processes {processes:6.2}  ratio {ratio:.2} (at least {TARGET})"
            );
        }
        println!();
    }
    Ok(met)
}
