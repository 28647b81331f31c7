//! Calls of a function of the program that embeds the guest.

use std::rc::Rc;

use crate::descriptors::{self, Description, Kind, RawFd};
use crate::host::{FOREVER, Host as _, Imp};
use crate::{Errno, Result};

/// What an answer is first expected to have, in bytes. A longer one takes another crossing.
const ROOM: usize = 4096;

/// Calls the function with a request, and waits for its answer.
///
/// # Errors
/// EOPNOTSUPP if the host has no function; EMSGSIZE, ENOBUFS, EBUSY and EMFILE for what goes beyond its limits; EIO if
/// the function gave no answer; ENOMEM.
pub fn call(request: &[u8]) -> Result<Vec<u8>> {
    let call = Imp::call_start(request)?;
    let answer = answer_to(call, FOREVER);
    Imp::close(call)?;
    answer
}

/// Calls the function, and returns a descriptor that becomes readable when its answer is there, for event loops. It has
/// to be closed like any other; closing it gives the call up.
///
/// # Errors
/// As for [`call`].
pub fn start(request: &[u8]) -> Result<RawFd> {
    let call = Imp::call_start(request)?;
    descriptors::insert(call, Rc::new(Description::new(Kind::Call)), true)
}

/// The answer to [`start`].
///
/// # Errors
/// EAGAIN if it is not there yet; EIO if there will be none; ENOBUFS; ENOMEM; EINVAL for another descriptor.
pub fn answer(fd: RawFd) -> Result<Vec<u8>> {
    let descriptor = descriptors::get(fd)?;
    match descriptor.description.kind {
        Kind::Call => answer_to(descriptor.handle, 0),
        _ => Err(Errno(libc::EINVAL)),
    }
}

fn answer_to(call: u32, timeout: i64) -> Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut room = ROOM;
    loop {
        answer
            .try_reserve_exact(room)
            .map_err(|_| Errno(libc::ENOMEM))?;
        answer.resize(room, 0);
        let length = Imp::call_answer(call, &mut answer, timeout)?;
        if length <= answer.len() {
            answer.truncate(length);
            return Ok(answer);
        }
        answer.clear();
        room = length;
    }
}
