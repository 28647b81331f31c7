//! Calls of the imports in any order with any arguments: an errno or the end of the guest, never a panic of
//! the host. The policy grants nothing but loopback, the time is bounded, and so is all else.

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use wasisocket_host::{Limits, Policy, SocketsCtx, SocketsView as _, add_to_linker};
use wasmtime::{Engine, Linker, Module, Store, Val, ValType};

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
    Any(i64),
}

impl Argument {
    fn value(&self) -> i64 {
        match *self {
            Self::Small(number) => number.into(),
            Self::Handle(number) => 1000 + i64::from(number % 16),
            Self::Pointer(number) => number.into(),
            Self::Any(number) => number,
        }
    }
}

/// What a guest has in its memory, and what it calls.
#[derive(Arbitrary, Debug)]
pub struct Input {
    memory: Vec<u8>,
    calls: Vec<Call>,
}

static MODULE: LazyLock<Module> = LazyLock::new(|| {
    let wasm = wat::parse_str(include_str!("../../wat/hostile.wat")).expect("it is wasm");
    Module::new(&Engine::default(), wasm).expect("it compiles")
});

/// Makes the calls.
///
/// # Panics
/// The host does, or cannot be set up.
pub fn call(input: &Input) {
    let policy = Policy::new().allow("127.0.0.1").expect("a rule");
    let policy = policy.allow_listen("127.0.0.1:0").expect("a rule");
    let mut limits = Limits::default();
    limits.max_sockets = 16;
    limits.timeout = Some(Duration::from_millis(20));
    let sockets = SocketsCtx::builder(policy)
        .limits(limits)
        .on_denial(|_| ())
        .on_limit(|_| ())
        .build();
    let mut linker = Linker::new(MODULE.engine());
    add_to_linker(&mut linker, SocketsCtx::sockets).expect("no name twice");
    let mut store = Store::new(MODULE.engine(), sockets);
    let instance = linker
        .instantiate(&mut store, &MODULE)
        .expect("all imports");
    let memory = instance
        .get_memory(&mut store, "memory")
        .expect("it has one");
    let length = input.memory.len().min(memory.data_size(&store));
    memory.data_mut(&mut store)[..length].copy_from_slice(&input.memory[..length]);

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
        // A limit that is reached ends the guest.
        if import
            .call(&mut store, &arguments, &mut [Val::I32(0)])
            .is_err()
        {
            break;
        }
    }
}
