/* Unit tests of vectors/follow: a store of SQLite and the index of this process as a back end, so
 * that what a server may do can be made to happen: fail, lose, be another's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store_sqlite.h"
#include "store/transfer.h"
#include "support/files.h"
#include "vectors/follow.h"
#include "vectors/vectors_embedded.h"

#define DIM     4
#define LOOK_US 5000
#define SOON_MS 60000 /* for machines that are busy */

/* A back end before another, that does as it is told. */
struct front {
    struct tars_vectors base;
    struct tars_vectors *behind;
    _Atomic tars_status refusal; /* of everything; TARS_OK: none */
    atomic_bool loses;           /* it says that a vector is gone */
    atomic_int applied, resets;
    char other[TARS_VECTORS_NAME_BYTES]; /* the store that it says it is of; "": the true one */
    atomic_bool is_other;
    atomic_bool is_bare;         /* of the other: nothing was ever written */
    _Atomic uint64_t generation; /* that it says it is of, and that is written to */
    _Atomic uint64_t rewound;    /* changes that it says it has not got after all */
    atomic_int counted;          /* times that it was asked to count */
    atomic_bool has_end;         /* it is to be finished */
    atomic_bool is_finished;
    atomic_int finishes;
    atomic_bool hangs;            /* a write does not end by itself */
    _Atomic(atomic_bool *) leads; /* no longer after the next write; or NULL */
};

static struct front *front_of(struct tars_vectors *vectors)
{
    return (struct front *)vectors;
}

static tars_status front_state(struct tars_vectors *vectors, bool counts,
                               struct tars_vectors_state *state, struct tars_err *err)
{
    struct front *front = front_of(vectors);
    tars_status status = atomic_load(&front->refusal);

    if (status != TARS_OK)
        return tars_fail(status, err, "refused");
    status = front->behind->ops->state(front->behind, counts, state, err);
    if (counts)
        atomic_fetch_add(&front->counted, 1);
    if (atomic_load(&front->loses) && counts)
        state->expected++;
    state->generation = atomic_load(&front->generation);
    state->is_unfinished = atomic_load(&front->has_end) && !atomic_load(&front->is_finished);
    state->seq -= atomic_load(&front->rewound);
    if (atomic_load(&front->is_other))
        (void)snprintf(state->of.store, sizeof(state->of.store), "another");
    if (atomic_load(&front->is_bare))
        state->windows = state->expected = 0;
    return status;
}

static tars_status front_reset(struct tars_vectors *vectors, const struct tars_vectors_of *of,
                               struct tars_err *err)
{
    struct front *front = front_of(vectors);
    tars_status status = atomic_load(&front->refusal);

    if (status != TARS_OK)
        return tars_fail(status, err, "refused");
    atomic_store(&front->loses, false);
    atomic_store(&front->is_other, false);
    atomic_store(&front->is_bare, false);
    atomic_fetch_add(&front->resets, 1);
    atomic_fetch_add(&front->generation, 1);
    atomic_store(&front->is_finished, false);
    return front->behind->ops->reset(front->behind, of, err);
}

static tars_status front_apply(struct tars_vectors *vectors, const struct tars_vectors_batch *batch,
                               size_t dim, struct tars_err *err)
{
    struct front *front = front_of(vectors);
    tars_status status = atomic_load(&front->refusal);
    atomic_bool *leads;

    if (status != TARS_OK)
        return tars_fail(status, err, "refused");
    if (batch->generation != atomic_load(&front->generation))
        return tars_fail(TARS_EAGAIN, err, "another filling");
    atomic_fetch_add(&front->applied, 1);
    while (atomic_load(&front->hangs)) {
        if (atomic_load(&vectors->is_stopping))
            return tars_fail(TARS_ECANCELED, err, "given up");
        (void)usleep(LOOK_US);
    }
    leads = atomic_load(&front->leads);
    if (leads)
        atomic_store(leads, false);
    return front->behind->ops->apply(front->behind, batch, dim, err);
}

static tars_status front_finish(struct tars_vectors *vectors, uint64_t generation,
                                struct tars_err *err)
{
    struct front *front = front_of(vectors);

    assert_int_equal(generation, atomic_load(&front->generation));
    atomic_fetch_add(&front->finishes, 1);
    while (atomic_load(&front->hangs)) {
        if (atomic_load(&vectors->is_stopping))
            return tars_fail(TARS_ECANCELED, err, "given up");
        (void)usleep(LOOK_US);
    }
    atomic_store(&front->is_finished, true);
    return TARS_OK;
}

static const struct tars_vectors_ops front_ops = {
    .name = "front",
    .waits = true,
    .state = front_state,
    .reset = front_reset,
    .finish = front_finish,
    .apply = front_apply,
};

/* ------------------------------------------------------------------ a fixture */

struct fixture {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct front front;
    struct tars_follow *follow;
    int documents;
    atomic_bool may_write;
};

static bool may_write(void *ctx)
{
    struct fixture *f = ctx;

    return atomic_load(&f->may_write);
}

static void begin(struct fixture *f)
{
    const struct tars_follow_config config = {.vectors = &f->front.base,
                                              .store = f->store,
                                              .may_write = may_write,
                                              .may_write_ctx = f,
                                              .poll_ms = 20,
                                              .look_ms = 50};

    assert_int_equal(tars_follow_new(&config, &f->follow, NULL), TARS_OK);
    assert_int_equal(tars_follow_start(f->follow, NULL), TARS_OK);
}

static void end(struct fixture *f)
{
    tars_follow_free(f->follow);
    f->follow = NULL;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct tars_store_sqlite_config config = {.readers = 2};
    const struct tars_store_model model = {.identity = "m1", .name = "one", .dim = DIM};
    char path[FILES_PATH_MAX];

    assert_non_null(f);
    files_make_dir(f->dir);
    config.dir = f->dir;
    assert_int_equal(tars_store_sqlite_open(&config, &f->store, NULL), TARS_OK);
    assert_int_equal(tars_store_model_claim(f->store, &model, NULL), TARS_OK);
    (void)snprintf(path, sizeof(path), "%.4000s/vectors", f->dir);
    assert_int_equal(tars_vectors_embedded_open(path, &f->front.behind, NULL), TARS_OK);
    f->front.base.ops = &front_ops;
    f->may_write = true;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    end(f);
    tars_vectors_close(f->front.behind);
    tars_store_close(f->store);
    files_remove_dir(f->dir);
    free(f);
    return 0;
}

/* A file of one document with n passages of a window each; returns the store's last change. */
static uint64_t put(struct fixture *f, size_t n)
{
    static const struct tars_store_window window = {0, 4};
    static const float vector[DIM] = {1, 0, 0, 0};
    char path[64];
    char sha[TARS_STORE_SHA_BYTES];
    const struct tars_store_file file = {.collection = "", .path = path, .sha256 = sha, .size = 4};
    const struct tars_store_document document = {
        .collection = "", .path = path, .file_name = "a.txt", .file_type = "txt", .sha256 = sha};
    struct tars_store_passage *passages = calloc(n, sizeof(*passages));
    const struct tars_store_put one = {
        .document = &document, .passages = passages, .passage_count = n};
    const struct tars_store_batch batch = {
        .file = &file, .puts = &one, .put_count = 1, .round = 1, .finish = true, .dim = DIM};
    struct tars_store_changes changes;
    struct tars_arena arena;
    uint64_t seq;

    assert_non_null(passages);
    (void)snprintf(path, sizeof(path), "/docs/%d.txt", f->documents);
    (void)snprintf(sha, sizeof(sha), "%064d", f->documents++);
    for (size_t i = 0; i < n; i++) {
        passages[i] = (struct tars_store_passage){.section = "",
                                                  .text = "text",
                                                  .text_len = 4,
                                                  .windows = &window,
                                                  .vectors = vector,
                                                  .window_count = 1};
    }
    tars_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(tars_store_put(f->store, &batch, &arena, &changes, NULL), TARS_OK);
    seq = changes.items[changes.count - 1].seq;
    tars_arena_release(&arena);
    free(passages);
    return seq;
}

static uint64_t forget(struct fixture *f, int document)
{
    struct tars_store_changes changes;
    struct tars_arena arena;
    char path[64];
    uint64_t seq;

    (void)snprintf(path, sizeof(path), "/docs/%d.txt", document);
    tars_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(
        tars_store_forget_file(f->store, TARS_COLLECTION, path, &arena, &changes, NULL), TARS_OK);
    seq = changes.items[changes.count - 1].seq;
    tars_arena_release(&arena);
    return seq;
}

/* Passages that are found there. */
static size_t count_found(struct fixture *f)
{
    static const struct tars_visible all = {.all = true};
    static const float query[DIM] = {1, 0, 0, 0};
    static struct tars_index_hit hits[5000];
    const struct tars_vectors_wish wish = {.query = query, .dim = DIM, .k = 5000, .visible = &all};
    struct tars_arena arena;
    size_t n = 0;

    tars_arena_init(&arena, (size_t)16 << 20);
    assert_int_equal(tars_vectors_search(f->front.behind, &wish, &arena, hits, &n, NULL), TARS_OK);
    tars_arena_release(&arena);
    return n;
}

static void await(struct fixture *f, uint64_t seq)
{
    assert_int_equal(tars_follow_await(f->follow, seq, SOON_MS), TARS_OK);
}

/* --------------------------------------------------------------------- tests */

static void what_was_there_and_what_comes(void **state)
{
    struct fixture *f = *state;

    (void)put(f, 3);
    (void)put(f, 1500); /* more than a batch */
    begin(f);
    await(f, 2);
    assert_int_equal(count_found(f), 1503);
    assert_true(atomic_load(&f->front.applied) > 1);
    await(f, put(f, 7));
    assert_int_equal(count_found(f), 1510);
    await(f, forget(f, 1));
    assert_int_equal(count_found(f), 10);
    assert_int_equal(tars_follow_health(f->follow, NULL), TARS_OK);
    assert_int_equal(tars_follow_stats(f->follow).rebuilds, 0);
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

static void goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;

    (void)put(f, 3);
    begin(f);
    await(f, 1);
    end(f);
    (void)forget(f, 0);
    (void)put(f, 5);
    begin(f);
    await(f, 3);
    assert_int_equal(count_found(f), 5);
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

static void away_and_back(void **state)
{
    static const tars_status refusals[] = {TARS_EUNAVAILABLE, TARS_ETIMEOUT, TARS_EIO,
                                           TARS_EMISMATCH, TARS_EFORMAT};
    struct fixture *f = *state;
    uint64_t seq = put(f, 1);
    size_t expected = 1;

    begin(f);
    await(f, seq);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct tars_err err = {{0}};

        atomic_store(&f->front.refusal, refusals[i]);
        seq = put(f, 2);
        expected += 2;
        assert_int_equal(tars_follow_await(f->follow, seq, SOON_MS), refusals[i]);
        assert_int_equal(tars_follow_health(f->follow, &err), refusals[i]);
        assert_non_null(strstr(err.text, "front: refused"));
        atomic_store(&f->front.refusal, TARS_OK);
        while (tars_follow_await(f->follow, seq, SOON_MS) != TARS_OK)
            continue;
        assert_int_equal(count_found(f), expected);
    }
    assert_int_equal(tars_follow_stats(f->follow).rebuilds, 0);
}

/* What has lost a vector is filled again when it is looked at. */
static void what_is_not_right_is_filled_again(void **state)
{
    struct fixture *f = *state;

    (void)put(f, 4);
    begin(f);
    await(f, 1);
    end(f);
    atomic_store(&f->front.loses, true);
    begin(f);
    while (tars_follow_stats(f->follow).rebuilds == 0)
        (void)usleep(LOOK_US);
    await(f, 1);
    assert_int_equal(count_found(f), 4);
    assert_int_equal(tars_follow_stats(f->follow).rebuilds, 1);
    end(f);
}

/* What another store has filled is not emptied by who starts with the wrong name; what it has made
 * and not filled is. */
static void what_another_store_has_filled_stays(void **state)
{
    struct fixture *f = *state;
    struct tars_err err = {{0}};

    (void)put(f, 4);
    begin(f);
    await(f, 1);
    end(f);
    atomic_store(&f->front.is_other, true);
    begin(f);
    while (tars_follow_health(f->follow, &err) != TARS_EBUSY)
        (void)usleep(LOOK_US);
    assert_non_null(strstr(err.text, "or remove what is there"));
    assert_true(atomic_load(&f->front.base.is_closed));
    assert_int_equal(atomic_load(&f->front.resets), 1);
    end(f);
}

/* As tars migrate leaves it: the other store has become this one. */
static void what_the_store_before_has_filled_is_taken(void **state)
{
    struct fixture *f = *state;

    (void)put(f, 4);
    begin(f);
    await(f, 1);
    end(f);
    assert_int_equal(tars_store_meta_set(f->store, TARS_STORE_BEFORE_KEY, "another", NULL),
                     TARS_OK);
    atomic_store(&f->front.is_other, true);
    begin(f);
    while (atomic_load(&f->front.resets) < 2)
        (void)usleep(LOOK_US);
    await(f, 1);
    assert_int_equal(count_found(f), 4);
    end(f);
}

static void what_another_store_has_not_filled_is_taken(void **state)
{
    struct fixture *f = *state;

    (void)put(f, 4);
    begin(f);
    await(f, 1);
    end(f);
    atomic_store(&f->front.is_other, true);
    atomic_store(&f->front.is_bare, true);
    begin(f);
    while (atomic_load(&f->front.resets) < 2)
        (void)usleep(LOOK_US);
    await(f, 1);
    assert_int_equal(count_found(f), 4);
    assert_int_equal(atomic_load(&f->front.resets), 2);
    end(f);
}

/* Two servers with different documents at one place: the second one is left alone. */
static void another_writer_is_not_fought(void **state)
{
    struct fixture *f = *state;
    struct tars_err err = {{0}};

    begin(f);
    await(f, put(f, 4));
    atomic_store(&f->front.is_other, true);
    atomic_store(&f->front.refusal, TARS_EUNAVAILABLE);
    assert_int_equal(tars_follow_await(f->follow, put(f, 1), SOON_MS), TARS_EUNAVAILABLE);
    atomic_store(&f->front.refusal, TARS_OK);
    while (tars_follow_stats(f->follow).status != TARS_EBUSY)
        (void)usleep(LOOK_US);
    assert_int_equal(tars_follow_health(f->follow, &err), TARS_EBUSY);
    assert_non_null(strstr(err.text, "of its own"));
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

static bool is_closed(struct fixture *f)
{
    return atomic_load(&f->front.base.is_closed);
}

/* Nobody writes anything, and what is there is another's all of a sudden: not searched, and said.
 */
static void a_stranger_is_noticed_without_a_change(void **state)
{
    struct fixture *f = *state;

    begin(f);
    await(f, put(f, 4));
    assert_false(is_closed(f));
    assert_int_equal(atomic_load(&f->front.base.generation), 1);
    atomic_store(&f->front.is_other, true);
    while (tars_follow_health(f->follow, NULL) != TARS_EBUSY)
        (void)usleep(LOOK_US);
    assert_true(is_closed(f));
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

/* What others have emptied and filled is of another generation: followed, where it is right. */
static void another_filling_is_gone_on_with(void **state)
{
    struct fixture *f = *state;

    begin(f);
    await(f, put(f, 4));
    atomic_store(&f->front.generation, 9);
    while (atomic_load(&f->front.base.generation) != 9)
        (void)usleep(LOOK_US);
    await(f, put(f, 1));
    assert_int_equal(count_found(f), 5);
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

/* A copy of the store that has gone another way fills the same place: they do not take turns. */
static void a_copy_that_went_on_is_not_fought(void **state)
{
    struct fixture *f = *state;

    begin(f);
    await(f, put(f, 4));
    atomic_store(&f->front.generation, 9);
    atomic_store(&f->front.rewound, (uint64_t)-7); /* ahead of this store */
    while (tars_follow_health(f->follow, NULL) != TARS_EBUSY)
        (void)usleep(LOOK_US);
    assert_true(is_closed(f));
    assert_int_equal(atomic_load(&f->front.resets), 1);
}

/* A search that finds another filling has it looked at, and counted, at once. */
static void what_a_search_doubts_is_counted(void **state)
{
    struct fixture *f = *state;
    int before;

    begin(f);
    await(f, put(f, 4));
    before = atomic_load(&f->front.counted);
    atomic_store(&f->front.loses, true);
    atomic_store(&f->front.base.is_doubted, true);
    while (atomic_load(&f->front.resets) < 2)
        (void)usleep(LOOK_US);
    await(f, 1);
    assert_true(atomic_load(&f->front.counted) > before);
    assert_int_equal(count_found(f), 4);
}

/* Who begins to write counts, however well it has looked on until then. */
static void who_begins_to_write_counts(void **state)
{
    struct fixture *f = *state;

    begin(f);
    await(f, put(f, 4));
    end(f);
    atomic_store(&f->may_write, false);
    begin(f);
    await(f, 1);
    atomic_store(&f->front.loses, true);
    await(f, 1);
    assert_int_equal(atomic_load(&f->front.resets), 1);
    atomic_store(&f->may_write, true);
    while (atomic_load(&f->front.resets) < 2)
        (void)usleep(LOOK_US);
    await(f, 1);
    assert_int_equal(count_found(f), 4);
}

/* Of several servers one writes, and the others see what it did. */
static void who_may_not_write_looks_on(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = put(f, 4);

    f->may_write = false;
    begin(f);
    assert_int_equal(tars_follow_await(f->follow, seq, 200), TARS_ETIMEOUT);
    assert_int_equal(atomic_load(&f->front.resets), 0);
    assert_int_equal(atomic_load(&f->front.applied), 0);
    end(f);
    f->may_write = true;
    begin(f);
    await(f, seq);
    end(f);
    f->may_write = false;
    begin(f);
    await(f, seq);
    assert_int_equal(atomic_load(&f->front.applied), 1);
}

/* It is another's turn before all is written: this one ends with the batch. */
static void who_may_no_longer_write_ends(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = put(f, 1000);

    atomic_store(&f->front.leads, &f->may_write);
    begin(f);
    assert_int_equal(tars_follow_await(f->follow, seq, 500), TARS_ETIMEOUT);
    assert_int_equal(atomic_load(&f->front.applied), 1);
    end(f);
    atomic_store(&f->front.leads, NULL);
    f->may_write = true;
    begin(f);
    await(f, seq);
}

/* Without vectors in the store there is nothing to wait for. */
static void stopping_ends_a_write(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = put(f, 3);

    atomic_store(&f->front.hangs, true);
    begin(f);
    while (atomic_load(&f->front.applied) == 0)
        (void)usleep(LOOK_US);
    end(f);
    atomic_store(&f->front.hangs, false);
    begin(f);
    await(f, seq);
    assert_int_equal(count_found(f), 3);
}

/* Nobody writes: who waits for all gives up, and who is told to stop does so at once. */
static void nobody_waits_for_what_does_not_come(void **state)
{
    struct fixture *f = *state;
    atomic_bool stop = false;
    uint64_t seq;

    atomic_store(&f->may_write, false);
    seq = put(f, 3);
    begin(f);
    tars_follow_await_look(f->follow, SOON_MS);
    assert_int_equal(tars_follow_await_all(f->follow, seq, 200, NULL), TARS_ETIMEOUT);
    assert_int_equal(tars_follow_await_all(f->follow, seq, 200, &stop), TARS_ETIMEOUT);
    atomic_store(&stop, true);
    assert_int_equal(tars_follow_await_all(f->follow, seq, INT64_MAX, &stop), TARS_ECANCELED);
    assert_false(tars_follow_is_far(f->follow, seq));
    assert_true(tars_follow_is_far(f->follow, seq + 1000));
    atomic_store(&f->may_write, true);
    assert_int_equal(tars_follow_await_all(f->follow, seq, SOON_MS, NULL), TARS_OK);
    assert_int_equal(count_found(f), 3);
}

/* While it is filled, less is far than later. */
static void what_is_filled_is_sooner_far(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 100; i++)
        (void)put(f, 1);
    atomic_store(&f->front.hangs, true);
    begin(f);
    while (atomic_load(&f->front.applied) == 0)
        (void)usleep(LOOK_US);
    assert_true(tars_follow_is_far(f->follow, 100));
    atomic_store(&f->front.hangs, false);
    await(f, 100);
    while (tars_follow_stats(f->follow).is_filling)
        (void)usleep(LOOK_US);
    assert_false(tars_follow_is_far(f->follow, 200));
}

/* Filled, and then finished: neither searched nor said to be well before, stopped in between, gone
 * on with by the next one without writing anything again. */
static void finished_once_it_is_whole(void **state)
{
    struct fixture *f = *state;
    uint64_t seq = put(f, 1000);
    struct tars_err err = {{0}};
    int applied;

    atomic_store(&f->front.has_end, true);
    atomic_store(&f->front.leads, &f->may_write); /* one batch, and it is another's turn */
    begin(f);
    assert_int_equal(tars_follow_await(f->follow, seq, 200), TARS_ETIMEOUT);
    assert_int_equal(atomic_load(&f->front.finishes), 0);
    assert_true(is_closed(f));
    atomic_store(&f->front.leads, NULL);
    atomic_store(&f->may_write, true);
    while (tars_follow_stats(f->follow).seq < seq)
        (void)usleep(LOOK_US);
    await(f, seq);
    assert_false(is_closed(f));
    assert_int_equal(atomic_load(&f->front.finishes), 1);
    end(f);
    applied = atomic_load(&f->front.applied);
    atomic_store(&f->front.is_finished, false);
    atomic_store(&f->front.hangs, true);
    for (int i = 0; i < 2; i++) {
        begin(f);
        while (!tars_follow_stats(f->follow).is_finishing)
            (void)usleep(LOOK_US);
        assert_true(is_closed(f));
        assert_true(tars_follow_is_far(f->follow, seq));
        assert_int_equal(tars_follow_health(f->follow, &err), TARS_EUNAVAILABLE);
        assert_non_null(strstr(err.text, "its index is being made"));
        assert_int_equal(tars_follow_await(f->follow, seq, 1), TARS_ETIMEOUT);
        if (i == 0)
            end(f); /* stopped while it is made */
    }
    atomic_store(&f->front.hangs, false);
    await(f, seq);
    assert_false(is_closed(f));
    assert_int_equal(atomic_load(&f->front.applied), applied);
    assert_int_equal(atomic_load(&f->front.resets), 1);
    await(f, put(f, 1));
    assert_int_equal(count_found(f), 1001);
}

static void a_store_without_a_model_is_in_step(void **state)
{
    struct fixture *f = *state;
    struct tars_store_sqlite_config config = {.readers = 2};
    char path[FILES_PATH_MAX];

    tars_store_close(f->store);
    (void)snprintf(path, sizeof(path), "%.4000s/bare", f->dir);
    config.dir = path;
    assert_int_equal(tars_store_sqlite_open(&config, &f->store, NULL), TARS_OK);
    begin(f);
    await(f, 0);
    while (tars_follow_health(f->follow, NULL) != TARS_OK)
        (void)usleep(LOOK_US);
    assert_int_equal(atomic_load(&f->front.resets), 0);
}

/* Somebody has changed to another model: what is read is not taken for longer than it is. */
static void vectors_of_another_length_are_none(void **state)
{
    static const float query[2 * DIM] = {1, 0, 0, 0, 1, 0, 0, 0};
    static const uint64_t ids[] = {1, 2};
    struct fixture *f = *state;
    float sum[2 * DIM] = {0};
    float score = 0;

    (void)put(f, 2);
    for (size_t dim = DIM; dim <= (size_t)2 * DIM; dim += DIM) {
        tars_status expected = dim == DIM ? TARS_OK : TARS_ENOTFOUND;
        struct tars_vectors_held *held = NULL;
        struct tars_arena arena;

        tars_arena_init(&arena, (size_t)16 << 20);
        assert_int_equal(
            tars_vectors_load(&f->front.base, f->store, dim, ids, 2, &arena, &held, NULL), TARS_OK);
        assert_int_equal(tars_vectors_score(held, query, 2, &score), expected);
        assert_int_equal(tars_vectors_add(held, query, 1, 1, sum), expected);
        tars_arena_release(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_there_and_what_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goes_on_where_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(away_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_right_is_filled_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_another_store_has_filled_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_store_before_has_filled_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_another_store_has_not_filled_is_taken, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_writer_is_not_fought, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stranger_is_noticed_without_a_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_filling_is_gone_on_with, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_went_on_is_not_fought, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_search_doubts_is_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_begins_to_write_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_not_write_looks_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_no_longer_write_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(vectors_of_another_length_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_ends_a_write, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_for_what_does_not_come, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_filled_is_sooner_far, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finished_once_it_is_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_store_without_a_model_is_in_step, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
