/* sink_sqlite_pages - rows as they are kept, a page at a time. */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "analytics/sink_sqlite_internal.h"

/* ------------------------------------------------------------- rows of a table */

void sink_read_sample(struct tars_sqlite_query *query, struct tars_system_row *row)
{
    row->cpu_usage_percent = tars_sqlite_real(query);
    row->memory_usage_percent = tars_sqlite_real(query);
    row->gpu_usage_percent = tars_sqlite_real(query);
    row->gpu_memory_usage_percent = tars_sqlite_real(query);
    row->cache_hit_rate = tars_sqlite_real(query);
    row->avg_query_time_ms = tars_sqlite_real(query);
    row->avg_retrieval_time_ms = tars_sqlite_real(query);
    row->avg_generation_time_ms = tars_sqlite_real(query);
    row->queries_per_minute = tars_sqlite_real(query);
    row->active_connections = tars_sqlite_int_or(query, -1);
    row->total_documents = tars_sqlite_int_or(query, -1);
    row->total_chunks = tars_sqlite_int_or(query, -1);
}

static void read_query(struct tars_sqlite_query *query, struct tars_arena *arena,
                       struct tars_logged_query *out)
{
    struct tars_query_row *row = &out->row;
    bool success;

    out->id = tars_sqlite_int(query);
    row->time_us = sink_time(query);
    row->client_id = tars_sqlite_text_or_null(query, arena);
    row->query_text = tars_sqlite_text_or_null(query, arena);
    out->query_length = tars_sqlite_int(query);
    row->retrieval_time_ms = tars_sqlite_real(query);
    row->generation_time_ms = tars_sqlite_real(query);
    row->total_time_ms = tars_sqlite_real(query);
    out->sources_count = tars_sqlite_int(query);
    out->avg_relevance_score = tars_sqlite_real(query);
    out->max_relevance_score = tars_sqlite_real(query);
    row->model_used = tars_sqlite_text_or_null(query, arena);
    row->tokens_generated = (int)tars_sqlite_int(query);
    row->used_reranking = tars_sqlite_int(query) != 0;
    row->used_hybrid_search = tars_sqlite_int(query) != 0;
    row->used_query_expansion = tars_sqlite_int(query) != 0;
    row->expansion_count = (int)tars_sqlite_int(query);
    success = tars_sqlite_int(query) != 0;
    row->error_message = tars_sqlite_text_or_null(query, arena);
    row->tenant = tars_sqlite_text_or_null(query, arena);
    out->query_id = tars_sqlite_text_or_null(query, arena);
    row->request_id = tars_sqlite_text_or_null(query, arena);
    row->conversation_id = tars_sqlite_text_or_null(query, arena);
    if (isnan(out->avg_relevance_score))
        out->avg_relevance_score = 0;
    if (isnan(out->max_relevance_score))
        out->max_relevance_score = 0;
    if (!success && !row->error_message)
        row->error_message = "";
}

static void read_access(struct tars_sqlite_query *query, struct tars_arena *arena,
                        struct tars_logged_access *out)
{
    out->id = tars_sqlite_int(query);
    out->time_us = sink_time(query);
    out->query_id = tars_sqlite_int(query);
    out->row.document_id = tars_sqlite_text_or_null(query, arena);
    out->row.file_name = tars_sqlite_text_or_null(query, arena);
    out->row.chunk_id = tars_sqlite_text_or_null(query, arena);
    out->row.relevance_score = tars_sqlite_real(query);
    out->row.rank = (int)tars_sqlite_int(query);
    out->tenant = tars_sqlite_text_or_null(query, arena);
    out->row.collection = tars_sqlite_text_or_null(query, arena);
}

static void read_error(struct tars_sqlite_query *query, struct tars_arena *arena,
                       struct tars_logged_error *out)
{
    struct tars_error_row *row = &out->row;
    struct tars_logged_query *asked;

    out->id = tars_sqlite_int(query);
    row->time_us = sink_time(query);
    row->error_type = tars_sqlite_text_or_null(query, arena);
    row->error_message = tars_sqlite_text_or_null(query, arena);
    row->service = tars_sqlite_text_or_null(query, arena);
    row->operation = tars_sqlite_text_or_null(query, arena);
    row->client_id = tars_sqlite_text_or_null(query, arena);
    row->severity = tars_sqlite_text_or_null(query, arena);
    row->tenant = tars_sqlite_text_or_null(query, arena);
    row->request_id = tars_sqlite_text_or_null(query, arena);
    if (sqlite3_column_type(query->stmt, query->column) == SQLITE_NULL)
        return;
    asked = tars_arena_calloc(arena, 1, sizeof(*asked));
    if (asked) {
        read_query(query, arena, asked);
    } else {
        query->no_memory = true;
    }
    out->query = asked;
}

static void read_row(struct tars_sqlite_query *query, enum tars_analytics_table table,
                     struct tars_arena *arena, struct tars_logged *out)
{
    out->table = table;
    switch (table) {
    case TARS_TABLE_QUERIES:
        read_query(query, arena, &out->as.query);
        break;
    case TARS_TABLE_ACCESSES:
        read_access(query, arena, &out->as.access);
        break;
    case TARS_TABLE_ERRORS:
        read_error(query, arena, &out->as.error);
        break;
    case TARS_TABLE_SYSTEM:
        out->as.system.id = tars_sqlite_int(query);
        out->as.system.row.time_us = sink_time(query);
        sink_read_sample(query, &out->as.system.row);
        break;
    }
}

/* ----------------------------------------------------------------------- pages */

static enum sink_sql statement_of(const struct tars_analytics_wanted *wanted)
{
    /* By table, then whether of one request, then whether newest first. */
    static const enum sink_sql sql[4][2][2] = {
        [TARS_TABLE_QUERIES] = {{SINK_SQL_QUERIES_UP, SINK_SQL_QUERIES_DOWN},
                                {SINK_SQL_QUERIES_OF_UP, SINK_SQL_QUERIES_OF_DOWN}},
        [TARS_TABLE_ACCESSES] = {{SINK_SQL_ACCESSES_UP, SINK_SQL_ACCESSES_DOWN},
                                 {SINK_SQL_ACCESSES_UP, SINK_SQL_ACCESSES_DOWN}},
        [TARS_TABLE_ERRORS] = {{SINK_SQL_ERRORS_UP, SINK_SQL_ERRORS_DOWN},
                               {SINK_SQL_ERRORS_OF_UP, SINK_SQL_ERRORS_OF_DOWN}},
        [TARS_TABLE_SYSTEM] = {{SINK_SQL_SYSTEM_UP, SINK_SQL_SYSTEM_DOWN},
                               {SINK_SQL_SYSTEM_UP, SINK_SQL_SYSTEM_DOWN}},
    };

    return sql[wanted->table][wanted->request_id != NULL][wanted->newest_first];
}

/* The page before narrows the range, so that the index finds where to go on. */
static struct tars_analytics_range narrowed(const struct tars_analytics_wanted *wanted)
{
    struct tars_analytics_range range = *wanted->range;
    int64_t time_us = wanted->after.time_us;

    if (wanted->after.id == 0)
        return range;
    if (wanted->newest_first && (range.to_us == 0 || time_us < range.to_us))
        range.to_us = time_us ? time_us : -1;
    if (!wanted->newest_first && (range.from_us == 0 || time_us > range.from_us))
        range.from_us = time_us;
    return range;
}

static void bind_page(struct tars_sqlite_query *query, const struct tars_analytics_wanted *wanted,
                      const struct sink_bounds *bounds, const char *ended)
{
    tars_sqlite_bind_text_or_null(query, ended);
    tars_sqlite_bind_int(query, wanted->after.id);
    tars_sqlite_bind_int(query, (int64_t)wanted->max);
    if (wanted->table == TARS_TABLE_ACCESSES)
        tars_sqlite_bind_text_or_null(query, bounds->keys.ptr);
    if (wanted->table == TARS_TABLE_QUERIES && wanted->request_id)
        tars_sqlite_bind_text_or_null(query, wanted->request_id);
    if (wanted->table == TARS_TABLE_ERRORS) {
        tars_sqlite_bind_text_or_null(query, wanted->request_id);
        tars_sqlite_bind_int(query, wanted->with_query);
    }
}

tars_status sink_read(struct tars_analytics_sink *sink, const struct tars_analytics_wanted *wanted,
                      struct tars_arena *arena, struct tars_logged **out, size_t *count,
                      struct tars_err *err)
{
    struct tars_logged *made = tars_arena_calloc(arena, wanted->max + 1, sizeof(*made));
    const struct tars_analytics_range range = narrowed(wanted);
    struct sink_bounds bounds;
    struct tars_sqlite_query query;
    char ended[SINK_TIME_BYTES] = "";
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu rows", wanted->max);
    status = sink_init_bounds(&bounds, &range, err);
    if (status != TARS_OK)
        return status;
    if (wanted->after.id)
        sink_write_time(wanted->after.time_us, ended);
    query = sink_begin(sink_of(sink), statement_of(wanted), &range, &bounds);
    bind_page(&query, wanted, &bounds, ended);
    while (n < wanted->max && tars_sqlite_step(&query))
        read_row(&query, wanted->table, arena, &made[n++]);
    status = sink_end(sink_of(sink), &query, err);
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}
