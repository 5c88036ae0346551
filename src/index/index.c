/* index - see index.h for the contract.
 *
 * DESIGN
 *
 *     index -> shadow (the current state; snapshot.h) -> passages, hnsw, postings
 *
 * Readers enter, load the shadow, search, leave. Only save() replaces the shadow: it writes the
 * snapshot, maps it, stores the new pointer, and frees the old shadow when every reader that may
 * have seen it has left. Entering is one add to a counter; there are two counters, and save() turns
 * readers to the other one before it waits for the first, twice, so that it waits for those who
 * were there and not for those who come (the scheme of sleepable RCU).
 */
#include "index/index.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/file.h"
#include "index/bm25.h"
#include "index/meanwhile.h"
#include "index/nearest.h"
#include "index/phrases.h"
#include "index/snapshot.h"
#include "index/typos.h"

#define SAVE_PAUSE_NS 200000
#define JOURNAL_BYTES ((size_t)256 << 20)

enum save_phase {
    NOT_SAVING,
    WRITING,   /* the snapshot is written; the journal grows */
    REPLAYING, /* the journal is done again */
};

struct tars_index {
    struct tars_index_config config; /* with every default filled in; dir and identity are ours */
    char dir[PATH_MAX];
    char path[PATH_MAX];
    char identity[TARS_INDEX_IDENTITY_MAX];
    _Atomic(struct tars_shadow *) shadow;
    _Atomic uint64_t seq;
    _Atomic uint64_t unsaved;
    _Atomic uint64_t readers[2]; /* inside, by the turn at which they entered */
    _Atomic uint32_t turn;

    pthread_mutex_t lock;     /* guards the shadow against two who change it, and what follows */
    pthread_cond_t caught_up; /* an entry of the journal is done, or the save is over */
    enum save_phase phase;
    struct tars_snapshot_mark mark; /* of the save; the saver's while it is under way */
    struct tars_meanwhile journal;
    size_t allowed; /* entries of the journal that the writer need not wait for; while REPLAYING */
    bool lost;      /* the journal had no memory for a change, so the save is given up */
    atomic_bool given_up; /* the save is to end without a new shadow; set under the lock */
};

/* ------------------------------------------------------------------ readers */

/* Counters are no part of what a const index means to its callers. */
static struct tars_index *writable(const struct tars_index *index)
{
    return (struct tars_index *)index;
}

static const struct tars_shadow *enter(const struct tars_index *index, uint32_t *turn)
{
    *turn = atomic_load(&index->turn) & 1;
    atomic_fetch_add(&writable(index)->readers[*turn], 1);
    return atomic_load(&index->shadow);
}

static void leave(const struct tars_index *index, uint32_t turn)
{
    atomic_fetch_sub(&writable(index)->readers[turn], 1);
}

/* Wait until no reader is inside who entered before. */
static void wait_for_readers(struct tars_index *index)
{
    const struct timespec pause = {.tv_nsec = SAVE_PAUSE_NS};

    for (int i = 0; i < 2; i++) {
        uint32_t turn = atomic_fetch_add(&index->turn, 1) & 1;

        while (atomic_load(&index->readers[turn]) > 0)
            (void)nanosleep(&pause, NULL);
    }
}

/* --------------------------------------------------------------- life cycle */

static tars_status set_config(struct tars_index *index, const struct tars_index_config *config,
                              struct tars_err *err)
{
    struct tars_index_config *own = &index->config;
    const char *identity = config->identity ? config->identity : "";

    if (config->dim > TARS_INDEX_DIM_MAX || strlen(identity) >= sizeof(index->identity) ||
        !(config->k1 >= 0) || config->b > 1)
        return tars_fail(TARS_EINVAL, err, "the settings of the index are out of range");
    *own = *config;
    own->exact_below = config->exact_below ? config->exact_below : TARS_INDEX_EXACT_BELOW;
    own->k1 = config->k1 > 0 ? config->k1 : 1.2;
    own->b = config->b == 0 ? 0.75 : fmax(config->b, 0);
    memcpy(index->identity, identity, strlen(identity) + 1);
    own->identity = index->identity;
    if (!config->dir)
        return TARS_OK;
    if (snprintf(index->dir, sizeof(index->dir), "%s", config->dir) >= (int)sizeof(index->dir) ||
        snprintf(index->path, sizeof(index->path), "%s/index.tars", config->dir) >=
            (int)sizeof(index->path))
        return tars_fail(TARS_EINVAL, err, "the path of the index is too long");
    own->dir = index->dir;
    return TARS_OK;
}

static tars_status open_shadow(struct tars_index *index, struct tars_err *err)
{
    struct tars_shadow *shadow = NULL;
    tars_status status = TARS_ENOTFOUND;
    uint64_t seq = 0;

    if (index->config.dir && !index->config.fresh) {
        status = tars_snapshot_open(index->path, index->config.dim, index->identity,
                                    index->config.verify, &shadow, &seq, err);
    }
    if (status == TARS_ENOTFOUND)
        status = tars_shadow_new(index->config.dim, &shadow);
    if (status == TARS_OK) {
        shadow->postings.k1 = index->config.k1;
        shadow->postings.b = index->config.b;
        atomic_store(&index->shadow, shadow);
        atomic_store(&index->seq, seq);
    }
    return status;
}

tars_status tars_index_open(const struct tars_index_config *config, struct tars_index **index,
                            struct tars_err *err)
{
    struct tars_index *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the index");
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->caught_up, NULL);
    status = set_config(made, config, err);
    if (status == TARS_OK)
        status = open_shadow(made, err);
    if (status != TARS_OK) {
        tars_index_close(made);
        return status;
    }
    *index = made;
    return TARS_OK;
}

tars_status tars_index_peek(const struct tars_index_config *config, uint64_t *seq,
                            struct tars_err *err)
{
    char path[sizeof(((struct tars_index *)NULL)->path)];

    if (snprintf(path, sizeof(path), "%s/index.tars", config->dir) >= (int)sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the path of the index is too long");
    return tars_snapshot_peek(path, config->dim, config->identity, seq, err);
}

void tars_index_close(struct tars_index *index)
{
    if (!index)
        return;
    assert(index->phase == NOT_SAVING);
    tars_shadow_free(atomic_load(&index->shadow));
    pthread_mutex_destroy(&index->lock);
    pthread_cond_destroy(&index->caught_up);
    free(index);
}

/* --------------------------------------------------------------- the writer */

static bool passage_is_valid(const struct tars_index_passage *passage, size_t dim)
{
    if (passage->lang < 0 || passage->lang >= TARS_INDEX_LANGUAGES ||
        passage->vector_count > TARS_INDEX_WINDOWS_MAX)
        return false;
    for (size_t i = 0; i < passage->term_count; i++) {
        const struct tars_index_term *term = &passage->terms[i];

        if (term->len == 0 || term->len > TARS_POSTINGS_TERM_MAX || term->tf == 0 ||
            (unsigned)term->field >= TARS_INDEX_FIELDS)
            return false;
    }
    for (size_t i = 0; passage->words && i < passage->word_count; i++) {
        if (passage->words[i] != TARS_INDEX_GAP && passage->words[i] >= passage->term_count)
            return false;
    }
    for (size_t i = 0; dim > 0 && i < passage->vector_count * dim; i++) {
        if (!isfinite(passage->vectors[i]))
            return false;
    }
    return true;
}

/* Put the words of the text in their order, whose terms are in the postings now. */
static tars_status put_words(struct tars_shadow *shadow, const struct tars_index_passage *passage,
                             uint32_t ordinal)
{
    uint32_t *words = malloc((passage->word_count + 1) * sizeof(*words));
    uint32_t *numbers = malloc((passage->term_count + 1) * sizeof(*numbers));
    tars_status status = words && numbers ? TARS_OK : TARS_ENOMEM;

    for (size_t i = 0; i < passage->term_count && status == TARS_OK; i++) {
        const struct tars_index_term *term = &passage->terms[i];

        numbers[i] = tars_postings_find(&shadow->postings, term->ptr, term->len, term->field);
    }
    for (size_t i = 0; i < passage->word_count && status == TARS_OK; i++) {
        words[i] =
            passage->words[i] == TARS_INDEX_GAP ? TARS_SEQUENCE_GAP : numbers[passage->words[i]];
    }
    if (status == TARS_OK)
        status = tars_sequence_put(&shadow->sequence, ordinal, words, passage->word_count);
    free(words);
    free(numbers);
    return status;
}

static tars_status fill(struct tars_shadow *shadow, const struct tars_index_passage *passage,
                        uint32_t ordinal)
{
    struct tars_passage *slot = tars_passages_at(&shadow->passages, ordinal);
    tars_status status = TARS_OK;

    for (size_t i = 0; i < passage->term_count && status == TARS_OK; i++) {
        const struct tars_index_term *term = &passage->terms[i];

        status = tars_postings_add(&shadow->postings, term, ordinal,
                                   tars_passages_length(slot, term->field));
    }
    if (status == TARS_OK && passage->words)
        status = put_words(shadow, passage, ordinal);
    if (shadow->dim == 0)
        return status;
    slot->window_first = shadow->hnsw.nodes.count;
    for (size_t i = 0; i < passage->vector_count && status == TARS_OK; i++) {
        status =
            tars_hnsw_add(&shadow->hnsw, passage->vectors + i * shadow->dim, ordinal, (uint32_t)i);
        if (status == TARS_OK)
            slot->window_count++;
    }
    return status;
}

/* Searches ask about the windows of a passage from now on. */
static void mark_windows_of(struct tars_shadow *shadow, const struct tars_passage *passage)
{
    uint32_t count = passage->window_count;

    tars_hnsw_mark(&shadow->hnsw, passage->window_first,
                   count < TARS_INDEX_WINDOWS_MAX ? count : TARS_INDEX_WINDOWS_MAX);
}

/* Add a passage; one that is known is ignored, *new tells. */
static tars_status add_to(struct tars_shadow *shadow, const struct tars_index_passage *passage,
                          bool *new)
{
    uint32_t ordinal;
    tars_status status;

    *new = false;
    if (passage->id <= shadow->passages.last_id)
        return TARS_OK;
    status = tars_passages_prepare(&shadow->passages);
    if (status != TARS_OK)
        return status;
    ordinal = tars_passages_take(&shadow->passages, passage);
    status = fill(shadow, passage, ordinal);
    if (status == TARS_OK) {
        tars_passages_accept(&shadow->passages, ordinal);
        *new = true;
    } else {
        tars_passages_give_up(&shadow->passages, ordinal);
        if (shadow->dim > 0)
            mark_windows_of(shadow, tars_passages_at(&shadow->passages, ordinal));
    }
    return status;
}

static void mark_windows(struct tars_shadow *shadow, uint64_t first, uint64_t last)
{
    const struct tars_passages *passages = &shadow->passages;
    uint32_t count = passages->column.count;

    for (uint32_t at = tars_passages_lower(passages, count, first);
         at < count && tars_passages_at(passages, at)->id <= last; at++) {
        mark_windows_of(shadow, tars_passages_at(passages, at));
    }
}

static uint64_t remove_from(struct tars_shadow *shadow, uint64_t first, uint64_t last)
{
    if (shadow->dim > 0)
        mark_windows(shadow, first, last);
    return tars_passages_remove(&shadow->passages, first, last);
}

static struct tars_shadow *current(struct tars_index *index)
{
    return atomic_load_explicit(&index->shadow, memory_order_relaxed);
}

/* Whether the journal wants the change that was made; lock is held. */
static bool is_noted(const struct tars_index *index)
{
    return index->phase != NOT_SAVING && !atomic_load(&index->given_up);
}

/* The journal is of no more use; lock is held. While it is done again the saver forgets it. */
static void give_up(struct tars_index *index)
{
    atomic_store(&index->given_up, true);
    if (index->phase == WRITING)
        tars_meanwhile_clear(&index->journal);
    pthread_cond_broadcast(&index->caught_up);
}

/* The journal has, or could not get, the change that was made. lock is held, and given up while the
 * saver catches up. */
static void go_on(struct tars_index *index, tars_status noted)
{
    if (noted != TARS_OK) {
        index->lost = true;
        give_up(index);
    }
    if (index->phase == REPLAYING && index->allowed > 0)
        index->allowed--;
    while (is_noted(index) &&
           ((index->phase == REPLAYING && index->journal.count > index->allowed) ||
            (index->phase == WRITING && index->journal.bytes > JOURNAL_BYTES)))
        pthread_cond_wait(&index->caught_up, &index->lock);
}

tars_status tars_index_add(struct tars_index *index, const struct tars_index_passage *passage)
{
    bool new = false;
    tars_status status;

    if (!passage_is_valid(passage, index->config.dim))
        return TARS_EINVAL;
    pthread_mutex_lock(&index->lock);
    status = add_to(current(index), passage, &new);
    if (new)
        atomic_fetch_add_explicit(&index->unsaved, 1, memory_order_relaxed);
    if (new &&is_noted(index))
        go_on(index, tars_meanwhile_add(&index->journal, passage, index->config.dim));
    pthread_mutex_unlock(&index->lock);
    return status;
}

void tars_index_remove(struct tars_index *index, uint64_t first, uint64_t last)
{
    uint64_t removed;

    pthread_mutex_lock(&index->lock);
    removed = remove_from(current(index), first, last);
    atomic_fetch_add_explicit(&index->unsaved, removed, memory_order_relaxed);
    if (is_noted(index))
        go_on(index, tars_meanwhile_remove(&index->journal, first, last));
    pthread_mutex_unlock(&index->lock);
}

void tars_index_publish(struct tars_index *index, uint64_t seq)
{
    pthread_mutex_lock(&index->lock);
    tars_passages_publish(&current(index)->passages);
    atomic_store(&index->seq, seq);
    if (is_noted(index))
        go_on(index, tars_meanwhile_publish(&index->journal));
    pthread_mutex_unlock(&index->lock);
}

/* ------------------------------------------------------------------- saving */

bool tars_index_save_begin(struct tars_index *index)
{
    bool begun = false;

    pthread_mutex_lock(&index->lock);
    if (index->config.dir && index->phase == NOT_SAVING) {
        index->mark = tars_snapshot_mark(current(index), atomic_load(&index->seq));
        index->mark.given_up = &index->given_up;
        index->phase = WRITING;
        index->lost = false;
        atomic_store(&index->given_up, false);
        begun = true;
    }
    pthread_mutex_unlock(&index->lock);
    return begun;
}

/* Do to the new shadow what the writer did. *changes counts what a next save would have to do. */
static tars_status repeat(struct tars_shadow *made, const struct tars_meanwhile_entry *entry,
                          uint64_t *changes)
{
    tars_status status = TARS_OK;
    bool new = false;

    switch (entry->kind) {
    case TARS_MEANWHILE_ADD:
        status = add_to(made, &entry->passage, &new);
        *changes += new;
        break;
    case TARS_MEANWHILE_REMOVE:
        *changes += remove_from(made, entry->first, entry->last);
        break;
    case TARS_MEANWHILE_PUBLISH:
        tars_passages_publish(&made->passages);
        break;
    }
    return status;
}

/* Do the journal again, to its end; lock is held, and given up for each entry. */
static tars_status catch_up(struct tars_index *index, struct tars_shadow *made, uint64_t *changes)
{
    struct tars_meanwhile_entry *entry;
    tars_status status = TARS_OK;

    index->phase = REPLAYING;
    index->allowed = index->journal.count;
    pthread_cond_broadcast(&index->caught_up);
    while (status == TARS_OK && !atomic_load(&index->given_up) &&
           (entry = tars_meanwhile_take(&index->journal))) {
        pthread_mutex_unlock(&index->lock);
        status = repeat(made, entry, changes);
        free(entry);
        pthread_mutex_lock(&index->lock);
        tars_meanwhile_done(&index->journal);
        pthread_cond_signal(&index->caught_up);
    }
    return atomic_load(&index->given_up) ? TARS_ECANCELED : status;
}

/* Give readers and the writer the new shadow, if all went well. Returns what is to be freed. */
static struct tars_shadow *end_save(struct tars_index *index, struct tars_shadow *made,
                                    tars_status *status)
{
    struct tars_shadow *old = made;
    uint64_t changes = 0;

    pthread_mutex_lock(&index->lock);
    if (*status == TARS_OK)
        *status = catch_up(index, made, &changes);
    if (*status == TARS_ECANCELED && index->lost)
        *status = TARS_ENOMEM;
    if (*status == TARS_OK) {
        old = current(index);
        atomic_store(&index->shadow, made);
        atomic_store(&index->unsaved, changes);
    }
    tars_meanwhile_clear(&index->journal);
    index->phase = NOT_SAVING;
    pthread_cond_broadcast(&index->caught_up);
    pthread_mutex_unlock(&index->lock);
    return old;
}

tars_status tars_index_save_finish(struct tars_index *index, struct tars_err *err)
{
    struct tars_shadow *made = NULL;
    struct tars_shadow *old;
    uint64_t seq;
    tars_status status = tars_dir_make(index->dir, err);

    if (status == TARS_OK) {
        status =
            tars_snapshot_write(current(index), &index->mark, index->path, index->identity, err);
    }
    if (status == TARS_OK) {
        status = tars_snapshot_open(index->path, index->config.dim, index->identity, false, &made,
                                    &seq, err);
    }
    if (status == TARS_OK) {
        made->postings.k1 = index->config.k1;
        made->postings.b = index->config.b;
    }
    old = end_save(index, made, &status);
    if (status == TARS_OK)
        wait_for_readers(index);
    tars_shadow_free(old);
    return status;
}

void tars_index_save_give_up(struct tars_index *index)
{
    pthread_mutex_lock(&index->lock);
    if (index->phase != NOT_SAVING)
        give_up(index);
    pthread_mutex_unlock(&index->lock);
}

tars_status tars_index_save(struct tars_index *index, struct tars_err *err)
{
    if (!index->config.dir)
        return TARS_OK;
    if (!tars_index_save_begin(index))
        return TARS_EBUSY;
    return tars_index_save_finish(index, err);
}

/* ------------------------------------------------------------ vector search */

static struct tars_nearest nearest_of(const struct tars_index *index,
                                      const struct tars_shadow *shadow)
{
    size_t ef = index->config.ef;

    if (ef == 0 && shadow->dim > 0)
        ef = tars_nearest_ef(atomic_load_explicit(&shadow->hnsw.count, memory_order_relaxed));
    return (struct tars_nearest){.shadow = shadow,
                                 .view = tars_passages_look(&shadow->passages),
                                 .ef = ef,
                                 .exact_below = index->config.exact_below};
}

tars_status tars_index_search_vector(const struct tars_index *index, const float *query, size_t k,
                                     const struct tars_index_filter *filter,
                                     struct tars_index_hit *hits, size_t *n)
{
    struct tars_nearest nearest;
    tars_status status = TARS_OK;
    uint32_t turn;

    if (k > TARS_INDEX_K_MAX)
        return TARS_EINVAL;
    nearest = nearest_of(index, enter(index, &turn));
    if (nearest.shadow->dim == 0 || k == 0) {
        *n = 0;
    } else {
        status = tars_nearest_search(&nearest, query, k, filter && filter->accepts ? filter : NULL,
                                     hits, n);
    }
    leave(index, turn);
    return status;
}

tars_status tars_index_vector_score(const struct tars_index *index, const float *query, uint64_t id,
                                    float *score)
{
    uint32_t turn;
    struct tars_nearest nearest = nearest_of(index, enter(index, &turn));
    uint32_t ordinal = tars_passages_find(&nearest.shadow->passages, &nearest.view, id);
    tars_status status = TARS_ENOTFOUND;

    if (nearest.shadow->dim > 0 && ordinal != TARS_PASSAGES_NONE &&
        tars_nearest_score(&nearest, query, ordinal, score))
        status = TARS_OK;
    leave(index, turn);
    return status;
}

tars_status tars_index_vector_add(const struct tars_index *index, const float *query, uint64_t id,
                                  double weight, float *sum)
{
    uint32_t turn;
    struct tars_nearest nearest = nearest_of(index, enter(index, &turn));
    uint32_t ordinal = tars_passages_find(&nearest.shadow->passages, &nearest.view, id);
    tars_status status = TARS_ENOTFOUND;

    if (nearest.shadow->dim > 0 && ordinal != TARS_PASSAGES_NONE &&
        tars_nearest_add(&nearest, query, ordinal, weight, sum))
        status = TARS_OK;
    leave(index, turn);
    return status;
}

/* -------------------------------------------------------------------- words */

static struct tars_bm25 bm25_of(const struct tars_index *index, const struct tars_shadow *shadow)
{
    return (struct tars_bm25){.postings = &shadow->postings,
                              .passages = &shadow->passages,
                              .view = tars_passages_look(&shadow->passages),
                              .k1 = index->config.k1,
                              .b = index->config.b};
}

tars_status tars_index_search_words(const struct tars_index *index,
                                    const struct tars_index_query_term *terms, size_t n_terms,
                                    size_t k, const struct tars_index_filter *filter,
                                    struct tars_index_hit *hits, size_t *n)
{
    struct tars_bm25 bm25;
    tars_status status;
    uint32_t turn;

    if (k > TARS_INDEX_K_MAX)
        return TARS_EINVAL;
    bm25 = bm25_of(index, enter(index, &turn));
    status = tars_bm25_search(&bm25, terms, n_terms, k, filter, hits, n);
    leave(index, turn);
    return status;
}

tars_status tars_index_words_scores(const struct tars_index *index,
                                    const struct tars_index_query_term *terms, size_t n_terms,
                                    const uint64_t *ids, size_t n, float *scores)
{
    uint32_t *ordinals = malloc((n ? n : 1) * sizeof(*ordinals));
    struct tars_bm25 bm25;
    tars_status status;
    uint32_t turn;

    if (!ordinals)
        return TARS_ENOMEM;
    bm25 = bm25_of(index, enter(index, &turn));
    for (size_t i = 0; i < n; i++)
        ordinals[i] = tars_passages_find(bm25.passages, &bm25.view, ids[i]);
    status = tars_bm25_scores(&bm25, terms, n_terms, ordinals, n, scores);
    leave(index, turn);
    free(ordinals);
    return status;
}

void tars_index_words_held(const struct tars_index *index,
                           const struct tars_index_query_term *terms, size_t n_terms, uint64_t id,
                           bool *held)
{
    uint32_t turn;
    struct tars_bm25 bm25 = bm25_of(index, enter(index, &turn));
    uint32_t ordinal = tars_passages_find(bm25.passages, &bm25.view, id);

    memset(held, 0, n_terms * sizeof(*held));
    if (ordinal != TARS_PASSAGES_NONE)
        tars_bm25_held(&bm25, terms, n_terms, ordinal, held);
    leave(index, turn);
}

tars_status tars_index_find_phrase(const struct tars_index *index,
                                   const struct tars_index_phrase *phrase, uint64_t **ids,
                                   size_t *n)
{
    uint32_t turn;
    const struct tars_shadow *shadow = enter(index, &turn);
    struct tars_phrases phrases = {&shadow->postings, &shadow->passages, &shadow->sequence,
                                   tars_passages_look(&shadow->passages)};
    tars_status status = tars_phrases_find(&phrases, phrase, ids, n);

    leave(index, turn);
    return status;
}

size_t tars_index_similar_terms(const struct tars_index *index, const char *ptr, size_t len,
                                struct tars_index_similar *out, size_t max)
{
    uint32_t turn;
    const struct tars_shadow *shadow = enter(index, &turn);
    size_t n = tars_typos_find(&shadow->postings, ptr, len, out, max);

    leave(index, turn);
    return n;
}

double tars_index_words_ceiling(const struct tars_index *index,
                                const struct tars_index_query_term *terms, size_t n_terms)
{
    uint32_t turn;
    struct tars_bm25 bm25 = bm25_of(index, enter(index, &turn));
    double ceiling = tars_bm25_ceiling(&bm25, terms, n_terms);

    leave(index, turn);
    return ceiling;
}

double tars_index_idf(const struct tars_index *index, const struct tars_index_query_term *term,
                      const struct tars_index_filter *filter, uint64_t n)
{
    uint32_t turn;
    struct tars_bm25 bm25 = bm25_of(index, enter(index, &turn));
    double idf = tars_bm25_idf(&bm25, term, filter, n);

    leave(index, turn);
    return idf;
}

/* -------------------------------------------------------------------- stats */

uint64_t tars_index_seq(const struct tars_index *index)
{
    return atomic_load(&index->seq);
}

void tars_index_stats(const struct tars_index *index, struct tars_index_stats *stats)
{
    uint32_t turn;
    const struct tars_shadow *shadow = enter(index, &turn);
    const struct tars_passages *passages = &shadow->passages;
    uint32_t count = tars_passages_look(passages).count;
    uint64_t living = atomic_load_explicit(&passages->living, memory_order_relaxed);

    *stats = (struct tars_index_stats){.seq = atomic_load(&index->seq),
                                       .passages = living,
                                       .removed = count > living ? count - living : 0,
                                       .unsaved = atomic_load(&index->unsaved)};
    stats->terms = atomic_load_explicit(&shadow->postings.term_count, memory_order_relaxed);
    if (shadow->dim > 0)
        stats->windows = atomic_load_explicit(&shadow->hnsw.count, memory_order_relaxed);
    stats->approximate = stats->windows >= index->config.exact_below;
    if (count > 0)
        stats->last_id = tars_passages_at(passages, count - 1)->id;
    for (int i = 0; i < TARS_INDEX_LANGUAGES; i++) {
        stats->by_language[i] =
            atomic_load_explicit(&passages->by_language[i], memory_order_relaxed);
    }
    leave(index, turn);
}
