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
