//! What the host computes for OpenSSL: `wasisocket_crypto.h` beside its recipe.
//!
//! Each function returns 0 or an error number, as pthread functions do, and leaves `errno` alone.
//!
//! # Safety
//!
//! See the parent module. `nonce` has 12 bytes, `tag` 16. Nothing overlaps the message.

use std::ffi::c_int;

use super::{bytes, slice_mut};
use crate::crypto::{aead_open, aead_seal, ecdsa_verify, has_crypto, sha256_blocks, x25519};
use crate::{Errno, Result};

/// 1 if the host computes what is below, else 0.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_has_crypto() -> c_int {
    c_int::from(has_crypto())
}

/// Encrypts a message in place, and writes its tag.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_aead_seal(
    algorithm: u32,
    key: *const u8,
    key_len: usize,
    nonce: *const [u8; 12],
    aad: *const u8,
    aad_len: usize,
    message: *mut u8,
    len: usize,
    tag: *mut [u8; 16],
) -> c_int {
    let seal = || {
        // SAFETY: the caller's key.
        let key = unsafe { bytes(key, key_len) }?;
        // SAFETY: the caller's nonce.
        let nonce = unsafe { nonce.read() };
        // SAFETY: the caller's additional data.
        let aad = unsafe { bytes(aad, aad_len) }?;
        // SAFETY: the caller's message.
        let message = unsafe { slice_mut(message, len) }?;
        let sealed = aead_seal(algorithm, key, nonce, aad, message)?;
        // SAFETY: the caller's place for the tag.
        unsafe { tag.write(sealed) };
        Ok(())
    };
    error_number(seal())
}

/// Decrypts a message in place.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_aead_open(
    algorithm: u32,
    key: *const u8,
    key_len: usize,
    nonce: *const [u8; 12],
    aad: *const u8,
    aad_len: usize,
    message: *mut u8,
    len: usize,
    tag: *const [u8; 16],
) -> c_int {
    let open = || {
        // SAFETY: the caller's key.
        let key = unsafe { bytes(key, key_len) }?;
        // SAFETY: the caller's nonce.
        let nonce = unsafe { nonce.read() };
        // SAFETY: the caller's additional data.
        let aad = unsafe { bytes(aad, aad_len) }?;
        // SAFETY: the caller's message.
        let message = unsafe { slice_mut(message, len) }?;
        // SAFETY: the caller's tag.
        let tag = unsafe { tag.read() };
        aead_open(algorithm, key, nonce, aad, message, tag)
    };
    error_number(open())
}

/// Verifies an ECDSA signature.
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_ecdsa_verify(
    group: u32,
    key: *const u8,
    key_len: usize,
    digest: *const u8,
    digest_len: usize,
    signature: *const u8,
    len: usize,
) -> c_int {
    let verify = || {
        // SAFETY: the caller's key.
        let key = unsafe { bytes(key, key_len) }?;
        // SAFETY: the caller's digest.
        let digest = unsafe { bytes(digest, digest_len) }?;
        // SAFETY: the caller's signature.
        let signature = unsafe { bytes(signature, len) }?;
        ecdsa_verify(group, key, digest, signature)
    };
    error_number(verify())
}

/// X25519 of a private key and a public one, or 9.
///
/// # Safety
/// See the module. All have 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_x25519(
    result: *mut [u8; 32],
    private: *const [u8; 32],
    public: *const [u8; 32],
) -> c_int {
    // SAFETY: the caller's private key, which is not null and does not change meanwhile.
    let private = unsafe { &*private };
    // SAFETY: the same of the public one.
    let public = unsafe { &*public };
    error_number(x25519(private, public).map(|computed| {
        // SAFETY: the caller's place for the result.
        unsafe { result.write(computed) }
    }))
}

/// Hashes whole blocks with SHA-256.
///
/// # Safety
/// See the module. `state` has 32 bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_sha256_blocks(
    state: *mut [u8; 32],
    data: *const u8,
    len: usize,
) -> c_int {
    let hash = || {
        // SAFETY: the caller's data.
        let data = unsafe { bytes(data, len) }?;
        // SAFETY: the caller's state, which is not null and not in use otherwise.
        let state = unsafe { &mut *state };
        sha256_blocks(state, data)
    };
    error_number(hash())
}

fn error_number(result: Result<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(Errno(errno)) => errno,
    }
}
