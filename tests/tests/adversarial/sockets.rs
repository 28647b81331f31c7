//! Handles, peers and listeners.

use std::net::{SocketAddr, TcpStream, UdpSocket};

use wasisocket_abi::v1::SocketOption;
use wasisocket_abi::{Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::Policy;
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{ADDRESS, Guest, PEER, SOON, allow_loopback};

fn native() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn connected_datagram_socket_sends_to_no_other_address_in_any_spelling() {
    let (_granted, granted) = native();
    let (other, other_address) = native();
    other.set_nonblocking(true).unwrap();
    let policy = Policy::new().allow(&format!("{granted}/udp")).unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open_v6(SOCK_DGRAM);
    let mapped = |address: SocketAddr| -> SocketAddr {
        format!("[::ffff:127.0.0.1]:{}", address.port())
            .parse()
            .unwrap()
    };
    guest.connect(handle, mapped(granted), 0).unwrap();
    for to in [other_address, mapped(other_address)] {
        guest.write_address(to);
        assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
    }
    assert_eq!(
        guest.connect(handle, mapped(other_address), 0),
        Err(Errno::EACCES)
    );
    // The refusal did not change the socket's peer.
    assert_eq!(guest.send(handle, b"x", 0), Ok(1));
    assert!(other.recv(&mut [0; 8]).is_err());
    // A grant for datagrams is not one for a stream.
    let stream = guest.open(SOCK_STREAM);
    assert_eq!(guest.connect(stream, granted, 0), Err(Errno::EACCES));
}

#[test]
fn reused_handle_number_inherits_nothing() {
    let policy = Policy::new().allow_listen("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(policy);
    let (handle, address) = guest.bound_datagram();
    let (peer, peer_address) = native();
    peer.send_to(b"hello", address).unwrap();
    guest.recv(handle, 0, SOON).unwrap();
    guest.write_address(peer_address);
    // A datagram from the peer was received, so it may be answered.
    assert_eq!(guest.send(handle, b"x", ADDRESS), Ok(1));
    guest.call("sock_close", &[handle]).unwrap();
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EBADF));
    let again = guest.open(SOCK_DGRAM);
    assert_eq!(again, handle);
    guest.write_address(peer_address);
    assert_eq!(guest.send(again, b"x", ADDRESS), Err(Errno::EACCES));
    // A socket with the same number does not inherit that it was bound either.
    guest.call("sock_close", &[again]).unwrap();
    let stream = guest.open(SOCK_STREAM);
    assert_eq!(stream, handle);
    assert_eq!(guest.call("sock_listen", &[stream, 1]), Err(Errno::EACCES));
}

#[test]
fn handle_of_another_guest_is_a_bad_descriptor() {
    let server = servers::echo(loopback()[0]);
    let policy = Policy::new().allow(&server.to_string()).unwrap();
    let mut one = Guest::new(policy);
    let mut other = Guest::new(Policy::new());
    let handle = one.connected(server);
    assert_eq!(other.send(handle, b"x", 0), Err(Errno::EBADF));
    assert_eq!(
        other.call("sock_getpeername", &[handle, PEER]),
        Err(Errno::EBADF)
    );
    assert_eq!(other.call("sock_dup", &[handle, 8]), Err(Errno::EBADF));
    assert_eq!(other.call("sock_close", &[handle]), Err(Errno::EBADF));
    // The same number means the other guest's own socket there.
    assert_eq!(other.open(SOCK_STREAM), handle);
    assert_eq!(other.connect(handle, server, 0), Err(Errno::EACCES));
    assert_eq!(other.call("sock_close", &[handle]), Ok(()));
    assert_eq!(one.send(handle, b"ping", 0), Ok(4));
    assert_eq!(one.recv(handle, 0, SOON).unwrap(), b"ping");
}

#[test]
fn forbidden_peer_is_not_accepted_whatever_its_spelling_and_protocol_decides() {
    for (deny, accepted) in [
        ("127.0.0.1", false),
        ("127.0.0.0/8/tcp", false),
        ("localhost", false),
        ("127.0.0.1/udp", true),
        ("127.0.0.2", true),
    ] {
        let policy = allow_loopback()
            .allow_listen("*")
            .and_then(|policy| policy.deny(deny))
            .unwrap();
        let mut guest = Guest::new(policy);
        // This socket sees IPv4 peers with mapped addresses.
        let handle = guest.open_v6(SOCK_STREAM);
        guest.bind(handle, "[::]:0".parse().unwrap()).unwrap();
        guest.call("sock_listen", &[handle, 4]).unwrap();
        let port = guest.name(handle).port();
        let _peer = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let arguments = [handle, 50_000_000, PEER, 8];
        let result = guest.call("sock_accept", &arguments);
        assert_eq!(result.is_ok(), accepted, "{deny}: {result:?}");
    }
}

#[test]
fn wildcard_does_not_listen_where_an_address_is_denied() {
    let policy = |deny: &str| {
        Policy::new()
            .allow_listen("*")
            .and_then(|policy| policy.deny_listen(deny))
            .unwrap()
    };
    let (_held, free) = native();
    let port = free.port();
    for (deny, v4, v6, both) in [
        ("127.0.0.1", false, true, false),
        ("localhost", false, false, false),
        ("[::1]", true, false, false),
        ("10.0.0.0/8/tcp", false, true, false),
        ("10.0.0.0/8/udp", true, true, true),
        ("*:1", true, true, true),
    ] {
        let mut guest = Guest::new(policy(deny));
        for (may, v6, v6_only) in [(v4, false, 0), (v6, true, 1), (both, true, 0)] {
            let handle = match v6 {
                false => guest.open(SOCK_STREAM),
                true => guest.open_v6(SOCK_STREAM),
            };
            if v6 {
                let option = [handle, SocketOption::IPV6_V6ONLY.0, v6_only];
                guest.call("sock_setsockopt", &option).unwrap();
            }
            let any = if v6 { "[::]" } else { "0.0.0.0" };
            let bound = guest.bind(handle, format!("{any}:{port}").parse().unwrap());
            assert_eq!(bound.is_ok(), may, "{deny} {any} {v6_only}: {bound:?}");
            // Listening without a bind, at a port that the system picks, is refused too.
            if !may {
                let listening = guest.call("sock_listen", &[handle, 1]);
                assert_eq!(listening, Err(Errno::EACCES), "{deny} {any} {v6_only}");
            }
            guest.call("sock_close", &[handle]).unwrap();
        }
    }
}

#[test]
fn deny_rule_ends_listening_to_oneself() {
    let policy = Policy::new()
        .allow("192.0.2.1")
        .and_then(|policy| policy.deny_listen("*"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open(SOCK_STREAM);
    guest.bind(handle, "127.0.0.1:0".parse().unwrap()).unwrap();
    let listening = guest.call("sock_listen", &[handle, 1]);
    assert_eq!(listening, Err(Errno::EACCES));
    assert_eq!(
        guest.denials(),
        ["bind to 127.0.0.1:0 denied: --deny-listen=* forbids it"]
    );
}
