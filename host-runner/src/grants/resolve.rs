//! How a resolver is written.

use std::net::{IpAddr, SocketAddr};

use crate::policy::{HostName, RuleError, canonical, with_a_port};
use crate::sockets::{Behind, Question, Resolver};

/// The port of name servers (RFC 1035, 4.2).
const DNS_PORT: u16 = 53;

/// What stands for the system's resolver.
const SYSTEM: &str = "system";

impl Resolver {
    /// The addresses of a name, asked for now and outside any policy: for hosts that make rules of what names
    /// lead to. Blocks. None if there is none, or no answer.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<IpAddr> {
        match HostName::parse(name.as_bytes()) {
            Ok(HostName::Literal(ip)) => vec![ip],
            Ok(HostName::Name(name)) => {
                let question = Question::Name { name, family: None };
                self.ask(&question)
                    .map_or(Vec::new(), |answer| answer.addresses)
            }
            Err(_) => Vec::new(),
        }
    }

    /// Adds an entry to the table: `NAME:IP[,IP...]`, after curl's `--resolve`. A name that is given twice has
    /// all of its addresses, and they stay in this order. IPv6 may be in brackets.
    ///
    /// # Errors
    /// It does not follow the grammar; the error names the place and the mend.
    pub fn resolve(mut self, entry: &str) -> Result<Self, RuleError> {
        let error = |at, message: String| RuleError::new(entry, at, message);
        let Some((name, addresses)) = entry.split_once(':') else {
            return Err(error(
                entry.len(),
                "the address is missing: write NAME:IP, or NAME:IP,IP".into(),
            ));
        };
        let Some(name) = ascii(name) else {
            return Err(error(
                0,
                format!("{name:?} is no name that a guest can look up"),
            ));
        };
        let mut found = Vec::new();
        let mut at = entry.len() - addresses.len();
        for text in addresses.split(',') {
            let Some(ip) = address(text) else {
                return Err(error(
                    at,
                    format!("{text:?} is no address: write NAME:IP, or NAME:IP,IP"),
                ));
            };
            found.push(ip.to_canonical());
            at += text.len() + 1;
        }
        self.insert(name, found);
        Ok(self)
    }

    /// Adds a name server that is asked in place of the system's resolver: `ADDRESS[:PORT]`, with port 53
    /// unless another is given, and IPv6 in brackets if it is. `system` stands for the system's resolver: with
    /// a table in front, other names are asked of nobody unless this or a server is given.
    ///
    /// A server is asked by the host, from no guest's sockets and under no guest's rules.
    ///
    /// # Errors
    /// It does not follow the grammar, or both `system` and a server are given; the error names the mend.
    pub fn dns(mut self, server: &str) -> Result<Self, RuleError> {
        let error = |message: &str| Err(RuleError::new(server, 0, message.into()));
        let both = "system and a server are two answers to one question: leave one out";
        let behind = self.behind_mut();
        if server == SYSTEM {
            return match behind {
                Behind::Servers(_) => error(both),
                Behind::Unsaid | Behind::System => {
                    *behind = Behind::System;
                    Ok(self)
                }
            };
        }
        let parsed = match address(server) {
            Some(_) if with_a_port(server).is_some() => None,
            Some(ip) => Some(SocketAddr::new(ip, DNS_PORT)),
            None => server
                .parse()
                .ok()
                .filter(|server: &SocketAddr| server.port() != 0),
        };
        let Some(parsed) = parsed else {
            return error(
                "this is no name server: write its address, ADDRESS:PORT or [ADDRESS]:PORT, or system",
            );
        };
        match behind {
            Behind::System => return error(both),
            Behind::Unsaid => *behind = Behind::Servers(vec![parsed]),
            Behind::Servers(servers) => servers.push(parsed),
        }
        Ok(self)
    }
}

/// A name as rules have it.
fn ascii(name: &str) -> Option<String> {
    match name.is_ascii() {
        true => canonical(name),
        false => canonical(&idna::domain_to_ascii(name).ok()?),
    }
}

/// An address, with or without the brackets of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::{IpAddr, Resolver};

    #[test]
    fn entries_that_are_wrong_say_where_and_what_to_write() {
        for (entry, column, mend) in [
            ("db.test", 8, "write NAME:IP"),
            ("db.test:", 9, "write NAME:IP"),
            ("db.test:10.0.0.500", 9, "\"10.0.0.500\" is no address"),
            ("db.test:10.0.0.5,", 18, "\"\" is no address"),
            ("db.test:443:10.0.0.5", 9, "\"443:10.0.0.5\" is no address"),
            ("db.test:[10.0.0.5]", 9, "is no address"),
            (":10.0.0.5", 1, "is no name"),
            ("127.1:10.0.0.5", 1, "is no name"),
            ("*.test:10.0.0.5", 1, "is no name"),
        ] {
            let error = Resolver::new().resolve(entry).unwrap_err();
            assert_eq!(error.column(), column, "{error}");
            assert!(error.to_string().contains(mend), "{error}");
        }
    }

    #[test]
    fn addresses_are_those_of_any_spelling_of_a_name() {
        let resolver = Resolver::new().resolve("db.test:10.0.0.5,fd00::5").unwrap();
        for (name, addresses) in [
            ("DB.test.", "10.0.0.5 fd00::5"),
            ("10.0.0.7", "10.0.0.7"),
            ("localhost", ""),
            ("127.1", ""),
        ] {
            let found: Vec<_> = resolver
                .addresses(name)
                .iter()
                .map(IpAddr::to_string)
                .collect();
            assert_eq!(found.join(" "), addresses, "{name}");
        }
    }

    #[test]
    fn servers_have_ports() {
        let resolver = ["192.0.2.53", "192.0.2.54:5353", "::1", "[::1]:54", "[::2]"]
            .iter()
            .fold(Resolver::new(), |resolver, server| {
                resolver.dns(server).unwrap()
            });
        let servers: Vec<String> = resolver.servers().iter().map(ToString::to_string).collect();
        assert_eq!(
            servers,
            [
                "192.0.2.53:53",
                "192.0.2.54:5353",
                "[::1]:53",
                "[::1]:54",
                "[::2]:53"
            ]
        );
        for server in [
            "",
            "dns.test",
            "192.0.2.53:0",
            "192.0.2.53:x",
            "192.0.2.53/udp",
            "::1:53",
        ] {
            let error = Resolver::new().dns(server).unwrap_err().to_string();
            assert!(error.contains("write its address"), "{error}");
        }
        let error = resolver.dns("system").unwrap_err().to_string();
        assert!(error.contains("leave one out"), "{error}");
    }
}
