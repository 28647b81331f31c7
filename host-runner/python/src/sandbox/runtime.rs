//! The runtime of the methods that block.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::block_in_place;
use wasmtime::{Result, ensure, format_err};

/// The tokio runtime on which [`Sandbox`](super::Sandbox)'s blocking methods run, for tasks of your own. It is made at
/// first use, with a thread for each CPU.
///
/// # Errors
/// No threads can be started.
pub fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let build = || {
        Builder::new_multi_thread()
            .thread_name("sandboxes")
            .enable_all()
            .build()
    };
    let runtime = RUNTIME.get_or_init(build).as_ref();
    runtime.map_err(|error| format_err!("cannot start threads: {error}"))
}

/// Waits on [`runtime`] for a future.
///
/// # Errors
/// This thread runs asynchronous tasks, which waiting would hold up, or no threads can be started.
pub fn block_on<F: Future>(future: F) -> Result<F::Output> {
    ensure!(
        Handle::try_current().is_err() || MAY_BLOCK.get(),
        "this thread runs asynchronous tasks: await the method that ends in _async"
    );
    let runtime = runtime()?;
    let _blocked = MayBlock::set(false);
    Ok(runtime.block_on(future))
}

/// Calls what may block, in a task of a runtime with several threads such as [`runtime`]: the other tasks of its thread
/// go to another one. Sandboxes can be used within it, also by the methods that block.
///
/// # Panics
/// The current runtime has one thread.
pub fn blocking<T>(function: impl FnOnce() -> T) -> T {
    block_in_place(|| {
        let _may_block = MayBlock::set(true);
        function()
    })
}

thread_local! {
    /// This thread is in [`blocking`], and in no task within that.
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}

/// Puts back what [`MAY_BLOCK`] was.
struct MayBlock(bool);

impl MayBlock {
    fn set(may_block: bool) -> Self {
        Self(MAY_BLOCK.replace(may_block))
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.0);
    }
}
