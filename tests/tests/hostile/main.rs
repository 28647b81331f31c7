//! Every import with hostile arguments: an errno or a trap, never a panic, a hang, or a read or write
//! outside the guest's memory; and what a guest can do with them under which grant.

/// The stores of these tests are synchronous.
const ASYNC: bool = false;

mod ancillary;
mod answers;
mod arguments;
mod core_six;
mod datagrams;
mod guest;
mod limits;
mod lookups;
mod protocols;
mod rights;
mod streams;
mod unix;
mod waiting;
