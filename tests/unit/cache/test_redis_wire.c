/* Commands as Redis reads them, and replies however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cache/redis_address.h"
#include "cache/redis_slots.h"
#include "cache/redis_wire.h"
#include "support/faults.h"

#define MIB ((size_t)1 << 20)

static void commands_are_written(void **state)
{
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, MIB);
    tars_redis_command(&out, 3);
    tars_redis_arg(&out, tars_span_of("SET"));
    tars_redis_arg(&out, tars_span("a\r\nb\0", 5));
    tars_redis_arg_int(&out, -12);
    tars_redis_say(&out, "PING");
    assert_true(tars_span_equal(
        tars_buf_span(&out),
        tars_span("*3\r\n$3\r\nSET\r\n$5\r\na\r\nb\0\r\n$3\r\n-12\r\n*1\r\n$4\r\nPING\r\n", 47)));
    tars_buf_release(&out);
}

static void show_one(const struct tars_redis_reply *reply, struct tars_buf *out)
{
    static const char marks[] = {[TARS_REDIS_TEXT] = '"',
                                 [TARS_REDIS_STATUS] = '+',
                                 [TARS_REDIS_ERROR] = '-',
                                 [TARS_REDIS_INTEGER] = 'i'};

    if (reply->type == TARS_REDIS_NIL) {
        tars_buf_append_text(out, "nil");
    } else if (reply->type == TARS_REDIS_INTEGER) {
        tars_buf_appendf(out, "i%lld", (long long)reply->integer);
    } else if (reply->type == TARS_REDIS_ARRAY) {
        tars_buf_appendf(out, "[%zu]", reply->count);
    } else {
        tars_buf_append_char(out, marks[reply->type]);
        tars_buf_append(out, reply->text.ptr, reply->text.len);
    }
}

/* A reply as text: i1 (integer), +OK, -ERR, nil, "text, [n] and its items, in ( ). */
static void show(const struct tars_redis_reply *reply, struct tars_buf *out)
{
    show_one(reply, out);
    for (size_t i = 0; i < reply->count; i++) {
        const struct tars_redis_reply *item = reply->items[i];

        tars_buf_append_char(out, ' ');
        show_one(item, out);
        for (size_t k = 0; k < item->count; k++) {
            tars_buf_append_text(out, " (");
            show_one(item->items[k], out);
            tars_buf_append_char(out, ')');
        }
    }
}

/* shown NULL: TARS_EFORMAT; "": not whole. */
static const struct {
    const char *name, *bytes, *shown;
} rows[] = {
    {"status", "+OK\r\n", "+OK"},
    {"error", "-ERR no\r\n", "-ERR no"},
    {"integer", ":-42\r\n", "i-42"},
    {"text", "$3\r\nabc\r\n", "\"abc"},
    {"empty text", "$0\r\n\r\n", "\""},
    {"nil", "$-1\r\n", "nil"},
    {"nil array", "*-1\r\n", "nil"},
    {"empty array", "*0\r\n", "[0]"},
    {"array", "*3\r\n:1\r\n$-1\r\n$1\r\na\r\n", "[3] i1 nil \"a"},
    {"nested", "*2\r\n$1\r\n0\r\n*2\r\n+a\r\n*0\r\n", "[2] \"0 [2] (+a) ([0])"},
    {"several", "+a\r\n:1\r\n", "+a"},
    {"text not whole", "$3\r\nab", ""},
    {"array not whole", "*2\r\n:1\r\n", ""},
    {"promises much", "$60000000\r\nab", ""},
    {"not Redis", "HTTP/1.1 400 Bad Request\r\n", NULL},
    {"RESP3", "%1\r\n+a\r\n+b\r\n", NULL},
    {"length of nothing", "$-5\r\n", NULL},
    {"length that is no number", "$x\r\n", NULL},
    {"count that is no number", "*x\r\n", NULL},
    {"too deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
     NULL},
};

static tars_status read_cut(const char *bytes, size_t step, struct tars_buf *shown)
{
    struct tars_redis_reader *reader = NULL;
    struct tars_redis_reply *reply = NULL;
    struct tars_arena arena;
    size_t len = strlen(bytes);
    tars_status status = TARS_EAGAIN;

    tars_arena_init(&arena, MIB);
    assert_int_equal(tars_redis_reader_new((size_t)64 * MIB, &reader), TARS_OK);
    for (size_t at = 0; at < len && status == TARS_EAGAIN; at += step) {
        assert_int_equal(
            tars_redis_reader_feed(reader, bytes + at, len - at < step ? len - at : step), TARS_OK);
        status = tars_redis_reader_next(reader, &arena, &reply);
    }
    if (status == TARS_OK)
        show(reply, shown);
    tars_redis_reader_free(reader);
    tars_arena_release(&arena);
    return status;
}

static void replies_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("  %s\n", rows[i].name);
        for (size_t step = 1; step <= 64; step = step * 2 + 1) {
            struct tars_buf shown;
            tars_status status;

            tars_buf_init(&shown, MIB);
            status = read_cut(rows[i].bytes, step, &shown);
            if (!rows[i].shown) {
                assert_int_equal(status, TARS_EFORMAT);
            } else if (!rows[i].shown[0]) {
                assert_int_equal(status, TARS_EAGAIN);
            } else {
                assert_int_equal(status, TARS_OK);
                assert_string_equal(shown.ptr, rows[i].shown);
            }
            tars_buf_release(&shown);
        }
    }
}

static void replies_are_bounded(void **state)
{
    struct tars_redis_reader *reader = NULL;
    struct tars_redis_reply *reply;
    struct tars_arena arena;
    char bytes[200];

    (void)state;
    memset(bytes, 'x', sizeof(bytes));
    tars_arena_init(&arena, MIB / 16);
    assert_int_equal(tars_redis_reader_new(100, &reader), TARS_OK);
    assert_int_equal(tars_redis_reader_feed(reader, bytes, sizeof(bytes)), TARS_ETOOBIG);
    assert_int_equal(tars_redis_reader_feed(reader, "$150\r\n", 6), TARS_OK);
    assert_int_equal(tars_redis_reader_next(reader, &arena, &reply), TARS_EAGAIN);
    assert_int_equal(tars_redis_reader_feed(reader, bytes, 90), TARS_OK);
    assert_int_equal(tars_redis_reader_next(reader, &arena, &reply), TARS_EAGAIN);
    assert_int_equal(tars_redis_reader_feed(reader, bytes, 60), TARS_ETOOBIG);
    tars_redis_reader_free(reader);

    /* More items than there may be, and more than the arena holds. */
    assert_int_equal(tars_redis_reader_new(MIB, &reader), TARS_OK);
    assert_int_equal(tars_redis_reader_feed(reader, "*2000000000\r\n", 13), TARS_OK);
    assert_true(tars_redis_reader_next(reader, &arena, &reply) != TARS_OK);
    tars_redis_reader_free(reader);
    assert_int_equal(tars_redis_reader_new(MIB, &reader), TARS_OK);
    assert_int_equal(tars_redis_reader_feed(reader, "*100000\r\n", 9), TARS_OK);
    assert_int_equal(tars_redis_reader_next(reader, &arena, &reply), TARS_ENOMEM);
    tars_redis_reader_free(reader);
    tars_arena_release(&arena);
}

static void errors_are_told_by_their_first_word(void **state)
{
    const struct tars_redis_reply error = {.type = TARS_REDIS_ERROR,
                                           .text = tars_span_of("MOVED 1 a:1")};
    const struct tars_redis_reply ok = {.type = TARS_REDIS_STATUS, .text = tars_span_of("OK")};

    (void)state;
    assert_true(tars_redis_reply_is_error(&error, "MOVED"));
    assert_false(tars_redis_reply_is_error(&error, "MOV"));
    assert_false(tars_redis_reply_is_error(&error, "MOVED 1 a:1 and more"));
    assert_false(tars_redis_reply_is_error(&ok, "OK"));
    assert_true(tars_redis_reply_is(&ok, "OK"));
    assert_false(tars_redis_reply_is(&error, "MOVED 1 a:1"));
}

/* ---------------------------------------------------------------- addresses */

static void addresses_are_read(void **state)
{
    /* port 0: refused. default 0: as servers write them. */
    static const struct {
        const char *text, *host;
        int port, port_default;
    } some[] = {
        {"redis", "redis", 6379, 6379},
        {"redis:7000", "redis", 7000, 6379},
        {"10.0.0.1:1", "10.0.0.1", 1, 6379},
        {"[::1]:7000", "::1", 7000, 6379},
        {"[::1]", "::1", 6379, 6379},
        {"::1", "::1", 6379, 6379},
        {"2001:db8::1:7000", "2001:db8::1", 7000, 0},
        {":7000", "asked", 7000, 0},
        {"redis", "", 0, 0},
        {"redis:", "", 0, 6379},
        {"redis:0", "", 0, 6379},
        {"redis:65536", "", 0, 6379},
        {"redis:-1", "", 0, 6379},
        {"redis:7x", "", 0, 6379},
        {"redis:999999", "", 0, 6379},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct tars_redis_address address;
        tars_status status = tars_redis_address_parse(tars_span_of(some[i].text), "asked",
                                                      some[i].port_default, &address);

        print_message("  %s\n", some[i].text);
        assert_int_equal(status, some[i].port ? TARS_OK : TARS_EINVAL);
        if (some[i].port) {
            assert_string_equal(address.host, some[i].host);
            assert_int_equal(address.port, some[i].port);
        }
    }
}

static void lists_of_addresses_are_read(void **state)
{
    struct tars_redis_address found[3];
    struct tars_err err = {""};
    size_t count = 0;

    (void)state;
    assert_int_equal(tars_redis_address_list(" a , b:2,[::1]:3 ", 7, found, 3, &count, &err),
                     TARS_OK);
    assert_int_equal(count, 3);
    assert_string_equal(found[0].host, "a");
    assert_int_equal(found[0].port, 7);
    assert_string_equal(found[2].host, "::1");
    assert_int_equal(tars_redis_address_list("a,b,c,d", 7, found, 3, &count, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "over 3"));
    assert_int_equal(tars_redis_address_list("a,,c", 7, found, 3, &count, &err), TARS_EINVAL);
    assert_int_equal(tars_redis_address_list("", 7, found, 3, &count, &err), TARS_EINVAL);
    assert_int_equal(tars_redis_address_list("a,b:x", 7, found, 3, &count, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "\"b:x\""));
    assert_true(tars_redis_address_equal(&found[0], &found[0]));
    assert_false(tars_redis_address_equal(&found[0], &found[1]));
}

/* -------------------------------------------------------------------- slots */

static void keys_have_slots(void **state)
{
    /* As CLUSTER KEYSLOT of a server says. */
    static const struct {
        const char *key;
        int slot;
    } some[] = {
        {"123456789", 12739},
        {"foo", 12182},
        {"", 0},
        {"{user1000}.following", 3443},
        {"{user1000}.followers", 3443},
        {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015},
        {"foo{bar}{zap}", 5061},
        {"foo{bar", 15278},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        print_message("  \"%s\"\n", some[i].key);
        assert_int_equal(tars_redis_slot(tars_span_of(some[i].key)), some[i].slot);
    }
}

static void redirects_are_read(void **state)
{
    /* port 0: none. */
    static const struct {
        const char *text, *host;
        int slot, port;
        bool is_ask;
    } some[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", 3999, 6381, false},
        {"ASK 16383 example:1", "example", 16383, 1, true},
        {"MOVED 0 :7000", "asked", 0, 7000, false},
        {"MOVED 1 ::1:7000", "::1", 1, 7000, false},
        {"MOVED", "", 0, 0, false},
        {"MOVED ", "", 0, 0, false},
        {"MOVED x a:1", "", 0, 0, false},
        {"MOVED 16384 a:1", "", 0, 0, false},
        {"MOVED 99999999999999999999 a:1", "", 0, 0, false},
        {"MOVED 1", "", 0, 0, false},
        {"MOVED 1 ", "", 0, 0, false},
        {"MOVED 1 a", "", 0, 0, false},
        {"MOVED 1 a:99999", "", 0, 0, false},
        {"MOVEDX 1 a:1", "", 0, 0, false},
        {"ERR MOVED 1 a:1", "", 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        const struct tars_redis_reply reply = {.type = TARS_REDIS_ERROR,
                                               .text = tars_span_of(some[i].text)};
        struct tars_redis_address address;
        uint16_t slot;
        bool is_ask;
        bool is_one = tars_redis_redirect_read(&reply, "asked", &address, &slot, &is_ask);

        print_message("  %s\n", some[i].text);
        assert_int_equal(is_one, some[i].port != 0);
        if (is_one) {
            assert_string_equal(address.host, some[i].host);
            assert_int_equal(address.port, some[i].port);
            assert_int_equal(slot, some[i].slot);
            assert_int_equal(is_ask, some[i].is_ask);
        }
    }
}

/* Each range as "first-last host:port;". */
static tars_status note_range(void *ctx, const struct tars_redis_address *master, int first,
                              int last)
{
    tars_buf_appendf(ctx, "%d-%d %s:%d;", first, last, master->host, master->port);
    return first == 666 ? TARS_ETOOBIG : TARS_OK;
}

static void maps_of_slots_are_read(void **state)
{
    static const struct {
        const char *name, *bytes, *seen;
        tars_status status;
    } some[] = {
        {"one range", "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$1\r\na\r\n:1\r\n$2\r\nid\r\n", "0-9 a:1;",
         TARS_OK},
        {"a replica is passed over",
         "*1\r\n*4\r\n:0\r\n:9\r\n*2\r\n$1\r\na\r\n:1\r\n*2\r\n$1\r\nb\r\n:2\r\n", "0-9 a:1;",
         TARS_OK},
        {"a host that is left out", "*1\r\n*3\r\n:5\r\n:5\r\n*2\r\n$-1\r\n:7\r\n", "5-5 asked:7;",
         TARS_OK},
        {"an empty host", "*1\r\n*3\r\n:5\r\n:5\r\n*2\r\n$0\r\n\r\n:7\r\n", "5-5 asked:7;",
         TARS_OK},
        {"nothing", "*0\r\n", "", TARS_OK},
        {"backwards", "*1\r\n*3\r\n:9\r\n:5\r\n*2\r\n$1\r\na\r\n:7\r\n", "", TARS_OK},
        {"beyond the last", "*1\r\n*3\r\n:0\r\n:16384\r\n*2\r\n$1\r\na\r\n:7\r\n", "", TARS_OK},
        {"no port", "*1\r\n*3\r\n:0\r\n:1\r\n*1\r\n$1\r\na\r\n", "", TARS_OK},
        {"a port that is none", "*1\r\n*3\r\n:0\r\n:1\r\n*2\r\n$1\r\na\r\n:0\r\n", "", TARS_OK},
        {"no node", "*1\r\n*2\r\n:0\r\n:1\r\n", "", TARS_OK},
        {"not a map", "+OK\r\n", "", TARS_EFORMAT},
        {"stopped", "*2\r\n*3\r\n:666\r\n:666\r\n*2\r\n$1\r\na\r\n:7\r\n:1\r\n", "666-666 a:7;",
         TARS_ETOOBIG},
    };
    const struct tars_redis_address asked = {"asked", 1};

    (void)state;
    for (size_t i = 0; i < sizeof(some) / sizeof(some[0]); i++) {
        struct tars_redis_reader *reader = NULL;
        struct tars_redis_reply *reply;
        struct tars_arena arena;
        struct tars_buf seen;

        print_message("  %s\n", some[i].name);
        tars_arena_init(&arena, MIB);
        tars_buf_init(&seen, MIB);
        tars_buf_append(&seen, NULL, 0);
        assert_int_equal(tars_redis_reader_new(MIB, &reader), TARS_OK);
        assert_int_equal(tars_redis_reader_feed(reader, some[i].bytes, strlen(some[i].bytes)),
                         TARS_OK);
        assert_int_equal(tars_redis_reader_next(reader, &arena, &reply), TARS_OK);
        assert_int_equal(tars_redis_slots_read(reply, &asked, note_range, &seen), some[i].status);
        assert_string_equal(seen.ptr, some[i].seen);
        tars_redis_reader_free(reader);
        tars_buf_release(&seen);
        tars_arena_release(&arena);
    }
}

static void faulty_run(void *ctx)
{
    static const char bytes[] = "*2\r\n$3\r\nabc\r\n*2\r\n:1\r\n+x\r\n";
    struct tars_redis_reader *reader = NULL;
    struct tars_redis_reply *reply;
    struct tars_arena arena;
    tars_status status;

    (void)ctx;
    if (tars_redis_reader_new(MIB, &reader) != TARS_OK) {
        assert_true(faults_happened());
        return;
    }
    tars_arena_init(&arena, MIB);
    assert_int_equal(tars_redis_reader_feed(reader, bytes, sizeof(bytes) - 1), TARS_OK);
    status = tars_redis_reader_next(reader, &arena, &reply);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_redis_reader_free(reader);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(faulty_run, NULL) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_written),
        cmocka_unit_test(replies_are_read),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(errors_are_told_by_their_first_word),
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(lists_of_addresses_are_read),
        cmocka_unit_test(keys_have_slots),
        cmocka_unit_test(redirects_are_read),
        cmocka_unit_test(maps_of_slots_are_read),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
