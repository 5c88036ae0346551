/* Any bytes as a provider's keys, a 0, and a token; nothing that was not signed by one of them may
 * verify, and no one who fuzzes can sign. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key whose other half nobody has. */
static const char SET[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\","
                          "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                          "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void try_token(const struct tars_jwks *jwks, const char *ptr, size_t len, bool may)
{
    struct tars_buf payload;

    tars_buf_init(&payload, TARS_JWS_BYTES_MAX);
    if (tars_jwks_verify(jwks, tars_span(ptr, len), &payload) == TARS_OK && !may)
        abort();
    tars_buf_release(&payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t len = end ? (size_t)(end - data) : size;
    const char *token = end ? (const char *)end + 1 : (const char *)data;
    size_t token_len = end ? size - len - 1 : size;
    struct tars_jwks *jwks = NULL;

    if (tars_jwks_parse(tars_span((const char *)data, len), &jwks) == TARS_OK) {
        try_token(jwks, token, token_len, true);
        tars_jwks_free(jwks);
    }
    if (tars_jwks_parse(tars_span(SET, sizeof(SET) - 1), &jwks) == TARS_OK) {
        try_token(jwks, token, token_len, false);
        tars_jwks_free(jwks);
    }
    return 0;
}
