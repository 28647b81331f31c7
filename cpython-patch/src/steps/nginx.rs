//! The web server of the tests: the machine's nginx, or Debian's, unpacked into the cache. Installing
//! Debian's package would start a server on port 80.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::Running;
use crate::steps::{Entry, Job, Step};

const PACKAGE: &str = "nginx";
const COMMAND: &str = "usr/sbin/nginx";

/// The command.
pub(crate) struct Nginx {
    pub(crate) command: PathBuf,
}

/// The machine's own. A user's PATH may lack the folder.
fn installed() -> Option<PathBuf> {
    let path = Path::new("/").join(COMMAND);
    process::find(PACKAGE).or_else(|| Some(path).filter(|path| path.is_file()))
}

impl Step for Nginx {
    const NAME: &'static str = "nginx";
    const TITLE: &'static str = "nginx for the tests";
    type Inputs = ();

    fn keys(_: &Build, (): &()) -> Result<Option<Vec<Key>>> {
        if installed().is_some() {
            return Ok(Some(Vec::new()));
        }
        // A package of one release of Debian may not run on another.
        let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let key = KeyBuilder::new("nginx 1")
            .text("system", &system)
            .text("arch", std::env::consts::ARCH)
            .finish();
        Ok(Some(vec![key]))
    }

    fn make(job: &Job<'_>, (): &()) -> Result<()> {
        if !apt::available() {
            bail!("nginx not found: install what this system calls the Debian package nginx");
        }
        let fetched = fetch(job.running, job.folder).context("cannot fetch Debian's package nginx");
        fetched.context("install the Debian package nginx, or run this again with a network")
    }

    fn open(_: &Build, (): &(), entries: Vec<Entry>) -> Result<Self> {
        let unpacked = entries.first().map(|entry| entry.folder.join(COMMAND));
        let command = unpacked.or_else(installed).context("nginx vanished")?;
        Ok(Self { command })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.command.clone()]
    }
}

/// Unpacks the package into `folder`, and tests that it runs: its libraries are in other packages.
fn fetch(running: &Running, folder: &Path) -> Result<()> {
    apt::download(running, PACKAGE, folder)?;
    for file in fs::read_dir(folder)? {
        let package = file?.path();
        apt::unpack(running, &package, folder)?;
        fs::remove_file(package)?;
    }
    process::run(running, Command::new(folder.join(COMMAND)).arg("-V"))
}
