/* jwks - see jwks.h.
 *
 * A key is kept as the text of a JWK that has nothing but what its type needs, and its algorithm is
 * put in when it is used. So what libjose sees was written here, and two threads share no object.
 */
#include "auth/jwks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <jose/jws.h>

#include "base/codec/base64.h"

#define RSA_CHARS_MIN 342 /* base64url of 2048 bits */

/* What may sign: the algorithm, and the key that it needs. */
static const struct {
    const char *alg, *kty, *crv;
} algorithms[] = {
    {"RS256", "RSA", NULL},   {"RS384", "RSA", NULL},   {"RS512", "RSA", NULL},
    {"PS256", "RSA", NULL},   {"PS384", "RSA", NULL},   {"PS512", "RSA", NULL},
    {"ES256", "EC", "P-256"}, {"ES384", "EC", "P-384"}, {"ES512", "EC", "P-521"},
};

#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

struct key {
    char *kid;  /* owned; NULL: it has none */
    char *alg;  /* owned; NULL: any that fits */
    char *kty;  /* owned */
    char *crv;  /* owned; NULL for RSA */
    char *text; /* JWK without alg; owned */
};

struct tars_jwks {
    size_t count;
    struct key keys[TARS_JWKS_KEYS_MAX];
};

/* ----------------------------------------------------------------------- a set */

static void key_release(struct key *key)
{
    free(key->kid);
    free(key->alg);
    free(key->kty);
    free(key->crv);
    free(key->text);
}

void tars_jwks_free(struct tars_jwks *jwks)
{
    if (!jwks)
        return;
    for (size_t i = 0; i < jwks->count; i++)
        key_release(&jwks->keys[i]);
    free(jwks);
}

size_t tars_jwks_count(const struct tars_jwks *jwks)
{
    return jwks->count;
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static bool is(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

static bool fits(size_t algorithm, const char *alg, const char *kty, const char *crv)
{
    return is(algorithms[algorithm].kty, kty) && (!alg || is(algorithms[algorithm].alg, alg)) &&
           (!algorithms[algorithm].crv || is(algorithms[algorithm].crv, crv));
}

/* A public key for signatures, of a kind that some algorithm takes. */
static bool is_usable(const json_t *jwk)
{
    const char *use = text_of(jwk, "use");
    const char *kty = text_of(jwk, "kty");
    bool some = false;

    if (use && !is(use, "sig"))
        return false;
    for (size_t i = 0; i < ALGORITHM_COUNT && !some; i++)
        some = fits(i, text_of(jwk, "alg"), kty, text_of(jwk, "crv"));
    if (is(kty, "RSA")) {
        return some && text_of(jwk, "e") &&
               json_string_length(json_object_get(jwk, "n")) >= RSA_CHARS_MIN;
    }
    return some && text_of(jwk, "x") && text_of(jwk, "y");
}

/* The members that a public key of its type has, and no other. */
static char *essence(const json_t *jwk)
{
    static const char *const names[] = {"kty", "crv", "n", "e", "x", "y"};
    json_t *made = json_object();
    char *text = NULL;
    bool bad = !made;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !bad; i++) {
        json_t *value = json_object_get(jwk, names[i]);

        bad = value && json_object_set(made, names[i], value) != 0;
    }
    if (!bad)
        text = json_dumps(made, JSON_COMPACT);
    json_decref(made);
    return text;
}

/* *copy is NULL for NULL. False without memory. */
static bool copy_text(const char *text, char **copy)
{
    size_t size = text ? strlen(text) + 1 : 0;

    *copy = text ? malloc(size) : NULL;
    if (*copy)
        memcpy(*copy, text, size);
    return !text || *copy;
}

static tars_status add_key(struct tars_jwks *jwks, const json_t *jwk)
{
    struct key key = {.text = essence(jwk)};

    if (!key.text || !copy_text(text_of(jwk, "kid"), &key.kid) ||
        !copy_text(text_of(jwk, "alg"), &key.alg) || !copy_text(text_of(jwk, "kty"), &key.kty) ||
        !copy_text(text_of(jwk, "crv"), &key.crv)) {
        key_release(&key);
        return TARS_ENOMEM;
    }
    jwks->keys[jwks->count++] = key;
    return TARS_OK;
}

static tars_status add_keys(struct tars_jwks *jwks, const json_t *list)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < json_array_size(list) && status == TARS_OK; i++) {
        const json_t *jwk = json_array_get(list, i);

        if (jwks->count < TARS_JWKS_KEYS_MAX && is_usable(jwk))
            status = add_key(jwks, jwk);
    }
    return status;
}

tars_status tars_jwks_parse(struct tars_span json, struct tars_jwks **jwks)
{
    json_t *root = NULL;
    const json_t *list;
    struct tars_jwks *made;
    tars_status status = TARS_EFORMAT;

    if (json.len > TARS_JWKS_BYTES_MAX)
        return TARS_EFORMAT;
    root = json_loadb(json.len ? json.ptr : "", json.len, JSON_REJECT_DUPLICATES, NULL);
    list = json_object_get(root, "keys");
    made = calloc(1, sizeof(*made));
    if (!made) {
        status = TARS_ENOMEM;
    } else if (json_is_array(list)) {
        status = add_keys(made, list);
    }
    json_decref(root);
    if (status != TARS_OK) {
        tars_jwks_free(made);
        return status;
    }
    *jwks = made;
    return TARS_OK;
}

/* --------------------------------------------------------------------- a token */

/* header . payload . signature, not decoded. */
struct parts {
    struct tars_span header, payload, signature;
};

static bool split(struct tars_span token, struct parts *parts)
{
    const char *first = token.len ? memchr(token.ptr, '.', token.len) : NULL;
    const char *end = token.ptr + token.len;
    const char *second;

    if (!first || token.len > TARS_JWS_BYTES_MAX)
        return false;
    second = memchr(first + 1, '.', (size_t)(end - first - 1));
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    parts->header = tars_span(token.ptr, (size_t)(first - token.ptr));
    parts->payload = tars_span(first + 1, (size_t)(second - first - 1));
    parts->signature = tars_span(second + 1, (size_t)(end - second - 1));
    return parts->header.len && parts->payload.len && parts->signature.len;
}

/* EDENIED unless it is a header that we take; the caller gives *header back. */
static tars_status read_header(struct tars_span encoded, json_t **header)
{
    struct tars_buf text;
    const char *typ;
    json_t *root = NULL;
    tars_status status;

    tars_buf_init(&text, TARS_JWS_BYTES_MAX);
    status = tars_base64_decode(&text, TARS_BASE64_URL, encoded);
    if (status == TARS_OK)
        root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    tars_buf_release(&text);
    if (status == TARS_ENOMEM)
        return status;
    typ = text_of(root, "typ");
    if (!json_is_object(root) || json_object_get(root, "crit") || json_object_get(root, "b64") ||
        (json_object_get(root, "typ") && !is(typ, "JWT") && !is(typ, "at+jwt") &&
         !is(typ, "application/at+jwt"))) {
        json_decref(root);
        return TARS_EDENIED;
    }
    *header = root;
    return TARS_OK;
}

/* The key that header names, or the only one that fits where it names none. EDENIED: no algorithm
 * of ours, or not that key's. */
static tars_status choose(const struct tars_jwks *jwks, const json_t *header,
                          const struct key **key, const char **alg)
{
    const char *kid = text_of(header, "kid");
    const char *wanted = text_of(header, "alg");
    const struct key *found = NULL;
    size_t algorithm = 0;
    size_t count = 0;

    while (algorithm < ALGORITHM_COUNT && !is(algorithms[algorithm].alg, wanted))
        algorithm++;
    if (algorithm == ALGORITHM_COUNT)
        return TARS_EDENIED;
    for (size_t i = 0; i < jwks->count; i++) {
        const struct key *at = &jwks->keys[i];

        if ((!kid || is(at->kid, kid)) && (!at->alg || is(at->alg, wanted)) &&
            fits(algorithm, wanted, at->kty, at->crv)) {
            found = at;
            count++;
        }
    }
    if (count == 0)
        return TARS_ENOTFOUND;
    if (count > 1)
        return TARS_EDENIED;
    *key = found;
    *alg = algorithms[algorithm].alg;
    return TARS_OK;
}

static tars_status check(const struct parts *parts, const struct key *key, const char *alg)
{
    json_t *jwk = json_loads(key->text, 0, NULL);
    json_t *jws = json_pack("{s:s%,s:s%,s:s%}", "payload", parts->payload.ptr, parts->payload.len,
                            "protected", parts->header.ptr, parts->header.len, "signature",
                            parts->signature.ptr, parts->signature.len);
    tars_status status = TARS_ENOMEM;

    if (jwk && json_object_set_new(jwk, "alg", json_string(alg)) == 0 && jws)
        status = jose_jws_ver(NULL, jws, NULL, jwk, false) ? TARS_OK : TARS_EDENIED;
    json_decref(jwk);
    json_decref(jws);
    return status;
}

tars_status tars_jwks_verify(const struct tars_jwks *jwks, struct tars_span token,
                             struct tars_buf *payload)
{
    const struct key *key = NULL;
    const char *alg = NULL;
    json_t *header = NULL;
    struct parts parts;
    tars_status status;

    if (!split(token, &parts))
        return TARS_EDENIED;
    status = read_header(parts.header, &header);
    if (status == TARS_OK)
        status = choose(jwks, header, &key, &alg);
    json_decref(header);
    if (status == TARS_OK)
        status = check(&parts, key, alg);
    if (status == TARS_OK)
        status = tars_base64_decode(payload, TARS_BASE64_URL, parts.payload);
    return status == TARS_EFORMAT || status == TARS_ETOOBIG ? TARS_EDENIED : status;
}
