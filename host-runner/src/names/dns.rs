//! Look-ups by given name servers, over UDP and, where an answer does not fit, TCP (RFC 1035).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::runtime::{Builder, Runtime};
use wasisocket_abi::Errno;

use super::order;
use super::question::{Answer, IpFamily, Question, cut};

/// How long one question to a server may take, and how often it is asked again: 10 seconds with one server.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const REPEATS: usize = 1;

/// How long a look-up may take in all, whatever servers there are and whatever they do.
const LOOKUP_MAX: Duration = Duration::from_secs(15);

/// Asks the servers, and nobody else: neither the hosts file nor the configuration of the system is read.
///
/// ENOENT if there is no such name or it has no such address; EAGAIN if no server answers or knows.
pub(super) fn ask(servers: &[SocketAddr], question: &Question) -> Result<Answer, Errno> {
    // One for each look-up: nothing is left of it for the next, and its thread waits for nothing else.
    let runtime = runtime()?;
    let asked = async {
        tokio::time::timeout(LOOKUP_MAX, answer(servers, question))
            .await
            .unwrap_or(Err(Errno::EAGAIN))
    };
    runtime.block_on(asked)
}

fn runtime() -> Result<Runtime, Errno> {
    Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|_| Errno::EBUSY)
}

async fn answer(servers: &[SocketAddr], question: &Question) -> Result<Answer, Errno> {
    match question {
        Question::Name { name, family } => {
            // With its final dot, so that no search list applies.
            let full = Name::from_ascii(format!("{name}.")).map_err(|_| Errno::ENOENT)?;
            let found = resolver(servers, *family)?.lookup_ip(full).await;
            let mut answer = named(name, found.map_err(errno)?.as_lookup().answers())?;
            cut(&mut answer.addresses);
            order::sort(&mut answer.addresses);
            Ok(answer)
        }
        Question::Address(ip) => {
            let ip = ip.to_canonical();
            let found = resolver(servers, None)?.reverse_lookup(ip).await;
            let found = found.map_err(errno)?;
            let name = found
                .answers()
                .iter()
                .find_map(|record| match &record.data {
                    RData::PTR(name) => Some(host_name(name)),
                    _ => None,
                });
            name.map(Answer::now).ok_or(Errno::ENOENT)
        }
    }
}

/// The addresses in these records, and the last of the names that they lead along.
fn named(name: &str, records: &[Record]) -> Result<Answer, Errno> {
    let mut addresses = Vec::new();
    let mut host = None;
    for record in records {
        let ip: IpAddr = match &record.data {
            RData::A(ip) => ip.0.into(),
            RData::AAAA(ip) => ip.0.into(),
            _ => continue,
        };
        host.get_or_insert_with(|| host_name(&record.name));
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    // A chain holds as long as each of its links.
    let ttl = records.iter().map(|record| record.ttl).min();
    match addresses.is_empty() {
        true => Err(Errno::ENOENT),
        false => Ok(Answer {
            addresses,
            ttl: ttl.map(|seconds| Duration::from_secs(seconds.into())),
            ..Answer::now(host.unwrap_or_else(|| name.to_owned()))
        }),
    }
}

fn host_name(name: &Name) -> String {
    let mut name = name.to_ascii();
    if name.ends_with('.') {
        name.pop();
    }
    name
}

fn resolver(servers: &[SocketAddr], family: Option<IpFamily>) -> Result<TokioResolver, Errno> {
    let servers = servers.iter().map(|server| {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let connections = connections.map(|mut connection| {
            connection.port = server.port();
            connection
        });
        NameServerConfig::new(server.ip(), true, connections.into())
    });
    let config = ResolverConfig::from_name_servers(servers.collect());
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    let options = builder.options_mut();
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = ATTEMPT_MAX;
    options.attempts = REPEATS;
    options.try_tcp_on_error = false;
    options.ip_strategy = match family {
        Some(IpFamily::V4) => LookupIpStrategy::Ipv4Only,
        Some(IpFamily::V6) => LookupIpStrategy::Ipv6Only,
        None => LookupIpStrategy::Ipv4AndIpv6,
    };
    builder.build().map_err(|_| Errno::EIO)
}

fn errno(error: NetError) -> Errno {
    match error.is_no_records_found() {
        true => Errno::ENOENT,
        false => Errno::EAGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Duration, Errno, IpAddr, IpFamily, LOOKUP_MAX, Name, Question, RData, Record, ask, named,
    };
    use hickory_resolver::proto::op::Message;
    use hickory_resolver::proto::rr::rdata::{A, CNAME};
    use std::net::UdpSocket;
    use std::thread;

    fn record(name: &str, ttl: u32, data: RData) -> Record {
        Record::from_rdata(Name::from_ascii(name).unwrap(), ttl, data)
    }

    fn alias(to: &str) -> RData {
        RData::CNAME(CNAME(Name::from_ascii(to).unwrap()))
    }

    fn v4(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    #[test]
    fn answer_holds_as_long_as_the_record_that_holds_least() {
        let chain = |ttls: [u32; 4]| {
            named(
                "a.test",
                &[
                    record("a.test.", ttls[0], alias("b.test.")),
                    record("b.test.", ttls[1], alias("c.test.")),
                    record("c.test.", ttls[2], v4(1)),
                    record("c.test.", ttls[3], v4(2)),
                ],
            )
            .unwrap()
        };
        for ttls in [[7, 8, 9, 10], [8, 7, 9, 10], [9, 8, 7, 10], [10, 8, 9, 7]] {
            let answer = chain(ttls);
            assert_eq!(answer.ttl, Some(Duration::from_secs(7)));
            assert_eq!(answer.addresses.len(), 2);
            assert_eq!(answer.host, "c.test");
        }
        assert_eq!(chain([0, 600, 600, 600]).ttl, Some(Duration::ZERO));
    }

    #[test]
    fn times_of_a_chain_are_those_that_the_server_tells() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let question = Question::Name {
            name: "a.test".into(),
            family: Some(IpFamily::V4),
        };
        let asks = thread::spawn(move || ask(&[address], &question));
        server.set_read_timeout(Some(LOOKUP_MAX)).unwrap();
        let mut query = [0; 512];
        let (length, peer) = server.recv_from(&mut query).unwrap();
        let mut answer = Message::from_vec(&query[..length]).unwrap().into_response();
        answer.add_answers([
            record("a.test.", 3600, alias("b.test.")),
            record("b.test.", 400, alias("c.test.")),
            record("c.test.", 7200, v4(1)),
        ]);
        server.send_to(&answer.to_vec().unwrap(), peer).unwrap();
        let answer = asks.join().unwrap().unwrap();
        assert_eq!(answer.ttl, Some(Duration::from_secs(400)));
        assert_eq!(answer.host, "c.test");
        assert_eq!(answer.addresses, [IpAddr::from([192, 0, 2, 1])]);
    }

    #[test]
    fn chain_that_leads_nowhere_has_no_address() {
        let answer = named("a.test", &[record("a.test.", 60, alias("b.test."))]);
        assert_eq!(answer, Err(Errno::ENOENT));
    }
}
