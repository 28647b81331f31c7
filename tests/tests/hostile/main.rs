//! Calls every import with hostile arguments. The result is an errno or a trap, never a panic, a hang, or an access
//! outside the guest's memory. Also tests which grant each operation needs.

/// The stores of these tests are synchronous.
const ASYNC: bool = false;

mod ancillary;
mod answers;
mod arguments;
mod calls;
mod core_six;
mod crypto;
mod datagrams;
mod guest;
mod limits;
mod lookups;
mod protocols;
mod rights;
mod streams;
mod unix;
mod waiting;
