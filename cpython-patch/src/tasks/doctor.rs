//! `cargo xtask doctor`: what a build would find, and what to do about what is missing.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::apt;
use crate::build::Build;
use crate::process;
use crate::progress::human_bytes;
use crate::steps::rust_target;
use crate::steps::{self, Step};
use crate::tree;

/// The size of the cache after a full build and the tests, with a margin.
const WANTED_BYTES: u64 = 4_000_000_000;

pub(crate) enum State {
    /// It exists.
    Found,
    /// A build will make or install it.
    ToDo,
    /// The user must do something.
    Missing,
}

/// The table that is printed, row by row.
pub(crate) struct Report {
    fine: bool,
}

impl Report {
    /// Prints a row; the second and later lines of `detail` are indented.
    pub(crate) fn row(&mut self, what: &str, state: &State, detail: &str) {
        let mark = match state {
            State::Found => "ok",
            State::ToDo => "to do",
            State::Missing => "MISSING",
        };
        self.fine &= !matches!(state, State::Missing);
        let mut lines = detail.lines();
        println!("{what:<30} {mark:<8} {}", lines.next().unwrap_or_default());
        for line in lines {
            println!("{:<39} {line}", "");
        }
    }

    /// Prints the row of a step: its size in the cache, its description, and its paths.
    pub(crate) fn step<S: Step>(&mut self, build: &Build) {
        match build.existing::<S>() {
            Ok(Some(found)) => {
                let paths = found.paths();
                let size = paths.iter().map(|path| build.cache.entry_size(path)).sum();
                let mut detail = format!("{:>7}  {}", human_bytes(size), found.describe());
                for path in paths.iter().map(|path| path.display().to_string()) {
                    if path != found.describe() {
                        detail.push_str(&format!("\n{:>7}  {path}", ""));
                    }
                }
                self.row(S::TITLE, &State::Found, &detail);
            }
            Ok(None) => self.row(S::TITLE, &State::ToDo, "`cargo xtask run` makes it"),
            Err(error) => self.row(S::TITLE, &State::Missing, &format!("{error:#}")),
        }
    }
}

/// Prints the table. False if a build cannot succeed.
pub(crate) fn doctor(build: &Build) -> Result<bool> {
    let mut report = Report { fine: true };
    let may_install = apt::may_install(build);
    println!("Tools");
    for (tool, packages) in &build.pins.tools {
        let by_hand = format!("install {}", packages.join(" "));
        match process::find(tool) {
            Some(path) => report.row(tool, &State::Found, &path.display().to_string()),
            None if may_install => {
                report.row(tool, &State::ToDo, &format!("a build will {by_hand}"));
            }
            None => report.row(tool, &State::Missing, &by_hand),
        }
    }
    rust(build, &mut report, may_install);

    println!("\nCache {}", build.cache.root().display());
    disk(build, &mut report)?;
    println!("\nSteps");
    for step in steps::ALL {
        (step.doctor)(build, &mut report);
    }
    Ok(report.fine)
}

fn rust(build: &Build, report: &mut Report, may_install: bool) {
    match process::output(Command::new("rustc").arg("--version")) {
        Ok(version) => report.row("rustc", &State::Found, &version),
        Err(error) => report.row("rustc", &State::Missing, &format!("{error:#}")),
    }
    let target = &build.pins.rust.target;
    let rustup = process::find("rustup").is_some() && !build.options.no_install;
    match rust_target::existing(build) {
        Ok(Some(rust)) => report.row(target, &State::Found, &rust.origin()),
        Ok(None) if rustup || may_install => {
            let detail = "a build will add it with rustup or from Debian";
            report.row(target, &State::ToDo, detail);
        }
        Ok(None) => {
            let detail = format!("run `rustup target add {target}`");
            report.row(target, &State::Missing, &detail);
        }
        Err(error) => report.row(target, &State::Missing, &format!("{error:#}")),
    }
}

fn disk(build: &Build, report: &mut Report) -> Result<()> {
    let space = rustix::fs::statvfs(build.cache.root())?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let used = tree::size(build.cache.root());
    let detail = format!("{} free, {} used", human_bytes(free), human_bytes(used));
    if free.saturating_add(used) < WANTED_BYTES {
        let advice = format!(
            "{detail}\na build needs up to {}: free some, or choose another place with --cache DIR",
            human_bytes(WANTED_BYTES)
        );
        report.row("disk", &State::Missing, &advice);
    } else {
        report.row("disk", &State::Found, &detail);
    }
    Ok(())
}

/// The cache entries that today's inputs use. Steps whose inputs are unknown have none.
pub(crate) fn in_use(build: &Build) -> Vec<PathBuf> {
    let existing = steps::ALL
        .iter()
        .filter_map(|step| (step.existing)(build).ok()?);
    let paths = existing.flatten();
    paths
        .filter_map(|path| build.cache.entry_of(&path))
        .collect()
}
