//! The wheel of the Python package: the native module, with the command in it, and python.wasm with its library, compiled
//! in advance.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Dist, sbom};
use crate::build::TARGET;
use crate::process;
use crate::steps::licences;
use crate::tasks::install::LEFT_OUT;
use crate::tree;
use crate::venv::venv;

/// The crate of the Python package's native module.
pub(crate) const PYTHON_PACKAGE: &str = "wasisocket-python-package";

/// Its folder.
const PACKAGE: &str = "host-runner/python-package";

/// The most bytes that the wheel may have.
const SIZE_MAX: u64 = 40_000_000;

/// Modules and packages for prompts and debuggers, stand-ins for modules of C that the guest has, and what pip brings to
/// colour source code.
const SELDOM_IMPORTED: [&str; 13] = [
    "_pydatetime",
    "_pydecimal",
    "_pyio",
    "_pyrepl",
    "bdb",
    "cmd",
    "doctest",
    "pdb",
    "pickletools",
    "pydoc",
    "pydoc_data",
    "pygments",
    "turtle",
];

/// What a stranger does with it first.
const FIRST: &str = "\
import wasisocket
with wasisocket.Sandbox() as box:
    assert box.run('import ssl, sqlite3; 6 * 7').check().value == 42
";

/// Makes the wheel, installs it where there is nothing else, and runs something.
pub(super) fn make(dist: &Dist<'_>) -> Result<Vec<PathBuf>> {
    let build = dist.build;
    let requirements = build.checkout(PACKAGE).join("build-requirements.txt");
    let tools = venv(&dist.work, &requirements)?;
    let wheel = without_python(dist, &tools)?;
    let added = dist.folder("added")?;
    let package = added.join("wasisocket");
    let guest = package.join("guest");
    // pip has programs for Windows, which no guest has a use for.
    tree::copy(&dist.python.folder, &guest, &|path| {
        let is_left_out = path == Path::new(LEFT_OUT) || is_compiled_for_nobody(path);
        !is_left_out && path.extension() != Some("exe".as_ref())
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
    dist.precompile(&["--time-limits"], &guest)?;
    licences::beside_host(build, PYTHON_PACKAGE, &dist.target, &package)?;
    process::visible(
        Command::new(tools.join("bin/python"))
            .arg(build.checkout(PACKAGE).join("add_to_wheel.py"))
            .args([&wheel, &added, &dist.out]),
    )?;
    let made = dist.out.join(wheel.file_name().unwrap_or_default());
    let size = tree::size(&made);
    ensure!(
        size < SIZE_MAX,
        "the wheel has {size} bytes, and may have {SIZE_MAX}"
    );
    // There is no Python of another platform.
    if dist.cross.is_none() {
        try_it(dist, &made)?;
    }
    Ok(vec![
        made,
        sbom::make(dist, PYTHON_PACKAGE, "wasisocket-python-package")?,
    ])
}

/// Is this the compiled form of a module that hardly any guest imports? Python compiles it where one does.
fn is_compiled_for_nobody(path: &Path) -> bool {
    let is_seldom_imported = |name: &OsStr| {
        let name = name.to_string_lossy();
        let module = name.split('.').next().unwrap_or_default();
        SELDOM_IMPORTED.contains(&module)
    };
    path.extension() == Some("pyc".as_ref()) && path.iter().any(is_seldom_imported)
}

/// The wheel as maturin makes it, which finds out on which systems the native module runs.
fn without_python(dist: &Dist<'_>, tools: &Path) -> Result<PathBuf> {
    let build = dist.build;
    let wheels = dist.folder("wheels")?;
    let (target, _lock) = build.claim(TARGET, |waiting| eprintln!("{waiting}"))?;
    let mut maturin = build.tool(tools.join("bin/maturin"));
    maturin
        .env("CARGO_TARGET_DIR", target)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(build.checkout(PACKAGE).join("Cargo.toml"))
        .arg("--out")
        .arg(&wheels);
    if let Some(cross) = &dist.cross {
        cross.configure(&mut maturin);
    }
    process::visible(&mut maturin)?;
    let made: Vec<_> = fs::read_dir(&wheels)?.collect::<Result<_, _>>()?;
    ensure!(made.len() == 1, "maturin made {} wheels", made.len());
    Ok(made[0].path())
}

/// Installs the wheel into an environment of its own, without an index, and uses it with a cache that is empty.
fn try_it(dist: &Dist<'_>, wheel: &Path) -> Result<()> {
    let folder = dist.folder("try-wheel")?;
    let venv = folder.join("venv");
    process::visible(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--no-index",
        "--disable-pip-version-check",
    ]);
    process::visible(pip.arg(wheel))?;
    let mut python = Command::new(venv.join("bin/python"));
    python
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .current_dir(&folder);
    process::visible(python.args(["-c", FIRST])).context("the wheel does not work")?;
    let mut command = Command::new(venv.join("bin/wasisocket"));
    command.env("XDG_CACHE_HOME", folder.join("cache"));
    process::visible(command.args(["run", "-c", "pass"])).context("its command does not work")
}
