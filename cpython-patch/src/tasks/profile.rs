//! `cargo xtask profile`: counts anew what CPython's C code does in common programs, after its version or the compiler
//! has changed. A build only reads the counts.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::build::Build;
use crate::metadata::Metadata;
use crate::process;
use crate::progress::Running;
use crate::steps::guest::Guest;
use crate::steps::product;
use crate::steps::profile::{COUNTS, from_llvm};
use crate::steps::sdk::Sdk;
use crate::steps::wasm::Wasm;
use crate::tree;

/// The name of the scratch folder in the cache, of its lock and of the log.
const NAME: &str = "profile";

/// The package with the C sources of LLVM's runtime. Its version is of the compiler's format.
const RUNTIME: &str = "minicov";
const RUNTIME_SOURCES: &str = "c";
/// For other systems.
const LEFT_OUT: &[&str] = &[
    "InstrProfilingMergeFile.c",
    "InstrProfilingPlatformWindows.c",
];

const WRITER: &str = "cpython-patch/profile/write.c";
const TRAINING: &str = "cpython-patch/profile/train.py";

/// Where the guest writes.
const FOLDER_IN_GUEST: &str = "/profile";
const FILE: &str = "counts";

/// Builds what is missing, runs the training in an instrumented interpreter, and writes the checkout's file.
pub(crate) fn profile(build: &Build) -> Result<()> {
    let (python, host) = product(build)?;
    let (sdk, wasm, guest) = (
        build.ensure::<Sdk>()?,
        build.ensure::<Wasm>()?,
        build.ensure::<Guest>()?,
    );
    let running = build.begin(NAME, "profile")?;
    let _lock = build.cache.lock(NAME, &running)?;
    let scratch = build.cache.folder(NAME)?;
    let runtime = runtime(build, &running, &sdk, &scratch.join("runtime"))?;

    running.note("compiling CPython with counters");
    let objects = wasm.copy(build, &running, &scratch.join("wasm"))?;
    let distribution = scratch.join("python");
    tree::remove(&distribution)?;
    fs::create_dir_all(&distribution)?;
    let instrumented = distribution.join("python.wasm");
    let mut libraries = vec![guest.default.display().to_string()];
    libraries.extend(runtime.iter().map(|object| object.display().to_string()));
    let mut make = build.tool("make");
    make.arg(format!("-j{}", Build::jobs()))
        .arg("WASISOCKET_LTO=")
        .arg("WASISOCKET_PROFILE=-fprofile-generate -mllvm -disable-vp")
        .arg(format!("WASISOCKET_LIBS={}", libraries.join(" ")))
        .arg(format!("BUILDPYTHON={}", instrumented.display()))
        .arg(&instrumented)
        .current_dir(objects);
    process::run(&running, &mut make)?;
    symlink(python.folder.join("lib"), distribution.join("lib"))?;

    running.note("running the training");
    let counted = scratch.join("counted");
    fs::create_dir_all(&counted)?;
    let mut train = Command::new(host.command());
    train
        .args(["run", "--cold", "--dir"])
        .arg(format!("{}::{FOLDER_IN_GUEST}", counted.display()))
        .arg(format!("--env=LLVM_PROFILE_FILE={FOLDER_IN_GUEST}/{FILE}"))
        .arg(build.checkout(TRAINING))
        .env("WASISOCKET_PYTHON", &distribution);
    process::run(&running, &mut train)?;

    let text = scratch.join("text");
    let mut merge = Command::new(sdk.tool("llvm-profdata"));
    merge.args(["merge", "-text", "-o"]).arg(&text);
    process::run(&running, merge.arg(counted.join(FILE)))?;
    let counts = build.checkout(COUNTS);
    fs::write(&counts, from_llvm(&fs::read_to_string(text)?)?)?;
    tree::remove(&scratch)?;
    running.done(&counts.display().to_string());
    Ok(())
}

/// Compiles what counts are written by.
fn runtime(build: &Build, running: &Running, sdk: &Sdk, folder: &Path) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(folder)?;
    let packages = Metadata::read(build, Path::new("rustc"), &build.pins.rust.target)?;
    let headers = packages.package(RUNTIME)?.folder()?.join(RUNTIME_SOURCES);
    let is_source = |path: &Path| {
        let left_out = LEFT_OUT.iter().any(|name| path == Path::new(name));
        path.extension() == Some("c".as_ref()) && !left_out
    };
    let sources = tree::files(&headers, &is_source)?;
    let sources = sources.into_iter().map(|source| headers.join(source));
    let mut objects = Vec::new();
    for source in sources.chain([build.checkout(WRITER)]) {
        let object = folder
            .join(source.file_name().unwrap_or_default())
            .with_extension("o");
        let mut compile = Command::new(sdk.tool("clang"));
        compile
            .arg(format!("--sysroot={}", sdk.sysroot().display()))
            .args(["-O2", "-w", "-DCOMPILER_RT_HAS_ATOMICS=1", "-c"])
            .arg("-I")
            .arg(&headers)
            .arg(&source)
            .arg("-o")
            .arg(&object);
        process::run(running, &mut compile)?;
        objects.push(object);
    }
    Ok(objects)
}
