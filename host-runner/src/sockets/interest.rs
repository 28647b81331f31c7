//! Interest sets: epoll(7).

use std::any::Any;
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::retry_on_intr;
use wasisocket_abi::Errno;

use super::events;
use crate::errno::from_system;

/// An interest set of the kernel, so that what is idle costs nothing in a wait.
///
/// The kernel's entries belong to open sockets, not to handles: closing the last handle of a socket
/// takes it out, as in epoll(7).
#[derive(Debug)]
pub(crate) struct InterestSet {
    fd: OwnedFd,
    nesting: Nesting,
    watches: HashMap<Watch, Life>,
    life: Arc<()>,
}

/// Ends with what is open, when the last of its handles is closed.
pub(crate) type Life = Weak<dyn Any + Send + Sync>;

/// What the kernel's entries go by: what is open, and the descriptor. An entry outlives its descriptor
/// where there are duplicates.
type Watch = (usize, RawFd);

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
            watches: HashMap::new(),
            life: Arc::new(()),
        })
    }

    pub(super) fn life(&self) -> Life {
        let life: Weak<()> = Arc::downgrade(&self.life);
        life
    }

    /// Takes note of an entry that was added.
    pub(crate) fn watches(&mut self, (life, fd): (Life, RawFd)) {
        self.watches.insert((place(&life), fd), life);
    }

    /// Takes note of an entry that was deleted.
    pub(crate) fn watches_no_more(&mut self, (life, fd): &(Life, RawFd)) {
        self.watches.remove(&(place(life), *fd));
    }

    /// How many entries there are, with those that the kernel took out itself since they were last
    /// counted.
    pub(crate) fn watch_count(&self) -> usize {
        self.watches.len()
    }

    /// How many entries there are.
    pub(crate) fn count_watches(&mut self) -> usize {
        self.watches.retain(|_, life| life.strong_count() > 0);
        self.watches.len()
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

    /// epoll_wait(2) without waiting: fills `ready` from its start; how many. An epoll descriptor is
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

/// Where it is, for as long as anything knows of it: another does not get the same place.
fn place(life: &Life) -> usize {
    life.as_ptr().cast::<()>().addr()
}

impl AsFd for InterestSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn wanted(bits: u32) -> Result<EventFlags, Errno> {
    events::interest_from_abi(bits).ok_or(Errno::EINVAL)
}
