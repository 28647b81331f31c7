//! Which resolver is asked, and which is not.

use std::time::{Duration, Instant};

use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{Policy, Resolver, SocketsCtx};
use wasisocket_tests::dns;
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{ADDRESS, Guest, SOON, allow_all};
use crate::lookups::{answered, collect, lookup, resolve};

fn with(policy: Policy, resolver: Resolver) -> Guest {
    let builder = SocketsCtx::builder(policy).resolver(resolver);
    Guest::with(builder.max_sockets(8))
}

#[test]
fn address_of_the_table_is_under_the_rules() {
    let server = servers::echo(loopback()[0]);
    let table = || Resolver::new().resolve("db.test:127.0.0.1").unwrap();
    let named = Policy::new().allow("db.test").unwrap();
    let mut guest = with(named.clone(), table());
    assert_eq!(resolve(&mut guest, "db.test"), Ok(1));
    let handle = guest.open(SOCK_STREAM);
    assert_eq!(guest.connect(handle, server, SOON), Err(Errno::EACCES));
    // With a rule for the address as well, it is reached.
    let mut guest = with(named.allow(&server.to_string()).unwrap(), table());
    assert_eq!(resolve(&mut guest, "db.test"), Ok(1));
    let handle = guest.open(SOCK_STREAM);
    assert_eq!(guest.connect(handle, server, SOON), Ok(()));
}

#[test]
fn table_is_only_for_names_that_a_rule_covers() {
    let resolver = Resolver::new().resolve("db.test:1.2.3.4").unwrap();
    let mut guest = with(Policy::new().allow("other.test").unwrap(), resolver);
    let found = lookup(&mut guest, b"db.test", AF_INET);
    assert_eq!(found, Err(Errno::EACCES));
}

#[test]
fn system_is_not_asked_beside_a_table_or_servers() {
    // Every system resolver knows this name, and no name server does.
    let system_has = |guest: &mut Guest| lookup(guest, b"localhost", AF_INET).is_ok();
    assert!(system_has(&mut with(allow_all(), Resolver::new())));
    let table = Resolver::new().resolve("db.test:1.2.3.4").unwrap();
    assert!(!system_has(&mut with(allow_all(), table)));
    // This machine's name is in its hosts file.
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    if machine.trim() == "localhost" {
        return; // A name that is never sent to a server (RFC 6761, 6.3).
    }
    let (builder, _) = answered(allow_all(), Vec::new());
    let mut guest = Guest::with(builder);
    assert!(lookup(&mut guest, machine.trim().as_bytes(), AF_INET).is_err());
}

#[test]
fn server_tells_addresses_of_both_families_and_the_names_of_none() {
    let server = dns::scripted_name_server(|name| {
        let both = vec![[1, 2, 3, 4].into(), "2a00::1".parse().unwrap()];
        (name == "both.test").then_some((both, 60))
    });
    let resolver = Resolver::new().dns(&server.to_string()).unwrap();
    let mut guest = with(allow_all(), resolver);
    let mut found = |family| {
        let mut found = lookup(&mut guest, b"both.test", family).unwrap();
        // The order depends on which families this machine can reach.
        found.sort();
        found.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(found(0), ["1.2.3.4", "2a00::1"]);
    assert_eq!(found(AF_INET), ["1.2.3.4"]);
    assert_eq!(found(AF_INET6), ["2a00::1"]);
    let other = lookup(&mut guest, b"other.test", 0);
    assert_eq!(other, Err(Errno::ENOENT));
    guest.write_address("192.0.2.1:0".parse().unwrap());
    let reverse = guest.get("lookup_addr", &[ADDRESS]).unwrap();
    assert_eq!(
        guest.call("lookup_host", &[reverse, 2048, 255, SOON, 8]),
        Err(Errno::ENOENT)
    );
}

#[test]
fn answer_that_is_too_long_for_a_datagram_comes_over_tcp() {
    let server = dns::name_server().to_string();
    let mut guest = with(allow_all(), Resolver::new().dns(&server).unwrap());
    assert_eq!(lookup(&mut guest, b"many.test", AF_INET).unwrap().len(), 32);
}

#[test]
fn server_that_is_not_there_is_a_failure_that_may_pass_and_has_an_end() {
    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let resolver = Resolver::new().dns(&address.to_string()).unwrap();
    let mut guest = with(allow_all(), resolver);
    let begun = Instant::now();
    guest.write(1024, b"a.test");
    let waiting = guest.get("lookup_name", &[1024, 6, AF_INET]).unwrap();
    // The guest does not have to wait for the answer.
    assert_eq!(collect(&mut guest, waiting), Err(Errno::EAGAIN));
    let end = loop {
        match collect(&mut guest, waiting) {
            Err(Errno::EAGAIN) => {}
            end => break end,
        }
    };
    assert_eq!(end, Err(Errno::EBUSY));
    assert!(begun.elapsed() < Duration::from_secs(20));
    // The look-up no longer counts towards the guest's handles.
    guest.open(SOCK_DGRAM);
}
