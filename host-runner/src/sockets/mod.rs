//! Sockets and interest sets of the system. No wasmtime in here, and no policy.

mod ancillary;
mod events;
mod interest;
mod message;
mod multicast;
mod option;
mod port;
#[cfg(feature = "async")]
mod reactor;
mod recent_senders;
mod rights;
mod socket;
mod state;
mod unix;
mod wait;

pub(crate) use events::{interest_to_abi, poll_from_abi, poll_to_abi};
pub(crate) use interest::InterestSet;
pub(crate) use message::{Admission, Buffers, Data, Destination, Incoming, Pieces, Receiving};
pub(crate) use multicast::interfaces;
#[cfg(feature = "async")]
pub(crate) use reactor::ready_until;
pub(crate) use rights::{DescriptorKind, cookie_of, descriptor_kind};
pub(crate) use socket::{Family, Kind, Socket, UDP_LITE};
pub(crate) use state::{AllowedDestination, Connection, Counter, Inbound};
pub(crate) use unix::{PathError, UnixFolder, UnixPlace, path_of};
pub(crate) use wait::{Patience, Timeout, Watched, block_until, poll_until};
