//! Waiting, in a synchronous store: here, and in send(2) and recv(2) themselves.
//!
//! Every operation is an attempt that never blocks; what waits is poll(2) on one file descriptor
//! between two attempts. But to wait without end for a connected socket, the kernel's own calls do in
//! one what would be an attempt, a poll and another attempt: see [`Timeout::is_endless`].

use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

use crate::errno::from_system;

/// Attempts after which waiting slows down, if each was told to be ready and was not.
///
/// poll(2) tells nothing of a full backlog or a full queue of another Unix socket, and a datagram that
/// the policy keeps away makes a socket readable.
const QUICK_ATTEMPTS: u32 = 8;

/// The pause between attempts from then on.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a guest wants to wait: nanoseconds, negative without end, 0 not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) i64);

impl Timeout {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const FOREVER: Self = Self(-1);

    /// May the attempt itself block? Only what no clock has to end.
    pub(crate) fn is_endless(self) -> bool {
        self.0 < 0
    }
}

/// The end of a [`Timeout`] that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn begin(timeout: Timeout) -> Self {
        // Centuries from now, where the clock cannot tell them, are without end.
        Self(
            u64::try_from(timeout.0)
                .ok()
                .and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos))),
        )
    }

    /// What is left: `None` without end, zero when it is over.
    fn left(self) -> Option<Duration> {
        self.0
            .map(|end| end.saturating_duration_since(Instant::now()))
    }
}

/// Makes attempts until one does not answer EAGAIN, waiting in between for `events` on `fd`.
///
/// EAGAIN if the time is over; with [`Timeout::NONE`] that is after the first attempt.
pub(crate) fn attempt_until<T>(
    fd: BorrowedFd<'_>,
    events: PollFlags,
    timeout: Timeout,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let first = attempt();
    if first.as_ref().err() != Some(&Errno::EAGAIN) || timeout == Timeout::NONE {
        return first;
    }
    let deadline = Deadline::begin(timeout);
    let mut attempts = 0;
    loop {
        let mut waiting = [PollFd::from_borrowed_fd(fd, events)];
        if poll_until(&mut waiting, deadline)? == 0 {
            return Err(Errno::EAGAIN);
        }
        match attempt() {
            Err(Errno::EAGAIN) => {}
            result => return result,
        }
        let left = deadline.left().unwrap_or(PAUSE);
        if left.is_zero() {
            return Err(Errno::EAGAIN);
        }
        attempts += 1;
        if attempts > QUICK_ATTEMPTS {
            thread::sleep(left.min(PAUSE));
        }
    }
}

/// poll(2) until something is ready or the time is over; how many are ready.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], deadline: Deadline) -> Result<usize, Errno> {
    loop {
        let left = deadline.left();
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

/// poll(2) without waiting.
pub(crate) fn poll_now(fds: &mut [PollFd<'_>]) -> Result<usize, Errno> {
    poll_until(fds, Deadline(Some(Instant::now())))
}

#[cfg(test)]
mod tests {
    use super::{Deadline, Duration, Errno, Instant, PollFlags, Timeout, attempt_until};
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::AsFd;

    #[test]
    fn waiting_never_ends_early() {
        let never = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        for nanos in [1, 999_999, 20_000_001] {
            let begun = Instant::now();
            let result: Result<(), _> =
                attempt_until(never.as_fd(), PollFlags::IN, Timeout(nanos), || {
                    Err(Errno::EAGAIN)
                });
            assert_eq!(result, Err(Errno::EAGAIN));
            assert!(begun.elapsed() >= Duration::from_nanos(nanos as u64));
        }
    }

    #[test]
    fn no_time_is_one_attempt() {
        let never = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let mut attempts = 0;
        let result: Result<(), _> =
            attempt_until(never.as_fd(), PollFlags::IN, Timeout::NONE, || {
                attempts += 1;
                Err(Errno::EAGAIN)
            });
        assert_eq!((result, attempts), (Err(Errno::EAGAIN), 1));
    }

    #[test]
    fn what_says_ready_and_is_not_slows_down() {
        let always = eventfd(1, EventfdFlags::CLOEXEC).unwrap();
        let mut attempts = 0;
        let wait = Timeout(30_000_000);
        let result: Result<(), _> = attempt_until(always.as_fd(), PollFlags::IN, wait, || {
            attempts += 1;
            Err(Errno::EAGAIN)
        });
        assert_eq!(result, Err(Errno::EAGAIN));
        assert!((5..=50).contains(&attempts), "{attempts}");
    }

    #[test]
    fn longest_time_is_without_end() {
        for nanos in [i64::MAX, -1, i64::MIN] {
            let left = Deadline::begin(Timeout(nanos)).left();
            assert!(left.is_none_or(|left| left > Duration::from_secs(1 << 32)));
        }
    }
}
