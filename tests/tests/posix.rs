//! Programs that must behave in the guest as under native CPython on Linux: each is run by both.

use std::fs;
use std::io::{Write as _, pipe};
use std::process::{Command, Stdio};

use wasisocket_tests::guest::{built, program, run};

/// Runs a program in an empty folder, under native CPython and then in the guest. Its standard input has two lines
/// and no end.
fn behaves_as_on_linux(name: &str) {
    let source = program("posix").join(name);
    for native in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join(name);
        fs::copy(&source, &script).unwrap();
        let (stdin, mut writer) = pipe().unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        let printed = if native {
            let ended = Command::new(built("WASISOCKET_NATIVE_PYTHON"))
                .arg(&script)
                .current_dir(folder.path())
                .stdin(stdin)
                .stderr(Stdio::inherit())
                .output()
                .unwrap();
            assert!(ended.status.success(), "{name} is not how Linux behaves");
            String::from_utf8(ended.stdout).unwrap()
        } else {
            // Other tests cover grants.
            run()
                .args(["--allow-net", "--allow-listen", "--max-sockets=1000"])
                .arg(format!("--dir={}::/", folder.path().display()))
                .arg(&script)
                .stdin(stdin)
                .succeeds()
        };
        assert_eq!(printed, "ok\n");
    }
}

macro_rules! programs {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $name() {
                behaves_as_on_linux(concat!(stringify!($name), ".py"));
            }
        )*

        const NAMES: &[&str] = &[$(concat!(stringify!($name), ".py")),*];
    };
}

programs! {
    clocks datagrams descriptors devices event_loop files foreign local locks names no_terminal options resources rights
    semaphores signals standard_input standard_output streams thread_sockets threads time_zones users waiting
}

#[test]
fn every_program_is_run() {
    let mut found: Vec<_> = fs::read_dir(program("posix"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    assert_eq!(found, NAMES);
}
