//! UDP: where a guest may send, and from whom it receives.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use wasisocket_abi::v1::{MSG_PEEK, MSG_TRUNC, SocketOption};
use wasisocket_abi::{Errno, SOCK_DGRAM};
use wasisocket_host::Policy;
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{ADDRESS, DATA, Guest, IOVECS, OUT, PEER, SOON, allow_all, allow_loopback};

/// Waits until datagrams sent over loopback have arrived.
fn settle() {
    std::thread::sleep(Duration::from_millis(20));
}

pub(crate) fn native() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn datagram_goes_to_an_address_and_the_answer_comes_from_it() {
    let mut guest = Guest::new(allow_loopback());
    for at in loopback() {
        let server = servers::udp_echo(at);
        let handle = match at {
            SocketAddr::V4(_) => guest.open(SOCK_DGRAM),
            SocketAddr::V6(_) => guest.open_v6(SOCK_DGRAM),
        };
        guest.write_address(server);
        assert_eq!(guest.send(handle, b"ping", ADDRESS), Ok(4));
        assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"ping");
        assert_eq!(guest.ip_at(PEER), server);
    }
}

#[test]
fn bound_socket_hears_anyone() {
    let mut guest = Guest::new(Policy::new().allow_listen("127.0.0.1:0").unwrap());
    let (handle, address) = guest.bound_datagram();
    let (peer, peer_address) = native();
    peer.send_to(b"hello", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"hello");
    assert_eq!(guest.ip_at(PEER), peer_address);
}

#[test]
fn socket_that_was_not_bound_hears_only_whom_it_may_send_to() {
    let (friend, friend_address) = native();
    let (stranger, _) = native();
    let mut guest = Guest::new(Policy::new().allow(&friend_address.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    // Before the socket has a port.
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
    guest.write_address(friend_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();

    for flags in [0, MSG_PEEK] {
        stranger.send_to(b"secret", address).unwrap();
        settle();
        assert_eq!(guest.recv(handle, flags, 0), Err(Errno::EAGAIN));
        // The receive buffer contains nothing of it.
        assert_eq!(guest.read(DATA, 6), [0; 6]);
    }
    // More datagrams than one call discards, also with the default size of the receive buffer.
    for _ in 0..260 {
        stranger.send_to(b"secret", address).unwrap();
    }
    settle();
    for _ in 0..2 {
        assert_eq!(guest.option(handle, SocketOption::READABLE), Ok(0));
    }

    stranger.send_to(b"secret", address).unwrap();
    friend.send_to(b"wanted", address).unwrap();
    for flags in [MSG_PEEK, MSG_PEEK, 0] {
        assert_eq!(guest.recv(handle, flags, SOON).unwrap(), b"wanted");
        assert_eq!(guest.ip_at(PEER), friend_address);
    }
    // A stranger's datagram is not reported as a denial.
    assert_eq!(guest.denials(), [""; 0]);
}

#[test]
fn wait_for_a_datagram_goes_on_past_strangers() {
    let (friend, friend_address) = native();
    let mut guest = Guest::new(Policy::new().allow(&friend_address.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    guest.write_address(friend_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();
    let sender = std::thread::spawn(move || {
        let (stranger, _) = native();
        for _ in 0..300 {
            stranger.send_to(b"secret", address).unwrap();
            std::thread::sleep(Duration::from_micros(100));
        }
        friend.send_to(b"wanted", address).unwrap();
    });
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");
    sender.join().unwrap();
}

#[test]
fn deny_rule_keeps_a_peers_datagrams_away() {
    let (denied, denied_address) = native();
    let (other, _) = native();
    let policy = allow_all().allow_listen("*").unwrap();
    let mut guest = Guest::new(policy.deny(&denied_address.to_string()).unwrap());
    let (handle, address) = guest.bound_datagram();
    denied.send_to(b"denied", address).unwrap();
    other.send_to(b"other", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"other");
    guest.write_address(denied_address);
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
}

#[test]
fn connected_socket_hears_its_peer_and_after_that_whom_it_may_send_to() {
    let (peer, peer_address) = native();
    let (stranger, _) = native();
    let mut guest = Guest::new(Policy::new().allow(&peer_address.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    guest.connect(handle, peer_address, 0).unwrap();
    guest.send(handle, b"x", 0).unwrap();
    let (_, address) = peer.recv_from(&mut [0; 8]).unwrap();
    stranger.send_to(b"secret", address).unwrap();
    peer.send_to(b"wanted", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");

    // After connecting to AF_UNSPEC the socket has no peer.
    guest.disconnect(handle);
    assert_eq!(
        guest.call("sock_getpeername", &[handle, PEER]),
        Err(Errno::ENOTCONN)
    );
    assert_eq!(guest.send(handle, b"x", 0), Err(Errno::EDESTADDRREQ));
    guest.write_address(peer_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = peer.recv_from(&mut [0; 8]).unwrap();
    stranger.send_to(b"secret", address).unwrap();
    settle();
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
    peer.send_to(b"wanted", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");
}

#[test]
fn what_strangers_sent_before_a_bind_is_not_heard_after_it() {
    let (friend, friend_address) = native();
    let (stranger, stranger_address) = native();
    let policy = Policy::new()
        .allow(&friend_address.to_string())
        .and_then(|policy| policy.allow_listen("127.0.0.1:0"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open(SOCK_DGRAM);
    guest.write_address(friend_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();
    for _ in 0..3 {
        stranger.send_to(b"secret", address).unwrap();
    }
    settle();
    guest.disconnect(handle);
    guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
    guest.write_address(stranger_address);
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
    stranger.send_to(b"now", guest.name(handle)).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"now");
}

#[test]
fn grant_of_a_bind_ends_with_the_port() {
    let (friend, friend_address) = native();
    let (stranger, _) = native();
    let policy = Policy::new()
        .allow(&friend_address.to_string())
        .and_then(|policy| policy.allow_listen("[::]:0"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open_v6(SOCK_DGRAM);
    let v6_only = |guest: &mut Guest, value| {
        let arguments = [handle, SocketOption::IPV6_V6ONLY.0, value];
        guest.call("sock_setsockopt", &arguments)
    };
    v6_only(&mut guest, 1).unwrap();
    guest.bind(handle, "[::]:0".parse().unwrap()).unwrap();
    assert_eq!(v6_only(&mut guest, 0), Err(Errno::EINVAL));
    guest.disconnect(handle);
    v6_only(&mut guest, 0).unwrap();
    // The system picks another port, which was not granted.
    guest.write_address(friend_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();
    stranger.send_to(b"secret", address).unwrap();
    settle();
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
    friend.send_to(b"wanted", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");
}

#[test]
fn ipv6_socket_talks_to_ipv4_peers_in_both_spellings() {
    let [v4, _] = loopback();
    let server = servers::udp_echo(v4);
    let mapped = format!("[::ffff:127.0.0.1]:{}", server.port());
    let mut guest = Guest::new(Policy::new().allow(&server.to_string()).unwrap());
    for address in [server, mapped.parse().unwrap()] {
        let handle = guest.open_v6(SOCK_DGRAM);
        guest.connect(handle, address, 0).unwrap();
        guest.send(handle, b"ping", 0).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"ping");
        guest.call("sock_close", &[handle]).unwrap();
        let handle = guest.open_v6(SOCK_DGRAM);
        guest.write_address(address);
        guest.send(handle, b"ping", ADDRESS).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"ping");
        assert_eq!(guest.ip_at(PEER).to_string(), mapped);
        guest.call("sock_close", &[handle]).unwrap();
    }
}

#[test]
fn failed_connect_leaves_no_port_that_strangers_could_send_to() {
    let mut guest = Guest::new(allow_all());
    let handle = guest.open(SOCK_DGRAM);
    let broadcast = SocketAddr::from(([255, 255, 255, 255], 9));
    assert_eq!(guest.connect(handle, broadcast, 0), Err(Errno::EACCES));
    assert_eq!(guest.name(handle).port(), 0);
    // Sending without a destination leaves no port either.
    assert_eq!(guest.send(handle, b"x", 0), Err(Errno::EDESTADDRREQ));
    assert_eq!(guest.name(handle).port(), 0);
}

#[test]
fn unspecified_destination_is_loopback() {
    let [v4, _] = loopback();
    let server = servers::udp_echo(v4);
    let mut guest = Guest::new(Policy::new().allow(&server.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    guest.write_address(([0, 0, 0, 0], server.port()).into());
    guest.send(handle, b"ping", ADDRESS).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"ping");
    assert_eq!(guest.ip_at(PEER), server);
}

#[test]
fn each_destination_is_checked() {
    let (_granted, granted) = native();
    let (_other, other) = native();
    let mut guest = Guest::new(Policy::new().allow(&granted.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    for _ in 0..2 {
        guest.write_address(granted);
        assert_eq!(guest.send(handle, b"x", ADDRESS), Ok(1));
        assert_eq!(guest.send(handle, b"x", ADDRESS), Ok(1));
        guest.write_address(other);
        assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
    }
    // The same with a connected socket.
    guest.connect(handle, granted, 0).unwrap();
    guest.write_address(other);
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));
}

#[test]
fn long_datagram_is_truncated_and_reported() {
    let mut guest = Guest::new(allow_loopback());
    let (handle, address) = guest.bound_datagram();
    let (peer, _) = native();
    for (flags, count) in [(0, 2), (MSG_TRUNC, 5)] {
        for iovecs in [&[(DATA, 2)][..], &[(DATA + 1, 1), (DATA, 1)]] {
            peer.send_to(b"abcde", address).unwrap();
            guest.write_iovecs(iovecs);
            let arguments = [handle, IOVECS, iovecs.len() as u32, 0, 0, flags, SOON, OUT];
            guest.call("sock_recvmsg", &arguments).unwrap();
            assert_eq!(guest.read_u32(OUT), count);
            assert_eq!(guest.read_u32(OUT + 4), MSG_TRUNC);
        }
    }
    // Receiving without any buffer takes the datagram too.
    peer.send_to(b"abcde", address).unwrap();
    let nothing = [handle, IOVECS, 0, 0, 0, 0, SOON, OUT];
    guest.call("sock_recvmsg", &nothing).unwrap();
    assert_eq!(guest.read_u32(OUT), 0);
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
}

#[test]
fn bind_says_which_grant_is_missing() {
    let mut guest = Guest::new(Policy::new().allow_listen("127.0.0.1:1").unwrap());
    let (v4, v6) = (guest.open(SOCK_DGRAM), guest.open_v6(SOCK_DGRAM));
    for (handle, address, text) in [
        (v4, "127.0.0.1:0", "127.0.0.1:0/udp"),
        (v4, "0.0.0.0:1", "0.0.0.0:1/udp"),
        (v6, "[::1]:0", "[::1]:0/udp"),
        (v6, "[::]:53", "[::]:53/udp,0.0.0.0:53/udp"),
    ] {
        let bound = guest.bind(handle, address.parse().unwrap());
        assert_eq!(bound, Err(Errno::EACCES));
        assert_eq!(
            guest.denials(),
            [format!(
                "bind to {address} denied: needs --allow-listen={text}"
            )]
        );
    }
    // An IPV6_V6ONLY socket needs no grant for IPv4.
    let v6_only = [v6, SocketOption::IPV6_V6ONLY.0, 1];
    guest.call("sock_setsockopt", &v6_only).unwrap();
    assert!(guest.bind(v6, "[::]:53".parse().unwrap()).is_err());
    assert_eq!(
        guest.denials(),
        ["bind to [::]:53 denied: needs --allow-listen=[::]:53/udp"]
    );
}

#[test]
fn group_is_joined_and_heard_under_a_grant() {
    let policy = Policy::new()
        .allow_listen("0.0.0.0:0")
        .and_then(|policy| policy.allow_listen("239.255.7.7"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open(SOCK_DGRAM);
    guest.bind(handle, ([0, 0, 0, 0], 0).into()).unwrap();
    let port = guest.name(handle).port();
    guest.write_address(([127, 0, 0, 1], 0).into());
    guest.write(PEER, &guest.read(ADDRESS, 28));
    guest.write_address(([239, 255, 7, 7], 0).into());
    guest
        .call("sock_membership", &[handle, 1, ADDRESS, PEER])
        .unwrap();
    let (sender, _) = native();
    sender.send_to(b"to all", ("239.255.7.7", port)).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"to all");
    guest
        .call("sock_membership", &[handle, 0, ADDRESS, PEER])
        .unwrap();
    guest.write_address(([239, 255, 7, 8], 0).into());
    let other = guest.call("sock_membership", &[handle, 1, ADDRESS, PEER]);
    assert_eq!(other, Err(Errno::EACCES));
    assert_eq!(
        guest.denials(),
        ["joining group 239.255.7.8 denied: needs --allow-listen=239.255.7.8"]
    );
}

#[test]
fn group_that_another_process_joined_is_not_heard() {
    let group = std::net::Ipv4Addr::new(239, 255, 7, 9);
    let (sender, _) = native();
    let other = UdpSocket::bind("0.0.0.0:0").unwrap();
    other
        .join_multicast_v4(&group, &std::net::Ipv4Addr::LOCALHOST)
        .unwrap();
    rustix::net::sockopt::set_ip_multicast_if(&sender, &std::net::Ipv4Addr::LOCALHOST).unwrap();
    let policy = Policy::new()
        .allow_listen("0.0.0.0:0")
        .and_then(|policy| policy.allow_listen("[::]:0"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let (v4, v6) = (guest.open(SOCK_DGRAM), guest.open_v6(SOCK_DGRAM));
    for (handle, at) in [(v4, "0.0.0.0:0"), (v6, "[::]:0")] {
        guest.bind(handle, at.parse().unwrap()).unwrap();
        let port = guest.name(handle).port();
        sender.send_to(b"to all", (group, port)).unwrap();
        settle();
        assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN), "{at}");
        // It receives datagrams to its own address.
        sender.send_to(b"to it", ("127.0.0.1", port)).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"to it");
    }
}

#[test]
fn length_of_a_strangers_datagram_is_not_revealed() {
    let (friend, friend_address) = native();
    let (stranger, _) = native();
    let mut guest = Guest::new(Policy::new().allow(&friend_address.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    guest.write_address(friend_address);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();
    for iovecs in [&[(DATA, 100)][..], &[(DATA + 50, 50), (DATA, 50)]] {
        stranger.send_to(&[1; 30], address).unwrap();
        stranger.send_to(&[1; 77], address).unwrap();
        settle();
        guest.write(DATA, &[0xaa; 101]);
        guest.write_iovecs(iovecs);
        let arguments = [handle, IOVECS, iovecs.len() as u32, 0, 0, 0, 0, OUT];
        let nothing = guest.call("sock_recvmsg", &arguments);
        assert_eq!(nothing, Err(Errno::EAGAIN));
        assert_eq!(guest.read(DATA, 100), [0; 100]);
        assert_eq!(guest.read(DATA + 100, 1), [0xaa]);
    }
}
