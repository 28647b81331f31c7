//! Sockets, interest sets and name look-up of the system. No wasmtime in here, and no policy.

mod ancillary;
mod events;
mod handles;
mod heard;
mod interest;
mod lookup;
mod message;
mod multicast;
mod option;
mod order;
mod port;
mod resolver;
mod rights;
mod servers;
mod socket;
mod threads;
mod unix;
mod wait;

pub(crate) use events::{interest_to_abi, poll_from_abi, poll_to_abi};
pub(crate) use handles::{Handles, Open};
pub(crate) use interest::InterestSet;
pub(crate) use lookup::{Answer, Lookup, Lookups, Question};
pub(crate) use message::{Admission, Buffers, Data, Destination, Incoming, Receiving};
pub(crate) use multicast::interfaces;
pub(crate) use resolver::Behind;
pub use resolver::Resolver;
pub(crate) use rights::{Sort, cookie_of, sort_of};
pub(crate) use socket::{Family, Inbound, Kind, Socket, UDP_LITE};
pub(crate) use unix::{PathError, UnixFolder, UnixPlace, path_of};
pub(crate) use wait::{Patience, Timeout, Watched, block_until, poll_until, ready_until};
