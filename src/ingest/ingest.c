/* ingest - see ingest.h for the contract; ingest_internal.h draws the threads. */
#include "ingest/ingest.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/clock.h"
#include "ingest/ingest_internal.h"
#include "model/encoder.h"

#define SUBMIT_AT_ONCE 256
#define PENDING_MAX    256 /* passages embedded at once when a store is opened */
#define PENDING_BYTES  ((size_t)256 << 20)
#define META_BYTES     ((size_t)4096)
#define JOB_BYTES      ((size_t)256 << 10) /* texts of one job */
#define POLL_MS        50
#define NS_PER_MS      INT64_C(1000000)
#define NS_PER_S       INT64_C(1000000000)

const char *tars_ingest_outcome_text(enum tars_ingest_outcome outcome)
{
    switch (outcome) {
    case TARS_INGEST_INDEXED:
        return "indexed";
    case TARS_INGEST_UNCHANGED:
        return "unchanged";
    case TARS_INGEST_FAILED:
        return "failed";
    case TARS_INGEST_SKIPPED:
        return "skipped";
    case TARS_INGEST_FORGOTTEN:
        return "forgotten";
    }
    return "unknown";
}

const char *tars_ingest_stage_text(enum tars_ingest_stage stage)
{
    static const char *const texts[] = {
#define X(name, value, text) [name] = (text),
        TARS_INGEST_STAGE_LIST(X)
#undef X
    };

    return texts[stage];
}

void tars_ingest_note_changed(struct tars_ingest *ingest, int64_t added, int64_t removed)
{
    const struct tars_ingest_observer *observer = ingest->config.observer;

    if (observer && (added || removed))
        observer->changed(observer->ctx, added, removed);
}

void tars_ingest_tell(struct tars_ingest *ingest, const struct tars_ingest_event *event)
{
    if (!ingest->config.event)
        return;
    pthread_mutex_lock(&ingest->event_lock);
    ingest->config.event(ingest->config.event_ctx, event);
    pthread_mutex_unlock(&ingest->event_lock);
}

/* A job may have become due. */
void tars_ingest_wake(struct tars_ingest *ingest)
{
    pthread_mutex_lock(&ingest->lock);
    ingest->submits++;
    ingest->queue_empty = false;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
}

/* ------------------------------------------------------------------ opening */

/* Some passages were taken in without vectors although the store has a model. */
static tars_status check_partial(struct tars_store *store, struct tars_err *err)
{
    struct tars_arena arena;
    const char *value;
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(store, "embed.partial", &arena, &value, NULL);
    tars_arena_release(&arena);
    if (status == TARS_ENOTFOUND)
        return TARS_OK;
    if (status)
        return tars_fail(status, err, "cannot read the store's settings");
    return tars_fail(
        TARS_EMISMATCH, err,
        "some documents were taken in without the embedding model: run `tars reindex`");
}

/* Embedding again with this model was done while another process served (tars reindex); what is
 * left are the few passages that came after it. */
static bool is_nearly_embedded(struct tars_ingest *ingest, const char *identity)
{
    struct tars_store *store = ingest->config.store;
    struct tars_store_passages pending = {0};
    struct tars_arena arena;
    const char *begun = "";
    bool is_near;

    tars_arena_init(&arena, PENDING_BYTES);
    is_near =
        tars_store_meta_get(store, "embed.next", &arena, &begun, NULL) == TARS_OK &&
        strcmp(begun, identity) == 0 &&
        tars_store_revector_pending(store, 0, PENDING_MAX + 1, &arena, &pending, NULL) == TARS_OK &&
        pending.count <= PENDING_MAX;
    tars_arena_release(&arena);
    return is_near;
}

/* Embed what is left and go over to the new vectors, all at once. */
static tars_status finish_reembedding(struct tars_ingest *ingest, struct tars_err *err)
{
    const struct tars_reembed_config config = {.store = ingest->config.store,
                                               .encoder = ingest->config.encoder,
                                               .chunk = ingest->config.chunk};

    return tars_ingest_reembed(&config, err);
}

static tars_status check_model(struct tars_ingest *ingest, struct tars_err *err)
{
    const struct tars_encoder_info *info;
    struct tars_store_model model = {0};
    tars_status status;

    if (!ingest->config.encoder)
        return TARS_OK;
    info = tars_encoder_info(ingest->config.encoder);
    ingest->dim = info->dim;
    model.dim = (int64_t)info->dim;
    (void)snprintf(model.identity, sizeof(model.identity), "%s", info->identity);
    (void)snprintf(model.name, sizeof(model.name), "%s", info->name);
    status = tars_store_model_claim(ingest->config.store, &model, err);
    if (status == TARS_EMISMATCH && is_nearly_embedded(ingest, info->identity)) {
        status = finish_reembedding(ingest, err);
        if (!status)
            status = tars_store_model_claim(ingest->config.store, &model, err);
    }
    return status ? status : check_partial(ingest->config.store, err);
}

static tars_status catch_up(struct tars_ingest *ingest, struct tars_err *err)
{
    struct tars_store_stats stats;
    size_t resumed = 0;
    tars_status status = tars_store_stats(ingest->config.store, &stats, err);

    if (status)
        return status;
    if (tars_index_seq(ingest->config.index) > stats.seq) {
        return tars_fail(TARS_EFORMAT, err,
                         "the index is ahead of the store (%llu, %llu): it belongs to another one",
                         (unsigned long long)tars_index_seq(ingest->config.index),
                         (unsigned long long)stats.seq);
    }
    ingest->opening_to = stats.seq;
    ingest->opening_told_ms = tars_clock_mono_ms();
    status = tars_ingest_replay(ingest, err);
    ingest->opening_to = 0;
    if (!status)
        status = tars_store_jobs_resume(ingest->config.store, &resumed, err);
    if (!status && resumed) {
        tars_log_info(ingest->config.log, "ingest", "%zu interrupted files are taken up again",
                      resumed);
    }
    return status;
}

tars_status tars_ingest_open(const struct tars_ingest_config *config, struct tars_ingest **ingest,
                             struct tars_err *err)
{
    struct tars_ingest *made;
    tars_status status;

    if (!config->store || !config->index || !config->extract || !config->chunk.wordpiece)
        return tars_fail(TARS_EINVAL, err, "ingest needs store, index, extraction and tokenizer");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory to take documents in");
    made->config = *config;
    atomic_init(&made->max_file_bytes, config->max_file_bytes);
    made->now_us = config->now_us ? config->now_us : tars_clock_wall_us;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    pthread_mutex_init(&made->save_lock, NULL);
    pthread_mutex_init(&made->event_lock, NULL);
    pthread_mutex_init(&made->index_lock, NULL);

    status = tars_analyzer_new(&made->replay_analyzer);
    if (status)
        status = tars_fail(status, err, "no memory to take documents in");
    if (!status)
        status = check_model(made, err);
    if (!status)
        status = catch_up(made, err);
    if (status) {
        tars_ingest_close(made);
        return status;
    }
    *ingest = made;
    return TARS_OK;
}

void tars_ingest_close(struct tars_ingest *ingest)
{
    if (!ingest)
        return;
    tars_ingest_stop(ingest);
    assert(!ingest->runs && !ingest->waiting);
    tars_analyzer_free(ingest->replay_analyzer);
    pthread_mutex_destroy(&ingest->lock);
    pthread_cond_destroy(&ingest->changed);
    pthread_mutex_destroy(&ingest->save_lock);
    pthread_mutex_destroy(&ingest->event_lock);
    pthread_mutex_destroy(&ingest->index_lock);
    free(ingest);
}

static void stop_saver(struct tars_ingest *ingest)
{
    pthread_mutex_lock(&ingest->lock);
    ingest->saver_done = true;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    tars_index_save_give_up(ingest->config.index);
    pthread_join(ingest->saver, NULL);
}

tars_status tars_ingest_start(struct tars_ingest *ingest, struct tars_err *err)
{
    if (ingest->is_started)
        return TARS_OK;
    atomic_store(&ingest->stopping, false);
    ingest->reader_done = false;
    ingest->queue_empty = false;
    ingest->save_wanted = false;
    ingest->saver_done = false;
    if (pthread_create(&ingest->saver, NULL, tars_ingest_saver, ingest))
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    if (pthread_create(&ingest->writer, NULL, tars_ingest_writer, ingest)) {
        stop_saver(ingest);
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    }
    if (pthread_create(&ingest->reader, NULL, tars_ingest_reader, ingest)) {
        pthread_mutex_lock(&ingest->lock);
        ingest->reader_done = true;
        pthread_cond_broadcast(&ingest->changed);
        pthread_mutex_unlock(&ingest->lock);
        pthread_join(ingest->writer, NULL);
        stop_saver(ingest);
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    }
    ingest->is_started = true;
    return TARS_OK;
}

void tars_ingest_stop(struct tars_ingest *ingest)
{
    if (!ingest->is_started)
        return;
    pthread_mutex_lock(&ingest->lock);
    atomic_store(&ingest->stopping, true);
    for (struct tars_ingest_run *run = ingest->runs; run; run = run->next)
        atomic_store(&run->halted, true);
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    /* All is saved once at the end; a save of before that would only be waited for, by the writer
     * as well. */
    tars_index_save_give_up(ingest->config.index);
    pthread_join(ingest->reader, NULL);
    pthread_join(ingest->writer, NULL);
    stop_saver(ingest);
    /* What the store does not take now either is running in it until the next start. */
    if (!tars_ingest_write_ends(ingest)) {
        ingest->may_hold_unknown = true;
        while (ingest->runs)
            tars_ingest_run_free(ingest, ingest->runs);
    }
    ingest->is_started = false;
    tars_ingest_save(ingest, TARS_SAVE_END);
}

/* ------------------------------------------------------------------ waiting */

/* Wait for changed, at most POLL_MS; lock is held. */
static void nap(struct tars_ingest *ingest)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += POLL_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    (void)pthread_cond_timedwait(&ingest->changed, &ingest->lock, &until);
}

static bool is_over(int64_t deadline_ms)
{
    return deadline_ms >= 0 && tars_clock_mono_ms() >= deadline_ms;
}

static int64_t deadline_of(int64_t timeout_ms)
{
    return timeout_ms < 0 ? -1 : tars_clock_mono_ms() + timeout_ms;
}

tars_status tars_ingest_wait_idle(struct tars_ingest *ingest, int64_t timeout_ms)
{
    int64_t deadline = deadline_of(timeout_ms);
    bool idle;

    pthread_mutex_lock(&ingest->lock);
    for (;;) {
        idle = ingest->queue_empty && !ingest->runs && !ingest->waiting;
        if (idle || is_over(deadline))
            break;
        nap(ingest);
    }
    pthread_mutex_unlock(&ingest->lock);
    return idle ? TARS_OK : TARS_ETIMEOUT;
}

/* Looks again and again; only the last look's texts are kept in arena. */
tars_status tars_ingest_wait(struct tars_ingest *ingest, int64_t job_id, int64_t timeout_ms,
                             struct tars_arena *arena, struct tars_store_job *out,
                             struct tars_err *err)
{
    int64_t deadline = deadline_of(timeout_ms);
    struct tars_arena scratch;
    tars_status status;

    tars_arena_init(&scratch, JOB_BYTES);
    for (;;) {
        tars_arena_clear(&scratch);
        status = tars_store_job(ingest->config.store, job_id, &scratch, out, err);
        if (status || (out->state != TARS_JOB_QUEUED && out->state != TARS_JOB_RUNNING))
            break;
        if (is_over(deadline)) {
            status = tars_fail(TARS_ETIMEOUT, err, "job %lld has not ended yet", (long long)job_id);
            break;
        }
        pthread_mutex_lock(&ingest->lock);
        nap(ingest);
        pthread_mutex_unlock(&ingest->lock);
    }
    tars_arena_release(&scratch);
    if (!status && ingest->config.shares)
        status = tars_ingest_replay(ingest, err);
    return status ? status : tars_store_job(ingest->config.store, job_id, arena, out, err);
}

void tars_ingest_set_limit(struct tars_ingest *ingest, int64_t max_file_bytes)
{
    atomic_store(&ingest->max_file_bytes, max_file_bytes);
}

/* --------------------------------------------------------------------- jobs */

static tars_status submit_some(struct tars_ingest *ingest,
                               const struct tars_ingest_request *requests, size_t n, int64_t *ids,
                               struct tars_err *err)
{
    struct tars_store_job jobs[SUBMIT_AT_ONCE];
    tars_status status;

    for (size_t i = 0; i < n; i++) {
        if (!requests[i].path || !requests[i].path[0])
            return tars_fail(TARS_EINVAL, err, "a file to take in needs a path");
        if (!tars_store_takes_path(ingest->config.store, requests[i].path)) {
            return tars_fail(TARS_EINVAL, err, "the name of %s is not UTF-8", requests[i].path);
        }
        jobs[i] = (struct tars_store_job){.kind = "ingest",
                                          .collection = requests[i].collection,
                                          .path = requests[i].path,
                                          .spool = requests[i].spool,
                                          .bytes = requests[i].bytes,
                                          .force = requests[i].force,
                                          .here = requests[i].here,
                                          .created_us = ingest->now_us()};
    }
    status = tars_store_jobs_add(ingest->config.store, jobs, n, err);
    for (size_t i = 0; !status && ids && i < n; i++)
        ids[i] = jobs[i].id;
    return status;
}

tars_status tars_ingest_submit(struct tars_ingest *ingest,
                               const struct tars_ingest_request *requests, size_t n, int64_t *ids,
                               struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < n; i += SUBMIT_AT_ONCE) {
        size_t some = n - i < SUBMIT_AT_ONCE ? n - i : SUBMIT_AT_ONCE;

        status = submit_some(ingest, requests + i, some, ids ? ids + i : NULL, err);
        tars_ingest_wake(ingest);
    }
    return status;
}

tars_status tars_ingest_cancel(struct tars_ingest *ingest, int64_t job_id, struct tars_err *err)
{
    tars_status status = tars_store_job_cancel(ingest->config.store, job_id, ingest->now_us(), err);

    if (!status)
        tars_ingest_heard_cancel(ingest, job_id);
    return status;
}

void tars_ingest_heard_cancel(struct tars_ingest *ingest, int64_t job_id)
{
    pthread_mutex_lock(&ingest->lock);
    for (struct tars_ingest_run *run = ingest->runs; run; run = run->next) {
        if (run->job.id == job_id) {
            atomic_store(&run->cancelled, true);
            atomic_store(&run->halted, true);
        }
    }
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
}

tars_status tars_ingest_retry(struct tars_ingest *ingest, int64_t job_id, struct tars_err *err)
{
    tars_status status = tars_store_job_retry(ingest->config.store, job_id, ingest->now_us(), err);

    if (!status)
        tars_ingest_wake(ingest);
    return status;
}

/* --------------------------------------------------------------- the others */

tars_status tars_ingest_replay(struct tars_ingest *ingest, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&ingest->index_lock);
    status = tars_ingest_replay_locked(ingest, err);
    pthread_mutex_unlock(&ingest->index_lock);
    if (ingest->config.shares)
        tars_ingest_want_save(ingest, TARS_SAVE_BUSY);
    return status;
}

struct tars_ingest_stats tars_ingest_stats(struct tars_ingest *ingest)
{
    struct tars_ingest_stats stats;
    struct tars_store_stats held = {0};

    pthread_mutex_lock(&ingest->lock);
    stats = ingest->stats;
    pthread_mutex_unlock(&ingest->lock);
    if (!tars_store_stats(ingest->config.store, &held, NULL))
        stats.jobs_waiting = held.jobs_queued + held.jobs_running;
    return stats;
}
