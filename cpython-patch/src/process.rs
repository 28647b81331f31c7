//! Child processes: commands of a step, whose output goes to the step's log, and commands whose output is
//! the result.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::progress::{Running, human};

/// How many lines of the log are shown when a command fails.
const SHOWN_LINES: usize = 30;

/// How many bytes of a log are read to find its last lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// The program `name` in `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs `command` and returns what it printed to stdout, without the last newline.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs `command` without showing its output, and kills it after `limit`.
pub(crate) fn quiet_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = show(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;
    let status = wait(&mut child, Some(limit), &shown, || Ok(()))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// Waits for a command and calls `tick` now and then. Kills the command after `limit`.
fn wait(
    child: &mut Child,
    limit: Option<Duration>,
    shown: &str,
    mut tick: impl FnMut() -> Result<()>,
) -> Result<ExitStatus> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if let Some(limit) = limit.filter(|limit| started.elapsed() > *limit) {
            child.kill()?;
            child.wait()?;
            bail!("{shown} did not end within {}", human(limit));
        }
        tick()?;
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}

/// Prints and runs `command` with its output on the user's terminal.
pub(crate) fn visible(command: &mut Command) -> Result<()> {
    let mut words = words(command);
    if let Some(name) = Path::new(command.get_program()).file_name() {
        words[0] = name.to_string_lossy().into_owned();
    }
    let shown = words.join(" ");
    eprintln!("$ {shown}");
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// Runs `command` as a part of a step.
pub(crate) fn run(running: &Running, command: &mut Command) -> Result<()> {
    run_within(running, command, None)
}

/// Like [`run`], but kills the command after `limit`.
pub(crate) fn run_within(
    running: &Running,
    command: &mut Command,
    limit: Option<Duration>,
) -> Result<()> {
    let shown = show(command);
    let words = words(command);
    let path = running.log();
    let mut log = running.open_log()?;
    writeln!(log, "$ {shown}")?;
    let output = log.metadata()?.len();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot run {shown}"))?;

    let mut echo = Echo::new(path)?;
    let status = wait(&mut child, limit, &shown, || echo.show(running))?;
    echo.show(running)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(words, status, path, output).into())
    }
}

/// Follows a log while its command runs.
struct Echo {
    log: File,
    seen: u64,
    newest: String,
}

impl Echo {
    fn new(path: &Path) -> Result<Self> {
        Ok(Self {
            log: File::open(path)?,
            seen: path.metadata()?.len(),
            newest: String::new(),
        })
    }

    fn show(&mut self, running: &Running) -> Result<()> {
        let end = self.log.metadata()?.len();
        if end > self.seen {
            let start = if running.verbose() {
                self.seen
            } else {
                self.seen.max(end.saturating_sub(TAIL_BYTES))
            };
            self.log.seek(SeekFrom::Start(start))?;
            let mut new = Vec::new();
            (&self.log).take(end - start).read_to_end(&mut new)?;
            self.seen = end;
            if running.verbose() {
                stderr().write_all(&new)?;
            }
            if let Some(line) = lines(&new).pop() {
                self.newest = line;
            }
        }
        running.show_line(&self.newest);
        Ok(())
    }
}

/// The non-empty lines of a command's output, without control characters.
fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes)
        .split(['\n', '\r'])
        .map(|line| line.chars().filter(|c| !c.is_control()).collect::<String>())
        .map(|line| line.trim_end().to_owned())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The error of a failed command of a step.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The command's words, quoted.
    command: Vec<String>,
    status: ExitStatus,
    /// The last lines of its output.
    tail: Vec<String>,
    log: PathBuf,
}

impl Failure {
    fn new(command: Vec<String>, status: ExitStatus, log: &Path, output: u64) -> Self {
        let printed = File::open(log).and_then(|mut file| {
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(output))?;
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        let mut tail = lines(&printed.unwrap_or_default());
        tail.drain(..tail.len().saturating_sub(SHOWN_LINES));
        Self {
            command,
            status,
            tail,
            log: log.to_owned(),
        }
    }

    /// The last lines of the command's output and the path of the log, for users.
    pub(crate) fn details(&self) -> String {
        format!(
            "$ {}\n{}\nThe whole log: {}",
            self.command.join(" "),
            self.tail.join("\n"),
            self.log.display()
        )
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The last words are the most specific ones: apt's options would hide them.
        let program = Path::new(&self.command[0]).file_name().unwrap_or_default();
        write!(f, "{}", program.to_string_lossy())?;
        match &self.command[1..] {
            [_, _, .., before, last] => write!(f, " ... {before} {last}")?,
            few => few.iter().try_for_each(|word| write!(f, " {word}"))?,
        }
        write!(f, " failed ({})", self.status)?;
        self.tail
            .last()
            .map_or(Ok(()), |line| write!(f, ": {line}"))
    }
}

impl std::error::Error for Failure {}

/// The command as a user would type it, without its environment.
fn show(command: &Command) -> String {
    words(command).join(" ")
}

fn words(command: &Command) -> Vec<String> {
    let quoted = |text: &OsStr| {
        let text = text.to_string_lossy();
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "'\"$*;&|".contains(c)) {
            format!("'{}'", text.replace('\'', r"'\''"))
        } else {
            text.into_owned()
        }
    };
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quoted)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_command_reports_its_last_lines_and_log() {
        let running = Running::silent();
        let script = "for i in $(seq 40); do echo line $i; done; exit 3";
        let error = run(&running, Command::new("sh").args(["-c", script])).unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            format!("sh -c '{script}' failed (exit status: 3): line 40")
        );
        let text = error.downcast::<Failure>().unwrap().details();
        assert!(
            text.contains("\nline 11\n") && text.contains("\nline 40\n"),
            "{text}"
        );
        assert!(!text.contains("\nline 10\n"), "{text}");
        assert!(
            text.contains(&running.log().display().to_string()),
            "{text}"
        );
    }

    #[test]
    fn command_over_its_limit_is_ended() {
        let limit = Some(Duration::from_millis(50));
        let error = run_within(&Running::silent(), Command::new("sleep").arg("60"), limit);
        assert!(error.unwrap_err().to_string().contains("did not end"));
    }

    #[test]
    fn commands_are_shown_quoted() {
        let mut command = Command::new("make");
        command.args(["-j2", "LIBS=a b"]);
        assert_eq!(show(&command), "make -j2 'LIBS=a b'");
    }
}
