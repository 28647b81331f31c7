//! The distribution: python.wasm for both profiles, the standard library, and their licences.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use zip::ZipArchive;

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::progress::human_bytes;
use crate::steps::build_python::BuildPython;
use crate::steps::guest::Guest;
use crate::steps::libraries::Libraries;
use crate::steps::sdk::Sdk;
use crate::steps::source::Source;
use crate::steps::wasm::Wasm;
use crate::steps::wide::Wide;
use crate::steps::{Entry, Job, Step, licences};
use crate::tree;

/// The guest's folder in which the distribution's lib/ is mounted: CPython's default prefix, since not
/// every host sets PYTHONHOME.
const GUEST_PREFIX: &str = "/usr/local";

/// Keeps the names of functions, for readable traps. Debug information would be two thirds of the file.
const STRIP: &str = "--strip-debug";

/// Exports besides `_start`, for hosts that drive the interpreter themselves.
const CORE_FLAGS: &[&str] = &[
    "-Wl,--export=Py_Initialize",
    "-Wl,--export=PyRun_SimpleString",
    "-Wl,--export=Py_Finalize",
];

/// Makes images of memory, for hosts that start guests from them. Not in the core profile, whose hosts do not.
const SNAPSHOT: &str = "cpython-patch/snapshot/snapshot.c";
const SNAPSHOT_FLAGS: &[&str] = &["-Wl,--wrap=Py_FinalizeEx", "-Wl,--wrap=Py_Exit"];

/// Parts of the standard library that a guest cannot use, because they need a display or processes, and
/// tests of the library itself.
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

/// Our part of the standard library.
const OUR_LIBRARY: &str = "cpython-patch/Lib";

/// The distribution's folder.
pub(crate) struct Distribution {
    pub(crate) folder: PathBuf,
}

fn is_library_source(path: &Path) -> bool {
    !path.ends_with("__pycache__")
}

impl Step for Distribution {
    const NAME: &'static str = "python";
    const TITLE: &'static str = "python.wasm and its library";
    const HELP: Option<&'static str> =
        Some("Build python.wasm and its library, and print their folder");
    type Inputs = (
        Arc<Sdk>,
        Arc<Source>,
        Arc<BuildPython>,
        Arc<Guest>,
        Arc<Libraries>,
        Arc<Wide>,
        Arc<Wasm>,
    );

    fn keys(build: &Build, inputs: &Self::Inputs) -> Result<Option<Vec<Key>>> {
        let (_, _, _, guest, _, wide, wasm) = inputs;
        let wide = wide.object.as_ref();
        let wide = wide.map_or("", |object| object.key.as_str());
        let key = KeyBuilder::new("python 5")
            .key("wasm", &wasm.key)
            .text("wide", wide)
            .key("guest", &guest.key)
            .text("core flags", &CORE_FLAGS.join(" "))
            .file(&build.checkout(SNAPSHOT))?
            .text("snapshot flags", &SNAPSHOT_FLAGS.join(" "))
            .text("strip", STRIP)
            .text("left out", &LEFT_OUT.join(" "))
            .tree(&build.checkout(OUR_LIBRARY), is_library_source)?
            .finish();
        Ok(Some(vec![key]))
    }

    fn make(job: &Job<'_>, inputs: &Self::Inputs) -> Result<()> {
        let (sdk, source, native, guest, libraries, wide, wasm) = inputs;
        let Job { build, running, .. } = *job;
        let folder = job.folder;
        let snapshot = folder.join("snapshot.o");
        wasm.compile(build, running, &build.checkout(SNAPSHOT), &snapshot)?;
        // Objects come before the archives that have the same functions.
        let objects: Vec<_> = [Some(snapshot.clone()), wide.path()]
            .iter()
            .flatten()
            .map(|object| object.display().to_string())
            .collect();
        let with_objects: Vec<_> = objects
            .iter()
            .map(String::as_str)
            .chain(SNAPSHOT_FLAGS.iter().copied())
            .collect();
        for (name, library, flags) in [
            ("python.wasm", &guest.default, with_objects.as_slice()),
            ("python-core.wasm", &guest.core, CORE_FLAGS),
        ] {
            let python = folder.join(name);
            wasm.link(build, running, library, flags, &python)?;
            let mut strip = Command::new(sdk.tool("llvm-strip"));
            process::run(running, strip.arg(STRIP).arg(&python))?;
            running.note(&format!("{name}: {}", human_bytes(tree::size(&python))));
        }
        tree::remove(&snapshot)?;
        let name = format!("python{}", source.version.short());
        let library = folder.join("lib").join(name);
        standard_library(build, source, &library)?;
        build_variables(wasm, &library)?;
        compile(job, native, &library)?;
        licences::beside_python(build, (sdk, source, guest, libraries), folder)
    }

    fn open(_: &Build, _: &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        let folder = super::only(entries)?.folder;
        Ok(Self { folder })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

/// Copies CPython's standard library, our modules and pip.
fn standard_library(build: &Build, source: &Source, library: &Path) -> Result<()> {
    let keep = |path: &Path| {
        let left_out = LEFT_OUT.iter().any(|name| path == Path::new(name));
        is_library_source(path) && !left_out && !path.ends_with("tests")
    };
    tree::copy(&source.folder.join("Lib"), library, &keep)?;
    tree::copy(&build.checkout(OUR_LIBRARY), library, &keep)?;
    pip(&source.folder, &library.join("site-packages"))?;
    // Python prints a warning at every start if the folder for extension modules is missing.
    fs::create_dir(library.join("lib-dynload"))?;
    Ok(())
}

/// Compiles the standard library to .pyc files.
fn compile(job: &Job<'_>, native: &BuildPython, library: &Path) -> Result<()> {
    // Traceback lines name the files' places in the guest. The sources never change after they are
    // compiled, so the guest need not compare times.
    let mut compile = Command::new(&native.python);
    compile
        .args(["-I", "-m", "compileall", "-q"])
        .args(["--invalidation-mode", "unchecked-hash"])
        .arg(format!("-j{}", Build::jobs()))
        .arg("-s")
        .arg(job.folder)
        .args(["-p", GUEST_PREFIX])
        .arg(library)
        .env_remove("LD_LIBRARY_PATH");
    process::run(job.running, &mut compile).context("cannot compile the standard library")
}

/// Unpacks the pip that CPython's source contains for ensurepip. ensurepip itself needs processes.
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

/// Copies the build variables, which `sysconfig` reads at run time.
fn build_variables(wasm: &Wasm, library: &Path) -> Result<()> {
    let build = wasm.folder.join("build");
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
