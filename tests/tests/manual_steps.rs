//! The build by hand that `cpython-patch/README.md` describes: the test runs its steps.

#![cfg(unix)]

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wasisocket_tests::guest::program;
use wasmparser::{Parser, Payload};

/// The line above each block of commands that every reader of the document runs, in order.
const STEP: &str = "<!-- step -->";
/// The same, for readers who use CPython's script to call configure.
const SCRIPT_STEP: &str = "<!-- step with CPython's script -->";
/// The same, for readers who call configure themselves.
const CONFIGURE_STEP: &str = "<!-- step without CPython's script -->";

/// Longest time for one block; configure takes two minutes on two cores.
const STEP_LIMIT: Duration = Duration::from_secs(15 * 60);
/// Longest time for one block if make has to compile all of CPython.
const COMPILE_LIMIT: Duration = Duration::from_secs(45 * 60);

/// How many lines of a failed block's output the test's message shows.
const TAIL: usize = 40;

/// The cross build's folder in CPython's source.
const CROSS_BUILD: &str = "cross-build/wasm32-wasip1";

const CONFIG_SITE: &str = "Tools/wasm/config.site-wasm32-wasi";

/// Large parts of CPython's source that a build for WASI does not read.
const LEFT_OUT: &[&str] = &[
    "Android",
    "Doc",
    "InternalDocs",
    "Lib/test",
    "Mac",
    "PC",
    "PCbuild",
    "iOS",
];

/// Replaces cargo, so that the libraries are not compiled a second time: it puts the library that the test was
/// given where cargo would, and accepts only the document's command lines. Only the package with more Rust is
/// compiled, by the real cargo.
const CARGO: &str = r#"#!/bin/sh -eu
case "$*" in
"build --release --target wasm32-wasip1 -p wasisocket-bundle") ;;
"build --release --target wasm32-wasip1 -p wasisocket-bundle --no-default-features --features host-core") ;;
"build --release --target wasm32-wasip1 --manifest-path my-bundle/Cargo.toml")
    [ -z "$GUEST_CARGO_FLAGS" ] || export RUSTC_BOOTSTRAP=1
    export RUSTC="$GUEST_RUSTC"
    exec "$REAL_CARGO" "$@" $GUEST_CARGO_FLAGS
    ;;
"xtask libraries")
    printf '%s\n' "$LIBRARIES" | tr ':' '\n'
    exit
    ;;
*)
    echo "the test's cargo does not know: cargo $*" >&2
    exit 1
    ;;
esac
mkdir -p target/wasm32-wasip1/release
cp "$GUEST_LIB" target/wasm32-wasip1/release/libwasisocket.a
"#;

#[test]
fn documented_steps_give_a_cpython_build_sockets() {
    let reader = Reader::new();
    reader.copy_cpython(&[]);
    reader.remove_wasisocket();
    // configure finds what it found for the original, so pyconfig.h keeps its time, and make compiles only the
    // built-in modules. It would compile everything if a step did not do what it says.
    reader.follow(&[STEP, SCRIPT_STEP], STEP_LIMIT);
    reader.built_interpreters_work();
}

#[test]
#[ignore = "compiles all of CPython: 6 minutes on two cores"]
fn documented_steps_without_cpythons_script_build_cpython_with_sockets() {
    let reader = Reader::new();
    reader.copy_cpython(&[CROSS_BUILD]);
    reader.remove_wasisocket();
    reader.follow(&[STEP, CONFIGURE_STEP], COMPILE_LIMIT);
    reader.built_interpreters_work();
}

/// A reader with a CPython tree, a checkout of this project, and the tools that the document requires.
struct Reader {
    folder: TempDir,
    wasm_build: PathBuf,
    sdk: PathBuf,
    guest_lib: PathBuf,
    wasisocket: PathBuf,
}

impl Reader {
    fn new() -> Self {
        let reader = Self {
            folder: tempfile::Builder::new()
                .prefix("wasisocket-manual-")
                .tempdir()
                .expect("a temporary folder"),
            wasm_build: variable("WASISOCKET_WASM_BUILD"),
            sdk: variable("WASISOCKET_SDK"),
            guest_lib: variable("WASISOCKET_GUEST_LIB"),
            wasisocket: variable("WASISOCKET_BIN"),
        };
        for folder in [reader.cpython(), reader.checkout(), reader.programs()] {
            fs::create_dir(folder).unwrap();
        }
        // Links to everything but the target folder, which is the reader's own.
        for entry in fs::read_dir(repository()).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name() != "target" {
                symlink(entry.path(), reader.checkout().join(entry.file_name())).unwrap();
            }
        }
        let cargo = reader.programs().join("cargo");
        fs::write(&cargo, CARGO).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&reader.wasisocket, reader.programs().join("wasisocket")).unwrap();
        reader
    }

    fn cpython(&self) -> PathBuf {
        self.folder.path().join("cpython")
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("wasisocket")
    }

    fn programs(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    /// Copies the tree that contains `wasm_build`, without [`LEFT_OUT`] and `left_out`.
    fn copy_cpython(&self, left_out: &[&str]) {
        let original = self
            .wasm_build
            .ancestors()
            .nth(2)
            .expect("cross-build/wasm32-wasip1 below CPython's source");
        copy_without(
            original,
            &self.cpython(),
            Path::new(""),
            &[LEFT_OUT, left_out].concat(),
        );
    }

    /// Brings the copy to the state of a tree without wasisocket, and removes the files that contain the path
    /// of the original: make would write to the original, which other builds use. Objects stay, and so does
    /// pyconfig.h, whose time make compares.
    fn remove_wasisocket(&self) {
        let cpython = self.cpython();
        let build = cpython.join(CROSS_BUILD);
        for path in [
            build.join("Makefile"),
            build.join("Makefile.pre"),
            build.join("Modules/Setup.local"),
            build.join("Modules/config.c"),
            build.join("Modules/config.o"),
            build.join("config.status"),
            build.join("libwasisocket.a"),
            build.join("python.wasm"),
        ] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    panic!("{}: {error}", path.display())
                }
                _ => {}
            }
        }
        for name in ["wasisocket-include", "wasisocket-libraries"] {
            let folder = build.join(name);
            if folder.exists() {
                fs::remove_dir_all(folder).unwrap();
            }
        }
        let ours = fs::read_to_string(repository().join("cpython-patch/config.site")).unwrap();
        let file = cpython.join(CONFIG_SITE);
        let text = fs::read_to_string(&file).unwrap();
        let cpythons = text.strip_suffix(&ours).expect("the driver adds our lines");
        fs::write(&file, cpythons).unwrap();
    }

    /// Runs the blocks of the document that have one of the lines `markers` above them.
    fn follow(&self, markers: &[&str], limit: Duration) {
        let path = repository().join("cpython-patch/README.md");
        let document = fs::read_to_string(&path).unwrap();
        for (line, block) in blocks(&document, markers) {
            let name = format!("{}:{line}", path.display());
            self.run(&name, block, limit);
        }
    }

    /// Runs commands in CPython's folder. If they fail, the test fails with the end of their output.
    fn run(&self, name: &str, commands: &str, limit: Duration) {
        let log = self.folder.path().join("log");
        let output = File::create(&log).unwrap();
        let started = Instant::now();
        let mut bash = Command::new("bash");
        // CPython's build would record flags and paths of cargo's environment.
        bash.env_clear()
            .args(["-eu", "-c", commands])
            .current_dir(self.cpython())
            .env("PATH", self.path())
            .env("WASISOCKET", self.checkout())
            .env("WASI_SDK_PATH", &self.sdk)
            .env("GUEST_LIB", &self.guest_lib)
            // Without the rest of the environment, rustup's proxies would update the toolchain.
            .env("RUSTUP_AUTO_INSTALL", "0")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        for name in [
            "CARGO_HOME",
            "HOME",
            "TMPDIR",
            "WASISOCKET_CACHE",
            "XDG_CACHE_HOME",
        ] {
            if let Some(value) = env::var_os(name) {
                bash.env(name, value);
            }
        }
        for (name, source) in [
            ("REAL_CARGO", "CARGO"),
            ("LIBRARIES", "WASISOCKET_LIBRARIES"),
            ("GUEST_RUSTC", "WASISOCKET_GUEST_RUSTC"),
            ("GUEST_CARGO_FLAGS", "WASISOCKET_GUEST_CARGO_FLAGS"),
        ] {
            bash.env(name, value(source));
        }
        let result = wait(&mut bash, limit);
        let seconds = started.elapsed().as_secs();
        println!("{name}: {seconds} s");
        if result.is_none_or(|status| !status.success()) {
            let how = match result {
                Some(status) => format!("failed ({status})"),
                None => "was ended".into(),
            };
            let output = fs::read(&log).unwrap_or_default();
            panic!(
                "{name} {how} after {seconds} s:\n{commands}\n--- the last lines of its output\n{}",
                tail(&String::from_utf8_lossy(&output))
            );
        }
    }

    /// PATH with the document's programs first.
    fn path(&self) -> OsString {
        let rest = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.programs()).chain(env::split_paths(&rest));
        env::join_paths(folders).unwrap()
    }

    /// Each interpreter opens a socket, and the last one contains the function of the additional package.
    fn built_interpreters_work(&self) {
        for name in ["python.wasm", "python-core.wasm", "python-more.wasm"] {
            let run = format!(
                "wasisocket run --python {CROSS_BUILD}/{name} {}",
                program("manual/modules.py").display()
            );
            self.run(name, &run, STEP_LIMIT);
        }
        let module = fs::read(self.cpython().join(CROSS_BUILD).join("python-more.wasm")).unwrap();
        let exports = Parser::new(0).parse_all(&module).find_map(|part| {
            match part.expect("a valid module") {
                Payload::ExportSection(exports) => Some(exports),
                _ => None,
            }
        });
        let mut exports = exports.expect("exports").into_iter();
        assert!(exports.any(|export| export.unwrap().name == "my_answer"));
    }
}

/// The value of a variable that `cargo xtask test` sets.
fn value(name: &str) -> OsString {
    env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run the tests with `cargo xtask test`"))
}

/// The path in a variable that `cargo xtask test` sets.
fn variable(name: &str) -> PathBuf {
    let value = value(name);
    fs::canonicalize(&value).unwrap_or_else(|error| panic!("{name}={}: {error}", value.display()))
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The blocks below each line that is one of `markers`, with the numbers of their first lines.
fn blocks<'a>(document: &'a str, markers: &[&str]) -> Vec<(usize, &'a str)> {
    let mut blocks = Vec::new();
    let mut missing = markers.to_vec();
    let mut start = 0;
    for (index, line) in document.split_inclusive('\n').enumerate() {
        start += line.len();
        let marker = line.trim_end();
        if !markers.contains(&marker) {
            continue;
        }
        missing.retain(|missing| *missing != marker);
        let block = document[start..]
            .strip_prefix("```sh\n")
            .and_then(|rest| rest.split_once("\n```\n"))
            .unwrap_or_else(|| panic!("line {}: no block of sh below {marker}", index + 1));
        blocks.push((index + 3, block.0));
    }
    assert!(missing.is_empty(), "not in the document: {missing:?}");
    blocks
}

/// Copies a folder entry by entry, so that parts can be left out. Times are preserved: make compares them.
fn copy_without(from: &Path, to: &Path, relative: &Path, left_out: &[&str]) {
    let mut whole = Vec::new();
    for entry in fs::read_dir(from.join(relative)).unwrap() {
        let name = relative.join(entry.unwrap().file_name());
        if left_out.iter().any(|part| name == Path::new(part)) {
            continue;
        }
        if left_out
            .iter()
            .any(|part| Path::new(part).starts_with(&name))
        {
            fs::create_dir(to.join(&name)).unwrap();
            copy_without(from, to, &name, left_out);
        } else {
            whole.push(from.join(&name));
        }
    }
    if whole.is_empty() {
        return;
    }
    let mut cp = Command::new("cp");
    // Copies on write where the file system can. Other systems' cp has no such option.
    if cfg!(target_os = "linux") {
        cp.arg("--reflink=auto");
    }
    let status = cp.arg("-RPp").args(whole).arg(to.join(relative)).status();
    assert!(
        status.expect("cp starts").success(),
        "cannot copy {}",
        from.display()
    );
}

/// Waits for a command. After `limit`, kills it and its children, and returns `None`.
fn wait(command: &mut Command, limit: Duration) -> Option<ExitStatus> {
    let mut child = command.process_group(0).spawn().expect("bash starts");
    let end = Instant::now() + limit;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(100));
    }
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    let _ = child.wait();
    None
}

fn tail(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
