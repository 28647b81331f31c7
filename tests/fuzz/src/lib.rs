//! The bodies of the fuzz targets. `cargo xtask test` calls them with random input.

pub mod forwarding;
pub mod imports;
pub mod policy;
