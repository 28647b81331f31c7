//! The imports: read guest memory, call, write back.

mod calls;
mod core_six;
mod crypto;
mod files;
mod iovecs;
mod lookups;
mod messages;
mod operation;
mod register;
mod rights;
mod sockets;
mod threads;
mod waiting;

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
    register::add_blocking(linker, move |data| (get(data), None::<&mut NoFiles>))
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
#[cfg(feature = "async")]
pub fn add_to_linker_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    register::add_async(linker, move |data| (get(data), None::<&mut NoFiles>))
}

/// Lets guests lock their files, ask for the space that there is, send files through Unix sockets and receive them: gives
/// `file_lock` and its like, `sock_send_rights` and `sock_recv_rights` the [`Files`] of a guest beside its sockets. Call it after [`add_to_linker`] or
/// [`add_to_linker_async`], with `linker.allow_shadowing(true)`.
///
/// # Errors
/// Shadowing is not allowed.
pub fn add_files_to_linker<T: 'static, F: Files + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, &mut F) + Copy + Send + Sync + 'static,
) -> Result<()> {
    register::add_files(linker, move |data| {
        let (sockets, files) = get(data);
        (sockets, Some(files))
    })
}

/// One call of an import: what it works on.
struct Call<'a, F> {
    memory: GuestMemory<'a>,
    sockets: &'a mut SocketsCtx,
    /// The guest's files, if the embedder gave them.
    files: Option<&'a mut F>,
}

impl<'a, F> Call<'a, F> {
    /// Traps a guest without a memory.
    fn new<T>(
        caller: &'a mut Caller<'_, T>,
        get: impl FnOnce(&'a mut T) -> (&'a mut SocketsCtx, Option<&'a mut F>),
    ) -> Result<Self> {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            bail!("the guest exports no memory named \"memory\"");
        };
        let (bytes, data) = memory.data_and_store_mut(caller);
        let (sockets, files) = get(data);
        Ok(Self {
            memory: GuestMemory(bytes),
            sockets,
            files,
        })
    }
}

/// Runs an import that does not wait. Returns 0 or an errno to the guest.
fn call<T, F: Files>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>),
    import: impl FnOnce(&mut Call<'_, F>) -> Result<(), Errno>,
) -> Result<u32> {
    let mut call = Call::new(&mut caller, get)?;
    let answer = number(import(&mut call));
    if call.sockets.time_slice.ends_by_epoch() {
        // Reached already: compiled code looks when it enters a function.
        caller.as_context_mut().set_epoch_deadline(0);
    }
    Ok(answer)
}

/// Runs an import that may wait, in a synchronous store. `places` checks where the results go, `write` writes them.
fn block<T, F: Files, R: Copy, P>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>),
    operation: Operation<R, impl Attempt<R>>,
    places: impl FnOnce(&GuestMemory<'_>) -> Result<P, Errno>,
    write: impl FnOnce(&mut GuestMemory<'_>, P, R) -> Result<(), Errno>,
) -> Result<u32> {
    let mut call = Call::new(&mut caller, get)?;
    let places = match places(&call.memory) {
        Ok(places) => places,
        Err(errno) => return Ok(errno.0),
    };
    let answer = operation.block(&mut call.memory, call.sockets)?;
    Ok(number(answer.and_then(|answer| {
        write(&mut call.memory, places, answer)
    })))
}

/// The same in an asynchronous store.
#[cfg(feature = "async")]
async fn run<T: Send, F: Files + Send, R: Copy + Send, P: Send>(
    mut caller: Caller<'_, T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>) + Send,
    operation: Operation<R, impl Attempt<R>>,
    places: impl FnOnce(&GuestMemory<'_>) -> Result<P, Errno> + Send,
    write: impl FnOnce(&mut GuestMemory<'_>, P, R) -> Result<(), Errno> + Send,
) -> Result<u32> {
    let mut call = Call::new(&mut caller, get)?;
    let places = match places(&call.memory) {
        Ok(places) => places,
        Err(errno) => return Ok(errno.0),
    };
    let answer = operation.run(&mut call.memory, call.sockets).await?;
    Ok(number(answer.and_then(|answer| {
        write(&mut call.memory, places, answer)
    })))
}

fn number(answer: Result<(), Errno>) -> u32 {
    answer.map_or_else(|errno| errno.0, |()| 0)
}
