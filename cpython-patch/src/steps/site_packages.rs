//! The packages of `tests/packages/requirements.txt`, which guests of the tests import, and a native Python
//! that can import them too, for comparison.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::Running;
use crate::steps::build_python::BuildPython;
use crate::steps::distribution::Distribution;
use crate::steps::host::Host;
use crate::steps::{Entry, Job, Step};
use crate::tree;

const REQUIREMENTS: &str = "tests/packages/requirements.txt";

/// Some of the packages exist only as wheels for one platform. Any will do: compiled parts are removed.
const WHEELS: &[&str] = &[
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.13",
];

/// A program that succeeds in a Python that can import the packages.
const SUITABLE: &str = "cpython-patch/suitable_python.py";

pub(crate) struct SitePackages {
    pub(crate) folder: PathBuf,
    pub(crate) python: PathBuf,
}

/// The build-python, which has the guest's version, or the first `python3` in `path` that `suits` accepts.
fn suitable(build_python: &Path, path: &OsStr, suits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let others = std::env::split_paths(path).map(|folder| folder.join("python3"));
    std::iter::once(build_python.to_owned())
        .chain(others)
        .find(|python| python.is_file() && suits(python))
}

fn native_python(build: &Build, native: &BuildPython) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Without the headers of OpenSSL on the machine, the build-python has no ssl.
    suitable(&native.python, &path, |python| {
        process::output(build.tool(python).arg(build.checkout(SUITABLE))).is_ok()
    })
}

impl Step for SitePackages {
    const NAME: &'static str = "site";
    const TITLE: &'static str = "packages for the tests";
    type Inputs = (Arc<BuildPython>, Arc<Distribution>, Arc<Host>);

    fn keys(build: &Build, (native, ..): &Self::Inputs) -> Result<Option<Vec<Key>>> {
        if native_python(build, native).is_none() {
            return Ok(None);
        }
        let key = KeyBuilder::new("site 1").file(&build.checkout(REQUIREMENTS))?;
        Ok(Some(vec![key.finish()]))
    }

    fn prepare(build: &Build, running: &Running, (native, ..): &Self::Inputs) -> Result<()> {
        if native_python(build, native).is_some() {
            return Ok(());
        }
        let why = "no python3 in PATH is 3.11 or later and has ssl";
        apt::install(build, running, &["python3".to_owned()], why)?;
        native_python(build, native).context(why).map(drop)
    }

    /// Runs pip in the guest, with the index that pip is configured for.
    fn make(job: &Job<'_>, (_, python, host): &Self::Inputs) -> Result<()> {
        let mut pip = Command::new(host.command());
        pip.arg("pip").arg("--python").arg(&python.folder);
        install(
            job.running,
            &mut pip,
            &job.build.checkout(REQUIREMENTS),
            job.folder,
        )
    }

    fn open(build: &Build, (native, ..): &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        Ok(Self {
            folder: super::only(entries)?.folder,
            python: native_python(build, native).context("no suitable python3")?,
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

fn install(running: &Running, pip: &mut Command, requirements: &Path, folder: &Path) -> Result<()> {
    pip.args(["install", "--require-hashes"])
        // The file lists all dependencies.
        .arg("--no-deps")
        .args(WHEELS)
        .arg("--target")
        .arg(folder)
        .arg("--requirement")
        .arg(requirements);
    process::run(running, pip)
        .with_context(|| format!("cannot install the packages of {REQUIREMENTS}"))?;
    // The guest cannot load extension modules. Without them, native Python runs the same code as the guest.
    for file in tree::files(folder, &|_| true)? {
        if file.extension().is_some_and(|extension| extension == "so") {
            tree::remove(&folder.join(file))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn unsuitable_python_is_skipped() {
        let build_python = Path::new("/nowhere/python");
        let root = std::env::temp_dir().join(format!("xtask-python-{}", std::process::id()));
        let folders = ["without", "old", "good", "better"].map(|name| root.join(name));
        for folder in &folders {
            fs::create_dir_all(folder).unwrap();
            if !folder.ends_with("without") {
                fs::write(folder.join("python3"), "").unwrap();
            }
        }
        let path = std::env::join_paths(&folders).unwrap();
        let found = suitable(build_python, &path, |python| {
            !python.starts_with(&folders[1])
        });
        assert_eq!(found, Some(folders[2].join("python3")));
        assert_eq!(suitable(build_python, &path, |_| false), None);
        fs::remove_dir_all(root).unwrap();
    }
}
