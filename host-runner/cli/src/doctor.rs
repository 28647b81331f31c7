//! `wasisocket doctor`: will this python.wasm run here, and what to do if not.

use std::path::Path;

use wasisocket_abi::{CORE_IMPORTS, CORE_MODULE, v1};
use wasisocket_host::{Policy, SocketsCtx};
use wasmtime::{ExternType, FuncType, Linker, Module, Result, Store};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

use crate::engine;
use crate::guest::{self, Guest};
use crate::kept;
use crate::python::Python;

/// What the guest is asked to tell of itself, one line a fact.
const QUESTIONS: &str = "\
import sys
print('Python', sys.version.split()[0], 'on', sys.platform)
print('_wasisocket' in sys.builtin_module_names)
try:
    import wasisocket
except ImportError as error:
    print(error)
else:
    print('importable')
";

/// Prints the findings. The status is 0 if all is well, 1 if something has to be done.
pub(crate) fn doctor(path: Option<&Path>) -> Result<u8> {
    let mut findings = Findings::default();
    println!(
        "wasisocket {}, wasmtime {}",
        env!("CARGO_PKG_VERSION"),
        wasmtime_version()
    );
    println!("cache: {}", kept::cache_folder()?.display());

    let python = Python::find(path)?;
    println!("module: {}", python.wasm().display());
    let module = engine::load(python.wasm())?;
    let linker = guest::linker(module.engine())?;

    println!("\nimports:");
    check_imports(&module, &linker, &mut findings)?;
    println!("\nguest:");
    if findings.0.is_empty() {
        ask_guest(module, &python, &mut findings)?;
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

/// What has to be done, each once.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, finding: String) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }
}

/// The version that this program was built with. wasmtime has no constant for it; the lock file has.
fn wasmtime_version() -> &'static str {
    include_str!("../../../Cargo.lock")
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("of unknown version", |(version, _)| version)
}

/// One line an import: does this host have it, with the type that the module wants?
fn check_imports(module: &Module, linker: &Linker<Guest>, findings: &mut Findings) -> Result<()> {
    let mut store = Store::new(
        module.engine(),
        Guest::new(WasiCtxBuilder::new().build_p1(), no_sockets()),
    );
    for import in module.imports() {
        let name = format!("{} {}", import.module(), import.name());
        let found = linker
            .try_get_by_import(&mut store, &import)?
            .map(|found| found.ty(&store));
        match (import.ty(), found) {
            (wanted, Some(found)) if same_type(&wanted, &found) => println!("  ok       {name}"),
            (wanted, Some(found)) => {
                println!(
                    "  differs  {name}: wants {}, here {}",
                    describe(&wanted),
                    describe(&found)
                );
                findings.add(differs(import.module(), import.name()));
            }
            (_, None) => {
                println!("  missing  {name}");
                findings.add(match import.module() {
                    v1::MODULE => format!(
                        "update wasisocket: python.wasm was built for a newer one, which has `{name}`"
                    ),
                    _ => format!(
                        "build python.wasm without what needs `{name}`: no import of this host has that name"
                    ),
                });
            }
        }
    }
    if !module
        .imports()
        .any(|import| import.module() == CORE_MODULE && import.name() == "sock_open")
    {
        println!("  none of the socket imports: this Python was built without _wasisocket");
        findings.add(
            "link libwasisocket.a into CPython with a line in Setup.local: cpython-patch/README.md"
                .into(),
        );
    }
    Ok(())
}

fn differs(module: &str, import: &str) -> String {
    if module == v1::MODULE {
        return format!(
            "build python.wasm and wasisocket from the same source: {import} has another type here"
        );
    }
    if CORE_IMPORTS.iter().any(|(name, _)| *name == import) {
        format!(
            "wasi-libc's own {import} got into python.wasm: libwasisocket.a must come before -lc when linking"
        )
    } else {
        format!(
            "build python.wasm for wasm32-wasip1 as it is in preview1's witx: {import} has another type"
        )
    }
}

fn same_type(wanted: &ExternType, found: &ExternType) -> bool {
    match (wanted, found) {
        (ExternType::Func(wanted), ExternType::Func(found)) => FuncType::eq(wanted, found),
        _ => false,
    }
}

fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => ty.to_string(),
        _ => "something that is no function".into(),
    }
}

/// Starts the guest and has it tell of itself.
fn ask_guest(module: Module, python: &Python, findings: &mut Findings) -> Result<()> {
    let output = MemoryOutputPipe::new(64 << 10);
    let mut wasi = WasiCtxBuilder::new();
    python.mount(&mut wasi)?;
    wasi.args(&["python", "-c", QUESTIONS])
        .stdout(output.clone())
        .inherit_stderr();
    let status = guest::run(module, Guest::new(wasi.build_p1(), no_sockets()))?;
    let answers = String::from_utf8_lossy(&output.contents()).into_owned();
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

fn no_sockets() -> SocketsCtx {
    SocketsCtx::builder(Policy::new()).build()
}
