//! The C libraries of CPython's modules zlib, bz2, lzma and sqlite3, for wasm32-wasip1.
//!
//! Their sources are those in packages of the registry: see libraries/Cargo.toml.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::packages::Metadata;
use crate::progress::Stage;
use crate::sdk::Sdk;
use crate::tree;

const NAME: &str = "libraries";

/// The folder has include/, lib/ and licences/.
pub(crate) struct Libraries {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

/// How to make one library of one package.
#[derive(Debug)]
struct Library {
    name: &'static str,
    package: &'static str,
    /// Folders and files below the package's: of a folder, all C files directly in it.
    sources: &'static [&'static str],
    /// Files of those folders that are programs of their own, or not for this configuration.
    left_out: &'static [&'static str],
    include: &'static [&'static str],
    flags: &'static [&'static str],
    /// A header or a folder of headers, for CPython.
    headers: &'static [&'static str],
    licence: &'static str,
}

const LIBRARIES: &[Library] = &[
    Library {
        name: "z",
        package: "libz-sys",
        sources: &["src/zlib"],
        left_out: &[],
        include: &[],
        flags: &["-DHAVE_UNISTD_H", "-D_LARGEFILE64_SOURCE=1"],
        headers: &["src/zlib/zlib.h", "src/zlib/zconf.h"],
        licence: "src/zlib/LICENSE",
    },
    Library {
        name: "bz2",
        package: "bzip2-sys",
        sources: &[
            "bzip2-1.0.8/blocksort.c",
            "bzip2-1.0.8/bzlib.c",
            "bzip2-1.0.8/compress.c",
            "bzip2-1.0.8/crctable.c",
            "bzip2-1.0.8/decompress.c",
            "bzip2-1.0.8/huffman.c",
            "bzip2-1.0.8/randtable.c",
        ],
        left_out: &[],
        include: &[],
        flags: &["-D_FILE_OFFSET_BITS=64"],
        headers: &["bzip2-1.0.8/bzlib.h"],
        licence: "bzip2-1.0.8/LICENSE",
    },
    Library {
        name: "lzma",
        package: "liblzma-sys",
        sources: &[
            "xz/src/liblzma/check",
            "xz/src/liblzma/common",
            "xz/src/liblzma/delta",
            "xz/src/liblzma/lz",
            "xz/src/liblzma/lzma",
            "xz/src/liblzma/rangecoder",
            "xz/src/liblzma/simple",
            "xz/src/common/tuklib_cpucores.c",
            "xz/src/common/tuklib_physmem.c",
        ],
        left_out: &[
            "crc32_small.c",
            "crc32_tablegen.c",
            "crc64_small.c",
            "crc64_tablegen.c",
            "crc_clmul_consts_gen.c",
            "fastpos_tablegen.c",
            "price_tablegen.c",
            // For threads.
            "outqueue.c",
            "stream_decoder_mt.c",
            "stream_encoder_mt.c",
        ],
        include: &[
            // The package's config.h.
            ".",
            "xz/src/common",
            "xz/src/liblzma/api",
            "xz/src/liblzma/check",
            "xz/src/liblzma/common",
            "xz/src/liblzma/delta",
            "xz/src/liblzma/lz",
            "xz/src/liblzma/lzma",
            "xz/src/liblzma/rangecoder",
            "xz/src/liblzma/simple",
        ],
        flags: &["-DHAVE_CONFIG_H"],
        headers: &["xz/src/liblzma/api"],
        licence: "xz/COPYING",
    },
    Library {
        name: "sqlite3",
        package: "libsqlite3-sys",
        sources: &["sqlite3/sqlite3.c"],
        left_out: &[],
        include: &[],
        // The features that Debian's SQLite has, as far as they need no threads, extensions or other
        // libraries: programs find what they find natively.
        flags: &[
            "-DSQLITE_ENABLE_COLUMN_METADATA",
            "-DSQLITE_ENABLE_DBSTAT_VTAB",
            "-DSQLITE_ENABLE_FTS3",
            "-DSQLITE_ENABLE_FTS3_PARENTHESIS",
            "-DSQLITE_ENABLE_FTS3_TOKENIZER",
            "-DSQLITE_ENABLE_FTS4",
            "-DSQLITE_ENABLE_FTS5",
            "-DSQLITE_ENABLE_MATH_FUNCTIONS",
            "-DSQLITE_ENABLE_RTREE",
            "-DSQLITE_ENABLE_STMTVTAB",
            "-DSQLITE_HAVE_ISNAN",
            "-DSQLITE_LIKE_DOESNT_MATCH_BLOBS",
            "-DSQLITE_MAX_VARIABLE_NUMBER=250000",
            "-DSQLITE_OMIT_LOAD_EXTENSION",
            "-DSQLITE_SECURE_DELETE",
            "-DSQLITE_SOUNDEX",
            "-DSQLITE_THREADSAFE=0",
            "-DSQLITE_USE_URI",
        ],
        headers: &["sqlite3/sqlite3.h"],
        // Public domain: the file's first lines say so.
        licence: "sqlite3/sqlite3.h",
    },
];

/// For all: as CPython is compiled.
const FLAGS: &[&str] = &[
    "-O3",
    "-DNDEBUG",
    "-D_WASI_EMULATED_SIGNAL",
    "-D_WASI_EMULATED_GETPID",
    "-D_WASI_EMULATED_PROCESS_CLOCKS",
    "-w",
];

fn key(build: &Build, sdk: &Sdk) -> Result<Key> {
    Ok(KeyBuilder::new("libraries 2")
        .key("sdk", &sdk.key)
        .text("recipes", &format!("{LIBRARIES:?} {FLAGS:?}"))
        .text("sources", &locked(&build.checkout("Cargo.lock"))?)
        .finish())
}

/// What Cargo.lock says of the packages that the sources are in. The rest of it changes more often, and CPython
/// would be built again each time.
fn locked(lock: &Path) -> Result<String> {
    let lock: toml::Table = fs::read_to_string(lock)?.parse()?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let pinned = packages.into_iter().flatten().filter(|package| {
        let name = package.get("name").and_then(toml::Value::as_str);
        LIBRARIES
            .iter()
            .any(|library| name == Some(library.package))
    });
    Ok(pinned.map(|package| format!("{package:?}")).collect())
}

/// The libraries, if they were built.
pub(crate) fn existing(build: &Build, sdk: &Sdk) -> Result<Option<Libraries>> {
    let key = key(build, sdk)?;
    let folder = build.cache.published(NAME, &key);
    Ok(folder.map(|folder| Libraries { folder, key }))
}

/// Compiles the libraries.
pub(crate) fn ensure(build: &Build, sdk: &Sdk) -> Result<Libraries> {
    if let Some(found) = existing(build, sdk)? {
        let what = found.folder.display().to_string();
        build.progress.up_to_date(Stage::Libraries, &what);
        return Ok(found);
    }
    let key = key(build, sdk)?;
    let step = build
        .progress
        .begin(Stage::Libraries, NAME, &key, &build.cache)?;
    let packages = Metadata::read(build, Path::new("rustc"), &build.pins.rust.target)?;
    let folder = build.cache.publish(NAME, &key, &step, |folder| {
        for library in LIBRARIES {
            step.note(&format!("compiling {}", library.name));
            let package = packages.package(library.package)?.folder()?;
            library.make(build, sdk, package, folder)?;
        }
        Ok(())
    })?;
    step.done();
    Ok(Libraries { folder, key })
}

impl Library {
    fn make(&self, build: &Build, sdk: &Sdk, package: &Path, folder: &Path) -> Result<()> {
        let objects = folder.join("objects");
        fs::create_dir_all(&objects)?;
        let mut cc = cc::Build::new();
        cc.cargo_output(false)
            .compiler(sdk.tool("clang"))
            .archiver(sdk.tool("llvm-ar"))
            .target(&build.pins.rust.target)
            // It is only compared with the target.
            .host(std::env::consts::ARCH)
            // The compiler's own target is the right one: see the SDK.
            .no_default_flags(true)
            .opt_level(3)
            .out_dir(&objects)
            .flag(format!("--sysroot={}", sdk.sysroot().display()))
            .flags(FLAGS)
            .flags(self.flags)
            .includes(self.include.iter().map(|folder| package.join(folder)))
            .files(self.sources(package)?)
            .try_compile(self.name)
            .with_context(|| format!("cannot compile {}", self.name))?;
        let archive = format!("lib{}.a", self.name);
        tree::copy_file(&objects.join(&archive), &folder.join("lib").join(&archive))?;
        tree::remove(&objects)?;

        for header in self.headers {
            let from = package.join(header);
            let to = folder.join("include");
            if from.is_dir() {
                tree::copy(&from, &to, &|path| !path.ends_with("Makefile.am"))?;
            } else {
                tree::copy_file(&from, &to.join(from.file_name().unwrap_or_default()))?;
            }
        }
        tree::copy_file(
            &package.join(self.licence),
            &folder.join("licences").join(self.name),
        )
    }

    /// The C files, sorted: the archive is the same on every machine.
    fn sources(&self, package: &Path) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for source in self.sources {
            let path = package.join(source);
            if path.is_file() {
                files.push(path);
                continue;
            }
            let entries =
                fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
            for entry in entries {
                let file = entry?.path();
                let name = file.file_name().unwrap_or_default();
                let wanted = file.extension() == Some("c".as_ref());
                if wanted && !self.left_out.iter().any(|other| name == *other) {
                    files.push(file);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}
