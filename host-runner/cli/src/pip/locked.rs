//! The packages of a lock file, installed for a program: nobody is at a terminal.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasisocket_host::{Event, List};
use wasisocket_python::{Capture, Certificates, End, Folder, Program, Python};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use super::inputs::{Inputs, TARGET};
use super::lock::Lock;
use super::reach::DefaultIndex;
use super::{notes, usual, variables};

/// The most time that pip may take.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Room for what pip says, in bytes.
const OUTPUT_MAX: usize = 4 << 20;

/// The most denials that are told.
const DENIALS_MAX: usize = 5;

/// Options of the user's configuration that say what is installed, where, and how much pip says.
const NOT_CONFIGURED: [&str; 9] = [
    "constraint",
    "dest",
    "destination-dir",
    "destination-directory",
    "path",
    "quiet",
    "requirement",
    "target",
    "verbose",
];

impl Lock {
    /// Installs the packages into a folder, by pip in a guest of `python`. It reaches the indexes and proxies of the user's
    /// pip configuration, or else pip's default index, and nothing else. Nothing is installed but files with the hashes
    /// of the lock.
    ///
    /// # Errors
    /// pip did not install them; the error has the last lines of what it said. The folder may then have some of the
    /// packages.
    pub fn install(&self, python: &Python, folder: &Path) -> Result<()> {
        self.check_pure()?;
        let mut inputs = Inputs::new()?;
        inputs.reach.default_index = DefaultIndex::find(python.distribution());
        let is_wanted = |name: &str| !NOT_CONFIGURED.contains(&name);
        let mut env = variables::configured(Some("install"), is_wanted, &mut inputs)?;
        let bundle = variables::add_network(&mut env, None, &mut inputs);
        let requirements = inputs.locked(self, Path::new("/pylock.toml"))?;

        let mut grants = usual();
        grants.limits.timeout = Some(LIMIT);
        for rule in inputs.reach.rules(&grants.resolver) {
            grants.add(List::AllowNet, &rule)?;
        }
        let said = Capture::new(OUTPUT_MAX);
        let denials = Arc::<Mutex<Vec<String>>>::default();
        let denied = Arc::clone(&denials);
        let (scratch, folders, _) = inputs.into_folders()?;
        let mut program = Program::module("pip")
            .args(["install", "--no-deps", "--require-hashes"])
            .args([
                format!("--target={TARGET}"),
                format!("--requirement={requirements}"),
            ])
            .folder(Folder::read_write(folder, TARGET))
            .grants(grants)
            .stdout(&said)
            .stderr(&said)
            .sockets(move |sockets| {
                sockets.on_event(move |event| {
                    let Event::Denied(denial) = event else { return };
                    let mut denials = denied.lock().unwrap_or_else(PoisonError::into_inner);
                    let denial = denial.to_string();
                    if denials.len() < DENIALS_MAX && !denials.contains(&denial) {
                        denials.push(denial);
                    }
                })
            });
        for folder in folders {
            program = program.folder(folder);
        }
        for (name, value) in env {
            program = program.env(name, value);
        }
        if let Some(file) = bundle {
            program = program.certificates(Certificates::from_file(&file)?);
        }
        let end = python.run(program).context("pip was not started")?;
        drop(scratch);
        let how = match end {
            End::Exit(0) => return Ok(()),
            End::Limit(limit) => format!("it reached its limit {limit}"),
            End::Trap(text) => format!("it trapped: {text}"),
            end => format!("its status is {}", end.status()),
        };
        let mut lines = notes::last_lines(&said.bytes());
        lines.extend_from_slice(&denials.lock().unwrap_or_else(PoisonError::into_inner));
        bail!("pip did not install it ({how}):\n{}", lines.join("\n"))
    }
}
