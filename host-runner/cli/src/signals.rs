//! Signals that end this process.

use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use wasmtime::Result;
use wasmtime::error::Context as _;

/// The exit status after Ctrl-C, as in shells.
const INTERRUPTED: i32 = 130;

/// Calls `clean` before a signal ends the process, wherever the guest is.
pub(crate) fn clean_up_at(clean: impl Fn() + Send + 'static) -> Result<()> {
    let ignored = ignored();
    let handled = [SIGHUP, SIGINT, SIGTERM];
    let handled = handled
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(handled).context("cannot handle signals")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            clean();
            if signal == SIGINT {
                std::process::exit(INTERRUPTED);
            }
            // The parent then sees that the signal ended this process.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}

/// The signals that this process was started to ignore, by nohup(1) or with `&`: a bit for each (proc_pid_status(5)).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.map_or(0, |bits| {
        u64::from_str_radix(bits.trim(), 16).unwrap_or_default()
    })
}
