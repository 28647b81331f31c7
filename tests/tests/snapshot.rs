//! Guests that begin with an image of memory: they see the same as guests that start cold.

use std::fs;
use std::path::Path;

use wasisocket_python::{Capture, Distribution, End, Folder, Program, Python};
use wasisocket_tests::guest::{Ended, Run, built, program, run};

/// How a program ends from an image, and cold.
fn both(program: impl Fn(Run) -> Run) -> [Ended; 2] {
    [run(), run().arg("--cold")].map(|run| program(run).end())
}

/// Asserts that a program ends in the same way from an image and cold, and returns its output.
#[track_caller]
fn same(program: impl Fn(Run) -> Run) -> Ended {
    let [image, cold] = both(program);
    assert_eq!(lines(&image.stdout), lines(&cold.stdout));
    assert_eq!(lines(&image.stderr), lines(&cold.stderr));
    assert_eq!(image.status, cold.status);
    image
}

/// The lines of a text without addresses of objects.
fn lines(text: &str) -> Vec<String> {
    let without_addresses = |line: &str| {
        let mut parts = line.split("0x");
        let mut without = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            without.push_str("0x");
            without.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_hexdigit()));
        }
        without
    };
    text.lines().map(without_addresses).collect()
}

fn dir(folder: &Path, guest: &str) -> String {
    format!("--dir={}::{guest}", folder.display())
}

#[test]
fn program_sees_the_same_state() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("now"), "").unwrap();
    let site = data.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("own.py"), "").unwrap();
    let script = program("snapshot/state.py");
    fs::copy(&script, site.join("state.py")).unwrap();
    let base = |run: Run| {
        run.arg(dir(data.path(), "/data"))
            .args(["--env", "SOME=value", "--env", "OTHER=ä=b"])
            .input(b"one\r\ntwo\n")
    };
    let code = fs::read_to_string(&script)
        .unwrap()
        .replace("__file__", "1");
    let ended = same(|run| base(run).arg(&script).args(["-x", "", "ä", "--cold"]));
    ended.assert_success();
    assert!(
        ended.stdout.contains("input: ['one', 'two']"),
        "{}",
        ended.stdout
    );
    same(|run| base(run).arg("-c").arg(&code).args(["a", "b"])).assert_success();
    let with_path = |path: &str| format!("PYTHONPATH={path}");
    for path in ["/data/site", "/data/site:/nowhere::/data/site", "data/site"] {
        let ended =
            same(|run| base(run).args(["--env", &with_path(path), "-m", "state", "argument"]));
        ended.assert_success();
    }
    // The variables that are settings of Python's.
    for setting in [
        "PYTHONHASHSEED=0",
        "PYTHONUTF8=1",
        "PYTHONUTF8=0",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONUNBUFFERED=1",
        "PYTHONOPTIMIZE=2",
        "PYTHONWARNINGS=error",
        "PYTHONDEVMODE=1",
        "PYTHONIOENCODING=latin-1:replace",
        "PYTHONSAFEPATH=1",
        "PYTHONINTMAXSTRDIGITS=0",
        "PYTHONNOUSERSITE=1",
        "LANG=C",
        "LANG=C.UTF-8",
        "LC_ALL=POSIX",
        "LC_CTYPE=en_US.UTF-8",
        "TZ=Asia/Tokyo",
        "OPENSSL_CONF=/nowhere",
        "HOME=/data",
        "PATH=/nowhere",
    ] {
        same(|run| base(run).args(["--env", setting]).arg(&script)).assert_success();
    }
}

#[test]
fn options_are_those_of_a_cold_start() {
    let load =
        || Python::builder().distribution(Distribution::open(&built("WASISOCKET_PYTHON")).unwrap());
    let pythons = [load(), load().cold_start()].map(|builder| builder.load().unwrap());
    assert!(
        pythons[0].image_error().is_none(),
        "{:?}",
        pythons[0].image_error()
    );
    let code = "import sys; print(sys.flags, sys._xoptions, sys.warnoptions, sys.argv, sys.orig_argv, sys.path)";
    for options in [
        &["-c", code][..],
        &["-O", "-c", code, "x"],
        &["-I", "-B", "-c", code],
        &["-X", "dev", "-W", "error", "-c", code],
        &["-sEP", "-c", code],
        &["-u", "-c", code],
        &["-X", "utf8=0", "-c", code],
        &["-S", "-c", code],
        &["-q", "-c", code, "-O"],
        &["state.py"],
        &["data/../data/state.py"],
        &["-V"],
        &[],
        &["-"],
    ] {
        let outputs = pythons.each_ref().map(|python| {
            let (stdout, stderr) = (Capture::new(1 << 16), Capture::new(1 << 16));
            let data = tempfile::tempdir().unwrap();
            fs::write(
                data.path().join("state.py"),
                format!("{code}; print(__file__)"),
            )
            .unwrap();
            let program = Program::new(options.iter().copied())
                .folder(Folder::read_only(data.path(), "/"))
                .folder(Folder::read_only(data.path(), "/data"))
                .stdin(code)
                .stdout(&stdout)
                .stderr(&stderr);
            assert_eq!(python.run(program).unwrap(), End::Exit(0), "{options:?}");
            [stdout, stderr].map(|capture| String::from_utf8(capture.bytes()).unwrap())
        });
        assert_eq!(outputs[0], outputs[1], "{options:?}");
    }
}

#[test]
fn program_ends_in_the_same_way() {
    for way in [
        "end",
        "exit",
        "exit text",
        "exit none",
        "exit in function",
        "exception",
        "import error",
        "syntax error",
        "interrupt",
        "os._exit",
        "hook",
        "closed stdout",
        "no stdout",
        "unraisable",
        "last",
        "module",
        "library",
        "patched",
    ] {
        let data = tempfile::tempdir().unwrap();
        let ends = [false, true].map(|is_cold| {
            let options: &[&str] = if is_cold { &["--cold"] } else { &[] };
            let ended = run()
                .args(options)
                .arg(dir(data.path(), "/data"))
                .arg(program("snapshot/end.py"))
                .arg(way)
                .end();
            let written = fs::read_to_string(data.path().join("written")).unwrap();
            // The collector may end objects in another order.
            let mut stdout = lines(&ended.stdout);
            stdout.sort();
            // When a cold Python is that far, it has no source lines for tracebacks any more.
            let mut stderr = lines(&ended.stderr);
            stderr.retain(|line| !line.starts_with("    print(\"deleted\""));
            (ended.status, stdout, stderr, written)
        });
        assert_eq!(ends[0], ends[1], "{way}");
    }
}

#[test]
fn output_that_cannot_be_written_is_the_same_error() {
    let ended = same(|run| {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        run.args(["-c", "print('x' * 100)"]).stdout_to(full)
    });
    assert_eq!(ended.status, Some(120), "{}", ended.stderr);
}

#[test]
fn import_loads_the_same_modules() {
    let names = run()
        .args([
            "--cold",
            "-c",
            "import _wasisocket_preload; print(*_wasisocket_preload.MODULES)",
        ])
        .succeeds();
    let mut statements: Vec<_> = names
        .split_whitespace()
        .map(|name| format!("import {name}"))
        .collect();
    assert!(statements.len() > 100, "{statements:?}");
    statements.extend(
        [
            "from email.mime.text import MIMEText",
            "from concurrent.futures import ThreadPoolExecutor",
            "from xml.etree import ElementTree",
            "import importlib; importlib.import_module('http.server')",
            "import json, ssl, asyncio, urllib.request",
            "import urllib.request, asyncio, ssl, json",
            "import collections; import collections.abc; import typing",
            "import turtle",
            "import ctypes",
        ]
        .map(str::to_owned),
    );
    std::thread::scope(|scope| {
        for part in statements.chunks(statements.len().div_ceil(4)) {
            scope.spawn(move || {
                for statement in part {
                    let [image, cold] =
                        both(|run| run.arg(program("snapshot/modules.py")).arg(statement));
                    assert_eq!(lines(&image.stdout), lines(&cold.stdout), "{statement}");
                    assert_eq!(lines(&image.stderr), lines(&cold.stderr), "{statement}");
                }
            });
        }
    });
}

#[test]
fn program_that_changes_the_import_system_gets_what_it_asks_for() {
    // The folders of both runs are gone with it.
    let folder = tempfile::tempdir().unwrap();
    for change in [
        "blocked",
        "finder",
        "overridden",
        "replaced",
        "removed",
        "dependency_removed",
        "reloaded",
        "found",
        "own_file",
        "own_file_later",
        "path_without_library",
        "own_submodule",
        "traceback",
        "codecs",
    ] {
        let ended = same(|run| {
            let data = tempfile::tempdir_in(&folder).unwrap().keep();
            run.arg(dir(&data, "/data"))
                .arg(program("snapshot/changed.py"))
                .arg(change)
        });
        ended.assert_success();
    }
}

#[test]
fn file_of_the_guest_comes_before_the_library() {
    let data = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(data.path().join(name), text).unwrap();
    write("json.py", "print('own json')\n");
    write("main.py", "import json, csv\n");
    let ended = same(|run| run.arg(data.path().join("main.py")));
    assert_eq!(ended.stdout, "own json\n");
    let path = ["--env", "PYTHONPATH=/site"];
    let ended = same(|run| {
        run.arg(dir(data.path(), "/site"))
            .args(path)
            .args(["-c", "import json"])
    });
    assert_eq!(ended.stdout, "own json\n");
    // Python imports these when it starts.
    for (name, text) in [
        ("sitecustomize.py", "print('sitecustomize', __name__)\n"),
        ("usercustomize.py", "print('usercustomize')\n"),
        ("_wasisocket_site.py", "print('own _wasisocket_site')\n"),
        ("own.pth", "import json\n"),
    ] {
        write(name, text);
        let ended = same(|run| {
            run.arg(dir(data.path(), "/site"))
                .args(path)
                .args(["-c", "print(1)"])
        });
        ended.assert_success();
    }
    // A folder at the library's place: both find the same there.
    same(|run| {
        run.arg(dir(data.path(), "/usr/local/lib/python3.13"))
            .args(["-c", "import json"])
    });
}

#[test]
fn guest_with_little_memory_starts_cold() {
    for memory in ["20M", "40M", "64M"] {
        same(|run| run.args(["--max-memory", memory, "-c", "print(len('x' * (8 << 20)))"]));
    }
}

/// What Python code prints.
fn output(python: &Python, code: &str) -> String {
    let stdout = Capture::new(1 << 16);
    let program = Program::code(code).stdout(&stdout).inherit_stderr();
    assert_eq!(python.run(program).unwrap(), End::Exit(0));
    String::from_utf8(stdout.bytes()).unwrap()
}

#[test]
fn private_images_have_hash_secrets_of_their_own() {
    let load =
        || Python::builder().distribution(Distribution::open(&built("WASISOCKET_PYTHON")).unwrap());
    let private = load().private_image().load().unwrap();
    assert!(
        private.image_error().is_none(),
        "{:?}",
        private.image_error()
    );
    let pythons = [
        private.clone(),
        private.with_private_image().unwrap(),
        load().load().unwrap(),
    ];
    let code = "print(hash('x'), hash(b'xyz'))";
    let mut hashes: Vec<_> = pythons.iter().map(|python| output(python, code)).collect();
    assert_eq!(hashes[0], output(&private, code));
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 3, "{hashes:?}");
    let cold = load().cold_start().load().unwrap();
    assert_ne!(output(&cold, code), output(&cold, code));
}

#[test]
fn image_is_in_a_folder_that_only_its_owner_may_use() {
    use std::os::unix::fs::PermissionsExt as _;
    let cache = tempfile::tempdir().unwrap();
    let start = || {
        run()
            .env("WASISOCKET_CACHE", cache.path())
            .args(["-v", "-c", "print('ran')"])
            .end()
    };
    let made = |ended: &Ended| {
        ended.assert_success();
        assert_eq!(ended.stdout, "ran\n");
        ended.stderr.contains("image made")
    };
    let images = || {
        let files = fs::read_dir(cache.path().join("compiled")).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|name| name == "image"))
            .collect::<Vec<_>>()
    };
    assert!(made(&start()));
    assert!(!made(&start()));
    let [image] = &images()[..] else {
        panic!("{:?}", images())
    };
    assert_eq!(
        fs::metadata(image).unwrap().permissions().mode() & 0o777,
        0o600
    );
    // Damaged, or readable by others: another one is made.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let content = fs::read(image).unwrap();
    fs::write(image, &content[..content.len() / 2]).unwrap();
    assert!(made(&start()));
    fs::set_permissions(image, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(made(&start()));
    assert!(!made(&start()));
    fs::set_permissions(
        cache.path().join("compiled"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let ended = start();
    assert!(!made(&ended));
    assert!(ended.stderr.contains("has mode 755"), "{}", ended.stderr);
}
