/* sink_sqlite_read - the statistics of the wire contract (sections 1.5 and 5), in SQL. */
#include <math.h>
#include <string.h>

#include "analytics/sink_sqlite_internal.h"
#include "base/codec/json_write.h"

#define KEYS_MAX  ((size_t)1 << 20) /* bytes of the list of visible collections */
#define US_PER_S  INT64_C(1000000)
#define US_PER_MS 1000.0
#define MILLION   1e6

tars_status sink_init_bounds(struct sink_bounds *bounds, const struct tars_analytics_range *range,
                             struct tars_err *err)
{
    const struct tars_visible *visible = range->visible;
    struct tars_json json;

    bounds->from[0] = '\0';
    memcpy(bounds->to, "9999-12-31 24", sizeof("9999-12-31 24"));
    if (range->from_us)
        sink_write_time(range->from_us, bounds->from);
    if (range->to_us)
        sink_write_time(range->to_us, bounds->to);
    tars_buf_init(&bounds->keys, KEYS_MAX);
    if (!visible || visible->all)
        return TARS_OK;
    tars_json_init(&json, &bounds->keys);
    tars_json_array(&json, NULL);
    for (size_t i = 0; i < visible->count; i++)
        tars_json_text(&json, NULL, visible->keys[i]);
    tars_json_end(&json);
    if (bounds->keys.status == TARS_OK)
        return TARS_OK;
    tars_buf_release(&bounds->keys);
    return tars_fail(TARS_ENOMEM, err, "no memory for the list of collections");
}

struct tars_sqlite_query sink_begin(struct sink_sqlite *sqlite, enum sink_sql sql,
                                    const struct tars_analytics_range *range,
                                    const struct sink_bounds *bounds)
{
    struct tars_sqlite_query query;

    pthread_mutex_lock(&sqlite->read_lock);
    query = tars_sqlite_ask(&sqlite->reader, sql);
    tars_sqlite_bind_text_or_null(&query, range->tenant);
    tars_sqlite_bind_text_or_null(&query, bounds->from);
    tars_sqlite_bind_text_or_null(&query, bounds->to);
    return query;
}

tars_status sink_end(struct sink_sqlite *sqlite, struct tars_sqlite_query *query,
                     struct tars_err *err)
{
    tars_status status = tars_sqlite_end(query, err);

    pthread_mutex_unlock(&sqlite->read_lock);
    return status;
}

/* Of n numbers that are sum together, in units of so many to one. */
static double mean(int64_t sum, int64_t n, double units)
{
    return n > 0 ? (double)sum / (double)n / units : 0;
}

tars_status sink_stats(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       struct tars_query_stats *out, struct tars_err *err)
{
    struct tars_query_stats made = {0};
    struct sink_bounds bounds;
    struct tars_sqlite_query query;
    tars_status status = sink_init_bounds(&bounds, range, err);

    if (status != TARS_OK)
        return status;
    query = sink_begin(sink_of(sink), SINK_SQL_STATS, range, &bounds);
    if (tars_sqlite_step(&query)) {
        made.total = tars_sqlite_int(&query);
        made.successful = tars_sqlite_int(&query);
        made.avg_retrieval_time_ms = mean(tars_sqlite_int(&query), made.total, US_PER_MS);
        made.avg_generation_time_ms = mean(tars_sqlite_int(&query), made.total, US_PER_MS);
        made.avg_total_time_ms = mean(tars_sqlite_int(&query), made.total, US_PER_MS);
        made.avg_sources_count = mean(tars_sqlite_int(&query), made.total, 1);
        made.avg_relevance_score = mean(tars_sqlite_int(&query), made.total, MILLION);
        made.reranking = tars_sqlite_int(&query);
        made.hybrid_search = tars_sqlite_int(&query);
        made.query_expansion = tars_sqlite_int(&query);
    }
    status = sink_end(sink_of(sink), &query, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK)
        *out = made;
    return status;
}

tars_status sink_popular(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                         size_t top_n, struct tars_arena *arena, struct tars_popular_document **out,
                         size_t *count, struct tars_err *err)
{
    struct tars_popular_document *made = tars_arena_calloc(arena, top_n + 1, sizeof(*made));
    struct sink_bounds bounds;
    struct tars_sqlite_query query;
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu documents", top_n);
    status = sink_init_bounds(&bounds, range, err);
    if (status != TARS_OK)
        return status;
    query = sink_begin(sink_of(sink), SINK_SQL_POPULAR, range, &bounds);
    tars_sqlite_bind_text_or_null(&query, bounds.keys.ptr);
    tars_sqlite_bind_int(&query, (int64_t)top_n);
    while (n < top_n && tars_sqlite_step(&query)) {
        made[n].document_id = tars_sqlite_text_or_null(&query, arena);
        made[n].file_name = tars_sqlite_text_or_null(&query, arena);
        made[n].access_count = tars_sqlite_int(&query);
        made[n].last_accessed_us = sink_time(&query);
        made[n].avg_relevance_score = mean(tars_sqlite_int(&query), made[n].access_count, MILLION);
        n++;
    }
    status = sink_end(sink_of(sink), &query, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}

/* ----------------------------------------------------------------- patterns */

static tars_status read_lengths(struct sink_sqlite *sqlite,
                                const struct tars_analytics_range *range,
                                const struct sink_bounds *bounds, struct tars_query_patterns *out,
                                struct tars_err *err)
{
    struct tars_sqlite_query query = sink_begin(sqlite, SINK_SQL_LENGTHS, range, bounds);
    int64_t texts;

    if (tars_sqlite_step(&query)) {
        out->total = tars_sqlite_int(&query);
        texts = tars_sqlite_int(&query);
        out->avg_length = mean(tars_sqlite_int(&query), texts, 1);
        out->min_length = tars_sqlite_int(&query);
        out->max_length = tars_sqlite_int(&query);
    }
    return sink_end(sqlite, &query, err);
}

static tars_status read_hours(struct sink_sqlite *sqlite, const struct tars_analytics_range *range,
                              const struct sink_bounds *bounds, struct tars_query_patterns *out,
                              struct tars_err *err)
{
    struct tars_sqlite_query query = sink_begin(sqlite, SINK_SQL_HOURS, range, bounds);

    while (tars_sqlite_step(&query)) {
        int64_t hour = tars_sqlite_int(&query);

        if (hour >= 0 && hour < 24)
            out->by_hour[hour] += tars_sqlite_int(&query);
    }
    return sink_end(sqlite, &query, err);
}

/* By one of the statements of the commonest words. */
static tars_status read_words_by(struct sink_sqlite *sqlite, enum sink_sql sql,
                                 const struct tars_analytics_range *range,
                                 const struct sink_bounds *bounds, struct tars_arena *arena,
                                 struct tars_query_patterns *out, struct tars_err *err)
{
    struct tars_sqlite_query query = sink_begin(sqlite, sql, range, bounds);

    tars_sqlite_bind_int(&query, TARS_ANALYTICS_WORDS_MAX);
    while (out->top_word_count < TARS_ANALYTICS_WORDS_MAX && tars_sqlite_step(&query)) {
        struct tars_word_count *word = &out->top_words[out->top_word_count++];

        word->word = tars_sqlite_text_or_null(&query, arena);
        word->count = tars_sqlite_int(&query);
    }
    return sink_end(sqlite, &query, err);
}

/* All are added up only where the leading ones of each span do not tell. */
static tars_status read_words(struct sink_sqlite *sqlite, const struct tars_analytics_range *range,
                              const struct sink_bounds *bounds, struct tars_arena *arena,
                              struct tars_query_patterns *out, struct tars_err *err)
{
    tars_status status =
        read_words_by(sqlite, SINK_SQL_LEADING_WORDS, range, bounds, arena, out, err);

    if (status != TARS_OK || out->top_word_count > 0)
        return status;
    return read_words_by(sqlite, SINK_SQL_WORDS, range, bounds, arena, out, err);
}

tars_status sink_patterns(struct tars_analytics_sink *sink,
                          const struct tars_analytics_range *range, struct tars_arena *arena,
                          struct tars_query_patterns *out, struct tars_err *err)
{
    struct tars_query_patterns made = {
        .top_words = tars_arena_calloc(arena, TARS_ANALYTICS_WORDS_MAX, sizeof(*made.top_words))};
    struct sink_sqlite *sqlite = sink_of(sink);
    struct sink_bounds bounds;
    tars_status status;

    if (!made.top_words)
        return tars_fail(TARS_ENOMEM, err, "no memory for the words");
    status = sink_init_bounds(&bounds, range, err);
    if (status != TARS_OK)
        return status;
    status = read_lengths(sqlite, range, &bounds, &made, err);
    if (status == TARS_OK)
        status = read_hours(sqlite, range, &bounds, &made, err);
    if (status == TARS_OK)
        status = read_words(sqlite, range, &bounds, arena, &made, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK)
        *out = made;
    return status;
}

/* ------------------------------------------------------------------- others */

tars_status sink_totals(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                        struct tars_analytics_totals *out, struct tars_err *err)
{
    struct tars_analytics_totals made = {0};
    struct sink_bounds bounds;
    struct tars_sqlite_query query;
    tars_status status = sink_init_bounds(&bounds, range, err);

    if (status != TARS_OK)
        return status;
    query = sink_begin(sink_of(sink), SINK_SQL_TOTALS, range, &bounds);
    tars_sqlite_bind_text_or_null(&query, bounds.keys.ptr);
    if (tars_sqlite_step(&query)) {
        made.queries = tars_sqlite_int(&query);
        made.errors = tars_sqlite_int(&query);
        made.documents = tars_sqlite_int(&query);
    }
    status = sink_end(sink_of(sink), &query, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK)
        *out = made;
    return status;
}

tars_status sink_history(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                         int64_t interval_s, struct tars_arena *arena, struct tars_system_row **out,
                         size_t *count, struct tars_err *err)
{
    struct sink_sqlite *sqlite = sink_of(sink);
    struct tars_sqlite_rows rows;
    struct tars_system_row *row;
    struct sink_bounds bounds;
    tars_status status = sink_init_bounds(&bounds, range, err);

    if (status != TARS_OK)
        return status;
    pthread_mutex_lock(&sqlite->read_lock);
    rows = tars_sqlite_ask_rows(&sqlite->reader, SINK_SQL_HISTORY, arena);
    tars_sqlite_bind_text_or_null(&rows.query, bounds.from);
    tars_sqlite_bind_text_or_null(&rows.query, bounds.to);
    tars_sqlite_bind_int(&rows.query, interval_s > 0 ? interval_s : 1);
    tars_sqlite_bind_int(&rows.query, TARS_ANALYTICS_HISTORY_MAX);
    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->time_us = tars_sqlite_int(&rows.query) * US_PER_S;
        sink_read_sample(&rows.query, row);
    }
    status = sink_end(sqlite, &rows.query, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK) {
        *out = rows.items;
        *count = rows.count;
    }
    return status;
}
