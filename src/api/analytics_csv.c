/* analytics_csv - see analytics_csv.h. Each list of fields is expanded three times. */
#include "api/analytics_csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/sys/clock.h"

#define ID_BYTES 32

/* X(kind, "name", value): TEXT, INT, COUNT (below 0: null), MS (2 decimals), SCORE (4 decimals),
 * FLAG; numbers that are not known are null */
#define QUERY_FIELDS(X)                                              \
    X(TEXT, "query_id", id)                                          \
    X(TEXT, "timestamp", time)                                       \
    X(TEXT, "client_id", query->row.client_id)                       \
    X(TEXT, "query_text", query->row.query_text)                     \
    X(INT, "query_length", query->query_length)                      \
    X(MS, "retrieval_time_ms", query->row.retrieval_time_ms)         \
    X(MS, "generation_time_ms", query->row.generation_time_ms)       \
    X(MS, "total_time_ms", query->row.total_time_ms)                 \
    X(INT, "sources_count", query->sources_count)                    \
    X(SCORE, "avg_relevance_score", query->avg_relevance_score)      \
    X(SCORE, "max_relevance_score", query->max_relevance_score)      \
    X(TEXT, "model_used", query->row.model_used)                     \
    X(INT, "tokens_generated", query->row.tokens_generated)          \
    X(FLAG, "used_reranking", query->row.used_reranking)             \
    X(FLAG, "used_hybrid_search", query->row.used_hybrid_search)     \
    X(FLAG, "used_query_expansion", query->row.used_query_expansion) \
    X(INT, "expansion_count", query->row.expansion_count)            \
    X(FLAG, "success", query->row.error_message == NULL)             \
    X(TEXT, "error_message", query->row.error_message)

#define ACCESS_FIELDS(X)                                     \
    X(INT, "id", access->id)                                 \
    X(TEXT, "timestamp", time)                               \
    X(INT, "query_id", access->query_id)                     \
    X(TEXT, "document_id", access->row.document_id)          \
    X(TEXT, "file_name", access->row.file_name)              \
    X(TEXT, "chunk_id", access->row.chunk_id)                \
    X(SCORE, "relevance_score", access->row.relevance_score) \
    X(INT, "rank", access->row.rank)                         \
    X(TEXT, "collection", access->row.collection)            \
    X(TEXT, "tenant", access->tenant)

#define ERROR_FIELDS(X)                                \
    X(INT, "id", error->id)                            \
    X(TEXT, "timestamp", time)                         \
    X(TEXT, "error_type", error->row.error_type)       \
    X(TEXT, "error_message", error->row.error_message) \
    X(TEXT, "service", error->row.service)             \
    X(TEXT, "operation", error->row.operation)         \
    X(TEXT, "client_id", error->row.client_id)         \
    X(TEXT, "severity", error->row.severity)           \
    X(TEXT, "request_id", error->row.request_id)       \
    X(TEXT, "tenant", error->row.tenant)

#define SYSTEM_FIELDS(X)                                                    \
    X(INT, "id", system->id)                                                \
    X(TEXT, "timestamp", time)                                              \
    X(MS, "cpu_usage_percent", system->row.cpu_usage_percent)               \
    X(MS, "memory_usage_percent", system->row.memory_usage_percent)         \
    X(MS, "gpu_usage_percent", system->row.gpu_usage_percent)               \
    X(MS, "gpu_memory_usage_percent", system->row.gpu_memory_usage_percent) \
    X(MS, "cache_hit_rate", system->row.cache_hit_rate)                     \
    X(MS, "avg_query_time_ms", system->row.avg_query_time_ms)               \
    X(MS, "avg_retrieval_time_ms", system->row.avg_retrieval_time_ms)       \
    X(MS, "avg_generation_time_ms", system->row.avg_generation_time_ms)     \
    X(MS, "queries_per_minute", system->row.queries_per_minute)             \
    X(COUNT, "active_connections", system->row.active_connections)          \
    X(COUNT, "total_documents", system->row.total_documents)                \
    X(COUNT, "total_chunks", system->row.total_chunks)

/* The contract's id is of the millisecond; rows that were imported keep theirs. */
static const char *id_of(const struct tars_logged_query *query, char *made)
{
    if (query->query_id)
        return query->query_id;
    (void)snprintf(made, ID_BYTES, "q_%lld", (long long)(query->row.time_us / 1000));
    return made;
}

/* ---------------------------------------------------------------------- CSV */

static void csv_text(struct tars_buf *out, const char *text)
{
    if (!text)
        return;
    if (!strpbrk(text, ",\"\r\n")) {
        tars_buf_append_text(out, text);
        return;
    }
    tars_buf_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            tars_buf_append_char(out, '"');
        tars_buf_append_char(out, *text);
    }
    tars_buf_append_char(out, '"');
}

static void csv_fixed(struct tars_buf *out, double value, int places)
{
    struct tars_json json;

    if (!isfinite(value))
        return;
    tars_json_init(&json, out);
    tars_json_fixed(&json, NULL, value, places);
}

static void csv_count(struct tars_buf *out, int64_t value)
{
    if (value >= 0)
        tars_buf_append_uint(out, (uint64_t)value);
}

#define CSV_TEXT(value)  csv_text(out, value)
#define CSV_INT(value)   tars_buf_appendf(out, "%lld", (long long)(value))
#define CSV_COUNT(value) csv_count(out, value)
#define CSV_MS(value)    csv_fixed(out, value, 2)
#define CSV_SCORE(value) csv_fixed(out, value, 4)
#define CSV_FLAG(value)  tars_buf_append_text(out, (value) ? "True" : "False")

#define NAME(kind, name, value)       \
    tars_buf_append_text(out, comma); \
    tars_buf_append_text(out, name);  \
    comma = ",";
#define CSV(kind, name, value)        \
    tars_buf_append_text(out, comma); \
    CSV_##kind(value);                \
    comma = ",";

void tars_analytics_csv_names(struct tars_buf *out, enum tars_analytics_table table)
{
    const char *comma = "";

    switch (table) {
    case TARS_TABLE_QUERIES:
        QUERY_FIELDS(NAME)
        break;
    case TARS_TABLE_ACCESSES:
        ACCESS_FIELDS(NAME)
        break;
    case TARS_TABLE_ERRORS:
        ERROR_FIELDS(NAME)
        break;
    case TARS_TABLE_SYSTEM:
        SYSTEM_FIELDS(NAME)
        break;
    }
    tars_buf_append_text(out, "\r\n");
}

static void csv_query(struct tars_buf *out, const struct tars_logged_query *query, const char *time)
{
    char made[ID_BYTES];
    const char *id = id_of(query, made);
    const char *comma = "";

    QUERY_FIELDS(CSV)
}

static void csv_access(struct tars_buf *out, const struct tars_logged_access *access,
                       const char *time)
{
    const char *comma = "";

    ACCESS_FIELDS(CSV)
}

static void csv_error(struct tars_buf *out, const struct tars_logged_error *error, const char *time)
{
    const char *comma = "";

    ERROR_FIELDS(CSV)
}

static void csv_system(struct tars_buf *out, const struct tars_logged_system *system,
                       const char *time)
{
    const char *comma = "";

    SYSTEM_FIELDS(CSV)
}

void tars_analytics_csv(struct tars_buf *out, const struct tars_logged *row)
{
    char time[TARS_ISO8601_BYTES];

    tars_clock_iso8601(tars_analytics_end_of(row).time_us, time);
    switch (row->table) {
    case TARS_TABLE_QUERIES:
        csv_query(out, &row->as.query, time);
        break;
    case TARS_TABLE_ACCESSES:
        csv_access(out, &row->as.access, time);
        break;
    case TARS_TABLE_ERRORS:
        csv_error(out, &row->as.error, time);
        break;
    case TARS_TABLE_SYSTEM:
        csv_system(out, &row->as.system, time);
        break;
    }
    tars_buf_append_text(out, "\r\n");
}

/* --------------------------------------------------------------------- JSON */

static void json_count(struct tars_json *json, const char *name, int64_t value)
{
    if (value >= 0) {
        tars_json_int(json, name, value);
    } else {
        tars_json_null(json, name);
    }
}

static void json_fixed(struct tars_json *json, const char *name, double value, int places)
{
    if (isfinite(value)) {
        tars_json_fixed(json, name, value, places);
    } else {
        tars_json_null(json, name);
    }
}

#define JSON_TEXT(name, value)  tars_json_text(json, name, value)
#define JSON_INT(name, value)   tars_json_int(json, name, value)
#define JSON_COUNT(name, value) json_count(json, name, value)
#define JSON_MS(name, value)    json_fixed(json, name, value, 2)
#define JSON_SCORE(name, value) json_fixed(json, name, value, 4)
#define JSON_FLAG(name, value)  tars_json_bool(json, name, value)

#define JSON(kind, name, value) JSON_##kind(name, value);

static void json_query(struct tars_json *json, const struct tars_logged_query *query,
                       const char *time)
{
    char made[ID_BYTES];
    const char *id = id_of(query, made);

    QUERY_FIELDS(JSON)
}

static void json_access(struct tars_json *json, const struct tars_logged_access *access,
                        const char *time)
{
    ACCESS_FIELDS(JSON)
}

static void json_error(struct tars_json *json, const struct tars_logged_error *error,
                       const char *time)
{
    ERROR_FIELDS(JSON)
}

static void json_system(struct tars_json *json, const struct tars_logged_system *system,
                        const char *time)
{
    SYSTEM_FIELDS(JSON)
}

void tars_analytics_json(struct tars_json *json, const struct tars_logged *row)
{
    char time[TARS_ISO8601_BYTES];

    tars_clock_iso8601(tars_analytics_end_of(row).time_us, time);
    tars_json_object(json, NULL);
    switch (row->table) {
    case TARS_TABLE_QUERIES:
        json_query(json, &row->as.query, time);
        break;
    case TARS_TABLE_ACCESSES:
        json_access(json, &row->as.access, time);
        break;
    case TARS_TABLE_ERRORS:
        json_error(json, &row->as.error, time);
        break;
    case TARS_TABLE_SYSTEM:
        json_system(json, &row->as.system, time);
        break;
    }
    tars_json_end(json);
}
