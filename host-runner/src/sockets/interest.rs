//! Interest sets: epoll(7).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFlags, Timespec};
use rustix::io::retry_on_intr;
use wasisocket_abi::Errno;

use super::events;
use super::wait::{Timeout, attempt_until};
use crate::errno::from_system;

/// An interest set of the kernel, so that what is idle costs nothing in a wait.
///
/// The kernel's entries belong to open sockets, not to handles: closing the last handle of a socket
/// takes it out, as in epoll(7).
#[derive(Debug)]
pub(crate) struct InterestSet {
    fd: OwnedFd,
    nesting: Nesting,
}

/// Sets in sets are one deep: each level multiplies what the kernel does when something becomes ready,
/// and looking for circles takes a lock that all processes of the machine share. Once a set has been on
/// either side, it stays there.
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
        })
    }

    /// May this set go into another?
    pub(crate) fn can_be_inner(&self) -> bool {
        self.nesting != Nesting::Outer
    }

    /// May another set go into this one?
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

    /// epoll_wait(2): fills `ready` from its start; how many. None if the time is over.
    pub(crate) fn wait(
        &self,
        ready: &mut [epoll::Event],
        timeout: Timeout,
    ) -> Result<usize, Errno> {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // An epoll descriptor is readable when it has events, so waiting is poll(2) here too, and its
        // time is in nanoseconds.
        let result = attempt_until(self.fd.as_fd(), PollFlags::IN, timeout, || {
            let wait = || epoll::wait(&self.fd, &mut *ready, Some(&NOW));
            match retry_on_intr(wait).map_err(from_system)? {
                0 => Err(Errno::EAGAIN),
                count => Ok(count),
            }
        });
        match result {
            Err(Errno::EAGAIN) => Ok(0),
            result => result,
        }
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
