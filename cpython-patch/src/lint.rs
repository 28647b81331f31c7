//! `cargo xtask lint`: formatting, clippy for both targets, the interface since the last release, licences and
//! advisories.

use std::time::Duration;

use anyhow::Result;

use crate::bench;
use crate::build::{Build, TARGET};
use crate::guest;
use crate::process;
use crate::rust_target;

/// The packages that are compiled for the guest.
const GUEST: &[&str] = &[guest::PACKAGE, "wasisocket-posix", "wasisocket-abi"];

/// The packages that others embed.
const PUBLISHED: [&str; 2] = ["wasisocket-abi", "wasisocket-host"];

/// The database of advisories is a git repository, which may be out of reach.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn lint(build: &Build) -> Result<()> {
    process::visible(build.cargo("fmt").args(["--all", "--check"]))?;
    // Clippy would have to compile a second wasmtime for it, as only the benchmark does.
    let mut other = build.cargo("fmt");
    other.args(["--check", "--manifest-path"]);
    process::visible(other.arg(bench::https_host_manifest(build)))?;

    let (_, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    let mut native = build.cargo("clippy");
    native
        .args(["--release", "--locked", "--workspace", "--all-targets"])
        // PyO3 builds for this machine only beside a Python that it can link.
        .args(["--exclude", guest::PACKAGE])
        .args(["--", "-D", "warnings"]);
    process::visible(&mut native)?;

    let target = &build.pins.rust.target;
    match rust_target::existing(build)?.filter(|rust| !rust.build_std) {
        Some(rust) => {
            let mut guest = rust.cargo(build, "clippy");
            guest.args(["--release", "--locked"]);
            for package in GUEST {
                guest.args(["--package", package]);
            }
            process::visible(guest.args(["--", "-D", "warnings"]))?;
        }
        None => eprintln!("skipped: clippy for {target}, whose standard library is not installed"),
    }

    semver(build)?;
    deny(build)
}

/// Whether what embedders use is still what the last release had, or its version says that it is not.
fn semver(build: &Build) -> Result<()> {
    if !installed(
        "cargo-semver-checks",
        "the interface since the last release",
    ) {
        return Ok(());
    }
    let mut releases = build.tool("git");
    releases.arg("-C").arg(build.checkout("."));
    releases.args(["describe", "--tags", "--abbrev=0", "--match=v*"]);
    let Ok(release) = process::output(&mut releases) else {
        eprintln!("skipped: the interface since the last release: no tag here is one");
        return Ok(());
    };
    let mut checks = build.cargo("semver-checks");
    for package in PUBLISHED {
        checks.args(["--package", package]);
    }
    process::visible(checks.args(["--baseline-rev", release.trim()]))
}

fn deny(build: &Build) -> Result<()> {
    if !installed("cargo-deny", "licences and advisories") {
        return Ok(());
    }
    let mut deny = build.cargo("deny");
    process::visible(deny.args(["check", "licenses", "bans", "sources"]))?;
    let mut fetch = build.cargo("deny");
    match process::quiet_within(fetch.args(["fetch", "db"]), ADVISORIES_LIMIT) {
        Ok(()) => process::visible(build.cargo("deny").args(["check", "advisories"])),
        Err(error) => {
            eprintln!("skipped: advisories, whose database cannot be fetched: {error:#}");
            Ok(())
        }
    }
}

/// Whether there is the tool that looks after this; says so if not.
fn installed(tool: &str, looks_after: &str) -> bool {
    let found = process::find(tool).is_some();
    if !found {
        eprintln!("skipped: {looks_after}, for which `cargo install {tool}` is needed");
    }
    found
}
