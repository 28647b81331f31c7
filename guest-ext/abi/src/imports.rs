//! The table of the imports, and what it looks like as data.

#[cfg(doc)]
use crate::{Errno, v1};

/// A socket, an interest set, a look-up or a call: [`FIRST_HANDLE`](crate::FIRST_HANDLE) or above.
pub type Handle = u32;

/// How long a call may wait, in nanoseconds: 0 does not wait, a negative number waits without end.
pub type Timeout = i64;

/// The table of the imports: passes every import to the macro `$callback`, behind the tokens in `$context`.
///
/// The guest's `extern` blocks, the host's registration and the lists in this crate are such callbacks, so an
/// import is spelled here and nowhere else.
///
/// # Grammar
///
/// ```text
/// module LIST "import module" {
///     /// What it does.
///     KIND name(parameter: ROLE, ...) -> (result: TYPE, ...);
/// }
/// ```
///
/// KIND says how a host runs it:
///
/// | kind | |
/// |---|---|
/// | `call` | It never waits. |
/// | `wait` | It may wait, for as long as its `Timeout` says; without one, until it is done. |
/// | `files` | It never waits, and it takes or makes file descriptors of preview1 besides handles. |
///
/// ROLE says what a parameter is, and how many parameters the function has for it in WebAssembly:
///
/// | role | in WebAssembly | |
/// |---|---|---|
/// | `u32`, `Handle` | `i32` | A number, read as unsigned. |
/// | `i64`, `Timeout` | `i64` | A number. |
/// | `&T` | `i32` | A pointer to a `T`, which the host reads. |
/// | `&[T; n]` | `i32`, `i32` | A pointer to `n` of `T`, which the host reads, and `n`. |
/// | `&mut [T; n]` | `i32`, `i32` | A pointer to room for `n` of `T`, which the host may read and write, and `n`. |
/// | `Option<&T>` | `i32` | As `&T`, or null. |
/// | `Option<&mut T>` | `i32` | A pointer to room for a `T`, which the host writes, or null. |
///
/// Each result is one more parameter, an `i32`: a pointer to where the host writes a `TYPE` if the function
/// succeeds. The function itself returns an `i32`: 0, or an [`Errno`](crate::Errno).
#[macro_export]
macro_rules! imports {
    ($callback:ident $($context:tt)*) => {
        $callback! {
            $($context)*

            module CORE_IMPORTS "wasi_snapshot_preview1" {
                /// `socket(2)`. A new handle.
                call sock_open(af: u32, ty: u32) -> (fd: Handle);

                /// `getaddrinfo(3)`: writes up to `max_entries` addresses, each with `port`.
                wait sock_resolve(
                    host: &[u8; host_len], port: u32, addrs: &mut [CoreSocketAddr; max_entries]
                ) -> (count: u32);

                /// `connect(2)`.
                wait sock_connect(fd: Handle, addr: &CoreSocketAddr) -> ();

                /// `send(2)`; may send less than `len`.
                wait sock_send(fd: Handle, buf: &[u8; len]) -> (sent: u32);

                /// `recv(2)`; 0 bytes is the end of a stream.
                wait sock_recv(fd: Handle, buf: &mut [u8; len]) -> (received: u32);

                /// `close(2)`.
                call sock_close(fd: Handle) -> ();
            }

            module V1_IMPORTS "wasisocket_v1" {
                /// `socket(2)` with a protocol: 0, or IANA's number if it fits the type. The only way to
                /// UDP-Lite, 136 (RFC 3828), which needs the grants of UDP; a guest without any grant gets
                /// [`Errno::EPROTONOSUPPORT`].
                call sock_open_protocol(af: u32, ty: u32, protocol: u32) -> (fd: Handle);

                /// `socketpair(2)`: two connected [`AF_UNIX`](v1::AF_UNIX) sockets. Needs no grant.
                call sock_pair(ty: u32) -> (pair: Pair);

                /// `dup(2)`: a second handle for the same socket.
                call sock_dup(fd: Handle) -> (dup: Handle);

                /// `bind(2)`. Needs a grant to listen there.
                call sock_bind(fd: Handle, addr: &Addr) -> ();

                /// `listen(2)`. Needs the grant too, if the socket was not bound.
                call sock_listen(fd: Handle, backlog: u32) -> ();

                /// `accept(2)`; `addr` is the peer's.
                wait sock_accept(fd: Handle, timeout: Timeout) -> (addr: Addr, accepted: Handle);

                /// `connect(2)`. Needs a grant for the address. An `addr` of family 0 (AF_UNSPEC) removes the
                /// peer of a datagram socket, and the port of a UDP socket too if the system picked it; for a
                /// stream it is [`Errno::EAFNOSUPPORT`].
                wait sock_connect_to(fd: Handle, addr: &Addr, timeout: Timeout) -> ();

                /// `shutdown(2)`: [`SHUT_READ`](v1::SHUT_READ), [`SHUT_WRITE`](v1::SHUT_WRITE) or both.
                call sock_shutdown(fd: Handle, how: u32) -> ();

                /// `getsockname(2)`.
                call sock_getsockname(fd: Handle) -> (addr: Addr);

                /// `getpeername(2)`.
                call sock_getpeername(fd: Handle) -> (addr: Addr);

                /// `sendmsg(2)`. Without `addr` it sends to the peer. With one it needs a grant for the
                /// address, or the address is that of a sender whom this socket, bound under a grant, received
                /// from in the last two minutes; a TCP stream ignores it.
                wait sock_sendmsg(
                    fd: Handle, iovecs: &[Ciovec; count], addr: Option<&Addr>, ancillary: Option<&Ancillary>,
                    flags: u32, timeout: Timeout
                ) -> (sent: u32);

                /// `recvmsg(2)` into pieces that must not overlap. Without `addr` the sender is not reported.
                wait sock_recvmsg(
                    fd: Handle, iovecs: &[Iovec; count], addr: Option<&mut Addr>,
                    ancillary: Option<&mut Ancillary>, flags: u32, timeout: Timeout
                ) -> (received: Received);

                /// `sendmsg(2)` of a Unix socket, with [rights](v1#rights).
                files sock_send_rights(
                    fd: Handle, iovecs: &[Ciovec; count], addr: Option<&Addr>, rights: &[Right; rights_count],
                    flags: u32
                ) -> (sent: u32);

                /// `recvmsg(2)` of a Unix socket, with up to `max` [rights](v1#rights).
                files sock_recv_rights(
                    fd: Handle, iovecs: &[Iovec; count], addr: Option<&mut Addr>,
                    rights: &mut [ReceivedRight; max], flags: u32
                ) -> (received: ReceivedRights);

                /// `fcntl(2)`, `F_SETLK`: locks bytes of a regular file, from `start` on, `len` or with 0 all, in the
                /// place of the locks that the guest has there: `kind` is [`LOCK_SHARED`](v1::LOCK_SHARED),
                /// [`LOCK_EXCLUSIVE`](v1::LOCK_EXCLUSIVE) or [`LOCK_NONE`](v1::LOCK_NONE). The guest is what a process
                /// is there: all of its descriptors of a file have the same locks, and it has to give them up
                /// itself before it closes any of them. `file` is a preview1 descriptor, open for reading or for
                /// writing as the kind of lock wants it ([`Errno::EBADF`]). [`Errno::EAGAIN`] if somebody else has
                /// such a lock; [`Errno::ENOLCK`] if the guest has locks in too many files.
                /// [`Errno::EOPNOTSUPP`] from a host that cannot lock files.
                files file_lock(file: u32, kind: u32, start: i64, len: i64) -> ();

                /// `fcntl(2)`, `F_GETLK`: the first lock that keeps the guest from such a one, or one of the kind
                /// [`LOCK_NONE`](v1::LOCK_NONE). Otherwise as `file_lock`.
                files file_lock_get(file: u32, kind: u32, start: i64, len: i64) -> (lock: RecordLock);

                /// `flock(2)` with `LOCK_NB`, of a regular file: the lock is this preview1 descriptor's. For an exclusive
                /// lock it has to be open for writing ([`Errno::EBADF`]), as on NFS.
                files file_flock(file: u32, kind: u32) -> ();

                /// `fstatvfs(3)` of a regular file or a directory. What the guest may not use is not counted.
                files file_space(file: u32) -> (space: Space);

                /// Says that the guest did not get at a file, for want of a folder that is granted to read (0) or to
                /// write (1): `path` is absolute, as the guest has it. The host cannot know it, because the guest
                /// looks for the folder. [`Errno::ENAMETOOLONG`] for more than [`PATH_MAX`](v1::PATH_MAX) bytes.
                call file_refused(path: &[u8; len], writes: u32) -> ();

                /// `getsockopt(2)` of a [`SocketOption`](v1::SocketOption).
                call sock_getsockopt(fd: Handle, option: u32) -> (value: i64);

                /// `setsockopt(2)` of a [`SocketOption`](v1::SocketOption).
                call sock_setsockopt(fd: Handle, option: u32, value: i64) -> ();

                /// Joins (1) or leaves (0) a multicast group. For IPv4 `interface` is one of the interface's
                /// addresses or 0.0.0.0; for IPv6 its scope is the interface's index or 0. Needs a grant to
                /// listen at the group's address.
                call sock_membership(
                    fd: Handle, join: u32, group: &SocketAddr, interface: &SocketAddr
                ) -> ();

                /// `poll(2)`: writes the `revents` of each entry, and how many are not 0.
                wait sock_poll(entries: &mut [PollEntry; count], timeout: Timeout) -> (ready: u32);

                /// `epoll_create(2)`: an empty interest set.
                call interest_create() -> (set: Handle);

                /// `epoll_ctl(2)`: [`CTL_ADD`](v1::CTL_ADD), [`CTL_MOD`](v1::CTL_MOD) or
                /// [`CTL_DEL`](v1::CTL_DEL). A set can be in another set, but no deeper: [`Errno::ELOOP`].
                /// [`Errno::ENOSPC`] if what the handle stands for is in too many sets. An entry ends with
                /// its handle, also if the socket has other handles.
                call interest_ctl(set: Handle, op: u32, fd: Handle, events: u32, data: i64) -> ();

                /// `epoll_wait(2)`: writes up to `max` events. Its cost does not grow with what is idle.
                wait interest_wait(
                    set: Handle, events: &mut [Event; max], timeout: Timeout
                ) -> (count: u32);

                /// Starts `getaddrinfo(3)` of a host name, for one family, or for both with 0. Needs a grant
                /// for the name.
                call lookup_name(name: &[u8; len], family: u32) -> (lookup: Handle);

                /// Starts `getnameinfo(3)` of an address. Needs a grant for the address, with any port.
                call lookup_addr(addr: &SocketAddr) -> (lookup: Handle);

                /// The answer to `lookup_name`: up to `max` addresses, with port 0.
                wait lookup_addrs(
                    lookup: Handle, addrs: &mut [SocketAddr; max], timeout: Timeout
                ) -> (count: u32);

                /// The name of an address, or the canonical name of a name: up to `max` bytes;
                /// [`Errno::ENAMETOOLONG`] if it is longer.
                wait lookup_host(
                    lookup: Handle, name: &mut [u8; max], timeout: Timeout
                ) -> (len: u32);

                /// Calls the embedder's function with a request, whose meaning is theirs. [`Errno::EMSGSIZE`] for more
                /// than [`CALL_MAX`](v1::CALL_MAX) bytes, [`Errno::ENOBUFS`] if all requests and answers of the
                /// guest together have more, [`Errno::EBUSY`] if [`CALLS_MAX`](v1::CALLS_MAX) calls run.
                /// [`Errno::EOPNOTSUPP`] from an embedder without one.
                call call_start(request: &[u8; len]) -> (call: Handle);

                /// The answer to `call_start`: as many of its bytes as there is room for, and how many it has. It
                /// can be had again until the handle is closed. [`Errno::EIO`] if the function gave none.
                wait call_answer(
                    call: Handle, answer: &mut [u8; max], timeout: Timeout
                ) -> (len: u32);

                /// `if_nameindex(3)`: up to `max` interfaces; none for a guest without a grant to connect or
                /// listen.
                call net_interfaces(entries: &mut [Interface; max]) -> (count: u32);

                /// Encrypts a message in place, and returns its tag (RFC 5116). `algorithm` is one of
                /// [`AEAD_AES_128_GCM`](v1::AEAD_AES_128_GCM), [`AEAD_AES_256_GCM`](v1::AEAD_AES_256_GCM) and
                /// [`AEAD_CHACHA20_POLY1305`](v1::AEAD_CHACHA20_POLY1305). [`Errno::EINVAL`] for another number,
                /// or a key that is not of its length. [`Errno::EOPNOTSUPP`] from a host without cryptography.
                call aead_seal(
                    algorithm: u32, key: &[u8; key_len], nonce: &AeadNonce, aad: &[u8; aad_len],
                    message: &mut [u8; len]
                ) -> (tag: AeadTag);

                /// Decrypts a message in place. [`Errno::EBADMSG`] if that is not its tag: then the message is
                /// all zeros. Otherwise as `aead_seal`.
                call aead_open(
                    algorithm: u32, key: &[u8; key_len], nonce: &AeadNonce, aad: &[u8; aad_len],
                    message: &mut [u8; len], tag: &AeadTag
                ) -> ();

                /// Verifies an ECDSA signature of a digest (FIPS 186-5). `group` is
                /// [`GROUP_SECP256R1`](v1::GROUP_SECP256R1) or [`GROUP_SECP384R1`](v1::GROUP_SECP384R1), `key` a
                /// point of it, uncompressed (SEC 1, 2.3.3), `digest` one of SHA-256, SHA-384 or SHA-512, and
                /// `signature` in DER. [`Errno::EBADMSG`] if the signature is not the key's, or the key is no
                /// point. [`Errno::EINVAL`] for another group or length. [`Errno::EOPNOTSUPP`] from a host without
                /// cryptography.
                call ecdsa_verify(
                    group: u32, key: &[u8; key_len], digest: &[u8; digest_len], signature: &[u8; len]
                ) -> ();

                /// X25519 (RFC 7748, 5): the secret that a private key shares with another's public key, or, with
                /// 9 in place of that, the public key. [`Errno::EBADMSG`] if the result is all zeros, as with a
                /// point of small order. [`Errno::EOPNOTSUPP`] from a host without cryptography.
                call x25519(private: &X25519Bytes, public: &X25519Bytes) -> (result: X25519Bytes);

                /// Hashes whole blocks with SHA-256 (FIPS 180-4, 6.2.2): changes `state`, which has
                /// [`SHA256_STATE_LEN`](v1::SHA256_STATE_LEN) bytes. [`Errno::EINVAL`] for another length, or data
                /// that ends within a block. [`Errno::EOPNOTSUPP`] from a host without cryptography.
                call sha256_blocks(state: &mut [u8; state_len], data: &[u8; len]) -> ();

                /// Takes the [signals](v1#signals) that have come for the guest, and says which ones it handles from now
                /// on. The bit `n - 1` of a set stands for the signal `n` of signal(7).
                call signals_take(handled: i64) -> (come: i64);

                /// A call stack for a [thread](v1#threads), on which the guest's export `thread-start` will run, with
                /// `stack` in its `__stack_pointer`. [`Errno::EAGAIN`] past the limit of threads.
                /// [`Errno::EOPNOTSUPP`] from a host without threads.
                call thread_create(stack: u32) -> (thread: u32);

                /// Runs a thread, until it switches back or ends. On a thread's own call stack and with 0: back to
                /// who ran it. [`Errno::EINVAL`] for a thread that does not exist or is being run, and for 0 on a
                /// call stack that nobody runs.
                call thread_switch(thread: u32) -> ();

                /// Ends a thread that is not being run. [`Errno::EINVAL`] for any other.
                call thread_drop(thread: u32) -> ();
            }
        }
    };
}

/// One import, described as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    /// The import module.
    pub module: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its documentation, one line each.
    pub doc: &'static [&'static str],
    /// Whether it may wait.
    pub waits: bool,
    /// Its parameters in WebAssembly, in order. It returns one `i32`.
    pub parameters: &'static [Parameter],
}

/// One parameter of an [`Import`], as WebAssembly has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub role: Role,
    /// A number's type, or the type of what a pointer points to.
    pub ty: &'static str,
}

/// What a [`Parameter`] means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A number: an `i64` if its type is `i64` or `Timeout`, else an `i32`.
    Number,
    /// A pointer that the host reads from. A [`Role::Length`] follows if it points to more than one.
    In,
    /// The same, or null.
    InOrNull,
    /// A pointer that the host may read from and write to. A [`Role::Length`] follows.
    InOut,
    /// A pointer that the host writes to, or null.
    OutOrNull,
    /// How many elements the pointer before it points to.
    Length,
    /// A pointer to where the host writes a result.
    Result,
}

impl Parameter {
    /// Whether it is an `i64` in WebAssembly. All others are `i32`.
    #[must_use]
    pub const fn is_i64(&self) -> bool {
        matches!(self.role, Role::Number) && matches!(self.ty.as_bytes(), b"i64" | b"Timeout")
    }
}

/// The lists of [`Import`]s, each with the table for rustdoc.
macro_rules! lists {
    ($(
        module $list:ident $module:literal {
            $($(#[doc = $doc:literal])+ $kind:ident $name:ident $parameters:tt -> $results:tt;)+
        }
    )+) => {
        $(
            #[doc = concat!("The imports from `", $module, "`.")]
            ///
            #[doc = "| import | parameters | results | does |"]
            #[doc = "|---|---|---|---|"]
            $(#[doc = concat!(
                "| `", stringify!($name), "` |", types!($parameters), " |", types!($results), " |", $($doc,)+ " |",
            )])+
            pub const $list: &[Import] = &[$(
                Import {
                    module: $module,
                    name: stringify!($name),
                    doc: &[$($doc),+],
                    waits: matches!(stringify!($kind).as_bytes(), b"wait"),
                    parameters: parameters!($parameters $results),
                },
            )+];
        )+
    };
}

/// Names and types for rustdoc.
macro_rules! types {
    (($($name:ident: $ty:ty),*)) => {
        concat!($(" `", stringify!($name), ": ", stringify!($ty), "`"),*)
    };
}

/// The [`Parameter`]s of one import, by the rules of [`imports`].
macro_rules! parameters {
    (($($parameters:tt)*) ($($result:ident: $ty:ty),*)) => {
        parameters!([] $($parameters)*, $($result -> $ty,)*)
    };
    ([$($done:tt)*]) => { &[$($done)*] };
    ([$($done:tt)*] , $($rest:tt)*) => { parameters!([$($done)*] $($rest)*) };
    ([$($done:tt)*] $name:ident: &mut [$ty:ty; $length:ident] $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(InOut, $name, $ty), parameter!(Length, $length, u32),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident: &[$ty:ty; $length:ident] $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(In, $name, $ty), parameter!(Length, $length, u32),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident: Option<&mut $ty:ty> $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(OutOrNull, $name, $ty),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident: Option<&$ty:ty> $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(InOrNull, $name, $ty),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident: &$ty:ty $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(In, $name, $ty),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident: $ty:ty $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(Number, $name, $ty),] $($($rest)*)?)
    };
    ([$($done:tt)*] $name:ident -> $ty:ty $(, $($rest:tt)*)?) => {
        parameters!([$($done)* parameter!(Result, $name, $ty),] $($($rest)*)?)
    };
}

macro_rules! parameter {
    ($role:ident, $name:ident, $ty:ty) => {
        Parameter {
            name: stringify!($name),
            role: Role::$role,
            ty: stringify!($ty),
        }
    };
}

imports!(lists);
