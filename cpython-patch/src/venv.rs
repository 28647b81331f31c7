//! Tools from pip, in a virtual environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The environment `folder`/venv with the packages of a file for `pip install --requirement`. Those that are there stay.
pub(crate) fn venv(folder: &Path, requirements: &Path) -> Result<PathBuf> {
    let venv = folder.join("venv");
    if !venv.join("bin/pip").is_file() {
        process::visible(Command::new("python3").args(["-m", "venv"]).arg(&venv))
            .context("install Python 3.10 or later with venv (Debian: python3-venv)")?;
    }
    process::visible(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--requirement"])
            .arg(requirements),
    )?;
    Ok(venv)
}
