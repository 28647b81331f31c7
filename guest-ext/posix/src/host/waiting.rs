//! Timeouts, and calls that are attempted without waiting.

use std::time::{Duration, Instant};

use wasisocket_abi::Errno;
use wasisocket_abi::v1::PollEntry;

use super::{FOREVER, Host as _, Imp, Result};
#[cfg(target_os = "wasi")]
use crate::threads::in_use::InUse;

/// Attempts that failed although the handle was reported as ready, after which waiting slows down: poll(2) does not look
/// at the backlog or the queue of the socket at the other end.
const QUICK_ATTEMPTS: u32 = 8;
/// The pause between attempts from then on, in nanoseconds.
const PAUSE: i64 = 1_000_000;

/// When so many nanoseconds are over; `None` for a negative number.
pub(crate) fn after(timeout: i64) -> Option<Instant> {
    let timeout = u64::try_from(timeout).ok()?;
    Instant::now().checked_add(Duration::from_nanos(timeout))
}

/// How many nanoseconds are left until then.
pub(crate) fn until(end: Option<Instant>) -> i64 {
    let left = end.map(|end| end.saturating_duration_since(Instant::now()));
    left.map_or(FOREVER, |left| {
        i64::try_from(left.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// Makes attempts until one does not say that it would have to wait, and waits in between for these events of the handle.
/// Returns what a call with this timeout would: EAGAIN, or EINPROGRESS of a connection, if the time is over.
pub(crate) fn attempt_until<T>(
    handle: u32,
    events: u32,
    timeout: i64,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let mut end = None;
    #[cfg(target_os = "wasi")]
    let mut in_use = None;
    let mut attempts: u32 = 0;
    loop {
        let errno = match attempt() {
            Err(errno @ (Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY)) => errno,
            result => return result,
        };
        let left = match timeout {
            0 => 0,
            _ => until(*end.get_or_insert_with(|| after(timeout))),
        };
        if left == 0 {
            return Err(match errno {
                Errno::EALREADY => Errno::EINPROGRESS,
                errno => errno,
            });
        }
        #[cfg(target_os = "wasi")]
        in_use.get_or_insert_with(|| InUse::new([handle]));
        attempts = attempts.saturating_add(1);
        if attempts > QUICK_ATTEMPTS {
            let pause = if left < 0 { PAUSE } else { left.min(PAUSE) };
            Imp::wait(&mut [], pause)?;
        }
        let mut waiting = [PollEntry {
            handle,
            events: events as u16,
            revents: 0,
        }];
        Imp::wait(&mut waiting, until(end.flatten()))?;
    }
}
