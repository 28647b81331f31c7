//! What the benchmarks share: running the same program in several places in turn, and printing a table of ratios
//! of medians. A single number says little on a machine that does other things too.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a program runs.
pub struct Column {
    title: &'static str,
    run: Box<dyn Fn() -> String>,
    /// Rates by name, one for each round.
    rates: BTreeMap<String, Vec<f64>>,
}

impl Column {
    /// `run` runs the program once and returns its output: lines of a name, a tab and a rate.
    pub fn new(title: &'static str, run: impl Fn() -> String + 'static) -> Self {
        Self {
            title,
            run: Box::new(run),
            rates: BTreeMap::new(),
        }
    }

    fn measure(&mut self) {
        for line in (self.run)().lines() {
            let (name, rate) = line.split_once('\t').expect("name, tab, rate");
            let rates = self.rates.entry(name.to_owned()).or_default();
            rates.push(rate.parse().expect("a number"));
        }
    }

    /// `None` if this column has no such rate.
    fn median(&self, name: &str) -> Option<f64> {
        let mut rates = self.rates.get(name)?.clone();
        rates.sort_by(f64::total_cmp);
        Some(rates[rates.len() / 2])
    }
}

/// Runs all of them `rounds` times, in turn, and prints the table.
///
/// # Panics
/// A program prints anything but rates.
pub fn compare(rounds: usize, mut native: Column, mut others: Vec<Column>) {
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        native.measure();
        others.iter_mut().for_each(Column::measure);
    }
    print!("| per second, medians of {rounds} | native |");
    for Column { title, .. } in &others {
        print!(" {title} | {title} / native |");
    }
    println!("\n|---|---|{}", "---|---|".repeat(others.len()));
    for name in native.rates.keys() {
        let base = native.median(name).expect("a rate a round");
        print!("| {name} | {base:.3e} |");
        for column in &others {
            match column.median(name) {
                Some(rate) => print!(" {rate:.3e} | {:.2} |", rate / base),
                None => print!(" | |"),
            }
        }
        println!();
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
    assert!(ended.status.success());
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

/// Pins the threads and processes that this thread starts from now on to that CPU, if there are at least two.
///
/// # Panics
/// sched_setaffinity(2) fails.
pub fn start_at(place: Place) {
    /// The CPUs that this process may use.
    static ALL: OnceLock<CpuSet> = OnceLock::new();
    let all = ALL.get_or_init(|| sched_getaffinity(None).expect("it can be read"));
    let mut there = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
    let mut one = CpuSet::new();
    if let (Some(first), Some(second)) = (there.next(), there.next()) {
        one.set([first, second][place as usize]);
        sched_setaffinity(None, &one).expect("it is allowed");
    }
}
