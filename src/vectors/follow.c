/* follow - see follow.h.
 *
 * A round lists changes and writes them in batches. A batch ends with a whole change where it can;
 * one that is too large for it is written in parts, and seq moves on with the last of them. An add
 * is read from the store as it is now: what was removed since is not there any more, and its remove
 * comes later, so in a batch no passage is added and removed.
 */
#include "vectors/follow.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "base/mem/arena.h"
#include "base/sys/clock.h"
#include "obs/log.h"
#include "store/transfer.h"
#include "vectors/follow_internal.h"

#define CHANGES_AT_ONCE  TARS_FOLLOW_CHANGES_AT_ONCE
#define PASSAGES_AT_ONCE 64  /* read at a time */
#define WINDOWS_AT_ONCE  512 /* written at a time, about */
#define PASSAGES_MAX     1024
#define ROUND_BYTES      ((size_t)64 << 20)
#define BATCH_BYTES      ((size_t)1 << 30)
#define META_BYTES       ((size_t)4096)
#define POLL_MS          1000
#define LOOK_MS          5000
#define COUNTS_EACH      60 /* looks that only read, between two that count */
#define PAUSE_LEAST_MS   250
#define PAUSE_MOST_MS    4000
#define AWAITED_MS       20  /* between two looks while somebody waits */
#define AWAITED_ON_MS    100 /* the same, where another process writes */
#define STORE_ID_BYTES   16

/* --------------------------------------------------------------- life cycle */

tars_status tars_follow_new(const struct tars_follow_config *config, struct tars_follow **follow,
                            struct tars_err *err)
{
    struct tars_follow *made;

    if (!config->vectors || !config->store)
        return tars_fail(TARS_EINVAL, err, "a follower needs a store and a back end");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to follow the store");
    made->config = *config;
    if (made->config.poll_ms == 0)
        made->config.poll_ms = POLL_MS;
    if (made->config.look_ms == 0)
        made->config.look_ms = LOOK_MS;
    atomic_store(&config->vectors->is_closed, true);
    atomic_store(&config->vectors->is_stopping, false);
    made->stats.status = TARS_EAGAIN;
    made->pause_ms = PAUSE_LEAST_MS;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    *follow = made;
    return TARS_OK;
}

void tars_follow_free(struct tars_follow *follow)
{
    if (!follow)
        return;
    atomic_store(&follow->config.vectors->is_stopping, true);
    pthread_mutex_lock(&follow->lock);
    follow->is_stopping = true;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
    if (follow->is_started)
        pthread_join(follow->thread, NULL);
    pthread_cond_destroy(&follow->changed);
    pthread_mutex_destroy(&follow->lock);
    free(follow);
}

static bool is_stopping(struct tars_follow *follow)
{
    bool stopping;

    pthread_mutex_lock(&follow->lock);
    stopping = follow->is_stopping;
    pthread_mutex_unlock(&follow->lock);
    return stopping;
}

/* Sleep until somebody wakes us, where that counts, or ms are over. */
static void nap(struct tars_follow *follow, int64_t ms, bool may_be_woken)
{
    struct timespec until = tars_follow_after_ms(ms);
    int ended = 0;

    pthread_mutex_lock(&follow->lock);
    while (!follow->is_stopping && !(may_be_woken && follow->is_woken) && ended == 0)
        ended = pthread_cond_timedwait(&follow->changed, &follow->lock, &until);
    follow->is_woken = false;
    pthread_mutex_unlock(&follow->lock);
}

/* ------------------------------------------------------------ what is there */

/* The id of the store; one that has none is given one. */
static tars_status name_store(struct tars_follow *follow, char *out, size_t size,
                              struct tars_err *err)
{
    struct tars_store *store = follow->config.store;
    char made[2 * STORE_ID_BYTES + 1];
    const char *known = NULL;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(store, TARS_STORE_ID_KEY, &arena, &known, err);
    if (status == TARS_ENOTFOUND) {
        status = tars_random_hex(made, STORE_ID_BYTES);
        if (status == TARS_OK)
            status = tars_store_meta_set(store, TARS_STORE_ID_KEY, made, err);
        known = made;
    }
    if (status == TARS_OK)
        (void)snprintf(out, size, "%s", known);
    tars_arena_release(&arena);
    return status;
}

static tars_status learn_store(struct tars_follow *follow, struct tars_err *err)
{
    struct tars_store_model model;
    struct tars_vectors_of *of = &follow->of;
    tars_status status = tars_store_model(follow->config.store, &model, err);

    memset(of, 0, sizeof(*of));
    if (status != TARS_OK || model.dim <= 0 || !model.identity[0])
        return status;
    (void)snprintf(of->model, sizeof(of->model), "%s", model.identity);
    (void)snprintf(of->model_name, sizeof(of->model_name), "%s", model.name);
    of->dim = (size_t)model.dim;
    return name_store(follow, of->store, sizeof(of->store), err);
}

static tars_status mark_of(const struct tars_store_change *change, char *mark)
{
    char text[128];
    int len = snprintf(text, sizeof(text), "%" PRIu64 " %d %s %" PRIu64 " %" PRIu64, change->seq,
                       (int)change->op, change->document_id, change->first, change->last);

    return tars_sha256_hex(text, (size_t)len, mark);
}

/* Is the store's change of that number another one than the one that was written? One that the
 * store has forgotten may be any. */
static tars_status is_another_history(struct tars_follow *follow,
                                      const struct tars_vectors_state *there, bool *is_other,
                                      struct tars_err *err)
{
    struct tars_store_changes changes = {0};
    char mark[TARS_VECTORS_MARK_BYTES];
    struct tars_arena arena;
    tars_status status = TARS_OK;

    *is_other = false;
    if (there->seq == 0 || !there->mark[0])
        return TARS_OK;
    tars_arena_init(&arena, META_BYTES);
    status = tars_store_changes(follow->config.store, there->seq - 1, 1, &arena, &changes, err);
    if (status == TARS_OK && changes.count > 0 && changes.items[0].seq == there->seq) {
        status = mark_of(&changes.items[0], mark);
        *is_other = status == TARS_OK && strcmp(mark, there->mark) != 0;
    }
    tars_arena_release(&arena);
    return status;
}

/* Why what is there cannot be gone on from. */
enum fault {
    NONE,
    OTHER_STORE,
    OTHER_MODEL,
    AHEAD,
    OTHER_NUMBER,
    OTHER_HISTORY,
};

static tars_status find_fault(struct tars_follow *follow, const struct tars_vectors_state *there,
                              uint64_t target, enum fault *fault, char *words, size_t size,
                              struct tars_err *err)
{
    const struct tars_vectors_of *of = &follow->of;
    bool is_other = false;
    tars_status status = TARS_OK;

    *fault = NONE;
    words[0] = '\0';
    if (strcmp(there->of.store, of->store) != 0) {
        *fault = OTHER_STORE;
        (void)snprintf(words, size, "it is of another store");
    } else if (strcmp(there->of.model, of->model) != 0 || there->of.dim != of->dim) {
        *fault = OTHER_MODEL;
        (void)snprintf(words, size, "it is of another model (%s)", there->of.model_name);
    } else if (there->seq > target) {
        *fault = AHEAD;
        (void)snprintf(words, size, "it is ahead of the store (%" PRIu64 ", %" PRIu64 ")",
                       there->seq, target);
    } else if (there->windows != there->expected) {
        *fault = OTHER_NUMBER;
        (void)snprintf(words, size, "it has %" PRIu64 " vectors instead of %" PRIu64,
                       there->windows, there->expected);
    } else {
        status = is_another_history(follow, there, &is_other, err);
        if (is_other) {
            *fault = OTHER_HISTORY;
            (void)snprintf(words, size, "it is of another history of the store");
        }
    }
    return status;
}

/* Is it of the store that was moved into this one (store/transfer.h)? */
static tars_status is_of_before(const struct tars_follow *follow,
                                const struct tars_vectors_state *there, bool *is_it,
                                struct tars_err *err)
{
    const char *before = NULL;
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(follow->config.store, TARS_STORE_BEFORE_KEY, &arena, &before, err);
    *is_it = status == TARS_OK && strcmp(before, there->of.store) == 0;
    tars_arena_release(&arena);
    return status == TARS_ENOTFOUND ? TARS_OK : status;
}

/* Is it somebody else's? What another store has filled is never emptied: a wrong name of a database
 * or collection must not cost others their vectors. And two at one place would empty it in turns
 * for ever. */
static bool is_taken(const struct tars_follow *follow, const struct tars_vectors_state *there,
                     enum fault fault)
{
    if (!there->of.store[0])
        return false;
    if (fault == OTHER_STORE)
        return follow->was_ours || there->windows > 0;
    return follow->was_ours && (fault == AHEAD || fault == OTHER_HISTORY) &&
           there->generation != follow->generation;
}

static tars_status empty_it(struct tars_follow *follow, const struct tars_vectors_state *there,
                            enum fault fault, const char *words, struct tars_err *err)
{
    const char *name = follow->config.vectors->ops->name;
    bool was_empty = !there->of.store[0];
    bool is_before = false;
    tars_status status = TARS_OK;

    if (fault == OTHER_STORE && !follow->was_ours)
        status = is_of_before(follow, there, &is_before, err);
    if (status != TARS_OK)
        return status;
    if (!is_before && is_taken(follow, there, fault)) {
        return tars_fail(TARS_EBUSY, err,
                         "%s has the vectors of another server with other documents: give this one "
                         "a database or collection of its own, or remove what is there",
                         name);
    }
    if (was_empty) {
        tars_log_info(follow->config.log, "vectors", "%s is empty and is filled", name);
    } else {
        tars_log_warning(follow->config.log, "vectors", "%s is filled again: %s", name, words);
    }
    status = follow->config.vectors->ops->reset(follow->config.vectors, &follow->of, err);
    if (status != TARS_OK)
        return status;
    follow->was_ours = true;
    pthread_mutex_lock(&follow->lock);
    follow->stats.rebuilds += !was_empty;
    follow->stats.is_filling = true;
    pthread_mutex_unlock(&follow->lock);
    return TARS_OK;
}

static tars_status read_target(struct tars_follow *follow, uint64_t *target, struct tars_err *err)
{
    struct tars_store_stats stats;
    tars_status status = tars_store_stats(follow->config.store, &stats, err);

    if (status != TARS_OK)
        return status;
    *target = stats.seq;
    pthread_mutex_lock(&follow->lock);
    follow->stats.target = stats.seq;
    pthread_mutex_unlock(&follow->lock);
    return TARS_OK;
}

static void note_there(struct tars_follow *follow, uint64_t seq, uint64_t windows)
{
    atomic_store(&follow->config.vectors->seq, seq);
    pthread_mutex_lock(&follow->lock);
    follow->stats.seq = seq;
    follow->stats.windows = windows;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
}

static void observe(struct tars_follow *follow)
{
    struct tars_follow_stats stats;

    if (!follow->config.observe)
        return;
    stats = tars_follow_stats(follow);
    follow->config.observe(follow->config.observe_ctx, &stats);
}

/* What is there, and what is wrong with it, in words; it is closed while anything is. */
static tars_status see(struct tars_follow *follow, bool counts, struct tars_vectors_state *there,
                       enum fault *fault, char *words, size_t size, struct tars_err *err)
{
    struct tars_vectors *vectors = follow->config.vectors;
    uint64_t target = 0;
    tars_status status = vectors->ops->state(vectors, counts, there, err);

    /* Afterwards: whoever writes may have gone on meanwhile, and is not ahead for that. */
    if (status == TARS_OK)
        status = read_target(follow, &target, err);
    if (status == TARS_OK)
        status = find_fault(follow, there, target, fault, words, size, err);
    if (status != TARS_OK)
        return status;
    if (*fault != NONE) {
        atomic_store(&vectors->is_closed, true);
        note_there(follow, 0, there->windows);
        return TARS_OK;
    }
    follow->was_ours = true;
    follow->generation = there->generation;
    note_there(follow, there->seq, there->windows);
    atomic_store(&vectors->generation, there->generation);
    atomic_store(&vectors->is_closed, there->is_unfinished);
    follow->whole_at = target;
    pthread_mutex_lock(&follow->lock);
    follow->has_looked = true;
    follow->stats.is_unfinished = there->is_unfinished;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
    return TARS_OK;
}

/* Look at what is there, and empty it where it cannot be gone on from. */
static tars_status look(struct tars_follow *follow, bool may_write, bool counts,
                        struct tars_err *err)
{
    struct tars_vectors_state there;
    enum fault fault = NONE;
    char words[160];
    uint64_t target = 0;
    tars_status status = learn_store(follow, err);

    if (status == TARS_OK && follow->of.dim == 0) {
        status = read_target(follow, &target, err);
        if (status == TARS_OK)
            note_there(follow, target, 0);
    }
    if (status != TARS_OK || follow->of.dim == 0)
        return status;
    status = see(follow, counts, &there, &fault, words, sizeof(words), err);
    if (status != TARS_OK || fault == NONE || !may_write)
        return status;
    status = empty_it(follow, &there, fault, words, err);
    if (status == TARS_OK)
        status = see(follow, false, &there, &fault, words, sizeof(words), err);
    return status == TARS_OK && fault != NONE ? TARS_EAGAIN : status;
}

/* Now and then, since others can reach what is there as well: at the start, where a search or a
 * write found it otherwise, every look_ms, and counted where nobody else does. */
static tars_status look_if_due(struct tars_follow *follow, bool may_write, struct tars_err *err)
{
    struct tars_vectors *vectors = follow->config.vectors;
    int64_t now_ms = tars_clock_mono_ms();
    bool is_doubted = atomic_exchange(&vectors->is_doubted, false);
    bool counts = may_write && (!follow->is_known || !follow->wrote || is_doubted ||
                                follow->looks >= COUNTS_EACH);
    tars_status status;

    if (follow->is_known && may_write && follow->wrote && !is_doubted && follow->of.dim > 0 &&
        now_ms - follow->looked_ms < follow->config.look_ms)
        return TARS_OK;
    status = look(follow, may_write, counts, err);
    follow->looked_ms = now_ms;
    follow->looks = counts ? 0 : follow->looks + 1;
    follow->is_known = status == TARS_OK;
    follow->wrote = may_write;
    return status;
}

/* ------------------------------------------------------------------- writing */

/* A round: changes, and how far they have been put into batches. */
struct round {
    struct tars_follow *follow;
    struct tars_arena arena; /* of the changes */
    struct tars_store_changes changes;
    size_t at;                     /* the next change */
    uint64_t next;                 /* the next passage of it; 0: none was read yet */
    struct tars_arena batch_arena; /* of what follows */
    struct tars_index_run *removes;
    struct tars_store_passage *adds;
    struct tars_vectors_batch batch;
    char mark[TARS_VECTORS_MARK_BYTES]; /* of it */
    size_t windows;
    struct tars_err *err;
};

/* Some passages of the change at hand; it is done when there are no more. */
static tars_status take_passages(struct round *round, const struct tars_store_change *change)
{
    struct tars_store_passages passages = {0};
    uint64_t next = round->next ? round->next : change->first;
    tars_status status = tars_store_passage_range(
        round->follow->config.store, next, change->last, PASSAGES_AT_ONCE,
        TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &round->batch_arena, &passages, round->err);

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < passages.count; i++) {
        if (!passages.items[i].vectors || passages.items[i].dim != round->follow->of.dim)
            continue;
        round->adds[round->batch.add_count++] = passages.items[i];
        round->windows += passages.items[i].window_count;
    }
    round->next = passages.count ? passages.items[passages.count - 1].id + 1 : 0;
    if (passages.count < PASSAGES_AT_ONCE || round->next > change->last) {
        round->next = 0;
        round->at++;
        round->batch.upto = change->seq;
    }
    return TARS_OK;
}

static tars_status make_batch(struct round *round)
{
    tars_status status = TARS_OK;

    tars_arena_clear(&round->batch_arena);
    round->removes =
        tars_arena_calloc(&round->batch_arena, CHANGES_AT_ONCE, sizeof(*round->removes));
    round->adds = tars_arena_calloc(&round->batch_arena, PASSAGES_MAX, sizeof(*round->adds));
    if (!round->removes || !round->adds)
        return tars_fail(TARS_ENOMEM, round->err, "no memory to write vectors");
    round->batch.removes = round->removes;
    round->batch.remove_count = 0;
    round->batch.adds = round->adds;
    round->batch.add_count = 0;
    round->windows = 0;
    while (status == TARS_OK && round->at < round->changes.count &&
           round->windows < WINDOWS_AT_ONCE &&
           round->batch.add_count + PASSAGES_AT_ONCE <= PASSAGES_MAX) {
        const struct tars_store_change *change = &round->changes.items[round->at];

        if (change->op == TARS_CHANGE_REMOVE) {
            round->removes[round->batch.remove_count++] =
                (struct tars_index_run){change->first, change->last};
            round->batch.upto = change->seq;
            round->at++;
        } else {
            status = take_passages(round, change);
        }
    }
    return status;
}

static tars_status write_batch(struct round *round)
{
    struct tars_follow *follow = round->follow;
    struct tars_vectors *vectors = follow->config.vectors;
    tars_status status = make_batch(round);

    if (status == TARS_OK && round->batch.upto != round->batch.after)
        status = mark_of(&round->changes.items[round->at - 1], round->mark);
    if (status == TARS_OK)
        status = vectors->ops->apply(vectors, &round->batch, follow->of.dim, round->err);
    if (status != TARS_OK)
        return status;
    round->batch.after = round->batch.upto;
    atomic_store(&vectors->seq, round->batch.upto);
    pthread_mutex_lock(&follow->lock);
    follow->stats.seq = round->batch.upto;
    follow->stats.windows += round->windows;
    follow->stats.written += round->windows;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
    observe(follow);
    return TARS_OK;
}

/* Is it for this process to write, at present? */
static bool may_write_now(const struct tars_follow *follow)
{
    const struct tars_follow_config *config = &follow->config;

    return !config->may_write || config->may_write(config->may_write_ctx);
}

/* Changes after seq, some hundreds; *more: there may be others. */
static tars_status write_some(struct tars_follow *follow, bool *more, struct tars_err *err)
{
    uint64_t seq = atomic_load(&follow->config.vectors->seq);
    struct round round = {.follow = follow, .err = err};
    tars_status status;

    round.batch = (struct tars_vectors_batch){
        .generation = follow->generation, .after = seq, .upto = seq, .mark = round.mark};
    tars_arena_init(&round.arena, ROUND_BYTES);
    tars_arena_init(&round.batch_arena, BATCH_BYTES);
    status = tars_store_changes(follow->config.store, seq, CHANGES_AT_ONCE, &round.arena,
                                &round.changes, err);
    *more = status == TARS_OK && round.changes.count > 0;
    while (status == TARS_OK && round.at < round.changes.count && !is_stopping(follow) &&
           may_write_now(follow))
        status = write_batch(&round);
    tars_arena_release(&round.batch_arena);
    tars_arena_release(&round.arena);
    return status;
}

/* ----------------------------------------------------------------- finishing */

static void note_finishing(struct tars_follow *follow, bool is_finishing, bool is_unfinished)
{
    pthread_mutex_lock(&follow->lock);
    follow->stats.is_finishing = is_finishing;
    follow->stats.is_unfinished = is_unfinished;
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
}

/* What was emptied, once all is there that there was then: what came since is written later, so
 * that others who put something in do not keep it from being searched. */
static tars_status finish_if_whole(struct tars_follow *follow, bool more, struct tars_err *err)
{
    struct tars_vectors *vectors = follow->config.vectors;
    struct tars_follow_stats stats = tars_follow_stats(follow);
    int64_t since_ms = tars_clock_mono_ms();
    tars_status status;

    if (!stats.is_unfinished || (more && stats.seq < follow->whole_at))
        return TARS_OK;
    note_finishing(follow, true, true);
    status = vectors->ops->finish(vectors, follow->generation, err);
    if (status == TARS_OK)
        atomic_store(&vectors->is_closed, false); /* before those who wait for it are told */
    note_finishing(follow, false, status != TARS_OK);
    if (status != TARS_OK)
        return status;
    tars_log_info(follow->config.log, "vectors",
                  "%s has %" PRIu64 " vectors; its index was made in %" PRId64 " ms",
                  vectors->ops->name, stats.windows, tars_clock_mono_ms() - since_ms);
    return TARS_OK;
}

/* --------------------------------------------------------------- the thread */

static tars_status go_round(struct tars_follow *follow, struct tars_err *err)
{
    bool may_write = may_write_now(follow);
    uint64_t target;
    bool more = true;
    tars_status status;

    status = look_if_due(follow, may_write, err);
    if (status != TARS_OK || !may_write || follow->of.dim == 0)
        return status;
    while (status == TARS_OK && more && !is_stopping(follow) && may_write_now(follow)) {
        status = read_target(follow, &target, err);
        if (status == TARS_OK)
            status = write_some(follow, &more, err);
        if (status == TARS_OK && !is_stopping(follow) && may_write_now(follow))
            status = finish_if_whole(follow, more, err);
    }
    /* Somebody else has written: no fault, but what is there is to be looked at anew. */
    follow->is_known = status == TARS_OK;
    return status;
}

/* Say once that it went away, and once that it is back. */
static void note_round(struct tars_follow *follow, tars_status status, const struct tars_err *why)
{
    const char *name = follow->config.vectors->ops->name;
    tars_status before;

    pthread_mutex_lock(&follow->lock);
    before = follow->stats.status;
    follow->stats.status = status;
    follow->stats.failures += status != TARS_OK;
    if (status != TARS_OK) {
        follow->stats.why = *why;
    } else if (follow->stats.seq >= follow->stats.target) {
        follow->stats.is_filling = false;
    }
    pthread_cond_broadcast(&follow->changed);
    pthread_mutex_unlock(&follow->lock);
    if (status != TARS_OK && (before == TARS_OK || before == TARS_EAGAIN)) {
        tars_log_warning(follow->config.log, "vectors",
                         "%s cannot be written and is caught up later: %s", name,
                         why->text[0] ? why->text : tars_status_text(status));
    } else if (status == TARS_OK && before != TARS_OK && before != TARS_EAGAIN) {
        tars_log_info(follow->config.log, "vectors", "%s is in step again", name);
    }
}

/* Until there may be something to do. Who only looks on looks more often while somebody waits. */
static void rest(struct tars_follow *follow)
{
    bool is_awaited;

    pthread_mutex_lock(&follow->lock);
    is_awaited = follow->waiting > 0;
    pthread_mutex_unlock(&follow->lock);
    if (is_awaited) {
        nap(follow, follow->wrote ? AWAITED_MS : AWAITED_ON_MS, false);
    } else {
        nap(follow, follow->config.poll_ms, true);
    }
}

static void *run(void *ctx)
{
    struct tars_follow *follow = ctx;

    while (!is_stopping(follow)) {
        struct tars_err why = {{0}};
        tars_status status = go_round(follow, &why);

        if (status == TARS_EAGAIN) {
            nap(follow, PAUSE_LEAST_MS, false);
            continue;
        }
        note_round(follow, status, &why);
        observe(follow);
        if (status == TARS_OK) {
            follow->pause_ms = PAUSE_LEAST_MS;
            rest(follow);
        } else {
            nap(follow, follow->pause_ms, false);
            follow->pause_ms *= 2;
            if (follow->pause_ms > PAUSE_MOST_MS)
                follow->pause_ms = PAUSE_MOST_MS;
        }
    }
    return NULL;
}

tars_status tars_follow_start(struct tars_follow *follow, struct tars_err *err)
{
    if (follow->is_started)
        return TARS_OK;
    if (pthread_create(&follow->thread, NULL, run, follow))
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    follow->is_started = true;
    return TARS_OK;
}
