/* wiring_life - what the wiring does at a start, and at a reload.
 *
 * The start waits for those servers elsewhere that are wanted, all together START_WAIT_SECONDS at
 * most, so that the first requests find them; without any it waits for nothing. Whoever comes later
 * is connected to by the part itself. */
#include <unistd.h>

#include "app/wiring_internal.h"
#include "auth/quota.h"
#include "auth/rate_limit.h"
#include "base/sys/clock.h"

#define LOOK_US 20000 /* between looks at who has come */

/* ------------------------------------------------------------------- start */

/* Parts of the registry that live elsewhere, and for which the start waits. */
static const char *const awaited[] = {"redis", "postgres"};
#define AWAITED (sizeof(awaited) / sizeof(awaited[0]))

static bool is_stopping(const struct tars_wiring_config *config)
{
    return config->stopping && atomic_load(config->stopping);
}

/* Those of awaited that are wanted and not there; *why of the last one. */
static size_t count_away(const struct tars_wiring *w, struct tars_err *why)
{
    size_t away = 0;

    for (size_t i = 0; i < AWAITED; i++) {
        tars_status status = tars_health_check(&w->health, awaited[i], why);

        away += status != TARS_OK && status != TARS_ENOTFOUND;
    }
    return away;
}

static void warn_away(struct tars_wiring *w, int64_t waited_ms)
{
    for (size_t i = 0; i < AWAITED; i++) {
        struct tars_err why = {{0}};
        tars_status status = tars_health_check(&w->health, awaited[i], &why);
        const char *words;

        if (status == TARS_OK || status == TARS_ENOTFOUND)
            continue;
        words = tars_arena_printf(
            &w->arena,
            "%s is not there after %lld ms (%s): going on without; it is used when it comes",
            awaited[i], (long long)waited_ms, why.text);
        tars_wiring_warn(w, words ? words : awaited[i]);
    }
}

void tars_wiring_await(struct tars_wiring *w, const struct tars_wiring_config *config)
{
    int64_t began_ms = w->awaited_ms;
    int64_t until_ms =
        began_ms + tars_settings_int(w->settings, TARS_SET_START_WAIT_SECONDS) * 1000;

    while (count_away(w, NULL) > 0 && !is_stopping(config) && tars_clock_mono_ms() < until_ms)
        usleep(LOOK_US);
    if (!is_stopping(config))
        warn_away(w, tars_clock_mono_ms() - began_ms);
}

/* ------------------------------------------------------------------ reload */

static const char *first_of(const char *a, const char *b)
{
    return a[0] ? a : b;
}

void tars_wiring_fill_live(const struct tars_settings *settings, struct tars_api_config *config)
{
    const struct tars_settings *s = settings;

    config->cors_origins = first_of(tars_settings_text(s, TARS_SET_ALLOWED_ORIGINS),
                                    tars_settings_text(s, TARS_SET_CORS_ORIGINS));
    config->hosts = tars_settings_text(s, TARS_SET_TARS_HOSTS);
    config->metrics_token = tars_settings_text(s, TARS_SET_METRICS_TOKEN);
    config->chat_heartbeat_ms = tars_settings_int(s, TARS_SET_WS_HEARTBEAT_INTERVAL) * 1000;
    config->chat_timeout_ms = tars_settings_int(s, TARS_SET_WS_TIMEOUT_SECONDS) * 1000;
    config->chat_connections = (size_t)tars_settings_int(s, TARS_SET_WS_MAX_CONNECTIONS);
    config->max_upload_bytes = (size_t)tars_settings_int(s, TARS_SET_MAX_FILE_SIZE_MB) << 20U;
    config->questions_at_once = (size_t)tars_settings_int(s, TARS_SET_QUESTIONS_AT_ONCE);
    config->chat_queue = (size_t)tars_settings_int(s, TARS_SET_WS_MESSAGE_QUEUE_SIZE);
}

tars_status tars_wiring_change(struct tars_wiring *wiring, const struct tars_settings *settings)
{
    struct tars_api_config config = {0};
    struct tars_err err = {{0}};
    tars_status status;

    tars_wiring_fill_live(settings, &config);
    status = tars_api_change(wiring->api, &config);
    if (status == TARS_OK) {
        atomic_store(&wiring->service.max_upload_bytes, (int64_t)config.max_upload_bytes);
        tars_ingest_set_limit(wiring->ingest, (int64_t)config.max_upload_bytes);
        tars_rate_limit_set(wiring->rate_limit,
                            tars_settings_int(settings, TARS_SET_RATE_LIMIT_PER_MINUTE));
        /* Limits of tenants, which somebody may have changed in the store. */
        if (wiring->quota && tars_quota_reload(wiring->quota, &err) != TARS_OK)
            tars_log_warning(wiring->log, "app", "limits of tenants: %s", err.text);
    }
    return status;
}
