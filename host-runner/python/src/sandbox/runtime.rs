//! The runtime of the methods that block.

use std::future::Future;
use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};
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
        Handle::try_current().is_err(),
        "this thread runs asynchronous tasks: await the method that ends in _async"
    );
    Ok(runtime()?.block_on(future))
}
