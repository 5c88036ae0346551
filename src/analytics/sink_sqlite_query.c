/* sink_sqlite_query - statements, sticky: bind, step, read, and look for a failure once. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "analytics/sink_sqlite_internal.h"
#include "base/codec/json_write.h"
#include "text/normalize.h"

#define LENT      ((sqlite3_destructor_type)0) /* sqlite3's SQLITE_STATIC without its cast */
#define WORDS_MAX ((size_t)1 << 20)
#define US_PER_S  INT64_C(1000000)

static const char *const texts[] = {
#define SQL(name, text) text,
#include "analytics/sink_sqlite_sql.def"
#undef SQL
};

static tars_status status_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return TARS_OK;
    case SQLITE_NOMEM:
        return TARS_ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TARS_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return TARS_EUNAVAILABLE;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return TARS_EDENIED;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
        return TARS_EINVAL;
    default:
        return TARS_EIO;
    }
}

tars_status sink_fail(const struct sink_conn *conn, int rc, struct tars_err *err)
{
    const char *path = conn->db ? sqlite3_db_filename(conn->db, "main") : NULL;
    const char *words = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);

    return tars_fail(status_of(rc), err, "analytics %s: %s%s", path ? path : "", words,
                     (rc & 0xff) == SQLITE_FULL ? ": the disk is full; free some space" : "");
}

tars_status sink_exec(struct sink_conn *conn, const char *sql, struct tars_err *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? TARS_OK : sink_fail(conn, rc, err);
}

struct sink_query sink_ask(struct sink_conn *conn, enum sink_sql sql)
{
    struct sink_query query = {.conn = conn};

    if (!conn->statements[sql]) {
        query.rc = sqlite3_prepare_v3(conn->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                      &conn->statements[sql], NULL);
    }
    query.stmt = conn->statements[sql];
    return query;
}

void sink_bind_int(struct sink_query *query, int64_t value)
{
    if (!query->rc)
        query->rc = sqlite3_bind_int64(query->stmt, ++query->bound, value);
}

void sink_bind_int_or_null(struct sink_query *query, int64_t value)
{
    if (value < 0) {
        sink_bind_text(query, NULL);
    } else {
        sink_bind_int(query, value);
    }
}

void sink_bind_real(struct sink_query *query, double value)
{
    /* SQLite itself makes NULL of a NaN. */
    if (!query->rc)
        query->rc = sqlite3_bind_double(query->stmt, ++query->bound, value);
}

void sink_bind_text(struct sink_query *query, const char *text)
{
    if (!query->rc) {
        query->rc = text ? sqlite3_bind_text64(query->stmt, ++query->bound, text, strlen(text),
                                               LENT, SQLITE_UTF8)
                         : sqlite3_bind_null(query->stmt, ++query->bound);
    }
}

bool sink_step(struct sink_query *query)
{
    if (query->no_memory || (query->rc != SQLITE_OK && query->rc != SQLITE_ROW))
        return false;
    query->rc = sqlite3_step(query->stmt);
    query->column = 0;
    return query->rc == SQLITE_ROW;
}

int64_t sink_int(struct sink_query *query)
{
    return sink_int_or(query, 0);
}

int64_t sink_int_or(struct sink_query *query, int64_t otherwise)
{
    int column = query->column++;

    return sqlite3_column_type(query->stmt, column) == SQLITE_NULL
               ? otherwise
               : sqlite3_column_int64(query->stmt, column);
}

double sink_real(struct sink_query *query)
{
    int column = query->column++;

    return sqlite3_column_type(query->stmt, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(query->stmt, column);
}

const char *sink_text(struct sink_query *query, struct tars_arena *arena)
{
    int column = query->column++;
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);
    const char *copy;

    if (!text) {
        query->no_memory = sqlite3_column_type(query->stmt, column) != SQLITE_NULL;
        return NULL;
    }
    copy = tars_arena_strdup(arena, text);
    query->no_memory = query->no_memory || !copy;
    return copy;
}

tars_status sink_end(struct sink_query *query, struct tars_err *err)
{
    tars_status status = status_of(query->rc);

    if (status) {
        status = sink_fail(query->conn, query->rc, err);
    } else if (query->no_memory) {
        status = tars_fail(TARS_ENOMEM, err, "no memory for what analytics have to tell");
    }
    if (query->stmt) {
        (void)sqlite3_reset(query->stmt);
        (void)sqlite3_clear_bindings(query->stmt);
    }
    return status;
}

tars_status sink_run(struct sink_query *query, struct tars_err *err)
{
    while (sink_step(query))
        continue;
    return sink_end(query, err);
}

/* --------------------------------------------------------------------- time */

void sink_write_time(int64_t time_us, char *out)
{
    int64_t us = time_us % US_PER_S;
    time_t seconds = (time_t)(time_us / US_PER_S);
    struct tm tm = {0};

    if (us < 0) {
        us += US_PER_S;
        seconds--;
    }
    (void)gmtime_r(&seconds, &tm);
    (void)snprintf(out, SINK_TIME_BYTES, "%04d-%02d-%02d %02d:%02d:%02d.%06d", tm.tm_year + 1900,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
}

/* The number in n digits; whatever else stands there counts as 0. */
static int digits(const char *text, size_t n)
{
    int value = 0;

    for (size_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

int64_t sink_time(struct sink_query *query)
{
    const char *text = (const char *)sqlite3_column_text(query->stmt, query->column++);
    struct tm tm = {0};
    int us = 0;

    if (!text || strlen(text) < 19)
        return 0;
    tm.tm_year = digits(text, 4) - 1900;
    tm.tm_mon = digits(text + 5, 2) - 1;
    tm.tm_mday = digits(text + 8, 2);
    tm.tm_hour = digits(text + 11, 2);
    tm.tm_min = digits(text + 14, 2);
    tm.tm_sec = digits(text + 17, 2);
    if (strlen(text) >= 26)
        us = digits(text + 20, 6);
    return (int64_t)timegm(&tm) * US_PER_S + us;
}

/* -------------------------------------------------------------------- words */

/* Up to the next white space: lower-cased into word, which has room for three bytes a byte. */
static size_t take_word(const char **at, const char *end, char *word)
{
    size_t len = 0;

    while (*at < end) {
        uint32_t code;
        size_t n = tars_utf8_decode(*at, (size_t)(end - *at), &code);

        if (tars_char_is_space(code)) {
            *at += n;
            if (len > 0)
                break;
            continue;
        }
        *at += n;
        len += tars_utf8_encode(tars_char_lower(code), word + len);
    }
    return len;
}

void sink_words(sqlite3_context *context, int count, sqlite3_value **values)
{
    const char *text = (const char *)sqlite3_value_text(values[0]);
    size_t bytes = (size_t)sqlite3_value_bytes(values[0]);
    char *word = sqlite3_malloc64(bytes * TARS_UTF8_MAX + 1);
    const char *end = text ? text + bytes : NULL;
    struct tars_json json;
    struct tars_buf out;
    size_t len;

    (void)count;
    tars_buf_init(&out, WORDS_MAX);
    tars_json_init(&json, &out);
    tars_json_array(&json, NULL);
    while (word && text && (len = take_word(&text, end, word)) > 0)
        tars_json_text_n(&json, NULL, word, len);
    tars_json_end(&json);
    if (!word || out.status == TARS_ENOMEM) {
        sqlite3_result_error_nomem(context);
    } else if (out.status != TARS_OK) {
        sqlite3_result_text(context, "[]", 2, LENT);
    } else {
        sqlite3_result_text64(context, out.ptr, out.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    tars_buf_release(&out);
    sqlite3_free(word);
}
