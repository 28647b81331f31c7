//! A name server that points a name at another address than before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::Policy;
use wasisocket_tests::servers;

use crate::guest::{ADDRESS, Guest};
use crate::lookups::{PUBLIC, answered, lookup, resolve};

fn rebound() -> Vec<Vec<IpAddr>> {
    let [public, other] = [[1, 2, 3, 4], [127, 0, 0, 1]].map(IpAddr::from);
    vec![vec![public], vec![other]]
}

fn may_connect(guest: &mut Guest, kind: u32, to: SocketAddr) -> bool {
    let handle = guest.open(kind);
    let result = guest.connect(handle, to, 0);
    guest.call("sock_close", &[handle]).unwrap();
    // Any other error is the machine's, which may have no route.
    result != Err(Errno::EACCES)
}

#[test]
fn second_answer_leads_to_no_server_on_loopback() {
    let server = servers::echo((Ipv4Addr::LOCALHOST, 0).into());
    let udp = servers::udp_echo((Ipv4Addr::LOCALHOST, 0).into());
    let policy = Policy::new().allow("evil.test").unwrap();
    let (builder, names) = answered(policy, rebound());
    let mut guest = Guest::with(builder);
    let public: SocketAddr = PUBLIC.parse().unwrap();
    assert!(!may_connect(&mut guest, SOCK_DGRAM, public));
    guest.denials();

    let first = lookup(&mut guest, b"evil.test", AF_INET).unwrap();
    assert_eq!(first, [public.ip()]);
    assert!(may_connect(&mut guest, SOCK_DGRAM, public));
    assert_eq!(guest.denials(), [""; 0]);

    names.rebind();
    let second = lookup(&mut guest, b"evil.test", AF_INET).unwrap();
    assert_eq!(second, [server.ip()]);
    assert!(!may_connect(&mut guest, SOCK_STREAM, server));
    assert_eq!(
        guest.denials(),
        [format!(
            "connect to {server} denied: --allow-net=evil.test covers public addresses only; \
             needs --allow-net={server}"
        )]
    );
    assert!(!may_connect(&mut guest, SOCK_DGRAM, udp));
    let handle = guest.open(SOCK_DGRAM);
    guest.write_address(udp);
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
    // The address of the first answer stays covered for its time to live.
    assert!(may_connect(&mut guest, SOCK_DGRAM, public));
}

#[test]
fn core_six_follow_no_second_answer_to_loopback() {
    let server = servers::echo((Ipv4Addr::LOCALHOST, 0).into());
    let policy = Policy::new().allow("evil.test").unwrap();
    let (builder, names) = answered(policy, rebound());
    let mut guest = Guest::with(builder);
    assert_eq!(resolve(&mut guest, "evil.test"), Ok(1));
    names.rebind();
    assert_eq!(resolve(&mut guest, "evil.test"), Ok(1));
    assert!(!may_connect(&mut guest, SOCK_STREAM, server));
    assert!(may_connect(&mut guest, SOCK_DGRAM, PUBLIC.parse().unwrap()));
}

#[test]
fn one_answer_with_both_leads_to_the_public_one_only() {
    let server = servers::echo((Ipv4Addr::LOCALHOST, 0).into());
    let both = rebound().concat();
    let policy = Policy::new().allow("*.test").unwrap();
    let (builder, _) = answered(policy, vec![both]);
    let mut guest = Guest::with(builder);
    assert_eq!(lookup(&mut guest, b"a.test", AF_INET).unwrap().len(), 2);
    assert!(may_connect(&mut guest, SOCK_DGRAM, PUBLIC.parse().unwrap()));
    assert!(!may_connect(&mut guest, SOCK_STREAM, server));
}

#[test]
fn rule_of_another_name_does_not_cover_the_answer() {
    let policy = Policy::new()
        .allow("a.test:443")
        .and_then(|policy| policy.allow("b.test:80"))
        .and_then(|policy| policy.allow_lookup("c.test"))
        .unwrap();
    let (builder, _) = answered(policy, rebound());
    let mut guest = Guest::with(builder);
    let public: SocketAddr = PUBLIC.parse().unwrap();
    // This name may be looked up but not reached.
    lookup(&mut guest, b"c.test", AF_INET).unwrap();
    assert!(!may_connect(&mut guest, SOCK_DGRAM, public));
    let (builder, _) = answered(
        Policy::new()
            .allow("a.test:443")
            .and_then(|policy| policy.allow("b.test:80"))
            .unwrap(),
        rebound(),
    );
    let mut guest = Guest::with(builder);
    lookup(&mut guest, b"a.test", AF_INET).unwrap();
    assert!(may_connect(&mut guest, SOCK_DGRAM, public));
    let other_port = SocketAddr::new(public.ip(), 80);
    assert!(!may_connect(&mut guest, SOCK_DGRAM, other_port));
}

#[test]
fn answer_of_one_guest_covers_nothing_for_another() {
    let policy = || Policy::new().allow("a.test").unwrap();
    let (builder, _) = answered(policy(), rebound());
    let mut one = Guest::with(builder);
    let (builder, _) = answered(policy(), rebound());
    let mut other = Guest::with(builder);
    lookup(&mut one, b"a.test", AF_INET).unwrap();
    let public = PUBLIC.parse().unwrap();
    assert!(may_connect(&mut one, SOCK_DGRAM, public));
    assert!(!may_connect(&mut other, SOCK_DGRAM, public));
}

#[test]
fn name_that_is_denied_for_a_port_stays_denied_under_another_name() {
    let policy = Policy::new()
        .allow("*")
        .and_then(|policy| policy.deny("evil.test:443"))
        .unwrap();
    let (builder, _) = answered(policy, rebound());
    let mut guest = Guest::with(builder);
    let public: SocketAddr = PUBLIC.parse().unwrap();
    lookup(&mut guest, b"evil.test", AF_INET).unwrap();
    lookup(&mut guest, b"other.test", AF_INET).unwrap();
    assert!(!may_connect(&mut guest, SOCK_DGRAM, public));
    let other_port = SocketAddr::new(public.ip(), 80);
    assert!(may_connect(&mut guest, SOCK_DGRAM, other_port));
}
