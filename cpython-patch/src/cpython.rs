//! CPython's two builds: the native build-python, and the one for wasm32-wasip1.
//!
//! Both record absolute paths, so they are built in place. An interrupted build goes on where it
//! was: stamp files say which parts are done.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::Build;
use crate::cache::{COMPLETE, Cache, Key, KeyBuilder};
use crate::guest;
use crate::libraries::Libraries;
use crate::openssl::OpenSsl;
use crate::process;
use crate::progress::{Stage, Step};
use crate::sdk::Sdk;
use crate::source::Source;
use crate::tree;

const NATIVE: &str = "native";
const WASM: &str = "wasm";

/// Where CPython's script puts the build for WebAssembly.
const HOST_TRIPLE: &str = "wasm32-wasip1";

/// The test modules are written in C and of use to CPython's developers only.
const CONFIGURE_FLAGS: &[&str] = &["--disable-test-modules"];

/// What CPython is built with beside its own source. The manual way takes the same: see README.md.
const SETUP: &str = "cpython-patch/Setup.local";
const SETUP_LIBRARIES: &str = "cpython-patch/Setup.libraries";
const CONFIG_SITE: &str = "cpython-patch/config.site";
pub(crate) const HEADERS: &str = "cpython-patch/include";

/// Where `config.site` expects the headers, in the folder that configure is called in.
const HEADERS_COPY: &str = "wasisocket-include";

/// Where `Setup.libraries` expects the C libraries, in the same folder.
const LIBRARIES_COPY: &str = "wasisocket-libraries";

/// Parts of a build that are done.
const COPIED: &str = ".copied";
const CONFIGURED: &str = ".configured";

/// CPython for this machine, of the very version that is built for WebAssembly.
pub(crate) struct BuildPython {
    pub(crate) python: PathBuf,
    folder: PathBuf,
    key: Key,
}

/// CPython's build for WebAssembly.
pub(crate) struct WasmBuild {
    /// The folder to call make in.
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

/// Copies the source into the tree `entry`, unless an interrupted build did.
fn copy_source(source: &Source, entry: &Path) -> Result<()> {
    if entry.join(COPIED).is_file() {
        return Ok(());
    }
    tree::remove(entry)?;
    // The manual is as large as the interpreter, and no build reads it.
    tree::copy(&source.folder, entry, &|path| path != Path::new("Doc"))?;
    stamp(&entry.join(COPIED))
}

fn stamp(path: &Path) -> Result<()> {
    fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))
}

fn native_key(build: &Build, source: &Source) -> Result<Key> {
    let compiler = process::output(Command::new("cc").arg("--version")).unwrap_or_default();
    // The folder may be a link to that of another cache, whose results then are the same.
    let folder = build.cache.folder(NATIVE)?.canonicalize()?;
    Ok(KeyBuilder::new("native 1")
        .key("source", &source.key)
        .text("flags", &CONFIGURE_FLAGS.join(" "))
        .text("compiler", compiler.lines().next().unwrap_or_default())
        .path("cache", folder.parent().unwrap_or(&folder))
        .finish())
}

fn native_folder(entry: &Path) -> PathBuf {
    entry.join("cross-build/build")
}

/// The interpreter in the build folder: macOS needs a suffix beside the folder Python/.
fn interpreter(folder: &Path) -> Option<PathBuf> {
    ["python", "python.exe"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
}

/// The build-python, if it was built.
pub(crate) fn existing_build_python(build: &Build, source: &Source) -> Option<BuildPython> {
    let key = native_key(build, source).ok()?;
    let folder = native_folder(&build.cache.completed(NATIVE, &key)?);
    Some(BuildPython {
        python: interpreter(&folder)?,
        folder,
        key,
    })
}

/// Builds the build-python.
///
/// These are the steps of `configure-build-python` and `make-build-python` of CPython's own
/// script, which only a Python can run, and there need not be one yet.
pub(crate) fn build_python(build: &Build, source: &Source) -> Result<BuildPython> {
    if let Some(found) = existing_build_python(build, source) {
        let what = found.python.display().to_string();
        build.progress.up_to_date(Stage::BuildPython, &what);
        return Ok(found);
    }
    let key = native_key(build, source)?;
    let cache = &build.cache;
    let step = build
        .progress
        .begin(Stage::BuildPython, NATIVE, &key, cache)?;
    apt::require(build, &step, &["cc", "make"])?;
    let _lock = cache.lock(&Cache::lock_name(NATIVE, key.as_str()), &step)?;
    let entry = cache.entry(NATIVE, &key);
    if cache.completed(NATIVE, &key).is_none() {
        copy_source(source, &entry)?;
        let folder = native_folder(&entry);
        fs::create_dir_all(&folder)?;
        if !entry.join(CONFIGURED).is_file() {
            let mut configure = build.tool("../../configure");
            configure.args(CONFIGURE_FLAGS).current_dir(&folder);
            process::run(&step, &mut configure)?;
            stamp(&entry.join(CONFIGURED))?;
        }
        let mut make = build.tool("make");
        make.arg(format!("-j{}", Build::jobs())).arg("all");
        process::run(&step, make.current_dir(&folder))?;
        let python = interpreter(&folder)
            .with_context(|| format!("make left no python in {}", folder.display()))?;
        let version = process::output(build.tool(&python).arg("--version"))?;
        if !version.contains(&source.version.to_string()) {
            bail!("{} is {version}, not {}", python.display(), source.version);
        }
        stamp(&entry.join(COMPLETE))?;
    }
    step.done();
    existing_build_python(build, source).context("the build-python vanished: run again")
}

/// CPython's script for WASI builds, at its place in 3.15, 3.14 and 3.13.
fn wasi_script(tree: &Path) -> Result<PathBuf> {
    ["Platforms/WASI", "Tools/wasm/wasi", "Tools/wasm/wasi.py"]
        .map(|place| tree.join(place))
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| {
            format!(
                "{} has no build script for WASI: take CPython's full source",
                tree.display()
            )
        })
}

/// What CPython is compiled with and linked to.
pub(crate) struct Toolchain<'a> {
    pub(crate) native: &'a BuildPython,
    pub(crate) sdk: &'a Sdk,
    pub(crate) openssl: &'a OpenSsl,
    pub(crate) libraries: &'a Libraries,
}

fn wasm_key(build: &Build, with: &Toolchain<'_>) -> Result<Key> {
    Ok(KeyBuilder::new("wasm 3")
        .key("native", &with.native.key)
        .key("sdk", &with.sdk.key)
        .key("openssl", &with.openssl.key)
        .key("libraries", &with.libraries.key)
        .text("flags", &CONFIGURE_FLAGS.join(" "))
        .file(&build.checkout(SETUP))?
        .file(&build.checkout(SETUP_LIBRARIES))?
        .file(&build.checkout(CONFIG_SITE))?
        .tree(&build.checkout(HEADERS), |_| true)?
        .finish())
}

fn wasm_folder(entry: &Path) -> PathBuf {
    entry.join("cross-build").join(HOST_TRIPLE)
}

/// The build for WebAssembly, if it was built.
pub(crate) fn existing_wasm(build: &Build, with: &Toolchain<'_>) -> Result<Option<WasmBuild>> {
    let key = wasm_key(build, with)?;
    Ok(build.cache.completed(WASM, &key).map(|entry| WasmBuild {
        folder: wasm_folder(&entry),
        key,
    }))
}

/// Builds CPython for WebAssembly, with `library` in the python.wasm that its own build links.
/// Another library is linked by [`link`], so `library` is not an input of the result.
pub(crate) fn wasm(
    build: &Build,
    source: &Source,
    with: &Toolchain<'_>,
    library: &Path,
) -> Result<WasmBuild> {
    if let Some(found) = existing_wasm(build, with)? {
        let what = found.folder.display().to_string();
        build.progress.up_to_date(Stage::Wasm, &what);
        return Ok(found);
    }
    let key = wasm_key(build, with)?;
    let cache = &build.cache;
    let step = build.progress.begin(Stage::Wasm, WASM, &key, cache)?;
    apt::require(build, &step, &["make", "git", "tput"])?;
    let _lock = cache.lock(&Cache::lock_name(WASM, key.as_str()), &step)?;
    let entry = cache.entry(WASM, &key);
    let folder = wasm_folder(&entry);
    if cache.completed(WASM, &key).is_none() {
        copy_source(source, &entry)?;
        lend_build_python(build, with.native, &entry)?;
        fs::create_dir_all(folder.join("Modules"))?;
        if !entry.join(CONFIGURED).is_file() {
            let setup = [SETUP, SETUP_LIBRARIES].map(|file| read(&build.checkout(file)));
            let [own, libraries] = setup;
            let target = folder.join("Modules/Setup.local");
            fs::write(&target, format!("{}\n{}", own?, libraries?))
                .with_context(|| format!("cannot write {}", target.display()))?;
            let libraries = folder.join(LIBRARIES_COPY);
            tree::remove(&libraries)?;
            for from in [&with.libraries.folder, &with.openssl.folder] {
                tree::copy(from, &libraries, &|_| true)?;
            }
            let headers = folder.join(HEADERS_COPY);
            tree::remove(&headers)?;
            tree::copy(&build.checkout(HEADERS), &headers, &|_| true)?;
            extend_config_site(build, source, &entry)?;
        }
        tree::copy_file(library, &folder.join(guest::LIBRARY))?;
        run_wasi_script(build, &step, with, &entry)?;
        let has = |file: &str, what: &str| {
            let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
            text.contains(what)
        };
        if !has("Modules/config.c", "PyInit__wasisocket")
            || !has("pyconfig.h", "#define HAVE_SOCKETPAIR 1")
            || !has("Modules/config.c", "PyInit__ssl")
            || !folder.join("python.wasm").is_file()
        {
            bail!(
                "CPython's build in {} ended without a python.wasm that has _wasisocket, sockets and ssl",
                folder.display()
            );
        }
        stamp(&entry.join(COMPLETE))?;
    }
    step.done();
    Ok(WasmBuild { folder, key })
}

/// Puts the build-python where CPython's script looks for it in the tree `entry`.
fn lend_build_python(build: &Build, native: &BuildPython, entry: &Path) -> Result<()> {
    let cross = entry.join("cross-build");
    fs::create_dir_all(&cross)?;
    let guess = entry.join("config.guess");
    let triple = process::output(build.tool("sh").arg(guess))?;
    // 3.13 looks in the first, later versions in the second.
    for name in ["build", &triple] {
        let link = cross.join(name);
        tree::remove(&link)?;
        symlink(&native.folder, &link)
            .with_context(|| format!("cannot make the link {}", link.display()))?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Appends our lines to those that CPython's script has configure read. An interrupted build may have
/// done so before, so CPython's own come from the pristine source.
fn extend_config_site(build: &Build, source: &Source, entry: &Path) -> Result<()> {
    let file = config_site(&source.folder)?;
    let own = read(&source.folder.join(&file))?;
    let ours = read(&build.checkout(CONFIG_SITE))?;
    let target = entry.join(&file);
    // The copy is read-only if the original is.
    tree::remove(&target)?;
    fs::write(&target, format!("{own}\n{ours}"))
        .with_context(|| format!("cannot write {}", target.display()))
}

/// The file that CPython's script has configure read, below the tree: its place in 3.15 and before.
fn config_site(tree: &Path) -> Result<PathBuf> {
    ["Platforms/WASI", "Tools/wasm/wasi", "Tools/wasm"]
        .map(|place| Path::new(place).join("config.site-wasm32-wasi"))
        .into_iter()
        .find(|file| tree.join(file).is_file())
        .with_context(|| {
            format!(
                "{} has no config.site for WASI: take CPython's full source",
                tree.display()
            )
        })
}

fn run_wasi_script(build: &Build, step: &Step, with: &Toolchain<'_>, entry: &Path) -> Result<()> {
    let script = wasi_script(entry)?;
    let wasi = |subcommand: &str| {
        let mut wasi = build.tool(&with.native.python);
        wasi.arg(&script).arg(subcommand).current_dir(entry);
        wasi
    };
    if !entry.join(CONFIGURED).is_file() {
        let mut configure = wasi("configure-host");
        configure
            .arg("--wasi-sdk")
            .arg(&with.sdk.folder)
            // The script calls it after the build, to see the new python's version.
            .args(["--host-runner", "true", "--"])
            .args(CONFIGURE_FLAGS);
        process::run(step, &mut configure)?;
        stamp(&entry.join(CONFIGURED))?;
    }
    process::run(step, &mut wasi("make-host"))
}

/// Links a python.wasm with `library` and `flags` from what `wasm` compiled, to `target`.
pub(crate) fn link(
    build: &Build,
    step: &Step,
    wasm: &WasmBuild,
    library: &Path,
    flags: &[&str],
    target: &Path,
) -> Result<()> {
    let _lock = build
        .cache
        .lock(&Cache::lock_name(WASM, wasm.key.as_str()), step)?;
    let mut libraries = library.display().to_string();
    for flag in flags {
        libraries.push(' ');
        libraries.push_str(flag);
    }
    let target = target.display();
    let mut make = build.tool("make");
    make.arg(format!("BUILDPYTHON={target}"))
        .arg(format!("WASISOCKET_LIBS={libraries}"))
        .arg(target.to_string())
        .current_dir(&wasm.folder);
    process::run(step, &mut make)
}
