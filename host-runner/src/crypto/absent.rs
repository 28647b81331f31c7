//! Without the feature `crypto`: guests use their own code.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{AeadNonce, AeadTag, SHA256_STATE_LEN, X25519Bytes};

#[derive(Default)]
pub(crate) struct Keys {}

/// There is none.
pub(crate) enum Key {}

impl Keys {
    pub(crate) fn get(&mut self, _algorithm: u32, _key: &[u8]) -> Result<&Key, Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}

impl Key {
    pub(crate) fn seal(&self, _: AeadNonce, _: &[u8], _: &mut [u8]) -> Result<AeadTag, Errno> {
        match *self {}
    }

    pub(crate) fn open(
        &self,
        _: AeadNonce,
        _: &[u8],
        _: &mut [u8],
        _: AeadTag,
    ) -> Result<(), Errno> {
        match *self {}
    }
}

pub(crate) fn ecdsa_verify(_: u32, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}

pub(crate) fn x25519(_: &X25519Bytes, _: &X25519Bytes) -> Result<X25519Bytes, Errno> {
    Err(Errno::EOPNOTSUPP)
}

pub(crate) fn sha256_blocks(_: &mut [u8; SHA256_STATE_LEN], _: &[u8]) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}
