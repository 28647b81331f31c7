/* ChaCha20-Poly1305 by the host for records of TLS, which come in one piece. Other messages take OpenSSL's own code.
 *
 * This file takes the place of OpenSSL's of the same name, which it includes with its one public symbol renamed.
 *
 * Until OpenSSL's code has begun a message (mac_inited), these fields mean something else than there:
 *
 * | field | |
 * |---|---|
 * | aad | the message has begun: its first additional data is in tls_aad, as much as len.aad says |
 * | len.text | HOST_DONE or HOST_FORGED after the host was asked |
 *
 * base.buf, which is for ciphers with blocks, has the tag that was there before the nonce. */

#define ossl_prov_cipher_hw_chacha20_poly1305 upstream_hw_chacha20_poly1305
#include "upstream_cipher_chacha20_poly1305_hw.c"
#undef ossl_prov_cipher_hw_chacha20_poly1305

#include "wasisocket_crypto.h"

/* No text is that long. */
#define HOST_DONE UINT64_MAX
#define HOST_FORGED (UINT64_MAX - 1)

/* Has the host seal or open the whole message. 0 if it did not; else HOST_DONE or HOST_FORGED. */
static uint64_t ask_host(PROV_CHACHA20_POLY1305_CTX *ctx, size_t aad_len, const unsigned char *in, size_t len,
    unsigned char *out, unsigned char *tag)
{
    /* Key and nonce are kept as numbers, which are little-endian here as in the algorithm. */
    const unsigned char *key = (const unsigned char *)ctx->chacha.key.d;
    const unsigned char *nonce = (const unsigned char *)&ctx->chacha.counter[1];
    int error;

    if (in != out)
        memmove(out, in, len);
    if (ctx->base.enc)
        error = wasisocket_aead_seal(WASISOCKET_CHACHA20_POLY1305, key, CHACHA_KEY_SIZE, nonce, ctx->tls_aad, aad_len,
            out, len, tag);
    else
        error = wasisocket_aead_open(WASISOCKET_CHACHA20_POLY1305, key, CHACHA_KEY_SIZE, nonce, ctx->tls_aad, aad_len,
            out, len, tag);
    switch (error) {
    case 0:
        return HOST_DONE;
    case EBADMSG:
        return HOST_FORGED;
    default:
        return 0;
    }
}

/* A record of TLS 1.2: text and tag in one call. */
static int tls_1_2_record(PROV_CHACHA20_POLY1305_CTX *ctx, unsigned char *out, size_t *outl, const unsigned char *in,
    size_t inl)
{
    size_t len = ctx->tls_payload_length;
    uint64_t done;

    ctx->aad = 0;
    ctx->len.text = 0;
    if (inl != len + WASISOCKET_TAG_LEN)
        return 0;
    /* A tag that goes with the text is read before the text is changed, for they do not overlap. */
    done = ask_host(ctx, EVP_AEAD_TLS1_AAD_LEN, in, len, out, ctx->base.enc ? ctx->tag : (unsigned char *)in + len);
    if (done == 0)
        return chacha20_poly1305_aead_cipher(&ctx->base, out, outl, in, inl);
    ctx->tls_payload_length = NO_TLS_PAYLOAD_LENGTH;
    if (done == HOST_FORGED)
        return 0;
    if (ctx->base.enc)
        memcpy(out + len, ctx->tag, WASISOCKET_TAG_LEN);
    *outl = ctx->base.enc ? inl : len;
    return 1;
}

/* Whether the text is a whole record of TLS 1.3, and what the host needs for it is there. */
static int is_for_host(PROV_CHACHA20_POLY1305_CTX *ctx, size_t len)
{
    if (!ctx->aad || !wasisocket_is_record(ctx->tls_aad, (size_t)ctx->len.aad, len))
        return 0;
    if (ctx->base.enc)
        return 1;
    /* The tag may also come after the text: then the one here is that of an earlier message. */
    return ctx->tag_len == WASISOCKET_TAG_LEN && memcmp(ctx->tag, ctx->base.buf, WASISOCKET_TAG_LEN) != 0;
}

static int initiv(PROV_CIPHER_CTX *bctx)
{
    memcpy(bctx->buf, ((PROV_CHACHA20_POLY1305_CTX *)bctx)->tag, WASISOCKET_TAG_LEN);
    return chacha20_poly1305_initiv(bctx);
}

static int aead_cipher(PROV_CIPHER_CTX *bctx, unsigned char *out, size_t *outl, const unsigned char *in, size_t inl)
{
    PROV_CHACHA20_POLY1305_CTX *ctx = (PROV_CHACHA20_POLY1305_CTX *)bctx;
    unsigned char aad[sizeof(ctx->tls_aad)];
    size_t aad_len, ignored;

    if (ctx->mac_inited)
        return chacha20_poly1305_aead_cipher(bctx, out, outl, in, inl);
    if (ctx->tls_payload_length != NO_TLS_PAYLOAD_LENGTH) {
        if (in != NULL && out != NULL)
            return tls_1_2_record(ctx, out, outl, in, inl);
        ctx->aad = 0;
        return chacha20_poly1305_aead_cipher(bctx, out, outl, in, inl);
    }
    if (ctx->len.text == HOST_DONE || ctx->len.text == HOST_FORGED) {
        /* The end. More text cannot be: the record was whole. */
        int done = in == NULL && ctx->len.text == HOST_DONE;

        ctx->len.text = 0;
        *outl = 0;
        return done;
    }
    if (!ctx->aad)
        ctx->len.aad = 0;
    aad_len = (size_t)ctx->len.aad;
    if (in != NULL && out == NULL && inl <= sizeof(ctx->tls_aad) - aad_len) {
        memcpy(ctx->tls_aad + aad_len, in, inl);
        ctx->len.aad += inl;
        ctx->aad = 1;
        *outl = inl;
        return 1;
    }
    if (in != NULL && out != NULL && is_for_host(ctx, inl)) {
        uint64_t done = ask_host(ctx, aad_len, in, inl, out, ctx->tag);

        if (done != 0) {
            /* As without the host, a forgery is told of at the end. */
            ctx->len.text = done;
            ctx->aad = 0;
            *outl = inl;
            return 1;
        }
    }
    /* Not for the host: OpenSSL's code begins with what waits. */
    ctx->aad = 0;
    memcpy(aad, ctx->tls_aad, sizeof(aad));
    if (aad_len != 0 && !chacha20_poly1305_aead_cipher(bctx, NULL, &ignored, aad, aad_len))
        return 0;
    return chacha20_poly1305_aead_cipher(bctx, out, outl, in, inl);
}

static const PROV_CIPHER_HW_CHACHA20_POLY1305 host_hw = {
    { chacha20_poly1305_initkey, NULL },
    aead_cipher,
    initiv,
    chacha_poly1305_tls_init,
    chacha_poly1305_tls_iv_set_fixed
};

const PROV_CIPHER_HW *ossl_prov_cipher_hw_chacha20_poly1305(size_t keybits)
{
    return wasisocket_has_crypto() ? (PROV_CIPHER_HW *)&host_hw : upstream_hw_chacha20_poly1305(keybits);
}
