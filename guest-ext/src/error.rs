//! Converts an errno to an exception.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use wasisocket_posix::Errno;

/// `OSError(errno, strerror)`. Given both arguments, Python chooses the subclass by errno.
pub(crate) fn os_error(py: Python<'_>, errno: Errno) -> PyErr {
    let strerror = py
        .import("os")
        .and_then(|os| os.call_method1("strerror", (errno.0,)))
        .and_then(|text| text.extract::<String>());
    match strerror {
        Ok(text) => PyOSError::new_err((errno.0, text)),
        Err(error) => error,
    }
}
