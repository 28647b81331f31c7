//! Limits on one run: how they are written, and the time limit itself.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wasisocket_host::MAX_SOCKETS_DEFAULT;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::say;

/// The exit status after `--timeout`, as timeout(1) has it.
const TIMED_OUT: i32 = 124;

/// Ends this process by `leave` when the time is up, wherever the guest is: computing, waiting for a socket,
/// or waiting for its standard input.
pub(crate) fn end_process_after(limit: Duration, leave: impl Fn(i32) + Send + 'static) {
    thread::spawn(move || {
        thread::sleep(limit);
        // From a thread of its own: a guest may hold standard error in a write that does not end.
        let telling = thread::spawn(move || {
            say(format_args!(
                "the guest was ended after {limit:?}, its --timeout"
            ));
        });
        let patience = Instant::now() + Duration::from_millis(100);
        while !telling.is_finished() && Instant::now() < patience {
            thread::sleep(Duration::from_millis(1));
        }
        leave(TIMED_OUT);
    });
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

/// Seconds, or a number with the unit ms, s, m or h.
pub(crate) fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let seconds = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{unit:?} is no unit of time: write ms, s, m or h")),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "write a time such as 10, 0.5s or 5m")?;
    Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
}

/// Bytes, or a number with the unit K, M or G, in steps of 1024.
pub(crate) fn parse_size(text: &str) -> std::result::Result<usize, String> {
    let (number, unit) = split_unit(text);
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" | "m" => 20,
        "G" | "g" => 30,
        _ => return Err(format!("{unit:?} is no unit of size: write K, M or G")),
    };
    let number: usize = number.parse().map_err(|_| "write a size such as 256M")?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "the size is too large".into())
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{parse_duration, parse_size};
    use std::time::Duration;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        for text in [
            "",
            "s",
            "-1",
            "1d",
            "1.2.3",
            "1e3",
            "999999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        for text in [
            "",
            "M",
            "-1",
            "1T",
            "1.5G",
            "99999999999999999999",
            "99999999999999G",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
