/* wiring_rerank - who reads the first candidates of a search once more: a server, a cross-encoder
 * of this process, or nobody.
 *
 * RERANK_URL names a server; else RERANK_MODEL names a folder, which need not be there: nothing is
 * missed then, and nothing is said but in the log and by `tars doctor`. One that was asked for and
 * cannot be had costs the reranking, with a warning.
 */
#include <string.h>

#include "app/places.h"
#include "app/rerankers.h"
#include "app/wiring_internal.h"
#include "net/client.h"
#include "retrieve/reranker.h"

static tars_status check_reranker(void *ctx, struct tars_err *err)
{
    const struct tars_wiring *w = ctx;

    return w->reranker->ops->health(w->reranker, err);
}

tars_status tars_wiring_register_reranker(struct tars_wiring *w)
{
    const struct tars_health_part part = {
        .name = "reranker", .optional = true, .check = check_reranker, .ctx = w};

    return w->reranker ? tars_health_add(&w->health, &part) : TARS_OK;
}

tars_status tars_wiring_open_reranker(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_client_config client = {0};
    struct tars_err why = {{0}};
    const char *words;
    tars_status status = TARS_OK;

    if (tars_rerankers_is_remote(w->settings))
        status = tars_client_new(&client, &w->rerank_client);
    if (status == TARS_OK) {
        status = tars_rerankers_open(w->settings, w->data, w->rerank_client, &w->arena,
                                     &w->reranker, &why);
    }
    if (status == TARS_OK) {
        tars_log_info(w->log, "app", "reranker: %s (%s)", w->reranker->model, w->reranker->kind);
        return TARS_OK;
    }
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "no memory for the reranker");
    words = tars_arena_printf(&w->arena, "not reranking: %s", why.text);
    if (tars_rerankers_was_asked_for(w->settings)) {
        tars_wiring_warn(w, words ? words : "not reranking");
    } else {
        tars_log_info(w->log, "app", "%s", words ? words : "not reranking");
    }
    return TARS_OK;
}

struct tars_rerank_config tars_wiring_rerank_config(const struct tars_wiring *w)
{
    return (struct tars_rerank_config){
        .reranker = w->reranker,
        .top_k = (size_t)tars_settings_int(w->settings, TARS_SET_RERANK_TOP_K),
        .weight = tars_settings_real(w->settings, TARS_SET_RERANK_WEIGHT),
        .budget_ms = tars_settings_int(w->settings, TARS_SET_RERANK_BUDGET_MS),
    };
}

/* Results that were reranked depend on all this. */
const char *tars_wiring_rerank_ranking(const struct tars_wiring *w, struct tars_arena *arena)
{
    const struct tars_rerank_config config = tars_wiring_rerank_config(w);

    if (!config.reranker)
        return "";
    return tars_arena_printf(arena, "|%s|%zu|%g", config.reranker->identity, config.top_k,
                             config.weight);
}

void tars_wiring_close_reranker(struct tars_wiring *w)
{
    tars_reranker_close(w->reranker);
    tars_client_free(w->rerank_client);
}
