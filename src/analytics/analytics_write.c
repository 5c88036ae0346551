/* analytics_write - a batch into the sink, and what becomes of it.
 *
 * Rows that the sink will never take are found by halving the batch, and only they are lost. After
 * any other failure the rows stay in the journal, and the sink is asked first how far it has been
 * written: what failed may have been written after all (the answer to a COMMIT that was lost).
 */
#include "analytics/analytics_internal.h"
#include "base/sys/clock.h"

#define RETRY_MIN_MS 500
#define RETRY_MAX_MS 2000 /* so that a sink that is back gets its rows soon */

static bool is_never(tars_status status)
{
    return status == TARS_EINVAL || status == TARS_EFORMAT || status == TARS_ETOOBIG;
}

void tars_analytics_lose(struct tars_analytics *analytics, uint64_t n)
{
    analytics->counts.dropped += n;
    if (analytics->config.metrics && n > 0)
        tars_metrics_add(analytics->config.metrics, TARS_METRIC_RAG_ANALYTICS_LOST, n);
}

static void count_table(struct tars_analytics *analytics, const char *table, uint64_t n)
{
    if (analytics->config.metrics && n > 0) {
        tars_series_add(
            tars_metrics_series(analytics->config.metrics, TARS_METRIC_RAG_ANALYTICS_ROWS, table),
            n);
    }
}

/* Under the lock: rows of the batch are in the sink. */
static void count_rows(struct tars_analytics *analytics, size_t first, size_t n)
{
    struct tars_analytics_counts *counts = &analytics->counts;
    struct tars_analytics_counts before = *counts;

    for (size_t i = first; i < first + n; i++) {
        const struct tars_row *row = &analytics->rows[i];

        counts->queries += row->kind == TARS_ROW_QUERY;
        counts->errors += row->kind == TARS_ROW_ERROR;
        counts->samples += row->kind == TARS_ROW_SYSTEM;
        if (row->kind == TARS_ROW_QUERY)
            counts->accesses += row->as.query.access_count;
        counts->replayed += analytics->ends[i] <= analytics->replay_until;
    }
    count_table(analytics, "query_logs", counts->queries - before.queries);
    count_table(analytics, "document_accesses", counts->accesses - before.accesses);
    count_table(analytics, "error_logs", counts->errors - before.errors);
    count_table(analytics, "system_metrics", counts->samples - before.samples);
    if (analytics->config.metrics && counts->replayed > before.replayed) {
        tars_metrics_add(analytics->config.metrics, TARS_METRIC_RAG_ANALYTICS_REPLAYED,
                         counts->replayed - before.replayed);
    }
}

void tars_analytics_put_off(struct tars_analytics *analytics, const struct tars_err *err)
{
    analytics->taken = tars_journal_head(analytics->journal);
    analytics->must_ask = true;
    analytics->counts.failures++;
    analytics->failed = analytics->begun;
    analytics->failure = *err;
    if (!analytics->retry_ms)
        tars_log_warning(analytics->config.log, "analytics", "rows wait: %s", err->text);
    analytics->retry_ms = analytics->retry_ms ? analytics->retry_ms * 2 : RETRY_MIN_MS;
    if (analytics->retry_ms > RETRY_MAX_MS)
        analytics->retry_ms = RETRY_MAX_MS;
}

tars_status tars_analytics_ask(struct tars_analytics *analytics, struct tars_err *err)
{
    uint64_t position = 0;
    tars_status status;

    pthread_mutex_unlock(&analytics->lock);
    pthread_mutex_lock(&analytics->write_lock);
    status = analytics->sink->ops->position(analytics->sink, tars_journal_id(analytics->journal),
                                            &position, err);
    pthread_mutex_unlock(&analytics->write_lock);
    pthread_mutex_lock(&analytics->lock);
    if (status == TARS_OK) {
        /* Of this process's rows the sink has those up to the last position that was written, or
         * not even these: another mark is of an earlier life of a journal that was restored. */
        if (position > analytics->replay_until && position != analytics->tried)
            position = analytics->replay_until;
        tars_journal_forget(analytics->journal, position);
        analytics->taken = tars_journal_head(analytics->journal);
        analytics->must_ask = false;
    }
    return status;
}

/* Write rows of the batch in one transaction, and settle what became of them. */
static tars_status write_part(struct tars_analytics *analytics, size_t first, size_t n,
                              struct tars_err *err)
{
    const struct tars_analytics_mark mark = {.journal = tars_journal_id(analytics->journal),
                                             .position = analytics->ends[first + n - 1]};
    int64_t begun_ns = tars_clock_mono_ns();
    tars_status status;

    pthread_mutex_lock(&analytics->lock);
    analytics->tried = mark.position;
    pthread_mutex_unlock(&analytics->lock);
    pthread_mutex_lock(&analytics->write_lock);
    status = analytics->sink->ops->write(analytics->sink, &analytics->rows[first], n, &mark, err);
    pthread_mutex_unlock(&analytics->write_lock);
    if (analytics->config.metrics) {
        tars_metrics_observe(analytics->config.metrics, TARS_METRIC_RAG_ANALYTICS_WRITE,
                             (double)(tars_clock_mono_ns() - begun_ns) / 1e9);
    }
    if (status != TARS_OK && (n > 1 || !is_never(status)))
        return status;
    pthread_mutex_lock(&analytics->lock);
    if (status == TARS_OK) {
        count_rows(analytics, first, n);
    } else {
        tars_analytics_lose(analytics, 1);
        analytics->counts.failures++;
        analytics->failure = *err;
        tars_log_warning(analytics->config.log, "analytics", "a row is lost: %s", err->text);
    }
    tars_journal_forget(analytics->journal, mark.position);
    pthread_mutex_unlock(&analytics->lock);
    return TARS_OK;
}

tars_status tars_analytics_write(struct tars_analytics *analytics, size_t n, struct tars_err *err)
{
    size_t first = 0;
    size_t size = n;

    while (first < n) {
        size_t some = size < n - first ? size : n - first;
        tars_status status = write_part(analytics, first, some, err);

        if (is_never(status)) {
            size = some / 2;
        } else if (status != TARS_OK) {
            return status;
        } else {
            first += some;
            size = 2 * some;
        }
    }
    return TARS_OK;
}
