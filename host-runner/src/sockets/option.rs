//! Socket options. Each has one type, and its value is an `i64` (see [`SocketOption`]).

use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::sys::socket::{getsockopt as nix_get, setsockopt as nix_set, sockopt as nix_option};
use rustix::io::{Result, ioctl_fionread};
use rustix::net::sockopt;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::SocketOption;

use super::socket::{Family, Socket};
use crate::errno::{from_nix, from_system};

/// Why an option was not set or read.
enum Failure {
    System(rustix::io::Errno),
    Abi(Errno),
}

impl From<rustix::io::Errno> for Failure {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::System(errno)
    }
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Abi(errno)
    }
}

impl Failure {
    fn errno(self) -> Errno {
        match self {
            // What a Unix socket answers for options of other families.
            Self::System(rustix::io::Errno::OPNOTSUPP) => Errno::ENOPROTOOPT,
            Self::System(errno) => from_system(errno),
            Self::Abi(errno) => errno,
        }
    }
}

impl Socket {
    /// getsockopt(2).
    pub(crate) fn option(&self, option: SocketOption) -> std::result::Result<i64, Errno> {
        self.get(option).map_err(Failure::errno)
    }

    /// setsockopt(2).
    pub(crate) fn set_option(
        &self,
        option: SocketOption,
        value: i64,
    ) -> std::result::Result<(), Errno> {
        self.set(option, value).map_err(Failure::errno)
    }

    fn get(&self, option: SocketOption) -> std::result::Result<i64, Failure> {
        let fd = self.as_fd();
        Ok(match option {
            SocketOption::ERROR => sockopt::socket_error(fd)?
                .err()
                .map_or(0, |errno| from_system(errno).0.into()),
            SocketOption::ACCEPTING => bool(sockopt::socket_acceptconn(fd))?,
            SocketOption::READABLE => int(ioctl_fionread(fd))?,
            SocketOption::REUSE_ADDR if self.is_udp() => self.reuse().address.into(),
            SocketOption::REUSE_PORT if self.family() != Family::Unix => self.reuse().port.into(),
            SocketOption::REUSE_ADDR => bool(sockopt::socket_reuseaddr(fd))?,
            SocketOption::REUSE_PORT => bool(sockopt::socket_reuseport(fd))?,
            SocketOption::KEEPALIVE => bool(sockopt::socket_keepalive(fd))?,
            SocketOption::BROADCAST => bool(sockopt::socket_broadcast(fd))?,
            SocketOption::LINGER => match sockopt::socket_linger(fd)? {
                Some(time) => i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
                None => -1,
            },
            SocketOption::RECV_BUFFER => int(sockopt::socket_recv_buffer_size(fd))?,
            SocketOption::SEND_BUFFER => int(sockopt::socket_send_buffer_size(fd))?,
            SocketOption::OOB_INLINE => bool(sockopt::socket_oobinline(fd))?,
            SocketOption::TCP_NODELAY => bool(sockopt::tcp_nodelay(fd))?,
            SocketOption::TCP_KEEPIDLE => nanos(sockopt::tcp_keepidle(fd)?),
            SocketOption::TCP_KEEPINTVL => nanos(sockopt::tcp_keepintvl(fd)?),
            SocketOption::TCP_KEEPCNT => int(sockopt::tcp_keepcnt(fd))?,
            SocketOption::TCP_USER_TIMEOUT => {
                nanos(Duration::from_millis(sockopt::tcp_user_timeout(fd)?.into()))
            }
            SocketOption::TCP_QUICKACK => bool(sockopt::tcp_quickack(fd))?,
            SocketOption::TCP_CORK => bool(sockopt::tcp_cork(fd))?,
            SocketOption::IP_TTL => int(sockopt::ip_ttl(fd))?,
            SocketOption::IP_TOS => int(sockopt::ip_tos(fd))?,
            SocketOption::IP_MULTICAST_TTL => int(sockopt::ip_multicast_ttl(fd))?,
            SocketOption::IP_MULTICAST_LOOP => bool(sockopt::ip_multicast_loop(fd))?,
            SocketOption::IP_MULTICAST_IF => sockopt::ip_multicast_if(fd)?.to_bits().into(),
            SocketOption::IPV6_V6ONLY => bool(sockopt::ipv6_v6only(fd))?,
            SocketOption::IPV6_UNICAST_HOPS => int(sockopt::ipv6_unicast_hops(fd))?,
            SocketOption::IPV6_MULTICAST_HOPS => int(sockopt::ipv6_multicast_hops(fd))?,
            SocketOption::IPV6_MULTICAST_LOOP => bool(sockopt::ipv6_multicast_loop(fd))?,
            SocketOption::IPV6_MULTICAST_IF => int(sockopt::ipv6_multicast_if(fd))?,
            SocketOption::IPV6_TCLASS => int(sockopt::ipv6_tclass(fd))?,
            SocketOption::IPV6_RECV_HOP_LIMIT => {
                bool(nix_get(&fd, nix_option::Ipv6RecvHopLimit).map_err(from_nix))?
            }
            SocketOption::IPV6_RECV_TRAFFIC_CLASS => {
                bool(nix_get(&fd, nix_option::Ipv6RecvTClass).map_err(from_nix))?
            }
            _ => return Err(Failure::Abi(Errno::ENOPROTOOPT)),
        })
    }

    fn set(&self, option: SocketOption, value: i64) -> std::result::Result<(), Failure> {
        let fd = self.as_fd();
        let on = value != 0;
        match option {
            SocketOption::REUSE_ADDR if self.is_udp() => {
                self.ask_reuse(|reuse| reuse.address = on)?;
            }
            SocketOption::REUSE_PORT if self.is_udp() => self.ask_reuse(|reuse| reuse.port = on)?,
            SocketOption::REUSE_PORT if self.family() != Family::Unix => {
                self.state().reuse.port = on;
                self.settle_stream_reuse()?;
            }
            SocketOption::REUSE_ADDR => sockopt::set_socket_reuseaddr(fd, on)?,
            SocketOption::REUSE_PORT => sockopt::set_socket_reuseport(fd, on)?,
            SocketOption::KEEPALIVE => sockopt::set_socket_keepalive(fd, on)?,
            SocketOption::BROADCAST => sockopt::set_socket_broadcast(fd, on)?,
            SocketOption::LINGER => {
                let time = match value {
                    -1 => None,
                    seconds => Some(Duration::from_secs(non_negative_int(seconds)?.into())),
                };
                // Before the call: Drop must know of every value that is set.
                self.set_lingers();
                sockopt::set_socket_linger(fd, time)?;
            }
            SocketOption::RECV_BUFFER => {
                sockopt::set_socket_recv_buffer_size(fd, non_negative_int(value)? as usize)?;
            }
            SocketOption::SEND_BUFFER => {
                sockopt::set_socket_send_buffer_size(fd, non_negative_int(value)? as usize)?;
            }
            SocketOption::OOB_INLINE => sockopt::set_socket_oobinline(fd, on)?,
            SocketOption::TCP_NODELAY => sockopt::set_tcp_nodelay(fd, on)?,
            SocketOption::TCP_KEEPIDLE => sockopt::set_tcp_keepidle(fd, duration(value)?)?,
            SocketOption::TCP_KEEPINTVL => sockopt::set_tcp_keepintvl(fd, duration(value)?)?,
            SocketOption::TCP_KEEPCNT => sockopt::set_tcp_keepcnt(fd, non_negative_int(value)?)?,
            SocketOption::TCP_USER_TIMEOUT => {
                let millis = duration(value)?.as_nanos().div_ceil(1_000_000);
                let millis = i64::try_from(millis).map_err(|_| Failure::Abi(Errno::EINVAL))?;
                sockopt::set_tcp_user_timeout(fd, non_negative_int(millis)?)?;
            }
            SocketOption::TCP_QUICKACK => sockopt::set_tcp_quickack(fd, on)?,
            SocketOption::TCP_CORK => sockopt::set_tcp_cork(fd, on)?,
            SocketOption::IP_TTL => sockopt::set_ip_ttl(fd, non_negative_int(value)?)?,
            SocketOption::IP_TOS => sockopt::set_ip_tos(fd, fits(value)?)?,
            SocketOption::IP_MULTICAST_TTL => {
                sockopt::set_ip_multicast_ttl(fd, non_negative_int(value)?)?;
            }
            SocketOption::IP_MULTICAST_LOOP => sockopt::set_ip_multicast_loop(fd, on)?,
            SocketOption::IP_MULTICAST_IF => {
                sockopt::set_ip_multicast_if(fd, &Ipv4Addr::from_bits(fits(value)?))?;
            }
            // It decides what may be bound. The kernel forbids changing it only while there is a port, which a stream
            // may lose.
            SocketOption::IPV6_V6ONLY
                if self.state().grant.bound.is_some() && self.family() == Family::V6 =>
            {
                return Err(Failure::Abi(Errno::EINVAL));
            }
            SocketOption::IPV6_V6ONLY => sockopt::set_ipv6_v6only(fd, on)?,
            SocketOption::IPV6_UNICAST_HOPS => {
                // -1 is the system's default (ipv6(7)).
                let hops = match value {
                    -1 => None,
                    hops => Some(fits(hops)?),
                };
                sockopt::set_ipv6_unicast_hops(fd, hops)?;
            }
            SocketOption::IPV6_MULTICAST_HOPS => {
                sockopt::set_ipv6_multicast_hops(fd, non_negative_int(value)?)?;
            }
            SocketOption::IPV6_MULTICAST_LOOP => sockopt::set_ipv6_multicast_loop(fd, on)?,
            SocketOption::IPV6_MULTICAST_IF => {
                sockopt::set_ipv6_multicast_if(fd, non_negative_int(value)?)?;
            }
            SocketOption::IPV6_TCLASS => sockopt::set_ipv6_tclass(fd, non_negative_int(value)?)?,
            SocketOption::IPV6_RECV_HOP_LIMIT => {
                nix_set(&fd, nix_option::Ipv6RecvHopLimit, &on).map_err(from_nix)?;
            }
            SocketOption::IPV6_RECV_TRAFFIC_CLASS => {
                nix_set(&fd, nix_option::Ipv6RecvTClass, &on).map_err(from_nix)?;
            }
            _ => return Err(Failure::Abi(Errno::ENOPROTOOPT)),
        }
        Ok(())
    }
}

fn bool(value: Result<bool>) -> Result<i64> {
    value.map(i64::from)
}

fn int(value: Result<impl TryInto<i64>>) -> Result<i64> {
    value.map(|value| value.try_into().unwrap_or(i64::MAX))
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)
}

fn duration(value: i64) -> std::result::Result<Duration, Failure> {
    let nanos = u64::try_from(value).map_err(|_| Failure::Abi(Errno::EINVAL))?;
    Ok(Duration::from_nanos(nanos))
}

/// A C `int` that is not negative.
fn non_negative_int(value: i64) -> std::result::Result<u32, Failure> {
    let int = i32::try_from(value).ok();
    int.and_then(|int| u32::try_from(int).ok())
        .ok_or(Failure::Abi(Errno::EINVAL))
}

fn fits<T: TryFrom<i64>>(value: i64) -> std::result::Result<T, Failure> {
    T::try_from(value).map_err(|_| Failure::Abi(Errno::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::{Errno, Socket, SocketOption};
    use wasisocket_abi::v1::AF_UNIX;
    use wasisocket_abi::{AF_INET, AF_INET6, SOCK_DGRAM, SOCK_STREAM};

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn options_are_told_as_they_were_set() {
        let stream = Socket::open(AF_INET, SOCK_STREAM, 0).unwrap();
        let stream6 = Socket::open(AF_INET6, SOCK_STREAM, 0).unwrap();
        let datagrams = Socket::open(AF_INET, SOCK_DGRAM, 0).unwrap();
        let datagrams6 = Socket::open(AF_INET6, SOCK_DGRAM, 0).unwrap();
        for (socket, option, set, told) in [
            (&stream, SocketOption::REUSE_ADDR, 7, 1),
            (&stream, SocketOption::REUSE_PORT, 1, 1),
            (&stream, SocketOption::KEEPALIVE, 1, 1),
            (&stream, SocketOption::LINGER, 5, 5),
            (&stream, SocketOption::LINGER, 0, 0),
            (&stream, SocketOption::LINGER, -1, -1),
            (&stream, SocketOption::RECV_BUFFER, 8192, 16384),
            (&stream, SocketOption::OOB_INLINE, 1, 1),
            (&stream, SocketOption::TCP_NODELAY, 1, 1),
            (&stream, SocketOption::TCP_KEEPIDLE, SECOND + 1, 2 * SECOND),
            (&stream, SocketOption::TCP_KEEPINTVL, 3 * SECOND, 3 * SECOND),
            (&stream, SocketOption::TCP_KEEPCNT, 4, 4),
            (&stream, SocketOption::TCP_USER_TIMEOUT, 1, 1_000_000),
            (&stream, SocketOption::IP_TTL, 9, 9),
            (&stream, SocketOption::IP_TOS, 16, 16),
            (&datagrams, SocketOption::BROADCAST, 1, 1),
            (&datagrams, SocketOption::IP_MULTICAST_TTL, 2, 2),
            (&datagrams, SocketOption::IP_MULTICAST_LOOP, 0, 0),
            (
                &datagrams,
                SocketOption::IP_MULTICAST_IF,
                0x7f00_0001,
                0x7f00_0001,
            ),
            (&stream6, SocketOption::IPV6_V6ONLY, 1, 1),
            (&stream6, SocketOption::IPV6_UNICAST_HOPS, 3, 3),
            (&stream6, SocketOption::IPV6_TCLASS, 4, 4),
            (&datagrams6, SocketOption::IPV6_RECV_HOP_LIMIT, 7, 1),
            (&datagrams6, SocketOption::IPV6_RECV_HOP_LIMIT, 0, 0),
            (&datagrams6, SocketOption::IPV6_RECV_TRAFFIC_CLASS, 1, 1),
        ] {
            socket.set_option(option, set).unwrap();
            assert_eq!(socket.option(option), Ok(told), "{option:?} {set}");
        }
        assert_eq!(stream.option(SocketOption::ERROR), Ok(0));
        assert_eq!(stream.option(SocketOption::ACCEPTING), Ok(0));
    }

    #[test]
    fn what_does_not_fit_is_invalid_and_what_is_not_there_has_no_option() {
        let stream = Socket::open(AF_INET, SOCK_STREAM, 0).unwrap();
        for option in [
            SocketOption::LINGER,
            SocketOption::RECV_BUFFER,
            SocketOption::TCP_KEEPIDLE,
            SocketOption::TCP_KEEPCNT,
            SocketOption::TCP_USER_TIMEOUT,
            SocketOption::IP_TTL,
            SocketOption::IP_TOS,
            SocketOption::IP_MULTICAST_IF,
        ] {
            for value in [i64::MIN, -2, i64::MAX] {
                assert_eq!(
                    stream.set_option(option, value),
                    Err(Errno::EINVAL),
                    "{option:?} {value}"
                );
            }
        }
        let datagrams = Socket::open(AF_INET, SOCK_DGRAM, 0).unwrap();
        let local = Socket::open(AF_UNIX, SOCK_STREAM, 0).unwrap();
        for (socket, option) in [
            (&stream, SocketOption(0)),
            (&stream, SocketOption(u32::MAX)),
            (&stream, SocketOption::IPV6_V6ONLY),
            (&datagrams, SocketOption::TCP_NODELAY),
            (&datagrams, SocketOption::IPV6_RECV_HOP_LIMIT),
            (&local, SocketOption::IPV6_RECV_TRAFFIC_CLASS),
            (&local, SocketOption::TCP_NODELAY),
            (&local, SocketOption::IP_TTL),
        ] {
            assert_eq!(socket.set_option(option, 1), Err(Errno::ENOPROTOOPT));
            assert_eq!(socket.option(option), Err(Errno::ENOPROTOOPT));
        }
        for option in [
            SocketOption::ERROR,
            SocketOption::ACCEPTING,
            SocketOption::READABLE,
        ] {
            assert_eq!(stream.set_option(option, 1), Err(Errno::ENOPROTOOPT));
        }
    }

    #[test]
    fn every_named_option_is_there() {
        let sockets = [
            (AF_INET, SOCK_STREAM),
            (AF_INET6, SOCK_STREAM),
            (AF_INET, SOCK_DGRAM),
            (AF_INET6, SOCK_DGRAM),
        ]
        .map(|(family, kind)| Socket::open(family, kind, 0).unwrap());
        for (option, name) in SocketOption::NAMED {
            assert!(
                sockets.iter().any(|socket| {
                    let told = socket.option(*option);
                    // FIONREAD of a stream that is not connected is EINVAL.
                    told.is_ok() || told == Err(Errno::EINVAL)
                }),
                "{name}"
            );
        }
    }
}
