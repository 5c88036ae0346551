/* analytics_csv - see analytics_csv.h. The list of fields is expanded three times. */
#include "api/analytics_csv.h"

#include <stdio.h>
#include <string.h>

#include "base/sys/clock.h"

#define ID_BYTES 32

/* X(kind, "name", value): TEXT, INT, MS (2 decimals), SCORE (4 decimals), FLAG */
#define FIELDS(X)                                                    \
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

    tars_json_init(&json, out);
    tars_json_fixed(&json, NULL, value, places);
}

#define CSV_TEXT(value)  csv_text(out, value)
#define CSV_INT(value)   tars_buf_appendf(out, "%lld", (long long)(value))
#define CSV_MS(value)    csv_fixed(out, value, 2)
#define CSV_SCORE(value) csv_fixed(out, value, 4)
#define CSV_FLAG(value)  tars_buf_append_text(out, (value) ? "True" : "False")

void tars_analytics_csv_header(struct tars_buf *out)
{
    const char *comma = "";

#define X(kind, name, value)          \
    tars_buf_append_text(out, comma); \
    tars_buf_append_text(out, name);  \
    comma = ",";
    FIELDS(X)
#undef X
    tars_buf_append_text(out, "\r\n");
}

void tars_analytics_csv_row(struct tars_buf *out, const struct tars_logged_query *query)
{
    char time[TARS_ISO8601_BYTES];
    char made[ID_BYTES];
    const char *id = id_of(query, made);
    const char *comma = "";

    tars_clock_iso8601(query->row.time_us, time);
#define X(kind, name, value)          \
    tars_buf_append_text(out, comma); \
    CSV_##kind(value);                \
    comma = ",";
    FIELDS(X)
#undef X
    tars_buf_append_text(out, "\r\n");
}

/* --------------------------------------------------------------------- JSON */

#define JSON_TEXT(name, value)  tars_json_text(json, name, value)
#define JSON_INT(name, value)   tars_json_int(json, name, value)
#define JSON_MS(name, value)    tars_json_fixed(json, name, value, 2)
#define JSON_SCORE(name, value) tars_json_fixed(json, name, value, 4)
#define JSON_FLAG(name, value)  tars_json_bool(json, name, value)

void tars_analytics_json_row(struct tars_json *json, const struct tars_logged_query *query)
{
    char time[TARS_ISO8601_BYTES];
    char made[ID_BYTES];
    const char *id = id_of(query, made);

    tars_clock_iso8601(query->row.time_us, time);
    tars_json_object(json, NULL);
#define X(kind, name, value) JSON_##kind(name, value);
    FIELDS(X)
#undef X
    tars_json_end(json);
}
