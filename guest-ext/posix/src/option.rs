//! Socket options: from C's level and name to the host's typed options.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use wasisocket_abi::v1::SocketOption;

use crate::descriptors::{self, RawFd};
use crate::host::{FOREVER, Host as _, Imp};
use crate::sys::*;
use crate::{Errno, Family, Result, Type};

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;
const MICROSECOND: i64 = 1_000;

/// The form of an option's value in C, and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `int`.
    Int,
    /// `int`, a time in units of so many nanoseconds.
    Time { unit: i64 },
    /// `int`, or `u_char`, which Python and BSD use: ip(7), IP_MULTICAST_TTL.
    Byte,
    /// `struct linger`.
    Linger,
    /// `struct in_addr`, or one of the longer structs that contain one.
    Interface,
}

/// The host's option, and its form in C. ENOPROTOOPT for any other.
fn lookup(level: i32, name: i32) -> Result<(SocketOption, Form)> {
    use SocketOption as Opt;
    let seconds = Form::Time { unit: SECOND };
    let milliseconds = Form::Time { unit: MILLISECOND };
    Ok(match (level, name) {
        (SOL_SOCKET, SO_ERROR) => (Opt::ERROR, Form::Int),
        (SOL_SOCKET, SO_ACCEPTCONN) => (Opt::ACCEPTING, Form::Int),
        (SOL_SOCKET, SO_REUSEADDR) => (Opt::REUSE_ADDR, Form::Int),
        (SOL_SOCKET, SO_REUSEPORT) => (Opt::REUSE_PORT, Form::Int),
        (SOL_SOCKET, SO_KEEPALIVE) => (Opt::KEEPALIVE, Form::Int),
        (SOL_SOCKET, SO_BROADCAST) => (Opt::BROADCAST, Form::Int),
        (SOL_SOCKET, SO_LINGER) => (Opt::LINGER, Form::Linger),
        (SOL_SOCKET, SO_RCVBUF) => (Opt::RECV_BUFFER, Form::Int),
        (SOL_SOCKET, SO_SNDBUF) => (Opt::SEND_BUFFER, Form::Int),
        (SOL_SOCKET, SO_OOBINLINE) => (Opt::OOB_INLINE, Form::Int),
        (IPPROTO_TCP, TCP_NODELAY) => (Opt::TCP_NODELAY, Form::Int),
        (IPPROTO_TCP, TCP_KEEPIDLE) => (Opt::TCP_KEEPIDLE, seconds),
        (IPPROTO_TCP, TCP_KEEPINTVL) => (Opt::TCP_KEEPINTVL, seconds),
        (IPPROTO_TCP, TCP_KEEPCNT) => (Opt::TCP_KEEPCNT, Form::Int),
        (IPPROTO_TCP, TCP_USER_TIMEOUT) => (Opt::TCP_USER_TIMEOUT, milliseconds),
        (IPPROTO_TCP, TCP_QUICKACK) => (Opt::TCP_QUICKACK, Form::Int),
        (IPPROTO_TCP, TCP_CORK) => (Opt::TCP_CORK, Form::Int),
        (IPPROTO_IP, IP_TTL) => (Opt::IP_TTL, Form::Byte),
        (IPPROTO_IP, IP_TOS) => (Opt::IP_TOS, Form::Byte),
        (IPPROTO_IP, IP_MULTICAST_TTL) => (Opt::IP_MULTICAST_TTL, Form::Byte),
        (IPPROTO_IP, IP_MULTICAST_LOOP) => (Opt::IP_MULTICAST_LOOP, Form::Byte),
        (IPPROTO_IP, IP_MULTICAST_IF) => (Opt::IP_MULTICAST_IF, Form::Interface),
        (IPPROTO_IPV6, IPV6_V6ONLY) => (Opt::IPV6_V6ONLY, Form::Int),
        (IPPROTO_IPV6, IPV6_UNICAST_HOPS) => (Opt::IPV6_UNICAST_HOPS, Form::Int),
        (IPPROTO_IPV6, IPV6_MULTICAST_HOPS) => (Opt::IPV6_MULTICAST_HOPS, Form::Int),
        (IPPROTO_IPV6, IPV6_MULTICAST_LOOP) => (Opt::IPV6_MULTICAST_LOOP, Form::Int),
        (IPPROTO_IPV6, IPV6_MULTICAST_IF) => (Opt::IPV6_MULTICAST_IF, Form::Int),
        (IPPROTO_IPV6, IPV6_TCLASS) => (Opt::IPV6_TCLASS, Form::Int),
        (IPPROTO_IPV6, IPV6_RECVHOPLIMIT) => (Opt::IPV6_RECV_HOP_LIMIT, Form::Int),
        (IPPROTO_IPV6, IPV6_RECVTCLASS) => (Opt::IPV6_RECV_TRAFFIC_CLASS, Form::Int),
        _ => return Err(Errno(libc::ENOPROTOOPT)),
    })
}

/// The `N` bytes at the start, or EINVAL: the value is too short.
fn field<const N: usize>(value: &[u8], at: usize) -> Result<[u8; N]> {
    value
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(Errno(libc::EINVAL))
}

fn int(value: &[u8]) -> Result<i32> {
    field(value, 0).map(i32::from_ne_bytes)
}

/// The size of a `struct timeval`.
const TIMEVAL: usize = 16;
/// The size of one of two `long`s, as programs pack it by `struct.pack("ll", ...)`.
const LONGS: usize = 8;

/// Converts a `struct timeval` to a timeout of the host; zeros mean no timeout. EDOM for an invalid time, as on Linux.
fn from_timeval(value: &[u8]) -> Result<i64> {
    let (seconds, microseconds) = match value.len() {
        LONGS => (
            i32::from_ne_bytes(field(value, 0)?).into(),
            i32::from_ne_bytes(field(value, 4)?).into(),
        ),
        _ => (
            i64::from_ne_bytes(field(value, 0)?),
            i64::from_ne_bytes(field(value, 8)?),
        ),
    };
    if !(0..1_000_000).contains(&microseconds) {
        return Err(Errno(libc::EDOM));
    }
    Ok(match (seconds, microseconds) {
        (0, 0) => FOREVER,
        // A negative time does not wait, as on Linux; 1 ns is the shortest timeout that is not "none".
        (..0, _) => 1,
        _ => seconds
            .saturating_mul(SECOND)
            .saturating_add(microseconds.saturating_mul(MICROSECOND)),
    })
}

/// `int setsockopt(int fd, int level, int name, const void *value, socklen_t length)`: setsockopt(2).
///
/// # Errors
/// ENOPROTOOPT for an unknown option; EINVAL for a value that is too short or out of range.
pub fn setsockopt(fd: RawFd, level: i32, name: i32, value: &[u8]) -> Result<()> {
    let descriptor = descriptors::get(fd)?;
    descriptor.socket()?;
    let description = &descriptor.description;
    match (level, name) {
        (SOL_SOCKET, SO_RCVTIMEO | SO_SNDTIMEO) if !Imp::CAN_WAIT => {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        (SOL_SOCKET, SO_RCVTIMEO) => {
            description.recv_timeout.set(from_timeval(value)?);
            return Ok(());
        }
        (SOL_SOCKET, SO_SNDTIMEO) => {
            description.send_timeout.set(from_timeval(value)?);
            return Ok(());
        }
        (SOL_SOCKET, SO_ERROR | SO_ACCEPTCONN | SO_TYPE | SO_DOMAIN | SO_PROTOCOL) => {
            return Err(Errno(libc::ENOPROTOOPT));
        }
        (IPPROTO_IP, IP_ADD_MEMBERSHIP | IP_DROP_MEMBERSHIP) => {
            let join = name == IP_ADD_MEMBERSHIP;
            return Ok(Imp::membership(descriptor.handle, join, ip_mreq(value)?)?);
        }
        (IPPROTO_IPV6, IPV6_JOIN_GROUP | IPV6_LEAVE_GROUP) => {
            let join = name == IPV6_JOIN_GROUP;
            return Ok(Imp::membership(descriptor.handle, join, ipv6_mreq(value)?)?);
        }
        _ => {}
    }
    let (option, form) = lookup(level, name)?;
    let value = match form {
        Form::Int => i64::from(int(value)?),
        Form::Byte => match value {
            [byte, rest @ ..] if rest.len() < 3 => i64::from(*byte),
            _ => i64::from(int(value)?),
        },
        Form::Time { unit } => i64::from(int(value)?).saturating_mul(unit),
        Form::Linger => match int(value)? {
            0 => -1,
            _ => i64::from(i32::from_ne_bytes(field(value, 4)?).max(0)),
        },
        // In struct ip_mreq and ip_mreqn the interface's address is the second field; in_addr is the address.
        Form::Interface => {
            let at = if value.len() >= 8 { 4 } else { 0 };
            i64::from(u32::from_be_bytes(field(value, at)?))
        }
    };
    Ok(Imp::setsockopt(descriptor.handle, option, value)?)
}

/// The group and the interface of `struct ip_mreq`, or of `struct ip_mreqn` without an index: ip(7).
fn ip_mreq(value: &[u8]) -> Result<[SocketAddr; 2]> {
    let [group, interface] = [field::<4>(value, 0)?, field::<4>(value, 4)?];
    Ok([(group, 0).into(), (interface, 0).into()])
}

/// The group and the interface of `struct ipv6_mreq`: ipv6(7).
fn ipv6_mreq(value: &[u8]) -> Result<[SocketAddr; 2]> {
    let group = SocketAddr::from((field::<16>(value, 0)?, 0));
    let index = u32::from_ne_bytes(field(value, 16)?);
    let interface = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, index);
    Ok([group, interface.into()])
}

/// Size of the longest value: `struct timeval`.
pub const VALUE_MAX: usize = TIMEVAL;

/// `int getsockopt(int fd, int level, int name, void *value, socklen_t *length)`: getsockopt(2), with room for so many
/// bytes. Returns the value and its length.
///
/// # Errors
/// ENOPROTOOPT for an unknown option.
pub fn getsockopt(
    fd: RawFd,
    level: i32,
    name: i32,
    room: usize,
) -> Result<([u8; VALUE_MAX], usize)> {
    let descriptor = descriptors::get(fd)?;
    let (family, ty) = descriptor.socket()?;
    let description = &descriptor.description;
    match (level, name) {
        (SOL_SOCKET, SO_TYPE) => return Ok(ints([ty.to_c()])),
        (SOL_SOCKET, SO_DOMAIN) => return Ok(ints([family.to_c()])),
        (SOL_SOCKET, SO_PROTOCOL) => return Ok(ints([protocol(family, ty)])),
        (SOL_SOCKET, SO_RCVTIMEO) => return Ok(to_timeval(description.recv_timeout.get(), room)),
        (SOL_SOCKET, SO_SNDTIMEO) => return Ok(to_timeval(description.send_timeout.get(), room)),
        _ => {}
    }
    let (option, form) = lookup(level, name)?;
    let value = Imp::getsockopt(descriptor.handle, option)?;
    let int = |value: i64| i32::try_from(value).map_err(|_| Errno::EIO);
    Ok(match form {
        Form::Int | Form::Byte if option == SocketOption::ERROR => {
            let error = u32::try_from(value).map_err(|_| Errno::EIO)?;
            match error {
                0 => ints([0]),
                error => ints([Errno::from(wasisocket_abi::Errno(error)).0]),
            }
        }
        Form::Int | Form::Byte => ints([int(value)?]),
        Form::Time { unit } => ints([int(value.checked_div(unit).unwrap_or(0))?]),
        Form::Linger if value < 0 => ints([0, 0]),
        Form::Linger => ints([1, int(value)?]),
        Form::Interface => ints([i32::from_ne_bytes((value as u32).to_be_bytes())]),
    })
}

/// The protocol of a socket of this family and type.
#[must_use]
pub fn protocol(family: Family, ty: Type) -> i32 {
    match (family, ty) {
        (Family::Unix, _) => 0,
        (_, Type::Stream) => IPPROTO_TCP,
        (_, Type::Datagram) => IPPROTO_UDP,
        (_, Type::DatagramLite) => IPPROTO_UDPLITE,
    }
}

fn ints<const N: usize>(values: [i32; N]) -> ([u8; VALUE_MAX], usize) {
    let mut bytes = [0; VALUE_MAX];
    for (room, value) in bytes.chunks_exact_mut(4).zip(values) {
        room.copy_from_slice(&value.to_ne_bytes());
    }
    (bytes, N.saturating_mul(4))
}

fn to_timeval(timeout: i64, room: usize) -> ([u8; VALUE_MAX], usize) {
    let nanoseconds = timeout.max(0);
    let seconds = nanoseconds.checked_div(SECOND).unwrap_or(0);
    let rest = nanoseconds.checked_rem(SECOND).unwrap_or(0);
    let microseconds = rest.checked_div(MICROSECOND).unwrap_or(0);
    if room == LONGS {
        return ints([seconds as i32, microseconds as i32]);
    }
    let mut bytes = [0; VALUE_MAX];
    for (room, value) in bytes.chunks_exact_mut(8).zip([seconds, microseconds]) {
        room.copy_from_slice(&value.to_ne_bytes());
    }
    (bytes, VALUE_MAX)
}

/// How many bytes can be read without waiting: ioctl(2), FIONREAD.
///
/// # Errors
/// EINVAL for a listening socket, as on Linux.
pub fn readable(fd: RawFd) -> Result<i32> {
    let descriptor = descriptors::get(fd)?;
    descriptor.socket()?;
    let value = Imp::getsockopt(descriptor.handle, SocketOption::READABLE)?;
    i32::try_from(value).map_err(|_| Errno::EIO)
}

#[cfg(test)]
mod tests {
    use super::{FOREVER, from_timeval, to_timeval};
    use crate::Errno;

    fn value(seconds: i64, microseconds: i64) -> Vec<u8> {
        [seconds.to_ne_bytes(), microseconds.to_ne_bytes()].concat()
    }

    #[test]
    fn timeouts_are_read_and_written() {
        assert_eq!(from_timeval(&value(1, 500_000)), Ok(1_500_000_000));
        assert_eq!(from_timeval(&value(i64::MAX, 0)), Ok(i64::MAX));
        assert_eq!(from_timeval(&value(0, 0)), Ok(FOREVER));
        assert_eq!(from_timeval(&value(-1, 0)), Ok(1));
        assert_eq!(from_timeval(&value(0, 1_000_000)), Err(Errno(libc::EDOM)));
        assert_eq!(from_timeval(&value(0, -1)), Err(Errno(libc::EDOM)));
        assert_eq!(from_timeval(&value(0, 1)[..15]), Err(Errno(libc::EINVAL)));
        let (bytes, length) = to_timeval(1_500_000_000, 16);
        assert_eq!(bytes[..length], value(1, 500_000));
        assert_eq!(to_timeval(FOREVER, 16).0, [0; 16]);
        let longs = [1_i32.to_ne_bytes(), 500_000_i32.to_ne_bytes()].concat();
        assert_eq!(from_timeval(&longs), Ok(1_500_000_000));
        let (bytes, length) = to_timeval(1_500_000_000, 8);
        assert_eq!(bytes[..length], longs);
    }
}
