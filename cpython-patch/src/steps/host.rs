//! The `wasisocket` command, which runs python.wasm.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::build::{self, Build, TARGET};
use crate::cache::Key;
use crate::process;
use crate::steps::{Entry, Job, Step, licences};
use crate::tree;

pub(crate) const PACKAGE: &str = "wasisocket-cli";
pub(crate) const TESTS: &str = "wasisocket-tests";
pub(crate) const COMMAND: &str = "wasisocket";

/// The command.
pub(crate) struct Host {
    /// The folder also contains the licences.
    pub(crate) folder: PathBuf,
}

impl Host {
    pub(crate) fn command(&self) -> PathBuf {
        self.folder.join(COMMAND)
    }
}

impl Step for Host {
    const NAME: &'static str = "host";
    const TITLE: &'static str = "wasisocket command";
    const HELP: Option<&'static str> = Some("Build the command `wasisocket`, and print its path");
    type Inputs = ();

    fn keys(build: &Build, (): &()) -> Result<Option<Vec<Key>>> {
        let rustc = process::output(Command::new("rustc").arg("-vV"))?;
        let key = build
            .cargo_inputs("host 1", &["host-runner", "guest-ext/abi"])?
            .text("rustc", &rustc)
            .finish();
        Ok(Some(vec![key]))
    }

    fn make(job: &Job<'_>, (): &()) -> Result<()> {
        let Job { build, running, .. } = *job;
        let (target, _lock) = build.claim(TARGET, |waiting| running.note(waiting))?;
        let mut cargo = build.cargo("build");
        cargo.args(["--release", "--locked", "--package", PACKAGE]);
        // Nothing of this package is built. Naming it gives wasmtime the features that it has in the
        // tests, so that it is compiled only once.
        cargo.args(["--package", TESTS, "--bin", COMMAND]);
        process::run(running, &mut cargo)?;
        let built = target.join("release").join(COMMAND);
        tree::copy_file(&built, &job.folder.join(COMMAND))?;
        licences::beside_host(build, PACKAGE, &build::platform()?, job.folder)
    }

    fn open(_: &Build, (): &(), entries: Vec<Entry>) -> Result<Self> {
        let folder = super::only(entries)?.folder;
        Ok(Self { folder })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.command()]
    }
}
