//! A guest that is kept: it runs one piece of code after another, and remembers what they defined.

mod files;
mod functions;
mod outcome;
mod output;
mod runtime;
mod tasks;
mod value;

use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasisocket_host::{Event, SocketsView as _};
use wasmtime::error::Context as _;
use wasmtime::{Instance, Memory, Result, Store, TypedFunc, bail, ensure};

use crate::end::End;
use crate::engine::Python;
use crate::folders::Folder;
use crate::guest::Guest;
use crate::places::Place;
use crate::program::Program;
use crate::snapshot::{self, MEMORY};
use crate::stdio::Output;

use functions::Functions;
use tasks::Tasks;

pub use files::Files;
pub use functions::{Arguments, Function, FunctionError};
pub use outcome::{Frame, GuestError, Outcome, SandboxError, Usage};
pub(crate) use output::Tap;
pub use runtime::{block_on, blocking, runtime};
pub use value::Value;

/// The name of code that has none of its own.
const CODE_NAME: &str = "<sandbox>";

/// What is kept of the output of one run, in bytes, unless [`SandboxBuilder::max_output`] says otherwise.
const OUTPUT_MAX: usize = 1 << 20;

/// Most bytes of one answer, as in `_wasisocket_session.py`.
const ANSWER_MAX: usize = 64 << 20;

/// Most events that are kept of one run.
const EVENTS_MAX: usize = 1000;

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
    tasks: Tasks,
    files: Option<Files>,
}

enum State {
    AtRest(Box<Resting>),
    Ended(End),
}

/// A guest in which nothing runs.
struct Resting {
    store: Store<Guest>,
    memory: Memory,
    /// Room for a request of so many bytes.
    request: TypedFunc<u32, u32>,
    /// Runs it, and returns where the answer is.
    call: TypedFunc<u32, u32>,
    end: TypedFunc<(), ()>,
    _place: Option<Place>,
}

/// Settings of a [`Sandbox`]. Made by [`Sandbox::builder`].
#[must_use = "there is no sandbox before `open`"]
pub struct SandboxBuilder {
    program: Program,
    max_output: usize,
    on_stdout: Option<output::OnWrite>,
    on_stderr: Option<output::OnWrite>,
    functions: Functions,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl SandboxBuilder {
    /// Sets how many bytes of each of standard output and error are kept of one run: 1 MiB by default. The guest may
    /// write more.
    pub fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Passes on what the guest writes to its standard output, while it runs. It is called on the thread that the guest
    /// runs on, which waits, and sees all, also what is not kept.
    pub fn on_stdout(mut self, on_stdout: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.on_stdout = Some(Box::new(on_stdout));
        self
    }

    /// The same for its standard error.
    pub fn on_stderr(mut self, on_stderr: impl FnMut(&[u8]) + Send + 'static) -> Self {
        self.on_stderr = Some(Box::new(on_stderr));
        self
    }

    /// Puts a file into the guest's private folder ([`Sandbox::files`]) before it starts.
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// Lets the guest call a function of the host, as `host.NAME(...)`. A later one of the same name replaces it.
    ///
    /// ```
    /// use wasisocket_python::{Function, FunctionError, Program, Sandbox, Value};
    ///
    /// let double = Function::new(|arguments| match *arguments.positional {
    ///     [Value::Int(number)] => Ok((number * 2).into()),
    ///     _ => Err(FunctionError::new("TypeError", "double() takes an int")),
    /// });
    /// let builder = Sandbox::builder(Program::default()).function("double", double);
    /// ```
    pub fn function(mut self, name: impl Into<String>, function: Function) -> Self {
        self.functions.named.insert(name.into(), function);
        self
    }

    /// Decides about each call of a function that is not [`Function::read_only`] and has no [`Function::approve`] of its
    /// own: by the function's name, and what the guest passes to it. The guest waits.
    pub fn approve(
        mut self,
        approve: impl Fn(&str, &Arguments) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.functions.approve = Some(Arc::new(approve));
        self
    }

    /// Starts the guest.
    ///
    /// # Errors
    /// As for [`Python::run`].
    pub fn open(self, python: &Python) -> Result<Sandbox> {
        block_on(self.open_async(python))?
    }

    /// The same on a tokio runtime.
    ///
    /// # Errors
    /// As for [`Python::run`].
    pub async fn open_async(self, python: &Python) -> Result<Sandbox> {
        let tasks = Tasks::default();
        let stdout = Tap::new(self.max_output, self.on_stdout, &tasks);
        let stderr = Tap::new(self.max_output, self.on_stderr, &tasks);
        let events = Arc::<Mutex<Vec<_>>>::default();
        let mut program = self.program;
        ensure!(
            program.script.is_none() && program.arguments.is_empty(),
            "what a sandbox runs is given to its methods, not to its program"
        );
        let files = match program.root() {
            Some(_) => {
                ensure!(
                    self.files.is_empty(),
                    "the folder / is granted: files for it are put there, not into the sandbox"
                );
                None
            }
            None => Some(Files::new().context("no private folder for the sandbox")?),
        };
        if let Some(files) = &files {
            for (path, content) in self.files {
                let written = files.write(&path, content);
                written.with_context(|| format!("cannot write the file {}", path.display()))?;
            }
            program = program.folder(Folder::private(files.path()));
        }
        program.stdout = Output::Tap(stdout.clone());
        program.stderr = Output::Tap(stderr.clone());
        let kept = Arc::clone(&events);
        let functions = Arc::new(self.functions);
        let functions_tasks = tasks.clone();
        program = program.sockets(move |sockets| {
            let sockets = sockets.on_event(move |event| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < EVENTS_MAX {
                    kept.push(event.clone());
                }
            });
            match functions.named.is_empty() {
                true => sockets,
                false => sockets.on_call(move |request, reply| {
                    functions.answer(&functions_tasks, request, reply);
                }),
            }
        });
        let resting = tasks.run(Resting::begin(python, program)).await;
        let resting = resting.with_context(|| {
            let (written, _) = stderr.take();
            format!(
                "Python did not start: {}",
                String::from_utf8_lossy(&written).trim()
            )
        })?;
        Ok(Sandbox {
            state: State::AtRest(Box::new(resting)),
            stdout,
            stderr,
            events,
            tasks,
            files,
        })
    }
}

impl Sandbox {
    /// Starts with what the guest is given: grants, limits, folders, variables.
    pub fn builder(program: Program) -> SandboxBuilder {
        SandboxBuilder {
            program,
            max_output: OUTPUT_MAX,
            on_stdout: None,
            on_stderr: None,
            functions: Functions::default(),
            files: Vec::new(),
        }
    }

    /// Starts a guest that is given this.
    ///
    /// # Errors
    /// As for [`Python::run`], or the program has something to run: that is given to the sandbox's methods.
    pub fn open(python: &Python, program: Program) -> Result<Self> {
        Self::builder(program).open(python)
    }

    /// Runs code in the guest's `__main__`. If its last statement is an expression, that is the value. Like a cell of a
    /// notebook, it may have `await` outside of functions.
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
                let outcome = Box::default();
                Err(SandboxError::Ended { end, outcome })
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

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

impl Resting {
    async fn begin(python: &Python, program: Program) -> Result<Self> {
        let place = Place::take(&python.shared)?;
        let image = python.image.as_deref();
        let image = image.filter(|image| snapshot::may_hold(&program, image));
        let program = program.with_search_path(python.preload());
        let (mut store, clock) = python.shared.store(program, true, python.preload())?;
        let linked = python.shared.asynchronous()?;
        let mut begun = None;
        for image in [image, None] {
            let instance = linked.instantiate_async(&mut store).await?;
            if let Some(image) = image
                && !image.apply(&instance, &mut store)?
            {
                continue;
            }
            let begin = instance.get_typed_func::<(), i32>(&mut store, "session-begin")?;
            match clock.run_async(begin.call_async(&mut store, ())).await {
                Ok(Ok(0)) => {
                    begun = Some(instance);
                    break;
                }
                Ok(Ok(_needs_cold_start)) => {}
                Ok(Err(error)) => bail!("{:?}", End::of(Err(error))),
                Err(reached) => bail!("{reached}"),
            }
        }
        let instance = begun.context("it wants a cold start again")?;
        Self::of(store, &instance, place)
    }

    fn of(mut store: Store<Guest>, instance: &Instance, place: Option<Place>) -> Result<Self> {
        let memory = instance.get_memory(&mut store, MEMORY);
        Ok(Self {
            memory: memory.context("the guest exports no memory")?,
            request: instance.get_typed_func(&mut store, "session-request")?,
            call: instance.get_typed_func(&mut store, "session-call")?,
            end: instance.get_typed_func(&mut store, "session-end")?,
            store,
            _place: place,
        })
    }

    /// Has the guest do what a request asks for. `None` if it has no memory for the request or the answer. An error is how
    /// it ended.
    async fn ask(&mut self, request: &[u8]) -> Result<Option<Vec<u8>>, End> {
        let clock = self.clock();
        let asked = clock.run_async(async {
            let length = u32::try_from(request.len()).context("too many arguments")?;
            let place = self.request.call_async(&mut self.store, length).await?;
            if place == 0 {
                return Ok(None);
            }
            self.memory
                .write(&mut self.store, place as usize, request)?;
            let answer = self.call.call_async(&mut self.store, length).await?;
            match answer {
                0 => Ok(None),
                place => self.answer(place).map(Some),
            }
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(End::of(Err(error))),
            Err(reached) => Err(End::Limit(reached.limit())),
        }
    }

    /// The answer that a place in the guest's memory leads to.
    fn answer(&self, place: u32) -> Result<Vec<u8>> {
        let memory = self.memory.data(&self.store);
        let place = memory
            .get(place as usize..)
            .and_then(|place| place.first_chunk::<8>());
        let place = u64::from_le_bytes(*place.context("the answer is nowhere")?);
        let (start, length) = (place as u32 as usize, (place >> 32) as usize);
        ensure!(length <= ANSWER_MAX, "the answer is too long");
        let answer = memory.get(start..).and_then(|bytes| bytes.get(..length));
        answer.map(<[u8]>::to_vec).context("the answer is nowhere")
    }

    async fn finish(&mut self) -> End {
        let clock = self.clock();
        match clock
            .run_async(self.end.call_async(&mut self.store, ()))
            .await
        {
            Ok(called) => End::of(called),
            Err(reached) => End::Limit(reached.limit()),
        }
    }

    /// The time of a run begins.
    fn clock(&mut self) -> wasisocket_host::GuestClock {
        // Epochs went by while it was at rest.
        self.store.set_epoch_deadline(1);
        let sockets = self.store.data_mut().sockets();
        sockets.restart_clock();
        sockets.clock()
    }

    fn usage(&mut self, begun: Instant) -> Usage {
        Usage {
            elapsed: begun.elapsed(),
            cpu_time: self.store.data_mut().sockets().cpu_time_of_run(),
            memory: self.memory.data_size(&self.store),
        }
    }
}
