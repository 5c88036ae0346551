/* write - the writer thread: embeds a batch, stores each file's part, brings the index along, and
 * tells how each file ended. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "ingest/ingest_internal.h"
#include "model/encoder.h"
#include "vectors/follow.h"

#define EMBED_WINDOWS   64    /* at a time: between two looks at cancelled and stopping */
#define VECTORS_MS      10000 /* to wait for vectors to be in their server, at most */
#define VECTORS_LOOK_MS 100   /* between two looks at stopping */
#define KEPT_JOBS       20000
#define PRUNE_EVERY     256
#define BACKOFF_US      INT64_C(1000000) /* before the second attempt; 4 times as long each time */
#define NS_PER_MS_REAL  1e6

/* --------------------------------------------------------------------- runs */

void tars_ingest_run_free(struct tars_ingest *ingest, struct tars_ingest_run *run)
{
    pthread_mutex_lock(&ingest->lock);
    for (struct tars_ingest_run **at = &ingest->runs; *at; at = &(*at)->next) {
        if (*at == run) {
            *at = run->next;
            break;
        }
    }
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    tars_arena_release(&run->arena);
    free(run);
}

static tars_status note_stage(struct tars_ingest *ingest, struct tars_ingest_run *run,
                              const char *stage, double progress)
{
    struct tars_err err = {.text = ""};
    tars_status status;

    run->job.stage = stage;
    run->job.progress = progress;
    run->job.updated_us = ingest->now_us();
    status = tars_store_job_update(ingest->config.store, &run->job, &err);
    if (status == TARS_ECANCELED) {
        tars_log_warning(ingest->config.log, "ingest", "%s", err.text);
        atomic_store(&run->halted, true);
    } else if (status) {
        tars_log_warning(ingest->config.log, "ingest", "cannot note the progress of job %lld",
                         (long long)run->job.id);
    }
    return status;
}

/* ---------------------------------------------------------------- embedding */

static bool is_off(const struct tars_ingest_run *run)
{
    return run->status || atomic_load_explicit(&run->halted, memory_order_relaxed);
}

static void fail_runs(struct tars_ingest_batch *batch, tars_status status,
                      const struct tars_err *err)
{
    for (struct tars_ingest_part *part = batch->first; part; part = part->next) {
        if (!part->run->status && part->put_count) {
            part->run->status = status;
            part->run->err = *err;
        }
    }
}

/* The windows from *at on whose runs are still wanted, at most EMBED_WINDOWS, and where their
 * vectors go. */
static size_t gather(const struct tars_ingest_batch *batch, size_t *at, struct tars_span *texts,
                     size_t *places)
{
    size_t n = 0;

    for (; *at < batch->window_count && n < EMBED_WINDOWS; (*at)++) {
        if (is_off(batch->windows[*at].run))
            continue;
        texts[n] = batch->windows[*at].text;
        places[n++] = *at;
    }
    return n;
}

static tars_status embed_some(struct tars_ingest *ingest, const struct tars_span *texts, size_t n,
                              float *vectors, struct tars_err *err)
{
    const struct tars_ingest_observer *observer = ingest->config.observer;
    int64_t start_ns = tars_clock_mono_ns();
    tars_status status =
        tars_encoder_embed(ingest->config.encoder, TARS_EMBED_PASSAGE, texts, n, vectors, err);

    if (observer)
        observer->embedded(observer->ctx, n, tars_ingest_ms_since(start_ns), status);
    return status;
}

/* What embedding the batch took, shared out to its files by windows. */
static void share_time(struct tars_ingest_batch *batch, double ms)
{
    for (size_t i = 0; i < batch->window_count; i++) {
        batch->windows[i].run->stage_ms[TARS_INGEST_STAGE_EMBED] +=
            ms / (double)batch->window_count;
    }
}

/* vectors: (window_count, dim). */
static tars_status embed_windows(struct tars_ingest *ingest, struct tars_ingest_batch *batch,
                                 float *vectors, struct tars_err *err)
{
    size_t dim = ingest->dim;
    float *some = malloc(EMBED_WINDOWS * dim * sizeof(*some));
    tars_status status = TARS_OK;
    size_t at = 0;

    if (!some) {
        return tars_fail(TARS_ENOMEM, err, "no memory to embed");
    }
    while (!status && at < batch->window_count) {
        struct tars_span texts[EMBED_WINDOWS];
        size_t places[EMBED_WINDOWS];
        size_t n = gather(batch, &at, texts, places);

        if (n == 0)
            break;
        status = embed_some(ingest, texts, n, some, err);
        for (size_t i = 0; !status && i < n; i++)
            memcpy(vectors + places[i] * dim, some + i * dim, dim * sizeof(*some));
    }
    free(some);
    return status;
}

/* Give each passage its vectors: they lie in the order in which passages were prepared. */
static void place_vectors(const struct tars_ingest *ingest, struct tars_ingest_batch *batch,
                          const float *vectors)
{
    for (struct tars_ingest_part *part = batch->first; part; part = part->next) {
        for (size_t i = 0; i < part->put_count; i++) {
            struct tars_ingest_extra *extra = part->puts[i].tag;

            for (size_t k = 0; k < part->puts[i].passage_count; k++) {
                extra->passages[k].vectors = vectors;
                vectors += extra->passages[k].window_count * ingest->dim;
            }
        }
    }
}

static void embed(struct tars_ingest *ingest, struct tars_ingest_batch *batch)
{
    struct tars_err err = {.text = ""};
    int64_t start_ns = tars_clock_mono_ns();
    float *vectors;
    tars_status status;

    for (struct tars_ingest_part *part = batch->first; part; part = part->next)
        part->run->parts++;
    if (!ingest->dim || batch->window_count == 0)
        return;
    for (struct tars_ingest_part *part = batch->first; part; part = part->next) {
        if (part->put_count)
            (void)note_stage(ingest, part->run, "embedding", 0.5);
    }
    vectors = tars_arena_calloc(&batch->arena, batch->window_count, ingest->dim * sizeof(*vectors));
    if (vectors) {
        status = embed_windows(ingest, batch, vectors, &err);
    } else {
        status = tars_fail(TARS_ENOMEM, &err, "no memory for vectors");
    }
    if (status)
        fail_runs(batch, status, &err);
    tars_ingest_trace_embedded(ingest, batch, start_ns);
    if (status)
        return;
    place_vectors(ingest, batch, vectors);
    share_time(batch, tars_ingest_ms_since(start_ns));
    pthread_mutex_lock(&ingest->lock);
    ingest->stats.tokens_embedded += (int64_t)batch->tokens;
    pthread_mutex_unlock(&ingest->lock);
}

/* ------------------------------------------------------------------ storing */

/* Without an encoder, into a store that has vectors: note that some passages lack them. */
static tars_status note_partial(struct tars_ingest *ingest, struct tars_err *err)
{
    struct tars_store_model model;
    tars_status status = TARS_OK;

    if (ingest->dim || ingest->partial_noted)
        return TARS_OK;
    status = tars_store_model(ingest->config.store, &model, err);
    if (!status && model.identity[0])
        status = tars_store_meta_set(ingest->config.store, "embed.partial", "1", err);
    if (!status)
        ingest->partial_noted = true;
    return status;
}

static int64_t count_added(const struct tars_ingest_part *part)
{
    int64_t added = 0;

    for (size_t i = 0; i < part->put_count; i++)
        added += !part->puts[i].unchanged;
    return added;
}

static void apply(struct tars_ingest *ingest, const struct tars_store_changes *changes,
                  struct tars_ingest_part *part)
{
    int64_t start_ns = tars_clock_mono_ns();
    struct tars_trace_span span;

    tars_trace_begin(tars_ingest_trace_of(part->run), &span, "index", TARS_SPAN_INTERNAL);
    tars_ingest_apply(ingest, changes, part);
    tars_trace_end(&span);
    part->run->stage_ms[TARS_INGEST_STAGE_INDEX] += tars_ingest_ms_since(start_ns);
}

static tars_status store_part(struct tars_ingest *ingest, struct tars_ingest_batch *batch,
                              struct tars_ingest_part *part, struct tars_err *err)
{
    struct tars_ingest_run *run = part->run;
    struct tars_store_changes changes = {0};
    struct tars_store_batch put = {.file = &run->file,
                                   .puts = part->puts,
                                   .put_count = part->put_count,
                                   .round = run->round,
                                   .finish = part->last,
                                   .dim = ingest->dim,
                                   .job = &run->job};
    struct tars_trace_span span;
    int64_t start_ns;
    tars_status status;

    run->file.indexed_us = ingest->now_us();
    pthread_mutex_lock(&ingest->index_lock);
    start_ns = tars_clock_mono_ns();
    tars_trace_begin(tars_ingest_trace_of(run), &span, "store", TARS_SPAN_INTERNAL);
    status = note_partial(ingest, err);
    if (!status)
        status = tars_store_put(ingest->config.store, &put, &batch->arena, &changes, err);
    tars_ingest_note_write(ingest, status);
    tars_trace_status(&span, status, err);
    tars_trace_end(&span);
    run->stage_ms[TARS_INGEST_STAGE_STORE] += tars_ingest_ms_since(start_ns);
    if (!status)
        apply(ingest, &changes, part);
    pthread_mutex_unlock(&ingest->index_lock);
    if (!status)
        tars_ingest_note_changed(ingest, count_added(part), 0);
    return status;
}

static void count_part(struct tars_ingest_run *run, const struct tars_ingest_part *part)
{
    for (size_t i = 0; i < part->put_count; i++) {
        const struct tars_store_document *document = part->puts[i].document;

        run->documents++;
        run->chunks += (int64_t)part->puts[i].passage_count;
        (void)snprintf(run->document_id, sizeof(run->document_id), "%s",
                       run->documents == 1 ? document->document_id : "");
    }
}

/* ------------------------------------------------------------------- ending */

bool tars_ingest_may_pass(tars_status status)
{
    return status == TARS_ENOMEM || status == TARS_EIO || status == TARS_EUNAVAILABLE ||
           status == TARS_ETIMEOUT || status == TARS_EBUSY || status == TARS_EAGAIN;
}

static enum tars_ingest_outcome outcome_of(const struct tars_ingest_part *part)
{
    const struct tars_ingest_run *run = part->run;

    if (run->status == TARS_ECANCELED || run->status == TARS_EUNSUPPORTED)
        return TARS_INGEST_SKIPPED;
    if (run->status)
        return TARS_INGEST_FAILED;
    return part->unchanged ? TARS_INGEST_UNCHANGED : TARS_INGEST_INDEXED;
}

/* How the run's job ended, or that it goes on later, into the store. An upload is not needed any
 * more once it is known there that it is done; one that failed or was cancelled may be queued
 * again. */
static tars_status write_end(struct tars_ingest *ingest, struct tars_ingest_run *run,
                             const char *stage, double progress)
{
    struct tars_store_job *job = &run->job;
    tars_status status = note_stage(ingest, run, stage, progress);

    if (status && status != TARS_ECANCELED && !tars_ingest_may_pass(status)) {
        /* It is the words that the store does not take. */
        job->error = tars_status_text(run->status);
        status = note_stage(ingest, run, stage, progress);
    }
    if (!status && job->spool[0] && job->state == TARS_JOB_DONE)
        (void)unlink(job->spool);
    if (!status && job->state == TARS_JOB_QUEUED)
        tars_ingest_wake(ingest);
    return status;
}

/* Be done with the run, whose end was written so; if the store was away, keep it for another
 * time. */
static void close_run(struct tars_ingest *ingest, struct tars_ingest_run *run, tars_status written)
{
    if (!tars_ingest_may_pass(written)) {
        tars_ingest_run_free(ingest, run);
        return;
    }
    pthread_mutex_lock(&ingest->lock);
    run->has_ended = true;
    pthread_mutex_unlock(&ingest->lock);
}

/* Only the reader takes these out, or whoever stops it when it has ended. */
static struct tars_ingest_run *find_ended(struct tars_ingest *ingest)
{
    struct tars_ingest_run *run;

    pthread_mutex_lock(&ingest->lock);
    run = ingest->runs;
    while (run && !run->has_ended)
        run = run->next;
    pthread_mutex_unlock(&ingest->lock);
    return run;
}

bool tars_ingest_write_ends(struct tars_ingest *ingest)
{
    struct tars_ingest_run *run;

    while ((run = find_ended(ingest))) {
        if (tars_ingest_may_pass(write_end(ingest, run, run->job.stage, run->job.progress)))
            return false;
        tars_ingest_run_free(ingest, run);
    }
    return true;
}

/* The job goes back to the queue: a stop, or a fault that may pass. */
static tars_status requeue(struct tars_ingest *ingest, struct tars_ingest_run *run, bool stopped)
{
    struct tars_store_job *job = &run->job;
    tars_status written;

    job->state = TARS_JOB_QUEUED;
    job->error = run->err.text;
    job->not_before_us = 0;
    if (!stopped) {
        job->not_before_us = ingest->now_us() + (BACKOFF_US << (2 * (job->attempts - 1)));
        tars_log_warning(ingest->config.log, "ingest", "%s: %s; trying again", run->file_name,
                         run->err.text);
    }
    written = write_end(ingest, run, "waiting", 0);
    tars_ingest_trace_end(run, "waiting");
    return written;
}

static enum tars_job_state state_of(enum tars_ingest_outcome outcome, tars_status status)
{
    if (status == TARS_ECANCELED)
        return TARS_JOB_CANCELLED;
    return outcome == TARS_INGEST_INDEXED || outcome == TARS_INGEST_UNCHANGED ? TARS_JOB_DONE
                                                                              : TARS_JOB_FAILED;
}

static tars_status finish_job(struct tars_ingest *ingest, struct tars_ingest_run *run,
                              enum tars_ingest_outcome outcome)
{
    struct tars_store_job *job = &run->job;
    tars_status written;

    job->state = state_of(outcome, run->status);
    job->error = run->err.text;
    job->result = tars_ingest_outcome_text(outcome);
    job->chunks = run->chunks;
    (void)snprintf(job->document_id, sizeof(job->document_id), "%s", run->document_id);
    job->finished_us = ingest->now_us();
    written = write_end(ingest, run, job->result, 1);
    if (job->id % PRUNE_EVERY == 0 && tars_store_jobs_prune(ingest->config.store, KEPT_JOBS, NULL))
        tars_log_warning(ingest->config.log, "ingest", "cannot forget old jobs");
    return written;
}

static void count_outcome(struct tars_ingest *ingest, const struct tars_ingest_run *run,
                          enum tars_ingest_outcome outcome)
{
    struct tars_ingest_stats *stats = &ingest->stats;

    pthread_mutex_lock(&ingest->lock);
    stats->files_indexed += outcome == TARS_INGEST_INDEXED;
    stats->files_unchanged += outcome == TARS_INGEST_UNCHANGED;
    stats->files_failed += outcome == TARS_INGEST_FAILED;
    stats->files_skipped += outcome == TARS_INGEST_SKIPPED;
    stats->chunks_made += outcome == TARS_INGEST_INDEXED ? run->chunks : 0;
    pthread_mutex_unlock(&ingest->lock);
}

/* A new file whose last part found no room: what of it came in goes again. An older version of a
 * file stays as it is, with the documents that came in. */
static void take_back(struct tars_ingest *ingest, const struct tars_ingest_run *run)
{
    if (run->status != TARS_EQUOTA || !run->is_new || !run->stored)
        return;
    if (tars_ingest_forget_file(ingest, run->file.collection, run->file.path, NULL)) {
        tars_log_warning(ingest->config.log, "ingest", "%s is there in part", run->file_name);
    } else {
        tars_ingest_note_changed(ingest, 0, run->documents);
    }
}

static tars_status end_run(struct tars_ingest *ingest, const struct tars_ingest_part *part)
{
    struct tars_ingest_run *run = part->run;
    tars_status written;
    enum tars_ingest_outcome outcome = outcome_of(part);
    struct tars_ingest_event event = {.job_id = run->job.id,
                                      .collection = run->file.collection,
                                      .path = run->file.path,
                                      .outcome = outcome,
                                      .status = run->status,
                                      .reason = run->err.text,
                                      .document_id = run->document_id,
                                      .documents = run->documents,
                                      .chunks = run->chunks,
                                      .ms = (double)(tars_clock_mono_ns() - run->started_ns) /
                                            NS_PER_MS_REAL};

    if (part->unchanged && run->documents == 1 &&
        tars_document_id(run->file.collection, run->file.path, "", run->document_id))
        run->document_id[0] = '\0';
    memcpy(event.stage_ms, run->stage_ms, sizeof(event.stage_ms));
    take_back(ingest, run);
    written = finish_job(ingest, run, outcome);
    count_outcome(ingest, run, outcome);
    tars_ingest_trace_end(run, tars_ingest_outcome_text(outcome));
    tars_ingest_tell(ingest, &event);
    return written;
}

/* What the reader found, and what has happened since, into the run. */
static void settle(struct tars_ingest_part *part)
{
    struct tars_ingest_run *run = part->run;

    if (!run->status && part->status) {
        run->status = part->status;
        run->err = part->err;
    }
    if (!run->status && is_off(run))
        run->status = tars_fail(TARS_ECANCELED, &run->err, "cancelled");
}

/* A file that has been taken in can be found by its vectors, too, wherever they are: unless their
 * server is away, or slow, and then it is caught up later. What one file has waited for in vain no
 * other waits for: all would, one after the other, while a server is filled. */
static void await_vectors(struct tars_ingest *ingest)
{
    struct tars_follow *follow = ingest->config.follow;
    uint64_t seq = tars_index_seq(ingest->config.index);
    int64_t until_ms = tars_clock_mono_ms() + VECTORS_MS;
    tars_status status = TARS_ETIMEOUT;

    if (!follow || tars_follow_is_far(follow, seq) ||
        tars_follow_stats(follow).seq < ingest->vectors_missed)
        return;
    while (status == TARS_ETIMEOUT && !atomic_load(&ingest->stopping) &&
           tars_clock_mono_ms() < until_ms)
        status = tars_follow_await(follow, seq, VECTORS_LOOK_MS);
    ingest->vectors_missed = status == TARS_ETIMEOUT ? seq : 0;
}

static void write_part(struct tars_ingest *ingest, struct tars_ingest_batch *batch,
                       struct tars_ingest_part *part)
{
    struct tars_ingest_run *run = part->run;
    tars_status written;
    bool stopped;

    settle(part);
    if (!run->status && !part->unchanged) {
        run->status = store_part(ingest, batch, part, &run->err);
        run->stored = run->stored || run->status == TARS_OK;
        count_part(run, part);
    }
    if (!part->last)
        return;
    stopped = run->status == TARS_ECANCELED && !atomic_load(&run->cancelled);
    if (stopped ||
        (tars_ingest_may_pass(run->status) && run->job.attempts < TARS_INGEST_ATTEMPTS)) {
        written = requeue(ingest, run, stopped);
    } else {
        if (run->stored && !run->status)
            await_vectors(ingest);
        written = end_run(ingest, part);
    }
    close_run(ingest, run, written);
}

/* --------------------------------------------------------------------- loop */

/* The next batch; NULL when none will come. */
static struct tars_ingest_batch *take(struct tars_ingest *ingest)
{
    struct tars_ingest_batch *batch;

    pthread_mutex_lock(&ingest->lock);
    if (!ingest->waiting && !ingest->reader_done) {
        ingest->writer_idle = true;
        pthread_mutex_unlock(&ingest->lock);
        tars_ingest_want_save(ingest, TARS_SAVE_IDLE);
        pthread_mutex_lock(&ingest->lock);
    }
    while (!ingest->waiting && !ingest->reader_done)
        pthread_cond_wait(&ingest->changed, &ingest->lock);
    batch = ingest->waiting;
    ingest->waiting = NULL;
    ingest->writer_idle = false;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    return batch;
}

void *tars_ingest_writer(void *ctx)
{
    struct tars_ingest *ingest = ctx;
    struct tars_ingest_batch *batch;

    while ((batch = take(ingest))) {
        embed(ingest, batch);
        for (struct tars_ingest_part *part = batch->first; part; part = part->next)
            write_part(ingest, batch, part);
        tars_ingest_batch_free(batch);
        if (tars_store_checkpoint(ingest->config.store, NULL))
            tars_log_warning(ingest->config.log, "ingest", "cannot move the store's log");
        tars_ingest_want_save(ingest, TARS_SAVE_BUSY);
    }
    return NULL;
}
