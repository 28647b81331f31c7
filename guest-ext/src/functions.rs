//! The functions of `_wasisocket`. Their docstrings are the module's documentation.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use wasisocket_posix as posix;

use crate::arguments::{AddressTuple, Port, host_name, length, socket_addr, to_tuple};
use crate::buffer::{ReadBuffer, WriteBuffer, bytes_filled_by};
use crate::error::os_error;

/// What `sock_resolve` returns at most.
const RESOLVED_MAX: usize = 10;

/// What one `sock_recv` asks the host for at most, in bytes. It bounds the buffer that a large
/// `bufsize` costs; a receive may always return less than was asked for.
const RECV_MAX: usize = 1 << 20;

/// Open a socket and return its handle, an int of 1000 or more.
///
/// af is AF_INET or AF_INET6, type is SOCK_STREAM or SOCK_DGRAM.
/// Raises OSError: EAFNOSUPPORT, EINVAL, EMFILE. See socket(2).
#[pyfunction]
#[pyo3(signature = (af, r#type, /))]
pub(crate) fn sock_open(py: Python<'_>, af: u32, r#type: u32) -> PyResult<i32> {
    posix::socket(af, r#type).map_err(|errno| os_error(py, errno))
}

/// Look hostname up and return up to 10 tuples (family, port, addr_bytes).
///
/// hostname is a str, encoded with the idna codec if it is not ASCII; port is an int from 0 to 65535
/// and comes back as it was given; addr_bytes has 4 bytes for AF_INET and 16 for AF_INET6.
/// Raises OSError: EACCES without a grant for the name, ENOENT for a name that does not exist, EAGAIN
/// for a failure that may pass, EIO. See getaddrinfo(3).
#[pyfunction]
#[pyo3(signature = (hostname, port, /))]
pub(crate) fn sock_resolve<'py>(
    py: Python<'py>,
    hostname: &Bound<'py, PyString>,
    port: Port,
) -> PyResult<Vec<AddressTuple<'py>>> {
    let name = host_name(hostname)?;
    let found = posix::resolve(&name, port.0, RESOLVED_MAX).map_err(|errno| os_error(py, errno))?;
    Ok(found.iter().map(|address| to_tuple(py, address)).collect())
}

/// Connect the socket fd to an address as sock_resolve returns it.
///
/// Raises OSError: EACCES (PermissionError) without a grant, ECONNREFUSED, ETIMEDOUT, EISCONN, EBADF
/// and the others of connect(2).
#[pyfunction]
#[pyo3(signature = (fd, family, port, addr_bytes, /))]
pub(crate) fn sock_connect(
    py: Python<'_>,
    fd: i32,
    family: u32,
    port: Port,
    addr_bytes: ReadBuffer,
) -> PyResult<()> {
    let address = socket_addr(family, port, addr_bytes.as_slice())?;
    posix::connect(fd, &address).map_err(|errno| os_error(py, errno))
}

/// Send data, a bytes-like object, and return how many of its bytes the host took.
///
/// Raises OSError: EPIPE, ECONNRESET, EBADF and the others of send(2).
#[pyfunction]
#[pyo3(signature = (fd, data, /))]
pub(crate) fn sock_send(py: Python<'_>, fd: i32, data: ReadBuffer) -> PyResult<usize> {
    posix::send(fd, data.as_slice()).map_err(|errno| os_error(py, errno))
}

/// Receive up to bufsize bytes, and up to 1 MiB at once. On a stream, b'' is its end.
///
/// Raises OSError: ECONNRESET, ENOTCONN, EBADF and the others of recv(2); MemoryError.
#[pyfunction]
#[pyo3(signature = (fd, bufsize, /))]
pub(crate) fn sock_recv(py: Python<'_>, fd: i32, bufsize: isize) -> PyResult<Bound<'_, PyBytes>> {
    bytes_filled_by(py, length("bufsize", bufsize)?.min(RECV_MAX), |buffer| {
        posix::recv(fd, buffer).map_err(|errno| os_error(py, errno))
    })
}

/// Receive up to nbytes bytes into buffer and return how many arrived. On a stream, 0 is its end.
///
/// buffer is a writable bytes-like object; nbytes of 0 means all of it.
/// Raises ValueError if nbytes is negative or more than buffer holds, and OSError as sock_recv does.
#[pyfunction]
#[pyo3(signature = (fd, buffer, nbytes=0, /))]
pub(crate) fn sock_recv_into(
    py: Python<'_>,
    fd: i32,
    mut buffer: WriteBuffer,
    nbytes: isize,
) -> PyResult<usize> {
    let room = buffer.up_to(length("nbytes", nbytes)?)?;
    posix::recv(fd, room).map_err(|errno| os_error(py, errno))
}

/// Close the socket fd. Its handle may come back from the next sock_open.
///
/// Raises OSError: EBADF.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn sock_close(py: Python<'_>, fd: i32) -> PyResult<()> {
    posix::close(fd).map_err(|errno| os_error(py, errno))
}
