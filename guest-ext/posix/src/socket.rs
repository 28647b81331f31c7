//! Opening, connecting, closing. One function is one POSIX call.

use std::rc::Rc;

use wasisocket_abi::v1;

use crate::descriptors::{
    self, Description, Descriptor, Family, GONE, Kind, PLACES_MAX, RawFd, Type,
};
use crate::host::{Address, Host as _, Imp};
use crate::sys::{IPPROTO_UDPLITE, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_NONBLOCK};
use crate::unix::{absolute, as_spelled};
use crate::{Errno, Result, locks};

fn insert(handle: u32, kind: Kind, flags: i32) -> Result<RawFd> {
    let description = Description::new(kind);
    description.nonblocking.set(flags & SOCK_NONBLOCK != 0);
    descriptors::insert(handle, Rc::new(description), flags & SOCK_CLOEXEC != 0)
}

/// EINVAL for anything but SOCK_NONBLOCK and SOCK_CLOEXEC; EOPNOTSUPP for a non-blocking socket on a host whose calls
/// always block.
fn can_keep(flags: i32) -> Result<()> {
    match flags {
        _ if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 => Err(Errno(libc::EINVAL)),
        _ if flags & SOCK_NONBLOCK != 0 && !Imp::CAN_WAIT => Err(Errno(libc::EOPNOTSUPP)),
        _ => Ok(()),
    }
}

/// `int socket(int domain, int type, int protocol)`: socket(2).
///
/// # Errors
/// EAFNOSUPPORT; EMFILE past the host's limit of open sockets.
pub fn socket(family: Family, ty: Type, flags: i32) -> Result<RawFd> {
    can_keep(flags)?;
    let protocol = match ty {
        Type::DatagramLite => IPPROTO_UDPLITE as u32,
        _ => 0,
    };
    let handle = Imp::open(family.to_abi(), ty.to_abi(), protocol)?;
    insert(handle, Kind::Socket(family, ty), flags)
}

/// `int socketpair(int domain, int type, int protocol, int sv[2])`: socketpair(2). Needs no grant.
///
/// # Errors
/// EMFILE.
pub fn socketpair(ty: Type, flags: i32) -> Result<[RawFd; 2]> {
    can_keep(flags)?;
    let [first, second] = Imp::pair(ty.to_abi())?;
    let kind = Kind::Socket(Family::Unix, ty);
    both(insert(first, kind, flags), insert(second, kind, flags))
}

/// `int pipe2(int pipefd[2], int flags)`: pipe(2), the end to read from and the end to write to.
///
/// They are two connected sockets, and calls in the other direction are refused here, not by the host: if the host shut
/// that direction down, the end to write to would be readable, which to event loops means that the other end is closed.
///
/// # Errors
/// EMFILE.
pub fn pipe(flags: i32) -> Result<[RawFd; 2]> {
    can_keep(flags)?;
    let [read, write] = Imp::pair(Type::Stream.to_abi())?;
    both(
        insert(read, Kind::Pipe { readable: true }, flags),
        insert(write, Kind::Pipe { readable: false }, flags),
    )
}

/// Two descriptors, or neither.
fn both(first: Result<RawFd>, second: Result<RawFd>) -> Result<[RawFd; 2]> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok([first, second]),
        (Ok(fd), Err(error)) | (Err(error), Ok(fd)) => {
            close(fd)?;
            Err(error)
        }
        (Err(error), Err(_)) => Err(error),
    }
}

/// Another handle of what a descriptor stands for; of a file there is none to duplicate.
fn dup_handle(descriptor: &Descriptor) -> Result<u32> {
    match descriptor.handle {
        GONE if descriptor.description.has_handle() => Err(Errno(libc::EBADF)),
        GONE => Ok(GONE),
        handle => Ok(Imp::dup(handle)?),
    }
}

/// `int dup(int fd)`: dup(2).
///
/// # Errors
/// EMFILE; EBADF.
pub fn dup(fd: RawFd) -> Result<RawFd> {
    let descriptor = descriptors::any(fd)?;
    let handle = dup_handle(&descriptor)?;
    descriptors::insert(handle, descriptor.description, false)
}

/// `int fcntl(int fd, F_DUPFD, int lowest)`: fcntl(2): the copy's number is `lowest` or above.
///
/// # Errors
/// EMFILE; EINVAL for a negative number or one above all that there can be; EBADF.
pub fn dup_above(fd: RawFd, lowest: RawFd, cloexec: bool) -> Result<RawFd> {
    let descriptor = descriptors::any(fd)?;
    if !usize::try_from(lowest).is_ok_and(|lowest| lowest < PLACES_MAX) {
        return Err(Errno(libc::EINVAL));
    }
    let free = (lowest..).find(|fd| !descriptors::is_open(*fd));
    let free = free.ok_or(Errno(libc::EMFILE))?;
    let handle = dup_handle(&descriptor)?;
    let copy = descriptors::insert_at(free, handle, descriptor.description);
    let copy = copy.map_err(|_| Errno(libc::EMFILE))?;
    descriptors::set_cloexec(copy, cloexec)?;
    Ok(copy)
}

/// `int dup2(int fd, int target)`: dup2(2).
///
/// # Errors
/// EBADF, also for a number above all that there can be; EMFILE.
pub fn dup2(fd: RawFd, target: RawFd) -> Result<RawFd> {
    let descriptor = descriptors::any(fd)?;
    if fd == target {
        return Ok(fd);
    }
    if !usize::try_from(target).is_ok_and(|target| target < PLACES_MAX) {
        return Err(Errno(libc::EBADF));
    }
    let handle = dup_handle(&descriptor)?;
    // What it stood for is closed silently: dup2(2).
    let _ = close(target);
    descriptors::insert_at(target, handle, descriptor.description)
}

/// `int close(int fd)`: close(2).
///
/// # Errors
/// EBADF.
pub fn close(fd: RawFd) -> Result<()> {
    let removed = descriptors::remove(fd)?;
    if let Some(file) = removed.description.number() {
        locks::closes(file);
    }
    match removed.handle {
        GONE => Ok(()),
        handle => Ok(Imp::close(handle)?),
    }
}

/// [`close`] of what is no file.
///
/// # Errors
/// EBADF.
pub fn close_handle(fd: RawFd) -> Result<()> {
    descriptors::get(fd).map_err(|error| error.for_file(libc::EBADF))?;
    close(fd)
}

/// The address that the host gets. EAFNOSUPPORT for an address of another family than the socket's, such as IPv4 for an
/// IPv6 socket (ipv6(7)).
pub(crate) fn address_for(kind: Kind, address: &Address) -> Result<Address> {
    match (kind.socket()?.0, address) {
        (Family::Inet, Address::Inet(inet)) if inet.is_ipv4() => {}
        (Family::Inet6, Address::Inet(inet)) if inet.is_ipv6() => {}
        (Family::Unix, Address::Unix(_)) | (_, Address::Unspecified) => {}
        _ => return Err(Errno(libc::EAFNOSUPPORT)),
    }
    absolute(address)
}

/// `int bind(int fd, const struct sockaddr *address, socklen_t length)`: bind(2).
///
/// # Errors
/// EACCES without a grant to listen there; EADDRINUSE, EADDRNOTAVAIL, EINVAL... as on Linux.
pub fn bind(fd: RawFd, address: &Address) -> Result<()> {
    let descriptor = descriptors::get(fd)?;
    let address = address_for(descriptor.description.kind, address)?;
    Ok(Imp::bind(descriptor.handle, &address)?)
}

/// `int listen(int fd, int backlog)`: listen(2). A negative backlog is 0, as on Linux.
///
/// # Errors
/// EACCES without a grant, for a socket that was not bound; EOPNOTSUPP.
pub fn listen(fd: RawFd, backlog: i32) -> Result<()> {
    let descriptor = descriptors::get(fd)?;
    descriptor.socket()?;
    Ok(Imp::listen(
        descriptor.handle,
        u32::try_from(backlog).unwrap_or(0),
    )?)
}

/// `int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)`: accept4(2).
/// Returns the peer's address too.
///
/// # Errors
/// EAGAIN if no connection is waiting and the socket does not block; EINVAL, EMFILE...
pub fn accept(fd: RawFd, flags: i32) -> Result<(RawFd, Address)> {
    can_keep(flags)?;
    let (handle, kind, timeout) = descriptors::to_receive(fd)?;
    let (family, _) = kind.socket()?;
    let (accepted, peer) = Imp::accept(handle, timeout)?;
    Ok((insert(accepted, kind, flags)?, named(family, peer)))
}

/// `int connect(int fd, const struct sockaddr *address, socklen_t length)`: connect(2).
///
/// # Errors
/// EACCES without a grant, EINPROGRESS from a socket that does not block, ECONNREFUSED, ETIMEDOUT,
/// EISCONN... as on Linux.
pub fn connect(fd: RawFd, address: &Address) -> Result<()> {
    let (handle, kind, timeout) = descriptors::to_send(fd)?;
    Ok(Imp::connect(handle, &address_for(kind, address)?, timeout)?)
}

/// `int shutdown(int fd, int how)`: shutdown(2).
///
/// # Errors
/// ENOTCONN; EINVAL if `how` is none of the `SHUT_` constants.
pub fn shutdown(fd: RawFd, how: i32) -> Result<()> {
    let how = match how {
        SHUT_RD => v1::SHUT_READ,
        SHUT_WR => v1::SHUT_WRITE,
        SHUT_RDWR => v1::SHUT_READ | v1::SHUT_WRITE,
        _ => return Err(Errno(libc::EINVAL)),
    };
    let descriptor = descriptors::get(fd)?;
    descriptor.socket()?;
    Ok(Imp::shutdown(descriptor.handle, how)?)
}

/// `int getsockname(int fd, struct sockaddr *address, socklen_t *length)`: getsockname(2).
///
/// # Errors
/// EBADF, ENOTSOCK.
pub fn getsockname(fd: RawFd) -> Result<Address> {
    let descriptor = descriptors::get(fd)?;
    let (family, _) = descriptor.socket()?;
    Ok(named(family, Imp::getsockname(descriptor.handle)?))
}

/// `int getpeername(int fd, struct sockaddr *address, socklen_t *length)`: getpeername(2).
///
/// # Errors
/// ENOTCONN.
pub fn getpeername(fd: RawFd) -> Result<Address> {
    let descriptor = descriptors::get(fd)?;
    let (family, _) = descriptor.socket()?;
    Ok(named(family, Imp::getpeername(descriptor.handle)?))
}

/// The address that a program gets: for a Unix socket without a name it consists of the family.
fn named(family: Family, address: Address) -> Address {
    match (family, address) {
        (Family::Unix, Address::Unspecified) => Address::Unix(v1::UnixAddr::UNNAMED),
        _ => as_spelled(address),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Address, Family, Type, close, connect, dup, getsockname, listen, socket, socketpair,
    };
    use crate::Errno;
    use crate::message::{recv, send};
    use crate::sys::{SO_KEEPALIVE, SOL_SOCKET};
    use core::mem::MaybeUninit;
    use std::net::SocketAddr;

    fn address(port: u16) -> Address {
        SocketAddr::from(([127, 0, 0, 1], port)).into()
    }

    fn receive(fd: i32, length: usize) -> crate::Result<usize> {
        let mut buffer = vec![MaybeUninit::uninit(); length];
        recv(fd, &mut buffer, 0)
    }

    #[test]
    fn what_was_sent_comes_back() {
        let fd = socket(Family::Inet, Type::Stream, 0).unwrap();
        connect(fd, &address(80)).unwrap();
        assert_eq!(send(fd, b"abc", 0), Ok(3));
        assert_eq!(receive(fd, 2), Ok(2));
        assert_eq!(receive(fd, 2), Ok(1));
        assert_eq!(close(fd), Ok(()));
    }

    #[test]
    fn host_errors_arrive_as_the_guests_own() {
        let fd = socket(Family::Inet, Type::Stream, 0).unwrap();
        assert_eq!(connect(fd, &address(1)), Err(Errno(libc::ECONNREFUSED)));
        assert_eq!(receive(fd, 1), Err(Errno(libc::ENOTCONN)));
        assert_eq!(receive(fd, 0), Ok(0));
        assert_eq!(close(fd), Ok(()));
        assert_eq!(close(fd), Err(Errno(libc::EBADF)));
        assert_eq!(
            crate::netdb::resolve(b"nowhere", None),
            Err(Errno(libc::ENOENT))
        );
    }

    #[test]
    fn address_of_another_family_never_reaches_the_host() {
        let fd = socket(Family::Inet6, Type::Stream, 0).unwrap();
        assert_eq!(connect(fd, &address(80)), Err(Errno(libc::EAFNOSUPPORT)));
        assert_eq!(close(fd), Ok(()));
    }

    #[test]
    fn lowest_free_place_is_taken_first() {
        let flags = 0;
        let first = socket(Family::Inet, Type::Stream, flags).unwrap();
        let second = socket(Family::Inet, Type::Stream, flags).unwrap();
        assert_eq!(second, first + 1);
        close(first).unwrap();
        assert_eq!(socket(Family::Inet, Type::Stream, flags), Ok(first));
        close(first).unwrap();
        close(second).unwrap();
        assert_eq!(dup(first), Err(Errno(libc::EBADF)));
        assert_eq!(getsockname(0), Err(Errno(libc::ENOTSOCK)));
    }

    #[test]
    fn calls_that_a_host_lacks_are_not_supported() {
        let fd = socket(Family::Inet, Type::Stream, 0).unwrap();
        assert_eq!(listen(fd, 1), Err(Errno(libc::EOPNOTSUPP)));
        assert_eq!(dup(fd), Err(Errno(libc::EOPNOTSUPP)));
        let option = crate::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &[1, 0, 0, 0]);
        assert_eq!(option, Err(Errno(libc::ENOPROTOOPT)));
        close(fd).unwrap();
    }

    #[test]
    fn pair_is_two_descriptors() {
        let [first, second] = socketpair(Type::Stream, 0).unwrap();
        assert_ne!(first, second);
        close(first).unwrap();
        close(second).unwrap();
    }
}
