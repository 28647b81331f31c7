//! The core six with hostile arguments.

use std::net::{IpAddr, SocketAddr};

use wasisocket_abi::v1::AF_UNIX;
use wasisocket_abi::{
    AF_INET, CoreSocketAddr, Errno, FIRST_HANDLE, Plain as _, SOCK_DGRAM, SOCK_STREAM,
};
use wasisocket_host::{Policy, SocketsCtx, add_to_linker};
use wasisocket_tests::servers::{self, loopback};
use wasmtime::{Engine, Linker, Module, Store};

use crate::guest::{Guest, OUTSIDE, PAGE, allow_all};

#[test]
fn open_with_bad_numbers_and_pointers() {
    let mut guest = Guest::new(allow_all());
    for family in [0, 3, 17, u32::MAX] {
        assert_eq!(
            guest.call("sock_open", &[family, SOCK_STREAM, 0]),
            Err(Errno::EAFNOSUPPORT)
        );
    }
    for kind in [0, 3, 5, 1 | 0o4000, u32::MAX] {
        for family in [AF_INET, AF_UNIX] {
            assert_eq!(
                guest.call("sock_open", &[family, kind, 0]),
                Err(Errno::EINVAL)
            );
        }
    }
    for out in OUTSIDE {
        assert_eq!(
            guest.call("sock_open", &[AF_INET, SOCK_STREAM, out]),
            Err(Errno::EFAULT)
        );
    }
    // None of these calls took a handle.
    for handle in FIRST_HANDLE..FIRST_HANDLE + 4 {
        assert_eq!(guest.open(SOCK_STREAM), handle);
    }
    assert_eq!(
        guest.call("sock_open", &[AF_INET, SOCK_STREAM, 0]),
        Err(Errno::EMFILE)
    );
}

#[test]
fn bad_handles_are_bad_descriptors() {
    let mut guest = Guest::new(allow_all());
    let closed = guest.open(SOCK_STREAM);
    guest.call("sock_close", &[closed]).unwrap();
    guest.write(
        64,
        &CoreSocketAddr::from(SocketAddr::from(([127, 0, 0, 1], 9))).to_bytes(),
    );
    for handle in [0, 1, 2, 3, 999, closed, closed + 1, u32::MAX, 1 << 31] {
        assert_eq!(guest.call("sock_connect", &[handle, 64]), Err(Errno::EBADF));
        assert_eq!(
            guest.call("sock_send", &[handle, 0, 1, 8]),
            Err(Errno::EBADF)
        );
        assert_eq!(
            guest.call("sock_recv", &[handle, 0, 1, 8]),
            Err(Errno::EBADF)
        );
        assert_eq!(guest.call("sock_close", &[handle]), Err(Errno::EBADF));
    }
}

#[test]
fn resolve_with_bad_pointers_lengths_and_counts() {
    let mut guest = Guest::new(allow_all());
    guest.write(16, b"127.0.0.1");
    let resolve = |guest: &mut Guest, arguments: [u32; 6]| guest.call("sock_resolve", &arguments);
    assert_eq!(resolve(&mut guest, [16, 9, 80, 100, 10, 8]), Ok(()));
    assert_eq!(guest.read_u32(8), 1);
    for pointer in OUTSIDE {
        assert_eq!(
            resolve(&mut guest, [pointer, 9, 80, 100, 10, 8]),
            Err(Errno::EFAULT)
        );
        assert_eq!(
            resolve(&mut guest, [16, 9, 80, pointer, 10, 8]),
            Err(Errno::EFAULT)
        );
        assert_eq!(
            resolve(&mut guest, [16, 9, 80, 100, 10, pointer]),
            Err(Errno::EFAULT)
        );
    }
    for length in [255, 256, PAGE, u32::MAX, 1 << 31] {
        assert_eq!(
            resolve(&mut guest, [16, length, 80, 100, 10, 8]),
            Err(Errno::ENAMETOOLONG)
        );
    }
    // 226050911 * 19 wraps to a small number.
    for count in [3500, 226_050_911, 226_050_910, u32::MAX, 1 << 31] {
        assert_eq!(
            resolve(&mut guest, [16, 9, 80, 100, count, 8]),
            Err(Errno::EFAULT),
            "{count}"
        );
    }
    for port in [65536, u32::MAX, 1 << 31] {
        assert_eq!(
            resolve(&mut guest, [16, 9, port, 100, 10, 8]),
            Err(Errno::EINVAL)
        );
    }
    // Room for zero entries is no error, and nothing is written.
    guest.write(100, &[0xaa; 19]);
    assert_eq!(resolve(&mut guest, [16, 9, 80, 100, 0, 8]), Ok(()));
    assert_eq!(guest.read_u32(8), 0);
    assert_eq!(guest.read_u32(100), 0xaaaa_aaaa);
    for name in [
        &b"\xff\xfe"[..],
        b"a\0b",
        b"a\nb",
        b"",
        b"..",
        b"2130706433",
        b"0x7f.1",
    ] {
        guest.write(16, name);
        let length = name.len() as u32;
        assert_eq!(
            resolve(&mut guest, [16, length, 80, 100, 10, 8]),
            Err(Errno::ENOENT)
        );
    }
}

#[test]
fn connect_with_bad_addresses() {
    let mut guest = Guest::new(allow_all());
    let handle = guest.open(SOCK_STREAM);
    for pointer in OUTSIDE.into_iter().chain([PAGE - 18]) {
        assert_eq!(
            guest.call("sock_connect", &[handle, pointer]),
            Err(Errno::EFAULT)
        );
    }
    for family in [0, 1, 3, 17, 255] {
        let address = CoreSocketAddr {
            family,
            ..CoreSocketAddr::default()
        };
        guest.write(64, &address.to_bytes());
        assert_eq!(
            guest.call("sock_connect", &[handle, 64]),
            Err(Errno::EAFNOSUPPORT)
        );
    }
    // An address of the other family gets the kernel's own error.
    guest.write(
        64,
        &CoreSocketAddr::from(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9))).to_bytes(),
    );
    assert_eq!(
        guest.call("sock_connect", &[handle, 64]),
        Err(Errno::EAFNOSUPPORT)
    );
}

#[test]
fn send_and_recv_with_bad_buffers_lose_nothing() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_all());
    let handle = guest.connected(servers::echo(v4));
    for import in ["sock_send", "sock_recv"] {
        for pointer in OUTSIDE {
            assert_eq!(
                guest.call(import, &[handle, pointer, 10, 8]),
                Err(Errno::EFAULT),
                "{pointer}"
            );
            assert_eq!(
                guest.call(import, &[handle, 100, 10, pointer]),
                Err(Errno::EFAULT),
                "{pointer}"
            );
        }
        for length in [PAGE, PAGE - 99, u32::MAX, u32::MAX - 99, 1 << 31] {
            assert_eq!(
                guest.call(import, &[handle, 100, length, 8]),
                Err(Errno::EFAULT),
                "{length}"
            );
        }
    }
    // None of it was sent: these are the first bytes that come back.
    guest.write(200, b"whole");
    guest.call("sock_send", &[handle, 200, 5, 8]).unwrap();
    assert_eq!(guest.read_u32(8), 5);
    assert_eq!(
        guest.call("sock_recv", &[handle, 300, 5, PAGE]),
        Err(Errno::EFAULT)
    );
    let mut received = Vec::new();
    while received.len() < 5 {
        guest.call("sock_recv", &[handle, PAGE - 5, 5, 8]).unwrap();
        let count = guest.read_u32(8) as usize;
        received.extend(guest.read(PAGE - 5, count));
    }
    assert_eq!(received, b"whole");
    // An empty buffer at the very end of memory is inside it.
    assert_eq!(guest.call("sock_send", &[handle, PAGE, 0, 8]), Ok(()));
    assert_eq!(guest.read_u32(8), 0);
}

#[test]
fn nothing_is_reached_without_a_grant() {
    let [v4, _] = loopback();
    let server = servers::echo(v4);
    let mut guest = Guest::new(Policy::new());
    let mapped = match server.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), server.port()),
        IpAddr::V6(_) => unreachable!("the first is IPv4"),
    };
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let handle = guest.open(kind);
        for address in [
            server,
            mapped,
            SocketAddr::from(([0, 0, 0, 0], server.port())),
        ] {
            guest.write(64, &CoreSocketAddr::from(address).to_bytes());
            assert_eq!(
                guest.call("sock_connect", &[handle, 64]),
                Err(Errno::EACCES),
                "{address}"
            );
        }
    }
    guest.write(16, b"localhost");
    assert_eq!(
        guest.call("sock_resolve", &[16, 9, 80, 100, 10, 8]),
        Err(Errno::EACCES)
    );
}

#[test]
fn connected_datagram_socket_is_checked_again() {
    let [v4, _] = loopback();
    let (granted, other) = (servers::udp_echo(v4), servers::udp_echo(v4));
    let mut guest = Guest::new(Policy::new().allow(&granted.to_string()).unwrap());
    let handle = guest.open(SOCK_DGRAM);
    guest.write(64, &CoreSocketAddr::from(granted).to_bytes());
    guest.call("sock_connect", &[handle, 64]).unwrap();
    guest.write(64, &CoreSocketAddr::from(other).to_bytes());
    assert_eq!(
        guest.call("sock_connect", &[handle, 64]),
        Err(Errno::EACCES)
    );
}

#[test]
fn unspecified_address_is_loopback_whatever_the_socket_did_before() {
    // Linux itself would connect to the source address that the first connect gave the socket.
    let [v4, _] = loopback();
    let server = servers::udp_echo(v4);
    let elsewhere = SocketAddr::from(([127, 9, 9, 9], 9));
    let mut guest = Guest::new(Policy::new().allow("127.0.0.0/8").unwrap());
    let handle = guest.open(SOCK_DGRAM);
    for address in [elsewhere, SocketAddr::from(([0, 0, 0, 0], server.port()))] {
        guest.write(64, &CoreSocketAddr::from(address).to_bytes());
        guest.call("sock_connect", &[handle, 64]).unwrap();
    }
    guest.write(200, b"echo");
    guest.call("sock_send", &[handle, 200, 4, 8]).unwrap();
    guest.call("sock_recv", &[handle, 300, 10, 8]).unwrap();
    assert_eq!(guest.read_u32(8), 4);
}

#[test]
fn datagram_socket_without_a_peer_hears_nobody() {
    let mut guest = Guest::new(allow_all());
    let handle = guest.open(SOCK_DGRAM);
    assert_eq!(
        guest.call("sock_recv", &[handle, 100, 10, 8]),
        Err(Errno::ENOTCONN)
    );
    // The kernel refuses the broadcast address after it has bound the socket.
    guest.write(
        64,
        &CoreSocketAddr::from(SocketAddr::from(([255, 255, 255, 255], 9))).to_bytes(),
    );
    assert_eq!(
        guest.call("sock_connect", &[handle, 64]),
        Err(Errno::EACCES)
    );
    assert_eq!(
        guest.call("sock_recv", &[handle, 100, 10, 8]),
        Err(Errno::ENOTCONN)
    );
}

#[test]
fn two_guests_share_no_handles() {
    let [v4, _] = loopback();
    let mut first = Guest::new(allow_all());
    let mut second = Guest::new(allow_all());
    let handle = first.connected(servers::echo(v4));
    assert_eq!(
        second.call("sock_send", &[handle, 0, 1, 8]),
        Err(Errno::EBADF)
    );
    assert_eq!(second.call("sock_close", &[handle]), Err(Errno::EBADF));
    assert_eq!(first.call("sock_close", &[handle]), Ok(()));
}

#[test]
fn guest_without_a_memory_is_trapped() {
    let engine = Engine::default();
    let wasm = wat::parse_str(include_str!("../../wat/no_memory.wat")).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |sockets: &mut SocketsCtx| sockets).unwrap();
    let mut store = Store::new(&engine, SocketsCtx::builder(Policy::new()).build());
    let instance = linker
        .instantiate(&mut store, &Module::new(&engine, wasm).unwrap())
        .unwrap();
    let call = instance
        .get_typed_func::<(), u32>(&mut store, "call")
        .unwrap();
    let error = call.call(&mut store, ()).unwrap_err();
    assert!(
        format!("{error:?}").contains("exports no memory"),
        "{error:?}"
    );
}
