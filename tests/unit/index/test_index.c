/* Unit tests of index/index: both searches, publishing, removing, saving, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "base/mem/buf.h"
#include "base/sys/file.h"
#include "index/index.h"
#include "made_up.h"
#include "support/faults.h"
#include "support/files.h"

#define TOP 10

static float exact(uint64_t id, const float *query)
{
    float vector[DIM];
    float best = -2;

    for (size_t w = 0; w < windows_of(id); w++) {
        float sum = 0;

        make_vector(id, w, vector);
        for (int i = 0; i < DIM; i++)
            sum += vector[i] * query[i];
        best = sum > best ? sum : best;
    }
    return best;
}

static struct tars_index *open_at(const char *dir, size_t exact_below)
{
    const struct tars_index_config config = {
        .dir = dir, .dim = DIM, .identity = "model", .exact_below = exact_below};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    return index;
}

static void fill(struct tars_index *index, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id++)
        assert_int_equal(add(index, id), TARS_OK);
    tars_index_publish(index, last);
}

/* ------------------------------------------------------------------- recall */

typedef bool accept_fn(void *ctx, uint64_t id);

static bool accept_all(void *ctx, uint64_t id)
{
    (void)ctx;
    return id > 0;
}

static bool accept_third(void *ctx, uint64_t id)
{
    (void)ctx;
    return id % 3 == 0;
}

static bool accept_few(void *ctx, uint64_t id)
{
    (void)ctx;
    return id % 97 == 0;
}

static bool next_third(void *ctx, uint64_t from, struct tars_index_run *run)
{
    (void)ctx;
    run->first = run->last = (from + 2) / 3 * 3;
    return true;
}

static bool accept_blocks(void *ctx, uint64_t id)
{
    (void)ctx;
    return id % 400 < 30;
}

static bool next_block(void *ctx, uint64_t from, struct tars_index_run *run)
{
    uint64_t block = from / 400 * 400 + (from % 400 < 30 ? 0 : 400);

    (void)ctx;
    run->first = block > from ? block : from;
    run->last = block + 29;
    return block < 5900;
}

static bool accept_none(void *ctx, uint64_t id)
{
    (void)ctx;
    return id == 0;
}

static bool next_none(void *ctx, uint64_t from, struct tars_index_run *run)
{
    (void)ctx;
    (void)from;
    (void)run;
    return false;
}

static bool alive_upper(void *ctx, uint64_t id)
{
    return id > *(const uint64_t *)ctx;
}

/* The score of the tenth best passage of first..last that accepts takes. */
static float tenth_best(const float *query, uint64_t first, uint64_t last,
                        const struct tars_index_filter *filter)
{
    float scores[TOP];

    for (int i = 0; i < TOP; i++) {
        scores[i] = -2;
    }
    for (uint64_t id = first; id <= last; id++) {
        float score = filter->accepts(filter->ctx, id) ? exact(id, query) : -2;

        for (int i = 0; i < TOP; i++) {
            float greater = fmaxf(score, scores[i]);

            score = fminf(score, scores[i]);
            scores[i] = greater;
        }
    }
    return scores[TOP - 1];
}

/* Recall@10 over queries, of passages first..last that accepts takes. */
static double recall(struct tars_index *index, uint64_t first, uint64_t last, accept_fn *accepts,
                     void *ctx, bool filtered)
{
    const struct tars_index_filter filter = {accepts, ctx, NULL};
    size_t right = 0;
    size_t all = 0;

    for (uint64_t q = 0; q < 50; q++) {
        float query[DIM];
        float floor;
        struct tars_index_hit hits[TOP];
        size_t n = 0;

        make_vector(UINT64_C(1) << 40 | q, 0, query);
        floor = tenth_best(query, first, last, &filter);
        assert_int_equal(
            tars_index_search_vector(index, query, TOP, filtered ? &filter : NULL, hits, &n),
            TARS_OK);
        assert_int_equal(n, TOP);
        for (size_t i = 0; i < n; i++) {
            assert_true(accepts(ctx, hits[i].id));
            assert_true(fabsf(hits[i].score - exact(hits[i].id, query)) < 1e-4F);
            right += hits[i].score >= floor - 1e-5F;
        }
        all += TOP;
    }
    return (double)right / (double)all;
}

static void graph_finds_what_comparing_all_finds(void **state)
{
    struct tars_index *index = open_at(NULL, 1);

    (void)state;
    fill(index, 1, 6000);
    assert_true(recall(index, 1, 6000, accept_all, NULL, false) >= 0.98);
    assert_true(recall(index, 1, 6000, accept_third, NULL, true) >= 0.98);
    assert_true(recall(index, 1, 6000, accept_few, NULL, true) >= 0.98);
    tars_index_close(index);
}

/* Filters that tell their runs find what they find without, also passages removed or added since.
 */
static void runs_find_what_asking_finds(void **state)
{
    static const struct {
        const char *name;
        struct tars_index_filter filter;
    } rows[] = {
        {"single passages", {accept_third, NULL, next_third}},
        {"blocks, the last one cut", {accept_blocks, NULL, next_block}},
        {"none", {accept_none, NULL, next_none}},
    };
    struct tars_index *index = open_at(NULL, 1);

    (void)state;
    fill(index, 1, 6000);
    tars_index_remove(index, 1201, 1215);
    tars_index_remove(index, 5999, 6000);
    tars_index_publish(index, 6001);
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        const struct tars_index_filter asking = {rows[r].filter.accepts, NULL, NULL};

        print_message("%s\n", rows[r].name);
        for (uint64_t q = 0; q < 20; q++) {
            struct tars_index_hit told[TOP];
            struct tars_index_hit asked[TOP];
            float query[DIM];
            size_t n = 0;
            size_t m = 0;

            make_vector(UINT64_C(1) << 41 | q, 0, query);
            assert_int_equal(tars_index_search_vector(index, query, TOP, &rows[r].filter, told, &n),
                             TARS_OK);
            assert_int_equal(tars_index_search_vector(index, query, TOP, &asking, asked, &m),
                             TARS_OK);
            assert_int_equal(n, m);
            for (size_t i = 0; i < n; i++)
                assert_int_equal(told[i].id, asked[i].id);
        }
    }
    tars_index_close(index);
}

static void scan_is_exact(void **state)
{
    struct tars_index *index = open_at(NULL, 100000);

    (void)state;
    fill(index, 1, 1500);
    assert_true(recall(index, 1, 1500, accept_all, NULL, false) >= 0.998);
    tars_index_close(index);
}

static void churn_does_not_spoil_recall(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;
    struct tars_index_stats stats;
    uint64_t floor = 0;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir, 1);
    fill(index, 1, 4000);
    for (int round = 1; round <= 4; round++) {
        tars_index_remove(index, floor + 1, floor + 1000);
        floor += 1000;
        fill(index, floor + 3001, floor + 4000);
        assert_true(recall(index, 1, floor + 4000, alive_upper, &floor, false) >= 0.98);
        assert_int_equal(tars_index_save(index, NULL), TARS_OK);
        assert_true(recall(index, 1, floor + 4000, alive_upper, &floor, false) >= 0.98);
    }
    tars_index_stats(index, &stats);
    assert_int_equal(stats.passages, 4000);
    assert_int_equal(stats.removed, 0);
    assert_int_equal(stats.windows, 4800);
    tars_index_close(index);
    files_remove_dir(dir);
}

/* ---------------------------------------------------------------- behaviour */

static size_t count_word(struct tars_index *index, const char *word, struct tars_index_hit *hits)
{
    const struct tars_index_query_term term = {word, (uint32_t)strlen(word), 1, 0, TARS_INDEX_TEXT};
    size_t n = 99;

    assert_int_equal(tars_index_search_words(index, &term, 1, 10, NULL, hits, &n), TARS_OK);
    return n;
}

static void changes_appear_when_published(void **state)
{
    struct tars_index *index = open_at(NULL, 0);
    struct tars_index_hit hits[10];
    float query[DIM];
    float score = 0;

    (void)state;
    make_vector(2, 0, query);
    assert_int_equal(add(index, 2), TARS_OK);
    assert_int_equal(count_word(index, "w0-0", hits), 0);
    assert_int_equal(tars_index_vector_score(index, query, 2, &score), TARS_ENOTFOUND);
    tars_index_publish(index, 1);
    assert_int_equal(tars_index_seq(index), 1);
    assert_int_equal(count_word(index, "w0-0", hits), 1);
    assert_int_equal(hits[0].id, 2);
    assert_int_equal(tars_index_vector_score(index, query, 2, &score), TARS_OK);
    assert_true(fabsf(score - 1) < 1e-4F);
    tars_index_remove(index, 1, 5);
    assert_int_equal(count_word(index, "w0-0", hits), 1);
    tars_index_publish(index, 2);
    assert_int_equal(count_word(index, "w0-0", hits), 0);
    assert_int_equal(add(index, 2), TARS_OK);
    tars_index_publish(index, 3);
    assert_int_equal(count_word(index, "w0-0", hits), 0);
    tars_index_close(index);
}

static void snapshot_brings_it_back(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;
    struct tars_index_hit before[10];
    struct tars_index_hit after[10];
    struct tars_index_config config = {.dim = DIM, .identity = "other"};
    uint64_t seq = 0;
    size_t n;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir, 1);
    fill(index, 1, 700);
    n = count_word(index, "w1-3", before);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    assert_int_equal(count_word(index, "w1-3", after), n);
    tars_index_close(index);
    index = open_at(dir, 1);
    assert_int_equal(tars_index_seq(index), 700);
    assert_int_equal(count_word(index, "w1-3", after), n);
    assert_memory_equal(&before[9].id, &after[9].id, sizeof(uint64_t));
    assert_true(recall(index, 1, 700, accept_all, NULL, false) >= 0.98);
    fill(index, 600, 900); /* replay: 600..700 are there */
    assert_true(recall(index, 1, 900, accept_all, NULL, false) >= 0.98);
    tars_index_close(index);
    config.dir = dir;
    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_EMISMATCH);
    assert_int_equal(tars_index_peek(&config, &seq, NULL), TARS_EMISMATCH);
    config.identity = "model";
    assert_int_equal(tars_index_peek(&config, &seq, NULL), TARS_OK);
    assert_int_equal(seq, 700);
    config = (struct tars_index_config){.dir = dir};
    assert_int_equal(tars_index_peek(&config, &seq, NULL), TARS_OK);
    config.dir = "/nowhere";
    assert_int_equal(tars_index_peek(&config, &seq, NULL), TARS_ENOTFOUND);
    files_remove_dir(dir);
}

static void damage_is_refused_or_harmless(void **state)
{
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    struct tars_index_config config = {.dim = DIM, .identity = "model", .exact_below = 1};
    struct tars_index *index;
    struct tars_index_hit hits[10];
    struct tars_buf file;
    uint64_t random = 5;
    uint64_t seq = 0;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir, 1);
    fill(index, 1, 20);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    tars_index_close(index);
    assert_true(snprintf(path, sizeof(path), "%s/index.tars", dir) > 0);
    tars_buf_init(&file, 1 << 24);
    assert_int_equal(tars_file_read(path, &file, NULL), TARS_OK);
    config.dir = dir;
    for (size_t len = 0; len < file.len; len += len < 5000 ? 97 : 1) {
        files_write(dir, "index.tars", file.ptr, len, path);
        assert_int_equal(tars_index_open(&config, &index, NULL), TARS_EFORMAT);
        assert_int_equal(tars_index_peek(&config, &seq, NULL), TARS_EFORMAT);
    }
    for (int round = 0; round < 60; round++) {
        float query[DIM];
        size_t n;
        char *copy = malloc(file.len + 1);

        memcpy(copy, file.ptr, file.len);
        for (int i = 0; i < 40; i++)
            copy[4096 + next_random(&random) % (file.len - 4096)] = (char)next_random(&random);
        files_write(dir, "index.tars", copy, file.len, path);
        free(copy);
        config.verify = true;
        assert_int_equal(tars_index_open(&config, &index, NULL), TARS_EFORMAT);
        config.verify = false;
        assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
        make_vector(3, 0, query);
        assert_int_equal(tars_index_search_vector(index, query, 10, NULL, hits, &n), TARS_OK);
        (void)count_word(index, "w0-1", hits);
        assert_int_equal(add(index, 5000), TARS_OK);
        tars_index_remove(index, 3, 9);
        tars_index_publish(index, 9);
        if (round % 4 == 0)
            assert_int_equal(tars_index_save(index, NULL), TARS_OK);
        assert_int_equal(tars_index_search_vector(index, query, 10, NULL, hits, &n), TARS_OK);
        tars_index_close(index);
    }
    tars_buf_release(&file);
    files_remove_dir(dir);
}

/* ------------------------------------------------------------------- memory */

static void work(void *ctx)
{
    const struct tars_index_config config = {
        .dir = ctx, .dim = DIM, .identity = "model", .exact_below = 1};
    struct tars_index *index = NULL;
    const struct tars_index_query_term term = {"w0-1", 4, 1, 0, TARS_INDEX_TEXT};
    struct tars_index_hit hits[10];
    float query[DIM];
    size_t n;

    if (tars_index_open(&config, &index, NULL) != TARS_OK)
        return;
    for (uint64_t id = 1; id <= 40; id++) {
        if (add(index, id) != TARS_OK)
            assert_int_equal(add(index, id), TARS_OK);
    }
    tars_index_publish(index, 40);
    make_vector(7, 0, query);
    if (tars_index_search_vector(index, query, 10, NULL, hits, &n) == TARS_OK)
        assert_int_equal(n, 10);
    if (tars_index_search_words(index, &term, 1, 10, NULL, hits, &n) == TARS_OK)
        assert_int_equal(n, 10);
    (void)!tars_index_save(index, NULL);
    if (tars_index_search_vector(index, query, 10, NULL, hits, &n) == TARS_OK)
        assert_int_equal(hits[0].id, 7);
    tars_index_close(index);
}

static void every_allocation_may_fail(void **state)
{
    char dir[FILES_PATH_MAX];

    (void)state;
    files_make_dir(dir);
    assert_true(faults_each(work, dir) > 20);
    files_remove_dir(dir);
}

/* A field has words, lengths and rarity of its own; the text knows nothing of it. */
static void check_fields(struct tars_index *index)
{
    const struct tars_index_query_term in_title = {"rust", 4, 1, 0, TARS_INDEX_TITLE};
    const struct tars_index_query_term in_text = {"rust", 4, 1, 0, TARS_INDEX_TEXT};
    const struct tars_index_query_term in_heading = {"rust", 4, 1, 0, TARS_INDEX_HEADING};
    double rare = log(1 + (4 - 2 + 0.5) / 2.5);
    struct tars_index_hit hits[4];
    size_t n;

    assert_int_equal(tars_index_search_words(index, &in_title, 1, 4, NULL, hits, &n), TARS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(hits[0].id, 2); /* the shorter title */
    assert_int_equal(hits[1].id, 1);
    /* Mean title length: (6 + 2) / 4. */
    assert_true(fabs(hits[0].score - rare * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 2))) < 1e-6);
    assert_true(fabs(hits[1].score - rare * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 6 / 2))) < 1e-6);
    assert_int_equal(tars_index_search_words(index, &in_text, 1, 4, NULL, hits, &n), TARS_OK);
    assert_int_equal(n, 1);
    assert_int_equal(hits[0].id, 3);
    assert_int_equal(tars_index_search_words(index, &in_heading, 1, 4, NULL, hits, &n), TARS_OK);
    assert_int_equal(n, 0);
}

static void fields_are_apart(void **state)
{
    static const struct tars_index_term title = {"rust", 4, 1, TARS_INDEX_TITLE};
    static const struct tars_index_term text = {"rust", 4, 1, TARS_INDEX_TEXT};
    static const struct tars_index_term bad = {"rust", 4, 1, (enum tars_index_field)3};
    const struct tars_index_passage passages[] = {
        {.id = 1, .terms = &title, .term_count = 1, .length = 9, .title_length = 6},
        {.id = 2, .terms = &title, .term_count = 1, .length = 90, .title_length = 2},
        {.id = 3, .terms = &text, .term_count = 1, .length = 5},
        {.id = 4, .length = 5},
    };
    const struct tars_index_passage refused = {.id = 5, .terms = &bad, .term_count = 1};
    char dir[FILES_PATH_MAX];
    struct tars_index *index;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir, 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(tars_index_add(index, &passages[i]), TARS_OK);
    assert_int_equal(tars_index_add(index, &refused), TARS_EINVAL);
    tars_index_publish(index, 1);
    check_fields(index);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    check_fields(index);
    tars_index_close(index);
    index = open_at(dir, 1);
    check_fields(index);
    tars_index_close(index);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_finds_what_comparing_all_finds),
        cmocka_unit_test(runs_find_what_asking_finds),
        cmocka_unit_test(scan_is_exact),
        cmocka_unit_test(churn_does_not_spoil_recall),
        cmocka_unit_test(changes_appear_when_published),
        cmocka_unit_test(snapshot_brings_it_back),
        cmocka_unit_test(damage_is_refused_or_harmless),
        cmocka_unit_test(fields_are_apart),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
