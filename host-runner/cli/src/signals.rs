//! Signals of this process: the guest's if it handles them, otherwise the end of this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use wasisocket_host::GuestSignals;
use wasmtime::Result;
use wasmtime::error::Context as _;

/// What is passed on.
const PASSED_ON: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH];

/// What asks a program to end.
const ENDS_PROGRAMS: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// A second Ctrl-C within this time ends a guest that does not.
const TWICE: Duration = Duration::from_secs(1);

/// Passes signals of this process on to its guest.
pub(crate) struct PassedOn<C> {
    /// A bit for each that was.
    signals: Arc<AtomicU64>,
    clean: C,
}

impl<C: Fn() + Clone + Send + 'static> PassedOn<C> {
    /// `clean` is called before a signal that the guest does not handle ends this process, wherever the guest is. A guest
    /// that handles one and does not end within `grace` is ended too.
    pub(crate) fn start(guest: GuestSignals, grace: Option<Duration>, clean: C) -> Result<Self> {
        let ignored = ignored();
        let handled = PASSED_ON
            .into_iter()
            .filter(|signal| ignored & bit(*signal) == 0);
        let mut signals = Signals::new(handled).context("cannot handle signals")?;
        let this = Self {
            signals: Arc::default(),
            clean,
        };
        let passed_on = this.signals.clone();
        let end = {
            let clean = this.clean.clone();
            move |signal| end_by(signal, &clean)
        };
        thread::spawn(move || {
            let mut interrupted: Option<Instant> = None;
            for signal in signals.forever() {
                let is_second =
                    signal == SIGINT && interrupted.is_some_and(|at| at.elapsed() < TWICE);
                // Before the guest can have ended of it.
                passed_on.fetch_or(bit(signal), Ordering::Relaxed);
                if is_second || !guest.send(signal.cast_unsigned()) {
                    if signal != SIGWINCH {
                        end(signal);
                    }
                    continue;
                }
                if signal == SIGINT {
                    interrupted = Some(Instant::now());
                }
                if let Some(grace) = grace.filter(|_| ENDS_PROGRAMS.contains(&signal)) {
                    let end = end.clone();
                    thread::spawn(move || {
                        thread::sleep(grace);
                        end(signal);
                    });
                }
            }
        });
        Ok(this)
    }

    /// Ends this process by the signal that the guest ended of, if this status says so. The parent then sees it, and a shell
    /// ends its loop at Ctrl-C.
    pub(crate) fn end_as_guest(&self, status: u8) {
        let signal = i32::from(status) - 128;
        if ENDS_PROGRAMS.contains(&signal)
            && self.signals.load(Ordering::Relaxed) & bit(signal) != 0
        {
            end_by(signal, &self.clean);
        }
    }
}

/// Ends this process as the signal would.
fn end_by(signal: i32, clean: &impl Fn()) {
    clean();
    // It fails for no signal that is passed on.
    let _ = emulate_default_handler(signal);
}

fn bit(signal: i32) -> u64 {
    u32::try_from(signal - 1)
        .ok()
        .and_then(|shift| 1_u64.checked_shl(shift))
        .unwrap_or(0)
}

/// The signals that this process was started to ignore, by nohup(1) or with `&`: a bit for each (proc_pid_status(5)).
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.map_or(0, |bits| {
        u64::from_str_radix(bits.trim(), 16).unwrap_or_default()
    })
}
