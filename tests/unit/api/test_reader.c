/* Unit tests of api/reader: a row is a body and the detail list that comes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/reader.h"
#include "support/faults.h"
#include "support/guard.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define GOOD    "[]"

struct row {
    const char *name;
    const char *body;
    const char *type;   /* content type */
    const char *detail; /* expected */
};

#define PROBLEM(type, loc, msg, input) \
    "{\"type\":\"" type "\",\"loc\":[\"body\"" loc "],\"msg\":\"" msg "\",\"input\":" input "}"

static const struct row rows[] = {
    {"good", "{\"q\":\"a\",\"n\":3,\"x\":0.5,\"f\":true,\"o\":{\"a\":1},\"l\":[\"a\"]}", "", GOOD},
    {"only what is required", "{\"q\":\"a\"}", "application/json; charset=utf-8", GOOD},
    {"nulls where they may be", "{\"q\":\"a\",\"t\":null,\"o\":null}", "", GOOD},
    {"types bend", "{\"q\":\"a\",\"n\":\"3\",\"x\":1,\"f\":\"off\"}", "", GOOD},
    {"whole floats and booleans are integers", "{\"q\":\"\",\"n\":true,\"x\":false,\"f\":1.0}",
     "application/problem+json", GOOD},
    {"numbers in texts", "{\"q\":\"a\",\"n\":\" +07.0\\n\",\"x\":\".5\"}", "", GOOD},
    {"integers over 64 bits", "{\"q\":\"a\",\"z\":[123456789012345678901234567890],\"n\":3}", "",
     GOOD},
    {"an integer over 64 bits where one is read", "{\"q\":\"a\",\"n\":100000000000000000000}", "",
     "[{\"type\":\"less_than_equal\",\"loc\":[\"body\",\"n\"],\"msg\":\"Input should be less than "
     "or "
     "equal to 20\",\"input\":1e20,\"ctx\":{\"le\":20}}]"},
    {"an exponent in a text", "{\"q\":\"a\",\"x\":\"1e-1\"}", "",
     "[" PROBLEM("float_parsing", ",\"x\"",
                 "Input should be a valid number, unable to parse string as a number",
                 "\"1e-1\"") "]"},
    {"a point alone", "{\"q\":\"a\",\"x\":\".\"}", "",
     "[" PROBLEM("float_parsing", ",\"x\"",
                 "Input should be a valid number, unable to parse string as a number",
                 "\".\"") "]"},
    {"unknown fields", "{\"q\":\"a\",\"z\":[[]]}", "", GOOD},
    {"missing field", "{\"n\":1}", "",
     "[" PROBLEM("missing", ",\"q\"", "Field required", "{\"n\":1}") "]"},
    {"empty body", " \n", "", "[" PROBLEM("missing", "", "Field required", "null") "]"},
    {"not a string", "{\"q\":5}", "",
     "[" PROBLEM("string_type", ",\"q\"", "Input should be a valid string", "5") "]"},
    {"null for a number", "{\"q\":\"a\",\"n\":null}", "",
     "[" PROBLEM("int_type", ",\"n\"", "Input should be a valid integer", "null") "]"},
    {"text for a number", "{\"q\":\"a\",\"n\":\"1.5\"}", "",
     "[" PROBLEM("int_parsing", ",\"n\"",
                 "Input should be a valid integer, unable to parse string as an integer",
                 "\"1.5\"") "]"},
    {"fraction", "{\"q\":\"a\",\"n\":1.5}", "",
     "[" PROBLEM("int_from_float", ",\"n\"",
                 "Input should be a valid integer, got a number with a fractional part",
                 "1.5") "]"},
    {"several", "{\"q\":[],\"x\":{},\"f\":\"maybe\",\"o\":1,\"l\":2}", "",
     "[" PROBLEM("string_type", ",\"q\"", "Input should be a valid string", "[]") "," PROBLEM(
         "float_type", ",\"x\"", "Input should be a valid number",
         "{}") "," PROBLEM("bool_parsing", ",\"f\"",
                           "Input should be a valid boolean, unable to interpret input",
                           "\"maybe\"") "," PROBLEM("dict_type", ",\"o\"",
                                                    "Input should be a valid dictionary",
                                                    "1") "," PROBLEM("list_type", ",\"l\"",
                                                                     "Input should be a valid list",
                                                                     "2") "]"},
    {"item of a list", "{\"q\":\"a\",\"l\":[\"a\",1]}", "",
     "[" PROBLEM("string_type", ",\"l\",1", "Input should be a valid string", "1") "]"},
    {"list for a flag", "{\"q\":\"a\",\"f\":[]}", "",
     "[" PROBLEM("bool_type", ",\"f\"", "Input should be a valid boolean", "[]") "]"},
    {"too small", "{\"q\":\"a\",\"n\":0}", "",
     "[{\"type\":\"greater_than_equal\",\"loc\":[\"body\",\"n\"],\"msg\":\"Input should be greater "
     "than or equal to 1\",\"input\":0,\"ctx\":{\"ge\":1}}]"},
    {"too large", "{\"q\":\"a\",\"x\":1.1}", "",
     "[{\"type\":\"less_than_equal\",\"loc\":[\"body\",\"x\"],\"msg\":\"Input should be less than "
     "or "
     "equal to 1\",\"input\":1.1000000000000001,\"ctx\":{\"le\":1.0}}]"},
    {"refused by the handler", "{\"q\":\"bad\"}", "",
     "[{\"type\":\"value_error\",\"loc\":[\"body\",\"q\"],\"msg\":\"Value error, is "
     "bad\",\"input\":"
     "\"bad\",\"ctx\":{\"error\":{}}}]"},
    {"not JSON", "{\"q\"", "",
     "[{\"type\":\"json_invalid\",\"loc\":[\"body\",4],\"msg\":\"JSON decode "
     "error\",\"input\":{},\"ctx\":{\"error\":\"':' expected near end of file\"}}]"},
    {"a list", "[1]", "",
     "[" PROBLEM("model_attributes_type", "",
                 "Input should be a valid dictionary or object to extract fields from", "[1]") "]"},
    {"another content type", "{\"q\":\"a\"}", "text/plain",
     "[" PROBLEM("model_attributes_type", "",
                 "Input should be a valid dictionary or object to extract fields from",
                 "\"{\\\"q\\\":\\\"a\\\"}\"") "]"},
    {"nested too deeply",
     "{\"q\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", "",
     "[{\"type\":\"json_invalid\",\"loc\":[\"body\",0],\"msg\":\"JSON decode error\",\"input\":{},"
     "\"ctx\":{\"error\":\"nested too deeply\"}}]"},
    {"brackets in strings are text", "{\"q\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"}", "",
     GOOD},
};

static void read_all(struct tars_reader *reader)
{
    const char *q = tars_reader_text(reader, "q", TARS_READER_REQUIRED);
    size_t count;

    if (q && strcmp(q, "bad") == 0)
        tars_reader_refuse(reader, "q", "is bad");
    (void)tars_reader_text(reader, "t", TARS_READER_OPTIONAL);
    (void)tars_reader_int(reader, "n", 5, 1, 20);
    (void)tars_reader_real(reader, "x", 0.7, 0, 1);
    (void)tars_reader_flag(reader, "f", true);
    (void)tars_reader_object(reader, "o");
    (void)tars_reader_texts(reader, "l", TARS_READER_OPTIONAL, &count);
}

static void check_and_release(struct tars_reader *reader, const struct row *row)
{
    struct tars_span detail = tars_reader_detail(reader);

    assert_int_equal(tars_reader_is_bad(reader), strcmp(row->detail, GOOD) != 0);
    if (!tars_span_is(detail, row->detail))
        print_message("got      %.*s\nexpected %s\n", (int)detail.len, detail.ptr, row->detail);
    assert_true(tars_span_is(detail, row->detail));
    tars_reader_release(reader);
}

static void row_holds(void **state)
{
    const struct row *row = *state;
    struct guard guard = guard_copy(row->body, strlen(row->body));
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena, tars_span(guard.ptr, strlen(row->body)),
                     tars_span_of(row->type));
    read_all(&reader);
    check_and_release(&reader, row);
    tars_arena_release(&arena);
    guard_free(&guard);
}

static void values_come_through(void **state)
{
    static const char body[] =
        "{\"q\":\"\\u00e9\",\"n\":\"7\",\"x\":true,\"f\":\"Off\",\"o\":{ \"a\" : "
        "[1]},\"l\":[\"a\",\"b\"],\"n\":9}";
    struct tars_arena arena;
    struct tars_reader reader;
    const char *const *texts;
    size_t count;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena, tars_span_of(body), tars_span(NULL, 0));
    assert_string_equal(tars_reader_text(&reader, "q", TARS_READER_REQUIRED), "\xC3\xA9");
    assert_int_equal(tars_reader_int(&reader, "n", 5, 1, 20), 9);
    assert_true(tars_reader_real(&reader, "x", 0.5, 0, 1) == 1);
    assert_false(tars_reader_flag(&reader, "f", true));
    assert_string_equal(tars_reader_object(&reader, "o"), "{\"a\":[1]}");
    texts = tars_reader_texts(&reader, "l", TARS_READER_REQUIRED, &count);
    assert_int_equal(count, 2);
    assert_string_equal(texts[1], "b");
    assert_int_equal(tars_reader_int(&reader, "absent", 5, 1, 20), 5);
    assert_null(tars_reader_text(&reader, "absent", TARS_READER_OPTIONAL));
    assert_false(tars_reader_is_bad(&reader));
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

#define ASKED(type, loc, msg, input) \
    "{\"type\":\"" type "\",\"loc\":[\"query\"" loc "],\"msg\":\"" msg "\",\"input\":" input "}"

/* A row is a query string; its fields are those of read_query(). */
static const struct row queries[] = {
    {"only what is required", "q=a", "", GOOD},
    {"all", "q=a%20b+c&n=20&f=yes&x=.5", "", GOOD},
    {"the last of one name counts", "n=0&q=&n=7", "", GOOD},
    {"unknown names and empty pairs", "&&z=1&q", "", GOOD},
    {"missing", "", "", "[" ASKED("missing", ",\"q\"", "Field required", "null") "]"},
    {"no number", "q=a&n=ten", "",
     "[" ASKED("int_parsing", ",\"n\"",
               "Input should be a valid integer, unable to parse string as an integer",
               "\"ten\"") "]"},
    {"a number that is empty", "q=a&n=", "",
     "[" ASKED("int_parsing", ",\"n\"",
               "Input should be a valid integer, unable to parse string as an integer",
               "\"\"") "]"},
    {"too small", "q=a&n=0", "",
     "[{\"type\":\"greater_than_equal\",\"loc\":[\"query\",\"n\"],\"msg\":\"Input should be "
     "greater "
     "than or equal to 1\",\"input\":\"0\",\"ctx\":{\"ge\":1}}]"},
    {"no flag", "q=a&f=maybe", "",
     "[" ASKED("bool_parsing", ",\"f\"",
               "Input should be a valid boolean, unable to interpret input", "\"maybe\"") "]"},
    {"bad percent-encoding", "q=a&n=%2", "",
     "[" ASKED("string_type", "", "Input should be UTF-8 text in percent-encoding", "null") "]"},
    {"not UTF-8", "q=a&%FF=1", "",
     "[" ASKED("string_type", "", "Input should be UTF-8 text in percent-encoding", "null") "]"},
};

static void read_query(struct tars_reader *reader)
{
    (void)tars_reader_text(reader, "q", TARS_READER_REQUIRED);
    (void)tars_reader_int(reader, "n", 5, 1, 20);
    (void)tars_reader_flag(reader, "f", true);
    (void)tars_reader_real(reader, "x", 0.7, 0, 1);
}

static void query_holds(void **state)
{
    const struct row *row = *state;
    struct guard guard = guard_copy(row->body, strlen(row->body));
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init_query(&reader, &arena, tars_span(guard.ptr, strlen(row->body)));
    read_query(&reader);
    check_and_release(&reader, row);
    tars_arena_release(&arena);
    guard_free(&guard);
}

static void queries_are_decoded(void **state)
{
    struct tars_arena arena;
    struct tars_reader reader;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    tars_reader_init_query(&reader, &arena, tars_span_of("q=a%20b+%C3%A9&n=7&f=off&x=.5"));
    assert_string_equal(tars_reader_text(&reader, "q", TARS_READER_REQUIRED), "a b \xC3\xA9");
    assert_int_equal(tars_reader_int(&reader, "n", 5, 1, 20), 7);
    assert_false(tars_reader_flag(&reader, "f", true));
    assert_true(tars_reader_real(&reader, "x", 0, 0, 1) == 0.5);
    assert_false(tars_reader_is_bad(&reader));
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

/* A text that the arena cannot hold is a problem, not an absent field. */
static void what_does_not_fit_is_told(void **state)
{
    struct tars_arena arena;
    struct tars_reader reader;
    const char *const *texts;
    char body[4096];
    size_t count;

    (void)state;
    (void)snprintf(body, sizeof(body), "{\"q\":\"%0*d\",\"l\":[\"%0*d\"]}", 1500, 0, 1500, 0);
    for (int round = 0; round < 2; round++) {
        tars_arena_init(&arena, 1000);
        tars_reader_init(&reader, &arena, tars_span_of(body), tars_span(NULL, 0));
        if (round == 0) {
            assert_null(tars_reader_text(&reader, "q", TARS_READER_REQUIRED));
        } else {
            texts = tars_reader_texts(&reader, "l", TARS_READER_REQUIRED, &count);
            assert_null(texts);
            assert_int_equal(count, 0);
        }
        assert_true(tars_reader_is_bad(&reader));
        tars_reader_release(&reader);
        tars_arena_release(&arena);
    }
}

static void read_once(void *ctx)
{
    const struct row *row = ctx;
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena, tars_span_of(row->body), tars_span_of(row->type));
    read_all(&reader);
    (void)tars_reader_detail(&reader);
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

/* A row is a body whose field m is an object. */
static const struct row nested[] = {
    {"good", "{\"m\":{\"q\":\"a\",\"s\":[{\"a\":1},{}],\"t\":null}}", "", GOOD},
    {"the field is missing", "{}", "",
     "[" PROBLEM("missing", ",\"m\"", "Field required", "{}") "]"},
    {"the field is no object", "{\"m\":[]}", "",
     "[" PROBLEM("model_attributes_type", ",\"m\"",
                 "Input should be a valid dictionary or object to extract fields from", "[]") "]"},
    {"a field of the field is missing", "{\"m\":{\"t\":\"x\"}}", "",
     "[" PROBLEM("missing", ",\"m\",\"q\"", "Field required", "{\"t\":\"x\"}") "]"},
    {"no list of objects", "{\"m\":{\"q\":\"a\",\"s\":{}}}", "",
     "[" PROBLEM("list_type", ",\"m\",\"s\"", "Input should be a valid list", "{}") "]"},
    {"an item is no object", "{\"m\":{\"q\":\"a\",\"s\":[{},1]}}", "",
     "[" PROBLEM("dict_type", ",\"m\",\"s\",1", "Input should be a valid dictionary", "1") "]"},
};

static void read_nested(struct tars_reader *reader)
{
    tars_reader_enter(reader, "m");
    (void)tars_reader_text(reader, "q", TARS_READER_REQUIRED);
    (void)tars_reader_text(reader, "t", TARS_READER_OPTIONAL);
    (void)tars_reader_objects(reader, "s");
    tars_reader_leave(reader);
}

static void nested_holds(void **state)
{
    const struct row *row = *state;
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena, tars_span_of(row->body), tars_span(NULL, 0));
    read_nested(&reader);
    check_and_release(&reader, row);
    tars_arena_release(&arena);
}

static void words_and_nulls(void **state)
{
    struct tars_arena arena;
    struct tars_reader reader;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena,
                     tars_span_of("{\"n\":null,\"q\":null,\"f\":1,\"m\":{\"s\":[{\"a\":[1]}]}}"),
                     tars_span(NULL, 0));
    tars_reader_drop_nulls(&reader);
    assert_int_equal(tars_reader_int(&reader, "n", 5, 1, 20), 5);
    assert_true(tars_reader_flag(&reader, "f", false));
    assert_string_equal(tars_reader_words(&reader), "");
    tars_reader_enter(&reader, "m");
    assert_string_equal(tars_reader_objects(&reader, "s"), "[{\"a\":[1]}]");
    (void)tars_reader_text(&reader, "q", TARS_READER_REQUIRED);
    tars_reader_leave(&reader);
    assert_string_equal(tars_reader_words(&reader), "m.q: Field required");
    (void)tars_reader_text(&reader, "q", TARS_READER_REQUIRED);
    assert_string_equal(tars_reader_words(&reader), "m.q: Field required");
    tars_reader_release(&reader);
    tars_reader_init(&reader, &arena, tars_span_of("[]"), tars_span(NULL, 0));
    tars_reader_drop_nulls(&reader);
    assert_string_equal(tars_reader_words(&reader),
                        "Input should be a valid dictionary or object to extract fields from");
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

static void read_nested_once(void *ctx)
{
    const struct row *row = ctx;
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init(&reader, &arena, tars_span_of(row->body), tars_span(NULL, 0));
    tars_reader_drop_nulls(&reader);
    read_nested(&reader);
    (void)tars_reader_words(&reader);
    (void)tars_reader_detail(&reader);
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

static void read_query_once(void *ctx)
{
    const struct row *row = ctx;
    struct tars_arena arena;
    struct tars_reader reader;

    tars_arena_init(&arena, 1 << 20);
    tars_reader_init_query(&reader, &arena, tars_span_of(row->body));
    read_query(&reader);
    (void)tars_reader_detail(&reader);
    tars_reader_release(&reader);
    tars_arena_release(&arena);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct row row = rows[i];

        assert_true(faults_each(read_once, &row) >= 0);
    }
    for (size_t i = 0; i < ROWS(queries); i++) {
        struct row row = queries[i];

        assert_true(faults_each(read_query_once, &row) >= 0);
    }
    for (size_t i = 0; i < ROWS(nested); i++) {
        struct row row = nested[i];

        assert_true(faults_each(read_nested_once, &row) >= 0);
    }
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + ROWS(queries) + ROWS(nested) + 5];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    for (size_t i = 0; i < ROWS(queries); i++) {
        tests[n++] =
            (struct CMUnitTest){queries[i].name, query_holds, NULL, NULL, (void *)&queries[i]};
    }
    for (size_t i = 0; i < ROWS(nested); i++) {
        tests[n++] =
            (struct CMUnitTest){nested[i].name, nested_holds, NULL, NULL, (void *)&nested[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(words_and_nulls);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(values_come_through);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(queries_are_decoded);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_does_not_fit_is_told);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(each_allocation_may_fail);
    return _cmocka_run_group_tests("api/reader", tests, n, NULL, NULL);
}
