/* read - the reader thread: claims jobs and makes batches of what their files hold.
 *
 * A batch goes over when it is large enough, when the writer has nothing to do, or when no job is
 * due. Only one batch waits, so reading is at most one batch ahead of embedding.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "extract/client.h"
#include "ingest/ingest_internal.h"
#include "store/accounts.h"

#define IDLE_MS    200 /* between two looks for jobs that became due by themselves */
#define NS_PER_MS  INT64_C(1000000)
#define NS_PER_S   INT64_C(1000000000)
#define PEEK_BYTES ((size_t)1 << 20)
#define PAGE_BYTES ((size_t)64 << 20)
#define PAGE_JOBS  256
#define TYPE_BYTES 16

struct reader {
    struct tars_ingest *ingest;
    struct tars_analyzer *analyzer;
    struct tars_ingest_batch *batch; /* being filled, or NULL */
    struct tars_ingest_run *run;     /* being read, or NULL */
    double taking_ms;                /* of reading it: what take_document() took */
};

/* ------------------------------------------------------------------ batches */

void tars_ingest_batch_free(struct tars_ingest_batch *batch)
{
    if (!batch)
        return;
    tars_arena_release(&batch->arena);
    free(batch);
}

/* A part of run at the end of the batch. */
static tars_status add_part(struct tars_ingest_batch *batch, struct tars_ingest_run *run)
{
    struct tars_ingest_part *part = tars_arena_calloc(&batch->arena, 1, sizeof(*part));

    if (!part)
        return TARS_ENOMEM;
    part->run = run;
    if (batch->newest) {
        batch->newest->next = part;
    } else {
        batch->first = part;
    }
    batch->newest = part;
    return TARS_OK;
}

/* Make sure that the newest part of the batch is one of run. */
static tars_status need_part(struct reader *reader, struct tars_ingest_run *run)
{
    if (!reader->batch) {
        reader->batch = calloc(1, sizeof(*reader->batch));
        if (!reader->batch)
            return TARS_ENOMEM;
        tars_arena_init(&reader->batch->arena, TARS_INGEST_BATCH_BYTES);
    }
    if (reader->batch->newest && reader->batch->newest->run == run)
        return TARS_OK;
    return add_part(reader->batch, run);
}

/* Give the batch to the writer, waiting until it can take one. When ingest stops, the writer still
 * takes everything, so that no run is lost. */
static void hand_over(struct reader *reader)
{
    struct tars_ingest *ingest = reader->ingest;

    if (!reader->batch || !reader->batch->first)
        return;
    pthread_mutex_lock(&ingest->lock);
    while (ingest->waiting)
        pthread_cond_wait(&ingest->changed, &ingest->lock);
    ingest->waiting = reader->batch;
    reader->batch = NULL;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
}

static bool writer_is_hungry(struct tars_ingest *ingest)
{
    bool hungry;

    pthread_mutex_lock(&ingest->lock);
    hungry = ingest->writer_idle && !ingest->waiting;
    pthread_mutex_unlock(&ingest->lock);
    return hungry;
}

/* --------------------------------------------------------------------- runs */

static bool stops(const struct tars_ingest *ingest)
{
    return atomic_load_explicit(&ingest->stopping, memory_order_relaxed);
}

static tars_status prepare(struct reader *reader, const struct tars_document *document,
                           struct tars_err *err)
{
    struct tars_ingest *ingest = reader->ingest;
    struct tars_ingest_run *run = reader->run;
    tars_status status = need_part(reader, run);
    int64_t start_ns = tars_clock_mono_ns();

    if (status)
        return tars_fail(status, err, "no memory to read %s", run->file_name);
    if (stops(ingest) || atomic_load(&run->halted))
        return tars_fail(TARS_ECANCELED, err, "cancelled");
    status = tars_ingest_prepare(ingest, reader->analyzer, reader->batch, run, document, err);
    run->stage_ms[TARS_INGEST_STAGE_CHUNK] += tars_ingest_ms_since(start_ns);
    return status;
}

static tars_status take_document(void *ctx, const struct tars_document *document,
                                 struct tars_err *err)
{
    struct reader *reader = ctx;
    int64_t start_ns = tars_clock_mono_ns();
    tars_status status = prepare(reader, document, err);

    if (!status && (reader->batch->tokens >= TARS_INGEST_BATCH_TOKENS ||
                    reader->batch->newest->put_count >= TARS_INGEST_BATCH_DOCUMENTS))
        hand_over(reader);
    reader->taking_ms += tars_ingest_ms_since(start_ns);
    return status;
}

/* True when the bytes are those that were taken in last time. */
static bool is_taken_in(struct tars_ingest *ingest, struct tars_ingest_run *run)
{
    struct tars_store_file held;

    /* What the index lacks is not taken in: it may be just this file. */
    if (run->job.force || tars_ingest_catch_up(ingest, NULL))
        return false;
    if (tars_store_file(ingest->config.store, run->file.collection, run->file.path, &run->arena,
                        &held, NULL))
        return false;
    if (strcmp(held.sha256, run->file.sha256) != 0)
        return false;
    run->chunks = held.chunk_count;
    run->documents = held.document_count;
    return true;
}

static tars_status digest_file(struct tars_ingest_run *run, int fd, struct tars_err *err)
{
    char *hex = tars_arena_alloc(&run->arena, TARS_SHA256_HEX_BYTES);
    tars_status status = hex ? tars_sha256_hex_fd(fd, hex) : TARS_ENOMEM;

    if (status)
        return tars_fail(status, err, "cannot read %s", run->file.path);
    run->file.sha256 = hex;
    return TARS_OK;
}

/* A file that was written to while it was read gives a mixture. */
static tars_status check_still(const struct tars_ingest_run *run, int fd, struct tars_err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return tars_fail(TARS_EIO, err, "cannot read %s: %s", run->file.path, strerror(errno));
    if (st.st_size != run->file.size ||
        st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000 != run->file.modified_us)
        return tars_fail(TARS_EAGAIN, err, "%s was changed while it was read", run->file.path);
    return TARS_OK;
}

/* A file that its tenant has no room for is not read at all. */
static tars_status check_room(struct tars_ingest *ingest, struct tars_ingest_run *run,
                              struct tars_err *err)
{
    struct tars_store_file held = {.size = 0};
    tars_status status = tars_store_file(ingest->config.store, run->file.collection, run->file.path,
                                         &run->arena, &held, err);

    if (status && status != TARS_ENOTFOUND)
        return status;
    run->is_new = held.indexed_us == 0;
    return tars_accounts_room(ingest->config.store, run->file.collection, run->is_new,
                              run->file.size - held.size, err);
}

static tars_status extract(struct reader *reader, struct tars_ingest_run *run, int fd,
                           struct tars_err *err)
{
    int64_t start_ns = tars_clock_mono_ns();
    struct tars_trace_span span;
    tars_status status;

    reader->taking_ms = 0;
    tars_trace_begin(&run->read_trace, &span, "extract", TARS_SPAN_INTERNAL);
    status = tars_extract_file(reader->ingest->config.extract, fd, run->file_name, &run->halted,
                               take_document, reader, NULL, err);
    run->stage_ms[TARS_INGEST_STAGE_EXTRACT] = tars_ingest_ms_since(start_ns) - reader->taking_ms;
    tars_trace_real(&span, "tars.ingest.chunk_ms", run->stage_ms[TARS_INGEST_STAGE_CHUNK]);
    tars_trace_status(&span, status, err);
    tars_trace_end(&span);
    return status == TARS_OK ? check_still(run, fd, err) : status;
}

/* Everything between the file's name and its documents. */
static tars_status read_file(struct reader *reader, struct tars_ingest_run *run, bool *unchanged,
                             struct tars_err *err)
{
    struct tars_ingest *ingest = reader->ingest;
    const char *bytes = run->job.spool[0] ? run->job.spool : run->file.path;
    int fd = -1;
    tars_status status = tars_ingest_open_file(bytes, run->file.path, ingest->config.extensions,
                                               atomic_load(&ingest->max_file_bytes), &fd,
                                               &run->file.size, &run->file.modified_us, err);

    if (status)
        return status;
    run->created_us = run->file.modified_us;
    status = digest_file(run, fd, err);
    if (!status)
        *unchanged = is_taken_in(ingest, run);
    if (!status && !*unchanged)
        status = check_room(ingest, run, err);
    if (!status && !*unchanged)
        status = extract(reader, run, fd, err);
    close(fd);
    return status;
}

/* The run's last part says how reading ended. */
static void end_run(struct reader *reader, struct tars_ingest_run *run, tars_status status,
                    bool unchanged, const struct tars_err *err)
{
    struct tars_ingest_part *part;

    if (need_part(reader, run)) {
        /* No memory even for this: the job is released. */
        tars_ingest_run_free(reader->ingest, run);
        reader->ingest->may_hold_unknown = true;
        return;
    }
    part = reader->batch->newest;
    part->last = true;
    part->unchanged = unchanged;
    part->status = status;
    part->err = *err;
}

static void read_run(struct reader *reader, struct tars_ingest_run *run)
{
    struct tars_err err = {.text = ""};
    bool unchanged = false;
    tars_status status;

    reader->run = run;
    status = read_file(reader, run, &unchanged, &err);
    reader->run = NULL;
    end_run(reader, run, status, unchanged, &err);
}

static void name_run(struct tars_ingest_run *run)
{
    const char *slash = strrchr(run->job.path, '/');
    const char *dot;
    char *type = tars_arena_calloc(&run->arena, 1, TYPE_BYTES);

    run->file.collection = run->job.collection;
    run->file.path = run->job.path;
    run->file.sha256 = "";
    run->file_name = slash ? slash + 1 : run->job.path;
    dot = strrchr(run->file_name, '.');
    for (size_t i = 0; type && dot && dot[1 + i] && i < TYPE_BYTES - 1; i++)
        type[i] = (char)(dot[1 + i] >= 'A' && dot[1 + i] <= 'Z' ? dot[1 + i] + 32 : dot[1 + i]);
    run->file_type = type ? type : "";
}

/* The next due job as a run; NULL when none is, or it could not be had. */
static struct tars_ingest_run *claim(struct tars_ingest *ingest)
{
    struct tars_ingest_run *run = calloc(1, sizeof(*run));
    struct tars_err err = {.text = ""};
    tars_status status;

    if (!run)
        return NULL;
    tars_arena_init(&run->arena, TARS_INGEST_RUN_BYTES);
    status =
        tars_store_job_claim(ingest->config.store, ingest->now_us(), &run->arena, &run->job, &err);
    if (status) {
        if (status != TARS_ENOTFOUND) {
            tars_log_error(ingest->config.log, "ingest", "%s", err.text);
            ingest->may_hold_unknown = true;
        }
        tars_arena_release(&run->arena);
        free(run);
        return NULL;
    }
    name_run(run);
    run->started_ns = tars_clock_mono_ns();
    tars_ingest_trace_begin(ingest, run);
    pthread_mutex_lock(&ingest->lock);
    run->round = ingest->now_us();
    if (run->round <= ingest->last_round)
        run->round = ingest->last_round + 1;
    ingest->last_round = run->round;
    run->next = ingest->runs;
    ingest->runs = run;
    pthread_mutex_unlock(&ingest->lock);
    return run;
}

static bool is_under_way(struct tars_ingest *ingest, int64_t job_id)
{
    const struct tars_ingest_run *run;

    pthread_mutex_lock(&ingest->lock);
    run = ingest->runs;
    while (run && run->job.id != job_id)
        run = run->next;
    pthread_mutex_unlock(&ingest->lock);
    return run != NULL;
}

/* Queue the jobs again that were claimed here without our knowing it. */
static tars_status release_unknown(struct tars_ingest *ingest)
{
    struct tars_store_jobs jobs = {0};
    struct tars_arena arena;
    int64_t before = 0;
    tars_status status;

    tars_arena_init(&arena, PAGE_BYTES);
    do {
        tars_arena_clear(&arena);
        status = tars_store_jobs(ingest->config.store, TARS_JOB_RUNNING, before, PAGE_JOBS, &arena,
                                 &jobs, NULL);
        for (size_t i = 0; !status && i < jobs.count; i++) {
            before = jobs.items[i].id;
            if (!is_under_way(ingest, before))
                status = tars_store_job_release(ingest->config.store, before, NULL);
        }
    } while (!status && jobs.count > 0);
    tars_arena_release(&arena);
    return status;
}

/* What an outage of the store left undone. False: it goes on. */
static bool recover(struct tars_ingest *ingest)
{
    if (!tars_ingest_write_ends(ingest))
        return false;
    if (ingest->may_hold_unknown)
        ingest->may_hold_unknown = release_unknown(ingest) != TARS_OK;
    return !ingest->may_hold_unknown;
}

/* --------------------------------------------------------------------- loop */

static bool any_queued(struct tars_ingest *ingest)
{
    struct tars_store_jobs jobs = {0};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, PEEK_BYTES);
    status = tars_store_jobs(ingest->config.store, TARS_JOB_QUEUED, 0, 1, &arena, &jobs, NULL);
    tars_arena_release(&arena);
    return status || jobs.count > 0;
}

/* Sleep until something was submitted, or a while; submits is what had been before the look. */
static void wait_for_work(struct tars_ingest *ingest, uint64_t submits)
{
    bool is_behind = tars_ingest_catch_up(ingest, NULL) != TARS_OK;
    bool queued = any_queued(ingest) || is_behind;
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += IDLE_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_mutex_lock(&ingest->lock);
    if (ingest->submits == submits && !stops(ingest)) {
        ingest->queue_empty = !queued;
        pthread_cond_broadcast(&ingest->changed);
        (void)pthread_cond_timedwait(&ingest->changed, &ingest->lock, &until);
    }
    pthread_mutex_unlock(&ingest->lock);
}

static uint64_t submits_now(struct tars_ingest *ingest)
{
    uint64_t submits;

    pthread_mutex_lock(&ingest->lock);
    submits = ingest->submits;
    pthread_mutex_unlock(&ingest->lock);
    return submits;
}

static struct tars_ingest_run *next_run(struct tars_ingest *ingest)
{
    return !ingest->config.leaves_jobs && recover(ingest) ? claim(ingest) : NULL;
}

static void read_all(struct reader *reader)
{
    struct tars_ingest *ingest = reader->ingest;

    while (!stops(ingest)) {
        uint64_t submits = submits_now(ingest);
        struct tars_ingest_run *run = next_run(ingest);

        if (!run) {
            hand_over(reader);
            wait_for_work(ingest, submits);
            continue;
        }
        read_run(reader, run);
        if (reader->batch &&
            (reader->batch->tokens >= TARS_INGEST_BATCH_TOKENS || writer_is_hungry(ingest)))
            hand_over(reader);
    }
    hand_over(reader);
}

void *tars_ingest_reader(void *ctx)
{
    struct reader reader = {.ingest = ctx};
    struct tars_ingest *ingest = ctx;

    if (tars_analyzer_new(&reader.analyzer)) {
        tars_log_error(ingest->config.log, "ingest", "no memory to start reading");
    } else {
        read_all(&reader);
    }
    tars_ingest_batch_free(reader.batch);
    tars_analyzer_free(reader.analyzer);
    pthread_mutex_lock(&ingest->lock);
    ingest->reader_done = true;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    return NULL;
}
