/* postgres_conn - one connection to PostgreSQL on which no wait is without a bound.
 *
 * libpq in its non-blocking mode: connecting, sending and reading go through poll() with a
 * deadline, so a server that hangs, or a network that is gone, costs a known time. What is asked is
 * a constant of a list of texts, prepared once a connection, with values as parameters.
 *
 *     struct tars_pg_query query = tars_pg_ask(conn, SQL_STATS);
 *     tars_pg_bind_text(&query, tenant);
 *     while (tars_pg_step(&query))
 *         n = tars_pg_int(&query);
 *     status = tars_pg_end(&query, err);
 *
 * Statuses  TARS_EINVAL: the values can never be taken (a bad encoding, a broken constraint).
 *           TARS_ETIMEOUT: no answer in time, or the statement was stopped for its time.
 *           TARS_EUNAVAILABLE: all else.
 *           After a lost connection is_broken is set and everything fails at once.
 * Times     Sessions are in UTC. statement_timeout_ms is the server's; the client waits timeout_ms
 *           longer. Names are resolved by the C library before the deadline begins to count.
 * Poolers   With is_pooled nothing is left in a session: statements have no name and are sent anew
 *           each time, and nothing is set at the start, not even a time limit of the server's. So a
 *           pooler that lends its connections for a transaction (pgbouncer) may be in between.
 * Threads   Not safe to share.
 */
#ifndef TARS_STORE_POSTGRES_CONN_H
#define TARS_STORE_POSTGRES_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"

struct pg_conn;   /* libpq's PGconn */
struct pg_result; /* libpq's PGresult */

#define TARS_PG_PARAMETERS_MAX 24
#define TARS_PG_NUMBER_BYTES   32
#define TARS_PG_TIME_BYTES     40 /* "YYYY-MM-DD HH:MM:SS.ffffff" */

struct tars_pg_config {
    const char *host; /* name, address, or folder of a socket; several, with commas */
    uint16_t port;
    const char *database, *user, *password;
    const char *sslmode;                        /* libpq's; NULL or "": prefer */
    const char *sslrootcert, *sslcert, *sslkey; /* files; NULL or "": libpq's */
    const char *application;                    /* application_name */
    int64_t timeout_ms;                         /* to connect; 0: 5,000 */
    int64_t statement_timeout_ms;               /* of one statement; 0: no bound but an hour */
    bool is_pooled;                             /* see Poolers */
    bool reuses_plans;                          /* those that serve any values as well */
    const char *const *texts;                   /* (text_count,) statements */
    size_t text_count;
};

struct tars_pg_conn {
    struct pg_conn *pg;
    const struct tars_pg_config *config; /* lent */
    const atomic_bool *is_given_up;      /* waits end when it is set; or NULL. Lent */
    const atomic_bool *stop;             /* likewise (ECANCELED); who borrows it may set it */
    bool *is_prepared;                   /* (text_count,) owned */
    int64_t opened_ms, used_ms;          /* monotonic; used: last heard of */
    int64_t wait_ms;                     /* for an answer; who borrows it may set it */
    char state[6];                       /* SQLSTATE of the last refusal; "" */
    struct tars_err why;                 /* of is_broken */
    bool is_broken;
    bool is_refused; /* not opened: somebody was there, and did not take it. Else nobody was reached
                      */
    bool is_let_go;  /* broken since its borrower did not wait: that says nothing of the server. Set
                        by who borrowed it */
};

/* Connect, within timeout_ms. Its words are libpq's: who was asked, and why not. EUNAVAILABLE,
 * ETIMEOUT, ENOMEM. */
TARS_MUST_USE tars_status tars_pg_open(struct tars_pg_conn *conn,
                                       const struct tars_pg_config *config,
                                       const atomic_bool *is_given_up, struct tars_err *err);
void tars_pg_close(struct tars_pg_conn *conn);
/* For its next user: wait_ms and state as at first. */
void tars_pg_reset(struct tars_pg_conn *conn);
/* Costs a system call: is the socket still whole? */
bool tars_pg_is_whole(struct tars_pg_conn *conn);
/* A round trip, within wait_ms. */
TARS_MUST_USE tars_status tars_pg_ping(struct tars_pg_conn *conn, int64_t wait_ms,
                                       struct tars_err *err);
/* No transaction is open and nothing is under way. */
bool tars_pg_is_idle(const struct tars_pg_conn *conn);
/* 150020 for 15.20. */
int tars_pg_server_version(const struct tars_pg_conn *conn);
/* A setting that the server reports ("server_encoding"); "" when it does not. */
const char *tars_pg_reported(const struct tars_pg_conn *conn, const char *name);

/* One or more statements without values and without rows. */
TARS_MUST_USE tars_status tars_pg_exec(struct tars_pg_conn *conn, const char *sql,
                                       struct tars_err *err);
/* End a transaction: COMMIT when status is TARS_OK, else ROLLBACK. Returns the first failure; when
 * the answer to COMMIT is lost, it is not known whether it was done. */
TARS_MUST_USE tars_status tars_pg_conclude(struct tars_pg_conn *conn, tars_status status,
                                           struct tars_err *err);

/* sql: statements, of which the i-th COPY ... FROM STDIN takes the i-th of data. */
struct tars_pg_copy {
    const char *ptr;
    size_t len;
};
TARS_MUST_USE tars_status tars_pg_copy(struct tars_pg_conn *conn, const char *sql,
                                       const struct tars_pg_copy *data, size_t count,
                                       struct tars_err *err);

struct tars_pg_query {
    struct tars_pg_conn *conn;
    const char *values[TARS_PG_PARAMETERS_MAX]; /* lent, or numbers */
    char numbers[TARS_PG_PARAMETERS_MAX][TARS_PG_NUMBER_BYTES];
    int lengths[TARS_PG_PARAMETERS_MAX]; /* bytes, of those that are bytes */
    int formats[TARS_PG_PARAMETERS_MAX]; /* 1: bytes, 0: text */
    size_t sql;
    int bound;
    bool is_binary;           /* rows come as bytes; set before the first step */
    struct pg_result *result; /* after the first step */
    int row, column;
    tars_status status;
    struct tars_err why;
};

/* sql: which of the texts. Texts that are bound outlive the query. */
struct tars_pg_query tars_pg_ask(struct tars_pg_conn *conn, size_t sql);
void tars_pg_bind_text(struct tars_pg_query *query, const char *text); /* NULL: NULL */
void tars_pg_bind_int(struct tars_pg_query *query, int64_t value);
/* bytea. ptr may be NULL when len is 0. */
void tars_pg_bind_bytes(struct tars_pg_query *query, const void *ptr, size_t len);
void tars_pg_bind_real(struct tars_pg_query *query, double value); /* NaN: NULL */

/* Run it, the first time; true when there is a row. */
bool tars_pg_step(struct tars_pg_query *query);
int64_t tars_pg_int(struct tars_pg_query *query); /* 0 for NULL; booleans are 0 and 1 */
/* Columns of integers, booleans, texts and bytes may be read from rows that come as bytes, others
 * only from rows that come as texts. */
int64_t tars_pg_int_or(struct tars_pg_query *query, int64_t otherwise);
double tars_pg_real(struct tars_pg_query *query); /* NaN for NULL */
/* Into the arena; NULL for NULL. */
const char *tars_pg_text(struct tars_pg_query *query, struct tars_arena *arena);
/* Likewise with its bytes, which may have a NUL among them. */
const char *tars_pg_text_n(struct tars_pg_query *query, struct tars_arena *arena, size_t *len);
/* Into the arena, of a column of bytes in rows that come as bytes; NULL when empty or NULL. */
const void *tars_pg_bytes(struct tars_pg_query *query, struct tars_arena *arena, size_t *len);
/* Lent until the next step; NULL for NULL. */
const char *tars_pg_peek(struct tars_pg_query *query);
/* Make it fail with TARS_ENOMEM. */
void tars_pg_lack_memory(struct tars_pg_query *query);
bool tars_pg_is_null(const struct tars_pg_query *query); /* the next column */
/* Rows changed by a statement that was stepped. */
int64_t tars_pg_changed(const struct tars_pg_query *query);
size_t tars_pg_rows(const struct tars_pg_query *query);
TARS_MUST_USE tars_status tars_pg_end(struct tars_pg_query *query, struct tars_err *err);
/* End it, whatever became of it: another failure came first. */
void tars_pg_drop(struct tars_pg_query *query);
/* Step a statement that gives no rows, and end it. changed may be NULL. */
TARS_MUST_USE tars_status tars_pg_run(struct tars_pg_query *query, int64_t *changed,
                                      struct tars_err *err);

/* UTC; out has TARS_PG_TIME_BYTES. Years outside 1 to 9999 are cut to them. */
void tars_pg_write_time(int64_t time_us, char *out);

#endif
