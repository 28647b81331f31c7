//! A Rust compiler for the guest, with the standard library of wasm32-wasip1 or its source.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::{Build, path_of};
use crate::process;
use crate::progress::Running;

/// rustup can wait for minutes if its server is unreachable.
const RUSTUP_LIMIT: Duration = Duration::from_secs(60);

/// A compiler that can build for the target.
pub(crate) struct RustTarget {
    pub(crate) rustc: PathBuf,
    /// The output of `rustc -vV`.
    pub(crate) version: String,
    /// Whether the standard library must be compiled too.
    pub(crate) build_std: bool,
}

impl RustTarget {
    /// A subcommand of cargo with this compiler and the flags that it needs.
    pub(crate) fn cargo(&self, build: &Build, subcommand: &str) -> Command {
        let mut cargo = build.cargo(subcommand);
        cargo
            .arg("--target")
            .arg(&build.pins.rust.target)
            .env("RUSTC", &self.rustc);
        if let Some(flag) = self.build_std_flag() {
            // Stable compilers refuse -Z without this; the source matches the compiler.
            cargo.env("RUSTC_BOOTSTRAP", "1").arg(flag);
        }
        cargo
    }

    /// Cargo's flag to compile the standard library.
    pub(crate) fn build_std_flag(&self) -> Option<&'static str> {
        self.build_std.then_some("-Zbuild-std=std,panic_abort")
    }

    /// The version, for users.
    pub(crate) fn origin(&self) -> String {
        let name = self.version.lines().next().unwrap_or("rustc");
        if self.build_std {
            format!("{name}, its standard library from source")
        } else {
            name.to_owned()
        }
    }

    /// Where the compiler is installed.
    pub(crate) fn sysroot(&self) -> Result<PathBuf> {
        sysroot(&self.rustc)
    }

    /// `rustc`, if it can build for the target.
    fn of(build: &Build, rustc: &Path) -> Result<Option<Self>> {
        let version = process::output(Command::new(rustc).arg("-vV"))?;
        let build_std = !has_std(build, rustc);
        let source = sysroot(rustc)?.join("lib/rustlib/src/rust/library/Cargo.lock");
        if build_std && !source.is_file() {
            return Ok(None);
        }
        Ok(Some(Self {
            rustc: rustc.to_owned(),
            version,
            build_std,
        }))
    }
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    process::output(Command::new(rustc).args(["--print", "sysroot"])).map(PathBuf::from)
}

fn has_std(build: &Build, rustc: &Path) -> bool {
    let mut command = Command::new(rustc);
    command
        .args(["--print", "target-libdir", "--target"])
        .arg(&build.pins.rust.target);
    let Ok(folder) = process::output(&mut command) else {
        return false;
    };
    let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// The compiler that is used if nothing is installed.
pub(crate) fn existing(build: &Build) -> Result<Option<RustTarget>> {
    let target = &build.pins.rust.target;
    if let Some(rustc) = path_of(&build.options.rustc) {
        let found = RustTarget::of(build, rustc)?;
        if found.is_none() {
            bail!(
                "{} has neither the standard library of {target} nor its source: run \
                 `rustup target add {target}`, or name another compiler with --rustc PATH",
                rustc.display()
            );
        }
        return Ok(found);
    }
    // An installed standard library is preferred to one that must be compiled.
    let found = RustTarget::of(build, Path::new("rustc"))?;
    if found.as_ref().is_some_and(|found| !found.build_std) {
        return Ok(found);
    }
    let debian = Path::new(&build.pins.rust.debian_rustc);
    if !debian.is_file() {
        return Ok(found);
    }
    Ok(RustTarget::of(build, debian)?.or(found))
}

/// The compiler to use. Installs the standard library if it is missing.
pub(crate) fn ensure(build: &Build, running: &Running) -> Result<RustTarget> {
    let found = existing(build)?;
    let usable = found.as_ref().is_some_and(|found| {
        // A library that rustup can download is preferred to compiling one with the user's compiler.
        !found.build_std || found.rustc != Path::new("rustc")
    });
    if let Some(found) = found.filter(|_| usable || build.options.no_install) {
        return Ok(found);
    }
    let pins = &build.pins.rust;
    let mut tried = Vec::new();
    if build.options.no_install {
        tried.push("--no-install was given".to_owned());
    } else {
        let why = format!("no Rust standard library for {}", pins.target);
        let rustup = || add_with_rustup(&pins.target, running);
        let debian = || apt::install(build, running, &pins.debian_packages, &why);
        let sources: [(&str, &dyn Fn() -> Result<()>); 2] =
            [("rustup", &rustup), ("Debian packages", &debian)];
        for (name, install) in sources {
            if let Err(error) = install() {
                tried.push(format!("{name}: {error:#}"));
            }
            if let Some(found) = existing(build)? {
                return Ok(found);
            }
        }
    }
    bail!(
        "no Rust compiler for {}: run `rustup target add {0}`, or name one with --rustc PATH.\n{}",
        pins.target,
        tried.join("\n")
    )
}

/// Adds the standard library of a target to the user's compiler.
pub(crate) fn add_with_rustup(target: &str, running: &Running) -> Result<()> {
    let rustup = process::find("rustup").context("not found in PATH")?;
    running.note(&format!("adding {target} with rustup"));
    let mut command = Command::new(rustup);
    command.args(["target", "add", target]);
    process::run_within(running, &mut command, Some(RUSTUP_LIMIT))
}
