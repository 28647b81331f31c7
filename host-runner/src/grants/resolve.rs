//! How the entries and the servers of a resolver are written.

use std::net::IpAddr;
#[cfg(feature = "dns")]
use std::net::SocketAddr;

use crate::names::{Fallback, Question, Resolver};
#[cfg(feature = "dns")]
use crate::policy::with_a_port;
use crate::policy::{HostName, RuleError, canonical};

/// The port of name servers (RFC 1035, section 4.2).
#[cfg(feature = "dns")]
const DNS_PORT: u16 = 53;

#[cfg(feature = "dns")]
const SYSTEM_AND_SERVER: &str =
    "system and a server are two answers to one question: leave one out";

/// The word for the system's resolver.
const SYSTEM: &str = "system";

impl Resolver {
    /// Looks up the addresses of a name at once and outside any policy, for hosts that derive rules from names.
    /// Blocks until the answer comes; empty if there is no address, or no answer.
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
    /// The entry does not follow the grammar; the error names the column and suggests a fix.
    pub fn resolve(mut self, entry: &str) -> Result<Self, RuleError> {
        self.add_entry(entry)?;
        Ok(self)
    }

    pub(super) fn add_entry(&mut self, entry: &str) -> Result<(), RuleError> {
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
        Ok(())
    }

    /// Adds a name server that is asked in place of the system's resolver: `ADDRESS[:PORT]`, with port 53
    /// unless another is given, and IPv6 in brackets if it is. `system` stands for the system's resolver. With a
    /// table, names that it does not have are looked up only if `system` or a server is given.
    ///
    /// The host asks the server: not from a guest's sockets, and not under a guest's rules.
    ///
    /// # Errors
    /// The text does not follow the grammar, both `system` and a server are given, or this crate was built without
    /// its feature `dns`; the error suggests a fix.
    pub fn dns(mut self, server: &str) -> Result<Self, RuleError> {
        self.add_server(server)?;
        Ok(self)
    }

    pub(super) fn add_server(&mut self, server: &str) -> Result<(), RuleError> {
        if server != SYSTEM {
            return self.add_name_server(server);
        }
        match self.fallback_mut() {
            #[cfg(feature = "dns")]
            Fallback::Servers(_) => Err(RuleError::new(server, 0, SYSTEM_AND_SERVER.into())),
            fallback => {
                *fallback = Fallback::System;
                Ok(())
            }
        }
    }

    #[cfg(feature = "dns")]
    fn add_name_server(&mut self, server: &str) -> Result<(), RuleError> {
        let error = |message: &str| Err(RuleError::new(server, 0, message.into()));
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
        match self.fallback_mut() {
            Fallback::System => return error(SYSTEM_AND_SERVER),
            Fallback::Servers(servers) => servers.push(parsed),
            fallback => *fallback = Fallback::Servers(vec![parsed]),
        }
        Ok(())
    }

    #[cfg(not(feature = "dns"))]
    fn add_name_server(&mut self, server: &str) -> Result<(), RuleError> {
        let message = "this host has no DNS client (feature dns of wasisocket-host): write system";
        Err(RuleError::new(server, 0, message.into()))
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
        for (entry, column, fix) in [
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
            assert!(error.to_string().contains(fix), "{error}");
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

    #[cfg(feature = "dns")]
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
