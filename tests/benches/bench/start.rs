//! The start of Python: a whole process, and a further guest in a running host.
//!
//! Each measured process is the only child of a process that runs this program again: getrusage(2) tells the largest
//! child's memory, and a child's memory includes that of its parent until it calls execve(2).

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::resource::{UsageWho, getrusage};
use wasisocket_python::{Distribution, Program, Python};
use wasisocket_service::Guests;
use wasisocket_tests::bench::{Column, Row, Run, Samples, cpu_time, interleave, printed};
use wasisocket_tests::guest::{built, program};

use crate::{Options, native_python};

/// How many times each is run.
const ROUNDS: usize = 25;
/// The programs of the processes, and their names.
const PROCESSES: [(&str, &str); 2] = [
    ("process: pass", "pass"),
    (
        "process: imports",
        "import asyncio, ssl, json, urllib.request",
    ),
];
/// What a further guest runs: it prints the time at which its first line ran, in nanoseconds since 1970.
const FIRST_LINE: &str = "import time; print(time.time_ns())";
/// The folder of pyeryx, if it is to be measured.
pub(crate) const ERYX: &str = "WASISOCKET_PYERYX";
/// The most memory of a guest.
const MEMORY: usize = 256 << 20;
/// The first argument of the process that starts a measured one.
const MEASURE: &str = "measure-process";

/// Measures the process of the remaining arguments, if that is what this process is for.
pub(crate) fn is_measuring_process() -> bool {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [first, command, rest @ ..] = &arguments[..] else {
        return false;
    };
    if first != MEASURE {
        return false;
    }
    let begun = Instant::now();
    let status = Command::new(command)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("it can be run");
    let wall = begun.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    let children = UsageWho::RUSAGE_CHILDREN;
    let resident = getrusage(children).expect("it is allowed").max_rss() as f64 / 1024.0;
    println!("wall time\tms\t{}", milliseconds(wall));
    println!("CPU time\tms\t{}", milliseconds(cpu_time(children)));
    println!("peak memory\tMiB\t{resident}");
    true
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Runs a command in a process that measures it, and puts the name before each of its lines.
pub(crate) fn process(name: &str, command: &[OsString], env: &[(&str, OsString)]) -> String {
    let this = std::env::current_exe().expect("Linux");
    let mut measuring = Command::new(this);
    measuring.arg(MEASURE).args(command);
    let lines = printed(measuring.envs(env.iter().map(|(name, value)| (name, value))));
    let lines = lines.lines().map(|line| format!("{name}, {line}\n"));
    lines.collect()
}

/// All [`PROCESSES`], of a command that takes Python's options.
fn processes(command: &[OsString], env: &[(&str, OsString)]) -> String {
    let each = PROCESSES.map(|(name, code)| {
        let command = [command, &["-c".into(), code.into()]].concat();
        process(name, &command, env)
    });
    each.concat()
}

/// Nanoseconds since 1970.
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is later than 1970").as_nanos()
}

/// What a further guest took, from the time at which its first line ran.
fn further(begun: u128, printed: &[u8], cpu: Duration) -> String {
    let printed = String::from_utf8_lossy(printed);
    let first: u128 = printed.trim().parse().expect("a time");
    let since = |time: u128| time.saturating_sub(begun) as f64 / 1e6;
    format!(
        "further guest, to its first line\tms\t{}\nfurther guest, to its end\tms\t{}\nfurther guest, CPU time\tms\t{}\n",
        since(first),
        since(now()),
        milliseconds(cpu)
    )
}

/// A guest of this process.
fn further_guest(runtime: &tokio::runtime::Runtime, guests: &Guests) -> String {
    let (begun, cpu) = (now(), cpu_time(UsageWho::RUSAGE_SELF));
    let ended = runtime.block_on(guests.run(Program::code(FIRST_LINE), 1 << 10, None));
    let ended = ended.expect("there is a place");
    let cpu = cpu_time(UsageWho::RUSAGE_SELF) - cpu;
    further(begun, &ended.stdout, cpu)
}

/// Native CPython has no guests: a further program is a further process.
fn further_process() -> String {
    let children = || cpu_time(UsageWho::RUSAGE_CHILDREN);
    let (begun, cpu) = (now(), children());
    let printed = printed(Command::new(native_python()).args(["-c", FIRST_LINE]));
    further(begun, printed.as_bytes(), children() - cpu)
}

/// pyeryx: a process with one sandbox, and a further sandbox in a process.
fn eryx() -> String {
    let folder = ("PYTHONPATH", built(ERYX).into_os_string());
    let python = native_python().into_os_string();
    let script = program("bench/sandboxes.py").into_os_string();
    let each = PROCESSES.map(|(name, code)| {
        let command = [python.clone(), script.clone(), code.into()];
        process(name, &command, std::slice::from_ref(&folder))
    });
    let mut further = Command::new(&python);
    let further = printed(further.arg(&script).env(folder.0, &folder.1));
    each.concat() + &further
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let distribution = built("WASISOCKET_PYTHON");
    let python = Python::builder()
        .distribution(Distribution::open(&distribution).expect("it was built"))
        .pool(8, MEMORY)
        .load();
    let guests = Arc::new(Guests::new(python.expect("it compiles")));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("threads");

    let native = [native_python().into_os_string()];
    let command = [built("WASISOCKET_BIN").into_os_string(), "run".into()];
    let env = [("WASISOCKET_PYTHON", distribution.into_os_string())];
    let mut runs = vec![
        Run::new(Column::Native, || {
            processes(&native, &[]) + &further_process()
        }),
        Run::new(Column::Ours, || {
            processes(&command, &env) + &further_guest(&runtime, &guests)
        }),
        // A process that does nothing.
        Run::new(Column::Limit, || {
            process(PROCESSES[0].0, &["true".into()], &[])
        }),
    ];
    if std::env::var_os(ERYX).is_some() {
        runs.push(Run::new(Column::Peer, eryx));
    }
    // The first runs compile python.wasm and read files from the disk.
    interleave(&mut Samples::new("start, unmeasured"), 1, &mut runs);
    let mut samples = Samples::new("start");
    interleave(&mut samples, options.rounds(ROUNDS), &mut runs);
    samples.rows()
}
