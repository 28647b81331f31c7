//! What is in a granted folder and no file.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use wasisocket_tests::guest::run;

use crate::dir;

#[test]
fn opening_what_is_no_file_does_not_wait() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink("fifo", path("to-fifo")).unwrap();
    mknodat(CWD, path("\u{e9}-fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let _socket = UnixListener::bind(path("socket")).unwrap();
    symlink("loop", path("loop")).unwrap();
    fs::write(path("new\nline"), "x").unwrap();
    fs::write(path(&"n".repeat(255)), "x").unwrap();
    let code = "
import errno, os
os.chdir('/folder')
for name, number in {'fifo': errno.ENOTSUP, 'to-fifo': errno.ENOTSUP, b'\\xc3\\xa9-fifo': errno.ENOTSUP,
                     'socket': errno.ENXIO, 'loop': errno.ELOOP, 'n' * 256: errno.ENAMETOOLONG}.items():
    for flags in os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_DIRECTORY, os.O_RDONLY | os.O_NONBLOCK:
        try: os.close(os.open(name, flags))
        except OSError as error:
            is_folder = flags & os.O_DIRECTORY and error.errno == errno.ENOTDIR
            assert error.errno == number or is_folder, (name, flags, error)
        else: raise AssertionError(name)
for name in 'new\\nline', 'n' * 255:
    assert open(name).read() == 'x'
    os.unlink(name)
assert sorted(os.listdir()) == ['fifo', 'loop', 'socket', 'to-fifo', '\u{e9}-fifo'], os.listdir()
for name in os.listdir():
    os.unlink(name)
";
    run()
        .arg("--timeout=60s")
        .arg(dir(folder.path(), "/folder"))
        .args(["-c", code])
        .succeeds();
}
