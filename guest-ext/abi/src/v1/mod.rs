//! `wasisocket_v1`: what the core six leave out.
//!
//! Handles are those of the core six: `sock_open` makes most of them (with this module it also accepts
//! [`AF_UNIX`]), and `sock_close` closes any, whatever made it. Sockets, interest sets, look-ups and calls share one
//! range of numbers, and `sock_poll` and interest sets can wait for each of them.
//!
//! Every function of [`IMPORTS`] returns 0 or an [`Errno`] in Linux numbering, and writes its results only if it
//! returns 0. Numbers are `i32` and read as unsigned, a `timeout` is an `i64`. Pointers need no alignment. All
//! numbers in memory are little-endian.
//!
//! # Waiting
//!
//! A function with a `timeout` tries at once. If that would block, it waits for up to that many nanoseconds; a
//! negative number waits without end, 0 does not wait. If the time is over it returns [`Errno::EAGAIN`]
//! (`sock_connect_to` returns [`Errno::EINPROGRESS`], `sock_poll` and `interest_wait` a count of 0; connecting a Unix
//! socket to a full backlog stays EAGAIN, as on Linux). So blocking code and code with a time limit pay for one
//! crossing per call, and an event loop waits only in `sock_poll` or `interest_wait`. No other function waits.
//!
//! # Addresses
//!
//! An [`Addr`] that the host reads is a [`SocketAddr`], 28 bytes, or a [`UnixAddr`], 112 bytes, depending on its
//! family. An [`Addr`] that the host writes needs room for [`ADDR_MAX`] bytes; a family of 0 means that there is no
//! address (an unnamed peer). A Unix socket's path is absolute, and a grant of a folder covers it.
//!
//! # Ancillary data
//!
//! [`Ancillary`] data that is sent with a datagram over IPv6 is for that datagram alone. Received, it has what
//! [`SocketOption::IPV6_RECV_HOP_LIMIT`] and similar options asked for.
//!
//! # Rights
//!
//! A message of a Unix socket can carry up to [`RIGHTS_MAX`] sockets and regular files (unix(7), SCM_RIGHTS). Both
//! functions try once and return [`Errno::EAGAIN`] if they would block; `sock_poll` waits.
//!
//! The number of a file is its preview1 file descriptor. The receiver gets a copy of its offset: sender and receiver
//! do not move each other's. Sending returns [`Errno::EOPNOTSUPP`] for a number that is not that of a regular file,
//! for any file on a host whose files have no descriptors of the system, and for a Unix socket if the guest has no
//! grant at all (to connect, to listen, or of a folder to write).
//!
//! A guest can receive regular files, with the access mode that they were opened with; Unix sockets, but streams only
//! if they are connected; and sockets of which it has a handle already. An IPv4 or IPv6 socket of somebody else would
//! be a way around the policy. The first right that the guest may not have, or that there is no room for, and all
//! behind it are closed, and [`MSG_CTRUNC`] is set. [`MSG_PEEK`] receives no rights; they stay with the message.
//! `sock_recvmsg` closes the rights of its message.
//!
//! # Calls
//!
//! `call_start` and `call_answer` reach what is no part of this interface: a function of the program that embeds the
//! guest. Requests and answers are bytes, in a format on which the two have agreed. A handle of a call is readable when
//! the answer is there, so an event loop can wait for many of them. Closing it tells the function that nobody waits.
//!
//! # Cryptography
//!
//! `aead_seal` and `aead_open` compute the authenticated ciphers of TLS with the processor's own instructions, which
//! WebAssembly has none of. The guest passes the key with every message, so there is no handle of a key. They change
//! the message in place. `ecdsa_verify` checks signatures, of which nothing is secret. `x25519` multiplies, for the
//! exchange of keys. `sha256_blocks` is the part of SHA-256 that takes long; padding and the state between two calls are
//! the guest's. A host without cryptography returns [`Errno::EOPNOTSUPP`], and the guest uses its own code.
//!
//! # Signals
//!
//! A host may send signals. The guest names those that it handles, be it that it has a function for them, ignores or blocks
//! them; with all others the host does what a system does by default. Calls that wait end with [`Errno::EINTR`] as long as
//! there are signals that were not taken, and a guest that computes asks for them now and then. A host that sends none has
//! none.
//!
//! # Threads
//!
//! A guest makes threads of its own: call stacks of its one instance, of which one runs at a time, and which take turns
//! where the guest says. `thread_create` makes one, `thread_switch` runs it until it gives way. Who has its turn is the
//! guest's decision: its scheduler runs on the stack that the host's call came in on, and waits with `sock_poll` for what
//! all threads wait for. A guest with threads exports the function `thread-start`, where each begins, and its
//! `__stack_pointer`, which the host sets where a thread begins or goes on. A host without threads returns
//! [`Errno::EOPNOTSUPP`].
//!
//! # Errors
//!
//! Those of the man pages, and from any function [`Errno::EBADF`] (not a handle of this guest, or a handle of another
//! kind), [`Errno::EFAULT`] (a pointer or length reaches outside the guest's memory), [`Errno::EINVAL`] (a number out
//! of its range), [`Errno::EACCES`] (no grant covers it), [`Errno::EMFILE`] (the limit of open handles). A look-up
//! that failed returns errors as `sock_resolve` does: [`Errno::ENOENT`], [`Errno::EIO`], and [`Errno::EBUSY`] for the
//! resolver's "try again later", because [`Errno::EAGAIN`] means that the look-up is not over.

mod address;
mod crypto;
mod files;
mod option;
mod rights;

pub use crate::imports::V1_IMPORTS as IMPORTS;
pub use address::{ADDR_MAX, ADDRESS_STRUCTS, Addr, SocketAddr, UNIX_PATH_MAX, UnixAddr};
pub use crypto::{
    AEAD_AAD_MAX, AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AEAD_MESSAGE_MAX,
    AeadNonce, AeadTag, CRYPTO_NUMBERS, CRYPTO_STRUCTS, ECDSA_SIGNATURE_MAX, GROUP_SECP256R1,
    GROUP_SECP384R1, SHA256_BLOCK_LEN, SHA256_DATA_MAX, SHA256_STATE_LEN, X25519Bytes,
};
pub use files::{
    FILES_NUMBERS, FILES_STRUCTS, LOCK_EXCLUSIVE, LOCK_NONE, LOCK_SHARED, PATH_MAX, RecordLock,
    Space,
};
pub use option::SocketOption;
pub use rights::{
    MSG_CTRUNC, RIGHT_FILE, RIGHT_SOCKET, RIGHTS_MAX, RIGHTS_NUMBERS, RIGHTS_STRUCTS,
    ReceivedRight, ReceivedRights, Right,
};

#[cfg(doc)]
use crate::Errno;
use crate::Plain as _;
use crate::plain::{numbers, structs};

/// The import module.
pub const MODULE: &str = IMPORTS[0].module;

numbers! {
    /// The numbers of `wasisocket_v1`, by name. Rights, files and cryptography have numbers of their own:
    /// [`RIGHTS_NUMBERS`], [`FILES_NUMBERS`], [`CRYPTO_NUMBERS`].
    pub const NUMBERS;

    /// Address family: a Unix socket. `sock_open` accepts it on hosts that have this module.
    pub const AF_UNIX: u32 = 1;

    /// For `sock_shutdown`: no more is received.
    pub const SHUT_READ: u32 = 1;
    /// For `sock_shutdown`: no more is sent, and the peer sees the end of the stream.
    pub const SHUT_WRITE: u32 = 2;

    /// Flag of sending and receiving: out-of-band data. EOPNOTSUPP for Unix sockets.
    pub const MSG_OOB: u32 = 0x1;
    /// Flag of receiving: leave the data in the queue.
    pub const MSG_PEEK: u32 = 0x2;
    /// Flag of receiving: return a datagram's whole length. In [`Received::flags`]: it was longer than the room.
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

    /// Most bytes of a request or an answer of `call_start`, and of all that a guest has at a time.
    pub const CALL_MAX: usize = 64 << 20;
    /// Most calls of a guest that run at a time. One that it closed runs until the embedder's function ends.
    pub const CALLS_MAX: usize = 1024;

    /// Event: there is something to read, a connection to accept, or a look-up or a call is over.
    pub const EVENT_IN: u32 = 0x1;
    /// Event: out-of-band data.
    pub const EVENT_PRI: u32 = 0x2;
    /// Event: there is room to write, or a connect is over.
    pub const EVENT_OUT: u32 = 0x4;
    /// Event, reported even if it was not asked for: an error is pending.
    pub const EVENT_ERR: u32 = 0x8;
    /// Event, reported even if it was not asked for: both directions are closed.
    pub const EVENT_HUP: u32 = 0x10;
    /// Event of `sock_poll` only: not a handle of this guest.
    pub const EVENT_NVAL: u32 = 0x20;
    /// Event: the peer has shut down its sending side.
    pub const EVENT_RDHUP: u32 = 0x2000;
    /// For `interest_ctl`: report once, until `CTL_MOD` asks again.
    pub const EVENT_ONESHOT: u32 = 1 << 30;
    /// For `interest_ctl`: report changes, not states.
    pub const EVENT_EDGE: u32 = 1 << 31;

    /// Adds a handle to an interest set.
    pub const CTL_ADD: u32 = 1;
    /// Removes a handle from an interest set.
    pub const CTL_DEL: u32 = 2;
    /// Changes the events that a handle in an interest set is watched for.
    pub const CTL_MOD: u32 = 3;

    /// The handle of the guest's standard input in `sock_poll` and `interest_ctl`: its preview1 file descriptor.
    /// A host that does not know what is behind it treats it as a file: `sock_poll` reports it as ready, and
    /// `interest_ctl` returns EPERM.
    pub const STDIN: u32 = 0;
    /// As [`STDIN`], for the guest's standard output.
    pub const STDOUT: u32 = 1;
    /// As [`STDIN`], for the guest's standard error.
    pub const STDERR: u32 = 2;

    /// In [`Ancillary::present`]: there is a hop limit.
    pub const ANCILLARY_HOP_LIMIT: u32 = 1;
    /// In [`Ancillary::present`]: there is a traffic class.
    pub const ANCILLARY_TRAFFIC_CLASS: u32 = 2;
}

/// A piece of guest memory to send from: preview1's `ciovec`.
pub type Ciovec = Iovec;

structs! {
    /// The other structs.
    pub const OTHER_STRUCTS;

    /// Two handles: 8 bytes.
    #[derive(Default)]
    pub struct Pair {
        /// One end.
        pub first: u32,
        /// The other end.
        pub second: u32,
    }

    /// A piece of guest memory to receive into: `struct iovec`, and preview1's `iovec`. 8 bytes.
    #[derive(Default)]
    pub struct Iovec {
        /// Where it begins.
        pub pointer: u32,
        /// Its length in bytes.
        pub length: u32,
    }

    /// What `sock_recvmsg` received: 8 bytes.
    #[derive(Default)]
    pub struct Received {
        /// Bytes; if [`MSG_TRUNC`] was asked for, those of the whole datagram.
        pub bytes: u32,
        /// [`MSG_TRUNC`], [`MSG_OOB`] or 0.
        pub flags: u32,
    }

    /// Ancillary data of a datagram over IPv6 (RFC 3542): 12 bytes.
    #[derive(Default)]
    pub struct Ancillary {
        /// `ANCILLARY_` bits: which of the other fields are set.
        pub present: u32,
        /// Hop limit, 0 to 255; -1 sends the system's default.
        pub hop_limit: i32,
        /// Traffic class, 0 to 255; -1 sends the system's default.
        pub traffic_class: i32,
    }

    /// One handle in `sock_poll`: `struct pollfd`. 8 bytes.
    #[derive(Default)]
    pub struct PollEntry {
        /// A handle, or [`STDIN`], [`STDOUT`] or [`STDERR`].
        pub handle: u32,
        /// What is asked for: `EVENT_` bits.
        pub events: u16,
        /// What is ready: `EVENT_` bits. Written by the host.
        pub revents: u16,
    }

    /// One event of `interest_wait`: 16 bytes.
    #[derive(Default)]
    pub struct Event {
        /// What `interest_ctl` was given for this handle.
        pub data: u64,
        /// What is ready: `EVENT_` bits.
        pub events: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// A network interface: 20 bytes.
    #[derive(Default)]
    pub struct Interface {
        /// Its index, 1 or more: the scope of its link-local addresses.
        pub index: u32,
        /// Its name, and zeros up to 16 bytes (IFNAMSIZ).
        pub name: [u8; 16],
    }
}

const _: () = {
    assert!(Pair::SIZE == 8);
    assert!(Iovec::SIZE == 8);
    assert!(Received::SIZE == 8);
    assert!(Ancillary::SIZE == 12);
    assert!(PollEntry::SIZE == 8);
    assert!(Event::SIZE == 16);
    assert!(Interface::SIZE == 20);
};
