/* wiring_replicas - one of several servers on a store: what they have in common, and who leads. */
#include <string.h>

#include "app/alike.h"
#include "app/replicas.h"
#include "app/secrets.h"
#include "app/snapshots.h"
#include "app/stores.h"
#include "app/wiring_internal.h"
#include "index/index.h"
#include "store/store_postgres.h"

/* ---------------------------------------------------------------------- role */

static bool has_role(const struct tars_wiring *w, const char *role)
{
    return strcmp(tars_settings_text(w->settings, TARS_SET_TARS_ROLE), role) == 0;
}

tars_status tars_wiring_open_role(struct tars_wiring *w, struct tars_err *err)
{
    if (!w->serves || has_role(w, "all"))
        return TARS_OK;
    if (!tars_stores_is_shared(w->settings)) {
        return tars_fail(TARS_EINVAL, err,
                         "TARS_ROLE is %s and STORE_SHARED is false: who has the store alone does "
                         "all; expected TARS_ROLE=all, or STORE_SHARED=true",
                         tars_settings_text(w->settings, TARS_SET_TARS_ROLE));
    }
    w->no_index = has_role(w, "ingest");
    return TARS_OK;
}

/* Commands do what they are told, whatever the servers' role. */
bool tars_wiring_takes_jobs(const struct tars_wiring *w)
{
    return !w->serves || !has_role(w, "serve");
}

/* ------------------------------------------------------------------ snapshots */

static bool leads(void *ctx)
{
    return tars_wiring_leads(ctx);
}

static struct tars_snapshots_config snapshots_config(struct tars_wiring *w)
{
    return (struct tars_snapshots_config){
        .local = w->index_dir,
        .shared = w->snapshot_dir,
        .store = w->store,
        .log = w->log,
        .index = w->index,
        .ingest = w->ingest,
        .leads = leads,
        .ctx = w,
    };
}

tars_status tars_wiring_adopt_snapshot(struct tars_wiring *w,
                                       const struct tars_index_config *config, struct tars_err *err)
{
    const char *folder = tars_settings_text(w->settings, TARS_SET_SNAPSHOT_DIR);
    struct tars_snapshots_config snapshots;
    const char *name;

    tars_snapshots_check(w->index_dir, config, w->log);
    if (!w->serves || !folder[0] || !tars_stores_is_shared(w->settings))
        return TARS_OK;
    name = strrchr(w->index_dir, '/');
    w->snapshot_dir = tars_arena_printf(&w->arena, "%s%s", folder, name ? name : "/index");
    if (!w->snapshot_dir)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    snapshots = snapshots_config(w);
    w->texts_anew = tars_snapshots_adopt(&snapshots, config);
    return TARS_OK;
}

/* -------------------------------------------------------------------- sharing */

/* A change of a setting goes from one server to the next, so this one comes in all the same. */
static void warn_unlike(struct tars_wiring *w)
{
    struct tars_err why = {{0}};
    const char *found = "";
    const char *words;

    if (tars_alike_check(w->settings, w->store, &w->arena, &found, &why) != TARS_OK) {
        tars_log_warning(w->log, "app", "whether other servers have these settings: %s", why.text);
        return;
    }
    if (!found[0])
        return;
    words = tars_arena_printf(&w->arena,
                              "%s: documents come out differently by which server takes them in; "
                              "give all servers the same, and take in again what differs",
                              found);
    tars_wiring_warn(w, words ? words : found);
}

tars_status tars_wiring_open_replicas(struct tars_wiring *w,
                                      const struct tars_wiring_config *config, struct tars_err *err)
{
    const struct tars_replicas_config replicas = {
        .store = w->store,
        .index = w->index,
        .ingest = w->ingest,
        .auth = w->auth,
        .quota = w->quota,
        .metrics = w->metrics,
        .log = w->log,
        .may_lead = config->serves && !w->no_index,
        .follows = !w->no_index,
        .offline_ms = tars_settings_int(w->settings, TARS_SET_STORE_OFFLINE_SECONDS) * 1000,
    };
    tars_status status;

    if (!tars_stores_is_shared(w->settings))
        return TARS_OK;
    if (config->serves || config->ingests)
        warn_unlike(w);
    status = tars_replicas_open(&replicas, &w->replicas, err);
    if (status == TARS_OK && w->snapshot_dir && config->serves) {
        const struct tars_snapshots_config snapshots = snapshots_config(w);

        status = tars_snapshots_open(&snapshots, &w->snapshots, err);
    }
    return status;
}

void tars_wiring_close_replicas(struct tars_wiring *w)
{
    tars_snapshots_close(w->snapshots);
    w->snapshots = NULL;
    w->is_past = tars_replicas_went_back(w->replicas);
    tars_replicas_close(w->replicas);
    w->replicas = NULL;
}

bool tars_wiring_leads(const struct tars_wiring *w)
{
    return tars_replicas_leads(w->replicas);
}

tars_status tars_wiring_secret(struct tars_wiring *w, bool is_loopback, const char **secret,
                               struct tars_err *err)
{
    if (tars_stores_is_shared(w->settings) && !tars_secrets_is_given(w->settings))
        return tars_store_meta_get(w->store, TARS_STORE_KEY, &w->arena, secret, err);
    return tars_secrets_signing(w->settings, w->data, is_loopback, &w->arena, secret, err);
}

tars_status tars_wiring_may_lack_model(struct tars_wiring *w, const struct tars_err *why,
                                       struct tars_err *err)
{
    struct tars_store_model held = {.identity = ""};
    tars_status status = TARS_OK;

    if (w->serves && tars_stores_is_shared(w->settings))
        status = tars_store_model(w->store, &held, err);
    if (status != TARS_OK || !held.identity[0])
        return status;
    return tars_fail(TARS_EMISMATCH, err,
                     "the servers that share the store embed with %s, which is not here: %s",
                     held.name, why->text);
}

tars_status tars_wiring_open_texts(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_index_stats stats = {.last_id = 0};
    const char *path;

    if (!w->serves || w->no_index || !tars_stores_is_shared(w->settings) ||
        !tars_settings_flag(w->settings, TARS_SET_STORE_TEXTS))
        return TARS_OK;
    path = tars_arena_printf(&w->arena, "%s/texts.db", w->index_dir);
    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    if (!w->texts_anew)
        tars_index_stats(w->index, &stats);
    return tars_store_postgres_keep_texts(w->store, path, stats.last_id, tars_index_seq(w->index),
                                          w->log, err);
}

tars_status tars_wiring_may_answer(void *ctx, struct tars_err *err)
{
    const struct tars_wiring *w = ctx;

    return tars_replicas_may_answer(w->replicas, err);
}

tars_status tars_wiring_replicas_health(struct tars_wiring *w, struct tars_err *err)
{
    return tars_replicas_health(w->replicas, err);
}
