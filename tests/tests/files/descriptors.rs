//! The limit of how many files a guest has open, in both kinds of stores.

use std::fs;

use wasisocket_host::{Grants, Limit};
use wasisocket_python::{Distribution, Folder, Program, Python, Sandbox};
use wasisocket_tests::guest::{built, program};

use crate::reaches;

/// Descriptors of this process.
fn own() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn no_more_files_are_open_than_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    reaches("max-files", "10", folder.path(), "descriptors.py");
}

#[test]
fn sandbox_takes_no_more_of_this_process() {
    let folder = tempfile::tempdir().unwrap();
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let python = Python::builder().distribution(distribution).load().unwrap();
    let open = |limit: Option<&str>| {
        let mut grants = Grants::default();
        if let Some(limit) = limit {
            grants.limits.set(Limit::MaxFiles, limit).unwrap();
        }
        let given = Program::default().grants(grants);
        let given = given.folder(Folder::read_write(folder.path(), "/folder"));
        Sandbox::open(&python, given).unwrap()
    };
    let mut sandbox = open(Some("10"));
    let code = fs::read_to_string(program("files/descriptors.py")).unwrap();
    let outcome = sandbox.run(&code).unwrap();
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.stdout, b"ok\n");
    drop(sandbox);

    // The default; and all is given back.
    let before = own();
    let mut sandbox = open(None);
    let fills = "
import socket
kept, errors = [], []
for make in (lambda: open('/folder/file'), socket.socket):
    try:
        for _ in range(100_000): kept.append(make())
    except OSError as error: errors.append(error.errno)
len(kept), errors";
    let outcome = sandbox.run(fills).unwrap();
    let value = format!("{:?}", outcome.check().unwrap());
    assert!(value.contains("512"), "{value}");
    assert!(own() < before + 600, "{} {before}", own());
    let again = "kept.clear(); open('/folder/file').read()";
    assert_eq!(sandbox.run(again).unwrap().check().unwrap(), "".into());
    drop(sandbox);
    assert!(own() <= before + 2, "{} {before}", own());
}
