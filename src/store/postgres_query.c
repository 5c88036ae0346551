/* postgres_query - see postgres_query.h for the contract. */
#include "store/postgres_query.h"

#include <stdio.h>
#include <string.h>

#define UNIQUE_VIOLATION "23505"

void tars_pg_bind_word(struct tars_pg_query *query, const char *text)
{
    tars_pg_bind_text(query, text ? text : "");
}

const char *tars_pg_word(struct tars_pg_query *query, struct tars_arena *arena, size_t *len)
{
    size_t bytes = 0;
    const char *text = tars_pg_text_n(query, arena, &bytes);

    if (len)
        *len = bytes;
    return text ? text : "";
}

void tars_pg_word_into(struct tars_pg_query *query, char *out, size_t size)
{
    const char *text = tars_pg_peek(query);

    (void)snprintf(out, size, "%s", text ? text : "");
}

bool tars_pg_is_taken(const struct tars_pg_conn *conn)
{
    return strcmp(conn->state, UNIQUE_VIOLATION) == 0;
}

/* A name that is taken gets a status of its own; the words are the caller's. */
static tars_status taken(const struct tars_pg_query *query, tars_status status)
{
    return status == TARS_EINVAL && tars_pg_is_taken(query->conn) ? TARS_EEXIST : status;
}

tars_status tars_pg_do(struct tars_pg_query *query, struct tars_err *err)
{
    return taken(query, tars_pg_run(query, NULL, err));
}

tars_status tars_pg_change(struct tars_pg_query *query, const char *what, struct tars_err *err)
{
    int64_t changed = 0;
    tars_status status = taken(query, tars_pg_run(query, &changed, err));

    if (!status && changed == 0)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no %s", what);
    return status;
}

tars_status tars_pg_change_id(struct tars_pg_query *query, const char *what, int64_t *id,
                              struct tars_err *err)
{
    bool found = tars_pg_step(query);
    tars_status status;

    if (found)
        *id = tars_pg_int(query);
    status = taken(query, tars_pg_end(query, err));
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no %s", what);
    return status;
}

struct tars_pg_rows tars_pg_ask_rows(struct tars_pg_conn *conn, size_t sql,
                                     struct tars_arena *arena)
{
    return (struct tars_pg_rows){.query = tars_pg_ask(conn, sql), .arena = arena};
}

void *tars_pg_next_row(struct tars_pg_rows *rows, size_t size)
{
    char *row;

    if (!tars_pg_step(&rows->query))
        return NULL;
    if (tars_arena_grow(rows->arena, &rows->items, &rows->cap, rows->count + 1, size)) {
        tars_pg_lack_memory(&rows->query);
        return NULL;
    }
    row = (char *)rows->items + rows->count++ * size;
    memset(row, 0, size);
    return row;
}
