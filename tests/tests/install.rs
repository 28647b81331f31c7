//! `cargo xtask install`: what it puts into a prefix works from any folder, without environment variables.

#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use wasisocket_tests::guest::{built, program};

/// Runs a command, and returns what it printed to standard output.
#[track_caller]
fn success(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the command starts");
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}\n{stdout}\n{stderr}");
    stdout
}

fn xtask_install(prefix: &Path) -> Command {
    let mut install = Command::new(built("WASISOCKET_XTASK"));
    install.arg("install").arg("--prefix").arg(prefix);
    install
}

#[test]
fn installed_command_runs_python_from_any_folder_without_variables() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path().join("prefix");
    let told = success(&mut xtask_install(&prefix));
    let command = prefix.join("bin/wasisocket");
    assert!(told.contains(command.to_str().unwrap()), "{told}");
    for licence in [
        "NOTICE.txt",
        "LICENSES",
        "command/NOTICE.txt",
        "command/LICENSES",
    ] {
        assert!(
            prefix.join("lib/wasisocket").join(licence).exists(),
            "{licence}"
        );
    }

    let run = |arguments: &[&str]| {
        let mut run = Command::new(&command);
        run.env_clear().current_dir("/").arg("run").args(arguments);
        let ended = run.output().expect("the command starts");
        let printed = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(ended.status.success(), "{printed:?}");
        printed
    };
    assert_eq!(run(&["-c", "print('hello')"]), ["hello\n", ""]);
    let modules = program("manual/modules.py");
    let printed = run(&[modules.to_str().unwrap()]);
    assert_eq!(printed, ["opened and closed\n", ""]);

    // Installing again replaces the installation, and the printed command undoes it.
    let told = success(&mut xtask_install(&prefix));
    let undo = told
        .lines()
        .find_map(|line| line.strip_prefix("To undo it: "))
        .expect("a line about undoing it");
    success(Command::new("sh").args(["-c", undo]));
    for part in ["bin", "lib"] {
        let left = fs::read_dir(prefix.join(part)).unwrap().count();
        assert_eq!(left, 0, "{part}");
    }
}

#[test]
fn uninstall_removes_the_installation_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let prefix = folder.path();
    fs::create_dir(prefix.join("bin")).unwrap();
    fs::write(prefix.join("bin/other"), "").unwrap();
    success(&mut xtask_install(prefix));
    success(xtask_install(prefix).arg("--uninstall"));
    assert!(prefix.join("bin/other").is_file());
    assert_eq!(fs::read_dir(prefix.join("bin")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(prefix.join("lib")).unwrap().count(), 0);
    assert!(
        !xtask_install(prefix)
            .arg("--uninstall")
            .output()
            .unwrap()
            .status
            .success()
    );
}
