/* object: what goes in comes out, whatever is changed is seen, nothing is read past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backup/object.h"
#include "support/faults.h"
#include "support/guard.h"

static const struct tars_object_keys open_keys = {.is_set = false};
static const struct tars_object_keys sealed_keys = {.is_set = true, .seal = "s", .name = "n"};
static const struct tars_object_keys other_keys = {.is_set = true, .seal = "S", .name = "N"};

static struct tars_coder *coder_of(const struct tars_object_keys *keys)
{
    struct tars_coder *coder = NULL;

    assert_int_equal(tars_coder_new(keys, &coder), TARS_OK);
    return coder;
}

static struct tars_object_name encode(struct tars_coder *coder, struct tars_span plain,
                                      struct tars_buf *out)
{
    struct tars_object_name name;

    tars_buf_init(out, TARS_OBJECT_MAX);
    assert_int_equal(tars_object_name(coder, TARS_OBJECT_CHUNK, plain, &name), TARS_OK);
    assert_int_equal(tars_object_encode(coder, TARS_OBJECT_CHUNK, &name, plain, out), TARS_OK);
    return name;
}

static tars_status decode(struct tars_coder *coder, enum tars_object_kind kind,
                          const struct tars_object_name *name, struct tars_span object,
                          struct tars_buf *out, struct tars_err *err)
{
    struct guard guard = guard_copy(object.ptr, object.len);
    tars_status status;

    tars_buf_init(out, TARS_OBJECT_PLAIN_MAX + 1);
    status = tars_object_decode(coder, kind, name, tars_span(guard.ptr, object.len), out, err);
    guard_free(&guard);
    return status;
}

/* Bytes that do not compress. */
static void fill(char *ptr, size_t len)
{
    uint32_t x = 12345;

    for (size_t i = 0; i < len; i++) {
        x = x * 1664525U + 1013904223U;
        ptr[i] = (char)(x >> 24);
    }
}

static void test_round_trips(void **state)
{
    static char zeros[65536];
    static char noise[65536];
    const struct {
        const char *name;
        struct tars_span plain;
        size_t least, most; /* bytes of the object, without a key */
    } rows[] = {
        {"nothing", {"", 0}, 64, 64},
        {"one byte", {"x", 1}, 65, 65},
        {"a text", {"the same the same the same the same the same", 44}, 64, 107},
        {"zeros", {zeros, sizeof(zeros)}, 64, 256},
        {"noise", {noise, sizeof(noise)}, 64 + 65536, 64 + 65536},
    };

    (void)state;
    fill(noise, sizeof(noise));
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        bool sealed = i % 2;
        struct tars_coder *coder = coder_of(sealed ? &sealed_keys : &open_keys);
        size_t tag = sealed ? TARS_AEAD_TAG_BYTES : 0;
        struct tars_buf object;
        struct tars_buf plain;
        struct tars_object_name name = encode(coder, rows[i / 2].plain, &object);
        struct tars_err err = {{0}};

        if (object.len < rows[i / 2].least + tag || object.len > rows[i / 2].most + tag)
            fail_msg("%s: %zu bytes", rows[i / 2].name, object.len);
        if (decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &plain, &err) !=
            TARS_OK)
            fail_msg("%s: %s", rows[i / 2].name, err.text);
        assert_true(tars_span_equal(tars_buf_span(&plain), rows[i / 2].plain));
        tars_buf_release(&plain);
        tars_buf_release(&object);
        tars_coder_free(coder);
    }
}

/* Every bit of an object, with a key and without one. */
static void test_each_bit_counts(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        struct tars_coder *coder = coder_of(sealed ? &sealed_keys : &open_keys);
        struct tars_buf object;
        struct tars_object_name name = encode(
            coder, tars_span_of("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbb"), &object);

        for (size_t bit = 0; bit < 8 * object.len; bit++) {
            struct tars_buf plain;
            tars_status status;

            object.ptr[bit / 8] = (char)(object.ptr[bit / 8] ^ (1 << bit % 8));
            status = decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &plain, NULL);
            /* The nonce means nothing without a key: it is not looked at. */
            if (status == TARS_OK && (sealed || bit / 8 < 20 || bit / 8 >= 32) &&
                !tars_span_is(tars_buf_span(&plain),
                              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbb"))
                fail_msg("bit %zu may change unseen", bit);
            if (sealed && status == TARS_OK)
                fail_msg("bit %zu may change unseen under a key", bit);
            tars_buf_release(&plain);
            object.ptr[bit / 8] = (char)(object.ptr[bit / 8] ^ (1 << bit % 8));
        }
        tars_buf_release(&object);
        tars_coder_free(coder);
    }
}

static void test_cut_short(void **state)
{
    struct tars_coder *coder = coder_of(&open_keys);
    struct tars_buf object;
    struct tars_object_name name = encode(coder, tars_span_of("some bytes"), &object);

    (void)state;
    for (size_t len = 0; len < object.len; len++) {
        struct tars_buf plain;

        assert_int_equal(
            decode(coder, TARS_OBJECT_CHUNK, &name, tars_span(object.ptr, len), &plain, NULL),
            TARS_EFORMAT);
        assert_int_equal(plain.len, 0);
        tars_buf_release(&plain);
    }
    tars_buf_release(&object);
    tars_coder_free(coder);
}

static void test_refused(void **state)
{
    struct tars_coder *coders[] = {coder_of(&open_keys), coder_of(&sealed_keys),
                                   coder_of(&other_keys)};
    static const struct {
        const char *name;
        int by, from; /* coder */
        enum tars_object_kind kind;
        tars_status status;
        const char *words;
    } rows[] = {
        {"another key", 1, 2, TARS_OBJECT_CHUNK, TARS_EDENIED, "another key"},
        {"a key is needed", 1, 0, TARS_OBJECT_CHUNK, TARS_EDENIED, "a key is needed"},
        {"not sealed", 0, 1, TARS_OBJECT_CHUNK, TARS_EDENIED, "not sealed"},
        {"another kind", 0, 0, TARS_OBJECT_MANIFEST, TARS_EFORMAT, "another one"},
        {"another kind, sealed", 1, 1, TARS_OBJECT_MANIFEST, TARS_EFORMAT, "another one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_buf object;
        struct tars_buf plain;
        struct tars_err err = {{0}};
        struct tars_object_name name = encode(coders[rows[i].by], tars_span_of("text"), &object);

        assert_int_equal(
            decode(coders[rows[i].from], rows[i].kind, &name, tars_buf_span(&object), &plain, &err),
            rows[i].status);
        if (!strstr(err.text, rows[i].words))
            fail_msg("%s: \"%s\"", rows[i].name, err.text);
        tars_buf_release(&plain);
        tars_buf_release(&object);
    }
    for (size_t i = 0; i < 3; i++)
        tars_coder_free(coders[i]);
}

/* A small object that says it holds more than there may be, and one that unpacks to more. */
static void test_bombs(void **state)
{
    static char zeros[65536];
    struct tars_coder *coder = coder_of(&open_keys);
    struct tars_buf object;
    struct tars_buf plain;
    struct tars_object_name name = encode(coder, tars_span(zeros, sizeof(zeros)), &object);

    (void)state;
    object.ptr[15] = 0x7f; /* plain: 2 GB */
    assert_int_equal(decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &plain, NULL),
                     TARS_EFORMAT);
    assert_null(plain.ptr);
    tars_buf_release(&plain);
    object.ptr[15] = 0;
    object.ptr[14] = 0;
    object.ptr[13] = 1; /* plain: 256 bytes */
    assert_int_equal(decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &plain, NULL),
                     TARS_EFORMAT);
    tars_buf_release(&plain);
    tars_buf_release(&object);
    tars_coder_free(coder);
}

static void test_names(void **state)
{
    static const struct {
        const char *name, *hex;
        bool good;
    } rows[] = {
        {"a name", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
        {"capitals", "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", false},
        {"short", "0123456789abcdef", false},
        {"long", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0", false},
        {"a path", "../../../9abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false},
        {"nothing", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_object_name name;
        char hex[TARS_OBJECT_HEX_BYTES];

        if (tars_object_from_hex(rows[i].hex, &name) != rows[i].good)
            fail_msg("%s", rows[i].name);
        if (!rows[i].good)
            continue;
        tars_object_hex(&name, hex);
        assert_string_equal(hex, rows[i].hex);
    }
}

/* A key hides whether a text that is known is in the backup. */
static void test_keys_name_differently(void **state)
{
    struct tars_coder *plain = coder_of(&open_keys);
    struct tars_coder *sealed = coder_of(&sealed_keys);
    struct tars_coder *other = coder_of(&other_keys);
    struct tars_object_name names[3];
    struct tars_span text = tars_span_of("known");

    (void)state;
    assert_int_equal(tars_object_name(plain, TARS_OBJECT_CHUNK, text, &names[0]), TARS_OK);
    assert_int_equal(tars_object_name(sealed, TARS_OBJECT_CHUNK, text, &names[1]), TARS_OK);
    assert_int_equal(tars_object_name(other, TARS_OBJECT_CHUNK, text, &names[2]), TARS_OK);
    assert_memory_not_equal(&names[0], &names[1], sizeof(names[0]));
    assert_memory_not_equal(&names[1], &names[2], sizeof(names[0]));
    assert_memory_not_equal(&names[0], &names[2], sizeof(names[0]));
    tars_coder_free(plain);
    tars_coder_free(sealed);
    tars_coder_free(other);
}

static void all_of_it(void *ctx)
{
    struct tars_coder *coder = NULL;
    struct tars_object_name name;
    struct tars_buf object;
    struct tars_buf plain;
    tars_status status = tars_coder_new(&sealed_keys, &coder);

    (void)ctx;
    tars_buf_init(&object, TARS_OBJECT_MAX);
    tars_buf_init(&plain, TARS_OBJECT_PLAIN_MAX);
    if (status == TARS_OK)
        status = tars_object_name(coder, TARS_OBJECT_CHUNK, tars_span_of("text"), &name);
    if (status == TARS_OK) {
        status = tars_object_encode(coder, TARS_OBJECT_CHUNK, &name, tars_span_of("text"), &object);
    }
    if (status == TARS_OK) {
        status = tars_object_decode(coder, TARS_OBJECT_CHUNK, &name, tars_buf_span(&object), &plain,
                                    NULL);
    }
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_buf_release(&plain);
    tars_buf_release(&object);
    tars_coder_free(coder);
}

static void test_no_memory(void **state)
{
    (void)state;
    assert_true(faults_each(all_of_it, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_each_bit_counts),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_keys_name_differently),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
