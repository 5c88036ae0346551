/* wiring_replicas - one of several servers on a store: what they have in common, and who leads. */
#include "app/replicas.h"
#include "app/secrets.h"
#include "app/stores.h"
#include "app/wiring_internal.h"
#include "store/store_postgres.h"

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
        .may_lead = config->serves,
    };

    if (!tars_stores_is_shared(w->settings))
        return TARS_OK;
    return tars_replicas_open(&replicas, &w->replicas, err);
}

void tars_wiring_close_replicas(struct tars_wiring *w)
{
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

tars_status tars_wiring_open_texts(struct tars_wiring *w, struct tars_err *err)
{
    const char *dir = NULL;
    const char *path;
    tars_status status;

    if (!w->serves || !tars_stores_is_shared(w->settings) ||
        !tars_settings_flag(w->settings, TARS_SET_STORE_TEXTS))
        return TARS_OK;
    status = tars_stores_index_dir(w->settings, w->store, w->data, &w->arena, &dir, err);
    if (status != TARS_OK)
        return status;
    path = tars_arena_printf(&w->arena, "%s/texts.db", dir);
    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    return tars_store_postgres_keep_texts(w->store, path, w->adopted, err);
}

tars_status tars_wiring_replicas_health(struct tars_wiring *w, struct tars_err *err)
{
    return tars_replicas_health(w->replicas, err);
}
