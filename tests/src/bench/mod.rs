//! What the benchmarks share: the same work is measured in several places in turn, and the medians are compared.
//! A single number says little on a machine that does other things too.

mod machine;
mod plot;
mod report;
mod rows;

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

pub use machine::{Busy, Load, cpu_time, machine};
pub use plot::plot;
pub use report::{json, replace_section, table};
pub use rows::{Better, Column, Row, Samples, Spread, geometric_mean};

/// One column's measurement. It returns lines of a case's name, its unit and a value, with tabs between them.
pub struct Run<'a> {
    column: Column,
    run: Box<dyn FnMut() -> String + 'a>,
}

impl<'a> Run<'a> {
    /// `run` measures all cases once.
    pub fn new(column: Column, run: impl FnMut() -> String + 'a) -> Self {
        Self {
            column,
            run: Box::new(run),
        }
    }
}

/// Runs all of them `rounds` times. Each round begins with another one, so that none is always measured after the same
/// one.
pub fn interleave(samples: &mut Samples, rounds: usize, runs: &mut [Run<'_>]) {
    for round in 0..rounds {
        eprintln!("{}: round {} of {rounds}", samples.group(), round + 1);
        for Run { column, run } in &mut *runs {
            samples.read(*column, &run());
        }
        runs.rotate_left(1);
    }
}

/// Runs a command and returns its standard output.
///
/// # Panics
/// The command fails.
#[must_use]
pub fn printed(command: &mut Command) -> String {
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run");
    assert!(
        ended.status.success(),
        "{command:?} failed: {}",
        ended.status
    );
    String::from_utf8(ended.stdout).expect("text")
}

/// A role that gets a CPU of its own where there are two. Otherwise the scheduler would place program and peers
/// differently in each run, and rates would differ with that.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The measured program.
    Program = 0,
    /// Its peers.
    Peers = 1,
}

/// The CPUs that this process may use.
fn all_cpus() -> &'static CpuSet {
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    ALL.get_or_init(|| sched_getaffinity(None).expect("it can be read"))
}

/// Pins the threads and processes that this thread starts from now on to that CPU, if there are at least two.
///
/// # Panics
/// sched_setaffinity(2) fails.
pub fn start_at(place: Place) {
    let all = all_cpus();
    let mut there = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let mut one = CpuSet::new();
    if let (Some(first), Some(second)) = (there.next(), there.next()) {
        one.set([first, second][place as usize]);
        sched_setaffinity(None, &one).expect("it is allowed");
    }
}

/// Ends what [`start_at`] began, for this thread and for what it starts from now on.
///
/// # Panics
/// sched_setaffinity(2) fails.
pub fn start_anywhere() {
    sched_setaffinity(None, all_cpus()).expect("it is allowed");
}
