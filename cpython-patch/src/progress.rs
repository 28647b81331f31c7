//! Progress display on stderr: one updating line per running step on a terminal, plain lines elsewhere.

use std::fs::File;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::tree;

/// How much the user wants to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Steps that do something.
    Work,
    /// Also those that are up to date.
    Steps,
    /// Also what commands print.
    Output,
}

pub(crate) struct Progress {
    bars: Option<MultiProgress>,
    /// The titles of the steps of this build, which are numbered in this order.
    titles: Vec<&'static str>,
    detail: Detail,
}

impl Progress {
    pub(crate) fn new(titles: Vec<&'static str>, detail: Detail) -> Self {
        let moving = stderr().is_terminal() && detail != Detail::Output;
        Self {
            bars: moving.then(MultiProgress::new),
            titles,
            detail,
        }
    }

    /// The step's number and the number of steps.
    fn number(&self, title: &str) -> (usize, usize) {
        let position = self.titles.iter().position(|other| *other == title);
        (position.map_or(0, |index| index + 1), self.titles.len())
    }

    /// Reports that a step has nothing to do.
    pub(crate) fn up_to_date(&self, title: &str, what: &str) {
        if self.detail != Detail::Work {
            let (number, total) = self.number(title);
            print(
                self.bars.as_ref(),
                &format!("[{number}/{total}] {title}: up to date ({what})"),
            );
        }
    }

    /// Reports that one chain of steps failed, while another may run for minutes.
    pub(crate) fn report_failure<T>(&self, result: &Result<T>) {
        if let Err(error) = result {
            print(self.bars.as_ref(), &format!("failed: {error:#}"));
        }
    }

    /// Begins a step, whose commands write to the file `log`.
    pub(crate) fn begin(&self, title: &str, log: PathBuf) -> Running {
        let (number, total) = self.number(title);
        let bar = self.bars.as_ref().map(|bars| {
            let template =
                format!("Step {number} of {total}: {title}  {{elapsed}}  {{wide_msg:.dim}}");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = bars.add(ProgressBar::new_spinner().with_style(style));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let mut running = Running::new(format!("[{number}/{total}] {title}"), log);
        running.bars = self.bars.clone();
        running.bar = bar;
        running.verbose = self.detail == Detail::Output;
        if running.bar.is_none() {
            print(None, &format!("{}: started", running.label));
        }
        running
    }
}

/// A running step. Dropped without [`Running::done`], it counts as failed.
pub(crate) struct Running {
    label: String,
    bars: Option<MultiProgress>,
    bar: Option<ProgressBar>,
    log: PathBuf,
    verbose: bool,
    started: Instant,
    last_line: Mutex<Instant>,
    logging: AtomicBool,
    finished: AtomicBool,
}

impl Running {
    /// How often a running step prints a line when the output is not a terminal.
    const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

    /// Longer lines are cut: a compiler's command line would fill a screen.
    const PLAIN_WIDTH: usize = 80;

    fn new(label: String, log: PathBuf) -> Self {
        Self {
            label,
            bars: None,
            bar: None,
            log,
            verbose: false,
            started: Instant::now(),
            last_line: Mutex::new(Instant::now()),
            logging: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        }
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Opens the log for a command's output.
    ///
    /// A log contains one run of its step. The first command starts it anew, and nothing earlier does:
    /// until then another build, for which this one waits, may be writing to it.
    pub(crate) fn open_log(&self) -> Result<File> {
        if !self.logging.swap(true, Ordering::Relaxed) {
            tree::remove(&self.log)?;
        }
        File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))
    }

    pub(crate) fn verbose(&self) -> bool {
        self.verbose
    }

    /// Prints a line that stays, such as a choice or a wait.
    pub(crate) fn note(&self, text: &str) {
        print(self.bars.as_ref(), &format!("{}: {text}", self.label));
    }

    /// Shows the newest line of the log.
    pub(crate) fn show_line(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.to_owned());
            return;
        }
        if self.verbose {
            return;
        }
        let Ok(mut last) = self.last_line.lock() else {
            return;
        };
        if last.elapsed() >= Self::PLAIN_INTERVAL {
            *last = Instant::now();
            let line: String = line.chars().take(Self::PLAIN_WIDTH).collect();
            self.note(&format!("{}: {line}", human(self.started.elapsed())));
        }
    }

    /// Ends the step; `what` describes its result.
    pub(crate) fn done(&self, what: &str) {
        self.finish("done in", &format!(" ({what})"));
    }

    fn finish(&self, how: &str, what: &str) {
        if self.finished.swap(true, Ordering::Relaxed) || self.label.is_empty() {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.note(&format!("{how} {}{what}", human(self.started.elapsed())));
    }

    /// A step that shows nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        use std::sync::atomic::AtomicUsize;
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let log = format!(
            "xtask-test-{}-{}.log",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        Self::new(String::new(), std::env::temp_dir().join(log))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.finish("failed after", "");
    }
}

fn print(bars: Option<&MultiProgress>, line: &str) {
    match bars {
        Some(bars) => {
            let _ = bars.println(line);
        }
        None => eprintln!("{line}"),
    }
}

/// A duration for users.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, _) => format!("{:.1} s", duration.as_secs_f32()),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// A number of bytes for users.
pub(crate) fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_well() {
        assert_eq!(human(Duration::from_secs(211)), "3 min 31 s");
        assert_eq!(human(Duration::from_millis(2500)), "2.5 s");
        assert_eq!(human_bytes(22_856_016), "22 MB");
        assert_eq!(human_bytes(3_240_000_000), "3.2 GB");
    }
}
