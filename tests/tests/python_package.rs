//! The Python package `wasisocket`, from its sources and the module that was built.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use wasisocket_tests::guest::{built, program};
use wasisocket_tests::python_package::PythonPackage;

/// Runs a test program in native CPython, with the package and what else is in these folders. Returns how many tests ran.
fn run(python: &Path, name: &str, folders: &[&Path]) -> String {
    let package = PythonPackage::assemble();
    let path = [package.path()].into_iter().chain(folders.iter().copied());
    let examples = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../host-runner/python-package/examples"
    );
    // Of its own: one of the tests counts the folders of sandboxes.
    let temporary = tempfile::tempdir().unwrap();
    let ended = Command::new(python)
        // Not written into the sources, which the links lead to.
        .arg("-B")
        .arg(program("package").join(name))
        .env("PYTHONPATH", env::join_paths(path).unwrap())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("WASISOCKET_EXAMPLES", examples)
        .env("TMPDIR", temporary.path())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{printed}");
    let ran = printed.lines().find_map(|line| line.strip_prefix("Ran "));
    let count = ran.and_then(|ran| ran.split(' ').next());
    count.expect("unittest says it").to_owned()
}

/// The programs that need nothing but the package, and how many tests each has.
const PROGRAMS: [(&str, &str); 4] = [
    ("test_asynchronous.py", "7"),
    ("test_functions.py", "7"),
    ("test_packages.py", "4"),
    ("test_sandbox.py", "29"),
];

/// The one that needs other packages.
const ADAPTERS: &str = "test_adapters.py";

#[test]
fn package_works_in_native_cpython() {
    let python = built("WASISOCKET_NATIVE_PYTHON");
    for (name, count) in PROGRAMS {
        assert_eq!(run(&python, name, &[]), count, "{name}");
    }
}

#[test]
fn adapters_and_examples_work_with_the_packages_they_are_for() {
    let python = built("WASISOCKET_SITE_PYTHON");
    let folder = built("WASISOCKET_ADAPTERS");
    assert_eq!(run(&python, ADAPTERS, &[&folder]), "7");
}

#[test]
fn every_program_is_run() {
    let names = fs::read_dir(program("package")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter(|name| name.starts_with("test_")).collect();
    found.sort();
    let run = [ADAPTERS].into_iter().chain(PROGRAMS.map(|(name, _)| name));
    assert_eq!(found, run.collect::<Vec<_>>());
}
