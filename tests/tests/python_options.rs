//! What follows the options of `wasisocket run` is Python's own command line: native CPython says what its options mean.

use std::fs;
use std::process::Command;

use tempfile::TempDir;
use wasisocket_tests::guest::{Run, built, run};
use wasisocket_tests::native::{Line, same, words};

/// Prints the settings of the interpreter.
const FLAGS: &str = "import sys; f = sys.flags; print(f.debug, f.optimize, f.dont_write_bytecode, f.no_user_site, \
    f.no_site, f.ignore_environment, f.verbose, f.bytes_warning, f.quiet, f.isolated, f.dev_mode, f.utf8_mode, \
    f.safe_path, f.inspect, f.interactive, f.hash_randomization, sys.stdout.line_buffering, sys.stdout.write_through, \
    sys.warnoptions, sys._xoptions, __debug__, 'site' in sys.modules, sys.argv)";

/// A folder with a program that prints [`FLAGS`].
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("flags.py"), FLAGS).unwrap();
    folder
}

#[test]
fn options_are_pythons() {
    let folder = folder();
    for options in [
        "-u",
        "-O",
        "-OO",
        "-q",
        "-s",
        "-S",
        "-E",
        "-I",
        "-B",
        "-b",
        "-bb",
        "-d",
        "-R",
        "-P",
        "-X dev",
        "-Xutf8=0",
        "-X importtime",
        "-W error",
        "-Wignore::UserWarning",
        "-uB",
        "-Iu",
        "-OOu",
        "-uX dev",
        "-v",
        "-uvv",
        "--check-hash-based-pycs always",
    ] {
        let mut line: Vec<_> = options.split(' ').collect();
        // Its name differs: the guest sees its folder as /.
        line.extend(["-c", FLAGS, "-u", "--cold"]);
        same(folder.path(), words(&line));
    }
    same(folder.path(), words(&["-uBc", FLAGS, "x"]));
    let code = &format!("{FLAGS}; assert False");
    same(folder.path(), words(&["-Oc", code]));
    same(folder.path(), words(&[&format!("-c{FLAGS}")]));
}

#[test]
fn options_come_before_a_script() {
    let folder = folder();
    let script =
        "import sys; print(sys.argv[1:], sys.flags.optimize, sys.warnoptions, sys.flags.dev_mode)";
    fs::write(folder.path().join("main.py"), script).unwrap();
    fs::write(
        folder.path().join("skipped.py"),
        format!("no Python\n{script}"),
    )
    .unwrap();
    for line in [
        &["-O", "main.py", "-O", "--", "-c"][..],
        &["-X", "dev", "-Werror", "main.py"],
        &["-OO", "--", "main.py", "a b"],
        &["-x", "skipped.py"],
        &["--", "main.py"],
    ] {
        same(folder.path(), words(line));
    }
}

#[test]
fn version_and_help_are_pythons() {
    let folder = folder();
    for line in [
        &["-V"][..],
        &["--version"],
        &["-Vu", "nowhere.py"],
        &["--help-env"],
        &["--help-xoptions"],
    ] {
        same(folder.path(), words(line));
    }
    for line in [&["--", "-h"][..], &["--", "--help"], &["--help-all"]] {
        let printed = run().args(line).succeeds();
        assert!(
            printed.contains("-c cmd : program passed in as string"),
            "{printed}"
        );
    }
}

#[test]
fn unknown_option_is_an_error_with_a_hint() {
    for (line, hint) in [
        (
            &["-Z", "main.py"][..],
            "wasisocket: there is no option -Z; `wasisocket run --help`",
        ),
        (&["--alow-net", "main.py"], "(is it --allow-net?)"),
        (
            &["-u", "--timeout=3s", "main.py"],
            "--timeout is an option of wasisocket: write it before",
        ),
    ] {
        let ended = run().args(line).end();
        assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains(hint), "{}", ended.stderr);
    }
    let ended = run().args(["-u", "-c"]).end();
    assert_eq!(ended.status, Some(2));
    assert!(
        ended
            .stderr
            .starts_with("Argument expected for the -c option\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn interactive_prompt_follows_the_program() {
    let folder = folder();
    fs::write(folder.path().join("main.py"), "value = 7\nprint('ran')").unwrap();
    for line in [
        &["-i", "main.py"][..],
        &["-i", "-c", "value = 8"],
        &["-qi"],
        &["-im", "main"],
    ] {
        let line = Line {
            input: "print(__name__)\nprint(globals().get('value'))\nraise SystemExit(5)\n",
            ..words(line)
        };
        same(folder.path(), line);
    }
    let inspected = Line {
        env: &[("PYTHONINSPECT", "1")],
        input: "print(value + 1)\n",
        ..words(&["main.py"])
    };
    let errors = same(folder.path(), inspected);
    assert_eq!(errors[1], errors[0]);
}

#[test]
fn variables_of_python_are_honoured() {
    let folder = folder();
    fs::create_dir(folder.path().join("lib")).unwrap();
    fs::write(folder.path().join("lib/extra.py"), "value = 'found'").unwrap();
    fs::write(folder.path().join("startup.py"), "value = 'startup'").unwrap();
    // Its bits are those of a size_t.
    let hash = "print(hash('text'))";
    for seed in ["0", "42"] {
        let seeded = || run().arg(format!("--env=PYTHONHASHSEED={seed}"));
        let printed = seeded().args(["-c", hash]).succeeds();
        assert_eq!(seeded().args(["--cold", "-c", hash]).succeeds(), printed);
    }
    let traced =
        "import tracemalloc; print(tracemalloc.get_traceback_limit(), tracemalloc.is_tracing())";
    let warned = "import warnings; warnings.warn('once'); print('on')";
    let stdio = "import sys; print(sys.stdout.encoding, sys.stdout.errors)";
    for (name, value, code) in [
        ("PYTHONHASHSEED", "0", FLAGS),
        ("PYTHONHASHSEED", "no number", FLAGS),
        ("PYTHONOPTIMIZE", "2", FLAGS),
        ("PYTHONUNBUFFERED", "1", FLAGS),
        ("PYTHONWARNINGS", "error", warned),
        ("PYTHONWARNINGS", "ignore", FLAGS),
        ("PYTHONDONTWRITEBYTECODE", "1", FLAGS),
        ("PYTHONDEBUG", "1", FLAGS),
        ("PYTHONVERBOSE", "1", FLAGS),
        ("PYTHONDEVMODE", "1", FLAGS),
        ("PYTHONSAFEPATH", "1", FLAGS),
        ("PYTHONNOUSERSITE", "1", FLAGS),
        ("PYTHONUTF8", "1", FLAGS),
        ("PYTHONIOENCODING", "latin-1:replace", stdio),
        ("PYTHONTRACEMALLOC", "5", traced),
        ("PYTHONPROFILEIMPORTTIME", "1", FLAGS),
        (
            "PYTHONFAULTHANDLER",
            "1",
            "import faulthandler; print(faulthandler.is_enabled())",
        ),
        (
            "PYTHONINTMAXSTRDIGITS",
            "700",
            "import sys; print(sys.get_int_max_str_digits())",
        ),
        ("PYTHONBREAKPOINT", "builtins.print", "breakpoint('called')"),
    ] {
        let line = Line {
            words: &["-c", code],
            env: &[(name, value)],
            input: "",
        };
        same(folder.path(), line);
        // With -E they are not.
        let ignored = Line {
            words: &[
                "-E",
                "-c",
                "import sys; print(sys.flags.optimize, sys.warnoptions)",
            ],
            ..line
        };
        same(folder.path(), ignored);
    }
    let at = folder.path().to_str().unwrap();
    let granted = |run: Run| {
        run.arg(format!("--dir={at}::{at}:ro"))
            .arg("--env")
            .arg(format!("PYTHONPATH={at}/lib"))
    };
    for cold in [&[][..], &["--cold"]] {
        let code = "import extra; print(extra.value)";
        let printed = granted(run()).args(cold).args(["-c", code]).succeeds();
        assert_eq!(printed, "found\n");
        let isolated = granted(run()).args(cold).args(["-I", "-c", code]).end();
        assert!(
            isolated.stderr.contains("No module named 'extra'"),
            "{}",
            isolated.stderr
        );
        let ended = granted(run())
            .arg(format!("--env=PYTHONSTARTUP={at}/startup.py"))
            .args(cold)
            .arg("-i")
            .input(b"print(value)\n")
            .end();
        assert_eq!(ended.stdout, "startup\n", "{}", ended.stderr);
    }
}

#[test]
fn exit_statuses_are_pythons() {
    let folder = folder();
    for code in [
        "raise SystemExit",
        "import sys; sys.exit(None)",
        "import sys; sys.exit(True)",
        "import sys; sys.exit(300)",
        "import sys; sys.exit(-3)",
        "import sys; sys.exit('text')",
        "import sys; sys.exit((1, 2))",
        "import os; os._exit(9)",
        "import atexit; atexit.register(print, 'end'); 1/0",
        "class E(BaseException): pass\nraise E",
        "def",
    ] {
        same(folder.path(), words(&["-c", code]));
    }
    for line in [
        &["-m", "nothing.like.this"][..],
        &["-X", "utf8=9", "-c", "pass"],
        &["-c"],
    ] {
        same(folder.path(), words(line));
    }
}

#[test]
fn common_mistakes_have_a_hint() {
    for (option, hint) in [
        ("--dir=a:/b", "write a::/b"),
        ("--dir=a:/b:ro", "write a::/b:ro"),
        ("--allow-listen=8080", "write 127.0.0.1:8080, or *:8080"),
        ("--allow-net=8080", "write 127.0.0.1:8080, or *:8080"),
        (
            "--max-memory=4M",
            "(--max-memory) is too small: Python needs 21M to start",
        ),
    ] {
        for start in ["--verbose", "--cold"] {
            let ended = run().args([start, option, "-c", "print('ran')"]).end();
            assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
            assert!(ended.stderr.contains(hint), "{}", ended.stderr);
        }
    }
    assert_eq!(
        run()
            .args(["--max-memory=21M", "-c", "print('ran')"])
            .succeeds(),
        "ran\n"
    );
}

#[test]
fn terminal_is_told_that_python_is_compiled() {
    let cache = tempfile::tempdir().unwrap();
    let wasm = cache.path().join("python.wasm");
    fs::write(&wasm, wat::parse_str("(module)").unwrap()).unwrap();
    // Standard error is a terminal, standard output is not.
    let code = "import os, subprocess, sys\n\
        ours, theirs = os.openpty()\n\
        out = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs).stdout\n\
        os.close(theirs)\n\
        print(out, os.read(ours, 4096).decode())";
    let start = |is_terminal: bool| {
        let mut command = match is_terminal {
            true => Command::new(built("WASISOCKET_NATIVE_PYTHON")),
            false => Command::new(built("WASISOCKET_BIN")),
        };
        if is_terminal {
            command.args(["-c", code]).arg(built("WASISOCKET_BIN"));
        }
        command
            .args(["run", "--python"])
            .arg(&wasm)
            .args(["-c", "pass"])
            .env("WASISOCKET_CACHE", cache.path().join("cache"));
        let output = command.output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let first = start(true);
    assert!(
        first.starts_with("b'' wasisocket: compiling Python for this machine"),
        "{first}"
    );
    assert!(first.contains("wasisocket: compiled in 0."), "{first}");
    let later = start(true);
    assert!(!later.contains("compil"), "{later}");
    fs::write(&wasm, wat::parse_str("(module (memory 1))").unwrap()).unwrap();
    let piped = start(false);
    assert!(!piped.contains("compil"), "{piped}");
}
