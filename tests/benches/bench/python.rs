//! The interpreter: pyperformance's programs that are pure Python and need no processes.
//!
//! pyperf, with which they measure, starts processes. `tests/programs/bench/pyperformance/pyperf.py` is in its place,
//! and prints the time of one iteration. How many iterations are measured is chosen natively, once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use wasisocket_host::Grants;
use wasisocket_python::{Capture, Distribution, End, Folder, Program, Python};
use wasisocket_tests::bench::{Column, Row, Samples, geometric_mean, printed};
use wasisocket_tests::guest::{built, program, run};

use crate::{Options, native_python};

/// How many times each is run.
const ROUNDS: usize = 5;
/// The folder in tests/programs with the module pyperf, and where a guest finds it.
const MODULES: &str = "bench/pyperformance";
const MODULES_IN_GUEST: &str = "/lib/pyperformance";
const PROGRAMS: [&str; 26] = [
    "chaos",
    "comprehensions",
    "coroutines",
    "deepcopy",
    "deltablue",
    "float",
    "gc_collect",
    "gc_traversal",
    "generators",
    "hexiom",
    "json_dumps",
    "json_loads",
    "logging",
    "meteor_contest",
    "nbody",
    "nqueens",
    "pathlib",
    "regex_compile",
    "regex_effbot",
    "regex_v8",
    "richards",
    "richards_super",
    "spectral_norm",
    "telco",
    "typing_runtime_protocols",
    "unpack_sequence",
];
/// Those that take longer than a second or so; `--quick` leaves them out.
const LONG_PROGRAMS: [&str; 10] = [
    "async_generators",
    "fannkuch",
    "go",
    "pidigits",
    "pprint",
    "pyflate",
    "raytrace",
    "regex_dna",
    "scimark",
    "xml_etree",
];
/// Limits that no program reaches. To enforce them, compiled code looks at the clock in each loop and function.
const LIMIT: Duration = Duration::from_secs(600);
/// The most that a program prints, in bytes.
const OUTPUT_MAX: usize = 64 << 10;

/// One of the programs, and the loops of its benchmarks as the module pyperf wants them.
struct Benchmark {
    script: PathBuf,
    loops: String,
}

impl Benchmark {
    /// Chooses the loops.
    fn new(name: &str) -> Self {
        let folder = built("WASISOCKET_PYPERFORMANCE");
        let script = folder.join(format!("bm_{name}/run_benchmark.py"));
        let mut benchmark = Self {
            script,
            loops: String::new(),
        };
        let printed = benchmark.native();
        let loops = printed.lines().map(|line| {
            let mut words = line.split('\t');
            let (name, loops) = (words.next(), words.next());
            format!("{}={},", name.expect("a name"), loops.expect("loops"))
        });
        benchmark.loops = loops.collect();
        benchmark
    }

    fn native(&self) -> String {
        let mut python = Command::new(native_python());
        python
            .env("PYTHONPATH", program(MODULES))
            .env("BENCH_LOOPS", &self.loops);
        printed(python.arg(&self.script))
    }

    /// In the command `wasisocket`, whose guests' code does not look at the clock: its process ends when its time is
    /// over.
    fn guest(&self, temporary: &Path) -> String {
        run()
            .arg(format!(
                "--dir={}::{MODULES_IN_GUEST}:ro",
                program(MODULES).display()
            ))
            .arg(format!("--dir={}::/tmp", temporary.display()))
            .arg(format!("--env=PYTHONPATH={MODULES_IN_GUEST}"))
            .arg(format!("--env=BENCH_LOOPS={}", self.loops))
            .arg(&self.script)
            .succeeds()
    }

    /// In a host of several guests, with limits of time.
    fn limited_guest(&self, python: &Python, temporary: &Path) -> String {
        let mut grants = Grants::default();
        grants.limits.timeout = Some(LIMIT);
        grants.limits.max_cpu = Some(LIMIT);
        let stdout = Capture::new(OUTPUT_MAX);
        let program = Program::script(&self.script)
            .folder(Folder::read_only(program(MODULES), MODULES_IN_GUEST))
            .folder(Folder::read_write(temporary, "/tmp"))
            .env("PYTHONPATH", MODULES_IN_GUEST)
            .env("BENCH_LOOPS", &self.loops)
            .grants(grants)
            .stdout(&stdout)
            .inherit_stderr();
        let end = python.run(program).expect("it starts");
        assert_eq!(end, End::Exit(0), "{}", self.script.display());
        String::from_utf8(stdout.bytes()).expect("text")
    }
}

/// Lines of a name, loops and seconds, as lines of a name, a unit and milliseconds.
fn in_milliseconds(lines: &str) -> String {
    let lines = lines.lines().map(|line| {
        let [name, _, seconds] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line:?} is not a name, a number of loops and a time");
        };
        let seconds: f64 = seconds.parse().expect("a number");
        format!("{name}\tms\t{}\n", seconds * 1e3)
    });
    lines.collect()
}

/// The geometric mean of times relative to others, for each round.
fn relative(times: &[&[f64]], to: &[&[f64]]) -> Vec<f64> {
    let rounds = times.first().map_or(0, |rounds| rounds.len());
    let mean = |round: usize| {
        let pairs = times.iter().zip(to);
        geometric_mean(pairs.map(|(time, to)| time[round] / to[round]))
    };
    (0..rounds).map(mean).collect()
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let long = match options.quick {
        true => &[][..],
        false => &LONG_PROGRAMS,
    };
    let benchmarks: Vec<_> = PROGRAMS
        .iter()
        .chain(long)
        .copied()
        .map(Benchmark::new)
        .collect();
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON")).expect("it was built");
    let python = Python::builder()
        .distribution(distribution)
        .time_limits(true)
        .load()
        .expect("it compiles");
    let temporary = tempfile::tempdir().expect("a temporary folder");

    let (mut samples, mut limited) = (Samples::new("python"), Samples::new("python"));
    for round in 0..options.rounds(ROUNDS) {
        for benchmark in &benchmarks {
            let name = benchmark.script.parent().and_then(Path::file_name);
            eprintln!(
                "python: round {}, {}",
                round + 1,
                name.unwrap_or_default().display()
            );
            let ours = || in_milliseconds(&benchmark.guest(temporary.path()));
            let native = || in_milliseconds(&benchmark.native());
            samples.read(Column::Native, &native());
            samples.read(Column::Ours, &ours());
            let lines = benchmark.limited_guest(&python, temporary.path());
            limited.read(Column::Ours, &in_milliseconds(&lines));
        }
    }

    let (native, ours) = (samples.values(Column::Native), samples.values(Column::Ours));
    let limited = limited.values(Column::Ours);
    let count = ours.len();
    let mean = format!("pyperformance, geometric mean of {count}");
    let limited_mean = format!("{mean}, with limits of time");
    let cost = format!("{mean}, with limits of time to without");
    let to_native = [
        (mean, relative(&ours, &native)),
        (limited_mean, relative(&limited, &native)),
    ];
    let costs = relative(&limited, &ours);
    let unit = "\u{d7} the time";
    for (name, rounds) in to_native {
        samples.push(Column::Native, &name, unit, 1.0);
        for round in rounds {
            samples.push(Column::Ours, &name, unit, round);
        }
    }
    for round in costs {
        samples.push(Column::Ours, &cost, unit, round);
    }
    samples.rows()
}
