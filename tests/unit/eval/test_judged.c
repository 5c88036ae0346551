/* Unit tests of eval/judged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <zlib.h>

#include "eval/judged.h"
#include "support/faults.h"
#include "support/files.h"
#include "support/guard.h"

#define ARENA ((size_t)1 << 20)

static const char queries[] = "{\"_id\":\"q2\",\"text\":\"second\"}\n\n"
                              "{\"_id\":7,\"text\":\"a number for an id\"}\r\n"
                              "{\"id\":\"q1\",\"question\":\"first\"}";
static const char qrels[] = "query-id\tcorpus-id\tscore\nq2\td1\t2\nq2\td0\t0\n7\td 5\t1\n"
                            "q2\td1\t1\nother\td1\t1\n";
static const char qa[] =
    "{\"id\":\"q1\",\"question\":\"first\",\"answers\":[\"one\",\"1\",3],\"context_id\":\"d9\"}\n"
    "{\"id\":\"q2\",\"question\":\"second\",\"answers\":\"two\",\"context_id\":\"d1\","
    "\"context_ids\":[\"d1\",\"d2\"]}\n"
    "{\"id\":\"elsewhere\",\"question\":\"?\",\"answers\":[]}\n";

static struct tars_judged_files files_of(const char *a, const char *b, const char *c)
{
    return (struct tars_judged_files){tars_span_of(a), tars_span_of(b), tars_span_of(c)};
}

static void all_three_are_joined(void **state)
{
    struct tars_judged_files files = files_of(queries, qrels, qa);
    struct tars_arena arena;
    struct tars_judged got;

    (void)state;
    tars_arena_init(&arena, ARENA);
    assert_int_equal(tars_judged_parse(&files, &arena, &got, NULL), TARS_OK);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.relevant_count, 2);
    assert_int_equal(got.answers_count, 2);
    assert_string_equal(got.queries[0].id, "q2");
    assert_string_equal(got.queries[1].id, "7");
    assert_string_equal(got.queries[2].text, "first");
    assert_int_equal(got.queries[0].judgement_count, 2);
    assert_int_equal(got.queries[0].relevant, 1);
    assert_int_equal(tars_judged_grade(&got.queries[0], "d1"), 2); /* the greater of two */
    assert_int_equal(tars_judged_grade(&got.queries[0], "d0"), 0);
    assert_int_equal(tars_judged_grade(&got.queries[0], "none"), 0);
    assert_int_equal(tars_judged_grade(&got.queries[1], "d 5"), 1);
    assert_int_equal(got.queries[2].answer_count, 2); /* what is no text is passed over */
    assert_string_equal(got.queries[2].answers[1], "1");
    assert_true(tars_judged_is_context(&got.queries[2], "d9"));
    assert_false(tars_judged_is_context(&got.queries[2], "d1"));
    assert_true(tars_judged_is_context(&got.queries[0], "d2"));
    assert_true(tars_judged_is_context(&got.queries[1], "d 5")); /* without contexts: relevant */
    assert_false(got.queries[1].has_answers);
    tars_arena_release(&arena);
}

/* Folders that have not all of it, and files that are not what they should be. */
static void tables(void **state)
{
    static const struct {
        const char *name, *queries, *qrels, *qa;
        tars_status status;
        size_t count;
        const char *words;
    } rows[] = {
        {"questions alone", queries, "", "", TARS_OK, 3, ""},
        {"answers alone", "", "", qa, TARS_OK, 3, ""},
        {"nothing", "", "", "", TARS_OK, 0, ""},
        {"columns of TREC", queries, "q1 0 d3 1\nq2 Q0 d4 0\n", "", TARS_OK, 1, ""},
        {"negative grades are not relevant", queries, "q1\td3\t-2\n", "", TARS_OK, 0, ""},
        {"no JSON", "nonsense\n", "", "", TARS_EFORMAT, 0, "queries.jsonl, line 1"},
        {"no text", "\n{\"_id\":\"a\"}", "", "", TARS_EFORMAT, 0, "queries.jsonl, line 2"},
        {"no id", "{\"text\":\"a\"}", "", "", TARS_EFORMAT, 0, "queries.jsonl, line 1"},
        {"an array", "[1]", "", "", TARS_EFORMAT, 0, "queries.jsonl, line 1"},
        {"two columns", queries, "q1\td1\t1\nq1\td2\n", "", TARS_EFORMAT, 0, "qrels, line 2"},
        {"a grade that is none", queries, "h\nq1\td1\t1x\n", "", TARS_EFORMAT, 0, "qrels, line 2"},
        {"a grade too long", queries, "h\nq1\td1\t1000000\n", "", TARS_EFORMAT, 0, "qrels"},
        {"answers without a question", "", "", "{\"id\":\"a\"}", TARS_EFORMAT, 0, "qa.jsonl"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_judged_files files = files_of(rows[i].queries, rows[i].qrels, rows[i].qa);
        struct tars_judged got = {.count = 99};
        struct tars_err err = {{0}};
        struct tars_arena arena;
        tars_status status;

        tars_arena_init(&arena, ARENA);
        status = tars_judged_parse(&files, &arena, &got, &err);
        if (status != rows[i].status || !strstr(err.text, rows[i].words) ||
            got.count != (status == TARS_OK ? rows[i].count : 99))
            fail_msg("%s: %d, %zu, %s", rows[i].name, (int)status, got.count, err.text);
        tars_arena_release(&arena);
    }
}

/* Cut anywhere, nothing is read past the end. */
static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof(qa); len += 3) {
        struct guard q = guard_copy(queries, len < sizeof(queries) ? len : sizeof(queries) - 1);
        struct guard r = guard_copy(qrels, len < sizeof(qrels) ? len : sizeof(qrels) - 1);
        struct guard a = guard_copy(qa, len < sizeof(qa) ? len : sizeof(qa) - 1);
        struct tars_judged_files parts[] = {
            {.queries = tars_span(q.ptr, len < sizeof(queries) ? len : sizeof(queries) - 1)},
            {.queries = tars_span_of(queries),
             .qrels = tars_span(r.ptr, len < sizeof(qrels) ? len : sizeof(qrels) - 1)},
            {.qa = tars_span(a.ptr, len)},
        };

        for (size_t i = 0; i < 3; i++) {
            struct tars_arena arena;
            struct tars_judged got;
            tars_status status;

            tars_arena_init(&arena, ARENA);
            status = tars_judged_parse(&parts[i], &arena, &got, NULL);
            assert_true(status == TARS_OK || status == TARS_EFORMAT);
            tars_arena_release(&arena);
        }
        guard_free(&q);
        guard_free(&r);
        guard_free(&a);
    }
}

static void parse_once(void *ctx)
{
    struct tars_judged_files files = files_of(queries, qrels, qa);
    struct tars_arena arena;
    struct tars_judged got;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA);
    status = tars_judged_parse(&files, &arena, &got, NULL);
    assert_true(status == TARS_OK || (status == TARS_ENOMEM && faults_happened()));
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(parse_once, NULL) >= 1);
}

static void write_packed(const char *dir, const char *name, const char *text, char *path)
{
    gzFile file;

    files_write(dir, name, "", 0, path);
    file = gzopen(path, "wb");
    assert_non_null(file);
    assert_true(gzwrite(file, text, (unsigned)strlen(text)) > 0);
    assert_int_equal(gzclose(file), Z_OK);
}

/* Packed and unpacked files, and the place of BEIR's judgements. */
static void folders(void **state)
{
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    char below[FILES_PATH_MAX + 8];
    struct tars_err err = {{0}};
    struct tars_arena arena;
    struct tars_judged got;
    tars_status status;

    (void)state;
    tars_arena_init(&arena, ARENA);
    files_make_dir(dir);
    status = tars_judged_read(dir, &arena, &got, &err);
    assert_int_equal(status, TARS_ENOTFOUND);
    assert_non_null(strstr(err.text, "neither queries.jsonl nor qa.jsonl"));
    assert_null(tars_judged_corpus(dir, &arena));
    write_packed(dir, "queries.jsonl.gz", queries, path);
    write_packed(dir, "corpus.jsonl.gz", "{\"_id\":\"d1\",\"text\":\"x\"}\n", path);
    (void)snprintf(below, sizeof(below), "%s/qrels", dir);
    assert_int_equal(mkdir(below, 0700), 0);
    files_write(below, "test.tsv", qrels, strlen(qrels), path);
    assert_int_equal(tars_judged_read(dir, &arena, &got, NULL), TARS_OK);
    assert_int_equal(got.count, 2);
    assert_non_null(strstr(tars_judged_corpus(dir, &arena), "corpus.jsonl.gz"));
    (void)snprintf(path, sizeof(path), "%.4000s/plain", dir);
    assert_int_equal(tars_judged_unpack(tars_judged_corpus(dir, &arena), path, NULL), TARS_OK);
    files_write(dir, "qrels.tsv", "q1\td1\t1\n", 8, path);
    assert_int_equal(tars_judged_read(dir, &arena, &got, NULL), TARS_OK);
    assert_int_equal(got.count, 1);
    files_write(dir, "queries.jsonl", "", 0, path);
    assert_int_equal(tars_judged_read(dir, &arena, &got, NULL), TARS_OK);
    assert_int_equal(got.count, 0);
    files_remove_dir(dir);
    tars_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_three_are_joined),
        cmocka_unit_test(tables),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
