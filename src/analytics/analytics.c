/* analytics - see analytics.h for the contract.
 *
 * DESIGN
 *
 *     caller: lock -> row as bytes, straight into the journal -> unlock
 *     writer: lock -> batch of rows -> unlock -> sink, one transaction with the mark -> lock ->
 * forget
 *
 * The writer sleeps until there is a row, then gathers for gather_ms. It goes on looking by itself
 * for LINGER_MS after the last row, so that only the first caller after a quiet time pays for
 * waking it. While it writes, callers may drop the very rows that it has in
 * hand (a full journal): those are not lost and not counted.
 *
 * When the sink fails, rows stay in the journal and the writer tries again, later and later up to
 * two seconds; whoever flushes makes it try at once, waits FLUSH_MAX_MS at most, and is told by
 * nothing but the answer.
 *
 * INVARIANTS
 *
 *   1. head <= taken <= tail of the journal, but for rows dropped since: then head > taken.
 *   2. What lies before head is in the sink, or counted as dropped.
 */
#include "analytics/analytics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "analytics/analytics_internal.h"
#include "analytics/row.h"
#include "base/sys/clock.h"
#include "store/accounts.h"

#define BATCH_ROWS        2048
#define ARENA_MAX         ((size_t)4 << 20)
#define GATHER_MS         100
#define LINGER_MS         2000
#define FLUSH_MAX_MS      5000  /* of whoever asks for statistics */
#define SETTLE_MAX_MS     60000 /* of whoever must know */
#define PRUNE_ROWS        500
#define PRUNE_INTERVAL_MS 3600000
#define ROLL_HOURS        4
#define ROLL_INTERVAL_MS  60000
#define ROLL_DELAY_US     (INT64_C(60) * 1000000) /* rows of the hour may still be under way */
#define BATCH_BYTES_MAX   ((size_t)2 << 20)
#define PAGE_ROWS         500
#define PAGE_ARENA_MAX    ((size_t)64 << 20)
#define DAY_US            (INT64_C(86400) * 1000000)

/* ------------------------------------------------------------------ waiting */

/* Wait for cond until due_ms on the monotonic clock; 0: for ever. */
static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t due_ms)
{
    const struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};

    if (due_ms) {
        (void)pthread_cond_timedwait(cond, lock, &due);
    } else {
        (void)pthread_cond_wait(cond, lock);
    }
}

static bool is_empty(const struct tars_analytics *analytics)
{
    return tars_journal_head(analytics->journal) == tars_journal_tail(analytics->journal);
}

static bool is_half_full(const struct tars_analytics *analytics)
{
    return tars_journal_tail(analytics->journal) - tars_journal_head(analytics->journal) >
           analytics->config.queue_bytes / 2;
}

/* When something is to be done besides writing; 0: never. */
static int64_t next_chore_ms(const struct tars_analytics *analytics)
{
    int64_t prune_ms = analytics->next_prune_ms;
    int64_t roll_ms = analytics->next_roll_ms;

    if (!prune_ms || !roll_ms)
        return prune_ms + roll_ms;
    return prune_ms < roll_ms ? prune_ms : roll_ms;
}

/* Until there is something to write, a reason to write it now, or rows to be removed. */
static void wait_for_work(struct tars_analytics *analytics)
{
    int64_t linger_ms = tars_clock_mono_ms() + LINGER_MS;
    int64_t due_ms;

    while (is_empty(analytics) && !analytics->is_stopping) {
        int64_t now_ms = tars_clock_mono_ms();

        int64_t chore_ms = next_chore_ms(analytics);

        if (chore_ms && now_ms >= chore_ms)
            return;
        analytics->is_asleep = now_ms >= linger_ms;
        wait_until(&analytics->work, &analytics->lock,
                   analytics->is_asleep ? chore_ms : now_ms + analytics->config.gather_ms);
    }
    analytics->is_asleep = false;
    due_ms = tars_clock_mono_ms() +
             (analytics->retry_ms ? analytics->retry_ms : analytics->config.gather_ms);
    while (!analytics->is_stopping && !analytics->flushers && tars_clock_mono_ms() < due_ms &&
           (analytics->retry_ms || !is_half_full(analytics)))
        wait_until(&analytics->work, &analytics->lock, due_ms);
}

/* ------------------------------------------------------------------ writing */

/* Under the lock: read what is next; *end is the position behind it. */
static size_t take_batch(struct tars_analytics *analytics, uint64_t *end)
{
    struct tars_journal *journal = analytics->journal;
    size_t used = 0;
    size_t count = 0;

    tars_arena_clear(&analytics->arena);
    *end = tars_journal_head(journal);
    while (count < BATCH_ROWS) {
        uint64_t next;
        unsigned char *at = analytics->batch + used;
        size_t len = tars_journal_read(journal, *end, at, analytics->batch_bytes - used, &next);
        tars_status status = TARS_EFORMAT;

        if (next == *end)
            break;
        if (len)
            status = tars_row_read(at, len, &analytics->arena, &analytics->rows[count]);
        if (status == TARS_ENOMEM && count > 0)
            break;
        *end = next;
        used += len;
        if (status == TARS_OK) {
            analytics->ends[count++] = next;
        } else {
            tars_analytics_lose(analytics, 1);
        }
    }
    analytics->taken = *end;
    return count;
}

/* Under the lock: say when a journal that was full has room again. */
static void note_room(struct tars_analytics *analytics)
{
    if (!analytics->is_overflowing || is_half_full(analytics))
        return;
    analytics->is_overflowing = false;
    tars_log_warning(analytics->config.log, "analytics",
                     "the queue has room again: %llu rows were lost",
                     (unsigned long long)(analytics->counts.dropped - analytics->overflow_before));
}

/* Under the lock, which is let go of meanwhile. False when nothing could be written. */
static bool write_batch(struct tars_analytics *analytics)
{
    struct tars_err err = {.text = ""};
    tars_status status = TARS_OK;
    uint64_t end = 0;
    size_t n = 0;

    analytics->begun++;
    if (analytics->must_ask)
        status = tars_analytics_ask(analytics, &err);
    if (status == TARS_OK)
        n = take_batch(analytics, &end);
    if (n > 0) {
        pthread_mutex_unlock(&analytics->lock);
        status = tars_analytics_write(analytics, n, &err);
        pthread_mutex_lock(&analytics->lock);
    }
    if (status == TARS_OK) {
        tars_journal_forget(analytics->journal, end);
        analytics->retry_ms = 0;
    } else {
        tars_analytics_put_off(analytics, &err);
    }
    note_room(analytics);
    pthread_cond_broadcast(&analytics->done);
    return status == TARS_OK;
}

/* Under the lock, which is let go of meanwhile: after rows have come, have room for more at hand.
 */
static void prepare_journal(struct tars_analytics *analytics)
{
    if (is_empty(analytics))
        return;
    pthread_mutex_unlock(&analytics->lock);
    tars_journal_prepare(analytics->journal);
    pthread_mutex_lock(&analytics->lock);
}

/* Likewise: some old rows, if it is time. */
static void prune_some(struct tars_analytics *analytics)
{
    int64_t before_us = tars_clock_wall_us() - analytics->config.retention_days * DAY_US;
    struct tars_err err = {.text = ""};
    size_t removed = 0;
    tars_status status;

    if (!analytics->next_prune_ms || tars_clock_mono_ms() < analytics->next_prune_ms)
        return;
    pthread_mutex_unlock(&analytics->lock);
    pthread_mutex_lock(&analytics->write_lock);
    status = analytics->sink->ops->prune(analytics->sink, before_us, PRUNE_ROWS, &removed, &err);
    pthread_mutex_unlock(&analytics->write_lock);
    if (status != TARS_OK) {
        tars_log_warning(analytics->config.log, "analytics", "old rows stay: %s", err.text);
        removed = 0;
    }
    pthread_mutex_lock(&analytics->lock);
    if (!removed)
        analytics->next_prune_ms = tars_clock_mono_ms() + PRUNE_INTERVAL_MS;
}

/* Likewise: the sums of some hours that are over. */
static void roll_some(struct tars_analytics *analytics)
{
    const struct tars_analytics_sink_ops *ops = analytics->sink->ops;
    struct tars_err err = {.text = ""};
    size_t rolled = 0;
    tars_status status;

    if (!analytics->next_roll_ms || tars_clock_mono_ms() < analytics->next_roll_ms)
        return;
    pthread_mutex_unlock(&analytics->lock);
    pthread_mutex_lock(&analytics->write_lock);
    status = ops->rollup(analytics->sink, tars_clock_wall_us() - ROLL_DELAY_US,
                         analytics->roll_hours, &rolled, &err);
    pthread_mutex_unlock(&analytics->write_lock);
    analytics->roll_hours = status == TARS_OK ? ROLL_HOURS : 1;
    if (status != TARS_OK) {
        /* Statistics go on without; who is away is said where rows are written. */
        if (status != TARS_EUNAVAILABLE)
            tars_log_warning(analytics->config.log, "analytics", "no sums: %s", err.text);
        rolled = 0;
    }
    pthread_mutex_lock(&analytics->lock);
    if (!rolled)
        analytics->next_roll_ms = tars_clock_mono_ms() + ROLL_INTERVAL_MS;
}

static void *run(void *ctx)
{
    struct tars_analytics *analytics = ctx;

    pthread_mutex_lock(&analytics->lock);
    for (;;) {
        bool went_well = true;

        wait_for_work(analytics);
        prepare_journal(analytics);
        if (!is_empty(analytics))
            went_well = write_batch(analytics);
        /* What cannot be written now waits in the file for the next start. */
        if (analytics->is_stopping && (!went_well || is_empty(analytics)))
            break;
        prune_some(analytics);
        if (!analytics->is_stopping)
            roll_some(analytics);
    }
    pthread_mutex_unlock(&analytics->lock);
    return NULL;
}

/* ----------------------------------------------------------------- recording */

/* Under the lock: wake the writer if it must be. */
static void note_put(struct tars_analytics *analytics)
{
    if (analytics->is_asleep || is_half_full(analytics))
        pthread_cond_signal(&analytics->work);
}

/* Straight into the journal; false where it has no room in one piece. */
static bool put_in_place(struct tars_analytics *analytics, const struct tars_row *row)
{
    unsigned char *at;
    size_t len = 0;
    size_t max;

    pthread_mutex_lock(&analytics->lock);
    at = tars_journal_room(analytics->journal, &max);
    if (max > 0)
        len = tars_row_write(row, at, max);
    if (len > 0) {
        tars_journal_commit(analytics->journal, len);
        note_put(analytics);
    } else if (max > 0) {
        memset(at, 0, max);
    }
    pthread_mutex_unlock(&analytics->lock);
    return len > 0;
}

/* By way of a copy, where the end of the ring lies in between or the oldest rows have to go. */
static void put_by_copy(struct tars_analytics *analytics, const struct tars_row *row)
{
    size_t size = tars_row_size(row);
    unsigned char *bytes = malloc(size);
    bool is_news = false; /* rows are being lost, and nobody has said so */
    bool fits = bytes && size <= tars_journal_record_max(analytics->journal) &&
                tars_row_write(row, bytes, size) == size;

    pthread_mutex_lock(&analytics->lock);
    if (!fits) {
        tars_analytics_lose(analytics, 1);
    } else {
        size_t dropped = tars_journal_put(analytics->journal, bytes, size, analytics->taken);

        is_news = dropped > 0 && !analytics->is_overflowing;
        if (is_news) {
            analytics->is_overflowing = true;
            analytics->overflow_before = analytics->counts.dropped;
        }
        tars_analytics_lose(analytics, dropped);
        note_put(analytics);
    }
    pthread_mutex_unlock(&analytics->lock);
    free(bytes);
    if (is_news) {
        tars_log_warning(analytics->config.log, "analytics",
                         "the queue of %zu bytes is full: the oldest rows are lost",
                         analytics->config.queue_bytes);
    }
}

static void put(struct tars_analytics *analytics, const struct tars_row *row)
{
    if (!put_in_place(analytics, row))
        put_by_copy(analytics, row);
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

void tars_analytics_query(struct tars_analytics *analytics, const struct tars_query_row *row)
{
    struct tars_row made = {.kind = TARS_ROW_QUERY, .as.query = *row};
    struct tars_query_row *query = &made.as.query;

    if (!analytics)
        return;
    if (!query->time_us)
        query->time_us = tars_clock_wall_us();
    query->tenant = text_or(query->tenant, TARS_TENANT);
    query->client_id = text_or(query->client_id, "anonymous");
    query->query_text = text_or(query->query_text, "");
    query->model_used = text_or(query->model_used, "");
    put(analytics, &made);
}

void tars_analytics_error(struct tars_analytics *analytics, const struct tars_error_row *row)
{
    struct tars_row made = {.kind = TARS_ROW_ERROR, .as.error = *row};
    struct tars_error_row *error = &made.as.error;

    if (!analytics)
        return;
    if (!error->time_us)
        error->time_us = tars_clock_wall_us();
    error->tenant = text_or(error->tenant, TARS_TENANT);
    error->error_type = text_or(error->error_type, "unknown");
    error->error_message = text_or(error->error_message, "");
    error->severity = text_or(error->severity, "ERROR");
    put(analytics, &made);
}

void tars_analytics_system(struct tars_analytics *analytics, const struct tars_system_row *row)
{
    struct tars_row made = {.kind = TARS_ROW_SYSTEM, .as.system = *row};

    if (!analytics)
        return;
    if (!made.as.system.time_us)
        made.as.system.time_us = tars_clock_wall_us();
    put(analytics, &made);
}

/* Until what was given before is in the sink, or it fails, max_ms at most. */
static tars_status wait_written(struct tars_analytics *analytics, int64_t max_ms,
                                struct tars_err *err)
{
    int64_t due_ms = tars_clock_mono_ms() + max_ms;
    tars_status status = TARS_OK;
    uint64_t target;
    uint64_t begun;

    pthread_mutex_lock(&analytics->lock);
    target = tars_journal_tail(analytics->journal);
    begun = analytics->begun; /* what this try comes to says nothing about now */
    analytics->flushers++;
    pthread_cond_signal(&analytics->work);
    while (tars_journal_head(analytics->journal) < target && analytics->failed <= begun &&
           tars_clock_mono_ms() < due_ms)
        wait_until(&analytics->done, &analytics->lock, due_ms);
    analytics->flushers--;
    if (tars_journal_head(analytics->journal) < target)
        status = tars_fail(TARS_EUNAVAILABLE, err, "rows wait: %s", analytics->failure.text);
    pthread_mutex_unlock(&analytics->lock);
    return status;
}

tars_status tars_analytics_settle(struct tars_analytics *analytics, struct tars_err *err)
{
    return wait_written(analytics, SETTLE_MAX_MS, err);
}

void tars_analytics_flush(struct tars_analytics *analytics)
{
    if (analytics && wait_written(analytics, FLUSH_MAX_MS, NULL) != TARS_OK)
        return; /* they wait, and health says so */
}

/* ----------------------------------------------------------------- questions */

tars_status tars_analytics_stats(struct tars_analytics *analytics,
                                 const struct tars_analytics_range *range,
                                 struct tars_query_stats *out, struct tars_err *err)
{
    *out = (struct tars_query_stats){0};
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->stats(analytics->sink, range, out, err);
}

tars_status tars_analytics_popular(struct tars_analytics *analytics,
                                   const struct tars_analytics_range *range, size_t top_n,
                                   struct tars_arena *arena, struct tars_popular_document **out,
                                   size_t *count, struct tars_err *err)
{
    *count = 0;
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->popular(analytics->sink, range, top_n, arena, out, count, err);
}

tars_status tars_analytics_patterns(struct tars_analytics *analytics,
                                    const struct tars_analytics_range *range,
                                    struct tars_arena *arena, struct tars_query_patterns *out,
                                    struct tars_err *err)
{
    *out = (struct tars_query_patterns){0};
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->patterns(analytics->sink, range, arena, out, err);
}

tars_status tars_analytics_totals(struct tars_analytics *analytics,
                                  const struct tars_analytics_range *range,
                                  struct tars_analytics_totals *out, struct tars_err *err)
{
    *out = (struct tars_analytics_totals){0};
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->totals(analytics->sink, range, out, err);
}

tars_status tars_analytics_history(struct tars_analytics *analytics,
                                   const struct tars_analytics_range *range, int64_t interval_s,
                                   struct tars_arena *arena, struct tars_system_row **out,
                                   size_t *count, struct tars_err *err)
{
    *count = 0;
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->history(analytics->sink, range, interval_s, arena, out, count,
                                         err);
}

tars_status tars_analytics_read(struct tars_analytics *analytics,
                                const struct tars_analytics_wanted *wanted,
                                struct tars_arena *arena, struct tars_logged **out, size_t *count,
                                struct tars_err *err)
{
    *count = 0;
    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    return analytics->sink->ops->read(analytics->sink, wanted, arena, out, count, err);
}

struct tars_analytics_cursor tars_analytics_end_of(const struct tars_logged *row)
{
    switch (row->table) {
    case TARS_TABLE_QUERIES:
        return (struct tars_analytics_cursor){row->as.query.row.time_us, row->as.query.id};
    case TARS_TABLE_ACCESSES:
        return (struct tars_analytics_cursor){row->as.access.time_us, row->as.access.id};
    case TARS_TABLE_ERRORS:
        return (struct tars_analytics_cursor){row->as.error.row.time_us, row->as.error.id};
    case TARS_TABLE_SYSTEM:
        break;
    }
    return (struct tars_analytics_cursor){row->as.system.row.time_us, row->as.system.id};
}

tars_status tars_analytics_each(struct tars_analytics *analytics, enum tars_analytics_table table,
                                const struct tars_analytics_range *range, tars_logged_fn *each,
                                void *ctx, struct tars_err *err)
{
    struct tars_analytics_wanted wanted = {.table = table, .range = range, .max = PAGE_ROWS};
    struct tars_arena arena;
    tars_status status = TARS_OK;
    size_t count = PAGE_ROWS;
    bool goes_on = true;

    if (!analytics)
        return TARS_OK;
    tars_analytics_flush(analytics);
    tars_arena_init(&arena, PAGE_ARENA_MAX);
    /* A page at a time, so that no transaction stays open however slow the reader is. */
    while (status == TARS_OK && goes_on && count == PAGE_ROWS) {
        struct tars_logged *page = NULL;

        tars_arena_clear(&arena);
        status = analytics->sink->ops->read(analytics->sink, &wanted, &arena, &page, &count, err);
        for (size_t i = 0; i < count && status == TARS_OK && goes_on; i++)
            goes_on = each(ctx, &page[i]);
        if (status == TARS_OK && count > 0)
            wanted.after = tars_analytics_end_of(&page[count - 1]);
    }
    tars_arena_release(&arena);
    return status;
}

bool tars_analytics_is_on(const struct tars_analytics *analytics)
{
    return analytics != NULL;
}

struct tars_analytics_counts tars_analytics_counts(const struct tars_analytics *analytics)
{
    struct tars_analytics *mine = (struct tars_analytics *)analytics; /* its lock changes */
    struct tars_analytics_counts counts = {0};

    if (!mine)
        return counts;
    pthread_mutex_lock(&mine->lock);
    counts = mine->counts;
    counts.queued_bytes =
        (size_t)(tars_journal_tail(mine->journal) - tars_journal_head(mine->journal));
    counts.queue_bytes = mine->config.queue_bytes;
    pthread_mutex_unlock(&mine->lock);
    return counts;
}

tars_status tars_analytics_health(const struct tars_analytics *analytics, struct tars_err *err)
{
    struct tars_analytics *mine = (struct tars_analytics *)analytics; /* its lock changes */
    tars_status status = TARS_OK;

    if (!mine)
        return tars_fail(TARS_EUNAVAILABLE, err, "analytics are off");
    pthread_mutex_lock(&mine->lock);
    if (mine->retry_ms)
        status = tars_fail(TARS_EUNAVAILABLE, err, "rows wait: %s", mine->failure.text);
    pthread_mutex_unlock(&mine->lock);
    return status;
}

/* ---------------------------------------------------------------- life cycle */

static void init_locks(struct tars_analytics *analytics)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&analytics->write_lock, NULL);
    pthread_mutex_init(&analytics->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&analytics->work, &attr);
    pthread_cond_init(&analytics->done, &attr);
    pthread_condattr_destroy(&attr);
}

/* Rows that a process left behind are written first, and those that it had written are not. A sink
 * may know more than the journal does, which came out of a backup or lost its end in a power cut:
 * the journal goes on behind that, for what the sink knows is never looked at again. */
static tars_status catch_up(struct tars_analytics *analytics, struct tars_err *err)
{
    uint64_t position = 0;
    struct tars_err why = {.text = ""};
    tars_status status = analytics->sink->ops->position(
        analytics->sink, tars_journal_id(analytics->journal), &position, &why);

    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    tars_journal_forget(analytics->journal, position);
    tars_journal_skip(analytics->journal, position);
    analytics->taken = tars_journal_head(analytics->journal);
    analytics->replay_until = tars_journal_tail(analytics->journal);
    /* Whoever is away is asked by the writer. */
    if (status != TARS_OK)
        tars_analytics_put_off(analytics, &why);
    return TARS_OK;
}

/* A journal of another size than is wanted, or one that rows were left out of. */
static void note_size(struct tars_analytics *analytics)
{
    size_t bytes = tars_journal_bytes(analytics->journal);
    size_t lost = tars_journal_lost(analytics->journal);

    tars_analytics_lose(analytics, lost);
    if (lost > 0) {
        tars_log_warning(analytics->config.log, "analytics",
                         "the queue was made smaller: %zu rows are lost", lost);
    }
    if (bytes != analytics->config.queue_bytes) {
        tars_log_warning(analytics->config.log, "analytics",
                         "the queue stays at %zu bytes: there is no room for %zu", bytes,
                         analytics->config.queue_bytes);
    }
    analytics->config.queue_bytes = bytes;
}

static tars_status start(struct tars_analytics *analytics, struct tars_err *err)
{
    const struct tars_analytics_config *config = &analytics->config;
    tars_status status =
        tars_journal_open(config->journal, config->queue_bytes, &analytics->journal, err);

    if (status != TARS_OK)
        return status;
    note_size(analytics);
    tars_journal_prepare(analytics->journal);
    analytics->batch_bytes =
        config->queue_bytes / 4 < BATCH_BYTES_MAX ? config->queue_bytes / 4 : BATCH_BYTES_MAX;
    analytics->batch = malloc(analytics->batch_bytes);
    analytics->rows = calloc(BATCH_ROWS, sizeof(*analytics->rows));
    analytics->ends = calloc(BATCH_ROWS, sizeof(*analytics->ends));
    if (!analytics->batch || !analytics->rows || !analytics->ends)
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    status = catch_up(analytics, err);
    if (status != TARS_OK)
        return status;
    if (config->retention_days > 0)
        analytics->next_prune_ms = tars_clock_mono_ms();
    if (analytics->sink->ops->rollup)
        analytics->next_roll_ms = tars_clock_mono_ms() + ROLL_INTERVAL_MS;
    if (pthread_create(&analytics->writer, NULL, run, analytics))
        return tars_fail(TARS_ENOMEM, err, "cannot start a thread");
    analytics->is_running = true;
    return TARS_OK;
}

static tars_status keep_key(struct tars_analytics *analytics, const char *key, struct tars_err *err)
{
    if (key) {
        analytics->key = strdup(key);
        if (!analytics->key)
            return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    }
    return TARS_OK;
}

tars_status tars_analytics_open(const struct tars_analytics_config *config,
                                struct tars_analytics **analytics, struct tars_err *err)
{
    struct tars_analytics *made;
    tars_status status;

    if (!config->sink || config->retention_days < 0)
        return tars_fail(TARS_EINVAL, err, "analytics need a sink");
    made = calloc(1, sizeof(*made));
    if (!made) {
        config->sink->ops->close(config->sink);
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    }
    made->config = *config;
    made->config.pseudonym_key = NULL;
    made->config.queue_bytes =
        (config->queue_bytes ? config->queue_bytes : TARS_ANALYTICS_QUEUE_DEFAULT) / 8 * 8;
    if (made->config.queue_bytes < TARS_ANALYTICS_QUEUE_MIN)
        made->config.queue_bytes = TARS_ANALYTICS_QUEUE_MIN;
    if (!made->config.gather_ms)
        made->config.gather_ms = GATHER_MS;
    made->roll_hours = ROLL_HOURS;
    made->sink = config->sink;
    tars_arena_init(&made->arena, ARENA_MAX);
    init_locks(made);
    status = keep_key(made, config->pseudonym_key, err);
    if (status == TARS_OK)
        status = start(made, err);
    if (status != TARS_OK) {
        tars_analytics_close(made);
        return status;
    }
    *analytics = made;
    return TARS_OK;
}

void tars_analytics_close(struct tars_analytics *analytics)
{
    if (!analytics)
        return;
    if (analytics->is_running) {
        pthread_mutex_lock(&analytics->lock);
        analytics->is_stopping = true;
        pthread_cond_signal(&analytics->work);
        pthread_mutex_unlock(&analytics->lock);
        pthread_join(analytics->writer, NULL);
    }
    analytics->sink->ops->close(analytics->sink);
    tars_journal_close(analytics->journal);
    pthread_cond_destroy(&analytics->done);
    pthread_cond_destroy(&analytics->work);
    pthread_mutex_destroy(&analytics->lock);
    pthread_mutex_destroy(&analytics->write_lock);
    tars_arena_release(&analytics->arena);
    free(analytics->key);
    free(analytics->ends);
    free(analytics->rows);
    free(analytics->batch);
    free(analytics);
}
