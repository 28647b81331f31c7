//! What one run leaves to the next, and how a guest ends.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasisocket_host::{Event, Grants, List};
use wasisocket_python::{End, Outcome, Program, Sandbox, SandboxError, Value};
use wasisocket_tests::guest::runtime;

use crate::{PYTHON, error, limited, sandbox, value};

fn stdout(outcome: &Outcome) -> &str {
    str::from_utf8(&outcome.stdout).unwrap()
}

#[test]
fn what_one_run_defines_the_next_one_finds() {
    let mut sandbox = sandbox();
    assert_eq!(
        value(&mut sandbox, "import json\nnumbers = [1, 2]"),
        Value::None
    );
    assert_eq!(value(&mut sandbox, "numbers.append(3)"), Value::None);
    assert_eq!(
        value(&mut sandbox, "json.dumps(numbers)"),
        "[1, 2, 3]".into()
    );
    assert_eq!(value(&mut sandbox, "__name__"), "__main__".into());
    // A class of one run is the same class in the next: pickle finds it by its name.
    value(&mut sandbox, "class A: pass\na = A()");
    let same = "import pickle; type(pickle.loads(pickle.dumps(a))) is A";
    assert_eq!(value(&mut sandbox, same), true.into());
    // An exception changes nothing of it.
    error(&mut sandbox, "kept = 1; 1 / 0");
    assert_eq!(value(&mut sandbox, "kept"), 1.into());
    assert!(sandbox.end().is_none());
}

#[test]
fn file_of_the_host_is_run_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script.py");
    std::fs::write(&file, "x = 5\n1 / 0\n").unwrap();
    let mut sandbox = sandbox();
    let failed = sandbox.run_file(&file).unwrap().error.unwrap();
    assert_eq!(failed.frames[0].file, file.to_str().unwrap());
    assert_eq!(failed.frames[0].text, "1 / 0");
    assert_eq!(value(&mut sandbox, "x"), 5.into());
    assert!(sandbox.run_file(folder.path()).is_err());
    assert_eq!(value(&mut sandbox, "x"), 5.into());
}

#[test]
fn values_have_their_types_and_others_their_representation() {
    let mut sandbox = sandbox();
    for (code, expected) in [
        ("None", Value::None),
        ("", Value::None),
        ("1; x = 2", Value::None),
        ("-2**63", Value::Int(i64::MIN)),
        ("2**64", Value::BigInt(vec![0, 0, 0, 0, 0, 0, 0, 0, 1])),
        ("1.5", Value::Float(1.5)),
        ("1j", Value::Complex(0.0, 1.0)),
        ("'\\0\\U0010ffff'", "\0\u{10ffff}".into()),
        ("'a\\ud800b'", "a\u{fffd}b".into()),
        ("bytearray(b'\\xff')", vec![255].into()),
        (
            "[1, (2,)]",
            vec![1.into(), Value::Tuple(vec![2.into()])].into(),
        ),
        ("{3}", Value::Set(vec![3.into()])),
        ("frozenset({4})", Value::FrozenSet(vec![4.into()])),
        (
            "{'a': {}}",
            Value::Dict(vec![("a".into(), Value::Dict(vec![]))]),
        ),
        (
            "import datetime as d; d.datetime(2026, 1, 2, 3, tzinfo=d.UTC)",
            Value::DateTime("2026-01-02T03:00:00+00:00".into()),
        ),
    ] {
        assert_eq!(value(&mut sandbox, code), expected, "{code}");
    }
    for (code, type_name, representation) in [
        ("int", "type", "<class 'int'>"),
        ("import enum; enum.IntEnum('E', 'A').A", "E", "<E.A: 1>"),
        (
            "class B:\n  def __repr__(self): return 1\nB()",
            "B",
            "<B without a repr>",
        ),
        ("...", "ellipsis", "Ellipsis"),
        (
            "import decimal; decimal.Decimal('0.1')",
            "decimal.Decimal",
            "Decimal('0.1')",
        ),
        ("StopIteration", "type", "<class 'StopIteration'>"),
    ] {
        let Value::Other {
            type_name: name,
            repr,
        } = value(&mut sandbox, code)
        else {
            panic!("{code}");
        };
        assert_eq!((&*name, &*repr), (type_name, representation), "{code}");
    }
    // Inside of others.
    let Value::List(items) = value(&mut sandbox, "a = [1, int]; a.append(a); a") else {
        panic!("no list");
    };
    assert_eq!(items[0], 1.into());
    assert_eq!(items[1].type_name(), "type");
    assert_eq!(items[2].type_name(), "list");
    // Too many, and too deep.
    for code in [
        "[None] * (1 << 21)",
        "a = []\nfor _ in range(1000): a = [a]\na",
    ] {
        assert_eq!(value(&mut sandbox, code).type_name(), "object", "{code}");
    }
    let long = value(
        &mut sandbox,
        "class C:\n  def __repr__(self): return 'x' * 10**6\nC()",
    );
    assert!(matches!(long, Value::Other { repr, .. } if repr.len() < 20_000));
    assert_eq!(value(&mut sandbox, "1 + 1"), 2.into());
}

#[test]
fn exceptions_come_with_the_lines_that_ran() {
    let mut sandbox = sandbox();
    value(&mut sandbox, "def divide(a, b):\n    return a / b");
    let outcome = sandbox.run_named("1\ndivide(1, 0)", "cell 2").unwrap();
    let error = outcome.error.clone().unwrap();
    assert_eq!(error.type_name, "ZeroDivisionError");
    assert_eq!(error.message, "division by zero");
    let frames: Vec<_> = error
        .frames
        .iter()
        .map(|frame| (&*frame.file, frame.line, &*frame.function, &*frame.text))
        .collect();
    assert_eq!(
        frames,
        [
            ("cell 2", 2, "<module>", "divide(1, 0)"),
            ("<sandbox>", 2, "divide", "return a / b"),
        ]
    );
    assert!(
        error
            .traceback
            .starts_with("Traceback (most recent call last):\n  File \"cell 2\", line 2")
    );
    assert!(
        error
            .traceback
            .ends_with("ZeroDivisionError: division by zero\n")
    );
    assert!(
        !error.traceback.contains("_wasisocket"),
        "{}",
        error.traceback
    );
    assert_eq!(outcome.check().unwrap_err(), error);

    for (code, type_name, message) in [
        ("a b", "SyntaxError", "invalid syntax (<sandbox>, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit", "3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
        (
            "import json; json.loads('{')",
            "json.decoder.JSONDecodeError",
            "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        (
            "f = lambda: f()\nf()",
            "RecursionError",
            "maximum recursion depth exceeded",
        ),
        (
            "class E(Exception):\n  def __str__(self): raise self\nraise E",
            "E",
            "<E without a str>",
        ),
        ("'x' * (1 << 30)", "MemoryError", ""),
    ] {
        let error = self::error(&mut sandbox, code);
        assert_eq!(
            (&*error.type_name, &*error.message),
            (type_name, message),
            "{code}"
        );
    }
    // The chain of exceptions is in the text, also without this module's frames.
    let chained = self::error(
        &mut sandbox,
        "try: 1 / 0\nexcept Exception as e: raise KeyError(1) from e",
    );
    assert!(
        chained.traceback.contains("direct cause"),
        "{}",
        chained.traceback
    );
    let awaited = self::error(&mut sandbox, "async def f(): raise ValueError\nawait f()");
    assert_eq!(awaited.frames.len(), 2, "{:?}", awaited.frames);
}

#[test]
fn functions_that_the_guest_defined_are_called() {
    let mut sandbox = sandbox();
    value(
        &mut sandbox,
        "import asyncio\n\
         def echo(*arguments, **keywords): return arguments, keywords\n\
         async def later(value):\n    await asyncio.sleep(0.01)\n    return value\n\
         class Counter:\n    def __init__(self): self.count = 0\n    def add(self, n=1):\n        self.count += n\n        return self.count\n\
         counter = Counter()",
    );
    let date = Value::Date("2026-11-30".into());
    let arguments = vec![date.clone(), Value::List(vec![date])];
    let called = sandbox
        .call(
            "echo",
            arguments.clone(),
            [("key".into(), Value::Float(0.5))],
        )
        .unwrap();
    let keywords = Value::Dict(vec![("key".into(), Value::Float(0.5))]);
    assert_eq!(
        called.check().unwrap(),
        Value::Tuple(vec![Value::Tuple(arguments), keywords])
    );
    let called = sandbox.call("later", [7.into()], []).unwrap();
    assert_eq!(called.check().unwrap(), 7.into());
    sandbox.call("counter.add", [], []).unwrap();
    let called = sandbox.call("counter.add", [2.into()], []).unwrap();
    assert_eq!(called.value, 3.into());
    let called = sandbox.call("nothing", [], []).unwrap();
    assert_eq!(
        called.error.unwrap().to_string(),
        "NameError: name 'nothing' is not defined"
    );
}

#[test]
fn await_outside_of_functions_uses_one_event_loop() {
    let mut sandbox = sandbox();
    value(
        &mut sandbox,
        "import asyncio\nqueue = asyncio.Queue()\nloop = asyncio.get_event_loop_policy()",
    );
    value(
        &mut sandbox,
        "await queue.put(1)\nfirst = asyncio.get_running_loop()",
    );
    let same = "(await queue.get(), asyncio.get_running_loop() is first)";
    assert_eq!(
        value(&mut sandbox, same),
        Value::Tuple(vec![1.into(), true.into()])
    );
}

#[test]
fn output_is_captured_at_the_descriptors_passed_on_and_bounded() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let mut sandbox = Sandbox::builder(limited(&[("timeout", "60s")]))
        .max_output(10)
        .on_stdout(move |bytes| sink.lock().unwrap().extend_from_slice(bytes))
        .open(&PYTHON)
        .unwrap();
    let outcome = sandbox
        .run("import os, sys\nprint('one')\nos.write(1, b'two\\n')\nprint('err', file=sys.stderr)")
        .unwrap();
    assert_eq!(stdout(&outcome), "one\ntwo\n");
    assert_eq!(outcome.stderr, b"err\n");
    assert_eq!(outcome.cut, 0);
    let outcome = sandbox.run("print('x' * 100_000, end='')").unwrap();
    assert_eq!(stdout(&outcome), "xxxxxxxxxx");
    assert_eq!(outcome.cut, 99_990);
    assert_eq!(seen.lock().unwrap().len(), 8 + 100_000);
    // What is not a whole line yet comes at the end of the run.
    let outcome = sandbox.run("print('part', end='')").unwrap();
    assert_eq!(stdout(&outcome), "part");
    // Streams that the program closed or replaced are no error.
    let outcome = sandbox
        .run("sys.stdout.close()\nsys.stdout = None\nos.write(1, b'raw')")
        .unwrap();
    assert_eq!((stdout(&outcome), &outcome.value), ("raw", &3.into()));
}

#[test]
fn limits_of_time_hold_for_each_run_and_end_the_guest() {
    let spin = "print('begun')\nwhile True: pass";
    let wait = "print('begun')\nimport time\ntime.sleep(60)";
    for (limit, text, code) in [
        ("timeout", "500ms", spin),
        ("timeout", "500ms", wait),
        ("max-cpu", "300ms", spin),
    ] {
        let mut sandbox = Sandbox::open(&PYTHON, limited(&[(limit, text)])).unwrap();
        // More than the limit in all, and time at rest does not count.
        for _ in 0..4 {
            value(
                &mut sandbox,
                "import time\nend = time.monotonic() + 0.15\nwhile time.monotonic() < end: pass",
            );
        }
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(value(&mut sandbox, "1"), 1.into());
        let begun = Instant::now();
        let Err(SandboxError::Limit {
            limit: reached,
            outcome,
        }) = sandbox.run(code)
        else {
            panic!("{limit} was not reached");
        };
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(reached.name(), limit);
        assert_eq!(stdout(&outcome), "begun\n");
        assert_eq!(sandbox.end(), Some(&End::Limit(reached)));
        let again = sandbox.run("1");
        assert!(
            matches!(
                again,
                Err(SandboxError::Ended {
                    end: End::Limit(_),
                    ..
                })
            ),
            "{again:?}"
        );
        sandbox.close().unwrap_err();
    }
}

#[test]
fn arguments_that_the_guest_has_no_memory_for_are_refused() {
    let mut sandbox = Sandbox::open(&PYTHON, limited(&[("max-memory", "64M")])).unwrap();
    value(&mut sandbox, "def length(bytes): return len(bytes)");
    let long = Value::Bytes(vec![0; 100 << 20]);
    let refused = sandbox.call("length", [long], []).unwrap_err();
    assert!(refused.to_string().contains("no memory"), "{refused}");
    let called = sandbox.call("length", [Value::Bytes(vec![0; 1 << 20])], []);
    assert_eq!(called.unwrap().value, (1 << 20).into());
}

#[test]
fn guest_that_exits_or_traps_has_ended() {
    for (code, end) in [
        ("import os; print('bye'); os._exit(4)", Some(End::Exit(4))),
        ("import ctypes; ctypes.memset(0xfffffff0, 0, 64)", None),
        ("import os; os.abort()", None),
    ] {
        let mut sandbox = sandbox();
        match sandbox.run(code) {
            Err(SandboxError::Ended {
                end: ended,
                outcome,
            }) => {
                assert_eq!(end.is_some(), matches!(ended, End::Exit(_)), "{code}");
                if let Some(end) = end {
                    assert_eq!(ended, end);
                    assert_eq!(stdout(&outcome), "bye\n");
                }
                sandbox.run("1").unwrap_err();
            }
            Ok(outcome) => assert!(outcome.error.is_some(), "{code}"),
            Err(error) => panic!("{code}: {error}"),
        }
    }
}

#[test]
fn closing_runs_what_a_program_s_end_runs() {
    let mut sandbox = sandbox();
    value(
        &mut sandbox,
        "import atexit\natexit.register(print, 'at exit')\nclass D:\n  def __del__(self): print('deleted')\nd = D()\nNone",
    );
    let outcome = sandbox.close().unwrap();
    let text = stdout(&outcome);
    assert!(
        text.contains("at exit\n") && text.contains("deleted\n"),
        "{text}"
    );
}

#[test]
fn denials_are_events_of_the_run() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let mut grants = Grants::default();
    grants
        .add(List::AllowNet, &format!("127.0.0.1:{port}"))
        .unwrap();
    let mut sandbox = Sandbox::open(&PYTHON, Program::default().grants(grants)).unwrap();
    let connect = |port: u16| {
        format!(
            "import socket\ntry: s = socket.create_connection(('127.0.0.1', {port}))\nexcept OSError as e: s = e\nstr(s.__class__.__name__)"
        )
    };
    let outcome = sandbox.run(&connect(port)).unwrap();
    assert_eq!(outcome.value, "socket".into());
    assert!(
        outcome
            .events
            .iter()
            .all(|event| !matches!(event, Event::Denied(_)))
    );
    // The connection is kept, like everything else.
    let (mut peer, _) = server.accept().unwrap();
    std::io::Write::write_all(&mut peer, b"hello").unwrap();
    assert_eq!(value(&mut sandbox, "s.recv(5)"), b"hello"[..].into());
    let outcome = sandbox.run(&connect(port ^ 1)).unwrap();
    assert_eq!(outcome.value, "PermissionError".into());
    let denied = outcome
        .events
        .iter()
        .filter(|event| matches!(event, Event::Denied(_)));
    assert_eq!(denied.count(), 1, "{:?}", outcome.events);
    assert!(sandbox.run("1").unwrap().events.is_empty());
}

#[test]
fn cold_starts_behave_the_same() {
    let mut sandbox = Sandbox::open(
        &PYTHON,
        limited(&[("timeout", "60s")]).env("PYTHONHASHSEED", "7"),
    )
    .unwrap();
    let mut same = Sandbox::open(
        &PYTHON,
        limited(&[("timeout", "60s")]).env("PYTHONHASHSEED", "7"),
    )
    .unwrap();
    let code = "import sys, os; (hash('a'), sys.argv, sys.path[0], __name__, os.environ['PYTHONHASHSEED'])";
    let Value::Tuple(parts) = value(&mut sandbox, code) else {
        panic!("no tuple");
    };
    assert_eq!(value(&mut same, code), Value::Tuple(parts.clone()));
    let empty = || Value::from("");
    assert_eq!(
        parts[1..4],
        [vec![empty()].into(), empty(), "__main__".into()]
    );
    value(
        &mut sandbox,
        "import atexit; atexit.register(print, 'at exit'); None",
    );
    assert_eq!(stdout(&sandbox.close().unwrap()), "at exit\n");
}

#[test]
fn random_numbers_of_two_sandboxes_differ() {
    let code = "import random, uuid, os, ssl; [random.random(), uuid.uuid4().hex, os.urandom(8), ssl.RAND_bytes(8)]";
    let mut values = [&mut sandbox(), &mut sandbox()].map(|sandbox| match value(sandbox, code) {
        Value::List(items) => items,
        other => panic!("{other:?}"),
    });
    let [one, other] = &mut values;
    assert!(one.iter().zip(other).all(|(one, other)| one != other));
}

#[test]
fn sandbox_without_its_future_has_ended() {
    let runtime = runtime();
    runtime.block_on(async {
        let mut sandbox = Sandbox::builder(Program::default())
            .open_async(&PYTHON)
            .await
            .unwrap();
        let code = "import asyncio; await asyncio.sleep(60)";
        let run = tokio::time::timeout(Duration::from_millis(100), sandbox.run_async(code, "a"));
        run.await.unwrap_err();
        assert!(matches!(sandbox.end(), Some(End::Trap(_))));
        let again = sandbox.run_async("1", "a").await;
        assert!(again.unwrap_err().to_string().contains("given up"));
        // Methods that block would block the other tasks of this thread.
        let mut sandbox = Sandbox::builder(Program::default())
            .open_async(&PYTHON)
            .await
            .unwrap();
        let run = sandbox.run("1").unwrap_err().to_string();
        assert!(run.contains("_async"), "{run}");
        assert_eq!(sandbox.run_async("1", "a").await.unwrap().value, 1.into());
    });
}

#[test]
fn many_sandboxes_run_in_many_threads() {
    std::thread::scope(|scope| {
        for number in 0..8_i64 {
            scope.spawn(move || {
                let mut sandboxes: Vec<_> = (0..4).map(|_| sandbox()).collect();
                for (at, sandbox) in sandboxes.iter_mut().enumerate() {
                    value(sandbox, &format!("x = {number} * 10 + {at}"));
                }
                for (at, sandbox) in sandboxes.iter_mut().enumerate() {
                    assert_eq!(value(sandbox, "x"), (number * 10 + at as i64).into());
                }
            });
        }
    });
}
