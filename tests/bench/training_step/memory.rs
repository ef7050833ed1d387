//! Peak memory: each measurement in a process of its own, which this program starts as a copy of itself.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use straggler::model::ModelDtype;
use straggler::report::peak_rss_mib;
use straggler::training::Cancel;

use crate::peer::{Case, Peer};
use crate::shapes::{self, Shape, Work};

/// PyTorch's and this project's peak in MiB, and this project's with four workers; of one shape and kind of work where
/// `chosen` names them.
pub(crate) fn compare(chosen: &[String]) -> Result<()> {
    println!("peak memory in MiB of a process that takes two steps (PyTorch: its own libraries included)");
    let is_chosen = |i: usize, name: &str| chosen.get(i).is_none_or(|chosen| chosen == name);
    for (shape, batch, length) in [(Shape::MiniLm, 16, 64), (Shape::MiniLm, 32, 128), (Shape::RobertaBase, 16, 128)] {
        if !is_chosen(0, shape.name()) {
            continue;
        }
        for work in [Work::Lora, Work::Full].into_iter().filter(|work| is_chosen(1, work.name())) {
            let case = Case { shape, work, batch, length };
            let own = in_child(case, ModelDtype::F32, 1)?;
            let (name, kind) = (shape.name(), work.name());
            print!("  {name:12} {kind:5} batch {batch:2} length {length:3}  straggler {own:7.0}");
            if let Some(mut peer) = Peer::start(1)? {
                let empty = peer.peak_mib()?;
                peer.steps(case, "sdpa", 2, 1)?;
                let peak = peer.peak_mib()?;
                print!("  PyTorch {peak:7.0} ({empty:.0} before the model)  ratio {:.2}", own / peak);
                print!("  without libraries {:.2}", own / (peak - empty));
            }
            println!();
        }
        if chosen.len() > 1 {
            continue;
        }
        let case = Case { shape, work: Work::Lora, batch, length };
        let (one, four) = (in_child(case, ModelDtype::F32, 1)?, in_child(case, ModelDtype::F32, 4)?);
        let backbone = backbone_mib(shape)?;
        println!(
            "  {:12} lora  batch {batch:2} length {length:3}  4 workers {four:.0}; backbone {backbone:.0} + 4 x {:.0} \
             (one worker's rest) = {:.0}",
            shape.name(),
            one - backbone,
            backbone + 4.0 * (one - backbone)
        );
    }
    Ok(())
}

fn backbone_mib(shape: Shape) -> Result<f64> {
    let n: usize = straggler::model::backbone_tensors(&shape.config()?).iter().map(|spec| spec.n_elements()).sum();
    Ok(4.0 * n as f64 / f64::from(1 << 20))
}

/// The peak in MiB of a process of its own.
pub(crate) fn in_child(case: Case, dtype: ModelDtype, workers: usize) -> Result<f64> {
    let Case { shape, work, batch, length } = case;
    let dtype = if dtype == ModelDtype::Bf16 { "bf16" } else { "f32" };
    let out = Command::new(std::env::current_exe()?)
        .args(["--bench", "child", shape.name(), work.name(), dtype])
        .args([batch, length, workers].map(|n| n.to_string()))
        .output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse().with_context(|| format!("the child said `{text}` {}", String::from_utf8_lossy(&out.stderr)))
}

/// What the child does: `child SHAPE WORK DTYPE BATCH LENGTH WORKERS`.
pub(crate) fn child(arguments: &[String]) -> Result<()> {
    let [shape, work, dtype, numbers @ ..] = arguments else { anyhow::bail!("SHAPE WORK DTYPE BATCH LENGTH WORKERS") };
    let shape = Shape::ALL.into_iter().find(|known| known.name() == shape).context("no such shape")?;
    let work = Work::ALL.into_iter().find(|known| known.name() == work).context("no such work")?;
    let dtype = if dtype == "bf16" { ModelDtype::Bf16 } else { ModelDtype::F32 };
    let numbers = numbers.iter().map(|n| n.parse()).collect::<Result<Vec<usize>, _>>()?;
    let [batch, length, workers] = numbers[..] else { anyhow::bail!("BATCH LENGTH WORKERS") };
    // As a run does it.
    let (learner, initial) = shapes::learner(shape, &shape.backbone(dtype)?, work, batch, length)?.hand_over();
    let (learner, initial) = (Arc::new(learner), initial.context("a new learner has its values")?);
    std::thread::scope(|scope| {
        let work = |client_id| {
            let job = shapes::job(&initial, batch, client_id);
            learner.train(&job, &Cancel::new()).and_then(|_| learner.train(&job, &Cancel::new())).map(|_| ())
        };
        let threads: Vec<_> = (0..workers as u32).map(|client_id| scope.spawn(move || work(client_id))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?.map_err(Into::into))
    })
    .map_err(|error: anyhow::Error| error)?;
    println!("{}", peak_rss_mib().context("this system does not tell")?);
    Ok(())
}
