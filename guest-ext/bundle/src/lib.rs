//! `libwasisocket.a`: all Rust that is linked into CPython, as one static library.
//!
//! A static library contains Rust's standard library, so a program can have only one of them. To link more
//! Rust into CPython, make a crate like this one that names the other crates too. Their exported functions
//! (`#[unsafe(no_mangle)]`) are then in the archive. `cpython-patch/README.md` has an example.

// Exports `PyInit__wasisocket`, and the C functions of `wasisocket-posix`.
use wasisocket_guest as _;
