/* contract_faults - each allocation of a back end fails in turn, with its real server: what is
 * asked ends in TARS_ENOMEM or well, costs nobody else the server, and leaves what is there as it
 * was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem/arena.h"
#include "kinds.h"
#include "support/faults.h"

#define K     3
#define NAMED 2 /* collections */

struct asked {
    struct tars_vectors *vectors;
    const struct tars_vectors_of *of;
    const struct tars_store_passage *passages;
    size_t count;
    size_t found;
};

/* A failure is that of the memory, and only where there was one. */
static bool is_well(tars_status status, const struct tars_err *err)
{
    if (status == TARS_OK)
        return true;
    if (!faults_happened() || status != TARS_ENOMEM)
        fail_msg("%s: %s", tars_status_text(status), err->text);
    return false;
}

static void count_all(void *ctx)
{
    struct asked *a = ctx;
    struct tars_vectors_state now;
    struct tars_err err = {{0}};

    (void)is_well(a->vectors->ops->state(a->vectors, true, &now, &err), &err);
}

static void empty_it(void *ctx)
{
    struct asked *a = ctx;
    struct tars_err err = {{0}};

    (void)is_well(a->vectors->ops->reset(a->vectors, a->of, &err), &err);
}

/* A part of a change: it may be done again. */
static void write_some(void *ctx)
{
    static const struct tars_index_run gone = {1000, 1001};
    struct asked *a = ctx;
    const struct tars_vectors_batch batch = {.mark = "",
                                             .removes = &gone,
                                             .remove_count = 1,
                                             .adds = a->passages,
                                             .add_count = a->count};
    struct tars_err err = {{0}};

    (void)is_well(a->vectors->ops->apply(a->vectors, &batch, a->of->dim, &err), &err);
}

static void finish_it(void *ctx)
{
    struct asked *a = ctx;
    struct tars_err err = {{0}};

    if (a->vectors->ops->finish)
        (void)is_well(a->vectors->ops->finish(a->vectors, 0, &err), &err);
}

static bool accepts(void *ctx, uint64_t id)
{
    const struct asked *a = ctx;

    return id >= a->passages[0].id && id < a->passages[0].id + a->count;
}

static bool next_run(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct asked *a = ctx;
    uint64_t last = a->passages[0].id + a->count - 1;

    if (from > last)
        return false;
    *run = (struct tars_index_run){from > a->passages[0].id ? from : a->passages[0].id, last};
    return true;
}

static void search_narrowly(void *ctx)
{
    struct asked *a = ctx;
    const char *const keys[NAMED] = {a->passages[0].document->collection,
                                     a->passages[1].document->collection};
    const struct tars_visible visible = {.keys = keys, .count = NAMED};
    const struct tars_index_filter filter = {.accepts = accepts, .next = next_run, .ctx = a};
    const struct tars_vectors_wish wish = {.query = a->passages[0].vectors,
                                           .dim = a->of->dim,
                                           .k = K,
                                           .filter = &filter,
                                           .visible = &visible,
                                           .is_narrow = true};
    struct tars_index_hit hits[K];
    struct tars_arena arena;
    struct tars_err err = {{0}};

    a->found = 0;
    tars_arena_init(&arena, (size_t)1 << 20);
    (void)is_well(tars_vectors_search(a->vectors, &wish, &arena, hits, &a->found, &err), &err);
    tars_arena_release(&arena);
}

static void look_whether_it_answers(void *ctx)
{
    struct asked *a = ctx;
    struct tars_err err = {{0}};

    (void)is_well(a->vectors->ops->health(a->vectors, &err), &err);
}

void check_faults(struct tars_vectors *vectors, const struct tars_vectors_of *of,
                  const struct tars_store_passage *passages, size_t count)
{
    static void (*const all[])(void *ctx) = {count_all,
                                             empty_it,
                                             write_some,
                                             finish_it,
                                             count_all,
                                             search_narrowly,
                                             look_whether_it_answers};
    struct asked a = {.vectors = vectors, .of = of, .passages = passages, .count = count};
    struct tars_vectors_state now;
    uint64_t windows = 0;
    int failed = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        failed += faults_each(all[i], &a);
    assert_true(failed > 20);
    assert_int_equal(a.found, K);
    for (size_t i = 0; i < count; i++)
        windows += passages[i].window_count;
    assert_int_equal(vectors->ops->state(vectors, true, &now, NULL), TARS_OK);
    assert_int_equal(now.windows, windows);
    assert_int_equal(now.expected, windows);
}
