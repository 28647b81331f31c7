//! Command lines of Python, run by native CPython and by the guest.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::guest::{Ended, built, run};

/// A command line of Python, with its input and variables.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line<'a> {
    /// Options, what is run, and arguments.
    pub words: &'a [&'a str],
    /// Variables.
    pub env: &'a [(&'a str, &'a str)],
    /// Standard input.
    pub input: &'a str,
}

/// What native CPython prints on standard output and standard error, and its status.
///
/// # Panics
/// It cannot be started, or prints what is no UTF-8.
#[must_use]
pub fn native(folder: &Path, line: Line<'_>) -> (String, String, Option<i32>) {
    let mut child = Command::new(built("WASISOCKET_NATIVE_PYTHON"))
        .args(line.words)
        .current_dir(folder)
        .env_clear()
        // Without a locale, native Python is in UTF-8 mode. In the guest everything is UTF-8.
        .env("LC_ALL", "C.UTF-8")
        .envs(line.env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("native Python starts");
    // A program that reads nothing may have ended.
    let stdin = child.stdin.take();
    let _ = stdin.expect("a pipe").write_all(line.input.as_bytes());
    let output = child.wait_with_output().expect("it is our child");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

fn guest(folder: &Path, line: Line<'_>, is_cold: bool) -> Ended {
    let mut run = run().folder(folder).input(line.input.as_bytes());
    for (name, value) in line.env {
        run = run.arg("--env").arg(format!("{name}={value}"));
    }
    if is_cold {
        run = run.arg("--cold");
    }
    // It is the command's own if it is the first.
    if line.words.first() == Some(&"-v") {
        run = run.arg("--");
    }
    run.args(line.words).end()
}

/// Runs a line natively and in the guest, from an image and cold: it prints the same on standard output and has the
/// same status. Returns standard error of native Python and of the guest.
///
/// # Panics
/// It does not.
#[track_caller]
pub fn same(folder: &Path, line: Line<'_>) -> Vec<String> {
    let (stdout, stderr, status) = native(folder, line);
    let mut errors = vec![stderr];
    for is_cold in [false, true] {
        let ended = guest(folder, line, is_cold);
        assert_eq!(
            (&ended.stdout, ended.status),
            (&stdout, status),
            "{:?} {:?}, cold: {is_cold}, native: {} guest: {}",
            line.words,
            line.env,
            errors[0],
            ended.stderr
        );
        errors.push(ended.stderr);
    }
    errors
}

/// A line without variables and input.
#[must_use]
pub fn words<'a>(words: &'a [&'a str]) -> Line<'a> {
    Line {
        words,
        ..Line::default()
    }
}
