/* sink_postgres_rows - rows as COPY takes them: a line a row, tabs between values, \N for NULL. */
#include <math.h>
#include <string.h>

#include "analytics/sink_postgres_internal.h"
#include "analytics/row_json.h"
#include "base/crypto/digest.h"
#include "text/normalize.h"

#define JSON_MAX ((size_t)64 << 10)

/* Longest texts, in characters, as the columns have it. */
#define HASH_CHARS     64
#define CLIENT_CHARS   255
#define MODEL_CHARS    100
#define DOCUMENT_CHARS 255
#define FILE_CHARS     512
#define TYPE_CHARS     255
#define SERVICE_CHARS  100
#define SEVERITY_CHARS 20
#define TENANT_CHARS   64

void pg_rows_init(struct pg_rows *rows)
{
    tars_buf_init(&rows->queries, PG_ROWS_MAX);
    tars_buf_init(&rows->accesses, PG_ROWS_MAX);
    tars_buf_init(&rows->errors, PG_ROWS_MAX);
    tars_buf_init(&rows->samples, PG_ROWS_MAX);
    tars_buf_init(&rows->json, JSON_MAX);
}

void pg_rows_release(struct pg_rows *rows)
{
    tars_buf_release(&rows->json);
    tars_buf_release(&rows->samples);
    tars_buf_release(&rows->errors);
    tars_buf_release(&rows->accesses);
    tars_buf_release(&rows->queries);
}

tars_status pg_rows_status(const struct pg_rows *rows)
{
    const struct tars_buf *const bufs[] = {&rows->queries, &rows->accesses, &rows->errors,
                                           &rows->samples};

    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        if (bufs[i]->status != TARS_OK)
            return bufs[i]->status;
    }
    return TARS_OK;
}

/* ------------------------------------------------------------------- values */

static const char *escape_of(char c)
{
    switch (c) {
    case '\\':
        return "\\\\";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    default:
        return NULL;
    }
}

/* At most chars characters (0: all). Plain runs go as they are. */
static void put_text(struct tars_buf *out, const char *text, size_t chars)
{
    const char *end = text + strlen(text);
    const char *run = text;
    size_t count = 0;

    while (text < end && (chars == 0 || count < chars)) {
        const char *escape = escape_of(*text);
        uint32_t code = 0;
        size_t n = 1;

        if ((unsigned char)*text >= 0x80)
            n = tars_utf8_decode(text, (size_t)(end - text), &code);
        if (code == TARS_CHAR_REPLACEMENT)
            escape = "\xef\xbf\xbd";
        if (escape) {
            tars_buf_append(out, run, (size_t)(text - run));
            tars_buf_append_text(out, escape);
            run = text + n;
        }
        text += n;
        count++;
    }
    tars_buf_append(out, run, (size_t)(text - run));
}

static void text(struct tars_buf *out, const char *value, size_t chars)
{
    if (value) {
        put_text(out, value, chars);
    } else {
        tars_buf_append_text(out, "\\N");
    }
    tars_buf_append_char(out, '\t');
}

static void integer(struct tars_buf *out, int64_t value)
{
    tars_buf_appendf(out, "%lld\t", (long long)value);
}

/* NaN and infinity: NULL. */
static void real(struct tars_buf *out, double value)
{
    if (isfinite(value)) {
        tars_buf_appendf(out, "%.17g\t", value);
    } else {
        text(out, NULL, 0);
    }
}

static void boolean(struct tars_buf *out, bool value)
{
    tars_buf_append(out, value ? "t\t" : "f\t", 2);
}

static void moment(struct tars_buf *out, int64_t time_us)
{
    char time[TARS_PG_TIME_BYTES];

    tars_pg_write_time(time_us, time);
    text(out, time, 0);
}

/* What was written last ends its line, not in a tab. */
static void end_line(struct tars_buf *out)
{
    if (out->status == TARS_OK)
        out->ptr[out->len - 1] = '\n';
}

static double known(double value)
{
    return isfinite(value) ? value : 0;
}

/* The JSON that was made, into its column. */
static void put_json(struct tars_buf *out, struct tars_buf *json)
{
    if (json->status != TARS_OK) {
        out->status = json->status;
    } else {
        text(out, json->ptr, 0);
    }
    tars_buf_clear(json);
}

/* --------------------------------------------------------------------- rows */

static void add_access(struct pg_rows *rows, const struct tars_query_row *row,
                       const struct tars_access_row *access, int64_t query_id)
{
    struct tars_buf *out = &rows->accesses;

    moment(out, row->time_us);
    integer(out, query_id);
    text(out, access->document_id ? access->document_id : "", DOCUMENT_CHARS);
    text(out, access->file_name ? access->file_name : "", FILE_CHARS);
    text(out, access->chunk_id, DOCUMENT_CHARS);
    real(out, known(access->relevance_score));
    integer(out, access->rank);
    text(out, row->tenant, TENANT_CHARS);
    text(out, access->collection, DOCUMENT_CHARS);
    end_line(out);
}

static tars_status add_query(struct pg_rows *rows, const struct tars_query_row *row, int64_t id)
{
    struct tars_buf *out = &rows->queries;
    char hash[TARS_SHA256_HEX_BYTES];
    struct tars_row_relevance relevance;
    tars_status status = tars_sha256_hex(row->query_text, strlen(row->query_text), hash);

    if (status != TARS_OK)
        return status;
    integer(out, id);
    moment(out, row->time_us);
    text(out, row->query_text, 0);
    text(out, hash, HASH_CHARS);
    text(out, row->client_id, CLIENT_CHARS);
    real(out, known(row->retrieval_time_ms));
    real(out, known(row->generation_time_ms));
    real(out, known(row->total_time_ms));
    integer(out, (int64_t)row->access_count);
    relevance = tars_row_scores(row, &rows->json);
    put_json(out, &rows->json);
    real(out, relevance.mean);
    text(out, row->model_used, MODEL_CHARS);
    integer(out, row->tokens_generated);
    integer(out, row->expansion_count);
    boolean(out, row->used_reranking);
    boolean(out, row->used_hybrid_search);
    boolean(out, row->used_query_expansion);
    boolean(out, row->error_message == NULL);
    text(out, row->error_message, 0);
    tars_row_query_metadata(row, relevance.greatest, &rows->json);
    put_json(out, &rows->json);
    text(out, row->tenant, TENANT_CHARS);
    end_line(out);
    for (size_t i = 0; i < row->access_count; i++)
        add_access(rows, row, &row->accesses[i], id);
    return TARS_OK;
}

static void add_error(struct pg_rows *rows, const struct tars_error_row *row)
{
    struct tars_buf *out = &rows->errors;

    moment(out, row->time_us);
    text(out, row->error_type, TYPE_CHARS);
    text(out, row->error_message, 0);
    text(out, row->service, SERVICE_CHARS);
    text(out, row->operation, SERVICE_CHARS);
    text(out, row->client_id, CLIENT_CHARS);
    text(out, row->severity, SEVERITY_CHARS);
    tars_row_error_metadata(row, &rows->json);
    put_json(out, &rows->json);
    text(out, row->tenant, TENANT_CHARS);
    end_line(out);
}

/* Below 0: not known. */
static void count(struct tars_buf *out, int64_t value)
{
    if (value < 0) {
        text(out, NULL, 0);
    } else {
        integer(out, value);
    }
}

static void add_sample(struct pg_rows *rows, const struct tars_system_row *row)
{
    struct tars_buf *out = &rows->samples;

    moment(out, row->time_us);
    real(out, row->cpu_usage_percent);
    real(out, row->memory_usage_percent);
    real(out, row->gpu_usage_percent);
    real(out, row->gpu_memory_usage_percent);
    real(out, row->cache_hit_rate);
    real(out, row->avg_query_time_ms);
    real(out, row->avg_retrieval_time_ms);
    real(out, row->avg_generation_time_ms);
    real(out, row->queries_per_minute);
    count(out, row->active_connections);
    count(out, row->total_documents);
    count(out, row->total_chunks);
    end_line(out);
}

tars_status pg_rows_add(struct pg_rows *rows, const struct tars_row *row, int64_t id,
                        struct tars_err *err)
{
    tars_status status = TARS_OK;

    switch (row->kind) {
    case TARS_ROW_QUERY:
        status = add_query(rows, &row->as.query, id);
        break;
    case TARS_ROW_ERROR:
        add_error(rows, &row->as.error);
        break;
    case TARS_ROW_SYSTEM:
        add_sample(rows, &row->as.system);
        break;
    default:
        return tars_fail(TARS_EINVAL, err, "a row of analytics of no known kind");
    }
    return status == TARS_OK ? status : tars_fail(status, err, "a row cannot be digested");
}
