//! `cargo xtask bench`: measures the guest, native CPython, and other sandboxes. What is measured is in
//! tests/benches.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::apt;
use crate::build::{Build, TARGET};
use crate::cache::KeyBuilder;
use crate::metadata::Metadata;
use crate::process;
use crate::steps::host;
use crate::steps::recipe::Recipe;
use crate::steps::site_packages::SitePackages;
use crate::tasks::native_packages::{made, native_packages};
use crate::tasks::test;
use crate::tree;
use crate::venv::venv;

/// The programs of `componentize-py`, and their WIT.
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

/// The groups of benchmarks, each a module of tests/benches/bench.
const GROUPS: [&str; 7] = [
    "sockets", "tls", "start", "boxes", "threads", "guests", "python",
];
/// Files with pinned packages, for pip.
const REQUIREMENTS: &str = "tests/programs/bench/requirements";
/// The folder in cargo's target folder for plots, and what only the benchmarks need.
const FOLDER: &str = "bench";

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// What to measure [default: all]
    #[arg(value_name = "GROUP", value_parser = GROUPS)]
    groups: Vec<String>,
    /// Write the results to a file, as a JSON list of rows
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure fewer rounds and only the shorter programs, and do not compile native OpenSSL for `tls`
    #[arg(long)]
    quick: bool,
    /// Put the tables and plots into tests/benches
    #[arg(long)]
    readme: bool,
    /// How many guests the group `guests` runs
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    guests: u32,
    /// Also measure components made by componentize-py, which pip installs; wasmtime's own command is
    /// compiled for them, and a host for HTTPS
    #[arg(long)]
    componentize_py: bool,
    /// Also measure the start and the sandboxes of pyeryx, which pip installs
    #[arg(long)]
    pyeryx: bool,
}

/// Builds what is missing and runs the benchmarks.
pub(crate) fn bench(build: &Build, args: &BenchArgs) -> Result<()> {
    let runs = |group: &str| args.groups.is_empty() || args.groups.iter().any(|one| one == group);
    let mut cargo = test::with_product(build, "bench")?;
    let site = build.ensure::<SitePackages>()?;
    cargo
        .env("WASISOCKET_SITE", &site.folder)
        .env("WASISOCKET_SITE_PYTHON", &site.python);
    if runs("python") {
        let folder = packages(build, "pyperformance")?;
        cargo.env(
            "WASISOCKET_PYPERFORMANCE",
            folder.join("pyperformance/data-files/benchmarks"),
        );
    }
    if (runs("start") || runs("boxes")) && args.pyeryx {
        cargo.env("WASISOCKET_PYERYX", packages(build, "pyeryx")?);
    }
    if runs("boxes") {
        cargo.env("WASISOCKET_NATIVE_MODULE", test::python_package(build)?);
    }
    if runs("tls") && !args.quick {
        cargo.env("WASISOCKET_NATIVE_OPENSSL", native_openssl(build)?);
    }
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    // Below cargo's folder, so that `cargo xtask clean` removes them too.
    let plots = target.join(FOLDER);
    std::fs::create_dir_all(&plots)?;
    if args.componentize_py {
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
        .env("WASISOCKET_BENCH_FOLDER", &plots)
        // Both, for the reason given in the host step.
        .args(["--locked", "--package", host::PACKAGE])
        .args(["--package", host::TESTS, "--bench", "bench", "--"])
        .args(&args.groups)
        .arg(format!("--guests={}", args.guests));
    if args.quick {
        cargo.arg("--quick");
    }
    if args.readme {
        cargo.arg("--readme");
    }
    if let Some(path) = &args.json {
        // cargo runs it in another folder.
        let mut option = OsString::from("--json=");
        option.push(std::path::absolute(path)?);
        cargo.arg(option);
    }
    process::visible(&mut cargo)
}

/// The packages of a file of [`REQUIREMENTS`].
fn packages(build: &Build, name: &'static str) -> Result<PathBuf> {
    native_packages(build, name, &format!("{REQUIREMENTS}/{name}.txt"))
}

/// The shared libraries of OpenSSL for this machine, of the guest's version.
fn native_openssl(build: &Build) -> Result<PathBuf> {
    let recipes = Recipe::all(build)?;
    let openssl = recipes.iter().find(|recipe| recipe.name == "openssl");
    let openssl = openssl.context("no recipe of OpenSSL")?;
    let compiler = process::output(Command::new("cc").arg("--version")).unwrap_or_default();
    let key = KeyBuilder::new("native OpenSSL 1")
        .key("source", &openssl.source_key(build)?)
        .text("compiler", compiler.lines().next().unwrap_or_default())
        .finish()
        .prefixed("openssl");
    made(build, "native OpenSSL", &key, |running, folder| {
        apt::require(build, running, &["cc", "make", "perl"])?;
        let source = folder.join("source");
        openssl.unpack(build, running, &source)?;
        let mut configure = build.tool("perl");
        configure
            .args(["Configure", "shared", "no-apps", "no-docs", "no-tests"])
            .args(["--libdir=lib", "--openssldir=/etc/ssl"]);
        process::run(running, configure.current_dir(&source))?;
        let mut make = build.tool("make");
        make.arg(format!("-j{}", Build::jobs())).arg("build_libs");
        process::run(running, make.current_dir(&source))?;
        for library in ["libcrypto.so.3", "libssl.so.3"] {
            tree::copy_file(&source.join(library), &folder.join(library))?;
        }
        tree::remove(&source)
    })
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
        let venv = venv(
            folder,
            &build.checkout(REQUIREMENTS).join("componentize-py.txt"),
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
