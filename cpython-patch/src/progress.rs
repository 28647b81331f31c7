//! What the user sees while steps run, on stderr: a moving line per running step on a terminal,
//! plain lines elsewhere.

use std::fs::File;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cache::{Cache, Key};
use crate::tree;

/// The steps of a build, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Sdk,
    Source,
    BuildPython,
    Guest,
    OpenSsl,
    Libraries,
    Wasm,
    Distribution,
    Host,
    SitePackages,
    Nginx,
}

impl Stage {
    pub(crate) const TEST: &[Self] = &[
        Self::Sdk,
        Self::Source,
        Self::BuildPython,
        Self::Guest,
        Self::OpenSsl,
        Self::Libraries,
        Self::Wasm,
        Self::Distribution,
        Self::Host,
        Self::SitePackages,
        Self::Nginx,
    ];

    /// Without those that only the tests need.
    pub(crate) const ALL: &[Self] = Self::TEST.split_at(Self::SitePackages as usize).0;

    fn title(self) -> &'static str {
        match self {
            Self::Sdk => "WASI SDK",
            Self::Source => "CPython source",
            Self::BuildPython => "build-python (native CPython)",
            Self::Guest => "libwasisocket.a",
            Self::OpenSsl => "OpenSSL",
            Self::Libraries => "zlib, bzip2, xz and SQLite",
            Self::Wasm => "CPython for wasm32-wasip1",
            Self::Distribution => "python.wasm and its library",
            Self::Host => "wasisocket command",
            Self::SitePackages => "packages for the tests",
            Self::Nginx => "nginx for the tests",
        }
    }
}

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
    stages: Vec<Stage>,
    detail: Detail,
}

impl Progress {
    pub(crate) fn new(stages: &[Stage], detail: Detail) -> Self {
        let moving = stderr().is_terminal() && detail != Detail::Output;
        Self {
            bars: moving.then(MultiProgress::new),
            stages: stages.to_vec(),
            detail,
        }
    }

    fn label(&self, stage: Stage) -> (String, String) {
        let total = self.stages.len();
        let number = 1 + self.stages.iter().position(|s| *s == stage).unwrap_or(0);
        (
            format!("[{number}/{total}] {}", stage.title()),
            format!("Step {number} of {total}: {}", stage.title()),
        )
    }

    /// Says that `stage` has nothing to do.
    pub(crate) fn up_to_date(&self, stage: Stage, what: &str) {
        if self.detail != Detail::Work {
            print(
                self.bars.as_ref(),
                &format!("{}: up to date ({what})", self.label(stage).0),
            );
        }
    }

    /// Says that a chain of steps failed, while another may go on for minutes.
    pub(crate) fn tell_failure<T>(&self, result: &Result<T>) {
        if let Err(error) = result {
            print(self.bars.as_ref(), &format!("failed: {error:#}"));
        }
    }

    /// Begins `stage`; its commands write to a log of their own.
    pub(crate) fn begin(&self, stage: Stage, name: &str, key: &Key, cache: &Cache) -> Result<Step> {
        let (label, title) = self.label(stage);
        let log = cache.folder("logs")?.join(format!("{name}-{key}.log"));
        let bar = self.bars.as_ref().map(|bars| {
            let template = format!("{title}  {{elapsed}}  {{wide_msg:.dim}}");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = bars.add(ProgressBar::new_spinner().with_style(style));
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let step = Step {
            label,
            bars: self.bars.clone(),
            bar,
            log,
            verbose: self.detail == Detail::Output,
            started: Instant::now(),
            last_line: Mutex::new(Instant::now()),
            logging: AtomicBool::new(false),
            finished: AtomicBool::new(false),
        };
        if step.bar.is_none() {
            print(None, &format!("{}: started", step.label));
        }
        Ok(step)
    }
}

/// A running step. Dropped without [`Step::done`], it counts as failed.
pub(crate) struct Step {
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

impl Step {
    /// How often a step shows that it lives when the output is no terminal.
    const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

    /// A compiler's command line fills a screen.
    const PLAIN_WIDTH: usize = 80;

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Opens the log for a command's output.
    ///
    /// A log is about one run of its step. It is begun by the step's first command and not before:
    /// until then another build, which this one waits for, may be writing it.
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

    /// A line that stays: a choice made, a wait.
    pub(crate) fn note(&self, text: &str) {
        print(self.bars.as_ref(), &format!("{}: {text}", self.label));
    }

    /// The newest line of the log.
    pub(crate) fn moving(&self, line: &str) {
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

    pub(crate) fn done(&self) {
        self.finish("done in");
    }

    fn finish(&self, how: &str) {
        if self.finished.swap(true, Ordering::Relaxed) || self.label.is_empty() {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.note(&format!("{how} {}", human(self.started.elapsed())));
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
        Self {
            label: String::new(),
            bars: None,
            bar: None,
            log: std::env::temp_dir().join(log),
            verbose: false,
            started: Instant::now(),
            last_line: Mutex::new(Instant::now()),
            logging: AtomicBool::new(false),
            finished: AtomicBool::new(true),
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.finish("failed after");
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

/// A duration as people say it.
pub(crate) fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, _) => format!("{:.1} s", duration.as_secs_f32()),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

/// A number of bytes as people say it.
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
