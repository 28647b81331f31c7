//! A guest that is kept: it runs one piece of code after another, and remembers what they defined.

mod builder;
mod files;
mod functions;
mod marshal;
mod outcome;
mod output;
mod resting;
mod runtime;
mod tasks;
mod value;

use std::mem;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasisocket_host::{Event, GuestSignals};
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::end::End;
use crate::engine::Python;
use crate::program::Program;
use resting::Resting;
use tasks::Tasks;

pub use builder::SandboxBuilder;
pub use files::Files;
pub use functions::{Arguments, Function, FunctionError};
pub use outcome::{Frame, GuestError, Outcome, SandboxError, Usage};
pub(crate) use output::Tap;
pub use runtime::{block_on, blocking, runtime};
pub use value::Value;

/// The name of code that has none of its own.
const CODE_NAME: &str = "<sandbox>";

/// A guest that is kept. What one run defines, the next one finds.
///
/// ```no_run
/// use wasisocket_python::{Program, Python, Sandbox, Value};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let python = Python::builder().load()?;
/// let mut sandbox = Sandbox::open(&python, Program::default())?;
/// sandbox.run("import math\ndef area(r): return math.pi * r * r")?.check()?;
/// let outcome = sandbox.run("area(2)")?;
/// assert!(matches!(outcome.value, Value::Float(area) if area > 12.0));
/// let outcome = sandbox.call("area", [Value::from(2)], [])?;
/// assert!(outcome.error.is_none());
/// # Ok(())
/// # }
/// ```
///
/// [`Limits::timeout`](wasisocket_host::Limits::timeout) and [`Limits::max_cpu`](wasisocket_host::Limits::max_cpu) hold
/// for each run. When a run ends by a limit, the guest is gone when the method returns, with its memory and its
/// descriptors.
///
/// The methods that end in `_async` have to be awaited within a tokio runtime that has its I/O and its time enabled. Others
/// can be called outside of one only. Giving up a future ends the guest.
pub struct Sandbox {
    state: State,
    stdout: Tap,
    stderr: Tap,
    events: Arc<Mutex<Vec<Event>>>,
    signals: GuestSignals,
    tasks: Tasks,
    files: Option<Files>,
    python: Python,
    /// For another one like it.
    again: Option<SandboxBuilder>,
}

enum State {
    AtRest(Box<Resting>),
    Ended(End),
}

impl Sandbox {
    /// Starts a guest that is given this.
    ///
    /// # Errors
    /// As for [`Python::run`], or the program has something to run: that is given to the sandbox's methods.
    pub fn open(python: &Python, program: Program) -> Result<Self> {
        Self::builder(program).open(python)
    }

    /// Runs code in the guest's `__main__`. If its last statement is an expression, that is the value. Like a cell of a
    /// notebook, it may have `await` outside of functions. Threads that it leaves go on in the next call.
    ///
    /// # Errors
    /// A limit was reached, or the guest has ended. An exception of the code is no error but
    /// [`Outcome::error`].
    pub fn run(&mut self, code: &str) -> Result<Outcome, SandboxError> {
        self.run_named(code, CODE_NAME)
    }

    /// The same with a file name, which tracebacks have.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub fn run_named(&mut self, code: &str, name: &str) -> Result<Outcome, SandboxError> {
        block_on(self.run_async(code, name))?
    }

    /// Runs the code in a file of the host.
    ///
    /// # Errors
    /// The file cannot be read, or it is not UTF-8; otherwise as for [`Sandbox::run`].
    pub fn run_file(&mut self, path: impl AsRef<Path>) -> Result<Outcome, SandboxError> {
        let path = path.as_ref();
        let code = std::fs::read_to_string(path);
        let code = code.with_context(|| format!("cannot read {}", path.display()))?;
        self.run_named(&code, &path.to_string_lossy())
    }

    /// Runs a module as `python -m MODULE` does.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub fn run_module(&mut self, module: &str) -> Result<Outcome, SandboxError> {
        block_on(self.run_module_async(module))?
    }

    /// Calls what the guest's `__main__` has under a name, such as a function, `name` or `name.attribute`. The value is
    /// what it returns, or, if that can be awaited, what it then gives.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub fn call(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = Value>,
        keywords: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<Outcome, SandboxError> {
        block_on(self.call_async(name, arguments, keywords))?
    }

    /// [`Sandbox::run_named`] on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub async fn run_async(&mut self, code: &str, name: &str) -> Result<Outcome, SandboxError> {
        self.ask("run", vec![code.into(), name.into()]).await
    }

    /// [`Sandbox::run_module`] on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub async fn run_module_async(&mut self, module: &str) -> Result<Outcome, SandboxError> {
        self.ask("run-module", vec![module.into()]).await
    }

    /// [`Sandbox::call`] on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Sandbox::run`].
    pub async fn call_async(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = Value>,
        keywords: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<Outcome, SandboxError> {
        let arguments = arguments.into_iter().collect();
        let keywords = keywords.into_iter();
        let keywords = keywords.map(|(name, value)| (name.into(), value)).collect();
        let parts = vec![name.into(), Value::Tuple(arguments), Value::Dict(keywords)];
        self.ask("call", parts).await
    }

    /// The guest's private folder, which it has as `/`, for reading and writing: what is not in one that it is granted.
    /// `None` if it is granted `/` itself.
    #[must_use]
    pub fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// A copy of this sandbox: all that Python holds in it, its files, and its grants, limits and functions. What is open does
    /// not come along: sockets and files are closed in the copy, and tasks of asyncio that wait for them get an error. Random
    /// numbers are new, but for those of generators of the program's own; the secret for hashes is the same.
    ///
    /// The memory is copied once for all forks until the next run, and shared until one of them changes it.
    ///
    /// # Errors
    /// The guest has ended, has threads, whose stacks cannot be copied, or has more than 1 GiB of memory; otherwise as for
    /// [`Sandbox::open`]. A program whose sockets a function configures ([`Program::sockets`]) cannot be copied: that
    /// function runs once.
    pub fn fork(&mut self) -> Result<Self, SandboxError> {
        block_on(self.fork_async())?
    }

    /// [`Sandbox::fork`] on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Sandbox::fork`].
    pub async fn fork_async(&mut self) -> Result<Self, SandboxError> {
        let copied = self.at_rest()?.copy()?;
        let again = self.again.as_ref().and_then(SandboxBuilder::again);
        let again = again.context("its sockets are configured by a function, which runs once")?;
        let files = self.files.as_ref().map(Files::copy).transpose();
        let files = files.context("cannot copy the sandbox's files")?;
        Ok(again.start(&self.python, Some(copied), files).await?)
    }

    /// Writes all that Python holds to a file, in place of an earlier one, for [`SandboxBuilder::load`]. What is open, and the
    /// private folder, are not in it.
    ///
    /// The file has whatever the guest knows, such as passwords: only this user may read it. If this process is killed
    /// meanwhile, the earlier file stays.
    ///
    /// # Errors
    /// The guest has ended or has threads, or the file cannot be written.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<(), SandboxError> {
        let shared = Arc::clone(&self.python.shared);
        Ok(self.at_rest()?.save(path.as_ref(), &shared)?)
    }

    /// The guest, if nothing ended it.
    fn at_rest(&mut self) -> Result<&mut Resting, SandboxError> {
        match &mut self.state {
            State::AtRest(resting) => Ok(resting),
            State::Ended(end) => Err(has_ended(end.clone())),
        }
    }

    /// Sends signals to what runs in it, from any thread: SIGINT (2) raises KeyboardInterrupt. What the guest does about
    /// one is its own affair, so this is no way to end code that is not trusted. Signals that come while nothing runs are
    /// dropped.
    #[must_use]
    pub fn signals(&self) -> &GuestSignals {
        &self.signals
    }

    /// How the guest ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.state {
            State::AtRest(_) => None,
            State::Ended(end) => Some(end),
        }
    }

    /// Ends the guest as a program ends: functions of `atexit` run, and files are flushed. Dropping a sandbox ends the
    /// guest at once.
    ///
    /// # Errors
    /// A limit was reached, or the guest had ended before.
    pub fn close(self) -> Result<Outcome, SandboxError> {
        block_on(self.close_async())?
    }

    /// [`Sandbox::close`] on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Sandbox::close`].
    pub async fn close_async(mut self) -> Result<Outcome, SandboxError> {
        let begun = Instant::now();
        let mut resting = self.take()?;
        let called = self.tasks.run(resting.finish()).await;
        let usage = resting.usage(begun);
        drop(resting);
        match called {
            End::Exit(status) => {
                self.state = State::Ended(End::Exit(status));
                Ok(self.outcome(Value::None, None, usage))
            }
            end => Err(self.ended(end, usage)),
        }
    }

    async fn ask(&mut self, kind: &str, mut parts: Vec<Value>) -> Result<Outcome, SandboxError> {
        let begun = Instant::now();
        let mut resting = self.take()?;
        self.signals.forget();
        parts.insert(0, kind.into());
        let mut request = Vec::new();
        Value::Tuple(parts).write(&mut request);
        let answer = self.tasks.run(resting.ask(&request)).await;
        let usage = resting.usage(begun);
        match answer {
            Ok(answer) => {
                self.state = State::AtRest(resting);
                let answer = answer.context("the guest has no memory left for that")?;
                let (value, error) = outcome::parse(&answer);
                Ok(self.outcome(value, error, usage))
            }
            Err(end) => {
                // All that the guest has is given back before anyone knows that it ended.
                drop(resting);
                Err(self.ended(end, usage))
            }
        }
    }

    /// The guest, to run something. If that is given up, it has ended.
    fn take(&mut self) -> Result<Box<Resting>, SandboxError> {
        let given_up = State::Ended(End::Trap("a run was given up".into()));
        match mem::replace(&mut self.state, given_up) {
            State::AtRest(resting) => Ok(resting),
            State::Ended(end) => {
                self.state = State::Ended(end.clone());
                Err(has_ended(end))
            }
        }
    }

    fn ended(&mut self, end: End, usage: Usage) -> SandboxError {
        self.state = State::Ended(end.clone());
        let outcome = Box::new(self.outcome(Value::None, None, usage));
        match end {
            End::Limit(limit) => SandboxError::Limit { limit, outcome },
            end => SandboxError::Ended { end, outcome },
        }
    }

    fn outcome(&self, value: Value, error: Option<GuestError>, usage: Usage) -> Outcome {
        let (stdout, stdout_cut) = self.stdout.take();
        let (stderr, stderr_cut) = self.stderr.take();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome {
            value,
            error,
            stdout,
            stderr,
            cut: stdout_cut + stderr_cut,
            usage,
            events: mem::take(&mut events),
        }
    }
}

/// It had ended before.
fn has_ended(end: End) -> SandboxError {
    let outcome = Box::default();
    SandboxError::Ended { end, outcome }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}
