//! getnameinfo(3).

use std::net::{IpAddr, SocketAddr};

use crate::netdb::{Failure, if_indextoname, lookup, services};
use crate::sys::{NI_DGRAM, NI_NAMEREQD, NI_NOFQDN, NI_NUMERICHOST, NI_NUMERICSERV};

/// `int getnameinfo(...)`: getnameinfo(3), with the `NI_` flags. Returns host and service.
///
/// The loopback addresses are `localhost` and are not looked up. For an address without a name or without a grant the
/// result is numeric, unless a name is required.
///
/// # Errors
/// EAI_NONAME if a name is required and there is none.
pub fn getnameinfo(address: &SocketAddr, flags: i32) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let has = |flag| flags & flag != 0;
    let name = match has(NI_NUMERICHOST) {
        true => None,
        false => host_name(address.ip()).ok(),
    };
    let host = match name {
        Some(mut name) => {
            if has(NI_NOFQDN) {
                let label = name.iter().position(|byte| *byte == b'.');
                name.truncate(label.unwrap_or(name.len()));
            }
            name
        }
        None if has(NI_NAMEREQD) => return Err(Failure::NONAME),
        None => to_text(address).into_bytes(),
    };
    let transport = match has(NI_DGRAM) {
        true => services::Transport::Udp,
        false => services::Transport::Tcp,
    };
    let service = match has(NI_NUMERICSERV) {
        true => None,
        false => services::getservbyport(address.port(), Some(transport)),
    };
    let service = match service {
        Some(service) => service.name.to_bytes().to_vec(),
        None => address.port().to_string().into_bytes(),
    };
    Ok((host, service))
}

/// The name of an address.
pub(super) fn host_name(ip: IpAddr) -> Result<Vec<u8>, Failure> {
    match ip.is_loopback() {
        true => Ok(b"localhost".to_vec()),
        false => lookup::address(ip),
    }
}

/// The address as text, with the interface of its scope (RFC 4007, 11.2).
fn to_text(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            let zone = if_indextoname(v6.scope_id());
            let zone = zone.and_then(|name| String::from_utf8(name).ok());
            let zone = zone.unwrap_or_else(|| v6.scope_id().to_string());
            format!("{}%{zone}", v6.ip())
        }
        _ => address.ip().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{NI_NAMEREQD, getnameinfo};

    #[test]
    fn loopback_has_a_name_and_what_has_none_is_numeric() {
        let loopback = ([127, 0, 0, 1], 80).into();
        assert_eq!(
            getnameinfo(&loopback, 0),
            Ok((b"localhost".to_vec(), b"http".to_vec()))
        );
        let elsewhere = ([192, 0, 2, 1], 1).into();
        assert_eq!(
            getnameinfo(&elsewhere, 0),
            Ok((b"192.0.2.1".to_vec(), b"1".to_vec()))
        );
        assert!(getnameinfo(&elsewhere, NI_NAMEREQD).is_err());
    }
}
