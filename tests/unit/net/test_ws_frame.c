/* Frames of a WebSocket: valid, refused, incomplete; and that no cutting of the bytes changes what
 * comes out. UTF-8 against a slow reading of the definition; heads; close codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/ws_frame.h"
#include "support/guard.h"

#define MAX_MESSAGE 200
#define KEY         "\0\0\0\0" /* the key that changes nothing: rows stay readable */
#define B(bytes)    (bytes), sizeof(bytes) - 1

/* What comes out, as text: T and B for a message, P ping, Q pong, C close with its code, then what
 * it carried in brackets; ! and the code when it is refused; ... when it is incomplete. */
struct row {
    const char *name;
    const char *bytes;
    size_t len;
    const char *out;
};

static const struct row rows[] = {
    {"nothing", B(""), "..."},
    {"text", B("\x81\x82" KEY "hi"), "T[hi]..."},
    {"text masked", B("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"), "T[Hello]..."},
    {"empty text", B("\x81\x80" KEY), "T[]..."},
    {"binary", B("\x82\x82" KEY "hi"), "B[hi]..."},
    {"two texts", B("\x81\x81" KEY "a\x81\x81" KEY "b"), "T[a]T[b]..."},
    {"fragments", B("\x01\x81" KEY "a\x00\x81" KEY "b\x80\x81" KEY "c"), "T[abc]..."},
    {"fragments, the last empty", B("\x01\x81" KEY "a\x80\x80" KEY), "T[a]..."},
    {"fragments, the first empty", B("\x01\x80" KEY "\x80\x81" KEY "a"), "T[a]..."},
    {"fragments, all empty", B("\x02\x80" KEY "\x00\x80" KEY "\x80\x80" KEY), "B[]..."},
    {"ping between fragments", B("\x01\x81" KEY "a\x89\x81" KEY "x\x80\x81" KEY "b"),
     "P[x]T[ab]..."},
    {"ping", B("\x89\x80" KEY), "P[]..."},
    {"pong", B("\x8a\x82" KEY "hi"), "Q[hi]..."},
    {"length of 16 bits",
     B("\x81\xfe\x00\x7e" KEY
       "0123456789012345678901234567890123456789012345678901234567890123456789"
       "01234567890123456789012345678901234567890123456789012345"),
     "T[0123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456789012345678901234567890123456789012345]..."},
    {"half a head", B("\x81"), "..."},
    {"half a length", B("\x81\xfe\x00"), "..."},
    {"half a key", B("\x81\x81\0\0"), "..."},
    {"half a message", B("\x81\x82" KEY "h"), "..."},
    {"a fragment without end", B("\x01\x81" KEY "a"), "..."},
    {"half a ping", B("\x89\x82" KEY "h"), "..."},

    {"close without code", B("\x88\x80" KEY), "C1005[]..."},
    {"close", B("\x88\x82" KEY "\x03\xe8"), "C1000[]..."},
    {"close with reason",
     B("\x88\x85" KEY "\x03\xe9"
       "bye"),
     "C1001[bye]..."},
    {"close with half a code", B("\x88\x81" KEY "\x03"), "!1002"},
    {"close 1005", B("\x88\x82" KEY "\x03\xed"), "!1002"},
    {"close 1006", B("\x88\x82" KEY "\x03\xee"), "!1002"},
    {"close 0", B("\x88\x82" KEY "\x00\x00"), "!1002"},
    {"close 65535", B("\x88\x82" KEY "\xff\xff"), "!1002"},
    {"close, reason not UTF-8", B("\x88\x83" KEY "\x03\xe8\xff"), "!1007"},
    {"close, reason cut in a character", B("\x88\x83" KEY "\x03\xe8\xc3"), "!1007"},

    {"RSV1", B("\xc1\x80"), "!1002"},
    {"RSV2", B("\xa1\x80"), "!1002"},
    {"RSV3", B("\x91\x80"), "!1002"},
    {"RSV1 after a text", B("\x81\x81" KEY "a\xc1"), "T[a]!1002"},
    {"opcode 3", B("\x83"), "!1002"},
    {"opcode 7", B("\x87"), "!1002"},
    {"opcode 11", B("\x8b"), "!1002"},
    {"opcode 15", B("\x8f"), "!1002"},
    {"no mask", B("\x81\x02hi"), "!1002"},
    {"ping without mask", B("\x89\x00"), "!1002"},
    {"ping in fragments", B("\x09\x80"), "!1002"},
    {"close in fragments", B("\x08\x80"), "!1002"},
    {"ping of 126", B("\x89\xfe\x00\x7e"), "!1002"},
    {"close of 64 bits", B("\x88\xff"), "!1002"},
    {"continuation of nothing", B("\x80\x80" KEY), "!1002"},
    {"continuation after the end", B("\x81\x81" KEY "a\x80\x81"), "T[a]!1002"},
    {"text within text", B("\x01\x81" KEY "a\x81"), "!1002"},
    {"binary within text", B("\x01\x81" KEY "a\x02"), "!1002"},
    {"16 bits for 125", B("\x81\xfe\x00\x7d"), "!1002"},
    {"64 bits for 65535", B("\x81\xff\0\0\0\0\0\0\xff\xff"), "!1002"},
    {"the 64th bit", B("\x81\xff\x80"), "!1002"},
    {"too large, 16 bits", B("\x81\xfe\x00\xc9"), "!1009"},
    {"too large, 63 bits", B("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), "!1009"},
    {"too large together",
     B("\x01\xe4" KEY "0123456789012345678901234567890123456789012345678901234567890123456789"
       "012345678901234567890123456789\x80\xe5"),
     "!1009"},

    {"UTF-8", B("\x81\x84" KEY "\xc3\xa4\xc3\xb6"), "T[\xc3\xa4\xc3\xb6]..."},
    {"a character over two fragments", B("\x01\x81" KEY "\xc3\x80\x81" KEY "\xa4"),
     "T[\xc3\xa4]..."},
    {"a character with a ping within", B("\x01\x81" KEY "\xc3\x89\x80" KEY "\x80\x81" KEY "\xa4"),
     "P[]T[\xc3\xa4]..."},
    {"wrong byte in the middle of a text", B("\x81\xe0" KEY "ok\xff"), "!1007"},
    {"wrong byte in a first fragment", B("\x01\x83" KEY "a\xc0\x80"), "!1007"},
    {"text ends within a character", B("\x81\x81" KEY "\xc3"), "!1007"},
    {"the same in an empty last fragment", B("\x01\x81" KEY "\xc3\x80\x80" KEY), "!1007"},
    {"surrogate", B("\x81\x83" KEY "\xed\xa0"), "!1007"},
    {"not UTF-8 in binary", B("\x82\x82" KEY "\xff\xc0"), "B[\xff\xc0]..."},
};

struct transcript {
    char text[1024];
    size_t len;
};

static void put(struct transcript *out, const char *ptr, size_t len)
{
    assert_true(out->len + len < sizeof(out->text));
    memcpy(out->text + out->len, ptr, len);
    out->len += len;
    out->text[out->len] = '\0';
}

static void put_text(struct transcript *out, const char *text)
{
    put(out, text, strlen(text));
}

/* Pieces of a message are joined; one whose end never comes is taken back by the caller. */
static void put_event(struct transcript *out, struct transcript *message,
                      const struct tars_ws_event *event)
{
    char close[16];

    switch (event->opcode) {
    case TARS_WS_OP_TEXT:
    case TARS_WS_OP_BINARY:
        if (event->is_first)
            put_text(message, event->opcode == TARS_WS_OP_TEXT ? "T[" : "B[");
        assert_true(message->len > 0);
        put(message, event->data.len ? event->data.ptr : "", event->data.len);
        if (!event->is_last)
            return;
        put(out, message->text, message->len);
        put_text(out, "]");
        message->len = 0;
        return;
    case TARS_WS_OP_CLOSE:
        snprintf(close, sizeof(close), "C%u[", (unsigned)event->code);
        put_text(out, close);
        break;
    default:
        put_text(out, event->opcode == TARS_WS_OP_PING ? "P[" : "Q[");
    }
    put(out, event->data.ptr, event->data.len);
    put_text(out, "]");
}

/* Feed in pieces of step bytes, each of which ends at a guard page. */
static void run(const struct row *row, size_t step, bool text_only, struct transcript *out)
{
    struct tars_ws_reader reader;
    struct transcript message = {.len = 0};
    tars_status status = TARS_EAGAIN;

    out->len = 0;
    tars_ws_reader_init(&reader, MAX_MESSAGE, text_only);
    for (size_t at = 0; at < row->len && status == TARS_EAGAIN; at += step) {
        size_t n = step < row->len - at ? step : row->len - at;
        struct guard guard = guard_copy(row->bytes + at, n);
        struct tars_ws_event event;
        char *ptr = guard.ptr;

        while ((status = tars_ws_reader_next(&reader, &ptr, &n, &event)) == TARS_OK)
            put_event(out, &message, &event);
        assert_true(status != TARS_EAGAIN || n == 0);
        guard_free(&guard);
    }
    if (status == TARS_EAGAIN) {
        put_text(out, "...");
    } else {
        char code[8];
        size_t n = 0;
        char *ptr = NULL;
        struct tars_ws_event event;

        snprintf(code, sizeof(code), "!%u", (unsigned)reader.code);
        put_text(out, code);
        assert_non_null(reader.why);
        assert_int_equal(tars_ws_reader_next(&reader, &ptr, &n, &event), TARS_EFORMAT);
    }
}

static void test_rows(void **state)
{
    struct transcript out;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step <= rows[i].len + 1; step++) {
            run(&rows[i], step, false, &out);
            if (strcmp(out.text, rows[i].out) != 0) {
                fail_msg("row: %s, step %zu: %s", rows[i].name, step, out.text);
            }
        }
    }
}

static void test_text_only(void **state)
{
    static const struct row table[] = {
        {"text", B("\x81\x81" KEY "a"), "T[a]..."},
        {"binary", B("\x82"), "!1003"},
        {"ping", B("\x89\x80" KEY), "P[]..."},
    };
    struct transcript out;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        run(&table[i], 1, true, &out);
        assert_string_equal(out.text, table[i].out);
    }
}

/* len bytes that count up, masked, come in two parts. */
static void run_masked(size_t len, size_t split)
{
    static const unsigned char key[4] = {0x11, 0x22, 0x44, 0x88};
    char bytes[2 + 4 + 40] = {(char)0x82, (char)(0x80 | len)};
    struct tars_ws_reader reader;
    struct tars_ws_event event;
    char *ptr = bytes;
    size_t n = 6 + split;
    size_t got = 0;

    memcpy(bytes + 2, key, 4);
    for (size_t i = 0; i < len; i++)
        bytes[6 + i] = (char)((unsigned char)i ^ key[i % 4]);
    tars_ws_reader_init(&reader, MAX_MESSAGE, false);
    for (int part = 0; part < 2; part++) {
        while (tars_ws_reader_next(&reader, &ptr, &n, &event) == TARS_OK) {
            for (size_t i = 0; i < event.data.len; i++)
                assert_int_equal(event.data.ptr[i], (char)(got + i));
            got += event.data.len;
        }
        n = len - split;
    }
    assert_int_equal(got, len);
}

/* Every place in the key, every length near a word's. */
static void test_mask(void **state)
{
    (void)state;
    for (size_t len = 0; len <= 40; len++) {
        for (size_t split = 0; split <= len; split++)
            run_masked(len, split);
    }
}

/* ---------------------------------------------------------------------- UTF-8 */

/* Bytes of the character at ptr, by the definition: decode it, and look whether the number needed
 * so many. 0: it is none. */
static size_t character_at(const unsigned char *ptr, size_t len)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    static const unsigned char leads[] = {0x00, 0xc0, 0xe0, 0xf0};
    static const unsigned char ends[] = {0x80, 0xe0, 0xf0, 0xf8};
    size_t more = 0;
    uint32_t c;

    while (more < 4 && (ptr[0] < leads[more] || ptr[0] >= ends[more]))
        more++;
    if (more == 4 || more >= len)
        return 0;
    c = ptr[0] - leads[more];
    for (size_t k = 1; k <= more; k++) {
        if ((ptr[k] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (ptr[k] & 0x3f);
    }
    return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) ? 0 : 1 + more;
}

static bool is_utf8(const unsigned char *ptr, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t step = character_at(ptr + i, len - i);

        if (step == 0)
            return false;
        i += step;
    }
    return true;
}

static bool feed_is_utf8(const char *ptr, size_t len, size_t step)
{
    struct tars_ws_utf8 text = {0};

    for (size_t at = 0; at < len; at += step) {
        if (!tars_ws_utf8_feed(&text, ptr + at, step < len - at ? step : len - at))
            return false;
    }
    return text.left == 0;
}

static void compare(const unsigned char *bytes, size_t len, size_t step)
{
    if (feed_is_utf8((const char *)bytes, len, step) != is_utf8(bytes, len)) {
        fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2], bytes[3]);
    }
}

/* All sequences of three bytes with text behind, so that whole words are read. */
static void test_utf8_three(void **state)
{
    unsigned char bytes[11] = "........def";

    (void)state;
    for (uint32_t n = 0x800000; n < 1U << 24; n++) { /* what is below begins with a letter */
        bytes[0] = (unsigned char)(n >> 16);
        bytes[1] = (unsigned char)(n >> 8);
        bytes[2] = (unsigned char)n;
        compare(bytes, sizeof(bytes), sizeof(bytes));
    }
}

/* Sequences of four, of which the last two are from a few; byte by byte. */
static void test_utf8_four(void **state)
{
    static const unsigned char tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff};

    (void)state;
    for (uint32_t n = 0; n < 1U << 16; n++) {
        for (size_t i = 0; i < sizeof(tails) * sizeof(tails); i++) {
            unsigned char bytes[4] = {(unsigned char)(n >> 8), (unsigned char)n,
                                      tails[i / sizeof(tails)], tails[i % sizeof(tails)]};

            compare(bytes, sizeof(bytes), 1);
        }
    }
}

/* The first byte that no text can have there is refused, not a later one. */
static void test_utf8_fails_fast(void **state)
{
    static const char *const bad[] = {"\xc0",     "\xc1",     "\xf5",        "\xff",
                                      "\x80",     "\xe0\x9f", "\xed\xa0",    "\xf0\x8f",
                                      "\xf4\x90", "\xc3\x61", "\xe2\x82\x61"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tars_ws_utf8 text = {0};
        size_t len = strlen(bad[i]);

        assert_true(tars_ws_utf8_feed(&text, "all is well ", 12));
        assert_true(tars_ws_utf8_feed(&text, bad[i], len - 1));
        assert_false(tars_ws_utf8_feed(&text, bad[i] + len - 1, 1));
    }
}

/* -------------------------------------------------------------------- writing */

static void test_heads(void **state)
{
    static const struct {
        uint64_t length;
        const char *bytes;
        size_t len;
    } table[] = {
        {0, B("\x81\x00")},
        {125, B("\x81\x7d")},
        {126, B("\x81\x7e\x00\x7e")},
        {65535, B("\x81\x7e\xff\xff")},
        {65536, B("\x81\x7f\0\0\0\0\0\x01\0\0")},
        {0x0102030405060708, B("\x81\x7f\x01\x02\x03\x04\x05\x06\x07\x08")},
    };
    char out[TARS_WS_HEAD_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(tars_ws_frame_head(out, TARS_WS_OP_TEXT, table[i].length), table[i].len);
        assert_memory_equal(out, table[i].bytes, table[i].len);
    }
    assert_int_equal(tars_ws_frame_head(out, TARS_WS_OP_CLOSE, 2), 2);
    assert_memory_equal(out, "\x88\x02", 2);
}

static void test_close_codes(void **state)
{
    static const struct {
        uint16_t first, last;
    } valid[] = {{1000, 1003}, {1007, 1014}, {3000, 4999}};

    (void)state;
    for (uint32_t code = 0; code <= UINT16_MAX; code++) {
        bool is_valid = false;

        for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
            is_valid |= code >= valid[i].first && code <= valid[i].last;
        assert_int_equal(tars_ws_close_code_is_valid((uint16_t)code), is_valid);
    }
}

static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct tars_ws_reader) <= 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_text_only),
        cmocka_unit_test(test_mask),      cmocka_unit_test(test_utf8_three),
        cmocka_unit_test(test_utf8_four), cmocka_unit_test(test_utf8_fails_fast),
        cmocka_unit_test(test_heads),     cmocka_unit_test(test_close_codes),
        cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
