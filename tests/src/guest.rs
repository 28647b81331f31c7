//! Runs the command `wasisocket`, with a time limit.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// The longest that any guest may take. The first run includes compiling python.wasm.
const LIMIT: Duration = Duration::from_secs(300);

/// A file or folder that `cargo xtask test` names in the environment.
///
/// # Panics
/// The variable is not set: these tests need what `cargo xtask test` builds.
#[must_use]
pub fn built(variable: &str) -> PathBuf {
    std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: run the tests with `cargo xtask test`"))
        .into()
}

/// A guest program, by its name in `tests/programs`.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("programs")
        .join(name)
}

/// A runtime for guests of asynchronous stores: one thread, which they share.
///
/// # Panics
/// The system has no descriptor left.
#[must_use]
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// `wasisocket run`, to which options and then a program are added.
#[must_use]
pub fn run() -> Run {
    subcommand("run")
}

/// `wasisocket pip`, to which options and then those of pip are added, without any pip configuration of this machine.
#[must_use]
pub fn pip() -> Run {
    let mut run = subcommand("pip");
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let upper = name.to_uppercase();
        if upper.starts_with("PIP_") || upper.ends_with("_PROXY") || upper.ends_with("_CA_BUNDLE") {
            run.command.env_remove(name);
        }
    }
    run.env("PIP_CONFIG_FILE", "/dev/null")
}

/// `wasisocket snapshot`, to which options are added.
#[must_use]
pub fn snapshot() -> Run {
    subcommand("snapshot")
}

fn subcommand(name: &str) -> Run {
    let mut command = Command::new(built("WASISOCKET_BIN"));
    command
        .arg(name)
        .env("WASISOCKET_PYTHON", built("WASISOCKET_PYTHON"));
    Run {
        command,
        input: Vec::new(),
        stdin: None,
        stdout: None,
        stderr: None,
    }
}

/// A command line of `wasisocket`, and its standard input.
#[derive(Debug)]
pub struct Run {
    command: Command,
    input: Vec<u8>,
    stdin: Option<Stdio>,
    stdout: Option<File>,
    stderr: Option<File>,
}

/// How a guest ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit status, or 128 and the number of the signal that ended it, as a shell says it.
    pub status: Option<i32>,
    /// Standard output; empty if it went to a file.
    pub stdout: String,
    /// Standard error; empty if it went to a file.
    pub stderr: String,
}

impl Ended {
    /// Asserts that the status is 0.
    ///
    /// # Panics
    /// Any other end; the message has the guest's output, with Python's traceback.
    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!(
            self.status,
            Some(0),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
    }
}

impl Run {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable of the host.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives SIGINT its default action in the command. Children inherit an ignored SIGINT, as a shell without job
    /// control gives it to programs in the background. Must come before the other settings. `env` of coreutils is
    /// replaced by the command, which keeps the process's number.
    #[must_use]
    pub fn default_interrupt(mut self) -> Self {
        let mut env = Command::new("env");
        env.arg("--default-signal=INT")
            .arg(self.command.get_program())
            .args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => env.env(name, value),
                None => env.env_remove(name),
            };
        }
        self.command = env;
        self
    }

    /// Sets the working folder of the command.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets the data of the guest's standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, input: &[u8]) -> Self {
        self.input = input.to_owned();
        self
    }

    /// Sets the file or pipe that is the guest's standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// Sends standard output to a file instead of the test.
    #[must_use]
    pub fn stdout_to(mut self, file: File) -> Self {
        self.stdout = Some(file);
        self
    }

    /// Sends standard error to a file instead of the test.
    #[must_use]
    pub fn stderr_to(mut self, file: File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// Starts the command, with pipes for its output.
    ///
    /// # Panics
    /// The command cannot be started.
    #[must_use]
    pub fn start(mut self) -> Started {
        let mut child = self
            .command
            .stdin(self.stdin.unwrap_or_else(Stdio::piped))
            .stdout(self.stdout.map_or_else(Stdio::piped, Stdio::from))
            .stderr(self.stderr.map_or_else(Stdio::piped, Stdio::from))
            .spawn()
            .expect("wasisocket starts");
        if let Some(mut stdin) = child.stdin.take() {
            let input = self.input;
            // A guest that does not read its input closes the pipe, which is no error.
            thread::spawn(move || stdin.write_all(&input).ok());
        }
        Started { child }
    }

    /// Runs the command to its end.
    #[must_use]
    pub fn end(self) -> Ended {
        self.start().end()
    }

    /// Runs the command, asserts that its status is 0, and returns its standard output.
    ///
    /// # Panics
    /// Any other end; the message has the guest's output, with Python's traceback.
    pub fn succeeds(self) -> String {
        let ended = self.end();
        ended.assert_success();
        ended.stdout
    }
}

/// A running guest. Dropping it kills it.
#[derive(Debug)]
pub struct Started {
    /// The process of the command.
    pub child: Child,
}

impl Started {
    /// Waits for the command's end.
    ///
    /// # Panics
    /// The command takes too long.
    #[must_use]
    pub fn end(mut self) -> Ended {
        let stdout = self.child.stdout.take().map(read_all);
        let stderr = self.child.stderr.take().map(read_all);
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(
                started.elapsed() < LIMIT,
                "the guest did not end in {LIMIT:?}"
            );
            thread::sleep(Duration::from_millis(5));
        };
        Ended {
            status: status.code().or_else(|| Some(status.signal()? + 128)),
            stdout: stdout.map_or_else(String::new, |stdout| stdout.join().expect("reader")),
            stderr: stderr.map_or_else(String::new, |stderr| stderr.join().expect("reader")),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
