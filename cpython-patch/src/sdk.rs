//! The C toolchain for wasm32-wasip1, as one folder in the layout of a WASI SDK: the user's own,
//! one made of Debian packages, or a release archive.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, OtherSuite};
use crate::build::Build;
use crate::cache::{self, Key, KeyBuilder};
use crate::fetch;
use crate::pins::{Archive, WasiSdk};
use crate::process;
use crate::progress::{Stage, Step};

const NAME: &str = "sdk";

/// A usable SDK.
pub(crate) struct Sdk {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
    /// Which of the ways it came from, for people.
    pub(crate) origin: String,
}

impl Sdk {
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    pub(crate) fn sysroot(&self) -> PathBuf {
        self.folder.join("share/wasi-sysroot")
    }
}

/// What the installed Debian packages would make.
struct DebianSdk {
    key: Key,
    clang: String,
}

/// What the pinned release archive for this machine would make.
struct ReleaseSdk<'a> {
    key: Key,
    archive: &'a Archive,
}

impl DebianSdk {
    fn found(build: &Build) -> Option<Self> {
        let llvm = &build.pins.llvm;
        if !Path::new(&llvm.prefix).join(&llvm.builtins).is_file() {
            return None;
        }
        let mut clang = Command::new(llvm_tool(build, "clang"));
        let version = process::output(clang.arg("--version")).ok()?;
        Some(Self {
            key: KeyBuilder::new("debian sdk 1")
                .text("clang", &version)
                .text("target", &llvm.target)
                .text("wasi-libc", &build.pins.wasi_libc.sha256)
                .finish(),
            clang: version.lines().next().unwrap_or_default().to_owned(),
        })
    }

    fn at(self, folder: PathBuf, build: &Build) -> Sdk {
        let libc = &build.pins.wasi_libc.version;
        Sdk {
            folder,
            key: self.key,
            origin: format!("{}, wasi-libc {libc}", self.clang),
        }
    }
}

impl<'a> ReleaseSdk<'a> {
    fn pinned(build: &'a Build) -> Option<Self> {
        let platform = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
        let archive = build.pins.wasi_sdk.archives.get(&platform)?;
        let key = KeyBuilder::new("release sdk 1")
            .text("archive", &archive.sha256)
            .finish();
        Some(Self { key, archive })
    }

    fn at(self, folder: PathBuf) -> Sdk {
        Sdk {
            folder,
            key: self.key,
            origin: format!("release archive {}", self.archive.file),
        }
    }
}

/// Finds or makes the SDK.
pub(crate) fn ensure(build: &Build) -> Result<Sdk> {
    if let Some(sdk) = existing(build)? {
        build.progress.up_to_date(Stage::Sdk, &sdk.origin);
        return Ok(sdk);
    }
    let name = KeyBuilder::new("sdk log").finish();
    let step = build
        .progress
        .begin(Stage::Sdk, NAME, &name, &build.cache)?;
    let sdk = match from_debian(build, &step) {
        Ok(sdk) => sdk,
        Err(debian) => {
            step.note(&format!("not from Debian packages: {debian:#}"));
            from_release(build, &step).with_context(|| {
                format!(
                    "no C toolchain for wasm32-wasip1: give a WASI SDK {} or later with \
                     --wasi-sdk DIR, or make one of these possible.\n\
                     Debian packages: {debian:#}\nThe release archive",
                    build.pins.wasi_sdk.minimum
                )
            })?
        }
    };
    step.note(&format!("using {}", sdk.origin));
    step.done();
    Ok(sdk)
}

/// The user's SDK, or one made before. Changes nothing.
pub(crate) fn existing(build: &Build) -> Result<Option<Sdk>> {
    if let Some(folder) = build.options.wasi_sdk() {
        return given(build, folder).map(Some);
    }
    if let Some(sdk) = DebianSdk::found(build)
        && let Some(folder) = build.cache.published(NAME, &sdk.key)
    {
        return Ok(Some(sdk.at(folder, build)));
    }
    if let Some(sdk) = ReleaseSdk::pinned(build)
        && let Some(folder) = build.cache.published(NAME, &sdk.key)
    {
        return Ok(Some(sdk.at(folder)));
    }
    Ok(None)
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
            "{} is no WASI SDK: cannot read its file VERSION",
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

fn from_debian(build: &Build, step: &Step) -> Result<Sdk> {
    OtherSuite::mirror(build)?;
    let missing = ["clang", "wasm-ld", "llvm-ar", "llvm-strip"]
        .iter()
        .any(|tool| !llvm_tool(build, tool).is_file());
    if missing || DebianSdk::found(build).is_none() {
        let why = format!("no clang for WebAssembly in {}", build.pins.llvm.prefix);
        apt::install(build, step, &build.pins.llvm.packages, &why)?;
    }
    let sdk = DebianSdk::found(build).with_context(|| {
        format!(
            "{} has no builtins for wasm32 after installing its packages",
            build.pins.llvm.prefix
        )
    })?;
    let folder = build.cache.publish(NAME, &sdk.key, step, |folder| {
        let package = wasi_libc(build, step)?;
        apt::unpack(step, &package, &folder.join("sysroot"))?;
        lay_out(build, folder).context("cannot lay out the SDK's folder")
    })?;
    Ok(sdk.at(folder, build))
}

/// The pinned .deb of wasi-libc.
fn wasi_libc(build: &Build, step: &Step) -> Result<PathBuf> {
    let pin = &build.pins.wasi_libc;
    let _lock = build.cache.lock("downloads", step)?;
    let downloads = build.cache.folder("downloads")?;
    if let Some(path) = fetch::present(&downloads, &pin.file, &pin.sha256)? {
        return Ok(path);
    }
    let suite = OtherSuite::open(build, step)?;
    let scratch = build.cache.folder("apt/packages")?;
    suite
        .package(step, &format!("{}={}", pin.package, pin.version), &scratch)
        .with_context(|| {
            format!(
                "the mirror does not have {} {} in suite {}. If Debian replaced it, put the new \
                 version, file name and checksum into cpython-patch/pins.toml; or use a WASI SDK",
                pin.package, pin.version, pin.suite
            )
        })?;
    // apt writes an epoch's colon as %3a; this package has none.
    let target = downloads.join(&pin.file);
    fetch::accept(&scratch.join(&pin.file), &target, &pin.sha256)?;
    Ok(target)
}

/// Makes `folder`, which has the sysroot's package unpacked in it, look like a WASI SDK.
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
    for (name, tool) in [
        ("ar", "llvm-ar"),
        ("llvm-ar", "llvm-ar"),
        ("llvm-nm", "llvm-nm"),
        ("llvm-objcopy", "llvm-objcopy"),
        ("llvm-ranlib", "llvm-ranlib"),
        ("llvm-strip", "llvm-strip"),
        ("nm", "llvm-nm"),
        ("ranlib", "llvm-ranlib"),
        ("strip", "llvm-strip"),
        ("wasm-ld", "wasm-ld"),
    ] {
        symlink(llvm_tool(build, tool), bin.join(name))?;
    }
    let share = folder.join("share");
    fs::create_dir_all(&share)?;
    symlink("../sysroot/usr", share.join("wasi-sysroot"))?;
    Ok(())
}

fn from_release(build: &Build, step: &Step) -> Result<Sdk> {
    let pins = &build.pins.wasi_sdk;
    let Some(sdk) = ReleaseSdk::pinned(build) else {
        bail!(
            "WASI SDK {} has no release archive for {} on {}",
            pins.version,
            std::env::consts::OS,
            std::env::consts::ARCH
        );
    };
    let archive = sdk.archive;
    let folder = build.cache.publish(NAME, &sdk.key, step, |folder| {
        let _lock = build.cache.lock("downloads", step)?;
        let downloads = build.cache.folder("downloads")?;
        let path = match fetch::present(&downloads, &archive.file, &archive.sha256)? {
            Some(path) => path,
            None => {
                let path = downloads.join(&archive.file);
                step.note(&format!("downloading {}", archive.file));
                let url = format!("{}/{}", pins.url, archive.file);
                fetch::download(step, &url, &path, &archive.sha256)?;
                path
            }
        };
        fetch::unpack(step, &path, folder)
    })?;
    Ok(sdk.at(folder))
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
