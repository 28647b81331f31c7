//! The guests that a run of pip is made of.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wasisocket_host::Grants;
use wasisocket_python::{Certificates, End, Folder, Program};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use super::imports::{self, Package, Verdict};
use super::inputs::{TARGET, TEMPORARY};
use super::notes;
use crate::run::{self, GuestArgs, StartArgs};
use crate::say;

/// The most time that pip may take to install the newest versions as a trial.
const TRIAL_LIMIT: Duration = Duration::from_secs(120);

/// The most that it may fetch for that, in bytes.
const TRIAL_BYTES: u64 = 64 << 20;

/// What pip has to do, and what its guests are inputs.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) guest: GuestArgs,
    pub(super) grants: Grants,
    /// pip's arguments, with the guest's names for what they name.
    pub(super) words: Vec<String>,
    /// Nothing can be passed over: a lock says what is installed.
    pub(super) is_locked: bool,
    /// The place of pip's command among them.
    pub(super) command_at: usize,
    pub(super) env: Vec<(String, String)>,
    /// All folders but the one that pip writes to.
    pub(super) folders: Vec<Folder>,
    pub(super) target: Option<PathBuf>,
    /// The temporary folder.
    pub(super) scratch: PathBuf,
}

impl Task {
    /// Runs pip, says what it passed over, and returns the exit status.
    pub(super) fn run(&self, strict: bool) -> Result<u8> {
        let mode = if strict { "strict" } else { "report" };
        let program = match self.is_locked {
            true => Program::module("pip"),
            false => Program::module("_wasisocket_pip").args([mode]),
        };
        let program = program.args(&self.words);
        let program = self.give(program, self.target.as_deref());
        let grants = self.grants.clone();
        let status = run::start(
            &self.guest,
            &StartArgs::default(),
            program,
            grants,
            Some(&self.scratch),
        )?;
        for line in notes::lines(&self.temporary().join("notes.txt")) {
            say(format_args!("{line}"));
        }
        Ok(status)
    }

    /// The platforms whose wheels the newest versions have; none if those of pure Python are the newest.
    pub(super) fn platforms(&self) -> Vec<String> {
        let mut platforms = notes::lines(&self.temporary().join("platforms.txt"));
        // They are shown as part of a command.
        platforms.retain(|platform| notes::is_plain(platform));
        platforms
    }

    /// Says whether the newest versions, which are for these platforms, work without their compiled parts.
    pub(super) fn try_newest(&self, platforms: &[String]) -> Result<()> {
        say(format_args!(
            "trying whether the newest versions work without their compiled parts"
        ));
        let mut words = self.words.clone();
        let options = platforms
            .iter()
            .map(|platform| format!("--platform={platform}"));
        let after_command = (self.command_at + 1).min(words.len());
        words.splice(after_command..after_command, options);
        let trial = self.new_folder("trial")?;
        let mut program = self.give(Program::module("pip").args(words), Some(&trial));
        let mut grants = self.grants.clone();
        let limits = &mut grants.limits;
        limits.max_bytes_in = Some(limits.max_bytes_in.unwrap_or(u64::MAX).min(TRIAL_BYTES));
        // This process ends at these.
        limits.timeout = None;
        limits.max_cpu = None;
        program = program.grants(grants);
        if let Some(file) = &self.guest.ca_bundle {
            program = program.certificates(Certificates::from_file(file).context("--ca-bundle")?);
        }
        let python = run::load(
            self.guest.python.as_deref(),
            self.guest.cold,
            &StartArgs::default(),
        )?;
        if imports::run_within(TRIAL_LIMIT, &python, program)? != Some(End::Exit(0)) {
            bail!(
                "whether they do could not be found out with {} MB and in {} seconds",
                TRIAL_BYTES >> 20,
                TRIAL_LIMIT.as_secs()
            );
        }
        let packages = imports::try_packages(
            &python,
            &trial,
            &self.new_folder("imports")?,
            &self.grants.limits,
        )?;
        if say_limitations(&packages) && !packages.is_empty() {
            let names: Vec<_> = packages
                .iter()
                .map(|package| package.name.as_str())
                .collect();
            say(format_args!(
                "{} can be imported without compiled parts: --platform {} installs the newest versions",
                names.join(", "),
                platforms.join(" --platform ")
            ));
        }
        Ok(())
    }

    /// Says which of the packages that were installed for another platform do not work. Returns whether all do.
    pub(super) fn try_installed(&self) -> Result<bool> {
        let Some(target) = &self.target else {
            return Ok(true);
        };
        let python = run::load(
            self.guest.python.as_deref(),
            self.guest.cold,
            &StartArgs::default(),
        )?;
        let packages = imports::try_packages(
            &python,
            target,
            &self.new_folder("imports")?,
            &self.grants.limits,
        )?;
        Ok(say_limitations(&packages))
    }

    fn give(&self, mut program: Program, target: Option<&Path>) -> Program {
        for folder in &self.folders {
            program = program.folder(folder.clone());
        }
        if let Some(target) = target {
            program = program.folder(Folder::read_write(target, TARGET));
        }
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        program
    }

    fn temporary(&self) -> PathBuf {
        self.scratch.join(TEMPORARY)
    }

    fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.scratch.join(name);
        std::fs::create_dir(&folder).context("cannot make a temporary folder")?;
        Ok(folder)
    }
}

/// Says what does not work, and returns whether every package can be imported.
fn say_limitations(packages: &[Package]) -> bool {
    for line in packages.iter().filter_map(Package::limitation) {
        say(format_args!("{line}"));
    }
    packages
        .iter()
        .all(|package| package.verdict != Verdict::Fails)
}
