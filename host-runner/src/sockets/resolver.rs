//! Who is asked for names and addresses. Blocks: guests that must not wait go through `lookup`.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dns_lookup::{
    AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo, getnameinfo,
};
use nix::libc::{AI_CANONNAME, NI_NAMEREQD};
use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

use super::lookup::{Answer, Question};
use super::order;
use super::servers;
use super::socket::Family;
use crate::errno::from_system;

/// Who is asked for the names and addresses that a policy lets a guest look up.
///
/// By default that is the system's resolver, getaddrinfo(3). [`Resolver::resolve`] puts a fixed table in front
/// of it, and [`Resolver::dns`] gives name servers in its place. With a table and nothing else nobody is asked:
/// other names do not exist.
///
/// Whoever answers, the answer is under the rules: a private address in the table needs a rule that names the
/// address, as it does where a name server told it.
///
/// ```
/// use wasisocket_host::{Policy, Resolver, SocketsCtx};
///
/// # fn main() -> Result<(), wasisocket_host::RuleError> {
/// let policy = Policy::new().allow("db.test")?.allow("10.0.0.5:5432")?;
/// let resolver = Resolver::new().resolve("db.test:10.0.0.5")?.dns("192.0.2.53")?;
/// let sockets = SocketsCtx::builder(policy).resolver(resolver).build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Canonical names, each once.
    table: Vec<(String, Vec<IpAddr>)>,
    behind: Behind,
}

/// Who is asked for what is not in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Not said: the system's resolver, if there is no table.
    #[default]
    Unsaid,
    System,
    Servers(Vec<SocketAddr>),
}

impl Resolver {
    /// The system's resolver.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name servers that are asked, if not the system's resolver.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        match &self.behind {
            Behind::Servers(servers) => servers,
            Behind::Unsaid | Behind::System => &[],
        }
    }

    /// Is the system's resolver asked?
    #[must_use]
    pub fn asks_system(&self) -> bool {
        match self.behind {
            Behind::Unsaid => self.table.is_empty(),
            Behind::System => true,
            Behind::Servers(_) => false,
        }
    }

    /// The name is canonical.
    pub(crate) fn insert(&mut self, name: String, addresses: Vec<IpAddr>) {
        match self.table.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(addresses),
            None => self.table.push((name, addresses)),
        }
    }

    pub(crate) fn behind_mut(&mut self) -> &mut Behind {
        &mut self.behind
    }

    /// The answer to a question that no other party has to be asked.
    pub(super) fn known(&self, question: &Question) -> Option<Result<Answer, Errno>> {
        match question {
            Question::Name { name, family } => {
                let (_, addresses) = self.table.iter().find(|(known, _)| known == name)?;
                Some(fixed(name, *family, addresses))
            }
            Question::Address(ip) => {
                let ip = ip.to_canonical();
                let mut table = self.table.iter();
                let (name, _) = table.find(|(_, addresses)| addresses.contains(&ip))?;
                Some(Ok(Answer::now(name.clone())))
            }
        }
    }

    /// Asks. The errors are those that glibc's NSS modules pair with the EAI_ codes: ENOENT, EAGAIN, EIO.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer, Errno> {
        self.known(question)
            .unwrap_or_else(|| caught(|| self.ask_others(question)))
    }

    /// Asks for what is not in the table.
    pub(super) fn ask_others(&self, question: &Question) -> Result<Answer, Errno> {
        match &self.behind {
            Behind::Servers(servers) => servers::ask(servers, question),
            Behind::System => ask_system(question),
            Behind::Unsaid if self.table.is_empty() => ask_system(question),
            Behind::Unsaid => Err(Errno::ENOENT),
        }
    }
}

/// Makes an error of a panic. dns-lookup panics at a canonical name that is not UTF-8 (addrinfo.rs,
/// AddrInfo::from_ptr), and whoever answers for a name chooses it.
pub(super) fn caught(ask: impl FnOnce() -> Result<Answer, Errno>) -> Result<Answer, Errno> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(Err(Errno::EIO))
}

/// What a table has. It does not change: it holds as long as an answer can.
fn fixed(name: &str, family: Option<Family>, addresses: &[IpAddr]) -> Result<Answer, Errno> {
    let of_family = addresses.iter().filter(|ip| is_of(**ip, family));
    let mut addresses = of_family.copied().collect();
    order::cut(&mut addresses);
    match addresses.is_empty() {
        true => Err(Errno::ENOENT),
        false => Ok(Answer {
            addresses,
            ttl: Some(Duration::MAX),
            ..Answer::now(name.to_owned())
        }),
    }
}

fn is_of(ip: IpAddr, family: Option<Family>) -> bool {
    match family {
        Some(Family::V4) => ip.is_ipv4(),
        Some(Family::V6) => ip.is_ipv6(),
        Some(Family::Unix) | None => true,
    }
}

fn ask_system(question: &Question) -> Result<Answer, Errno> {
    match question {
        Question::Name { name, family } => resolve(name, *family),
        Question::Address(address) => {
            let named = getnameinfo(&SocketAddr::new(*address, 0), NI_NAMEREQD);
            named.map(|(name, _)| Answer::now(name)).map_err(errno)
        }
    }
}

/// The addresses of a name, each once, in the order of getaddrinfo(3) (RFC 6724), with the name's canonical
/// one, if the resolver knows it.
fn resolve(name: &str, family: Option<Family>) -> Result<Answer, Errno> {
    let address = match family {
        Some(Family::V4) => AddrFamily::Inet.into(),
        Some(Family::V6) => AddrFamily::Inet6.into(),
        Some(Family::Unix) | None => 0,
    };
    let hints = AddrInfoHints {
        flags: AI_CANONNAME,
        address,
        // One socket type, or every address comes once for each.
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let answers = getaddrinfo(Some(name), None, Some(hints)).map_err(errno)?;
    let mut addresses = Vec::new();
    let mut canonical = None;
    for answer in answers {
        let answer = answer.map_err(|_| Errno::EIO)?;
        canonical = canonical.or(answer.canonname);
        let ip = answer.sockaddr.ip();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    order::cut(&mut addresses);
    Ok(Answer {
        addresses,
        ..Answer::now(canonical.unwrap_or_else(|| name.to_owned()))
    })
}

fn errno(error: LookupError) -> Errno {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Errno::ENOENT,
        LookupErrorKind::Again => Errno::EAGAIN,
        LookupErrorKind::Memory => Errno::ENOMEM,
        LookupErrorKind::System => std::io::Error::from(error)
            .raw_os_error()
            .map_or(Errno::EIO, |raw| {
                from_system(SystemErrno::from_raw_os_error(raw))
            }),
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Errno, Family, IpAddr, Question, Resolver};

    fn name(name: &str, family: Option<Family>) -> Question {
        Question::Name {
            name: name.into(),
            family,
        }
    }

    fn addresses(answer: Result<Answer, Errno>) -> Result<Vec<String>, Errno> {
        answer.map(|answer| answer.addresses.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn table_answers_for_its_names_and_nobody_for_others() {
        let resolver = Resolver::new()
            .resolve("db.test:10.0.0.5,[fd00::5]")
            .and_then(|resolver| resolver.resolve("DB.test.:10.0.0.6"))
            .unwrap();
        let ask = |name_: &str, family| addresses(resolver.ask(&name(name_, family)));
        assert_eq!(
            ask("db.test", None).unwrap(),
            ["10.0.0.5", "fd00::5", "10.0.0.6"]
        );
        assert_eq!(ask("db.test", Some(Family::V6)).unwrap(), ["fd00::5"]);
        // The system knows this one.
        assert_eq!(ask("localhost", None), Err(Errno::ENOENT));
        assert!(!resolver.asks_system());
        let reverse = |ip: [u8; 4]| {
            let answer = resolver.ask(&Question::Address(ip.into()));
            answer.map(|answer| answer.host)
        };
        assert_eq!(reverse([10, 0, 0, 6]).as_deref(), Ok("db.test"));
        assert_eq!(reverse([127, 0, 0, 1]), Err(Errno::ENOENT));
    }

    #[test]
    fn family_that_the_table_does_not_have_is_none() {
        let resolver = Resolver::new().resolve("v4.test:10.0.0.5").unwrap();
        let answer = resolver.ask(&name("v4.test", Some(Family::V6)));
        assert_eq!(addresses(answer), Err(Errno::ENOENT));
    }

    #[test]
    fn system_is_asked_behind_a_table_if_that_is_said() {
        let resolver = Resolver::new()
            .resolve("db.test:10.0.0.5")
            .and_then(|resolver| resolver.dns("system"))
            .unwrap();
        assert!(resolver.asks_system() && Resolver::new().asks_system());
        let answer = resolver.ask(&name("localhost", Some(Family::V4)));
        assert_eq!(addresses(answer).unwrap(), ["127.0.0.1"]);
    }
}
