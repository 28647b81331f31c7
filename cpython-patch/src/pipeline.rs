//! The order of the steps.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::build::Build;
use crate::cpython::{self, BuildPython, Toolchain, WasmBuild};
use crate::distribution::{self, Inputs};
use crate::guest::{self, Guest};
use crate::host;
use crate::libraries;
use crate::openssl;
use crate::progress::Stage;
use crate::sdk::{self, Sdk};
use crate::source;

/// The steps of [`python`].
pub(crate) const PYTHON: &[Stage] = &[
    Stage::Sdk,
    Stage::Source,
    Stage::BuildPython,
    Stage::Guest,
    Stage::OpenSsl,
    Stage::Libraries,
    Stage::Wasm,
    Stage::Distribution,
];

/// What the steps up to the distribution made.
pub(crate) struct Python {
    pub(crate) sdk: Sdk,
    pub(crate) native: BuildPython,
    pub(crate) guest: Guest,
    /// OpenSSL's folder, and that of the other C libraries.
    pub(crate) openssl: PathBuf,
    pub(crate) libraries: PathBuf,
    pub(crate) wasm: WasmBuild,
    /// The distribution's folder.
    pub(crate) folder: PathBuf,
}

/// Everything that a guest needs inside.
pub(crate) fn python(build: &Build) -> Result<Python> {
    let sdk = sdk::ensure(build).context("the WASI SDK")?;
    let source = source::ensure(build).context("CPython's source")?;
    let native = cpython::build_python(build, &source).context("the build-python")?;
    let guest = guest::ensure(build).context("libwasisocket.a")?;
    let openssl = openssl::ensure(build, &sdk).context("OpenSSL")?;
    let libraries = libraries::ensure(build, &sdk).context("the C libraries")?;
    let toolchain = Toolchain {
        native: &native,
        sdk: &sdk,
        openssl: &openssl,
        libraries: &libraries,
    };
    let wasm = cpython::wasm(build, &source, &toolchain, &guest.default)
        .context("CPython for wasm32-wasip1")?;
    let folder = distribution::ensure(
        build,
        &Inputs {
            source: &source,
            toolchain: &toolchain,
            wasm: &wasm,
            guest: &guest,
        },
    )
    .context("python.wasm")?;
    Ok(Python {
        sdk,
        native,
        guest,
        openssl: openssl.folder,
        libraries: libraries.folder,
        wasm,
        folder,
    })
}

/// Also the command that runs it, at the same time: the two have no step in common.
pub(crate) fn everything(build: &Build) -> Result<(Python, PathBuf)> {
    let python_ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            let host = host::ensure(build).context("the wasisocket command");
            if !python_ended.load(Ordering::Relaxed) {
                build.progress.tell_failure(&host);
            }
            host
        });
        let python = python(build);
        python_ended.store(true, Ordering::Relaxed);
        if !host.is_finished() {
            build.progress.tell_failure(&python);
        }
        let host = match host.join() {
            Ok(host) => host,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((python?, host?))
    })
}
