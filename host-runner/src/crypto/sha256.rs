//! SHA-256 (FIPS 180-4), as far as it takes long: its blocks.

use sha2::block_api::compress256;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{SHA256_BLOCK_LEN, SHA256_STATE_LEN};

/// The state between two blocks, its numbers little-endian.
pub(crate) type State = [u8; SHA256_STATE_LEN];

/// Hashes whole blocks.
///
/// # Errors
/// EINVAL for data that ends within a block.
pub(crate) fn sha256_blocks(state: &mut State, data: &[u8]) -> Result<(), Errno> {
    let (blocks, []) = data.as_chunks::<SHA256_BLOCK_LEN>() else {
        return Err(Errno::EINVAL);
    };
    let (words, _) = state.as_chunks::<4>();
    let mut numbers = [0; SHA256_STATE_LEN / 4];
    for (number, word) in numbers.iter_mut().zip(words) {
        *number = u32::from_le_bytes(*word);
    }
    compress256(&mut numbers, blocks);
    let (words, _) = state.as_chunks_mut::<4>();
    for (word, number) in words.iter_mut().zip(numbers) {
        *word = number.to_le_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{State, sha256_blocks};
    use wasisocket_abi::Errno;

    /// FIPS 180-4, 5.3.3.
    const START: [u32; 8] = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];

    fn state(numbers: [u32; 8]) -> State {
        let bytes: Vec<u8> = numbers.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.try_into().unwrap()
    }

    /// "SHA-256 Example (One Block Message)" and "(Two Block Message)" of NIST's examples with intermediate values.
    #[test]
    fn published_examples_are_hashed() {
        let pad = |text: &[u8]| {
            let mut data = text.to_vec();
            data.push(0x80);
            while data.len() % 64 != 56 {
                data.push(0);
            }
            data.extend((text.len() as u64 * 8).to_be_bytes());
            data
        };
        let two = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        for (text, hash) in [
            (
                &b"abc"[..],
                [
                    0xba78_16bf,
                    0x8f01_cfea,
                    0x4141_40de,
                    0x5dae_2223,
                    0xb003_61a3,
                    0x9617_7a9c,
                    0xb410_ff61,
                    0xf200_15ad,
                ],
            ),
            (
                two,
                [
                    0x248d_6a61,
                    0xd206_38b8,
                    0xe5c0_2693,
                    0x0c3e_6039,
                    0xa33c_e459,
                    0x64ff_2167,
                    0xf6ec_edd4,
                    0x19db_06c1,
                ],
            ),
        ] {
            let data = pad(text);
            let mut whole = state(START);
            sha256_blocks(&mut whole, &data).unwrap();
            assert_eq!(whole, state(hash));
            let mut by_block = state(START);
            for block in data.chunks(64) {
                sha256_blocks(&mut by_block, block).unwrap();
            }
            assert_eq!(by_block, whole);
        }
    }

    #[test]
    fn parts_of_blocks_are_invalid_and_change_nothing() {
        let mut now = state(START);
        for length in [1, 63, 65] {
            let hashed = sha256_blocks(&mut now, &vec![0; length]);
            assert_eq!(hashed, Err(Errno::EINVAL));
        }
        sha256_blocks(&mut now, &[]).unwrap();
        assert_eq!(now, state(START));
    }
}
