//! One guest: its store, its imports, and how it ends.

use std::thread;

use wasisocket_abi::CORE_MODULE;
use wasisocket_host::{SocketsCtx, add_files_to_linker, add_to_linker, limit_memory};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Linker, Module, Result, Store, format_err};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use crate::engine::NATIVE_STACK;
use crate::files::GuestFiles;
use crate::say;

/// The exit status of a guest that trapped: that of a process that abort(3) ended.
const TRAPPED: u8 = 134;

/// All that one guest has.
pub(crate) struct Guest {
    files: GuestFiles,
    sockets: SocketsCtx,
}

impl Guest {
    pub(crate) fn new(wasi: WasiP1Ctx, sockets: SocketsCtx) -> Self {
        Self {
            files: GuestFiles { wasi },
            sockets,
        }
    }
}

/// Every import that this host provides.
pub(crate) fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    p1::add_to_linker_sync(&mut linker, |guest: &mut Guest| &mut guest.files.wasi)?;
    // preview1's own sock_send and sock_recv give way to ours.
    linker.allow_shadowing(true);
    add_to_linker(&mut linker, |guest: &mut Guest| &mut guest.sockets)?;
    add_files_to_linker(&mut linker, |guest: &mut Guest| {
        (&mut guest.sockets, &mut guest.files)
    })?;
    // wasmtime-wasi's own traps at a status of 126 or more; a process may end with any.
    linker.func_wrap(CORE_MODULE, "proc_exit", |status: i32| -> Result<()> {
        Err(I32Exit(status).into())
    })?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Runs a command to its end and returns its exit status.
///
/// # Errors
/// The module cannot be instantiated here.
pub(crate) fn run(module: Module, guest: Guest) -> Result<u8> {
    // A thread of its own, for the size of its stack.
    thread::Builder::new()
        .name("guest".into())
        .stack_size(NATIVE_STACK)
        .spawn(move || start(&module, guest))
        .context("cannot start the guest's thread")?
        .join()
        .map_err(|_| format_err!("the host panicked: this is a bug of wasisocket"))?
}

fn start(module: &Module, guest: Guest) -> Result<u8> {
    let mut store = Store::new(module.engine(), guest);
    limit_memory(&mut store, |guest| &mut guest.sockets);
    let instance = linker(module.engine())?
        .instantiate(&mut store, module)
        .context("this module does not run here: `wasisocket doctor` says why")?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let Err(error) = start.call(&mut store, ()) else {
        return Ok(0);
    };
    match error.downcast_ref::<I32Exit>() {
        // Eight bits, as waitpid(2) passes on.
        Some(I32Exit(status)) => Ok((status & 0xff) as u8),
        None => {
            say(format_args!("the guest trapped: {error:?}"));
            Ok(TRAPPED)
        }
    }
}
