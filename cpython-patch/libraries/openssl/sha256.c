/* The blocks of SHA-256 are hashed by the host.
 *
 * This file takes the place of OpenSSL's of the same name, which it includes as if there was assembly: that has to supply
 * one function, and OpenSSL's C code has another name. */

#define SHA256_ASM
#define INCLUDE_C_SHA256
#include "upstream_sha256.c"

#include "wasisocket_crypto.h"

/* A call of the host takes about as long as hashing one block here. */
#define BLOCKS_MIN 2

void sha256_block_data_order(SHA256_CTX *ctx, const void *in, size_t blocks)
{
    const unsigned char *data = in;

    while (blocks >= BLOCKS_MIN && wasisocket_has_crypto()) {
        size_t len = blocks * SHA256_CBLOCK;

        if (blocks > WASISOCKET_SHA256_MAX / SHA256_CBLOCK)
            len = WASISOCKET_SHA256_MAX;
        if (wasisocket_sha256_blocks(ctx->h, data, len) != 0)
            break;
        data += len;
        blocks -= len / SHA256_CBLOCK;
    }
    if (blocks != 0)
        sha256_block_data_order_c(ctx, data, blocks);
}
