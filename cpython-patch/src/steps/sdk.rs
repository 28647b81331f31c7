//! The C toolchain for wasm32-wasip1, as a folder in the layout of a WASI SDK: the user's own, one made
//! from Debian packages, or a release archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, OtherSuite};
use crate::build::{Build, path_of};
use crate::cache::{self, Key, KeyBuilder};
use crate::fetch;
use crate::pins::{Archive, WasiSdk};
use crate::process;
use crate::progress::Running;
use crate::steps::{Entry, Job, Step};
use crate::tasks::doctor::{Report, State};

/// A usable SDK.
pub(crate) struct Sdk {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
    /// The origin, for users.
    origin: String,
}

impl Sdk {
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    pub(crate) fn sysroot(&self) -> PathBuf {
        self.folder.join("share/wasi-sysroot")
    }
}

/// Where the SDK comes from.
enum Origin<'a> {
    Given(Sdk),
    /// The installed Debian packages, and the downloaded one of wasi-libc.
    Debian {
        key: Key,
        clang: String,
    },
    /// The pinned release archive for this machine.
    Release {
        key: Key,
        archive: &'a Archive,
    },
}

/// The key and the version of Debian's clang for WebAssembly, if it is installed.
fn debian_clang(build: &Build) -> Option<(Key, String)> {
    let llvm = &build.pins.llvm;
    if !Path::new(&llvm.prefix).join(&llvm.builtins).is_file() {
        return None;
    }
    let version = process::output(Command::new(llvm_tool(build, "clang")).arg("--version")).ok()?;
    let key = KeyBuilder::new("debian sdk 2")
        .text("clang", &version)
        .text("target", &llvm.target)
        .text("wasi-libc", &build.pins.wasi_libc.sha256)
        .finish();
    Some((key, version.lines().next().unwrap_or_default().to_owned()))
}

fn release_archive(build: &Build) -> Option<&Archive> {
    let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    build.pins.wasi_sdk.archives.get(&platform)
}

impl<'a> Origin<'a> {
    /// The origin that can be used without downloading or installing anything.
    fn find(build: &'a Build) -> Result<Option<Self>> {
        if let Some(folder) = path_of(&build.options.wasi_sdk) {
            return given(build, folder).map(|sdk| Some(Self::Given(sdk)));
        }
        let downloads = build.cache.root().join("downloads");
        let usable = |key: &Key, file: &str| {
            build.cache.result(Sdk::NAME, key, false).is_some() || downloads.join(file).is_file()
        };
        if let Some((key, clang)) = debian_clang(build)
            && usable(&key, &build.pins.wasi_libc.file)
        {
            return Ok(Some(Self::Debian { key, clang }));
        }
        if let Some(archive) = release_archive(build) {
            let key = KeyBuilder::new("release sdk 1").text("archive", &archive.sha256);
            let key = key.finish();
            if usable(&key, &archive.file) {
                return Ok(Some(Self::Release { key, archive }));
            }
        }
        Ok(None)
    }

    /// Like [`Self::find`], after [`Sdk::prepare`] succeeded.
    fn prepared(build: &'a Build) -> Result<Self> {
        Self::find(build)?.context("no C toolchain")
    }
}

impl Step for Sdk {
    const NAME: &'static str = "sdk";
    const TITLE: &'static str = "WASI SDK";
    const HELP: Option<&'static str> = Some("Find or make the C toolchain, and print its folder");
    type Inputs = ();

    fn keys(build: &Build, (): &()) -> Result<Option<Vec<Key>>> {
        Ok(Origin::find(build)?.map(|origin| match origin {
            Origin::Given(_) => Vec::new(),
            Origin::Debian { key, .. } | Origin::Release { key, .. } => vec![key],
        }))
    }

    fn prepare(build: &Build, running: &Running, (): &()) -> Result<()> {
        let Err(debian) = prepare_debian(build, running) else {
            return Ok(());
        };
        running.note(&format!("not from Debian packages: {debian:#}"));
        prepare_release(build, running).with_context(|| {
            format!(
                "no C toolchain for wasm32-wasip1: give a WASI SDK {} or later with \
                 --wasi-sdk DIR, or make one of these possible.\n\
                 Debian packages: {debian:#}\nThe release archive",
                build.pins.wasi_sdk.minimum
            )
        })
    }

    fn make(job: &Job<'_>, (): &()) -> Result<()> {
        let Job { build, running, .. } = *job;
        let folder = job.folder;
        match Origin::prepared(build)? {
            Origin::Given(_) => Ok(()),
            Origin::Debian { .. } => {
                let package = download_wasi_libc(build, running)?;
                apt::unpack(running, &package, &folder.join("sysroot"))?;
                lay_out(build, folder).context("cannot lay out the SDK's folder")
            }
            Origin::Release { archive, .. } => {
                let path = download_release(build, running, archive)?;
                fetch::unpack(running, &path, folder)
            }
        }
    }

    fn open(build: &Build, (): &(), entries: Vec<Entry>) -> Result<Self> {
        let origin = match Origin::prepared(build)? {
            Origin::Given(sdk) => return Ok(sdk),
            Origin::Debian { clang, .. } => {
                format!("{clang}, wasi-libc {}", build.pins.wasi_libc.version)
            }
            Origin::Release { archive, .. } => format!("release archive {}", archive.file),
        };
        let Entry { folder, key } = super::only(entries)?;
        Ok(Self {
            folder,
            key,
            origin,
        })
    }

    fn describe(&self) -> String {
        self.origin.clone()
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }

    fn doctor(build: &Build, report: &mut Report) {
        if matches!(build.existing::<Self>(), Ok(None)) {
            report.row(Self::TITLE, &State::ToDo, &future_origin(build));
        } else {
            report.step::<Self>(build);
        }
    }
}

/// Where a build will get the SDK from.
fn future_origin(build: &Build) -> String {
    let llvm = &build.pins.llvm;
    let archive = format!("the release archive from {}", build.pins.wasi_sdk.url);
    match OtherSuite::mirror(build) {
        Ok(mirror) if debian_clang(build).is_some() || apt::may_install(build) => {
            let package = &build.pins.wasi_libc.package;
            format!("Debian packages, {package} from {mirror}")
        }
        Ok(_) => format!(
            "{archive}; or, as root:\napt-get install -y --no-install-recommends {}",
            llvm.packages.join(" ")
        ),
        Err(error) => format!("{archive} ({error})"),
    }
}

fn given(build: &Build, folder: &Path) -> Result<Sdk> {
    let folder = folder
        .canonicalize()
        .with_context(|| format!("cannot find the WASI SDK {}", folder.display()))?;
    if !cache::is_plain(&folder) {
        bail!(
            "the path {} has a character that CPython's build cannot handle: move the WASI SDK",
            folder.display()
        );
    }
    let file = folder.join("VERSION");
    let text = fs::read_to_string(&file).with_context(|| {
        format!(
            "{} is not a WASI SDK: cannot read its file VERSION",
            folder.display()
        )
    })?;
    let version = accepted_version(&text, &build.pins.wasi_sdk)?;
    let sdk = Sdk {
        key: KeyBuilder::new("given sdk 1")
            .path("folder", &folder)
            .file(&file)?
            .finish(),
        origin: format!("WASI SDK {version} in {}", folder.display()),
        folder,
    };
    for tool in ["clang", "llvm-ar", "llvm-strip"] {
        if !sdk.tool(tool).is_file() {
            bail!("{} has no bin/{tool}", sdk.folder.display());
        }
    }
    Ok(sdk)
}

/// The version that a WASI SDK's file VERSION names, unless CPython is known not to work with it.
fn accepted_version(text: &str, pins: &WasiSdk) -> Result<String> {
    let line = text.lines().next().unwrap_or_default().trim();
    let version = line.trim_start_matches(|c: char| !c.is_ascii_digit());
    let major: u32 = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .with_context(|| format!("cannot read a WASI SDK's version from {line:?}"))?;
    if major < pins.minimum {
        bail!(
            "WASI SDK {version} is too old: {} or later is needed",
            pins.minimum
        );
    }
    if pins.refused.contains(&major) {
        bail!(
            "WASI SDK {version} cannot be used: {}. Take version {}",
            pins.refused_reason,
            pins.version
        );
    }
    Ok(version.to_owned())
}

fn llvm_tool(build: &Build, name: &str) -> PathBuf {
    Path::new(&build.pins.llvm.prefix).join("bin").join(name)
}

/// Installs Debian's clang and downloads its wasi-libc.
fn prepare_debian(build: &Build, running: &Running) -> Result<()> {
    OtherSuite::mirror(build)?;
    let prefix = &build.pins.llvm.prefix;
    let missing = ["clang", "wasm-ld", "llvm-ar", "llvm-strip"]
        .iter()
        .any(|tool| !llvm_tool(build, tool).is_file());
    if missing || debian_clang(build).is_none() {
        let why = format!("no clang for WebAssembly in {prefix}");
        apt::install(build, running, &build.pins.llvm.packages, &why)?;
    }
    debian_clang(build).with_context(|| {
        format!("{prefix} has no builtins for wasm32 after installing its packages")
    })?;
    download_wasi_libc(build, running).map(drop)
}

/// The pinned .deb of wasi-libc.
fn download_wasi_libc(build: &Build, running: &Running) -> Result<PathBuf> {
    let pin = &build.pins.wasi_libc;
    fetch::cached(build, running, &pin.file, &pin.sha256, |target| {
        let suite = OtherSuite::open(build, running)?;
        let scratch = build.cache.folder("apt/packages")?;
        let package = format!("{}={}", pin.package, pin.version);
        let downloaded = suite.package(running, &package, &scratch);
        downloaded.with_context(|| {
            format!(
                "the mirror does not have {} {} in suite {}. If Debian replaced it, put the new \
                 version, file name and checksum into cpython-patch/pins.toml; or use a WASI SDK",
                pin.package, pin.version, pin.suite
            )
        })?;
        // apt writes an epoch's colon as %3a; this package has none.
        fetch::accept(&scratch.join(&pin.file), target, &pin.sha256)
    })
}

/// Gives `folder`, in which the sysroot's package is unpacked, the layout of a WASI SDK.
fn lay_out(build: &Build, folder: &Path) -> Result<()> {
    let bin = folder.join("bin");
    fs::create_dir_all(&bin)?;
    // A WASI SDK's compilers have the target as their default.
    for compiler in ["clang", "clang++", "clang-cpp"] {
        let path = bin.join(compiler);
        let script = format!(
            "#!/bin/sh\nexec {} --target={} \"$@\"\n",
            llvm_tool(build, compiler).display(),
            build.pins.llvm.target
        );
        fs::write(&path, script)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    for name in ["ar", "nm", "ranlib", "strip"] {
        let tool = format!("llvm-{name}");
        symlink(llvm_tool(build, &tool), bin.join(name))?;
        symlink(llvm_tool(build, &tool), bin.join(tool))?;
    }
    for name in ["llvm-objcopy", "llvm-profdata", "wasm-ld"] {
        symlink(llvm_tool(build, name), bin.join(name))?;
    }
    let share = folder.join("share");
    fs::create_dir_all(&share)?;
    symlink("../sysroot/usr", share.join("wasi-sysroot"))?;
    Ok(())
}

fn prepare_release(build: &Build, running: &Running) -> Result<()> {
    let Some(archive) = release_archive(build) else {
        bail!(
            "WASI SDK {} has no release archive for {} on {}",
            build.pins.wasi_sdk.version,
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    };
    download_release(build, running, archive).map(drop)
}

fn download_release(build: &Build, running: &Running, archive: &Archive) -> Result<PathBuf> {
    let Archive { file, sha256 } = archive;
    fetch::cached(build, running, file, sha256, |target| {
        running.note(&format!("downloading {file}"));
        let url = format!("{}/{file}", build.pins.wasi_sdk.url);
        fetch::download(running, &url, target, sha256)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pins::Pins;

    fn check(text: &str) -> Result<String> {
        accepted_version(text, &Pins::load().unwrap().wasi_sdk)
    }

    #[test]
    fn sdk_24_25_and_later_unlisted_versions_are_accepted() {
        assert_eq!(check("24.0\nwasi-libc: b9ef79d7dbd4\n").unwrap(), "24.0");
        assert_eq!(check("wasi-sdk-25.0+m\n").unwrap(), "25.0+m");
        assert_eq!(check("28.1").unwrap(), "28.1");
    }

    #[test]
    fn sdk_that_is_old_or_hangs_cpython_is_refused_with_the_reason() {
        assert!(check("23.0").unwrap_err().to_string().contains("too old"));
        for version in ["26.0", "27.0"] {
            let text = check(version).unwrap_err().to_string();
            assert!(text.contains("hangs") && text.contains("25.0"), "{text}");
        }
        assert!(check("").is_err());
    }
}
