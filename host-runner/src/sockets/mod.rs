//! Sockets and name look-up of the system. No wasmtime in here, and no policy.

mod handles;
mod resolver;
mod socket;

pub(crate) use handles::Handles;
pub(crate) use resolver::resolve;
pub(crate) use socket::Socket;
