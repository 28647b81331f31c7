//! Files and directories: a guest sees of granted folders what native CPython sees on Linux.

mod asynchronous;
mod descriptors;
mod disk;
mod kinds;
mod listing;
mod locks;
mod names;
mod paths;
mod refusals;
mod rights;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use wasisocket_tests::guest::{Started, built, program, run};

/// Runs a program of `tests/programs/files` in native CPython of the same version, and returns what it prints.
fn in_native(name: &str, arguments: &[&str]) -> String {
    let child = Command::new(built("WASISOCKET_NATIVE_PYTHON"))
        .arg(program("files").join(name))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let ended = Started { child }.end();
    ended.assert_success();
    ended.stdout
}

/// Asserts that a program printed the same lines in both.
#[track_caller]
fn assert_same(native: &str, guest: &str) {
    let pairs = native.lines().zip(guest.lines());
    let differences: Vec<_> = pairs.filter(|(native, guest)| native != guest).collect();
    assert_eq!(differences, [], "native and guest");
    assert_eq!(native, guest);
}

fn dir(host: &Path, guest: &str) -> String {
    format!("--dir={}::{guest}", host.display())
}

/// Asserts that a program that a limit concerns, which has a folder `/folder`, does what it expects and reaches the limit.
#[track_caller]
fn reaches(limit: &str, value: &str, folder: &Path, name: &str) {
    let ended = run()
        .arg(format!("--{limit}={value}"))
        .args(["--allow-net", &dir(folder, "/folder")])
        .arg(program("files").join(name))
        .end();
    ended.assert_success();
    assert_eq!(ended.stdout, "ok\n");
    let told = format!("wasisocket: the guest reached its --{limit}\n");
    assert_eq!(ended.stderr, told);
}

#[test]
fn files_belong_to_the_guests_user() {
    let folder = tempfile::tempdir().unwrap();
    run()
        .arg(dir(folder.path(), "/w"))
        .arg(program("files/owners.py"))
        .arg("/w")
        .succeeds();
}

#[test]
fn every_program_is_run() {
    let tests = [
        include_str!("asynchronous.rs"),
        include_str!("descriptors.rs"),
        include_str!("disk.rs"),
        include_str!("main.rs"),
        include_str!("kinds.rs"),
        include_str!("listing.rs"),
        include_str!("locks.rs"),
        include_str!("names.rs"),
        include_str!("paths.rs"),
        include_str!("refusals.rs"),
        include_str!("rights.rs"),
    ]
    .concat();
    for entry in fs::read_dir(program("files")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(tests.contains(&format!("{name}\"")), "{name}");
    }
}
