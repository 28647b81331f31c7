//! What is sent with a message besides its bytes: sockets and files (unix(7), SCM_RIGHTS).

/// Most [`Right`]s that go with one message: Linux's SCM_MAX_FD. More are EINVAL.
pub const RIGHTS_MAX: usize = 253;

/// In [`Right::kind`]: a socket.
pub const RIGHT_SOCKET: u32 = 1;
/// In [`Right::kind`]: a regular file.
pub const RIGHT_FILE: u32 = 2;

/// In [`ReceivedRights::flags`]: there was more than the room was for, or than this guest may have; it was
/// closed.
pub const MSG_CTRUNC: u32 = 0x8;

/// One of what is sent: 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Right {
    /// [`RIGHT_SOCKET`] or [`RIGHT_FILE`].
    pub kind: u32,
    /// A handle; of a file its preview1 file descriptor.
    pub number: u32,
}

/// One of what was received: 16 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedRight {
    /// Its new number, which is the guest's to close.
    pub right: Right,
    /// Of a socket: its address family.
    pub family: u16,
    /// Of a socket: its type.
    pub ty: u16,
    /// Of a socket that the guest has already: one of its other handles, as if `sock_dup` had made the new
    /// one of it. Else 0.
    pub dup_of: u32,
}

/// What `sock_recv_rights` received: 12 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceivedRights {
    /// Bytes; with [`MSG_TRUNC`](super::MSG_TRUNC) asked for, those of the whole datagram.
    pub bytes: u32,
    /// [`MSG_TRUNC`](super::MSG_TRUNC) and [`MSG_CTRUNC`], or 0.
    pub flags: u32,
    /// How many [`ReceivedRight`]s there are.
    pub count: u32,
}

const _: () = {
    assert!(size_of::<Right>() == 8);
    assert!(size_of::<ReceivedRight>() == 16);
    assert!(size_of::<ReceivedRights>() == 12);
};
