/* Unit tests of vectors/vectors: passages out of windows, over a server made of a table: how often
 * it is asked, what it is told, and what is left of what it says. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "support/faults.h"
#include "support/files.h"
#include "vectors/vectors_embedded.h"

#define PASSAGES 2000
#define EACH     ((size_t)3) /* windows of a passage */
#define DIM      4

/* Window i is of passage i / EACH + 1 and scores 1 - i / (PASSAGES * EACH): the first ones are
 * nearest. It gives all that the collections let through, whatever the filter. */
struct table {
    struct tars_vectors base;
    size_t windows;   /* that it has */
    size_t asked;     /* times */
    size_t limit;     /* of the last ask */
    size_t run_count; /* likewise */
    uint64_t run_passages;
    bool was_named; /* runs were given */
    tars_status refusal;
    size_t refused_after; /* asks that are answered before */
    int64_t until_ns;     /* of the last ask */
};

static tars_status search(struct tars_vectors *vectors, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    struct table *table = (struct table *)vectors;

    table->asked++;
    table->limit = ask->limit;
    table->was_named = ask->runs != NULL;
    table->run_count = ask->run_count;
    table->run_passages = ask->run_passages;
    table->until_ns = ask->wish->until_ns;
    if (table->refusal != TARS_OK && table->asked > table->refused_after)
        return tars_fail(table->refusal, err, "refused");
    *n = ask->limit < table->windows ? ask->limit : table->windows;
    for (size_t i = 0; i < *n; i++)
        hits[i] = (struct tars_index_hit){i / EACH + 1, 1 - (float)i / (PASSAGES * EACH)};
    if (*n > 5)
        hits[5].score = NAN; /* what is no number is no hit */
    return TARS_OK;
}

static const struct tars_vectors_ops table_ops = {.name = "table", .waits = true, .search = search};
static const struct tars_visible everything = {.all = true};
static const struct tars_visible nothing = {0};
static const float query[DIM] = {1, 0, 0, 0};

struct steps {
    uint64_t step, last;
};

static bool accepts(void *ctx, uint64_t id)
{
    const struct steps *steps = ctx;

    return id % steps->step == 0 && id <= steps->last;
}

static bool next_run(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct steps *steps = ctx;
    uint64_t first = (from + steps->step - 1) / steps->step * steps->step;

    *run = (struct tars_index_run){first, first};
    return first <= steps->last;
}

static tars_status look(struct table *table, const struct tars_vectors_wish *wish,
                        struct tars_index_hit *hits, size_t *n)
{
    struct tars_arena arena;
    struct tars_err err = {{0}};
    tars_status status;

    tars_arena_init(&arena, (size_t)16 << 20);
    status = tars_vectors_search(&table->base, wish, &arena, hits, n, &err);
    tars_arena_release(&arena);
    return status;
}

static void passages_out_of_windows(void **state)
{
    static const struct {
        const char *name;
        size_t windows, k;
        uint64_t step;
        size_t expected, asked, limit;
    } rows[] = {
        {"enough at once", PASSAGES * EACH, 10, 1, 10, 1, 62},
        {"one in ten is accepted", PASSAGES * EACH, 10, 10, 10, 3, 992},
        {"one in a thousand is accepted", PASSAGES * EACH, 2, 1000, 2, 5, 9728},
        {"there are fewer windows", 30, 20, 1, 10, 1, 92},
        {"there are none", 0, 20, 1, 0, 1, 92},
        {"nothing is accepted", 90, 10, 100000, 0, 2, 248},
        {"none are wanted", 90, 0, 1, 0, 0, 0},
    };
    static struct tars_index_hit hits[100];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct table table = {.base = {.ops = &table_ops}, .windows = rows[i].windows};
        struct steps steps = {rows[i].step, UINT64_MAX};
        const struct tars_index_filter filter = {.accepts = accepts, .ctx = &steps};
        const struct tars_vectors_wish wish = {
            .query = query, .dim = DIM, .k = rows[i].k, .filter = &filter, .visible = &everything};
        size_t n = 99;

        assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
        if (n != rows[i].expected || table.asked != rows[i].asked || table.limit != rows[i].limit) {
            fail_msg("%s: %zu passages, asked %zu times, at last for %zu", rows[i].name, n,
                     table.asked, table.limit);
        }
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(hits[k].id, (k + 1) * rows[i].step);
            assert_true(isfinite(hits[k].score));
        }
    }
}

static void narrow_filters_are_named(void **state)
{
    static const struct {
        const char *name;
        uint64_t step, last;
        bool is_narrow, was_named;
        size_t runs;
        uint64_t passages;
        size_t asked;
    } rows[] = {
        {"few", 100, 1000, true, true, 11, 11, 1},
        {"side by side are one", 1, 50, true, true, 1, 51, 1},
        {"too many", 2, 10000, true, false, 0, 0, 1},
        {"none: nobody is asked", 1, 0, true, true, 1, 1, 1},
        {"rights alone", 1, 50, false, false, 0, 0, 1},
    };
    static struct tars_index_hit hits[10];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct table table = {.base = {.ops = &table_ops}, .windows = 9};
        struct steps steps = {rows[i].step, rows[i].last};
        const struct tars_index_filter filter = {
            .accepts = accepts, .ctx = &steps, .next = next_run};
        const struct tars_vectors_wish wish = {.query = query,
                                               .dim = DIM,
                                               .k = 3,
                                               .filter = &filter,
                                               .visible = &everything,
                                               .is_narrow = rows[i].is_narrow};
        size_t n = 0;

        assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
        if (table.was_named != rows[i].was_named || table.run_count != rows[i].runs ||
            table.run_passages != rows[i].passages || table.asked != rows[i].asked) {
            fail_msg("%s: %zu runs of %zu passages", rows[i].name, table.run_count,
                     (size_t)table.run_passages);
        }
    }
}

static void who_may_see_nothing_asks_nobody(void **state)
{
    struct table table = {.base = {.ops = &table_ops}, .windows = 9};
    const struct tars_vectors_wish wish = {.query = query, .dim = DIM, .k = 3, .visible = &nothing};
    struct tars_index_hit hits[3];
    size_t n = 9;

    (void)state;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(table.asked, 0);
}

static void what_fails_is_told(void **state)
{
    static const tars_status refusals[] = {TARS_EUNAVAILABLE, TARS_ETIMEOUT, TARS_EMISMATCH};
    struct tars_index_hit hits[3];
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct table table = {.base = {.ops = &table_ops}, .refusal = refusals[i]};
        struct tars_vectors_wish wish = {
            .query = query, .dim = DIM, .k = 3, .visible = &everything};

        assert_int_equal(look(&table, &wish, hits, &n), refusals[i]);
        wish.k = TARS_INDEX_K_MAX + 1;
        assert_int_equal(look(&table, &wish, hits, &n), TARS_EINVAL);
    }
}

/* What an earlier ask gave is kept, and it is told that it is not all. */
static void a_later_failure_takes_nothing_away(void **state)
{
    static const struct {
        tars_status refusal, expected;
        bool is_cut;
    } rows[] = {
        {TARS_OK, TARS_OK, true}, /* 20,000 windows were not enough */
        {TARS_ETIMEOUT, TARS_OK, true},
        {TARS_EUNAVAILABLE, TARS_OK, true},
        {TARS_EIO, TARS_OK, true},
        {TARS_EAGAIN, TARS_EUNAVAILABLE, false},
        {TARS_ECANCELED, TARS_ECANCELED, false},
    };
    static struct tars_index_hit hits[10];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct table table = {.base = {.ops = &table_ops},
                              .windows = SIZE_MAX,
                              .refusal = rows[i].refusal,
                              .refused_after = 1};
        struct steps steps = {20, 20};
        const struct tars_index_filter filter = {.accepts = accepts, .ctx = &steps};
        bool is_cut = false;
        const struct tars_vectors_wish wish = {.query = query,
                                               .dim = DIM,
                                               .k = 10,
                                               .filter = &filter,
                                               .visible = &everything,
                                               .is_cut = &is_cut};
        size_t n = 0;

        assert_int_equal(look(&table, &wish, hits, &n), rows[i].expected);
        assert_int_equal(is_cut, rows[i].is_cut);
        assert_int_equal(n, rows[i].expected == TARS_OK ? 1 : 0);
    }
}

/* All asks of a search end together, at the earliest of what is said. */
static void asks_end_together(void **state)
{
    struct table table = {.base = {.ops = &table_ops, .search_ms = 1000}, .windows = 5};
    struct tars_call call = {.deadline_ms = tars_clock_mono_ms() + 10};
    struct tars_vectors_wish wish = {.query = query, .dim = DIM, .k = 1, .visible = &everything};
    struct tars_index_hit hits[1];
    size_t n = 0;
    int64_t now_ns = tars_clock_mono_ns();

    (void)state;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
    assert_true(table.until_ns >= now_ns + INT64_C(1000000000));
    wish.until_ns = now_ns + 1000;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
    assert_int_equal(table.until_ns, wish.until_ns);
    wish.until_ns = 0;
    wish.call = &call;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
    assert_int_equal(table.until_ns, call.deadline_ms * 1000000);
    table.base.search_ms = 0;
    wish.call = NULL;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_OK);
    assert_int_equal(table.until_ns, 0);
}

/* What is not known to be ours is not asked. */
static void a_stranger_is_not_searched(void **state)
{
    struct table table = {.base = {.ops = &table_ops, .is_closed = true}, .windows = 9};
    const struct tars_vectors_wish wish = {
        .query = query, .dim = DIM, .k = 3, .visible = &everything};
    struct tars_index_hit hits[3];
    size_t n = 9;

    (void)state;
    assert_int_equal(look(&table, &wish, hits, &n), TARS_EUNAVAILABLE);
    assert_int_equal(n, 0);
    assert_int_equal(table.asked, 0);
}

/* ------------------------------------------------------------- without memory */

static void search_with_faults(void *ctx)
{
    struct table table = {.base = {.ops = &table_ops}, .windows = PASSAGES * EACH};
    struct steps steps = {10, UINT32_MAX};
    const struct tars_index_filter filter = {.accepts = accepts, .ctx = &steps, .next = next_run};
    const struct tars_vectors_wish wish = {.query = query,
                                           .dim = DIM,
                                           .k = 10,
                                           .filter = &filter,
                                           .visible = &everything,
                                           .is_narrow = true};
    struct tars_index_hit hits[10];
    size_t n = 0;
    tars_status status = look(&table, &wish, hits, &n);

    (void)ctx;
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    assert_int_equal(n, status == TARS_OK ? 10 : 0);
}

static void open_with_faults(void *ctx)
{
    static const struct tars_vectors_of of = {.store = "s", .model = "m", .dim = DIM};
    struct tars_vectors *vectors = NULL;
    tars_status status = tars_vectors_embedded_open(ctx, &vectors, NULL);

    if (status == TARS_OK)
        status = vectors->ops->reset(vectors, &of, NULL);
    assert_true(status == TARS_OK || faults_happened());
    tars_vectors_close(vectors);
}

static void each_allocation_may_fail(void **state)
{
    char dir[FILES_PATH_MAX];

    (void)state;
    assert_true(faults_each(search_with_faults, NULL) >= 1);
    files_make_dir(dir);
    assert_true(faults_each(open_with_faults, dir) > 2);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(passages_out_of_windows),
        cmocka_unit_test(narrow_filters_are_named),
        cmocka_unit_test(who_may_see_nothing_asks_nobody),
        cmocka_unit_test(what_fails_is_told),
        cmocka_unit_test(a_later_failure_takes_nothing_away),
        cmocka_unit_test(asks_end_together),
        cmocka_unit_test(a_stranger_is_not_searched),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
