//! What the host computes, for a TLS library in the guest. Not POSIX's.

use std::sync::OnceLock;

use wasisocket_abi::v1::{
    AEAD_CHACHA20_POLY1305, AeadNonce, AeadTag, SHA256_STATE_LEN, X25519Bytes,
};

use crate::Result;
use crate::host::{Host as _, Imp};

/// Whether the host computes what is below. It is asked once.
pub fn has_crypto() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let key = [0; 32];
        aead_seal(AEAD_CHACHA20_POLY1305, &key, [0; 12], &[], &mut []).is_ok()
    })
}

/// Encrypts a message in place with one of the ABI's `AEAD_` algorithms, and returns its tag.
///
/// # Errors
/// ENOTSUP if the host has no ciphers. EINVAL for an unknown algorithm, a key of another length than the algorithm's,
/// or too much additional data. EMSGSIZE for a message that is too long.
pub fn aead_seal(
    algorithm: u32,
    key: &[u8],
    nonce: [u8; 12],
    aad: &[u8],
    message: &mut [u8],
) -> Result<[u8; 16]> {
    let nonce = AeadNonce { bytes: nonce };
    Ok(Imp::aead_seal(algorithm, key, nonce, aad, message)?.bytes)
}

/// Decrypts a message in place.
///
/// # Errors
/// EBADMSG if it is not the message of this tag: then it is all zeros. Otherwise as for [`aead_seal`].
pub fn aead_open(
    algorithm: u32,
    key: &[u8],
    nonce: [u8; 12],
    aad: &[u8],
    message: &mut [u8],
    tag: [u8; 16],
) -> Result<()> {
    let (nonce, tag) = (AeadNonce { bytes: nonce }, AeadTag { bytes: tag });
    Ok(Imp::aead_open(algorithm, key, nonce, aad, message, tag)?)
}

/// Verifies an ECDSA signature in DER of a digest. `group` is one of the ABI's `GROUP_`s, `key` an uncompressed point
/// of it.
///
/// # Errors
/// ENOTSUP if the host cannot. EBADMSG if the signature is not valid. EINVAL for a group or a length that the host does
/// not know.
pub fn ecdsa_verify(group: u32, key: &[u8], digest: &[u8], signature: &[u8]) -> Result<()> {
    Ok(Imp::ecdsa_verify(group, key, digest, signature)?)
}

/// X25519 (RFC 7748) of a private key and a public one, or of a private key and 9, which gives its public key.
///
/// # Errors
/// ENOTSUP if the host cannot. EBADMSG if the result is all zeros.
pub fn x25519(private: &[u8; 32], public: &[u8; 32]) -> Result<[u8; 32]> {
    let [private, public] = [*private, *public].map(|bytes| X25519Bytes { bytes });
    Ok(Imp::x25519(&private, &public)?.bytes)
}

/// Hashes whole blocks with SHA-256: changes the state between two blocks, whose numbers are little-endian.
///
/// # Errors
/// ENOTSUP if the host cannot. EINVAL for data that ends within a block; EMSGSIZE for more than 64 KiB.
pub fn sha256_blocks(state: &mut [u8; SHA256_STATE_LEN], data: &[u8]) -> Result<()> {
    Ok(Imp::sha256_blocks(state, data)?)
}

#[cfg(test)]
mod tests {
    use super::{
        AEAD_CHACHA20_POLY1305, aead_open, aead_seal, ecdsa_verify, has_crypto, sha256_blocks,
        x25519,
    };
    use crate::Errno;

    #[test]
    fn host_without_cryptography_says_so_and_changes_nothing() {
        let (key, nonce, tag) = ([1; 32], [2; 12], [3; 16]);
        let mut message = [4; 8];
        let unsupported = Errno(libc::EOPNOTSUPP);
        assert!(!has_crypto());
        let sealed = aead_seal(AEAD_CHACHA20_POLY1305, &key, nonce, &[], &mut message);
        assert_eq!(sealed, Err(unsupported));
        let opened = aead_open(AEAD_CHACHA20_POLY1305, &key, nonce, &[], &mut message, tag);
        assert_eq!(opened, Err(unsupported));
        assert_eq!(message, [4; 8]);
        let verified = ecdsa_verify(23, &[4; 65], &[0; 32], &[0x30, 0]);
        assert_eq!(verified, Err(unsupported));
        assert_eq!(x25519(&[6; 32], &[9; 32]), Err(unsupported));
        assert_eq!(sha256_blocks(&mut [5; 32], &[0; 64]), Err(unsupported));
    }
}
