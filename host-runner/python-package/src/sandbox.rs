//! One sandbox.

use std::path::PathBuf;
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use wasisocket_host::{Grants, Limit, List};
use wasisocket_python::{
    Certificates, Distribution, Folder, GuestError, Outcome, Program, Python as Engine, Sandbox,
    SandboxError,
};

use crate::value::{from_python, to_python};

/// CPython for all sandboxes of this process.
static ENGINE: OnceLock<Engine> = OnceLock::new();

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

/// A guest that is kept. Its methods return (status, what, value, error, stdout, stderr, cut, seconds, CPU seconds,
/// memory, events); status is "done", "limit" or "ended", and `what` names the limit or how the guest ended.
#[pyclass(frozen)]
pub(crate) struct NativeSandbox {
    /// `None` while a call runs in it, and when it is closed.
    sandbox: Mutex<Option<Sandbox>>,
    other: Py<PyAny>,
}

#[pymethods]
impl NativeSandbox {
    /// distribution is the folder with python.wasm, or none; grants has names of lists and limits with texts; dirs has
    /// (host, guest, writable); env has (name, value); other makes objects for values that stay in the guest.
    #[new]
    #[pyo3(signature = (distribution, policy, grants, dirs, env, ca_bundle, max_output, on_stdout, on_stderr, other))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        distribution: PathBuf,
        policy: Option<&str>,
        grants: Vec<(String, Vec<String>)>,
        dirs: Vec<(PathBuf, String, bool)>,
        env: Vec<(String, String)>,
        ca_bundle: Option<PathBuf>,
        max_output: Option<usize>,
        on_stdout: Option<Py<PyAny>>,
        on_stderr: Option<Py<PyAny>>,
        other: Py<PyAny>,
    ) -> PyResult<Self> {
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
        let sandbox = py.detach(|| {
            let opened = builder.open(engine(distribution)?);
            opened.map_err(|error| PyOSError::new_err(format!("{error:#}")))
        })?;
        warn_once(py)?;
        Ok(Self {
            sandbox: Mutex::new(Some(sandbox)),
            other,
        })
    }

    fn run<'py>(&self, py: Python<'py>, code: &str, name: &str) -> PyResult<Bound<'py, PyTuple>> {
        self.with(py, |sandbox| sandbox.run_named(code, name))
    }

    fn run_module<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyTuple>> {
        self.with(py, |sandbox| sandbox.run_module(name))
    }

    fn call<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        arguments: Vec<Bound<'py, PyAny>>,
        keywords: Vec<(String, Bound<'py, PyAny>)>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let arguments = arguments.iter().map(from_python);
        let arguments: Vec<_> = arguments.collect::<PyResult<_>>()?;
        let keywords = keywords
            .into_iter()
            .map(|(name, value)| Ok((name, from_python(&value)?)));
        let keywords: Vec<_> = keywords.collect::<PyResult<_>>()?;
        self.with(py, |sandbox| sandbox.call(name, arguments, keywords))
    }

    /// Ends the guest as a program ends. None if it has ended before.
    fn close<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(sandbox) = self.lock().take() else {
            return Ok(None);
        };
        if sandbox.end().is_some() {
            return Ok(None);
        }
        let closed = py.detach(|| sandbox.close());
        self.result(py, closed).map(Some)
    }

    /// Ends the guest at once.
    fn kill(&self, py: Python<'_>) {
        let sandbox = self.lock().take();
        py.detach(|| drop(sandbox));
    }
}

impl NativeSandbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Sandbox>> {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the guest while other threads of Python run.
    fn with<'py>(
        &self,
        py: Python<'py>,
        call: impl FnOnce(&mut Sandbox) -> Result<Outcome, SandboxError> + Send,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let Some(mut sandbox) = self.lock().take() else {
            return Err(PyRuntimeError::new_err(
                "this sandbox is closed, or something runs in it",
            ));
        };
        let called = py.detach(|| {
            let called = call(&mut sandbox);
            *self.lock() = Some(sandbox);
            called
        });
        self.result(py, called)
    }

    fn result<'py>(
        &self,
        py: Python<'py>,
        called: Result<Outcome, SandboxError>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (status, what, outcome) = match called {
            Ok(outcome) => ("done", String::new(), outcome),
            Err(SandboxError::Limit { limit, outcome }) => {
                ("limit", limit.name().to_owned(), *outcome)
            }
            Err(error @ SandboxError::Ended { .. }) => {
                let text = error.to_string();
                let SandboxError::Ended { outcome, .. } = error else {
                    return Err(PyRuntimeError::new_err(text));
                };
                ("ended", text, *outcome)
            }
            Err(error) => return Err(PyRuntimeError::new_err(error.to_string())),
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
        let stdout = pyo3::types::PyBytes::new(py, &outcome.stdout);
        let stderr = pyo3::types::PyBytes::new(py, &outcome.stderr);
        let value = to_python(outcome.value, self.other.bind(py))?;
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
}

/// Grants, from a policy file's text and from names with texts.
fn parse(policy: Option<&str>, named: &[(String, Vec<String>)]) -> PyResult<Grants> {
    let mut grants = match policy {
        Some(text) => Grants::from_toml(text)
            .map_err(|error| PyValueError::new_err(format!("policy: {error}")))?,
        None => Grants::default(),
    };
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
    Python::attach(|py| {
        if let Err(error) = function.call1(py, (bytes,)) {
            error.write_unraisable(py, Some(function.bind(py)));
        }
    });
}
