//! Packages for native Python that tests and benchmarks need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::Running;
use crate::steps;

/// The folder in the cache.
const FOLDER: &str = "bench";

/// The packages of a file of requirements of the checkout, installed by pip in the guest, for native Python.
pub(crate) fn native_packages(build: &Build, name: &'static str, file: &str) -> Result<PathBuf> {
    let requirements = build.checkout(file);
    let key = KeyBuilder::new("packages 1").file(&requirements)?.finish();
    made(build, name, &key.prefixed(name), |running, folder| {
        let (python, host) = steps::product(build)?;
        let mut pip = Command::new(host.command());
        pip.arg("pip").arg("--python").arg(&python.folder);
        pip.args(["install", "--require-hashes", "--no-deps"])
            .arg(format!(
                "--platform=manylinux2014_{}",
                std::env::consts::ARCH
            ))
            .args(["--implementation=cp", "--python-version=3.13", "--target"])
            .args([folder, "--requirement".as_ref(), &requirements]);
        process::run(running, &mut pip)
    })
}

/// A result that only some tasks need. It is no step, as every build would then show it.
pub(crate) fn made(
    build: &Build,
    title: &'static str,
    key: &Key,
    make: impl FnOnce(&Running, &Path) -> Result<()>,
) -> Result<PathBuf> {
    if let Some(folder) = build.cache.result(FOLDER, key, false) {
        return Ok(folder);
    }
    let running = build.begin(FOLDER, title)?;
    let make = |folder: &Path| make(&running, folder);
    let folder = build
        .cache
        .publish(FOLDER, key, false, &running, make)
        .context(title)?;
    running.done(&folder.display().to_string());
    Ok(folder)
}
