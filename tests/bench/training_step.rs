//! Training steps and forward passes beside PyTorch's, for the shapes of MiniLM and RoBERTa-base.
//!
//! ```text
//! STRAGGLER_PYTHON=python3 cargo bench --bench training_step              # steps on one thread, and the shares
//! STRAGGLER_PYTHON=python3 cargo bench --bench training_step -- minilm    # of one shape; `minilm full`: one kind of work
//! STRAGGLER_PYTHON=python3 cargo bench --bench training_step -- pool      # two workers against two cores of PyTorch
//! STRAGGLER_PYTHON=python3 cargo bench --bench training_step -- memory    # peak memory, one worker and four
//! STRAGGLER_PYTHON=python3 cargo bench --bench training_step -- memory roberta-base full    # of one shape and work
//! cargo bench --bench training_step -- bf16                               # a backbone in 16 bits beside one in 32
//! ```
//! Both sides have random weights of one shape and no dropout, and take turns, so that a busy machine slows both; the
//! medians make the ratio. The Python named must have torch, transformers and peft; without it only the project's own
//! time is measured. PyTorch's faster attention counts. LoRA has rank 8 on query and value.
//!
//! The shares measure each operation of MiniLM's LoRA step alone, forwards and backwards; here the fastest of several
//! runs counts, of the step too. What is left is candle's sums of gradients, the embeddings, the loss and memory traffic
//! that the operations do not meet alone.
#![expect(clippy::disallowed_methods, reason = "a bench measures host time")]

#[path = "training_step/memory.rs"]
mod memory;
#[path = "training_step/narrow.rs"]
mod narrow;
#[path = "training_step/peer.rs"]
mod peer;
#[path = "training_step/pool.rs"]
mod pool;
#[path = "training_step/shapes.rs"]
mod shapes;
#[path = "training_step/shares.rs"]
mod shares;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use straggler::model::{ModelDtype, ops};
use straggler::training::Cancel;

use peer::{Case, Peer};
use shapes::{Shape, Work};

fn main() -> Result<ExitCode> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS); // `cargo test --all-targets` only wants to know that it builds.
    }
    arguments.retain(|argument| argument != "--bench");
    // SAFETY: nothing else runs yet, so no other code can be reading the environment.
    unsafe { std::env::set_var("RAYON_NUM_THREADS", "1") };
    ops::keep_freed_memory();
    let in_time = match arguments.first().map(String::as_str) {
        Some("child") => memory::child(&arguments[1..]).map(|()| true)?,
        Some("memory") => memory::compare(&arguments[1..]).map(|()| true)?,
        Some("bf16") => narrow::compare().map(|()| true)?,
        Some("pool") => pool::compare()?,
        Some("shares") => shares::print().map(|()| true)?,
        Some(name) => {
            let chosen: Vec<Shape> = Shape::ALL.into_iter().filter(|shape| shape.name() == name).collect();
            anyhow::ensure!(!chosen.is_empty(), "`{name}` is none of minilm, roberta-base, pool, memory, bf16, shares");
            let works: Vec<Work> = match arguments.get(1) {
                Some(name) => Work::ALL.into_iter().filter(|work| work.name() == name).collect(),
                None => Work::ALL.to_vec(),
            };
            anyhow::ensure!(!works.is_empty(), "the second word is none of lora, full, forward");
            steps(&chosen, &works)?
        }
        None => {
            let in_time = steps(&Shape::ALL, &Work::ALL)?;
            shares::print()?;
            in_time
        }
    };
    Ok(if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Steps on one thread; whether all ratios are below what is to be reached.
fn steps(shapes: &[Shape], works: &[Work]) -> Result<bool> {
    let mut peer = Peer::start(1)?;
    match &peer {
        Some(peer) => println!("one thread, ms a step, medians of turns; PyTorch {}", peer.version),
        None => println!("set STRAGGLER_PYTHON to a Python with torch, transformers and peft to compare"),
    }
    let mut in_time = true;
    for &shape in shapes {
        let backbone = shape.backbone(ModelDtype::F32)?;
        for &work in works {
            for (batch, length) in [(16, 64), (16, 128), (32, 64), (32, 128)] {
                let learner = shapes::learner(shape, &backbone, work, batch, length)?;
                let job = shapes::job(shapes::initial(&learner)?, batch, 0);
                let forward = shapes::forward(&learner, batch, length)?;
                let mut own_step = || -> Result<f64> {
                    let start = Instant::now();
                    match work {
                        Work::Forward => forward()?,
                        Work::Lora | Work::Full => {
                            learner.train(&job, &Cancel::new())?;
                        }
                    }
                    Ok(start.elapsed().as_secs_f64())
                };
                in_time &= compare(Case { shape, work, batch, length }, &mut own_step, peer.as_mut())?;
            }
        }
    }
    Ok(in_time)
}

/// Both sides in turns.
fn compare(case: Case, own_step: &mut dyn FnMut() -> Result<f64>, mut peer: Option<&mut Peer>) -> Result<bool> {
    let turns = if case.shape == Shape::MiniLm { 7 } else { 3 };
    let (mut own, mut eager, mut sdpa) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=turns {
        let own_time = own_step()?;
        let peer_times = match &mut peer {
            Some(peer) => Some([peer.steps(case, "eager", 1, 1)?, peer.steps(case, "sdpa", 1, 1)?]),
            None => None,
        };
        if turn == 0 {
            continue; // The first turn warms up.
        }
        own.push(own_time);
        if let Some([eager_time, sdpa_time]) = peer_times {
            eager.push(eager_time);
            sdpa.push(sdpa_time);
        }
    }
    let Case { shape, work, batch, length } = case;
    let own = median(own);
    print!("{:12} {:7} batch {batch:2} length {length:3}  straggler {:8.1}", shape.name(), work.name(), own * 1e3);
    if peer.is_none() {
        println!();
        return Ok(true);
    }
    let (eager, sdpa) = (median(eager), median(sdpa));
    let (ratio, target) = (own / eager.min(sdpa), work.target());
    println!("  eager {:8.1}  sdpa {:8.1}  ratio {ratio:.2} (at most {target})", eager * 1e3, sdpa * 1e3);
    Ok(ratio <= target)
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
