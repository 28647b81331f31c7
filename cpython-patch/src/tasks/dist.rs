//! `cargo xtask dist`: what is shipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use clap::Args;

use crate::build::{Build, TARGET};
use crate::process;
use crate::progress::human_bytes;
use crate::steps::{self, licences};
use crate::tasks::install::LEFT_OUT;
use crate::tree;
use crate::venv::venv;

/// The crate of the Python package's native module.
pub(crate) const PYTHON_PACKAGE: &str = "wasisocket-python-package";

/// Its folder.
const PACKAGE: &str = "host-runner/python-package";

#[derive(Args, Debug)]
pub(crate) struct DistArgs {
    /// The folder for what is made
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
}

/// Makes the wheel of the Python package: the native module, with the command in it, and python.wasm with its library,
/// compiled in advance.
pub(crate) fn dist(build: &Build, args: &DistArgs) -> Result<()> {
    let (python, host) = steps::product(build)?;
    let (work, _lock) = build.claim("dist", |waiting| eprintln!("{waiting}"))?;
    fs::create_dir_all(&args.out)?;

    let requirements = build.checkout(PACKAGE).join("build-requirements.txt");
    let venv = venv(&work, &requirements)?;
    let wheel = wheel(build, &venv, &work)?;
    let added = work.join("added");
    tree::remove(&added)?;
    let package = added.join("wasisocket");
    let guest = package.join("guest");
    // pip has programs for Windows, which no guest has a use for.
    tree::copy(&python.folder, &guest, &|path| {
        path != Path::new(LEFT_OUT) && path.extension() != Some("exe".as_ref())
    })?;
    // Python warns at each start if lib-dynload, which is empty, does not exist, and a wheel has no empty folders.
    for library in fs::read_dir(guest.join("lib"))? {
        let modules = library?.path().join("lib-dynload");
        fs::create_dir_all(&modules)?;
        fs::write(
            modules.join("README.txt"),
            "Extension modules are part of python.wasm.\n",
        )?;
    }
    // Sandboxes have limits of time. The command, which needs none of them, uses the same module: the other one would be a
    // fifth of the wheel.
    let mut precompile = Command::new(host.command());
    precompile.args(["precompile", "--time-limits", "--python"]);
    process::visible(precompile.arg(&python.folder).arg("--out").arg(&guest))?;
    licences::beside_host(build, PYTHON_PACKAGE, &package)?;
    process::visible(
        Command::new(venv.join("bin/python"))
            .arg(build.checkout(PACKAGE).join("add_to_wheel.py"))
            .args([&wheel, &added, &args.out]),
    )?;
    let made = args.out.join(wheel.file_name().unwrap_or_default());
    println!("{}, {}", made.display(), human_bytes(tree::size(&made)));
    println!(
        "To try it: python3 -m venv venv && venv/bin/pip install {}",
        made.display()
    );
    Ok(())
}

/// The wheel as maturin makes it, which finds out on which systems the native module runs.
fn wheel(build: &Build, venv: &Path, work: &Path) -> Result<PathBuf> {
    let wheels = work.join("wheels");
    tree::remove(&wheels)?;
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    process::visible(
        build
            .tool(venv.join("bin/maturin"))
            .env("CARGO_TARGET_DIR", target)
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(build.checkout(PACKAGE).join("Cargo.toml"))
            .arg("--out")
            .arg(&wheels),
    )?;
    let made: Vec<_> = fs::read_dir(&wheels)?.collect::<Result<_, _>>()?;
    ensure!(made.len() == 1, "maturin made {} wheels", made.len());
    Ok(made[0].path())
}
