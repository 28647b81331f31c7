//! Limits on one run that the command itself holds.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use wasisocket_host::{Event, Limit, MAX_SOCKETS_DEFAULT};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::say;

/// The exit status after `--timeout` and `--max-cpu`, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// Ends this process by `leave` when the time is up, wherever the guest is: computing, waiting for a socket,
/// or waiting for its standard input.
pub(crate) fn end_process_after(limit: Duration, leave: impl Fn(i32) + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(limit);
        let line = format!("the guest was ended after {limit:?}, its --timeout");
        tell(line, Limit::Timeout);
        leave(TIMED_OUT);
    });
}

/// Ends this process by `leave` when processors have worked so long for it from now on.
pub(crate) fn end_process_after_cpu(limit: Duration, leave: impl Fn(i32) + Send + 'static) {
    let begun = cpu_time();
    thread::spawn(move || {
        let processors = thread::available_parallelism().map_or(1, usize::from) as u32;
        loop {
            let used = cpu_time().saturating_sub(begun);
            let left = limit.saturating_sub(used);
            if left.is_zero() {
                break;
            }
            // It cannot be used up sooner.
            thread::sleep((left / processors).max(Duration::from_millis(1)));
        }
        let line = format!("the guest was ended after {limit:?} of processor time, its --max-cpu");
        tell(line, Limit::MaxCpu);
        leave(TIMED_OUT);
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

/// From a thread of its own: a guest may hold standard error in a write that does not end.
fn tell(line: String, limit: Limit) {
    let telling = thread::spawn(move || {
        Event::LimitReached(limit).log();
        say(format_args!("{line}"));
    });
    let patience = Instant::now() + Duration::from_millis(100);
    while !telling.is_finished() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Descriptors of this process beside the guest's sockets: standard streams, folders, files, threads.
const OTHER_DESCRIPTORS: u64 = 256;

/// Raises this process's limit of open files, where it is lower than so many sockets need.
pub(crate) fn allow_sockets(count: usize) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(count)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHER_DESCRIPTORS);
    // The usual limit leaves enough for the usual number.
    if count <= MAX_SOCKETS_DEFAULT || limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|maximum| maximum < wanted) {
        bail!("--max-sockets {count}: needs {wanted} open files, and `ulimit -Hn` allows fewer");
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).context("--max-sockets: cannot raise the limit")
}
