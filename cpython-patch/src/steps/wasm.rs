//! CPython's build for wasm32-wasip1, by CPython's own script. Its objects are linked again whenever
//! libwasisocket.a changes.
//!
//! The build records absolute paths, so it is made in place. An interrupted build continues where it
//! stopped: stamp files mark the parts that are done.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::build::Build;
use crate::cache::{Cache, Key, KeyBuilder};
use crate::process;
use crate::progress::Running;
use crate::steps::build_python::{BuildPython, CONFIGURE_FLAGS, CONFIGURED, copy_source};
use crate::steps::guest::{self, Guest};
use crate::steps::libraries::Libraries;
use crate::steps::sdk::Sdk;
use crate::steps::source::Source;
use crate::steps::{Entry, Job, Step, profile};
use crate::tree;

/// The folder in which CPython's script builds for WebAssembly.
const HOST_TRIPLE: &str = "wasm32-wasip1";

/// What CPython is built with besides its own source. README.md describes the same for builds by hand.
const SETUP: [&str; 2] = ["cpython-patch/Setup.local", "cpython-patch/Setup.libraries"];
const CONFIG_SITE: &str = "cpython-patch/config.site";
const OPTIMIZE: &str = "cpython-patch/optimize.mk";
pub(crate) const HEADERS: &str = "cpython-patch/include";
const MODULES: &str = "cpython-patch/Modules";

/// The folder in which `config.site` expects the headers, relative to the folder that configure runs in.
const HEADERS_COPY: &str = "wasisocket-include";

/// The folder in which `Setup.libraries` expects the C libraries, relative to the same folder.
const LIBRARIES_COPY: &str = "wasisocket-libraries";

/// CPython's build for WebAssembly.
pub(crate) struct Wasm {
    /// The folder in which make runs.
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

fn folder(entry: &Path) -> PathBuf {
    entry.join("cross-build").join(HOST_TRIPLE)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

impl Step for Wasm {
    const NAME: &'static str = "wasm";
    const TITLE: &'static str = "CPython for wasm32-wasip1";
    const IN_PLACE: bool = true;
    type Inputs = (Arc<Source>, Arc<BuildPython>, Arc<Sdk>, Arc<Libraries>);

    fn keys(build: &Build, (_, native, sdk, libraries): &Self::Inputs) -> Result<Option<Vec<Key>>> {
        let mut key = KeyBuilder::new("wasm 5")
            .key("native", &native.key)
            .key("sdk", &sdk.key);
        for library in &libraries.0 {
            key = key.key(&library.name, &library.key);
        }
        key = key.text("flags", &CONFIGURE_FLAGS.join(" "));
        for setup in SETUP {
            key = key.file(&build.checkout(setup))?;
        }
        let key = key
            .file(&build.checkout(CONFIG_SITE))?
            .file(&build.checkout(OPTIMIZE))?
            .file(&build.checkout(profile::COUNTS))?
            .tree(&build.checkout(HEADERS), |_| true)?
            .tree(&build.checkout(MODULES), |_| true)?;
        Ok(Some(vec![key.finish()]))
    }

    fn make(job: &Job<'_>, inputs: &Self::Inputs) -> Result<()> {
        let Job { build, running, .. } = *job;
        let (source, native, sdk, libraries) = inputs;
        let folder = folder(job.folder);
        apt::require(build, running, &["make", "git", "tput"])?;
        copy_source(source, job.folder)?;
        link_build_python(build, native, job.folder)?;
        fs::create_dir_all(folder.join("Modules"))?;
        if !job.folder.join(CONFIGURED).is_file() {
            let [own, libraries_setup] = SETUP.map(|file| read(&build.checkout(file)));
            let target = folder.join("Modules/Setup.local");
            fs::write(&target, format!("{}\n{}", own?, libraries_setup?))
                .with_context(|| format!("cannot write {}", target.display()))?;
            let copies = folder.join(LIBRARIES_COPY);
            tree::remove(&copies)?;
            for library in &libraries.0 {
                tree::copy(&library.folder, &copies, &|_| true)?;
            }
            let headers = folder.join(HEADERS_COPY);
            tree::remove(&headers)?;
            tree::copy(&build.checkout(HEADERS), &headers, &|_| true)?;
            tree::copy(
                &build.checkout(MODULES),
                &job.folder.join("Modules"),
                &|_| true,
            )?;
            extend_config_site(build, source, job.folder)?;
        }
        // The library is not an input of the result: `link` links the one that is wanted.
        let guest = build.ensure::<Guest>()?;
        tree::copy_file(&guest.default, &folder.join(guest::LIBRARY))?;
        run_wasi_script(job, native, sdk)?;
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
        Ok(())
    }

    fn open(_: &Build, _: &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        let entry = super::only(entries)?;
        Ok(Self {
            folder: folder(&entry.folder),
            key: entry.key,
        })
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

/// Links the build-python to where CPython's script looks for it in the tree `entry`.
fn link_build_python(build: &Build, native: &BuildPython, entry: &Path) -> Result<()> {
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

/// Appends our lines to the file that CPython's script passes to configure. An interrupted build may have
/// done so before, so CPython's own lines come from the pristine source.
fn extend_config_site(build: &Build, source: &Source, entry: &Path) -> Result<()> {
    let file = find(
        &source.folder,
        &[
            "Platforms/WASI/config.site-wasm32-wasi",
            "Tools/wasm/wasi/config.site-wasm32-wasi",
            "Tools/wasm/config.site-wasm32-wasi",
        ],
    )?;
    let cpython = read(&source.folder.join(file))?;
    let ours = read(&build.checkout(CONFIG_SITE))?;
    let target = entry.join(file);
    // The copy is read-only if the original is.
    tree::remove(&target)?;
    fs::write(&target, format!("{cpython}\n{ours}"))
        .with_context(|| format!("cannot write {}", target.display()))
}

/// The first of `places` that exists below `tree`: CPython 3.15, 3.14 and 3.13 differ.
fn find<'a>(tree: &Path, places: &[&'a str]) -> Result<&'a str> {
    let found = places.iter().find(|place| tree.join(place).exists());
    found.copied().with_context(|| {
        format!(
            "{} has no {}: use CPython's full source",
            tree.display(),
            places.join(" or ")
        )
    })
}

fn run_wasi_script(job: &Job<'_>, native: &BuildPython, sdk: &Sdk) -> Result<()> {
    let entry = job.folder;
    let script = find(
        entry,
        &["Platforms/WASI", "Tools/wasm/wasi", "Tools/wasm/wasi.py"],
    )?;
    let wasi = |subcommand: &str| {
        let mut wasi = job.build.tool(&native.python);
        wasi.arg(entry.join(script))
            .arg(subcommand)
            .current_dir(entry);
        wasi
    };
    if !entry.join(CONFIGURED).is_file() {
        let mut configure = wasi("configure-host");
        configure
            .arg("--wasi-sdk")
            .arg(&sdk.folder)
            // The script calls the host runner after the build, to print the new python's version.
            .args(["--host-runner", "true", "--"])
            .args(CONFIGURE_FLAGS);
        process::run(job.running, &mut configure)?;
        let folder = folder(entry);
        profile::install(job.build, job.running, sdk, &folder)?;
        let makefile = folder.join("Makefile");
        let lines = read(&makefile)? + "\n" + &read(&job.build.checkout(OPTIMIZE))?;
        fs::write(&makefile, lines)?;
        tree::stamp(&entry.join(CONFIGURED))?;
    }
    process::run(job.running, &mut wasi("make-host"))
}

impl Wasm {
    /// Copies all but what was compiled, so that it can be compiled in another way. The result is the copy in which
    /// make runs.
    pub(crate) fn copy(&self, build: &Build, running: &Running, to: &Path) -> Result<PathBuf> {
        let lock = Cache::lock_name(Self::NAME, self.key.as_str());
        let _lock = build.cache.lock(&lock, running)?;
        let entry = build.cache.entry(Self::NAME, &self.key);
        let is_object = |path: &Path| path.extension() == Some("o".as_ref());
        tree::remove(to)?;
        tree::copy_folders(&entry, to)?;
        tree::copy(&entry, to, &|path| !is_object(path))?;
        Ok(folder(to))
    }

    /// Compiles a file in C to the object `target`, as CPython's own are compiled.
    pub(crate) fn compile(
        &self,
        build: &Build,
        running: &Running,
        source: &Path,
        target: &Path,
    ) -> Result<()> {
        let lock = Cache::lock_name(Self::NAME, self.key.as_str());
        let _lock = build.cache.lock(&lock, running)?;
        let name = Path::new(source.file_name().context("no file")?);
        let object = self.folder.join(name).with_extension("o");
        // Another checkout's may be newer.
        tree::remove(&object)?;
        tree::copy_file(source, &self.folder.join(name))?;
        let mut make = build.tool("make");
        make.arg(name.with_extension("o")).current_dir(&self.folder);
        process::run(running, &mut make)?;
        tree::copy_file(&object, target)
    }

    /// Links a python.wasm with `library` and `flags` to `target`.
    pub(crate) fn link(
        &self,
        build: &Build,
        running: &Running,
        library: &Path,
        flags: &[&str],
        target: &Path,
    ) -> Result<()> {
        let lock = Cache::lock_name(Self::NAME, self.key.as_str());
        let _lock = build.cache.lock(&lock, running)?;
        let (library, flags, target) = (library.display(), flags.join(" "), target.display());
        let mut make = build.tool("make");
        make.arg(format!("BUILDPYTHON={target}"))
            .arg(format!("WASISOCKET_LIBS={library} {flags}"))
            .arg(target.to_string())
            .current_dir(&self.folder);
        process::run(running, &mut make)
    }
}
