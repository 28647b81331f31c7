//! What a sandbox is given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wasisocket_host::{Event, GuestSignals};
use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

use super::files::Files;
use super::functions::{Arguments, Function, Functions};
use super::output::{OnWrite, Tap};
use super::resting::Resting;
use super::runtime::block_on;
use super::tasks::Tasks;
use super::{Sandbox, State};
use crate::engine::Python;
use crate::folders::Folder;
use crate::program::Program;
use crate::snapshot::Copied;
use crate::stdio::Output;

/// Most events that are kept of one run.
const EVENTS_MAX: usize = 1000;

/// What is kept of the output of one run, in bytes, unless [`SandboxBuilder::max_output`] says otherwise.
const OUTPUT_MAX: usize = 1 << 20;

/// Receives what happens to a guest.
type OnEvent = Arc<dyn Fn(&Event) + Send + Sync>;

/// Settings of a [`Sandbox`]. Made by [`Sandbox::builder`].
#[must_use = "there is no sandbox before `open`"]
pub struct SandboxBuilder {
    program: Program,
    max_output: usize,
    on_stdout: Option<OnWrite>,
    on_stderr: Option<OnWrite>,
    on_event: Option<OnEvent>,
    functions: Arc<Functions>,
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
    /// runs on, which waits, and sees all, also what is not kept. Forks have it too, and may call it at the same time.
    pub fn on_stdout(mut self, on_stdout: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.on_stdout = Some(Arc::new(on_stdout));
        self
    }

    /// The same for its standard error.
    pub fn on_stderr(mut self, on_stderr: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        self.on_stderr = Some(Arc::new(on_stderr));
        self
    }

    /// Passes on what happens to the guest, such as denials, when it happens, and [`Event::Ended`] with what it used in all,
    /// however it ends. It is called on the thread that the guest runs on, which waits. Forks have it too, and may call it
    /// at the same time. [`Outcome::events`](super::Outcome::events) has at most a thousand events of one run.
    pub fn on_event(mut self, on_event: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(on_event));
        self
    }

    /// Puts a file into the guest's private folder ([`Sandbox::files`]) before it starts.
    pub fn file(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// Shows the guest a folder with packages, as `wasisocket pip install --target` fills it, for reading, where `import` finds
    /// them: behind the folders of its variable `PYTHONPATH`. Modules that are loaded before it starts are those of
    /// [`Python::with_preload`], which shows it their folders.
    pub fn packages(mut self, folder: impl Into<PathBuf>) -> Self {
        const VARIABLE: &str = "PYTHONPATH";
        let is_free = |guest: &String| {
            let mut folders = self.program.folders.iter();
            !folders.any(|folder| folder.is_at(guest))
        };
        let mut names = (1..).map(|number: u32| format!("/packages/{number}"));
        let guest = names.find(is_free).unwrap_or_default();
        let path = self
            .program
            .variable(VARIABLE)
            .map(|path| format!("{path}:{guest}"));
        let path = path.unwrap_or_else(|| guest.clone());
        let program = self.program.folder(Folder::read_only(folder, guest));
        self.program = program.env(VARIABLE, path);
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
        let functions = Arc::make_mut(&mut self.functions);
        functions.named.insert(name.into(), function);
        self
    }

    /// Decides about each call of a function that is not [`Function::read_only`] and has no [`Function::approve`] of its
    /// own: by the function's name, and what the guest passes to it. The guest waits.
    pub fn approve(
        mut self,
        approve: impl Fn(&str, &Arguments) -> bool + Send + Sync + 'static,
    ) -> Self {
        Arc::make_mut(&mut self.functions).approve = Some(Arc::new(approve));
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
        self.start(python, None, None).await
    }

    /// Goes on with what [`Sandbox::save`] wrote, in place of starting a guest. What the sandbox is given may be other than
    /// before, and its private folder is new.
    ///
    /// The file may be from anybody: it is a guest's memory, and that guest can do what this program allows and no more. But
    /// it can answer anything.
    ///
    /// # Errors
    /// The file is none of this python.wasm and this version; otherwise as for [`SandboxBuilder::open`].
    pub fn load(self, python: &Python, path: impl AsRef<Path>) -> Result<Sandbox> {
        block_on(self.load_async(python, path))?
    }

    /// The same on a tokio runtime.
    ///
    /// # Errors
    /// As for [`SandboxBuilder::load`].
    pub async fn load_async(self, python: &Python, path: impl AsRef<Path>) -> Result<Sandbox> {
        let copied = Copied::load(path.as_ref(), &python.shared)?;
        self.start(python, Some(Arc::new(copied)), None).await
    }

    /// The same settings again. `None` if something of the program cannot be done twice.
    pub(super) fn again(&self) -> Option<Self> {
        Some(Self {
            program: self.program.again()?,
            max_output: self.max_output,
            on_stdout: self.on_stdout.clone(),
            on_stderr: self.on_stderr.clone(),
            on_event: self.on_event.clone(),
            functions: Arc::clone(&self.functions),
            files: Vec::new(),
        })
    }

    /// `copied` is a memory to go on with, and `files` a private folder that is there.
    pub(super) async fn start(
        self,
        python: &Python,
        copied: Option<Arc<Copied>>,
        files: Option<Files>,
    ) -> Result<Sandbox> {
        let again = self.again();
        let tasks = Tasks::default();
        let stdout = Tap::new(self.max_output, self.on_stdout, &tasks);
        let stderr = Tap::new(self.max_output, self.on_stderr, &tasks);
        let events = Arc::<Mutex<Vec<_>>>::default();
        let mut program = self.program;
        ensure!(
            program.script.is_none()
                && [&program.options, &program.arguments]
                    .iter()
                    .all(|words| words.is_empty()),
            "what a sandbox runs is given to its methods, not to its program"
        );
        let files = match (program.root(), files) {
            (Some(_), _) => {
                ensure!(
                    self.files.is_empty(),
                    "the folder / is granted: files for it are put there, not into the sandbox"
                );
                None
            }
            (None, Some(files)) => Some(files),
            (None, None) => Some(Files::new().context("no private folder for the sandbox")?),
        };
        if let Some(files) = &files {
            for (path, content) in self.files {
                let written = files.write(&path, content);
                written.with_context(|| format!("cannot write the file {}", path.display()))?;
            }
            program = program.folder(Folder::private(files.path()));
        }
        let signals = GuestSignals::new().context("no descriptor for signals")?;
        let sent = signals.clone();
        program.stdout = Output::Tap(stdout.clone());
        program.stderr = Output::Tap(stderr.clone());
        let (kept, on_event) = (Arc::clone(&events), self.on_event);
        let (functions, functions_tasks) = (self.functions, tasks.clone());
        program = program.sockets(move |sockets| {
            let sockets = sockets.on_event(move |event| {
                if let Some(on_event) = &on_event {
                    on_event(event);
                }
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() < EVENTS_MAX {
                    kept.push(event.clone());
                }
            });
            let sockets = sockets.signals(&sent);
            match functions.named.is_empty() {
                true => sockets,
                false => sockets.on_call(move |request, reply| {
                    functions.answer(&functions_tasks, request, reply);
                }),
            }
        });
        let resting = match copied {
            Some(copied) => tasks.run(Resting::go_on(python, program, copied)).await,
            None => tasks.run(Resting::begin(python, program)).await,
        };
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
            signals,
            tasks,
            files,
            python: python.clone(),
            again,
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
            on_event: None,
            functions: Arc::default(),
            files: Vec::new(),
        }
    }
}
