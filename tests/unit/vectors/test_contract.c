/* One contract, kept by every vector back end: each test runs on each of them, with its real
 * server, which this program starts itself. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem/arena.h"
#include "base/sys/clock.h"
#include "kinds.h"

#define DIM          32
#define PASSAGES     900
#define WINDOWS_MAX  3
#define COLLECTIONS  3
#define K            10
#define QUESTIONS    20
#define SLOW_ASKED   4
#define RECALL_LEAST 0.95
#define BATCH        128
#define SOON_MS      20000

static const struct kind *const kinds[] = {&kind_embedded, &kind_pgvector, &kind_pgvector_pooled,
                                           &kind_chroma_v2, &kind_chroma_v1};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const struct tars_visible everything = {.all = true};
static const struct tars_vectors_of ours = {
    .store = "0123456789abcdef0123456789abcdef", .model = "m1", .model_name = "one", .dim = DIM};

/* ---------------------------------------------------------- made-up passages */

struct world {
    const struct kind *kind;
    struct tars_vectors *vectors;
    struct tars_arena arena;
    struct tars_store_document documents[COLLECTIONS];
    struct tars_store_passage passages[PASSAGES + 1]; /* by id, from 1 */
    bool is_there[PASSAGES + 1];
    uint64_t last; /* passage of those that are used */
    double recall; /* the sum of it, over the questions of a test */
    size_t asked;
};

static void make_passage(struct world *w, uint64_t id)
{
    static const struct tars_store_window window = {0, 4};
    struct tars_store_passage *passage = &w->passages[id];
    struct tars_store_window *windows = tars_arena_calloc(&w->arena, WINDOWS_MAX, sizeof(window));
    float *vectors = tars_arena_calloc(&w->arena, WINDOWS_MAX, DIM * sizeof(float));

    assert_non_null(windows);
    assert_non_null(vectors);
    passage->id = id;
    passage->document = &w->documents[id % COLLECTIONS];
    passage->section = "";
    passage->text = "text";
    passage->text_len = 4;
    passage->window_count = 1 + id % WINDOWS_MAX;
    (void)snprintf(passage->chunk_id, sizeof(passage->chunk_id), "%s_chunk_%d",
                   passage->document->document_id, (int)id);
    passage->chunk_index = (int)id;
    for (size_t i = 0; i < passage->window_count; i++) {
        windows[i] = window;
        make_vector(id * WINDOWS_MAX + i, DIM, vectors + i * DIM);
    }
    passage->windows = windows;
    passage->vectors = vectors;
}

static const char *const keys[COLLECTIONS] = {"docs", "it/secret", "staff"};

static void make_world(struct world *w)
{
    memset(w->is_there, 0, sizeof(w->is_there));
    for (int i = 0; i < COLLECTIONS; i++) {
        struct tars_store_document *document = &w->documents[i];

        memset(document, 0, sizeof(*document));
        (void)snprintf(document->document_id, sizeof(document->document_id), "doc_%016d", i);
        document->collection = keys[i];
        document->path = "/docs/a.txt";
        document->external_id = document->title = document->sha256 = document->metadata_json = "";
        document->file_name = "a.txt";
        document->file_type = "txt";
    }
    for (uint64_t id = 1; id <= PASSAGES; id++)
        make_passage(w, id);
}

static int set_up(void **state)
{
    struct world *w = *state;

    w->recall = 0;
    w->asked = 0;
    w->last = w->kind->passages ? w->kind->passages : PASSAGES;
    tars_arena_init(&w->arena, (size_t)64 << 20);
    make_world(w);
    w->kind->clear();
    w->vectors = w->kind->open();
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    tars_vectors_close(w->vectors);
    w->vectors = NULL;
    tars_arena_release(&w->arena);
    if (w->recall < RECALL_LEAST * (double)w->asked)
        fail_msg("%s: recall is %.3f", w->kind->name, w->recall / (double)w->asked);
    return 0;
}

static struct tars_vectors_state state_of(const struct world *w)
{
    struct tars_vectors_state now;
    struct tars_err err = {{0}};

    if (w->vectors->ops->state(w->vectors, true, &now, &err) != TARS_OK)
        fail_msg("%s: %s", w->kind->name, err.text);
    return now;
}

static void start_anew(const struct world *w)
{
    struct tars_err err = {{0}};

    if (w->vectors->ops->reset(w->vectors, &ours, &err) != TARS_OK)
        fail_msg("%s: %s", w->kind->name, err.text);
}

static tars_status apply(struct world *w, const struct tars_vectors_batch *batch)
{
    struct tars_err err = {{0}};
    tars_status status = w->vectors->ops->apply(w->vectors, batch, DIM, &err);

    if (status == TARS_OK) {
        for (size_t i = 0; i < batch->add_count; i++)
            w->is_there[batch->adds[i].id] = true;
        for (size_t i = 0; i < batch->remove_count; i++) {
            for (uint64_t id = batch->removes[i].first;
                 id <= batch->removes[i].last && id <= PASSAGES; id++)
                w->is_there[id] = false;
        }
    } else if (status != TARS_EAGAIN && status != TARS_EMISMATCH && status != TARS_EUNAVAILABLE &&
               status != TARS_ETIMEOUT) {
        fail_msg("%s: %s: %s", w->kind->name, tars_status_text(status), err.text);
    }
    return status;
}

/* Passages first..last, a change for each batch of them; returns the seq. */
static uint64_t add_range(struct world *w, uint64_t seq, uint64_t first, uint64_t last)
{
    for (uint64_t id = first; id <= last; id += BATCH) {
        uint64_t left = last - id + 1;
        const struct tars_vectors_batch batch = {.after = seq,
                                                 .upto = seq + 1,
                                                 .mark = "m",
                                                 .adds = &w->passages[id],
                                                 .add_count = left < BATCH ? left : BATCH};

        assert_int_equal(apply(w, &batch), TARS_OK);
        seq++;
    }
    return seq;
}

static tars_status finish(struct world *w, uint64_t generation)
{
    struct tars_err err = {{0}};
    tars_status status = TARS_OK;

    if (w->vectors->ops->finish)
        status = w->vectors->ops->finish(w->vectors, generation, &err);
    if (status != TARS_OK && status != TARS_EAGAIN && status != TARS_ECANCELED)
        fail_msg("%s: %s: %s", w->kind->name, tars_status_text(status), err.text);
    return status;
}

static void fill(struct world *w)
{
    start_anew(w);
    (void)add_range(w, 0, 1, w->last);
    assert_int_equal(finish(w, 0), TARS_OK);
}

/* ---------------------------------------------------------------- slow truth */

static float best_of(const struct tars_store_passage *passage, const float *query)
{
    float best = -FLT_MAX;

    for (size_t i = 0; i < passage->window_count; i++) {
        float dot = 0;

        for (int j = 0; j < DIM; j++)
            dot += passage->vectors[i * DIM + (size_t)j] * query[j];
        best = dot > best ? dot : best;
    }
    return best;
}

static bool is_shown(const struct world *w, const struct tars_index_filter *filter,
                     const struct tars_visible *visible, uint64_t id)
{
    return w->is_there[id] && tars_visible_has(visible, w->passages[id].document->collection) &&
           (!filter || filter->accepts(filter->ctx, id));
}

/* The scores of the best k, best first; returns how many there are. */
static size_t truth(const struct world *w, const float *query,
                    const struct tars_index_filter *filter, const struct tars_visible *visible,
                    size_t k, float *scores)
{
    size_t n = 0;

    for (uint64_t id = 1; id <= PASSAGES; id++) {
        size_t at = n < k ? n : k;
        float score;

        if (!is_shown(w, filter, visible, id))
            continue;
        score = best_of(&w->passages[id], query);
        while (at > 0 && scores[at - 1] < score) {
            if (at < k)
                scores[at] = scores[at - 1];
            at--;
        }
        if (at < k)
            scores[at] = score;
        n += n < k;
    }
    return n;
}

struct look {
    const struct tars_index_filter *filter;
    const struct tars_visible *visible;
    bool is_narrow;
    size_t k;
};

/* Search with a question, check what must hold for every result, and return the part of the true
 * best k that was found. */
static double look(struct world *w, const struct look *what, uint64_t question)
{
    float query[DIM];
    float scores[PASSAGES];
    struct tars_index_hit hits[PASSAGES];
    struct tars_arena arena;
    struct tars_err err = {{0}};
    struct tars_vectors_wish wish = {.query = query,
                                     .dim = DIM,
                                     .k = what->k,
                                     .filter = what->filter,
                                     .visible = what->visible,
                                     .is_narrow = what->is_narrow};
    size_t n = 0;
    size_t good = 0;
    size_t expected;

    make_vector(question, DIM, query);
    tars_arena_init(&arena, (size_t)64 << 20);
    if (tars_vectors_search(w->vectors, &wish, &arena, hits, &n, &err) != TARS_OK)
        fail_msg("%s: %s", w->kind->name, err.text);
    tars_arena_release(&arena);
    expected = truth(w, query, what->filter, what->visible, what->k, scores);
    assert_int_equal(n, expected);
    for (size_t i = 0; i < n; i++) {
        float exact;

        assert_in_range(hits[i].id, 1, PASSAGES);
        exact = best_of(&w->passages[hits[i].id], query);
        assert_true(is_shown(w, what->filter, what->visible, hits[i].id));
        assert_true(fabsf(hits[i].score - exact) < 0.005F);
        assert_true(i == 0 || hits[i].score <= hits[i - 1].score);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hits[i].id, hits[j].id);
        good += exact >= scores[n - 1] - 0.001F;
    }
    return n > 0 ? (double)good / (double)n : 1;
}

/* Servers build their graphs at random, so one question may miss what all together may not (see
 * tear_down()). */
static void check_recall(struct world *w, const struct look *what)
{
    uint64_t asked = w->kind->passages ? SLOW_ASKED : QUESTIONS;

    for (uint64_t i = 0; i < asked; i++)
        w->recall += look(w, what, 1000000 + i);
    w->asked += asked;
}

/* --------------------------------------------------------------------- tests */

/* What was made anew by somebody else is neither searched nor written to as what it was. */
static void another_filling_is_neither_searched_nor_written_to(void **state)
{
    struct world *w = *state;
    float query[DIM];
    struct tars_index_hit hits[K];
    struct tars_vectors_wish wish = {.query = query, .dim = DIM, .k = K, .visible = &everything};
    struct tars_vectors_batch batch = {
        .upto = 1, .mark = "m", .adds = w->passages + 1, .add_count = 1};
    uint64_t before;
    size_t n = 0;

    make_vector(1000000, DIM, query);
    start_anew(w);
    before = state_of(w).generation;
    if (before == 0)
        return; /* nobody else can reach it */
    batch.generation = before;
    assert_int_equal(apply(w, &batch), TARS_OK);
    atomic_store(&w->vectors->generation, before);
    assert_int_equal(tars_vectors_search(w->vectors, &wish, &w->arena, hits, &n, NULL), TARS_OK);
    assert_int_equal(n, 1);
    start_anew(w);
    w->is_there[1] = false;
    assert_int_not_equal(state_of(w).generation, before);
    assert_int_equal(apply(w, &batch), TARS_EAGAIN);
    assert_int_equal(tars_vectors_search(w->vectors, &wish, &w->arena, hits, &n, NULL),
                     TARS_EUNAVAILABLE);
    assert_true(atomic_load(&w->vectors->is_doubted));
    w->kind->clear();
    assert_int_equal(tars_vectors_search(w->vectors, &wish, &w->arena, hits, &n, NULL),
                     TARS_EUNAVAILABLE);
    assert_int_equal(apply(w, &batch), TARS_EAGAIN);
    assert_string_equal(state_of(w).of.store, ""); /* and nobody has made it by looking */
}

static void nothing_was_ever_there(void **state)
{
    struct world *w = *state;
    struct tars_vectors_state now = state_of(w);

    assert_string_equal(now.of.store, "");
    assert_string_equal(now.of.model, "");
    assert_int_equal(now.of.dim, 0);
    assert_int_equal(now.seq, 0);
    assert_int_equal(now.windows, 0);
    start_anew(w);
    now = state_of(w);
    assert_string_equal(now.of.store, ours.store);
    assert_string_equal(now.of.model, ours.model);
    assert_int_equal(now.of.dim, DIM);
    assert_int_equal(now.seq, 0);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

static void finds_the_nearest(void **state)
{
    static const size_t ks[] = {1, 2, K, 100, 400};
    struct world *w = *state;

    fill(w);
    for (size_t i = 0; i < sizeof(ks) / sizeof(ks[0]); i++)
        check_recall(w, &(struct look){.visible = &everything, .k = ks[i]});
    /* Each window of a passage finds it, once. */
    for (uint64_t id = 1; id < 20; id++) {
        for (size_t i = 0; i < w->passages[id].window_count; i++) {
            double found =
                look(w, &(struct look){.visible = &everything, .k = 1}, id * WINDOWS_MAX + i);

            assert_true(found == 1);
        }
    }
    assert_int_equal(state_of(w).windows, state_of(w).expected);
}

/* Filled, finished, and added to; each time it finds what it should. */
static void finished_at_the_end(void **state)
{
    struct world *w = *state;
    bool has_end = w->vectors->ops->finish != NULL;
    uint64_t generation;
    uint64_t seq;

    start_anew(w);
    seq = add_range(w, 0, 1, w->last / 2);
    assert_int_equal(state_of(w).is_unfinished, has_end);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    generation = state_of(w).generation;
    if (has_end) {
        assert_int_equal(finish(w, generation + 1), TARS_EAGAIN);
        atomic_store(&w->vectors->is_stopping, true);
        assert_int_equal(finish(w, generation), TARS_ECANCELED);
        atomic_store(&w->vectors->is_stopping, false);
        assert_true(state_of(w).is_unfinished);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(finish(w, generation), TARS_OK);
    assert_false(state_of(w).is_unfinished);
    assert_int_equal(state_of(w).seq, seq);
    (void)add_range(w, seq, w->last / 2 + 1, w->last);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    assert_int_equal(state_of(w).windows, state_of(w).expected);
    start_anew(w);
    assert_int_equal(state_of(w).is_unfinished, has_end);
}

static void finds_no_more_than_there_are(void **state)
{
    struct world *w = *state;

    start_anew(w);
    (void)add_range(w, 0, 1, 7);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

static void removed_is_gone(void **state)
{
    struct world *w = *state;
    const struct tars_index_run runs[] = {{1, 100}, {130, 130}, {w->last - 10, 5000}};
    struct tars_vectors_batch batch = {.mark = "m", .removes = runs, .remove_count = 3};

    start_anew(w);
    batch.after = add_range(w, 0, 1, w->last);
    batch.upto = batch.after + 1;
    assert_int_equal(apply(w, &batch), TARS_OK);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    assert_int_equal(state_of(w).seq, batch.upto);
    assert_int_equal(state_of(w).windows, state_of(w).expected);
}

/* A document is replaced: its older passages go, and newer ones come, in one batch. */
static void replaced_at_once(void **state)
{
    struct world *w = *state;
    const struct tars_index_run old = {w->last / 9, w->last / 3};
    struct tars_vectors_batch batch = {.mark = "m",
                                       .removes = &old,
                                       .remove_count = 1,
                                       .adds = &w->passages[w->last / 3 * 2 + 1],
                                       .add_count = w->last / 9 * 2};

    start_anew(w);
    batch.after = add_range(w, 0, 1, w->last / 3 * 2);
    batch.upto = batch.after + 2;
    assert_int_equal(apply(w, &batch), TARS_OK);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    assert_int_equal(state_of(w).seq, batch.upto);
}

/* What passages a filter accepts: one in every step, from first to last. */
struct steps {
    uint64_t first, last, step;
};

static bool accepts(void *ctx, uint64_t id)
{
    const struct steps *steps = ctx;

    return id >= steps->first && id <= steps->last && (id - steps->first) % steps->step == 0;
}

static bool next_run(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct steps *steps = ctx;
    uint64_t first = from < steps->first ? steps->first : from;

    first += (steps->step - (first - steps->first) % steps->step) % steps->step;
    if (first > steps->last)
        return false;
    *run = (struct tars_index_run){first, steps->step == 1 ? steps->last : first};
    return true;
}

static void filters_of_any_selectivity(void **state)
{
    static const struct steps table[] = {
        {1, PASSAGES, 1},  {1, PASSAGES, 2}, {100, 400, 1}, {1, PASSAGES, 10},
        {1, PASSAGES, 97}, {500, 505, 1},    {700, 700, 1}, {PASSAGES + 1, PASSAGES + 9, 1},
        {1, 90000, 1},     {1, 90000, 17},
    };
    struct world *w = *state;

    fill(w);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct steps steps = table[i];
        struct tars_index_filter filter = {.accepts = accepts, .ctx = &steps};
        struct look what = {.filter = &filter, .visible = &everything, .k = K};

        print_message("  %s: passages %llu to %llu by %llu\n", w->kind->name,
                      (unsigned long long)steps.first, (unsigned long long)steps.last,
                      (unsigned long long)steps.step);
        check_recall(w, &what); /* it cannot be named to a server */
        filter.next = next_run;
        what.is_narrow = true;
        check_recall(w, &what);
    }
}

static bool accepts_visible(void *ctx, uint64_t id)
{
    const struct look *what = ctx;

    return id <= PASSAGES && tars_visible_has(what->visible, keys[id % COLLECTIONS]);
}

static void rights_hold(void **state)
{
    static const char *const others[] = {"nobody's"};
    static const struct tars_visible table[] = {
        {.keys = keys, .count = 1}, {.keys = keys + 1, .count = 1}, {.keys = keys + 1, .count = 2},
        {.keys = keys, .count = 3}, {.keys = keys, .count = 0},     {.keys = others, .count = 1},
    };
    struct world *w = *state;

    fill(w);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct look what = {.visible = &table[i], .k = K};
        const struct tars_index_filter filter = {.accepts = accepts_visible, .ctx = &what};

        what.filter = &filter;
        check_recall(w, &what);
        /* The server has been told: it needs no other to sort out what may not be seen. */
        if (!w->vectors->ops->is_by_passage) {
            what.filter = NULL;
            check_recall(w, &what);
        }
    }
}

static void another_length_is_refused(void **state)
{
    struct world *w = *state;
    float query[2 * DIM] = {1};
    struct tars_index_hit hits[K];
    struct tars_arena arena;
    struct tars_vectors_wish wish = {
        .query = query, .dim = DIM / 2, .k = K, .visible = &everything};
    const struct tars_vectors_batch batch = {
        .after = 1, .upto = 2, .mark = "m", .adds = &w->passages[10], .add_count = 2};
    struct tars_err err = {{0}};
    size_t n = 0;

    start_anew(w);
    (void)add_range(w, 0, 1, 9);
    assert_int_equal(w->vectors->ops->apply(w->vectors, &batch, DIM / 2, &err), TARS_EMISMATCH);
    assert_int_equal(state_of(w).seq, 1);
    tars_arena_init(&arena, (size_t)64 << 20);
    assert_int_equal(tars_vectors_search(w->vectors, &wish, &arena, hits, &n, &err),
                     TARS_EMISMATCH);
    tars_arena_release(&arena);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

/* A change is done in parts; some of it again after a failure; and all of it, by somebody late. */
static void doing_it_again_does_no_harm(void **state)
{
    struct world *w = *state;
    struct tars_vectors_batch batch = {
        .after = 0, .upto = 0, .mark = "", .adds = &w->passages[1], .add_count = 50};
    uint64_t windows;

    start_anew(w);
    assert_int_equal(apply(w, &batch), TARS_OK);
    assert_int_equal(state_of(w).seq, 0);
    assert_int_equal(apply(w, &batch), TARS_OK);
    batch.adds = &w->passages[31];
    batch.add_count = 70;
    batch.upto = 3;
    batch.mark = "three";
    assert_int_equal(apply(w, &batch), TARS_OK);
    assert_int_equal(state_of(w).seq, 3);
    windows = state_of(w).windows;
    assert_int_equal(apply(w, &batch), TARS_EAGAIN);
    assert_int_equal(state_of(w).windows, windows);
    assert_int_equal(state_of(w).expected, windows);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

static void without_vectors_there_is_nothing_to_find(void **state)
{
    struct world *w = *state;
    struct tars_vectors_batch batch = {
        .after = 0, .upto = 1, .mark = "m", .adds = &w->passages[1], .add_count = 3};

    w->passages[2].vectors = NULL;
    w->passages[3].window_count = 0;
    start_anew(w);
    assert_int_equal(apply(w, &batch), TARS_OK);
    w->is_there[2] = w->is_there[3] = false;
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    batch = (struct tars_vectors_batch){.after = 1, .upto = 9, .mark = "nine"};
    assert_int_equal(apply(w, &batch), TARS_OK);
    assert_int_equal(state_of(w).seq, 9);
}

static void lives_through_a_restart(void **state)
{
    struct world *w = *state;
    struct tars_vectors_state before;
    struct tars_vectors_state after;

    fill(w);
    before = state_of(w);
    tars_vectors_close(w->vectors);
    w->vectors = w->kind->open();
    after = state_of(w);
    assert_string_equal(after.of.store, before.of.store);
    assert_string_equal(after.of.model, before.of.model);
    assert_int_equal(after.of.dim, before.of.dim);
    assert_int_equal(after.seq, before.seq);
    assert_string_equal(after.mark, before.mark);
    assert_int_equal(after.windows, before.windows);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

/* Another model, of another length: all that was there is gone. */
static void emptied_for_another(void **state)
{
    struct world *w = *state;
    struct tars_vectors_of other = ours;
    struct tars_vectors_state now;
    struct tars_err err = {{0}};

    fill(w);
    other.dim = (size_t)2 * DIM;
    (void)snprintf(other.model, sizeof(other.model), "m2");
    assert_int_equal(w->vectors->ops->reset(w->vectors, &other, &err), TARS_OK);
    now = state_of(w);
    assert_string_equal(now.of.model, "m2");
    assert_int_equal(now.of.dim, 2 * DIM);
    assert_int_equal(now.seq, 0);
    assert_int_equal(now.windows, 0);
    memset(w->is_there, 0, sizeof(w->is_there));
    fill(w);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

static void what_was_taken_out_is_noticed(void **state)
{
    struct world *w = *state;
    struct tars_vectors_state now;

    fill(w);
    if (w->kind->damage) {
        w->kind->damage();
        now = state_of(w);
        assert_int_not_equal(now.windows, now.expected);
    }
    memset(w->is_there, 0, sizeof(w->is_there));
    fill(w);
    now = state_of(w);
    assert_int_equal(now.windows, now.expected);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
}

/* Within SOON_MS of its return the server is used again. */
static void wait_until_well(const struct world *w)
{
    int64_t until = tars_clock_mono_ms() + SOON_MS;
    struct tars_vectors_state now;
    struct tars_err err = {{0}};
    tars_status status = TARS_EUNAVAILABLE;

    while (status != TARS_OK && tars_clock_mono_ms() < until) {
        status = w->vectors->ops->state(w->vectors, true, &now, &err);
        if (status != TARS_OK)
            (void)usleep(50000);
    }
    if (status != TARS_OK)
        fail_msg("%s: not back: %s", w->kind->name, err.text);
}

static void check_away(struct world *w)
{
    const struct tars_vectors_batch batch = {
        .after = 1, .upto = 2, .mark = "m", .adds = &w->passages[10], .add_count = 2};
    float query[DIM];
    struct tars_index_hit hits[K];
    struct tars_arena arena;
    const struct tars_vectors_wish wish = {
        .query = query, .dim = DIM, .k = K, .visible = &everything};
    struct tars_err err = {{0}};
    tars_status status;
    size_t n = 0;

    make_vector(1, DIM, query);
    tars_arena_init(&arena, (size_t)64 << 20);
    for (int i = 0; i < 5; i++) {
        status = tars_vectors_search(w->vectors, &wish, &arena, hits, &n, &err);
        assert_true(status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT);
        assert_true(err.text[0] != '\0');
    }
    tars_arena_release(&arena);
    status = apply(w, &batch);
    assert_true(status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT);
    assert_int_not_equal(w->vectors->ops->health(w->vectors, &err), TARS_OK);
}

static void away_and_back(void **state)
{
    struct world *w = *state;

    start_anew(w);
    (void)add_range(w, 0, 1, 9);
    assert_int_equal(w->vectors->ops->health(w->vectors, NULL), TARS_OK);
    if (w->kind->kill) {
        w->kind->kill();
        check_away(w);
        w->kind->revive();
        wait_until_well(w);
    }
    assert_int_equal(state_of(w).seq, 1);
    (void)add_range(w, 1, 10, 60);
    check_recall(w, &(struct look){.visible = &everything, .k = K});
    assert_int_equal(w->vectors->ops->health(w->vectors, NULL), TARS_OK);
}

static void without_memory(void **state)
{
    struct world *w = *state;

    if (w->vectors->ops->waits)
        check_faults(w->vectors, &ours, &w->passages[1], 4);
}

#define ROW(test)                              \
    {                                          \
#test, test, set_up, tear_down, &world \
    }

static struct world world;

static int run(const struct kind *kind)
{
    static const struct CMUnitTest all[] = {
        ROW(nothing_was_ever_there),
        ROW(another_filling_is_neither_searched_nor_written_to),
        ROW(finds_the_nearest),
        ROW(finished_at_the_end),
        ROW(finds_no_more_than_there_are),
        ROW(removed_is_gone),
        ROW(replaced_at_once),
        ROW(filters_of_any_selectivity),
        ROW(rights_hold),
        ROW(another_length_is_refused),
        ROW(doing_it_again_does_no_harm),
        ROW(without_vectors_there_is_nothing_to_find),
        ROW(lives_through_a_restart),
        ROW(emptied_for_another),
        ROW(what_was_taken_out_is_noticed),
        ROW(away_and_back),
        ROW(without_memory),
    };
    static const struct CMUnitTest some[] = {
        ROW(removed_is_gone),           ROW(rights_hold),
        ROW(another_length_is_refused), ROW(doing_it_again_does_no_harm),
        ROW(emptied_for_another),       ROW(finished_at_the_end),
    };
    int failed;

    world.kind = kind;
    if (kind->start)
        kind->start();
    failed = kind->is_variant ? cmocka_run_group_tests_name(kind->name, some, NULL, NULL)
                              : cmocka_run_group_tests_name(kind->name, all, NULL, NULL);
    if (kind->stop)
        kind->stop();
    return failed;
}

/* test_vectors_contract [NAME]: all of them, or those whose names begin so. */
int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    int failed = 0;

    for (size_t i = 0; i < KINDS; i++) {
        if (strncmp(kinds[i]->name, name, strlen(name)) == 0)
            failed += run(kinds[i]);
    }
    return failed;
}
