//! What `wasisocket run` runs, and what the guest sees of the host for it: scripts, folders, archives, modules, pipes.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use wasisocket_tests::guest::{built, run};
use wasisocket_tests::native::{Line, native, same, words};

/// A program that prints what it is and reads what lies beside it.
const PROGRAM: &str = "import os, sys, neighbour\n\
    print(neighbour.name, os.path.basename(__file__), __name__, sys.argv[1:])\n";

#[test]
fn program_is_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let program = "import sys\nprint(sys.argv, sys.path[0], __name__, '__file__' in globals())\nsys.exit(3)\n";
    for line in [
        &[][..],
        &["-"],
        &["-", "a", "-u"],
        &["-uB"],
        &["-B", "-", "b"],
    ] {
        let line = Line {
            input: program,
            ..words(line)
        };
        same(folder.path(), line);
    }
    let wrong = Line {
        input: "print(1)\n1/0\n",
        ..Line::default()
    };
    let errors = same(folder.path(), wrong);
    assert_eq!(errors[1], errors[0]);
    same(folder.path(), Line::default());
}

#[test]
fn missing_script_is_pythons_error() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file.py"), "").unwrap();
    fs::create_dir(folder.path().join("empty")).unwrap();
    for script in ["nowhere.py", "empty/nowhere.py", "file.py/x", "empty"] {
        let errors = same(folder.path(), words(&[script]));
        let (_, text) = errors[0].split_once(": ").unwrap();
        for error in &errors[1..] {
            assert_eq!(error, &format!("wasisocket: {text}"));
        }
    }
}

#[test]
fn folder_and_zip_file_with_a_main_program_are_run() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    fs::write(folder.path().join("secret.txt"), "").unwrap();
    fs::write(app.join("__main__.py"), PROGRAM).unwrap();
    fs::write(app.join("neighbour.py"), "name = 'neighbour'").unwrap();
    let zipped = words(&["-m", "zipapp", "app", "-o", "app.pyz"]);
    assert_eq!(native(folder.path(), zipped).2, Some(0));
    for line in [
        &["app", "x"][..],
        &["./app/"],
        &["-O", "app"],
        &["app.pyz", "-x"],
        &["-I", "app.pyz"],
    ] {
        same(folder.path(), words(line));
    }
    same(&app, words(&["."]));
    for root in ["app", "."] {
        let granted = run().folder(folder.path()).arg(format!("--dir={root}::/"));
        let printed = granted.args(["app", "x"]).succeeds();
        assert_eq!(printed, "neighbour __main__.py __main__ ['x']\n");
    }
    // The folder is all that it sees.
    let code = "import os, sys; print(sys.argv[0], sys.path[0], os.listdir('/'), 'neighbour.py' in os.listdir('/app'))\n\
        try: open('/app/new', 'w')\n\
        except OSError as error: print(type(error).__name__)";
    fs::write(app.join("__main__.py"), code).unwrap();
    let printed = run().folder(folder.path()).arg("app").succeeds();
    assert_eq!(printed, "/app /app [] True\nPermissionError\n");
}

#[test]
fn link_to_a_script_is_run_in_the_folder_of_its_target() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("app")).unwrap();
    fs::create_dir_all(folder.path().join("bin")).unwrap();
    fs::write(folder.path().join("bin/secret.py"), "").unwrap();
    fs::write(folder.path().join("app/neighbour.py"), "name = 'neighbour'").unwrap();
    fs::write(
        folder.path().join("app/main.py"),
        "import os, sys, neighbour\n\
         print(neighbour.name, os.path.exists(os.path.join(sys.path[0], 'secret.py')), sys.argv[1:])\n",
    )
    .unwrap();
    symlink("../app/main.py", folder.path().join("bin/relative")).unwrap();
    symlink(
        folder.path().join("app/main.py"),
        folder.path().join("bin/absolute"),
    )
    .unwrap();
    symlink("main.py", folder.path().join("app/beside")).unwrap();
    symlink("app", folder.path().join("linked")).unwrap();
    for script in [
        "bin/relative",
        "bin/absolute",
        "app/beside",
        "linked/main.py",
    ] {
        same(folder.path(), words(&[script, "x"]));
    }
}

#[test]
fn program_is_read_from_a_pipe_that_is_its_script() {
    let folder = tempfile::tempdir().unwrap();
    let shell = |command: &str| {
        let output = Command::new("bash")
            .args(["-c", command])
            .env("WASISOCKET_PYTHON", built("WASISOCKET_PYTHON"))
            .env("W", built("WASISOCKET_BIN"))
            .env("P", built("WASISOCKET_NATIVE_PYTHON"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code(),
        )
    };
    let program = "<(echo 'import sys; print(sys.argv[1:], __file__.split(chr(47))[1:3], input()); 1/0') a -u <<< line";
    let natively = shell(&format!("\"$P\" -B {program}"));
    for options in ["", "--cold", "-B", "--dir=.::/"] {
        let ended = shell(&format!("\"$W\" run {options} {program}"));
        assert_eq!(
            (&ended.0, ended.2),
            (&natively.0, natively.2),
            "{}",
            ended.1
        );
        assert!(ended.1.contains("File \"/dev/fd/"), "{}", ended.1);
    }
    let ended = shell("mkfifo p; echo 'print(\"fifo\")' > p & \"$W\" run p");
    assert_eq!(
        (ended.0.as_str(), ended.2),
        ("fifo\n", Some(0)),
        "{}",
        ended.1
    );
    let ended = shell(
        "echo 'import os; print(os.listdir(\"/dev/fd\"))' > s.py; \"$W\" run /dev/stdin < s.py",
    );
    assert_eq!(
        (ended.0.as_str(), ended.2),
        ("['0']\n", Some(0)),
        "{}",
        ended.1
    );
    let ended = shell("\"$W\" run /dev/zero");
    assert_eq!(ended.2, Some(2));
    assert!(ended.1.contains("is longer than 16 MiB"), "{}", ended.1);
}

#[test]
fn module_of_the_current_folder_is_run_and_sees_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("package/sub")).unwrap();
    fs::write(at.join("neighbour.py"), "name = 'neighbour'").unwrap();
    fs::write(at.join("single.py"), PROGRAM).unwrap();
    fs::write(at.join("package/__main__.py"), PROGRAM).unwrap();
    fs::write(at.join("package/sub/inner.py"), PROGRAM).unwrap();
    for line in [
        &["-m", "single", "x"][..],
        &["-msingle"],
        &["-Om", "package"],
        &["-m", "package.sub.inner", "-c"],
        &["-m", "package.sub.missing"],
        &["-Im", "single"],
        &["-P", "-m", "single"],
    ] {
        same(at, words(line));
    }
    let listed = |name: &str| {
        let code = "import os; print(sorted(os.listdir('/')))";
        fs::write(at.join("single.py"), code).unwrap();
        fs::create_dir_all(at.join("other")).unwrap();
        run().folder(at).args(["--dir=other::/", "-m", name]).end()
    };
    assert!(listed("single").stderr.contains("No module named single"));
    // A module of the library shows nothing of the folder.
    let printed = run().folder(at).args(["-m", "site"]).succeeds();
    assert!(printed.contains("sys.path"), "{printed}");
    let code = "import os; print(os.listdir('/'))";
    assert_eq!(run().folder(at).args(["-c", code]).succeeds(), "[]\n");
    let ended = run()
        .folder(at)
        .args(["-m", "timeit", "-n1", "-r1", "-s", "import neighbour"])
        .end();
    assert!(
        ended.stderr.contains("No module named 'neighbour'"),
        "{}",
        ended.stderr
    );
}
