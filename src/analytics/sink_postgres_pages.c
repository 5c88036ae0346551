/* sink_postgres_pages - rows as they are kept, a page at a time. */
#include <math.h>
#include <string.h>

#include "analytics/sink_postgres_internal.h"

/* ---------------------------------------------------------- rows of a table */

static void read_query(struct tars_pg_query *query, struct tars_arena *arena,
                       struct tars_logged_query *out)
{
    struct tars_query_row *row = &out->row;
    bool success;

    out->id = tars_pg_int(query);
    row->time_us = tars_pg_int(query);
    row->client_id = tars_pg_text(query, arena);
    row->query_text = tars_pg_text(query, arena);
    out->query_length = tars_pg_int(query);
    row->retrieval_time_ms = tars_pg_real(query);
    row->generation_time_ms = tars_pg_real(query);
    row->total_time_ms = tars_pg_real(query);
    out->sources_count = tars_pg_int(query);
    out->avg_relevance_score = tars_pg_real(query);
    out->max_relevance_score = tars_pg_real(query);
    row->model_used = tars_pg_text(query, arena);
    row->tokens_generated = (int)tars_pg_int(query);
    row->used_reranking = tars_pg_int(query) != 0;
    row->used_hybrid_search = tars_pg_int(query) != 0;
    row->used_query_expansion = tars_pg_int(query) != 0;
    row->expansion_count = (int)tars_pg_int(query);
    success = tars_pg_int(query) != 0;
    row->error_message = tars_pg_text(query, arena);
    row->tenant = tars_pg_text(query, arena);
    out->query_id = tars_pg_text(query, arena);
    row->request_id = tars_pg_text(query, arena);
    row->conversation_id = tars_pg_text(query, arena);
    row->used_history = tars_pg_int(query) != 0;
    if (isnan(out->avg_relevance_score))
        out->avg_relevance_score = 0;
    if (isnan(out->max_relevance_score))
        out->max_relevance_score = 0;
    if (!success && !row->error_message)
        row->error_message = "";
}

static void read_access(struct tars_pg_query *query, struct tars_arena *arena,
                        struct tars_logged_access *out)
{
    out->id = tars_pg_int(query);
    out->time_us = tars_pg_int(query);
    out->query_id = tars_pg_int(query);
    out->row.document_id = tars_pg_text(query, arena);
    out->row.file_name = tars_pg_text(query, arena);
    out->row.chunk_id = tars_pg_text(query, arena);
    out->row.relevance_score = tars_pg_real(query);
    out->row.rank = (int)tars_pg_int(query);
    out->tenant = tars_pg_text(query, arena);
    out->row.collection = tars_pg_text(query, arena);
}

static void read_error(struct tars_pg_query *query, struct tars_arena *arena,
                       struct tars_logged_error *out)
{
    struct tars_error_row *row = &out->row;
    struct tars_logged_query *asked;

    out->id = tars_pg_int(query);
    row->time_us = tars_pg_int(query);
    row->error_type = tars_pg_text(query, arena);
    row->error_message = tars_pg_text(query, arena);
    row->service = tars_pg_text(query, arena);
    row->operation = tars_pg_text(query, arena);
    row->client_id = tars_pg_text(query, arena);
    row->severity = tars_pg_text(query, arena);
    row->tenant = tars_pg_text(query, arena);
    row->request_id = tars_pg_text(query, arena);
    if (tars_pg_is_null(query))
        return;
    asked = tars_arena_calloc(arena, 1, sizeof(*asked));
    if (asked) {
        read_query(query, arena, asked);
    } else {
        query->status = tars_fail(TARS_ENOMEM, &query->why, "no memory for rows");
    }
    out->query = asked;
}

static void read_row(struct tars_pg_query *query, enum tars_analytics_table table,
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
        out->as.system.id = tars_pg_int(query);
        out->as.system.row.time_us = tars_pg_int(query);
        pg_read_sample(query, &out->as.system.row);
        break;
    }
}

/* -------------------------------------------------------------------- pages */

static enum pg_sql statement_of(const struct tars_analytics_wanted *wanted)
{
    /* By table, then whether of one request, then whether newest first. */
    static const enum pg_sql sql[4][2][2] = {
        [TARS_TABLE_QUERIES] = {{PG_SQL_QUERIES_UP, PG_SQL_QUERIES_DOWN},
                                {PG_SQL_QUERIES_OF_UP, PG_SQL_QUERIES_OF_DOWN}},
        [TARS_TABLE_ACCESSES] = {{PG_SQL_ACCESSES_UP, PG_SQL_ACCESSES_DOWN},
                                 {PG_SQL_ACCESSES_UP, PG_SQL_ACCESSES_DOWN}},
        [TARS_TABLE_ERRORS] = {{PG_SQL_ERRORS_UP, PG_SQL_ERRORS_DOWN},
                               {PG_SQL_ERRORS_OF_UP, PG_SQL_ERRORS_OF_DOWN}},
        [TARS_TABLE_SYSTEM] = {{PG_SQL_SYSTEM_UP, PG_SQL_SYSTEM_DOWN},
                               {PG_SQL_SYSTEM_UP, PG_SQL_SYSTEM_DOWN}},
    };

    return sql[wanted->table][wanted->request_id != NULL][wanted->newest_first];
}

static void bind_page(struct tars_pg_query *query, const struct tars_analytics_wanted *wanted,
                      const struct pg_bounds *bounds, const char *ended)
{
    tars_pg_bind_text(query, ended);
    tars_pg_bind_int(query, wanted->after.id);
    tars_pg_bind_int(query, (int64_t)wanted->max);
    if (wanted->table == TARS_TABLE_ACCESSES)
        tars_pg_bind_text(query, bounds->keys.ptr);
    if (wanted->table == TARS_TABLE_QUERIES && wanted->request_id)
        tars_pg_bind_text(query, wanted->request_id);
    if (wanted->table == TARS_TABLE_ERRORS) {
        tars_pg_bind_text(query, wanted->request_id);
        tars_pg_bind_int(query, wanted->with_query);
    }
}

/* The page, into rows, which has room for max of them; how many, in *count. */
static tars_status read_page(struct tars_pg_conn *conn, const struct tars_analytics_wanted *wanted,
                             const struct pg_bounds *bounds, struct tars_arena *arena,
                             struct tars_logged *rows, size_t *count, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, statement_of(wanted));
    char ended[TARS_PG_TIME_BYTES] = "-infinity";
    size_t n = 0;

    if (wanted->newest_first)
        (void)memcpy(ended, "infinity", sizeof("infinity"));
    if (wanted->after.id)
        tars_pg_write_time(wanted->after.time_us, ended);
    tars_pg_bind_text(&query, wanted->range->tenant);
    tars_pg_bind_text(&query, pg_from(bounds));
    tars_pg_bind_text(&query, pg_to(bounds));
    bind_page(&query, wanted, bounds, ended);
    while (n < wanted->max && tars_pg_step(&query))
        read_row(&query, wanted->table, arena, &rows[n++]);
    *count = n;
    return tars_pg_end(&query, err);
}

tars_status pg_read(struct tars_analytics_sink *sink, const struct tars_analytics_wanted *wanted,
                    struct tars_arena *arena, struct tars_logged **out, size_t *count,
                    struct tars_err *err)
{
    struct tars_logged *made = tars_arena_calloc(arena, wanted->max + 1, sizeof(*made));
    struct pg_bounds bounds;
    struct pg_use use;
    size_t n = 0;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu rows", wanted->max);
    status = pg_bounds_init(&bounds, wanted->range, err);
    if (status != TARS_OK)
        return status;
    status = pg_begin(pg_of(sink), NULL, &use, err);
    if (status == TARS_OK) {
        status = read_page(use.conn, wanted, &bounds, arena, made, &n, err);
        status = pg_end(pg_of(sink), &use, status == TARS_EINVAL ? TARS_EUNAVAILABLE : status);
    }
    tars_buf_release(&bounds.keys);
    if (status == TARS_OK) {
        *out = made;
        *count = n;
    }
    return status;
}
