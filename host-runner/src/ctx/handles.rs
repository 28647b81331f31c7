//! The handles of one guest.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, BorrowedFd};

use wasisocket_abi::{Errno, FIRST_HANDLE};

use crate::calls::Call;
use crate::names::Lookup;
use crate::sockets::{InterestSet, Socket};

/// What a handle stands for. Each has a descriptor that can be waited for.
#[derive(Debug)]
pub(crate) enum Open {
    Socket(Socket),
    InterestSet(InterestSet),
    Lookup(Lookup),
    Call(Call),
}

impl AsFd for Open {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Socket(socket) => socket.as_fd(),
            Self::InterestSet(set) => set.as_fd(),
            Self::Lookup(lookup) => lookup.as_fd(),
            Self::Call(call) => call.as_fd(),
        }
    }
}

/// What is open, by handle. As in POSIX, the lowest free number is used first.
#[derive(Debug)]
pub(crate) struct Handles {
    slots: Vec<Option<Open>>,
    /// The indices of the empty slots.
    free: BinaryHeap<Reverse<u32>>,
    /// The handles of the interest sets.
    interest_sets: Vec<u32>,
    limit: usize,
}

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: BinaryHeap::new(),
            interest_sets: Vec::new(),
            // Every index has to have a handle.
            limit: limit.min((u32::MAX - FIRST_HANDLE) as usize),
        }
    }

    /// How many may be open at once.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// EMFILE unless so many more can be opened.
    pub(crate) fn room_for(&self, count: usize) -> Result<(), Errno> {
        match self.limit.checked_sub(self.count()) {
            Some(room) if room >= count => Ok(()),
            _ => Err(Errno::EMFILE),
        }
    }

    /// Inserts it under the lowest free handle. Without a free handle it is closed, and the error is EMFILE.
    pub(crate) fn insert(&mut self, open: Open) -> Result<u32, Errno> {
        self.room_for(1)?;
        let index = match self.free.pop() {
            Some(Reverse(index)) => index,
            None => {
                self.slots.push(None);
                // The index is below the limit, which fits.
                (self.slots.len() - 1) as u32
            }
        };
        if let Open::InterestSet(_) = open {
            self.interest_sets.push(FIRST_HANDLE + index);
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            *slot = Some(open);
        }
        Ok(FIRST_HANDLE + index)
    }

    /// What a handle stands for, or EBADF.
    pub(crate) fn get(&self, handle: u32) -> Result<&Open, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        let slot = self.slots.get(index as usize).and_then(Option::as_ref);
        slot.ok_or(Errno::EBADF)
    }

    /// The socket of a handle, or EBADF.
    pub(crate) fn socket(&self, handle: u32) -> Result<&Socket, Errno> {
        match self.get(handle)? {
            Open::Socket(socket) => Ok(socket),
            _ => Err(Errno::EBADF),
        }
    }

    /// The interest set of a handle, or EBADF.
    pub(crate) fn interest_set(&self, handle: u32) -> Result<&InterestSet, Errno> {
        match self.get(handle)? {
            Open::InterestSet(set) => Ok(set),
            _ => Err(Errno::EBADF),
        }
    }

    /// The interest set of a handle, to change its state, or EBADF.
    pub(crate) fn interest_set_mut(&mut self, handle: u32) -> Result<&mut InterestSet, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        match self.slots.get_mut(index as usize) {
            Some(Some(Open::InterestSet(set))) => Ok(set),
            _ => Err(Errno::EBADF),
        }
    }

    /// All sockets.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = &Socket> {
        self.numbered_sockets().map(|(_, socket)| socket)
    }

    /// All sockets, each with its handle.
    pub(crate) fn numbered_sockets(&self) -> impl Iterator<Item = (u32, &Socket)> {
        let numbered = (FIRST_HANDLE..).zip(&self.slots);
        numbered.filter_map(|(handle, slot)| match slot {
            Some(Open::Socket(socket)) => Some((handle, socket)),
            _ => None,
        })
    }

    /// The interest sets that have an entry for a handle.
    pub(crate) fn watchers(&self, handle: u32) -> impl Iterator<Item = u32> {
        let sets = self.interest_sets.iter().copied();
        sets.filter(move |set| {
            self.interest_set(*set)
                .is_ok_and(|set| set.watches.contains(&handle))
        })
    }

    /// The look-up of a handle, or EBADF.
    pub(crate) fn lookup(&self, handle: u32) -> Result<&Lookup, Errno> {
        match self.get(handle)? {
            Open::Lookup(lookup) => Ok(lookup),
            _ => Err(Errno::EBADF),
        }
    }

    /// The call of a handle, or EBADF.
    pub(crate) fn call(&self, handle: u32) -> Result<&Call, Errno> {
        match self.get(handle)? {
            Open::Call(call) => Ok(call),
            _ => Err(Errno::EBADF),
        }
    }

    /// Removes what a handle stands for, and frees the handle. EBADF if there is nothing.
    pub(crate) fn remove(&mut self, handle: u32) -> Result<Open, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        let slot = self.slots.get_mut(index as usize).and_then(Option::take);
        let open = slot.ok_or(Errno::EBADF)?;
        self.free.push(Reverse(index));
        if let Open::InterestSet(_) = open {
            self.interest_sets.retain(|set| *set != handle);
        }
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    use super::{Handles, Open};
    use crate::sockets::{InterestSet, Socket};
    use wasisocket_abi::{AF_INET, Errno, SOCK_STREAM};

    fn socket() -> Open {
        Open::Socket(Socket::open(AF_INET, SOCK_STREAM, 0).unwrap())
    }

    #[test]
    fn lowest_free_handle_comes_first_and_the_limit_holds() {
        let mut handles = Handles::new(3);
        assert_eq!(handles.room_for(3), Ok(()));
        for handle in [1000, 1001, 1002] {
            assert_eq!(handles.insert(socket()), Ok(handle));
        }
        assert_eq!(handles.insert(socket()), Err(Errno::EMFILE));
        for handle in [1002, 1000, 1001] {
            assert!(handles.remove(handle).is_ok());
        }
        assert_eq!(handles.insert(socket()), Ok(1000));
        assert_eq!(handles.room_for(2), Ok(()));
        assert_eq!(handles.room_for(3), Err(Errno::EMFILE));
        assert_eq!(handles.insert(socket()), Ok(1001));
    }

    #[test]
    fn what_is_no_handle_is_a_bad_descriptor() {
        let mut handles = Handles::new(2);
        for handle in [0, 3, 999, 1000, u32::MAX] {
            assert_eq!(handles.get(handle).err(), Some(Errno::EBADF));
            assert_eq!(handles.remove(handle).err(), Some(Errno::EBADF));
        }
    }

    #[test]
    fn handle_of_another_kind_is_a_bad_descriptor() {
        let mut handles = Handles::new(2);
        let set = Open::InterestSet(InterestSet::create().unwrap());
        let (set, socket) = (
            handles.insert(set).unwrap(),
            handles.insert(socket()).unwrap(),
        );
        assert_eq!(handles.socket(set).err(), Some(Errno::EBADF));
        assert_eq!(handles.interest_set(socket).err(), Some(Errno::EBADF));
        assert_eq!(handles.interest_set_mut(socket).err(), Some(Errno::EBADF));
        assert_eq!(handles.lookup(socket).err(), Some(Errno::EBADF));
    }

    #[test]
    fn no_limit_is_no_overflow() {
        let mut handles = Handles::new(usize::MAX);
        assert_eq!(handles.insert(socket()), Ok(1000));
    }
}
