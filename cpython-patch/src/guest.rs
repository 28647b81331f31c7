//! libwasisocket.a, the Rust that is linked into python.wasm, once per host profile.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::Stage;
use crate::rust_target::{self, RustTarget};
use crate::tree;

const NAME: &str = "guest";
pub(crate) const PACKAGE: &str = "wasisocket";
pub(crate) const LIBRARY: &str = "libwasisocket.a";

/// Which host's imports the library uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// The core six and `wasisocket_v1`.
    Default,
    /// The core six alone, for hosts that have nothing else.
    Core,
}

impl Profile {
    pub(crate) const ALL: [Self; 2] = [Self::Default, Self::Core];

    fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Core => "core",
        }
    }

    fn cargo_flags(self) -> &'static [&'static str] {
        match self {
            Self::Default => &[],
            Self::Core => &["--no-default-features", "--features", "host-core"],
        }
    }
}

/// Both libraries.
pub(crate) struct Guest {
    pub(crate) default: PathBuf,
    pub(crate) core: PathBuf,
    pub(crate) key: Key,
    pub(crate) rust: RustTarget,
}

/// The key of both libraries: they have the same inputs.
fn key(build: &Build, rust: &RustTarget) -> Result<Key> {
    Ok(build
        .cargo_inputs("guest 1", &["guest-ext"])?
        .text("rustc", &rust.version)
        .text("build-std", if rust.build_std { "yes" } else { "no" })
        .text("target", &build.pins.rust.target)
        .finish())
}

/// The libraries, if this checkout's were built.
pub(crate) fn existing(build: &Build) -> Result<Option<Guest>> {
    let Some(rust) = rust_target::existing(build)? else {
        return Ok(None);
    };
    let key = key(build, &rust)?;
    let library = |profile| {
        let folder = build.cache.published(NAME, &entry_key(profile, &key))?;
        Some(folder.join(LIBRARY))
    };
    Ok(match (library(Profile::Default), library(Profile::Core)) {
        (Some(default), Some(core)) => Some(Guest {
            default,
            core,
            key,
            rust,
        }),
        _ => None,
    })
}

fn entry_key(profile: Profile, key: &Key) -> Key {
    key.prefixed(profile.name())
}

/// Builds both libraries.
pub(crate) fn ensure(build: &Build) -> Result<Guest> {
    if let Some(guest) = existing(build)? {
        build
            .progress
            .up_to_date(Stage::Guest, &guest.rust.origin());
        return Ok(guest);
    }
    let log = KeyBuilder::new("guest log").path("checkout", &build.workspace);
    let step = build
        .progress
        .begin(Stage::Guest, NAME, &log.finish(), &build.cache)?;
    let rust = rust_target::ensure(build, &step)?;
    step.note(&format!("using {}", rust.origin()));
    let key = key(build, &rust)?;
    let mut libraries = Vec::new();
    for profile in Profile::ALL {
        let entry = build
            .cache
            .publish(NAME, &entry_key(profile, &key), &step, |folder| {
                // A folder of its own: cargo locks it, and the host is built at the same time.
                let (target, _lock) = build.claim("target/guest", |waiting| step.note(waiting))?;
                let mut cargo = rust.cargo(build, "build");
                cargo
                    .args(["--release", "--locked", "--package", PACKAGE])
                    .args(profile.cargo_flags())
                    .env("CARGO_TARGET_DIR", &target);
                process::run(&step, &mut cargo)?;
                let built = target.join(&build.pins.rust.target).join("release");
                tree::copy_file(&built.join(LIBRARY), &folder.join(LIBRARY))?;
                if self::key(build, &rust)? != key {
                    bail!(
                        "the sources below guest-ext/ changed while they were compiled: run again"
                    );
                }
                Ok(())
            })?;
        libraries.push(entry.join(LIBRARY));
    }
    step.done();
    let [default, core] = <[PathBuf; 2]>::try_from(libraries)
        .map_err(|_| anyhow::anyhow!("one library per profile"))?;
    Ok(Guest {
        default,
        core,
        key,
        rust,
    })
}
