//! Locks of files: guests keep each other out, and native programs too.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use wasisocket_tests::guest::{Started, built, program, run};

use crate::dir;

const KINDS: [(&str, &str); 3] = [
    ("flock", "BlockingIOError"),
    ("lockf", "BlockingIOError"),
    ("sqlite", "SQLITE_BUSY"),
];

/// Who runs the program `files/locks.py`.
#[derive(Clone, Copy)]
enum Who {
    Guest,
    Native,
}

/// A program that has a lock until its standard input ends.
struct Holder {
    started: Started,
    stdin: ChildStdin,
}

impl Holder {
    /// It has the lock.
    fn new(who: Who, kind: &str, folder: &Path) -> Self {
        let command = match who {
            Who::Guest => built("WASISOCKET_BIN"),
            Who::Native => built("WASISOCKET_NATIVE_PYTHON"),
        };
        let mut command = Command::new(command);
        if let Who::Guest = who {
            command
                .args(["run", "--python"])
                .arg(built("WASISOCKET_PYTHON"));
            command.arg(dir(folder, "/folder"));
        }
        let mut child = command
            .arg(program("files/locks.py"))
            .args(["hold", kind])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let started = Started { child };
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "locked\n", "{kind}");
        Self { started, stdin }
    }

    fn end(self) {
        drop(self.stdin);
        self.started.end().assert_success();
    }
}

/// What somebody else gets.
fn tried(who: Who, kind: &str, folder: &Path) -> String {
    match who {
        Who::Guest => run()
            .arg(dir(folder, "/folder"))
            .arg(program("files/locks.py"))
            .args(["try", kind])
            .succeeds(),
        Who::Native => super::in_native("locks.py", &["try", kind, folder.to_str().unwrap()]),
    }
}

#[test]
fn guests_and_native_programs_keep_each_other_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("file"), "").unwrap();
    for (holder, others) in [
        (Who::Guest, [Who::Guest, Who::Native].as_slice()),
        (Who::Native, &[Who::Guest]),
    ] {
        for (kind, refusal) in KINDS {
            let holder = Holder::new(holder, kind, folder);
            for other in others {
                assert_eq!(tried(*other, kind, folder), format!("{refusal}\n"));
            }
            holder.end();
            assert_eq!(tried(Who::Guest, kind, folder), "locked\n");
        }
    }
}

#[test]
fn guest_that_is_ended_has_no_lock() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (kind, _) in KINDS {
        let holder = Holder::new(Who::Guest, kind, folder.path());
        drop(holder.started);
        assert_eq!(tried(Who::Guest, kind, folder.path()), "locked\n");
    }
}

/// A shared lock is all that a guest gets of a file that it may only read.
#[test]
fn guest_that_may_only_read_keeps_no_reader_out() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let code = "\
        import errno, fcntl\n\
        file = open('/folder/file')\n\
        for lock in fcntl.flock, fcntl.lockf:\n\
        \x20   lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n\
        \x20   lock(file, fcntl.LOCK_UN)\n\
        \x20   lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n\
        \x20   try:\n\
        \x20       lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n\
        \x20       raise AssertionError\n\
        \x20   except OSError as error:\n\
        \x20       assert error.errno == errno.EBADF, error\n";
    run()
        .arg(format!("--dir={}::/folder:ro", folder.path().display()))
        .args(["-c", code])
        .succeeds();
}
