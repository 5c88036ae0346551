/* store_sqlite_query - statements, sticky: bind, step, read, and look for a failure once. */
#include <string.h>

#include "store/store_sqlite_internal.h"

static const char *const texts[] = {
#define SQL(name, text) text,
#include "store/store_sqlite_sql.def"
#undef SQL
};

static tars_status status_of(int rc)
{
    if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
        return TARS_EEXIST;
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return TARS_OK;
    case SQLITE_NOMEM:
        return TARS_ENOMEM;
    case SQLITE_TOOBIG:
        return TARS_ETOOBIG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TARS_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return TARS_EFORMAT;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return TARS_EDENIED;
    case SQLITE_INTERRUPT:
        return TARS_ECANCELED;
    case SQLITE_CONSTRAINT:
        return TARS_EINVAL;
    default:
        return TARS_EIO;
    }
}

static const char *remedy_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ": the disk is full; free some space";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ": the file is damaged; restore a backup or ingest again into an empty data folder";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return ": check the rights of the data folder";
    default:
        return "";
    }
}

tars_status tars_sqlite_fail(struct tars_sqlite_conn *conn, int rc, struct tars_err *err)
{
    const char *path = conn->db ? sqlite3_db_filename(conn->db, "main") : NULL;
    const char *words = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);

    return tars_fail(status_of(rc), err, "store %s: %s%s", path ? path : "", words, remedy_of(rc));
}

tars_status tars_sqlite_exec(struct tars_sqlite_conn *conn, const char *sql, struct tars_err *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? TARS_OK : tars_sqlite_fail(conn, rc, err);
}

struct tars_sqlite_query tars_sqlite_ask(struct tars_sqlite_conn *conn, enum tars_sql sql)
{
    struct tars_sqlite_query query = {.conn = conn};

    if (!conn->statements[sql]) {
        query.rc = sqlite3_prepare_v3(conn->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
                                      &conn->statements[sql], NULL);
    }
    query.stmt = conn->statements[sql];
    return query;
}

void tars_sqlite_bind_int(struct tars_sqlite_query *query, int64_t value)
{
    if (!query->rc)
        query->rc = sqlite3_bind_int64(query->stmt, ++query->bound, value);
}

void tars_sqlite_bind_real(struct tars_sqlite_query *query, double value)
{
    if (!query->rc)
        query->rc = sqlite3_bind_double(query->stmt, ++query->bound, value);
}

void tars_sqlite_bind_text_n(struct tars_sqlite_query *query, const char *text, size_t len)
{
    if (!query->rc) {
        query->rc = sqlite3_bind_text64(query->stmt, ++query->bound, text ? text : "", len,
                                        TARS_SQLITE_LENT, SQLITE_UTF8);
    }
}

void tars_sqlite_bind_text(struct tars_sqlite_query *query, const char *text)
{
    tars_sqlite_bind_text_n(query, text, text ? strlen(text) : 0);
}

void tars_sqlite_bind_text_or_null(struct tars_sqlite_query *query, const char *text)
{
    if (text) {
        tars_sqlite_bind_text(query, text);
    } else if (!query->rc) {
        query->rc = sqlite3_bind_null(query->stmt, ++query->bound);
    }
}

void tars_sqlite_bind_blob(struct tars_sqlite_query *query, const void *ptr, size_t len)
{
    if (!query->rc) {
        query->rc =
            sqlite3_bind_blob64(query->stmt, ++query->bound, ptr ? ptr : "", len, TARS_SQLITE_LENT);
    }
}

bool tars_sqlite_step(struct tars_sqlite_query *query)
{
    if (query->no_memory || (query->rc != SQLITE_OK && query->rc != SQLITE_ROW))
        return false;
    query->rc = sqlite3_step(query->stmt);
    query->column = 0;
    return query->rc == SQLITE_ROW;
}

int64_t tars_sqlite_int(struct tars_sqlite_query *query)
{
    return sqlite3_column_int64(query->stmt, query->column++);
}

double tars_sqlite_real(struct tars_sqlite_query *query)
{
    return sqlite3_column_double(query->stmt, query->column++);
}

const char *tars_sqlite_text(struct tars_sqlite_query *query, struct tars_arena *arena, size_t *len)
{
    int column = query->column++;
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);
    size_t bytes = (size_t)sqlite3_column_bytes(query->stmt, column);
    const char *copy;

    if (len)
        *len = text ? bytes : 0;
    if (!text || bytes == 0)
        return "";
    copy = tars_arena_strndup(arena, text, bytes);
    if (copy)
        return copy;
    query->no_memory = true;
    return "";
}

void tars_sqlite_text_into(struct tars_sqlite_query *query, char *out, size_t size)
{
    int column = query->column++;
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);

    (void)snprintf(out, size, "%s", text ? text : "");
}

const void *tars_sqlite_blob(struct tars_sqlite_query *query, struct tars_arena *arena, size_t *len)
{
    int column = query->column++;
    const void *bytes = sqlite3_column_blob(query->stmt, column);
    void *copy;

    *len = (size_t)sqlite3_column_bytes(query->stmt, column);
    if (!bytes || *len == 0)
        return NULL;
    copy = tars_arena_alloc(arena, *len);
    if (copy) {
        memcpy(copy, bytes, *len);
    } else {
        query->no_memory = true;
    }
    return copy;
}

tars_status tars_sqlite_end(struct tars_sqlite_query *query, struct tars_err *err)
{
    tars_status status = status_of(query->rc);

    if (status) {
        status = tars_sqlite_fail(query->conn, query->rc, err);
    } else if (query->no_memory) {
        status = tars_fail(TARS_ENOMEM, err, "no memory for what the store has to tell");
    }
    if (query->stmt) {
        (void)sqlite3_reset(query->stmt);
        (void)sqlite3_clear_bindings(query->stmt);
    }
    return status;
}

tars_status tars_sqlite_run(struct tars_sqlite_query *query, struct tars_err *err)
{
    while (tars_sqlite_step(query))
        continue;
    return tars_sqlite_end(query, err);
}

tars_status tars_sqlite_change(struct tars_sqlite_query *query, const char *what,
                               struct tars_err *err)
{
    tars_status status = tars_sqlite_run(query, err);

    if (!status && sqlite3_changes(query->conn->db) == 0)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no %s", what);
    return status;
}
