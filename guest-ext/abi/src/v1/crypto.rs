//! What the host computes for a guest's TLS: the ciphers of its records, whether signatures are valid, and
//! hashes.

use crate::Plain as _;
use crate::plain::{numbers, structs};

numbers! {
    /// The numbers of cryptography, by name.
    pub const CRYPTO_NUMBERS;

    /// AES-128-GCM, with a key of 16 bytes: IANA's number ("AEAD Algorithms", RFC 5116), as those below.
    pub const AEAD_AES_128_GCM: u32 = 1;
    /// AES-256-GCM, with a key of 32 bytes.
    pub const AEAD_AES_256_GCM: u32 = 2;
    /// ChaCha20-Poly1305 (RFC 8439), with a key of 32 bytes.
    pub const AEAD_CHACHA20_POLY1305: u32 = 29;

    /// Longest message that `aead_seal` and `aead_open` take, in bytes: 64 KiB, more than any TLS record has. Longer
    /// ones are EMSGSIZE.
    pub const AEAD_MESSAGE_MAX: usize = 65_536;
    /// Most additional data of a message, in bytes: a TLS record has 5 or 13. More is EINVAL.
    pub const AEAD_AAD_MAX: usize = 32;

    /// The curve P-256: IANA's number ("TLS Supported Groups", RFC 8422), as the one below.
    pub const GROUP_SECP256R1: u32 = 23;
    /// The curve P-384.
    pub const GROUP_SECP384R1: u32 = 24;

    /// Longest ECDSA signature, in bytes: two numbers of P-384 in DER. Longer ones are EINVAL.
    pub const ECDSA_SIGNATURE_MAX: usize = 104;

    /// The state of SHA-256 between two blocks, in bytes: eight numbers of 32 bits.
    pub const SHA256_STATE_LEN: usize = 32;
    /// A block of SHA-256, in bytes.
    pub const SHA256_BLOCK_LEN: usize = 64;
    /// Most data that one `sha256_blocks` takes, in bytes: 64 KiB. More is EMSGSIZE.
    pub const SHA256_DATA_MAX: usize = 65_536;
}

structs! {
    /// The structs of cryptography.
    pub const CRYPTO_STRUCTS;

    /// The nonce of a message: 12 bytes. With one key, no two messages may have the same.
    #[derive(Default)]
    pub struct AeadNonce {
        /// It.
        pub bytes: [u8; 12],
    }

    /// What proves that a message was sealed with the same key, nonce and additional data: 16 bytes.
    #[derive(Default)]
    pub struct AeadTag {
        /// It.
        pub bytes: [u8; 16],
    }

    /// A number of X25519, least significant byte first: a private key, the coordinate of a public one, or what two
    /// parties share.
    #[derive(Default)]
    pub struct X25519Bytes {
        /// It.
        pub bytes: [u8; 32],
    }
}

const _: () = {
    assert!(AeadNonce::SIZE == 12);
    assert!(AeadTag::SIZE == 16);
    assert!(X25519Bytes::SIZE == 32);
};
