//! Look-ups by the host: those that are waited for, and those that are not.

use std::net::IpAddr;
use std::rc::Rc;

use crate::descriptors::{self, Description, Kind, RawFd};
use crate::host::{FOREVER, Host as _, Imp};
use crate::netdb::Failure;
use crate::{Errno, Family, Result};

/// Room for a host name (RFC 1035), in bytes: NI_MAXHOST of glibc.
const NAME_MAX: usize = 1025;

/// A look-up of the host, ended when dropped.
struct Lookup(u32);

impl Drop for Lookup {
    fn drop(&mut self) {
        // It was one of ours: there is nothing that could be done about an error.
        let _ = Imp::close(self.0);
    }
}

/// The addresses of a name, and its canonical one if that is wanted.
pub(super) fn names(
    name: &[u8],
    family: Option<Family>,
    canonical: bool,
) -> core::result::Result<(Vec<IpAddr>, Option<Vec<u8>>), Failure> {
    let family = family.map_or(0, Family::to_abi);
    if !canonical {
        return Ok((Imp::resolve(name, family).map_err(Errno::from)?, None));
    }
    let lookup = Lookup(Imp::lookup_name(name, family).map_err(Errno::from)?);
    let found = Imp::lookup_addrs(lookup.0, FOREVER).map_err(Errno::from)?;
    let name = host_name(lookup.0, FOREVER)?;
    Ok((found, Some(name)))
}

/// The name of an address.
pub(super) fn address(ip: IpAddr) -> core::result::Result<Vec<u8>, Failure> {
    let lookup = Lookup(Imp::lookup_addr(ip).map_err(Errno::from)?);
    Ok(host_name(lookup.0, FOREVER)?)
}

fn host_name(lookup: u32, timeout: i64) -> Result<Vec<u8>> {
    let mut name = vec![0; NAME_MAX];
    let length = Imp::lookup_host(lookup, &mut name, timeout)?;
    name.truncate(length);
    Ok(name)
}

/// The IP addresses of a host name, of one family or of both, in the host's order. Waits for them.
///
/// # Errors
/// EACCES without a grant, ENOENT for an unknown name, EAGAIN for a failure that may pass, EIO.
pub fn resolve(name: &[u8], family: Option<Family>) -> Result<Vec<IpAddr>> {
    let found = Imp::resolve(name, family.map_or(0, Family::to_abi));
    // A look-up that waits to its end has no other "busy" than the resolver's.
    found.map_err(|error| match error {
        wasisocket_abi::Errno::EBUSY => Errno(libc::EAGAIN),
        error => error.into(),
    })
}

/// Starts to look a name up, and returns a descriptor that becomes readable when that is over: for an
/// event loop. Close it as any other.
///
/// # Errors
/// EACCES without a grant for the name; EMFILE; EOPNOTSUPP on a host whose every call blocks.
pub fn start_lookup_name(name: &[u8], family: Option<Family>) -> Result<RawFd> {
    started(Imp::lookup_name(name, family.map_or(0, Family::to_abi))?)
}

/// Starts to look the name of an address up. See [`start_lookup_name`].
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

/// The answer to [`start_lookup_name`].
///
/// # Errors
/// EAGAIN before it is there; a [`Failure`]'s code in `Err` of the inner result.
pub fn addresses_found(fd: RawFd) -> Result<core::result::Result<Vec<IpAddr>, Failure>> {
    answer(Imp::lookup_addrs(lookup(fd)?, 0))
}

/// The answer to [`start_lookup_addr`], or the canonical name after [`start_lookup_name`].
///
/// # Errors
/// As for [`addresses_found`].
pub fn name_found(fd: RawFd) -> Result<core::result::Result<Vec<u8>, Failure>> {
    let mut name = vec![0; NAME_MAX];
    let length = Imp::lookup_host(lookup(fd)?, &mut name, 0);
    Ok(answer(length)?.map(|length| {
        name.truncate(length);
        name
    }))
}

/// A look-up that is not over is no failure of it.
fn answer<T>(
    answer: core::result::Result<T, wasisocket_abi::Errno>,
) -> Result<core::result::Result<T, Failure>> {
    match answer {
        Err(wasisocket_abi::Errno::EAGAIN) => Err(Errno(libc::EAGAIN)),
        Err(error) => Ok(Err(Errno::from(error).into())),
        Ok(answer) => Ok(Ok(answer)),
    }
}
