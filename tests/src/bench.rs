//! What the benchmarks share: the same program run in several places, in turn, and a table of ratios of
//! medians. A single number says little on a machine that does other things too.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// Where a program runs.
pub struct Column {
    title: &'static str,
    run: Box<dyn Fn() -> String>,
    /// Rates by name, one a round.
    rates: BTreeMap<String, Vec<f64>>,
}

impl Column {
    /// `run` runs the program once and returns what it printed: lines of name, tab and rate.
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

    /// `None` if it has no such rate.
    fn median(&self, name: &str) -> Option<f64> {
        let mut rates = self.rates.get(name)?.clone();
        rates.sort_by(f64::total_cmp);
        Some(rates[rates.len() / 2])
    }
}

/// Runs all of them `rounds` times, in turn, and prints the table.
///
/// # Panics
/// A program prints something else than rates.
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

/// What a command prints.
///
/// # Panics
/// It fails.
#[must_use]
pub fn printed(command: &mut Command) -> String {
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run");
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).expect("text")
}
