/* postgres_query - what a store asks of a postgres_conn beside rows for statistics: texts that are
 * never NULL, rows into an array, changes that must be made. Sticky as there: after a failure the
 * rest does nothing, and the end tells.
 */
#ifndef TARS_STORE_POSTGRES_QUERY_H
#define TARS_STORE_POSTGRES_QUERY_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "store/postgres_conn.h"

/* NULL: "". */
void tars_pg_bind_word(struct tars_pg_query *query, const char *text);
/* Into the arena, never NULL. len may be NULL. */
const char *tars_pg_word(struct tars_pg_query *query, struct tars_arena *arena, size_t *len);
/* "" for NULL; cut to size. */
void tars_pg_word_into(struct tars_pg_query *query, char *out, size_t size);

/* Was the last refusal of the connection that a name is taken? */
bool tars_pg_is_taken(const struct tars_pg_conn *conn);
/* Run a statement that gives no rows, or rows that nobody reads. TARS_EEXIST: a name is taken. */
TARS_MUST_USE tars_status tars_pg_do(struct tars_pg_query *query, struct tars_err *err);
/* Likewise one that changes at least one row; TARS_ENOTFOUND with "there is no <what>" if none. */
TARS_MUST_USE tars_status tars_pg_change(struct tars_pg_query *query, const char *what,
                                         struct tars_err *err);
/* Likewise one that returns a number for the row: into *id. */
TARS_MUST_USE tars_status tars_pg_change_id(struct tars_pg_query *query, const char *what,
                                            int64_t *id, struct tars_err *err);

/* An array in an arena that grows by the rows of a query. */
struct tars_pg_rows {
    struct tars_pg_query query; /* to bind, read and end */
    struct tars_arena *arena;
    void *items; /* (count,) */
    size_t count, cap;
};

struct tars_pg_rows tars_pg_ask_rows(struct tars_pg_conn *conn, size_t sql,
                                     struct tars_arena *arena);
/* Step; room of this size for the row, zeroed. NULL at the end, or without memory. */
void *tars_pg_next_row(struct tars_pg_rows *rows, size_t size);

#endif
