/* recall - see recall.h.
 *
 * A value is the number of results (8 bytes) and then their JSON. A key, each text ended by a NUL
 * that none of them holds, fixed parts first:
 *
 *     "shown" | seq 8 | top_k 8 | threshold 8 | mode, flags, sees all 8 | keys that it sees | "" |
 * ranking | filters | query
 */
#include "app/recall.h"

#include <string.h>

#include "cache/cache.h"
#include "index/index.h"
#include "ingest/ingest.h"

struct fixed {
    uint64_t seq;
    uint64_t top_k;
    double threshold;
    uint32_t switches;
    uint32_t zero; /* padding is part of the key too */
};

static void append(struct tars_buf *key, const char *text)
{
    tars_buf_append(key, text, strlen(text) + 1);
}

static void append_visible(struct tars_buf *key, const struct tars_visible *visible)
{
    for (size_t i = 0; visible && !visible->all && i < visible->count; i++)
        append(key, visible->keys[i]);
    append(key, "");
}

/* The key's bytes into out, which the caller has set up. */
static void make_key(struct tars_buf *out, const struct tars_service *service,
                     const struct tars_search_request *request, const struct tars_call *call,
                     uint64_t seq)
{
    const struct fixed fixed = {
        .seq = seq,
        .top_k = request->top_k,
        .threshold = request->threshold,
        .switches = (uint32_t)request->mode << 2U |
                    (uint32_t)(call->visible && call->visible->all) << 8U |
                    (uint32_t)request->distinct_documents << 1U |
                    (uint32_t)request->include_content | (uint32_t)request->rerank << 9U,
    };

    append(out, "shown"); /* no key of what was found begins so: those begin with an epoch */
    tars_buf_append(out, (const char *)&fixed, sizeof(fixed));
    append_visible(out, call->visible);
    append(out, service->ranking);
    append(out, request->filters_json ? request->filters_json : "");
    append(out, request->collection ? request->collection : "");
    append(out, request->query);
}

#define KEY_MAX ((size_t)1 << 20)

tars_status tars_recall(const struct tars_service *service,
                        const struct tars_search_request *request, struct tars_call *call,
                        struct tars_recalled *recalled)
{
    struct tars_span value;
    struct tars_buf key;
    tars_status status;

    if (!service->cache || tars_ingest_is_behind(service->ingest))
        return TARS_ENOTFOUND;
    tars_buf_init(&key, KEY_MAX);
    make_key(&key, service, request, call, tars_index_seq(service->index));
    status = key.status;
    if (status == TARS_OK) {
        status = tars_cache_get_near(service->cache, TARS_CACHE_RESULT, tars_buf_span(&key),
                                     call->arena, &value);
    }
    tars_buf_release(&key);
    if (status != TARS_OK || value.len < sizeof(recalled->count))
        return TARS_ENOTFOUND;
    memcpy(&recalled->count, value.ptr, sizeof(recalled->count));
    recalled->results =
        tars_span(value.ptr + sizeof(recalled->count), value.len - sizeof(recalled->count));
    return TARS_OK;
}

void tars_recall_keep(const struct tars_service *service, const struct tars_search_request *request,
                      struct tars_call *call, const struct tars_search_reply *reply,
                      struct tars_span results)
{
    int64_t count = (int64_t)reply->count;
    struct tars_buf key;
    struct tars_buf value;

    if (!service->cache || reply->degraded || reply->unmet || reply->is_partial ||
        tars_ingest_is_behind(service->ingest) ||
        reply->index_seq != tars_index_seq(service->index))
        return;
    tars_buf_init(&key, KEY_MAX);
    tars_buf_init(&value, sizeof(count) + results.len);
    make_key(&key, service, request, call, reply->index_seq);
    tars_buf_append(&value, (const char *)&count, sizeof(count));
    tars_buf_append(&value, results.ptr, results.len);
    if (key.status == TARS_OK && value.status == TARS_OK) {
        tars_cache_set_near(service->cache, TARS_CACHE_RESULT, tars_buf_span(&key),
                            tars_buf_span(&value));
    }
    tars_buf_release(&key);
    tars_buf_release(&value);
}
