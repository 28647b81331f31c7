//! Programs for another platform: Debian's cross compiler, and its emulator.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::build::Build;
use crate::progress::Running;
use crate::steps::rust_target;

/// A platform that is not this machine's.
pub(super) struct Cross {
    pub(super) target: String,
    /// GNU's name of it, such as `aarch64-linux-gnu`.
    gnu: String,
    emulator: String,
}

impl Cross {
    /// Installs what is missing.
    pub(super) fn prepare(build: &Build, running: &Running, target: &str) -> Result<Self> {
        let architecture = target.strip_suffix("-unknown-linux-gnu");
        let architecture = architecture
            .with_context(|| format!("{target}: only platforms of Linux with glibc are made"))?;
        let cross = Self {
            target: target.into(),
            gnu: format!("{architecture}-linux-gnu"),
            emulator: format!("qemu-{architecture}"),
        };
        apt::require(
            build,
            running,
            &[&cross.tool("gcc"), &cross.tool("g++"), &cross.emulator],
        )?;
        rust_target::add_with_rustup(target, running).context("rustup")?;
        Ok(cross)
    }

    fn tool(&self, name: &str) -> String {
        format!("{}-{name}", self.gnu)
    }

    /// Lets cargo, or what calls it, build for the platform.
    pub(super) fn configure(&self, cargo: &mut Command) {
        let upper = self.target.to_uppercase().replace('-', "_");
        cargo
            .args(["--target", &self.target])
            .env(format!("CARGO_TARGET_{upper}_LINKER"), self.tool("gcc"))
            .env("TARGET_CC", self.tool("gcc"))
            .env("TARGET_CXX", self.tool("g++"))
            .env("TARGET_AR", self.tool("ar"));
    }

    /// A command that runs a program of the platform.
    pub(super) fn emulate(&self, program: &Path) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg("-L").arg(Path::new("/usr").join(&self.gnu));
        command.arg(program);
        command
    }
}
