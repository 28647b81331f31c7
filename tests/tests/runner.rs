//! Runs one guest program in each of the ways there are: by the command, as a guest of the service, and by the library's
//! two functions. All of them must give it the same environment and report its end alike.

use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use wasisocket_host::{Event, Grants, Limit, List};
use wasisocket_python::{Capture, Certificates, Distribution, End, Folder, Program, Python};
use wasisocket_service::Guests;
use wasisocket_tests::guest::{built, program, run, runtime};
use wasisocket_tests::servers::{loopback, tls_pages};
use wasisocket_tests::tls::Authority;

const MEMORY: usize = 256 << 20;
const OUTPUT: usize = 1 << 20;

static PYTHON: LazyLock<Python> = LazyLock::new(|| {
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).unwrap();
    let python = Python::builder().distribution(distribution);
    python.pool(16, MEMORY).load().unwrap()
});

/// How a guest ended, and what it wrote to its standard output and error.
type Outcome = (u8, String, String);

/// A guest, described by what all of these ways have in common.
#[derive(Default)]
struct Case<'a> {
    /// Python's arguments. Without any, the guest runs `runner/facts.py`.
    code: Option<&'a str>,
    arguments: &'a [&'a str],
    env: &'a [(&'a str, &'a str)],
    stdin: &'a str,
    /// Names and values of lists and of limits.
    lists: &'a [(&'a str, &'a str)],
    limits: &'a [(&'a str, &'a str)],
}

impl Case<'_> {
    fn grants(&self) -> Grants {
        let mut grants = Grants::default();
        for (list, entry) in self.lists {
            grants.add(List::named(list).unwrap(), entry).unwrap();
        }
        for (limit, value) in self.limits {
            let limit = Limit::named(limit).unwrap();
            grants.limits.set(limit, value).unwrap();
        }
        grants
    }

    fn program(&self) -> Program {
        let mut made = match self.code {
            Some(code) => Program::code(code),
            None => Program::script(program("runner/facts.py")),
        };
        for (name, value) in self.env {
            made = made.env(*name, *value);
        }
        made.args(self.arguments.iter().copied())
            .stdin(self.stdin)
            .grants(self.grants())
    }

    fn by_command(&self) -> Outcome {
        let mut command = run().input(self.stdin.as_bytes());
        for (name, value) in self.lists.iter().chain(self.limits) {
            command = command.arg(format!("--{name}={value}"));
        }
        for (name, value) in self.env {
            command = command.arg("--env").arg(format!("{name}={value}"));
        }
        let command = match self.code {
            Some(code) => command.args(["-c", code]),
            None => command.arg(program("runner/facts.py")),
        };
        let ended = command.args(self.arguments).end();
        let status = ended.status.and_then(|status| u8::try_from(status).ok());
        (status.expect("no signal"), ended.stdout, ended.stderr)
    }

    fn by_service(&self) -> (End, Outcome) {
        let guests = Guests::new(PYTHON.clone());
        let ended = runtime().block_on(guests.run(self.program(), OUTPUT, None));
        let ended = ended.unwrap();
        let [stdout, stderr] = [ended.stdout, ended.stderr].map(text);
        let status = ended.end.status();
        (ended.end, (status, stdout, stderr))
    }

    fn by_library(&self, run: impl FnOnce(Program) -> wasmtime::Result<End>) -> (End, Outcome) {
        let [stdout, stderr] = [Capture::new(OUTPUT), Capture::new(OUTPUT)];
        let denials = stderr.clone();
        let program = self.program().stdout(&stdout).stderr(&stderr);
        let end = run(program.sockets(move |sockets| {
            sockets.on_event(move |event| {
                if let Event::Denied(denial) = event {
                    denials.write(format!("wasisocket: {denial}\n").as_bytes());
                }
            })
        }));
        let end = end.unwrap();
        let status = end.status();
        (end, (status, text(stdout.bytes()), text(stderr.bytes())))
    }

    /// Runs it in the library's three ways.
    fn by_all_libraries(&self) -> [(&'static str, (End, Outcome)); 3] {
        [
            ("service", self.by_service()),
            ("run", self.by_library(|program| PYTHON.run(program))),
            (
                "run_async",
                self.by_library(|program| runtime().block_on(PYTHON.run_async(program))),
            ),
        ]
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn guest_sees_the_same_in_every_way() {
    let case = Case {
        arguments: &["7", "--option", "two words", ""],
        env: &[("A", "1"), ("B", "2"), ("A", "3")],
        stdin: "input \u{e9}\n",
        lists: &[("allow-net", "example.com"), ("dns", "192.0.2.53")],
        ..Case::default()
    };
    let by_command = case.by_command();
    let (status, stdout, stderr) = &by_command;
    assert_eq!(*status, 7, "{stderr}");
    for fact in [
        "argv ['/facts.py', '7', '--option', 'two words', '']\n",
        "executable ['/usr/local/bin/python3', True, ('', '')]\n",
        "environment {'B': '2', 'A': '3'}\n",
        "/etc ['group', 'passwd', 'resolv.conf', 'ssl']\n",
        "terminals [False, False, False]\n",
        "denial [Errno 2] Permission denied\n",
    ] {
        assert!(stdout.contains(fact), "{fact} is not in {stdout}");
    }
    for (way, (end, outcome)) in case.by_all_libraries() {
        assert_eq!(end, End::Exit(7), "{way}");
        assert_eq!(outcome, by_command, "{way}");
    }
}

#[test]
fn status_and_traceback_are_the_same_in_every_way() {
    for (code, status) in [
        ("raise SystemExit(300)", 44),
        ("raise SystemExit(-1)", 255),
        ("raise SystemExit(126)", 126),
        ("1/0", 1),
    ] {
        let case = Case {
            code: Some(code),
            ..Case::default()
        };
        let by_command = case.by_command();
        assert_eq!(by_command.0, status, "{code}");
        for (way, (end, outcome)) in case.by_all_libraries() {
            assert_eq!(end, End::Exit(status), "{way}: {code}");
            assert_eq!(outcome, by_command, "{way}: {code}");
        }
    }
}

#[test]
fn trap_is_told_with_its_place_in_every_way() {
    let case = Case {
        code: Some("import os; os.abort()"),
        ..Case::default()
    };
    let (status, _, stderr) = case.by_command();
    assert_eq!(status, 134);
    assert!(
        stderr.contains("wasisocket: the guest trapped: "),
        "{stderr}"
    );
    for (way, (end, outcome)) in case.by_all_libraries() {
        let End::Trap(text) = end else {
            panic!("{way}: {end:?}")
        };
        assert!(text.contains("abort"), "{way}: {text}");
        assert!(stderr.contains("abort"), "{stderr}");
        assert_eq!(outcome.0, 134, "{way}");
    }
}

#[test]
fn limit_is_the_end_in_every_way() {
    const SPINS: &str = "while True: pass";
    // time.sleep and SQLite's sleep use different calls of WASI.
    const SLEEPS: &str = "import time; time.sleep(300)";
    const NAPS: &str = "import sqlite3\n\
        one = sqlite3.connect(':memory:')\n\
        one.execute('create table t(a)')\n\
        one.execute('insert into t values(1)')\n\
        one.backup(sqlite3.connect(':memory:'), sleep=300)\n";
    const LISTENS: &str = "import socket\n\
        with socket.create_server(('127.0.0.1', 0)) as server: server.accept()\n";
    for (code, limit, value, reached) in [
        (SPINS, "max-cpu", "1s", Limit::MaxCpu),
        (SPINS, "timeout", "2s", Limit::Timeout),
        (SLEEPS, "timeout", "2s", Limit::Timeout),
        (NAPS, "timeout", "2s", Limit::Timeout),
        (LISTENS, "timeout", "2s", Limit::Timeout),
    ] {
        let case = Case {
            code: Some(code),
            lists: &[("allow-listen", "127.0.0.1:0")],
            limits: &[(limit, value)],
            ..Case::default()
        };
        assert_eq!(case.by_command().0, 124, "{code}");
        let begun = Instant::now();
        for (way, (end, outcome)) in case.by_all_libraries() {
            assert_eq!(end, End::Limit(reached), "{way}: {code}");
            assert_eq!(outcome.0, 124, "{way}: {code}");
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{code}");
    }
    let memory = Case {
        code: Some("try: bytearray(200 << 20)\nexcept MemoryError: print('no memory')"),
        limits: &[("max-memory", "128M")],
        ..Case::default()
    };
    for (way, (_, outcome)) in memory.by_all_libraries() {
        assert_eq!((outcome.0, outcome.1.as_str()), (0, "no memory\n"), "{way}");
    }
    assert_eq!(memory.by_command().1, "no memory\n");
}

#[test]
fn message_of_a_missing_module_names_python() {
    let ended = run().args(["-m", "nowhere"]).end();
    assert_eq!(ended.status, Some(1));
    assert_eq!(
        ended.stderr,
        "/usr/local/bin/python3: No module named nowhere\n"
    );
}

/// Fetches a page over HTTPS with urllib's defaults.
const FETCHES: &str = "\
import sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as page:
    print(page.read().decode())
";

#[test]
fn guest_of_the_service_verifies_certificates() {
    let authority = Authority::new("ours");
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    fs::write(&bundle, authority.pem()).unwrap();
    let [v4, _] = loopback();
    let server = tls_pages(v4, authority.server("localhost"), |_| Some("page".into()));
    let url = format!("https://localhost:{}/", server.port());

    let ours = Certificates::from_file(&bundle).unwrap();
    let theirs = folder.path().join("theirs.pem");
    fs::write(&theirs, Authority::new("theirs").pem()).unwrap();
    let theirs = Certificates::from_file(&theirs).unwrap();
    let guests = Guests::new(PYTHON.clone());
    let answer = |certificates: Certificates| {
        let mut grants = Grants::default();
        grants.add(List::AllowNet, "localhost").unwrap();
        let program = Program::code(FETCHES)
            .args([url.as_str()])
            .grants(grants)
            .certificates(certificates);
        let ended = runtime().block_on(guests.run(program, OUTPUT, None));
        ended.unwrap()
    };
    let trusted = answer(ours);
    let stderr = text(trusted.stderr);
    assert_eq!(trusted.end, End::Exit(0), "{stderr}");
    assert_eq!(text(trusted.stdout), "page\n");
    let refused = text(answer(theirs).stderr);
    assert!(refused.contains("CERTIFICATE_VERIFY_FAILED"), "{refused}");
}

#[test]
fn folders_are_granted_and_what_is_trusted_is_not() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "in").unwrap();
    let code = "print(open('/in/in.txt').read())\n\
        open('/out/out.txt', 'w').write('out')\n\
        try: open('/in/in.txt', 'w')\n\
        except OSError as error: print(type(error).__name__)\n";
    let granted = |out: &Path| {
        Program::code(code)
            .folder(Folder::read_only(folder.path(), "/in"))
            .folder(Folder::read_write(out, "/out"))
    };
    for is_async in [false, true] {
        let stdout = Capture::new(OUTPUT);
        let program = granted(folder.path()).stdout(&stdout).inherit_stderr();
        let end = match is_async {
            false => PYTHON.run(program),
            true => runtime().block_on(PYTHON.run_async(program)),
        };
        assert_eq!(end.unwrap(), End::Exit(0));
        assert_eq!(text(stdout.bytes()), "in\nPermissionError\n");
        let out = folder.path().join("out.txt");
        assert_eq!(fs::read_to_string(&out).unwrap(), "out");
        fs::remove_file(out).unwrap();
    }
    let error = PYTHON
        .run(granted(&built("WASISOCKET_PYTHON")))
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("could change what later runs trust"),
        "{error}"
    );
}

#[test]
fn dropped_guest_is_gone() {
    let stdout = Capture::new(OUTPUT);
    let program = Program::code("print('started', flush=True)\nwhile True: pass").stdout(&stdout);
    let running = Arc::new(());
    let place = Arc::downgrade(&running);
    runtime().block_on(async {
        let guest = async {
            let _place = running;
            PYTHON.run_async(program).await
        };
        let started = async {
            while stdout.bytes().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            end = guest => panic!("{end:?}"),
            () = started => (),
        }
    });
    assert!(place.upgrade().is_none());
}
