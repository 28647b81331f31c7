//! The Python package `wasisocket`, from its sources and the module that was built.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use wasisocket_tests::guest::{built, program};

#[test]
fn package_works_in_native_cpython() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("wasisocket");
    fs::create_dir(&package).unwrap();
    let sources = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../host-runner/python-package/wasisocket"
    );
    for file in fs::read_dir(sources).unwrap() {
        let file = file.unwrap();
        symlink(file.path(), package.join(file.file_name())).unwrap();
    }
    let module = built("WASISOCKET_NATIVE_MODULE");
    symlink(module, package.join("_native.abi3.so")).unwrap();
    symlink(built("WASISOCKET_PYTHON"), package.join("guest")).unwrap();
    let ended = Command::new(built("WASISOCKET_NATIVE_PYTHON"))
        // Not written into the sources, which the links lead to.
        .arg("-B")
        .arg(program("package/test_sandbox.py"))
        .env("PYTHONPATH", folder.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{printed}");
    let ran = printed.lines().find(|line| line.starts_with("Ran "));
    assert!(
        ran.is_some_and(|ran| ran.starts_with("Ran 38 ")),
        "{printed}"
    );
}
