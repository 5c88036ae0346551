/* jwt: what we sign reads back, what others might have signed does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "auth/jwt.h"
#include "base/codec/base64.h"
#include "base/crypto/hmac.h"
#include "support/faults.h"
#include "support/guard.h"

#define SECRET "0123456789abcdef0123456789abcdef"
#define NOW_S  1800000000
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static struct tars_arena arena;

static int set_up(void **state)
{
    (void)state;
    tars_arena_init(&arena, (size_t)16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tars_arena_release(&arena);
    return 0;
}

/* A token of any header and claims, rightly signed. */
static const char *forge(const char *header, const char *claims)
{
    unsigned char mac[TARS_HMAC_BYTES];
    struct tars_buf text;
    const char *token;

    tars_buf_init(&text, (size_t)1 << 20);
    tars_base64_encode(&text, TARS_BASE64_URL, header, strlen(header));
    tars_buf_append_char(&text, '.');
    tars_base64_encode(&text, TARS_BASE64_URL, claims, strlen(claims));
    assert_int_equal(tars_hmac_sha256(tars_span_of(SECRET), tars_buf_span(&text), mac), TARS_OK);
    tars_buf_append_char(&text, '.');
    tars_base64_encode(&text, TARS_BASE64_URL, mac, sizeof(mac));
    token = tars_arena_strndup(&arena, text.ptr, text.len);
    tars_buf_release(&text);
    assert_non_null(token);
    return token;
}

static tars_status verify(const char *token, struct tars_jwt *out)
{
    struct guard guard = guard_copy(token, strlen(token));
    tars_status status = tars_jwt_verify(tars_span_of(SECRET), tars_span(guard.ptr, strlen(token)),
                                         NOW_S, &arena, out);

    guard_free(&guard);
    return status;
}

/* Byte for byte what section 8 of the contract shows, and ours behind it. */
static void test_bytes(void **state)
{
    static const struct {
        struct tars_jwt jwt;
        const char *claims;
    } rows[] = {
        {{.type = TARS_JWT_ACCESS,
          .sub = "desk-1",
          .has_device = true,
          .device_name = "Laptop",
          .issued_us = 1762516800000001,
          .expires_s = 1762603200,
          .jti = "j"},
         "{\"sub\":\"desk-1\",\"device_name\":\"Laptop\",\"device_type\":null,"
         "\"issued_at\":\"2025-11-07T12:00:00.000001\",\"exp\":1762603200,\"iat\":1762516800,"
         "\"type\":\"access\",\"jti\":\"j\"}"},
        {{.type = TARS_JWT_ACCESS,
          .sub = "",
          .issued_us = 1762516800000000,
          .expires_s = 1762603200,
          .jti = "j",
          .tenant = "acme"},
         "{\"sub\":\"\",\"issued_at\":\"2025-11-07T12:00:00\",\"exp\":1762603200,"
         "\"iat\":1762516800,\"type\":\"access\",\"jti\":\"j\",\"tenant\":\"acme\"}"},
        {{.type = TARS_JWT_REFRESH,
          .sub = "desk-1",
          .has_device = true,
          .issued_us = 1762516800000000,
          .expires_s = 1763121600,
          .jti = "k"},
         "{\"sub\":\"desk-1\",\"exp\":1763121600,\"iat\":1762516800,\"type\":\"refresh\","
         "\"jti\":\"k\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *token = NULL;

        assert_int_equal(tars_jwt_sign(tars_span_of(SECRET), &rows[i].jwt, &arena, &token),
                         TARS_OK);
        assert_string_equal(token, forge(HEADER, rows[i].claims));
        assert_true(tars_jwt_looks_ours(tars_span_of(token)));
    }
}

static void test_there_and_back(void **state)
{
    const struct tars_jwt jwt = {.type = TARS_JWT_ACCESS,
                                 .sub = "d\"\xc3\xa4\\",
                                 .tenant = "acme",
                                 .jti = "0123",
                                 .has_device = true,
                                 .device_type = "linux",
                                 .issued_us = (int64_t)NOW_S * 1000000,
                                 .expires_s = NOW_S + 1};
    const char *token = NULL;
    struct tars_jwt back;

    (void)state;
    assert_int_equal(tars_jwt_sign(tars_span_of(SECRET), &jwt, &arena, &token), TARS_OK);
    assert_int_equal(verify(token, &back), TARS_OK);
    assert_int_equal(back.type, TARS_JWT_ACCESS);
    assert_string_equal(back.sub, jwt.sub);
    assert_string_equal(back.tenant, "acme");
    assert_string_equal(back.jti, "0123");
    assert_true(back.has_device);
    assert_null(back.device_name);
    assert_string_equal(back.device_type, "linux");
    assert_int_equal(back.expires_s, NOW_S + 1);
    assert_int_equal(back.issued_us, (int64_t)NOW_S * 1000000);
}

static void test_claims(void **state)
{
    static const struct {
        const char *claims;
        tars_status status;
    } rows[] = {
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\"}", TARS_OK},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"refresh\"}", TARS_OK},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\",\"more\":[1,{}]}", TARS_OK},
        {"{\"sub\":\"a\",\"exp\":1800000000,\"type\":\"access\"}", TARS_ETIMEOUT},
        {"{\"sub\":\"a\",\"exp\":0,\"type\":\"access\"}", TARS_ETIMEOUT},
        {"{\"sub\":\"a\",\"exp\":-1,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":9223372036854775807,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":9223372036854775808,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001.5,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":\"1800000001\",\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"type\":\"access\"}", TARS_EDENIED},
        {"{\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":null,\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":7,\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\\u0000b\",\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"sub\":\"b\",\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"exp\":1900000000,\"type\":\"access\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"admin\"}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":1}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\",\"jti\":1}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\",\"tenant\":1}", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\",\"iat\":\"x\"}", TARS_EDENIED},
        {"[]", TARS_EDENIED},
        {"\"a\"", TARS_EDENIED},
        {"", TARS_EDENIED},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\"} ", TARS_OK},
        {"{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\"}x", TARS_EDENIED},
        {"{\"sub\":\"\xff\",\"exp\":1800000001,\"type\":\"access\"}", TARS_EDENIED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_jwt jwt;
        tars_status status = verify(forge(HEADER, rows[i].claims), &jwt);

        if (status != rows[i].status)
            fail_msg("%s: %s", rows[i].claims, tars_status_text(status));
    }
}

/* Signed rightly, and still not ours. */
static void test_headers(void **state)
{
    static const char claims[] = "{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\"}";
    static const char *const headers[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"hs256\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"../../key\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"none\",\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
        "",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct tars_jwt jwt;

        if (verify(forge(headers[i], claims), &jwt) != TARS_EDENIED)
            fail_msg("%s", headers[i]);
    }
}

/* Every byte that is changed, every end that is cut off. */
static void test_damage(void **state)
{
    const char *token = forge(HEADER, "{\"sub\":\"a\",\"exp\":1800000001,\"type\":\"access\"}");
    char copy[512];
    struct tars_jwt jwt;
    size_t len = strlen(token);

    (void)state;
    assert_int_equal(verify(token, &jwt), TARS_OK);
    for (size_t i = 0; i < len; i++) {
        memcpy(copy, token, len + 1);
        copy[i] = copy[i] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(copy, &jwt), TARS_EDENIED);
        copy[i] = '.';
        if (token[i] != '.')
            assert_int_equal(verify(copy, &jwt), TARS_EDENIED);
        memcpy(copy, token, len + 1);
        copy[i] = '\0';
        assert_int_equal(verify(copy, &jwt), TARS_EDENIED);
    }
    memcpy(copy, token, len + 1);
    copy[len] = '=';
    copy[len + 1] = '\0';
    assert_int_equal(verify(copy, &jwt), TARS_EDENIED);
    /* Signed with another secret, and not signed at all. */
    assert_int_equal(tars_jwt_verify(tars_span_of("1123456789abcdef0123456789abcdef"),
                                     tars_span_of(token), NOW_S, &arena, &jwt),
                     TARS_EDENIED);
    *(strrchr(memcpy(copy, token, len + 1), '.') + 1) = '\0';
    assert_int_equal(verify(copy, &jwt), TARS_EDENIED);
}

static void test_limits(void **state)
{
    static char long_name[9000];
    const struct tars_jwt jwt = {.type = TARS_JWT_ACCESS, .sub = long_name, .expires_s = NOW_S + 1};
    struct tars_jwt back;
    const char *token = NULL;

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    assert_int_equal(tars_jwt_sign(tars_span_of(SECRET), &jwt, &arena, &token), TARS_ETOOBIG);
    assert_int_equal(tars_jwt_sign(tars_span_of("short"), &jwt, &arena, &token), TARS_EINVAL);
    assert_null(token);
    token = forge(HEADER, tars_arena_printf(&arena,
                                            "{\"sub\":\"%s\",\"exp\":1800000001,"
                                            "\"type\":\"access\"}",
                                            long_name));
    assert_int_equal(verify(token, &back), TARS_EDENIED);
}

static void sign_and_verify(void *ctx)
{
    const struct tars_jwt jwt = {.type = TARS_JWT_ACCESS,
                                 .sub = "a",
                                 .jti = "j",
                                 .has_device = true,
                                 .expires_s = NOW_S + 1};
    struct tars_arena own;
    struct tars_jwt back;
    const char *token;
    tars_status status;

    (void)ctx;
    tars_arena_init(&own, (size_t)1 << 16);
    status = tars_jwt_sign(tars_span_of(SECRET), &jwt, &own, &token);
    if (status == TARS_OK)
        status = tars_jwt_verify(tars_span_of(SECRET), tars_span_of(token), NOW_S, &own, &back);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&own);
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(faults_each(sign_and_verify, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),  cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_claims), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
