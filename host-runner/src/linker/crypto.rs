//! Ciphers, signatures and hashes.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    AEAD_AAD_MAX, AEAD_MESSAGE_MAX, AeadNonce, AeadTag, SHA256_DATA_MAX, X25519Bytes,
};

use super::Call;
use crate::crypto;
use crate::guest_memory::{GuestMemory, Pointer, Slice};

impl<F> Call<'_, F> {
    pub(super) fn aead_seal(
        &mut self,
        algorithm: u32,
        key: Slice<u8>,
        nonce: Pointer<AeadNonce>,
        aad: Slice<u8>,
        message: Slice<u8>,
    ) -> Result<AeadTag, Errno> {
        let Call {
            memory, sockets, ..
        } = self;
        let key = sockets.keys.get(algorithm, memory.bytes(key)?)?;
        let nonce = memory.read(nonce)?;
        let mut room = [0; AEAD_AAD_MAX];
        let aad = additional_data(memory, aad, &mut room)?;
        key.seal(
            nonce,
            aad,
            memory.bytes_mut(at_most(message, AEAD_MESSAGE_MAX)?)?,
        )
    }

    pub(super) fn aead_open(
        &mut self,
        algorithm: u32,
        key: Slice<u8>,
        nonce: Pointer<AeadNonce>,
        aad: Slice<u8>,
        message: Slice<u8>,
        tag: Pointer<AeadTag>,
    ) -> Result<(), Errno> {
        let Call {
            memory, sockets, ..
        } = self;
        let key = sockets.keys.get(algorithm, memory.bytes(key)?)?;
        let (nonce, tag) = (memory.read(nonce)?, memory.read(tag)?);
        let mut room = [0; AEAD_AAD_MAX];
        let aad = additional_data(memory, aad, &mut room)?;
        key.open(
            nonce,
            aad,
            memory.bytes_mut(at_most(message, AEAD_MESSAGE_MAX)?)?,
            tag,
        )
    }

    pub(super) fn ecdsa_verify(
        &mut self,
        group: u32,
        key: Slice<u8>,
        digest: Slice<u8>,
        signature: Slice<u8>,
    ) -> Result<(), Errno> {
        let [key, digest, signature] =
            [key, digest, signature].map(|slice| self.memory.bytes(slice));
        crypto::ecdsa_verify(group, key?, digest?, signature?)
    }

    pub(super) fn x25519(
        &mut self,
        private: Pointer<X25519Bytes>,
        public: Pointer<X25519Bytes>,
    ) -> Result<X25519Bytes, Errno> {
        crypto::x25519(&self.memory.read(private)?, &self.memory.read(public)?)
    }

    pub(super) fn sha256_blocks(&mut self, state: Slice<u8>, data: Slice<u8>) -> Result<(), Errno> {
        let data = at_most(data, SHA256_DATA_MAX)?;
        let now = self.memory.bytes(state)?;
        let mut now = now.try_into().map_err(|_| Errno::EINVAL)?;
        crypto::sha256_blocks(&mut now, self.memory.bytes(data)?)?;
        self.memory.bytes_mut(state)?.copy_from_slice(&now);
        Ok(())
    }
}

/// The additional data, copied: it may overlap the message. EINVAL for more than [`AEAD_AAD_MAX`].
fn additional_data<'a>(
    memory: &GuestMemory<'_>,
    aad: Slice<u8>,
    room: &'a mut [u8; AEAD_AAD_MAX],
) -> Result<&'a [u8], Errno> {
    let room = room.get_mut(..aad.count()).ok_or(Errno::EINVAL)?;
    room.copy_from_slice(memory.bytes(aad)?);
    Ok(room)
}

/// EMSGSIZE for more than `most` bytes: how long a guest computes is checked between two calls.
fn at_most(data: Slice<u8>, most: usize) -> Result<Slice<u8>, Errno> {
    match data.count() <= most {
        true => Ok(data),
        false => Err(Errno::EMSGSIZE),
    }
}
