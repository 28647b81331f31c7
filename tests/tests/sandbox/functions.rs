//! Functions of the host that guests call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasisocket_host::Limit;
use wasisocket_python::{Function, FunctionError, Program, Sandbox, SandboxError, Value, blocking};

use crate::{PYTHON, error, limited, value};

/// A sandbox with functions: `double`, `fail`, `nap` (asynchronous), and `count`, which says how often it was called.
fn with_functions() -> Sandbox {
    let double = Function::new(|arguments| match *arguments.positional {
        [Value::Int(number)] => Ok((number * 2).into()),
        _ => Err(FunctionError::new("TypeError", "double() takes an int")),
    });
    let fail = Function::new(|_| Err(FunctionError::new("KeyError", "no")));
    let nap = Function::new_async(|arguments| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(Value::Tuple(arguments.positional))
    });
    let echo = Function::new(|arguments| {
        let keywords = arguments.keywords.into_iter();
        let keywords = keywords.map(|(name, value)| (name.into(), value)).collect();
        Ok(Value::List(vec![
            Value::Tuple(arguments.positional),
            Value::Dict(keywords),
        ]))
    });
    Sandbox::builder(limited(&[("timeout", "60s")]))
        .function("double", double.doc("Twice a number."))
        .function("fail", fail)
        .function("nap", nap)
        .function("echo", echo)
        .open(&PYTHON)
        .unwrap()
}

#[test]
fn functions_of_the_host_are_called_by_name() {
    let mut sandbox = with_functions();
    assert_eq!(value(&mut sandbox, "host.double(21)"), 42.into());
    let listed = "import host\n[(f.__name__, f.__doc__) for f in (host.double, host.nap)]";
    let expected = vec![
        Value::Tuple(vec!["double".into(), "Twice a number.".into()]),
        Value::Tuple(vec!["nap".into(), "".into()]),
    ];
    assert_eq!(value(&mut sandbox, listed), expected.into());
    // Values are what they were, in both directions.
    for code in [
        "import datetime as d; now = d.datetime.now(d.UTC)",
        "values = [None, 2**70, 'a', b'b', 1.5, {1: {2}}, frozenset(), now, now.date(), d.timedelta(3), ()]",
        "assert host.echo(*values, a=values) == [tuple(values), {'a': values}]",
        "big = 'x' * (10 << 20); assert host.echo(big) == [(big,), {}]",
    ] {
        value(&mut sandbox, code);
    }
    let failed = error(&mut sandbox, "def f(): return host.fail()\nf()");
    assert_eq!(
        (&*failed.type_name, &*failed.message),
        ("host.HostError", "KeyError: no")
    );
    // The lines are the program's alone.
    let lines: Vec<_> = failed.frames.iter().map(|frame| &*frame.function).collect();
    assert_eq!(lines, ["<module>", "f"]);
    for (code, expected) in [
        ("host.double('a')", "host.HostError"),
        ("host.double(int)", "TypeError"),
        ("host.double([{1: open}])", "TypeError"),
        ("a = []; a.append(a); host.double(a)", "TypeError"),
        ("host.halve(1)", "AttributeError"),
        ("host.echo(b'x' * (65 << 20))", "OSError"),
        ("host.echo([None] * (1 << 21))", "host.HostError"),
    ] {
        assert_eq!(error(&mut sandbox, code).type_name, expected, "{code}");
    }
    let caught =
        "try: host.fail()\nexcept host.HostError as e: caught = (e.type, e.message)\ncaught";
    assert_eq!(
        value(&mut sandbox, caught),
        Value::Tuple(vec!["KeyError".into(), "no".into()])
    );
    // Without functions there is no such name.
    let mut without = crate::sandbox();
    assert_eq!(error(&mut without, "host").type_name, "NameError");
    assert_eq!(
        error(&mut without, "import host").type_name,
        "ModuleNotFoundError"
    );
}

#[test]
fn asynchronous_functions_run_side_by_side() {
    let mut sandbox = with_functions();
    let begun = Instant::now();
    let code = "
import asyncio
ticks = 0
async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0.02)
ticking = asyncio.ensure_future(tick())
found = await asyncio.gather(*map(host.nap, range(100)))
ticking.cancel()
(ticks > 5, [n for n, in found] == list(range(100)))";
    let expected = Value::Tuple(vec![true.into(), true.into()]);
    assert_eq!(value(&mut sandbox, code), expected);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // One that is not awaited to its end is given up, and many are refused.
    let code = "
async def impatient():
    async with asyncio.timeout(0.05):
        await host.nap()
try: await impatient()
except TimeoutError: late = True
late";
    assert_eq!(value(&mut sandbox, code), true.into());
    let many = "await asyncio.gather(*map(host.nap, range(3000)))";
    assert_eq!(error(&mut sandbox, many).type_name, "OSError");
    // When those that were not refused are done, there is room again.
    assert_eq!(
        value(&mut sandbox, "await asyncio.sleep(1); await host.nap(1)"),
        Value::Tuple(vec![1.into()])
    );
}

/// Counts how many futures exist.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn function_that_is_given_up_ends() {
    let count = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&count);
    let forever = Function::new_async(move |_| {
        let counted = Counted::new(&counter);
        async move {
            let _counted = counted;
            std::future::pending().await
        }
    });
    let all_end = || {
        let begun = Instant::now();
        while count.load(Ordering::SeqCst) > 0 {
            assert!(begun.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let mut sandbox = Sandbox::builder(limited(&[("timeout", "1s")]))
        .function("forever", forever)
        .open(&PYTHON)
        .unwrap();
    let code = "
import asyncio
try: await asyncio.wait_for(host.forever(), 0.1)
except TimeoutError: late = True
late";
    assert_eq!(value(&mut sandbox, code), true.into());
    all_end();
    let waits = sandbox.run("await asyncio.gather(*[host.forever() for _ in range(10)])");
    assert!(matches!(
        waits,
        Err(SandboxError::Limit {
            limit: Limit::Timeout,
            ..
        })
    ));
    all_end();
}

#[test]
fn calls_are_approved_with_their_arguments() {
    let asked = Arc::<Mutex<Vec<_>>>::default();
    let seen = Arc::clone(&asked);
    let echo = || Function::new(|arguments| Ok(Value::Tuple(arguments.positional)));
    let mut sandbox = Sandbox::builder(Program::default())
        .function("change", echo())
        .function("look", echo().read_only())
        .function(
            "own",
            echo().approve(|arguments| arguments.positional.is_empty()),
        )
        .approve(move |name, arguments| {
            seen.lock()
                .unwrap()
                .push((name.to_owned(), arguments.clone()));
            arguments.positional.len() < 2
        })
        .open(&PYTHON)
        .unwrap();
    for (code, is_approved) in [
        ("host.change(1)", true),
        ("host.change(1, 2)", false),
        ("host.look(1, 2, 3)", true),
        ("host.own()", true),
        ("host.own(1)", false),
    ] {
        let outcome = sandbox.run(code).unwrap();
        let message = outcome.error.map(|error| error.message);
        assert_eq!(message.is_none(), is_approved, "{code} {message:?}");
        assert!(message.is_none_or(|message| message.starts_with("NotApproved: ")));
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].0, "change");
    assert_eq!(asked[1].1.positional, [1.into(), 2.into()]);
}

#[test]
fn functions_and_output_are_called_in_the_order_of_the_program() {
    let order = Arc::<Mutex<Vec<String>>>::default();
    let (of_output, of_function) = (Arc::clone(&order), Arc::clone(&order));
    let note = Function::new(move |arguments| {
        let text = arguments.positional[0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        of_function.lock().unwrap().push(text);
        Ok(Value::None)
    });
    let mut sandbox = Sandbox::builder(Program::default())
        .function("note", note)
        .on_stdout(move |bytes| {
            let text = String::from_utf8_lossy(bytes).trim().to_owned();
            of_output.lock().unwrap().push(text);
        })
        .open(&PYTHON)
        .unwrap();
    value(
        &mut sandbox,
        "for n in range(3):\n    print('out', n)\n    host.note(f'call {n}')",
    );
    let expected = ["out 0", "call 0", "out 1", "call 1", "out 2", "call 2"];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[test]
fn function_may_use_another_sandbox() {
    let inner = Function::new(|_| {
        let run = blocking(|| {
            Sandbox::open(&PYTHON, Program::default())?
                .run("40 + 2")
                .map_err(wasmtime::Error::from)
        });
        run.map(|outcome| outcome.value)
            .map_err(|error| FunctionError::new("RuntimeError", error.to_string()))
    });
    let mut sandbox = Sandbox::builder(Program::default())
        .function("inner", inner)
        .open(&PYTHON)
        .unwrap();
    assert_eq!(value(&mut sandbox, "host.inner()"), 42.into());
}

/// Whatever a guest sends, it is a value or an error.
#[test]
fn requests_that_no_honest_guest_sends_are_errors() {
    let mut sandbox = with_functions();
    let code = "
import _wasisocket, marshal
answers = set()
def send(data):
    answer = marshal.loads(_wasisocket.call(data))
    assert answer[0] in ('value', 'error') and len(answer) in (2, 3), answer
    answers.add(answer[0])
good = marshal.dumps(('call', 'double', (4,), {}), 2)
for n in range(len(good)):
    send(good[:n])
    for byte in range(256):
        send(good[:n] + bytes([byte]) + good[n + 1:])
for value in (None, (), ('functions', 1), ('call',), ('call', 'double'), ('call', 'double', [], {}), ('run', 'x', 'y'),
              ('call', 'double', (), {1: 2}), ('call', 'double', (), {}, 0), ('call', 1, (), {})):
    send(marshal.dumps(value, 2))
sorted(answers)";
    let both = Value::List(vec!["error".into(), "value".into()]);
    assert_eq!(value(&mut sandbox, code), both);
}
