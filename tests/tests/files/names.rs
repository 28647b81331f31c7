//! File names that are not UTF-8.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;

use wasisocket_tests::guest::{program, run};

use crate::{assert_same, dir, in_native};

#[test]
fn names_that_are_not_utf8_are_as_good_as_others() {
    let [native, guest] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let native = in_native("names.py", &[native.path().to_str().unwrap()]);
    let guest = run()
        .arg(dir(guest.path(), "/w"))
        .arg(program("files/names.py"))
        .arg("/w")
        .succeeds();
    assert_same(&native, &guest);
}

/// A path with such a name is resolved like all others: below the granted folder, which may be read only.
#[test]
fn names_that_are_not_utf8_lead_nowhere_else() {
    let outer = tempfile::tempdir().unwrap();
    let granted = outer.path().join("granted");
    let name = OsStr::from_bytes(b"d\xff");
    fs::create_dir_all(granted.join(name)).unwrap();
    fs::write(outer.path().join("secret"), "secret").unwrap();
    symlink("../../secret", granted.join(name).join("relative")).unwrap();
    symlink(outer.path(), granted.join(name).join("absolute")).unwrap();
    symlink("../..", granted.join(OsStr::from_bytes(b"up\xff"))).unwrap();
    let code = "
import errno, os
for path in ['d\\udcff/relative', 'd\\udcff/absolute/secret', 'd\\udcff/../../secret', 'up\\udcff/secret']:
    for call in [os.stat, open, os.listdir]:
        try:
            call('/ro/' + path)
        except OSError as error:
            assert error.errno == errno.ENOENT, (path, call, error)
        else:
            raise AssertionError((path, call))
# The guest's own root, an empty folder.
assert os.listdir('/ro/up\\udcff') == []
changes = [
    lambda name: open(name, 'w'),
    lambda name: open(name, 'x'),
    lambda name: open(name, 'r+'),
    os.mkdir,
    os.rmdir,
    os.unlink,
    os.utime,
    lambda name: os.symlink('x', name),
    lambda name: os.rename('/ro/d\\udcff', name),
    lambda name: os.rename(name, '/ro/d\\udcff'),
    lambda name: os.link('/ro/d\\udcff/relative', name),
    lambda name: os.truncate(name, 0),
]
for name in ['/ro/new\\udcff', '/ro/d\\udcff']:
    for number, change in enumerate(changes):
        try:
            change(name)
        except OSError as error:
            allowed = errno.EPERM, errno.ENOENT, errno.EISDIR, errno.EBADF, errno.EINVAL
            assert error.errno in allowed, (name, number, error)
        else:
            raise AssertionError((name, number))
";
    run()
        .arg(dir(&granted, "/ro:ro"))
        .args(["-c", code])
        .succeeds();
    let mut left: Vec<_> = fs::read_dir(&granted)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [name, OsStr::from_bytes(b"up\xff")]);
}

#[test]
fn name_that_is_not_utf8_beside_a_script_stops_no_import() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("module.py"), "print('imported')").unwrap();
    fs::write(folder.path().join("script.py"), "import module, json").unwrap();
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9.py")), "").unwrap();
    let printed = run().arg(folder.path().join("script.py")).succeeds();
    assert_eq!(printed, "imported\n");
}
