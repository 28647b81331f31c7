//! Calls of the imports in any order with any arguments: an errno or the end of the guest, never a panic of
//! the host. The policy grants nothing but an address of loopback where nobody else listens, and a folder of
//! its own; the time is bounded, and so is all else.

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

/// Where the guest has the address that it may reach, and a path in its folder.
const ADDRESS: u16 = 60_000;
const PATH: u16 = 61_000;

/// One call: which import, and its arguments.
#[derive(Arbitrary, Debug)]
struct Call {
    import: u8,
    arguments: [Argument; 8],
}

/// Arguments that lead somewhere come more often than chance has them.
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

/// What kind of store a guest is in, what it has in its memory, and what it calls.
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

/// The guest has it under some numbers; what others send is closed.
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
/// The host does, or cannot be set up.
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
        // A limit that is reached ends the guest.
        if called.is_err() {
            break;
        }
    }
}
