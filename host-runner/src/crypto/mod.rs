//! Cryptography that the host computes for its guests, in place of code that WebAssembly has no instructions for. No
//! sockets and no wasmtime in here.
//!
//! A guest passes its key with every message, and what it gets could be computed by itself: there is nothing to grant
//! or to deny. It computes on the guest's thread, inside the call, so its CPU time is the guest's.

#[cfg(not(feature = "crypto"))]
mod absent;
#[cfg(feature = "crypto")]
mod aead;
#[cfg(feature = "crypto")]
mod ecdsa;
#[cfg(feature = "crypto")]
mod sha256;
#[cfg(feature = "crypto")]
mod x25519;

#[cfg(not(feature = "crypto"))]
pub(crate) use absent::{Keys, ecdsa_verify, sha256_blocks, x25519};
#[cfg(feature = "crypto")]
pub(crate) use {aead::Keys, ecdsa::ecdsa_verify, sha256::sha256_blocks, x25519::x25519};

/// Whether TLS of guests is faster with AES than with ChaCha20: this processor has instructions for AES-GCM, and this
/// crate has its feature `crypto`. Who writes a guest's `openssl.cnf` orders its cipher suites by it.
#[must_use]
pub fn prefers_aes() -> bool {
    cfg!(feature = "crypto") && has_aes_instructions()
}

#[cfg(target_arch = "x86_64")]
fn has_aes_instructions() -> bool {
    std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "aarch64")]
fn has_aes_instructions() -> bool {
    std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull")
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn has_aes_instructions() -> bool {
    false
}
