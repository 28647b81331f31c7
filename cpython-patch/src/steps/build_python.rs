//! The native CPython of the same version, which CPython's cross build needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::steps::source::Source;
use crate::steps::{Entry, Job, Step};
use crate::tree;

/// Configure's flags for both builds of CPython. The test modules are written in C, and only CPython's
/// developers use them.
pub(crate) const CONFIGURE_FLAGS: &[&str] = &["--disable-test-modules"];

/// The stamp of a build that is configured.
pub(crate) const CONFIGURED: &str = ".configured";

/// The stamp of a complete copy of the source.
const COPIED: &str = ".copied";

/// CPython for this machine.
pub(crate) struct BuildPython {
    pub(crate) python: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

/// Copies the source into the tree `entry`, unless an interrupted build did so.
pub(crate) fn copy_source(source: &Source, entry: &Path) -> Result<()> {
    if entry.join(COPIED).is_file() {
        return Ok(());
    }
    tree::remove(entry)?;
    // The manual is as large as the interpreter, and no build reads it.
    tree::copy(&source.folder, entry, &|path| path != Path::new("Doc"))?;
    tree::stamp(&entry.join(COPIED))
}

fn folder(entry: &Path) -> PathBuf {
    entry.join("cross-build/build")
}

/// The interpreter in the build folder. On macOS it has a suffix, since the folder Python/ is beside it.
fn interpreter(folder: &Path) -> Result<PathBuf> {
    ["python", "python.exe"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("no python in {}", folder.display()))
}

impl Step for BuildPython {
    const NAME: &'static str = "native";
    const TITLE: &'static str = "build-python (native CPython)";
    const IN_PLACE: bool = true;
    type Inputs = (Arc<Source>,);

    fn keys(build: &Build, (source,): &Self::Inputs) -> Result<Option<Vec<Key>>> {
        let compiler = process::output(Command::new("cc").arg("--version")).unwrap_or_default();
        let key = KeyBuilder::new("native 1")
            .key("source", &source.key)
            .text("flags", &CONFIGURE_FLAGS.join(" "))
            .text("compiler", compiler.lines().next().unwrap_or_default())
            .path("cache", build.cache.root())
            .finish();
        Ok(Some(vec![key]))
    }

    /// Does what `configure-build-python` and `make-build-python` of CPython's own script do: a Python runs
    /// that script, and there need not be one yet.
    fn make(job: &Job<'_>, (source,): &Self::Inputs) -> Result<()> {
        let Job { build, running, .. } = *job;
        apt::require(build, running, &["cc", "make"])?;
        copy_source(source, job.folder)?;
        let folder = folder(job.folder);
        fs::create_dir_all(&folder)?;
        let configured = job.folder.join(CONFIGURED);
        if !configured.is_file() {
            let mut configure = build.tool("../../configure");
            configure.args(CONFIGURE_FLAGS).current_dir(&folder);
            process::run(running, &mut configure)?;
            tree::stamp(&configured)?;
        }
        let mut make = build.tool("make");
        make.arg(format!("-j{}", Build::jobs())).arg("all");
        process::run(running, make.current_dir(&folder))?;
        let python = interpreter(&folder)?;
        let version = process::output(build.tool(&python).arg("--version"))?;
        if !version.contains(&source.version.to_string()) {
            bail!("{} is {version}, not {}", python.display(), source.version);
        }
        Ok(())
    }

    fn open(_: &Build, _: &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        let Entry { folder: entry, key } = super::only(entries)?;
        let folder = folder(&entry);
        Ok(Self {
            python: interpreter(&folder)?,
            folder,
            key,
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.python.clone()]
    }
}
