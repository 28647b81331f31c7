//! Look-ups by the host, blocking and in the background.

use std::net::IpAddr;
use std::rc::Rc;

use crate::descriptors::{self, Description, Kind, RawFd};
use crate::host::{self, FOREVER, Host as _, Imp};
use crate::netdb::Failure;
use crate::{Errno, Family, Result};

/// Size of the buffer for a host name, in bytes: glibc's NI_MAXHOST.
const NAME_MAX: usize = 1025;

/// A look-up of the host, which ends when it is dropped.
struct Lookup(u32);

impl Drop for Lookup {
    fn drop(&mut self) {
        // Nothing can be done about an error.
        let _ = Imp::close(self.0);
    }
}

/// The addresses of a name, and its canonical name if that is wanted.
pub(super) fn names(
    name: &[u8],
    family: Option<Family>,
    canonical: bool,
) -> core::result::Result<(Vec<IpAddr>, Option<Vec<u8>>), Failure> {
    let family = family.map_or(0, Family::to_abi);
    if !canonical {
        return Ok((Imp::resolve(name, family)?, None));
    }
    let lookup = Lookup(Imp::lookup_name(name, family)?);
    let found = Imp::lookup_addrs(lookup.0, FOREVER)?;
    let name = host_name(lookup.0, FOREVER)?;
    Ok((found, Some(name)))
}

/// The name of an address.
pub(super) fn address(ip: IpAddr) -> core::result::Result<Vec<u8>, Failure> {
    let lookup = Lookup(Imp::lookup_addr(ip)?);
    Ok(host_name(lookup.0, FOREVER)?)
}

fn host_name(lookup: u32, timeout: i64) -> host::Result<Vec<u8>> {
    let mut name = vec![0; NAME_MAX];
    let length = Imp::lookup_host(lookup, &mut name, timeout)?;
    name.truncate(length);
    Ok(name)
}

/// The IP addresses of a host name, of one family or of both, in the host's order. Waits for them.
///
/// # Errors
/// EACCES without a grant, ENOENT for an unknown name, EAGAIN for a temporary failure, EIO.
pub fn resolve(name: &[u8], family: Option<Family>) -> Result<Vec<IpAddr>> {
    let found = Imp::resolve(name, family.map_or(0, Family::to_abi));
    // This call waits until the look-up is over, so "busy" can only come from the resolver.
    found.map_err(|error| match error {
        wasisocket_abi::Errno::EBUSY => Errno(libc::EAGAIN),
        error => error.into(),
    })
}

/// Starts a look-up of a name, and returns a descriptor that becomes readable when it is over, for event loops. It has
/// to be closed like any other.
///
/// # Errors
/// EACCES without a grant for the name; EMFILE; EOPNOTSUPP on a host whose calls always block.
pub fn start_lookup_name(name: &[u8], family: Option<Family>) -> Result<RawFd> {
    started(Imp::lookup_name(name, family.map_or(0, Family::to_abi))?)
}

/// Starts a look-up of the name of an address. See [`start_lookup_name`].
///
/// # Errors
/// EACCES without a grant for the address; EMFILE; EOPNOTSUPP.
pub fn start_lookup_addr(ip: IpAddr) -> Result<RawFd> {
    started(Imp::lookup_addr(ip)?)
}

fn started(lookup: u32) -> Result<RawFd> {
    descriptors::insert(lookup, Rc::new(Description::new(Kind::Lookup)), true)
}

fn lookup(fd: RawFd) -> Result<u32> {
    let descriptor = descriptors::get(fd)?;
    match descriptor.description.kind {
        Kind::Lookup => Ok(descriptor.handle),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// The result of [`start_lookup_name`].
///
/// # Errors
/// EAGAIN if the look-up is not over. The inner result is the [`Failure`] of the look-up.
pub fn addresses_found(fd: RawFd) -> Result<core::result::Result<Vec<IpAddr>, Failure>> {
    answer(Imp::lookup_addrs(lookup(fd)?, 0))
}

/// The result of [`start_lookup_addr`], or the canonical name after [`start_lookup_name`].
///
/// # Errors
/// As for [`addresses_found`].
pub fn name_found(fd: RawFd) -> Result<core::result::Result<Vec<u8>, Failure>> {
    answer(host_name(lookup(fd)?, 0))
}

/// Separates a look-up that is not over from one that failed.
fn answer<T>(
    answer: core::result::Result<T, wasisocket_abi::Errno>,
) -> Result<core::result::Result<T, Failure>> {
    match answer {
        Err(wasisocket_abi::Errno::EAGAIN) => Err(Errno(libc::EAGAIN)),
        Err(error) => Ok(Err(error.into())),
        Ok(answer) => Ok(Ok(answer)),
    }
}
