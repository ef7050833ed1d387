//! A backbone that is kept in `bf16` beside the same one in `f32`.

use std::time::Instant;

use anyhow::Result;
use straggler::model::ModelDtype;
use straggler::training::Cancel;

use crate::memory::in_child;
use crate::peer::Case;
use crate::shapes::{self, Shape, Work};

const TURNS: usize = 5;

/// Time of a LoRA step, in turns, and peak memory of a process of its own.
pub(crate) fn compare() -> Result<()> {
    println!("bf16 over f32, LoRA, one thread: ms a step, medians of {TURNS} turns; peak MiB of a process");
    for (shape, batch, length) in [(Shape::MiniLm, 16, 64), (Shape::MiniLm, 32, 128), (Shape::RobertaBase, 16, 128)] {
        let case = Case { shape, work: Work::Lora, batch, length };
        let both = [ModelDtype::F32, ModelDtype::Bf16];
        let mut learners = Vec::new();
        for dtype in both {
            let learner = shapes::learner(shape, &shape.backbone(dtype)?, case.work, batch, length)?;
            learners.push((shapes::job(shapes::initial(&learner)?, batch, 0), learner));
        }
        let mut times = [Vec::new(), Vec::new()];
        for turn in 0..=TURNS {
            for ((job, learner), times) in learners.iter().zip(&mut times) {
                let start = Instant::now();
                learner.train(job, &Cancel::new())?;
                if turn > 0 {
                    times.push(start.elapsed().as_secs_f64());
                }
            }
        }
        let [wide, narrow] = times.map(crate::median);
        let [wide_peak, narrow_peak] = [in_child(case, both[0], 1)?, in_child(case, both[1], 1)?];
        println!(
            "  {:12} batch {batch:2} length {length:3}  f32 {:8.1}  bf16 {:8.1}  ratio {:.2}  peak f32 {wide_peak:6.0}  \
             bf16 {narrow_peak:6.0}  ratio {:.2}",
            shape.name(),
            wide * 1e3,
            narrow * 1e3,
            narrow / wide,
            narrow_peak / wide_peak
        );
    }
    Ok(())
}
