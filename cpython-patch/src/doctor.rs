//! `cargo xtask doctor`: what a build would find, and what to do about what is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::apt::{self, OtherSuite};
use crate::build::Build;
use crate::cpython::{self, Toolchain};
use crate::distribution;
use crate::guest;
use crate::host;
use crate::libraries;
use crate::nginx;
use crate::openssl;
use crate::pins::Release;
use crate::process;
use crate::progress::human_bytes;
use crate::rust_target;
use crate::sdk;
use crate::site_packages;
use crate::source;
use crate::tree;

/// What a full build and the tests take in the cache, with some room.
const WANTED_BYTES: u64 = 4_000_000_000;

enum State {
    /// There.
    Found,
    /// Made or installed by a build.
    ToDo,
    /// The user has to do something.
    Missing,
}

struct Report {
    fine: bool,
}

impl Report {
    fn row(&mut self, what: &str, state: &State, detail: &str) {
        let mark = match state {
            State::Found => "ok",
            State::ToDo => "to do",
            State::Missing => "MISSING",
        };
        self.fine &= !matches!(state, State::Missing);
        let mut lines = detail.lines();
        println!("{what:<18} {mark:<8} {}", lines.next().unwrap_or_default());
        for line in lines {
            println!("{:<27} {line}", "");
        }
    }

    fn result<T>(&mut self, what: &str, result: Result<Option<T>>, show: impl Fn(&T) -> String) {
        match result {
            Ok(Some(found)) => self.row(what, &State::Found, &show(&found)),
            Ok(None) => self.row(what, &State::ToDo, "`cargo xtask run` makes it"),
            Err(error) => self.row(what, &State::Missing, &format!("{error:#}")),
        }
    }
}

/// Prints the table. False if a build cannot succeed.
pub(crate) fn doctor(build: &Build) -> Result<bool> {
    let mut report = Report { fine: true };
    let may_install = apt::may_install(build);
    println!("Tools");
    for (tool, packages) in &build.pins.tools {
        let by_hand = format!("install {}", packages.join(" "));
        match process::find(tool) {
            Some(path) => report.row(tool, &State::Found, &path.display().to_string()),
            None if may_install => {
                report.row(tool, &State::ToDo, &format!("a build will {by_hand}"))
            }
            None => report.row(tool, &State::Missing, &by_hand),
        }
    }
    rust(build, &mut report, may_install);

    println!("\nInputs");
    let sdk = sdk::existing(build);
    match &sdk {
        Ok(None) => sdk_to_come(build, &mut report, may_install),
        Ok(Some(sdk)) => report.row("C toolchain", &State::Found, &sdk.origin),
        Err(error) => report.row("C toolchain", &State::Missing, &format!("{error:#}")),
    }
    let from = |given: Option<&Path>, pin: &Release| match given {
        Some(path) => path.display().to_string(),
        None => format!("the pinned release {}", pin.version),
    };
    let cpython = from(build.options.cpython(), &build.pins.cpython.release);
    report.result("CPython", source::existing(build), |source| {
        format!("{}, from {cpython}", source.version)
    });
    if let Ok(Some(sdk)) = &sdk {
        let openssl = from(build.options.openssl(), &build.pins.openssl);
        report.result("OpenSSL", openssl::existing(build, sdk), |found| {
            format!("{}, from {openssl}", found.version)
        });
    }

    println!("\nCache {}", build.cache.root().display());
    disk(build, &mut report)?;
    println!("\nSteps");
    for (step, path) in steps(build)? {
        match path {
            Some(path) => {
                let size = human_bytes(tree::size(&path));
                report.row(
                    step,
                    &State::Found,
                    &format!("{size:>7}  {}", path.display()),
                );
            }
            None => report.row(step, &State::ToDo, "`cargo xtask run` makes it"),
        }
    }
    Ok(report.fine)
}

fn rust(build: &Build, report: &mut Report, may_install: bool) {
    let rustc = process::output(Command::new("rustc").arg("--version"));
    report.result("rustc", rustc.map(Some), String::clone);
    let target = &build.pins.rust.target;
    let rustup = process::find("rustup").is_some() && !build.options.no_install;
    match rust_target::existing(build) {
        Ok(None) if rustup || may_install => {
            report.row(
                target,
                &State::ToDo,
                "a build will add it with rustup or from Debian",
            );
        }
        Ok(None) => {
            report.row(
                target,
                &State::Missing,
                &format!("run `rustup target add {target}`"),
            );
        }
        found => report.result(target, found, |rust| rust.origin()),
    }
}

/// Says where the SDK will come from.
fn sdk_to_come(build: &Build, report: &mut Report, may_install: bool) {
    let llvm = &build.pins.llvm;
    let installed = Path::new(&llvm.prefix).join(&llvm.builtins).is_file();
    match OtherSuite::mirror(build) {
        Ok(mirror) if installed || may_install => {
            let detail = format!(
                "Debian packages, {} from {mirror}",
                build.pins.wasi_libc.package
            );
            report.row("C toolchain", &State::ToDo, &detail);
        }
        Ok(_) => {
            let detail = format!(
                "the release archive from {}; or, as root:\n\
                 apt-get install -y --no-install-recommends {}",
                build.pins.wasi_sdk.url,
                llvm.packages.join(" ")
            );
            report.row("C toolchain", &State::ToDo, &detail);
        }
        Err(error) => {
            let detail = format!(
                "the release archive from {} ({error})",
                build.pins.wasi_sdk.url
            );
            report.row("C toolchain", &State::ToDo, &detail);
        }
    }
}

fn disk(build: &Build, report: &mut Report) -> Result<()> {
    let space = rustix::fs::statvfs(build.cache.root())?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let used = tree::size(build.cache.root());
    let detail = format!("{} free, {} used", human_bytes(free), human_bytes(used));
    if free.saturating_add(used) < WANTED_BYTES {
        let advice = format!(
            "{detail}\na build takes up to {}: free some, or choose another place with --cache DIR",
            human_bytes(WANTED_BYTES)
        );
        report.row("disk", &State::Missing, &advice);
    } else {
        report.row("disk", &State::Found, &detail);
    }
    Ok(())
}

/// What there is of every step for today's inputs.
fn steps(build: &Build) -> Result<Vec<(&'static str, Option<PathBuf>)>> {
    let sdk = sdk::existing(build).ok().flatten();
    let source = source::existing(build).ok().flatten();
    let guest = guest::existing(build).ok().flatten();
    let native = source
        .as_ref()
        .and_then(|source| cpython::existing_build_python(build, source));
    let openssl = sdk
        .as_ref()
        .and_then(|sdk| openssl::existing(build, sdk).ok()?);
    let libraries = sdk
        .as_ref()
        .and_then(|sdk| libraries::existing(build, sdk).ok()?);
    let wasm = match (&native, &sdk, &openssl, &libraries) {
        (Some(native), Some(sdk), Some(openssl), Some(libraries)) => {
            let toolchain = Toolchain {
                native,
                sdk,
                openssl,
                libraries,
            };
            cpython::existing_wasm(build, &toolchain)?
        }
        _ => None,
    };
    let python = match (&wasm, &guest) {
        (Some(wasm), Some(guest)) => distribution::existing(build, wasm, guest)?,
        _ => None,
    };
    let host = host::existing(build).ok().flatten();
    // A key's folder is the cache's grandchild that the result is in.
    let entry = |path: PathBuf| {
        let inside = path.strip_prefix(build.cache.root()).ok()?;
        let name: PathBuf = inside.iter().take(2).collect();
        Some(build.cache.root().join(name))
    };
    let (default, core) = guest.map(|g| (g.default, g.core)).unzip();
    Ok(vec![
        (
            "WASI SDK",
            sdk.and_then(|sdk| entry(sdk.folder).or(Some(PathBuf::new()))),
        ),
        (
            "CPython source",
            source.and_then(|source| entry(source.folder)),
        ),
        (
            "build-python",
            native.and_then(|native| entry(native.python)),
        ),
        ("libwasisocket.a", default.and_then(entry)),
        ("core profile", core.and_then(entry)),
        ("OpenSSL", openssl.and_then(|openssl| entry(openssl.folder))),
        (
            "C libraries",
            libraries.and_then(|libraries| entry(libraries.folder)),
        ),
        ("CPython for WASI", wasm.and_then(|wasm| entry(wasm.folder))),
        ("python.wasm", python.and_then(entry)),
        ("wasisocket", host.and_then(entry)),
    ])
}

/// The results that today's inputs use.
pub(crate) fn in_use(build: &Build) -> Result<Vec<PathBuf>> {
    Ok(steps(build)?
        .into_iter()
        .filter_map(|(_, path)| path)
        .chain(site_packages::existing(build)?)
        .chain(nginx::existing(build))
        .collect())
}
