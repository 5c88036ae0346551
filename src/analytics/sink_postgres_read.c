/* sink_postgres_read - the statistics of the wire contract (sections 1.5 and 5), in SQL. */
#include <math.h>
#include <string.h>

#include "analytics/sink_postgres_internal.h"

#define KEYS_MAX ((size_t)1 << 20) /* bytes of the list of visible collections */
#define US_PER_S INT64_C(1000000)

const char pg_spaces[] =
    "[\\s\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";

bool pg_needs_icu(const struct sink_postgres *postgres)
{
    return !postgres->lowers_beyond_ascii && postgres->has_icu;
}

/* -------------------------------------------------------------------- ranges */

/* An array of texts, as PostgreSQL reads one. */
static void put_key(struct tars_buf *out, const char *key)
{
    tars_buf_append_char(out, '"');
    for (; *key; key++) {
        if (*key == '"' || *key == '\\')
            tars_buf_append_char(out, '\\');
        tars_buf_append_char(out, *key);
    }
    tars_buf_append_char(out, '"');
}

tars_status pg_bounds_init(struct pg_bounds *bounds, const struct tars_analytics_range *range,
                           struct tars_err *err)
{
    const struct tars_visible *visible = range->visible;

    bounds->from[0] = '\0';
    (void)memcpy(bounds->to, "9999-12-31 24", sizeof("9999-12-31 24"));
    if (range->from_us)
        tars_pg_write_time(range->from_us, bounds->from);
    if (range->to_us)
        tars_pg_write_time(range->to_us, bounds->to);
    tars_buf_init(&bounds->keys, KEYS_MAX);
    if (!visible || visible->all)
        return TARS_OK;
    tars_buf_append_char(&bounds->keys, '{');
    for (size_t i = 0; i < visible->count; i++) {
        if (i > 0)
            tars_buf_append_char(&bounds->keys, ',');
        put_key(&bounds->keys, visible->keys[i]);
    }
    tars_buf_append_char(&bounds->keys, '}');
    if (bounds->keys.status == TARS_OK)
        return TARS_OK;
    tars_buf_release(&bounds->keys);
    return tars_fail(TARS_ENOMEM, err, "no memory for the list of collections");
}

const char *pg_from(const struct pg_bounds *bounds)
{
    return bounds->from[0] ? bounds->from : "-infinity";
}

const char *pg_to(const struct pg_bounds *bounds)
{
    return strlen(bounds->to) > 13 ? bounds->to : "infinity";
}

struct tars_pg_query pg_ask(struct tars_pg_conn *conn, enum pg_sql sql,
                            const struct tars_analytics_range *range,
                            const struct pg_bounds *bounds)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    tars_pg_bind_text(&query, range->tenant);
    tars_pg_bind_text(&query, bounds->from);
    tars_pg_bind_text(&query, bounds->to);
    return query;
}

/* A connection and the range, for one statistic. */
struct reading {
    struct sink_postgres *postgres;
    struct pg_use use;
    struct pg_bounds bounds;
};

static tars_status begin(struct reading *reading, struct tars_analytics_sink *sink,
                         const struct tars_analytics_range *range, struct tars_err *err)
{
    tars_status status = pg_bounds_init(&reading->bounds, range, err);

    if (status != TARS_OK)
        return status;
    reading->postgres = pg_of(sink);
    status = pg_begin(reading->postgres, NULL, &reading->use, err);
    if (status != TARS_OK)
        tars_buf_release(&reading->bounds.keys);
    return status;
}

/* What a reader asks is never the fault of its values: a statistic that fails is away. */
static tars_status end(struct reading *reading, tars_status status)
{
    tars_buf_release(&reading->bounds.keys);
    if (status == TARS_EINVAL || status == TARS_ETIMEOUT)
        status = TARS_EUNAVAILABLE;
    return pg_end(reading->postgres, &reading->use, status);
}

/* ---------------------------------------------------------------- statistics */

static double mean(int64_t sum, int64_t count, double unit)
{
    return count ? (double)sum / (double)count / unit : 0;
}

tars_status pg_stats(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                     struct tars_query_stats *out, struct tars_err *err)
{
    struct tars_query_stats made = {0};
    struct reading reading;
    struct tars_pg_query query;
    tars_status status = begin(&reading, sink, range, err);

    if (status != TARS_OK)
        return status;
    query = pg_ask(reading.use.conn, PG_SQL_STATS, range, &reading.bounds);
    if (tars_pg_step(&query)) {
        made.total = tars_pg_int(&query);
        made.successful = tars_pg_int(&query);
        made.avg_retrieval_time_ms = mean(tars_pg_int(&query), made.total, 1e3);
        made.avg_generation_time_ms = mean(tars_pg_int(&query), made.total, 1e3);
        made.avg_total_time_ms = mean(tars_pg_int(&query), made.total, 1e3);
        made.avg_sources_count = mean(tars_pg_int(&query), made.total, 1);
        made.avg_relevance_score = mean(tars_pg_int(&query), made.total, 1e6);
        made.reranking = tars_pg_int(&query);
        made.hybrid_search = tars_pg_int(&query);
        made.query_expansion = tars_pg_int(&query);
    }
    status = end(&reading, tars_pg_end(&query, err));
    if (status == TARS_OK)
        *out = made;
    return status;
}

tars_status pg_popular(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       size_t top_n, struct tars_arena *arena, struct tars_popular_document **out,
                       size_t *count, struct tars_err *err)
{
    struct tars_popular_document *made = tars_arena_calloc(arena, top_n + 1, sizeof(*made));
    struct reading reading;
    struct tars_pg_query query;
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu documents", top_n);
    status = begin(&reading, sink, range, err);
    if (status != TARS_OK)
        return status;
    query = pg_ask(reading.use.conn, PG_SQL_POPULAR, range, &reading.bounds);
    tars_pg_bind_text(&query, reading.bounds.keys.ptr);
    tars_pg_bind_int(&query, (int64_t)top_n);
    while (n < top_n && tars_pg_step(&query)) {
        made[n].document_id = tars_pg_text(&query, arena);
        made[n].file_name = tars_pg_text(&query, arena);
        made[n].access_count = tars_pg_int(&query);
        made[n].last_accessed_us = tars_pg_int(&query);
        made[n].avg_relevance_score = mean(tars_pg_int(&query), made[n].access_count, 1e6);
        n++;
    }
    status = end(&reading, tars_pg_end(&query, err));
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}

tars_status pg_totals(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                      struct tars_analytics_totals *out, struct tars_err *err)
{
    struct tars_analytics_totals made = {0};
    struct reading reading;
    struct tars_pg_query query;
    tars_status status = begin(&reading, sink, range, err);

    if (status != TARS_OK)
        return status;
    query = pg_ask(reading.use.conn, PG_SQL_TOTALS, range, &reading.bounds);
    tars_pg_bind_text(&query, reading.bounds.keys.ptr);
    if (tars_pg_step(&query)) {
        made.queries = tars_pg_int(&query);
        made.errors = tars_pg_int(&query);
        made.documents = tars_pg_int(&query);
    }
    status = end(&reading, tars_pg_end(&query, err));
    if (status == TARS_OK)
        *out = made;
    return status;
}

/* ------------------------------------------------------------------ patterns */

static tars_status read_lengths(struct reading *reading, const struct tars_analytics_range *range,
                                struct tars_query_patterns *out, struct tars_err *err)
{
    struct tars_pg_query query = pg_ask(reading->use.conn, PG_SQL_LENGTHS, range, &reading->bounds);

    if (tars_pg_step(&query)) {
        int64_t texts;

        out->total = tars_pg_int(&query);
        texts = tars_pg_int(&query);
        out->avg_length = mean(tars_pg_int(&query), texts, 1);
        out->min_length = tars_pg_int(&query);
        out->max_length = tars_pg_int(&query);
    }
    return tars_pg_end(&query, err);
}

static tars_status read_hours(struct reading *reading, const struct tars_analytics_range *range,
                              struct tars_query_patterns *out, struct tars_err *err)
{
    struct tars_pg_query query = pg_ask(reading->use.conn, PG_SQL_HOURS, range, &reading->bounds);

    while (tars_pg_step(&query)) {
        int64_t hour = tars_pg_int(&query);

        if (hour >= 0 && hour < 24)
            out->by_hour[hour] += tars_pg_int(&query);
    }
    return tars_pg_end(&query, err);
}

/* By one of the statements of the commonest words. */
static tars_status read_words_by(struct reading *reading, enum pg_sql sql,
                                 const struct tars_analytics_range *range, struct tars_arena *arena,
                                 struct tars_query_patterns *out, struct tars_err *err)
{
    struct tars_pg_query query = pg_ask(reading->use.conn, sql, range, &reading->bounds);

    tars_pg_bind_text(&query, pg_spaces);
    tars_pg_bind_int(&query, TARS_ANALYTICS_WORDS_MAX);
    while (out->top_word_count < TARS_ANALYTICS_WORDS_MAX && tars_pg_step(&query)) {
        struct tars_word_count *word = &out->top_words[out->top_word_count++];

        word->word = tars_pg_text(&query, arena);
        word->count = tars_pg_int(&query);
    }
    return tars_pg_end(&query, err);
}

/* All are added up only where the leading ones of each span do not tell. */
static tars_status read_words(struct reading *reading, const struct tars_analytics_range *range,
                              struct tars_arena *arena, struct tars_query_patterns *out,
                              struct tars_err *err)
{
    bool is_icu = pg_needs_icu(reading->postgres);
    tars_status status = read_words_by(
        reading, is_icu ? PG_SQL_LEADING_WORDS_ICU : PG_SQL_LEADING_WORDS, range, arena, out, err);

    if (status != TARS_OK || out->top_word_count > 0)
        return status;
    return read_words_by(reading, is_icu ? PG_SQL_WORDS_ICU : PG_SQL_WORDS, range, arena, out, err);
}

tars_status pg_patterns(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                        struct tars_arena *arena, struct tars_query_patterns *out,
                        struct tars_err *err)
{
    struct tars_query_patterns made = {
        .top_words = tars_arena_calloc(arena, TARS_ANALYTICS_WORDS_MAX, sizeof(*made.top_words))};
    struct reading reading;
    tars_status status;

    if (!made.top_words)
        return tars_fail(TARS_ENOMEM, err, "no memory for the words");
    status = begin(&reading, sink, range, err);
    if (status != TARS_OK)
        return status;
    status = read_lengths(&reading, range, &made, err);
    if (status == TARS_OK)
        status = read_hours(&reading, range, &made, err);
    if (status == TARS_OK)
        status = read_words(&reading, range, arena, &made, err);
    status = end(&reading, status);
    if (status == TARS_OK)
        *out = made;
    return status;
}

/* ------------------------------------------------------------------- history */

void pg_read_sample(struct tars_pg_query *query, struct tars_system_row *row)
{
    row->cpu_usage_percent = tars_pg_real(query);
    row->memory_usage_percent = tars_pg_real(query);
    row->gpu_usage_percent = tars_pg_real(query);
    row->gpu_memory_usage_percent = tars_pg_real(query);
    row->cache_hit_rate = tars_pg_real(query);
    row->avg_query_time_ms = tars_pg_real(query);
    row->avg_retrieval_time_ms = tars_pg_real(query);
    row->avg_generation_time_ms = tars_pg_real(query);
    row->queries_per_minute = tars_pg_real(query);
    row->active_connections = tars_pg_int_or(query, -1);
    row->total_documents = tars_pg_int_or(query, -1);
    row->total_chunks = tars_pg_int_or(query, -1);
}

tars_status pg_history(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                       int64_t interval_s, struct tars_arena *arena, struct tars_system_row **out,
                       size_t *count, struct tars_err *err)
{
    struct tars_system_row *made = NULL;
    struct reading reading;
    struct tars_pg_query query;
    size_t n = 0;
    tars_status status = begin(&reading, sink, range, err);

    if (status != TARS_OK)
        return status;
    query = tars_pg_ask(reading.use.conn, PG_SQL_HISTORY);
    tars_pg_bind_text(&query, pg_from(&reading.bounds));
    tars_pg_bind_text(&query, pg_to(&reading.bounds));
    tars_pg_bind_int(&query, interval_s > 0 ? interval_s : 1);
    tars_pg_bind_int(&query, TARS_ANALYTICS_HISTORY_MAX);
    while (tars_pg_step(&query) && status == TARS_OK) {
        if (n == 0)
            made = tars_arena_calloc(arena, tars_pg_rows(&query), sizeof(*made));
        if (!made) {
            status = tars_fail(TARS_ENOMEM, err, "no memory for a history");
            break;
        }
        made[n].time_us = tars_pg_int(&query) * US_PER_S;
        pg_read_sample(&query, &made[n++]);
    }
    status = status == TARS_OK ? tars_pg_end(&query, err) : (tars_pg_drop(&query), status);
    status = end(&reading, status);
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}
