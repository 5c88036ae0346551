/* The safetensors reader: what it gives, and what strangers may try. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/safetensors.h"
#include "support/faults.h"
#include "support/files.h"
#include "support/guard.h"

#define DATA_BYTES 16

/* A file of header and DATA_BYTES zero bytes; length, unless negative, is what it claims. */
static size_t make_file(const char *header, long long length, char *out)
{
    size_t len = strlen(header);
    unsigned long long claimed = length < 0 ? len : (unsigned long long)length;

    for (size_t i = 0; i < 8; i++)
        out[i] = (char)(claimed >> 8 * i);
    for (size_t i = 0; i < len; i++)
        out[8 + i] = header[i];
    memset(out + 8 + len, 0, DATA_BYTES);
    return 8 + len + DATA_BYTES;
}

#define T(dtype, shape, offsets) \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static const struct {
    const char *name;
    const char *header;
    long long length; /* claimed; -1: the true one */
    tars_status status;
} hostile[] = {
    {"well formed", T("F32", "[2,2]", "[0,16]"), -1, TARS_OK},
    {"no tensor", "{}", -1, TARS_OK},
    {"metadata only", "{\"__metadata__\":{\"format\":\"pt\"}}", -1, TARS_OK},
    {"spaces behind", "{}   ", -1, TARS_OK},
    {"a single number", T("F32", "[]", "[4,8]"), -1, TARS_OK},
    {"empty tensor at the end", T("F32", "[0,7]", "[16,16]"), -1, TARS_OK},
    {"integers", T("I64", "[2]", "[0,16]"), -1, TARS_OK},
    {"length past the file", "{}", 1000, TARS_EFORMAT},
    {"length of 2^63", "{}", INT64_MAX, TARS_EFORMAT},
    {"length inside the JSON", T("F32", "[2,2]", "[0,16]"), 5, TARS_EFORMAT},
    {"length zero", "{}", 0, TARS_EFORMAT},
    {"not JSON", "{\"t\":", -1, TARS_EFORMAT},
    {"not UTF-8", "{\"\xff\":1}", -1, TARS_EFORMAT},
    {"an array", "[]", -1, TARS_EFORMAT},
    {"a number", "7", -1, TARS_EFORMAT},
    {"deep nesting", "[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", -1, TARS_EFORMAT},
    {"brackets in a string", "{\"__metadata__\":\"[[[[[[[[[[[[[[\\\"[[[\"}", -1, TARS_OK},
    {"tensor is a number", "{\"t\":1}", -1, TARS_EFORMAT},
    {"tensor is empty", "{\"t\":{}}", -1, TARS_EFORMAT},
    {"unknown type", T("F4", "[2,2]", "[0,16]"), -1, TARS_EFORMAT},
    {"shape is a text", T("F32", "\"x\"", "[0,16]"), -1, TARS_EFORMAT},
    {"shape of texts", T("F32", "[\"2\"]", "[0,16]"), -1, TARS_EFORMAT},
    {"negative shape", T("F32", "[-2,-2]", "[0,16]"), -1, TARS_EFORMAT},
    {"fractional shape", T("F32", "[2.5]", "[0,10]"), -1, TARS_EFORMAT},
    {"shape overflows", T("F32", "[4294967296,4294967296,4]", "[0,16]"), -1, TARS_EFORMAT},
    {"bytes overflow", T("F32", "[4611686018427387908]", "[0,16]"), -1, TARS_EFORMAT},
    {"too many dimensions", T("F32", "[1,1,1,1,1,1,1,1,4]", "[0,16]"), -1, TARS_EFORMAT},
    {"end before begin", T("F32", "[0]", "[8,4]"), -1, TARS_EFORMAT},
    {"negative begin", T("F32", "[4]", "[-4,12]"), -1, TARS_EFORMAT},
    {"past the end", T("F32", "[4]", "[4,20]"), -1, TARS_EFORMAT},
    {"far past the end", T("F32", "[4]", "[9223372036854775800,9223372036854775807]"), -1,
     TARS_EFORMAT},
    {"number over 64 bits", T("F32", "[4]", "[0,99999999999999999999]"), -1, TARS_EFORMAT},
    {"shorter than its shape", T("F32", "[4]", "[0,12]"), -1, TARS_EFORMAT},
    {"three offsets", T("F32", "[4]", "[0,16,16]"), -1, TARS_EFORMAT},
    {"no offsets", "{\"t\":{\"dtype\":\"F32\",\"shape\":[4]}}", -1, TARS_EFORMAT},
    {"twice the same name",
     "{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
     -1, TARS_EFORMAT},
    {"overlap",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
     -1, TARS_EFORMAT},
    {"the same place twice",
     "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     -1, TARS_EFORMAT},
};

static void hostile_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct tars_safetensors *file = NULL;
        struct tars_err err = {""};
        char bytes[1024];
        struct guard guard;
        tars_status status;

        print_message("  %s\n", hostile[i].name);
        guard = guard_copy(bytes, make_file(hostile[i].header, hostile[i].length, bytes));
        status = tars_safetensors_parse(
            tars_span(guard.ptr, 8 + strlen(hostile[i].header) + DATA_BYTES), &file, &err);
        assert_int_equal(status, hostile[i].status);
        assert_int_equal(status == TARS_OK, err.text[0] == '\0');
        assert_int_equal(status == TARS_OK, file != NULL);
        tars_safetensors_close(file);
        guard_free(&guard);
    }
}

static void every_length_is_survived(void **state)
{
    (void)state;
    static const char header[] = T("F32", "[2,2]", "[0,16]");
    char bytes[256];
    size_t len = make_file(header, -1, bytes);

    for (size_t n = 0; n < len; n++) {
        struct guard guard = guard_copy(bytes, n);
        struct tars_safetensors *file = NULL;

        assert_int_equal(tars_safetensors_parse(tars_span(guard.ptr, n), &file, NULL),
                         TARS_EFORMAT);
        guard_free(&guard);
    }
}

static void limits(void **state)
{
    (void)state;
    char *header = malloc((size_t)4 << 20);
    char *bytes = malloc((size_t)4 << 20);
    struct tars_safetensors *file = NULL;
    size_t at = 0;

    assert_non_null(header);
    assert_non_null(bytes);
    header[at++] = '{';
    for (int i = 0; i <= TARS_SAFETENSORS_TENSORS_MAX; i++) {
        at += (size_t)snprintf(header + at, 128,
                               "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                               i ? "," : "", i);
    }
    (void)snprintf(header + at, 2, "}");
    assert_int_equal(
        tars_safetensors_parse(tars_span(bytes, make_file(header, -1, bytes)), &file, NULL),
        TARS_ETOOBIG);
    memset(header, 'n', 2048);
    (void)snprintf(header, 3, "{\"");
    header[2] = 'n';
    (void)snprintf(header + 2 + TARS_SAFETENSORS_NAME_MAX + 1, 128,
                   "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    assert_int_equal(
        tars_safetensors_parse(tars_span(bytes, make_file(header, -1, bytes)), &file, NULL),
        TARS_ETOOBIG);
    free(bytes);
    free(header);
}

static void header_over_its_limit(void **state)
{
    (void)state;
    size_t len = TARS_SAFETENSORS_HEADER_MAX + 64;
    char *bytes = calloc(1, len);
    struct tars_safetensors *file = NULL;
    size_t claimed = TARS_SAFETENSORS_HEADER_MAX + 1;

    assert_non_null(bytes);
    for (size_t i = 0; i < 8; i++)
        bytes[i] = (char)(claimed >> 8 * i);
    assert_int_equal(tars_safetensors_parse(tars_span(bytes, len), &file, NULL), TARS_ETOOBIG);
    free(bytes);
}

/* ------------------------------------------------------------------- reading */

static void types_become_floats(void **state)
{
    (void)state;
    static const struct {
        const char *dtype;
        unsigned char bytes[DATA_BYTES];
        size_t width;
        size_t n;
        float wanted[8];
    } rows[] = {
        {"F32",
         {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0xc8, 0x42},
         4,
         4,
         {1, -2, 0, 100}},
        {"F16",
         {0, 0x3c, 0, 0xc0, 1, 0, 0xff, 0x7b, 0, 0x7c, 0, 0x80, 1, 0x80, 0xff, 0x03},
         2,
         8,
         {1, -2, 0x1p-24F, 65504, __builtin_inff(), -0.0F, -0x1p-24F, 0x1p-14F - 0x1p-24F}},
        {"BF16",
         {0x80, 0x3f, 0, 0xc0, 0, 0, 0xc8, 0x42, 0x80, 0x7f, 0x80, 0xff, 0, 0x3f, 0, 0x80},
         2,
         8,
         {1, -2, 0, 100, __builtin_inff(), -__builtin_inff(), 0.5F, -0.0F}},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_safetensors *file = NULL;
        const struct tars_tensor *tensor;
        char header[128];
        char bytes[256];
        float out[8];
        size_t len;

        print_message("  %s\n", rows[i].dtype);
        (void)snprintf(header, sizeof(header),
                       "{\"t\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,16]}}",
                       rows[i].dtype, rows[i].n);
        len = make_file(header, -1, bytes);
        memcpy(bytes + len - DATA_BYTES, rows[i].bytes, DATA_BYTES);
        assert_int_equal(tars_safetensors_parse(tars_span(bytes, len), &file, NULL), TARS_OK);
        tensor = tars_safetensors_find(file, "t");
        assert_non_null(tensor);
        assert_null(tars_safetensors_find(file, "u"));
        assert_int_equal(tensor->bytes, rows[i].n * rows[i].width);
        assert_int_equal(tars_tensor_read_f32(tensor, 0, rows[i].n, out), TARS_OK);
        assert_memory_equal(out, rows[i].wanted, rows[i].n * sizeof(float));
        assert_int_equal(tars_tensor_read_f32(tensor, rows[i].n - 1, 1, out), TARS_OK);
        assert_memory_equal(out, &rows[i].wanted[rows[i].n - 1], sizeof(float));
        tars_safetensors_close(file);
    }
}

static void integers_are_not_read(void **state)
{
    (void)state;
    struct tars_safetensors *file = NULL;
    char bytes[256];
    float out;
    size_t len = make_file(T("I32", "[4]", "[0,16]"), -1, bytes);

    assert_int_equal(tars_safetensors_parse(tars_span(bytes, len), &file, NULL), TARS_OK);
    assert_int_equal(tars_tensor_read_f32(tars_safetensors_find(file, "t"), 0, 1, &out),
                     TARS_EUNSUPPORTED);
    tars_safetensors_forget_pages(file);
    tars_safetensors_close(file);
}

static void files_are_named(void **state)
{
    (void)state;
    struct tars_safetensors *file = NULL;
    struct tars_err err = {""};
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char bytes[256];

    files_make_dir(dir);
    files_write(dir, "good", bytes, make_file(T("F32", "[4]", "[0,16]"), -1, bytes), path);
    assert_int_equal(tars_safetensors_open(path, &file, &err), TARS_OK);
    assert_int_equal(tars_safetensors_count(file), 1);
    tars_safetensors_forget_pages(file);
    tars_safetensors_close(file);
    file = NULL;
    files_write(dir, "bad", "1234", 4, path);
    assert_int_equal(tars_safetensors_open(path, &file, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, path));
    files_write(dir, "empty", "", 0, path);
    assert_int_equal(tars_safetensors_open(path, &file, &err), TARS_EFORMAT);
    files_remove_dir(dir);
    assert_int_equal(tars_safetensors_open(path, &file, &err), TARS_ENOTFOUND);
    assert_null(file);
    tars_safetensors_close(NULL);
}

static void parse_once(void *ctx)
{
    (void)ctx;
    struct tars_safetensors *file = NULL;
    char bytes[256];
    size_t len = make_file(T("F32", "[4]", "[0,16]"), -1, bytes);
    tars_status status = tars_safetensors_parse(tars_span(bytes, len), &file, NULL);

    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_safetensors_close(file);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(parse_once, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_headers),
        cmocka_unit_test(every_length_is_survived),
        cmocka_unit_test(limits),
        cmocka_unit_test(header_over_its_limit),
        cmocka_unit_test(types_become_floats),
        cmocka_unit_test(integers_are_not_read),
        cmocka_unit_test(files_are_named),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
