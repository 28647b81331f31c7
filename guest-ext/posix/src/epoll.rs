//! epoll, over the host's interest sets: epoll(7).

use std::rc::Rc;

use wasisocket_abi::v1::{self, Event};

use crate::descriptors::{self, Description, Kind, RawFd};
use crate::host::{Host as _, Imp};
use crate::sys::{EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, epoll_event};
use crate::{Errno, Result};

/// The events that a guest may ask for. They have Linux's numbers in C and in the ABI.
const KNOWN: u32 = v1::EVENT_IN
    | v1::EVENT_PRI
    | v1::EVENT_OUT
    | v1::EVENT_ERR
    | v1::EVENT_HUP
    | v1::EVENT_RDHUP
    | v1::EVENT_ONESHOT
    | v1::EVENT_EDGE;

/// EPOLLRDNORM, EPOLLRDBAND, EPOLLWRNORM, EPOLLWRBAND, EPOLLMSG: for sockets they add nothing to EPOLLIN and EPOLLOUT.
const REDUNDANT: u32 = 0x40 | 0x80 | 0x100 | 0x200 | 0x400;

/// `int epoll_create1(int flags)`: epoll_create(2).
///
/// # Errors
/// EMFILE.
pub fn epoll_create(cloexec: bool) -> Result<RawFd> {
    let set = Imp::interest_create()?;
    let description = Rc::new(Description::new(Kind::InterestSet));
    descriptors::insert(set, description, cloexec)
}

fn interest_set(fd: RawFd) -> Result<u32> {
    let descriptor = descriptors::get(fd).map_err(|error| error.for_file(libc::EINVAL))?;
    match descriptor.description.kind {
        Kind::InterestSet => Ok(descriptor.handle),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// `int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)`: epoll_ctl(2).
///
/// # Errors
/// EEXIST, ENOENT, EINVAL (EPOLLEXCLUSIVE among others), EPERM for a file.
pub fn epoll_ctl(epfd: RawFd, op: i32, fd: RawFd, event: Option<epoll_event>) -> Result<()> {
    let target = descriptors::watched(fd).map_err(|error| error.for_file(libc::EPERM))?;
    let set = interest_set(epfd)?;
    if epfd == fd {
        return Err(Errno(libc::EINVAL));
    }
    let op = match op {
        EPOLL_CTL_ADD => v1::CTL_ADD,
        EPOLL_CTL_DEL => v1::CTL_DEL,
        EPOLL_CTL_MOD => v1::CTL_MOD,
        _ => return Err(Errno(libc::EINVAL)),
    };
    let event = match event {
        Some(event) => event,
        None if op == v1::CTL_DEL => epoll_event::default(),
        None => return Err(Errno(libc::EFAULT)),
    };
    let events = event.events & !REDUNDANT;
    if op != v1::CTL_DEL && events & !KNOWN != 0 {
        return Err(Errno(libc::EINVAL));
    }
    Ok(Imp::interest_ctl(
        set,
        op,
        target,
        events & KNOWN,
        event.data,
    )?)
}

/// `int epoll_wait(int epfd, struct epoll_event *events, int max, int timeout)`: epoll_wait(2), with the
/// timeout in nanoseconds. Calls `each` with each event, and returns how many there were.
///
/// # Errors
/// EINVAL if `max` is 0, or if the descriptor is not an interest set.
pub fn epoll_wait(
    epfd: RawFd,
    max: usize,
    timeout: i64,
    each: impl FnMut(epoll_event),
) -> Result<usize> {
    /// Most events that one call returns. Python asks for thousands and gets a few, and clearing a buffer for all
    /// would cost more than the call. The next call returns the rest.
    const ROOM: usize = 128;

    let set = interest_set(epfd)?;
    if max == 0 {
        return Err(Errno(libc::EINVAL));
    }
    let mut room = [Event::default(); ROOM];
    let events = room.get_mut(..max.min(ROOM)).unwrap_or_default();
    let count = Imp::interest_wait(set, events, timeout)?;
    let filled = events.get(..count).ok_or(Errno::EIO)?;
    filled
        .iter()
        .map(|event| epoll_event {
            events: event.events,
            data: event.data,
        })
        .for_each(each);
    Ok(count)
}
