//! Calls the imports in any order with any arguments. The result is an errno or the end of the guest, never a panic
//! of the host. The policy grants one loopback address at which nothing else listens, and a temporary folder; time
//! and all other resources are limited.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use tokio::runtime::{Builder, Runtime};
use wasisocket_abi::Plain as _;
use wasisocket_abi::v1::{SocketAddr, UnixAddr};
use wasisocket_host::{
    Files, Limits, Policy, SocketsCtx, SocketsView, add_files_to_linker, add_to_linker,
    add_to_linker_async,
};
use wasmtime::{Engine, Linker, Module, Store, Val, ValType};

use super::forwarding;

/// Where in the guest's memory the granted address and a path in its folder are.
const ADDRESS: u16 = 60_000;
const PATH: u16 = 61_000;

/// One call: which import, and its arguments.
#[derive(Arbitrary, Debug)]
struct Call {
    import: u8,
    arguments: [Argument; 9],
}

/// Arguments with a meaning, so that they are more frequent than in random numbers.
#[derive(Arbitrary, Debug)]
enum Argument {
    Small(u8),
    Handle(u8),
    Pointer(u16),
    Address,
    Path,
    Any(i64),
}

impl Argument {
    fn value(&self) -> i64 {
        match *self {
            Self::Small(number) => number.into(),
            Self::Handle(number) => 1000 + i64::from(number % 16),
            Self::Pointer(number) => number.into(),
            Self::Address => ADDRESS.into(),
            Self::Path => PATH.into(),
            Self::Any(number) => number,
        }
    }
}

/// The kind of store that the guest is in, the content of its memory, and its calls.
#[derive(Arbitrary, Debug)]
pub struct Input {
    asynchronous: bool,
    memory: Vec<u8>,
    calls: Vec<Call>,
}

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let wasm = wat::parse_str(forwarding::module()).expect("it is wasm");
    Module::new(&Engine::default(), wasm).expect("it compiles")
});

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
});

struct Data {
    sockets: SocketsCtx,
    file: OneFile,
}

impl SocketsView for Data {
    fn sockets(&mut self) -> &mut SocketsCtx {
        &mut self.sockets
    }
}

/// Files of a guest that has one file under some numbers. Files that others send are closed.
struct OneFile(File);

impl Files for OneFile {
    fn file(&mut self, number: u32) -> Option<OwnedFd> {
        let file = (number < 8).then(|| self.0.try_clone());
        file?.ok().map(OwnedFd::from)
    }

    fn adopt(&mut self, _: OwnedFd) -> Option<u32> {
        Some(0)
    }
}

/// Makes the calls.
///
/// # Panics
/// The host panics, or cannot be set up.
pub fn call(input: &Input) {
    let policy = Policy::new().allow("127.83.0.1").expect("a rule");
    let policy = policy.allow_listen("127.83.0.1:0").expect("a rule");
    let mut limits = Limits::default();
    limits.max_sockets = 16;
    limits.timeout = Some(Duration::from_millis(20));
    let folder = tempfile::tempdir().expect("a folder");
    let sockets = SocketsCtx::builder(policy)
        .limits(limits)
        .unix_folder(folder.path(), "/", false)
        .expect("it is there")
        .on_event(|_| ())
        .build();
    let file = OneFile(tempfile::tempfile().expect("a file"));

    let runtime = input.asynchronous.then(|| &*RUNTIME);
    let mut linker = Linker::new(MODULE.engine());
    match runtime {
        None => add_to_linker(&mut linker, Data::sockets),
        Some(_) => add_to_linker_async(&mut linker, Data::sockets),
    }
    .expect("no name twice");
    linker.allow_shadowing(true);
    add_files_to_linker(&mut linker, |data: &mut Data| {
        (&mut data.sockets, &mut data.file)
    })
    .expect("they may be shadowed");
    let mut store = Store::new(MODULE.engine(), Data { sockets, file });
    let instance = match runtime {
        None => linker.instantiate(&mut store, &MODULE),
        Some(runtime) => runtime.block_on(linker.instantiate_async(&mut store, &MODULE)),
    }
    .expect("all imports");

    let memory = instance
        .get_memory(&mut store, "memory")
        .expect("it has one");
    let length = input.memory.len().min(memory.data_size(&store));
    let address: std::net::SocketAddr = ([127, 83, 0, 1], 0).into();
    let path = UnixAddr::new(b"/a").expect("it is short");
    for (at, bytes) in [
        (0, &input.memory[..length]),
        (ADDRESS.into(), &SocketAddr::from(address).to_bytes()),
        (PATH.into(), &path.to_bytes()),
    ] {
        memory.write(&mut store, at, bytes).expect("there is room");
    }

    let imports: Vec<_> = instance
        .exports(&mut store)
        .filter_map(wasmtime::Export::into_func)
        .collect();
    for call in &input.calls {
        let import = imports[usize::from(call.import) % imports.len()];
        let arguments: Vec<_> = import
            .ty(&store)
            .params()
            .zip(&call.arguments)
            .map(|(ty, argument)| match ty {
                ValType::I64 => Val::I64(argument.value()),
                _ => Val::I32(argument.value() as i32),
            })
            .collect();
        let mut result = [Val::I32(0)];
        let called = match runtime {
            None => import.call(&mut store, &arguments, &mut result),
            Some(runtime) => {
                runtime.block_on(import.call_async(&mut store, &arguments, &mut result))
            }
        };
        // The guest was ended because it reached a limit.
        if called.is_err() {
            break;
        }
    }
}
