//! Recipes: data files that describe how one C library is built for the guest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::metadata::Metadata;
use crate::pins::Release;
use crate::process;
use crate::progress::Running;
use crate::steps::Job;
use crate::steps::sdk::Sdk;
use crate::steps::wasm::HEADERS;
use crate::tree;
use crate::upstream::Upstream;

/// The folder of the recipes.
pub(crate) const FOLDER: &str = "cpython-patch/libraries";

/// The folder of bitcode in a library's result.
const BITCODE: &str = "bitcode";

/// Stands for [`HEADERS`] in flags.
const OUR_HEADERS: &str = "{headers}";

/// Flags of every library that [`Compile`] describes: CPython's own.
const FLAGS: &[&str] = &[
    "-O3",
    "-DNDEBUG",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-w",
];

/// One file of [`FOLDER`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recipe {
    /// The library's name, also in `--name DIR|TARBALL` if it has a release.
    pub(crate) name: String,
    /// SPDX expression, or words.
    pub(crate) licence: String,
    /// Relative to the source.
    licence_file: String,
    /// A header below `include/` and the macro in it that expands to the version as a string.
    version: Option<[String; 2]>,
    source: Source,
    /// Files and extensions of files that a build leaves in the source: ignored in a user's tree.
    #[serde(default)]
    products: Vec<PathBuf>,
    #[serde(default)]
    product_extensions: Vec<String>,
    build: How,
}

/// Where the source comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    /// A package of the registry that contains it: a dependency of libraries/Cargo.toml, pinned by
    /// Cargo.lock. Only the C files are used.
    Package(String),
    /// A release archive.
    Release(Release),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Compile(Compile),
    Configure(Configure),
}

/// Calls the compiler directly. Paths are relative to the source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compile {
    /// `z` for libz.a.
    archive: String,
    /// C files, and folders of which all C files are compiled.
    sources: Vec<String>,
    /// Files in those folders that are separate programs, or are not used in this configuration.
    #[serde(default)]
    left_out: Vec<String>,
    /// C files of ours, relative to [`FOLDER`].
    #[serde(default)]
    ours: Vec<String>,
    #[serde(default)]
    include: Vec<String>,
    /// `{headers}` is the folder of our C headers.
    #[serde(default)]
    flags: Vec<String>,
    /// Headers and folders of headers, for CPython.
    headers: Vec<String>,
}

/// Runs the project's own configure script, with CC, AR and RANLIB in its environment, and make.
///
/// In arguments, `{recipes}` is [`FOLDER`], `{headers}` the folder of our C headers, `{result}` the folder
/// for include/ and lib/, `{jobs}` the number of processors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configure {
    /// Commands that must exist.
    tools: Vec<String>,
    /// Other files that it reads, relative to [`FOLDER`].
    files: Vec<String>,
    /// Files of ours, relative to [`FOLDER`], by their places in the source. A file that is there already stays
    /// beside it as `upstream_NAME`, for ours to include.
    #[serde(default)]
    replaced: BTreeMap<PathBuf, PathBuf>,
    configure: Vec<String>,
    bitcode: Option<Bitcode>,
    /// Files of the source that our tests read.
    #[serde(default)]
    test_data: Vec<PathBuf>,
    /// The arguments of each call of make.
    make: Vec<Vec<String>>,
}

/// What is compiled a second time, as LLVM bitcode: for [`Wide`](super::wide::Wide).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bitcode {
    /// Folders of the source: all their objects.
    folders: Vec<PathBuf>,
    /// In place of the compiler's flags for optimisation.
    flags: String,
    /// Modules of ours in LLVM's assembly language, relative to [`FOLDER`].
    ours: Vec<PathBuf>,
    /// Headers of ours that the flags name, relative to [`FOLDER`].
    headers: Vec<PathBuf>,
}

impl Recipe {
    /// All recipes of the checkout, sorted by file name.
    pub(crate) fn all(build: &Build) -> Result<Vec<Self>> {
        let folder = build.checkout(FOLDER);
        let mut recipes = Vec::new();
        for file in tree::files(&folder, &|path| path.iter().count() == 1)? {
            let is_recipe = file.extension() == Some("toml".as_ref());
            if is_recipe && file != Path::new("Cargo.toml") {
                let path = folder.join(file);
                let text = fs::read_to_string(&path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                recipes.push(toml::from_str(&text).with_context(|| path.display().to_string())?);
            }
        }
        Ok(recipes)
    }

    /// `locked` is what Cargo.lock says about packages.
    pub(crate) fn key(&self, build: &Build, sdk: &Sdk, locked: &toml::Table) -> Result<Key> {
        let mut key = KeyBuilder::new("library 1")
            .key("sdk", &sdk.key)
            .text("recipe", &format!("{self:?}"));
        key = match &self.source {
            Source::Package(package) => key.text("source", &lock_entry(locked, package)?),
            Source::Release(_) => key.key("source", &self.source_key(build)?),
        };
        let files = match &self.build {
            How::Compile(compile) => {
                key = key.text("flags", &FLAGS.join(" "));
                if compile.flags.iter().any(|flag| flag.contains(OUR_HEADERS)) {
                    key = key.tree(&build.checkout(HEADERS), |_| true)?;
                }
                &compile.ours
            }
            How::Configure(configure) => {
                key = key.tree(&build.checkout(HEADERS), |_| true)?;
                let bitcode = configure.bitcode.iter();
                let ours = bitcode.flat_map(|bitcode| bitcode.ours.iter().chain(&bitcode.headers));
                for file in configure.replaced.values().chain(ours) {
                    key = key.file(&build.checkout(FOLDER).join(file))?;
                }
                &configure.files
            }
        };
        for file in files {
            key = key.file(&build.checkout(FOLDER).join(file))?;
        }
        Ok(key.finish())
    }

    /// The version of the library built in `folder`, where its headers name it.
    pub(crate) fn version_in(&self, folder: &Path) -> Result<Option<String>> {
        let Some([header, name]) = &self.version else {
            return Ok(None);
        };
        let path = folder.join("include").join(header);
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        let version = defined_string(&text, name)
            .with_context(|| format!("no {name} in {}", path.display()))?;
        Ok(Some(version.to_owned()))
    }

    /// Builds the library: include/, lib/ and licences/; bitcode/ and test-data/ if there is any.
    pub(crate) fn make(&self, job: &Job<'_>, sdk: &Sdk, packages: &Metadata) -> Result<()> {
        // The result has only what CPython needs; source and objects would be 30 times as large.
        let scratch = job.folder.join("scratch");
        fs::create_dir_all(&scratch)?;
        let source = match &self.source {
            Source::Package(package) => packages.package(package)?.folder()?.to_owned(),
            Source::Release(_) => {
                let folder = scratch.join("source");
                self.unpack(job.build, job.running, &folder)?;
                folder
            }
        };
        job.running.note(&format!("building {}", self.name));
        match &self.build {
            How::Compile(compile) => compile.make(job, sdk, &source, &scratch),
            How::Configure(configure) => configure.make(job, sdk, &source),
        }
        .with_context(|| format!("cannot build {}", self.name))?;
        let licence = source.join(&self.licence_file);
        tree::copy_file(&licence, &job.folder.join("licences").join(&self.name))?;
        tree::remove(&scratch)
    }

    /// Names the source of a library that has a release.
    pub(crate) fn source_key(&self, build: &Build) -> Result<Key> {
        self.upstream(build, |upstream| Ok(upstream.input()?.key("source")))
    }

    /// Unpacks or copies the source of a library that has a release.
    pub(crate) fn unpack(&self, build: &Build, running: &Running, folder: &Path) -> Result<()> {
        self.upstream(build, |upstream| {
            upstream.unpack(build, running, &upstream.input()?, folder)
        })
    }

    /// Calls `with` with the project of a library that has a release.
    fn upstream<T>(
        &self,
        build: &Build,
        with: impl FnOnce(&Upstream<'_>) -> Result<T>,
    ) -> Result<T> {
        let Source::Release(pin) = &self.source else {
            bail!("{} has no release", self.name);
        };
        let is_source = |path: &Path| {
            let is_product = |extension: &String| path.extension() == Some(extension.as_ref());
            !self.products.iter().any(|product| path == product)
                && !self.product_extensions.iter().any(is_product)
        };
        with(&Upstream {
            pin,
            option: &format!("--{}", self.name),
            given: build.options.library(&self.name),
            is_source: &is_source,
        })
    }
}

/// The entry of a package in Cargo.lock. The rest of that file changes more often, and would have CPython
/// built again each time.
fn lock_entry(locked: &toml::Table, package: &str) -> Result<String> {
    let packages = locked.get("package").and_then(toml::Value::as_array);
    let mut packages = packages.into_iter().flatten();
    let is_it =
        |entry: &&toml::Value| entry.get("name").and_then(toml::Value::as_str) == Some(package);
    let entry = packages
        .find(is_it)
        .with_context(|| format!("no package {package} in Cargo.lock"))?;
    Ok(format!("{entry:?}"))
}

/// The string to which a C header defines `name`.
fn defined_string<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix('#')?.trim_start();
        let rest = rest
            .strip_prefix("define")?
            .trim_start()
            .strip_prefix(name)?;
        let value = rest.trim_start().strip_prefix('"')?;
        value.split_once('"').map(|(value, _)| value)
    })
}

impl Compile {
    fn make(&self, job: &Job<'_>, sdk: &Sdk, source: &Path, objects: &Path) -> Result<()> {
        let ours = job.build.checkout(FOLDER);
        let headers = job.build.checkout(HEADERS);
        let headers = headers.to_string_lossy();
        let headers_of_sources = self.include.iter().map(|folder| source.join(folder));
        cc::Build::new()
            .cargo_output(false)
            .cargo_metadata(false)
            .compiler(sdk.tool("clang"))
            .archiver(sdk.tool("llvm-ar"))
            .target(&job.build.pins.rust.target)
            // The crate only compares it with the target.
            .host(std::env::consts::ARCH)
            // The SDK's compiler has the right target already.
            .no_default_flags(true)
            .opt_level(3)
            .out_dir(objects)
            .flag(format!("--sysroot={}", sdk.sysroot().display()))
            .flags(FLAGS)
            .flags(
                self.flags
                    .iter()
                    .map(|flag| flag.replace(OUR_HEADERS, &headers)),
            )
            .includes(headers_of_sources)
            .files(self.sources(source)?)
            .files(self.ours.iter().map(|file| ours.join(file)))
            .try_compile(&self.archive)?;
        let archive = format!("lib{}.a", self.archive);
        tree::copy_file(
            &objects.join(&archive),
            &job.folder.join("lib").join(&archive),
        )?;
        let include = job.folder.join("include");
        for header in &self.headers {
            let from = source.join(header);
            if from.is_dir() {
                tree::copy(&from, &include, &|path| !path.ends_with("Makefile.am"))?;
            } else {
                tree::copy_file(&from, &include.join(from.file_name().unwrap_or_default()))?;
            }
        }
        Ok(())
    }

    /// The C files, sorted so that the archive is the same on every machine.
    fn sources(&self, source: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for part in &self.sources {
            let path = source.join(part);
            if path.is_file() {
                files.push(path);
                continue;
            }
            for file in tree::files(&path, &|file| file.iter().count() == 1)? {
                let left_out = self.left_out.iter().any(|other| file == Path::new(other));
                if file.extension() == Some("c".as_ref()) && !left_out && path.join(&file).is_file()
                {
                    files.push(path.join(file));
                }
            }
        }
        files.sort();
        Ok(files)
    }
}

impl Configure {
    fn make(&self, job: &Job<'_>, sdk: &Sdk, source: &Path) -> Result<()> {
        let Job { build, running, .. } = *job;
        let folder = job.folder;
        let tools: Vec<&str> = self.tools.iter().map(String::as_str).collect();
        apt::require(build, running, &tools)?;
        let fill = |argument: &String| {
            argument
                .replace("{recipes}", &build.checkout(FOLDER).to_string_lossy())
                .replace(OUR_HEADERS, &build.checkout(HEADERS).to_string_lossy())
                .replace("{result}", &folder.to_string_lossy())
                .replace("{jobs}", &Build::jobs().to_string())
        };
        let (program, arguments) = self
            .configure
            .split_first()
            .context("no configure command")?;
        let tool = |name: &str| sdk.tool(name).display().to_string();
        let mut configure = build.tool(program);
        configure
            .args(arguments.iter().map(fill))
            .env(
                "CC",
                format!("{} --sysroot={}", tool("clang"), sdk.sysroot().display()),
            )
            .env("AR", tool("llvm-ar"))
            .env("RANLIB", tool("ranlib"))
            .current_dir(source);
        process::run(running, &mut configure)?;
        for (place, file) in &self.replaced {
            replace(&source.join(place), &build.checkout(FOLDER).join(file))?;
        }
        for arguments in &self.make {
            let mut make = build.tool("make");
            make.args(arguments.iter().map(fill)).current_dir(source);
            process::run(running, &mut make)?;
        }
        if let Some(bitcode) = &self.bitcode {
            bitcode.make(job, sdk, source, &fill)?;
        }
        for file in &self.test_data {
            let name = file.file_name().unwrap_or_default();
            tree::copy_file(&source.join(file), &folder.join("test-data").join(name))?;
        }
        Ok(())
    }
}

impl Bitcode {
    fn make(
        &self,
        job: &Job<'_>,
        sdk: &Sdk,
        source: &Path,
        fill: &impl Fn(&String) -> String,
    ) -> Result<()> {
        let mut objects = Vec::new();
        for folder in &self.folders {
            for file in tree::files(&source.join(folder), &|file| file.iter().count() == 1)? {
                if file.extension() == Some("o".as_ref()) {
                    fs::remove_file(source.join(folder).join(&file))?;
                    objects.push(folder.join(file));
                }
            }
        }
        let mut make = job.build.tool("make");
        make.arg(format!("-j{}", Build::jobs()))
            .arg(format!("CNF_CFLAGS={}", fill(&self.flags)))
            .args(&objects)
            .current_dir(source);
        process::run(job.running, &mut make)?;
        let target = job.folder.join(BITCODE);
        for object in &objects {
            let name = object.file_name().unwrap_or_default();
            tree::copy_file(&source.join(object), &target.join(name))?;
        }
        for module in &self.ours {
            let object = Path::new(module.file_name().unwrap_or_default()).with_extension("o");
            let mut clang = Command::new(sdk.tool("clang"));
            clang
                .args(["-flto", "-c", "-x", "ir"])
                .arg(job.build.checkout(FOLDER).join(module))
                .arg("-o")
                .arg(target.join(object));
            process::run(job.running, &mut clang)?;
        }
        Ok(())
    }
}

/// The bitcode of a library, in the folder of its result.
pub(crate) fn bitcode(library: &Path) -> Result<Vec<PathBuf>> {
    let folder = library.join(BITCODE);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let files = tree::files(&folder, &|_| true)?;
    Ok(files.iter().map(|file| folder.join(file)).collect())
}

/// Puts `file` at `place`. What is there gets another name.
fn replace(place: &Path, file: &Path) -> Result<()> {
    if place.exists() {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        fs::rename(place, place.with_file_name(format!("upstream_{name}")))?;
    }
    tree::copy_file(file, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_file_stays_beside_ours() {
        let folder = std::env::temp_dir().join(format!("xtask-replaced-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let at = |name: &str| folder.join(name);
        fs::write(at("ours.c"), "ours").unwrap();
        fs::write(at("a.c"), "upstream").unwrap();
        for place in ["a.c", "new/b.c"] {
            replace(&at(place), &at("ours.c")).unwrap();
            assert_eq!(fs::read_to_string(at(place)).unwrap(), "ours");
        }
        let upstream = fs::read_to_string(at("upstream_a.c")).unwrap();
        assert_eq!(upstream, "upstream");
        assert!(!at("new/upstream_b.c").exists());
        tree::remove(&folder).unwrap();
    }

    #[test]
    fn the_committed_recipes_parse() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libraries");
        let read = |name: &str| {
            let text = fs::read_to_string(folder.join(name)).unwrap();
            toml::from_str::<Recipe>(&text).unwrap()
        };
        let openssl = read("openssl.toml");
        assert!(matches!(openssl.source, Source::Release(pin) if pin.sha256.len() == 64));
        for (name, archive) in [
            ("bzip2.toml", "bz2"),
            ("sqlite.toml", "sqlite3"),
            ("xz.toml", "lzma"),
            ("zlib.toml", "z"),
        ] {
            let recipe = read(name);
            assert!(matches!(recipe.source, Source::Package(_)), "{name}");
            assert!(
                matches!(recipe.build, How::Compile(c) if c.archive == archive),
                "{name}"
            );
        }
    }

    #[test]
    fn version_is_the_defined_string() {
        let header =
            "/* X_VERSION */\n# define X_VERSION_STR \"1.2\"\n#define X_VERSION  \"3.5.7\"\n";
        assert_eq!(defined_string(header, "X_VERSION"), Some("3.5.7"));
        assert_eq!(defined_string(header, "X_VERSION_STR"), Some("1.2"));
        assert_eq!(defined_string(header, "Y"), None);
    }
}
