/* wiring_analytics - the log of questions, and who writes into it besides routes. */
#include <stdlib.h>
#include <string.h>

#include "analytics/analytics.h"
#include "api/record.h"
#include "app/sampler.h"
#include "app/wiring_internal.h"
#include "base/sys/clock.h"
#include "ingest/ingest.h"
#include "ingest/watch.h"

static tars_status open_analytics(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_analytics_config config = {
        .journal = tars_arena_printf(&w->arena, "%s/analytics.queue", w->data),
        .queue_bytes = (size_t)tars_settings_int(w->settings, TARS_SET_ANALYTICS_JOURNAL_MB) << 20,
        .retention_days = tars_settings_int(w->settings, TARS_SET_ANALYTICS_RETENTION_DAYS),
        .log = w->log,
        .metrics = w->metrics,
    };
    tars_status status;

    if (!config.journal)
        return tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    /* Without the key that signs tokens there are no names for clients that were made anonymous. */
    if (tars_wiring_secret(w, true, &config.pseudonym_key, NULL) != TARS_OK)
        config.pseudonym_key = NULL;
    status = tars_wiring_open_sink(w, &config.sink, err);
    if (status == TARS_OK)
        status = tars_analytics_open(&config, &w->analytics, err);
    if (status != TARS_OK)
        w->postgres = NULL;
    return status;
}

static tars_status check_analytics(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;

    return tars_analytics_health(w->analytics, err);
}

tars_status tars_wiring_open_analytics(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_health_part part = {
        .name = "analytics", .optional = true, .check = check_analytics, .ctx = w};
    struct tars_err why = {{0}};
    const char *words;
    tars_status status;

    w->awaited_ms = tars_clock_mono_ms(); /* here begins what may wait for others */
    if (!tars_settings_flag(w->settings, TARS_SET_ANALYTICS_ENABLED))
        return TARS_OK;
    status = open_analytics(w, &why);
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    if (status != TARS_OK) {
        words = tars_arena_printf(&w->arena, "questions are not logged: %s", why.text);
        tars_wiring_warn(w, words ? words : "questions are not logged");
    }
    return tars_health_add(&w->health, &part);
}

void tars_wiring_close_analytics(struct tars_wiring *w)
{
    tars_analytics_close(w->analytics);
    w->analytics = NULL;
    w->postgres = NULL;
}

/* An absolute path, so that absolute names inside it are known as such. */
static tars_status place_exports(struct tars_wiring *w, const char **dir, struct tars_err *err)
{
    const char *set = tars_settings_text(w->settings, TARS_SET_TARS_EXPORT_DIR);
    char *here = NULL;

    if (!set[0]) {
        *dir = tars_arena_printf(&w->arena, "%s/exports", w->data);
    } else if (set[0] == '/') {
        *dir = tars_arena_strdup(&w->arena, set);
    } else {
        here = realpath(".", NULL);
        *dir = tars_arena_printf(&w->arena, "%s/%s", here ? here : ".", set);
        free(here);
    }
    return *dir ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for a path");
}

tars_status tars_wiring_fill_analytics(struct tars_wiring *w, struct tars_api_config *config,
                                       struct tars_err *err)
{
    config->analytics = w->analytics;
    return place_exports(w, &config->export_dir, err);
}

/* Keys of collections outside the default tenant begin with the tenant's name (store/accounts.h).
 */
static const char *tenant_of(const char *collection, char *out, size_t size)
{
    const char *slash = collection ? strchr(collection, '/') : NULL;

    if (!slash || (size_t)(slash - collection) >= size)
        return NULL;
    memcpy(out, collection, (size_t)(slash - collection));
    out[slash - collection] = '\0';
    return out;
}

static void note_failure(struct tars_wiring *w, const struct tars_ingest_event *event)
{
    char tenant[TARS_NAME_CHARS_MAX + 1];
    const struct tars_error_row row = {
        .tenant = tenant_of(event->collection, tenant, sizeof(tenant)),
        .error_type = tars_record_type(event->status),
        .error_message = event->reason,
        .service = "ingest",
        .operation = "index",
        .severity = "WARNING",
    };

    tars_analytics_error(w->analytics, &row);
}

void tars_wiring_count_event(struct tars_wiring *w, const struct tars_ingest_event *event)
{
    tars_wiring_count_file(w, event);
    if (event->outcome == TARS_INGEST_FAILED)
        note_failure(w, event);
    tars_watch_note(w->watch, event);
}

tars_status tars_wiring_open_sampler(struct tars_wiring *w, const struct tars_wiring_config *config,
                                     struct tars_err *err)
{
    int64_t interval_ms = tars_settings_int(w->settings, TARS_SET_METRICS_SAMPLE_SECONDS) * 1000;
    const struct tars_sampler_config wanted = {
        .analytics = w->analytics,
        .metrics = w->metrics,
        .health = &w->health,
        .api = w->api,
        .gpu = w->gpu,
        .service = &tars_service_ops,
        .service_ctx = &w->service,
        .connections = config->connections,
        .connections_ctx = config->connections_ctx,
        .interval_ms = interval_ms,
        .tick_ms = interval_ms > 0 && interval_ms < TARS_SAMPLER_TICK_MS ? interval_ms : 0,
    };

    return tars_sampler_open(&wanted, &w->sampler, err);
}
