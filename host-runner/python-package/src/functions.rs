//! Functions of Python that guests call. `wasisocket/_functions.py` prepares them.

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use tokio::sync::oneshot;
use wasisocket_python::{Arguments, Function, FunctionError, Value, blocking};

use crate::value::{from_python, to_python};

/// Name, whether it is asynchronous, documentation, and what `_functions.prepared` says of the callable.
pub(crate) type Functions = Vec<(String, bool, String, Py<PyAny>)>;

/// A function of a sandbox.
pub(crate) fn function(is_async: bool, callable: Py<PyAny>, other: Py<PyAny>) -> Function {
    if !is_async {
        return Function::new(move |arguments| {
            blocking(|| {
                Python::attach(|py| {
                    let (arguments, keywords) = to_call(arguments, other.bind(py))?;
                    let value = callable.bind(py).call1((arguments, keywords));
                    answer(py, value)
                })
            })
        });
    }
    Function::new_async(move |arguments| {
        let (send, received) = oneshot::channel();
        let task = blocking(|| Python::attach(|py| start(&callable, &other, py, arguments, send)));
        async move {
            // Gives the call up when the guest does.
            let _task = task?;
            let ended = || FunctionError::new("RuntimeError", "the event loop ended");
            received.await.map_err(|_| ended())?
        }
    })
}

/// A task of an event loop, by what cancels it. Dropping it does.
struct Task(Py<PyAny>);

impl Drop for Task {
    fn drop(&mut self) {
        // Not if the interpreter ends. One that is done stays so.
        Python::try_attach(|py| {
            if let Err(error) = self.0.call0(py) {
                error.write_unraisable(py, None);
            }
        });
    }
}

fn start(
    callable: &Py<PyAny>,
    other: &Py<PyAny>,
    py: Python<'_>,
    arguments: Arguments,
    send: oneshot::Sender<Result<Value, FunctionError>>,
) -> Result<Task, FunctionError> {
    let (arguments, keywords) = to_call(arguments, other.bind(py))?;
    let send = std::sync::Mutex::new(Some(send));
    let done = move |given: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
        let py = given.py();
        let error = given.get_item(1)?;
        let value = match error.is_none() {
            true => given.get_item(0),
            false => Err(PyErr::from_value(error)),
        };
        let send = send.lock().ok().and_then(|mut send| send.take());
        if let Some(send) = send {
            // Nobody may wait any more.
            let _ = send.send(answer(py, value));
        }
        Ok(())
    };
    let started = PyCFunction::new_closure(py, None, None, done)
        .and_then(|done| callable.bind(py).call1((arguments, keywords, done)));
    let cancel = started.map_err(|error| failure(py, &error))?;
    Ok(Task(cancel.unbind()))
}

type Call<'py> = (Bound<'py, PyTuple>, Bound<'py, PyDict>);

/// Arguments and keywords.
fn to_call<'py>(
    arguments: Arguments,
    other: &Bound<'py, PyAny>,
) -> Result<Call<'py>, FunctionError> {
    let py = other.py();
    let convert = || -> PyResult<Call<'py>> {
        let Arguments {
            positional,
            keywords,
            ..
        } = arguments;
        let positional = positional.into_iter().map(|value| to_python(value, other));
        let positional = positional.collect::<PyResult<Vec<_>>>()?;
        let by_name = PyDict::new(py);
        for (name, value) in keywords {
            by_name.set_item(name, to_python(value, other)?)?;
        }
        Ok((PyTuple::new(py, positional)?, by_name))
    };
    convert().map_err(|error| failure(py, &error))
}

fn answer(py: Python<'_>, value: PyResult<Bound<'_, PyAny>>) -> Result<Value, FunctionError> {
    let value = value.and_then(|value| from_python(&value));
    value.map_err(|error| failure(py, &error))
}

/// What the guest learns of an exception: no more than its type and text.
fn failure(py: Python<'_>, error: &PyErr) -> FunctionError {
    let name = error.get_type(py).qualname();
    let text = error.value(py).str();
    FunctionError::new(
        name.map_or_else(|_| "Exception".into(), |name| name.to_string()),
        text.map_or_else(|_| String::new(), |text| text.to_string()),
    )
}
