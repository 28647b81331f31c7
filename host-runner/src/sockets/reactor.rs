//! Waiting on tokio's reactor, which blocks no thread.

use std::future::{Future, poll_fn};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

use rustix::event::PollFlags;
use rustix::io::Errno as SystemErrno;
use smallvec::SmallVec;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasisocket_abi::Errno;

use super::wait::Watched;
use crate::errno::from_system;

/// Waits like [`block_until`](super::block_until), but suspends the task, which has to run on a tokio runtime.
/// Readiness is a hint, to be followed by an attempt.
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
            // epoll(7) does not take files, which are always ready.
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

/// Each descriptor once, with all of its events: an epoll(7) takes a descriptor only once.
fn merged<'a>(watched: &Watched<'a>) -> SmallVec<[(BorrowedFd<'a>, Interest); 1]> {
    let entries = watched.iter();
    let mut merged: SmallVec<[(BorrowedFd<'a>, Interest); 1]> = entries
        .map(|(fd, events)| (*fd, interest(*events)))
        .collect();
    // A guest may name tens of thousands of entries.
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

/// tokio's interest for these events. Errors and hang-ups wake a task in any case.
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
