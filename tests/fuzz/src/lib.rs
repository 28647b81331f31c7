//! What the fuzz targets do. `cargo xtask test` does it with random input.

pub mod forwarding;
pub mod imports;
pub mod policy;
