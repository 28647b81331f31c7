//! Waiting, in two ways: with poll(2), which blocks the thread, and on tokio's reactor, which does not.
//!
//! Every operation on a socket is an attempt; who waits between two attempts is the linker. But to wait
//! without end for a connected socket, the kernel's own calls do in one what would be an attempt, a poll
//! and another attempt: see [`Patience`].

use std::future::{Future, poll_fn};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno as SystemErrno;
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasisocket_abi::Errno;

use crate::errno::from_system;

/// How long a guest wants to wait: nanoseconds, negative without end, 0 not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) i64);

impl Timeout {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const FOREVER: Self = Self(-1);

    /// When it is over, if it begins now: `None` without end.
    pub(crate) fn end(self) -> Option<Instant> {
        // Centuries from now, where the clock cannot tell them, are without end.
        u64::try_from(self.0)
            .ok()
            .and_then(|nanos| Instant::now().checked_add(Duration::from_nanos(nanos)))
    }
}

/// How long an attempt may block its thread. Where a clock has to end it, or the thread is others' too,
/// it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Timeout);

impl Patience {
    pub(crate) const NONE: Self = Self(Timeout::NONE);

    /// May it block without end? Only calls of the kernel that have no clock want to know.
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

/// As [`block_until`], in place of the thread blocking the task, which is one of a tokio runtime. That
/// something is ready is a guess, to be followed by an attempt.
///
/// # Errors
/// Those of epoll_ctl(2): ENOMEM, ENOSPC.
pub(crate) async fn ready_until(
    watched: &Watched<'_>,
    end: Option<Instant>,
) -> Result<bool, Errno> {
    let mut sources: SmallVec<[(AsyncFd<BorrowedFd<'_>>, Interest); 1]> = SmallVec::new();
    for (fd, interest) in merged(watched) {
        #[expect(
            deprecated,
            reason = "what is unsafe in the newer one holds: a BorrowedFd is open as long as it lives, and no other"
        )]
        match AsyncFd::with_interest(fd, interest) {
            Ok(source) => sources.push((source, interest)),
            // A file, which epoll(7) does not take, is always ready.
            Err(error) if is_permission(&error) => return Ok(true),
            Err(error) => {
                let raw = error.raw_os_error().unwrap_or_default();
                return Err(from_system(SystemErrno::from_raw_os_error(raw)));
            }
        }
    }
    let mut waits: SmallVec<[Pin<Box<dyn Future<Output = ()> + Send + '_>>; 1]> = sources
        .iter()
        .map(
            |(source, interest)| -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
                Box::pin(async { drop(source.ready(*interest).await) })
            },
        )
        .collect();
    let any = poll_fn(|context| {
        let ready = waits
            .iter_mut()
            .any(|wait| wait.as_mut().poll(context).is_ready());
        if ready {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    match end {
        None => any.await,
        Some(end) => {
            let timed = tokio::time::timeout_at(end.into(), any).await;
            return Ok(timed.is_ok());
        }
    }
    Ok(true)
}

fn is_permission(error: &std::io::Error) -> bool {
    error.raw_os_error() == Some(SystemErrno::PERM.raw_os_error())
}

/// Each descriptor once, with all that is waited for of it: an epoll(7) takes it once only.
fn merged<'a>(watched: &Watched<'a>) -> SmallVec<[(BorrowedFd<'a>, Interest); 1]> {
    let entries = watched.iter();
    let mut merged: SmallVec<[(BorrowedFd<'a>, Interest); 1]> = entries
        .map(|(fd, events)| (*fd, interest(*events)))
        .collect();
    // A guest may name tens of thousands.
    merged.sort_unstable_by_key(|(fd, _)| fd.as_raw_fd());
    merged.dedup_by(|(fd, interest), (known, all)| {
        let same = fd.as_raw_fd() == known.as_raw_fd();
        if same {
            *all = all.add(*interest);
        }
        same
    });
    merged
}

/// What wakes who waits for these events. Errors and hang-ups do in any case.
fn interest(events: PollFlags) -> Interest {
    let wanted = [
        (PollFlags::IN, Interest::READABLE),
        (PollFlags::OUT, Interest::WRITABLE),
        (PollFlags::PRI, Interest::PRIORITY),
    ];
    wanted
        .into_iter()
        .filter(|(event, _)| events.contains(*event))
        .map(|(_, interest)| interest)
        .reduce(Interest::add)
        .unwrap_or(Interest::READABLE)
}

#[cfg(test)]
mod tests {
    use super::{Duration, Errno, Instant, PollFlags, Timeout, Watched, block_until, ready_until};
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
