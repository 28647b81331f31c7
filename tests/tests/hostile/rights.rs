//! Sockets and files sent with messages over Unix sockets.

use std::fs::{self, File, OpenOptions};
use std::io::{IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socket, socketpair,
};
use tempfile::TempDir;
use wasisocket_abi::v1::{
    AF_UNIX, CTL_ADD, EVENT_IN, MSG_CTRUNC, MSG_OOB, MSG_PEEK, RIGHT_FILE, RIGHT_SOCKET, RIGHTS_MAX,
};
use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{Policy, SocketsCtx};

use crate::guest::{
    ADDRESS, DATA, Guest, IOVECS, OUT, OUTSIDE, PEER, SOON, TestFiles, allow_loopback,
};

/// Where in the guest's memory rights are written and read.
const RIGHTS: u32 = 4096;

/// Linux's O_PATH.
const O_PATH: i32 = 0x20_0000;

fn pair(guest: &mut Guest, kind: u32) -> (u32, u32) {
    guest.call("sock_pair", &[kind, OUT]).unwrap();
    (guest.read_u32(OUT), guest.read_u32(OUT + 4))
}

/// Sends "x" with rights.
fn send(guest: &mut Guest, handle: u32, rights: &[(u32, u32)]) -> Result<u32, Errno> {
    for (at, (kind, number)) in (RIGHTS..).step_by(8).zip(rights) {
        guest.write(at, &kind.to_le_bytes());
        guest.write(at + 4, &number.to_le_bytes());
    }
    guest.write(DATA, b"x");
    guest.write_iovecs(&[(DATA, 1)]);
    let count = rights.len() as u32;
    let arguments = [handle, IOVECS, 1, 0, RIGHTS, count, 0];
    guest.get("sock_send_rights", &arguments)
}

/// A received right: kind, number, family, type, and the handle that it duplicates.
type Received = (u32, u32, u16, u16, u32);

/// Receives a message, and returns its flags and its rights.
fn recv(
    guest: &mut Guest,
    handle: u32,
    max: u32,
    flags: u32,
) -> Result<(u32, Vec<Received>), Errno> {
    guest.write_iovecs(&[(DATA, 100)]);
    let arguments = [handle, IOVECS, 1, PEER, RIGHTS, max, flags, OUT];
    guest.call("sock_recv_rights", &arguments)?;
    assert_eq!(guest.read_u32(OUT), 1, "one byte");
    let flags = guest.read_u32(OUT + 4);
    let count = guest.read_u32(OUT + 8);
    let rights = (0..count).map(|at| {
        let at = RIGHTS + at * 16;
        let numbers = guest.read_u32(at + 8);
        (
            guest.read_u32(at),
            guest.read_u32(at + 4),
            numbers as u16,
            (numbers >> 16) as u16,
            guest.read_u32(at + 12),
        )
    });
    Ok((flags, rights.collect()))
}

/// Sends "x" from outside.
fn send_from_outside(peer: &UnixStream, fds: &[BorrowedFd<'_>]) {
    let mut room = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    let data = [IoSlice::new(b"x")];
    assert_eq!(
        sendmsg(peer, &data, &mut control, SendFlags::empty()),
        Ok(1)
    );
}

fn receive_outside(peer: &UnixStream) -> Vec<OwnedFd> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut data = [0; 10];
    let mut data = [std::io::IoSliceMut::new(&mut data)];
    recvmsg(peer, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.collect::<Vec<_>>()),
        _ => None,
    });
    rights.flatten().collect()
}

/// How many descriptors of this process refer to the same object, which no other test uses.
fn open_count(fd: BorrowedFd<'_>) -> usize {
    use std::os::fd::AsRawFd as _;
    let name = |fd: &Path| fs::read_link(fd).unwrap_or_default();
    let wanted = name(&PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd())));
    let all = fs::read_dir("/proc/self/fd").unwrap();
    all.filter(|entry| name(&entry.as_ref().unwrap().path()) == wanted)
        .count()
}

/// A guest that may have `limit` handles, connected to a peer outside, and the handle of the connection.
fn connected(limit: usize, files: Option<TestFiles>) -> (Guest, u32, UnixStream, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("peer")).unwrap();
    let sockets = SocketsCtx::builder(Policy::new())
        .max_sockets(limit)
        .unix_folder(folder.path(), "/run", false)
        .unwrap();
    let mut guest = match files {
        Some(files) => Guest::with_files(sockets, files),
        None => Guest::with(sockets),
    };
    let handle = guest.get("sock_open", &[AF_UNIX, SOCK_STREAM]).unwrap();
    guest.write_unix("/run/peer");
    guest
        .call("sock_connect_to", &[handle, ADDRESS, SOON])
        .unwrap();
    let (peer, _) = listener.accept().unwrap();
    (guest, handle, peer, folder)
}

fn file(folder: &TempDir) -> File {
    let path = folder.path().join("file");
    fs::write(&path, "content").unwrap();
    File::open(path).unwrap()
}

const CUT: Result<(u32, Vec<Received>), Errno> = Ok((MSG_CTRUNC, Vec::new()));

#[test]
fn bad_pointers_and_counts_are_refused_and_nothing_is_lost() {
    let mut guest = Guest::new(allow_loopback());
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    send(&mut guest, one, &[(RIGHT_SOCKET, one)]).unwrap();
    for bad in OUTSIDE {
        for (import, arguments) in [
            ("sock_send_rights", [one, bad, 1, 0, RIGHTS, 1, 0, OUT]),
            ("sock_send_rights", [one, IOVECS, 1, bad, RIGHTS, 1, 0, OUT]),
            ("sock_send_rights", [one, IOVECS, 1, 0, bad, 1, 0, OUT]),
            ("sock_send_rights", [one, IOVECS, 1, 0, RIGHTS, 1, 0, bad]),
            ("sock_recv_rights", [other, bad, 1, 0, RIGHTS, 1, 0, OUT]),
            (
                "sock_recv_rights",
                [other, IOVECS, 1, bad, RIGHTS, 1, 0, OUT],
            ),
            ("sock_recv_rights", [other, IOVECS, 1, 0, bad, 1, 0, OUT]),
            ("sock_recv_rights", [other, IOVECS, 1, 0, RIGHTS, 1, 0, bad]),
        ] {
            let result = guest.call(import, &arguments);
            assert_eq!(result, Err(Errno::EFAULT), "{import} {arguments:?}");
        }
    }
    for count in [RIGHTS_MAX as u32 + 1, 1 << 28, 1 << 29, u32::MAX] {
        for (import, handle) in [("sock_send_rights", one), ("sock_recv_rights", other)] {
            let arguments = [handle, IOVECS, 1, 0, RIGHTS, count, 0, OUT];
            assert_eq!(guest.call(import, &arguments), Err(Errno::EINVAL));
        }
    }
    let flags = [
        handle_flags("sock_send_rights", one),
        handle_flags("sock_recv_rights", other),
    ];
    for (import, arguments) in flags {
        assert_eq!(guest.call(import, &arguments), Err(Errno::EOPNOTSUPP));
    }
    let (flags, rights) = recv(&mut guest, other, 1, 0).unwrap();
    assert_eq!((flags, rights.len()), (0, 1));
    assert_eq!(recv(&mut guest, other, 1, 0), Err(Errno::EAGAIN));
}

fn handle_flags(import: &'static str, handle: u32) -> (&'static str, [u32; 8]) {
    (import, [handle, IOVECS, 1, 0, RIGHTS, 1, MSG_OOB, OUT])
}

#[test]
fn rights_in_flight_are_limited_like_open_handles() {
    let mut guest = Guest::new(allow_loopback());
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    for sent in [Ok(1), Ok(1), Err(Errno::ENOBUFS)] {
        let stream = guest.open(SOCK_STREAM);
        let right = (RIGHT_SOCKET, stream);
        assert_eq!(send(&mut guest, one, &[right, right]), sent);
        guest.call("sock_close", &[stream]).unwrap();
    }
    assert_eq!(guest.limits(), ["max-sockets"]);
    // A right that comes back makes room for another, even if the guest does not receive it.
    assert_eq!(recv(&mut guest, other, 2, 0), CUT);
    let stream = guest.open(SOCK_STREAM);
    assert_eq!(send(&mut guest, one, &[(RIGHT_SOCKET, stream); 2]), Ok(1));
}

#[test]
fn closing_rights_that_are_not_received_does_not_block() {
    for takes_rights in [true, false] {
        let (mut guest, handle, peer, _folder) = connected(4, None);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut full = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        full.set_nonblocking(true).unwrap();
        while full.write(&[0; 1 << 16]).is_ok() {}
        full.set_nonblocking(false).unwrap();
        let patience = Duration::from_secs(60);
        rustix::net::sockopt::set_socket_linger(&full, Some(patience)).unwrap();
        send_from_outside(&peer, &[full.as_fd()]);
        drop(full);
        let begun = Instant::now();
        match takes_rights {
            true => assert_eq!(recv(&mut guest, handle, 1, 0), CUT),
            false => assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"x"),
        }
        assert!(begun.elapsed() < patience / 2);
    }
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut guest = Guest::new(allow_loopback());
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    let set = guest.get("interest_create", &[]).unwrap();
    let stream = guest.open(SOCK_STREAM);
    for (right, errno) in [
        ((RIGHT_SOCKET, 999), Errno::EBADF),
        ((RIGHT_SOCKET, 2000), Errno::EBADF),
        ((RIGHT_SOCKET, set), Errno::EBADF),
        ((RIGHT_FILE, 3), Errno::EOPNOTSUPP),
        ((RIGHT_FILE, u32::MAX), Errno::EOPNOTSUPP),
        ((0, one), Errno::EINVAL),
        ((u32::MAX, one), Errno::EINVAL),
    ] {
        let result = send(&mut guest, one, &[(RIGHT_SOCKET, one), right]);
        assert_eq!(result, Err(errno), "{right:?}");
    }
    // Only Unix sockets carry rights.
    assert_eq!(send(&mut guest, stream, &[]), Err(Errno::EINVAL));
    assert_eq!(recv(&mut guest, stream, 1, 0), Err(Errno::EINVAL));
    assert_eq!(send(&mut guest, set, &[]), Err(Errno::EBADF));
    assert_eq!(recv(&mut guest, other, 1, 0), Err(Errno::EAGAIN));
}

#[test]
fn own_sockets_come_back_as_duplicates() {
    let mut guest = Guest::with(SocketsCtx::builder(allow_loopback()).max_sockets(8));
    let (one, other) = pair(&mut guest, SOCK_DGRAM);
    let (datagram, address) = guest.bound_datagram();
    let rights = [(RIGHT_SOCKET, datagram), (RIGHT_SOCKET, other)];
    send(&mut guest, one, &rights).unwrap();
    let (flags, rights) = recv(&mut guest, other, 253, 0).unwrap();
    assert_eq!(flags, 0);
    let [first, second] = rights[..] else {
        panic!("{rights:?}")
    };
    assert_eq!(
        first,
        (
            RIGHT_SOCKET,
            first.1,
            AF_INET as u16,
            SOCK_DGRAM as u16,
            datagram
        )
    );
    assert_eq!(
        second,
        (
            RIGHT_SOCKET,
            second.1,
            AF_UNIX as u16,
            SOCK_DGRAM as u16,
            other
        )
    );
    // The policy's decision holds for both handles: the socket was bound, so it receives.
    guest.call("sock_close", &[datagram]).unwrap();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"hello", address).unwrap();
    assert_eq!(guest.recv(first.1, 0, SOON).unwrap(), b"hello");
}

#[test]
fn own_ip_socket_without_a_handle_does_not_come_back() {
    let mut guest = Guest::new(allow_loopback());
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    let stream = guest.open(SOCK_STREAM);
    send(&mut guest, one, &[(RIGHT_SOCKET, stream)]).unwrap();
    guest.call("sock_close", &[stream]).unwrap();
    assert_eq!(recv(&mut guest, other, 1, 0), CUT);
}

#[test]
fn handles_past_the_limit_are_closed() {
    let (mut guest, handle, peer, _folder) = connected(2, None);
    let (sent, kept) = UnixStream::pair().unwrap();
    send_from_outside(&peer, &[sent.as_fd(), kept.as_fd(), sent.as_fd()]);
    let (flags, rights) = recv(&mut guest, handle, 253, 0).unwrap();
    assert_eq!((flags, rights.len()), (MSG_CTRUNC, 1));
    assert_eq!(open_count(sent.as_fd()), 2);
    assert_eq!(open_count(kept.as_fd()), 1);
    guest.call("sock_close", &[rights[0].1]).unwrap();
    assert_eq!(open_count(sent.as_fd()), 1);
}

#[test]
fn unix_sockets_of_others_are_received_and_work() {
    let (mut guest, handle, peer, _folder) = connected(8, None);
    let (one, mut other) = UnixStream::pair().unwrap();
    send_from_outside(&peer, &[one.as_fd(), one.as_fd()]);
    drop(one);
    let (flags, rights) = recv(&mut guest, handle, 2, 0).unwrap();
    assert_eq!((flags, rights.len()), (0, 2));
    let (_, first, family, ty, dup_of) = rights[0];
    assert_eq!((u32::from(family), u32::from(ty)), (AF_UNIX, SOCK_STREAM));
    assert_eq!(dup_of, 0);
    assert_eq!(rights[1].4, first, "the same socket twice");
    std::io::Write::write_all(&mut other, b"hi").unwrap();
    assert_eq!(guest.recv(first, 0, SOON).unwrap(), b"hi");
    assert_eq!(guest.recv(first, 0, 1), Err(Errno::EAGAIN));
}

#[test]
fn forbidden_rights_are_closed() {
    let (mut guest, handle, peer, folder) = connected(
        8,
        Some(TestFiles {
            limit: 8,
            ..TestFiles::default()
        }),
    );
    let (pipe, _writer) = std::io::pipe().unwrap();
    let flags = SocketFlags::CLOEXEC;
    let path = folder.path().join("file");
    fs::write(&path, "content").unwrap();
    let forbidden: Vec<OwnedFd> = vec![
        File::open(folder.path()).unwrap().into(),
        File::open("/dev/zero").unwrap().into(),
        pipe.into(),
        TcpListener::bind("127.0.0.1:0").unwrap().into(),
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        // The blocking mode of these is shared with others.
        UnixListener::bind(folder.path().join("listener"))
            .unwrap()
            .into(),
        socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap(),
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .unwrap()
            .0,
        OpenOptions::new()
            .read(true)
            .custom_flags(O_PATH)
            .open(&path)
            .unwrap()
            .into(),
    ];
    for fd in &forbidden {
        let before = open_count(fd.as_fd());
        send_from_outside(&peer, &[fd.as_fd()]);
        assert_eq!(recv(&mut guest, handle, 8, 0), CUT, "{fd:?}");
        assert_eq!(open_count(fd.as_fd()), before, "{fd:?}");
    }
    assert!(guest.files().open.is_empty());
    // Rights before the forbidden one are received, those after it are not.
    let (first, last) = (file(&folder), UnixDatagram::unbound().unwrap());
    let before = open_count(first.as_fd());
    send_from_outside(&peer, &[first.as_fd(), forbidden[0].as_fd(), last.as_fd()]);
    let (flags, rights) = recv(&mut guest, handle, 8, 0).unwrap();
    assert_eq!(
        (flags, rights),
        (MSG_CTRUNC, vec![(RIGHT_FILE, 0, 0, 0, 0)])
    );
    assert_eq!(open_count(first.as_fd()), before + 1);
    assert_eq!(open_count(last.as_fd()), 1);
}

#[test]
fn surplus_rights_are_closed_and_reported() {
    let (mut guest, handle, peer, _folder) = connected(8, None);
    let sockets: Vec<_> = (0..4).map(|_| UnixDatagram::unbound().unwrap()).collect();
    let fds: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
    for max in [0, 1, 2, 3] {
        send_from_outside(&peer, &fds);
        let (flags, rights) = recv(&mut guest, handle, max, 0).unwrap();
        assert_eq!((flags, rights.len()), (MSG_CTRUNC, max as usize));
        for (at, fd) in fds.iter().enumerate() {
            let received = usize::from(at < max as usize);
            assert_eq!(open_count(*fd), 1 + received, "{max} {at}");
        }
        for right in rights {
            guest.call("sock_close", &[right.1]).unwrap();
        }
    }
    send_from_outside(&peer, &fds);
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"x");
    for fd in &fds {
        assert_eq!(open_count(*fd), 1);
    }
}

#[test]
fn peeking_takes_no_rights() {
    let (mut guest, handle, peer, _folder) = connected(8, None);
    let sent = UnixDatagram::unbound().unwrap();
    send_from_outside(&peer, &[sent.as_fd()]);
    for _ in 0..3 {
        assert_eq!(recv(&mut guest, handle, 1, MSG_PEEK), CUT);
        assert_eq!(open_count(sent.as_fd()), 1);
    }
    let (flags, rights) = recv(&mut guest, handle, 1, 0).unwrap();
    assert_eq!((flags, rights.len()), (0, 1));
    assert_eq!(open_count(sent.as_fd()), 2);
}

#[test]
fn without_the_embedders_files_no_file_is_received() {
    let (mut guest, handle, peer, folder) = connected(8, None);
    let sent = file(&folder);
    let before = open_count(sent.as_fd());
    send_from_outside(&peer, &[sent.as_fd()]);
    assert_eq!(recv(&mut guest, handle, 1, 0), CUT);
    assert_eq!(open_count(sent.as_fd()), before);
}

#[test]
fn files_are_sent_and_received_within_the_limits() {
    let own = tempfile::tempdir().unwrap();
    let own = OwnedFd::from(file(&own));
    let files = TestFiles {
        open: vec![own, File::open("/dev/null").unwrap().into()],
        limit: 3,
    };
    let (mut guest, handle, peer, folder) = connected(8, Some(files));
    send(&mut guest, handle, &[(RIGHT_FILE, 0)]).unwrap();
    let received = receive_outside(&peer);
    let [received] = &received[..] else {
        panic!("one file")
    };
    let mut text = String::new();
    std::io::Read::read_to_string(&mut &File::from(received.try_clone().unwrap()), &mut text)
        .unwrap();
    assert_eq!(text, "content");
    // A device is not a regular file, even if the embedder returns it.
    let device = send(&mut guest, handle, &[(RIGHT_FILE, 1)]);
    assert_eq!(device, Err(Errno::EOPNOTSUPP));

    let sent = file(&folder);
    let before = open_count(sent.as_fd());
    send_from_outside(&peer, &[sent.as_fd(), sent.as_fd()]);
    let (flags, rights) = recv(&mut guest, handle, 8, 0).unwrap();
    assert_eq!(
        (flags, rights),
        (MSG_CTRUNC, vec![(RIGHT_FILE, 2, 0, 0, 0)])
    );
    assert_eq!(open_count(sent.as_fd()), before + 1);
    // Nothing was kept open by the calls that failed.
    drop(guest);
    assert_eq!(open_count(sent.as_fd()), before);
}

#[test]
fn socket_in_flight_is_in_no_interest_set() {
    let mut guest = Guest::with(SocketsCtx::builder(Policy::new()).max_sockets(8));
    let set = guest.get("interest_create", &[]).unwrap();
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    let stream = guest.open(SOCK_STREAM);
    // An unconnected stream is reported as hung up.
    let add = [set, CTL_ADD, stream, EVENT_IN, 7];
    guest.call("interest_ctl", &add).unwrap();
    assert_eq!(guest.wait(set, 0).unwrap().len(), 1);
    send(&mut guest, one, &[(RIGHT_SOCKET, stream)]).unwrap();
    guest.call("sock_close", &[stream]).unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    drop(recv(&mut guest, other, 1, 0));
}

#[test]
fn guest_without_grants_sends_no_unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = SocketsCtx::builder(Policy::new())
        .unix_folder(folder.path(), "/ro", true)
        .unwrap();
    let mut guest = Guest::with(sockets);
    let (one, other) = pair(&mut guest, SOCK_STREAM);
    let result = send(&mut guest, one, &[(RIGHT_SOCKET, other)]);
    assert_eq!(result, Err(Errno::EOPNOTSUPP));
    let stream = guest.open(SOCK_STREAM);
    send(&mut guest, one, &[(RIGHT_SOCKET, stream)]).unwrap();
    assert_eq!(recv(&mut guest, other, 1, 0).unwrap().1.len(), 1);
}
