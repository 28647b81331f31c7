//! The calls that the core six carry. All of them block.

use core::mem::MaybeUninit;
use std::net::SocketAddr;

use wasisocket_abi::{CoreSocketAddr, RESOLVE_MAX};

use crate::{Errno, Result, host};

/// A file descriptor, `int` in C. Those of sockets are the host's handles.
pub type RawFd = i32;

/// `int socket(int domain, int type, int protocol)` with protocol 0: socket(2).
///
/// `family` and `ty` are the ABI's numbers ([`wasisocket_abi::AF_INET`]...), not wasi-libc's.
///
/// # Errors
/// EAFNOSUPPORT, EINVAL for an unknown family or type; EMFILE past the host's limit of open sockets.
pub fn socket(family: u32, ty: u32) -> Result<RawFd> {
    RawFd::try_from(host::open(family, ty)?).map_err(|_| Errno::EIO)
}

/// The addresses of `name`, at most `max`, in the host's order: getaddrinfo(3) without its hints.
///
/// # Errors
/// EACCES without a grant, ENOENT for an unknown name, EAGAIN for a failure that may pass, EIO.
pub fn resolve(name: &[u8], port: u16, max: usize) -> Result<Vec<SocketAddr>> {
    let mut entries = [CoreSocketAddr::default(); RESOLVE_MAX];
    let room = entries.get_mut(..max.min(RESOLVE_MAX)).unwrap_or_default();
    let count = host::resolve(name, port, room)?;
    let filled = room.get(..count).ok_or(Errno::EIO)?;
    filled
        .iter()
        .map(|entry| Ok(SocketAddr::try_from(*entry)?))
        .collect()
}

/// `int connect(int fd, const struct sockaddr *address, socklen_t length)`: connect(2).
///
/// # Errors
/// EACCES without a grant, ECONNREFUSED, ETIMEDOUT, EISCONN... as on Linux.
pub fn connect(fd: RawFd, address: &SocketAddr) -> Result<()> {
    Ok(host::connect(fd, &(*address).into())?)
}

/// `ssize_t send(int fd, const void *data, size_t length, int flags)` without flags: send(2).
/// Returns how many bytes the host took, which may be fewer than were given.
///
/// # Errors
/// EPIPE, ECONNRESET, EDESTADDRREQ... as on Linux.
pub fn send(fd: RawFd, data: &[u8]) -> Result<usize> {
    let sent = host::send(fd, data)?;
    if sent > data.len() {
        Err(Errno::EIO)
    } else {
        Ok(sent)
    }
}

/// `ssize_t recv(int fd, void *buffer, size_t length, int flags)` without flags: recv(2).
/// Returns how many bytes at the start of `buffer` are now initialised; on a stream 0 is its end.
///
/// # Errors
/// ECONNRESET, ENOTCONN... as on Linux.
pub fn recv(fd: RawFd, buffer: &mut [MaybeUninit<u8>]) -> Result<usize> {
    // As CPython's sock_recv: Linux would wait for data even so, and lose a datagram.
    if buffer.is_empty() {
        return Ok(0);
    }
    let received = host::recv(fd, buffer)?;
    if received > buffer.len() {
        Err(Errno::EIO)
    } else {
        Ok(received)
    }
}

/// `int close(int fd)` for a socket: close(2).
///
/// # Errors
/// EBADF.
pub fn close(fd: RawFd) -> Result<()> {
    Ok(host::close(fd)?)
}

#[cfg(test)]
mod tests {
    use super::{close, connect, recv, resolve, send, socket};
    use crate::Errno;
    use core::mem::MaybeUninit;
    use std::net::SocketAddr;
    use wasisocket_abi::{AF_INET, SOCK_STREAM};

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    #[test]
    fn what_was_sent_comes_back() {
        let fd = socket(AF_INET, SOCK_STREAM).unwrap();
        connect(fd, &address(80)).unwrap();
        assert_eq!(send(fd, b"abc"), Ok(3));
        let mut buffer = [MaybeUninit::uninit(); 2];
        assert_eq!(recv(fd, &mut buffer), Ok(2));
        assert_eq!(recv(fd, &mut buffer), Ok(1));
        assert_eq!(close(fd), Ok(()));
    }

    #[test]
    fn host_errors_arrive_as_the_guests_own() {
        let fd = socket(AF_INET, SOCK_STREAM).unwrap();
        assert_eq!(connect(fd, &address(1)), Err(Errno(libc::ECONNREFUSED)));
        assert_eq!(
            recv(fd, &mut [MaybeUninit::uninit()]),
            Err(Errno(libc::ENOTCONN))
        );
        assert_eq!(recv(fd, &mut []), Ok(0));
        assert_eq!(close(fd), Ok(()));
        assert_eq!(close(fd), Err(Errno(libc::EBADF)));
        assert_eq!(resolve(b"nowhere", 80, 10), Err(Errno(libc::ENOENT)));
    }

    #[test]
    fn resolve_returns_no_more_than_was_asked_for() {
        assert_eq!(resolve(b"localhost", 80, 10).unwrap().len(), 2);
        assert_eq!(resolve(b"localhost", 80, 1).unwrap(), [address(80)]);
        assert_eq!(resolve(b"localhost", 80, 0).unwrap(), []);
    }
}
