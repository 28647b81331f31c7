/* AES-GCM by the host for records of TLS, which come in one piece. Other messages take OpenSSL's own code.
 *
 * This file takes the place of OpenSSL's of the same name, which it includes with its one public symbol renamed.
 *
 * PROV_GCM_CTX has no room for more, so that what the host is asked for lies in fields that OpenSSL's code uses only
 * after it has expanded the key:
 *
 * | field | until the key is expanded (gcm.key is NULL) |
 * |---|---|
 * | ks | the key itself |
 * | gcm.ares | the stage of the message |
 * | gcm.Yi | its nonce |
 * | gcm.Xn, gcm.len.u[0] | its additional data |
 * | gcm.Xi | its tag, once it is sealed |
 * | gcm.EK0 | a tag that was used already |
 *
 * A message that is not the host's, for whatever reason, has the key expanded: from then on the context is as if there
 * was no host, until it gets another key. */

#define ossl_prov_aes_hw_gcm upstream_aes_hw_gcm
#include "upstream_cipher_aes_gcm_hw.c"
#undef ossl_prov_aes_hw_gcm

#include <openssl/crypto.h>

#include "wasisocket_crypto.h"

/* Stages of a message. */
enum {
    /* There is no nonce. */
    STAGE_NONE,
    /* There is a nonce, maybe additional data, and no text. */
    STAGE_BEGUN,
    /* The host has sealed or opened it. */
    STAGE_DONE,
    /* The host has found that it is forged. */
    STAGE_FORGED
};

static unsigned char *raw_key(PROV_GCM_CTX *ctx)
{
    return (unsigned char *)&((PROV_AES_GCM_CTX *)ctx)->ks.ks;
}

static int is_expanded(const PROV_GCM_CTX *ctx)
{
    return ctx->gcm.key != NULL;
}

static int host_setkey(PROV_GCM_CTX *ctx, const unsigned char *key, size_t len)
{
    /* As CRYPTO_gcm128_init() does. */
    memset(&ctx->gcm, 0, sizeof(ctx->gcm));
    memcpy(ctx->gcm.EK0.c, ctx->buf, WASISOCKET_TAG_LEN);
    memcpy(raw_key(ctx), key, len);
    ctx->key_set = 1;
    return 1;
}

/* Expands the key, and gives OpenSSL's code what there is of the message. 0 if that is too late. */
static int leave_host(PROV_GCM_CTX *ctx)
{
    unsigned char key[32], iv[WASISOCKET_NONCE_LEN], aad[sizeof(ctx->gcm.Xn)];
    size_t aad_len = (size_t)ctx->gcm.len.u[0];
    unsigned int stage = ctx->gcm.ares;
    int expanded;

    if (is_expanded(ctx))
        return 1;
    if (stage != STAGE_NONE && stage != STAGE_BEGUN)
        return 0;
    memcpy(key, raw_key(ctx), ctx->keylen);
    memcpy(iv, ctx->gcm.Yi.c, sizeof(iv));
    memcpy(aad, ctx->gcm.Xn, sizeof(aad));
    expanded = aes_gcm.setkey(ctx, key, ctx->keylen);
    OPENSSL_cleanse(key, sizeof(key));
    if (!expanded || stage == STAGE_NONE)
        return expanded;
    return aes_gcm.setiv(ctx, iv, sizeof(iv)) && (aad_len == 0 || aes_gcm.aadupdate(ctx, aad, aad_len));
}

static int host_setiv(PROV_GCM_CTX *ctx, const unsigned char *iv, size_t len)
{
    if (is_expanded(ctx) || len != WASISOCKET_NONCE_LEN) {
        /* The message before is over. */
        if (!is_expanded(ctx))
            ctx->gcm.ares = STAGE_NONE;
        return leave_host(ctx) && aes_gcm.setiv(ctx, iv, len);
    }
    memcpy(ctx->gcm.Yi.c, iv, len);
    ctx->gcm.len.u[0] = 0;
    ctx->gcm.ares = STAGE_BEGUN;
    return 1;
}

static int host_aadupdate(PROV_GCM_CTX *ctx, const unsigned char *aad, size_t len)
{
    size_t used = (size_t)ctx->gcm.len.u[0];

    if (!is_expanded(ctx) && ctx->gcm.ares == STAGE_BEGUN && len <= sizeof(ctx->gcm.Xn) - used) {
        memcpy(ctx->gcm.Xn + used, aad, len);
        ctx->gcm.len.u[0] += len;
        return 1;
    }
    return leave_host(ctx) && aes_gcm.aadupdate(ctx, aad, len);
}

/* Has the host seal or open the whole message. 0 if it did not. */
static int ask_host(PROV_GCM_CTX *ctx, const unsigned char *in, size_t len, unsigned char *out, unsigned char *tag)
{
    uint32_t algorithm = ctx->keylen == 16 ? WASISOCKET_AES_128_GCM : WASISOCKET_AES_256_GCM;
    int error;

    if (is_expanded(ctx) || ctx->gcm.ares != STAGE_BEGUN)
        return 0;
    if (in != out)
        memmove(out, in, len);
    if (ctx->enc)
        error = wasisocket_aead_seal(algorithm, raw_key(ctx), ctx->keylen, ctx->gcm.Yi.c, ctx->gcm.Xn,
            (size_t)ctx->gcm.len.u[0], out, len, tag);
    else
        error = wasisocket_aead_open(algorithm, raw_key(ctx), ctx->keylen, ctx->gcm.Yi.c, ctx->gcm.Xn,
            (size_t)ctx->gcm.len.u[0], out, len, tag);
    if (error != 0 && error != EBADMSG)
        return 0;
    ctx->gcm.ares = error == 0 ? STAGE_DONE : STAGE_FORGED;
    return 1;
}

static int host_cipherupdate(PROV_GCM_CTX *ctx, const unsigned char *in, size_t len, unsigned char *out)
{
    if (!is_expanded(ctx) && wasisocket_is_record(ctx->gcm.Xn, (size_t)ctx->gcm.len.u[0], len)) {
        if (ctx->enc) {
            if (ask_host(ctx, in, len, out, ctx->gcm.Xi.c))
                return 1;
        } else if (ctx->taglen == WASISOCKET_TAG_LEN && memcmp(ctx->buf, ctx->gcm.EK0.c, WASISOCKET_TAG_LEN) != 0) {
            /* The tag may also come after the text: then the one here is that of an earlier message. */
            memcpy(ctx->gcm.EK0.c, ctx->buf, WASISOCKET_TAG_LEN);
            /* As without the host, a forgery is told of at the end. */
            if (ask_host(ctx, in, len, out, ctx->buf))
                return 1;
        }
    }
    return leave_host(ctx) && aes_gcm.cipherupdate(ctx, in, len, out);
}

static int host_cipherfinal(PROV_GCM_CTX *ctx, unsigned char *tag)
{
    if (is_expanded(ctx) || ctx->gcm.ares < STAGE_DONE)
        return leave_host(ctx) && aes_gcm.cipherfinal(ctx, tag);
    if (ctx->gcm.ares == STAGE_FORGED)
        return 0;
    if (ctx->enc) {
        memcpy(tag, ctx->gcm.Xi.c, WASISOCKET_TAG_LEN);
        ctx->taglen = WASISOCKET_TAG_LEN;
    }
    return 1;
}

/* A record of TLS 1.2. */
static int host_oneshot(PROV_GCM_CTX *ctx, unsigned char *aad, size_t aad_len, const unsigned char *in, size_t len,
    unsigned char *out, unsigned char *tag, size_t tag_len)
{
    if (!host_aadupdate(ctx, aad, aad_len))
        return 0;
    if (tag_len != WASISOCKET_TAG_LEN || !ask_host(ctx, in, len, out, tag))
        return leave_host(ctx) && aes_gcm.oneshot(ctx, aad, 0, in, len, out, tag, tag_len);
    ctx->taglen = WASISOCKET_TAG_LEN;
    return ctx->gcm.ares == STAGE_DONE;
}

static const PROV_GCM_HW host_gcm = {
    host_setkey, host_setiv, host_aadupdate, host_cipherupdate, host_cipherfinal, host_oneshot
};

const PROV_GCM_HW *ossl_prov_aes_hw_gcm(size_t keybits)
{
    return keybits != 192 && wasisocket_has_crypto() ? &host_gcm : upstream_aes_hw_gcm(keybits);
}
