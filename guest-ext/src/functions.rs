//! The functions of `_wasisocket`. Their docstrings are the module's documentation.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use wasisocket_posix::{self as posix, Errno, calls, netdb};

use crate::arguments::{
    AddressTuple, Port, host_name, ip_addr, length, socket_addr, socket_family, socket_type,
    to_tuple,
};
use crate::buffer::{ReadBuffer, WriteBuffer, bytes_filled_by, bytes_of};
use crate::error::os_error;

/// The most bytes that one `sock_recv` requests. It limits the buffer for a large `bufsize`; a receive may
/// always return less than was requested.
const RECV_MAX: usize = 1 << 20;

/// Open a socket and return its file descriptor.
///
/// af is AF_INET or AF_INET6, type is SOCK_STREAM or SOCK_DGRAM. The descriptor is of the same
/// kind as those of the socket module: socket.socket(fileno=fd) uses it.
/// Raises OSError: EAFNOSUPPORT, EINVAL, EMFILE. See socket(2).
#[pyfunction]
#[pyo3(signature = (af, r#type, /))]
pub(crate) fn sock_open(py: Python<'_>, af: u32, r#type: u32) -> PyResult<i32> {
    let open = || posix::socket(socket_family(af)?, socket_type(r#type)?, 0);
    open().map_err(|errno| os_error(py, errno))
}

/// Look up hostname and return tuples (family, port, addr_bytes).
///
/// hostname is a str, encoded with the idna codec if it is not ASCII; port is an int from 0 to 65535
/// and is returned unchanged; addr_bytes has 4 bytes for AF_INET and 16 for AF_INET6.
/// Raises OSError: EACCES without a grant for the name, ENOENT for a name that does not exist, EAGAIN
/// for a temporary failure, EIO. See getaddrinfo(3).
#[pyfunction]
#[pyo3(signature = (hostname, port, /))]
pub(crate) fn sock_resolve<'py>(
    py: Python<'py>,
    hostname: &Bound<'py, PyString>,
    port: Port,
) -> PyResult<Vec<AddressTuple<'py>>> {
    let name = host_name(hostname)?;
    let found = netdb::resolve(&name, None).map_err(|errno| os_error(py, errno))?;
    let found = found.iter();
    Ok(found.map(|ip| to_tuple(py, *ip, port.0)).collect())
}

/// Connect the socket fd to an address in the form that sock_resolve returns.
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
    posix::connect(fd, &address.into()).map_err(|errno| os_error(py, errno))
}

/// Send data, a bytes-like object, and return how many of its bytes the host accepted.
///
/// Raises OSError: EPIPE, ECONNRESET, EBADF and the others of send(2).
#[pyfunction]
#[pyo3(signature = (fd, data, /))]
pub(crate) fn sock_send(py: Python<'_>, fd: i32, data: ReadBuffer) -> PyResult<usize> {
    posix::send(fd, data.as_slice(), 0).map_err(|errno| os_error(py, errno))
}

/// Receive up to bufsize bytes, at most 1 MiB. b'' is the end of a stream.
///
/// Raises OSError: ECONNRESET, ENOTCONN, EBADF and the others of recv(2); MemoryError.
#[pyfunction]
#[pyo3(signature = (fd, bufsize, /))]
pub(crate) fn sock_recv(py: Python<'_>, fd: i32, bufsize: isize) -> PyResult<Bound<'_, PyBytes>> {
    bytes_filled_by(py, length("bufsize", bufsize)?.min(RECV_MAX), |buffer| {
        posix::recv(fd, buffer, 0).map_err(|errno| os_error(py, errno))
    })
}

/// Receive up to nbytes bytes into buffer and return how many arrived. 0 is the end of a stream.
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
    posix::recv(fd, room, 0).map_err(|errno| os_error(py, errno))
}

/// Close the socket fd. The next sock_open may return the same number.
///
/// Raises OSError: EBADF.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn sock_close(py: Python<'_>, fd: i32) -> PyResult<()> {
    posix::close_handle(fd).map_err(|errno| os_error(py, errno))
}

/// Start to look up hostname and return a file descriptor that is readable when the look-up has ended.
///
/// For event loops: wait for it, call lookup_addrs, and close it with os.close or sock_close. af is
/// AF_INET, AF_INET6, or 0 for both.
/// Raises OSError: EACCES without a grant for the name, EMFILE, EOPNOTSUPP if every call of the host blocks.
#[pyfunction]
#[pyo3(signature = (hostname, af=0, /))]
pub(crate) fn lookup_name(
    py: Python<'_>,
    hostname: &Bound<'_, PyString>,
    af: u32,
) -> PyResult<i32> {
    let name = host_name(hostname)?;
    let start = || {
        let family = match af {
            0 => None,
            af => Some(socket_family(af)?),
        };
        netdb::start_lookup_name(&name, family)
    };
    start().map_err(|errno| os_error(py, errno))
}

/// Start to look up the name of an address of 4 or 16 bytes. See lookup_name.
///
/// Raises OSError: EACCES without a grant for the address, EMFILE, EOPNOTSUPP.
#[pyfunction]
#[pyo3(signature = (addr_bytes, /))]
pub(crate) fn lookup_addr(py: Python<'_>, addr_bytes: ReadBuffer) -> PyResult<i32> {
    let ip = ip_addr(addr_bytes.as_slice())?;
    netdb::start_lookup_addr(ip).map_err(|errno| os_error(py, errno))
}

/// Return the result of lookup_name: tuples (family, port, addr_bytes) with port 0.
///
/// Raises BlockingIOError before the look-up has ended, and OSError as sock_resolve does.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn lookup_addrs(py: Python<'_>, fd: i32) -> PyResult<Vec<AddressTuple<'_>>> {
    match netdb::addresses_found(fd).map_err(|errno| os_error(py, errno))? {
        Ok(found) => Ok(found.iter().map(|ip| to_tuple(py, *ip, 0)).collect()),
        Err(failure) => Err(os_error(py, of_look_up(failure))),
    }
}

/// Return the result of lookup_addr, a name; after lookup_name, return the canonical name.
///
/// Raises BlockingIOError before the look-up has ended, and OSError as sock_resolve does.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn lookup_host(py: Python<'_>, fd: i32) -> PyResult<Bound<'_, PyBytes>> {
    match netdb::name_found(fd).map_err(|errno| os_error(py, errno))? {
        Ok(name) => bytes_of(py, &name),
        Err(failure) => Err(os_error(py, of_look_up(failure))),
    }
}

/// Call the function of the program that embeds this one with request, a bytes-like object, and return its answer.
///
/// What the two mean is up to that program. Sandboxes of wasisocket have functions by name: the module host.
/// Raises OSError: ENOTSUP if there is no such function, EMSGSIZE, ENOBUFS, EBUSY and EMFILE beyond its limits, EIO if it
/// gave no answer.
#[pyfunction]
#[pyo3(signature = (request, /))]
pub(crate) fn call<'py>(py: Python<'py>, request: ReadBuffer) -> PyResult<Bound<'py, PyBytes>> {
    let answer = calls::call(request.as_slice()).map_err(|errno| os_error(py, errno))?;
    bytes_of(py, &answer)
}

/// Call that function with request and return a file descriptor that is readable when its answer is there.
///
/// For event loops: wait for it, call call_answer, and close it with os.close or sock_close. Closing it gives the
/// call up.
/// Raises OSError: as call does.
#[pyfunction]
#[pyo3(signature = (request, /))]
pub(crate) fn call_start(py: Python<'_>, request: ReadBuffer) -> PyResult<i32> {
    calls::start(request.as_slice()).map_err(|errno| os_error(py, errno))
}

/// Return the answer to call_start.
///
/// Raises BlockingIOError before it is there, and OSError as call does.
#[pyfunction]
#[pyo3(signature = (fd, /))]
pub(crate) fn call_answer(py: Python<'_>, fd: i32) -> PyResult<Bound<'_, PyBytes>> {
    let answer = calls::answer(fd).map_err(|errno| os_error(py, errno))?;
    bytes_of(py, &answer)
}

/// The errno of a look-up that has failed. EAGAIN means that it has not ended, so a temporary failure is
/// EBUSY.
fn of_look_up(failure: netdb::Failure) -> Errno {
    match Errno::from(failure) {
        Errno::EAGAIN => Errno::EBUSY,
        errno => errno,
    }
}
