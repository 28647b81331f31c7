//! `wasisocket_v1`: what the core six leave out.
//!
//! Handles are those of the core six: `sock_open` makes most of them (here it also takes [`AF_UNIX`]),
//! and `sock_close` ends each, whatever made it. Sockets, interest sets and look-ups are numbered
//! together, and each can be waited for with `sock_poll` or in an interest set.
//!
//! Every function answers 0 or an [`Errno`] in Linux numbering. Out-parameters (marked `*`) are written
//! only when the answer is 0. Numbers are `i32` and read as unsigned, `timeout` is an `i64`. Pointers
//! need no alignment. All numbers in memory are little-endian.
//!
//! # Waiting
//!
//! A function with a `timeout` tries at once. If that would block, it waits until it need not, up to so
//! many nanoseconds; negative is without end, 0 does not wait at all. What did not happen in time is
//! [`Errno::EAGAIN`] (from `sock_connect_to` [`Errno::EINPROGRESS`], from the waits themselves a count of
//! 0; a Unix socket's connect to a full backlog stays EAGAIN, as on Linux). So blocking code and code with
//! a time limit pay one crossing a call, and an event loop never waits but in `sock_poll` or
//! `interest_wait`. No other function waits.
//!
//! # Functions
//!
//! | import | parameters | does |
//! |---|---|---|
//! | `sock_open_protocol` | `af, type, protocol, *fd: u32` | `socket(2)` with a protocol: 0, or IANA's number where it fits the type. The only way to UDP-Lite, 136 (RFC 3828), which needs the grants of UDP; for a guest without any grant there is none ([`Errno::EPROTONOSUPPORT`]). |
//! | `sock_pair` | `type, *pair: [u32; 2]` | `socketpair(2)`: two connected [`AF_UNIX`] sockets. Needs no grant. |
//! | `sock_dup` | `fd, *fd: u32` | `dup(2)`: a second handle for the same socket. |
//! | `sock_bind` | `fd, addr` | `bind(2)`. Needs a grant to listen there. |
//! | `sock_listen` | `fd, backlog` | `listen(2)`. Needs the grant too, if the socket was not bound. |
//! | `sock_accept` | `fd, timeout, *addr, *fd: u32` | `accept(2)`; `addr` is the peer's. |
//! | `sock_connect_to` | `fd, addr, timeout` | `connect(2)`. Needs a grant for the address. An `addr` of family 0 (AF_UNSPEC) takes the peer from a datagram socket, and from a UDP socket its port too if the system picked that; of a stream it is [`Errno::EAFNOSUPPORT`]. |
//! | `sock_shutdown` | `fd, how` | `shutdown(2)`: [`SHUT_READ`], [`SHUT_WRITE`] or both. |
//! | `sock_getsockname` | `fd, *addr` | `getsockname(2)`. |
//! | `sock_getpeername` | `fd, *addr` | `getpeername(2)`. |
//! | `sock_sendmsg` | `fd, iovecs, count, addr, ancillary, flags, timeout, *sent: u32` | `sendmsg(2)` of [`Iovec`]s. `addr` 0: to the peer. Else it needs a grant for the address, or is an answer to someone whom this socket, bound under a grant, heard in the last two minutes; a TCP stream does not look at it. |
//! | `sock_recvmsg` | `fd, iovecs, count, *addr, *ancillary, flags, timeout, *received: `[`Received`] | `recvmsg(2)` into [`Iovec`]s, which must not overlap. `addr` 0: the sender is not asked for. |
//! | `sock_send_rights` | `fd, iovecs, count, addr, rights, rights_count, flags, *sent: u32` | `sendmsg(2)` of a Unix socket, with [`Right`]s (below). |
//! | `sock_recv_rights` | `fd, iovecs, count, *addr, *rights, max, flags, *received: `[`ReceivedRights`] | `recvmsg(2)` of a Unix socket, with up to `max` [`ReceivedRight`]s (below). |
//! | `sock_getsockopt` | `fd, option, *value: i64` | `getsockopt(2)` of a [`SocketOption`]. |
//! | `sock_setsockopt` | `fd, option, value: i64` | `setsockopt(2)` of a [`SocketOption`]. |
//! | `sock_membership` | `fd, join, group, interface` | Joins (1) or leaves (0) a multicast group. Both are addresses: for IPv4 `interface` is one of its addresses or 0.0.0.0, for IPv6 its scope is the interface's index or 0. Needs a grant to listen at the group's address. |
//! | `sock_poll` | `entries, count, timeout, *ready: u32` | `poll(2)` of [`PollEntry`]s. |
//! | `interest_create` | `*set: u32` | `epoll_create(2)`: an empty interest set. |
//! | `interest_ctl` | `set, op, fd, events, data: i64` | `epoll_ctl(2)`: [`CTL_ADD`], [`CTL_MOD`] or [`CTL_DEL`]. Sets go into sets one deep, beyond that is [`Errno::ELOOP`]. [`Errno::ENOSPC`] if what the handle stands for is in too many sets. An entry ends with its handle, also where the socket has others. |
//! | `interest_wait` | `set, events, max, timeout, *count: u32` | `epoll_wait(2)`: writes up to `max` [`Event`]s. Its cost does not grow with what is idle. |
//! | `lookup_name` | `name, len, family, *lookup: u32` | Starts `getaddrinfo(3)` of a host name, for one family or 0. Needs a grant for the name. |
//! | `lookup_addr` | `addr, *lookup: u32` | Starts `getnameinfo(3)` of an address. Needs a grant for the address, with any port. |
//! | `lookup_addrs` | `lookup, addrs, max, timeout, *count: u32` | The answer to `lookup_name`: up to `max` [`SocketAddr`]s, their port 0. |
//! | `lookup_host` | `lookup, name, max, timeout, *len: u32` | The name that an address has, or a name's canonical one: up to `max` bytes; [`Errno::ENAMETOOLONG`] if it is longer. |
//! | `net_interfaces` | `entries, max, *count: u32` | `if_nameindex(3)`: up to `max` [`Interface`]s; none for a guest without a grant to connect or listen. |
//!
//! # Addresses
//!
//! An `addr` that is read is a [`SocketAddr`], 28 bytes, or a [`UnixAddr`], 112 bytes, as its family says.
//! An `addr` that is written needs room for [`ADDR_MAX`] bytes; a family of 0 says that there is no
//! address (an unnamed peer). A Unix socket's path is absolute, and a grant of a folder covers it.
//!
//! # Ancillary data
//!
//! `ancillary` is 0, or points to an [`Ancillary`]. Sent with a datagram over IPv6, it is for that datagram
//! alone. Received, it has what [`SocketOption::IPV6_RECV_HOP_LIMIT`] and its like asked for.
//!
//! # Rights
//!
//! With a message of a Unix socket go sockets and regular files (unix(7), SCM_RIGHTS), up to [`RIGHTS_MAX`].
//! Both functions try once: what would block is [`Errno::EAGAIN`], and `sock_poll` waits.
//!
//! Of a file, the number is its preview1 file descriptor, and its offset is copied: sender and receiver do
//! not move each other's. A number that is not that of a regular file, and any on a host whose files have no
//! descriptors of the system, is [`Errno::EOPNOTSUPP`]; so is a Unix socket for a guest without any grant,
//! to connect or listen or of a folder to write.
//!
//! What a guest may receive: regular files, with the access mode that they were opened with; Unix sockets,
//! streams only if they are connected; and sockets of which it has a handle already. An IPv4 or IPv6 socket of
//! somebody else would be a way around the policy. From the first on that it may not have, or that finds no
//! room, all are closed, and [`MSG_CTRUNC`] says so. [`MSG_PEEK`] gives none, and they stay with the message.
//! `sock_recvmsg` closes what comes with its message.
//!
//! # Errors
//!
//! Those of the man pages, and from any function [`Errno::EBADF`] (not a handle of this guest, or one
//! of another kind), [`Errno::EFAULT`] (a pointer or length reaches outside the guest's memory),
//! [`Errno::EINVAL`] (a number out of its range), [`Errno::EACCES`] (no grant covers it),
//! [`Errno::EMFILE`] (the limit of open handles). A look-up that is over answers as `sock_resolve` does:
//! [`Errno::ENOENT`], [`Errno::EAGAIN`] as [`Errno::EBUSY`] (the resolver's own "try again later", told
//! apart from a look-up that is not over), [`Errno::EIO`].

mod address;
mod option;
mod rights;

pub use address::{ADDR_MAX, SocketAddr, UNIX_PATH_MAX, UnixAddr};
pub use option::SocketOption;
pub use rights::{
    MSG_CTRUNC, RIGHT_FILE, RIGHT_SOCKET, RIGHTS_MAX, ReceivedRight, ReceivedRights, Right,
};

#[cfg(doc)]
use crate::Errno;

/// The import module.
pub const MODULE: &str = "wasisocket_v1";

/// Address family: a Unix socket. `sock_open` takes it where this module is there too.
pub const AF_UNIX: u32 = 1;

/// For `sock_shutdown`: no more is received.
pub const SHUT_READ: u32 = 1;
/// For `sock_shutdown`: no more is sent, and the peer sees the end of the stream.
pub const SHUT_WRITE: u32 = 2;

/// Flag of sending and receiving: out-of-band data. EOPNOTSUPP for Unix sockets.
pub const MSG_OOB: u32 = 0x1;
/// Flag of receiving: leave the data in the queue.
pub const MSG_PEEK: u32 = 0x2;
/// Flag of receiving: answer a datagram's whole length. In [`Received::flags`]: it was longer than the room.
pub const MSG_TRUNC: u32 = 0x20;
/// Flag of sending: more comes soon, a short segment need not go out yet.
pub const MSG_MORE: u32 = 0x8000;

/// Most [`Iovec`]s in one call: Linux's UIO_MAXIOV. More are EMSGSIZE, as sendmsg(2) has it.
pub const IOVECS_MAX: usize = 1024;
/// Most [`PollEntry`]s in one `sock_poll`. More are EINVAL; so are more than the host's process may have open
/// files (poll(2), RLIMIT_NOFILE).
pub const POLL_MAX: usize = 65_536;
/// Most [`Event`]s that one `interest_wait` returns, whatever `max` says.
pub const EVENTS_MAX: usize = 4096;
/// Most [`Interface`]s that `net_interfaces` returns.
pub const INTERFACES_MAX: usize = 256;

/// Event: there is something to read, a connection to accept, or a look-up is over.
pub const EVENT_IN: u32 = 0x1;
/// Event: out-of-band data.
pub const EVENT_PRI: u32 = 0x2;
/// Event: there is room to write, or a connect is over.
pub const EVENT_OUT: u32 = 0x4;
/// Event, also where it was not asked for: an error is pending.
pub const EVENT_ERR: u32 = 0x8;
/// Event, also where it was not asked for: both directions are closed.
pub const EVENT_HUP: u32 = 0x10;
/// Event of `sock_poll` alone: not a handle of this guest.
pub const EVENT_NVAL: u32 = 0x20;
/// Event: the peer sends no more.
pub const EVENT_RDHUP: u32 = 0x2000;
/// For `interest_ctl`: tell once, until `CTL_MOD` asks again.
pub const EVENT_ONESHOT: u32 = 1 << 30;
/// For `interest_ctl`: tell of changes, not of states.
pub const EVENT_EDGE: u32 = 1 << 31;

/// Adds a handle to an interest set.
pub const CTL_ADD: u32 = 1;
/// Takes a handle out of an interest set.
pub const CTL_DEL: u32 = 2;
/// Changes what is asked of a handle in an interest set.
pub const CTL_MOD: u32 = 3;

/// The handle of the guest's standard input in `sock_poll` and `interest_ctl`: its preview1 file descriptor.
/// A host that does not know what is behind it answers as for a file: always ready, and in an interest set
/// EPERM.
pub const STDIN: u32 = 0;

/// A piece of guest memory: `struct iovec`, and preview1's `iovec` and `ciovec`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Iovec {
    /// Where it begins.
    pub pointer: u32,
    /// Its length in bytes.
    pub length: u32,
}

/// What `sock_recvmsg` received.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Bytes; with [`MSG_TRUNC`] asked for, those of the whole datagram.
    pub bytes: u32,
    /// [`MSG_TRUNC`], [`MSG_OOB`] or 0.
    pub flags: u32,
}

/// In [`Ancillary::present`]: there is a hop limit.
pub const ANCILLARY_HOP_LIMIT: u32 = 1;
/// In [`Ancillary::present`]: there is a traffic class.
pub const ANCILLARY_TRAFFIC_CLASS: u32 = 2;

/// What goes with a datagram over IPv6 (RFC 3542): 12 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ancillary {
    /// `ANCILLARY_` bits: which of the others say something.
    pub present: u32,
    /// Hop limit, 0 to 255; -1 sends the system's default.
    pub hop_limit: i32,
    /// Traffic class, 0 to 255; -1 sends the system's default.
    pub traffic_class: i32,
}

/// One handle in `sock_poll`: `struct pollfd`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PollEntry {
    /// A handle, or [`STDIN`].
    pub handle: u32,
    /// What is asked for: `EVENT_` bits.
    pub events: u16,
    /// What is there: `EVENT_` bits. Written by the host.
    pub revents: u16,
}

/// One answer of `interest_wait`: 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// What `interest_ctl` was given for this handle.
    pub data: u64,
    /// What is there: `EVENT_` bits.
    pub events: u32,
    /// Zero.
    pub reserved: u32,
}

/// A network interface: 20 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its index, 1 or more: the scope of its link-local addresses.
    pub index: u32,
    /// Its name, and zeros up to 16 bytes (IFNAMSIZ).
    pub name: [u8; 16],
}

const _: () = {
    assert!(size_of::<Iovec>() == 8);
    assert!(size_of::<Received>() == 8);
    assert!(size_of::<Ancillary>() == 12);
    assert!(size_of::<PollEntry>() == 8);
    assert!(size_of::<Event>() == 16);
    assert!(size_of::<Interface>() == 20);
};
