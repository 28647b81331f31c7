//! `cargo xtask test`: what runs against the finished product.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::build::{Build, TARGET};
use crate::guest;
use crate::nginx;
use crate::pipeline::{self, Python};
use crate::process;
use crate::site_packages;

/// Builds what is missing and runs `cargo test` with `args` for all packages but the guest's, which PyO3
/// builds for the guest only.
pub(crate) fn test(build: &Build, args: &[OsString]) -> Result<()> {
    let (mut cargo, python, host) = product(build, "test")?;
    let site = site_packages::ensure(build, &python, &host)?;
    cargo
        .env("WASISOCKET_SITE", &site.folder)
        .env("WASISOCKET_SITE_PYTHON", &site.python)
        .env("WASISOCKET_NGINX", nginx::ensure(build)?);
    let (_, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    // A run of its own: with this package's features chosen beside it, wasmtime would be compiled
    // a second time.
    if args.is_empty() {
        let mut own = build.cargo("test");
        own.args(["--release", "--locked", "--package", "xtask"]);
        process::visible(&mut own)?;
    }
    cargo
        .args(["--release", "--locked", "--workspace", "--exclude", "xtask"])
        // Linked into CPython only: what it does is tested by guest programs.
        .args(["--exclude", guest::PACKAGE])
        .args(args);
    process::visible(&mut cargo)
}

/// Everything is built; the command is told where it is.
pub(crate) fn with_product(build: &Build, subcommand: &str) -> Result<Command> {
    let (cargo, ..) = product(build, subcommand)?;
    Ok(cargo)
}

fn product(build: &Build, subcommand: &str) -> Result<(Command, Python, PathBuf)> {
    let (python, host) = pipeline::everything(build)?;
    let mut cargo = build.cargo(subcommand);
    cargo
        .env("WASISOCKET_PYTHON", &python.folder)
        .env("WASISOCKET_BIN", &host)
        .env("WASISOCKET_SDK", &python.sdk.folder)
        .env("WASISOCKET_WASM_BUILD", &python.wasm.folder)
        .env("WASISOCKET_NATIVE_PYTHON", &python.native.python)
        .env("WASISOCKET_OPENSSL_BUILD", &python.openssl)
        .env("WASISOCKET_LIBRARIES", &python.libraries)
        .env("WASISOCKET_GUEST_LIB", &python.guest.default);
    Ok((cargo, python, host))
}
