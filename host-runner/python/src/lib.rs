//! CPython in WebAssembly as a guest of a Rust program: it has sockets, and reaches nothing that was not granted.
//!
//! [`Python`] is CPython, compiled once. A [`Program`] is what one guest runs and all that it is given. [`Python::run`]
//! and [`Python::run_async`] run it to its [`End`].
//!
//! ```no_run
//! use std::time::Duration;
//! use wasisocket_host::{Grants, List};
//! use wasisocket_python::{Capture, End, Program, Python};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let python = Python::builder().load()?;
//!
//! let mut grants = Grants::default();
//! grants.add(List::AllowNet, "example.com:443")?;
//! grants.limits.timeout = Some(Duration::from_secs(10));
//! grants.limits.max_memory = Some(128 << 20);
//! let fetch = "import sys, urllib.request\n\
//!     print(urllib.request.urlopen(sys.argv[1]).status)";
//! let stdout = Capture::new(1 << 20);
//! let program = Program::code(fetch)
//!     .args(["https://example.com/"])
//!     .grants(grants)
//!     .stdout(&stdout)
//!     .inherit_stderr();
//! match python.run(program)? {
//!     End::Exit(0) => print!("{}", String::from_utf8_lossy(&stdout.bytes())),
//!     end => println!("it failed: {end:?}"),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! python.wasm and its standard library are where [`Distribution::find`] looks: `cargo xtask python` builds them, and
//! `cargo xtask install` puts them beside the command `wasisocket`.
//!
//! This crate prints nothing. What goes wrong before the guest runs is an error, and how the guest ends is an [`End`].
//! Denials and reached limits are logged by `tracing` unless [`Program::sockets`] sends them elsewhere.
//!
//! # What a guest sees
//!
//! - `/`: the folder of its script, for reading, or the folder that was granted there, or else an empty one.
//! - `/etc`: the certificates that it trusts (`ssl/cert.pem`), OpenSSL's settings (`ssl/openssl.cnf`), and, if it may
//!   connect anywhere, the name servers that are asked for it (`resolv.conf`). Folders that are granted as `/etc` or
//!   `/etc/ssl` come before these.
//! - `/usr/share/zoneinfo`: the host's time zone database, for reading, unless a granted folder has one there. Without a
//!   variable `TZ`, its local time is UTC.
//! - `/tmp`: a folder of its own, for reading and writing, with a `home`. It is removed with the guest. What is in it counts for
//!   [`max_disk`](wasisocket_host::Limits::max_disk). A folder that is granted as `/tmp`, or a granted `/` that has
//!   one, comes before it.
//! - `/dev`: null, zero, full, random, urandom, stdin, stdout, stderr and fd, which are the guest's own.
//! - `/usr/local/lib/python3.N`: the standard library, for reading, and `/usr/local/bin/python3`, an empty file.
//! - The folders and variables that it is given, and nothing else of the host.
//!
//! # Many guests
//!
//! Thousands of guests run in one process: each begins with pages that all share, in two milliseconds, and is polled by
//! whatever task awaits [`Python::run_async`]. [`PythonBuilder::pool`] bounds them. `wasisocket-service` in this
//! repository is an HTTP server of this kind.
//!
//! Linux only, as [`wasisocket_host`] is.

mod cache;
mod clocks;
mod compiled;
mod distribution;
mod end;
mod engine;
mod etc;
mod files;
mod folders;
mod guest;
mod identity;
mod imports;
mod mapped;
mod monotonic;
mod places;
mod preview1;
mod private_folder;
mod profile;
mod program;
mod run;
mod sandbox;
mod sleep;
mod snapshot;
mod sources;
mod stdio;
mod system_certificates;
mod threads;
mod time_zones;
mod trusted_folder;
mod whole_file;

pub use cache::{CACHE_VARIABLE, Cache};
pub use distribution::{Distribution, PYTHON_VARIABLE};
pub use end::End;
pub use engine::{Python, PythonBuilder};
pub use etc::{Certificates, TLS_FOLDER};
pub use folders::Folder;
pub use imports::{Import, ImportState};
pub use profile::Profiler;
pub use program::Program;
pub use sandbox::{
    Arguments, Files, Frame, Function, FunctionError, GuestError, Outcome, Sandbox, SandboxBuilder,
    SandboxError, Usage, Value, block_on, blocking, runtime,
};
pub use snapshot::Preload;
pub use stdio::Capture;
pub use time_zones::{TIME_ZONES_FOLDER, TimeZones};
