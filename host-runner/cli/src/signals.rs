//! Signals that end this process.

use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use wasmtime::Result;
use wasmtime::error::Context as _;

/// The exit status after Ctrl-C, as shells have it.
const INTERRUPTED: i32 = 130;

/// Calls `clean` before a signal ends the process, wherever the guest is.
pub(crate) fn clean_up_at(clean: impl Fn() + Send + 'static) -> Result<()> {
    let ends = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut ends = ends.context("cannot handle signals")?;
    thread::spawn(move || {
        for signal in ends.forever() {
            clean();
            if signal == SIGINT {
                std::process::exit(INTERRUPTED);
            }
            // Whoever sent it is told that it did what it should.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(())
}
