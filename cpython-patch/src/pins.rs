//! The versions, checksums and package names of `pins.toml`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pins {
    pub(crate) cpython: Cpython,
    pub(crate) wasi_libc: WasiLibc,
    pub(crate) llvm: Llvm,
    pub(crate) wasi_sdk: WasiSdk,
    pub(crate) rust: Rust,
    pub(crate) tools: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cpython {
    pub(crate) minimum: String,
    /// Seconds since 1970, for `SOURCE_DATE_EPOCH`.
    pub(crate) source_date_epoch: u64,
    pub(crate) release: Release,
}

/// A release archive, which Debian distributes unchanged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) sha256: String,
    /// Bytes.
    pub(crate) size: u64,
    /// With `=` and a version if the suite has several.
    pub(crate) debian_source: String,
    pub(crate) debian_file: String,
    pub(crate) url: String,
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WasiLibc {
    pub(crate) suite: String,
    pub(crate) keyring: String,
    pub(crate) package: String,
    pub(crate) version: String,
    pub(crate) file: String,
    pub(crate) sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Llvm {
    pub(crate) prefix: String,
    /// Relative to `prefix`.
    pub(crate) builtins: String,
    pub(crate) packages: Vec<String>,
    pub(crate) copyright: String,
    pub(crate) target: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WasiSdk {
    pub(crate) minimum: u32,
    pub(crate) refused: Vec<u32>,
    pub(crate) refused_reason: String,
    pub(crate) version: String,
    pub(crate) url: String,
    /// By `std::env::consts::OS` and `ARCH`, joined by a hyphen.
    pub(crate) archives: BTreeMap<String, Archive>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    pub(crate) file: String,
    pub(crate) sha256: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rust {
    pub(crate) target: String,
    pub(crate) debian_rustc: String,
    pub(crate) debian_packages: Vec<String>,
}

impl Pins {
    pub(crate) fn load() -> Result<Self> {
        toml::from_str(include_str!("../pins.toml")).context("cpython-patch/pins.toml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pins_parse() {
        let pins = Pins::load().unwrap();
        assert_eq!(pins.cpython.release.sha256.len(), 64);
        assert!(
            pins.wasi_sdk
                .archives
                .values()
                .all(|a| a.sha256.len() == 64)
        );
    }
}
