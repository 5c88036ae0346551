/* sink_postgres - see sink_postgres.h for the contract. This file opens and lends connections;
 * _setup brings the tables up to date, _rows makes rows for COPY, _write writes and removes, _read
 * answers questions, _sql.def has every statement. */
#include "analytics/sink_postgres.h"

#include <stdlib.h>
#include <string.h>

#include "analytics/sink_postgres_internal.h"
#include "base/sys/clock.h"
#include "store/migrate.h"

#define ARENA_MAX ((size_t)64 << 10)

/* ------------------------------------------------------------------ lending */

/* Once the tables are known to be up to date this costs a load. */
static tars_status make_ready(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                              struct tars_err *err)
{
    struct tars_err why = {.text = ""};
    tars_status status = TARS_OK;

    if (atomic_load(&postgres->is_ready))
        return TARS_OK;
    pthread_mutex_lock(&postgres->setup_lock);
    if (!atomic_load(&postgres->is_ready)) {
        status = pg_make_current(postgres, conn, &why);
        postgres->failure = why;
        if (status == TARS_OK) {
            postgres->failure.text[0] = '\0';
            atomic_store(&postgres->is_ready, true);
        }
    }
    pthread_mutex_unlock(&postgres->setup_lock);
    if (status == TARS_OK)
        return status;
    /* The database is to blame, not the rows: they wait until somebody has mended it. */
    if (status != TARS_ENOMEM)
        status = TARS_EUNAVAILABLE;
    return tars_fail(status, err, "%s", why.text);
}

static void count_use(struct sink_postgres *postgres, const struct pg_use *use)
{
    struct tars_pg_pool_stats stats = tars_pg_pool_stats(postgres->pool);
    double seconds = (double)(tars_clock_mono_ns() - use->begun_ns) / 1e9;

    if (!postgres->metrics)
        return;
    tars_metrics_set(postgres->metrics, TARS_METRIC_DB_POOL_ACTIVE, (double)stats.active);
    if (!use->operation)
        return;
    tars_metrics_add(postgres->metrics, TARS_METRIC_DB_QUERIES, 1);
    tars_series_observe(
        tars_metrics_series(postgres->metrics, TARS_METRIC_DB_QUERY_DURATION, use->operation),
        seconds);
}

static void count_failure(struct sink_postgres *postgres, tars_status status)
{
    if (postgres->metrics && status != TARS_OK && status != TARS_ENOMEM) {
        tars_series_add(
            tars_metrics_series(postgres->metrics, TARS_METRIC_RAG_BACKEND_FAILURES, "postgres"),
            1);
    }
}

tars_status pg_begin(struct sink_postgres *postgres, const char *operation, struct pg_use *use,
                     struct tars_err *err)
{
    tars_status status;

    *use = (struct pg_use){.operation = operation, .begun_ns = tars_clock_mono_ns()};
    status = tars_pg_take(postgres->pool, &use->conn, err);
    if (status != TARS_OK) {
        count_failure(postgres, status);
        return status;
    }
    status = make_ready(postgres, use->conn, err);
    return status == TARS_OK ? status : pg_end(postgres, use, status);
}

tars_status pg_end(struct sink_postgres *postgres, struct pg_use *use, tars_status status)
{
    /* Somebody dropped or changed the tables: they are looked at again. */
    if (status == TARS_EUNAVAILABLE && strncmp(use->conn->state, "42", 2) == 0)
        atomic_store(&postgres->is_ready, false);
    count_failure(postgres, status);
    count_use(postgres, use);
    tars_pg_give(postgres->pool, use->conn);
    use->conn = NULL;
    return status;
}

/* -------------------------------------------------------------- life cycle */

static const char *const texts[] = {
#define SQL(name, text) text,
#include "analytics/sink_postgres_sql.def"
#undef SQL
};

void pg_give_texts(struct tars_pg_config *server)
{
    server->texts = texts;
    server->text_count = PG_SQL_COUNT;
}

static void close_postgres(struct tars_analytics_sink *sink)
{
    struct sink_postgres *postgres = pg_of(sink);

    tars_pg_pool_free(postgres->pool);
    pthread_mutex_destroy(&postgres->setup_lock);
    tars_arena_release(&postgres->arena);
    free(postgres);
}

static const struct tars_analytics_sink_ops ops = {
    .name = "postgres",
    .close = close_postgres,
    .write = pg_write,
    .position = pg_position,
    .prune = pg_prune,
    .clear = pg_clear,
    .stats = pg_stats,
    .popular = pg_popular,
    .patterns = pg_patterns,
    .totals = pg_totals,
    .history = pg_history,
    .read = pg_read,
    .rollup = pg_rollup,
    .import = pg_import,
    .erase = pg_erase,
    .clients = pg_clients,
    .anonymize = pg_anonymize,
    .scrub = pg_scrub,
};

/* The texts that the pool lends for its life. */
static tars_status copy_texts(struct sink_postgres *postgres, struct tars_pg_config *server,
                              struct tars_err *err)
{
    const char **const fields[] = {
        &server->host,     &server->database, &server->user,
        &server->password, &server->sslmode,  &server->sslrootcert,
        &server->sslcert,  &server->sslkey,   &server->application,
    };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (!*fields[i])
            continue;
        *fields[i] = tars_arena_strdup(&postgres->arena, *fields[i]);
        if (!*fields[i])
            return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    }
    pg_give_texts(server);
    return TARS_OK;
}

tars_status tars_sink_postgres_open(const struct tars_sink_postgres_config *config,
                                    struct tars_analytics_sink **sink, struct tars_err *err)
{
    struct sink_postgres *made = calloc(1, sizeof(*made));
    struct tars_pg_pool_config pool = config->pool;
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    made->sink.ops = &ops;
    made->metrics = config->metrics;
    made->log = config->log;
    made->partition = config->partition;
    tars_arena_init(&made->arena, ARENA_MAX);
    pthread_mutex_init(&made->setup_lock, NULL);
    status = copy_texts(made, &pool.server, err);
    if (status == TARS_OK)
        status = tars_pg_pool_new(&pool, &made->pool, err);
    if (status != TARS_OK) {
        close_postgres(&made->sink);
        return status;
    }
    if (made->metrics) {
        tars_metrics_set(made->metrics, TARS_METRIC_DB_POOL_MAX,
                         (double)tars_pg_pool_stats(made->pool).max);
    }
    *sink = &made->sink;
    return TARS_OK;
}

tars_status tars_sink_postgres_prepare(struct tars_analytics_sink *sink, struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    struct pg_use use;
    tars_status status = pg_begin(postgres, "prepare", &use, err);

    return status == TARS_OK ? pg_end(postgres, &use, status) : status;
}

tars_status tars_sink_postgres_health(struct tars_analytics_sink *sink, struct tars_err *err)
{
    struct sink_postgres *postgres = pg_of(sink);
    tars_status status = tars_pg_pool_health(postgres->pool, err);

    if (status != TARS_OK)
        return status;
    pthread_mutex_lock(&postgres->setup_lock);
    if (postgres->failure.text[0])
        status = tars_fail(TARS_EUNAVAILABLE, err, "%s", postgres->failure.text);
    pthread_mutex_unlock(&postgres->setup_lock);
    return status;
}

struct tars_pg_pool_stats tars_sink_postgres_stats(struct tars_analytics_sink *sink)
{
    return tars_pg_pool_stats(pg_of(sink)->pool);
}
