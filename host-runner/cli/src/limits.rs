//! Limits that the command enforces itself, as it runs one guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::SIGTERM;
use wasisocket_host::{Event, GuestSignals, Limit, MAX_SOCKETS_DEFAULT};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::say;

/// The exit status after `--timeout` and `--max-cpu`, as of timeout(1).
const TIMED_OUT: u8 = 124;

/// What ends a guest whose time is over: SIGTERM and a time of grace, if it has one, and then this process.
#[derive(Clone)]
pub(crate) struct TimeIsOver<L> {
    guest: GuestSignals,
    grace: Option<Duration>,
    reached: Arc<AtomicBool>,
    leave: L,
}

impl<L: Fn(i32)> TimeIsOver<L> {
    pub(crate) fn new(guest: GuestSignals, grace: Option<Duration>, leave: L) -> Self {
        Self {
            guest,
            grace,
            reached: Arc::default(),
            leave,
        }
    }

    /// The status of a guest that ended, if its time was over by then.
    pub(crate) fn status(&self) -> Option<u8> {
        let reached = self.reached.load(Ordering::Relaxed);
        reached.then_some(TIMED_OUT)
    }

    fn end(&self, line: String, limit: Limit) {
        self.reached.store(true, Ordering::Relaxed);
        report(line, limit);
        if let Some(grace) = self.grace
            && self.guest.send(SIGTERM.cast_unsigned())
        {
            thread::sleep(grace);
        }
        (self.leave)(TIMED_OUT.into());
    }
}

/// Ends the guest when the time is over, whatever it is doing: computing, waiting for a socket, or reading its standard
/// input.
pub(crate) fn end_after<L>(limit: Duration, end: TimeIsOver<L>)
where
    L: Fn(i32) + Send + 'static,
{
    thread::spawn(move || {
        thread::sleep(limit);
        let line = format!("the guest was ended after {limit:?}, its --timeout");
        end.end(line, Limit::Timeout);
    });
}

/// Ends the guest when this process has used this much processor time from now on.
pub(crate) fn end_after_cpu<L>(limit: Duration, end: TimeIsOver<L>)
where
    L: Fn(i32) + Send + 'static,
{
    let start = cpu_time();
    thread::spawn(move || {
        let processors = thread::available_parallelism().map_or(1, usize::from) as u32;
        loop {
            let used = cpu_time().saturating_sub(start);
            let left = limit.saturating_sub(used);
            if left.is_zero() {
                break;
            }
            // The rest cannot be used up sooner.
            thread::sleep((left / processors).max(Duration::from_millis(1)));
        }
        let line = format!("the guest was ended after {limit:?} of processor time, its --max-cpu");
        end.end(line, Limit::MaxCpu);
    });
}

/// CLOCK_PROCESS_CPUTIME_ID (clock_gettime(2)).
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Prints from a thread of its own: the guest may hold the lock of standard error in a write that blocks.
fn report(line: String, limit: Limit) {
    let printing = thread::spawn(move || {
        Event::LimitReached(limit).log();
        say(format_args!("{line}"));
    });
    let deadline = Instant::now() + Duration::from_millis(100);
    while !printing.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Descriptors that this process needs beside the guest's sockets: standard streams, folders, files, threads.
const OTHER_DESCRIPTORS: u64 = 256;

/// Raises this process's limit of open files if it is too low for this number of sockets.
pub(crate) fn allow_sockets(count: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_DESCRIPTORS);
    // The usual limit of open files is enough for the default number.
    if count <= MAX_SOCKETS_DEFAULT || limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        bail!("--max-sockets {count} needs {wanted} open files, and `ulimit -Hn` allows fewer");
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("--max-sockets: cannot raise the limit")
}
