//! Files that a guest and a peer outside send to each other.

use std::fs::{self, File};
use std::io::{IoSlice, IoSliceMut, Read as _, Seek as _, SeekFrom};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use wasisocket_tests::guest::{program, run};

fn send(peer: &UnixStream, fd: BorrowedFd<'_>) {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let fds = [fd];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    let data = [IoSlice::new(b"x")];
    sendmsg(peer, &data, &mut control, SendFlags::empty()).unwrap();
}

fn receive(peer: &UnixStream) -> Vec<File> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let mut data = [0; 1];
    let mut data = [IoSliceMut::new(&mut data)];
    recvmsg(peer, &mut data, &mut control, RecvFlags::CMSG_CLOEXEC).unwrap();
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds.map(File::from).collect::<Vec<_>>()),
        _ => None,
    });
    rights.flatten().collect()
}

#[test]
fn received_file_has_the_access_mode_of_its_sender() {
    let [run_folder, read_only, outside] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    fs::write(run_folder.path().join("file"), "0123456789".repeat(10)).unwrap();
    fs::write(read_only.path().join("file"), "read only").unwrap();
    let sent = outside.path().join("sent");
    fs::write(&sent, "content").unwrap();
    let before = fs::metadata(&sent).unwrap();

    let listener = UnixListener::bind(run_folder.path().join("peer.sock")).unwrap();
    let sent_path = sent.clone();
    let peer = thread::spawn(move || {
        let (peer, _) = listener.accept().unwrap();
        let mut file = File::open(&sent_path).unwrap();
        file.seek(SeekFrom::Start(3)).unwrap();
        send(&peer, file.as_fd());
        send(&peer, File::open(outside.path()).unwrap().as_fd());
        let mut received = receive(&peer);
        // The guest has read from it meanwhile, which did not move the offset of this descriptor.
        assert_eq!(file.stream_position().unwrap(), 3);
        let modes = received.iter().map(|file| {
            let flags = fcntl_getfl(file).unwrap();
            (flags & OFlags::RWMODE, flags.contains(OFlags::APPEND))
        });
        assert_eq!(
            modes.collect::<Vec<_>>(),
            [
                (OFlags::RDONLY, false),
                (OFlags::RDONLY, false),
                (OFlags::WRONLY, true)
            ]
        );
        let places = received.iter_mut().map(|file| file.stream_position());
        let places: Result<Vec<_>, _> = places.collect();
        assert_eq!(places.unwrap(), [6, 2, 8]);
        let mut text = String::new();
        received[1].read_to_string(&mut text).unwrap();
        assert_eq!(text, "ad only");
        drop(peer);
        outside
    });
    run()
        .arg(format!("--dir={}::/run", run_folder.path().display()))
        .arg(format!("--dir={}::/ro:ro", read_only.path().display()))
        .arg(program("files/rights.py"))
        .succeeds();
    let _outside = peer.join().unwrap();
    let after = fs::metadata(&sent).unwrap();
    assert_eq!(fs::read_to_string(&sent).unwrap(), "content");
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
}
