//! The web server of the tests: the machine's nginx, or Debian's, unpacked beside the system. Debian's package
//! installed would start a server for everybody on port 80.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::{Stage, Step};

pub(crate) const NAME: &str = "nginx";
const COMMAND: &str = "usr/sbin/nginx";

fn key() -> Key {
    // A package of one release of Debian need not run on another.
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    KeyBuilder::new("nginx 1")
        .text("system", &system)
        .text("arch", std::env::consts::ARCH)
        .finish()
}

fn installed() -> Option<PathBuf> {
    let elsewhere = Path::new("/").join(COMMAND);
    // A user's PATH need not have the folder.
    process::find(NAME).or_else(|| Some(elsewhere).filter(|path| path.is_file()))
}

/// The unpacked package, if it was fetched.
pub(crate) fn existing(build: &Build) -> Option<PathBuf> {
    build.cache.published(NAME, &key())
}

/// Finds or fetches the command.
pub(crate) fn ensure(build: &Build) -> Result<PathBuf> {
    let found = installed().or_else(|| Some(existing(build)?.join(COMMAND)));
    if let Some(command) = found {
        let what = command.display().to_string();
        build.progress.up_to_date(Stage::Nginx, &what);
        return Ok(command);
    }
    if !apt::available() {
        bail!("nginx not found: install what this system calls the Debian package nginx");
    }
    let key = key();
    let step = build
        .progress
        .begin(Stage::Nginx, NAME, &key, &build.cache)?;
    let entry = build.cache.publish(NAME, &key, &step, |folder| {
        let fetched = fetch(&step, folder).context("cannot fetch Debian's package nginx");
        fetched.context("install the Debian package nginx, or run this again with a network")
    })?;
    step.done();
    Ok(entry.join(COMMAND))
}

/// Unpacks the package into `folder`, and sees whether it runs: other packages have its libraries.
fn fetch(step: &Step, folder: &Path) -> Result<()> {
    apt::download(step, NAME, folder)?;
    for file in fs::read_dir(folder)? {
        let package = file?.path();
        apt::unpack(step, &package, folder)?;
        fs::remove_file(package)?;
    }
    process::run(step, Command::new(folder.join(COMMAND)).arg("-V"))
}
