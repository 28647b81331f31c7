//! `cargo xtask test`: builds the product and runs all tests against it.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::build::{Build, TARGET};
use crate::process;
use crate::steps;
use crate::steps::build_python::BuildPython;
use crate::steps::guest::{self, Guest};
use crate::steps::host;
use crate::steps::libraries::Libraries;
use crate::steps::nginx::Nginx;
use crate::steps::sdk::Sdk;
use crate::steps::site_packages::SitePackages;
use crate::steps::wasm::Wasm;
use crate::tasks::dist::PYTHON_PACKAGE;
use crate::tasks::native_packages::native_packages;

/// Builds what is missing and runs `cargo test` with `args` for all packages but those that are compiled
/// only for the guest.
pub(crate) fn test(build: &Build, args: &[OsString]) -> Result<()> {
    let mut cargo = with_product(build, "test")?;
    let site = build.ensure::<SitePackages>()?;
    cargo
        .env("WASISOCKET_SITE", &site.folder)
        .env("WASISOCKET_SITE_PYTHON", &site.python)
        .env("WASISOCKET_NGINX", &build.ensure::<Nginx>()?.command)
        .env("WASISOCKET_NATIVE_MODULE", python_package(build)?)
        .env(
            "WASISOCKET_ADAPTERS",
            native_packages(build, "adapters", "tests/programs/package/requirements.txt")?,
        );
    let (_, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    // A separate run: with this package's features enabled too, wasmtime would be compiled a second time.
    if args.is_empty() {
        let mut own = build.cargo("test");
        own.args(["--release", "--locked", "--package", "xtask"]);
        process::visible(&mut own)?;
    }
    cargo.args(["--release", "--locked", "--workspace", "--exclude", "xtask"]);
    // Linked into CPython only: guest programs test it.
    for package in guest::PACKAGES {
        cargo.args(["--exclude", package]);
    }
    process::visible(cargo.args(args))
}

/// Builds what is missing. The result is a subcommand of cargo with the paths in its environment.
pub(crate) fn with_product(build: &Build, subcommand: &str) -> Result<Command> {
    let (python, host) = steps::product(build)?;
    let libraries = &build.ensure::<Libraries>()?.0;
    let libraries = env::join_paths(libraries.iter().map(|library| &library.folder))?;
    let guest = build.ensure::<Guest>()?;
    let mut cargo = build.cargo(subcommand);
    cargo
        .env("WASISOCKET_XTASK", env::current_exe()?)
        .env("WASISOCKET_PYTHON", &python.folder)
        .env("WASISOCKET_BIN", host.command())
        .env("WASISOCKET_SDK", &build.ensure::<Sdk>()?.folder)
        .env("WASISOCKET_WASM_BUILD", &build.ensure::<Wasm>()?.folder)
        .env(
            "WASISOCKET_NATIVE_PYTHON",
            &build.ensure::<BuildPython>()?.python,
        )
        .env("WASISOCKET_LIBRARIES", libraries)
        .env("WASISOCKET_GUEST_LIB", &guest.default)
        // Not rustup's proxy, which may install or update toolchains.
        .env(
            "WASISOCKET_GUEST_RUSTC",
            guest.rust.sysroot()?.join("bin/rustc"),
        )
        .env(
            "WASISOCKET_GUEST_CARGO_FLAGS",
            guest.rust.build_std_flag().unwrap_or_default(),
        );
    Ok(cargo)
}

/// Builds the native module of the Python package, and returns its path.
pub(crate) fn python_package(build: &Build) -> Result<PathBuf> {
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    let mut cargo = build.cargo("build");
    cargo.args(["--release", "--locked", "--package", PYTHON_PACKAGE]);
    // For the features of the tests, as the command is built: wasmtime is compiled once.
    cargo.args(["--package", host::TESTS, "--lib"]);
    process::visible(&mut cargo)?;
    Ok(target.join("release/lib_native.so"))
}
