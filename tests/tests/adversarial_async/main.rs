//! The attacks of `adversarial` once more, in asynchronous stores. What has no guest is not repeated.

/// The stores of these tests are asynchronous.
const ASYNC: bool = true;

#[path = "../adversarial/approval.rs"]
mod approval;
// Not every one of its ways to call an import has a part in an attack.
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
