//! The POSIX layer without Python: C programs, compiled against our headers and linked with the library.

use std::fs;
use std::path::Path;
use std::process::Command;

use wasisocket_host::{Policy, SocketsCtx, add_to_linker};
use wasisocket_tests::guest::built;
use wasmtime::{Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

struct Guest {
    wasi: WasiP1Ctx,
    sockets: SocketsCtx,
}

/// The linker's `--wrap` flags, from Setup.local.
fn link_flags(checkout: &Path) -> Vec<String> {
    let setup = fs::read_to_string(checkout.join("cpython-patch/Setup.local")).unwrap();
    let flags = setup
        .lines()
        .find_map(|line| line.strip_prefix("WASISOCKET_LDFLAGS="))
        .expect("Setup.local has the flags");
    flags.split_whitespace().map(str::to_owned).collect()
}

/// Compiles and links a program, and returns the module.
fn compile(program: &str) -> Vec<u8> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checkout = tests.parent().unwrap();
    let sdk = built("WASISOCKET_SDK");
    let folder = tempfile::tempdir().unwrap();
    let wasm = folder.path().join("program.wasm");
    let compiled = Command::new(sdk.join("bin/clang"))
        .arg("--sysroot")
        .arg(sdk.join("share/wasi-sysroot"))
        .args(["-Wall", "-Werror", "-O1", "-isystem"])
        .arg(checkout.join("cpython-patch/include"))
        .arg(tests.join("c").join(program))
        .args(link_flags(checkout))
        .arg(built("WASISOCKET_GUEST_LIB"))
        .arg("-o")
        .arg(&wasm)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{told}");
    fs::read(wasm).unwrap()
}

/// Runs a program without any grant; returns its exit status and what it printed.
fn run(program: &str) -> (i32, String) {
    let engine = Engine::default();
    let module = Module::new(&engine, compile(program)).unwrap();
    let mut linker = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.wasi).unwrap();
    linker.allow_shadowing(true);
    add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.sockets).unwrap();
    let output = MemoryOutputPipe::new(1 << 20);
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(output.clone()).stderr(output.clone());
    let guest = Guest {
        wasi: wasi.build_p1(),
        sockets: SocketsCtx::builder(Policy::new()).on_event(|_| ()).build(),
    };
    let mut store = Store::new(&engine, guest);
    let instance = linker.instantiate(&mut store, &module).unwrap();
    let start = instance
        .get_typed_func::<(), ()>(&mut store, "_start")
        .unwrap();
    let status = match start.call(&mut store, ()) {
        Ok(()) => 0,
        Err(error) => error.downcast::<I32Exit>().expect("no trap").0,
    };
    let printed = String::from_utf8(output.contents().to_vec()).unwrap();
    (status, printed)
}

#[test]
fn bad_input_is_an_errno_and_the_program_goes_on() {
    assert_eq!(run("bad_input.c"), (0, "ok\n".to_owned()));
}
