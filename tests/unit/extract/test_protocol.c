/* Unit tests of extract/protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "extract/protocol.h"
#include "support/faults.h"
#include "support/guard.h"

static void write_all_kinds(struct tars_buf *out)
{
    struct tars_protocol_block block = {TARS_BLOCK_HEADING, 2, 7, tars_span_of("Über\nuns")};
    struct tars_protocol_document document = {
        .format = tars_span_of("pdf"),
        .external_id = tars_span_of("d-1"),
        .has_id = true,
        .title = tars_span_of("Title"),
        .metadata = tars_span_of("{\"a\":1}"),
        .page_count = 12,
    };
    struct tars_protocol_end end = {
        .status = TARS_EPASSWORD,
        .errors = UINT64_C(0x100000002),
        .message = tars_span_of("needs it"),
        .first_error = tars_span_of("line 3"),
        .format = tars_span_of("pdf"),
    };

    tars_protocol_write_block(out, &block);
    tars_protocol_write_document(out, &document);
    tars_protocol_write_end(out, &end);
}

static void what_is_written_is_read(void **state)
{
    struct tars_protocol_frame frame;
    struct tars_buf out;
    struct guard guard;
    size_t at = 0;
    size_t used = 0;

    (void)state;
    tars_buf_init(&out, 4096);
    write_all_kinds(&out);
    assert_int_equal(out.status, TARS_OK);
    guard = guard_copy(out.ptr, out.len);

    assert_int_equal(tars_protocol_read(guard.ptr, out.len, &frame, &used), TARS_OK);
    assert_int_equal(frame.type, 'B');
    assert_int_equal(frame.block.kind, TARS_BLOCK_HEADING);
    assert_int_equal(frame.block.level, 2);
    assert_int_equal(frame.block.page, 7);
    assert_true(tars_span_is(frame.block.text, "Über\nuns"));
    at += used;
    assert_int_equal(tars_protocol_read(guard.ptr + at, out.len - at, &frame, &used), TARS_OK);
    assert_int_equal(frame.type, 'D');
    assert_true(frame.document.has_id);
    assert_true(tars_span_is(frame.document.external_id, "d-1"));
    assert_true(tars_span_is(frame.document.metadata, "{\"a\":1}"));
    assert_int_equal(frame.document.page_count, 12);
    at += used;
    assert_int_equal(tars_protocol_read(guard.ptr + at, out.len - at, &frame, &used), TARS_OK);
    assert_int_equal(frame.type, 'E');
    assert_int_equal(frame.end.status, TARS_EPASSWORD);
    assert_true(frame.end.errors == UINT64_C(0x100000002));
    assert_true(tars_span_is(frame.end.first_error, "line 3"));
    assert_int_equal(at + used, out.len);
    guard_free(&guard);
    tars_buf_release(&out);
}

static void every_prefix_asks_for_more(void **state)
{
    struct tars_protocol_frame frame;
    struct tars_buf out;
    size_t used = 0;

    (void)state;
    tars_buf_init(&out, 4096);
    write_all_kinds(&out);
    assert_int_equal(tars_protocol_read(out.ptr, out.len, &frame, &used), TARS_OK);
    for (size_t len = 0; len < used; len++) {
        struct guard guard = guard_copy(out.ptr, len);
        size_t ignored = 0;

        assert_int_equal(tars_protocol_read(guard.ptr, len, &frame, &ignored), TARS_EAGAIN);
        guard_free(&guard);
    }
    tars_buf_release(&out);
}

static void hostile_frames_are_refused(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
    } rows[] = {
        {"unknown type", "\0\0\0\0X", 5},
        {"length beyond the ceiling",
         "\xFF\xFF\xFF\x7F"
         "B",
         5},
        {"block too short", "\2\0\0\0B\1\0", 7},
        {"block without text", "\6\0\0\0B\1\0\0\0\0\0", 11},
        {"unknown block kind", "\7\0\0\0B\x63\0\0\0\0\0a", 12},
        {"level on a paragraph", "\7\0\0\0B\1\2\0\0\0\0a", 12},
        {"heading without a level", "\7\0\0\0B\2\0\0\0\0\0a", 12},
        {"level beyond six", "\7\0\0\0B\2\7\0\0\0\0a", 12},
        {"page beyond belief",
         "\7\0\0\0B\1\0\xFF\xFF\xFF\xFF"
         "a",
         12},
        {"control character", "\7\0\0\0B\1\0\0\0\0\0\1", 12},
        {"NUL", "\7\0\0\0B\1\0\0\0\0\0\0", 12},
        {"cut UTF-8", "\7\0\0\0B\1\0\0\0\0\0\xC3", 12},
        {"overlong UTF-8",
         "\x8\0\0\0"
         "B\1\0\0\0\0\0\xC0\x80",
         13},
        {"surrogate", "\x9\0\0\0B\1\0\0\0\0\0\xED\xA0\x80", 14},
        {"beyond Unicode", "\xA\0\0\0B\1\0\0\0\0\0\xF4\x90\x80\x80", 15},
        {"string longer than its frame", "\xC\0\0\0D\0\0\0\0\0\xFF\0\0\0pdf", 17},
        {"flag that is neither", "\x15\0\0\0D\0\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 26},
        {"metadata that is no object", "\x16\0\0\0D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0x",
         27},
        {"unknown status", "\x18\0\0\0E\x63\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 29},
        {"left-over bytes", "\x19\0\0\0E\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0x", 30},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_protocol_frame frame;
        struct guard guard = guard_copy(rows[i].bytes, rows[i].len);
        size_t used = 0;
        tars_status status = tars_protocol_read(guard.ptr, rows[i].len, &frame, &used);

        if (status != TARS_EFORMAT) {
            fail_msg("%s: %s", rows[i].name, tars_status_text(status));
        }
        guard_free(&guard);
    }
}

static void write_body(void *ctx)
{
    struct tars_buf out;

    (void)ctx;
    tars_buf_init(&out, 4096);
    write_all_kinds(&out);
    assert_true(out.status == TARS_OK || out.status == TARS_ENOMEM);
    tars_buf_release(&out);
}

static void writing_survives_failing_allocations(void **state)
{
    (void)state;
    assert_true(faults_each(write_body, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_prefix_asks_for_more),
        cmocka_unit_test(hostile_frames_are_refused),
        cmocka_unit_test(writing_survives_failing_allocations),
    };

    return cmocka_run_group_tests_name("extract/protocol", tests, NULL, NULL);
}
