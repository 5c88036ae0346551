/* jwt - see jwt.h. */
#include "auth/jwt.h"

#include <string.h>

#include <jansson.h>

#include "base/codec/base64.h"
#include "base/codec/json_write.h"
#include "base/crypto/hmac.h"
#include "base/sys/clock.h"

/* base64url of {"alg":"HS256","typ":"JWT"}, and the dot. */
static const char HEADER[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";

#define HEADER_BYTES (sizeof(HEADER) - 1)
#define MAC_CHARS    43                 /* base64url of 32 bytes */
#define EXPIRES_MAX  ((int64_t)1 << 40) /* seconds; in microseconds it still fits */

bool tars_jwt_looks_ours(struct tars_span token)
{
    return token.len > HEADER_BYTES && memcmp(token.ptr, HEADER, HEADER_BYTES) == 0;
}

/* --------------------------------------------------------------------- sign */

static void write_claims(struct tars_json *json, const struct tars_jwt *jwt)
{
    char issued[TARS_ISO8601_BYTES];

    tars_json_object(json, NULL);
    tars_json_text(json, "sub", jwt->sub);
    if (jwt->type == TARS_JWT_ACCESS) {
        if (jwt->has_device) {
            tars_json_text(json, "device_name", jwt->device_name);
            tars_json_text(json, "device_type", jwt->device_type);
        }
        tars_clock_iso8601(jwt->issued_us, issued);
        tars_json_text(json, "issued_at", issued);
    }
    tars_json_int(json, "exp", jwt->expires_s);
    tars_json_int(json, "iat", jwt->issued_us / 1000000);
    tars_json_text(json, "type", jwt->type == TARS_JWT_ACCESS ? "access" : "refresh");
    if (jwt->jti)
        tars_json_text(json, "jti", jwt->jti);
    if (jwt->family)
        tars_json_text(json, "family", jwt->family);
    if (jwt->tenant)
        tars_json_text(json, "tenant", jwt->tenant);
    tars_json_end(json);
}

static tars_status append_signature(struct tars_span secret, struct tars_buf *text)
{
    unsigned char mac[TARS_HMAC_BYTES];
    tars_status status = text->status;

    if (status == TARS_OK)
        status = tars_hmac_sha256(secret, tars_buf_span(text), mac);
    if (status != TARS_OK)
        return status;
    tars_buf_append_char(text, '.');
    tars_base64_encode(text, TARS_BASE64_URL, mac, sizeof(mac));
    return text->status;
}

tars_status tars_jwt_sign(struct tars_span secret, const struct tars_jwt *jwt,
                          struct tars_arena *arena, const char **out)
{
    struct tars_json json;
    struct tars_buf claims;
    struct tars_buf text;
    tars_status status;
    char *copy;

    if (secret.len < TARS_JWT_SECRET_MIN)
        return TARS_EINVAL;
    tars_buf_init(&claims, TARS_JWT_BYTES_MAX);
    tars_buf_init(&text, TARS_JWT_BYTES_MAX);
    tars_json_init(&json, &claims);
    write_claims(&json, jwt);
    status = claims.status;
    if (status != TARS_OK)
        goto out;
    tars_buf_append(&text, HEADER, HEADER_BYTES);
    tars_base64_encode(&text, TARS_BASE64_URL, claims.ptr, claims.len);
    status = append_signature(secret, &text);
    if (status != TARS_OK)
        goto out;
    copy = tars_arena_strndup(arena, text.ptr, text.len);
    status = copy ? TARS_OK : TARS_ENOMEM;
    if (copy)
        *out = copy;
out:
    tars_buf_release(&claims);
    tars_buf_release(&text);
    return status;
}

/* ------------------------------------------------------------------- verify */

/* The last dot divides what is signed from the signature; the one before, header from claims. */
static tars_status check_signature(struct tars_span secret, struct tars_span token,
                                   struct tars_span *claims)
{
    unsigned char mac[TARS_HMAC_BYTES];
    struct tars_span signed_part;
    struct tars_buf given;
    tars_status status;

    if (token.len > TARS_JWT_BYTES_MAX || !tars_jwt_looks_ours(token) ||
        token.len < HEADER_BYTES + 1 + MAC_CHARS || token.ptr[token.len - MAC_CHARS - 1] != '.')
        return TARS_EDENIED;
    signed_part = tars_span(token.ptr, token.len - MAC_CHARS - 1);
    tars_buf_init(&given, TARS_HMAC_BYTES + 4);
    status = tars_base64_decode(&given, TARS_BASE64_URL,
                                tars_span(token.ptr + token.len - MAC_CHARS, MAC_CHARS));
    if (status == TARS_OK) {
        status = tars_hmac_sha256(secret, signed_part, mac);
    } else if (status != TARS_ENOMEM) {
        status = TARS_EDENIED;
    }
    if (status == TARS_OK &&
        (given.len != sizeof(mac) || !tars_equal_constant_time(given.ptr, mac, sizeof(mac))))
        status = TARS_EDENIED;
    tars_buf_release(&given);
    if (status == TARS_OK)
        *claims = tars_span(token.ptr + HEADER_BYTES, signed_part.len - HEADER_BYTES);
    return status;
}

/* A text, or with is_nullable also null or nothing. *out is NULL then. */
static tars_status take_text(const json_t *claims, const char *name, bool is_nullable,
                             struct tars_arena *arena, const char **out)
{
    const json_t *value = json_object_get(claims, name);

    *out = NULL;
    if (is_nullable && (!value || json_is_null(value)))
        return TARS_OK;
    if (!json_is_string(value))
        return TARS_EDENIED;
    *out = tars_arena_strndup(arena, json_string_value(value), json_string_length(value));
    return *out ? TARS_OK : TARS_ENOMEM;
}

static tars_status take_type(const json_t *claims, struct tars_jwt *jwt)
{
    const char *type = json_string_value(json_object_get(claims, "type"));

    if (type && strcmp(type, "access") == 0) {
        jwt->type = TARS_JWT_ACCESS;
    } else if (type && strcmp(type, "refresh") == 0) {
        jwt->type = TARS_JWT_REFRESH;
    } else {
        return TARS_EDENIED;
    }
    return TARS_OK;
}

static tars_status take_times(const json_t *claims, struct tars_jwt *jwt)
{
    const json_t *expires = json_object_get(claims, "exp");
    const json_t *issued = json_object_get(claims, "iat");

    if (!json_is_integer(expires) || (issued && !json_is_integer(issued)))
        return TARS_EDENIED;
    jwt->expires_s = json_integer_value(expires);
    jwt->issued_us = json_integer_value(issued);
    if (jwt->expires_s < 0 || jwt->expires_s > EXPIRES_MAX || jwt->issued_us < 0 ||
        jwt->issued_us > EXPIRES_MAX)
        return TARS_EDENIED;
    jwt->issued_us *= 1000000;
    return TARS_OK;
}

static tars_status read_claims(const json_t *claims, struct tars_arena *arena, struct tars_jwt *jwt)
{
    const struct {
        const char *name;
        bool is_nullable;
        const char **into;
    } texts[] = {{"sub", false, &jwt->sub},
                 {"tenant", true, &jwt->tenant},
                 {"jti", true, &jwt->jti},
                 {"family", true, &jwt->family},
                 {"device_name", true, &jwt->device_name},
                 {"device_type", true, &jwt->device_type}};
    tars_status status = take_type(claims, jwt);

    if (status == TARS_OK)
        status = take_times(claims, jwt);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == TARS_OK; i++)
        status = take_text(claims, texts[i].name, texts[i].is_nullable, arena, texts[i].into);
    jwt->has_device = json_object_get(claims, "device_name") != NULL;
    return status;
}

tars_status tars_jwt_verify(struct tars_span secret, struct tars_span token, int64_t now_s,
                            struct tars_arena *arena, struct tars_jwt *out)
{
    struct tars_jwt jwt = {.type = TARS_JWT_ACCESS};
    struct tars_span encoded;
    struct tars_buf text;
    json_t *claims = NULL;
    tars_status status;

    if (secret.len < TARS_JWT_SECRET_MIN)
        return TARS_EINVAL;
    tars_buf_init(&text, TARS_JWT_BYTES_MAX);
    status = check_signature(secret, token, &encoded);
    if (status != TARS_OK)
        goto out;
    status = tars_base64_decode(&text, TARS_BASE64_URL, encoded);
    if (status != TARS_OK) {
        status = status == TARS_ENOMEM ? status : TARS_EDENIED;
        goto out;
    }
    claims = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    status = json_is_object(claims) ? read_claims(claims, arena, &jwt) : TARS_EDENIED;
    if (status != TARS_OK)
        goto out;
    *out = jwt;
    status = now_s >= jwt.expires_s ? TARS_ETIMEOUT : TARS_OK;
out:
    json_decref(claims);
    tars_buf_release(&text);
    return status;
}
