//! File descriptors of sockets and interest sets: which numbers they have, and what is behind them.
//!
//! Files are preview1's, which gives out the lowest free number. Sockets come from the other end: from
//! 1023, the highest that `select` takes (FD_SETSIZE is 1024), down to 256, and from 1024 on when those
//! are all in use. So the two meet only in a guest with hundreds of open files; then opening fails with
//! EMFILE on the side that comes second.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use crate::sys::{AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use crate::{Errno, Result, host};

/// A file descriptor, `int` in C.
pub type RawFd = i32;

/// FD_SETSIZE: the numbers below it fit into an `fd_set`.
const SELECTABLE: usize = 1024;
/// The lowest number of a socket.
const LOWEST: usize = 256;
const LOW_COUNT: usize = SELECTABLE - LOWEST;
/// dup2 may ask for any number: the table does not grow past this for it (Linux's default fs.nr_open).
const PLACES_MAX: usize = 1 << 20;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// AF_INET.
    Inet,
    /// AF_INET6.
    Inet6,
    /// AF_UNIX.
    Unix,
}

impl Family {
    /// The host's number.
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Inet => wasisocket_abi::AF_INET,
            Self::Inet6 => wasisocket_abi::AF_INET6,
            Self::Unix => wasisocket_abi::v1::AF_UNIX,
        }
    }

    /// C's number, as the AF_ constants.
    #[must_use]
    pub fn to_c(self) -> i32 {
        match self {
            Self::Inet => AF_INET,
            Self::Inet6 => AF_INET6,
            Self::Unix => AF_UNIX,
        }
    }

    /// From C's number; EAFNOSUPPORT for any other.
    pub fn from_c(family: i32) -> Result<Self> {
        match family {
            AF_INET => Ok(Self::Inet),
            AF_INET6 => Ok(Self::Inet6),
            AF_UNIX => Ok(Self::Unix),
            _ => Err(Errno(libc::EAFNOSUPPORT)),
        }
    }
}

/// A socket type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// SOCK_STREAM.
    Stream,
    /// SOCK_DGRAM.
    Datagram,
    /// SOCK_DGRAM over UDP-Lite (RFC 3828): udplite(7).
    DatagramLite,
}

impl Type {
    /// The host's number.
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Stream => wasisocket_abi::SOCK_STREAM,
            Self::Datagram | Self::DatagramLite => wasisocket_abi::SOCK_DGRAM,
        }
    }

    /// C's number, as the SOCK_ constants.
    #[must_use]
    pub fn to_c(self) -> i32 {
        match self {
            Self::Stream => SOCK_STREAM,
            Self::Datagram | Self::DatagramLite => SOCK_DGRAM,
        }
    }
}

/// What is behind a descriptor: POSIX's open file description. Those made by `dup` share it.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) kind: Kind,
    /// O_NONBLOCK.
    pub(crate) nonblocking: Cell<bool>,
    /// SO_RCVTIMEO and SO_SNDTIMEO, as the host's timeouts: nanoseconds, or -1 for none.
    pub(crate) recv_timeout: Cell<i64>,
    pub(crate) send_timeout: Cell<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Socket(Family, Type),
    /// One end of a pipe: it is read from, or written to.
    Pipe {
        readable: bool,
    },
    InterestSet,
    Lookup,
}

impl Description {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            nonblocking: Cell::new(false),
            recv_timeout: Cell::new(host::FOREVER),
            send_timeout: Cell::new(host::FOREVER),
        }
    }
}

/// One descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    pub(crate) handle: u32,
    pub(crate) description: Rc<Description>,
    /// FD_CLOEXEC.
    pub(crate) cloexec: bool,
}

impl Descriptor {
    /// The socket's family and type, or ENOTSOCK.
    pub(crate) fn socket(&self) -> Result<(Family, Type)> {
        match self.description.kind {
            Kind::Socket(family, ty) => Ok((family, ty)),
            _ => Err(Errno(libc::ENOTSOCK)),
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Option<Descriptor>>,
    /// Free places in `slots`; the lowest first.
    free: BinaryHeap<Reverse<usize>>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

fn fd_of(index: usize) -> Result<RawFd> {
    let fd = match SELECTABLE.checked_sub(index.saturating_add(1)) {
        Some(fd) if index < LOW_COUNT => Some(fd),
        _ => index.checked_add(SELECTABLE - LOW_COUNT),
    };
    fd.and_then(|fd| RawFd::try_from(fd).ok())
        .ok_or(Errno(libc::EMFILE))
}

fn index_of(fd: RawFd) -> Option<usize> {
    match usize::try_from(fd).ok()? {
        ..LOWEST => None,
        fd @ LOWEST..SELECTABLE => (SELECTABLE - 1).checked_sub(fd),
        fd => fd.checked_sub(SELECTABLE - LOW_COUNT),
    }
}

fn with<T>(call: impl FnOnce(&mut Table) -> Result<T>) -> Result<T> {
    // Neither fails: one thread, and no call in here leads back to here.
    TABLE
        .try_with(|table| call(&mut *table.try_borrow_mut().map_err(|_| Errno::EIO)?))
        .map_err(|_| Errno::EIO)?
}

/// Is this the number of a socket or an interest set, rather than a file's?
pub(crate) fn is_ours(fd: RawFd) -> bool {
    index_of(fd).is_some() && get(fd).is_ok()
}

/// What this descriptor stands for. EBADF if nothing; ENOTSOCK if it may be a file's.
#[inline]
pub(crate) fn get(fd: RawFd) -> Result<Descriptor> {
    with(|table| table.get(fd).cloned())
}

/// The handle of a descriptor alone, and how long one call may wait for it.
#[inline]
pub(crate) fn to_receive(fd: RawFd) -> Result<(u32, Kind, i64)> {
    with(|table| {
        let descriptor = table.get(fd)?;
        let description = &descriptor.description;
        let timeout = match description.nonblocking.get() {
            true => 0,
            false => description.recv_timeout.get(),
        };
        Ok((descriptor.handle, description.kind, timeout))
    })
}

/// As [`to_receive`], for sending.
#[inline]
pub(crate) fn to_send(fd: RawFd) -> Result<(u32, Kind, i64)> {
    with(|table| {
        let descriptor = table.get(fd)?;
        let description = &descriptor.description;
        let timeout = match description.nonblocking.get() {
            true => 0,
            false => description.send_timeout.get(),
        };
        Ok((descriptor.handle, description.kind, timeout))
    })
}

impl Table {
    #[inline]
    fn get(&self, fd: RawFd) -> Result<&Descriptor> {
        let slot = index_of(fd).and_then(|index| self.slots.get(index)?.as_ref());
        slot.ok_or_else(|| Errno(not_a_socket(fd)))
    }
}

/// A file's descriptor is no socket; one that is nobody's is bad.
fn not_a_socket(fd: RawFd) -> i32 {
    match is_file(fd) {
        true => libc::ENOTSOCK,
        false => libc::EBADF,
    }
}

/// Does preview1 have this descriptor?
pub(crate) fn is_file(fd: RawFd) -> bool {
    fd >= 0 && host::is_file(fd)
}

/// Gives a handle a descriptor, the first that is free; EMFILE, and the handle is closed, if none is.
pub(crate) fn insert(handle: u32, description: Rc<Description>, cloexec: bool) -> Result<RawFd> {
    let inserted = with(|table| {
        let index = loop {
            let index = match table.free.pop() {
                Some(Reverse(index)) => index,
                None => {
                    table.slots.push(None);
                    table.slots.len().saturating_sub(1)
                }
            };
            // A number that a file has is left out for good: there are many others.
            if !is_file(fd_of(index)?) {
                break index;
            }
        };
        let slot = table.slots.get_mut(index).ok_or(Errno::EIO)?;
        *slot = Some(Descriptor {
            handle,
            description,
            cloexec,
        });
        fd_of(index)
    });
    if inserted.is_err() {
        // The first error is the one to tell.
        let _ = host::close(handle);
    }
    inserted
}

/// Gives a handle this very descriptor, whose number is free; EBADF, and the handle is closed, if it is
/// not one that a socket can have.
pub(crate) fn insert_at(fd: RawFd, handle: u32, description: Rc<Description>) -> Result<RawFd> {
    let inserted = with(|table| {
        let index = index_of(fd).ok_or(Errno(libc::EBADF))?;
        if index >= PLACES_MAX || is_file(fd) {
            return Err(Errno(libc::EBADF));
        }
        while table.slots.len() <= index {
            table.free.push(Reverse(table.slots.len()));
            table.slots.push(None);
        }
        let slot = table.slots.get_mut(index).ok_or(Errno::EIO)?;
        *slot = Some(Descriptor {
            handle,
            description,
            cloexec: false,
        });
        table.free.retain(|Reverse(free)| *free != index);
        Ok(fd)
    });
    if inserted.is_err() {
        // The first error is the one to tell.
        let _ = host::close(handle);
    }
    inserted
}

/// Takes a descriptor out; its number is free again.
pub(crate) fn remove(fd: RawFd) -> Result<Descriptor> {
    with(|table| {
        let index = index_of(fd).ok_or(Errno(libc::EBADF))?;
        let slot = table.slots.get_mut(index).and_then(Option::take);
        let descriptor = slot.ok_or(Errno(libc::EBADF))?;
        table.free.push(Reverse(index));
        Ok(descriptor)
    })
}

/// Is FD_CLOEXEC set? fcntl(2), F_GETFD.
///
/// # Errors
/// EBADF.
pub fn is_cloexec(fd: RawFd) -> Result<bool> {
    Ok(get(fd)?.cloexec)
}

/// Sets FD_CLOEXEC: fcntl(2), F_SETFD. It has no effect, for there is no exec.
///
/// # Errors
/// EBADF.
pub fn set_cloexec(fd: RawFd, cloexec: bool) -> Result<()> {
    with(|table| {
        let slot = index_of(fd).and_then(|index| table.slots.get_mut(index)?.as_mut());
        slot.ok_or(Errno(libc::EBADF))?.cloexec = cloexec;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::{LOW_COUNT, fd_of, index_of};

    #[test]
    fn sockets_are_numbered_down_from_what_select_takes_and_then_up() {
        assert_eq!(fd_of(0), Ok(1023));
        assert_eq!(fd_of(LOW_COUNT - 1), Ok(256));
        assert_eq!(fd_of(LOW_COUNT), Ok(1024));
        for index in 0..3000 {
            assert_eq!(index_of(fd_of(index).unwrap()), Some(index));
        }
        for fd in [-1, 0, 255, i32::MIN] {
            assert_eq!(index_of(fd), None);
        }
    }
}
