//! Socket options, each with one type.

/// An option of `sock_getsockopt` and `sock_setsockopt`. Its value is an `i64`:
///
/// - bool: 0 or 1; any other number sets it too.
/// - int: as the man page has it. A number that does not fit the system's type is EINVAL.
/// - duration: nanoseconds, rounded up to what the system counts in.
/// - linger: seconds, or -1 for off.
///
/// ENOPROTOOPT for an option that the host or this kind of socket does not have, and for any number without a name
/// here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct SocketOption(pub u32);

/// Declares each number once: as a constant, and in [`SocketOption::NAMED`].
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident = $value:literal,)*) => {
        impl SocketOption {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every option that has a name here, in ascending order, with its name.
            pub const NAMED: &[(Self, &str)] = &[$((Self::$name, stringify!($name)),)*];
        }
    };
}

options! {
    /// int, read only: the pending error as an [`Errno`](crate::Errno) or 0; reading it clears it.
    ERROR = 1,
    /// bool, read only: whether it listens.
    ACCEPTING = 2,
    /// int, read only: bytes that can be read at once (FIONREAD, tcp(7) and udp(7)).
    READABLE = 3,
    /// bool: socket(7), SO_REUSEADDR. A UDP port that the system picks is exclusive even so.
    REUSE_ADDR = 4,
    /// bool: SO_REUSEPORT. A UDP port that the system picks is exclusive even so.
    REUSE_PORT = 5,
    /// bool: SO_KEEPALIVE.
    KEEPALIVE = 6,
    /// bool: SO_BROADCAST.
    BROADCAST = 7,
    /// linger: SO_LINGER. `sock_close` does not wait for it: with 0 it resets the connection, with more the
    /// host sends the rest in the background.
    LINGER = 8,
    /// int, bytes: SO_RCVBUF; Linux returns twice the value that was set.
    RECV_BUFFER = 9,
    /// int, bytes: SO_SNDBUF; Linux returns twice the value that was set.
    SEND_BUFFER = 10,
    /// bool: SO_OOBINLINE.
    OOB_INLINE = 11,

    /// bool: tcp(7), TCP_NODELAY.
    TCP_NODELAY = 32,
    /// duration, counted in seconds: TCP_KEEPIDLE.
    TCP_KEEPIDLE = 33,
    /// duration, counted in seconds: TCP_KEEPINTVL.
    TCP_KEEPINTVL = 34,
    /// int: TCP_KEEPCNT.
    TCP_KEEPCNT = 35,
    /// duration, counted in milliseconds: TCP_USER_TIMEOUT.
    TCP_USER_TIMEOUT = 36,
    /// bool: TCP_QUICKACK.
    TCP_QUICKACK = 37,
    /// bool: TCP_CORK.
    TCP_CORK = 38,

    /// int: ip(7), IP_TTL.
    IP_TTL = 64,
    /// int: IP_TOS.
    IP_TOS = 65,
    /// int: IP_MULTICAST_TTL.
    IP_MULTICAST_TTL = 66,
    /// bool: IP_MULTICAST_LOOP.
    IP_MULTICAST_LOOP = 67,
    /// int: IP_MULTICAST_IF; an IPv4 address of the interface as a number (127.0.0.1 is 0x7f000001), or 0.
    IP_MULTICAST_IF = 68,

    /// bool: ipv6(7), IPV6_V6ONLY. EINVAL to set it once bound.
    IPV6_V6ONLY = 96,
    /// int: IPV6_UNICAST_HOPS.
    IPV6_UNICAST_HOPS = 97,
    /// int: IPV6_MULTICAST_HOPS.
    IPV6_MULTICAST_HOPS = 98,
    /// bool: IPV6_MULTICAST_LOOP.
    IPV6_MULTICAST_LOOP = 99,
    /// int: IPV6_MULTICAST_IF; the interface's index, or 0.
    IPV6_MULTICAST_IF = 100,
    /// int: IPV6_TCLASS.
    IPV6_TCLASS = 101,
    /// bool: RFC 3542, 6.3, IPV6_RECVHOPLIMIT: datagrams come with their hop limit.
    IPV6_RECV_HOP_LIMIT = 102,
    /// bool: RFC 3542, 6.5, IPV6_RECVTCLASS: datagrams come with their traffic class.
    IPV6_RECV_TRAFFIC_CLASS = 103,
}

#[cfg(test)]
mod tests {
    use super::SocketOption;

    #[test]
    fn named_numbers_are_distinct_and_ascending() {
        let ascending = |pair: &[(SocketOption, &str)]| pair[0].0 < pair[1].0;
        assert!(SocketOption::NAMED.windows(2).all(ascending));
    }
}
