//! The command line of `wasisocket`, as a user meets it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use wasisocket_host::{Limit, List};
use wasisocket_tests::guest::{built, run};
use wasisocket_tests::servers::{closed, http, loopback};

#[test]
fn exit_status_and_arguments_are_the_guests() {
    let ended = run()
        .args([
            "-c",
            "import sys; print(sys.argv); sys.exit(7)",
            "-x",
            "--verbose",
            "a b",
        ])
        .end();
    assert_eq!(ended.status, Some(7), "{}", ended.stderr);
    assert_eq!(ended.stdout, "['-c', '-x', '--verbose', 'a b']\n");
}

#[test]
fn any_exit_status_is_passed_on() {
    for (code, status) in [("126", 126), ("200", 200), ("-1", 255)] {
        let ended = run()
            .args(["-c", &format!("raise SystemExit({code})")])
            .end();
        assert_eq!(ended.status, Some(status), "{}", ended.stderr);
    }
}

#[test]
fn script_is_found_below_the_folder_that_is_root() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    fs::write(folder.path().join("my.py"), "print('another script')").unwrap();
    fs::write(
        folder.path().join("sub/my.py"),
        "print('this one', __file__)",
    )
    .unwrap();
    let root = || run().folder(folder.path()).arg("--dir");
    let printed = root().args([".", "sub/my.py"]).succeeds();
    assert_eq!(printed, "this one /sub/my.py\n");
    let ended = root().args(["sub::/", "my.py"]).end();
    assert_eq!(ended.status, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("not below it"), "{}", ended.stderr);
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_every_option() {
    let short = run().arg("-h").succeeds();
    assert!(short.lines().count() <= 24, "{short}");
    for line in short.lines() {
        assert!(line.len() <= 80, "{line}");
    }
    let long = run().arg("--help").succeeds();
    for line in long.lines() {
        assert!(line.len() <= 100, "{line}");
    }
    for heading in ["Network:", "Limits:", "Folders and environment:"] {
        assert!(long.contains(&format!("\n{heading}\n")), "{heading}");
    }
    let lists = List::ALL.iter().map(|list| list.name());
    for name in lists.chain(Limit::ALL.iter().map(|limit| limit.name())) {
        assert!(long.contains(&format!(" --{name}")), "{name}");
    }
}

#[test]
fn last_value_of_a_variable_counts() {
    let printed = run()
        .env("A", "3")
        .args(["--env", "A=1", "--env", "B=2", "--env", "A"])
        .args(["-c", "import os; print(dict(os.environ))"])
        .succeeds();
    assert_eq!(printed, "{'B': '2', 'A': '3'}\n");
}

#[test]
fn failing_guest_shows_pythons_traceback() {
    let ended = run().args(["-c", "1/0"]).end();
    assert_eq!(ended.status, Some(1));
    assert!(
        ended.stderr.contains("ZeroDivisionError"),
        "{}",
        ended.stderr
    );
}

#[test]
fn standard_input_and_output_pass_through() {
    let ended = run()
        .input(b"one\ntwo\n")
        .args([
            "-c",
            "import sys; print(sys.stdin.read().upper()); print('err', file=sys.stderr)",
        ])
        .end();
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("ONE\nTWO\n\n", "err\n")
    );
}

#[test]
fn module_is_run() {
    let printed = run()
        .args(["-m", "json.tool", "--compact"])
        .input(b"[1, 2]")
        .succeeds();
    assert_eq!(printed, "[1,2]\n");
}

#[test]
fn scripts_folder_can_be_read_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("scripts");
    fs::create_dir(&scripts).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(scripts.join("data.txt"), "data").unwrap();
    fs::write(scripts.join("neighbour.py"), "name = 'neighbour'").unwrap();
    fs::write(
        scripts.join("main.py"),
        "import os, sys, neighbour\n\
         print(neighbour.name, open('data.txt').read(), sys.argv, sorted(os.listdir('/')))\n\
         for path in ['/etc/shadow', '../secret.txt', '/../secret.txt', '/proc/self/environ']:\n\
         \x20   try: open(path)\n\
         \x20   except OSError: continue\n\
         \x20   sys.exit(f'{path} could be read')\n\
         for path in ['new.txt', '/data.txt', '/usr/local/lib/python3.13/os.py', '/usr/local/lib/python3.13/new.py']:\n\
         \x20   try: open(path, 'a')\n\
         \x20   except OSError: continue\n\
         \x20   sys.exit(f'{path} could be written')\n\
         print(dict(os.environ))\n",
    )
    .unwrap();
    let printed = run()
        .folder(folder.path())
        .env("SECRET", "x")
        .arg("scripts/main.py")
        .arg("1")
        .succeeds();
    assert_eq!(
        printed,
        "neighbour data ['/main.py', '1'] ['data.txt', 'main.py', 'neighbour.py']\n{}\n"
    );
}

#[test]
fn folders_and_variables_are_granted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "in").unwrap();
    let code = "import os\n\
        print(open('/in/in.txt').read(), os.environ['A'], os.environ['B'])\n\
        open('/out/out.txt', 'w').write('out')\n\
        try: open('/in/in.txt', 'w')\n\
        except OSError as exc: print(type(exc).__name__)\n";
    let host = folder.path().display();
    let printed = run()
        .arg("--dir")
        .arg(format!("{host}::/in:ro"))
        .arg("--dir")
        .arg(format!("{host}::/out"))
        .env("A", "from the host")
        .args(["--env", "A", "--env", "B=given"])
        .args(["-c", code])
        .succeeds();
    assert_eq!(printed, "in from the host given\nPermissionError\n");
    assert_eq!(
        fs::read_to_string(folder.path().join("out.txt")).unwrap(),
        "out"
    );
}

#[test]
fn denial_is_one_line_that_names_the_missing_grant() {
    let [v4, _] = loopback();
    let server = closed(v4);
    let code = format!(
        "import wasisocket\n\
         for _ in range(3):\n\
         \x20   try: wasisocket.create_connection(('127.0.0.1', {}))\n\
         \x20   except PermissionError as exc: print(exc.strerror)\n",
        server.port()
    );
    let ended = run().args(["-c", &code]).end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "Permission denied\n".repeat(3));
    assert_eq!(
        ended.stderr,
        format!("wasisocket: connect to {server} denied: needs --allow-net={server}\n")
    );
}

#[test]
fn deny_beats_allow() {
    let code = "import wasisocket\n\
        try: wasisocket.create_connection(('127.0.0.1', 9))\n\
        except PermissionError: print('denied')\n";
    let ended = run()
        .args(["--allow-net", "--deny-net=127.0.0.0/8", "-c", code])
        .end();
    assert_eq!(ended.stdout, "denied\n", "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--deny-net=127.0.0.0/8 forbids it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn rule_that_is_wrong_says_where_and_what_to_write() {
    let ended = run()
        .args(["--allow-net=example.com:http", "-c", "print('ran')"])
        .end();
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.stdout, "");
    let wanted = "rule \"example.com:http\", column 13: \"http\" is no port: write 1 to 65535";
    assert!(ended.stderr.contains(wanted), "{}", ended.stderr);
}

#[test]
fn policy_file_grants_beside_flags() {
    let [v4, _] = loopback();
    let (one, other) = (http(v4, "one"), http(v4, "other"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(
        &file,
        format!(
            "allow-net = ['{one}/tcp', 'db.test']\nresolve = ['db.test:127.0.0.1']\n\
             deny-listen = ['*']\nmax-sockets = 1\ntimeout = '60s'\n"
        ),
    )
    .unwrap();
    let code = format!(
        "import urllib.request, socket\n\
         print(socket.gethostbyname('db.test'))\n\
         for port in ({}, {}):\n\
         \x20   print(urllib.request.urlopen(f'http://127.0.0.1:{{port}}/').read())\n\
         try: socket.socket().listen()\n\
         except PermissionError: print('refused')\n",
        one.port(),
        other.port()
    );
    let ended = run()
        .arg("--policy")
        .arg(&file)
        .arg(format!("--allow-net={other}"))
        .arg("--max-sockets=8")
        .args(["-c", &code])
        .end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout, "127.0.0.1\nb'one'\nb'other'\nrefused\n");
    assert!(
        ended.stderr.contains("--deny-listen=* forbids it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn policy_file_that_is_wrong_says_where_and_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(
        &file,
        "timeout = 5\nallow-net = [\n  'example.com:http',\n]\n",
    )
    .unwrap();
    let ended = run()
        .arg("--policy")
        .arg(&file)
        .args(["-c", "print('ran')"])
        .end();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(2), ""));
    let wanted = format!(
        "--policy {}: line 3, column 3: allow-net: rule \"example.com:http\", column 13: \"http\" is no port",
        file.display()
    );
    assert!(ended.stderr.contains(&wanted), "{}", ended.stderr);
}

#[test]
fn guest_that_spins_is_ended_by_its_time_limit() {
    let ended = run()
        .args(["--timeout", "5s", "-c", "while True: pass"])
        .end();
    assert_eq!(ended.status, Some(124), "{}", ended.stderr);
}

#[test]
fn limits_that_are_reached_are_events() {
    let opens = "import socket\nheld = socket.socket()\ntry: socket.socket()\nexcept OSError: pass";
    for (limit, value, code) in [
        ("max-sockets", "1", opens),
        ("max-cpu", "1s", "while True: pass"),
        ("timeout", "5s", "while True: pass"),
    ] {
        let limited = format!("--{limit}={value}");
        let ended = run().args(["-v", &limited, "-c", code]).end();
        let event = format!("WARN wasisocket::limit: reached limit=\"{limit}\"");
        assert_eq!(ended.stderr.matches(&event).count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn memory_has_a_limit() {
    let code = "try: bytearray(512 << 20)\n\
        except MemoryError: print('no memory')\n\
        print(len(bytearray(1 << 20)))\n";
    let ended = run().args(["--max-memory", "128M", "-c", code]).end();
    assert_eq!(ended.stdout, "no memory\n1048576\n");
    let told = "wasisocket: the guest reached its --max-memory\n";
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), told));
}

#[test]
fn interrupt_ends_it_with_130() {
    let code = "import time\nprint('started', flush=True)\ntime.sleep(300)";
    let mut started = run().default_interrupt().args(["-c", code]).start();
    let mut line = String::new();
    BufReader::new(started.child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "started\n");
    let pid = Pid::from_raw(started.child.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(started.end().status, Some(130));
}

#[test]
fn compiled_module_is_cached() {
    let cache = tempfile::tempdir().unwrap();
    let compiled = || {
        let mut names: Vec<_> = walk(&cache.path().join("compiled"));
        names.retain(|name| name.ends_with(".module"));
        names
    };
    let start = || {
        run()
            .env("WASISOCKET_CACHE", cache.path())
            .args(["-c", "pass"])
            .succeeds()
    };
    start();
    let after_first = compiled();
    assert_eq!(after_first.len(), 1, "{after_first:?}");
    let written = fs::metadata(&after_first[0]).unwrap().modified().unwrap();
    start();
    assert_eq!(compiled(), after_first);
    assert_eq!(
        fs::metadata(&after_first[0]).unwrap().modified().unwrap(),
        written
    );
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path.display().to_string()]
            }
        })
        .collect()
}

/// A standard error to which every write fails.
fn full() -> fs::File {
    fs::File::options().write(true).open("/dev/full").unwrap()
}

#[test]
fn denial_that_cannot_be_written_is_still_a_denial() {
    let code = "import wasisocket\n\
        try: wasisocket.create_connection(('127.0.0.1', 9))\n\
        except PermissionError: print('denied')\n";
    let ended = run().stderr_to(full()).args(["-c", code]).end();
    assert_eq!((ended.status, ended.stdout.as_str()), (Some(0), "denied\n"));
}

#[test]
fn time_limit_holds_though_standard_error_does_not() {
    let run = || run().args(["--timeout", "5s", "-c"]);
    let ended = run().stderr_to(full()).arg("while True: pass").end();
    assert_eq!(ended.status, Some(124));
    // A pipe that nobody reads: the guest blocks in its write.
    let (_reader, writer) = std::io::pipe().unwrap();
    let file = fs::File::from(std::os::fd::OwnedFd::from(writer));
    let code = "import sys\nwhile True: sys.stderr.write('x' * 4096)";
    assert_eq!(run().stderr_to(file).arg(code).end().status, Some(124));
}

#[test]
fn doctor_finds_all_well_and_says_what_is_not() {
    let doctor = |path: &std::path::Path| {
        let output = Command::new(built("WASISOCKET_BIN"))
            .arg("doctor")
            .arg(path)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (status, report) = doctor(&built("WASISOCKET_PYTHON"));
    assert_eq!(status, Some(0), "{report}");
    assert!(
        report.contains("ok       wasi_snapshot_preview1 sock_open"),
        "{report}"
    );
    assert!(
        report.contains("_wasisocket is a built-in module"),
        "{report}"
    );

    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("python.wasm");
    let module = wat::parse_str(
        r#"(module
            (import "wasi_snapshot_preview1" "sock_send" (func (param i32 i32 i32 i32 i32) (result i32)))
            (import "env" "unknown" (func)))"#,
    );
    fs::write(&wasm, module.unwrap()).unwrap();
    let (status, report) = doctor(&wasm);
    assert_eq!(status, Some(1), "{report}");
    assert!(
        report.contains("differs  wasi_snapshot_preview1 sock_send"),
        "{report}"
    );
    assert!(
        report.contains("libwasisocket.a must come before -lc"),
        "{report}"
    );
    assert!(report.contains("missing  env unknown"), "{report}");
    assert!(report.contains("a line in Setup.local"), "{report}");
}

#[test]
fn folder_that_later_runs_trust_is_not_granted_for_writing() {
    let cache = tempfile::tempdir().unwrap();
    run()
        .env("WASISOCKET_CACHE", cache.path())
        .args(["-c", "pass"])
        .succeeds();
    let folder = cache.path().display();
    let python = built("WASISOCKET_PYTHON");
    // A link to it can be replaced in its own folder.
    let project = tempfile::tempdir().unwrap();
    let link = project.path().join("link");
    std::os::unix::fs::symlink(&python, &link).unwrap();
    let ended = run()
        .arg("--python")
        .arg(&link)
        .arg(format!("--dir={}::/data", project.path().display()))
        .args(["-c", "pass"])
        .end();
    assert_eq!(ended.status, Some(2), "{}", ended.stderr);
    let python = python.display();
    for (dir, status) in [
        (format!("{python}::/data"), Some(2)),
        (format!("{python}/lib::/data"), Some(2)),
        (format!("{python}::/data:ro"), Some(0)),
        (format!("{folder}::/data"), Some(2)),
        (format!("{folder}/compiled::/data"), Some(2)),
        (format!("{folder}/etc::/data"), Some(2)),
        (format!("{folder}/empty::/data"), Some(2)),
        (format!("{folder}::/data:ro"), Some(0)),
    ] {
        let ended = run()
            .env("WASISOCKET_CACHE", cache.path())
            .arg(format!("--dir={dir}"))
            .args(["-c", "pass"])
            .end();
        assert_eq!(ended.status, status, "{dir}: {}", ended.stderr);
        let told = ended
            .stderr
            .contains("could change what later runs trust in ");
        assert_eq!(told, status == Some(2), "{}", ended.stderr);
    }
}

#[test]
fn guest_without_script_has_an_empty_root_that_it_cannot_write() {
    let data = tempfile::tempdir().unwrap();
    let printed = run()
        .arg(format!("--dir={}::/data", data.path().display()))
        .arg("-c")
        .arg(
            "import os\n\
             os.makedirs('/data/new')\n\
             os.makedirs('/data', exist_ok=True)\n\
             print(os.getcwd(), os.listdir(), os.listdir('/'), os.listdir('/data'))\n\
             try: open('/file', 'w')\n\
             except PermissionError: print('refused')",
        )
        .succeeds();
    assert_eq!(printed, "/ [] [] ['new']\nrefused\n");
}
