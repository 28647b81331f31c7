/* OpenSSL's AES-GCM and ChaCha20-Poly1305 in the guest, through EVP: OpenSSL's own test vectors, from standard input,
 * and records of TLS, sealed and opened in every way that the host may be asked for, or not. And SHA-256 and ECDSA.
 *
 * Prints a line for each failure, then how often the host was asked, and a checksum of all results. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ec.h>
#include <openssl/evp.h>

#define TAG 16
/* Longest record whose header can say its length. */
#define RECORD_MAX (65535 - TAG)

static int failures;
static unsigned asked;
static uint64_t checksum = 0xcbf29ce484222325;

#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            failures++;                                                                                      \
            printf("line %d: %s: ", __LINE__, #condition);                                                   \
            printf(__VA_ARGS__);                                                                             \
            printf("\n");                                                                                    \
        }                                                                                                    \
    } while (0)

/* The linker has OpenSSL call these (--wrap). */
int __real_wasisocket_aead_seal(uint32_t, const unsigned char *, size_t, const unsigned char *, const unsigned char *,
    size_t, unsigned char *, size_t, unsigned char *);
int __real_wasisocket_aead_open(uint32_t, const unsigned char *, size_t, const unsigned char *, const unsigned char *,
    size_t, unsigned char *, size_t, const unsigned char *);

int __wrap_wasisocket_aead_seal(uint32_t algorithm, const unsigned char *key, size_t key_len,
    const unsigned char *nonce, const unsigned char *aad, size_t aad_len, unsigned char *message, size_t len,
    unsigned char *tag)
{
    asked++;
    return __real_wasisocket_aead_seal(algorithm, key, key_len, nonce, aad, aad_len, message, len, tag);
}

int __wrap_wasisocket_aead_open(uint32_t algorithm, const unsigned char *key, size_t key_len,
    const unsigned char *nonce, const unsigned char *aad, size_t aad_len, unsigned char *message, size_t len,
    const unsigned char *tag)
{
    asked++;
    return __real_wasisocket_aead_open(algorithm, key, key_len, nonce, aad, aad_len, message, len, tag);
}

/* FNV-1a. */
static void add(const unsigned char *bytes, size_t len)
{
    for (size_t at = 0; at < len; at++)
        checksum = (checksum ^ bytes[at]) * 0x100000001b3;
}

/* xorshift64: the same bytes in each run. */
static void fill(unsigned char *bytes, size_t len)
{
    static uint64_t state = 88172645463325252;

    for (size_t at = 0; at < len; at++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes[at] = (unsigned char)(state >> 32);
    }
}

/* A message, and how it is given to EVP. */
struct message {
    const unsigned char *key, *iv, *aad;
    size_t iv_len, aad_len;
    /* How many bytes at once, of text and of additional data. */
    size_t piece;
    /* Opening: when the tag comes. */
    enum { AFTER_NONCE, BEFORE_NONCE, AFTER_TEXT, TIMES } tag;
};

static int update(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len, size_t piece)
{
    int written = 0;

    for (size_t at = 0; at < len; at += piece) {
        size_t now = len - at < piece ? len - at : piece;

        if (!EVP_CipherUpdate(ctx, out ? out + at : NULL, &written, in + at, (int)now))
            return 0;
    }
    return 1;
}

/* A key of NULL leaves the one before. */
static int start(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const struct message *message, int seal)
{
    return EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, seal)
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)message->iv_len, NULL) > 0
        && EVP_CipherInit_ex(ctx, NULL, NULL, message->key, message->iv, seal);
}

/* Up to the text. */
static int begin(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const struct message *message, int seal)
{
    return start(ctx, cipher, message, seal) && update(ctx, NULL, message->aad, message->aad_len, message->piece);
}

static int set_tag(EVP_CIPHER_CTX *ctx, const struct message *message, int when, unsigned char *tag)
{
    return (int)message->tag != when || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) > 0;
}

static int end(EVP_CIPHER_CTX *ctx)
{
    unsigned char none[TAG];
    int written = 0;

    return EVP_CipherFinal_ex(ctx, none, &written) > 0 && written == 0;
}

static int seal(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const struct message *message, const unsigned char *in,
    size_t len, unsigned char *out, unsigned char *tag)
{
    return begin(ctx, cipher, message, 1) && update(ctx, out, in, len, message->piece) && end(ctx)
        && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag) > 0;
}

static int open(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const struct message *message, const unsigned char *in,
    size_t len, unsigned char *out, unsigned char *tag)
{
    return EVP_CipherInit_ex(ctx, cipher, NULL, NULL, NULL, 0) && set_tag(ctx, message, BEFORE_NONCE, tag)
        && start(ctx, NULL, message, 0) && set_tag(ctx, message, AFTER_NONCE, tag)
        && update(ctx, NULL, message->aad, message->aad_len, message->piece)
        && update(ctx, out, in, len, message->piece) && set_tag(ctx, message, AFTER_TEXT, tag) && end(ctx);
}

static unsigned char plain[RECORD_MAX], sealed[RECORD_MAX], other[RECORD_MAX];

/* --- Vectors --- */

/* One field of a vector; `len` is -1 if it has none of that name. */
struct field {
    const char *name;
    unsigned char bytes[1024];
    int len;
};

enum { KEY, IV, AAD, TEXT, SEALED, TAGGED, FIELDS };

static struct field fields[FIELDS] = { { "Key" }, { "IV" }, { "AAD" }, { "Plaintext" }, { "Ciphertext" }, { "Tag" } };

static void hex(struct field *field, const char *digits)
{
    unsigned byte;

    field->len = 0;
    while (sscanf(digits, "%2x", &byte) == 1 && field->len < (int)sizeof(field->bytes)) {
        field->bytes[field->len++] = (unsigned char)byte;
        digits += 2;
    }
}

static int field_is(int at, const unsigned char *bytes, int len)
{
    return fields[at].len == len && memcmp(fields[at].bytes, bytes, (size_t)len) == 0;
}

static void check_vector(const char *name, int forged)
{
    const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    static const size_t pieces[] = { SIZE_MAX / 2, 1, 7, 16 };
    unsigned char tag[TAG];
    int len = fields[TEXT].len > 0 ? fields[TEXT].len : 0;

    for (size_t at = 0; at < sizeof(pieces) / sizeof(*pieces); at++)
        for (int when = 0; when < TIMES; when++) {
            struct message message = { fields[KEY].bytes, fields[IV].bytes, fields[AAD].bytes, (size_t)fields[IV].len,
                fields[AAD].len > 0 ? (size_t)fields[AAD].len : 0, pieces[at], when };

            if (!forged) {
                CHECK(seal(ctx, cipher, &message, fields[TEXT].bytes, (size_t)len, other, tag), "%s", name);
                CHECK(len == 0 || field_is(SEALED, other, len), "%s", name);
                CHECK(field_is(TAGGED, tag, TAG), "%s", name);
            }
            CHECK(open(ctx, cipher, &message, fields[SEALED].bytes, (size_t)len, other, fields[TAGGED].bytes) != forged,
                "%s", name);
            CHECK(forged || len == 0 || field_is(TEXT, other, len), "%s", name);
        }
    EVP_CIPHER_CTX_free(ctx);
}

/* Those of its vectors that are for these ciphers and have a result. */
static int check_vectors(void)
{
    static char line[4096];
    char name[64] = "", result[64] = "";
    int count = 0, more = 1;

    while (more) {
        char *value;

        more = fgets(line, sizeof(line), stdin) != NULL;
        if (!more || line[0] == '\n') {
            const EVP_CIPHER *cipher = name[0] ? EVP_get_cipherbyname(name) : NULL;
            int is_one_of_them = cipher
                && (EVP_CIPHER_is_a(cipher, "AES-128-GCM") || EVP_CIPHER_is_a(cipher, "AES-256-GCM")
                    || EVP_CIPHER_is_a(cipher, "ChaCha20-Poly1305"));

            if (is_one_of_them && fields[TAGGED].len == TAG
                && (!result[0] || strcmp(result, "CIPHERFINAL_ERROR") == 0)) {
                check_vector(name, result[0] != 0);
                count++;
            }
            name[0] = result[0] = 0;
            for (int at = 0; at < FIELDS; at++)
                fields[at].len = -1;
            continue;
        }
        value = strstr(line, " = ");
        if (line[0] == '#' || !value)
            continue;
        *value = 0;
        value += 3;
        if (strcmp(line, "Cipher") == 0)
            sscanf(value, "%63s", name);
        if (strcmp(line, "Result") == 0)
            sscanf(value, "%63s", result);
        for (int at = 0; at < FIELDS; at++)
            if (strcmp(line, fields[at].name) == 0)
                hex(&fields[at], value);
    }
    return count;
}

/* --- Records of TLS 1.3 --- */

static void header(unsigned char *aad, size_t len)
{
    size_t with_tag = len + TAG;

    aad[0] = 23;
    aad[1] = aad[2] = 3;
    aad[3] = (unsigned char)(with_tag >> 8);
    aad[4] = (unsigned char)with_tag;
}

/* `whole` keeps its key from record to record, as TLS does; `pieces` never asks the host for a text. */
static void check_record(EVP_CIPHER_CTX *whole, EVP_CIPHER_CTX *pieces, const EVP_CIPHER *cipher,
    const unsigned char *key, int is_new_key, size_t len)
{
    unsigned char iv[12], aad[5], tag[TAG], other_tag[TAG];
    struct message message = { key, iv, aad, sizeof(iv), sizeof(aad), SIZE_MAX / 2, 0 };
    struct message in_pieces = message;
    EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

    in_pieces.piece = len > 4 ? len / 2 + 1 : 1;
    fill(iv, sizeof(iv));
    header(aad, len);
    fill(plain, len);
    if (!is_new_key)
        message.key = NULL;
    CHECK(seal(whole, NULL, &message, plain, len, sealed, tag), "%zu", len);
    CHECK(seal(pieces, cipher, &in_pieces, plain, len, other, other_tag), "%zu", len);
    CHECK(memcmp(sealed, other, len) == 0 && memcmp(tag, other_tag, TAG) == 0, "%zu", len);
    add(sealed, len);
    add(tag, TAG);

    /* In place. */
    memcpy(other, plain, len);
    CHECK(seal(whole, NULL, &message, other, len, other, other_tag), "%zu", len);
    CHECK(memcmp(sealed, other, len) == 0 && memcmp(tag, other_tag, TAG) == 0, "%zu", len);

    /* A context that is copied when its message has begun. */
    CHECK(begin(whole, NULL, &message, 1) && EVP_CIPHER_CTX_copy(copy, whole), "%zu", len);
    for (int at = 0; at < 2; at++) {
        EVP_CIPHER_CTX *ctx = at ? whole : copy;

        CHECK(update(ctx, other, plain, len, at ? SIZE_MAX / 2 : in_pieces.piece) && end(ctx)
                && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, other_tag) > 0,
            "%zu", len);
        CHECK(memcmp(sealed, other, len) == 0 && memcmp(tag, other_tag, TAG) == 0, "%zu", len);
    }
    EVP_CIPHER_CTX_free(copy);
}

static void check_opening(EVP_CIPHER_CTX *whole, const EVP_CIPHER *cipher, const unsigned char *key, size_t len)
{
    unsigned char iv[12], aad[5], tag[TAG];
    struct message message = { key, iv, aad, sizeof(iv), sizeof(aad), SIZE_MAX / 2, 0 };
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    fill(iv, sizeof(iv));
    header(aad, len);
    fill(plain, len);
    CHECK(seal(ctx, cipher, &message, plain, len, sealed, tag), "%zu", len);
    /* First as TLS does it: the key stays. */
    message.key = NULL;
    for (int at = 0; at < 4 * TIMES; at++) {
        message.tag = at % TIMES;
        memset(other, 0, len);
        CHECK(open(whole, NULL, &message, sealed, len, other, tag), "%zu, time %d", len, at);
        CHECK(memcmp(plain, other, len) == 0, "%zu, time %d", len, at);
        add(other, len);
        if (at == 2 * TIMES)
            message.key = key;
    }
    /* In place. */
    message.tag = AFTER_NONCE;
    memcpy(other, sealed, len);
    CHECK(open(whole, NULL, &message, other, len, other, tag) && memcmp(plain, other, len) == 0, "%zu", len);
    /* Forgeries. */
    for (int at = 0; at < 4; at++) {
        unsigned char *forged = at == 0 ? tag : at == 1 ? iv : at == 2 ? aad : sealed;

        if (at == 3 && len == 0)
            break;
        /* Of the header a part that is not its length. */
        forged[at == 2 ? 1 : 0] ^= 0x80;
        CHECK(!open(whole, NULL, &message, sealed, len, other, tag), "%zu, forgery %d", len, at);
        forged[at == 2 ? 1 : 0] ^= 0x80;
        CHECK(open(whole, NULL, &message, sealed, len, other, tag), "%zu, after forgery %d", len, at);
    }
    EVP_CIPHER_CTX_free(ctx);
}

/* A nonce of another length, a key without a new nonce, text behind a whole record. */
static void check_oddities(const EVP_CIPHER *cipher, const unsigned char *key)
{
    unsigned char iv[16], aad[64], tag[TAG];
    struct message message = { key, iv, aad, 12, 5, SIZE_MAX / 2, 0 };
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    size_t len = 100;
    int written;

    fill(iv, sizeof(iv));
    fill(plain, len);
    if (EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE)
        for (message.iv_len = 1; message.iv_len <= sizeof(iv); message.iv_len++) {
            header(aad, len);
            CHECK(seal(ctx, cipher, &message, plain, len, sealed, tag), "%zu", message.iv_len);
            add(sealed, len);
            add(tag, TAG);
        }
    message.iv_len = 12;
    for (message.aad_len = 0; message.aad_len < sizeof(aad); message.aad_len++)
        for (message.piece = 5; message.piece < 50; message.piece += 20) {
            header(aad, len);
            CHECK(seal(ctx, cipher, &message, plain, len, sealed, tag), "%zu", message.aad_len);
            add(sealed, len);
            add(tag, TAG);
        }
    message.aad_len = 5;
    message.piece = SIZE_MAX / 2;
    CHECK(begin(ctx, cipher, &message, 1), "begins");
    CHECK(EVP_CipherInit_ex(ctx, NULL, NULL, key, NULL, 1) && update(ctx, other, plain, len, len), "another key");
    CHECK(EVP_CIPHER_CTX_reset(ctx) && begin(ctx, cipher, &message, 1), "begins");
    CHECK(update(ctx, sealed, plain, len, len), "a whole record");
    /* OpenSSL's own code would go on. With the host the record is over, and to say so is all that is left. */
    if (!EVP_CipherUpdate(ctx, other, &written, plain, 1))
        CHECK(begin(ctx, cipher, &message, 1) && update(ctx, other, plain, len, len) && end(ctx), "the next record");
    CHECK(begin(ctx, cipher, &message, 1) && end(ctx), "no text");
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag) > 0, "no text");
    add(tag, TAG);
    EVP_CIPHER_CTX_free(ctx);
}

/* --- Records of TLS 1.2 (RFC 5288, RFC 7905) --- */

static void check_old_record(const EVP_CIPHER *cipher, const unsigned char *key, size_t len)
{
    int is_gcm = EVP_CIPHER_get_mode(cipher) == EVP_CIPH_GCM_MODE;
    int explicit_len = is_gcm ? 8 : 0, size = explicit_len + (int)len + TAG;
    unsigned char iv[12], nonce[12], aad[13], tls_aad[13], tag[TAG];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new(), *peer = EVP_CIPHER_CTX_new(), *pieces = EVP_CIPHER_CTX_new();

    fill(iv, sizeof(iv));
    CHECK(EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, 1) && EVP_CipherInit_ex(peer, cipher, NULL, key, NULL, 0),
        "%zu", len);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IV_FIXED, is_gcm ? -1 : 12, iv) > 0
            && EVP_CIPHER_CTX_ctrl(peer, EVP_CTRL_AEAD_SET_IV_FIXED, is_gcm ? 4 : 12, iv) > 0,
        "%zu", len);
    for (int record = 0; record < 4; record++) {
        struct message message = { key, nonce, aad, sizeof(nonce), sizeof(aad), len > 4 ? len / 2 + 1 : 1, 0 };

        /* Sequence number, type, version, length. */
        fill(aad, 8);
        aad[8] = 23;
        aad[9] = aad[10] = 3;
        aad[11] = (unsigned char)(len >> 8);
        aad[12] = (unsigned char)len;
        fill(plain, len);
        memcpy(sealed + explicit_len, plain, len);
        memcpy(tls_aad, aad, sizeof(aad));
        tls_aad[11] = (unsigned char)((len + (size_t)explicit_len) >> 8);
        tls_aad[12] = (unsigned char)(len + (size_t)explicit_len);
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(tls_aad), tls_aad) == TAG, "%zu", len);
        CHECK(EVP_Cipher(ctx, sealed, sealed, (unsigned)size) == size, "%zu", len);
        memcpy(nonce, iv, sizeof(nonce));
        if (is_gcm)
            memcpy(nonce + 4, sealed, 8);
        else
            for (int at = 0; at < 8; at++)
                nonce[4 + at] ^= aad[at];
        CHECK(seal(pieces, cipher, &message, plain, len, other, tag), "%zu", len);
        CHECK(memcmp(sealed + explicit_len, other, len) == 0, "%zu", len);
        CHECK(memcmp(sealed + explicit_len + len, tag, TAG) == 0, "%zu", len);
        add(sealed, (size_t)size);

        tls_aad[11] = (unsigned char)(size >> 8);
        tls_aad[12] = (unsigned char)size;
        CHECK(EVP_CIPHER_CTX_ctrl(peer, EVP_CTRL_AEAD_TLS1_AAD, sizeof(tls_aad), tls_aad) == TAG, "%zu", len);
        if (record == 2)
            sealed[size - 1] ^= 1;
        int opened = EVP_Cipher(peer, sealed, sealed, (unsigned)size);
        CHECK(record == 2 ? opened < 0 : opened >= 0 && memcmp(sealed + explicit_len, plain, len) == 0, "%zu: %d", len,
            opened);
    }
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_CTX_free(peer);
    EVP_CIPHER_CTX_free(pieces);
}

/* --- SHA-256 and ECDSA --- */

static void check_hash(size_t len, size_t piece)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new(), *copy = EVP_MD_CTX_new();
    unsigned char hash[32], other_hash[32];

    fill(plain, len);
    CHECK(EVP_Digest(plain, len, hash, NULL, EVP_sha256(), NULL), "%zu", len);
    CHECK(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), "%zu", len);
    for (size_t at = 0; at < len; at += piece) {
        CHECK(EVP_DigestUpdate(ctx, plain + at, len - at < piece ? len - at : piece), "%zu", len);
        if (at == 0)
            CHECK(EVP_MD_CTX_copy_ex(copy, ctx) && EVP_DigestFinal_ex(copy, other_hash, NULL), "%zu", len);
    }
    CHECK(EVP_DigestFinal_ex(ctx, other_hash, NULL) && memcmp(hash, other_hash, 32) == 0, "%zu by %zu", len, piece);
    add(hash, 32);
    EVP_MD_CTX_free(ctx);
    EVP_MD_CTX_free(copy);
}

static int verify(EVP_PKEY *key, const unsigned char *signature, size_t len, const unsigned char *digest,
    size_t digest_len)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    int verified = EVP_PKEY_verify_init(ctx) > 0 ? EVP_PKEY_verify(ctx, signature, len, digest, digest_len) : -2;

    EVP_PKEY_CTX_free(ctx);
    return verified;
}

static void check_signature(const char *curve, size_t digest_len)
{
    EVP_PKEY *key = EVP_EC_gen(curve), *stranger = EVP_EC_gen(curve);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    unsigned char digest[64], signature[160] = { 0 };
    size_t len = sizeof(signature);

    fill(digest, sizeof(digest));
    CHECK(EVP_PKEY_sign_init(ctx) > 0 && EVP_PKEY_sign(ctx, signature, &len, digest, digest_len) > 0, "%s", curve);
    CHECK(verify(key, signature, len, digest, digest_len) == 1, "%s, %zu", curve, digest_len);
    CHECK(verify(stranger, signature, len, digest, digest_len) == 0, "%s, %zu", curve, digest_len);
    digest[0] ^= 1;
    CHECK(verify(key, signature, len, digest, digest_len) == 0, "%s, %zu", curve, digest_len);
    digest[0] ^= 1;
    CHECK(verify(key, signature, len + 1, digest, digest_len) < 0, "%s, %zu", curve, digest_len);
    signature[len - 1] ^= 1;
    CHECK(verify(key, signature, len, digest, digest_len) == 0, "%s, %zu", curve, digest_len);
    signature[0] ^= 1;
    CHECK(verify(key, signature, len, digest, digest_len) < 0, "%s, %zu", curve, digest_len);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    EVP_PKEY_free(stranger);
}

int main(void)
{
    static const char *const curves[] = { "P-256", "P-384", "P-521", "secp256k1" };
    static const char *const names[] = { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-192-GCM" };
    static const size_t lens[] = { 255, 256, 1000, 4096, 16383, 16384, 16385, 16640, RECORD_MAX };
    unsigned char key[32];

    printf("%d vectors\n", check_vectors());
    for (size_t name = 0; name < sizeof(names) / sizeof(*names); name++) {
        EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, names[name], NULL);
        EVP_CIPHER_CTX *whole = EVP_CIPHER_CTX_new(), *pieces = EVP_CIPHER_CTX_new(), *opener = EVP_CIPHER_CTX_new();

        CHECK(EVP_CipherInit_ex(whole, cipher, NULL, NULL, NULL, 1), "%s", names[name]);
        for (size_t at = 0; at < 80 + sizeof(lens) / sizeof(*lens); at++) {
            size_t len = at < 80 ? at : lens[at - 80];
            int is_new_key = at % 8 == 0;

            if (is_new_key)
                fill(key, sizeof(key));
            check_record(whole, pieces, cipher, key, is_new_key, len);
            CHECK(EVP_CipherInit_ex(opener, cipher, NULL, key, NULL, 0), "%s", names[name]);
            check_opening(opener, cipher, key, len);
            if (len <= 16384)
                check_old_record(cipher, key, len);
        }
        check_oddities(cipher, key);
        EVP_CIPHER_CTX_free(whole);
        EVP_CIPHER_CTX_free(pieces);
        EVP_CIPHER_CTX_free(opener);
        EVP_CIPHER_free(cipher);
    }
    for (size_t len = 0; len < 300; len++)
        check_hash(len, 1 + len % 70);
    for (size_t piece = 1000; piece < RECORD_MAX; piece += 9999)
        check_hash(RECORD_MAX, piece);
    for (size_t curve = 0; curve < sizeof(curves) / sizeof(*curves); curve++)
        for (size_t digest_len = 16; digest_len <= 64; digest_len += 16)
            check_signature(curves[curve], digest_len);
    printf("asked %u times\n%016llx\n", asked, (unsigned long long)checksum);
    return failures != 0;
}
