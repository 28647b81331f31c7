//! File descriptors of sockets and interest sets: their numbers and their state.
//!
//! preview1 numbers files from 0 on. Sockets are numbered from 1023 down to 256, and from 1024 on when those are all in
//! use. So the two ranges meet only in a guest with hundreds of open files, where opening a file or socket whose number
//! the other kind has fails with EMFILE. And sockets stay below FD_SETSIZE, the limit of `select`, as long as they can:
//! it is 4096 in our headers, but 1024 elsewhere, which some programs rely on.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use wasisocket_abi::v1;

use crate::host::{self, Host as _, Imp};
use crate::sys::{AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use crate::{Errno, Result, stdin};

/// A file descriptor, `int` in C.
pub type RawFd = i32;

/// Linux's FD_SETSIZE: sockets get numbers below it first.
const CUSTOMARY: usize = 1024;
/// The lowest number of a socket.
const LOWEST: usize = 256;
const LOW_COUNT: usize = CUSTOMARY - LOWEST;
/// The largest size of the table. dup2 may ask for any number, so there must be a limit; it is Linux's default
/// fs.nr_open.
pub(crate) const PLACES_MAX: usize = 1 << 20;

/// A handle that the host does not have.
pub(crate) const GONE: u32 = u32::MAX;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Family {
    /// AF_INET.
    Inet = AF_INET,
    /// AF_INET6.
    Inet6 = AF_INET6,
    /// AF_UNIX.
    Unix = AF_UNIX,
}

// Families and types have the same numbers in C and in the ABI.
const _: () = assert!(
    AF_INET as u32 == wasisocket_abi::AF_INET
        && AF_INET6 as u32 == wasisocket_abi::AF_INET6
        && AF_UNIX as u32 == v1::AF_UNIX
        && SOCK_STREAM as u32 == wasisocket_abi::SOCK_STREAM
        && SOCK_DGRAM as u32 == wasisocket_abi::SOCK_DGRAM
);

impl Family {
    /// The host's number.
    pub(crate) fn to_abi(self) -> u32 {
        self as u32
    }

    /// C's number, as the AF_ constants.
    #[must_use]
    pub fn to_c(self) -> i32 {
        self as i32
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
        self.to_c() as u32
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

/// POSIX's open file description: the state behind a descriptor. Duplicates share it.
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
    /// One end of a pipe: either the end to read from or the end to write to.
    Pipe {
        readable: bool,
    },
    InterestSet,
    Lookup,
    Call,
}

impl Kind {
    /// The socket's family and type, or ENOTSOCK.
    pub(crate) fn socket(self) -> Result<(Family, Type)> {
        match self {
            Self::Socket(family, ty) => Ok((family, ty)),
            _ => Err(Errno(libc::ENOTSOCK)),
        }
    }
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
        self.description.kind.socket()
    }
}

#[derive(Debug, Default)]
struct Table {
    slots: Vec<Option<Descriptor>>,
    /// Indices of free slots; the lowest comes first.
    free: BinaryHeap<Reverse<usize>>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

fn fd_of(index: usize) -> Result<RawFd> {
    let fd = match CUSTOMARY.checked_sub(index.saturating_add(1)) {
        Some(fd) if index < LOW_COUNT => Some(fd),
        _ => index.checked_add(CUSTOMARY - LOW_COUNT),
    };
    fd.and_then(|fd| RawFd::try_from(fd).ok())
        .ok_or(Errno(libc::EMFILE))
}

/// The index of a descriptor. EBADF for a number that no socket can have.
fn index_of(fd: RawFd) -> Result<usize> {
    let index = match usize::try_from(fd) {
        Ok(fd @ LOWEST..CUSTOMARY) => (CUSTOMARY - 1).checked_sub(fd),
        Ok(fd @ CUSTOMARY..) => fd.checked_sub(CUSTOMARY - LOW_COUNT),
        _ => None,
    };
    index.ok_or(Errno(libc::EBADF))
}

impl Table {
    #[inline]
    fn find(&self, fd: RawFd) -> Option<&Descriptor> {
        self.slots.get(index_of(fd).ok()?)?.as_ref()
    }

    /// EBADF if nothing has this number; ENOTSOCK if a file has it.
    #[inline]
    fn get(&self, fd: RawFd) -> Result<&Descriptor> {
        self.find(fd).ok_or_else(|| match host::is_file(fd) {
            true => Errno(libc::ENOTSOCK),
            false => Errno(libc::EBADF),
        })
    }

    /// The slot of a number, or EBADF.
    fn slot(&mut self, fd: RawFd) -> Result<&mut Option<Descriptor>> {
        let slot = self.slots.get_mut(index_of(fd)?);
        slot.ok_or(Errno(libc::EBADF))
    }

    /// Reserves the first free number.
    fn first_free(&mut self) -> Result<RawFd> {
        loop {
            let index = match self.free.pop() {
                Some(Reverse(index)) => index,
                None => {
                    self.slots.push(None);
                    self.slots.len().saturating_sub(1)
                }
            };
            let fd = fd_of(index)?;
            // A number that a file has is skipped for good: there are many others.
            if !host::is_file(fd) {
                return Ok(fd);
            }
        }
    }

    /// Reserves this number, which is free. EBADF if a socket cannot have it.
    fn reserve(&mut self, fd: RawFd) -> Result<RawFd> {
        let index = index_of(fd)?;
        if index >= PLACES_MAX || host::is_file(fd) {
            return Err(Errno(libc::EBADF));
        }
        while self.slots.len() <= index {
            self.free.push(Reverse(self.slots.len()));
            self.slots.push(None);
        }
        self.free.retain(|Reverse(free)| *free != index);
        Ok(fd)
    }
}

fn with<T>(call: impl FnOnce(&mut Table) -> Result<T>) -> Result<T> {
    // Neither can fail: there is one thread, and no call in here uses the table again.
    TABLE
        .try_with(|table| call(&mut *table.try_borrow_mut().map_err(|_| Errno::EIO)?))
        .map_err(|_| Errno::EIO)?
}

/// Whether this is the number of a socket, a pipe, an interest set or a look-up, rather than a file's. Every read and
/// write of a file checks this, so it does not call the host.
pub(crate) fn is_ours(fd: RawFd) -> bool {
    with(|table| Ok(table.find(fd).is_some())).unwrap_or(false)
}

/// The descriptor with this number. EBADF if there is none; ENOTSOCK for a file.
#[inline]
pub(crate) fn get(fd: RawFd) -> Result<Descriptor> {
    with(|table| table.get(fd).cloned())
}

/// The description of a descriptor that has this handle, if there is one.
pub(crate) fn description(handle: u32) -> Option<Rc<Description>> {
    with(|table| {
        let mut taken = table.slots.iter().flatten();
        let known = taken.find(|descriptor| descriptor.handle == handle);
        Ok(known.map(|descriptor| Rc::clone(&descriptor.description)))
    })
    .ok()
    .flatten()
}

/// The handle with which the host watches a descriptor; standard input has one too. ENOTSOCK for a file.
pub(crate) fn watched(fd: RawFd) -> Result<u32> {
    match with(|table| Ok(table.get(fd)?.handle)) {
        Err(Errno(libc::ENOTSOCK)) if stdin::is_stdin(fd) => Ok(v1::STDIN),
        handle => handle,
    }
}

/// The handle of a descriptor, its kind, and how long one call may wait to receive from it.
#[inline]
pub(crate) fn to_receive(fd: RawFd) -> Result<(u32, Kind, i64)> {
    for_call(fd, |description| &description.recv_timeout)
}

/// As [`to_receive`], for sending.
#[inline]
pub(crate) fn to_send(fd: RawFd) -> Result<(u32, Kind, i64)> {
    for_call(fd, |description| &description.send_timeout)
}

#[inline]
fn for_call(
    fd: RawFd,
    timeout: impl FnOnce(&Description) -> &Cell<i64>,
) -> Result<(u32, Kind, i64)> {
    with(|table| {
        let descriptor = table.get(fd)?;
        let description = &descriptor.description;
        let timeout = match description.nonblocking.get() {
            true => 0,
            false => timeout(description).get(),
        };
        Ok((descriptor.handle, description.kind, timeout))
    })
}

/// Assigns the first free descriptor to a handle. If there is none, it closes the handle and returns EMFILE.
pub(crate) fn insert(handle: u32, description: Rc<Description>, cloexec: bool) -> Result<RawFd> {
    fill(handle, description, cloexec, Table::first_free)
}

/// Assigns this descriptor, whose number is free, to a handle. If a socket cannot have the number, it closes the handle
/// and returns EBADF.
pub(crate) fn insert_at(fd: RawFd, handle: u32, description: Rc<Description>) -> Result<RawFd> {
    fill(handle, description, false, |table| table.reserve(fd))
}

fn fill(
    handle: u32,
    description: Rc<Description>,
    cloexec: bool,
    number: impl FnOnce(&mut Table) -> Result<RawFd>,
) -> Result<RawFd> {
    let filled = with(|table| {
        let fd = number(table)?;
        *table.slot(fd)? = Some(Descriptor {
            handle,
            description,
            cloexec,
        });
        Ok(fd)
    });
    if filled.is_err() {
        // The first error is the one to report.
        let _ = Imp::close(handle);
    }
    filled
}

/// Removes a descriptor and frees its number.
pub(crate) fn remove(fd: RawFd) -> Result<Descriptor> {
    with(|table| {
        let descriptor = table.slot(fd)?.take().ok_or(Errno(libc::EBADF))?;
        table.free.push(Reverse(index_of(fd)?));
        Ok(descriptor)
    })
}

/// The host has none of the handles any more: this guest's memory is a copy of another one's. Each descriptor stays taken
/// until it is closed, and all else that is done with it is EBADF.
#[cfg(target_os = "wasi")]
pub(crate) fn forget_handles() {
    // See `with`.
    let _ = with(|table| {
        let taken = table.slots.iter_mut().flatten();
        taken.for_each(|descriptor| descriptor.handle = GONE);
        Ok(())
    });
}

/// Whether FD_CLOEXEC is set: fcntl(2), F_GETFD.
///
/// # Errors
/// EBADF.
pub fn is_cloexec(fd: RawFd) -> Result<bool> {
    Ok(get(fd)?.cloexec)
}

/// Sets FD_CLOEXEC: fcntl(2), F_SETFD. It has no effect, because there is no exec.
///
/// # Errors
/// EBADF.
pub fn set_cloexec(fd: RawFd, cloexec: bool) -> Result<()> {
    with(|table| {
        let descriptor = table.slot(fd)?.as_mut().ok_or(Errno(libc::EBADF))?;
        descriptor.cloexec = cloexec;
        Ok(())
    })
}

/// Whether O_NONBLOCK is set: fcntl(2), F_GETFL.
///
/// # Errors
/// EBADF.
pub fn is_nonblocking(fd: RawFd) -> Result<bool> {
    Ok(get(fd)?.description.nonblocking.get())
}

/// Sets O_NONBLOCK of a socket or of standard input: fcntl(2), F_SETFL.
///
/// # Errors
/// EOPNOTSUPP on a host where every call blocks.
pub fn set_nonblocking(fd: RawFd, nonblocking: bool) -> Result<()> {
    if nonblocking && !Imp::CAN_WAIT {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    match stdin::is_stdin(fd) {
        true => stdin::set_nonblocking(nonblocking),
        false => get(fd)?.description.nonblocking.set(nonblocking),
    }
    Ok(())
}

/// For an end of a pipe, whether it is the end to read from; `None` for other descriptors.
///
/// # Errors
/// EBADF.
pub fn pipe_end(fd: RawFd) -> Result<Option<bool>> {
    match get(fd)?.description.kind {
        Kind::Pipe { readable } => Ok(Some(readable)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{LOW_COUNT, fd_of, index_of};
    use crate::Errno;

    #[test]
    fn sockets_are_numbered_down_from_what_select_takes_and_then_up() {
        assert_eq!(fd_of(0), Ok(1023));
        assert_eq!(fd_of(LOW_COUNT - 1), Ok(256));
        assert_eq!(fd_of(LOW_COUNT), Ok(1024));
        for index in 0..3000 {
            assert_eq!(index_of(fd_of(index).unwrap()), Ok(index));
        }
        for fd in [-1, 0, 255, i32::MIN] {
            assert_eq!(index_of(fd), Err(Errno(libc::EBADF)));
        }
    }
}
