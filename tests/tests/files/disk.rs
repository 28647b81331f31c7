//! The limit of what a guest's files take, in both kinds of stores.

use std::fs::{self, File};
use std::path::Path;

use wasisocket_host::{Grants, Limit};
use wasisocket_python::{Distribution, Folder, Program, Python, Sandbox};
use wasisocket_tests::guest::{built, program, run};

use crate::{dir, reaches};

/// What is there before.
fn prepare(folder: &Path) {
    let file = File::create(folder.join("old")).unwrap();
    file.set_len(3 << 20).unwrap();
}

#[test]
fn files_take_no_more_than_the_limit_and_give_it_back() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    reaches("max-disk", "1M", folder.path(), "disk.py");
}

#[test]
fn limit_holds_where_files_are_read_by_other_threads() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path());
    let mut grants = Grants::default();
    grants.limits.set(Limit::MaxDisk, "1M").unwrap();
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let python = Python::builder().distribution(distribution).load().unwrap();
    let given = Program::default().grants(grants);
    let given = given.folder(Folder::read_write(folder.path(), "/folder"));
    let mut sandbox = Sandbox::open(&python, given).unwrap();
    let code = fs::read_to_string(program("files/disk.py")).unwrap();
    let outcome = sandbox.run(&code).unwrap();
    assert_eq!(outcome.error, None);
    assert_eq!(outcome.stdout, b"ok\n");
}

#[test]
fn default_is_a_quarter_of_a_gibibyte() {
    let folder = tempfile::tempdir().unwrap();
    let code = "
import os
fd = os.open('/folder/a', os.O_RDWR | os.O_CREAT)
os.ftruncate(fd, (256 << 20) - 4096)
try: os.ftruncate(fd, 256 << 20)
except OSError as error: print(error)";
    let ended = run()
        .arg(dir(folder.path(), "/folder"))
        .args(["-c", code])
        .end();
    ended.assert_success();
    assert_eq!(ended.stdout, "[Errno 51] No space left on device\n");
}
