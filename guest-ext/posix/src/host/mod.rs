//! The seam below this crate: what it needs from a host, as the trait [`Host`].
//!
//! | host | chosen by | |
//! |---|---|---|
//! | `wasisocket` | feature `host-wasisocket` | the imports of `wasisocket_v1`, and two of the core six |
//! | `core_six` | feature `host-core` | the core six alone |
//! | `fake` | any target but WASI | a host in memory, for unit tests |
//!
//! [`Imp`] is the chosen one. Files are preview1's on each host: [`close_file`], [`working_folder`].

mod address;
#[cfg(all(target_os = "wasi", not(feature = "host-wasisocket")))]
mod core_six;
#[cfg(not(target_os = "wasi"))]
mod fake;
#[cfg(target_os = "wasi")]
mod files;
#[cfg(target_os = "wasi")]
mod import;
mod waiting;
#[cfg(all(target_os = "wasi", feature = "host-wasisocket"))]
mod wasisocket;

use core::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    AeadNonce, AeadTag, Ancillary, Event, Interface, PollEntry, ReceivedRight, RecordLock, Right,
    SHA256_STATE_LEN, SocketOption, Space, X25519Bytes,
};

pub use address::Address;
#[cfg(all(target_os = "wasi", not(feature = "host-wasisocket")))]
pub(crate) use core_six::CoreSix as Imp;
#[cfg(not(target_os = "wasi"))]
pub(crate) use fake::{Fake as Imp, close_file, working_folder};
#[cfg(target_os = "wasi")]
pub(crate) use files::{close_file, working_folder};
#[cfg(all(target_os = "wasi", feature = "host-wasisocket"))]
pub(crate) use wasisocket::Wasisocket as Imp;

pub(crate) use waiting::attempt_until;
#[cfg(target_os = "wasi")]
pub(crate) use waiting::{after, until};

/// The timeout that never ends.
pub(crate) const FOREVER: i64 = -1;

/// What a call on a host returns: its errors are in Linux numbering.
pub(crate) type Result<T> = core::result::Result<T, Errno>;

/// What `recvmsg` is asked for beside the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// The sender.
    pub address: bool,
    /// What IPV6_RECVHOPLIMIT and IPV6_RECVTCLASS have switched on.
    pub ancillary: bool,
}

/// Buffers to receive into.
pub(crate) type Buffers<'a> = [&'a mut [MaybeUninit<u8>]];

/// A call that sends.
#[allow(dead_code, reason = "not every host reads all fields")]
pub(crate) struct Sending {
    pub(crate) handle: u32,
    /// The address to send to, instead of the peer.
    pub(crate) to: Option<Address>,
    /// `MSG_` flags of the ABI.
    pub(crate) flags: u32,
    pub(crate) timeout: i64,
}

/// A call that receives.
#[allow(dead_code, reason = "not every host reads all fields")]
pub(crate) struct Receiving {
    pub(crate) handle: u32,
    pub(crate) want: Want,
    /// `MSG_` flags of the ABI.
    pub(crate) flags: u32,
    pub(crate) timeout: i64,
}

/// A received message, without its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// How many bytes are initialised, from the first buffer on. With MSG_TRUNC among the flags of the call it is the
    /// length of the whole datagram, which may be more than the buffers have room for.
    pub bytes: usize,
    /// MSG_TRUNC: the datagram was longer than the buffers. MSG_OOB. With rights, MSG_CTRUNC.
    pub flags: u32,
    /// The sender's address, if it was asked for and there is one.
    pub from: Address,
    /// The ancillary data, if it was asked for.
    pub ancillary: Ancillary,
}

fn unsupported<T>() -> Result<T> {
    Err(Errno::EOPNOTSUPP)
}

/// A host, as this crate needs it. Each function is one crossing into it, if not said otherwise.
///
/// A handle is the host's number of a socket, an interest set, a look-up or a call; EBADF if there is none with that number,
/// or if it is of another kind. Numbers of families, types, options, events and flags are those of `wasisocket_abi`. A
/// `timeout` is in nanoseconds: 0 does not wait, a negative one waits without end ([`FOREVER`]); EAGAIN if the time is
/// over. Functions without a timeout do not wait.
///
/// An implementation must keep two promises, on which unsafe code rests: [`recv`](Host::recv) and
/// [`recv_rights`](Host::recv_rights) have initialised as many bytes of the buffers as they return, up to the room
/// that there is.
///
/// What has a default here is EOPNOTSUPP (ENOTSUP), or what is said there, on a host that does not have it.
#[cfg_attr(
    not(target_os = "wasi"),
    allow(dead_code, reason = "C code calls some")
)]
pub(crate) trait Host {
    /// Whether calls can be bounded in time, and [`poll`](Host::poll) can wait. If not, every call blocks until it is
    /// done, and returns EOPNOTSUPP for any timeout but [`FOREVER`].
    const CAN_WAIT: bool;

    /// socket(2): a new handle. Protocol 0 is the usual one of the type.
    ///
    /// # Errors
    /// EAFNOSUPPORT, EPROTONOSUPPORT, EMFILE.
    fn open(family: u32, ty: u32, protocol: u32) -> Result<u32>;

    /// close(2), of any handle.
    fn close(handle: u32) -> Result<()>;

    /// socketpair(2), of Unix sockets.
    ///
    /// # Errors
    /// EMFILE.
    fn pair(_ty: u32) -> Result<[u32; 2]> {
        unsupported()
    }

    /// dup(2): another handle of the same socket.
    ///
    /// # Errors
    /// EMFILE.
    fn dup(_handle: u32) -> Result<u32> {
        unsupported()
    }

    /// bind(2).
    ///
    /// # Errors
    /// EACCES without a grant to listen there; those of the man page.
    fn bind(_handle: u32, _address: &Address) -> Result<()> {
        unsupported()
    }

    /// listen(2).
    ///
    /// # Errors
    /// EACCES without a grant, for a socket that was not bound; those of the man page.
    fn listen(_handle: u32, _backlog: u32) -> Result<()> {
        unsupported()
    }

    /// accept(2): the new handle, and the peer's address.
    ///
    /// # Errors
    /// EMFILE; those of the man page.
    fn accept(_handle: u32, _timeout: i64) -> Result<(u32, Address)> {
        unsupported()
    }

    /// connect(2). [`Address::Unspecified`] removes the peer of a datagram socket.
    ///
    /// # Errors
    /// EACCES without a grant; EINPROGRESS if the time is over; those of the man page.
    fn connect(handle: u32, address: &Address, timeout: i64) -> Result<()>;

    /// shutdown(2): `how` is `SHUT_` bits.
    ///
    /// # Errors
    /// ENOTCONN.
    fn shutdown(_handle: u32, _how: u32) -> Result<()> {
        unsupported()
    }

    /// getsockname(2). Unspecified for a socket without an address.
    fn getsockname(_handle: u32) -> Result<Address> {
        unsupported()
    }

    /// getpeername(2). Unspecified for a peer without an address.
    ///
    /// # Errors
    /// ENOTCONN.
    fn getpeername(_handle: u32) -> Result<Address> {
        unsupported()
    }

    /// sendmsg(2): how many bytes the host took, which may be fewer than there are.
    ///
    /// # Errors
    /// EACCES without a grant for the address; those of the man page.
    fn send(call: &Sending, data: &[&[u8]], ancillary: Option<&Ancillary>) -> Result<usize>;

    /// recvmsg(2). 0 bytes of a stream are its end.
    ///
    /// # Errors
    /// Those of the man page.
    fn recv(call: &Receiving, buffers: &mut Buffers<'_>) -> Result<Message>;

    /// sendmsg(2) of a Unix socket, with rights. Tries once, whatever the timeout.
    ///
    /// # Errors
    /// EAGAIN; EOPNOTSUPP for a right that the host cannot send; those of the man page.
    fn send_rights(_call: &Sending, _data: &[&[u8]], _rights: &[Right]) -> Result<usize> {
        unsupported()
    }

    /// recvmsg(2) of a Unix socket, with rights: what was received, and how many of `rights` are written. Tries once,
    /// whatever the timeout.
    ///
    /// # Errors
    /// EAGAIN; those of the man page.
    fn recv_rights(
        _call: &Receiving,
        _buffers: &mut Buffers<'_>,
        _rights: &mut [ReceivedRight],
    ) -> Result<(Message, usize)> {
        unsupported()
    }

    /// fcntl(2), F_SETLK, of a file with this number of preview1: `kind` is one of the ABI's `LOCK_` numbers.
    ///
    /// # Errors
    /// EAGAIN; EBADF; ENOLCK.
    fn file_lock(_file: u32, _kind: u32, _start: i64, _length: i64) -> Result<()> {
        unsupported()
    }

    /// fcntl(2), F_GETLK.
    ///
    /// # Errors
    /// EBADF.
    fn file_lock_get(_file: u32, _kind: u32, _start: i64, _length: i64) -> Result<RecordLock> {
        unsupported()
    }

    /// flock(2), with LOCK_NB.
    ///
    /// # Errors
    /// EAGAIN; EBADF.
    fn file_flock(_file: u32, _kind: u32) -> Result<()> {
        unsupported()
    }

    /// fstatvfs(3).
    ///
    /// # Errors
    /// EBADF.
    fn file_space(_file: u32) -> Result<Space> {
        unsupported()
    }

    /// Tells the host of a file that the guest did not get at, for want of a grant.
    ///
    /// # Errors
    /// ENAMETOOLONG.
    fn file_refused(_path: &[u8], _writes: bool) -> Result<()> {
        unsupported()
    }

    /// getsockopt(2), with the typed values of the ABI.
    ///
    /// # Errors
    /// ENOPROTOOPT for an option that there is not; so on a host without options, because programs ignore this
    /// errno (http.client sets TCP_NODELAY).
    fn getsockopt(_handle: u32, _option: SocketOption) -> Result<i64> {
        Err(Errno::ENOPROTOOPT)
    }

    /// setsockopt(2), with the typed values of the ABI.
    ///
    /// # Errors
    /// As for [`getsockopt`](Host::getsockopt); EINVAL for a value out of range.
    fn setsockopt(_handle: u32, _option: SocketOption, _value: i64) -> Result<()> {
        Err(Errno::ENOPROTOOPT)
    }

    /// Joins or leaves a multicast group; the interface is as `sock_membership` has it.
    ///
    /// # Errors
    /// EACCES without a grant to listen at the group's address; those of ip(7) and ipv6(7).
    fn membership(_handle: u32, _join: bool, _group_interface: [SocketAddr; 2]) -> Result<()> {
        unsupported()
    }

    /// poll(2), of handles and standard input: writes `revents`, and returns how many are not 0. If the time is over
    /// it returns 0.
    ///
    /// # Errors
    /// EINVAL for more entries than the host takes.
    fn poll(_entries: &mut [PollEntry], _timeout: i64) -> Result<usize> {
        unsupported()
    }

    /// epoll_create(2).
    ///
    /// # Errors
    /// EMFILE.
    fn interest_create() -> Result<u32> {
        unsupported()
    }

    /// epoll_ctl(2).
    ///
    /// # Errors
    /// Those of the man page.
    fn interest_ctl(_set: u32, _op: u32, _handle: u32, _events: u32, _data: u64) -> Result<()> {
        unsupported()
    }

    /// epoll_wait(2): how many of `events` are written; 0 if the time is over.
    fn interest_wait(_set: u32, _events: &mut [Event], _timeout: i64) -> Result<usize> {
        unsupported()
    }

    /// Starts a look-up of the addresses of a name: its handle. Family 0 is any.
    ///
    /// # Errors
    /// EACCES without a grant for the name; ENAMETOOLONG; EMFILE.
    fn lookup_name(_name: &[u8], _family: u32) -> Result<u32> {
        unsupported()
    }

    /// Starts a look-up of the name of an IP address: its handle.
    ///
    /// # Errors
    /// EACCES without a grant for the address; EMFILE.
    fn lookup_addr(_address: IpAddr) -> Result<u32> {
        unsupported()
    }

    /// The answer to [`lookup_name`](Host::lookup_name).
    ///
    /// # Errors
    /// EAGAIN if it is not over; ENOENT for an unknown name, EBUSY for a failure that may pass, EIO for any other.
    fn lookup_addrs(_lookup: u32, _timeout: i64) -> Result<Vec<IpAddr>> {
        unsupported()
    }

    /// The name that a look-up found, of an address or the canonical one of a name: its length.
    ///
    /// # Errors
    /// As for [`lookup_addrs`](Host::lookup_addrs); ENAMETOOLONG if it is longer than `name`.
    fn lookup_host(_lookup: u32, _name: &mut [u8], _timeout: i64) -> Result<usize> {
        unsupported()
    }

    /// A look-up of the addresses of a name from its start to its end. Waits for it, and may take more than one
    /// crossing.
    ///
    /// # Errors
    /// Those of [`lookup_name`](Host::lookup_name) and [`lookup_addrs`](Host::lookup_addrs).
    fn resolve(name: &[u8], family: u32) -> Result<Vec<IpAddr>> {
        let lookup = Self::lookup_name(name, family)?;
        let found = Self::lookup_addrs(lookup, FOREVER);
        Self::close(lookup)?;
        found
    }

    /// Calls the embedder's function: a handle.
    ///
    /// # Errors
    /// EOPNOTSUPP if it has none; EMSGSIZE, ENOBUFS, EBUSY, EMFILE.
    fn call_start(_request: &[u8]) -> Result<u32> {
        unsupported()
    }

    /// The answer to [`call_start`](Host::call_start): how many bytes it has, of which as many are written as there is
    /// room for.
    ///
    /// # Errors
    /// EAGAIN if it is not there yet; EIO if there will be none; ENOBUFS.
    fn call_answer(_call: u32, _answer: &mut [u8], _timeout: i64) -> Result<usize> {
        unsupported()
    }

    /// if_nameindex(3): how many of `entries` are written.
    fn net_interfaces(_entries: &mut [Interface]) -> Result<usize> {
        unsupported()
    }

    /// Encrypts a message in place with one of the ABI's `AEAD_` algorithms: its tag.
    ///
    /// # Errors
    /// EINVAL for a key or algorithm that there is not; EMSGSIZE for more than
    /// [`AEAD_MESSAGE_MAX`](wasisocket_abi::v1::AEAD_MESSAGE_MAX).
    fn aead_seal(
        _algorithm: u32,
        _key: &[u8],
        _nonce: AeadNonce,
        _aad: &[u8],
        _message: &mut [u8],
    ) -> Result<AeadTag> {
        unsupported()
    }

    /// Decrypts a message in place.
    ///
    /// # Errors
    /// EBADMSG if it is not the tag's: then the message is all zeros. Otherwise as for
    /// [`aead_seal`](Host::aead_seal).
    fn aead_open(
        _algorithm: u32,
        _key: &[u8],
        _nonce: AeadNonce,
        _aad: &[u8],
        _message: &mut [u8],
        _tag: AeadTag,
    ) -> Result<()> {
        unsupported()
    }

    /// Verifies an ECDSA signature in DER of a digest, with an uncompressed point of one of the ABI's `GROUP_`s.
    ///
    /// # Errors
    /// EBADMSG if it is not valid; EINVAL for a group or length that the host does not know.
    fn ecdsa_verify(_group: u32, _key: &[u8], _digest: &[u8], _signature: &[u8]) -> Result<()> {
        unsupported()
    }

    /// X25519 of a private key and a public one, or 9.
    ///
    /// # Errors
    /// EBADMSG if the result is all zeros.
    fn x25519(_private: &X25519Bytes, _public: &X25519Bytes) -> Result<X25519Bytes> {
        unsupported()
    }

    /// Hashes whole blocks with SHA-256: changes the state, whose numbers are little-endian.
    ///
    /// # Errors
    /// EINVAL for data that ends within a block; EMSGSIZE for more than
    /// [`SHA256_DATA_MAX`](wasisocket_abi::v1::SHA256_DATA_MAX).
    fn sha256_blocks(_state: &mut [u8; SHA256_STATE_LEN], _data: &[u8]) -> Result<()> {
        unsupported()
    }

    /// poll(2) of handles that were just found not to be ready, which need not be looked at first.
    fn wait(entries: &mut [PollEntry], timeout: i64) -> Result<usize> {
        Self::poll(entries, timeout)
    }

    /// poll(2) of the scheduler, while no thread can go on: it does not let others run, as [`poll`](Host::poll) does.
    #[cfg(target_os = "wasi")]
    fn look(_entries: &mut [PollEntry], _timeout: i64) -> Result<usize> {
        unsupported()
    }

    /// Takes the signals that have come, and says which ones the guest handles: bit `n - 1` for the signal `n`. As long as
    /// there are some, calls that wait are EINTR.
    #[cfg(target_os = "wasi")]
    fn signals_take(_handled: u64) -> Result<u64> {
        unsupported()
    }

    /// A call stack for a thread, whose `__stack_pointer` begins with this.
    ///
    /// # Errors
    /// EAGAIN: no more than that.
    #[cfg(target_os = "wasi")]
    fn thread_create(_stack: u32) -> Result<u32> {
        unsupported()
    }

    /// Runs a thread until it switches back, or switches back (0).
    ///
    /// # Errors
    /// EINVAL for a thread that does not exist, or is being run.
    #[cfg(target_os = "wasi")]
    fn thread_switch(_thread: u32) -> Result<()> {
        unsupported()
    }

    /// Ends a thread that is not being run.
    ///
    /// # Errors
    /// EINVAL for another.
    #[cfg(target_os = "wasi")]
    fn thread_drop(_thread: u32) -> Result<()> {
        unsupported()
    }
}
