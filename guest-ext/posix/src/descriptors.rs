//! The table of file descriptors: what each number stands for.
//!
//! As in a kernel there is one table for all kinds, and a new descriptor gets the lowest free number. A file of preview1
//! has a number there too, which programs never see: so several descriptors can stand for one file, any descriptor can get
//! the number of standard output, and the granted folders take no numbers.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use wasisocket_abi::v1;

use crate::devices::Device;
use crate::host::{self, Host as _, Imp};
use crate::sys::{AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM};
use crate::{Errno, Result};

/// A file descriptor, `int` in C.
pub type RawFd = i32;

/// The largest size of the table. dup2 may ask for any number, so there must be a limit; it is Linux's default
/// fs.nr_open.
pub(crate) const PLACES_MAX: usize = 1 << 20;

/// Standard input, output and error: their numbers in a new table, and preview1's, which stay theirs.
const STANDARD_STREAMS: u32 = 3;

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
    /// preview1's number of a file.
    file: Cell<Option<u32>>,
    /// O_RDONLY: hosts open a file that is made for writing too.
    pub(crate) read_only: bool,
    /// O_SYNC: preview1's own flag is not known to every host.
    pub(crate) synchronous: bool,
    /// Of a folder.
    pub(crate) folder: Option<Folder>,
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
    /// A file or folder of preview1.
    File,
    /// A file that this library has itself.
    Device(Device),
    /// A folder that this library has itself.
    Listing,
}

/// What is known of an open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    /// Its path: absolute, without links, `.` and `..`.
    pub(crate) path: Vec<u8>,
    /// Names in it that preview1 does not list: of granted folders, and of what leads to them.
    pub(crate) names: Vec<Vec<u8>>,
}

/// What a number stands for, for calls of preview1.
pub(crate) enum Object {
    /// A file or folder with this number of preview1.
    File(u32, Rc<Description>),
    Device(Device),
    Listing(Rc<Description>),
    /// What the host has a handle for.
    Handle,
}

impl Kind {
    /// The socket's family and type, or ENOTSOCK.
    pub(crate) fn socket(self) -> Result<(Family, Type)> {
        match self {
            Self::Socket(family, ty) => Ok((family, ty)),
            _ => Err(Errno(libc::ENOTSOCK)),
        }
    }

    /// Whether it is a file's: the host has no handle of it.
    fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Device(_) | Self::Listing)
    }
}

impl Description {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            file: Cell::new(None),
            read_only: false,
            synchronous: false,
            folder: None,
            nonblocking: Cell::new(false),
            recv_timeout: Cell::new(host::FOREVER),
            send_timeout: Cell::new(host::FOREVER),
        }
    }

    /// preview1's number of a file.
    pub(crate) fn number(&self) -> Option<u32> {
        self.file.get()
    }

    /// Whether the host has a handle for it.
    pub(crate) fn has_handle(&self) -> bool {
        !self.kind.is_file()
    }

    /// That of a file with this number of preview1, which is closed with it.
    pub(crate) fn of_file(number: u32) -> Self {
        let description = Self::new(Kind::File);
        description.file.set(Some(number));
        description
    }
}

impl Drop for Description {
    fn drop(&mut self) {
        // Nothing can be done about an error. The standard streams stay open, so that no file gets their numbers.
        if let Some(number) = self.file.get().filter(|number| *number >= STANDARD_STREAMS) {
            let _ = host::close_file(number);
        }
    }
}

/// One descriptor.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    /// [`GONE`] for a file.
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

#[derive(Debug)]
struct Table {
    slots: Vec<Option<Descriptor>>,
    /// Indices of free slots; the lowest comes first.
    free: BinaryHeap<Reverse<usize>>,
}

impl Default for Table {
    /// With the standard streams.
    fn default() -> Self {
        let streams = (0..STANDARD_STREAMS).map(|number| {
            Some(Descriptor {
                handle: GONE,
                description: Rc::new(Description::of_file(number)),
                cloexec: false,
            })
        });
        Self {
            slots: streams.collect(),
            free: BinaryHeap::new(),
        }
    }
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::default();
}

fn index_of(fd: RawFd) -> Result<usize> {
    usize::try_from(fd).map_err(|_| Errno(libc::EBADF))
}

impl Table {
    #[inline]
    fn find(&self, fd: RawFd) -> Result<&Descriptor> {
        let slot = self.slots.get(index_of(fd)?);
        slot.and_then(Option::as_ref).ok_or(Errno(libc::EBADF))
    }

    /// EBADF if nothing has this number; ENOTSOCK if a file has it.
    #[inline]
    fn get(&self, fd: RawFd) -> Result<&Descriptor> {
        match self.find(fd)? {
            descriptor if descriptor.description.kind.is_file() => Err(Errno(libc::ENOTSOCK)),
            descriptor => Ok(descriptor),
        }
    }

    /// The slot of a number, or EBADF.
    fn slot(&mut self, fd: RawFd) -> Result<&mut Option<Descriptor>> {
        let slot = self.slots.get_mut(index_of(fd)?);
        slot.ok_or(Errno(libc::EBADF))
    }

    /// Reserves the first free number.
    fn first_free(&mut self) -> Result<RawFd> {
        let index = match self.free.pop() {
            Some(Reverse(index)) => index,
            None if self.slots.len() >= PLACES_MAX => return Err(Errno(libc::EMFILE)),
            None => {
                self.slots.push(None);
                self.slots.len().saturating_sub(1)
            }
        };
        RawFd::try_from(index).map_err(|_| Errno(libc::EMFILE))
    }

    /// Reserves this number, which is free. EBADF if it is too large.
    fn reserve(&mut self, fd: RawFd) -> Result<RawFd> {
        let index = index_of(fd)?;
        if index >= PLACES_MAX {
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

/// Whether this is the number of a socket, a pipe, an interest set, a look-up or a call, rather than a file's.
pub(crate) fn is_ours(fd: RawFd) -> bool {
    with(|table| table.get(fd).map(|_| ())).is_ok()
}

/// Whether something has this number.
pub(crate) fn is_open(fd: RawFd) -> bool {
    with(|table| table.find(fd).map(|_| ())).is_ok()
}

/// The numbers that something has.
#[cfg(target_os = "wasi")]
pub(crate) fn numbers() -> Vec<usize> {
    with(|table| {
        let taken = table.slots.iter().enumerate();
        let taken = taken.filter(|(_, slot)| slot.is_some());
        Ok(taken.map(|(number, _)| number).collect())
    })
    .unwrap_or_default()
}

/// The descriptor with this number. EBADF if there is none; ENOTSOCK for a file.
#[inline]
pub(crate) fn get(fd: RawFd) -> Result<Descriptor> {
    with(|table| table.get(fd).cloned())
}

/// The descriptor with this number, of any kind. EBADF if there is none.
pub(crate) fn any(fd: RawFd) -> Result<Descriptor> {
    with(|table| table.find(fd).cloned())
}

/// What a number stands for. EBADF for nothing.
pub(crate) fn object(fd: RawFd) -> Result<Object> {
    let description = any(fd)?.description;
    Ok(match description.kind {
        Kind::File => {
            let number = description.file.get().ok_or(Errno(libc::EBADF))?;
            Object::File(number, description)
        }
        Kind::Device(device) => Object::Device(device),
        Kind::Listing => Object::Listing(description),
        _ => Object::Handle,
    })
}

/// preview1's number of a file. EBADF if nothing has this number; ENOTSOCK for what is no file of preview1.
pub(crate) fn file(fd: RawFd) -> Result<u32> {
    with(|table| {
        let description = &table.find(fd)?.description;
        match (description.kind, description.file.get()) {
            (Kind::File, Some(number)) => Ok(number),
            (Kind::File, None) => Err(Errno(libc::EBADF)),
            _ => Err(Errno(libc::ENOTSOCK)),
        }
    })
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

/// The handle with which the host watches a descriptor; the standard streams have one too. ENOTSOCK for a file.
pub(crate) fn watched(fd: RawFd) -> Result<u32> {
    with(|table| {
        let descriptor = table.find(fd)?;
        match descriptor.description.kind {
            kind if !kind.is_file() => Ok(descriptor.handle),
            _ => stream_of(&descriptor.description).ok_or(Errno(libc::ENOTSOCK)),
        }
    })
}

/// The number of a standard stream, by which the host watches it too.
fn stream_of(description: &Description) -> Option<u32> {
    let number = description.file.get();
    number.filter(|number| *number < STANDARD_STREAMS)
}

/// The number of the standard stream that this descriptor stands for, and its O_NONBLOCK.
pub(crate) fn standard_stream(fd: RawFd) -> Option<(u32, bool)> {
    with(|table| {
        let description = &table.find(fd)?.description;
        Ok(stream_of(description).map(|number| (number, description.nonblocking.get())))
    })
    .ok()
    .flatten()
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

/// Assigns this descriptor, whose number is free, to a handle. If the number is too large, it closes the handle and
/// returns EBADF.
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
    if filled.is_err() && handle != GONE {
        // The first error is the one to report.
        let _ = Imp::close(handle);
    }
    filled
}

/// Assigns the first free descriptor to a file.
pub(crate) fn insert_file(description: Description) -> Result<RawFd> {
    insert(GONE, Rc::new(description), true)
}

/// Removes a descriptor and frees its number.
pub(crate) fn remove(fd: RawFd) -> Result<Descriptor> {
    with(|table| {
        let descriptor = table.slot(fd)?.take().ok_or(Errno(libc::EBADF))?;
        table.free.push(Reverse(index_of(fd)?));
        Ok(descriptor)
    })
}

/// The host has none of the handles and files any more: this guest's memory is a copy of another one's. Each descriptor
/// but those of the standard streams stays taken until it is closed, and all else that is done with it is EBADF.
#[cfg(target_os = "wasi")]
pub(crate) fn forget_handles() {
    // See `with`.
    let _ = with(|table| {
        for descriptor in table.slots.iter_mut().flatten() {
            descriptor.handle = GONE;
            let file = &descriptor.description.file;
            file.set(stream_of(&descriptor.description));
        }
        Ok(())
    });
}

/// Whether FD_CLOEXEC is set: fcntl(2), F_GETFD.
///
/// # Errors
/// EBADF.
pub fn is_cloexec(fd: RawFd) -> Result<bool> {
    Ok(any(fd)?.cloexec)
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
    Ok(any(fd)?.description.nonblocking.get())
}

/// Sets O_NONBLOCK: fcntl(2), F_SETFL. It has no effect on files, which never block for long.
///
/// # Errors
/// EOPNOTSUPP on a host where every call blocks.
pub fn set_nonblocking(fd: RawFd, nonblocking: bool) -> Result<()> {
    if nonblocking && !Imp::CAN_WAIT {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    any(fd)?.description.nonblocking.set(nonblocking);
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
