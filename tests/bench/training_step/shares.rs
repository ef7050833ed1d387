//! What each operation takes of MiniLM's LoRA step.

use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var};
use straggler::model::{ModelDtype, ops};
use straggler::params::Params;
use straggler::seed::{Purpose, Seeds};
use straggler::training::{Cancel, Learner, Optimizer, TrainConfig};

use crate::shapes::{self, Shape, Work};

const BATCH: usize = 16;
const LENGTH: usize = 64;
const HIDDEN: usize = 384;
const INTERMEDIATE: usize = 1536;
const LAYERS: usize = 6;
const HEADS: usize = 12;
const RANK: usize = 8;

/// Prints the shares.
pub(crate) fn print() -> Result<()> {
    let learner = shapes::learner(Shape::MiniLm, &Shape::MiniLm.backbone(ModelDtype::F32)?, Work::Lora, BATCH, LENGTH)?;
    let job = shapes::job(shapes::initial(&learner)?, BATCH, 0);
    let step = fastest_of(|| Ok(learner.train(&job, &Cancel::new()).map(|_| ())?))?;
    println!("operations alone, forwards and backwards, of the fastest step's {:.1} ms", step * 1e3);
    let mut rest = step;
    for (name, seconds) in operations(&learner)? {
        rest -= seconds;
        println!("  {name:25} {:7.1} ms  {:5.1} %", seconds * 1e3, 100.0 * seconds / step);
    }
    println!("  {:25} {:7.1} ms  {:5.1} %", "rest", rest * 1e3, 100.0 * rest / step);
    Ok(())
}

/// Seconds that each kind of operation takes in one step, measured alone at the step's shapes.
///
/// The last layer's queries, and all that follows them, are those of the first token of each input; the first layer's
/// input needs no gradient.
fn operations(learner: &Learner) -> Result<Vec<(&'static str, f64)>> {
    let all = BATCH * LENGTH;
    let layers = LAYERS as f64;
    let project = |rows: usize, n_in: usize, n_out: usize, tracked: bool| {
        let (weight, bias) = (noise(&[n_out, n_in])?, noise(&[n_out])?);
        cost(&[rows, n_in], tracked, move |x| ops::frozen_linear(x, &weight, Some(&bias)))
    };
    let square = project(all, HIDDEN, HIDDEN, true)?;
    // Query, key, value and output: all rows of all layers, but for query and output of the last.
    let attention_maps = square * (4.0 * layers - 5.0)
        + project(all, HIDDEN, HIDDEN, false)? * 3.0
        + project(BATCH, HIDDEN, HIDDEN, true)? * 2.0;
    let feed_forward = (project(all, HIDDEN, INTERMEDIATE, true)? + project(all, INTERMEDIATE, HIDDEN, true)?)
        * (layers - 1.0)
        + project(BATCH, HIDDEN, INTERMEDIATE, true)?
        + project(BATCH, INTERMEDIATE, HIDDEN, true)?;

    let (a, b) = (variable(&[RANK, HIDDEN])?, variable(&[HIDDEN, RANK])?);
    let base = noise(&[all, HIDDEN])?;
    let low_rank = cost(&[all, HIDDEN], true, move |x| ops::add_linear(&base, &ops::linear(x, &a, None)?, &b, 1.0))?;

    let (gamma, beta) = (Tensor::ones(HIDDEN, DType::F32, &Device::Cpu)?, noise(&[HIDDEN])?);
    let residual = variable(&[all, HIDDEN])?;
    let normalise = cost(&[all, HIDDEN], true, move |x| ops::add_layer_norm(x, &residual, &gamma, &beta, 1e-12))?;

    let mask = Tensor::ones((BATCH, LENGTH), DType::F32, &Device::Cpu)?;
    let (key, value) = (variable(&[BATCH, LENGTH, HIDDEN])?, variable(&[BATCH, LENGTH, HIDDEN])?);
    let attend =
        |queries: usize| cost(&[BATCH, queries, HIDDEN], true, |q| ops::attention(q, &key, &value, &mask, HEADS, None));

    let mut params = Params::clone(shapes::initial(learner)?);
    let gradient = vec![1e-3; params.values().len()];
    let mut optimizer = Optimizer::new(&TrainConfig::default(), learner.layout());
    let optimise = fastest_of(|| {
        optimizer.step(&mut params, &gradient, 1e-3);
        Ok(())
    })?;
    Ok(vec![
        ("attention projections", attention_maps),
        ("feed-forward projections", feed_forward),
        ("low-rank updates", low_rank * (2.0 * layers - 1.0)),
        ("layer normalisation", normalise * 2.0 * (layers - 1.0)),
        ("gelu", cost(&[all, INTERMEDIATE], true, ops::gelu)? * (layers - 1.0)),
        ("attention", attend(LENGTH)? * (layers - 1.0) + attend(1)?),
        ("optimizer", optimise),
    ])
}

/// Seconds of one call and, when its result leads to a variable, of its backward pass.
fn cost(shape: &[usize], tracked: bool, operation: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<f64> {
    let x = if tracked { variable(shape)? } else { noise(shape)? };
    fastest_of(|| {
        let out = operation(&x)?;
        if out.track_op() {
            out.backward()?;
        }
        Ok(())
    })
}

fn noise(shape: &[usize]) -> Result<Tensor> {
    let mut stream = Seeds::new(2).global(Purpose::RandomBackbone);
    let values: Vec<f32> =
        (0..shape.iter().product()).map(|_| rand::RngExt::random_range(&mut stream, -0.5..0.5)).collect();
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

fn variable(shape: &[usize]) -> Result<Tensor> {
    Ok(Var::from_tensor(&noise(shape)?)?.into_inner())
}

fn fastest_of(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut seconds = Vec::new();
    for _ in 0..9 {
        let start = Instant::now();
        work()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    Ok(seconds.into_iter().fold(f64::INFINITY, f64::min))
}
