//! UDP sockets that were bound under a grant: which senders they may answer without another grant.

use std::net::{SocketAddr, UdpSocket};

use wasisocket_abi::v1::{MSG_PEEK, SocketOption};
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM};
use wasisocket_host::Policy;

use crate::datagrams::native;
use crate::guest::{ADDRESS, DATA, Guest, OUT, SOON};
use crate::protocols::native_udp_lite;

/// How many senders a socket remembers, by the host's documentation.
const REMEMBERED: usize = 256;

fn listening() -> Policy {
    Policy::new().allow_listen("localhost").unwrap()
}

fn send_to(guest: &mut Guest, handle: u32, to: SocketAddr) -> Result<u32, Errno> {
    guest.write_address(to);
    guest.send(handle, b"answer", ADDRESS)
}

fn was_answered(peer: &UdpSocket) -> bool {
    let mut buffer = [0; 16];
    peer.recv(&mut buffer)
        .is_ok_and(|length| &buffer[..length] == b"answer")
}

#[test]
fn only_those_who_sent_something_are_answered() {
    let mut guest = Guest::new(listening());
    let (handle, address) = guest.bound_datagram();
    let ((peer, peer_address), (_stranger, stranger)) = (native(), native());
    let denied = format!("send to {peer_address} denied: needs --allow-net={peer_address}/udp");
    assert_eq!(
        send_to(&mut guest, handle, peer_address),
        Err(Errno::EACCES)
    );
    assert_eq!(guest.denials(), [denied]);
    peer.send_to(b"hello", address).unwrap();
    // The datagram has arrived but was not yet received.
    assert_eq!(
        send_to(&mut guest, handle, peer_address),
        Err(Errno::EACCES)
    );
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"hello");
    for _ in 0..2 {
        assert_eq!(send_to(&mut guest, handle, peer_address), Ok(6));
        assert!(was_answered(&peer));
        assert_eq!(send_to(&mut guest, handle, stranger), Err(Errno::EACCES));
    }
    // Neither another port of the peer may be answered, nor may another socket of the guest answer.
    let other_port = SocketAddr::new(peer_address.ip(), stranger.port());
    assert_eq!(send_to(&mut guest, handle, other_port), Err(Errno::EACCES));
    let (other, _) = guest.bound_datagram();
    assert_eq!(send_to(&mut guest, other, peer_address), Err(Errno::EACCES));
    let unbound = guest.open(SOCK_DGRAM);
    assert_eq!(
        send_to(&mut guest, unbound, peer_address),
        Err(Errno::EACCES)
    );
}

#[test]
fn sender_is_remembered_though_not_asked_for_and_a_duplicate_may_answer() {
    let mut guest = Guest::new(listening());
    let (handle, address) = guest.bound_datagram();
    let duplicate = guest.get("sock_dup", &[handle]).unwrap();
    // The core six do not report the sender.
    let (peer, peer_address) = native();
    peer.send_to(b"hello", address).unwrap();
    guest.call("sock_recv", &[handle, DATA, 16, OUT]).unwrap();
    assert_eq!(send_to(&mut guest, duplicate, peer_address), Ok(6));
    assert!(was_answered(&peer));
    // MSG_PEEK counts as receiving.
    let (peer, peer_address) = native();
    peer.send_to(b"hello", address).unwrap();
    guest.recv(handle, MSG_PEEK, SOON).unwrap();
    assert_eq!(send_to(&mut guest, handle, peer_address), Ok(6));
}

#[test]
fn ipv4_peer_of_an_ipv6_socket_is_answered_in_both_spellings() {
    let policy = listening()
        .allow_listen("0.0.0.0")
        .and_then(|policy| policy.allow_listen("[::]"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open_v6(SOCK_DGRAM);
    guest.bind(handle, "[::]:0".parse().unwrap()).unwrap();
    let port = guest.name(handle).port();
    let (peer, peer_address) = native();
    peer.send_to(b"hello", ("127.0.0.1", port)).unwrap();
    guest.recv(handle, 0, SOON).unwrap();
    let mapped = format!("[::ffff:127.0.0.1]:{}", peer_address.port());
    for to in [peer_address, mapped.parse().unwrap()] {
        assert_eq!(send_to(&mut guest, handle, to), Ok(6));
        assert!(was_answered(&peer));
    }
}

#[test]
fn deny_rule_beats_an_answer() {
    let (peer, peer_address) = native();
    let (other, other_address) = native();
    let policy = listening().deny(&peer_address.to_string()).unwrap();
    let mut guest = Guest::new(policy);
    let (handle, address) = guest.bound_datagram();
    peer.send_to(b"denied", address).unwrap();
    other.send_to(b"other", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"other");
    assert_eq!(send_to(&mut guest, handle, other_address), Ok(6));
    assert_eq!(
        send_to(&mut guest, handle, peer_address),
        Err(Errno::EACCES)
    );
    assert_eq!(
        guest.denials(),
        [format!(
            "send to {peer_address} denied: --deny-net={peer_address} forbids it"
        )]
    );
}

#[test]
fn oldest_sender_is_forgotten() {
    let mut guest = Guest::new(listening());
    let (handle, address) = guest.bound_datagram();
    let mut peers = Vec::new();
    for _ in 0..=REMEMBERED {
        let (peer, peer_address) = native();
        peer.send_to(b"hello", address).unwrap();
        guest.recv(handle, 0, SOON).unwrap();
        peers.push((peer, peer_address));
        // Answering the oldest sender does not make it remembered for longer.
        let oldest = peers[0].1;
        let answered = match peers.len() > REMEMBERED {
            true => Err(Errno::EACCES),
            false => Ok(6),
        };
        assert_eq!(send_to(&mut guest, handle, oldest), answered);
    }
    assert_eq!(send_to(&mut guest, handle, peers[1].1), Ok(6));
}

#[test]
fn unbound_socket_remembers_no_senders() {
    let (peer, peer_address) = native();
    let mut guest = Guest::new(Policy::new().allow(&peer_address.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    send_to(&mut guest, handle, peer_address).unwrap();
    let mut buffer = [0; 16];
    let (_, address) = peer.recv_from(&mut buffer).unwrap();
    let (stranger, stranger_address) = native();
    stranger.send_to(b"secret", address).unwrap();
    peer.send_to(b"wanted", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");
    assert_eq!(
        send_to(&mut guest, handle, stranger_address),
        Err(Errno::EACCES)
    );
}

#[test]
fn udp_lite_answers_under_the_same_rules() {
    for family in [AF_INET, AF_INET6] {
        let Some((peer, peer_address)) = native_udp_lite(family) else {
            continue;
        };
        let mut guest = Guest::new(listening());
        let handle = guest
            .get("sock_open_protocol", &[family, SOCK_DGRAM, 136])
            .unwrap();
        assert_eq!(
            send_to(&mut guest, handle, peer_address),
            Err(Errno::EACCES)
        );
        guest
            .bind(handle, SocketAddr::new(peer_address.ip(), 0))
            .unwrap();
        let address = guest.name(handle);
        peer.send_to(b"hello", address).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"hello");
        assert_eq!(send_to(&mut guest, handle, peer_address), Ok(6));
        assert!(was_answered(&peer));
        assert_eq!(guest.option(handle, SocketOption::READABLE), Ok(0));
    }
}
