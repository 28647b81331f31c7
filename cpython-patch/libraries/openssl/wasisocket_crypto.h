/* What a host can compute for OpenSSL: guest-ext/posix/src/c_abi/crypto.rs.
 *
 * The functions return 0, or an error number of errno.h. */

#ifndef WASISOCKET_CRYPTO_H
#define WASISOCKET_CRYPTO_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* IANA's numbers of algorithms: "AEAD Algorithms", RFC 5116. */
#define WASISOCKET_AES_128_GCM 1
#define WASISOCKET_AES_256_GCM 2
#define WASISOCKET_CHACHA20_POLY1305 29

#define WASISOCKET_NONCE_LEN 12
#define WASISOCKET_TAG_LEN 16

/* 1 if the host computes what is below; else OpenSSL's own code has to run. */
int wasisocket_has_crypto(void);

/* Encrypts a message in place, and writes its tag. On an error nothing is changed. */
int wasisocket_aead_seal(uint32_t algorithm, const unsigned char *key, size_t key_len, const unsigned char *nonce,
    const unsigned char *aad, size_t aad_len, unsigned char *message, size_t len, unsigned char *tag);

/* Decrypts a message in place. EBADMSG if it is not that of the tag: then the message is all zeros. On other errors
 * nothing is changed. */
int wasisocket_aead_open(uint32_t algorithm, const unsigned char *key, size_t key_len, const unsigned char *nonce,
    const unsigned char *aad, size_t aad_len, unsigned char *message, size_t len, const unsigned char *tag);

/* IANA's numbers of curves: "TLS Supported Groups", RFC 8422. */
#define WASISOCKET_SECP256R1 23
#define WASISOCKET_SECP384R1 24

/* Verifies an ECDSA signature in DER of a digest, with a key that is an uncompressed point. EBADMSG if it is not valid. */
int wasisocket_ecdsa_verify(uint32_t group, const unsigned char *key, size_t key_len, const unsigned char *digest,
    size_t digest_len, const unsigned char *signature, size_t len);

/* X25519 (RFC 7748) of a private key and a public one, or, with 9 in place of that, the public key. EBADMSG if the result
 * is all zeros. */
int wasisocket_x25519(unsigned char result[32], const unsigned char private_key[32], const unsigned char public_key[32]);

/* Hashes whole blocks with SHA-256: changes the state. At most 64 KiB. */
#define WASISOCKET_SHA256_MAX 65536
int wasisocket_sha256_blocks(uint32_t state[8], const unsigned char *data, size_t len);

/* The additional data of a record of TLS 1.3: type (application_data), version, and length with the tag (RFC 8446,
 * 5.2). */
#define WASISOCKET_RECORD_AAD_LEN 5

/* Whether a text of this length is a whole record of TLS 1.3. EVP takes a message in pieces, and only its additional
 * data tells how long a record is. */
static inline int wasisocket_is_record(const unsigned char *aad, size_t aad_len, size_t len)
{
    return aad_len == WASISOCKET_RECORD_AAD_LEN && aad[0] == 23 && aad[1] == 3 && aad[2] == 3
        && ((size_t)aad[3] << 8 | aad[4]) == len + WASISOCKET_TAG_LEN;
}

#endif
