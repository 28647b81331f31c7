//! Converts Python arguments for the calls, and addresses back. All checks happen before a host call.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};
use wasisocket_abi::{AF_INET, AF_INET6, HOST_NAME_MAX, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_posix::{Errno, Family, Result, Type};

/// A port: an int from 0 to 65535, else OverflowError, as in CPython's Modules/socketmodule.c.
pub(crate) struct Port(pub(crate) u16);

impl<'py> FromPyObject<'_, 'py> for Port {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        u16::try_from(object.extract::<i64>()?)
            .map(Self)
            .map_err(|_| PyOverflowError::new_err("port must be 0-65535."))
    }
}

/// A length that is not negative, else ValueError.
pub(crate) fn length(name: &str, value: isize) -> PyResult<usize> {
    usize::try_from(value)
        .map_err(|_| PyValueError::new_err(format!("{name} must not be negative: {value}")))
}

/// The name in the form that the host expects: ASCII unchanged, anything else encoded by Python's idna codec.
pub(crate) fn host_name<'a>(name: &'a Bound<'_, PyString>) -> PyResult<Cow<'a, [u8]>> {
    // str.isascii first: a str with lone surrogates has no UTF-8 form, but the codec raises a clear error.
    let py = name.py();
    let bytes = if name.call_method0(intern!(py, "isascii"))?.is_truthy()? {
        match name.to_cow()? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }
    } else {
        let encoded = name.call_method1(intern!(py, "encode"), (intern!(py, "idna"),))?;
        Cow::Owned(encoded.extract::<Vec<u8>>()?)
    };
    if bytes.is_empty() {
        return Err(PyValueError::new_err("host name is empty"));
    }
    if bytes.contains(&0) {
        return Err(PyValueError::new_err(
            "embedded null character in host name",
        ));
    }
    if bytes.len() > HOST_NAME_MAX {
        return Err(PyValueError::new_err(format!(
            "host name is longer than {HOST_NAME_MAX} bytes"
        )));
    }
    Ok(bytes)
}

/// The address from its three parts, or ValueError.
pub(crate) fn socket_addr(family: u32, port: Port, address: &[u8]) -> PyResult<SocketAddr> {
    let ip = match family {
        AF_INET => <[u8; 4]>::try_from(address).map(IpAddr::from).ok(),
        AF_INET6 => <[u8; 16]>::try_from(address).map(IpAddr::from).ok(),
        _ => {
            return Err(PyValueError::new_err(format!(
                "family must be AF_INET ({AF_INET}) or AF_INET6 ({AF_INET6}), not {family}"
            )));
        }
    };
    ip.map(|ip| SocketAddr::new(ip, port.0)).ok_or_else(|| {
        PyValueError::new_err(format!(
            "an address has 4 bytes for AF_INET and 16 for AF_INET6, not {}",
            address.len()
        ))
    })
}

/// Family, port, and the address's 4 or 16 bytes.
pub(crate) type AddressTuple<'py> = (u32, u16, Bound<'py, PyBytes>);

/// The three parts of an address.
pub(crate) fn to_tuple<'py>(py: Python<'py>, ip: IpAddr, port: u16) -> AddressTuple<'py> {
    match ip {
        IpAddr::V4(ip) => (AF_INET, port, PyBytes::new(py, &ip.octets())),
        IpAddr::V6(ip) => (AF_INET6, port, PyBytes::new(py, &ip.octets())),
    }
}

/// The family of the ABI's number, or EAFNOSUPPORT.
pub(crate) fn socket_family(af: u32) -> Result<Family> {
    match af {
        AF_INET => Ok(Family::Inet),
        AF_INET6 => Ok(Family::Inet6),
        _ => Err(Errno::EAFNOSUPPORT),
    }
}

/// The socket type of the ABI's number, or EINVAL.
pub(crate) fn socket_type(ty: u32) -> Result<Type> {
    match ty {
        SOCK_STREAM => Ok(Type::Stream),
        SOCK_DGRAM => Ok(Type::Datagram),
        _ => Err(Errno::EINVAL),
    }
}

/// An address of 4 or 16 bytes, or ValueError.
pub(crate) fn ip_addr(address: &[u8]) -> PyResult<IpAddr> {
    match address.len() {
        4 => socket_addr(AF_INET, Port(0), address),
        _ => socket_addr(AF_INET6, Port(0), address),
    }
    .map(|address| address.ip())
}
