//! `cargo xtask dist`: what is shipped, each tried once it is made.

mod archive;
mod cross;
mod image;
mod sbom;
mod wheel;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;

use crate::apt;
use crate::build::{self, Build, TARGET};
use crate::cache::Lock;
use crate::fetch;
use crate::process;
use crate::progress::{Running, human_bytes};
use crate::steps;
use crate::steps::distribution::Distribution;
use crate::steps::host::{self, TESTS};
use crate::tree;

use cross::Cross;
pub(crate) use wheel::PYTHON_PACKAGE;

/// The checksums of what is made, for `sha256sum --check`.
const SUMS: &str = "SHA256SUMS";

#[derive(Args, Debug)]
pub(crate) struct DistArgs {
    /// The folder for what is made
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// Only these, and not all that can be made
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    only: Vec<What>,
    /// For another platform, by cross-compiling: aarch64-unknown-linux-gnu. The wheel and the archive
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum What {
    /// The Python package, with all that it needs
    Wheel,
    /// The command with its Python, manual pages and completions
    Archive,
    /// The example service as a container image
    Image,
}

/// What the parts of this task share.
struct Dist<'a> {
    build: &'a Build,
    python: Arc<Distribution>,
    /// For what is made on the way.
    work: PathBuf,
    /// For what is shipped.
    out: PathBuf,
    running: Running,
    /// Rust's name of the platform, such as `x86_64-unknown-linux-gnu`.
    target: String,
    cross: Option<Cross>,
    /// The command for the platform.
    command: PathBuf,
}

impl Dist<'_> {
    /// The version of all packages, which the workspace's Cargo.toml has.
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    /// `NAME-VERSION-TARGET`.
    fn name(&self, package: &str) -> String {
        format!("{package}-{}-{}", Self::VERSION, self.target)
    }

    /// An empty folder.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        tree::remove(&folder)?;
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Builds a program, with wasmtime as the tests have it, so that it is compiled only once.
    fn program(&self, package: &str, features: &[&str], name: &str) -> Result<(PathBuf, Lock)> {
        build_program(self.build, self.cross.as_ref(), package, features, name)
    }

    /// A program of the platform, which may need an emulator.
    fn run(&self, program: &Path) -> Command {
        match &self.cross {
            None => Command::new(program),
            Some(cross) => cross.emulate(program),
        }
    }

    /// Writes python.wasm compiled, beside it.
    fn precompile(&self, options: &[&str], folder: &Path) -> Result<()> {
        let mut precompile = self.run(&self.command);
        precompile.arg("precompile").args(options);
        precompile.arg("--python").arg(folder);
        process::visible(precompile.arg("--out").arg(folder))
    }

    /// Packs a folder's content, without what differs between two builds: all is as old as the release of CPython in it.
    fn tar(&self, folder: &Path, options: &[&str], archive: &Path) -> Result<()> {
        let mut tar = Command::new("tar");
        tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!(
                "--mtime=@{}",
                self.build.pins.cpython.source_date_epoch
            ))
            .args(options)
            .arg("--create")
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(folder)
            .arg(".");
        process::run(&self.running, &mut tar)
    }
}

/// Builds a program of the workspace.
fn build_program(
    build: &Build,
    cross: Option<&Cross>,
    package: &str,
    features: &[&str],
    name: &str,
) -> Result<(PathBuf, Lock)> {
    let (target, lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    let mut cargo = build.cargo("build");
    cargo.args(["--release", "--locked", "--package", package]);
    cargo.args(["--package", TESTS, "--bin", name]);
    for feature in features {
        cargo.args(["--features", &format!("{package}/{feature}")]);
    }
    let built = match cross {
        None => target,
        Some(cross) => {
            cross.configure(&mut cargo);
            target.join(&cross.target)
        }
    };
    process::visible(&mut cargo)?;
    Ok((built.join("release").join(name), lock))
}

/// Makes what is shipped, and the checksums.
pub(crate) fn dist(build: &Build, args: &DistArgs) -> Result<()> {
    let (python, host) = steps::product(build)?;
    let (work, _lock) = build.claim("dist", |waiting| eprintln!("{waiting}"))?;
    fs::create_dir_all(&args.out)?;
    let running = build.begin("dist", "what is shipped")?;
    apt::require(build, &running, &["tar", "gzip", "zstd"])?;
    let here = build::platform()?;
    let target = args.target.clone().unwrap_or_else(|| here.clone());
    let cross = match target == here {
        true => None,
        false => Some(Cross::prepare(build, &running, &target)?),
    };
    let command = match &cross {
        None => host.command(),
        Some(_) => build_program(build, cross.as_ref(), host::PACKAGE, &[], host::COMMAND)?.0,
    };
    let dist = Dist {
        build,
        python,
        work,
        out: std::path::absolute(&args.out)?,
        running,
        target,
        cross,
        command,
    };
    let asked = |what| args.only.is_empty() || args.only.contains(&what);
    let mut made = Vec::new();
    if asked(What::Wheel) {
        made.extend(wheel::make(&dist)?);
    }
    if asked(What::Archive) {
        made.extend(archive::make(&dist)?);
    }
    // The image has libraries of this machine's system.
    if asked(What::Image) && dist.cross.is_none() {
        made.extend(image::make(&dist)?);
    }
    dist.running.done(&format!("{} files", made.len()));
    let mut sums = String::new();
    for path in &made {
        let name = path.file_name().context("what is made has a name")?;
        let name = name.to_string_lossy();
        sums.push_str(&format!("{}  {name}\n", fetch::sha256(path)?));
        println!("{}, {}", path.display(), human_bytes(tree::size(path)));
    }
    fs::write(dist.out.join(SUMS), sums)?;
    println!("{}", dist.out.join(SUMS).display());
    Ok(())
}
