//! The `wasisocket` command, which runs python.wasm.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::build::{Build, TARGET};
use crate::cache::Key;
use crate::licences;
use crate::process;
use crate::progress::Stage;
use crate::tree;

const NAME: &str = "host";
pub(crate) const PACKAGE: &str = "wasisocket-cli";
pub(crate) const TESTS: &str = "wasisocket-tests";
const COMMAND: &str = "wasisocket";

pub(crate) fn key(build: &Build) -> Result<Key> {
    let rustc = process::output(Command::new("rustc").arg("-vV"))?;
    Ok(build
        .cargo_inputs("host 1", &["host-runner", "guest-ext/abi"])?
        .text("rustc", &rustc)
        .finish())
}

/// The command, if this checkout's was built.
pub(crate) fn existing(build: &Build) -> Result<Option<PathBuf>> {
    let entry = build.cache.published(NAME, &key(build)?);
    Ok(entry.map(|entry| entry.join(COMMAND)))
}

/// Builds the command.
pub(crate) fn ensure(build: &Build) -> Result<PathBuf> {
    if let Some(command) = existing(build)? {
        build
            .progress
            .up_to_date(Stage::Host, &command.display().to_string());
        return Ok(command);
    }
    let key = key(build)?;
    let step = build
        .progress
        .begin(Stage::Host, NAME, &key, &build.cache)?;
    let entry = build.cache.publish(NAME, &key, &step, |folder| {
        let (target, _lock) = build.claim(TARGET, |waiting| step.note(waiting))?;
        let mut cargo = build.cargo("build");
        cargo.args(["--release", "--locked", "--package", PACKAGE]);
        // Nothing of it is built: with it, wasmtime has the features that it has in the tests, and need
        // not be compiled again for them.
        cargo.args(["--package", TESTS, "--bin", COMMAND]);
        process::run(&step, &mut cargo)?;
        let built = target.join("release").join(COMMAND);
        tree::copy_file(&built, &folder.join(COMMAND))?;
        if self::key(build)? != key {
            bail!(
                "the sources of the wasisocket command changed while they were compiled: run again"
            );
        }
        licences::beside_host(build, PACKAGE, folder)
    })?;
    step.done();
    Ok(entry.join(COMMAND))
}
