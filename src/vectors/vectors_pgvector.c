/* vectors_pgvector - see vectors_pgvector.h.
 *
 * Values go over as texts: arrays of numbers, names and vectors, in the notation of PostgreSQL. A
 * vector's numbers have seven digits behind the point, which is more than a halfvec keeps.
 */
#include "vectors/vectors_pgvector.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "store/postgres_query.h"

#define SCHEMA_VERSION     4
#define SEARCH_MS          2000
#define WRITE_MS           600000 /* a batch, or the making of a table */
#define FINISH_MS          (INT64_C(24) * 3600000)
#define TEXT_BYTES_MAX     ((size_t)256 << 20)
#define OLDEST_MAJOR       0
#define OLDEST_MINOR       8
#define DIGITS             7
#define DIGITS_SCALE       1e7F
#define NS_PER_MS          INT64_C(1000000)
#define UNDEFINED_TABLE    "42P01"
#define UNDEFINED_SCHEMA   "3F000"
#define UNDEFINED_CALL     "42883"
#define NOT_AT_AFTER       (-1)
#define OF_ANOTHER_DIM     (-2)
#define OF_ANOTHER_FILLING (-1)

enum sql {
#define SQL(name, text) SQL_##name,
#include "vectors/vectors_pgvector_sql.def"
#undef SQL
};

static const char *const texts[] = {
#define SQL(name, text) text,
#include "vectors/vectors_pgvector_sql.def"
#undef SQL
};

static const char schema[] =
#include "vectors/vectors_pgvector_schema.def"
    ;

struct pgvector {
    struct tars_vectors base;
    struct tars_vectors_pgvector_config config;
    struct tars_pg_pool *pool;
    atomic_bool is_ready; /* extension and schema are there, as far as is known */
};

static struct pgvector *self_of(struct tars_vectors *vectors)
{
    return (struct pgvector *)vectors;
}

/* -------------------------------------------------- the extension, the schema */

static tars_status ask_text(struct tars_pg_conn *conn, enum sql sql, char *out, size_t size,
                            struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    out[0] = '\0';
    if (tars_pg_step(&query))
        tars_pg_word_into(&query, out, size);
    return tars_pg_end(&query, err);
}

static tars_status ask_number(struct tars_pg_conn *conn, enum sql sql, int64_t *out,
                              struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);

    *out = 0;
    if (tars_pg_step(&query))
        *out = tars_pg_int(&query);
    return tars_pg_end(&query, err);
}

static bool is_old(const char *version)
{
    char *rest = NULL;
    long major = strtol(version, &rest, 10);
    long minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;

    return major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

static tars_status need_extension(const struct pgvector *self, struct tars_pg_conn *conn,
                                  struct tars_err *err)
{
    const char *database = self->config.pool.server.database;
    struct tars_err why = {{0}};
    char version[32];
    tars_status status = ask_text(conn, SQL_EXTENSION, version, sizeof(version), err);

    if (status == TARS_OK && !version[0]) {
        status = tars_pg_exec(conn, "CREATE EXTENSION IF NOT EXISTS vector", &why);
        if (status != TARS_OK && !conn->state[0])
            return tars_fail(status, err, "%s", why.text);
        if (status != TARS_OK) {
            return tars_fail(
                TARS_EUNSUPPORTED, err,
                "the database %s has no pgvector (%s): install it on its server (the package "
                "postgresql-NN-pgvector) and run CREATE EXTENSION vector there as a superuser, or "
                "set VECTOR_BACKEND=embedded",
                database, why.text);
        }
        status = ask_text(conn, SQL_EXTENSION, version, sizeof(version), err);
    }
    if (status == TARS_OK && is_old(version)) {
        return tars_fail(TARS_EUNSUPPORTED, err,
                         "pgvector %s in the database %s is too old: install %d.%d or newer on its "
                         "server and run ALTER EXTENSION vector UPDATE there",
                         version, database, OLDEST_MAJOR, OLDEST_MINOR);
    }
    return status;
}

/* Is the schema there? An older one counts as none: reset() makes it anew. */
static tars_status find_schema(struct tars_pg_conn *conn, bool *is_there, struct tars_err *err)
{
    int64_t has_version = 0;
    int64_t version = 0;
    tars_status status = ask_number(conn, SQL_HAS_VERSION, &has_version, err);

    if (status == TARS_OK && has_version)
        status = ask_number(conn, SQL_VERSION, &version, err);
    if (status == TARS_OK && version > SCHEMA_VERSION) {
        return tars_fail(TARS_EFORMAT, err,
                         "the schema tars_vectors is of a newer program (%d, not %d)", (int)version,
                         SCHEMA_VERSION);
    }
    *is_there = status == TARS_OK && version == SCHEMA_VERSION;
    return status;
}

/* Makes nothing but the extension: a schema that is gone is to be seen as such. */
static tars_status prepare_on(struct pgvector *self, struct tars_pg_conn *conn,
                              struct tars_err *err)
{
    bool is_there = false;
    tars_status status;

    if (atomic_load(&self->is_ready))
        return TARS_OK;
    status = need_extension(self, conn, err);
    if (status == TARS_OK)
        status = find_schema(conn, &is_there, err);
    if (status == TARS_OK)
        atomic_store(&self->is_ready, is_there);
    return status;
}

static tars_status need_schema(struct pgvector *self, struct tars_pg_conn *conn,
                               struct tars_err *err)
{
    tars_status status;

    if (atomic_load(&self->is_ready))
        return TARS_OK;
    status = tars_pg_exec(conn, schema, err);
    if (status == TARS_OK)
        atomic_store(&self->is_ready, true);
    return status;
}

/* A connection to a database that is fit; whether the schema is there, is_ready says. */
static tars_status take(struct pgvector *self, struct tars_pg_conn **conn, struct tars_err *err)
{
    tars_status status = tars_pg_take(self->pool, conn, err);

    if (status != TARS_OK)
        return status;
    status = prepare_on(self, *conn, err);
    if (status != TARS_OK)
        tars_pg_give(self->pool, *conn);
    return status;
}

/* What was asked for last is not there. */
static bool is_undefined(const struct tars_pg_conn *conn)
{
    return strcmp(conn->state, UNDEFINED_TABLE) == 0 ||
           strcmp(conn->state, UNDEFINED_SCHEMA) == 0 || strcmp(conn->state, UNDEFINED_CALL) == 0;
}

/* Give it back. What was dropped behind our back is looked for again the next time. */
static tars_status give(struct pgvector *self, struct tars_pg_conn *conn, tars_status status)
{
    if (status != TARS_OK && is_undefined(conn))
        atomic_store(&self->is_ready, false);
    tars_pg_give(self->pool, conn);
    return status;
}

tars_status tars_vectors_pgvector_prepare(struct tars_vectors *vectors, struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    struct tars_pg_conn *conn = NULL;
    tars_status status = take(self, &conn, err);

    return status == TARS_OK ? give(self, conn, status) : status;
}

/* --------------------------------------------------------------- the writer */

static void read_state(struct tars_pg_query *query, struct tars_vectors_state *out)
{
    tars_pg_word_into(query, out->of.store, sizeof(out->of.store));
    tars_pg_word_into(query, out->of.model, sizeof(out->of.model));
    tars_pg_word_into(query, out->of.model_name, sizeof(out->of.model_name));
    out->of.dim = (size_t)tars_pg_int(query);
    out->generation = (uint64_t)tars_pg_int(query);
    out->seq = (uint64_t)tars_pg_int(query);
    tars_pg_word_into(query, out->mark, sizeof(out->mark));
    out->expected = (uint64_t)tars_pg_int(query);
    out->windows = (uint64_t)tars_pg_int(query);
    out->is_unfinished = tars_pg_int(query) != 0;
}

static tars_status state(struct tars_vectors *vectors, bool counts, struct tars_vectors_state *out,
                         struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    struct tars_vectors_state found = {0};
    struct tars_pg_conn *conn = NULL;
    struct tars_pg_query query;
    tars_status status = take(self, &conn, err);

    if (status == TARS_OK && !atomic_load(&self->is_ready)) {
        tars_pg_give(self->pool, conn);
        *out = found;
        return TARS_OK;
    }
    if (status != TARS_OK)
        return status;
    conn->stop = &vectors->is_stopping;
    if (counts)
        conn->wait_ms = WRITE_MS;
    query = tars_pg_ask(conn, SQL_STATE);
    tars_pg_bind_text(&query, counts ? "t" : "f");
    if (tars_pg_step(&query))
        read_state(&query, &found);
    status = tars_pg_end(&query, err);
    status = give(self, conn, status);
    if (status != TARS_OK && !atomic_load(&self->is_ready)) {
        /* Nothing was ever written, or somebody dropped it: to be filled. */
        memset(&found, 0, sizeof(found));
        status = TARS_OK;
    }
    if (status == TARS_OK)
        *out = found;
    return status;
}

static tars_status reset(struct tars_vectors *vectors, const struct tars_vectors_of *of,
                         struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    struct tars_pg_conn *conn = NULL;
    struct tars_pg_query query;
    tars_status status = take(self, &conn, err);

    if (status != TARS_OK)
        return status;
    conn->stop = &vectors->is_stopping;
    conn->wait_ms = WRITE_MS;
    status = need_schema(self, conn, err);
    if (status != TARS_OK)
        return give(self, conn, status);
    query = tars_pg_ask(conn, SQL_RESET);
    tars_pg_bind_text(&query, of->store);
    tars_pg_bind_text(&query, of->model);
    tars_pg_bind_text(&query, of->model_name);
    tars_pg_bind_int(&query, (int64_t)of->dim);
    return give(self, conn, tars_pg_do(&query, err));
}

/* Nothing of it is there if it does not end well. Without the server's time limit, which is one of
 * questions. */
static tars_status finish_on(struct tars_pg_conn *conn, uint64_t generation, struct tars_err *err)
{
    bool is_done = false;
    struct tars_pg_query query;
    tars_status status = tars_pg_exec(conn, "SET LOCAL statement_timeout = 0", err);

    if (status == TARS_OK) {
        query = tars_pg_ask(conn, SQL_WATCH_CLIENT);
        status = tars_pg_run(&query, NULL, err);
    }
    if (status != TARS_OK)
        return status;
    query = tars_pg_ask(conn, SQL_FINISH);
    tars_pg_bind_int(&query, (int64_t)generation);
    if (tars_pg_step(&query))
        is_done = tars_pg_int(&query) != 0;
    status = tars_pg_end(&query, err);
    if (is_undefined(conn) || (status == TARS_OK && !is_done))
        return tars_fail(TARS_EAGAIN, err, "the vectors are not those that were there");
    return status;
}

static tars_status finish(struct tars_vectors *vectors, uint64_t generation, struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    struct tars_pg_conn *conn = NULL;
    tars_status status = take(self, &conn, err);

    if (status != TARS_OK)
        return status;
    conn->stop = &vectors->is_stopping;
    conn->wait_ms = FINISH_MS;
    status = tars_pg_exec(conn, "BEGIN", err);
    if (status == TARS_OK)
        status = tars_pg_conclude(conn, finish_on(conn, generation, err), err);
    return give(self, conn, status);
}

/* "-0.0123456": by hand, since a batch has hundreds of thousands. */
static void append_number(struct tars_buf *buf, float value)
{
    char text[DIGITS + 8];
    char *at = text + sizeof(text);
    float size = fabsf(value);
    uint32_t fraction;
    uint32_t whole;

    if (!(size < 1e2F)) /* not a number is not either; vectors have unit length */
        size = 0;
    whole = (uint32_t)size;
    fraction = (uint32_t)((size - (float)whole) * DIGITS_SCALE + 0.5F);
    if (fraction >= (uint32_t)DIGITS_SCALE) {
        fraction = 0;
        whole++;
    }
    for (int i = 0; i < DIGITS; i++, fraction /= 10)
        *--at = (char)('0' + fraction % 10);
    *--at = '.';
    do {
        *--at = (char)('0' + whole % 10);
        whole /= 10;
    } while (whole > 0);
    if (value < 0)
        *--at = '-';
    tars_buf_append(buf, at, (size_t)(text + sizeof(text) - at));
}

static void append_vector(struct tars_buf *buf, const float *vector, size_t dim)
{
    tars_buf_append_char(buf, '[');
    for (size_t i = 0; i < dim; i++) {
        if (i > 0)
            tars_buf_append_char(buf, ',');
        append_number(buf, vector[i]);
    }
    tars_buf_append_char(buf, ']');
}

/* A text as an element of an array. */
static void append_quoted(struct tars_buf *buf, const char *text)
{
    tars_buf_append_char(buf, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            tars_buf_append_char(buf, '\\');
        tars_buf_append_char(buf, *text);
    }
    tars_buf_append_char(buf, '"');
}

static void append_id(struct tars_buf *buf, uint64_t id)
{
    tars_buf_appendf(buf, "%" PRIu64, id > INT64_MAX ? (uint64_t)INT64_MAX : id);
}

/* The columns of a batch, each an array of PostgreSQL. */
enum column {
    FIRST,
    LAST,
    PASSAGES,
    NUMBERS,
    COLLECTIONS,
    DOCUMENTS,
    VECTORS,
    COLUMNS,
};

static void begin_element(struct tars_buf *buf)
{
    tars_buf_append_char(buf, buf->len > 0 ? ',' : '{');
}

static void write_adds(const struct tars_vectors_batch *batch, size_t dim, struct tars_buf *columns)
{
    for (size_t i = 0; i < batch->add_count; i++) {
        const struct tars_store_passage *passage = &batch->adds[i];

        for (size_t k = 0; passage->vectors && k < passage->window_count; k++) {
            for (enum column c = PASSAGES; c < COLUMNS; c++)
                begin_element(&columns[c]);
            append_id(&columns[PASSAGES], passage->id);
            tars_buf_appendf(&columns[NUMBERS], "%zu", k);
            append_quoted(&columns[COLLECTIONS], passage->document->collection);
            append_quoted(&columns[DOCUMENTS], passage->document->document_id);
            tars_buf_append_char(&columns[VECTORS], '"');
            append_vector(&columns[VECTORS], passage->vectors + k * dim, dim);
            tars_buf_append_char(&columns[VECTORS], '"');
        }
    }
}

/* Whether all of it could be written down. */
static tars_status write_columns(const struct tars_vectors_batch *batch, size_t dim,
                                 struct tars_buf *columns)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < batch->remove_count; i++) {
        begin_element(&columns[FIRST]);
        begin_element(&columns[LAST]);
        append_id(&columns[FIRST], batch->removes[i].first);
        append_id(&columns[LAST], batch->removes[i].last);
    }
    write_adds(batch, dim, columns);
    for (enum column c = FIRST; c < COLUMNS; c++) {
        if (columns[c].len == 0)
            tars_buf_append_char(&columns[c], '{');
        tars_buf_append(&columns[c], "}", 2); /* with its NUL */
        if (status == TARS_OK)
            status = columns[c].status;
    }
    return status;
}

static tars_status run_apply(struct tars_pg_conn *conn, const struct tars_vectors_batch *batch,
                             size_t dim, const struct tars_buf *columns, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, SQL_APPLY);
    int64_t answer = NOT_AT_AFTER;
    tars_status status;

    conn->wait_ms = WRITE_MS;
    tars_pg_bind_int(&query, (int64_t)batch->generation);
    tars_pg_bind_int(&query, (int64_t)batch->after);
    tars_pg_bind_int(&query, (int64_t)batch->upto);
    tars_pg_bind_text(&query, batch->mark);
    tars_pg_bind_int(&query, (int64_t)dim);
    for (enum column c = FIRST; c < COLUMNS; c++)
        tars_pg_bind_text(&query, columns[c].ptr);
    if (tars_pg_step(&query))
        answer = tars_pg_int(&query);
    status = tars_pg_end(&query, err);
    if (is_undefined(conn) || (status == TARS_OK && answer == NOT_AT_AFTER))
        return tars_fail(TARS_EAGAIN, err, "the vectors are not where they were");
    if (status == TARS_OK && answer == OF_ANOTHER_DIM)
        return tars_fail(TARS_EMISMATCH, err, "vectors of %zu numbers, where others are kept", dim);
    return status;
}

static tars_status apply(struct tars_vectors *vectors, const struct tars_vectors_batch *batch,
                         size_t dim, struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    struct tars_buf columns[COLUMNS];
    struct tars_pg_conn *conn = NULL;
    tars_status status;

    for (enum column c = FIRST; c < COLUMNS; c++)
        tars_buf_init(&columns[c], TEXT_BYTES_MAX);
    status = write_columns(batch, dim, columns);
    if (status != TARS_OK)
        status = tars_fail(status, err, "no memory to write vectors");
    if (status == TARS_OK)
        status = take(self, &conn, err);
    if (status == TARS_OK) {
        conn->stop = &vectors->is_stopping;
        status = give(self, conn, run_apply(conn, batch, dim, columns, err));
    }
    for (enum column c = FIRST; c < COLUMNS; c++)
        tars_buf_release(&columns[c]);
    return status;
}

/* ------------------------------------------------------------------ readers */

/* What the parameters of a search are made of. */
struct asked {
    struct tars_buf query;
    struct tars_buf collections; /* empty: all */
    struct tars_buf runs;        /* likewise */
};

static tars_status write_asked(const struct tars_vectors_ask *ask, struct asked *asked)
{
    const struct tars_visible *visible = ask->wish->visible;

    append_vector(&asked->query, ask->wish->query, ask->wish->dim);
    tars_buf_append(&asked->query, "", 1);
    if (!visible->all) {
        for (size_t i = 0; i < visible->count; i++) {
            begin_element(&asked->collections);
            append_quoted(&asked->collections, visible->keys[i]);
        }
        tars_buf_append(&asked->collections, "}", 2);
    }
    if (ask->runs) {
        for (size_t i = 0; i < ask->run_count; i++) {
            begin_element(&asked->runs);
            tars_buf_append_char(&asked->runs, '[');
            append_id(&asked->runs, ask->runs[i].first);
            tars_buf_append_char(&asked->runs, ',');
            append_id(&asked->runs, ask->runs[i].last);
            /* Ranges are kept with an open end, which the greatest number does not have. */
            tars_buf_append_char(&asked->runs, ask->runs[i].last >= INT64_MAX ? ')' : ']');
        }
        tars_buf_append(&asked->runs, "}", 2);
    }
    if (asked->query.status != TARS_OK)
        return asked->query.status;
    return asked->collections.status != TARS_OK ? asked->collections.status : asked->runs.status;
}

static tars_status look(struct tars_pg_conn *conn, const struct tars_vectors_ask *ask,
                        const struct asked *asked, bool is_exact, struct tars_index_hit *hits,
                        size_t *n, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, SQL_NEAREST);
    bool is_other = false;
    tars_status status;

    tars_pg_bind_int(&query, (int64_t)ask->generation);
    tars_pg_bind_text(&query, asked->query.ptr);
    tars_pg_bind_int(&query, (int64_t)ask->limit);
    tars_pg_bind_text(&query, asked->collections.ptr);
    tars_pg_bind_text(&query, asked->runs.ptr);
    tars_pg_bind_int(&query,
                     ask->run_passages > INT32_MAX ? INT32_MAX : (int64_t)ask->run_passages);
    tars_pg_bind_text(&query, is_exact ? "t" : "f");
    *n = 0;
    while (tars_pg_step(&query)) {
        int64_t passage = tars_pg_int(&query);

        if (passage == OF_ANOTHER_FILLING) {
            is_other = true;
        } else if (*n < ask->limit) {
            hits[*n].id = (uint64_t)passage;
            hits[*n].score = (float)tars_pg_real(&query);
            ++*n;
        }
    }
    status = tars_pg_end(&query, err);
    if (is_undefined(conn) || (status == TARS_OK && is_other))
        return tars_fail(TARS_EAGAIN, err, "the vectors are not those that were there");
    /* Nothing but the vector's length is refused of what is asked. */
    return status == TARS_EINVAL ? TARS_EMISMATCH : status;
}

static int64_t wait_of(const struct pgvector *self, const struct tars_vectors_wish *wish)
{
    int64_t wait_ms = self->config.search_ms;
    int64_t left_ms;

    if (wish->until_ns > 0) {
        left_ms = (wish->until_ns - tars_clock_mono_ns()) / NS_PER_MS;
        wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
    }
    return wait_ms > 0 ? wait_ms : 1;
}

static tars_status search(struct tars_vectors *vectors, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    struct pgvector *self = self_of(vectors);
    bool is_bounded = ask->runs || !ask->wish->visible->all;
    struct tars_pg_conn *conn = NULL;
    struct asked asked;
    tars_status status;

    tars_buf_init(&asked.query, TEXT_BYTES_MAX);
    tars_buf_init(&asked.collections, TEXT_BYTES_MAX);
    tars_buf_init(&asked.runs, TEXT_BYTES_MAX);
    status = write_asked(ask, &asked);
    if (status == TARS_OK)
        status = tars_pg_take(self->pool, &conn, err);
    if (status == TARS_OK) {
        conn->wait_ms = wait_of(self, ask->wish);
        status = look(conn, ask, &asked, false, hits, n, err);
        /* The graph may have been left before enough were accepted. */
        conn->wait_ms = wait_of(self, ask->wish);
        if (status == TARS_OK && *n < ask->limit && is_bounded)
            status = look(conn, ask, &asked, true, hits, n, err);
        /* Whose time is over has asked too much of it, maybe; whether it is away the keeper knows.
         */
        conn->is_let_go = status == TARS_ETIMEOUT || status == TARS_ECANCELED;
        status = give(self, conn, status);
    }
    tars_buf_release(&asked.query);
    tars_buf_release(&asked.collections);
    tars_buf_release(&asked.runs);
    return status;
}

static tars_status health(struct tars_vectors *vectors, struct tars_err *err)
{
    return tars_pg_pool_health(self_of(vectors)->pool, err);
}

static void close_it(struct tars_vectors *vectors)
{
    struct pgvector *self = self_of(vectors);

    tars_pg_pool_free(self->pool);
    free(self);
}

static const struct tars_vectors_ops pgvector_ops = {
    .name = "pgvector",
    .waits = true,
    .state = state,
    .reset = reset,
    .finish = finish,
    .apply = apply,
    .search = search,
    .health = health,
    .close = close_it,
};

tars_status tars_vectors_pgvector_open(const struct tars_vectors_pgvector_config *config,
                                       struct tars_vectors **vectors, struct tars_err *err)
{
    struct pgvector *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for vectors");
    made->base.ops = &pgvector_ops;
    made->config = *config;
    if (made->config.search_ms == 0)
        made->config.search_ms = SEARCH_MS;
    made->base.search_ms = made->config.search_ms;
    made->config.pool.server.texts = texts;
    made->config.pool.server.text_count = sizeof(texts) / sizeof(texts[0]);
    status = tars_pg_pool_new(&made->config.pool, &made->pool, err);
    if (status != TARS_OK) {
        free(made);
        return status;
    }
    *vectors = &made->base;
    return TARS_OK;
}
