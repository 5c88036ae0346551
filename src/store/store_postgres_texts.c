/* store_postgres_texts - searches answered beside the server: a copy of the texts of passages in
 * the data folder (sqlite_texts.h), filled by a thread, asked first, and alone while the server is
 * away.
 *
 *     filler   passages behind the last that is here, 256 at a time, until there are none;
 *              then it waits for a change that passes by, or a second. New passages have higher
 *              numbers than all that were there before, so none is missed.
 *     removal  by the changes that pass by, of this process or replayed from others: at once
 *
 * INVARIANT  What was removed is here no more, or followed (sqlite_texts.h) is behind the index's
 * number, or is_unclean: then all is thrown away, at the next chance or opening.
 *
 * fill_lock is held from reading a page until it is here, and by removals: so what was removed
 * meanwhile is not put back. Texts of a passage never change: another text is another passage. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "obs/log.h"
#include "store/sqlite_texts.h"
#include "store/store_postgres.h"
#include "store/store_postgres_internal.h"

#define PAGE_PASSAGES 256
#define PAGE_BYTES    ((size_t)1 << 30)
#define WAIT_S        1

struct pgs_texts {
    struct pgs *pgs;
    struct tars_log *log; /* or NULL */
    struct tars_texts *file;
    pthread_t filler;
    bool is_running;
    pthread_mutex_t fill_lock; /* see above */
    pthread_mutex_t lock;      /* guards what follows */
    pthread_cond_t some;
    bool stopping, wanted;
    atomic_ullong newest;    /* passage that changes told of */
    atomic_ullong whole_to;  /* nothing is missing up to this one */
    atomic_bool has_all;     /* there was nothing more, once since the beginning */
    atomic_ullong partial;   /* answers that may have lacked something */
    atomic_bool is_unclean;  /* a removal failed */
    atomic_bool has_removed; /* since the last tidying */
};

/* ------------------------------------------------------------------- filling */

/* Under fill_lock. */
static tars_status clean(struct pgs_texts *texts, struct tars_err *err)
{
    tars_status status = TARS_OK;

    if (atomic_load(&texts->is_unclean))
        status = tars_texts_clear(texts->file, err);
    if (!status && atomic_exchange(&texts->is_unclean, false))
        atomic_store(&texts->has_all, false);
    return status;
}

/* *more: there may be. err: why it cannot be written. */
static tars_status fill_page(struct pgs_texts *texts, bool *more, struct tars_err *err)
{
    struct tars_store_passages page = {0};
    struct tars_arena arena;
    uint64_t newest = atomic_load(&texts->newest);
    tars_status status;

    *more = false;
    tars_arena_init(&arena, PAGE_BYTES);
    pthread_mutex_lock(&texts->fill_lock);
    status = clean(texts, err);
    if (status) {
        pthread_mutex_unlock(&texts->fill_lock);
        return status;
    }
    status = pgs_passage_range(&texts->pgs->store, tars_texts_filled(texts->file) + 1, UINT64_MAX,
                               PAGE_PASSAGES, TARS_LOAD_TEXT, &arena, &page, NULL);
    if (!status && page.count) {
        status = tars_texts_add(texts->file, &page, page.items[page.count - 1].id, err);
        *more = status == TARS_OK;
    } else if (!status) {
        atomic_store(&texts->whole_to, newest);
        atomic_store(&texts->has_all, true);
    }
    pthread_mutex_unlock(&texts->fill_lock);
    tars_arena_release(&arena);
    return status;
}

static void wait_for_more(struct pgs_texts *texts)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&texts->lock);
    if (!texts->stopping && !texts->wanted)
        (void)pthread_cond_timedwait(&texts->some, &texts->lock, &until);
    texts->wanted = false;
    pthread_mutex_unlock(&texts->lock);
}

static bool is_stopping(struct pgs_texts *texts)
{
    bool stopping;

    pthread_mutex_lock(&texts->lock);
    stopping = texts->stopping;
    pthread_mutex_unlock(&texts->lock);
    return stopping;
}

/* A server that is away is told by others. */
static void complain(struct pgs_texts *texts, tars_status status, const struct tars_err *why,
                     bool *complained)
{
    if (status && why->text[0] && !*complained) {
        tars_log_error(texts->log, "store",
                       "the copy of texts cannot be written, so searches may lack something while "
                       "the server is away: %s",
                       why->text);
        *complained = true;
    } else if (!status) {
        *complained = false;
    }
}

static void *fill(void *ctx)
{
    struct pgs_texts *texts = ctx;
    bool complained = false;

    while (!is_stopping(texts)) {
        struct tars_err why = {{0}};
        bool more;
        tars_status status = fill_page(texts, &more, &why);

        complain(texts, status, &why, &complained);
        if (!status && more)
            continue;
        if (atomic_exchange(&texts->has_removed, false) && tars_texts_tidy(texts->file, NULL))
            atomic_store(&texts->has_removed, true);
        wait_for_more(texts);
    }
    return NULL;
}

static void wake(struct pgs_texts *texts)
{
    pthread_mutex_lock(&texts->lock);
    texts->wanted = true;
    pthread_cond_signal(&texts->some);
    pthread_mutex_unlock(&texts->lock);
}

/* ---------------------------------------------------------------- life cycle */

/* What is behind known may be of a past that the database gave up, and its numbers given again. */
static tars_status keep_up_to(struct tars_texts *file, uint64_t known, uint64_t seq,
                              struct tars_err *err)
{
    const struct tars_store_changes no_changes = {.count = 0};
    const struct tars_store_passages none = {.count = 0};
    tars_status status = TARS_OK;

    /* Removals that the index has seen, and this has not. */
    if (known == 0 || tars_texts_followed(file) < seq) {
        status = tars_texts_clear(file, err);
        return status ? status : tars_texts_follow(file, &no_changes, seq, err);
    }
    if (tars_texts_filled(file) > known) {
        status = tars_texts_remove(file, known + 1, INT64_MAX, err);
        if (!status)
            status = tars_texts_add(file, &none, known, err);
    }
    return status;
}

tars_status tars_store_postgres_keep_texts(struct tars_store *store, const char *path,
                                           uint64_t known, uint64_t seq, struct tars_log *log,
                                           struct tars_err *err)
{
    struct pgs_texts *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the texts of passages");
    made->pgs = pgs_of(store);
    made->log = log;
    pthread_mutex_init(&made->fill_lock, NULL);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->some, NULL);
    status = tars_texts_open(path, &made->file, err);
    if (!status)
        status = keep_up_to(made->file, known, seq, err);
    atomic_store(&made->newest, known);
    if (!status) {
        made->is_running = pthread_create(&made->filler, NULL, fill, made) == 0;
        if (!made->is_running)
            status = tars_fail(TARS_ENOMEM, err, "no thread for the texts of passages");
    }
    if (status) {
        pgs_texts_free(made);
        return status;
    }
    made->pgs->texts = made;
    return TARS_OK;
}

void pgs_texts_free(struct pgs_texts *texts)
{
    if (!texts)
        return;
    pthread_mutex_lock(&texts->lock);
    texts->stopping = true;
    pthread_cond_broadcast(&texts->some);
    pthread_mutex_unlock(&texts->lock);
    if (texts->is_running)
        (void)pthread_join(texts->filler, NULL);
    tars_texts_close(texts->file);
    pthread_cond_destroy(&texts->some);
    pthread_mutex_destroy(&texts->lock);
    pthread_mutex_destroy(&texts->fill_lock);
    free(texts);
}

/* ---------------------------------------------------------- what passes by */

/* Until the filler has thrown all away, a wipe that fails leaves a text that no passage of the
 * index leads to any more. */
static void note(struct tars_store *store, tars_status status,
                 const struct tars_store_changes *changes)
{
    struct pgs_texts *texts = pgs_of(store)->texts;

    if (!texts || status || changes->count == 0)
        return;
    pthread_mutex_lock(&texts->fill_lock);
    if (!atomic_load(&texts->is_unclean) &&
        tars_texts_follow(texts->file, changes, changes->items[changes->count - 1].seq, NULL))
        atomic_store(&texts->is_unclean, true);
    for (size_t i = 0; i < changes->count; i++) {
        if (changes->items[i].op == TARS_CHANGE_REMOVE) {
            atomic_store(&texts->has_removed, true);
        } else if (changes->items[i].last > atomic_load(&texts->newest)) {
            atomic_store(&texts->newest, changes->items[i].last);
        }
    }
    pthread_mutex_unlock(&texts->fill_lock);
    wake(texts);
}

tars_status pgs_kept_put(struct tars_store *store, const struct tars_store_batch *batch,
                         struct tars_arena *arena, struct tars_store_changes *changes,
                         struct tars_err *err)
{
    tars_status status = pgs_put(store, batch, arena, changes, err);

    note(store, status, changes);
    return status;
}

tars_status pgs_kept_forget_document(struct tars_store *store, const char *document_id,
                                     struct tars_arena *arena, struct tars_store_changes *changes,
                                     struct tars_err *err)
{
    tars_status status = pgs_forget_document(store, document_id, arena, changes, err);

    note(store, status, changes);
    return status;
}

tars_status pgs_kept_forget_file(struct tars_store *store, const char *collection, const char *path,
                                 struct tars_arena *arena, struct tars_store_changes *changes,
                                 struct tars_err *err)
{
    tars_status status = pgs_forget_file(store, collection, path, arena, changes, err);

    note(store, status, changes);
    return status;
}

tars_status pgs_kept_changes(struct tars_store *store, uint64_t after, size_t max,
                             struct tars_arena *arena, struct tars_store_changes *out,
                             struct tars_err *err)
{
    tars_status status = pgs_changes(store, after, max, arena, out, err);

    note(store, status, out);
    return status;
}

/* ------------------------------------------------------------------- asking */

/* Or has no connection for us within the time that is waited for one. */
static bool is_away(tars_status status)
{
    return status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT || status == TARS_EBUSY;
}

/* The server is away, and the answer is from here. */
static void count_partial(struct pgs_texts *texts)
{
    uint64_t newest = atomic_load(&texts->newest);

    if (atomic_load(&texts->is_unclean) || !atomic_load(&texts->has_all) ||
        (atomic_load(&texts->whole_to) < newest && tars_texts_filled(texts->file) < newest))
        atomic_fetch_add(&texts->partial, 1);
}

uint64_t pgs_texts_partial(struct tars_store *store)
{
    struct pgs_texts *texts = pgs_of(store)->texts;

    return texts ? atomic_load(&texts->partial) : 0;
}

/* What is not here yet is asked of the server; while that is away, what is here is the answer. */
tars_status pgs_kept_passages(struct tars_store *store, const uint64_t *ids, size_t n,
                              unsigned load, struct tars_arena *arena,
                              struct tars_store_passages *out, struct tars_err *err)
{
    struct pgs_texts *texts = pgs_of(store)->texts;
    struct tars_store_passages held = {0};
    bool is_held = texts && !(load & TARS_LOAD_VECTORS) &&
                   tars_texts_passages(texts->file, ids, n, arena, &held, NULL) == TARS_OK;
    tars_status status = TARS_OK;

    if (!is_held || held.count < n)
        status = pgs_passages(store, ids, n, load, arena, is_held ? &held : out, err);
    if (is_held && is_away(status))
        count_partial(texts);
    if (is_held && (status == TARS_OK || is_away(status))) {
        *out = held;
        status = TARS_OK;
    }
    return status;
}

struct telling {
    tars_store_document_fn *each;
    tars_store_run_fn *run;
    void *ctx;
    bool any; /* was told */
};

static bool tell_document(void *ctx, const struct tars_store_document *document)
{
    struct telling *telling = ctx;

    telling->any = true;
    return telling->each(telling->ctx, document);
}

tars_status pgs_kept_documents(struct tars_store *store,
                               const struct tars_store_document_filter *filter,
                               tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    struct pgs_texts *texts = pgs_of(store)->texts;
    struct telling telling = {.each = each, .ctx = ctx};
    tars_status status = pgs_documents(store, filter, tell_document, &telling, err);

    if (texts && is_away(status) && !telling.any) {
        count_partial(texts);
        status = tars_texts_documents(texts->file, filter, each, ctx, err);
    }
    return status;
}

static bool tell_run(void *ctx, const struct tars_store_run *run)
{
    struct telling *telling = ctx;

    telling->any = true;
    return telling->run(telling->ctx, run);
}

tars_status pgs_kept_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                          void *ctx, struct tars_err *err)
{
    struct pgs_texts *texts = pgs_of(store)->texts;
    struct telling telling = {.run = each, .ctx = ctx};
    tars_status status = pgs_runs(store, after, tell_run, &telling, err);

    if (texts && is_away(status) && !telling.any) {
        count_partial(texts);
        status = tars_texts_runs(texts->file, after, each, ctx, err);
    }
    return status;
}

tars_status pgs_kept_sizes(struct tars_store *store, struct tars_arena *arena,
                           struct tars_collection_size **out, size_t *count, struct tars_err *err)
{
    struct pgs_texts *texts = pgs_of(store)->texts;
    tars_status status = pgs_sizes(store, arena, out, count, err);

    if (texts && is_away(status)) {
        count_partial(texts);
        status = tars_texts_sizes(texts->file, arena, out, count, err);
    }
    return status;
}
