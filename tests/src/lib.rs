//! The harness: guest programs in the real host, and servers on loopback for them to talk to.

pub mod bench;
pub mod dns;
#[path = "../fuzz/src/forwarding.rs"]
pub mod forwarding;
pub mod guest;
pub mod misbehaving;
pub mod native;
pub mod nginx;
pub mod python_package;
pub mod scripted;
pub mod servers;
pub mod tls;
