//! One sandbox.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};
use tokio::sync::oneshot;
use tokio::time::timeout;
use wasisocket_host::{Grants, GuestSignals, Limit, List};
use wasisocket_python::{
    Certificates, Distribution, Files, Folder, GuestError, Outcome, Preload, Program,
    Python as Engine, Sandbox, SandboxBuilder, SandboxError, TimeZones, Value, block_on, blocking,
    runtime,
};

use crate::functions::{Functions, function};
use crate::packages;
use crate::value::{from_python, to_python};

/// CPython for all sandboxes of this process.
static ENGINE: OnceLock<Engine> = OnceLock::new();

/// The process that loaded it.
static PROCESS: OnceLock<u32> = OnceLock::new();

/// # Errors
/// This process came from the one with the sandboxes by fork(2): it does not have their threads.
fn check_process() -> PyResult<()> {
    match *PROCESS.get_or_init(std::process::id) == std::process::id() {
        true => Ok(()),
        false => Err(PyRuntimeError::new_err(
            "this process was forked from one with sandboxes, and cannot have any: start processes by another method \
             (multiprocessing: \"spawn\" or \"forkserver\")",
        )),
    }
}

/// Loads it, once.
fn engine(distribution: PathBuf) -> PyResult<&'static Engine> {
    static LOADING: Mutex<()> = Mutex::new(());
    let _loading = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let load = || {
        let distribution = match distribution.join("python.wasm").is_file() {
            true => Distribution::open(&distribution)?,
            false => Distribution::find(None)?,
        };
        Engine::builder().distribution(distribution).load()
    };
    let engine = load().map_err(|error| PyOSError::new_err(format!("{error:#}")))?;
    Ok(ENGINE.get_or_init(|| engine))
}

/// With these modules loaded, if there are some. Returns the folders with packages that guests do not see yet. Images of
/// the last few sets are kept.
fn preloaded(
    engine: &Engine,
    packages: Vec<PathBuf>,
    modules: Vec<String>,
) -> PyResult<(Engine, Vec<PathBuf>)> {
    /// Most images, each of some tens of megabytes.
    const KEPT_MAX: usize = 8;
    type Key = (Vec<PathBuf>, Vec<String>);
    static KEPT: Mutex<Vec<(Key, Engine)>> = Mutex::new(Vec::new());
    if modules.is_empty() {
        return Ok((engine.clone(), packages));
    }
    let key = (packages, modules);
    // Who wants the same one waits for it.
    let mut kept = lock(&KEPT);
    if let Some(at) = kept.iter().position(|(known, _)| *known == key) {
        let known = kept.remove(at);
        kept.push(known);
    } else {
        let preload = key
            .0
            .iter()
            .fold(Preload::new(), |preload, site| preload.site(site));
        let preload = key
            .1
            .iter()
            .fold(preload, |preload, name| preload.module(name));
        let engine = engine
            .with_preload(&preload)
            .map_err(|error| PyValueError::new_err(format!("preload: {error:#}")))?;
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push((key, engine));
    }
    let last = kept.last().map(|(_, engine)| engine.clone());
    Ok((last.unwrap_or_else(|| engine.clone()), Vec::new()))
}

/// Warns if sandboxes start more slowly than they could.
fn warn_once(py: Python<'_>) -> PyResult<()> {
    static WARNED: Once = Once::new();
    let why = ENGINE
        .get()
        .and_then(|engine| engine.cache_error().or(engine.image_error()));
    let mut warned = Ok(());
    if let Some(why) = why {
        WARNED.call_once(|| {
            let text = format!("sandboxes start slowly: {why:#}").replace('\0', "");
            let text = std::ffi::CString::new(text).unwrap_or_default();
            warned = PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 2);
        });
    }
    warned
}

/// A guest that is kept. What runs in it gives (status, what, value, error, stdout, stderr, cut, seconds, CPU seconds,
/// memory, events); status is "done", "limit" or "ended", and `what` names the limit or how the guest ended.
#[pyclass(frozen)]
pub(crate) struct NativeSandbox {
    /// `None` while something runs in it, and when it is closed.
    sandbox: Arc<Mutex<Option<Sandbox>>>,
    /// Ends what `start` started.
    cancel: Mutex<Option<oneshot::Sender<()>>>,
    signals: GuestSignals,
    /// Its private folder, until it is closed.
    files: Mutex<Option<Files>>,
    other: Py<PyAny>,
}

/// What a guest is to do.
enum Request {
    /// Code, and the name of its file.
    Run(String, String),
    Module(String),
    Call(String, Vec<Value>, Vec<(String, Value)>),
}

/// As Python has it: "run", code, file name, or "module", name, or "call", name, arguments, keywords.
impl<'py> FromPyObject<'_, 'py> for Request {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let (kind, name): (String, String) = (
            object.get_item(0)?.extract()?,
            object.get_item(1)?.extract()?,
        );
        Ok(match &*kind {
            "run" => Self::Run(name, object.get_item(2)?.extract()?),
            "module" => Self::Module(name),
            _ => {
                let arguments = object.get_item(2)?;
                let arguments = arguments.try_iter()?.map(|value| from_python(&value?));
                let keywords = object.get_item(3)?.cast_into::<PyDict>()?;
                let keywords = keywords
                    .iter()
                    .map(|(name, value)| Ok((name.extract()?, from_python(&value)?)));
                Self::Call(
                    name,
                    arguments.collect::<PyResult<_>>()?,
                    keywords.collect::<PyResult<_>>()?,
                )
            }
        })
    }
}

impl Request {
    async fn run(self, sandbox: &mut Sandbox) -> Result<Outcome, SandboxError> {
        match self {
            Self::Run(code, name) => sandbox.run_async(&code, &name).await,
            Self::Module(name) => sandbox.run_module_async(&name).await,
            Self::Call(name, arguments, keywords) => {
                sandbox.call_async(&name, arguments, keywords).await
            }
        }
    }
}

#[pymethods]
impl NativeSandbox {
    /// distribution is the folder with python.wasm, or none; grants has names of lists and limits with texts; dirs has
    /// (host, guest, writable); env has (name, value); tzdata is a folder, or empty
    /// for no time zones; functions has (name, is asynchronous, documentation, callable): see
    /// `crate::functions`; other makes objects for values that stay in the guest.
    #[new]
    #[pyo3(signature = (
        distribution, policy, grants, dirs, env, ca_bundle, tzdata, max_output, on_stdout, on_stderr, functions, files,
        packages, preload, saved, other
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        distribution: PathBuf,
        policy: Option<&str>,
        grants: Vec<(String, Vec<String>)>,
        dirs: Vec<(PathBuf, String, bool)>,
        env: Vec<(String, String)>,
        ca_bundle: Option<PathBuf>,
        tzdata: Option<PathBuf>,
        max_output: Option<usize>,
        on_stdout: Option<Py<PyAny>>,
        on_stderr: Option<Py<PyAny>>,
        functions: Functions,
        files: Vec<(PathBuf, Vec<u8>)>,
        packages: Vec<PathBuf>,
        preload: Vec<String>,
        saved: Option<PathBuf>,
        other: Py<PyAny>,
    ) -> PyResult<Self> {
        check_process()?;
        let mut program = Program::default().grants(parse(policy, &grants)?);
        for (host, guest, is_writable) in dirs {
            program = program.folder(match is_writable {
                true => Folder::read_write(host, guest),
                false => Folder::read_only(host, guest),
            });
        }
        for (name, value) in env {
            program = program.env(name, value);
        }
        if let Some(file) = ca_bundle {
            let certificates = Certificates::from_file(&file);
            let certificates =
                certificates.map_err(|error| PyValueError::new_err(format!("{error:#}")))?;
            program = program.certificates(certificates);
        }
        if let Some(folder) = tzdata {
            let time_zones = match folder.as_os_str().is_empty() {
                true => Ok(TimeZones::none()),
                false => TimeZones::from_folder(&folder),
            };
            let time_zones =
                time_zones.map_err(|error| PyValueError::new_err(format!("{error:#}")))?;
            program = program.time_zones(time_zones);
        }
        let mut builder = Sandbox::builder(program);
        if let Some(bytes) = max_output {
            builder = builder.max_output(bytes);
        }
        if let Some(on_stdout) = on_stdout {
            builder = builder.on_stdout(move |bytes| pass_on(&on_stdout, bytes));
        }
        if let Some(on_stderr) = on_stderr {
            builder = builder.on_stderr(move |bytes| pass_on(&on_stderr, bytes));
        }
        for (name, is_async, doc, callable) in functions {
            let function = function(is_async, callable, other.clone_ref(py)).doc(doc);
            builder = builder.function(name, function);
        }
        for (path, content) in files {
            builder = builder.file(path, content);
        }
        let sandbox = py.detach(|| {
            let engine = engine(distribution)?;
            let packages = packages::folders(engine, packages)?;
            let (engine, packages) = preloaded(engine, packages, preload)?;
            let builder = packages.into_iter().fold(builder, SandboxBuilder::packages);
            let opened = match saved {
                Some(saved) => builder.load(&engine, saved),
                None => builder.open(&engine),
            };
            opened.map_err(|error| PyOSError::new_err(format!("{error:#}")))
        })?;
        warn_once(py)?;
        Ok(Self::of(sandbox, other))
    }

    /// A copy of it.
    fn fork(&self, py: Python<'_>) -> PyResult<Self> {
        let forked = self.at_rest(py, Sandbox::fork)?;
        Ok(Self::of(forked, self.other.clone_ref(py)))
    }

    /// Writes it to a file.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.at_rest(py, |sandbox| sandbox.save(path))
    }

    /// Has the guest do something, while other threads of Python run.
    fn run<'py>(&self, py: Python<'py>, request: Request) -> PyResult<Bound<'py, PyTuple>> {
        let mut sandbox = self.take()?;
        let called = py.detach(|| {
            let called = block_on(interruptible(request.run(&mut sandbox), &self.signals));
            *lock(&self.sandbox) = Some(sandbox);
            called
        });
        let called = called.map_err(|error| PyRuntimeError::new_err(error.to_string()))??;
        result(self.other.bind(py), called)
    }

    /// Raises KeyboardInterrupt in what runs in it.
    fn interrupt(&self) -> bool {
        self.signals.send(SIGINT)
    }

    /// Has the guest do something in another thread, which then calls done with the result and None, or with None and an
    /// exception; after `cancel` with None twice.
    fn start(&self, py: Python<'_>, request: Request, done: Py<PyAny>) -> PyResult<()> {
        let mut sandbox = self.take()?;
        let place = Arc::clone(&self.sandbox);
        self.spawn(py, done, async move {
            let called = request.run(&mut sandbox).await;
            *lock(&place) = Some(sandbox);
            called
        })
    }

    /// The same for `close`. False if the guest has ended before; done is not called then.
    fn start_close(&self, py: Python<'_>, done: Py<PyAny>) -> PyResult<bool> {
        let Some((sandbox, removed_at_last)) = self.take_to_close()? else {
            return Ok(false);
        };
        self.spawn(py, done, async move {
            let closed = sandbox.close_async().await;
            drop(removed_at_last);
            closed
        })?;
        Ok(true)
    }

    /// Ends what `start` started, and the guest.
    fn cancel(&self) {
        if let Some(cancel) = lock(&self.cancel).take() {
            // It may be done already.
            let _ = cancel.send(());
        }
    }

    /// Ends the guest as a program ends. None if it has ended before.
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some((sandbox, _removed_at_last)) = self.take_to_close()? else {
            return Ok(None);
        };
        let closed = py.detach(|| sandbox.close());
        result(self.other.bind(py), closed).map(Some)
    }

    /// Ends the guest at once.
    fn kill(&self, py: Python<'_>) {
        let sandbox = lock(&self.sandbox).take();
        let files = lock(&self.files).take();
        py.detach(|| drop((sandbox, files)));
    }

    fn read_file<'py>(&self, py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyBytes>> {
        let files = self.files()?;
        let content = py.detach(|| files.read(path))?;
        Ok(PyBytes::new(py, &content))
    }

    fn write_file(&self, py: Python<'_>, path: PathBuf, content: &[u8]) -> PyResult<()> {
        let files = self.files()?;
        Ok(py.detach(|| files.write(path, content))?)
    }

    fn list_files(&self, py: Python<'_>, path: PathBuf) -> PyResult<Vec<String>> {
        let files = self.files()?;
        Ok(py.detach(|| files.list(path))?)
    }

    fn remove_file(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let files = self.files()?;
        Ok(py.detach(|| files.remove(path))?)
    }
}

impl NativeSandbox {
    /// The sandbox, and its files, which are removed after it. `None` if it has ended.
    fn take_to_close(&self) -> PyResult<Option<(Sandbox, Option<Files>)>> {
        check_process()?;
        let sandbox = lock(&self.sandbox).take();
        let files = sandbox.is_some().then(|| lock(&self.files).take());
        Ok(sandbox
            .filter(|sandbox| sandbox.end().is_none())
            .map(|sandbox| (sandbox, files.flatten())))
    }

    /// Runs something in another thread that ends with what was called, or when `cancel` is called. What it holds is dropped
    /// before anyone knows that it ended: the guest, if it was cancelled.
    fn spawn(
        &self,
        py: Python<'_>,
        done: Py<PyAny>,
        work: impl Future<Output = Result<Outcome, SandboxError>> + Send + 'static,
    ) -> PyResult<()> {
        let runtime = runtime().map_err(|error| PyOSError::new_err(error.to_string()))?;
        let (cancel, cancelled) = oneshot::channel();
        *lock(&self.cancel) = Some(cancel);
        let other = self.other.clone_ref(py);
        runtime.spawn(async move {
            let called = tokio::select! {
                called = work => Some(called),
                _ = cancelled => None,
            };
            // Not if the interpreter ends: nobody waits then.
            Python::try_attach(|py| {
                let answer = match called.map(|called| result(other.bind(py), called)) {
                    Some(Ok(answer)) => (Some(answer), None),
                    Some(Err(error)) => (None, Some(error)),
                    None => (None, None),
                };
                if let Err(error) = done.call1(py, answer) {
                    error.write_unraisable(py, None);
                }
            });
        });
        Ok(())
    }

    fn of(sandbox: Sandbox, other: Py<PyAny>) -> Self {
        Self {
            files: Mutex::new(sandbox.files().cloned()),
            signals: sandbox.signals().clone(),
            sandbox: Arc::new(Mutex::new(Some(sandbox))),
            cancel: Mutex::default(),
            other,
        }
    }

    /// Does something with it while nothing runs in it.
    fn at_rest<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Sandbox) -> Result<T, SandboxError> + Send,
    ) -> PyResult<T> {
        let mut sandbox = self.take()?;
        let done = py.detach(|| {
            let done = work(&mut sandbox);
            *lock(&self.sandbox) = Some(sandbox);
            done
        });
        done.map_err(|error| match error {
            SandboxError::Host(error) => PyOSError::new_err(format!("{error:#}")),
            error => PyRuntimeError::new_err(error.to_string()),
        })
    }

    fn files(&self) -> PyResult<Files> {
        check_process()?;
        let files = lock(&self.files).clone();
        let why = "this sandbox has no private folder: it is closed, or dirs has a folder for /";
        files.ok_or_else(|| PyRuntimeError::new_err(why))
    }

    fn take(&self) -> PyResult<Sandbox> {
        check_process()?;
        let sandbox = lock(&self.sandbox).take();
        let why = "this sandbox is closed, or something runs in it";
        sandbox.ok_or_else(|| PyRuntimeError::new_err(why))
    }
}

/// SIGINT: signal(7).
const SIGINT: u32 = 2;

/// How often a run looks whether this process was interrupted.
const TICK: Duration = Duration::from_millis(50);

/// Waits for a run. If a signal of this process raises an exception, which is KeyboardInterrupt on Ctrl-C, the guest is
/// interrupted too, and the exception is raised when its run has ended. A second one ends the guest.
async fn interruptible<T>(run: impl Future<Output = T>, signals: &GuestSignals) -> PyResult<T> {
    let mut run = pin!(run);
    let mut raised = None;
    loop {
        if let Ok(done) = timeout(TICK, &mut run).await {
            return raised.map_or(Ok(done), Err);
        }
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            if raised.is_some() || !signals.send(SIGINT) {
                return Err(error);
            }
            raised = Some(error);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What came of a run, as Python has it.
fn result<'py>(
    other: &Bound<'py, PyAny>,
    called: Result<Outcome, SandboxError>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = other.py();
    let (status, what, outcome) = match called {
        Ok(outcome) => ("done", String::new(), outcome),
        Err(error) => {
            let text = error.to_string();
            match error {
                SandboxError::Limit { limit, outcome } => {
                    ("limit", limit.name().to_owned(), *outcome)
                }
                SandboxError::Ended { outcome, .. } => ("ended", text, *outcome),
                _ => return Err(PyRuntimeError::new_err(text)),
            }
        }
    };
    let error = outcome.error.map(|error| {
        let GuestError {
            type_name,
            message,
            traceback,
            frames,
            ..
        } = error;
        let frames: Vec<_> = frames
            .into_iter()
            .map(|frame| (frame.file, frame.line, frame.function, frame.text))
            .collect();
        (type_name, message, traceback, frames)
    });
    let events: Vec<_> = outcome
        .events
        .iter()
        .map(|event| event.to_string())
        .collect();
    let usage = outcome.usage;
    let stdout = PyBytes::new(py, &outcome.stdout);
    let stderr = PyBytes::new(py, &outcome.stderr);
    let value = to_python(outcome.value, other)?;
    (
        status,
        what,
        value,
        error,
        stdout,
        stderr,
        outcome.cut,
        usage.elapsed.as_secs_f64(),
        usage.cpu_time.as_secs_f64(),
        usage.memory,
        events,
    )
        .into_pyobject(py)
}

/// Grants, from a policy file's text and from names with texts.
fn parse(policy: Option<&str>, named: &[(String, Vec<String>)]) -> PyResult<Grants> {
    let mut grants = Grants::default();
    if let Some(text) = policy {
        let added = grants.add_toml(text);
        added.map_err(|error| PyValueError::new_err(format!("policy: {error}")))?;
    }
    for (name, texts) in named {
        for text in texts {
            let invalid = |error: String| PyValueError::new_err(format!("{name}: {error}"));
            match (List::named(name), Limit::named(name)) {
                (Some(list), _) => grants
                    .add(list, text)
                    .map_err(|error| invalid(error.to_string()))?,
                (None, Some(limit)) => grants
                    .limits
                    .set(limit, text)
                    .map_err(|error| invalid(error.to_string()))?,
                (None, None) => return Err(invalid("there is no such grant or limit".into())),
            }
        }
    }
    Ok(grants)
}

/// Calls a function of Python with what a guest wrote. Its exceptions are reported as those of destructors are.
fn pass_on(function: &Py<PyAny>, bytes: &[u8]) {
    blocking(|| {
        Python::attach(|py| {
            if let Err(error) = function.call1(py, (bytes,)) {
                error.write_unraisable(py, Some(function.bind(py)));
            }
        });
    });
}
