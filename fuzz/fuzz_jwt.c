/* Any bytes as a token of ours: as they are, and as claims that are rightly signed. What reads back
 * from claims of ours is what was signed, again and again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "base/codec/base64.h"
#include "base/crypto/hmac.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_S  1800000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Signing what was read, and reading that, changes nothing more. */
static void again(struct tars_arena *arena, const struct tars_jwt *jwt)
{
    const char *token = NULL;
    struct tars_jwt back;
    tars_status status = tars_jwt_sign(tars_span_of(SECRET), jwt, arena, &token);

    if (status == TARS_ETOOBIG)
        return;
    must(status == TARS_OK);
    status = tars_jwt_verify(tars_span_of(SECRET), tars_span_of(token), NOW_S, arena, &back);
    must(status == TARS_OK || status == TARS_ETIMEOUT);
    must(back.type == jwt->type && strcmp(back.sub, jwt->sub) == 0);
    must(back.expires_s == jwt->expires_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char header[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";
    unsigned char mac[TARS_HMAC_BYTES];
    struct tars_span raw = tars_span((const char *)data, size);
    struct tars_arena arena;
    struct tars_buf token;
    struct tars_jwt jwt;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    tars_buf_init(&token, (size_t)64 << 10);
    (void)tars_jwt_looks_ours(raw);
    must(tars_jwt_verify(tars_span_of(SECRET), raw, NOW_S, &arena, &jwt) != TARS_EINVAL);
    tars_buf_append_text(&token, header);
    tars_base64_encode(&token, TARS_BASE64_URL, data, size);
    if (token.status == TARS_OK) {
        must(tars_hmac_sha256(tars_span_of(SECRET), tars_buf_span(&token), mac) == TARS_OK);
        tars_buf_append_char(&token, '.');
        tars_base64_encode(&token, TARS_BASE64_URL, mac, sizeof(mac));
    }
    status = tars_jwt_verify(tars_span_of(SECRET), tars_buf_span(&token), NOW_S, &arena, &jwt);
    if (status == TARS_OK || status == TARS_ETIMEOUT)
        again(&arena, &jwt);
    tars_buf_release(&token);
    tars_arena_release(&arena);
    return 0;
}
