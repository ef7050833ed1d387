//! PyTorch in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};

use crate::shapes::{Shape, Work};

pub(crate) struct Peer {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(crate) version: String,
}

/// What is measured on either side.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) shape: Shape,
    pub(crate) work: Work,
    pub(crate) batch: usize,
    pub(crate) length: usize,
}

impl Peer {
    /// `None` without `STRAGGLER_PYTHON`.
    pub(crate) fn start(threads: usize) -> Result<Option<Self>> {
        let Some(python) = std::env::var_os("STRAGGLER_PYTHON") else { return Ok(None) };
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/torch_training_step.py");
        let mut child = Command::new(python)
            .arg(script)
            .env("OMP_NUM_THREADS", threads.to_string())
            .env("MKL_NUM_THREADS", threads.to_string())
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
    pub(crate) fn steps(&mut self, case: Case, attention: &str, steps: usize, threads: usize) -> Result<f64> {
        self.ask(case, attention, steps, threads)?;
        self.answer(steps)
    }

    pub(crate) fn ask(&mut self, case: Case, attention: &str, steps: usize, threads: usize) -> Result<()> {
        let Case { shape, work, batch, length } = case;
        let (shape, work) = (shape.name(), work.name());
        Ok(writeln!(self.questions, "{shape} {work} {attention} {batch} {length} {steps} {threads}")?)
    }

    pub(crate) fn answer(&mut self, steps: usize) -> Result<f64> {
        let line = self.line()?;
        let seconds = line.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        anyhow::ensure!(seconds.len() == steps, "the peer answered `{}`", line.trim());
        Ok(seconds.iter().sum::<f64>() / steps as f64)
    }

    /// The most memory that the peer has held, in MiB.
    pub(crate) fn peak_mib(&mut self) -> Result<f64> {
        writeln!(self.questions, "peak")?;
        Ok(self.line()?.trim().parse::<f64>()? / 1024.0)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself when its input does; a bench that failed does not wait for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
