//! Repeats the tests of `hostile` in asynchronous stores: what a guest can do must not depend on how its host waits.

/// The stores of these tests are asynchronous.
const ASYNC: bool = true;

#[path = "../hostile/ancillary.rs"]
mod ancillary;
#[path = "../hostile/answers.rs"]
mod answers;
#[path = "../hostile/arguments.rs"]
mod arguments;
#[path = "../hostile/core_six.rs"]
mod core_six;
#[path = "../hostile/crypto.rs"]
mod crypto;
#[path = "../hostile/datagrams.rs"]
mod datagrams;
#[path = "../hostile/guest.rs"]
mod guest;
#[path = "../hostile/limits.rs"]
mod limits;
#[path = "../hostile/lookups.rs"]
mod lookups;
#[path = "../hostile/protocols.rs"]
mod protocols;
#[path = "../hostile/rights.rs"]
mod rights;
#[path = "../hostile/streams.rs"]
mod streams;
#[path = "../hostile/unix.rs"]
mod unix;
#[path = "../hostile/waiting.rs"]
mod waiting;
