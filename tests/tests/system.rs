//! What a guest's system has in its own way: users, processes, libraries of C, the log.

use std::fs;
use std::os::unix::net::UnixDatagram;

use wasisocket_tests::guest::run;

const USERS: &str = "\
import getpass, grp, os, pathlib, pwd
print(pwd.getpwuid(1000)[:], os.getlogin(), getpass.getuser(), pathlib.Path.home(), os.path.expanduser('~'))
print([user.pw_name for user in pwd.getpwall()], [(group.gr_name, group.gr_mem) for group in grp.getgrall()])
";

const OWN: &str =
    "('user', 'x', 1000, 1000, '', '/tmp/home', '/bin/sh') user user /tmp/home /tmp/home\n";

#[test]
fn guests_have_a_user_with_a_name_and_a_home() {
    let own = format!("{OWN}['root', 'user'] [('root', []), ('user', [])]\n");
    assert_eq!(run().args(["-c", USERS]).succeeds(), own);
    // The host's /etc, and the library's own answer where the tree has none.
    let tree = tempfile::tempdir().unwrap();
    let root = format!("--dir={}::/", tree.path().display());
    assert_eq!(run().args([&*root, "-c", USERS]).succeeds(), own);
    fs::create_dir(tree.path().join("etc")).unwrap();
    assert_eq!(run().args([&*root, "-c", USERS]).succeeds(), own);
    let printed = run()
        .args(["--env=HOME=/data", "--env=USER=me", "-c", USERS])
        .succeeds();
    assert!(
        printed.contains("/bin/sh') user me /data /data\n"),
        "{printed}"
    );
}

#[test]
fn users_in_the_guests_own_files_are_found() {
    let tree = tempfile::tempdir().unwrap();
    let etc = tree.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let root = format!("--dir={}::/", tree.path().display());
    fs::write(
        etc.join("passwd"),
        "root:x:0:0:root:/root:/bin/bash\n# comment\nbroken:x\nann:x:1000:50:Ann,,:/home/ann:/bin/zsh",
    )
    .unwrap();
    let many: Vec<_> = (0..500).map(|number| format!("member{number}")).collect();
    fs::write(
        etc.join("group"),
        format!("staff:x:50:ann,bob\nmany:x:51:{}\n", many.join(",")),
    )
    .unwrap();
    let printed = run().args([&*root, "-c", USERS]).succeeds();
    let mut lines = printed.lines();
    assert_eq!(
        lines.next(),
        Some(
            "('ann', 'x', 1000, 50, 'Ann,,', '/home/ann', '/bin/zsh') ann ann /home/ann /home/ann"
        )
    );
    let rest = lines.next().unwrap();
    assert!(
        rest.starts_with("['root', 'ann'] [('staff', ['ann', 'bob']), ('many', ['member0', "),
        "{rest}"
    );
    assert!(
        rest.ends_with("'member499']), ('root', []), ('user', [])]"),
        "{rest}"
    );
}

#[test]
fn limits_are_those_of_a_guest() {
    let code = "\
import resource as r
for name in ('NOFILE', 'STACK', 'CORE', 'AS', 'CPU'):
    print(name, *r.getrlimit(getattr(r, f'RLIMIT_{name}')))
for limit in ((64, 64), (1024, 1 << 20), (1 << 20, 1 << 21), (2, 1)):
    try: r.setrlimit(r.RLIMIT_NOFILE, limit)
    except (OSError, ValueError) as error: print(repr(error))
print(r.getrlimit(r.RLIMIT_NOFILE)[0])
";
    let printed = run().args(["-c", code]).succeeds();
    assert_eq!(
        printed,
        "NOFILE 1048576 1048576\nSTACK 8388608 8388608\nCORE 0 0\nAS 4294967296 4294967296\nCPU -1 -1\n\
         OSError(58, 'Not supported')\nOSError(58, 'Not supported')\n\
         ValueError('not allowed to raise maximum limit')\n\
         ValueError('current limit exceeds maximum limit')\n1048576\n"
    );
}

#[test]
fn starting_a_process_is_an_error_that_says_so() {
    let code = "\
import asyncio, multiprocessing, os, subprocess
from concurrent.futures import ProcessPoolExecutor
def tries(call):
    try: call()
    except OSError as error: print(error)
tries(lambda: subprocess.run(['true']))
tries(lambda: asyncio.run(asyncio.create_subprocess_shell('true')))
for method in ('fork', 'spawn', 'forkserver'):
    context = multiprocessing.get_context(method)
    tries(context.Process(target=print).start)
tries(lambda: multiprocessing.Pool(2))
tries(multiprocessing.Manager)
tries(lambda: ProcessPoolExecutor().submit(print))
print(hasattr(os, 'fork'), os.cpu_count(), os.getpgrp() == os.getsid(0) == os.getpid())
";
    let printed = run().args(["-c", code]).succeeds();
    let error = "[Errno 58] wasi does not support processes.\n".repeat(8);
    assert_eq!(printed, format!("{error}False 1 True\n"));
}

#[test]
fn functions_of_c_cannot_be_called_and_the_errors_say_so() {
    let code = "\
import ctypes, ctypes.util, _ctypes
def tries(call):
    try: call()
    except Exception as error: print(type(error.__cause__ or error).__name__, error.__cause__ or error)
tries(lambda: ctypes.CDLL('libc.so.6'))
tries(lambda: ctypes.pythonapi.Py_IncRef)
tries(lambda: ctypes.CDLL(None).puts)
tries(lambda: ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(_ctypes._memset_addr)(1.0))
tries(lambda: ctypes.PYFUNCTYPE(ctypes.c_double, ctypes.c_double)(_ctypes._memset_addr)(1.0))
tries(lambda: ctypes.CFUNCTYPE(ctypes.c_int)(0)())
print(ctypes.util.find_library('c'))
";
    let printed = run().args(["-c", code]).succeeds();
    assert_eq!(
        printed,
        "OSError libc.so.6: libraries of C cannot be loaded in WebAssembly\n\
         AttributeError Py_IncRef: functions of C cannot be looked up in WebAssembly\n\
         AttributeError puts: functions of C cannot be looked up in WebAssembly\n\
         NotImplementedError functions of C cannot be called with these types in WebAssembly\n\
         NotImplementedError functions of C cannot be called with these types in WebAssembly\n\
         NotImplementedError functions of C cannot be called with these types in WebAssembly\n\
         None\n"
    );
}

#[test]
fn log_goes_to_the_socket_if_the_guest_has_one() {
    let code = "\
import syslog
syslog.syslog('first')
syslog.openlog('name', syslog.LOG_PID, syslog.LOG_DAEMON)
syslog.setlogmask(syslog.LOG_UPTO(syslog.LOG_WARNING))
syslog.syslog(syslog.LOG_INFO, 'masked')
syslog.syslog(syslog.LOG_ERR, '100 %s\\n')
syslog.syslog(syslog.LOG_MAIL | syslog.LOG_ERR, 'x' * 20000)
";
    // Without the socket: neither an error nor a denial.
    let ended = run().args(["-c", code]).end();
    ended.assert_success();
    assert_eq!(ended.stderr, "");
    let folder = tempfile::tempdir().unwrap();
    let log = UnixDatagram::bind(folder.path().join("log")).unwrap();
    run()
        .arg(format!("--dir={}::/dev", folder.path().display()))
        .args(["-c", code])
        .succeeds();
    let receive = || {
        let mut buffer = [0; 32 << 10];
        let length = log.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        let (priority, rest) = text.split_once('>').unwrap();
        // The time: `Dec  1 12:34:56 `.
        assert_eq!(&rest[15..16], " ", "{text}");
        (priority.to_owned(), rest[16..].to_owned())
    };
    log.set_nonblocking(true).unwrap();
    assert_eq!(receive(), ("<14".to_owned(), "-c: first".to_owned()));
    assert_eq!(receive(), ("<27".to_owned(), "name[42]: 100 %s".to_owned()));
    let (priority, text) = receive();
    assert_eq!((&*priority, text.len()), ("<19", "name[42]: ".len() + 8191));
}
