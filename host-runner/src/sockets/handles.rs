//! The handles of one guest.

use wasisocket_abi::{Errno, FIRST_HANDLE};

use super::Socket;

/// Open sockets by handle. Like POSIX, the lowest free number is given out first.
#[derive(Debug)]
pub(crate) struct Handles {
    slots: Vec<Option<Socket>>,
    limit: usize,
}

impl Handles {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            limit,
        }
    }

    /// Opens a socket with `open` under the lowest free handle; EMFILE if there is none.
    pub(crate) fn insert(
        &mut self,
        open: impl FnOnce() -> Result<Socket, Errno>,
    ) -> Result<u32, Errno> {
        let index = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        if index >= self.limit {
            return Err(Errno::EMFILE);
        }
        let handle = u32::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(FIRST_HANDLE))
            .ok_or(Errno::EMFILE)?;
        let socket = Some(open()?);
        match self.slots.get_mut(index) {
            Some(slot) => *slot = socket,
            None => self.slots.push(socket),
        }
        Ok(handle)
    }

    /// The socket of a handle, or EBADF.
    pub(crate) fn get(&self, handle: u32) -> Result<&Socket, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        let slot = self.slots.get(index as usize).and_then(Option::as_ref);
        slot.ok_or(Errno::EBADF)
    }

    /// The socket of a handle, to change its state, or EBADF.
    pub(crate) fn get_mut(&mut self, handle: u32) -> Result<&mut Socket, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        let slot = self.slots.get_mut(index as usize).and_then(Option::as_mut);
        slot.ok_or(Errno::EBADF)
    }

    /// Takes the socket out; its handle is free again. EBADF if there is none.
    pub(crate) fn remove(&mut self, handle: u32) -> Result<Socket, Errno> {
        let index = handle.checked_sub(FIRST_HANDLE).ok_or(Errno::EBADF)?;
        let slot = self.slots.get_mut(index as usize).and_then(Option::take);
        slot.ok_or(Errno::EBADF)
    }
}

#[cfg(test)]
mod tests {
    use super::Handles;
    use crate::sockets::Socket;
    use wasisocket_abi::{AF_INET, Errno, SOCK_STREAM};

    fn open() -> Result<Socket, Errno> {
        Socket::open(AF_INET, SOCK_STREAM)
    }

    #[test]
    fn lowest_free_handle_comes_first_and_the_limit_holds() {
        let mut handles = Handles::new(2);
        assert_eq!(handles.insert(open), Ok(1000));
        assert_eq!(handles.insert(open), Ok(1001));
        assert_eq!(handles.insert(open), Err(Errno::EMFILE));
        assert!(handles.remove(1000).is_ok());
        assert_eq!(handles.insert(open), Ok(1000));
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
    fn socket_that_does_not_open_takes_no_handle() {
        let mut handles = Handles::new(1);
        assert_eq!(handles.insert(|| Err(Errno::ENOBUFS)), Err(Errno::ENOBUFS));
        assert_eq!(handles.insert(open), Ok(1000));
    }
}
