//! `cargo xtask test`.

use std::ffi::OsString;

use anyhow::Result;

use crate::build::Build;
use crate::guest;
use crate::pipeline;
use crate::process;

/// Builds what is missing and runs all tests, or those that `args` choose.
pub(crate) fn test(build: &Build, args: &[OsString]) -> Result<()> {
    let (python, host) = pipeline::everything(build)?;
    // A run of its own: with this package's features chosen beside it, wasmtime would be compiled
    // a second time.
    if args.is_empty() {
        let mut own = build.cargo("test");
        own.args(["--release", "--locked", "--package", "xtask"]);
        process::visible(&mut own)?;
    }
    let mut cargo = build.cargo("test");
    cargo
        .args(["--release", "--locked", "--workspace", "--exclude", "xtask"])
        // Linked into CPython only: what it does is tested by guest programs.
        .args(["--exclude", guest::PACKAGE])
        .args(args)
        .env("WASISOCKET_PYTHON", &python.folder)
        .env("WASISOCKET_BIN", &host)
        .env("WASISOCKET_SDK", &python.sdk.folder)
        .env("WASISOCKET_WASM_BUILD", &python.wasm.folder)
        .env("WASISOCKET_NATIVE_PYTHON", &python.native.python)
        .env("WASISOCKET_GUEST_LIB", &python.guest.default);
    process::visible(&mut cargo)
}
