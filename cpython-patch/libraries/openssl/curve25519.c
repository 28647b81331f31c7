/* The host multiplies for X25519.
 *
 * This file takes the place of OpenSSL's of the same name, which it includes with two of its functions renamed. */

#define ossl_x25519 upstream_x25519
#define ossl_x25519_public_from_private upstream_x25519_public_from_private
#include "upstream_curve25519.c"
#undef ossl_x25519
#undef ossl_x25519_public_from_private

#include "wasisocket_crypto.h"

int ossl_x25519(uint8_t shared[32], const uint8_t private_key[32], const uint8_t public_key[32])
{
    if (wasisocket_has_crypto() && wasisocket_x25519(shared, private_key, public_key) == 0)
        return 1;
    return upstream_x25519(shared, private_key, public_key);
}

void ossl_x25519_public_from_private(uint8_t public_key[32], const uint8_t private_key[32])
{
    static const uint8_t base_point[32] = {9};

    if (!wasisocket_has_crypto() || wasisocket_x25519(public_key, private_key, base_point) != 0)
        upstream_x25519_public_from_private(public_key, private_key);
}
