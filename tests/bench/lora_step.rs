//! One LoRA step (r 8 on query and value, with the head) of an encoder of MiniLM's shape on one thread, beside PyTorch.
//!
//! ```text
//! STRAGGLER_PYTHON=python3 cargo bench --bench lora_step
//! ```
//! Both sides train random weights of one shape on batches of 16 inputs of 64 tokens, without dropout. They take turns,
//! so that a busy machine slows both; the medians make the ratio. The Python named must have torch, transformers and
//! peft; without it only the project's own time is measured. PyTorch's faster attention counts.
//!
//! Then each operation of the step is measured alone, forwards and backwards, for its share of the step; here the
//! fastest of several runs counts, of the step too. What is left is candle's sums of gradients, the embeddings, the loss
//! and memory traffic that the operations do not meet alone.
#![expect(clippy::disallowed_methods, reason = "a bench measures host time")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor, Var};
use straggler::data::{EncodedDataset, TextDataset, TextExample, encode};
use straggler::model::{Backbone, EncoderConfig, EncoderKind, HiddenAct, ops};
use straggler::petuning::{LoraConfig, TuningConfig};
use straggler::seed::{Purpose, Seeds};
use straggler::training::{Cancel, Learner, LrSchedule, Optimizer, TrainConfig, TrainJob};
use tokenizers::Tokenizer;

const BATCH: usize = 16;
const LENGTH: usize = 64;
const LABELS: usize = 77;
const HIDDEN: usize = 384;
const INTERMEDIATE: usize = 1536;
const LAYERS: usize = 6;
const HEADS: usize = 12;
const VOCABULARY: usize = 30522;
const RANK: usize = 8;
/// Steps that a side takes in its turn.
const STEPS: usize = 3;
const TURNS: usize = 8;
/// Project over PyTorch, at most.
const TARGET: f64 = 1.5;

fn main() -> Result<ExitCode> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS); // `cargo test --all-targets` only wants to know that it builds.
    }
    ops::keep_freed_memory();
    let learner = learner()?;
    let mut peer = Peer::start()?;
    let job = job(&learner);
    let (mut own, mut eager, mut sdpa) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let start = Instant::now();
        learner.train(&job, &Cancel::default())?;
        let own_time = start.elapsed().as_secs_f64() / STEPS as f64;
        let peer_times = peer.as_mut().map(|peer| Ok::<_, anyhow::Error>([peer.steps("eager")?, peer.steps("sdpa")?]));
        if turn == 0 {
            peer_times.transpose()?;
            continue; // The first turn warms up.
        }
        own.push(own_time);
        if let Some([eager_time, sdpa_time]) = peer_times.transpose()? {
            eager.push(eager_time);
            sdpa.push(sdpa_time);
        }
    }
    let fastest = own.iter().copied().fold(f64::INFINITY, f64::min);
    let own = median(own);
    println!(
        "one LoRA step, {LAYERS} x {HIDDEN}, batch {BATCH}, length {LENGTH}, one thread (medians of {TURNS} turns)"
    );
    println!("  straggler                 {:7.1} ms", own * 1e3);
    let mut in_time = true;
    if let Some(peer) = &peer {
        let (eager, sdpa) = (median(eager), median(sdpa));
        let ratio = own / eager.min(sdpa);
        println!("  PyTorch {:9} eager   {:7.1} ms", peer.version, eager * 1e3);
        println!("  PyTorch {:9} sdpa    {:7.1} ms", peer.version, sdpa * 1e3);
        println!("  ratio to the faster        {ratio:6.2}  (at most {TARGET})");
        in_time = ratio <= TARGET;
    } else {
        println!("  set STRAGGLER_PYTHON to a Python with torch, transformers and peft to compare");
    }
    println!("operations alone, forwards and backwards, of the fastest step's {:.1} ms", fastest * 1e3);
    let mut rest = fastest;
    for (name, seconds) in operations(&learner)? {
        rest -= seconds;
        println!("  {name:25} {:7.1} ms  {:5.1} %", seconds * 1e3, 100.0 * seconds / fastest);
    }
    println!("  {:25} {:7.1} ms  {:5.1} %", "rest", rest * 1e3, 100.0 * rest / fastest);
    Ok(if in_time { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The project's training code on random weights and random texts.
fn learner() -> Result<Learner> {
    let config = EncoderConfig {
        kind: EncoderKind::Bert,
        hidden_size: HIDDEN,
        layers: LAYERS,
        heads: HEADS,
        intermediate: INTERMEDIATE,
        vocab_size: VOCABULARY,
        max_positions: 512,
        type_vocab_size: 2,
        layer_norm_eps: 1e-12,
        pad_token_id: 0,
        hidden_dropout: 0.0,
        attention_dropout: 0.0,
        classifier_dropout: 0.0,
        hidden_act: HiddenAct::Gelu,
        initializer_range: 0.02,
        qkv_bias: true,
        sinusoidal_positions: false,
        vision: None,
    };
    let seeds = Seeds::new(1);
    let backbone = Arc::new(Backbone::random(config, &seeds)?);
    let train = TrainConfig {
        per_device_train_batch_size: BATCH,
        lr_scheduler_type: LrSchedule::Constant,
        ..TrainConfig::default()
    };
    let tuning = TuningConfig::Lora(LoraConfig { r: RANK, ..LoraConfig::default() });
    Ok(Learner::new(backbone, tuning, Arc::new(data()?), train, seeds)?)
}

/// Texts of [`LENGTH`] words each, of a vocabulary that makes one token of each word.
fn data() -> Result<EncodedDataset> {
    let vocabulary: serde_json::Map<_, _> = (0..VOCABULARY).map(|id| (format!("w{id}"), id.into())).collect();
    let tokenizer = serde_json::json!({
        "version": "1.0",
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
    });
    let tokenizer = Tokenizer::from_bytes(tokenizer.to_string())
        .map_err(|error| anyhow::anyhow!("the word tokenizer is not read: {error}"))?;
    let example = |row: usize| {
        let word = |position: usize| format!("w{}", 1 + (row * 7919 + position * 104_729) % (VOCABULARY - 1));
        let text = (0..LENGTH).map(word).collect::<Vec<_>>().join(" ");
        TextExample { text, text_pair: None, label: (row % LABELS) as u32 }
    };
    let rows = (0..BATCH * STEPS).map(example).collect();
    let labels = (0..LABELS).map(|label| format!("l{label}")).collect();
    Ok(encode(&TextDataset::new("words".into(), labels, rows, vec![example(0)], None), &tokenizer, LENGTH)?)
}

fn job(learner: &Learner) -> TrainJob {
    let shard: Vec<u32> = (0..(BATCH * STEPS) as u32).collect();
    TrainJob { start: Arc::new(learner.initial()), client_id: 0, round: 0, shard: shard.into() }
}

/// PyTorch in a process of its own.
struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    /// `None` without `STRAGGLER_PYTHON`.
    fn start() -> Result<Option<Self>> {
        let Some(python) = std::env::var_os("STRAGGLER_PYTHON") else { return Ok(None) };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/torch_lora_step.py");
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("STRAGGLER_PYTHON does not start")?;
        let questions = child.stdin.take().context("the peer has no input")?;
        let mut answers = BufReader::new(child.stdout.take().context("the peer has no output")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let version = line.trim().strip_prefix("ready ").context("the peer did not get ready")?;
        let version = version.split('+').next().unwrap_or_default().into();
        Ok(Some(Self { child, questions, answers, version }))
    }

    /// Mean seconds of a step.
    fn steps(&mut self, attention: &str) -> Result<f64> {
        writeln!(self.questions, "{attention} {STEPS}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let seconds = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        anyhow::ensure!(seconds.len() == STEPS, "the peer answered `{}`", line.trim());
        Ok(seconds.iter().sum::<f64>() / STEPS as f64)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input does; a bench that failed does not wait for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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

    let mut params = learner.initial();
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

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
