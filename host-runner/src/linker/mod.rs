//! The imports: read guest memory, call, write back.

mod core_six;
mod iovecs;
mod operation;
mod v1;

use wasisocket_abi::Errno;
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, Result, bail};

use crate::SocketsCtx;
use crate::ctx::{Files, NoFiles};
use crate::guest_memory::GuestMemory;
use operation::{Attempt, Operation};

/// Defines the core six imports and those of `wasisocket_v1`, for a synchronous store. What waits blocks
/// the calling thread.
///
/// `get` finds the sockets in the store's data: a closure, or [`SocketsView::sockets`](crate::SocketsView).
/// Where wasmtime-wasi's preview1 is in the same linker, add it first and call
/// `linker.allow_shadowing(true)` before this: preview1 has a `sock_send` and a `sock_recv` of its own.
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
    core_six::add_blocking(linker, get)?;
    v1::add_to_linker(linker, get)?;
    v1::add_blocking(linker, get)
}

/// The same for an asynchronous store: what waits gives the thread to other tasks. The calls into the guest
/// have to be made within a tokio runtime that has its I/O and its time enabled
/// (`tokio::runtime::Builder::enable_all`).
///
/// Leave wasmtime-wasi's `allow_blocking_current_thread` off beside it: with it a guest sleeps on the thread that all
/// share, for as long as it likes (`poll_oneoff`).
///
/// # Errors
/// As for [`add_to_linker`].
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    core_six::add_to_linker(linker, get)?;
    core_six::add_async(linker, get)?;
    v1::add_to_linker(linker, get)?;
    v1::add_async(linker, get)
}

/// The guest's memory, and what `get` finds beside it: its sockets.
fn parts<'a, T, S>(
    caller: &'a mut Caller<'_, T>,
    get: impl FnOnce(&'a mut T) -> S,
) -> Result<(GuestMemory<'a>, S)> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        bail!("the guest exports no memory named \"memory\"");
    };
    let (bytes, data) = memory.data_and_store_mut(caller);
    Ok((GuestMemory(bytes), get(data)))
}

pub use v1::add_files_to_linker;

/// Runs one import with the guest's memory and sockets. 0 or an errno goes back; a guest without a
/// memory is trapped.
fn call<T>(
    caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx,
    import: impl FnOnce(&mut GuestMemory<'_>, &mut SocketsCtx) -> Result<(), Errno>,
) -> Result<u32> {
    call_with_files(
        caller,
        |data| (get(data), None::<&mut NoFiles>),
        |memory, sockets, _| import(memory, sockets),
    )
}

/// The same with the guest's files, if it was given them.
fn call_with_files<T, F: Files>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>),
    import: impl FnOnce(&mut GuestMemory<'_>, &mut SocketsCtx, Option<&mut F>) -> Result<(), Errno>,
) -> Result<u32> {
    let (mut memory, (sockets, files)) = parts(&mut caller, get)?;
    let answer = number(import(&mut memory, sockets, files));
    if sockets.turn.ends_by_epoch() {
        // Reached already: compiled code looks when it enters a function.
        caller.as_context_mut().set_epoch_deadline(0);
    }
    Ok(answer)
}

/// Runs one that may wait, in a synchronous store.
fn block<T>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx,
    operation: Operation<impl Attempt>,
) -> Result<u32> {
    let (mut memory, sockets) = parts(&mut caller, get)?;
    Ok(number(operation.block(&mut memory, sockets)?))
}

/// Runs one that may wait, in an asynchronous store.
async fn run<T: Send>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Send,
    operation: Operation<impl Attempt>,
) -> Result<u32> {
    let (mut memory, sockets) = parts(&mut caller, get)?;
    Ok(number(operation.run(&mut memory, sockets).await?))
}

fn number(answer: Result<(), Errno>) -> u32 {
    answer.map_or_else(|errno| errno.0, |()| 0)
}

/// Defines imports that may wait, each by the function that makes its [`Operation`] from the arguments:
/// `add_blocking` for synchronous stores, `add_async` for asynchronous ones.
macro_rules! waiting_imports {
    ($module:expr; $($name:literal = $make:ident($($argument:ident: $type:ty),+);)+) => {
        pub(in crate::linker) fn add_blocking<T: 'static>(
            linker: &mut wasmtime::Linker<T>,
            get: impl Fn(&mut T) -> &mut crate::SocketsCtx + Copy + Send + Sync + 'static,
        ) -> wasmtime::Result<()> {
            $(
                linker.func_wrap(
                    $module,
                    $name,
                    move |caller: wasmtime::Caller<'_, T>, $($argument: $type),+| {
                        crate::linker::block(caller, get, $make($($argument),+))
                    },
                )?;
            )+
            Ok(())
        }

        pub(in crate::linker) fn add_async<T: Send + 'static>(
            linker: &mut wasmtime::Linker<T>,
            get: impl Fn(&mut T) -> &mut crate::SocketsCtx + Copy + Send + Sync + 'static,
        ) -> wasmtime::Result<()> {
            $(
                linker.func_wrap_async(
                    $module,
                    $name,
                    move |caller: wasmtime::Caller<'_, T>, ($($argument,)+): ($($type,)+)| {
                        Box::new(crate::linker::run(caller, get, $make($($argument),+)))
                    },
                )?;
            )+
            Ok(())
        }
    };
}
use waiting_imports;
