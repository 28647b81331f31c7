//! Sandboxes that are forked, saved and loaded.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use wasisocket_host::{Event, Grants, Limit, List};
use wasisocket_python::{Function, Program, Python, Sandbox, SandboxError, Value};

use crate::{limited, python, value};

/// Without a bound on guests: a test has many at a time.
static PYTHON: LazyLock<Python> = LazyLock::new(|| python().load().unwrap());

fn sandbox() -> Sandbox {
    Sandbox::open(&PYTHON, limited(&[("timeout", "60s")])).unwrap()
}

/// Each way to have a copy.
fn copies(sandbox: &mut Sandbox, file: &Path) -> [Sandbox; 2] {
    let forked = sandbox.fork().unwrap();
    sandbox.save(file).unwrap();
    let builder = Sandbox::builder(limited(&[("timeout", "60s")]));
    [forked, builder.load(&PYTHON, file).unwrap()]
}

#[test]
fn copy_has_what_python_holds_and_goes_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = sandbox();
    value(
        &mut sandbox,
        "import json, re, sqlite3\nx = [1, {'a': 2}]\ndef f(): return len(x)\n\
         db = sqlite3.connect(':memory:')\ndb.execute('create table t as select 5 as n')\n",
    );
    for mut copy in copies(&mut sandbox, &folder.path().join("saved")) {
        assert_eq!(value(&mut copy, "x.append(3); f()"), 3.into());
        let selected = "db.execute('select n from t').fetchone()[0]";
        assert_eq!(value(&mut copy, selected), 5.into());
        assert_eq!(
            value(&mut copy, "import csv; json.dumps(x)"),
            "[1, {\"a\": 2}, 3]".into()
        );
        let called = copy.call("f", [], []).unwrap().check().unwrap();
        assert_eq!(called, 3.into());
        // A copy of a copy, after the first one has changed.
        let mut second = copy.fork().unwrap();
        drop(copy);
        assert_eq!(value(&mut second, "x.append(4); f()"), 4.into());
        let printed = second.run("print('out')").unwrap().stdout;
        assert_eq!(printed, b"out\n");
        let closed = second.run("import atexit; atexit.register(print, 'bye')");
        closed.unwrap().check().unwrap();
        assert_eq!(second.close().unwrap().stdout, b"bye\n");
        assert_eq!(value(&mut sandbox, "f()"), 2.into());
    }
}

#[test]
fn limits_hold_while_a_copy_begins() {
    let mut sandbox = Sandbox::open(&PYTHON, limited(&[("timeout", "1s")])).unwrap();
    // A copy's random numbers are made new by the function that the program finds there too.
    value(
        &mut sandbox,
        "import random\ndef spin():\n while True: pass\nrandom.seed = spin",
    );
    let error = sandbox.fork().unwrap_err();
    let reached = matches!(error, SandboxError::Limit { limit, .. } if limit == Limit::Timeout);
    assert!(reached, "{error:?}");
    assert_eq!(value(&mut sandbox, "1"), 1.into());
}

#[test]
fn what_happens_to_copies_is_passed_on() {
    let (send, events) = std::sync::mpsc::channel();
    let builder = Sandbox::builder(limited(&[("timeout", "60s")])).on_event(move |event| {
        let told = match event {
            Event::Denied(_) => Some("denied"),
            Event::Ended { cpu_time, .. } if !cpu_time.is_zero() => Some("ended"),
            _ => None,
        };
        told.map(|told| send.send(told));
    });
    let mut sandbox = builder.open(&PYTHON).unwrap();
    let mut copy = sandbox.fork().unwrap();
    let connect =
        "import socket\ntry: socket.create_connection(('127.0.0.1', 1))\nexcept OSError: pass";
    value(&mut copy, connect);
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["denied"]);
    drop(copy);
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["ended"]);
    sandbox.close().unwrap();
    assert_eq!(events.try_iter().collect::<Vec<_>>(), ["ended"]);
}

#[test]
fn cold_sandboxes_are_copied_too() {
    let python = python().cold_start().load().unwrap();
    let mut sandbox = Sandbox::open(&python, Program::default()).unwrap();
    value(&mut sandbox, "x = 1");
    let mut copy = sandbox.fork().unwrap();
    assert_eq!(value(&mut copy, "import json; x + 1"), 2.into());
    assert!(copy.close().is_ok());
}

#[test]
fn random_numbers_of_copies_differ() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = sandbox();
    let code = "
import hashlib, os, random, secrets, sqlite3, ssl, tempfile, uuid
db = sqlite3.connect(':memory:')
def numbers():
    query = 'select hex(randomblob(8)), random()'
    return [random.random(), secrets.token_hex(8), uuid.uuid4().hex, os.urandom(8), ssl.RAND_bytes(8),
            *db.execute(query).fetchone()]
len(numbers())";
    let kinds = value(&mut sandbox, code);
    let file = folder.path().join("saved");
    let mut all: Vec<Vec<Value>> = vec![Vec::new(); 7];
    assert_eq!(kinds, 7.into());
    let mut sandboxes = Vec::from(copies(&mut sandbox, &file));
    sandboxes.extend(copies(&mut sandbox, &file));
    sandboxes.push(sandbox);
    for sandbox in &mut sandboxes {
        let Value::List(numbers) = value(sandbox, "numbers()") else {
            panic!("no list");
        };
        for (kind, number) in all.iter_mut().zip(numbers) {
            assert!(!kind.contains(&number), "{number:?}");
            kind.push(number);
        }
    }
}

#[test]
fn what_is_open_is_closed_in_the_copy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut grants = Grants::default();
    grants
        .add(List::AllowNet, &format!("127.0.0.1:{port}"))
        .unwrap();
    let mut sandbox = Sandbox::open(&PYTHON, Program::default().grants(grants)).unwrap();
    value(
        &mut sandbox,
        &format!(
            "import select, socket\nsock = socket.create_connection(('127.0.0.1', {port}))\n\
             files = [open(str(n), 'w+') for n in range(3)]\nfor f in files: f.write('kept'); f.flush()\n\
             late = open('late', 'w'); late.write('buffered')\nfiles[1].close()\nnumbers = [f.fileno() for f in (files[0], files[2], late, sock)]"
        ),
    );
    let mut peer = listener.accept().unwrap().0;
    let mut copy = sandbox.fork().unwrap();
    let code = "
import os
def error(function, *arguments):
    try: return function(*arguments)
    except OSError as e: return os.strerror(e.errno)
opened = [open('0').fileno() for _ in range(2)]
[error(sock.send, b'x'), error(sock.getpeername), error(os.read, numbers[0], 1), error(os.write, numbers[2], b'x'),
 sock.close(), [n for n in opened if n in numbers], open('0').read(), error(files[0].read)]";
    let Value::List(found) = value(&mut copy, code) else {
        panic!("no list");
    };
    let bad: Value = "Bad file descriptor".into();
    assert_eq!(
        found[..4],
        [bad.clone(), bad.clone(), bad.clone(), bad.clone()]
    );
    assert_eq!(
        found[4..7],
        [Value::None, Value::List(vec![]), "kept".into()]
    );
    assert_eq!(found[7], bad);
    // A socket of the copy's own is another one.
    value(
        &mut copy,
        &format!("with socket.create_connection(('127.0.0.1', {port})) as s: s.send(b'copy')"),
    );
    let mut received = String::new();
    listener
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut received)
        .unwrap();
    assert_eq!(received, "copy");
    // The sandbox still has its own, and what it has not written yet is written once.
    value(
        &mut sandbox,
        "sock.sendall(b'hello'); late.close(); sock.close()",
    );
    let mut received = String::new();
    peer.read_to_string(&mut received).unwrap();
    assert_eq!(received, "hello");
    copy.close().unwrap();
    let late = sandbox.files().unwrap().read("late").unwrap();
    assert_eq!(late, b"buffered");
}

#[test]
fn event_loop_goes_on_in_the_copy() {
    let mut sandbox = sandbox();
    let code = "
import asyncio, socket, time
begun = time.monotonic()
one, other = socket.socketpair()
one.setblocking(False)
async def wait():
    try: return await asyncio.get_running_loop().sock_recv(one, 1)
    except OSError as e: return e.errno
async def sleep():
    await asyncio.sleep(0.3)
    return time.monotonic() - begun
waiting, sleeping = asyncio.ensure_future(wait()), asyncio.ensure_future(sleep())
await asyncio.sleep(0)";
    value(&mut sandbox, code);
    let mut copy = sandbox.fork().unwrap();
    let slept = value(&mut copy, "await sleeping");
    assert!(
        matches!(slept, Value::Float(time) if (0.29..30.0).contains(&time)),
        "{slept:?}"
    );
    let bad = value(&mut copy, "import errno; await waiting == errno.EBADF");
    assert_eq!(bad, true.into());
    assert_eq!(value(&mut copy, "await asyncio.sleep(0, 5)"), 5.into());
    // And in the sandbox, with its socket.
    assert_eq!(
        value(&mut sandbox, "other.send(b'x'); await waiting"),
        vec![b'x'].into()
    );
    assert!(matches!(
        value(&mut sandbox, "await sleeping"),
        Value::Float(_)
    ));
}

#[test]
fn forks_have_the_grants_files_and_functions_and_loaded_ones_what_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let answer = |number: i64| Function::new(move |_| Ok(number.into()));
    let mut sandbox = Sandbox::builder(limited(&[("max-disk", "64K"), ("timeout", "60s")]))
        .function("answer", answer(1))
        .file("a/b", "text")
        .open(&PYTHON)
        .unwrap();
    value(
        &mut sandbox,
        "import os; os.symlink('a', 'link'); open('new', 'w').close(); saved = host.answer",
    );
    let mut fork = sandbox.fork().unwrap();
    assert_eq!(value(&mut fork, "host.answer() + saved()"), 2.into());
    assert_eq!(value(&mut fork, "open('link/b').read()"), "text".into());
    let full = fork.run("open('c', 'wb').write(bytes(100_000))").unwrap();
    assert_eq!(full.error.unwrap().type_name, "OSError");
    fork.files().unwrap().write("a/b", "other").unwrap();
    assert_eq!(value(&mut sandbox, "open('a/b').read()"), "text".into());
    sandbox.save(&file).unwrap();
    let mut loaded = Sandbox::builder(Program::default())
        .function("answer", answer(2))
        .function("more", answer(3))
        .load(&PYTHON, &file)
        .unwrap();
    assert_eq!(
        value(&mut loaded, "host.answer() + saved() + host.more()"),
        7.into()
    );
    assert_eq!(value(&mut loaded, "os.listdir('/')").type_name(), "list");
    assert_eq!(value(&mut loaded, "os.path.exists('/new')"), false.into());
    let mut without = Sandbox::builder(Program::default())
        .load(&PYTHON, &file)
        .unwrap();
    assert_eq!(
        without.run("saved()").unwrap().error.unwrap().type_name,
        "OSError"
    );
}

#[test]
fn guest_that_has_ended_or_has_too_little_memory_is_not_copied() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let mut sandbox = sandbox();
    value(&mut sandbox, "x = bytes(100 << 20)");
    sandbox.save(&file).unwrap();
    let small = Sandbox::builder(limited(&[("max-memory", "64M")])).load(&PYTHON, &file);
    assert!(format!("{:#}", small.unwrap_err()).contains("max-memory"));
    assert!(sandbox.run("import os; os._exit(0)").is_err());
    assert!(matches!(sandbox.fork(), Err(SandboxError::Ended { .. })));
    assert!(matches!(
        sandbox.save(&file),
        Err(SandboxError::Ended { .. })
    ));
    assert!(
        Sandbox::builder(Program::default())
            .load(&PYTHON, &file)
            .is_ok()
    );
}

#[test]
fn other_files_are_neither_loaded_nor_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let mut sandbox = sandbox();
    fs::write(&file, "text").unwrap();
    assert!(sandbox.save(&file).is_err());
    assert!(sandbox.save(folder.path()).is_err());
    assert_eq!(fs::read(&file).unwrap(), b"text");
    let load = |path: &Path| Sandbox::builder(Program::default()).load(&PYTHON, path);
    for path in [
        &file,
        folder.path(),
        Path::new("/dev/zero"),
        &folder.path().join("none"),
    ] {
        assert!(load(path).is_err(), "{}", path.display());
    }
    fs::remove_file(&file).unwrap();
    sandbox.save(&file).unwrap();
    sandbox.save(&file).unwrap();
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let mut bytes = fs::read(&file).unwrap();
    // The hash of another python.wasm.
    let at = bytes.len() - 64;
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    let other = folder.path().join("other");
    fs::write(&other, &bytes).unwrap();
    let error = format!("{:#}", load(&other).unwrap_err());
    assert!(error.contains("another python.wasm"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// A file from a stranger is a guest like any other: it may trap, and answer anything.
#[test]
fn damaged_memory_is_the_guests_own_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("saved");
    let mut sandbox = sandbox();
    value(&mut sandbox, "x = 5");
    sandbox.save(&file).unwrap();
    let bytes = fs::read(&file).unwrap();
    let damaged = folder.path().join("damaged");
    let mut seed = 7_u64;
    for round in 0..40 {
        let mut bytes = bytes.clone();
        let end = bytes.len() - 200;
        for _ in 0..1 << (round % 16) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (1 << 16) + (seed >> 20) as usize % (end - (1 << 16));
            bytes[at] ^= (seed >> 10) as u8 | 1;
        }
        fs::write(&damaged, &bytes).unwrap();
        let given = limited(&[("timeout", "2s"), ("max-memory", "128M")]);
        if let Ok(mut loaded) = Sandbox::builder(given).load(&PYTHON, &damaged) {
            let _ = loaded.run("import json; json.dumps([x, 'a'])");
            let _ = loaded.run("1 + 1");
        }
    }
    assert_eq!(value(&mut sandbox, "x"), 5.into());
}

/// Saves again and again, until it is killed.
#[test]
fn process_that_is_killed_while_it_saves_leaves_a_whole_file() {
    let Ok(path) = std::env::var("WASISOCKET_TEST_SAVES") else {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("saved");
        for delay in [0, 3, 7, 12, 20, 33] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "copies::process_that_is_killed_while_it_saves_leaves_a_whole_file",
                ])
                .args(["--nocapture", "--test-threads=1"])
                .env("WASISOCKET_TEST_SAVES", &file)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let begun = Instant::now();
            while !file.exists() {
                assert!(begun.elapsed() < Duration::from_secs(60));
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(delay));
            child.kill().unwrap();
            child.wait().unwrap();
            let mut loaded = Sandbox::builder(Program::default())
                .load(&PYTHON, &file)
                .unwrap();
            assert_eq!(value(&mut loaded, "x"), 5.into());
            fs::remove_file(&file).unwrap();
        }
        return;
    };
    let mut sandbox = sandbox();
    value(&mut sandbox, "x = 5; y = bytes(20 << 20)");
    loop {
        sandbox.save(&path).unwrap();
    }
}

#[test]
fn many_forks_of_one_run_side_by_side() {
    let mut sandbox = sandbox();
    value(&mut sandbox, "x = list(range(100_000))");
    let forks: Vec<_> = (0..50).map(|_| sandbox.fork().unwrap()).collect();
    let threads: Vec<_> = forks
        .into_iter()
        .enumerate()
        .map(|(number, mut fork)| {
            thread::spawn(move || value(&mut fork, &format!("x.append({number}); sum(x)")))
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        assert_eq!(
            thread.join().unwrap(),
            (4_999_950_000 + number as i64).into()
        );
    }
}
