/* Unit tests of base/codec/json_write: each row is a value and its text. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec/json_write.h"

static void nested_values_get_their_commas(void **state)
{
    struct tars_buf out;
    struct tars_json json;

    (void)state;
    tars_buf_init(&out, 10000);
    for (int spaced = 0; spaced < 2; spaced++) {
        tars_buf_clear(&out);
        tars_json_init(&json, &out);
        json.spaced = spaced;
        tars_json_object(&json, NULL);
        tars_json_text(&json, "a", "x");
        tars_json_text(&json, "none", NULL);
        tars_json_array(&json, "list");
        tars_json_int(&json, NULL, -5);
        tars_json_bool(&json, NULL, true);
        tars_json_bool(&json, NULL, false);
        tars_json_raw(&json, NULL, "{}", 2);
        tars_json_end(&json);
        tars_json_object(&json, "empty");
        tars_json_end(&json);
        tars_json_end(&json);
        assert_int_equal(out.status, TARS_OK);
        assert_string_equal(out.ptr,
                            spaced ? "{\"a\": \"x\", \"none\": null, \"list\": [-5, true, false, "
                                     "{}], \"empty\": {}}"
                                   : "{\"a\":\"x\",\"none\":null,\"list\":[-5,true,false,{}],"
                                     "\"empty\":{}}");
    }
    tars_buf_release(&out);
}

static void strings(void **state)
{
    static const struct {
        const char *name, *in, *raw, *ascii;
        size_t len;
    } rows[] = {
        {"plain", "abc", "\"abc\"", "\"abc\"", 3},
        {"escapes", "\"\\\b\t\n\f\r", "\"\\\"\\\\\\b\\t\\n\\f\\r\"", "\"\\\"\\\\\\b\\t\\n\\f\\r\"",
         7},
        {"control characters", "\x01\x1f", "\"\\u0001\\u001f\"", "\"\\u0001\\u001f\"", 2},
        {"NUL", "a\0b", "\"a\\u0000b\"", "\"a\\u0000b\"", 3},
        {"two bytes", "\xC3\xA4", "\"\xC3\xA4\"", "\"\\u00e4\"", 2},
        {"beyond the BMP", "\xF0\x9F\x98\x80", "\"\xF0\x9F\x98\x80\"", "\"\\ud83d\\ude00\"", 4},
        {"a lone byte",
         "a\xFF"
         "b",
         "\"a\xEF\xBF\xBD"
         "b\"",
         "\"a\\ufffdb\"", 3},
        {"cut short", "\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"", "\"\\ufffd\\ufffd\"", 2},
        {"a surrogate", "\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"",
         "\"\\ufffd\\ufffd\\ufffd\"", 3},
        {"overlong", "\xE0\x80\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"",
         "\"\\ufffd\\ufffd\\ufffd\"", 3},
        {"past the last plane", "\xF4\x90\x80\x80",
         "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"",
         4},
        {"delete is plain", "\x7f", "\"\x7f\"", "\"\x7f\"", 1},
    };
    struct tars_buf out;
    struct tars_json json;

    (void)state;
    tars_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int ascii = 0; ascii < 2; ascii++) {
            tars_buf_clear(&out);
            tars_json_init(&json, &out);
            json.ascii = ascii;
            tars_json_text_n(&json, NULL, rows[i].in, rows[i].len);
            if (strcmp(out.ptr, ascii ? rows[i].ascii : rows[i].raw) != 0)
                fail_msg("%s: %s", rows[i].name, out.ptr);
        }
    }
    tars_buf_release(&out);
}

static void numbers(void **state)
{
    static const struct {
        double value;
        const char *exact, *fixed; /* fixed: two places */
    } rows[] = {
        {0, "0.0", "0.0"},           {-0.0, "-0.0", "0.0"},
        {1, "1.0", "1.0"},           {12.3, "12.3", "12.3"},
        {0.1, "0.1", "0.1"},         {1.0 / 3, "0.3333333333333333", "0.33"},
        {1e300, "1e+300", NULL},     {2.005, "2.005", "2.0"},
        {99.999, "99.999", "100.0"}, {NAN, "null", "null"},
        {INFINITY, "null", "null"},
    };
    struct tars_buf out;
    struct tars_json json;

    (void)state;
    tars_buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        tars_buf_clear(&out);
        tars_json_init(&json, &out);
        tars_json_double(&json, NULL, rows[i].value);
        assert_string_equal(out.ptr, rows[i].exact);
        if (!rows[i].fixed)
            continue;
        tars_buf_clear(&out);
        tars_json_init(&json, &out);
        tars_json_fixed(&json, NULL, rows[i].value, 2);
        assert_string_equal(out.ptr, rows[i].fixed);
    }
    tars_buf_release(&out);
}

static void nesting_has_a_ceiling(void **state)
{
    struct tars_buf out;
    struct tars_json json;

    (void)state;
    tars_buf_init(&out, 1000);
    tars_json_init(&json, &out);
    for (int i = 0; i <= TARS_JSON_DEPTH_MAX; i++)
        tars_json_array(&json, NULL);
    assert_int_equal(out.status, TARS_ETOOBIG);
    for (int i = 0; i <= TARS_JSON_DEPTH_MAX + 1; i++)
        tars_json_end(&json);
    tars_buf_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nested_values_get_their_commas),
        cmocka_unit_test(strings),
        cmocka_unit_test(numbers),
        cmocka_unit_test(nesting_has_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
