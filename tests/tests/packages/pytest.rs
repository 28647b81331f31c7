//! pytest, which runs a suite in the guest.

use wasisocket_tests::guest::program;

use crate::with_packages;

#[test]
fn pytest_runs_a_suite_with_temporary_folders() {
    let temporary = tempfile::tempdir().unwrap();
    let printed = with_packages()
        .arg(format!("--dir={}::/tmp", temporary.path().display()))
        .arg(format!("--dir={}::/suite:ro", program("pytest").display()))
        .args(["-m", "pytest", "-p", "no:cacheprovider"])
        // These duplicate the descriptor of standard error, or open /dev/null: a guest has neither dup(2) for files nor
        // devices.
        .args(["--capture=sys", "-p", "no:faulthandler", "-p", "no:logging"])
        .args(["--rootdir=/suite", "/suite/test_guest.py"])
        .succeeds();
    assert!(printed.contains("6 passed, 1 xfailed"), "{printed}");
}
