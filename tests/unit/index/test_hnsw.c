/* Unit tests of index/hnsw and index/hnsw_pool: the order that a pool keeps, and walks and scans
 * with owners refused, by marks and by filters of every selectivity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "index/hnsw.h"
#include "index/hnsw_pool.h"
#include "index/nearest.h"
#include "made_up.h"
#include "support/faults.h"

#define NODES 4000
#define TOP   10

/* --------------------------------------------------------------------- pool */

/* What a pool of ef should hold after offers: the best up to the ef-th found one, and the refused
 * ones that are better than it. */
static size_t expected(const struct tars_hnsw_found *offers, size_t n, size_t ef,
                       struct tars_hnsw_found *out)
{
    size_t found = 0;
    size_t count = 0;
    struct tars_hnsw_found sorted[256];

    memcpy(sorted, offers, n * sizeof(*offers));
    qsort(sorted, n, sizeof(*sorted), tars_hnsw_found_order);
    for (size_t i = 0; i < n && found < ef; i++) {
        out[count++] = sorted[i];
        found += (sorted[i].node & TARS_POOL_REFUSED) == 0;
    }
    return count;
}

struct pool_row {
    const char *name;
    size_t ef, offers, refused; /* one in so many is refused; 0: none */
};

/* One filling of a pool, which may have been filled before, against what sorting gives. */
static void fill_pool(struct tars_hnsw_pool *pool, const struct pool_row *row, uint64_t *random)
{
    struct tars_hnsw_found offers[256];
    struct tars_hnsw_found wanted[256];
    size_t n;

    assert_int_equal(tars_hnsw_pool_start(pool, row->ef), TARS_OK);
    for (size_t i = 0; i < row->offers; i++) {
        bool refused = row->refused > 0 && i % row->refused == 0;

        /* Scores all differ, so that the order is one. */
        offers[i].score = (float)(next_random(random) % 1000 * 256 + i) / 256000.0F;
        offers[i].node = (uint32_t)i | (refused ? TARS_POOL_REFUSED : 0);
        if (row->ef > 0 && tars_hnsw_pool_wants(pool, offers[i].score))
            tars_hnsw_pool_put(pool, offers[i].score, offers[i].node);
    }
    n = expected(offers, row->offers, row->ef, wanted);
    assert_int_equal(pool->count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(pool->items[i].node, wanted[i].node);
}

static void a_pool_keeps_the_best(void **state)
{
    static const struct pool_row rows[] = {
        {"fewer than wanted", 20, 7, 0},
        {"more than wanted", 10, 200, 0},
        {"one", 1, 50, 0},
        {"every second refused", 10, 200, 2},
        {"all refused", 10, 250, 1},
        {"none wanted", 0, 5, 0},
        {"grows beyond its room", 90, 250, 3},
    };
    uint64_t random = 99;

    (void)state;
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct tars_hnsw_pool pool = {0};

        print_message("%s\n", rows[r].name);
        fill_pool(&pool, &rows[r], &random);
        fill_pool(&pool, &rows[r], &random);
        tars_hnsw_pool_release(&pool);
    }
}

static void a_pool_is_expanded_from_the_best_on(void **state)
{
    struct tars_hnsw_pool pool = {0};
    uint32_t node = 0;

    (void)state;
    assert_int_equal(tars_hnsw_pool_start(&pool, 3), TARS_OK);
    assert_false(tars_hnsw_pool_take(&pool, &node));
    tars_hnsw_pool_put(&pool, 0.5F, 5);
    tars_hnsw_pool_put(&pool, 0.7F, 7 | TARS_POOL_REFUSED);
    assert_true(tars_hnsw_pool_take(&pool, &node));
    assert_int_equal(node, 7);
    tars_hnsw_pool_put(&pool, 0.9F, 9);
    assert_true(tars_hnsw_pool_peek(&pool, &node));
    assert_int_equal(node, 9);
    assert_true(tars_hnsw_pool_take(&pool, &node));
    assert_int_equal(node, 9);
    assert_true(tars_hnsw_pool_take(&pool, &node));
    assert_int_equal(node, 5);
    assert_false(tars_hnsw_pool_take(&pool, &node));
    assert_int_equal(tars_hnsw_pool_finish(&pool), 2);
    assert_int_equal(pool.items[0].node, 9);
    assert_int_equal(pool.items[1].node, 5);
    tars_hnsw_pool_release(&pool);
}

/* -------------------------------------------------------------------- graph */

/* One in `every` is accepted; or those near a corner, all of one region. */
struct chosen {
    uint32_t every;
    const struct tars_hnsw *region; /* NULL, or whose first number is positive */
    size_t asked;
};

static bool is_chosen(void *ctx, uint32_t owner)
{
    struct chosen *chosen = ctx;

    chosen->asked++;
    if (chosen->region)
        return tars_hnsw_node_at(chosen->region, owner)->codes[0] > 20;
    return owner % chosen->every == 0;
}

static void build(struct tars_hnsw *hnsw)
{
    float vector[DIM];

    tars_hnsw_init(hnsw, DIM);
    for (uint32_t i = 0; i < NODES; i++) {
        make_vector(i, 0, vector);
        assert_int_equal(tars_hnsw_add(hnsw, vector, i, 0), TARS_OK);
    }
}

/* Of the TOP that a scan finds with the same codes, the share that a walk finds. */
static double recall(const struct tars_hnsw *hnsw, const struct tars_hnsw_accept *accept)
{
    size_t right = 0;
    size_t all = 0;

    for (uint64_t q = 0; q < 40; q++) {
        struct tars_hnsw_scratch *scratch = NULL;
        struct tars_hnsw_found truth[TOP];
        const struct tars_hnsw_found *found;
        float query[DIM];
        size_t there;
        size_t n;

        make_vector(UINT64_C(1) << 40 | q, 0, query);
        assert_int_equal(tars_hnsw_begin(hnsw, query, &scratch), TARS_OK);
        assert_int_equal(tars_hnsw_scan_start(scratch, TOP), TARS_OK);
        tars_hnsw_scan(hnsw, scratch, 0, UINT32_MAX, accept);
        tars_hnsw_scan_finish(scratch);
        found = tars_hnsw_result(scratch, &there);
        memcpy(truth, found, there * sizeof(*found));
        assert_int_equal(tars_hnsw_search(hnsw, scratch, 96, accept, NULL, 0), TARS_OK);
        found = tars_hnsw_result(scratch, &n);
        for (size_t i = 0; i < n; i++) {
            assert_true(!accept || accept->accepts(accept->ctx, found[i].node));
            assert_true(i == 0 || found[i].score <= found[i - 1].score);
            right += there > 0 && found[i].score >= truth[there - 1].score;
        }
        all += there;
        tars_hnsw_end(hnsw, scratch);
    }
    return (double)right / (double)all;
}

static void walks_find_what_is_accepted(void **state)
{
    static const uint32_t every[] = {1, 2, 5, 20, 100};
    struct tars_hnsw hnsw;

    (void)state;
    build(&hnsw);
    assert_true(recall(&hnsw, NULL) >= 0.98);
    for (size_t i = 0; i < sizeof(every) / sizeof(every[0]); i++) {
        struct chosen chosen = {.every = every[i]};
        struct tars_hnsw_accept accept = {.accepts = is_chosen, .ctx = &chosen};

        print_message("one in %u\n", every[i]);
        assert_true(recall(&hnsw, &accept) >= 0.98);
        accept.seldom = true;
        assert_true(recall(&hnsw, &accept) >= 0.95);
    }
    {
        struct chosen chosen = {.region = &hnsw};
        const struct tars_hnsw_accept accept = {
            .accepts = is_chosen, .ctx = &chosen, .seldom = true};

        print_message("one region\n");
        assert_true(recall(&hnsw, &accept) >= 0.9);
    }
    tars_hnsw_release(&hnsw);
}

static void only_what_is_marked_or_not_sure_is_asked(void **state)
{
    struct chosen chosen = {.every = 2};
    struct tars_hnsw_accept accept = {.accepts = is_chosen, .ctx = &chosen, .sure = NODES};
    struct tars_hnsw_scratch *scratch = NULL;
    const struct tars_hnsw_found *found;
    struct tars_hnsw hnsw;
    float query[DIM];
    size_t n;

    (void)state;
    build(&hnsw);
    make_vector(77, 0, query);
    assert_int_equal(tars_hnsw_begin(&hnsw, query, &scratch), TARS_OK);
    assert_int_equal(tars_hnsw_search(&hnsw, scratch, TOP, &accept, NULL, 0), TARS_OK);
    found = tars_hnsw_result(scratch, &n);
    assert_int_equal(n, TOP);
    assert_int_equal(found[0].node, 77);
    assert_int_equal(chosen.asked, 0);
    tars_hnsw_mark(&hnsw, 76, 2);
    assert_int_equal(tars_hnsw_search(&hnsw, scratch, TOP, &accept, NULL, 0), TARS_OK);
    found = tars_hnsw_result(scratch, &n);
    assert_int_equal(n, TOP);
    assert_int_not_equal(found[0].node, 77);
    assert_true(chosen.asked > 0);
    accept.sure = 0;
    assert_int_equal(tars_hnsw_search(&hnsw, scratch, TOP, &accept, NULL, 0), TARS_OK);
    found = tars_hnsw_result(scratch, &n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(found[i].node % 2, 0);
    tars_hnsw_end(&hnsw, scratch);
    tars_hnsw_release(&hnsw);
}

static void more_windows_need_more_candidates(void **state)
{
    static const struct {
        uint32_t windows;
        size_t ef;
    } rows[] = {{0, 96}, {50000, 96}, {50001, 128}, {1000000, 256}, {UINT32_MAX, 640}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(tars_nearest_ef(rows[i].windows), rows[i].ef);
}

/* ------------------------------------------------------------------- memory */

static void work(void *ctx)
{
    struct tars_hnsw hnsw;
    float vector[DIM];
    uint32_t added = 0;

    (void)ctx;
    tars_hnsw_init(&hnsw, DIM);
    for (uint32_t i = 0; i < 90; i++) {
        make_vector(i, 0, vector);
        added += tars_hnsw_add(&hnsw, vector, i, 0) == TARS_OK;
    }
    assert_true(added >= 89);
    for (int round = 0; round < 2; round++) {
        struct tars_hnsw_scratch *scratch = NULL;
        size_t n = 0;

        if (tars_hnsw_begin(&hnsw, vector, &scratch) != TARS_OK)
            continue;
        if (tars_hnsw_search(&hnsw, scratch, 80, NULL, NULL, 0) == TARS_OK) {
            (void)tars_hnsw_result(scratch, &n);
            assert_int_equal(n, 80);
        }
        tars_hnsw_end(&hnsw, scratch);
    }
    tars_hnsw_release(&hnsw);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(work, NULL) > 10);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_keeps_the_best),
        cmocka_unit_test(a_pool_is_expanded_from_the_best_on),
        cmocka_unit_test(walks_find_what_is_accepted),
        cmocka_unit_test(more_windows_need_more_candidates),
        cmocka_unit_test(only_what_is_marked_or_not_sure_is_asked),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
