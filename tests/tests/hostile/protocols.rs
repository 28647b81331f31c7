//! `sock_open_protocol`: which protocols it supports, and which grants they need.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, ipproto, socket};
use wasisocket_abi::v1::AF_UNIX;
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::Policy;
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{ADDRESS, FOREVER, Guest, SOON, allow_loopback};

const TCP: u32 = 6;
const UDP: u32 = 17;
const UDP_LITE: u32 = 136;

/// A UDP-Lite socket on loopback. `None` if the kernel has no UDP-Lite.
pub(crate) fn native_udp_lite(family: u32) -> Option<(UdpSocket, SocketAddr)> {
    let (family, loopback) = match family {
        AF_INET6 => (AddressFamily::INET6, "[::1]:0"),
        _ => (AddressFamily::INET, "127.0.0.1:0"),
    };
    let socket = socket(family, SocketType::DGRAM, Some(ipproto::UDPLITE)).ok()?;
    bind(&socket, &loopback.parse::<SocketAddr>().unwrap()).unwrap();
    let socket = UdpSocket::from(socket);
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let address = socket.local_addr().unwrap();
    Some((socket, address))
}

fn open(guest: &mut Guest, family: u32, kind: u32, protocol: u32) -> Result<u32, Errno> {
    let handle = guest.get("sock_open_protocol", &[family, kind, protocol])?;
    guest.call("sock_close", &[handle])?;
    Ok(handle)
}

#[test]
fn protocol_fits_the_type_or_is_not_supported() {
    let mut guest = Guest::new(Policy::new());
    for family in [AF_INET, AF_INET6] {
        for (kind, protocol) in [
            (SOCK_STREAM, 0),
            (SOCK_STREAM, TCP),
            (SOCK_DGRAM, 0),
            (SOCK_DGRAM, UDP),
        ] {
            assert_eq!(open(&mut guest, family, kind, protocol), Ok(1000));
        }
        for (kind, protocol) in [
            (SOCK_STREAM, UDP),
            (SOCK_STREAM, UDP_LITE),
            // SCTP, MPTCP, ICMP, and a number that is a protocol if it is truncated.
            (SOCK_STREAM, 132),
            (SOCK_STREAM, 262),
            (SOCK_DGRAM, TCP),
            (SOCK_DGRAM, 1),
            (SOCK_DGRAM, 58),
            (SOCK_DGRAM, 255),
            (SOCK_DGRAM, UDP | 1 << 8),
            (SOCK_DGRAM, UDP | 1 << 31),
            (SOCK_DGRAM, u32::MAX),
        ] {
            let refused = Err(Errno::EPROTONOSUPPORT);
            assert_eq!(open(&mut guest, family, kind, protocol), refused);
        }
    }
    assert_eq!(open(&mut guest, AF_UNIX, SOCK_STREAM, 0), Ok(1000));
    for protocol in [1, TCP, UDP, u32::MAX] {
        let refused = Err(Errno::EPROTONOSUPPORT);
        assert_eq!(open(&mut guest, AF_UNIX, SOCK_STREAM, protocol), refused);
    }
    assert_eq!(
        open(&mut guest, 16, SOCK_DGRAM, 0),
        Err(Errno::EAFNOSUPPORT)
    );
    assert_eq!(open(&mut guest, AF_INET, 3, 1), Err(Errno::EINVAL));
}

#[test]
fn named_protocol_is_the_default_one() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest
        .get("sock_open_protocol", &[AF_INET, SOCK_STREAM, TCP])
        .unwrap();
    guest.connect(handle, servers::echo(v4), FOREVER).unwrap();
    guest.send(handle, b"ping", 0).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"ping");
}

#[test]
fn udp_lite_needs_the_grants_of_udp() {
    let Some((peer, peer_address)) = native_udp_lite(AF_INET) else {
        return;
    };
    let udp_lite = [AF_INET, SOCK_DGRAM, UDP_LITE];
    // A guest without any grant gets no UDP-Lite.
    let mut guest = Guest::new(Policy::new());
    let none = guest.get("sock_open_protocol", &udp_lite);
    assert_eq!(none, Err(Errno::EPROTONOSUPPORT));
    let mut guest = Guest::new(Policy::new().allow("192.0.2.1").unwrap());
    let handle = guest.get("sock_open_protocol", &udp_lite).unwrap();
    let refused = Err(Errno::EACCES);
    assert_eq!(guest.connect(handle, peer_address, 0), refused);
    assert_eq!(guest.bind(handle, ([127, 0, 0, 1], 0).into()), refused);
    guest.write_address(peer_address);
    assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EACCES));

    let mut guest = Guest::new(Policy::new().allow(&peer_address.to_string()).unwrap());
    let handle = guest.get("sock_open_protocol", &udp_lite).unwrap();
    guest.write_address(peer_address);
    guest.send(handle, b"ping", ADDRESS).unwrap();
    let (_, address) = peer.recv_from(&mut [0; 8]).unwrap();
    let (stranger, _) = native_udp_lite(AF_INET).unwrap();
    stranger.send_to(b"secret", address).unwrap();
    peer.send_to(b"wanted", address).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"wanted");
}
