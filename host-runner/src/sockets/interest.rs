//! Interest sets: epoll(7).

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::retry_on_intr;
use wasisocket_abi::Errno;

use super::events;
use crate::errno::from_system;

/// An interest set of the kernel, so that idle sockets cost nothing in a wait.
///
/// An entry ends with its handle. Otherwise it would stay for as long as a duplicate or a message under way has the
/// socket (epoll(7)), and could neither be counted nor removed.
#[derive(Debug)]
pub(crate) struct InterestSet {
    fd: OwnedFd,
    nesting: Nesting,
    /// The handles that have an entry.
    pub(crate) watches: HashSet<u32>,
}

/// Sets in sets are one level deep: each level multiplies the kernel's work for an event, and the search for cycles
/// takes a lock that all processes of the machine share. A set that was once on either side stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nesting {
    Neither,
    Outer,
    Inner,
}

impl InterestSet {
    /// epoll_create1(2).
    pub(crate) fn create() -> Result<Self, Errno> {
        Ok(Self {
            fd: epoll::create(CreateFlags::CLOEXEC).map_err(from_system)?,
            nesting: Nesting::Neither,
            watches: HashSet::new(),
        })
    }

    /// May this set be an entry of another?
    pub(crate) fn can_be_inner(&self) -> bool {
        self.nesting != Nesting::Outer
    }

    /// May another set be an entry of this one?
    pub(crate) fn can_be_outer(&self) -> bool {
        self.nesting != Nesting::Inner
    }

    pub(crate) fn becomes_inner(&mut self) {
        self.nesting = Nesting::Inner;
    }

    pub(crate) fn becomes_outer(&mut self) {
        self.nesting = Nesting::Outer;
    }

    /// epoll_ctl(2), EPOLL_CTL_ADD.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, events: u32, data: u64) -> Result<(), Errno> {
        let events = wanted(events)?;
        epoll::add(&self.fd, fd, EventData::new_u64(data), events).map_err(from_system)
    }

    /// epoll_ctl(2), EPOLL_CTL_MOD.
    pub(crate) fn modify(&self, fd: BorrowedFd<'_>, events: u32, data: u64) -> Result<(), Errno> {
        let events = wanted(events)?;
        epoll::modify(&self.fd, fd, EventData::new_u64(data), events).map_err(from_system)
    }

    /// epoll_ctl(2), EPOLL_CTL_DEL.
    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> Result<(), Errno> {
        epoll::delete(&self.fd, fd).map_err(from_system)
    }

    /// epoll_wait(2) without waiting: fills `ready` from its start, and returns how many. An epoll descriptor is
    /// readable when it has events.
    pub(crate) fn wait(&self, ready: &mut [epoll::Event]) -> Result<usize, Errno> {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let wait = || epoll::wait(&self.fd, &mut *ready, Some(&NOW));
        retry_on_intr(wait).map_err(from_system)
    }
}

impl AsFd for InterestSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn wanted(bits: u32) -> Result<EventFlags, Errno> {
    events::interest_from_abi(bits).ok_or(Errno::EINVAL)
}
