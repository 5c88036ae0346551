/* jwks: signatures by the right key with the right algorithm, and nothing else; and seals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include <jose/jwk.h>
#include <jose/jws.h>

#include "auth/jwks.h"
#include "auth/seal.h"
#include "base/codec/base64.h"
#include "base/mem/arena.h"
#include "support/faults.h"
#include "support/guard.h"

#define CLAIMS "{\"sub\":\"ann\"}"

static json_t *rsa, *ec, *oct; /* private keys, kid "rsa", ... */
static struct tars_arena arena;

static json_t *make_key(const char *spec, const char *kid)
{
    json_t *key = json_loads(spec, 0, NULL);

    assert_true(jose_jwk_gen(NULL, key));
    assert_int_equal(json_object_set_new(key, "kid", json_string(kid)), 0);
    return key;
}

static int set_up(void **state)
{
    (void)state;
    tars_arena_init(&arena, (size_t)16 << 20);
    rsa = make_key("{\"kty\":\"RSA\",\"bits\":2048}", "rsa");
    ec = make_key("{\"kty\":\"EC\",\"crv\":\"P-256\"}", "ec");
    oct = make_key("{\"kty\":\"oct\",\"bytes\":32}", "oct");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(rsa);
    json_decref(ec);
    json_decref(oct);
    tars_arena_release(&arena);
    return 0;
}

/* The set of these keys, as a provider shows it; more members for each. */
static const char *set_text(json_t *const *keys, size_t count, const char *more)
{
    json_t *list = json_array();
    json_t *root;
    char *text;
    const char *copy;

    for (size_t i = 0; i < count; i++) {
        json_t *key = json_deep_copy(keys[i]);
        json_t *extra = json_loads(more, 0, NULL);

        if (keys[i] != oct)
            assert_true(jose_jwk_pub(NULL, key));
        assert_int_equal(json_object_update(key, extra), 0);
        json_decref(extra);
        assert_int_equal(json_array_append_new(list, key), 0);
    }
    root = json_pack("{s:o}", "keys", list);
    text = json_dumps(root, 0);
    copy = tars_arena_strdup(&arena, text);
    free(text);
    json_decref(root);
    return copy;
}

static const char *sign(const json_t *key, const char *header)
{
    json_t *jws = json_object();
    json_t *protected = json_pack("{s:o}", "protected", json_loads(header, 0, NULL));
    struct tars_buf payload;
    const char *token;

    tars_buf_init(&payload, 1000);
    tars_base64_encode(&payload, TARS_BASE64_URL, CLAIMS, strlen(CLAIMS));
    json_object_set_new(jws, "payload", json_string(payload.ptr));
    assert_true(jose_jws_sig(NULL, jws, protected, key));
    token =
        tars_arena_printf(&arena, "%s.%s.%s", json_string_value(json_object_get(jws, "protected")),
                          payload.ptr, json_string_value(json_object_get(jws, "signature")));
    json_decref(jws);
    json_decref(protected);
    tars_buf_release(&payload);
    return token;
}

static tars_status verify(const char *set, const char *token)
{
    struct guard guard = guard_copy(token, strlen(token));
    struct tars_jwks *jwks = NULL;
    struct tars_buf payload;
    tars_status status = tars_jwks_parse(tars_span_of(set), &jwks);

    assert_int_equal(status, TARS_OK);
    tars_buf_init(&payload, TARS_JWS_BYTES_MAX);
    status = tars_jwks_verify(jwks, tars_span(guard.ptr, strlen(token)), &payload);
    if (status == TARS_OK)
        assert_string_equal(payload.ptr, CLAIMS);
    tars_buf_release(&payload);
    tars_jwks_free(jwks);
    guard_free(&guard);
    return status;
}

static void test_signatures(void **state)
{
    json_t *const all[] = {rsa, ec, oct};
    const struct {
        const json_t *key;
        const char *header;
        const char *more; /* of the keys in the set */
        tars_status status;
    } rows[] = {
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "{}", TARS_OK},
        {rsa, "{\"alg\":\"RS512\",\"kid\":\"rsa\",\"typ\":\"at+jwt\"}", "{}", TARS_OK},
        {rsa, "{\"alg\":\"PS256\",\"kid\":\"rsa\",\"typ\":\"JWT\"}", "{}", TARS_OK},
        {ec, "{\"alg\":\"ES256\",\"kid\":\"ec\"}", "{}", TARS_OK},
        {ec, "{\"alg\":\"ES256\",\"kid\":\"ec\"}", "{\"use\":\"sig\"}", TARS_OK},
        /* One key fits, so it need not be named. */
        {ec, "{\"alg\":\"ES256\"}", "{}", TARS_OK},
        {rsa, "{\"alg\":\"RS256\"}", "{}", TARS_OK},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"other\"}", "{}", TARS_ENOTFOUND},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"ec\"}", "{}", TARS_ENOTFOUND},
        {oct, "{\"alg\":\"HS256\",\"kid\":\"oct\"}", "{}", TARS_EDENIED},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "{\"use\":\"enc\"}", TARS_ENOTFOUND},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\"}", "{\"alg\":\"RS384\"}", TARS_ENOTFOUND},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":\"logout+jwt\"}", "{}", TARS_EDENIED},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"typ\":7}", "{}", TARS_EDENIED},
        {rsa, "{\"alg\":\"RS256\",\"kid\":\"rsa\",\"b64\":true}", "{}", TARS_EDENIED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tars_status status =
            verify(set_text(all, 3, rows[i].more), sign(rows[i].key, rows[i].header));

        if (status != rows[i].status)
            fail_msg("row %zu: %s", i, tars_status_text(status));
    }
}

static void test_two_that_fit(void **state)
{
    json_t *const both[] = {rsa, rsa};

    (void)state;
    assert_int_equal(verify(set_text(both, 2, "{}"), sign(rsa, "{\"alg\":\"RS256\"}")),
                     TARS_EDENIED);
}

static void test_damage(void **state)
{
    json_t *const one[] = {ec};
    const char *set = set_text(one, 1, "{}");
    const char *token = sign(ec, "{\"alg\":\"ES256\",\"kid\":\"ec\"}");
    size_t len = strlen(token);
    char copy[1024];

    (void)state;
    for (size_t i = 0; i < len; i++) {
        memcpy(copy, token, len + 1);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_int_not_equal(verify(set, copy), TARS_OK);
        memcpy(copy, token, len + 1);
        copy[i] = '\0';
        assert_int_not_equal(verify(set, copy), TARS_OK);
    }
}

static void test_sets(void **state)
{
    static const struct {
        const char *text;
        tars_status status;
        size_t count;
    } rows[] = {
        {"{\"keys\":[]}", TARS_OK, 0},
        {"{\"keys\":[1,null,\"x\",{},[]]}", TARS_OK, 0},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", TARS_OK, 0},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\"}]}", TARS_OK, 0},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-192\",\"x\":\"AA\",\"y\":\"AA\"}]}", TARS_OK, 0},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}", TARS_OK, 1},
        {"{\"keys\":{}}", TARS_EFORMAT, 0},
        {"{\"keys\":[],\"keys\":[]}", TARS_EFORMAT, 0},
        {"[]", TARS_EFORMAT, 0},
        {"{\"keys\":[", TARS_EFORMAT, 0},
        {"", TARS_EFORMAT, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_jwks *jwks = NULL;
        tars_status status = tars_jwks_parse(tars_span_of(rows[i].text), &jwks);

        if (status != rows[i].status || (jwks && tars_jwks_count(jwks) != rows[i].count))
            fail_msg("%s", rows[i].text);
        tars_jwks_free(jwks);
    }
    /* A key that is no point of its curve verifies nothing. */
    assert_int_equal(verify(rows[5].text, sign(ec, "{\"alg\":\"ES256\"}")), TARS_EDENIED);
}

static void test_seal(void **state)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef";
    struct tars_seal one;
    struct tars_seal other;
    struct tars_span text;
    const char *sealed = NULL;
    char copy[128];

    (void)state;
    assert_int_equal(tars_seal_init(&one, tars_span_of(secret), "one"), TARS_OK);
    assert_int_equal(tars_seal_init(&other, tars_span_of(secret), "other"), TARS_OK);
    assert_int_equal(tars_seal_close(&one, "a.b", &arena, &sealed), TARS_OK);
    assert_int_equal(tars_seal_open(&one, tars_span_of(sealed), &text), TARS_OK);
    assert_true(tars_span_is(text, "a.b"));
    assert_int_equal(tars_seal_open(&other, tars_span_of(sealed), &text), TARS_EDENIED);
    for (size_t i = 0; i < strlen(sealed); i++) {
        memcpy(copy, sealed, strlen(sealed) + 1);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_int_equal(tars_seal_open(&one, tars_span_of(copy), &text), TARS_EDENIED);
        assert_int_equal(tars_seal_open(&one, tars_span(sealed, i), &text), TARS_EDENIED);
    }
    assert_int_equal(tars_seal_open(&one, tars_span(NULL, 0), &text), TARS_EDENIED);
}

static void parse_and_verify(void *ctx)
{
    const char *const *texts = ctx; /* set, token */
    struct tars_jwks *jwks = NULL;
    struct tars_buf payload;
    tars_status status = tars_jwks_parse(tars_span_of(texts[0]), &jwks);

    tars_buf_init(&payload, TARS_JWS_BYTES_MAX);
    if (status == TARS_OK)
        status = tars_jwks_verify(jwks, tars_span_of(texts[1]), &payload);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_buf_release(&payload);
    tars_jwks_free(jwks);
}

static void test_memory(void **state)
{
    json_t *const both[] = {rsa, ec};
    const char *texts[] = {set_text(both, 2, "{}"), sign(ec, "{\"alg\":\"ES256\",\"kid\":\"ec\"}")};

    (void)state;
    assert_true(faults_each(parse_and_verify, texts) > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures), cmocka_unit_test(test_two_that_fit),
        cmocka_unit_test(test_damage),     cmocka_unit_test(test_sets),
        cmocka_unit_test(test_seal),       cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
