//! libwasisocket.a, the Rust that is linked into python.wasm, once per host profile.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::build::Build;
use crate::cache::Key;
use crate::process;
use crate::progress::Running;
use crate::steps::rust_target::{self, RustTarget};
use crate::steps::{Entry, Job, Step};
use crate::tree;

/// The package that makes the library, and the packages that are compiled for the guest only.
pub(crate) const PACKAGE: &str = "wasisocket-bundle";
pub(crate) const PACKAGES: &[&str] = &["wasisocket-guest", PACKAGE];
pub(crate) const LIBRARY: &str = "libwasisocket.a";

/// The profiles: which host's imports the library uses. The core profile is for hosts that have only the
/// core six imports.
const PROFILES: [(&str, &[&str]); 2] = [
    ("default", &[]),
    (
        "core",
        &["--no-default-features", "--features", "host-core"],
    ),
];

/// The library of each profile.
pub(crate) struct Guest {
    pub(crate) default: PathBuf,
    pub(crate) core: PathBuf,
    /// The key of both: they have the same inputs.
    pub(crate) key: Key,
    pub(crate) rust: RustTarget,
}

/// The compiler that is used without installing anything, and the key of both libraries.
fn compiler(build: &Build) -> Result<Option<(RustTarget, Key)>> {
    let Some(rust) = rust_target::existing(build)? else {
        return Ok(None);
    };
    let key = build
        .cargo_inputs("guest 2", &["guest-ext"])?
        .text("rustc", &rust.version)
        .text("build-std", if rust.build_std { "yes" } else { "no" })
        .text("target", &build.pins.rust.target)
        .finish();
    Ok(Some((rust, key)))
}

impl Step for Guest {
    const NAME: &'static str = "guest";
    const TITLE: &'static str = LIBRARY;
    const HELP: Option<&'static str> =
        Some("Build libwasisocket.a for both profiles, and print their paths");
    type Inputs = ();

    fn keys(build: &Build, (): &()) -> Result<Option<Vec<Key>>> {
        let of_profiles = |key: Key| PROFILES.map(|(profile, _)| key.prefixed(profile));
        Ok(compiler(build)?.map(|(_, key)| of_profiles(key).to_vec()))
    }

    fn prepare(build: &Build, running: &Running, (): &()) -> Result<()> {
        let rust = rust_target::ensure(build, running)?;
        running.note(&format!("using {}", rust.origin()));
        Ok(())
    }

    fn make(job: &Job<'_>, (): &()) -> Result<()> {
        let Job { build, running, .. } = *job;
        let (rust, _) = compiler(build)?.context("the Rust compiler vanished")?;
        // A separate folder: cargo locks it, and the host is built at the same time.
        let (target, _lock) = build.claim("target/guest", |waiting| running.note(waiting))?;
        let mut cargo = rust.cargo(build, "build");
        cargo
            .args(["--release", "--locked", "--package", PACKAGE])
            .args(PROFILES[job.index].1)
            .env("CARGO_TARGET_DIR", &target);
        process::run(running, &mut cargo)?;
        let built = target.join(&build.pins.rust.target).join("release");
        tree::copy_file(&built.join(LIBRARY), &job.folder.join(LIBRARY))
    }

    fn open(build: &Build, (): &(), entries: Vec<Entry>) -> Result<Self> {
        let (rust, key) = compiler(build)?.context("the Rust compiler vanished")?;
        let [default, core] = entries.as_slice() else {
            anyhow::bail!("one library per profile");
        };
        Ok(Self {
            default: default.folder.join(LIBRARY),
            core: core.folder.join(LIBRARY),
            key,
            rust,
        })
    }

    fn describe(&self) -> String {
        self.rust.origin()
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.default.clone(), self.core.clone()]
    }
}
