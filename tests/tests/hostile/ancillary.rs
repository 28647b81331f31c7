//! Hop limits and traffic classes of datagrams over IPv6.

use std::net::{SocketAddr, UdpSocket};

use wasisocket_abi::v1::{
    AF_UNIX, ANCILLARY_HOP_LIMIT, ANCILLARY_TRAFFIC_CLASS, MSG_PEEK, MSG_TRUNC, SocketOption,
};
use wasisocket_abi::{Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::Policy;

use crate::guest::{ADDRESS, DATA, Guest, IOVECS, OUT, PAGE, PEER, SOON, allow_loopback};

/// An unaligned address.
const ANCILLARY: u32 = 1025;

const BOTH: u32 = ANCILLARY_HOP_LIMIT | ANCILLARY_TRAFFIC_CLASS;

const NOTHING: (u32, i32, i32) = (0, 0, 0);

fn write(guest: &mut Guest, present: u32, hop_limit: i32, traffic_class: i32) {
    guest.write(ANCILLARY, &present.to_le_bytes());
    guest.write(ANCILLARY + 4, &hop_limit.to_le_bytes());
    guest.write(ANCILLARY + 8, &traffic_class.to_le_bytes());
}

fn read(guest: &Guest) -> (u32, i32, i32) {
    let value = |at| guest.read_u32(ANCILLARY + at).cast_signed();
    (guest.read_u32(ANCILLARY), value(4), value(8))
}

/// Sends the bytes at [`DATA`] and the ancillary data at [`ANCILLARY`] to the address at [`ADDRESS`].
fn send(guest: &mut Guest, handle: u32, iovecs: &[(u32, u32)]) -> Result<u32, Errno> {
    guest.write_iovecs(iovecs);
    let count = iovecs.len() as u32;
    guest.get(
        "sock_sendmsg",
        &[handle, IOVECS, count, ADDRESS, ANCILLARY, 0, SOON],
    )
}

/// Receives, and returns the reported length and the ancillary data.
fn recv(
    guest: &mut Guest,
    handle: u32,
    iovecs: &[(u32, u32)],
    flags: u32,
) -> Result<(u32, (u32, i32, i32)), Errno> {
    write(guest, u32::MAX, -7, -7);
    guest.write_iovecs(iovecs);
    let count = iovecs.len() as u32;
    let arguments = [handle, IOVECS, count, PEER, ANCILLARY, flags, SOON, OUT];
    guest.call("sock_recvmsg", &arguments)?;
    Ok((guest.read_u32(OUT), read(guest)))
}

fn set(guest: &mut Guest, handle: u32, option: SocketOption, value: u32) {
    guest
        .call("sock_setsockopt", &[handle, option.0, value])
        .unwrap();
}

/// A receiver on loopback that asks for both, and a sender, with the receiver's address at [`ADDRESS`].
fn pair(guest: &mut Guest) -> (u32, u32) {
    let (receiver, sender) = (guest.open_v6(SOCK_DGRAM), guest.open_v6(SOCK_DGRAM));
    guest.bind(receiver, "[::1]:0".parse().unwrap()).unwrap();
    set(guest, receiver, SocketOption::IPV6_RECV_HOP_LIMIT, 1);
    set(guest, receiver, SocketOption::IPV6_RECV_TRAFFIC_CLASS, 1);
    let address = guest.name(receiver);
    guest.write_address(address);
    (receiver, sender)
}

#[test]
fn hop_limit_and_traffic_class_arrive() {
    let mut guest = Guest::new(allow_loopback());
    let (receiver, sender) = pair(&mut guest);
    set(&mut guest, sender, SocketOption::IPV6_UNICAST_HOPS, 77);
    set(&mut guest, sender, SocketOption::IPV6_TCLASS, 4);
    let (one, many) = (
        &[(DATA, 4)][..],
        &[(DATA, 1), (DATA + 8, 2), (DATA + 16, 1)][..],
    );
    for (present, hop_limit, traffic_class, received) in [
        (BOTH, 3, 8, (3, 8)),
        (BOTH, 0, 0, (0, 0)),
        (BOTH, 255, 252, (255, 252)),
        (ANCILLARY_HOP_LIMIT, 9, 12345, (9, 4)),
        (ANCILLARY_TRAFFIC_CLASS, 12345, 16, (77, 16)),
        // -1 means the socket's default.
        (BOTH, -1, -1, (77, 4)),
        (0, 12345, 12345, (77, 4)),
    ] {
        for iovecs in [one, many] {
            write(&mut guest, present, hop_limit, traffic_class);
            assert_eq!(send(&mut guest, sender, iovecs), Ok(4));
            let (length, told) = recv(&mut guest, receiver, iovecs, 0).unwrap();
            assert_eq!((length, told), (4, (BOTH, received.0, received.1)));
        }
    }
    // The same for the peer of a connected socket.
    let address = guest.name(receiver);
    guest.connect(sender, address, 0).unwrap();
    write(&mut guest, ANCILLARY_HOP_LIMIT, 5, 0);
    guest.write_iovecs(one);
    let to_peer = [sender, IOVECS, 1, 0, ANCILLARY, 0, SOON];
    assert_eq!(guest.get("sock_sendmsg", &to_peer), Ok(4));
    let (_, told) = recv(&mut guest, receiver, one, 0).unwrap();
    assert_eq!(told, (BOTH, 5, 4));
}

#[test]
fn ancillary_data_that_was_not_requested_is_absent() {
    let mut guest = Guest::new(allow_loopback());
    let (receiver, sender) = pair(&mut guest);
    for (hop_limit, traffic_class, present) in [
        (1, 0, ANCILLARY_HOP_LIMIT),
        (0, 1, ANCILLARY_TRAFFIC_CLASS),
        (0, 0, 0),
    ] {
        let options = [
            (SocketOption::IPV6_RECV_HOP_LIMIT, hop_limit),
            (SocketOption::IPV6_RECV_TRAFFIC_CLASS, traffic_class),
        ];
        for (option, value) in options {
            set(&mut guest, receiver, option, value);
            assert_eq!(guest.option(receiver, option), Ok(value.into()));
        }
        write(&mut guest, BOTH, 3, 8);
        send(&mut guest, sender, &[(DATA, 1)]).unwrap();
        let (_, told) = recv(&mut guest, receiver, &[(DATA, 1)], 0).unwrap();
        let expected = [hop_limit * 3, traffic_class * 8].map(u32::cast_signed);
        assert_eq!(told, (present, expected[0], expected[1]));
    }
}

#[test]
fn ancillary_data_changes_nothing_else_of_a_message() {
    let mut guest = Guest::new(allow_loopback());
    let (receiver, sender) = pair(&mut guest);
    guest.write(DATA, b"abcde");
    write(&mut guest, ANCILLARY_HOP_LIMIT, 3, 0);
    send(&mut guest, sender, &[(DATA, 5)]).unwrap();
    let from = SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], guest.name(sender).port()));
    for (iovecs, flags, length) in [
        (&[(DATA, 100)][..], MSG_PEEK, 5),
        (&[(DATA, 2)], MSG_PEEK, 2),
        (&[(DATA, 2)], MSG_PEEK | MSG_TRUNC, 5),
        (&[(DATA + 1, 1), (DATA, 1)], MSG_PEEK | MSG_TRUNC, 5),
        (&[], MSG_PEEK, 0),
        (&[(DATA, 2)], 0, 2),
    ] {
        let (told_length, told) = recv(&mut guest, receiver, iovecs, flags).unwrap();
        assert_eq!((told_length, told), (length, (BOTH, 3, 0)));
        let cut = if length == 5 && iovecs[0].1 == 100 {
            0
        } else {
            MSG_TRUNC
        };
        assert_eq!(guest.read_u32(OUT + 4), cut);
        assert_eq!(guest.ip_at(PEER), from);
    }
    // Asking for ancillary data does not make the call wait, and nothing is written when nothing arrived.
    write(&mut guest, 1, 2, 3);
    let now = [receiver, IOVECS, 1, PEER, ANCILLARY, 0, 0, OUT];
    assert_eq!(guest.call("sock_recvmsg", &now), Err(Errno::EAGAIN));
    assert_eq!(read(&guest), (1, 2, 3));
}

#[test]
fn strangers_datagrams_with_ancillary_data_are_discarded() {
    let friend = UdpSocket::bind("[::1]:0").unwrap();
    let friend_address = friend.local_addr().unwrap();
    let stranger = UdpSocket::bind("[::1]:0").unwrap();
    let mut guest = Guest::new(Policy::new().allow(&friend_address.to_string()).unwrap());
    let handle = guest.open_v6(SOCK_DGRAM);
    set(&mut guest, handle, SocketOption::IPV6_RECV_HOP_LIMIT, 1);
    guest.write_address(friend_address);
    write(&mut guest, 0, 0, 0);
    send(&mut guest, handle, &[(DATA, 1)]).unwrap();
    let (_, address) = friend.recv_from(&mut [0; 8]).unwrap();
    for flags in [0, MSG_PEEK] {
        stranger.send_to(b"secret", address).unwrap();
        guest.write(DATA, &[0xaa; 6]);
        friend.send_to(b"ok", address).unwrap();
        let (length, told) = recv(&mut guest, handle, &[(DATA, 6)], flags).unwrap();
        assert_eq!((length, told.0), (2, ANCILLARY_HOP_LIMIT));
        // The receive buffer contains nothing of the stranger's datagram.
        assert_eq!(guest.read(DATA, 6), b"ok\0\0\0\0");
        assert_eq!(guest.ip_at(PEER), friend_address);
    }
    guest.recv(handle, 0, SOON).unwrap();
    assert_eq!(guest.recv(handle, 0, 0), Err(Errno::EAGAIN));
}

#[test]
fn sender_with_ancillary_data_can_be_answered() {
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    let mut guest = Guest::new(Policy::new().allow_listen("[::1]:0").unwrap());
    let handle = guest.open_v6(SOCK_DGRAM);
    guest.bind(handle, "[::1]:0".parse().unwrap()).unwrap();
    peer.send_to(b"hello", guest.name(handle)).unwrap();
    recv(&mut guest, handle, &[(DATA, 8)], 0).unwrap();
    guest.write_address(peer.local_addr().unwrap());
    write(&mut guest, ANCILLARY_HOP_LIMIT, 3, 0);
    assert_eq!(send(&mut guest, handle, &[(DATA, 5)]), Ok(5));
}

#[test]
fn destination_of_ancillary_data_is_checked() {
    let mut guest = Guest::new(Policy::new());
    let handle = guest.open_v6(SOCK_DGRAM);
    guest.write_address("[::1]:9".parse().unwrap());
    write(&mut guest, BOTH, 3, 8);
    assert_eq!(send(&mut guest, handle, &[(DATA, 1)]), Err(Errno::EACCES));
    assert_eq!(guest.denials().len(), 1);
}

#[test]
fn values_out_of_their_range_are_invalid() {
    let mut guest = Guest::new(allow_loopback());
    let (receiver, sender) = pair(&mut guest);
    for (present, hop_limit, traffic_class) in [
        (BOTH, -2, 0),
        (BOTH, 0, -2),
        (BOTH, 256, 0),
        (BOTH, 0, 256),
        (ANCILLARY_HOP_LIMIT, i32::MIN, 0),
        (ANCILLARY_TRAFFIC_CLASS, 0, i32::MAX),
        (4, 0, 0),
        (1 << 31 | BOTH, 0, 0),
        (u32::MAX, 0, 0),
    ] {
        write(&mut guest, present, hop_limit, traffic_class);
        let sent = send(&mut guest, sender, &[(DATA, 1)]);
        assert_eq!(sent, Err(Errno::EINVAL), "{present}");
    }
    let nothing = [receiver, IOVECS, 1, 0, ANCILLARY, 0, 0, OUT];
    assert_eq!(guest.call("sock_recvmsg", &nothing), Err(Errno::EAGAIN));
}

#[test]
fn other_sockets_have_no_ancillary_data() {
    let mut guest = Guest::new(allow_loopback());
    let (v4, address) = guest.bound_datagram();
    let stream6 = guest.open_v6(SOCK_STREAM);
    let unix = guest.get("sock_open", &[AF_UNIX, SOCK_DGRAM]).unwrap();
    guest.write_address(address);
    for handle in [v4, stream6, unix] {
        write(&mut guest, ANCILLARY_HOP_LIMIT, 3, 0);
        assert_eq!(send(&mut guest, handle, &[(DATA, 1)]), Err(Errno::EINVAL));
    }
    for option in [
        SocketOption::IPV6_RECV_HOP_LIMIT,
        SocketOption::IPV6_RECV_TRAFFIC_CLASS,
    ] {
        for handle in [v4, unix] {
            let set = guest.call("sock_setsockopt", &[handle, option.0, 1]);
            assert_eq!(set, Err(Errno::ENOPROTOOPT));
        }
    }
    // A struct in which nothing is present can be sent, and one that is received has nothing present.
    write(&mut guest, 0, -7, -7);
    assert_eq!(send(&mut guest, v4, &[(DATA, 1)]), Ok(1));
    assert_eq!(recv(&mut guest, v4, &[(DATA, 1)], 0), Ok((1, NOTHING)));
}

#[test]
fn ancillary_pointer_at_the_edge_is_inside_or_a_fault() {
    let mut guest = Guest::new(allow_loopback());
    let (receiver, sender) = pair(&mut guest);
    let edge = PAGE - 12;
    guest.write(edge, &[0; 12]);
    guest.write_iovecs(&[(DATA, 1)]);
    let send = [sender, IOVECS, 1, ADDRESS, edge, 0, SOON, OUT];
    guest.call("sock_sendmsg", &send).unwrap();
    for outside in [edge + 1, PAGE - 1, PAGE, u32::MAX, u32::MAX - 11] {
        for import in ["sock_sendmsg", "sock_recvmsg"] {
            let handle = if import == "sock_sendmsg" {
                sender
            } else {
                receiver
            };
            let arguments = [handle, IOVECS, 1, ADDRESS, outside, 0, 0, OUT];
            assert_eq!(guest.call(import, &arguments), Err(Errno::EFAULT));
        }
    }
    // The datagram is still there.
    let recv = [receiver, IOVECS, 1, PEER, edge, 0, SOON, OUT];
    guest.call("sock_recvmsg", &recv).unwrap();
    assert_eq!(guest.read_u32(edge), BOTH);
    assert_eq!(
        guest.call("sock_recvmsg", &[receiver, IOVECS, 1, 0, 0, 0, 0, OUT]),
        Err(Errno::EAGAIN)
    );
}

#[test]
fn ipv4_over_an_ipv6_socket_has_no_ancillary_data() {
    let mut guest = Guest::new(allow_loopback());
    let receiver = guest.open_v6(SOCK_DGRAM);
    let bound = guest.bind(receiver, "[::ffff:127.0.0.1]:0".parse().unwrap());
    bound.unwrap();
    set(&mut guest, receiver, SocketOption::IPV6_RECV_HOP_LIMIT, 1);
    let mapped = guest.name(receiver);
    let sender = guest.open_v6(SOCK_DGRAM);
    for to in [mapped, ([127, 0, 0, 1], mapped.port()).into()] {
        guest.write_address(to);
        write(&mut guest, BOTH, 3, 8);
        assert_eq!(send(&mut guest, sender, &[(DATA, 1)]), Ok(1));
        let received = recv(&mut guest, receiver, &[(DATA, 1)], 0);
        assert_eq!(received, Ok((1, NOTHING)));
        assert_eq!(guest.ip_at(PEER).ip(), mapped.ip());
    }
}
