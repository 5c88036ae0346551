/* kept - see kept.h for the contract. */
#include "retrieve/kept.h"

#include <math.h>
#include <string.h>

#define MAGIC   0x32524b54U /* "TKR2" on a little-endian machine */
#define METHODS 4

static const char *const methods[METHODS] = {"linear", "rrf", "words", "vectors"};

struct head {
    uint32_t magic, count, method, zero;
};

struct row {
    uint64_t id;
    double relevance, fused, vector, words, coverage, rerank;
};

/* Fixed parts of a key; padding is part of it too. */
struct fixed {
    uint64_t seq;
    uint64_t top_k;
    double threshold;
    uint32_t switches;
    uint32_t zero;
};

static void append(struct tars_buf *key, const char *text)
{
    tars_buf_append(key, text ? text : "", (text ? strlen(text) : 0) + 1);
}

/* Each text is ended by a NUL that none of them holds, and the list by an empty one. */
void tars_kept_key(struct tars_buf *out, const struct tars_kept_state *state,
                   const struct tars_retrieve_request *request, const struct tars_call *call)
{
    const struct tars_visible *visible = call->visible;
    const struct fixed fixed = {
        .seq = state->seq,
        .top_k = request->top_k,
        .threshold = request->threshold < 0 ? -1 : request->threshold,
        .switches = (uint32_t)request->mode | (uint32_t)request->distinct_documents << 8U |
                    (uint32_t)visible->all << 9U |
                    (uint32_t)(request->filters_json != NULL) << 10U |
                    (uint32_t)(request->collection != NULL) << 11U |
                    (uint32_t)request->rerank << 12U | (uint32_t)request->explain << 13U,
    };

    append(out, state->epoch);
    append(out, state->ranking);
    tars_buf_append(out, (const char *)&fixed, sizeof(fixed));
    for (size_t i = 0; !visible->all && i < visible->count; i++)
        append(out, visible->keys[i]);
    append(out, "");
    append(out, request->filters_json);
    append(out, request->collection);
    tars_buf_append(out, request->query.ptr, request->query.len);
}

static uint32_t method_of(const char *name)
{
    uint32_t method = 0;

    while (method + 1 < METHODS && strcmp(methods[method], name) != 0)
        method++;
    return method;
}

tars_status tars_kept_encode(const struct tars_retrieved *result, struct tars_arena *arena,
                             struct tars_span *bytes)
{
    const struct head head = {MAGIC, (uint32_t)result->count, method_of(result->fusion_method), 0};
    size_t len = sizeof(head) + result->count * sizeof(struct row);
    char *made = tars_arena_alloc(arena, len);

    if (!made)
        return TARS_ENOMEM;
    memcpy(made, &head, sizeof(head));
    for (size_t i = 0; i < result->count; i++) {
        const struct tars_found *found = &result->found[i];
        const struct row row = {found->passage_id,   found->relevance,  found->fused,
                                found->vector_score, found->bm25_score, found->coverage,
                                found->rerank_score};

        memcpy(made + sizeof(head) + i * sizeof(row), &row, sizeof(row));
    }
    *bytes = tars_span(made, len);
    return TARS_OK;
}

static struct row row_at(struct tars_span bytes, size_t i)
{
    struct row row;

    memcpy(&row, bytes.ptr + sizeof(struct head) + i * sizeof(row), sizeof(row));
    return row;
}

static bool row_is_good(const struct row *row)
{
    return row->relevance >= 0 && row->relevance <= 1 && isfinite(row->fused) &&
           (isnan(row->vector) || isfinite(row->vector)) && isfinite(row->words) &&
           isfinite(row->coverage) &&
           (isnan(row->rerank) || (row->rerank >= 0 && row->rerank <= 1));
}

bool tars_kept_is_good(struct tars_span bytes, size_t top_k)
{
    struct head head;

    if (bytes.len < sizeof(head))
        return false;
    memcpy(&head, bytes.ptr, sizeof(head));
    if (head.magic != MAGIC || head.count > top_k || head.method >= METHODS ||
        bytes.len != sizeof(head) + head.count * sizeof(struct row))
        return false;
    for (size_t i = 0; i < head.count; i++) {
        const struct row row = row_at(bytes, i);

        if (!row_is_good(&row))
            return false;
    }
    return true;
}

tars_status tars_kept_decode(struct tars_span bytes, struct tars_arena *arena,
                             struct tars_retrieved *result)
{
    struct head head;

    memcpy(&head, bytes.ptr, sizeof(head));
    result->found = tars_arena_calloc(arena, (size_t)head.count + 1, sizeof(*result->found));
    if (!result->found)
        return TARS_ENOMEM;
    for (size_t i = 0; i < head.count; i++) {
        const struct row row = row_at(bytes, i);

        result->found[i] = (struct tars_found){.passage_id = row.id,
                                               .relevance = row.relevance,
                                               .fused = row.fused,
                                               .vector_score = row.vector,
                                               .bm25_score = row.words,
                                               .coverage = row.coverage,
                                               .rerank_score = row.rerank};
        result->reranked = result->reranked || !isnan(row.rerank);
    }
    result->count = head.count;
    result->fusion_method = methods[head.method];
    return TARS_OK;
}
