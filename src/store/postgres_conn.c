/* postgres_conn - see postgres_conn.h for the contract. */
#include "store/postgres_conn.h"

#include <assert.h>
#include <errno.h>
#include <libpq-fe.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"

#define TIMEOUT_MS   5000
#define SLICE_MS     200     /* how soon a wait notices that it is given up */
#define BYE_MS       10      /* between a server's last words and its end */
#define HOUR_MS      3600000 /* of a statement without a bound */
#define CANCELS_MAX  8       /* that connect at a time */
#define COPY_BYTES   ((size_t)64 << 10)
#define OPTIONS_MAX  320
#define US_PER_S     INT64_C(1000000)
#define YEAR_1_US    (-INT64_C(62135596800) * US_PER_S)
#define YEAR_9999_US (INT64_C(253402300799) * US_PER_S)

/* ------------------------------------------------------------------- faults */

/* libpq's words are lines, and the last ends with a line feed. */
static void one_line(const char *from, char *to, size_t size)
{
    size_t n = 0;

    for (; *from && n + 1 < size; from++) {
        char c = *from;

        if (c == '\n' || c == '\t')
            c = ' ';
        if (c != ' ' || (n > 0 && to[n - 1] != ' '))
            to[n++] = c;
    }
    while (n > 0 && to[n - 1] == ' ')
        n--;
    to[n] = '\0';
}

static tars_status lose(struct tars_pg_conn *conn, const char *words, struct tars_err *err)
{
    char line[TARS_ERR_TEXT_MAX];

    conn->is_broken = true;
    one_line(words ? words : PQerrorMessage(conn->pg), line, sizeof(line));
    (void)tars_fail(TARS_EUNAVAILABLE, &conn->why, "PostgreSQL: %s",
                    line[0] ? line : "the connection is lost");
    return tars_fail(TARS_EUNAVAILABLE, err, "%s", conn->why.text);
}

/* Classes: 22 data, 23 constraint, 54 a bound of the server; 57014 stopped, 0A000 a plan that has
 * become another, 26000 a statement that is no longer prepared, 57P the server goes down. */
static tars_status refuse(struct tars_pg_conn *conn, const PGresult *result, struct tars_err *err)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *words = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    tars_status status = TARS_EUNAVAILABLE;

    if (!state || PQstatus(conn->pg) == CONNECTION_BAD)
        return lose(conn, PQresultErrorMessage(result), err);
    (void)snprintf(conn->state, sizeof(conn->state), "%s", state);
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0 ||
        strncmp(state, "54", 2) == 0)
        status = TARS_EINVAL;
    if (strcmp(state, "57014") == 0)
        status = TARS_ETIMEOUT;
    if (strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0 ||
        strncmp(state, "57P", 3) == 0) {
        conn->is_broken = true;
        (void)tars_fail(status, &conn->why, "PostgreSQL: %s (%s)", words ? words : "refused",
                        state);
    }
    return tars_fail(status, err, "PostgreSQL: %s (%s)", words ? words : "refused", state);
}

/* ------------------------------------------------------------------- waiting */

static atomic_int cancels; /* that are under way */

static void *cancel(void *ctx)
{
    PGcancel *what = ctx;
    char why[256];

    (void)PQcancel(what, why, sizeof(why));
    PQfreeCancel(what);
    atomic_fetch_sub(&cancels, 1);
    return NULL;
}

/* What is no longer waited for is to end there as well: the server would notice when it next sends,
 * which may be after minutes of work. By a thread of its own, since it connects anew, and that
 * has no bound of ours; where too many hang, the statement's own timeout is left. */
static void cancel_aside(struct tars_pg_conn *conn)
{
    PGcancel *what;
    pthread_t thread;

    if (PQtransactionStatus(conn->pg) != PQTRANS_ACTIVE)
        return;
    what = PQgetCancel(conn->pg);
    if (!what)
        return;
    if (atomic_fetch_add(&cancels, 1) < CANCELS_MAX &&
        pthread_create(&thread, NULL, cancel, what) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    atomic_fetch_sub(&cancels, 1);
    PQfreeCancel(what);
}

static bool is_set(const atomic_bool *flag)
{
    return flag && atomic_load(flag);
}

/* Is it no longer waited for, and why? */
static tars_status note_end(struct tars_pg_conn *conn, int64_t left_ms, struct tars_err *err)
{
    bool is_stopped = is_set(conn->stop);

    if (is_set(conn->is_given_up))
        return lose(conn, "the server does not answer", err);
    if (!is_stopped && left_ms > 0)
        return TARS_OK;
    cancel_aside(conn);
    (void)lose(conn, is_stopped ? "no longer waited for" : "the server did not answer in time",
               err);
    return is_stopped ? TARS_ECANCELED : TARS_ETIMEOUT;
}

/* Until the socket is ready for events, or the deadline. */
static tars_status wait_ready(struct tars_pg_conn *conn, short events, int64_t deadline_ms,
                              struct tars_err *err)
{
    for (;;) {
        struct pollfd fd = {.fd = PQsocket(conn->pg), .events = events};
        int64_t left_ms = deadline_ms - tars_clock_mono_ms();
        tars_status status;
        int rc;

        if (fd.fd < 0)
            return lose(conn, NULL, err);
        status = note_end(conn, left_ms, err);
        if (status != TARS_OK)
            return status;
        rc = poll(&fd, 1, (int)(left_ms < SLICE_MS ? left_ms : SLICE_MS));
        if (rc > 0)
            return TARS_OK;
        if (rc < 0 && errno != EINTR)
            return lose(conn, strerror(errno), err);
    }
}

/* Send what is queued; what comes meanwhile is taken in, so that both sides go on. */
static tars_status flush(struct tars_pg_conn *conn, int64_t deadline_ms, struct tars_err *err)
{
    int rc;

    while ((rc = PQflush(conn->pg)) > 0) {
        tars_status status = wait_ready(conn, POLLIN | POLLOUT, deadline_ms, err);

        if (status != TARS_OK)
            return status;
        if (!PQconsumeInput(conn->pg))
            return lose(conn, NULL, err);
    }
    return rc == 0 ? TARS_OK : lose(conn, NULL, err);
}

/* The next result; *result NULL when there is no more. */
static tars_status next_result(struct tars_pg_conn *conn, int64_t deadline_ms, PGresult **result,
                               struct tars_err *err)
{
    tars_status status = flush(conn, deadline_ms, err);

    while (status == TARS_OK && PQisBusy(conn->pg)) {
        status = wait_ready(conn, POLLIN, deadline_ms, err);
        if (status == TARS_OK && !PQconsumeInput(conn->pg))
            status = lose(conn, NULL, err);
    }
    if (status == TARS_OK) {
        *result = PQgetResult(conn->pg);
        conn->used_ms = tars_clock_mono_ms();
    }
    return status;
}

static int64_t deadline(const struct tars_pg_conn *conn)
{
    return tars_clock_mono_ms() + conn->wait_ms;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType type = PQresultStatus(result);

    return type == PGRES_COMMAND_OK || type == PGRES_TUPLES_OK || type == PGRES_EMPTY_QUERY;
}

/* What became of what was sent. */
struct outcome {
    tars_status status; /* the first failure */
    PGresult *last;     /* good one; owned, or NULL */
};

/* Takes the result. Words of the first failure alone. */
static void settle(struct tars_pg_conn *conn, PGresult *result, struct outcome *outcome,
                   struct tars_err *err)
{
    if (is_good(result)) {
        PQclear(outcome->last);
        outcome->last = result;
        return;
    }
    if (outcome->status == TARS_OK && PQresultStatus(result) != PGRES_COPY_IN)
        outcome->status = refuse(conn, result, err);
    PQclear(result);
}

/* All results of what was sent: the last good one goes to *kept (NULL: to nobody), the first
 * failure is returned. */
static tars_status gather(struct tars_pg_conn *conn, PGresult **kept, struct tars_err *err)
{
    int64_t due_ms = deadline(conn);
    struct outcome outcome = {TARS_OK, NULL};
    PGresult *result = NULL;
    tars_status status;

    do {
        struct tars_err *words = outcome.status == TARS_OK ? err : NULL;

        status = next_result(conn, due_ms, &result, words);
        if (status == TARS_OK && result)
            settle(conn, result, &outcome, err);
    } while (status == TARS_OK && result);
    if (outcome.status != TARS_OK)
        status = outcome.status;
    if (kept && status == TARS_OK) {
        *kept = outcome.last;
    } else {
        PQclear(outcome.last);
    }
    return status;
}

/* --------------------------------------------------------------- connecting */

static void keep_quiet(void *ctx, const PGresult *result)
{
    (void)ctx;
    (void)result;
}

static const char *or_null(const char *text)
{
    return text && text[0] ? text : NULL;
}

/* Values of statistics differ widely, so each is planned for its own, if not asked otherwise.
 * Compiling a plan takes longer than any of ours runs. */
static void write_options(const struct tars_pg_config *config, char *out)
{
    (void)snprintf(out, OPTIONS_MAX,
                   "-c timezone=UTC -c datestyle=ISO -c statement_timeout=%lld "
                   "-c idle_in_transaction_session_timeout=120000 -c extra_float_digits=1 "
                   "-c plan_cache_mode=%s -c jit=off -c standard_conforming_strings=on",
                   (long long)config->statement_timeout_ms,
                   config->reuses_plans ? "auto" : "force_custom_plan");
}

static PGconn *begin_connecting(const struct tars_pg_config *config)
{
    char port[16];
    char options[OPTIONS_MAX];
    bool is_several = config->host && strchr(config->host, ',');
    const char *const names[] = {"host",
                                 "port",
                                 "dbname",
                                 "user",
                                 "password",
                                 "sslmode",
                                 "sslrootcert",
                                 "sslcert",
                                 "sslkey",
                                 "options",
                                 "application_name",
                                 "client_encoding",
                                 "keepalives",
                                 "keepalives_idle",
                                 "keepalives_interval",
                                 "keepalives_count",
                                 "tcp_user_timeout",
                                 "gssencmode",
                                 "target_session_attrs",
                                 NULL};
    const char *const values[] = {or_null(config->host),
                                  port,
                                  or_null(config->database),
                                  or_null(config->user),
                                  or_null(config->password),
                                  or_null(config->sslmode),
                                  or_null(config->sslrootcert),
                                  or_null(config->sslcert),
                                  or_null(config->sslkey),
                                  config->is_pooled ? NULL : options,
                                  or_null(config->application),
                                  "UTF8",
                                  "1",
                                  "10",
                                  "5",
                                  "3",
                                  "20000",
                                  "disable",
                                  is_several ? "read-write" : "any",
                                  NULL};

    (void)snprintf(port, sizeof(port), "%u", (unsigned)config->port);
    write_options(config, options);
    return PQconnectStartParams(names, values, 0);
}

/* Is somebody there? What is broken keeps what it was. */
static void note_reached(struct tars_pg_conn *conn)
{
    ConnStatusType now = PQstatus(conn->pg);

    if (now != CONNECTION_BAD)
        conn->is_refused = now != CONNECTION_STARTED && now != CONNECTION_NEEDED;
}

static tars_status finish_connecting(struct tars_pg_conn *conn, int64_t due_ms,
                                     struct tars_err *err)
{
    PostgresPollingStatusType wants = PGRES_POLLING_WRITING;

    while (wants != PGRES_POLLING_OK) {
        tars_status status;

        if (wants == PGRES_POLLING_FAILED || PQstatus(conn->pg) == CONNECTION_BAD)
            return lose(conn, NULL, err);
        status = wait_ready(conn, wants == PGRES_POLLING_READING ? POLLIN : POLLOUT, due_ms, err);
        if (status != TARS_OK)
            return status;
        wants = PQconnectPoll(conn->pg);
        note_reached(conn);
    }
    return TARS_OK;
}

void tars_pg_reset(struct tars_pg_conn *conn)
{
    const struct tars_pg_config *config = conn->config;

    conn->wait_ms =
        config->statement_timeout_ms ? config->statement_timeout_ms + config->timeout_ms : HOUR_MS;
    conn->stop = NULL;
    conn->is_let_go = false;
    conn->state[0] = '\0';
}

tars_status tars_pg_open(struct tars_pg_conn *conn, const struct tars_pg_config *config,
                         const atomic_bool *is_given_up, struct tars_err *err)
{
    int64_t timeout_ms = config->timeout_ms ? config->timeout_ms : TIMEOUT_MS;
    tars_status status;

    *conn = (struct tars_pg_conn){.config = config};
    conn->is_prepared = calloc(config->text_count + 1, sizeof(*conn->is_prepared));
    if (!conn->is_prepared)
        return tars_fail(TARS_ENOMEM, err, "no memory for a connection");
    conn->pg = begin_connecting(config);
    if (!conn->pg) {
        tars_pg_close(conn);
        return tars_fail(TARS_ENOMEM, err, "no memory for a connection");
    }
    (void)PQsetNoticeReceiver(conn->pg, keep_quiet, NULL);
    status = finish_connecting(conn, tars_clock_mono_ms() + timeout_ms, err);
    if (status == TARS_OK && PQsetnonblocking(conn->pg, 1))
        status = lose(conn, NULL, err);
    if (status != TARS_OK) {
        bool is_refused = conn->is_refused;

        tars_pg_close(conn);
        conn->is_refused = is_refused;
        return status;
    }
    conn->is_refused = false;
    conn->is_given_up = is_given_up;
    tars_pg_reset(conn);
    conn->opened_ms = conn->used_ms = tars_clock_mono_ms();
    return TARS_OK;
}

void tars_pg_close(struct tars_pg_conn *conn)
{
    PQfinish(conn->pg);
    free(conn->is_prepared);
    *conn = (struct tars_pg_conn){.is_broken = true};
}

bool tars_pg_is_whole(struct tars_pg_conn *conn)
{
    struct pollfd fd = {.fd = PQsocket(conn->pg), .events = POLLIN};

    if (conn->is_broken || fd.fd < 0 || PQstatus(conn->pg) != CONNECTION_OK)
        return false;
    /* Idle, the server speaks only to say goodbye (or to report a setting): the end of the stream
     * comes right behind the words, and is found by another read. */
    for (int wait_ms = 0; wait_ms <= BYE_MS && !conn->is_broken; wait_ms += BYE_MS) {
        if (poll(&fd, 1, wait_ms) <= 0)
            break;
        conn->is_broken = !PQconsumeInput(conn->pg);
    }
    return !conn->is_broken && PQstatus(conn->pg) == CONNECTION_OK;
}

tars_status tars_pg_ping(struct tars_pg_conn *conn, int64_t wait_ms, struct tars_err *err)
{
    int64_t kept_ms = conn->wait_ms;
    tars_status status;

    conn->wait_ms = wait_ms;
    status = tars_pg_exec(conn, "SELECT 1", err);
    conn->wait_ms = kept_ms;
    return status;
}

bool tars_pg_is_idle(const struct tars_pg_conn *conn)
{
    return !conn->is_broken && PQtransactionStatus(conn->pg) == PQTRANS_IDLE;
}

int tars_pg_server_version(const struct tars_pg_conn *conn)
{
    return PQserverVersion(conn->pg);
}

const char *tars_pg_reported(const struct tars_pg_conn *conn, const char *name)
{
    const char *value = PQparameterStatus(conn->pg, name);

    return value ? value : "";
}

/* ------------------------------------------------------- without parameters */

tars_status tars_pg_exec(struct tars_pg_conn *conn, const char *sql, struct tars_err *err)
{
    if (conn->is_broken)
        return tars_fail(TARS_EUNAVAILABLE, err, "PostgreSQL: the connection is lost");
    if (!PQsendQuery(conn->pg, sql))
        return lose(conn, NULL, err);
    return gather(conn, NULL, err);
}

tars_status tars_pg_conclude(struct tars_pg_conn *conn, tars_status status, struct tars_err *err)
{
    struct tars_err why = {.text = ""};

    if (status == TARS_OK)
        return tars_pg_exec(conn, "COMMIT", err);
    if (!conn->is_broken && tars_pg_exec(conn, "ROLLBACK", &why) != TARS_OK && !conn->is_broken) {
        conn->is_broken = true;
        conn->why = why;
    }
    return status;
}

static tars_status send_data(struct tars_pg_conn *conn, const struct tars_pg_copy *data,
                             struct tars_err *err)
{
    tars_status status = TARS_OK;
    size_t sent = 0;

    while (status == TARS_OK && sent < data->len) {
        size_t n = data->len - sent < COPY_BYTES ? data->len - sent : COPY_BYTES;
        int rc = PQputCopyData(conn->pg, data->ptr + sent, (int)n);

        if (rc < 0)
            return lose(conn, NULL, err);
        sent += rc > 0 ? n : 0;
        status = flush(conn, deadline(conn), err);
    }
    if (status == TARS_OK && PQputCopyEnd(conn->pg, NULL) < 0)
        status = lose(conn, NULL, err);
    return status;
}

tars_status tars_pg_copy(struct tars_pg_conn *conn, const char *sql,
                         const struct tars_pg_copy *data, size_t count, struct tars_err *err)
{
    struct outcome outcome = {TARS_OK, NULL};
    PGresult *result = NULL;
    size_t next = 0;
    tars_status status;

    if (conn->is_broken)
        return tars_fail(TARS_EUNAVAILABLE, err, "PostgreSQL: the connection is lost");
    if (!PQsendQuery(conn->pg, sql))
        return lose(conn, NULL, err);
    do {
        bool takes_data;

        status = next_result(conn, deadline(conn), &result, outcome.status == TARS_OK ? err : NULL);
        if (status != TARS_OK || !result)
            break;
        takes_data = PQresultStatus(result) == PGRES_COPY_IN;
        settle(conn, result, &outcome, err);
        if (takes_data) {
            assert(next < count);
            status = send_data(conn, &data[next++], err);
        }
    } while (status == TARS_OK);
    PQclear(outcome.last);
    return outcome.status != TARS_OK ? outcome.status : status;
}

/* ------------------------------------------------------------------ queries */

struct tars_pg_query tars_pg_ask(struct tars_pg_conn *conn, size_t sql)
{
    struct tars_pg_query query;

    query.conn = conn;
    query.sql = sql;
    query.bound = query.column = 0;
    query.is_binary = false;
    query.row = -1;
    query.result = NULL;
    query.status = TARS_OK;
    query.why.text[0] = '\0';
    return query;
}

static void add_value(struct tars_pg_query *query, const char *value, size_t len, bool is_bytes)
{
    assert(query->bound < TARS_PG_PARAMETERS_MAX);
    query->lengths[query->bound] = (int)len;
    query->formats[query->bound] = is_bytes;
    query->values[query->bound++] = value;
}

void tars_pg_bind_text(struct tars_pg_query *query, const char *text)
{
    add_value(query, text, 0, false);
}

void tars_pg_bind_bytes(struct tars_pg_query *query, const void *ptr, size_t len)
{
    assert(len <= INT_MAX);
    add_value(query, ptr ? ptr : "", len, true);
}

/* A query may be moved before it is run, so a number is found by its place then. */
static const char number[] = "";

void tars_pg_bind_int(struct tars_pg_query *query, int64_t value)
{
    assert(query->bound < TARS_PG_PARAMETERS_MAX);
    (void)snprintf(query->numbers[query->bound], TARS_PG_NUMBER_BYTES, "%lld", (long long)value);
    add_value(query, number, 0, false);
}

void tars_pg_bind_real(struct tars_pg_query *query, double value)
{
    assert(query->bound < TARS_PG_PARAMETERS_MAX);
    (void)snprintf(query->numbers[query->bound], TARS_PG_NUMBER_BYTES, "%.17g", value);
    add_value(query, isnan(value) ? NULL : number, 0, false);
}

static tars_status prepare(struct tars_pg_conn *conn, size_t sql, const char *name,
                           struct tars_err *err)
{
    tars_status status;

    if (conn->is_prepared[sql])
        return TARS_OK;
    if (!PQsendPrepare(conn->pg, name, conn->config->texts[sql], 0, NULL))
        return lose(conn, NULL, err);
    status = gather(conn, NULL, err);
    conn->is_prepared[sql] = status == TARS_OK;
    return status;
}

/* As a statement that is prepared once a connection. */
static tars_status send_prepared(struct tars_pg_query *query)
{
    struct tars_pg_conn *conn = query->conn;
    char name[TARS_PG_NUMBER_BYTES];
    tars_status status;

    (void)snprintf(name, sizeof(name), "tars_%zu", query->sql);
    status = prepare(conn, query->sql, name, &query->why);
    if (status != TARS_OK)
        return status;
    if (!PQsendQueryPrepared(conn->pg, name, query->bound, query->values, query->lengths,
                             query->formats, query->is_binary))
        return lose(conn, NULL, &query->why);
    return TARS_OK;
}

/* As one that leaves nothing behind. */
static tars_status send_whole(struct tars_pg_query *query)
{
    struct tars_pg_conn *conn = query->conn;
    size_t sql = query->sql;

    if (!PQsendQueryParams(conn->pg, conn->config->texts[sql], query->bound, NULL, query->values,
                           query->lengths, query->formats, query->is_binary))
        return lose(conn, NULL, &query->why);
    return TARS_OK;
}

static tars_status run(struct tars_pg_query *query)
{
    struct tars_pg_conn *conn = query->conn;
    tars_status status;

    if (conn->is_broken)
        return tars_fail(TARS_EUNAVAILABLE, &query->why, "PostgreSQL: the connection is lost");
    for (int i = 0; i < query->bound; i++) {
        if (query->values[i] == number)
            query->values[i] = query->numbers[i];
    }
    status = conn->config->is_pooled ? send_whole(query) : send_prepared(query);
    if (status != TARS_OK)
        return status;
    return gather(conn, &query->result, &query->why);
}

bool tars_pg_step(struct tars_pg_query *query)
{
    if (query->status == TARS_OK && !query->result)
        query->status = run(query);
    if (query->status != TARS_OK)
        return false;
    query->column = 0;
    return ++query->row < PQntuples(query->result);
}

const char *tars_pg_peek(struct tars_pg_query *query)
{
    int column = query->column++;

    if (PQgetisnull(query->result, query->row, column))
        return NULL;
    return PQgetvalue(query->result, query->row, column);
}

/* A boolean or an integer of 2, 4 or 8 bytes, the first of which is the highest. */
static int64_t int_of_bytes(const char *ptr, int len)
{
    uint64_t value = len > 0 && (ptr[0] & 0x80) ? UINT64_MAX : 0;

    for (int i = 0; i < len; i++)
        value = value << 8U | (unsigned char)ptr[i];
    return (int64_t)value;
}

int64_t tars_pg_int_or(struct tars_pg_query *query, int64_t otherwise)
{
    int column = query->column;
    const char *text = tars_pg_peek(query);

    if (!text)
        return otherwise;
    if (query->is_binary)
        return int_of_bytes(text, PQgetlength(query->result, query->row, column));
    return text[0] == 't' ? 1 : strtoll(text, NULL, 10);
}

int64_t tars_pg_int(struct tars_pg_query *query)
{
    return tars_pg_int_or(query, 0);
}

double tars_pg_real(struct tars_pg_query *query)
{
    const char *text = tars_pg_peek(query);

    return text ? strtod(text, NULL) : NAN;
}

void tars_pg_lack_memory(struct tars_pg_query *query)
{
    if (query->status == TARS_OK)
        query->status = tars_fail(TARS_ENOMEM, &query->why, "no memory for rows");
}

const char *tars_pg_text_n(struct tars_pg_query *query, struct tars_arena *arena, size_t *len)
{
    int column = query->column;
    const char *text = tars_pg_peek(query);
    size_t bytes = text ? (size_t)PQgetlength(query->result, query->row, column) : 0;
    const char *copy = text ? tars_arena_strndup(arena, text, bytes) : NULL;

    if (text && !copy)
        tars_pg_lack_memory(query);
    *len = copy ? bytes : 0;
    return copy;
}

const char *tars_pg_text(struct tars_pg_query *query, struct tars_arena *arena)
{
    size_t len;

    return tars_pg_text_n(query, arena, &len);
}

const void *tars_pg_bytes(struct tars_pg_query *query, struct tars_arena *arena, size_t *len)
{
    int column = query->column;
    const char *bytes = tars_pg_peek(query);
    void *copy;

    assert(query->is_binary);
    *len = bytes ? (size_t)PQgetlength(query->result, query->row, column) : 0;
    if (*len == 0)
        return NULL;
    copy = tars_arena_alloc(arena, *len);
    if (copy) {
        memcpy(copy, bytes, *len);
    } else {
        tars_pg_lack_memory(query);
        *len = 0;
    }
    return copy;
}

bool tars_pg_is_null(const struct tars_pg_query *query)
{
    return PQgetisnull(query->result, query->row, query->column) != 0;
}

int64_t tars_pg_changed(const struct tars_pg_query *query)
{
    return query->result ? strtoll(PQcmdTuples(query->result), NULL, 10) : 0;
}

size_t tars_pg_rows(const struct tars_pg_query *query)
{
    return query->result ? (size_t)PQntuples(query->result) : 0;
}

void tars_pg_drop(struct tars_pg_query *query)
{
    PQclear(query->result);
    query->result = NULL;
}

tars_status tars_pg_end(struct tars_pg_query *query, struct tars_err *err)
{
    tars_pg_drop(query);
    if (query->status != TARS_OK && err)
        *err = query->why;
    return query->status;
}

tars_status tars_pg_run(struct tars_pg_query *query, int64_t *changed, struct tars_err *err)
{
    (void)tars_pg_step(query);
    if (changed && query->status == TARS_OK)
        *changed = tars_pg_changed(query);
    return tars_pg_end(query, err);
}

/* --------------------------------------------------------------------- time */

void tars_pg_write_time(int64_t time_us, char *out)
{
    int64_t us = time_us < YEAR_1_US ? YEAR_1_US : time_us;
    struct tars_civil civil;
    int64_t fraction;

    us = us > YEAR_9999_US ? YEAR_9999_US : us;
    fraction = (us % US_PER_S + US_PER_S) % US_PER_S;
    tars_clock_civil(us, &civil);
    (void)snprintf(out, TARS_PG_TIME_BYTES, "%04d-%02d-%02d %02d:%02d:%02d.%06d",
                   civil.year % 10000, civil.month % 100, civil.day % 100, civil.hour % 100,
                   civil.minute % 100, civil.second % 100, (int)fraction);
}
