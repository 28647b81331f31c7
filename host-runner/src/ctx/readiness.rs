//! Waiting for many handles: a plain list, and interest sets.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(feature = "async")]
use std::time::Instant;

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags};
use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    CTL_ADD, CTL_DEL, CTL_MOD, EVENT_IN, EVENT_NVAL, EVENT_OUT, EVENTS_MAX, Event, PollEntry,
    STDERR,
};

use super::SocketsCtx;
use super::handles::Open;
use super::limits::check_handles;
#[cfg(feature = "async")]
use crate::sockets::ready_until;
use crate::sockets::{
    InterestSet, Patience, Timeout, Watched, interest_to_abi, poll_from_abi, poll_to_abi,
    poll_until,
};

/// Most entries of interest sets for one socket, counting its duplicates, and for anything else. Each entry costs the
/// kernel time at every event, and memory that counts for the user of the host's process.
const WATCHED_MAX: usize = 16;

/// The descriptors behind a guest's standard input, output and error, as far as they are known: by their handles.
pub(super) type StandardStreams = [Option<OwnedFd>; STDERR as usize + 1];

/// What an operation waits for.
#[derive(Debug)]
pub(crate) enum WaitsFor {
    /// These events of a handle.
    Handle(u32, u32),
    /// Any of these entries.
    Entries(Box<[PollEntry]>),
}

/// What is behind an entry of a poll.
enum Polled<'a> {
    Descriptor(BorrowedFd<'a>),
    /// A standard stream without a descriptor: ready, as a file is.
    File,
    Nothing,
}

impl SocketsCtx {
    fn polled(&self, handle: u32) -> Polled<'_> {
        match self.streams.get(handle as usize) {
            Some(Some(stream)) => Polled::Descriptor(stream.as_fd()),
            Some(None) => Polled::File,
            None => match self.handles.get(handle) {
                Ok(open) => Polled::Descriptor(open.as_fd()),
                Err(_) => Polled::Nothing,
            },
        }
    }

    /// The descriptor that interest sets watch for a handle.
    fn watched(&self, handle: u32) -> Result<BorrowedFd<'_>, Errno> {
        match self.polled(handle) {
            Polled::Descriptor(fd) => Ok(fd),
            // As for a file: epoll_ctl(2).
            Polled::File => Err(Errno::EPERM),
            Polled::Nothing => Err(Errno::EBADF),
        }
    }

    /// The system's descriptors of what an operation waits for.
    pub(crate) fn waited_for(&self, waits_for: &WaitsFor) -> Result<Watched<'_>, Errno> {
        let watched = |handle, events| match self.polled(handle) {
            Polled::Descriptor(fd) => Some((fd, events)),
            // Operations that wait for entries have reported these already.
            Polled::File | Polled::Nothing => None,
        };
        let mut all: Watched<'_> = match waits_for {
            WaitsFor::Handle(handle, events) => {
                let watched = watched(*handle, poll_from_abi(*events as u16));
                Watched::from_iter([watched.ok_or(Errno::EBADF)?])
            }
            WaitsFor::Entries(entries) => entries
                .iter()
                .filter_map(|entry| watched(entry.handle, poll_from_abi(entry.events)))
                .collect(),
        };
        all.extend(self.signals_watched());
        Ok(all)
    }

    /// What is ready when signals come.
    pub(crate) fn signals_watched(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let signals = self.signals.as_ref()?;
        Some((signals.event(), PollFlags::IN))
    }

    /// Waits for that on tokio's reactor; false when the time is over.
    #[cfg(feature = "async")]
    pub(crate) async fn ready(
        &self,
        waits_for: &WaitsFor,
        end: Option<Instant>,
    ) -> Result<bool, Errno> {
        if let WaitsFor::Handle(handle, _) = waits_for
            && let Ok(call) = self.handles.call(*handle)
            && self.signals.is_none()
        {
            return Ok(call.answered_until(end).await);
        }
        ready_until(&self.waited_for(waits_for)?, end).await
    }

    /// poll(2): writes `revents` of each entry. Returns how many are not 0.
    pub(crate) fn poll(&self, entries: &mut [PollEntry], patience: Patience) -> Result<u32, Errno> {
        let mut fds: SmallVec<[PollFd<'_>; 64]> = SmallVec::new();
        let mut ready = 0;
        for entry in entries.iter_mut() {
            entry.revents = match self.polled(entry.handle) {
                Polled::Descriptor(fd) => {
                    fds.push(PollFd::from_borrowed_fd(fd, poll_from_abi(entry.events)));
                    0
                }
                Polled::File => entry.events & (EVENT_IN | EVENT_OUT) as u16,
                Polled::Nothing => EVENT_NVAL as u16,
            };
            ready += u32::from(entry.revents != 0);
        }
        let timeout = match ready {
            0 => patience.0,
            _ => Timeout::NONE,
        };
        let found = poll_until(&mut fds, timeout.end())?;
        if found > 0 {
            let mut answers = fds.iter();
            for entry in entries {
                if let Polled::Descriptor(_) = self.polled(entry.handle)
                    && let Some(answer) = answers.next()
                {
                    entry.revents = poll_to_abi(answer.revents());
                    ready += u32::from(entry.revents != 0);
                }
            }
        }
        Ok(ready)
    }

    pub(crate) fn interest_create(&mut self) -> Result<u32, Errno> {
        check_handles(&self.handles, &mut self.usage, 1)?;
        self.handles
            .insert(Open::InterestSet(InterestSet::create()?))
    }

    pub(crate) fn interest_ctl(
        &mut self,
        set: u32,
        op: u32,
        handle: u32,
        events: u32,
        data: u64,
    ) -> Result<(), Errno> {
        let outer = self.handles.interest_set(set)?;
        let fd = self.watched(handle)?;
        match op {
            CTL_MOD => outer.modify(fd, events, data),
            CTL_DEL => {
                outer.delete(fd)?;
                self.handles.interest_set_mut(set)?.watches.remove(&handle);
                self.is_watched_less(handle);
                Ok(())
            }
            CTL_ADD => {
                let socket = self.handles.socket(handle);
                let entries = match &socket {
                    Ok(socket) => socket.state().counts.watched,
                    Err(_) => self.handles.watchers(handle).count(),
                };
                // As epoll_ctl(2) has it.
                if entries >= WATCHED_MAX && !outer.watches.contains(&handle) {
                    return Err(Errno::ENOSPC);
                }
                let nests = match self.handles.interest_set(handle) {
                    Ok(_) if set == handle => return Err(Errno::EINVAL),
                    Ok(inner) if !outer.can_be_outer() || !inner.can_be_inner() => {
                        return Err(Errno::ELOOP);
                    }
                    inner => inner.is_ok(),
                };
                outer.add(fd, events, data)?;
                if let Ok(socket) = socket {
                    socket.state().counts.watched += 1;
                }
                if nests {
                    self.handles.interest_set_mut(set)?.becomes_outer();
                    self.handles.interest_set_mut(handle)?.becomes_inner();
                }
                let outer = self.handles.interest_set_mut(set)?;
                outer.watches.insert(handle);
                Ok(())
            }
            _ => Err(Errno::EINVAL),
        }
    }

    /// To be called before a handle is closed: its entries end with it.
    pub(super) fn leaves_interest_sets(&mut self, handle: u32) {
        let sets: SmallVec<[u32; 4]> = self.handles.watchers(handle).collect();
        for set in sets {
            // The entry exists: it was found just now.
            let _ = self.interest_ctl(set, CTL_DEL, handle, 0, 0);
        }
    }

    /// Takes note that a handle has an entry less.
    pub(super) fn is_watched_less(&self, handle: u32) {
        if let Ok(socket) = self.handles.socket(handle) {
            let mut state = socket.state();
            state.counts.watched = state.counts.watched.saturating_sub(1);
        }
    }

    /// epoll_wait(2) of up to `max` events, not more than [`EVENTS_MAX`], without waiting.
    pub(crate) fn interest_wait(
        &self,
        set: u32,
        max: usize,
    ) -> Result<impl ExactSizeIterator<Item = Event> + use<>, Errno> {
        const NOTHING: epoll::Event = epoll::Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        };
        let set = self.handles.interest_set(set)?;
        if max == 0 {
            return Err(Errno::EINVAL);
        }
        // Guests ask for more than they have. Events without room are reported by the next wait.
        let room = max.min(EVENTS_MAX).min(self.handles.count());
        let mut ready: SmallVec<[epoll::Event; 64]> = SmallVec::from_elem(NOTHING, room);
        let count = set.wait(&mut ready)?;
        ready.truncate(count);
        Ok(ready.into_iter().map(|event| {
            // Fields of a packed struct, which are read by value.
            let (data, flags) = (event.data, event.flags);
            Event {
                data: data.u64(),
                events: interest_to_abi(flags),
                reserved: 0,
            }
        }))
    }
}
