//! Granted folders as mounts in one tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use wasisocket_tests::guest::{program, run};

use crate::{assert_same, dir, in_native};

/// The tree of `files/paths.py`. Absolute links begin with `root`.
fn make_tree(folder: &Path, root: &str) {
    for name in ["app/sub", "data", "plain", "read-only"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for (name, text) in [
        ("app/file", "file"),
        ("app/sub/file", "sub"),
        ("data/x", "x"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    for (target, name) in [
        ("sub", "app/to-sub"),
        ("../data", "app/to-data"),
        ("../data/x", "app/to-x"),
        ("../data/created", "app/to-new"),
        ("../nothing", "app/to-nothing"),
        ("to-itself", "app/to-itself"),
        ("../app", "app/round"),
        ("to-data/to-app", "app/to-app-by-data"),
        ("../app", "data/to-app"),
        ("../data", "read-only/to-data"),
        (&format!("{root}/data"), "app/to-data-absolute"),
    ] {
        symlink(target, folder.join(name)).unwrap();
    }
}

#[test]
fn parent_of_a_granted_folder_is_its_parent_directory() {
    let [native, guest] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let root = native.path().canonicalize().unwrap();
    let root = root.to_str().unwrap();
    make_tree(native.path(), root);
    make_tree(guest.path(), "");
    let printed = in_native("paths.py", &[root]);

    // The folders that are not mounted on their own are in the one that is mounted as the root.
    let base = tempfile::tempdir().unwrap();
    fs::rename(guest.path().join("plain"), base.path().join("plain")).unwrap();
    fs::copy(program("files/paths.py"), base.path().join("paths.py")).unwrap();
    let guest = run()
        .arg(dir(&guest.path().join("app"), "/app"))
        .arg(dir(&guest.path().join("data"), "/data"))
        .arg(dir(&guest.path().join("read-only"), "/read-only:ro"))
        .arg(base.path().join("paths.py"))
        .arg("")
        .succeeds();
    assert_same(&printed, &guest);
}

#[test]
fn directories_above_granted_folders_exist() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    symlink("/nowhere", folder.path().join("to-nowhere")).unwrap();
    run()
        .arg(dir(folder.path(), "/mnt/deep/data"))
        .arg(program("files/mounts.py"))
        .succeeds();
    let code = fs::read_to_string(program("files/mounts.py")).unwrap();
    run()
        .arg(dir(folder.path(), "/mnt/deep/data"))
        .args(["-c", &code])
        .succeeds();
}
