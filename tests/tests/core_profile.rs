//! Drives python-core.wasm by its exports, as a host does that runs no command.

use std::fs;

use wasisocket_host::{Policy, SocketsCtx, add_to_linker};
use wasisocket_tests::guest::built;
use wasisocket_tests::servers::{self, loopback};
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// The address at which such a host writes the code: inside the stack's area, far from where the stack begins.
const CODE: usize = 1 << 20;

struct Guest {
    wasi: WasiP1Ctx,
    sockets: SocketsCtx,
}

/// Runs code in a fresh guest through Py_Initialize, PyRun_SimpleString and Py_Finalize, with an empty
/// environment and without constructors, and returns what it printed.
fn run_by_exports(code: &str, policy: Policy) -> String {
    const STACK: usize = 8 << 20;
    let python = built("WASISOCKET_PYTHON");
    let mut config = Config::new();
    config.max_wasm_stack(STACK).async_stack_size(2 * STACK);
    let engine = Engine::new(&config).unwrap();
    let module = Module::from_file(&engine, python.join("python-core.wasm")).unwrap();
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi).unwrap();
    linker.allow_shadowing(true);
    add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.sockets).unwrap();

    let output = MemoryOutputPipe::new(1 << 16);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(output.clone()).stderr(output.clone());
    for entry in fs::read_dir(python.join("lib")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let guest = format!("/usr/local/lib/{name}");
        wasi.preopened_dir(python.join("lib").join(name), guest, FsPerms::ReadOnly)
            .unwrap();
    }
    let guest = Guest {
        wasi: wasi.build_p1(),
        sockets: SocketsCtx::builder(policy).build(),
    };
    let mut store = Store::new(&engine, guest);
    let instance = linker.instantiate(&mut store, &module).unwrap();

    let initialize = instance
        .get_typed_func::<(), ()>(&mut store, "Py_Initialize")
        .unwrap();
    let run = instance
        .get_typed_func::<u32, i32>(&mut store, "PyRun_SimpleString")
        .unwrap();
    let finalize = instance
        .get_typed_func::<(), ()>(&mut store, "Py_Finalize")
        .unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    initialize.call(&mut store, ()).unwrap();
    memory
        .write(&mut store, CODE, format!("{code}\0").as_bytes())
        .unwrap();
    let status = run.call(&mut store, CODE as u32).unwrap();
    finalize.call(&mut store, ()).unwrap();
    let printed = String::from_utf8(output.contents().to_vec()).unwrap();
    assert_eq!(status, 0, "{printed}");
    printed
}

#[test]
fn exports_drive_a_guest_that_talks_to_a_server() {
    let [v4, _] = loopback();
    let server = servers::echo(v4);
    let code = format!(
        "PORT = {}\n{}",
        server.port(),
        include_str!("../programs/core/exports.py")
    );
    // The guest's stack is on a thread of its own, because a test's thread has 2 MiB.
    let printed = std::thread::Builder::new()
        .stack_size(32 << 20)
        .spawn(move || run_by_exports(&code, Policy::new().allow(&server.to_string()).unwrap()))
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(printed, "through the core six /usr/local {}\nstock\n");
}
