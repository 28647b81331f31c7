//! Repeats the attacks of `adversarial` in asynchronous stores, except those without a guest.

/// The stores of these tests are asynchronous.
const ASYNC: bool = true;

#[path = "../adversarial/approval.rs"]
mod approval;
// The attacks do not use all of its functions.
#[allow(dead_code)]
#[path = "../hostile/guest.rs"]
mod guest;
#[path = "../adversarial/lookups.rs"]
mod lookups;
#[path = "../adversarial/names.rs"]
mod names;
#[path = "../adversarial/rebinding.rs"]
mod rebinding;
#[path = "../adversarial/resolvers.rs"]
mod resolvers;
#[path = "../adversarial/sockets.rs"]
mod sockets;
#[path = "../adversarial/spellings.rs"]
mod spellings;
