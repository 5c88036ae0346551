/* seal - see seal.h. */
#include "auth/seal.h"

#include "base/codec/base64.h"

tars_status tars_seal_init(struct tars_seal *seal, struct tars_span secret, const char *purpose)
{
    return tars_hmac_sha256(secret, tars_span_of(purpose), seal->key);
}

/* The MAC of text, in base64url; out: TARS_SEAL_CHARS and a NUL. */
static tars_status sign(const struct tars_seal *seal, struct tars_span text, char *out)
{
    const struct tars_span key = tars_span((const char *)seal->key, sizeof(seal->key));
    unsigned char mac[TARS_HMAC_BYTES];
    tars_status status = tars_hmac_sha256(key, text, mac);

    return status ? status
                  : tars_base64_text(TARS_BASE64_URL, mac, sizeof(mac), out, TARS_SEAL_CHARS + 1);
}

tars_status tars_seal_close(const struct tars_seal *seal, const char *text,
                            struct tars_arena *arena, const char **out)
{
    char mac[TARS_SEAL_CHARS + 1];
    tars_status status = sign(seal, tars_span_of(text), mac);
    const char *sealed;

    if (status != TARS_OK)
        return status;
    sealed = tars_arena_printf(arena, "%s.%s", text, mac);
    if (!sealed)
        return TARS_ENOMEM;
    *out = sealed;
    return TARS_OK;
}

tars_status tars_seal_open(const struct tars_seal *seal, struct tars_span sealed,
                           struct tars_span *text)
{
    char mac[TARS_SEAL_CHARS + 1];
    struct tars_span inner;
    tars_status status;

    if (sealed.len < TARS_SEAL_CHARS + 1 || sealed.ptr[sealed.len - TARS_SEAL_CHARS - 1] != '.')
        return TARS_EDENIED;
    inner = tars_span(sealed.ptr, sealed.len - TARS_SEAL_CHARS - 1);
    status = sign(seal, inner, mac);
    if (status != TARS_OK)
        return status;
    if (!tars_equal_constant_time(sealed.ptr + inner.len + 1, mac, TARS_SEAL_CHARS))
        return TARS_EDENIED;
    *text = inner;
    return TARS_OK;
}
