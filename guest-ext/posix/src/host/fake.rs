//! A host in memory, for native unit tests: every peer echoes, port 1 refuses.

use core::mem::MaybeUninit;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use wasisocket_abi::{AF_INET, CoreSocketAddr, Errno, FIRST_HANDLE, SOCK_DGRAM};

/// The port that refuses a connection.
const REFUSING_PORT: u16 = 1;

/// What was sent and not yet received; `None` before `connect`.
type Echo = Option<VecDeque<u8>>;

thread_local! {
    static SOCKETS: RefCell<BTreeMap<i32, Echo>> = const { RefCell::new(BTreeMap::new()) };
}

fn with<T>(fd: i32, call: impl FnOnce(&mut Echo) -> Result<T, Errno>) -> Result<T, Errno> {
    SOCKETS.with_borrow_mut(|sockets| sockets.get_mut(&fd).ok_or(Errno::EBADF).and_then(call))
}

pub(crate) fn open(_af: u32, ty: u32) -> Result<u32, Errno> {
    if ty > SOCK_DGRAM {
        return Err(Errno::EINVAL);
    }
    SOCKETS.with_borrow_mut(|sockets| {
        let fd = (FIRST_HANDLE..)
            .find(|fd| !sockets.contains_key(&(*fd as i32)))
            .ok_or(Errno::EMFILE)?;
        sockets.insert(fd as i32, None);
        Ok(fd)
    })
}

pub(crate) fn resolve(
    host: &[u8],
    port: u16,
    addrs: &mut [CoreSocketAddr],
) -> Result<usize, Errno> {
    if host != b"localhost" {
        return Err(Errno::ENOENT);
    }
    let mut count: usize = 0;
    for (to, last) in addrs.iter_mut().zip([1, 2]) {
        *to = CoreSocketAddr {
            family: AF_INET as u8,
            port: port.to_be_bytes(),
            address: [127, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        count = count.saturating_add(1);
    }
    Ok(count)
}

pub(crate) fn connect(fd: i32, address: &CoreSocketAddr) -> Result<(), Errno> {
    with(fd, |echo| match echo {
        Some(_) => Err(Errno::EISCONN),
        None if u16::from_be_bytes(address.port) == REFUSING_PORT => Err(Errno::ECONNREFUSED),
        None => {
            *echo = Some(VecDeque::new());
            Ok(())
        }
    })
}

pub(crate) fn send(fd: i32, data: &[u8]) -> Result<usize, Errno> {
    with(fd, |echo| {
        echo.as_mut().ok_or(Errno::EPIPE)?.extend(data);
        Ok(data.len())
    })
}

pub(crate) fn recv(fd: i32, buffer: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    with(fd, |echo| {
        let waiting = echo.as_mut().ok_or(Errno::ENOTCONN)?;
        let count = waiting.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(waiting.drain(..count)) {
            to.write(from);
        }
        Ok(count)
    })
}

pub(crate) fn close(fd: i32) -> Result<(), Errno> {
    SOCKETS.with_borrow_mut(|sockets| sockets.remove(&fd).map(drop).ok_or(Errno::EBADF))
}
