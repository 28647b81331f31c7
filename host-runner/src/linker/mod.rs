//! The imports: read guest memory, call, write back.

mod core_six;
mod iovecs;
mod v1;

use wasisocket_abi::Errno;
use wasmtime::{Caller, Extern, Linker, Result, bail};

use crate::SocketsCtx;
use crate::guest_memory::GuestMemory;

/// Defines the core six imports and those of `wasisocket_v1`. What waits blocks the calling thread.
///
/// `get` finds the sockets in the store's data. Where wasmtime-wasi's preview1 is in the same linker,
/// add it first and call `linker.allow_shadowing(true)` before this: preview1 has a `sock_send` and a
/// `sock_recv` of its own.
///
/// A guest must export its memory as `memory`; one that does not is trapped at its first call.
///
/// # Errors
/// A name is defined already, and shadowing is not allowed.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    core_six::add_to_linker(linker, get)?;
    v1::add_to_linker(linker, get)
}

pub use v1::add_files_to_linker;

/// Runs one import with the guest's memory and sockets. 0 or an errno goes back; a guest without a
/// memory is trapped.
fn call<T>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx,
    import: impl FnOnce(&mut GuestMemory<'_>, &mut SocketsCtx) -> Result<(), Errno>,
) -> Result<u32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        bail!("the guest exports no memory named \"memory\"");
    };
    let (bytes, data) = memory.data_and_store_mut(&mut caller);
    match import(&mut GuestMemory(bytes), get(data)) {
        Ok(()) => Ok(0),
        Err(errno) => Ok(errno.0),
    }
}
