/* object - see object.h for the contract. */
#include "backup/object.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/codec/hex.h"
#include "base/crypto/digest.h"
#include "base/crypto/hmac.h"

#define ZSTD_LEVEL 3

enum { CIPHER_NONE = 0, CIPHER_AES_GCM = 1 };
enum { PACKED_NONE = 0, PACKED_ZSTD = 1 };

static const char magic[8] = {'T', 'A', 'R', 'S', 'B', 'K', 'P', '1'};

struct tars_coder {
    struct tars_object_keys keys;
    ZSTD_CCtx *pack;        /* owned */
    ZSTD_DCtx *unpack;      /* owned */
    struct tars_buf packed; /* what is between packing and sealing */
};

struct header {
    uint8_t kind, cipher, packed;
    uint32_t plain, stored;
    unsigned char nonce[TARS_AEAD_NONCE_BYTES];
    struct tars_object_name name;
};

/* --------------------------------------------------------------- life cycle */

tars_status tars_coder_new(const struct tars_object_keys *keys, struct tars_coder **coder)
{
    struct tars_coder *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    tars_buf_init(&made->packed, ZSTD_COMPRESSBOUND(TARS_OBJECT_PLAIN_MAX));
    made->keys = *keys;
    made->pack = ZSTD_createCCtx();
    made->unpack = ZSTD_createDCtx();
    if (!made->pack || !made->unpack) {
        tars_coder_free(made);
        return TARS_ENOMEM;
    }
    *coder = made;
    return TARS_OK;
}

void tars_coder_free(struct tars_coder *coder)
{
    if (!coder)
        return;
    (void)ZSTD_freeCCtx(coder->pack);
    (void)ZSTD_freeDCtx(coder->unpack);
    tars_buf_release(&coder->packed);
    explicit_bzero(&coder->keys, sizeof(coder->keys));
    free(coder);
}

/* -------------------------------------------------------------------- names */

/* The name is of the digest of the bytes, so that the kind costs no copy of them. */
tars_status tars_object_name(const struct tars_coder *coder, enum tars_object_kind kind,
                             struct tars_span plain, struct tars_object_name *name)
{
    unsigned char text[1 + TARS_SHA256_BYTES];
    const struct tars_span key = {(const char *)coder->keys.name, sizeof(coder->keys.name)};
    tars_status status = tars_sha256(plain.ptr, plain.len, text + 1);

    text[0] = (unsigned char)kind;
    if (status != TARS_OK)
        return status;
    return coder->keys.is_set
               ? tars_hmac_sha256(key, tars_span((const char *)text, sizeof(text)), name->bytes)
               : tars_sha256(text, sizeof(text), name->bytes);
}

void tars_object_hex(const struct tars_object_name *name, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < TARS_OBJECT_NAME_BYTES; i++) {
        out[2 * i] = digits[name->bytes[i] >> 4];
        out[2 * i + 1] = digits[name->bytes[i] & 15];
    }
    out[TARS_OBJECT_HEX_BYTES - 1] = '\0';
}

bool tars_object_from_hex(const char *hex, struct tars_object_name *name)
{
    if (strspn(hex, "0123456789abcdef") != TARS_OBJECT_HEX_BYTES - 1 ||
        hex[TARS_OBJECT_HEX_BYTES - 1] != '\0')
        return false;
    for (size_t i = 0; i < TARS_OBJECT_NAME_BYTES; i++) {
        unsigned high = (unsigned)tars_hex_value(hex[2 * i]);
        unsigned low = (unsigned)tars_hex_value(hex[2 * i + 1]);

        name->bytes[i] = (unsigned char)(high << 4U | low);
    }
    return true;
}

/* ------------------------------------------------------------------- header */

static void put_u32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint32_t get_u32(const unsigned char *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static void write_header(const struct header *header, unsigned char *to)
{
    memcpy(to, magic, sizeof(magic));
    to[8] = header->kind;
    to[9] = header->cipher;
    to[10] = header->packed;
    to[11] = 0;
    put_u32(to + 12, header->plain);
    put_u32(to + 16, header->stored);
    memcpy(to + 20, header->nonce, sizeof(header->nonce));
    memcpy(to + 32, header->name.bytes, sizeof(header->name.bytes));
}

static tars_status read_header(struct tars_span object, struct header *header, struct tars_err *err)
{
    const unsigned char *from = (const unsigned char *)object.ptr;
    size_t tag;

    if (object.len < TARS_OBJECT_HEADER_BYTES || memcmp(from, magic, sizeof(magic) - 1) != 0)
        return tars_fail(TARS_EFORMAT, err, "it is cut short, or none of ours");
    if (from[7] != (unsigned char)magic[7] || from[9] > CIPHER_AES_GCM || from[10] > PACKED_ZSTD)
        return tars_fail(TARS_EUNSUPPORTED, err, "a newer program made it, or it is damaged");
    header->kind = from[8];
    header->cipher = from[9];
    header->packed = from[10];
    header->plain = get_u32(from + 12);
    header->stored = get_u32(from + 16);
    memcpy(header->nonce, from + 20, sizeof(header->nonce));
    memcpy(header->name.bytes, from + 32, sizeof(header->name.bytes));
    tag = header->cipher == CIPHER_NONE ? 0 : TARS_AEAD_TAG_BYTES;
    if (from[11] != 0 || header->plain > TARS_OBJECT_PLAIN_MAX ||
        object.len - TARS_OBJECT_HEADER_BYTES != header->stored + tag ||
        (header->packed == PACKED_NONE && header->stored != header->plain))
        return tars_fail(TARS_EFORMAT, err, "its length is not what it says");
    return TARS_OK;
}

/* ----------------------------------------------------------------- encoding */

/* Packed bytes of plain, in coder->packed or plain itself where packing gains nothing. */
static tars_status pack(struct tars_coder *coder, struct tars_span plain, struct header *header,
                        struct tars_span *stored)
{
    size_t bound = ZSTD_compressBound(plain.len);
    char *to;
    size_t got;

    tars_buf_clear(&coder->packed);
    to = tars_buf_reserve(&coder->packed, bound);
    if (!to)
        return coder->packed.status;
    got = ZSTD_compressCCtx(coder->pack, to, bound, plain.ptr, plain.len, ZSTD_LEVEL);
    if (ZSTD_isError(got))
        return TARS_ENOMEM;
    if (got >= plain.len) {
        header->packed = PACKED_NONE;
        *stored = plain;
    } else {
        header->packed = PACKED_ZSTD;
        *stored = tars_span(to, got);
    }
    header->stored = (uint32_t)stored->len;
    return TARS_OK;
}

tars_status tars_object_encode(struct tars_coder *coder, enum tars_object_kind kind,
                               const struct tars_object_name *name, struct tars_span plain,
                               struct tars_buf *out)
{
    struct header header = {.kind = (uint8_t)kind, .plain = (uint32_t)plain.len, .name = *name};
    struct tars_span stored = {NULL, 0};
    size_t tag = coder->keys.is_set ? TARS_AEAD_TAG_BYTES : 0;
    tars_status status;
    unsigned char *to;

    if (plain.len > TARS_OBJECT_PLAIN_MAX)
        return TARS_ETOOBIG;
    status = pack(coder, plain, &header, &stored);
    if (status == TARS_OK && coder->keys.is_set) {
        header.cipher = CIPHER_AES_GCM;
        status = tars_random_bytes(header.nonce, sizeof(header.nonce));
    }
    if (status != TARS_OK)
        return status;
    to = (unsigned char *)tars_buf_reserve(out, TARS_OBJECT_HEADER_BYTES + stored.len + tag);
    if (!to)
        return out->status;
    write_header(&header, to);
    if (coder->keys.is_set) {
        status = tars_aead_seal(
            coder->keys.seal, header.nonce, tars_span((const char *)to, TARS_OBJECT_HEADER_BYTES),
            stored, to + TARS_OBJECT_HEADER_BYTES, to + TARS_OBJECT_HEADER_BYTES + stored.len);
    } else if (stored.len > 0) {
        memcpy(to + TARS_OBJECT_HEADER_BYTES, stored.ptr, stored.len);
    }
    if (status == TARS_OK)
        tars_buf_grew(out, TARS_OBJECT_HEADER_BYTES + stored.len + tag);
    return status;
}

/* ----------------------------------------------------------------- decoding */

/* The stored bytes without their seal: in the object itself, or in coder->packed. */
static tars_status unseal(struct tars_coder *coder, const struct header *header,
                          struct tars_span object, struct tars_span *stored, struct tars_err *err)
{
    const char *from = object.ptr + TARS_OBJECT_HEADER_BYTES;
    unsigned char *to;
    tars_status status;

    if (header->cipher == CIPHER_NONE) {
        *stored = tars_span(from, header->stored);
        return TARS_OK;
    }
    tars_buf_clear(&coder->packed);
    to = (unsigned char *)tars_buf_reserve(&coder->packed, (size_t)header->stored + 1);
    if (!to)
        return tars_fail(coder->packed.status, err, "no memory for it");
    status = tars_aead_open(
        coder->keys.seal, header->nonce, tars_span(object.ptr, TARS_OBJECT_HEADER_BYTES),
        tars_span(from, header->stored), (const unsigned char *)from + header->stored, to);
    *stored = tars_span((const char *)to, header->stored);
    return status == TARS_OK ? TARS_OK
                             : tars_fail(status, err, "it is damaged, or sealed under another key");
}

/* The plain bytes behind what out has, not counted yet. */
static tars_status unpack(struct tars_coder *coder, const struct header *header,
                          struct tars_span stored, char *to, struct tars_err *err)
{
    size_t got;

    if (header->packed == PACKED_NONE) {
        if (stored.len > 0)
            memcpy(to, stored.ptr, stored.len);
        return TARS_OK;
    }
    got = ZSTD_decompressDCtx(coder->unpack, to, header->plain, stored.ptr, stored.len);
    return got == header->plain ? TARS_OK : tars_fail(TARS_EFORMAT, err, "its bytes are damaged");
}

tars_status tars_object_decode(struct tars_coder *coder, enum tars_object_kind kind,
                               const struct tars_object_name *name, struct tars_span object,
                               struct tars_buf *out, struct tars_err *err)
{
    struct header header = {0};
    struct tars_object_name found;
    struct tars_span stored = {NULL, 0};
    tars_status status = read_header(object, &header, err);
    char *to;

    if (status != TARS_OK)
        return status;
    if (header.kind != (uint8_t)kind || (name && memcmp(name, &header.name, sizeof(*name)) != 0))
        return tars_fail(TARS_EFORMAT, err, "it is another one than its name says");
    if (coder->keys.is_set != (header.cipher != CIPHER_NONE)) {
        return tars_fail(TARS_EDENIED, err,
                         coder->keys.is_set ? "it is not sealed, though there is a key"
                                            : "it is sealed: a key is needed");
    }
    status = unseal(coder, &header, object, &stored, err);
    if (status != TARS_OK)
        return status;
    to = tars_buf_reserve(out, (size_t)header.plain + 1);
    if (!to)
        return tars_fail(out->status, err, "no memory for it");
    status = unpack(coder, &header, stored, to, err);
    if (status == TARS_OK)
        status = tars_object_name(coder, kind, tars_span(to, header.plain), &found);
    if (status == TARS_OK && memcmp(&found, &header.name, sizeof(found)) != 0)
        status = tars_fail(TARS_EFORMAT, err, "its bytes are not those that it is named by");
    if (status == TARS_OK)
        tars_buf_grew(out, header.plain);
    return status;
}
