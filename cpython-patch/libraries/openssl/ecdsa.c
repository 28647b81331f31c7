/* ECDSA signatures are verified by the host. Nothing in that is secret.
 *
 * This file takes the place of OpenSSL's ecdsa_ossl.c, which it includes with one of its functions renamed. */

#define ossl_ecdsa_verify upstream_ecdsa_verify
#include "upstream_ecdsa_ossl.c"
#undef ossl_ecdsa_verify

#include "wasisocket_crypto.h"

/* The longest uncompressed point: of P-384. */
#define POINT_MAX (1 + 2 * 48)

/* Whether the host has found that the signature is valid. */
static int host_verifies(const unsigned char *digest, int digest_len, const unsigned char *signature, int len,
    const EC_KEY *key)
{
    const EC_GROUP *group = EC_KEY_get0_group(key);
    const EC_POINT *point = EC_KEY_get0_public_key(key);
    unsigned char bytes[POINT_MAX];
    uint32_t number;
    size_t key_len;

    if (group == NULL || point == NULL || digest_len < 0 || len < 0)
        return 0;
    switch (EC_GROUP_get_curve_name(group)) {
    case NID_X9_62_prime256v1:
        number = WASISOCKET_SECP256R1;
        break;
    case NID_secp384r1:
        number = WASISOCKET_SECP384R1;
        break;
    default:
        return 0;
    }
    key_len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, bytes, sizeof(bytes), NULL);
    return key_len != 0
        && wasisocket_ecdsa_verify(number, bytes, key_len, digest, (size_t)digest_len, signature, (size_t)len) == 0;
}

int ossl_ecdsa_verify(int type, const unsigned char *digest, int digest_len, const unsigned char *signature, int len,
    EC_KEY *key)
{
    /* OpenSSL's code says what is wrong with a signature, so that its errors are the same with and without the host. */
    if (host_verifies(digest, digest_len, signature, len, key))
        return 1;
    return upstream_ecdsa_verify(type, digest, digest_len, signature, len, key);
}
