//! The imports as they are declared; `wasisocket_abi` says what each does.

use wasisocket_abi::v1::{
    Ancillary, Event, Interface, Iovec, PollEntry, Received, ReceivedRight, ReceivedRights, Right,
    SocketAddr,
};

// The name here is `wasisocket_abi::CORE_MODULE`: the attribute takes a literal only.
#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(super) safe fn sock_open(af: u32, ty: u32, handle: &mut u32) -> u32;
    pub(super) safe fn sock_close(handle: u32) -> u32;
}

// And of this one `wasisocket_abi::v1::MODULE`.
#[link(wasm_import_module = "wasisocket_v1")]
unsafe extern "C" {
    pub(super) safe fn sock_open_protocol(af: u32, ty: u32, protocol: u32, handle: &mut u32)
    -> u32;
    pub(super) safe fn sock_pair(ty: u32, pair: &mut [u32; 2]) -> u32;
    pub(super) safe fn sock_dup(handle: u32, dup: &mut u32) -> u32;
    pub(super) unsafe fn sock_bind(handle: u32, address: *const u8) -> u32;
    pub(super) safe fn sock_listen(handle: u32, backlog: u32) -> u32;
    pub(super) unsafe fn sock_accept(
        handle: u32,
        timeout: i64,
        address: *mut u8,
        accepted: &mut u32,
    ) -> u32;
    pub(super) unsafe fn sock_connect_to(handle: u32, address: *const u8, timeout: i64) -> u32;
    pub(super) safe fn sock_shutdown(handle: u32, how: u32) -> u32;
    pub(super) unsafe fn sock_getsockname(handle: u32, address: *mut u8) -> u32;
    pub(super) unsafe fn sock_getpeername(handle: u32, address: *mut u8) -> u32;
    pub(super) unsafe fn sock_sendmsg(
        handle: u32,
        iovecs: *const Iovec,
        count: usize,
        address: *const u8,
        ancillary: Option<&Ancillary>,
        flags: u32,
        timeout: i64,
        sent: &mut u32,
    ) -> u32;
    pub(super) unsafe fn sock_recvmsg(
        handle: u32,
        iovecs: *const Iovec,
        count: usize,
        address: *mut u8,
        ancillary: Option<&mut Ancillary>,
        flags: u32,
        timeout: i64,
        received: &mut Received,
    ) -> u32;
    pub(super) unsafe fn sock_send_rights(
        handle: u32,
        iovecs: *const Iovec,
        count: usize,
        address: *const u8,
        rights: *const Right,
        rights_count: usize,
        flags: u32,
        sent: &mut u32,
    ) -> u32;
    pub(super) unsafe fn sock_recv_rights(
        handle: u32,
        iovecs: *const Iovec,
        count: usize,
        address: *mut u8,
        rights: *mut ReceivedRight,
        max: usize,
        flags: u32,
        received: &mut ReceivedRights,
    ) -> u32;
    pub(super) safe fn sock_getsockopt(handle: u32, option: u32, value: &mut i64) -> u32;
    pub(super) safe fn sock_setsockopt(handle: u32, option: u32, value: i64) -> u32;
    pub(super) unsafe fn sock_membership(
        handle: u32,
        join: u32,
        group: *const u8,
        interface: *const u8,
    ) -> u32;
    pub(super) unsafe fn sock_poll(
        entries: *mut PollEntry,
        count: usize,
        timeout: i64,
        ready: &mut u32,
    ) -> u32;
    pub(super) safe fn interest_create(set: &mut u32) -> u32;
    pub(super) safe fn interest_ctl(set: u32, op: u32, handle: u32, events: u32, data: i64) -> u32;
    pub(super) unsafe fn interest_wait(
        set: u32,
        events: *mut Event,
        max: usize,
        timeout: i64,
        count: &mut u32,
    ) -> u32;
    pub(super) unsafe fn lookup_name(
        name: *const u8,
        len: usize,
        family: u32,
        lookup: &mut u32,
    ) -> u32;
    pub(super) unsafe fn lookup_addr(address: *const u8, lookup: &mut u32) -> u32;
    pub(super) unsafe fn lookup_addrs(
        lookup: u32,
        addresses: *mut SocketAddr,
        max: usize,
        timeout: i64,
        count: &mut u32,
    ) -> u32;
    pub(super) unsafe fn lookup_host(
        lookup: u32,
        name: *mut u8,
        max: usize,
        timeout: i64,
        len: &mut u32,
    ) -> u32;
    pub(super) unsafe fn net_interfaces(
        entries: *mut Interface,
        max: usize,
        count: &mut u32,
    ) -> u32;
}
