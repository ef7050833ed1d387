//! Comparing runs: what differs, by how much, and how sure that is.
//!
//! [`compare`] takes folders of runs and of sweeps, groups the runs that differ by seed only, and gives for each group
//! and each [`Quantity`] an [`Estimate`] over the seeds; against a baseline also the [`Difference`], paired by seed.
//!
//! # Formulas
//! - **Mean and SD** over n seeds: `m = Σx / n`, `s = √(Σ(x − m)² / (n − 1))`. One seed has no SD and no interval.
//! - **Interval** of the mean at confidence c by Student's t: `m ± t(n − 1, (1 + c)/2) · s / √n`. It says where the mean over
//!   all seeds lies if the values are about normal (Student, *The probable error of a mean*, Biometrika 6, 1908).
//! - **Paired difference**: for each seed that both have, `d = x − baseline`; mean, SD and interval of d as above,
//!   `t = m / (s / √n)` with n − 1 degrees of freedom, and p two-sided. A seed gives every cell the same world, so what the
//!   seeds add to both falls out of d.
//! - **Wilcoxon's signed ranks**: zeros are left out, |d| is ranked (ties share the mean of their ranks), W is the sum of the
//!   ranks of d > 0, and p = min(1, 2 min(P(W ≤ w), P(W ≥ w))) exactly, over all 2ⁿ signs (Wilcoxon, *Individual comparisons
//!   by ranking methods*, Biometrics Bulletin 1, 1945). With n seeds p cannot be below 2/2ⁿ: 0.25 for three, 0.0625 for five.
//!
//! Differences are rounded to a decimal grid of 10⁻¹² of the largest value first: those of fractions k/n that are equal would
//! differ in their last bits otherwise.
//!
//! No p is corrected for the number of comparisons. Figures to a target are means over the runs that reached it; the others
//! are counted and named by seed, never averaged in.

mod baseline;
mod comparison;
mod error;
mod export;
mod folder;
mod grouping;
mod index;
mod quantity;
mod run;
mod scale;
mod settings;
mod statistics;
mod table;

pub use comparison::{Comparison, Figure, Group, Options, compare};
pub use error::CompareError;
pub use export::{to_csv, to_json};
pub use folder::LeftOut;
pub(in crate::report) use folder::unfinished;
pub use index::{CellStatus, INDEX_FILE, IndexRow, SWEEP_LOCK_FILE, SweepIndex, run_folder};
pub use quantity::{Quantity, Unit};
pub use run::Run;
pub use settings::{Differing, differing, short_paths};
pub use statistics::{Difference, Estimate};
pub use table::{markdown, text};
