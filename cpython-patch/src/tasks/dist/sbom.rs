//! What a program is made of, as a CycloneDX document: by cargo-cyclonedx, with the works in python.wasm added.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Dist;
use crate::metadata::Metadata;
use crate::process;
use crate::steps::guest;
use crate::steps::libraries::Libraries;
use crate::tree;

/// The tool, from the same registry as the crates.
const TOOL: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// Writes the document of a program of the workspace beside what is shipped.
pub(super) fn make(dist: &Dist<'_>, package: &str, name: &str) -> Result<PathBuf> {
    let build = dist.build;
    let (tool, version) = TOOL;
    let root = dist.work.join(format!("{tool}-{version}"));
    let program = root.join("bin").join(tool);
    if !program.is_file() {
        let mut install = build.cargo("install");
        install.args([tool, "--version", version, "--locked", "--quiet"]);
        process::visible(install.arg("--root").arg(&root))?;
    }
    let metadata = Metadata::of(build, &build.checkout("Cargo.toml"))?;
    let manifest = metadata.package(package)?.folder()?.join("Cargo.toml");
    let file = format!("{name}-{}", Dist::VERSION);
    let mut cyclonedx = build.tool(&program);
    cyclonedx
        .arg("cyclonedx")
        .args([
            "--format",
            "json",
            "--spec-version",
            "1.5",
            "--no-build-deps",
        ])
        .args(["--target", &dist.target, "--override-filename", &file])
        .env(
            "SOURCE_DATE_EPOCH",
            build.pins.cpython.source_date_epoch.to_string(),
        )
        .arg("--manifest-path")
        .arg(&manifest);
    process::visible(&mut cyclonedx)?;
    let text = fs::read(manifest.with_file_name(format!("{file}.json")))?;
    // It writes one beside each manifest of the workspace.
    for package in metadata.ours() {
        tree::remove(&package.folder()?.join(format!("{file}.json")))?;
    }
    let mut document: Value = serde_json::from_slice(&text)?;
    let components = document["components"].as_array_mut();
    components
        .context("cargo-cyclonedx lists no components")?
        .extend(in_python(dist)?);
    let made = dist.out.join(format!("{}.cdx.json", dist.name(name)));
    fs::write(&made, serde_json::to_vec_pretty(&document)?)?;
    Ok(made)
}

/// CPython, the C libraries and the crates that are linked into python.wasm.
fn in_python(dist: &Dist<'_>) -> Result<Vec<Value>> {
    let build = dist.build;
    let component = |name: &str, version: &str, licence: &str| {
        json!({
            "type": "library",
            "bom-ref": format!("python.wasm/{name}@{version}"),
            "name": name,
            "version": version,
            "licenses": [{ "expression": licence }],
            "purl": format!("pkg:generic/{}@{version}", name.to_lowercase()),
        })
    };
    let release = &build.pins.cpython.release;
    let mut components = vec![
        component(&release.name, &release.version, "PSF-2.0"),
        component(
            &build.pins.wasi_libc.package,
            &build.pins.wasi_libc.version,
            "MIT AND Apache-2.0 WITH LLVM-exception",
        ),
    ];
    let libraries = build.existing::<Libraries>()?.context("no C libraries")?;
    components.extend(libraries.0.iter().map(|library| {
        let version = library.version.as_deref().unwrap_or_default();
        component(&library.name, version, &library.licence)
    }));
    let metadata = Metadata::read(build, "rustc".as_ref(), &build.pins.rust.target)?;
    for package in metadata.linked(guest::PACKAGE)? {
        let licence = package.license.as_deref().unwrap_or("NOASSERTION");
        let mut component = component(&package.name, &package.version, licence);
        component["purl"] = format!("pkg:cargo/{}@{}", package.name, package.version).into();
        components.push(component);
    }
    Ok(components)
}
