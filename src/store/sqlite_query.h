/* sqlite_query - a statement under way on a sqlite_conn: bind in order, step, read columns in
 * order, end. Sticky: after a failure the rest does nothing, and _end() tells. What is bound
 * outlives it.
 */
#ifndef TARS_STORE_SQLITE_QUERY_H
#define TARS_STORE_SQLITE_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "store/sqlite_conn.h"

/* sqlite3's SQLITE_STATIC without its cast: the bytes outlive the statement. */
#define TARS_SQLITE_LENT ((sqlite3_destructor_type)0)

struct tars_sqlite_query {
    struct tars_sqlite_conn *conn;
    sqlite3_stmt *stmt;
    int bound;  /* parameters so far */
    int column; /* next one to be read */
    int rc;
    bool no_memory; /* of an arena */
};

/* sql: which of the texts of the connection's kind. */
struct tars_sqlite_query tars_sqlite_ask(struct tars_sqlite_conn *conn, size_t sql);
void tars_sqlite_bind_int(struct tars_sqlite_query *query, int64_t value);
void tars_sqlite_bind_real(struct tars_sqlite_query *query, double value); /* NaN: NULL */
void tars_sqlite_bind_null(struct tars_sqlite_query *query);
void tars_sqlite_bind_text(struct tars_sqlite_query *query, const char *text); /* NULL: "" */
void tars_sqlite_bind_text_n(struct tars_sqlite_query *query, const char *text, size_t len);
void tars_sqlite_bind_text_or_null(struct tars_sqlite_query *query, const char *text);
void tars_sqlite_bind_blob(struct tars_sqlite_query *query, const void *ptr, size_t len);

/* True when there is a row. */
bool tars_sqlite_step(struct tars_sqlite_query *query);
int64_t tars_sqlite_int(struct tars_sqlite_query *query); /* 0 for NULL */
int64_t tars_sqlite_int_or(struct tars_sqlite_query *query, int64_t otherwise);
double tars_sqlite_real(struct tars_sqlite_query *query); /* NaN for NULL */
/* Into the arena, never NULL. */
const char *tars_sqlite_text(struct tars_sqlite_query *query, struct tars_arena *arena,
                             size_t *len);
/* Into the arena; NULL for NULL. */
const char *tars_sqlite_text_or_null(struct tars_sqlite_query *query, struct tars_arena *arena);
void tars_sqlite_text_into(struct tars_sqlite_query *query, char *out, size_t size);
/* Into the arena; NULL when empty. */
const void *tars_sqlite_blob(struct tars_sqlite_query *query, struct tars_arena *arena,
                             size_t *len);

/* Ready the statement for its next use; the first failure since _ask(). */
TARS_MUST_USE tars_status tars_sqlite_end(struct tars_sqlite_query *query, struct tars_err *err);
/* Step a statement that gives no rows, and end it. */
TARS_MUST_USE tars_status tars_sqlite_run(struct tars_sqlite_query *query, struct tars_err *err);
/* Run a statement that changes at least one row; TARS_ENOTFOUND with "there is no <what>" if none.
 */
TARS_MUST_USE tars_status tars_sqlite_change(struct tars_sqlite_query *query, const char *what,
                                             struct tars_err *err);

/* An array in an arena that grows by the rows of a query. */
struct tars_sqlite_rows {
    struct tars_sqlite_query query; /* to bind, read and end */
    struct tars_arena *arena;
    void *items; /* (count,) */
    size_t count, cap;
};

struct tars_sqlite_rows tars_sqlite_ask_rows(struct tars_sqlite_conn *conn, size_t sql,
                                             struct tars_arena *arena);
/* Step; room of this size for the row, zeroed. NULL at the end, or without memory. */
void *tars_sqlite_next_row(struct tars_sqlite_rows *rows, size_t size);

#endif
