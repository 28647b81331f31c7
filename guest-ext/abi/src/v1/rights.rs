//! What is sent with a message besides its bytes: sockets and files (unix(7), SCM_RIGHTS).

use crate::Plain as _;
use crate::plain::{numbers, structs};

numbers! {
    /// The numbers of rights, by name.
    pub const RIGHTS_NUMBERS;

    /// Most [`Right`]s that go with one message: Linux's SCM_MAX_FD. More are EINVAL.
    pub const RIGHTS_MAX: usize = 253;

    /// In [`Right::kind`]: a socket.
    pub const RIGHT_SOCKET: u32 = 1;
    /// In [`Right::kind`]: a regular file.
    pub const RIGHT_FILE: u32 = 2;

    /// In [`ReceivedRights::flags`]: there were more rights than there was room for, or rights that this guest may not
    /// have; they were closed.
    pub const MSG_CTRUNC: u32 = 0x8;
}

structs! {
    /// The structs of rights.
    pub const RIGHTS_STRUCTS;

    /// A right to be sent: 8 bytes.
    #[derive(Default)]
    pub struct Right {
        /// [`RIGHT_SOCKET`] or [`RIGHT_FILE`].
        pub kind: u32,
        /// A handle; for a file its preview1 file descriptor.
        pub number: u32,
    }

    /// A right that was received: 16 bytes.
    #[derive(Default)]
    pub struct ReceivedRight {
        /// Its new number, which the guest has to close.
        pub right: Right,
        /// A socket's address family.
        pub family: u16,
        /// A socket's type.
        pub ty: u16,
        /// For a socket that the guest has already: one of its other handles, as if the new one came from
        /// `sock_dup`. Else 0.
        pub dup_of: u32,
    }

    /// What `sock_recv_rights` received: 12 bytes.
    #[derive(Default)]
    pub struct ReceivedRights {
        /// Bytes; if [`MSG_TRUNC`](super::MSG_TRUNC) was asked for, those of the whole datagram.
        pub bytes: u32,
        /// [`MSG_TRUNC`](super::MSG_TRUNC) and [`MSG_CTRUNC`], or 0.
        pub flags: u32,
        /// How many [`ReceivedRight`]s there are.
        pub count: u32,
    }
}

const _: () = {
    assert!(Right::SIZE == 8);
    assert!(ReceivedRight::SIZE == 16);
    assert!(ReceivedRights::SIZE == 12);
};
