/* wiring_postgres - where the log of questions is kept: in PostgreSQL when POSTGRES_ENABLED, else
 * in a SQLite file beside the store. Never in both. */
#include "analytics/sink_postgres.h"
#include "analytics/sink_sqlite.h"
#include "app/postgres.h"
#include "app/wiring_internal.h"

static tars_status check_postgres(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;
    struct tars_pg_pool_stats stats;

    if (!w->postgres)
        return tars_fail(TARS_EUNAVAILABLE, err, "PostgreSQL: closed");
    /* The sampler asks at every tick, so these are as fresh as rag_backend_up. */
    stats = tars_sink_postgres_stats(w->postgres);
    tars_metrics_set(w->metrics, TARS_METRIC_DB_POOL_ACTIVE, (double)stats.active);
    tars_series_set(tars_metrics_series(w->metrics, TARS_METRIC_RAG_BACKEND_BREAKER, "postgres"),
                    (double)stats.breaker);
    return tars_sink_postgres_health(w->postgres, err);
}

/* A server that is away, or refuses us, costs the statistics until it is back; the start goes on.
 */
static tars_status open_postgres(struct tars_wiring *w, struct tars_analytics_sink **sink,
                                 struct tars_err *err)
{
    const struct tars_health_part part = {
        .name = "postgres", .optional = true, .check = check_postgres, .ctx = w};
    struct tars_sink_postgres_config config = {
        .pool = tars_postgres_config(w->settings),
        .partition = tars_settings_flag(w->settings, TARS_SET_ANALYTICS_PARTITION),
        .metrics = w->metrics,
        .log = w->log,
    };
    struct tars_err why = {{0}};
    const char *words;
    tars_status status;

    /* 0 would wait for as long as it takes. */
    config.pool.first_ms = tars_settings_int(w->settings, TARS_SET_START_WAIT_SECONDS) * 1000 + 1;
    status = tars_sink_postgres_open(&config, sink, err);
    if (status != TARS_OK)
        return status;
    w->postgres = *sink;
    if (tars_sink_postgres_prepare(*sink, &why) != TARS_OK) {
        words = tars_arena_printf(&w->arena, "rows of analytics wait for PostgreSQL: %s", why.text);
        tars_wiring_warn(w, words ? words : "rows of analytics wait for PostgreSQL");
    }
    status = tars_health_add(&w->health, &part);
    if (status != TARS_OK) {
        (*sink)->ops->close(*sink);
        w->postgres = NULL;
        return tars_fail(status, err, "no memory for the health of PostgreSQL");
    }
    return TARS_OK;
}

tars_status tars_wiring_open_sink(struct tars_wiring *w, struct tars_analytics_sink **sink,
                                  struct tars_err *err)
{
    const char *path;

    if (tars_settings_flag(w->settings, TARS_SET_POSTGRES_ENABLED))
        return open_postgres(w, sink, err);
    path = tars_arena_printf(&w->arena, "%s/analytics.db", w->data);
    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    return tars_sink_sqlite_open(path, sink, err);
}
