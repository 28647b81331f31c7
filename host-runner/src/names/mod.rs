//! Looking up names and addresses: who is asked, on which threads, and what was answered. No wasmtime in here,
//! no sockets of a guest and no policy.

#[cfg(feature = "dns")]
mod dns;
mod lookup;
#[cfg(feature = "dns")]
mod order;
mod question;
mod resolver;
mod system;
mod threads;

pub(crate) use lookup::{Lookup, Lookups};
pub(crate) use question::Answer;
pub use question::{IpFamily, Question};
pub(crate) use resolver::Fallback;
pub use resolver::Resolver;
pub use threads::LookupThreads;
