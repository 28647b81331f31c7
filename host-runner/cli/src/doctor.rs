//! `wasisocket doctor`: will this python.wasm run here, and what to do if not.

use std::path::Path;

use wasisocket_abi::{CORE_IMPORTS, CORE_MODULE, v1};
use wasisocket_python::{Cache, Capture, Import, ImportState, Program, Python};
use wasmtime::Result;

use crate::run::{self, StartArgs};

/// Runs in the guest and prints what it finds, one line for each fact.
const QUESTIONS: &str = include_str!("doctor.py");

/// Prints the findings. The status is 0 if all is well, 1 if something has to be done.
pub(crate) fn doctor(path: Option<&Path>) -> Result<u8> {
    let mut findings = Findings::default();
    println!(
        "wasisocket {}, wasmtime {}",
        env!("CARGO_PKG_VERSION"),
        wasmtime_version()
    );
    println!("cache: {}", Cache::from_env()?.path().display());

    let python = run::load(path, true, &StartArgs::default())?;
    println!("module: {}", python.distribution().wasm().display());

    println!("\nimports:");
    check_imports(&python.imports()?, &mut findings);
    println!("\nguest:");
    if findings.0.is_empty() {
        ask_guest(&python, &mut findings)?;
    } else {
        println!("  not started: an import is missing");
    }

    if findings.0.is_empty() {
        println!("\nAll is well.");
        return Ok(0);
    }
    println!("\nWhat to do:");
    for finding in &findings.0 {
        println!("- {finding}");
    }
    Ok(1)
}

/// What the user has to do, without duplicates.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

/// The version of wasmtime that this program was built with, from the lock file: wasmtime has no constant for it.
fn wasmtime_version() -> &'static str {
    include_str!("../../../Cargo.lock")
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("of unknown version", |(version, _)| version)
}

/// Prints a line for each import.
fn check_imports(imports: &[Import], findings: &mut Findings) {
    for import in imports {
        let name = format!("{} {}", import.module, import.name);
        match &import.state {
            ImportState::Provided => println!("  ok       {name}"),
            ImportState::Differs { wanted, provided } => {
                println!("  differs  {name}: wants {wanted}, here {provided}");
                findings.add(differs(&import.module, &import.name));
            }
            ImportState::Missing => {
                println!("  missing  {name}");
                findings.add(match import.module.as_str() {
                    v1::MODULE => format!(
                        "update wasisocket: python.wasm was built for a newer one, which has `{name}`"
                    ),
                    _ => format!(
                        "build python.wasm without what needs `{name}`: this host has no import of that name"
                    ),
                });
            }
        }
    }
    let has_sockets = |import: &Import| import.module == CORE_MODULE && import.name == "sock_open";
    if !imports.iter().any(has_sockets) {
        println!("  none of the socket imports: this Python was built without _wasisocket");
        findings.add(
            "link libwasisocket.a into CPython with a line in Setup.local: cpython-patch/README.md"
                .into(),
        );
    }
}

fn differs(module: &str, import: &str) -> String {
    if module == v1::MODULE {
        return format!(
            "build python.wasm and wasisocket from the same source: {import} has another type here"
        );
    }
    if CORE_IMPORTS.iter().any(|core| core.name == import) {
        format!(
            "wasi-libc's own {import} got into python.wasm: libwasisocket.a must come before -lc when linking"
        )
    } else {
        format!(
            "build python.wasm for wasm32-wasip1: preview1's witx has another type for {import}"
        )
    }
}

/// Starts the guest, which prints what it finds of itself.
fn ask_guest(python: &Python, findings: &mut Findings) -> Result<()> {
    let output = Capture::new(64 << 10);
    let program = Program::code(QUESTIONS).stdout(&output).inherit_stderr();
    let status = python.run(program)?.status();
    let answers = String::from_utf8_lossy(&output.bytes()).into_owned();
    let mut answers = answers.lines();

    match answers.next() {
        Some(version) if status == 0 => println!("  {version}"),
        _ => {
            println!("  does not start (status {status})");
            findings.add("put the standard library beside python.wasm, as lib/python3.N".into());
            return Ok(());
        }
    }
    let builtin = answers.next() == Some("True");
    println!(
        "  _wasisocket is {}a built-in module",
        if builtin { "" } else { "not " }
    );
    if !builtin {
        findings.add(
            "add the line for _wasisocket to Modules/Setup.local: cpython-patch/README.md".into(),
        );
    }
    let wrapper = answers.next().unwrap_or("not importable");
    println!("  wasisocket: {wrapper}");
    if wrapper != "importable" {
        findings.add("copy cpython-patch/Lib/wasisocket.py into the standard library".into());
    }
    Ok(())
}
