//! Measures Python in the guest beside native CPython of the same version, and on request beside other sandboxes.
//! `cargo xtask bench` builds what it needs and runs it; `tests/benches/README.md` says what the groups measure.

mod boxes;
mod guests;
mod python;
mod sockets;
mod start;
mod threads;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use time::OffsetDateTime;
use wasisocket_tests::bench::{Load, Row, json, machine, plot, printed, replace_section, table};
use wasisocket_tests::guest::{built, run};

/// The README whose sections have the tables, in the checkout.
const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/README.md");

/// The README of the project, which has the most important rows.
const FRONT_PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");

/// The section of that README, and its picture.
const SUMMARY: &str = "speed";

/// The rows of that section: groups and what cases begin with.
const IMPORTANT: [(&str, &str); 13] = [
    ("sockets", "recv_into 64"),
    ("sockets", "sendall 64"),
    ("sockets", "round trip"),
    ("tls", "HTTPS download"),
    ("tls", "HTTPS upload"),
    ("tls", "asyncio download"),
    ("tls", "full handshake, ECDSA P-256"),
    ("tls", "hashlib.sha256"),
    ("start", "process: pass, wall time"),
    ("start", "process: imports, wall time"),
    ("start", "further guest, to its first line"),
    ("guests", "memory of each"),
    ("python", "pyperformance"),
];

/// What the command line asks for.
pub struct Options {
    /// Fewer rounds.
    quick: bool,
    /// How many guests the group `guests` runs.
    guests: u32,
    json: Option<PathBuf>,
    readme: bool,
    groups: Vec<Group>,
}

/// A group of benchmarks.
struct Group {
    name: &'static str,
    /// What the column `peer` is.
    peer: &'static str,
    measure: fn(&Options) -> Vec<Row>,
}

const GROUPS: [Group; 7] = [
    Group {
        name: "sockets",
        peer: "componentize-py",
        measure: sockets::measure,
    },
    Group {
        name: "tls",
        peer: "componentize-py",
        measure: tls::measure,
    },
    Group {
        name: "start",
        peer: "pyeryx",
        measure: start::measure,
    },
    Group {
        name: "boxes",
        peer: "pyeryx",
        measure: boxes::measure,
    },
    Group {
        name: "threads",
        peer: "",
        measure: threads::measure,
    },
    Group {
        name: "guests",
        peer: "",
        measure: guests::measure,
    },
    Group {
        name: "python",
        peer: "",
        measure: python::measure,
    },
];

impl Options {
    /// `cargo xtask bench` makes these arguments of its own; cargo adds `--bench`.
    fn parse() -> Self {
        let mut options = Self {
            quick: false,
            guests: 1000,
            json: None,
            readme: false,
            groups: Vec::new(),
        };
        for argument in std::env::args().skip(1) {
            match argument.split_once('=').unwrap_or((&argument, "")) {
                ("--bench", _) => {}
                ("--quick", _) => options.quick = true,
                ("--readme", _) => options.readme = true,
                ("--guests", count) => options.guests = count.parse().expect("a number"),
                ("--json", path) => options.json = Some(path.into()),
                (name, _) => {
                    let group = GROUPS.into_iter().find(|group| group.name == name);
                    options.groups.push(group.expect("a group"));
                }
            }
        }
        if options.groups.is_empty() {
            options.groups = GROUPS.into();
        }
        options
    }

    /// `rounds`, or fewer.
    fn rounds(&self, rounds: usize) -> usize {
        match self.quick {
            true => rounds.div_ceil(5),
            false => rounds,
        }
    }
}

/// The Python that the guest is compared with: the build-python, or one of the machine's where that has no ssl.
fn native_python() -> PathBuf {
    built("WASISOCKET_SITE_PYTHON")
}

/// Many sockets are open at the same time, also in programs that this one starts.
fn raise_limit_of_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("it is not above the maximum");
}

/// What is compared: versions of Python and of its OpenSSL.
fn versions() -> String {
    const CODE: &str =
        "import sys, ssl; print('CPython', sys.version.split()[0], 'with', ssl.OPENSSL_VERSION)";
    let native = printed(std::process::Command::new(native_python()).args(["-c", CODE]));
    let guest = run().args(["-c", CODE]).succeeds();
    format!(
        "wasisocket {}: {}; native: {}",
        env!("CARGO_PKG_VERSION"),
        guest.trim(),
        native.trim()
    )
}

fn main() {
    if start::is_measuring_process() {
        return;
    }
    raise_limit_of_open_files();
    let options = Options::parse();
    let plots = built("WASISOCKET_BENCH_FOLDER");
    let mut conditions = format!("{}; {}", machine(), versions());
    conditions.push_str(if options.quick { "; few rounds" } else { "" });
    println!("{conditions}");
    let mut rows = Vec::new();
    for group in &options.groups {
        let load = Load::begin();
        let measured = (group.measure)(&options);
        let busy = load.end();
        let table = table(&measured, group.peer);
        println!("\n## {}\n\n{table}\n{busy}", group.name);
        if busy.is_disturbed() {
            eprintln!(
                "warning: {busy}: do not rely on the values of {}",
                group.name
            );
        }
        let picture = format!("{}.svg", group.name);
        plot(&plots.join(&picture), &measured, group.peer).expect("the folder can be written to");
        if options.readme {
            let date = OffsetDateTime::now_utc().date();
            let section = format!(
                "{date}: {conditions}. {busy}.\n\n{table}\n![the ratios of this table]({picture})"
            );
            write_section(README, group.name, &section, &plots.join(&picture));
        }
        rows.extend(measured);
    }
    if options.readme && options.groups.len() == GROUPS.len() {
        write_summary(&rows, &plots);
    }
    println!("\nplots: {}", plots.display());
    if let Some(path) = &options.json {
        fs::write(path, json(&rows)).expect("the file can be written");
    }
}

/// Puts the most important rows into the project's README.
fn write_summary(rows: &[Row], plots: &Path) {
    let is_important = |row: &&Row| {
        let repeated = row.case.ends_with(']');
        let begins =
            |(group, case): &(&str, &str)| row.group == *group && row.case.starts_with(case);
        !repeated && IMPORTANT.iter().any(begins)
    };
    let important = rows.iter().filter(is_important).map(|row| Row {
        peer: None,
        limit: None,
        ..row.clone()
    });
    let important: Vec<_> = important.collect();
    let picture = format!("{SUMMARY}.svg");
    let path = plots.join(&picture);
    plot(&path, &important, "").expect("the folder can be written to");
    let section = format!(
        "Measured on {}, on {}:\n\n{}\n![the ratios of this table](tests/benches/{picture})",
        OffsetDateTime::now_utc().date(),
        machine(),
        table(&important, "")
    );
    write_section(FRONT_PAGE, SUMMARY, &section, &path);
}

/// Puts a section into a README, and its picture beside the README of the benchmarks.
fn write_section(readme: &str, name: &str, section: &str, picture: &Path) {
    let text = fs::read_to_string(readme).expect("the checkout has it");
    let text = replace_section(&text, name, section).expect("its marks are there");
    fs::write(readme, text).expect("the checkout can be written to");
    if let Some(name) = picture.file_name().filter(|_| picture.is_file()) {
        let in_benches = Path::new(README).with_file_name(name);
        fs::copy(picture, in_benches).expect("the checkout can be written to");
    }
}
