//! getnameinfo(3).

use std::net::{IpAddr, SocketAddr};

use crate::netdb::{Failure, if_indextoname, lookup, services};

/// The flags of getnameinfo(3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NameFlags {
    /// NI_NUMERICHOST.
    pub numeric_host: bool,
    /// NI_NUMERICSERV.
    pub numeric_service: bool,
    /// NI_NAMEREQD.
    pub name_required: bool,
    /// NI_NOFQDN.
    pub no_domain: bool,
    /// NI_DGRAM.
    pub datagram: bool,
}

/// `int getnameinfo(...)`: getnameinfo(3). Returns host and service.
///
/// The loopback addresses are `localhost` and are not looked up. For an address without a name or without a grant the
/// result is numeric, unless a name is required.
///
/// # Errors
/// EAI_NONAME if a name is required and there is none.
pub fn getnameinfo(address: &SocketAddr, flags: NameFlags) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let name = match flags.numeric_host {
        true => None,
        false => host_name(address.ip()).ok(),
    };
    let host = match name {
        Some(mut name) => {
            if flags.no_domain {
                let label = name.iter().position(|byte| *byte == b'.');
                name.truncate(label.unwrap_or(name.len()));
            }
            name
        }
        None if flags.name_required => return Err(Failure::NONAME),
        None => to_text(address).into_bytes(),
    };
    let transport = match flags.datagram {
        true => services::Transport::Udp,
        false => services::Transport::Tcp,
    };
    let service = match flags.numeric_service {
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
    use super::{NameFlags, getnameinfo};

    #[test]
    fn loopback_has_a_name_and_what_has_none_is_numeric() {
        let flags = NameFlags::default();
        let loopback = ([127, 0, 0, 1], 80).into();
        assert_eq!(
            getnameinfo(&loopback, flags),
            Ok((b"localhost".to_vec(), b"http".to_vec()))
        );
        let elsewhere = ([192, 0, 2, 1], 1).into();
        assert_eq!(
            getnameinfo(&elsewhere, flags),
            Ok((b"192.0.2.1".to_vec(), b"1".to_vec()))
        );
        let required = NameFlags {
            name_required: true,
            ..flags
        };
        assert!(getnameinfo(&elsewhere, required).is_err());
    }
}
