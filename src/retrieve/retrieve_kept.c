/* retrieve_kept - a search by way of the cache: what was found for the same question, or else found
 * now, once for all who ask. See retrieve.h, and kept.h for what is kept.
 */
#include <string.h>

#include "cache/fetch.h"
#include "index/index.h"
#include "retrieve/kept.h"
#include "retrieve/retrieve_internal.h"
#include "store/epoch.h"
#include "store/store.h"

int64_t tars_retrieve_patience_ms(const struct tars_call *call)
{
    int64_t left_ms = call->deadline_ms ? call->deadline_ms - tars_clock_mono_ms() : INT64_MAX;

    if (left_ms > TARS_CACHE_WAIT_MS)
        return TARS_CACHE_WAIT_MS;
    return left_ms > 0 ? left_ms : 1;
}

static double ms_since(int64_t start_ns)
{
    return (double)(tars_clock_mono_ns() - start_ns) / 1e6;
}

/* A result on its way into the cache. */
struct keeping {
    struct tars_retriever *retriever;
    const struct tars_retriever_config *config; /* of it */
    const struct tars_retrieve_request *request;
    struct tars_call *call;
    uint64_t seq;               /* of the key */
    struct tars_retrieved made; /* if it had to be */
};

static size_t wanted(const struct tars_retrieve_request *request)
{
    return request->top_k ? request->top_k : TARS_RETRIEVE_TOP_DEFAULT;
}

static bool is_result(void *ctx, struct tars_span bytes)
{
    const struct keeping *keeping = ctx;

    return tars_kept_is_good(bytes, wanted(keeping->request));
}

static tars_status make_result(void *ctx, struct tars_arena *arena, struct tars_cache_made *out,
                               struct tars_err *err)
{
    struct keeping *keeping = ctx;
    struct tars_retrieved *made = &keeping->made;
    const struct tars_index *index = keeping->config->index;
    tars_status status =
        tars_retrieve_anew(keeping->retriever, keeping->request, keeping->call, made, err);

    if (status != TARS_OK)
        return status;
    /* The index only ever moves on: if it is there still, it was all the while. */
    out->is_mine_alone = (keeping->request->explain && made->count == 0) || made->degraded ||
                         made->is_behind || made->unmet || made->rerank_is_partial ||
                         made->index_seq != keeping->seq || tars_index_seq(index) != keeping->seq ||
                         tars_kept_encode(made, arena, &out->value) != TARS_OK;
    return TARS_OK;
}

/* Read the text of what was kept. TARS_ENOTFOUND: a passage is gone, or is not for this call. */
static tars_status revive(const struct keeping *keeping, struct tars_retrieved *result,
                          struct tars_err *err)
{
    struct tars_arena *arena = keeping->call->arena;
    const char *collection = keeping->request->collection;
    struct tars_store_passages passages = {0};
    uint64_t *ids = tars_arena_calloc(arena, result->count + 1, sizeof(*ids));
    tars_status status;

    if (!ids)
        return TARS_ENOMEM;
    for (size_t i = 0; i < result->count; i++)
        ids[i] = result->found[i].passage_id;
    status = tars_store_passages(keeping->config->store, ids, result->count, TARS_LOAD_TEXT, arena,
                                 &passages, err);
    if (status != TARS_OK)
        return status;
    if (passages.count != result->count)
        return TARS_ENOTFOUND;
    for (size_t i = 0; i < result->count; i++) {
        const char *of = passages.items[i].document->collection;

        /* The key has the rights already; a second look costs nothing and forgives no mistake. */
        if (passages.items[i].id != ids[i] || !tars_visible_has(keeping->call->visible, of) ||
            (collection && strcmp(collection, of) != 0))
            return TARS_ENOTFOUND;
        result->found[i].passage = &passages.items[i];
    }
    return TARS_OK;
}

static tars_status use_kept(const struct keeping *keeping, struct tars_span bytes,
                            struct tars_retrieved *result, struct tars_err *err)
{
    struct tars_retrieved made = {.index_seq = keeping->seq, .is_kept = true};
    int64_t start = tars_clock_mono_ns();
    tars_status status = tars_kept_decode(bytes, keeping->call->arena, &made);

    if (status == TARS_OK)
        status = revive(keeping, &made, err);
    made.fetch_ms = ms_since(start);
    if (status == TARS_OK)
        *result = made;
    return status;
}

static tars_status recall_or_retrieve(struct keeping *keeping, struct tars_span key,
                                      struct tars_retrieved *result, struct tars_err *err)
{
    const struct tars_cache_wish wish = {.kind = TARS_CACHE_RESULT,
                                         .key = key,
                                         .wait_ms = tars_retrieve_patience_ms(keeping->call),
                                         .compute = make_result,
                                         .is_good = is_result,
                                         .ctx = keeping};
    enum tars_cache_source source;
    struct tars_span bytes;
    tars_status status =
        tars_cache_fetch(keeping->config->cache, &wish, keeping->call->arena, &bytes, &source, err);

    if (status == TARS_OK && source == TARS_CACHE_COMPUTED) {
        *result = keeping->made;
    } else if (status == TARS_OK) {
        status = use_kept(keeping, bytes, result, err);
        if (status == TARS_ENOTFOUND) {
            status = tars_retrieve_anew(keeping->retriever, keeping->request, keeping->call, result,
                                        err);
        }
    }
    return status;
}

tars_status tars_retrieve_kept(struct tars_retriever *retriever,
                               const struct tars_retriever_config *config,
                               const struct tars_retrieve_request *request, struct tars_call *call,
                               struct tars_retrieved *result, struct tars_err *err)
{
    struct keeping keeping = {
        .retriever = retriever, .config = config, .request = request, .call = call};
    struct tars_kept_state state = {.ranking = config->ranking};
    struct tars_buf key;
    tars_status status;

    if (!config->cache || !config->epoch || !config->ranking || !call->visible)
        return tars_retrieve_anew(retriever, request, call, result, err);
    keeping.seq = state.seq = tars_index_seq(config->index);
    state.epoch = tars_epoch_of(config->epoch, state.seq);
    tars_buf_init(&key, TARS_KEPT_KEY_MAX);
    tars_kept_key(&key, &state, request, call);
    if (key.status == TARS_OK) {
        status = recall_or_retrieve(&keeping, tars_buf_span(&key), result, err);
    } else {
        status = tars_retrieve_anew(retriever, request, call, result, err);
    }
    tars_buf_release(&key);
    return status;
}
