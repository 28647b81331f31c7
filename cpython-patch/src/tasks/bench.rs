//! `cargo xtask bench`: measures sockets and TLS in the guest, in native CPython, and in components.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::build::{Build, TARGET};
use crate::metadata::Metadata;
use crate::process;
use crate::steps::host;
use crate::tasks::test;

/// The programs of `componentize-py`, their WIT, and the version that pip is to install.
const PROGRAMS: &str = "tests/programs/bench/componentize";
/// Modules that the programs import.
const IMPORTED: &str = "tests/programs/bench";
/// Features of wasmtime's own command that are needed to compile and run a component.
const WASMTIME_FEATURES: &str = "compile,component-model,parallel-compilation,run";
/// The host of the component that uses HTTPS: a separate workspace, with its own Cargo.lock.
const HTTPS_HOST: &str = "tests/componentize-host";
const HTTPS_HOST_PACKAGE: &str = "wasisocket-componentize-host";
/// wasmtime's HTTP package, which contains the WIT of wasi:http.
const HTTP: &str = "wasmtime-wasi-http";

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// Also measure components made by componentize-py, which pip installs; wasmtime's own command is
    /// compiled for them, and a host for HTTPS
    #[arg(long)]
    componentize_py: bool,
    /// Arguments of `cargo bench`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Builds what is missing and runs the benchmarks.
pub(crate) fn bench(build: &Build, args: &BenchArgs) -> Result<()> {
    let mut cargo = test::with_product(build, "bench")?;
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    if args.componentize_py {
        // Below cargo's folder, so that `cargo xtask clean` removes it too.
        let folder = target.join("componentize-py");
        let tools = Tools::install(build, &folder)?;
        let wit = https_wit(build, &tools.version)?;
        cargo
            .env("WASISOCKET_COMPONENT", tools.component("app", &[])?)
            .env("WASISOCKET_WASMTIME", &tools.wasmtime)
            .env(
                "WASISOCKET_HTTPS_COMPONENT",
                tools.component("https", &[wit])?,
            )
            .env("WASISOCKET_COMPONENTIZE_HOST", https_host(build, &folder)?);
    }
    cargo
        // Both, for the reason given in the host step.
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

/// The tools that make components and compile them for this machine.
struct Tools<'a> {
    build: &'a Build,
    /// The folder of the tools and their products.
    folder: &'a Path,
    venv: PathBuf,
    wasmtime: PathBuf,
    /// The version of wasmtime.
    version: String,
}

impl<'a> Tools<'a> {
    /// Installs wasmtime's own command, in the version that this project's host uses, and
    /// componentize-py. The Python package of that version cannot let a component use TCP.
    fn install(build: &'a Build, folder: &'a Path) -> Result<Self> {
        let package = process::output(build.cargo("pkgid").args(["--locked", "wasmtime"]))?;
        let (_, version) = package
            .rsplit_once('@')
            .with_context(|| format!("{package} has no version"))?;
        // Does nothing if this version is installed.
        process::visible(
            build
                .cargo("install")
                // It has few crates in common with this workspace: cargo uses a folder that it removes.
                .env_remove("CARGO_TARGET_DIR")
                .args(["--locked", "--no-default-features"])
                .args(["--features", WASMTIME_FEATURES])
                .args(["--version", version, "--root"])
                .arg(folder)
                .arg("wasmtime-cli"),
        )?;
        let venv = folder.join("venv");
        if !venv.join("bin/pip").is_file() {
            process::visible(Command::new("python3").args(["-m", "venv"]).arg(&venv))
                .context("install Python 3.10 or later with venv (Debian: python3-venv)")?;
        }
        process::visible(
            Command::new(venv.join("bin/pip"))
                .args(["install", "--quiet", "--requirement"])
                .arg(build.checkout(PROGRAMS).join("requirements.txt")),
        )?;
        Ok(Self {
            build,
            folder,
            venv,
            wasmtime: folder.join("bin/wasmtime"),
            version: version.to_owned(),
        })
    }

    /// Makes the component of a module and its WIT file of the same name, which may use the files in `wit`.
    fn component(&self, module: &str, wit: &[PathBuf]) -> Result<PathBuf> {
        let programs = self.build.checkout(PROGRAMS);
        let component = self.folder.join(module).with_extension("wasm");
        let mut componentize = Command::new(self.venv.join("bin/componentize-py"));
        for wit in wit {
            componentize.arg("--wit-path").arg(wit);
        }
        process::visible(
            componentize
                .arg("--wit-path")
                .arg(programs.join(module).with_extension("wit"))
                .args([
                    "--world",
                    &format!("wasisocket:{module}/bench"),
                    "componentize",
                ])
                .arg("--python-path")
                .arg(&programs)
                .arg("--python-path")
                .arg(self.build.checkout(IMPORTED))
                .arg("--output")
                .arg(&component)
                .arg(module)
                // Otherwise it looks for the packages of another Python.
                .env("VIRTUAL_ENV", &self.venv),
        )?;
        let compiled = component.with_extension("cwasm");
        process::visible(
            Command::new(&self.wasmtime)
                .arg("compile")
                .arg("--output")
                .args([&compiled, &component]),
        )?;
        Ok(compiled)
    }
}

/// The manifest of that host, which is not part of this workspace.
pub(crate) fn https_host_manifest(build: &Build) -> PathBuf {
    build.checkout(HTTPS_HOST).join("Cargo.toml")
}

/// The WIT of wasi:http, as wasmtime of `version` has it.
fn https_wit(build: &Build, version: &str) -> Result<PathBuf> {
    let metadata = Metadata::of(build, &https_host_manifest(build))?;
    let http = metadata.package(HTTP)?;
    if http.version != version {
        bail!(
            "{HTTPS_HOST}/Cargo.lock has {HTTP} {} and Cargo.lock has wasmtime {version}, but one must run what the \
             other compiles: cargo update --manifest-path {HTTPS_HOST}/Cargo.toml",
            http.version
        );
    }
    Ok(http.folder()?.join("wit"))
}

/// Compiles the host of the component that uses HTTPS.
fn https_host(build: &Build, folder: &Path) -> Result<PathBuf> {
    // A separate folder, since its wasmtime has other features than this workspace's.
    let target = folder.join("host");
    let manifest = https_host_manifest(build);
    let cargo = |subcommand| {
        let mut cargo = build.cargo(subcommand);
        cargo
            .env("CARGO_TARGET_DIR", &target)
            .args(["--release", "--locked", "--manifest-path"])
            .arg(&manifest);
        cargo
    };
    // It may contain another checkout's: see `Build::claim`.
    process::output(cargo("clean").args(["--package", HTTPS_HOST_PACKAGE]))?;
    process::visible(&mut cargo("build"))?;
    Ok(target.join("release").join(HTTPS_HOST_PACKAGE))
}
