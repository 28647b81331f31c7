//! OpenSSL for wasm32-wasip1: static libraries and headers, which CPython's _ssl.c and _hashopenssl.c need.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::cpython::HEADERS;
use crate::process;
use crate::progress::{Stage, Step};
use crate::release::{Input, Project};
use crate::sdk::Sdk;
use crate::tree;

const NAME: &str = "openssl";

/// The target that Configure is asked for, and the file that defines it.
const TARGET: &str = "wasisocket-wasip1";
const TARGETS: &str = "cpython-patch/openssl.conf";

/// Where a guest finds openssl.cnf, cert.pem and certs/: the host supplies the folder.
const OPENSSLDIR: &str = "/etc/ssl";

/// What a guest has no use for: threads, shared objects, the `openssl` command; and what CPython's modules
/// do not call.
const LEFT_OUT: &[&str] = &[
    "no-afalgeng",
    "no-apps",
    "no-asm",
    "no-async",
    "no-cmp",
    "no-docs",
    "no-dso",
    "no-engine",
    "no-legacy",
    "no-module",
    "no-quic",
    "no-secure-memory",
    "no-shared",
    "no-tests",
    "no-threads",
    "no-ui-console",
];

/// The folder has include/, lib/ and LICENSE.txt.
pub(crate) struct OpenSsl {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
    pub(crate) version: String,
}

fn project(build: &Build) -> Project<'_> {
    Project {
        pin: &build.pins.openssl,
        option: "--openssl",
        given: build.options.openssl(),
        is_source: |path| {
            let product = |e: &std::ffi::OsStr| ["a", "d", "o", "so"].iter().any(|p| e == *p);
            !(path.extension().is_some_and(product)
                || [".git", "Makefile", "configdata.pm"]
                    .iter()
                    .any(|name| path == Path::new(name)))
        },
    }
}

fn key(build: &Build, sdk: &Sdk, input: &Input<'_>) -> Result<Key> {
    Ok(KeyBuilder::new("openssl 1")
        .key("source", &input.key("source"))
        .key("sdk", &sdk.key)
        .text("left out", &LEFT_OUT.join(" "))
        .file(&build.checkout(TARGETS))?
        .tree(&build.checkout(HEADERS), |_| true)?
        .finish())
}

fn opened(folder: PathBuf, key: Key) -> Result<OpenSsl> {
    let header = folder.join("include/openssl/opensslv.h");
    let text =
        fs::read_to_string(&header).with_context(|| format!("cannot read {}", header.display()))?;
    let version = text
        .lines()
        .find_map(|line| line.split_once("OPENSSL_VERSION_STR \""))
        .map(|(_, rest)| rest.trim_end_matches('"').to_owned())
        .with_context(|| format!("no version in {}", header.display()))?;
    Ok(OpenSsl {
        folder,
        key,
        version,
    })
}

/// OpenSSL, if it was built.
pub(crate) fn existing(build: &Build, sdk: &Sdk) -> Result<Option<OpenSsl>> {
    let key = key(build, sdk, &project(build).input()?)?;
    match build.cache.published(NAME, &key) {
        Some(folder) => opened(folder, key).map(Some),
        None => Ok(None),
    }
}

/// Builds OpenSSL.
pub(crate) fn ensure(build: &Build, sdk: &Sdk) -> Result<OpenSsl> {
    let project = project(build);
    let input = project.input()?;
    let key = key(build, sdk, &input)?;
    if let Some(folder) = build.cache.published(NAME, &key) {
        let openssl = opened(folder, key)?;
        build.progress.up_to_date(Stage::OpenSsl, &openssl.version);
        return Ok(openssl);
    }
    let step = build
        .progress
        .begin(Stage::OpenSsl, NAME, &key, &build.cache)?;
    apt::require(build, &step, &["make", "perl"])?;
    let folder = build.cache.publish(NAME, &key, &step, |folder| {
        // Published is what CPython needs; the source and the objects would be 30 times as much.
        let source = folder.join("source");
        project.unpack(build, &step, &input, &source)?;
        compile(build, &step, sdk, &source, folder)?;
        tree::copy_file(&source.join("LICENSE.txt"), &folder.join("LICENSE.txt"))?;
        tree::remove(&source)
    })?;
    let openssl = opened(folder, key)?;
    step.note(&format!("using OpenSSL {}", openssl.version));
    step.done();
    Ok(openssl)
}

fn compile(build: &Build, step: &Step, sdk: &Sdk, source: &Path, folder: &Path) -> Result<()> {
    let targets = build.checkout(TARGETS);
    let headers = build.checkout(HEADERS);
    let tool = |name: &str| sdk.tool(name).display().to_string();
    let mut configure = build.tool("perl");
    configure
        .arg("Configure")
        .arg(format!("--config={}", targets.display()))
        .arg(TARGET)
        .args(LEFT_OUT)
        .args(["--prefix=/", "--libdir=lib"])
        .arg(format!("--openssldir={OPENSSLDIR}"))
        // The sockets' functions are declared there.
        .arg(format!("-isystem {}", headers.display()))
        .env(
            "CC",
            format!("{} --sysroot={}", tool("clang"), sdk.sysroot().display()),
        )
        .env("AR", tool("llvm-ar"))
        .env("RANLIB", tool("ranlib"))
        .current_dir(source);
    process::run(step, &mut configure)?;
    let make = |target: &str, arguments: &[String]| {
        let mut make = build.tool("make");
        make.arg(target).args(arguments).current_dir(source);
        process::run(step, &mut make)
    };
    make("build_libs", &[format!("-j{}", Build::jobs())])?;
    make("install_dev", &[format!("DESTDIR={}", folder.display())])
}
