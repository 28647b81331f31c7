//! `cargo xtask lint`: formatting, lints and documentation of the Rust and Python code, undefined behaviour,
//! the interface since the last release, licences and advisories.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::build::{Build, TARGET};
use crate::process;
use crate::steps::{guest, rust_target};
use crate::tasks::bench;
use crate::tree;

/// The packages that are compiled for the guest.
const GUEST: &[&str] = &["wasisocket-posix", "wasisocket-abi"];

/// The packages that others embed.
const PUBLISHED: [&str; 3] = ["wasisocket-abi", "wasisocket-host", "wasisocket-python"];

/// The package whose unit tests miri runs: they call an in-memory host and no system call.
const INTERPRETED: &str = "wasisocket-posix";

/// A program that only what is shipped needs.
const PAGES: &str = "wasisocket-cli/pages";

/// The database of advisories is a git repository, which may be unreachable.
const ADVISORIES_LIMIT: Duration = Duration::from_secs(60);

/// Runs all checks. Those whose tool is not installed are skipped with a note.
pub(crate) fn lint(build: &Build) -> Result<()> {
    process::visible(build.cargo("fmt").args(["--all", "--check"]))?;
    // Not clippy, which would compile a second wasmtime: only the benchmark uses this package.
    let mut other = build.cargo("fmt");
    other.args(["--check", "--manifest-path"]);
    process::visible(other.arg(bench::https_host_manifest(build)))?;
    python(build)?;

    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    let workspace = |subcommand| {
        let mut cargo = build.cargo(subcommand);
        cargo.args(["--release", "--locked", "--workspace"]);
        // PyO3 builds for this machine only if it finds a Python that it can link.
        for package in guest::PACKAGES {
            cargo.args(["--exclude", package]);
        }
        cargo
    };
    let mut native = workspace("clippy");
    process::visible(native.args(["--all-targets", "--features", PAGES, "--", "-D", "warnings"]))?;
    let mut doc = workspace("doc");
    process::visible(doc.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
    features(build)?;

    let triple = &build.pins.rust.target;
    match rust_target::existing(build)?.filter(|rust| !rust.build_std) {
        Some(rust) => {
            let guest = |subcommand| {
                let mut guest = rust.cargo(build, subcommand);
                guest.args(["--release", "--locked"]);
                for package in guest::PACKAGES.iter().chain(GUEST) {
                    guest.args(["--package", package]);
                }
                guest
            };
            process::visible(guest("clippy").args(["--", "-D", "warnings"]))?;
            let mut doc = guest("doc");
            process::visible(doc.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))?;
        }
        None => eprintln!("skipped: lints for {triple}, whose standard library is not installed"),
    }

    miri(build, &target)?;
    semver(build)?;
    deny(build)
}

/// Checks combinations of cargo features: each must compile without warnings.
fn features(build: &Build) -> Result<()> {
    /// A package and its features.
    const COMBINATIONS: [(&str, &str); 6] = [
        ("wasisocket-posix", "host-core"),
        ("wasisocket-host", ""),
        ("wasisocket-host", "async"),
        ("wasisocket-host", "crypto"),
        ("wasisocket-host", "dns"),
        ("wasisocket-host", "policy-file"),
    ];
    for (package, features) in COMBINATIONS {
        let mut check = build.cargo("clippy");
        check
            .args(["--release", "--locked", "--package", package])
            .args(["--no-default-features", "--features", features]);
        process::visible(check.args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Compiles every Python file of the checkout, and lints them where ruff is installed.
fn python(build: &Build) -> Result<()> {
    let folders = ["cpython-patch", "guest-ext", "host-runner", "tests"];
    if !installed("python3", "the Python code", "apt-get install python3") {
        return Ok(());
    }
    let bytecode = build.cache.folder("lint")?;
    let mut compile = Command::new("python3");
    compile
        .args(["-m", "compileall", "-q"])
        .args(folders)
        // The checkout stays as it is.
        .env("PYTHONPYCACHEPREFIX", &bytecode)
        .current_dir(&build.workspace);
    let compiled = process::visible(&mut compile);
    tree::remove(&bytecode)?;
    compiled?;
    if !installed("ruff", "names in the Python code", "pip install ruff") {
        return Ok(());
    }
    let mut ruff = Command::new("ruff");
    ruff.args(["check", "--no-cache"]).args(folders);
    process::visible(ruff.current_dir(&build.workspace))
}

/// Runs unit tests in miri, which detects undefined behaviour in `unsafe` code.
fn miri(build: &Build, target: &Path) -> Result<()> {
    // Of rustup's toolchains, only nightly ones have miri.
    let toolchains: [&[&str]; 2] = [&[], &["+nightly"]];
    let cargo = |toolchain: &[&str]| {
        let mut cargo = Command::new("cargo");
        cargo.args(toolchain).arg("miri");
        // rustup would otherwise install a toolchain that is missing.
        cargo.env("RUSTUP_AUTO_INSTALL", "0");
        cargo
    };
    let works = |toolchain: &&&[&str]| process::output(cargo(toolchain).arg("--version")).is_ok();
    let Some(toolchain) = toolchains.iter().find(works) else {
        eprintln!(
            "skipped: undefined behaviour, for which `rustup +nightly component add miri rust-src` is needed"
        );
        return Ok(());
    };
    let folder = target.join("miri");
    // What miri compiled names the checkout that it was compiled in, which need not be there any more.
    let compiled_in = folder.join("checkout");
    let checkout = build.workspace.as_os_str().as_encoded_bytes();
    if fs::read(&compiled_in).ok().as_deref() != Some(checkout) {
        tree::remove(&folder)?;
        fs::create_dir_all(&folder)?;
        fs::write(&compiled_in, checkout)?;
    }
    let mut miri = cargo(toolchain);
    miri.args(["test", "--locked", "--package", INTERPRETED, "--lib"])
        .current_dir(&build.workspace)
        .env("CARGO_TARGET_DIR", folder);
    process::visible(&mut miri)
}

/// Whether the interface that embedders use is that of the last release, or the version says that it is not.
fn semver(build: &Build) -> Result<()> {
    let checks = "the interface since the last release";
    let tool = "cargo-semver-checks";
    if !installed(tool, checks, &format!("cargo install {tool}")) {
        return Ok(());
    }
    let mut releases = build.tool("git");
    releases.arg("-C").arg(build.checkout("."));
    releases.args(["describe", "--tags", "--abbrev=0", "--match=v*"]);
    let Ok(release) = process::output(&mut releases) else {
        eprintln!("skipped: {checks}: there is no tag of a release");
        return Ok(());
    };
    let mut command = build.cargo("semver-checks");
    for package in PUBLISHED {
        command.args(["--package", package]);
    }
    process::visible(command.args(["--baseline-rev", release.trim()]))
}

fn deny(build: &Build) -> Result<()> {
    if !installed(
        "cargo-deny",
        "licences and advisories",
        "cargo install cargo-deny",
    ) {
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

/// Whether a tool is installed. Prints a note if not.
fn installed(tool: &str, checks: &str, how: &str) -> bool {
    let found = process::find(tool).is_some();
    if !found {
        eprintln!("skipped: {checks}, for which `{how}` is needed");
    }
    found
}
