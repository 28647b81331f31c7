//! The packages of this workspace and their dependencies, from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::build::Build;
use crate::process;

/// The part of `cargo metadata` that is used here.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    manifest_path: PathBuf,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

impl Package {
    /// Where its source is.
    pub(crate) fn folder(&self) -> Result<&Path> {
        self.manifest_path
            .parent()
            .context("a package without a folder")
    }

    /// Whether it is a package of this workspace.
    pub(crate) fn is_ours(&self) -> bool {
        self.source.is_none()
    }

    /// False for procedural macros, which run in the compiler and are not part of the program.
    fn is_linked(&self) -> bool {
        !self
            .targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

impl Metadata {
    /// The packages for one target; cargo fetches those it does not have.
    pub(crate) fn read(build: &Build, rustc: &Path, target: &str) -> Result<Self> {
        let mut cargo = build.cargo("metadata");
        cargo.env("RUSTC", rustc);
        cargo.args([
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            target,
        ]);
        Self::from_cargo(&mut cargo)
    }

    /// The packages of another workspace.
    pub(crate) fn of(build: &Build, manifest: &Path) -> Result<Self> {
        let mut cargo = build.cargo("metadata");
        cargo.args(["--format-version", "1", "--locked", "--manifest-path"]);
        Self::from_cargo(cargo.arg(manifest))
    }

    fn from_cargo(cargo: &mut Command) -> Result<Self> {
        let text = process::output(cargo)?;
        serde_json::from_str(&text).context("cargo metadata")
    }

    /// The packages of the workspace.
    pub(crate) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.is_ours())
    }

    /// The package of that name.
    pub(crate) fn package(&self, name: &str) -> Result<&Package> {
        let mut packages = self.packages.iter();
        packages
            .find(|package| package.name == name)
            .with_context(|| format!("no package {name}"))
    }

    /// The packages of a program: `root`, and the packages that it is linked with.
    pub(crate) fn linked(&self, root: &str) -> Result<Vec<&Package>> {
        let packages: BTreeMap<&str, &Package> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let nodes: BTreeMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let root = self
            .packages
            .iter()
            .find(|package| package.name == root && package.source.is_none())
            .with_context(|| format!("no package {root} in this workspace"))?;
        let mut seen = BTreeSet::new();
        let mut open = vec![root.id.as_str()];
        while let Some(id) = open.pop() {
            let Some(package) = packages.get(id).filter(|package| package.is_linked()) else {
                continue;
            };
            if !seen.insert((&package.name, &package.version, id)) {
                continue;
            }
            let normal = |dependency: &&Dependency| {
                let mut kinds = dependency.dep_kinds.iter();
                kinds.any(|kind| kind.kind.is_none())
            };
            if let Some(node) = nodes.get(id) {
                open.extend(node.deps.iter().filter(normal).map(|d| d.pkg.as_str()));
            }
        }
        Ok(seen
            .iter()
            .filter_map(|(_, _, id)| packages.get(id).copied())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, kind: &str) -> String {
        format!(
            r#"{{"id":"{name}","name":"{name}","version":"1.0.0","license":null,
            "manifest_path":"/{name}/Cargo.toml","source":null,"targets":[{{"kind":["{kind}"]}}]}}"#
        )
    }

    #[test]
    fn only_linked_packages_count() {
        let packages = ["root", "used", "build-only"].map(|name| package(name, "lib"));
        let text = format!(
            r#"{{"packages":[{},{}],"resolve":{{"nodes":[{{"id":"root","deps":[
            {{"pkg":"used","dep_kinds":[{{"kind":null}}]}},
            {{"pkg":"build-only","dep_kinds":[{{"kind":"build"}}]}},
            {{"pkg":"macro","dep_kinds":[{{"kind":null}}]}}]}}]}}}}"#,
            packages.join(","),
            package("macro", "proc-macro"),
        );
        let metadata: Metadata = serde_json::from_str(&text).unwrap();
        let found = metadata.linked("root").unwrap();
        let names: Vec<&str> = found.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, ["root", "used"]);
    }
}
