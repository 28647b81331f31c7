//! getservbyname(3), getprotobyname(3): tables, because the guest has no /etc/services.
//!
//! The ports are IANA's (Service Name and Transport Protocol Port Number Registry), of the services that the standard
//! library and common protocols look up by name.

use core::ffi::CStr;

use crate::sys::{IPPROTO_TCP, IPPROTO_UDP};

/// A transport protocol of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    pub(super) fn from_protocol(protocol: i32) -> Option<Self> {
        match protocol {
            IPPROTO_TCP => Some(Self::Tcp),
            IPPROTO_UDP => Some(Self::Udp),
            _ => None,
        }
    }

    /// From its name; `None` for any other.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        match name {
            b"tcp" => Some(Self::Tcp),
            b"udp" => Some(Self::Udp),
            _ => None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static CStr {
        match self {
            Self::Tcp => c"tcp",
            Self::Udp => c"udp",
        }
    }
}

/// One service: `struct servent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: &'static CStr,
    /// Its port.
    pub port: u16,
    /// The protocol of the port.
    pub transport: Transport,
}

const TCP: &[Transport] = &[Transport::Tcp];
const UDP: &[Transport] = &[Transport::Udp];
const BOTH: &[Transport] = &[Transport::Tcp, Transport::Udp];

const SERVICES: &[(&CStr, u16, &[Transport])] = &[
    (c"echo", 7, BOTH),
    (c"discard", 9, BOTH),
    (c"daytime", 13, BOTH),
    (c"chargen", 19, BOTH),
    (c"ftp-data", 20, TCP),
    (c"ftp", 21, TCP),
    (c"ssh", 22, TCP),
    (c"telnet", 23, TCP),
    (c"smtp", 25, TCP),
    (c"time", 37, BOTH),
    (c"domain", 53, BOTH),
    (c"bootps", 67, UDP),
    (c"bootpc", 68, UDP),
    (c"tftp", 69, UDP),
    (c"http", 80, TCP),
    (c"kerberos", 88, BOTH),
    (c"pop3", 110, TCP),
    (c"nntp", 119, TCP),
    (c"ntp", 123, UDP),
    (c"imap2", 143, TCP),
    (c"imap", 143, TCP),
    (c"snmp", 161, BOTH),
    (c"ldap", 389, BOTH),
    (c"https", 443, BOTH),
    (c"submissions", 465, TCP),
    (c"syslog", 514, UDP),
    (c"submission", 587, TCP),
    (c"ldaps", 636, BOTH),
    (c"ftps", 990, TCP),
    (c"imaps", 993, TCP),
    (c"pop3s", 995, TCP),
    (c"socks", 1080, TCP),
    (c"ms-sql-s", 1433, TCP),
    (c"mqtt", 1883, TCP),
    (c"nfs", 2049, BOTH),
    (c"mysql", 3306, TCP),
    (c"postgresql", 5432, TCP),
    (c"amqps", 5671, TCP),
    (c"amqp", 5672, TCP),
    (c"redis", 6379, TCP),
];

fn find(transport: Option<Transport>, matches: impl Fn(&CStr, u16) -> bool) -> Option<Service> {
    SERVICES.iter().find_map(|(name, port, transports)| {
        if !matches(name, *port) {
            return None;
        }
        let fits = |have: &&Transport| transport.is_none_or(|wanted| wanted == **have);
        transports.iter().find(fits).map(|transport| Service {
            name,
            port: *port,
            transport: *transport,
        })
    })
}

/// `struct servent *getservbyname(const char *name, const char *protocol)`: getservbyname(3).
#[must_use]
pub fn getservbyname(name: &[u8], transport: Option<Transport>) -> Option<Service> {
    find(transport, |known, _| known.to_bytes() == name)
}

/// `struct servent *getservbyport(int port, const char *protocol)`: getservbyport(3). The port is in the
/// host's order.
#[must_use]
pub fn getservbyport(port: u16, transport: Option<Transport>) -> Option<Service> {
    find(transport, |_, known| known == port)
}

/// One protocol: `struct protoent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    /// Its name.
    pub name: &'static CStr,
    /// Its number (IANA, Protocol Numbers).
    pub number: i32,
}

const PROTOCOLS: &[(&CStr, i32)] = &[
    (c"ip", 0),
    (c"icmp", 1),
    (c"igmp", 2),
    (c"tcp", 6),
    (c"udp", 17),
    (c"ipv6", 41),
    (c"ipv6-icmp", 58),
];

/// `struct protoent *getprotobyname(const char *name)`: getprotobyname(3).
#[must_use]
pub fn getprotobyname(wanted: &[u8]) -> Option<Protocol> {
    let mut known = PROTOCOLS.iter();
    let (name, number) = *known.find(|(name, _)| name.to_bytes() == wanted)?;
    Some(Protocol { name, number })
}

#[cfg(test)]
mod tests {
    use super::{SERVICES, Transport, getprotobyname, getservbyname, getservbyport};

    #[test]
    fn services_are_found_by_name_and_port() {
        let http = getservbyname(b"http", None).unwrap();
        assert_eq!((http.port, http.transport), (80, Transport::Tcp));
        assert_eq!(getservbyname(b"http", Some(Transport::Udp)), None);
        assert_eq!(getservbyport(80, Some(Transport::Tcp)), Some(http));
        let domain = getservbyport(53, Some(Transport::Udp)).unwrap();
        assert_eq!(domain.transport, Transport::Udp);
        assert_eq!(getservbyname(b"", None), None);
        assert_eq!(getprotobyname(b"udp").unwrap().number, 17);
    }

    #[test]
    fn services_are_in_order() {
        assert!(SERVICES.is_sorted_by_key(|(_, port, _)| *port));
    }
}
