//! The seam below this crate: one module per host, all with the same functions.
//!
//! Every function is one crossing into the host. Errors are the host's, in Linux numbering.

#[cfg(target_os = "wasi")]
mod core_six;
#[cfg(not(target_os = "wasi"))]
mod fake;

#[cfg(target_os = "wasi")]
pub(crate) use core_six::{close, connect, open, recv, resolve, send};
#[cfg(not(target_os = "wasi"))]
pub(crate) use fake::{close, connect, open, recv, resolve, send};
