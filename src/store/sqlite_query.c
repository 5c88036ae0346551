/* sqlite_query - see sqlite_query.h for the contract. */
#include "store/sqlite_query.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct tars_sqlite_query tars_sqlite_ask(struct tars_sqlite_conn *conn, size_t sql)
{
    struct tars_sqlite_query query = {.conn = conn};

    if (!conn->statements[sql]) {
        query.rc = sqlite3_prepare_v3(conn->db, conn->kind->texts[sql], -1,
                                      SQLITE_PREPARE_PERSISTENT, &conn->statements[sql], NULL);
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

void tars_sqlite_bind_null(struct tars_sqlite_query *query)
{
    if (!query->rc)
        query->rc = sqlite3_bind_null(query->stmt, ++query->bound);
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
    } else {
        tars_sqlite_bind_null(query);
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

int64_t tars_sqlite_int_or(struct tars_sqlite_query *query, int64_t otherwise)
{
    bool is_null = sqlite3_column_type(query->stmt, query->column) == SQLITE_NULL;
    int64_t value = tars_sqlite_int(query);

    return is_null ? otherwise : value;
}

double tars_sqlite_real(struct tars_sqlite_query *query)
{
    int column = query->column++;

    return sqlite3_column_type(query->stmt, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(query->stmt, column);
}

const char *tars_sqlite_text(struct tars_sqlite_query *query, struct tars_arena *arena, size_t *len)
{
    int column = query->column++;
    const char *text = (const char *)sqlite3_column_text(query->stmt, column);
    size_t bytes = (size_t)sqlite3_column_bytes(query->stmt, column);
    const char *copy;

    if (len)
        *len = text ? bytes : 0;
    if (!text && sqlite3_errcode(query->conn->db) == SQLITE_NOMEM)
        query->no_memory = true;
    if (!text || bytes == 0)
        return "";
    copy = tars_arena_strndup(arena, text, bytes);
    if (copy)
        return copy;
    query->no_memory = true;
    return "";
}

const char *tars_sqlite_text_or_null(struct tars_sqlite_query *query, struct tars_arena *arena)
{
    if (sqlite3_column_type(query->stmt, query->column) != SQLITE_NULL)
        return tars_sqlite_text(query, arena, NULL);
    query->column++;
    return NULL;
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
    bool went_well = query->rc == SQLITE_OK || query->rc == SQLITE_ROW || query->rc == SQLITE_DONE;
    tars_status status = TARS_OK;

    if (!went_well) {
        status = tars_sqlite_fail(query->conn, query->rc, err);
    } else if (query->no_memory) {
        status =
            tars_fail(TARS_ENOMEM, err, "no memory for rows of the %s", query->conn->kind->name);
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

struct tars_sqlite_rows tars_sqlite_ask_rows(struct tars_sqlite_conn *conn, size_t sql,
                                             struct tars_arena *arena)
{
    return (struct tars_sqlite_rows){.query = tars_sqlite_ask(conn, sql), .arena = arena};
}

void *tars_sqlite_next_row(struct tars_sqlite_rows *rows, size_t size)
{
    char *row;

    if (!tars_sqlite_step(&rows->query))
        return NULL;
    if (tars_arena_grow(rows->arena, &rows->items, &rows->cap, rows->count + 1, size)) {
        rows->query.no_memory = true;
        return NULL;
    }
    row = (char *)rows->items + rows->count++ * size;
    memset(row, 0, size);
    return row;
}
