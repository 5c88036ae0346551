/* Unit tests of what back ends share: llm/emit, llm/lines, and the two wire formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "llm/emit.h"
#include "llm/lines.h"
#include "llm/ollama_wire.h"
#include "llm/openai_wire.h"
#include "support/faults.h"
#include "support/guard.h"

struct heard {
    char text[4096];
    size_t len;
    size_t pieces;
    size_t stop_after; /* pieces; 0: never */
};

static bool hear(void *ctx, const char *ptr, size_t len)
{
    struct heard *heard = ctx;

    assert_true(len > 0);
    assert_true(heard->len + len < sizeof(heard->text));
    memcpy(heard->text + heard->len, ptr, len);
    heard->len += len;
    heard->text[heard->len] = '\0';
    heard->pieces++;
    return heard->stop_after == 0 || heard->pieces < heard->stop_after;
}

/* --------------------------------------------------------------------- emit */

struct emit_row {
    const char *name;
    const char *bytes;
    size_t len;
    const char *text;
};

#define ROW(name, bytes, text)               \
    {                                        \
        name, bytes, sizeof(bytes) - 1, text \
    }
#define FFFD "\xEF\xBF\xBD"

static const struct emit_row emit_rows[] = {
    ROW("ascii", "hello", "hello"),
    ROW("two, three, four bytes", "\xC3\xA9\xE4\xB8\xAD\xF0\x9F\x98\x80", "é中😀"),
    ROW("lone continuation", "a\x80z", "a" FFFD "z"),
    ROW("cut in two by ascii", "\xE4\xB8z", FFFD FFFD "z"),
    ROW("overlong two", "\xC0\xAF", FFFD FFFD),
    ROW("overlong three", "\xE0\x80\x80", FFFD FFFD FFFD),
    ROW("surrogate", "\xED\xA0\x80", FFFD FFFD FFFD),
    ROW("past the last plane", "\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD),
    ROW("first of four bytes is too large", "\xF5z", FFFD "z"),
    ROW("overlong four", "\xF0\x80\x80\x80", FFFD FFFD FFFD FFFD),
    ROW("ends in the middle", "a\xF0\x9F\x98", "a" FFFD FFFD FFFD),
    ROW("new character in the middle", "\xE4\xC3\xA9", FFFD "é"),
};

static void emit_whole(const struct emit_row *row, size_t cut, struct heard *heard)
{
    const struct tars_llm_sink sink = {hear, heard};
    struct tars_llm_result result = {.started = false};
    struct tars_emit emit;
    size_t pieces_before;

    memset(heard, 0, sizeof(*heard));
    tars_emit_init(&emit, &sink, NULL, &result);
    assert_int_equal(tars_emit_push(&emit, row->bytes, cut), TARS_OK);
    pieces_before = heard->len;
    /* What came out so far is whole characters: nothing of the last one when it was cut. */
    assert_true(pieces_before == 0 || strncmp(row->text, heard->text, pieces_before) == 0);
    assert_int_equal(tars_emit_push(&emit, row->bytes + cut, row->len - cut), TARS_OK);
    assert_int_equal(tars_emit_finish(&emit), TARS_OK);
    assert_true(result.started);
}

static void emit_repairs_at_every_split(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof(emit_rows) / sizeof(emit_rows[0]); r++) {
        for (size_t cut = 0; cut <= emit_rows[r].len; cut++) {
            struct heard heard;

            emit_whole(&emit_rows[r], cut, &heard);
            if (strcmp(heard.text, emit_rows[r].text) != 0) {
                fail_msg("%s, cut at %zu: \"%s\"", emit_rows[r].name, cut, heard.text);
            }
        }
    }
}

static void emit_stops(void **state)
{
    struct tars_call call = {.deadline_ms = 0};
    struct heard heard = {.stop_after = 1};
    const struct tars_llm_sink sink = {hear, &heard};
    struct tars_llm_result result = {.started = false};
    struct tars_emit emit;

    (void)state;
    tars_emit_init(&emit, &sink, &call, &result);
    assert_int_equal(tars_emit_push(&emit, "a", 1), TARS_ECANCELED);
    heard = (struct heard){.len = 0};
    assert_int_equal(tars_emit_push(&emit, "a", 1), TARS_OK);
    assert_int_equal(result.tokens, 2);
    call.deadline_ms = 1;
    assert_int_equal(tars_emit_push(&emit, "a", 1), TARS_ETIMEOUT);
    atomic_store(&call.cancelled, true);
    assert_int_equal(tars_emit_push(&emit, "a", 1), TARS_ECANCELED);
}

static bool swallow(void *ctx, const char *ptr, size_t len)
{
    (void)ptr;
    *(size_t *)ctx += len;
    return true;
}

static void emit_has_a_ceiling(void **state)
{
    static char block[65536];
    size_t total = 0;
    const struct tars_llm_sink sink = {swallow, &total};
    struct tars_llm_result result = {.started = false};
    struct tars_emit emit;
    tars_status status = TARS_OK;

    (void)state;
    memset(block, 'x', sizeof(block));
    tars_emit_init(&emit, &sink, NULL, &result);
    for (int i = 0; i < 100 && status == TARS_OK; i++)
        status = tars_emit_push(&emit, block, sizeof(block));
    assert_int_equal(status, TARS_ETOOBIG);
    assert_true(total <= TARS_LLM_OUTPUT_MAX);
}

/* -------------------------------------------------------------------- lines */

struct joined {
    char text[512];
    size_t len;
};

static tars_status join_line(void *ctx, struct tars_span line)
{
    struct joined *joined = ctx;

    if (tars_span_is(line, "bad"))
        return TARS_EFORMAT;
    assert_true(joined->len + line.len + 2 < sizeof(joined->text));
    if (line.len)
        memcpy(joined->text + joined->len, line.ptr, line.len);
    joined->len += line.len;
    joined->text[joined->len++] = '|';
    joined->text[joined->len] = '\0';
    return TARS_OK;
}

static const struct {
    const char *name;
    const char *bytes;
    const char *lines;
    tars_status status;
} line_rows[] = {
    {"two lines", "ab\ncd\n", "ab|cd|", TARS_OK},
    {"last without end", "ab\ncd", "ab|cd|", TARS_OK},
    {"carriage returns", "ab\r\n\r\ncd\r\n", "ab||cd|", TARS_OK},
    {"inner carriage return stays", "a\rb\n", "a\rb|", TARS_OK},
    {"empty", "", "", TARS_OK},
    {"exactly the limit", "12345678\n", "12345678|", TARS_OK},
    {"exactly the limit, with return", "12345678\r\nx", NULL, TARS_OK},
    {"over the limit", "123456789\n", "", TARS_ETOOBIG},
    {"over the limit, no end", "1234567890123", "", TARS_ETOOBIG},
    {"callback refuses", "ab\nbad\ncd\n", "ab|", TARS_EFORMAT},
};

static tars_status cut_lines(const char *bytes, size_t len, size_t cut, struct joined *joined)
{
    struct guard guard = guard_copy(bytes, len);
    struct tars_lines lines;
    tars_status status;

    tars_lines_init(&lines, 8, join_line, joined);
    status = tars_lines_push(&lines, guard.ptr, cut);
    if (status == TARS_OK)
        status = tars_lines_push(&lines, guard.ptr + cut, len - cut);
    if (status == TARS_OK)
        status = tars_lines_finish(&lines);
    if (status != TARS_OK) {
        assert_int_equal(tars_lines_push(&lines, "x\n", 2), status);
    }
    tars_lines_release(&lines);
    guard_free(&guard);
    return status;
}

static void lines_at_every_split(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof(line_rows) / sizeof(line_rows[0]); r++) {
        size_t len = strlen(line_rows[r].bytes);

        for (size_t cut = 0; cut <= len; cut++) {
            struct joined joined = {.text = "", .len = 0};
            tars_status status = cut_lines(line_rows[r].bytes, len, cut, &joined);

            if (line_rows[r].lines &&
                (status != line_rows[r].status || strcmp(joined.text, line_rows[r].lines) != 0)) {
                fail_msg("%s, cut at %zu: %d \"%s\"", line_rows[r].name, cut, (int)status,
                         joined.text);
            }
        }
    }
}

/* --------------------------------------------------------------------- wire */

struct parse_row {
    const char *name;
    const char *line;
    size_t tokens;
    const char *text;
    const char *error;
    tars_status status;
    int done;
};

static const struct parse_row ollama_rows[] = {
    {"token", "{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}", 0, "Hi", "", TARS_OK, false},
    {"end", "{\"response\":\"\",\"done\":true,\"eval_count\":41}", 41, "", "", TARS_OK, true},
    {"error", "{\"error\":\"model 'x' not found\"}", 0, "", "model 'x' not found", TARS_OK, false},
    {"escapes", "{\"response\":\"\\u00e9\\n\\ud83d\\ude00\"}", 0, "é\n😀", "", TARS_OK, false},
    {"no object", "[1]", 0, "", "", TARS_EFORMAT, false},
    {"garbage", "<html>", 0, "", "", TARS_EFORMAT, false},
    {"cut", "{\"response\":\"H", 0, "", "", TARS_EFORMAT, false},
    {"wrong types", "{\"response\":7,\"done\":\"yes\",\"eval_count\":-3}", 0, "", "", TARS_OK,
     false},
    {"huge count", "{\"response\":\"\",\"eval_count\":99999999999}", 0, "", "", TARS_OK, false},
    {"lone surrogate", "{\"response\":\"\\ud83d\"}", 0, "", "", TARS_EFORMAT, false},
};

static const struct parse_row openai_rows[] = {
    {"token", "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}", 0, "Hi", "", TARS_OK,
     false},
    {"no space", "data:{\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}", 0, "Hi", "", TARS_OK,
     false},
    {"role only", "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}", 0, "", "", TARS_OK,
     false},
    {"null content", "data: {\"choices\":[{\"delta\":{\"content\":null}}]}", 0, "", "", TARS_OK,
     false},
    {"no choices", "data: {\"choices\":[]}", 0, "", "", TARS_OK, false},
    {"done", "data: [DONE]", 0, "", "", TARS_OK, true},
    {"comment", ": ping", 0, "", "", TARS_OK, false},
    {"event field", "event: message", 0, "", "", TARS_OK, false},
    {"error object", "data: {\"error\":{\"message\":\"too long\"}}", 0, "", "too long", TARS_OK,
     false},
    {"error text", "data: {\"error\":\"too long\"}", 0, "", "too long", TARS_OK, false},
    {"error of another kind", "data: {\"error\":5}", 0, "", "an error without words", TARS_OK,
     false},
    {"not a stream", "{\"choices\":[]}", 0, "", "", TARS_EFORMAT, false},
    {"garbage", "data: <html>", 0, "", "", TARS_EFORMAT, false},
    {"bare field", "data:", 0, "", "", TARS_EFORMAT, false},
};

static void run_parse_rows(const struct parse_row *rows, size_t count, tars_remote_parse_fn *parse)
{
    for (size_t r = 0; r < count; r++) {
        struct guard guard = guard_copy(rows[r].line, strlen(rows[r].line));
        struct tars_remote_line out = {.done = false};
        void *hold = NULL;
        tars_status status = parse(tars_span(guard.ptr, strlen(rows[r].line)), &out, &hold);

        if (status != rows[r].status ||
            (status == TARS_OK &&
             (!tars_span_is(out.text, rows[r].text) || out.done != (rows[r].done != 0) ||
              !tars_span_is(out.error, rows[r].error) || out.tokens != rows[r].tokens))) {
            fail_msg("%s: status %d, text \"%.*s\"", rows[r].name, (int)status, (int)out.text.len,
                     out.text.ptr ? out.text.ptr : "");
        }
        tars_remote_drop(hold);
        guard_free(&guard);
    }
}

static void ollama_lines(void **state)
{
    (void)state;
    run_parse_rows(ollama_rows, sizeof(ollama_rows) / sizeof(ollama_rows[0]), tars_ollama_parse);
}

static void openai_lines(void **state)
{
    (void)state;
    run_parse_rows(openai_rows, sizeof(openai_rows) / sizeof(openai_rows[0]), tars_openai_parse);
}

static const struct tars_llm_turn turn = {"Hi", "Hello"};

static void requests_are_those_of_the_contract(void **state)
{
    struct tars_llm_request request = {
        .system = "S", .prompt = "P\n\"q\"", .max_tokens = 7, .temperature = 0.5F, .top_p = 0.9F};
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, 4096);
    tars_ollama_write(&out, "m", &request);
    assert_string_equal(out.ptr,
                        "{\"model\":\"m\",\"prompt\":\"P\\n\\\"q\\\"\",\"stream\":true,"
                        "\"system\":\"S\",\"options\":{\"temperature\":0.5,\"num_predict\":7,"
                        "\"top_p\":0.9,\"top_k\":40}}");
    tars_buf_clear(&out);
    request.history = &turn;
    request.history_count = 1;
    request.seed = 9;
    tars_openai_write(&out, "m", &request);
    assert_string_equal(out.ptr,
                        "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},"
                        "{\"role\":\"user\",\"content\":\"Hi\"},"
                        "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                        "{\"role\":\"user\",\"content\":\"P\\n\\\"q\\\"\"}],\"stream\":true,"
                        "\"max_tokens\":7,\"temperature\":0.5,\"top_p\":0.9,\"seed\":9}");
    tars_buf_clear(&out);
    tars_ollama_write(&out, "m", &request);
    assert_non_null(strstr(out.ptr, "\"User: Hi\\n\\nAssistant: Hello\\n\\nP\\n"));
    assert_non_null(strstr(out.ptr, "\"seed\":9"));
    tars_buf_release(&out);
}

static void write_both(void *ctx)
{
    const struct tars_llm_request request = {
        .prompt = "P", .history = &turn, .history_count = 1, .temperature = -1};
    struct tars_buf out;

    (void)ctx;
    tars_buf_init(&out, 4096);
    tars_ollama_write(&out, "m", &request);
    tars_openai_write(&out, "m", &request);
    if (faults_happened()) {
        assert_int_equal(out.status, TARS_ENOMEM);
    } else {
        assert_int_equal(out.status, TARS_OK);
    }
    tars_buf_release(&out);
}

static void push_lines(void *ctx)
{
    struct joined joined = {.text = "", .len = 0};
    struct tars_lines lines;
    tars_status status;

    (void)ctx;
    tars_lines_init(&lines, 100, join_line, &joined);
    status = tars_lines_push(&lines, "abc", 3);
    if (status == TARS_OK)
        status = tars_lines_push(&lines, "def\n", 4);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    tars_lines_release(&lines);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(write_both, NULL) >= 2);
    assert_true(faults_each(push_lines, NULL) >= 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(emit_repairs_at_every_split),
        cmocka_unit_test(emit_stops),
        cmocka_unit_test(emit_has_a_ceiling),
        cmocka_unit_test(lines_at_every_split),
        cmocka_unit_test(ollama_lines),
        cmocka_unit_test(openai_lines),
        cmocka_unit_test(requests_are_those_of_the_contract),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
