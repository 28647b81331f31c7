//! `cargo xtask bench`: sockets in the guest beside native CPython, and beside a component.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::build::{Build, TARGET};
use crate::host;
use crate::process;
use crate::test;

/// The program of `componentize-py`, its WIT, and the version that pip is to install.
const PROGRAM: &str = "tests/programs/bench/componentize";
/// What the program imports.
const IMPORTED: &str = "tests/programs/bench";
/// What of wasmtime's own command it takes to compile and run a component.
const WASMTIME_FEATURES: &str = "compile,component-model,parallel-compilation,run";

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Also measure a component made by componentize-py, which pip installs; wasmtime's own command is
    /// compiled for it
    #[arg(long)]
    componentize_py: bool,
    /// Arguments of `cargo bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds what is missing and runs the benchmarks, beside native CPython.
pub(crate) fn bench(build: &Build, args: &BenchArgs) -> Result<()> {
    let mut cargo = test::with_product(build, "bench")?;
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    if args.componentize_py {
        // Below cargo's folder: `cargo xtask clean` removes it, too.
        let folder = target.join("componentize-py");
        let wasmtime = wasmtime(build, &folder)?;
        let component = component(build, &folder, &wasmtime)?;
        cargo
            .env("WASISOCKET_COMPONENT", component)
            .env("WASISOCKET_WASMTIME", wasmtime);
    }
    cargo
        // Both, as in the command's own build: see there.
        .args([
            "--locked",
            "--package",
            host::PACKAGE,
            "--package",
            host::TESTS,
        ])
        .args(&args.args);
    process::visible(&mut cargo)
}

/// Installs wasmtime's own command, in the version that this project's host is made of. The Python package
/// of that version cannot let a component use TCP.
fn wasmtime(build: &Build, folder: &Path) -> Result<PathBuf> {
    let package = process::output(build.cargo("pkgid").args(["--locked", "wasmtime"]))?;
    let (_, version) = package
        .rsplit_once('@')
        .with_context(|| format!("{package} has no version"))?;
    // Does nothing if it is there in that version.
    process::visible(
        build
            .cargo("install")
            // Has hardly a crate in common with what is there: a folder that cargo removes.
            .env_remove("CARGO_TARGET_DIR")
            .args(["--locked", "--no-default-features"])
            .args(["--features", WASMTIME_FEATURES])
            .args(["--version", version, "--root"])
            .arg(folder)
            .arg("wasmtime-cli"),
    )?;
    Ok(folder.join("bin/wasmtime"))
}

/// Makes the component, compiled for this machine.
fn component(build: &Build, folder: &Path, wasmtime: &Path) -> Result<PathBuf> {
    let venv = folder.join("venv");
    let program = build.checkout(PROGRAM);
    if !venv.join("bin/pip").is_file() {
        process::visible(Command::new("python3").args(["-m", "venv"]).arg(&venv))
            .context("install Python 3.10 or later with venv (Debian: python3-venv)")?;
    }
    process::visible(
        Command::new(venv.join("bin/pip"))
            .args(["install", "--quiet", "--requirement"])
            .arg(program.join("requirements.txt")),
    )?;
    let component = folder.join("sockets.wasm");
    process::visible(
        Command::new(venv.join("bin/componentize-py"))
            .arg("--wit-path")
            .arg(program.join("bench.wit"))
            .args(["--world", "bench", "componentize"])
            .arg("--python-path")
            .arg(&program)
            .arg("--python-path")
            .arg(build.checkout(IMPORTED))
            .arg("--output")
            .arg(&component)
            .arg("app")
            // Else it looks for the packages of whatever Python is around.
            .env("VIRTUAL_ENV", &venv),
    )?;
    let compiled = component.with_extension("cwasm");
    process::visible(
        Command::new(wasmtime)
            .arg("compile")
            .arg("--output")
            .args([&compiled, &component]),
    )?;
    Ok(compiled)
}
