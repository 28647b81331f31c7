//! Waiting for several descriptors: poll and select, for sockets and files in one call.

use wasisocket_abi::v1::{self, PollEntry};

use crate::descriptors::{self, RawFd};
use crate::host::{Host as _, Imp};
use crate::sys::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDHUP, pollfd};
use crate::{Errno, Result};

/// Nanoseconds in a millisecond.
const MILLISECOND: i64 = 1_000_000;

/// The event bits of C, and of the ABI.
const EVENTS: [(i32, u32); 7] = [
    (POLLIN, v1::EVENT_IN),
    (POLLPRI, v1::EVENT_PRI),
    (POLLOUT, v1::EVENT_OUT),
    (POLLERR, v1::EVENT_ERR),
    (POLLHUP, v1::EVENT_HUP),
    (POLLNVAL, v1::EVENT_NVAL),
    (POLLRDHUP, v1::EVENT_RDHUP),
];

/// Bits in other numbers: `pairs` has each bit, and what stands for it.
pub(crate) fn translated(bits: i32, pairs: impl IntoIterator<Item = (i32, i32)>) -> i32 {
    let pairs = pairs.into_iter().filter(|(from, _)| bits & from != 0);
    pairs.fold(0, |bits, (_, to)| bits | to)
}

fn to_abi(events: i16) -> u16 {
    let pairs = EVENTS.map(|(c, abi)| (c, abi as i32));
    translated(events.into(), pairs) as u16
}

fn to_c(events: u16) -> i16 {
    let pairs = EVENTS.map(|(c, abi)| (abi as i32, c));
    translated(events.into(), pairs) as i16
}

/// The timeout for preview1's poll: milliseconds, rounded up so that it never ends early.
fn to_milliseconds(timeout: i64) -> i32 {
    match timeout {
        ..0 => -1,
        _ => {
            let up = timeout.saturating_add(MILLISECOND.saturating_sub(1));
            i32::try_from(up.checked_div(MILLISECOND).unwrap_or(0)).unwrap_or(i32::MAX)
        }
    }
}

/// `int poll(struct pollfd fds[], nfds_t nfds, int timeout)`: poll(2), with the timeout in nanoseconds.
///
/// A file is always ready, as POSIX requires. The host watches standard input.
///
/// `files` is wasi-libc's own poll, with the timeout in milliseconds, for a host that cannot watch descriptors. It
/// returns how many are ready.
///
/// # Errors
/// EINVAL for more entries than the host accepts; those of `files`.
pub fn poll(
    fds: &mut [pollfd],
    timeout: i64,
    files: impl FnOnce(&mut [pollfd], i32) -> Result<usize>,
) -> Result<usize> {
    let ours = |fd: &pollfd| descriptors::is_ours(fd.fd);
    if !Imp::CAN_WAIT && !fds.iter().any(ours) {
        return files(fds, to_milliseconds(timeout));
    }
    let mut entries = Vec::with_capacity(fds.len());
    let mut watched = Vec::with_capacity(fds.len());
    let mut known: usize = 0;
    for fd in fds {
        fd.revents = match descriptors::watched(fd.fd) {
            // Negative descriptors are ignored.
            _ if fd.fd < 0 => 0,
            Ok(handle) => {
                entries.push(PollEntry {
                    handle,
                    events: to_abi(fd.events),
                    revents: 0,
                });
                watched.push(fd);
                continue;
            }
            Err(Errno(libc::ENOTSOCK)) => fd.events & (POLLIN | POLLOUT) as i16,
            Err(_) => POLLNVAL as i16,
        };
        known = known.saturating_add(usize::from(fd.revents != 0));
    }
    let timeout = if known > 0 { 0 } else { timeout };
    let ready = match entries.is_empty() && timeout == 0 {
        true => 0,
        false => Imp::poll(&mut entries, timeout)?,
    };
    for (fd, entry) in watched.into_iter().zip(entries) {
        fd.revents = to_c(entry.revents);
    }
    Ok(ready.saturating_add(known))
}

/// `int select(int nfds, fd_set *read, fd_set *write, fd_set *except, struct timeval *timeout)`:
/// select(2), with the timeout in nanoseconds. The sets are those for reading or accepting, for writing, and for
/// out-of-band data; those that are ready are left in them, and their number is returned.
///
/// # Errors
/// EBADF for a number that is no descriptor.
pub fn select(
    [read, write, except]: &mut [Vec<RawFd>; 3],
    timeout: i64,
    files: impl FnOnce(&mut [pollfd], i32) -> Result<usize>,
) -> Result<usize> {
    let wanted = [
        (read, POLLIN, POLLIN | POLLHUP | POLLERR),
        (write, POLLOUT, POLLOUT | POLLERR),
        (except, POLLPRI, POLLPRI),
    ];
    let mut fds = Vec::new();
    for (set, events, _) in &wanted {
        fds.extend(set.iter().map(|fd| pollfd {
            fd: *fd,
            events: *events as i16,
            revents: 0,
        }));
    }
    poll(&mut fds, timeout, files)?;
    if fds.iter().any(|fd| i32::from(fd.revents) & POLLNVAL != 0) {
        return Err(Errno(libc::EBADF));
    }
    let mut polled = fds.iter();
    let mut count: usize = 0;
    for (set, _, answers) in wanted {
        // `retain` visits them in the order in which they were added to `fds`.
        set.retain(|_| {
            polled
                .next()
                .is_some_and(|fd| i32::from(fd.revents) & answers != 0)
        });
        count = count.saturating_add(set.len());
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::{EVENTS, poll, to_abi, to_c, to_milliseconds};
    use crate::sys::{POLLIN, POLLNVAL, pollfd};

    #[test]
    fn events_survive_the_way_there_and_back() {
        for (c, _) in EVENTS {
            assert_eq!(i32::from(to_c(to_abi(c as i16))), c);
        }
    }

    #[test]
    fn timeouts_never_end_early() {
        assert_eq!(to_milliseconds(1), 1);
        assert_eq!(to_milliseconds(0), 0);
        assert_eq!(to_milliseconds(-1), -1);
        assert_eq!(to_milliseconds(i64::MAX), i32::MAX);
    }

    #[test]
    fn what_is_no_descriptor_is_said_to_be_invalid() {
        let mut fds = [-1, 1023].map(|fd| pollfd {
            fd,
            events: POLLIN as i16,
            revents: 7,
        });
        let ready = poll(&mut fds, -1, |_, _| unreachable!());
        assert_eq!(ready, Ok(1));
        assert_eq!(fds[0].revents, 0);
        assert_eq!(i32::from(fds[1].revents), POLLNVAL);
    }
}
