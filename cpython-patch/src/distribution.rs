//! What a user runs: both python.wasm, the standard library, and the licences they come under.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::cpython::{self, Toolchain, WasmBuild};
use crate::guest::Guest;
use crate::licences;
use crate::process;
use crate::progress::{Stage, Step, human_bytes};
use crate::source::Source;
use crate::tree;

const NAME: &str = "python";

/// Where the guest has the folder lib/ of a distribution: CPython's default prefix, since not every
/// host sets PYTHONHOME.
const GUEST_PREFIX: &str = "/usr/local";

/// Names of functions stay, for readable traps; debug information would be two thirds of the file.
const STRIP: &str = "--strip-debug";

/// Hosts that drive the interpreter themselves call these, beside `_start`.
const CORE_FLAGS: &[&str] = &[
    "-Wl,--export=Py_Initialize",
    "-Wl,--export=PyRun_SimpleString",
    "-Wl,--export=Py_Finalize",
];

/// Parts of the standard library that a guest has no use for: they need a display, processes, or
/// are tests of the library itself.
const LEFT_OUT: &[&str] = &[
    "__phello__",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "test",
    "tkinter",
    "turtle.py",
    "turtledemo",
];

/// All that goes into a distribution.
pub(crate) struct Inputs<'a> {
    pub(crate) source: &'a Source,
    pub(crate) toolchain: &'a Toolchain<'a>,
    pub(crate) wasm: &'a WasmBuild,
    pub(crate) guest: &'a Guest,
}

fn key(build: &Build, wasm: &WasmBuild, guest: &Guest) -> Result<Key> {
    let keep = |path: &Path| !path.ends_with("__pycache__");
    Ok(KeyBuilder::new("python 2")
        .key("wasm", &wasm.key)
        .key("guest", &guest.key)
        .text("core flags", &CORE_FLAGS.join(" "))
        .text("strip", STRIP)
        .text("left out", &LEFT_OUT.join(" "))
        .tree(&build.checkout("cpython-patch/Lib"), keep)?
        .finish())
}

/// The distribution, if it was made.
pub(crate) fn existing(build: &Build, wasm: &WasmBuild, guest: &Guest) -> Result<Option<PathBuf>> {
    Ok(build.cache.published(NAME, &key(build, wasm, guest)?))
}

/// Links, strips and collects.
pub(crate) fn ensure(build: &Build, inputs: &Inputs<'_>) -> Result<PathBuf> {
    let key = key(build, inputs.wasm, inputs.guest)?;
    if let Some(folder) = build.cache.published(NAME, &key) {
        let what = folder.display().to_string();
        build.progress.up_to_date(Stage::Distribution, &what);
        return Ok(folder);
    }
    let step = build
        .progress
        .begin(Stage::Distribution, NAME, &key, &build.cache)?;
    let folder = build.cache.publish(NAME, &key, &step, |folder| {
        for (name, library, flags) in [
            ("python.wasm", &inputs.guest.default, [].as_slice()),
            ("python-core.wasm", &inputs.guest.core, CORE_FLAGS),
        ] {
            let python = folder.join(name);
            cpython::link(build, &step, inputs.wasm, library, flags, &python)?;
            let mut strip = Command::new(inputs.toolchain.sdk.tool("llvm-strip"));
            process::run(&step, strip.arg(STRIP).arg(&python))?;
            step.note(&format!("{name}: {}", human_bytes(tree::size(&python))));
        }
        standard_library(build, &step, inputs, folder)?;
        licences::beside_python(build, inputs, folder)?;
        if self::key(build, inputs.wasm, inputs.guest)? != key {
            bail!("the files in cpython-patch/Lib changed while they were copied: run again");
        }
        Ok(())
    })?;
    step.done();
    Ok(folder)
}

fn standard_library(build: &Build, step: &Step, inputs: &Inputs<'_>, folder: &Path) -> Result<()> {
    let name = format!("python{}", inputs.source.version.short());
    let library = folder.join("lib").join(name);
    let keep = |path: &Path| {
        let left_out = LEFT_OUT.iter().any(|name| path == Path::new(name));
        !(left_out || path.ends_with("__pycache__") || path.ends_with("tests"))
    };
    tree::copy(&inputs.source.folder.join("Lib"), &library, &keep)?;
    tree::copy(&build.checkout("cpython-patch/Lib"), &library, &keep)?;
    build_variables(inputs, &library)?;
    pip(&inputs.source.folder, &library.join("site-packages"))?;
    // Python complains at every start if there is no folder for extension modules.
    fs::create_dir(library.join("lib-dynload"))?;

    // Traceback lines name the files where the guest has them. The modules are never newer than
    // their compiled form, so the guest need not compare.
    let mut compile = Command::new(&inputs.toolchain.native.python);
    compile
        .args([
            "-I",
            "-m",
            "compileall",
            "-q",
            "--invalidation-mode",
            "unchecked-hash",
        ])
        .arg(format!("-j{}", Build::jobs()))
        .arg("-s")
        .arg(folder)
        .args(["-p", GUEST_PREFIX])
        .arg(&library)
        .env_remove("LD_LIBRARY_PATH");
    process::run(step, &mut compile).context("cannot compile the standard library")
}

/// Unpacks the pip that CPython's source carries for ensurepip, which itself needs a process.
fn pip(source: &Path, packages: &Path) -> Result<()> {
    let bundled = source.join("Lib/ensurepip/_bundled");
    let wheel = tree::files(&bundled, &|_| true)?
        .into_iter()
        .find(|file| file.to_string_lossy().starts_with("pip-"))
        .with_context(|| format!("no wheel of pip in {}", bundled.display()))?;
    let unpack = || {
        let mut archive = ZipArchive::new(File::open(bundled.join(&wheel))?)?;
        anyhow::Ok(archive.extract(packages)?)
    };
    unpack().with_context(|| format!("cannot unpack {}", wheel.display()))
}

/// Copies what `sysconfig` reads at run time.
fn build_variables(inputs: &Inputs<'_>, library: &Path) -> Result<()> {
    let build = inputs.wasm.folder.join("build");
    let mut found = false;
    for relative in tree::files(&build, &|_| true)? {
        let name = relative.file_name().unwrap_or_default();
        let text = name.to_string_lossy();
        // The second is there since 3.14.
        if text.starts_with("_sysconfigdata") && text.ends_with(".py")
            || text.starts_with("_sysconfig_vars")
        {
            fs::copy(build.join(&relative), library.join(name))
                .with_context(|| format!("cannot copy {text}"))?;
            found = true;
        }
    }
    if !found {
        bail!(
            "CPython's build left no _sysconfigdata in {}",
            build.display()
        );
    }
    Ok(())
}
