/* apply - the index follows the store.
 *
 * After a commit the passages are at hand and go straight in. At the start, after an index write
 * that failed, and after a commit whose answer was lost, what is missing is read back from the
 * store: changes after the index's number, passages with their vectors, and their terms worked out
 * again from the text.
 *
 * Vectors that are in a server follow on their own (vectors/follow.h): they are told that there is
 * something.
 *
 * Changes are published in steps of a whole change, so a number never says more than what is in.
 */
#include <string.h>

#include "base/sys/clock.h"
#include "ingest/history.h"
#include "ingest/ingest_internal.h"
#include "vectors/follow.h"

#define CHANGES_AT_ONCE   1024
#define PASSAGES_AT_ONCE  256
#define REPLAY_BYTES      ((size_t)1 << 30)
#define TELL_MS           10000 /* between lines of the log about a long start */
#define SAVE_IDLE_LEAST   256   /* passages changed since the snapshot, to be worth a new one */
#define SAVE_IDLE_PART    50    /* ... or this part of all */
#define SAVE_SETTLED_PART 500
#define SAVE_BUSY_LEAST   8192
#define SAVE_BUSY_PART    4

static tars_status add(struct tars_ingest *ingest, uint64_t id,
                       const struct tars_store_passage *passage,
                       const struct tars_ingest_words *words)
{
    struct tars_index_passage entry = {.id = id,
                                       .vectors = passage->vectors,
                                       .vector_count = passage->vectors ? passage->window_count : 0,
                                       .terms = words->terms,
                                       .term_count = words->count,
                                       .words = words->order,
                                       .word_count = words->order_count,
                                       .length = words->length,
                                       .title_length = words->title_length,
                                       .heading_length = words->heading_length,
                                       .lang = passage->language};
    tars_status status = tars_index_add(ingest->config.index, &entry);

    if (status == TARS_EINVAL) {
        /* A vector without a length: the words can still be found. */
        entry.vectors = NULL;
        entry.vector_count = 0;
        status = tars_index_add(ingest->config.index, &entry);
    }
    if (status == TARS_EINVAL) {
        tars_log_error(ingest->config.log, "ingest", "the index refuses passage %llu",
                       (unsigned long long)id);
        status = TARS_OK;
    }
    return status;
}

/* -------------------------------------------------------- fresh from a commit */

/* The put that made an add: adds come in the order of the puts. */
static const struct tars_store_put *next_added(const struct tars_ingest_part *part, size_t *at)
{
    while (*at < part->put_count) {
        const struct tars_store_put *put = &part->puts[(*at)++];

        if (!put->unchanged && put->passage_count)
            return put;
    }
    return NULL;
}

static tars_status apply_put(struct tars_ingest *ingest, const struct tars_store_change *change,
                             const struct tars_store_put *put)
{
    const struct tars_ingest_extra *extra = put->tag;
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < put->passage_count; i++)
        status = add(ingest, change->first + i, &extra->passages[i], &extra->words[i]);
    return status;
}

static tars_status apply_all(struct tars_ingest *ingest, const struct tars_store_changes *changes,
                             const struct tars_ingest_part *part)
{
    tars_status status = TARS_OK;
    size_t at = 0;

    for (size_t i = 0; !status && i < changes->count; i++) {
        const struct tars_store_change *change = &changes->items[i];
        const struct tars_store_put *put;

        if (change->op == TARS_CHANGE_REMOVE) {
            tars_index_remove(ingest->config.index, change->first, change->last);
            continue;
        }
        put = part ? next_added(part, &at) : NULL;
        if (put)
            status = apply_put(ingest, change, put);
    }
    return status;
}

bool tars_ingest_is_behind(const struct tars_ingest *ingest)
{
    return atomic_load(&ingest->index_is_behind);
}

void tars_ingest_apply(struct tars_ingest *ingest, const struct tars_store_changes *changes,
                       const struct tars_ingest_part *part)
{
    struct tars_err err = {.text = ""};
    tars_status status;

    if (changes->count == 0 || ingest->config.no_index)
        return;
    /* Others that came before these: a commit of which we got no answer. */
    if (changes->items[0].seq != tars_index_seq(ingest->config.index) + 1)
        ingest->index_is_behind = true;
    if (ingest->index_is_behind) {
        status = tars_ingest_replay_locked(ingest, &err);
    } else {
        status = apply_all(ingest, changes, part);
        if (!status)
            tars_index_publish(ingest->config.index, changes->items[changes->count - 1].seq);
    }
    ingest->index_is_behind = status != TARS_OK;
    tars_follow_wake(ingest->config.follow);
    if (status) {
        tars_log_error(ingest->config.log, "ingest",
                       "the index could not follow the store and will try again: %s",
                       err.text[0] ? err.text : tars_status_text(status));
    }
}

void tars_ingest_note_write(struct tars_ingest *ingest, tars_status status)
{
    if (status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT)
        ingest->index_is_behind = true;
}

/* ------------------------------------------------------------------- replay */

static tars_status replay_passages(struct tars_ingest *ingest, struct tars_arena *arena,
                                   const struct tars_store_passages *passages)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < passages->count; i++) {
        const struct tars_store_passage *passage = &passages->items[i];
        const char *label = tars_ingest_label(arena, passage->document);
        struct tars_ingest_words words;

        if (!label)
            return TARS_ENOMEM;
        /* Written by a program with another model: what is behind them is not ours to read. */
        if (passage->vectors && ingest->dim && passage->dim != ingest->dim)
            return TARS_EMISMATCH;
        status = tars_ingest_tally(ingest->replay_analyzer, arena, label, passage, &words);
        if (!status)
            status = add(ingest, passage->id, passage, &words);
    }
    return status;
}

static tars_status replay_add(struct tars_ingest *ingest, const struct tars_store_change *change,
                              struct tars_err *err)
{
    uint64_t next = change->first;
    struct tars_arena arena;
    tars_status status = TARS_OK;

    tars_arena_init(&arena, REPLAY_BYTES);
    while (!status && next <= change->last) {
        struct tars_store_passages passages = {0};

        tars_arena_clear(&arena);
        status =
            tars_store_passage_range(ingest->config.store, next, change->last, PASSAGES_AT_ONCE,
                                     TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &arena, &passages, err);
        if (status || passages.count == 0)
            break;
        next = passages.items[passages.count - 1].id + 1;
        status = replay_passages(ingest, &arena, &passages);
        if (status) {
            status = tars_fail(status, err, "the index cannot take the passages of %s: %s",
                               change->document_id, tars_status_text(status));
        }
    }
    tars_arena_release(&arena);
    return status;
}

/* Of a start alone, after the change seq: one that is told to stop ends, with what is in by now,
 * and a long one says how far it is. */
static tars_status watch_opening(struct tars_ingest *ingest, uint64_t seq, struct tars_err *err)
{
    int64_t now_ms = tars_clock_mono_ms();

    if (ingest->config.stopping && atomic_load(ingest->config.stopping)) {
        tars_index_publish(ingest->config.index, seq);
        return tars_fail(TARS_ECANCELED, err, "stopped while the index was made from the store");
    }
    if (now_ms - ingest->opening_told_ms >= TELL_MS) {
        tars_log_info(ingest->config.log, "ingest",
                      "the index is made from the store: change %llu of %llu",
                      (unsigned long long)seq, (unsigned long long)ingest->opening_to);
        ingest->opening_told_ms = now_ms;
    }
    return TARS_OK;
}

static tars_status replay_changes(struct tars_ingest *ingest,
                                  const struct tars_store_changes *changes, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < changes->count; i++) {
        const struct tars_store_change *change = &changes->items[i];

        if (change->op == TARS_CHANGE_REMOVE) {
            tars_index_remove(ingest->config.index, change->first, change->last);
        } else {
            status = replay_add(ingest, change, err);
        }
        if (!status && ingest->opening_to)
            status = watch_opening(ingest, change->seq, err);
    }
    return status;
}

tars_status tars_ingest_replay_locked(struct tars_ingest *ingest, struct tars_err *err)
{
    struct tars_store_changes changes = {0};
    uint64_t seq = tars_index_seq(ingest->config.index);
    struct tars_arena arena;
    tars_status status;

    if (ingest->config.no_index) {
        ingest->index_is_behind = false;
        return TARS_OK;
    }
    tars_arena_init(&arena, REPLAY_BYTES);
    do {
        tars_arena_clear(&arena);
        status =
            tars_store_changes(ingest->config.store, seq, CHANGES_AT_ONCE, &arena, &changes, err);
        if (!status)
            status = replay_changes(ingest, &changes, err);
        if (!status && changes.count) {
            seq = changes.items[changes.count - 1].seq;
            tars_index_publish(ingest->config.index, seq);
        }
    } while (!status && changes.count);
    tars_arena_release(&arena);
    if (!status)
        ingest->index_is_behind = false;
    return status;
}

tars_status tars_ingest_catch_up(struct tars_ingest *ingest, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (!ingest->index_is_behind)
        return TARS_OK;
    pthread_mutex_lock(&ingest->index_lock);
    if (ingest->index_is_behind)
        status = tars_ingest_replay_locked(ingest, err);
    pthread_mutex_unlock(&ingest->index_lock);
    return status;
}

/* --------------------------------------------------------------------- save */

static bool is_worth_saving(const struct tars_index_stats *stats, enum tars_ingest_save when)
{
    static const struct {
        uint64_t least, part;
    } worth[] = {
        [TARS_SAVE_BUSY] = {SAVE_BUSY_LEAST, SAVE_BUSY_PART},
        [TARS_SAVE_IDLE] = {SAVE_IDLE_LEAST, SAVE_IDLE_PART},
        [TARS_SAVE_SETTLED] = {SAVE_IDLE_LEAST, SAVE_SETTLED_PART},
    };
    uint64_t part;

    if (when == TARS_SAVE_END)
        return stats->unsaved > 0;
    part = stats->passages / worth[when].part;
    return stats->unsaved >= (worth[when].least > part ? worth[when].least : part);
}

/* Save the index, if it is worth it; the writer goes on. */
static tars_status save(struct tars_ingest *ingest, enum tars_ingest_save when, bool if_behind,
                        struct tars_err *err)
{
    const char *dir = ingest->config.history_dir;
    struct tars_index_stats stats;
    tars_status status = TARS_OK;
    bool begun;

    pthread_mutex_lock(&ingest->save_lock);
    pthread_mutex_lock(&ingest->index_lock);
    tars_index_stats(ingest->config.index, &stats);
    /* What the saver has not begun when all ends is left to the save at the end. */
    begun = is_worth_saving(&stats, when) && !atomic_load(&ingest->saves_held) &&
            (if_behind || !ingest->index_is_behind) &&
            (when == TARS_SAVE_END || !atomic_load(&ingest->stopping));
    if (begun && dir)
        status = tars_history_mark(ingest->config.store, dir, stats.seq, err);
    begun = begun && status == TARS_OK && tars_index_save_begin(ingest->config.index);
    pthread_mutex_unlock(&ingest->index_lock);
    if (begun)
        status = tars_index_save_finish(ingest->config.index, err);
    pthread_mutex_unlock(&ingest->save_lock);
    return status;
}

void tars_ingest_save(struct tars_ingest *ingest, enum tars_ingest_save when)
{
    struct tars_err err = {.text = ""};

    tars_status status = save(ingest, when, false, &err);

    if (status != TARS_OK && status != TARS_ECANCELED) {
        tars_log_warning(ingest->config.log, "ingest",
                         "the index is not saved and will be made again at the next start: %s",
                         err.text);
    }
}

void tars_ingest_hold_saves(struct tars_ingest *ingest)
{
    atomic_store(&ingest->saves_held, true);
}

void tars_ingest_want_save(struct tars_ingest *ingest, enum tars_ingest_save when)
{
    struct tars_index_stats stats;

    tars_index_stats(ingest->config.index, &stats);
    if (!is_worth_saving(&stats, when))
        return;
    pthread_mutex_lock(&ingest->lock);
    ingest->save_wanted = true;
    ingest->save_when = when;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
}

void tars_ingest_save_soon(struct tars_ingest *ingest, bool settled)
{
    tars_ingest_want_save(ingest, settled ? TARS_SAVE_SETTLED : TARS_SAVE_IDLE);
}

void *tars_ingest_saver(void *ctx)
{
    struct tars_ingest *ingest = ctx;
    enum tars_ingest_save when;

    pthread_mutex_lock(&ingest->lock);
    while (!ingest->saver_done) {
        if (!ingest->save_wanted) {
            pthread_cond_wait(&ingest->changed, &ingest->lock);
            continue;
        }
        ingest->save_wanted = false;
        when = ingest->save_when;
        pthread_mutex_unlock(&ingest->lock);
        tars_ingest_save(ingest, when);
        pthread_mutex_lock(&ingest->lock);
    }
    pthread_mutex_unlock(&ingest->lock);
    return NULL;
}

tars_status tars_ingest_save_now(struct tars_ingest *ingest, struct tars_err *err)
{
    return save(ingest, TARS_SAVE_END, true, err);
}
