//! Waiting with poll(2), which blocks the thread. `reactor` waits on tokio, which does not.
//!
//! Every operation on a socket is an attempt that does not wait; the linker waits between two attempts. Only to wait
//! without end for a connected socket, the kernel's own calls do in one system call what would be an attempt, a poll
//! and another attempt: see [`Patience`].

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as SystemErrno;
use smallvec::SmallVec;
use wasisocket_abi::Errno;

use crate::errno::from_system;

/// How long a guest wants to wait, in nanoseconds: negative is without end, 0 is not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) i64);

impl Timeout {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const FOREVER: Self = Self(-1);

    /// When the time is over if it begins now; `None` without end.
    pub(crate) fn end(self) -> Option<Instant> {
        // Times that the clock cannot represent, centuries from now, are without end.
        u64::try_from(self.0)
            .ok()
            .and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)))
    }
}

/// How long an attempt may block its thread: not at all where a clock has to end it, or where others share the
/// thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Timeout);

impl Patience {
    pub(crate) const NONE: Self = Self(Timeout::NONE);

    /// May the attempt block without end? This matters only for system calls without a timeout.
    pub(crate) fn is_endless(self) -> bool {
        self.0.0 < 0
    }
}

/// What is waited for: file descriptors, and the events of each.
pub(crate) type Watched<'a> = SmallVec<[(BorrowedFd<'a>, PollFlags); 1]>;

/// Blocks until something is ready; false when the time is over.
pub(crate) fn block_until(watched: &Watched<'_>, end: Option<Instant>) -> Result<bool, Errno> {
    let mut fds: SmallVec<[PollFd<'_>; 1]> = watched
        .iter()
        .map(|(fd, events)| PollFd::from_borrowed_fd(*fd, *events))
        .collect();
    Ok(poll_until(&mut fds, end)? > 0)
}

/// poll(2) until something is ready or the time is over; how many are ready.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], end: Option<Instant>) -> Result<usize, Errno> {
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timespec = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(fds, timespec.as_ref()) {
            Err(SystemErrno::INTR) => {}
            result => return result.map_err(from_system),
        }
    }
}

#[cfg(all(test, feature = "async"))]
mod tests {
    use super::{Duration, Errno, Instant, PollFlags, Timeout, Watched, block_until};
    use crate::sockets::ready_until;
    use crate::testing::runtime;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::{AsFd, OwnedFd};

    fn event(count: u32) -> OwnedFd {
        eventfd(count, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
    }

    /// Both ways to wait.
    fn wait(watched: &Watched<'_>, timeout: Timeout) -> [Result<bool, Errno>; 2] {
        let blocked = block_until(watched, timeout.end());
        [
            blocked,
            runtime().block_on(ready_until(watched, timeout.end())),
        ]
    }

    #[test]
    fn waiting_never_ends_early() {
        let never = event(0);
        for nanos in [1, 999_999, 20_000_001] {
            let begun = Instant::now();
            let watched = Watched::from_elem((never.as_fd(), PollFlags::IN), 1);
            assert_eq!(wait(&watched, Timeout(nanos)), [Ok(false); 2]);
            assert!(begun.elapsed() >= Duration::from_nanos(2 * nanos as u64));
        }
    }

    #[test]
    fn one_of_many_wakes() {
        let (never, always) = (event(0), event(1));
        let mut watched = Watched::new();
        for fd in [&never, &always, &never, &always] {
            watched.push((fd.as_fd(), PollFlags::IN));
        }
        watched.push((always.as_fd(), PollFlags::PRI));
        assert_eq!(wait(&watched, Timeout::FOREVER), [Ok(true); 2]);
    }

    #[test]
    fn file_is_always_ready() {
        let file = tempfile::tempfile().unwrap();
        let watched = Watched::from_elem((file.as_fd(), PollFlags::IN), 1);
        assert_eq!(wait(&watched, Timeout::FOREVER), [Ok(true); 2]);
    }

    #[test]
    fn nothing_to_wait_for_is_a_pause() {
        let watched = Watched::new();
        assert_eq!(wait(&watched, Timeout(1_000_000)), [Ok(false); 2]);
    }

    #[test]
    fn longest_time_is_without_end() {
        for nanos in [i64::MAX, -1, i64::MIN] {
            let end = Timeout(nanos).end();
            assert!(end.is_none_or(|end| end > Instant::now() + Duration::from_secs(1 << 32)));
        }
    }
}
