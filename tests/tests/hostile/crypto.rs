//! Ciphers, signatures and hashes with arguments that no honest guest passes.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    AEAD_AAD_MAX, AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AEAD_MESSAGE_MAX,
    ECDSA_SIGNATURE_MAX, GROUP_SECP256R1, SHA256_DATA_MAX,
};
use wasisocket_host::Policy;

use crate::guest::{Guest, OUTSIDE, PAGE};

const KEY: u32 = 128;
const NONCE: u32 = 192;
const AAD: u32 = 224;
const TAG: u32 = 320;
const MESSAGE: u32 = 4096;

const ALGORITHMS: [(u32, u32); 3] = [
    (AEAD_AES_128_GCM, 16),
    (AEAD_AES_256_GCM, 32),
    (AEAD_CHACHA20_POLY1305, 32),
];

/// The arguments of both imports, in their order.
type Arguments = [u32; 9];

const TEXT: &[u8] = b"a message of some length";

/// A guest without any grant: it needs none for this.
fn guest() -> Guest {
    let mut guest = Guest::new(Policy::new());
    let bytes: Vec<u8> = (0..64).collect();
    guest.write(KEY, &bytes);
    guest.write(NONCE, &bytes);
    guest.write(MESSAGE, TEXT);
    guest
}

fn arguments((algorithm, key_len): (u32, u32)) -> Arguments {
    let len = TEXT.len() as u32;
    [algorithm, KEY, key_len, NONCE, AAD, 5, MESSAGE, len, TAG]
}

fn changed<const N: usize>(arguments: [u32; N], at: usize, value: u32) -> [u32; N] {
    let mut changed = arguments;
    changed[at] = value;
    changed
}

#[test]
fn sealed_message_is_opened_once_and_a_forgery_is_zeros() {
    let mut guest = guest();
    for algorithm in ALGORITHMS {
        let arguments = arguments(algorithm);
        guest.write(MESSAGE, TEXT);
        guest.call("aead_seal", &arguments).unwrap();
        let sealed = guest.read(MESSAGE, TEXT.len());
        assert_ne!(sealed, TEXT);
        guest.call("aead_open", &arguments).unwrap();
        assert_eq!(guest.read(MESSAGE, TEXT.len()), TEXT);
        // What is opened is no longer sealed.
        let opened = guest.call("aead_open", &arguments);
        assert_eq!(opened, Err(Errno::EBADMSG));
        assert_eq!(guest.read(MESSAGE, TEXT.len()), [0; TEXT.len()]);
    }
}

#[test]
fn bad_pointers_are_faults_and_change_nothing() {
    let mut guest = guest();
    for algorithm in ALGORITHMS {
        let arguments = arguments(algorithm);
        for import in ["aead_seal", "aead_open"] {
            for at in [1, 3, 4, 6, 8] {
                for bad in OUTSIDE {
                    let called = guest.call(import, &changed(arguments, at, bad));
                    assert_eq!(called, Err(Errno::EFAULT), "{import} {at} {bad}");
                    assert_eq!(guest.read(MESSAGE, TEXT.len()), TEXT);
                }
            }
        }
    }
}

#[test]
fn unknown_algorithms_and_lengths_are_errors_and_change_nothing() {
    let mut guest = guest();
    for algorithm in ALGORITHMS {
        let good = arguments(algorithm);
        for import in ["aead_seal", "aead_open"] {
            for (at, bad, errno) in [
                (0, 0, Errno::EINVAL),
                (0, 3, Errno::EINVAL),
                (0, u32::MAX, Errno::EINVAL),
                (2, 0, Errno::EINVAL),
                (2, 24, Errno::EINVAL),
                (2, PAGE - KEY, Errno::EINVAL),
                (2, u32::MAX, Errno::EFAULT),
                (5, AEAD_AAD_MAX as u32 + 1, Errno::EINVAL),
                (5, u32::MAX, Errno::EINVAL),
                (7, AEAD_MESSAGE_MAX as u32 + 1, Errno::EMSGSIZE),
                (7, u32::MAX, Errno::EMSGSIZE),
                (7, AEAD_MESSAGE_MAX as u32, Errno::EFAULT),
            ] {
                let called = guest.call(import, &changed(good, at, bad));
                assert_eq!(called, Err(errno), "{import} {at} {bad}");
                assert_eq!(guest.read(MESSAGE, TEXT.len()), TEXT);
            }
        }
    }
}

#[test]
fn whatever_overlaps_is_read_before_the_message_changes() {
    for algorithm in ALGORITHMS {
        let good = arguments(algorithm);
        // Key, nonce and additional data are parts of the message, and the tag goes there too.
        let mut overlapping = good;
        for at in [1, 3, 4] {
            overlapping[at] = MESSAGE;
        }
        overlapping[7] = 64;
        overlapping[8] = MESSAGE + 16;
        let text: Vec<u8> = (100..164).collect();

        let mut guest = guest();
        guest.write(MESSAGE, &text);
        guest.call("aead_seal", &overlapping).unwrap();
        let sealed = guest.read(MESSAGE, 64);

        // The same from copies.
        for at in [KEY, NONCE, AAD] {
            guest.write(at, &text);
        }
        guest.write(MESSAGE, &text);
        let apart = changed(good, 7, 64);
        guest.call("aead_seal", &apart).unwrap();
        let mut expected = guest.read(MESSAGE, 64);
        expected[16..32].copy_from_slice(&guest.read(TAG, 16));
        assert_eq!(sealed, expected);
    }
}

#[test]
fn the_longest_message_fills_the_memory() {
    let mut guest = guest();
    // A page is as long as the longest message: all else lies in it.
    let all = [AEAD_CHACHA20_POLY1305, 0, 32, 0, 0, 32, 0, PAGE, PAGE - 16];
    assert_eq!(PAGE as usize, AEAD_MESSAGE_MAX);
    guest.call("aead_seal", &all).unwrap();
    let empty = [AEAD_AES_128_GCM, KEY, 16, NONCE, PAGE, 0, PAGE, 0, TAG];
    guest.call("aead_seal", &empty).unwrap();
    guest.call("aead_open", &empty).unwrap();
}

#[test]
fn signatures_with_any_arguments_are_refused() {
    const SIGNATURE: u32 = 512;
    let mut guest = guest();
    // No point, and no signature.
    let good = [GROUP_SECP256R1, KEY, 65, NONCE, 32, SIGNATURE, 70];
    assert_eq!(guest.call("ecdsa_verify", &good), Err(Errno::EBADMSG));
    for (at, bad, errno) in [
        (0, 0, Errno::EINVAL),
        (0, u32::MAX, Errno::EINVAL),
        (2, 0, Errno::EINVAL),
        (2, 97, Errno::EINVAL),
        (2, u32::MAX, Errno::EFAULT),
        (4, 0, Errno::EINVAL),
        (4, 20, Errno::EINVAL),
        (4, u32::MAX, Errno::EFAULT),
        (6, 0, Errno::EBADMSG),
        (6, ECDSA_SIGNATURE_MAX as u32 + 1, Errno::EINVAL),
        (6, u32::MAX, Errno::EFAULT),
    ] {
        let mut arguments = good;
        arguments[at] = bad;
        assert_eq!(
            guest.call("ecdsa_verify", &arguments),
            Err(errno),
            "{at} {bad}"
        );
    }
    for at in [1, 3, 5] {
        for bad in OUTSIDE {
            let mut arguments = good;
            arguments[at] = bad;
            assert_eq!(guest.call("ecdsa_verify", &arguments), Err(Errno::EFAULT));
        }
    }
}

#[test]
fn x25519_with_any_arguments_changes_only_a_whole_result() {
    const RESULT: u32 = 512;
    let mut guest = guest();
    let good = [KEY, MESSAGE, RESULT];
    for at in 0..3 {
        for bad in OUTSIDE {
            let called = guest.call("x25519", &changed(good, at, bad));
            assert_eq!(called, Err(Errno::EFAULT), "{at} {bad}");
        }
    }
    // Points of small order: all are zeros, or the number one.
    for point in [[0; 32], std::array::from_fn(|at| u8::from(at == 0))] {
        guest.write(MESSAGE, &point);
        assert_eq!(guest.call("x25519", &good), Err(Errno::EBADMSG));
    }
    assert_eq!(guest.read(RESULT, 32), [0; 32]);
    // The result takes the place of what it is computed from.
    guest.write(MESSAGE, &[9]);
    guest.call("x25519", &[KEY, MESSAGE, RESULT]).unwrap();
    guest.call("x25519", &[KEY, MESSAGE, KEY]).unwrap();
    assert_eq!(guest.read(KEY, 32), guest.read(RESULT, 32));
}

#[test]
fn hashing_with_any_arguments_changes_only_a_whole_state() {
    let mut guest = guest();
    let good = [KEY, 32, MESSAGE, 128];
    let before = guest.read(KEY, 32);
    for (at, bad, errno) in [
        (1, 0, Errno::EINVAL),
        (1, 31, Errno::EINVAL),
        (1, 64, Errno::EINVAL),
        (1, u32::MAX, Errno::EFAULT),
        (3, 63, Errno::EINVAL),
        (3, SHA256_DATA_MAX as u32, Errno::EFAULT),
        (3, SHA256_DATA_MAX as u32 + 64, Errno::EMSGSIZE),
        (3, u32::MAX, Errno::EMSGSIZE),
    ] {
        let mut arguments = good;
        arguments[at] = bad;
        let called = guest.call("sha256_blocks", &arguments);
        assert_eq!(called, Err(errno), "{at} {bad}");
    }
    for at in [0, 2] {
        for bad in OUTSIDE {
            let mut arguments = good;
            arguments[at] = bad;
            let called = guest.call("sha256_blocks", &arguments);
            assert_eq!(called, Err(Errno::EFAULT), "{at} {bad}");
        }
    }
    assert_eq!(guest.read(KEY, 32), before);
    guest.call("sha256_blocks", &[KEY, 32, MESSAGE, 0]).unwrap();
    assert_eq!(guest.read(KEY, 32), before);
    // The state is a part of the data.
    guest
        .call("sha256_blocks", &[MESSAGE + 8, 32, MESSAGE, 64])
        .unwrap();
    assert_eq!(guest.read(MESSAGE, 8), &TEXT[..8]);
}
