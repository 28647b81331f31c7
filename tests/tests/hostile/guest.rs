//! The guest of these tests, which passes any arguments on to the imports.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use tokio::runtime::{Builder, Runtime};
use wasisocket_abi::v1::{self, ADDR_MAX, Iovec, PollEntry, UnixAddr};
use wasisocket_abi::{
    AF_INET, AF_INET6, CoreSocketAddr, Errno, Plain as _, SOCK_DGRAM, SOCK_STREAM,
};
use wasisocket_host::{
    Event, Files, Policy, SocketsCtx, SocketsCtxBuilder, SocketsView, add_files_to_linker,
    add_to_linker, add_to_linker_async,
};
use wasisocket_tests::forwarding;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val, ValType};

pub(crate) const PAGE: u32 = 65536;

/// Pointers with which an access reaches outside the memory, crosses its end, or wraps around.
pub(crate) const OUTSIDE: [u32; 7] = [
    PAGE,
    PAGE - 1,
    PAGE + 1,
    u32::MAX,
    u32::MAX - 3,
    1 << 31,
    PAGE * 2,
];

/// Addresses in the guest's memory, far enough from each other.
pub(crate) const OUT: u32 = 8;
pub(crate) const ADDRESS: u32 = 64;
pub(crate) const PEER: u32 = 256;
pub(crate) const IOVECS: u32 = 512;
pub(crate) const DATA: u32 = 2048;

/// The timeout without end: numbers are sign-extended to a `timeout`.
pub(crate) const FOREVER: u32 = u32::MAX;
/// A timeout in nanoseconds that is long enough for loopback, and ends a test that fails.
pub(crate) const SOON: u32 = 2_000_000_000;

/// The files of a guest, numbered from 0 on.
#[derive(Debug, Default)]
pub(crate) struct TestFiles {
    pub(crate) open: Vec<OwnedFd>,
    pub(crate) limit: usize,
}

impl Files for TestFiles {
    fn file(&mut self, number: u32) -> Option<OwnedFd> {
        self.open.get(number as usize)?.try_clone().ok()
    }

    fn adopt(&mut self, file: OwnedFd) -> Option<u32> {
        let number = self.open.len();
        (number < self.limit).then(|| self.open.push(file))?;
        Some(number as u32)
    }
}

pub(crate) struct Data {
    sockets: SocketsCtx,
    pub(crate) files: TestFiles,
}

pub(crate) struct Guest {
    store: Store<Data>,
    instance: Instance,
    memory: Memory,
    denials: Arc<Mutex<Vec<String>>>,
    limits: Arc<Mutex<Vec<&'static str>>>,
    /// The runtime of an asynchronous store.
    runtime: Option<Runtime>,
}

pub(crate) fn allow_all() -> Policy {
    Policy::new().allow("*").unwrap()
}

/// A policy that allows everything on loopback.
pub(crate) fn allow_loopback() -> Policy {
    Policy::new()
        .allow("localhost")
        .unwrap()
        .allow_listen("localhost")
        .unwrap()
}

impl SocketsView for Data {
    fn sockets(&mut self) -> &mut SocketsCtx {
        &mut self.sockets
    }
}

impl Guest {
    /// A guest that may have four handles.
    pub(crate) fn new(policy: Policy) -> Self {
        Self::with(SocketsCtx::builder(policy).max_sockets(4))
    }

    pub(crate) fn with(sockets: SocketsCtxBuilder) -> Self {
        Self::linked(sockets, None)
    }

    /// A guest whose files can be sent.
    pub(crate) fn with_files(sockets: SocketsCtxBuilder, files: TestFiles) -> Self {
        Self::linked(sockets, Some(files))
    }

    pub(crate) fn files(&self) -> &TestFiles {
        &self.store.data().files
    }

    fn linked(sockets: SocketsCtxBuilder, files: Option<TestFiles>) -> Self {
        let engine = Engine::default();
        let wasm = wat::parse_str(forwarding::module()).unwrap();
        let mut linker = Linker::new(&engine);
        let runtime = crate::ASYNC.then(|| {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime")
        });
        match runtime {
            None => add_to_linker(&mut linker, Data::sockets).unwrap(),
            Some(_) => add_to_linker_async(&mut linker, Data::sockets).unwrap(),
        }
        if files.is_some() {
            linker.allow_shadowing(true);
            add_files_to_linker(&mut linker, |data: &mut Data| {
                (&mut data.sockets, &mut data.files)
            })
            .unwrap();
        }
        let denials: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&denials);
        let limits: Arc<Mutex<Vec<_>>> = Arc::default();
        let reached = Arc::clone(&limits);
        let sockets = sockets
            .on_event(move |event| match event {
                Event::Denied(denial) => sink.lock().unwrap().push(denial.to_string()),
                Event::LimitReached(limit) => reached.lock().unwrap().push(limit.name()),
                _ => {}
            })
            .build();
        let files = files.unwrap_or_default();
        let mut store = Store::new(&engine, Data { sockets, files });
        let module = Module::new(&engine, wasm).unwrap();
        let instance = match &runtime {
            None => linker.instantiate(&mut store, &module),
            Some(runtime) => runtime.block_on(linker.instantiate_async(&mut store, &module)),
        };
        let instance = instance.unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self {
            store,
            instance,
            memory,
            denials,
            limits,
            runtime,
        }
    }

    pub(crate) fn call(&mut self, import: &str, arguments: &[u32]) -> Result<(), Errno> {
        let arguments: Vec<_> = arguments
            .iter()
            .map(|number| i64::from(number.cast_signed()))
            .collect();
        self.call_wide(import, &arguments)
    }

    pub(crate) fn call_wide(&mut self, import: &str, arguments: &[i64]) -> Result<(), Errno> {
        self.try_call(import, arguments).expect("no trap")
    }

    /// Like `call_wide`, for a call that may end the guest.
    pub(crate) fn try_call(
        &mut self,
        import: &str,
        arguments: &[i64],
    ) -> wasmtime::Result<Result<(), Errno>> {
        let function = self.instance.get_func(&mut self.store, import).unwrap();
        let types = function.ty(&self.store);
        let arguments: Vec<Val> = types
            .params()
            .zip(arguments)
            .map(|(ty, number)| match ty {
                ValType::I64 => Val::I64(*number),
                _ => Val::I32(*number as i32),
            })
            .collect();
        let mut result = [Val::I32(-1)];
        match &self.runtime {
            None => function.call(&mut self.store, &arguments, &mut result),
            Some(runtime) => {
                runtime.block_on(function.call_async(&mut self.store, &arguments, &mut result))
            }
        }?;
        Ok(match result[0].unwrap_i32().cast_unsigned() {
            0 => Ok(()),
            errno => Err(Errno(errno)),
        })
    }

    /// Calls an import whose last argument is an out parameter for a number, and returns the number.
    pub(crate) fn get(&mut self, import: &str, arguments: &[u32]) -> Result<u32, Errno> {
        self.call(import, &[arguments, &[OUT]].concat())?;
        Ok(self.read_u32(OUT))
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        self.memory
            .write(&mut self.store, at as usize, bytes)
            .unwrap();
    }

    pub(crate) fn read(&self, at: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory
            .read(&self.store, at as usize, &mut bytes)
            .unwrap();
        bytes
    }

    pub(crate) fn read_u32(&self, at: u32) -> u32 {
        let bytes = self.read(at, 4);
        u32::from_le_bytes(bytes.try_into().unwrap())
    }

    pub(crate) fn read_i64(&self, at: u32) -> i64 {
        let bytes = self.read(at, 8);
        i64::from_le_bytes(bytes.try_into().unwrap())
    }

    /// The denials since the last call.
    pub(crate) fn denials(&self) -> Vec<String> {
        std::mem::take(&mut self.denials.lock().unwrap())
    }

    /// The names of the limits that were reached since the last call.
    pub(crate) fn limits(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.limits.lock().unwrap())
    }

    pub(crate) fn open(&mut self, kind: u32) -> u32 {
        self.get("sock_open", &[AF_INET, kind]).unwrap()
    }

    pub(crate) fn open_v6(&mut self, kind: u32) -> u32 {
        self.get("sock_open", &[AF_INET6, kind]).unwrap()
    }

    pub(crate) fn connected(&mut self, address: SocketAddr) -> u32 {
        let handle = self.open(SOCK_STREAM);
        self.write(64, &CoreSocketAddr::from(address).to_bytes());
        self.call("sock_connect", &[handle, 64]).unwrap();
        handle
    }

    pub(crate) fn write_address(&mut self, address: SocketAddr) {
        self.write(ADDRESS, &v1::SocketAddr::from(address).to_bytes());
    }

    pub(crate) fn write_unix(&mut self, path: &str) {
        let address = UnixAddr::new(path.as_bytes()).unwrap();
        self.write(ADDRESS, &address.to_bytes());
    }

    pub(crate) fn bind(&mut self, handle: u32, address: SocketAddr) -> Result<(), Errno> {
        self.write_address(address);
        self.call("sock_bind", &[handle, ADDRESS])
    }

    pub(crate) fn connect(
        &mut self,
        handle: u32,
        address: SocketAddr,
        timeout: u32,
    ) -> Result<(), Errno> {
        self.write_address(address);
        self.call("sock_connect_to", &[handle, ADDRESS, timeout])
    }

    /// Connects a datagram socket to AF_UNSPEC.
    pub(crate) fn disconnect(&mut self, handle: u32) {
        self.write(ADDRESS, &[0; 28]);
        self.call("sock_connect_to", &[handle, ADDRESS, 0]).unwrap();
    }

    /// A UDP socket on loopback, bound to a port that the system picked.
    pub(crate) fn bound_datagram(&mut self) -> (u32, SocketAddr) {
        let handle = self.open(SOCK_DGRAM);
        self.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
        (handle, self.name(handle))
    }

    /// A TCP socket on loopback that listens at a port that the system picked.
    pub(crate) fn listener(&mut self) -> (u32, SocketAddr) {
        let handle = self.open(SOCK_STREAM);
        self.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
        self.call("sock_listen", &[handle, 16]).unwrap();
        (handle, self.name(handle))
    }

    pub(crate) fn ip_at(&self, at: u32) -> SocketAddr {
        let bytes = self.read(at, 28);
        let address = v1::SocketAddr::from_bytes(bytes.try_into().unwrap());
        address.try_into().unwrap()
    }

    /// The path of the address at `at`: `None` if there is no address, empty for an unnamed socket.
    pub(crate) fn unix_at(&self, at: u32) -> Option<String> {
        let bytes = self.read(at, ADDR_MAX);
        let address = UnixAddr::from_bytes(bytes.try_into().unwrap());
        (u32::from(address.family) == v1::AF_UNIX)
            .then(|| String::from_utf8(address.path().unwrap().to_vec()).unwrap())
    }

    pub(crate) fn name(&mut self, handle: u32) -> SocketAddr {
        self.call("sock_getsockname", &[handle, PEER]).unwrap();
        self.ip_at(PEER)
    }

    pub(crate) fn write_iovecs(&mut self, iovecs: &[(u32, u32)]) {
        let bytes: Vec<u8> = iovecs
            .iter()
            .map(|&(pointer, length)| Iovec { pointer, length })
            .flat_map(Iovec::to_bytes)
            .collect();
        self.write(IOVECS, &bytes);
    }

    /// Sends to the peer, or to the address at `to` if that is not 0.
    pub(crate) fn send(&mut self, handle: u32, data: &[u8], to: u32) -> Result<u32, Errno> {
        self.write(DATA, data);
        self.write_iovecs(&[(DATA, data.len() as u32)]);
        self.get("sock_sendmsg", &[handle, IOVECS, 1, to, 0, 0, SOON])
    }

    /// Receives up to 100 bytes, with the sender's address at [`PEER`].
    pub(crate) fn recv(&mut self, handle: u32, flags: u32, timeout: u32) -> Result<Vec<u8>, Errno> {
        self.write(DATA, &[0xaa; 100]);
        self.write_iovecs(&[(DATA, 100)]);
        let arguments = [handle, IOVECS, 1, PEER, 0, flags, timeout, OUT];
        self.call("sock_recvmsg", &arguments)?;
        Ok(self.read(DATA, self.read_u32(OUT) as usize))
    }

    pub(crate) fn option(&mut self, handle: u32, option: v1::SocketOption) -> Result<i64, Errno> {
        self.call("sock_getsockopt", &[handle, option.0, OUT])?;
        Ok(self.read_i64(OUT))
    }

    pub(crate) fn poll(
        &mut self,
        entries: &[(u32, u32)],
        timeout: u32,
    ) -> Result<(u32, Vec<u32>), Errno> {
        for (at, &(handle, events)) in (DATA..).step_by(8).zip(entries) {
            let entry = PollEntry {
                handle,
                events: events as u16,
                revents: 0xffff,
            };
            self.write(at, &entry.to_bytes());
        }
        let count = entries.len() as u32;
        let ready = self.get("sock_poll", &[DATA, count, timeout])?;
        let revents = (0..count).map(|at| self.read_u32(DATA + at * 8 + 4) >> 16);
        Ok((ready, revents.collect()))
    }

    /// Waits for an interest set, and returns the data and events of its entries.
    pub(crate) fn wait(&mut self, set: u32, timeout: u32) -> Result<Vec<(i64, u32)>, Errno> {
        let count = self.get("interest_wait", &[set, DATA, 16, timeout])?;
        let events = (0..count).map(|at| DATA + at * 16);
        Ok(events
            .map(|at| (self.read_i64(at), self.read_u32(at + 8)))
            .collect())
    }
}
