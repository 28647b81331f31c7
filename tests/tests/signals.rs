//! Signals from outside: Ctrl-C and others, sent to native CPython and to the command, and by the library.

use std::io::{BufRead as _, BufReader, pipe};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use wasisocket_host::{Grants, GuestSignals};
use wasisocket_python::{Capture, Distribution, End, Program, Python};
use wasisocket_tests::guest::{Ended, Started, built, run, runtime};

/// A program that says when it is ready.
struct Case<'a> {
    code: &'a str,
    /// What is sent, each some time after the one before.
    signals: &'a [Signal],
    options: &'a [&'a str],
}

impl Case<'_> {
    fn send(&self, child: &mut Child) {
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        child.stderr = Some(lines.into_inner());
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        for signal in self.signals {
            thread::sleep(Duration::from_millis(50));
            kill_process(pid, *signal).unwrap();
        }
    }

    fn natively(&self) -> Ended {
        let (stdin, _writer) = pipe().unwrap();
        let mut child = Command::new("env")
            .arg("--default-signal=INT")
            .arg(built("WASISOCKET_NATIVE_PYTHON"))
            .args(["-c", self.code])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.send(&mut child);
        Started { child }.end()
    }

    fn in_the_guest(&self) -> Ended {
        let (stdin, _writer) = pipe().unwrap();
        let started = run().default_interrupt().args(self.options);
        let started = started.args(["-c", self.code]).stdin(stdin);
        let mut started = started.start();
        self.send(&mut started.child);
        started.end()
    }

    #[track_caller]
    fn ends_with(&self, status: i32, stdout: &str, stderr: &str) {
        let natively = self.options.is_empty().then(|| self.natively());
        for ended in natively.into_iter().chain([self.in_the_guest()]) {
            assert_eq!(
                (ended.status, ended.stdout.as_str()),
                (Some(status), stdout),
                "{}\n{}",
                self.code,
                ended.stderr
            );
            assert!(ended.stderr.ends_with(stderr), "{}", ended.stderr);
        }
    }
}

/// What a program is interrupted in.
const ACTIONS: &[&str] = &[
    "time.sleep(30)",
    "a, b = socket.socketpair(); a.recv(1)",
    "a, b = socket.socketpair(); [a.sendall(bytes(1 << 20)) for _ in range(1000)]",
    "select.select([], [], [], 30)",
    "select.epoll().poll()",
    "while True: pass",
    "[[sum(range(9)) for _ in range(99)] for _ in iter(int, 1)]",
    "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "threading.Event().wait(30)",
    "threading.Thread(target=time.sleep, args=(30,), daemon=True).start(); time.sleep(30)",
    "threading.Thread(target=eval, args=('[0 for _ in iter(int, 1)]',), daemon=True).start(); time.sleep(30)",
    "sys.stdin.readline()",
    "input()",
    "signal.pause()",
    "asyncio.run(asyncio.sleep(30))",
    "queue.Queue().get()",
];

#[test]
fn interrupt_is_an_exception_wherever_the_program_is() {
    for action in ACTIONS {
        let code = format!(
            "import asyncio, atexit, queue, select, signal, socket, sys, threading, time\n\
             atexit.register(print, 'bye')\n\
             sys.stdout.write('buffered ')\n\
             try:\n    print('ready', file=sys.stderr, flush=True)\n    {action}\n\
             except KeyboardInterrupt:\n    print('caught')\n\
             finally:\n    print('cleanup')\n"
        );
        let case = Case {
            code: &code,
            signals: &[Signal::INT],
            options: &[],
        };
        case.ends_with(0, "buffered caught\ncleanup\nbye\n", "");
    }
}

const READY: &str = "import signal, sys, time; print('ready', file=sys.stderr, flush=True)\n";

#[test]
fn what_is_not_caught_ends_the_process_as_the_signal_does() {
    for (signal, status, stderr) in [
        (Signal::INT, 130, "\nKeyboardInterrupt\n"),
        (Signal::TERM, 143, ""),
        (Signal::HUP, 129, ""),
        (Signal::USR1, 138, ""),
    ] {
        for action in ["time.sleep(30)", "while True: pass", "sum(range(10 ** 12))"] {
            if signal == Signal::INT && action.starts_with("sum") {
                // Python's handler runs when the function of C has returned.
                continue;
            }
            let code = format!("{READY}{action}");
            let case = Case {
                code: &code,
                signals: &[signal],
                options: &[],
            };
            case.ends_with(status, "", stderr);
        }
    }
}

#[test]
fn handlers_of_the_program_run() {
    let code = "\
import asyncio, os, signal, sys
async def main():
    loop = asyncio.get_running_loop()
    came = asyncio.Queue()
    for name in ('SIGUSR1', 'SIGUSR2', 'SIGTERM', 'SIGHUP', 'SIGWINCH'):
        loop.add_signal_handler(getattr(signal, name), came.put_nowait, name)
    print('ready', file=sys.stderr, flush=True)
    for _ in range(5):
        print(await came.get())
asyncio.run(main())
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
os.kill(os.getpid(), signal.SIGTERM)
";
    Case {
        code,
        signals: &[
            Signal::USR1,
            Signal::WINCH,
            Signal::USR2,
            Signal::HUP,
            Signal::TERM,
        ],
        options: &[],
    }
    .ends_with(7, "SIGUSR1\nSIGWINCH\nSIGUSR2\nSIGHUP\nSIGTERM\n", "");
}

#[test]
fn what_is_ignored_or_blocked_ends_nothing() {
    let code = "\
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP, signal.SIGINT])
print('ready', file=sys.stderr, flush=True)
begun = time.monotonic()
time.sleep(0.5)
print(time.monotonic() - begun >= 0.5)
print(sorted(signal.sigpending()) == [signal.SIGHUP, signal.SIGINT])
";
    Case {
        code,
        signals: &[Signal::TERM, Signal::HUP, Signal::INT],
        options: &[],
    }
    .ends_with(0, "True\nTrue\n", "");
}

#[test]
fn program_that_does_not_stop_is_ended_by_a_second_interrupt_or_when_its_grace_is_over() {
    let code = "\
import sys
says = ['ready']
while True:
    try:
        while says: print(says.pop(), file=sys.stderr, flush=True)
        while True: pass
    except KeyboardInterrupt:
        print('no', flush=True)
";
    let case = Case {
        code,
        signals: &[Signal::INT; 2],
        options: &["--timeout=60s"],
    };
    case.ends_with(130, "no\n", "");
    let begun = Instant::now();
    let case = Case {
        code,
        signals: &[Signal::INT],
        options: &["--grace=200ms"],
    };
    case.ends_with(130, "no\n", "");
    assert!(begun.elapsed() > Duration::from_millis(250));
}

#[test]
fn guest_whose_time_is_over_is_asked_first_if_it_has_a_grace() {
    let code = |handler| {
        format!(
            "import signal\n\
             def asked(*_):\n\
             \x20   print('asked', flush=True)\n\
             \x20   {handler}\n\
             signal.signal(signal.SIGTERM, asked)\n\
             while True: pass\n"
        )
    };
    for limit in ["--timeout=1s", "--max-cpu=1s"] {
        for (grace, handler, stdout) in [
            (Some("--grace=30s"), "raise SystemExit(3)", "asked\n"),
            (Some("--grace=200ms"), "pass", "asked\n"),
            (None, "pass", ""),
        ] {
            let ended = run()
                .arg(limit)
                .args(grace)
                .args(["-c", &code(handler)])
                .end();
            assert_eq!(
                ended.status,
                Some(124),
                "{limit} {grace:?}: {}",
                ended.stderr
            );
            assert_eq!(ended.stdout, stdout, "{limit} {grace:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn embedder_sends_signals_to_guests_of_both_kinds() {
    let python = Python::builder()
        .distribution(Distribution::open(&built("WASISOCKET_PYTHON")).unwrap())
        .load()
        .unwrap();
    let runtime = runtime();
    for action in ["time.sleep(30)", "while True: pass"] {
        for is_async in [false, true] {
            let signals = GuestSignals::new().unwrap();
            let output = Capture::new(1 << 16);
            let code = format!("import time\nprint('ready', flush=True)\n{action}");
            let receiver = signals.clone();
            let program = Program::code(&code)
                .stdout(&output)
                .stderr(&output)
                .grants(Grants::from_toml("timeout = \"60s\"").unwrap())
                .sockets(move |sockets| sockets.signals(&receiver));
            let seen = output.clone();
            let sender = thread::spawn(move || {
                while seen.bytes().is_empty() {
                    thread::sleep(Duration::from_millis(5));
                }
                // Nobody handles it, so it is not sent.
                assert!(!signals.send(15));
                assert!(signals.send(2));
            });
            let end = match is_async {
                true => runtime.block_on(python.run_async(program)),
                false => python.run(program),
            };
            sender.join().unwrap();
            assert_eq!(end.unwrap(), End::Exit(130), "{action}");
            let printed = String::from_utf8(output.bytes()).unwrap();
            assert!(printed.ends_with("\nKeyboardInterrupt\n"), "{printed}");
        }
    }
}
