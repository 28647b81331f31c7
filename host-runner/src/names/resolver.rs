//! Who is asked for names and addresses. Asking blocks: guests ask through `lookup`.

use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use wasisocket_abi::Errno;

#[cfg(feature = "dns")]
use super::dns;
use super::question::{Answer, IpFamily, Question, cut};
use super::system;
use super::threads::LookupThreads;

/// Who is asked for the names and addresses that a policy lets a guest look up.
///
/// By default that is the system's resolver, getaddrinfo(3). [`Resolver::resolve`] puts a fixed table in front
/// of it, and [`Resolver::dns`] gives name servers in its place. With a table and nothing else nobody is asked:
/// other names do not exist.
///
/// Whoever answers, the rules apply to the answer: a private address in the table needs a rule that names the
/// address, as one from a name server does.
///
/// Clones share the threads that look-ups run on ([`LookupThreads`]).
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
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    /// Canonical names, each once.
    table: Vec<(String, Vec<IpAddr>)>,
    fallback: Fallback,
    threads: LookupThreads,
}

/// Resolvers are equal if they ask the same servers and have the same table, whatever threads they use.
impl PartialEq for Resolver {
    fn eq(&self, other: &Self) -> bool {
        (&self.table, &self.fallback) == (&other.table, &other.fallback)
    }
}

impl Eq for Resolver {}

/// Who is asked for what is not in the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// The system's resolver if there is no table, and nobody if there is one.
    #[default]
    Default,
    System,
    #[cfg(feature = "dns")]
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
        match &self.fallback {
            #[cfg(feature = "dns")]
            Fallback::Servers(servers) => servers,
            Fallback::Default | Fallback::System => &[],
        }
    }

    /// Is the system's resolver asked?
    #[must_use]
    pub fn asks_system(&self) -> bool {
        match self.fallback {
            Fallback::Default => self.table.is_empty(),
            Fallback::System => true,
            #[cfg(feature = "dns")]
            Fallback::Servers(_) => false,
        }
    }

    /// The name is canonical.
    pub(crate) fn insert(&mut self, name: String, addresses: Vec<IpAddr>) {
        match self.table.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(addresses),
            None => self.table.push((name, addresses)),
        }
    }

    pub(crate) fn fallback_mut(&mut self) -> &mut Fallback {
        &mut self.fallback
    }

    /// Runs look-ups on these threads. By default each [`Resolver::new`] has its own, with a limit of
    /// [`LookupThreads::MAX_DEFAULT`].
    #[must_use]
    pub fn threads(mut self, threads: LookupThreads) -> Self {
        self.threads = threads;
        self
    }

    pub(super) fn own_threads(&self) -> &LookupThreads {
        &self.threads
    }

    /// The table's answer, if the table has one.
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

    /// Asks, and blocks until the answer comes. The errors are those that glibc's NSS modules pair with the EAI_
    /// codes: ENOENT, EAGAIN, EIO.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer, Errno> {
        self.known(question)
            .unwrap_or_else(|| caught(|| self.ask_others(question)))
    }

    /// Asks for what is not in the table.
    pub(super) fn ask_others(&self, question: &Question) -> Result<Answer, Errno> {
        match &self.fallback {
            #[cfg(feature = "dns")]
            Fallback::Servers(servers) => dns::ask(servers, question),
            Fallback::System => system::ask(question),
            Fallback::Default if self.table.is_empty() => system::ask(question),
            Fallback::Default => Err(Errno::ENOENT),
        }
    }
}

/// Makes an error of a panic. dns-lookup panics at a canonical name that is not UTF-8 (addrinfo.rs,
/// AddrInfo::from_ptr), and whoever answers for a name chooses it.
pub(super) fn caught(ask: impl FnOnce() -> Result<Answer, Errno>) -> Result<Answer, Errno> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or(Err(Errno::EIO))
}

/// The table's answer for a name. The table does not change, so the answer holds as long as one can.
fn fixed(name: &str, family: Option<IpFamily>, addresses: &[IpAddr]) -> Result<Answer, Errno> {
    let of_family = addresses
        .iter()
        .filter(|ip| family.is_none_or(|family| family == IpFamily::of(**ip)));
    let mut addresses = of_family.copied().collect();
    cut(&mut addresses);
    match addresses.is_empty() {
        true => Err(Errno::ENOENT),
        false => Ok(Answer {
            addresses,
            ttl: Some(Duration::MAX),
            ..Answer::now(name.to_owned())
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Errno, IpAddr, IpFamily, Question, Resolver};

    fn name(name: &str, family: Option<IpFamily>) -> Question {
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
        assert_eq!(ask("db.test", Some(IpFamily::V6)).unwrap(), ["fd00::5"]);
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
        let answer = resolver.ask(&name("v4.test", Some(IpFamily::V6)));
        assert_eq!(addresses(answer), Err(Errno::ENOENT));
    }

    #[test]
    fn system_is_asked_behind_a_table_if_that_is_said() {
        let resolver = Resolver::new()
            .resolve("db.test:10.0.0.5")
            .and_then(|resolver| resolver.dns("system"))
            .unwrap();
        assert!(resolver.asks_system() && Resolver::new().asks_system());
        let answer = resolver.ask(&name("localhost", Some(IpFamily::V4)));
        assert_eq!(addresses(answer).unwrap(), ["127.0.0.1"]);
    }
}
