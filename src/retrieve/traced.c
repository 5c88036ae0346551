/* traced - see traced.h for the contract. */
#include "retrieve/traced.h"

#include <math.h>

#include "base/codec/json_write.h"
#include "store/store.h"

#define DOCUMENTS_MAX 20
#define PASSAGE_MAX   ((size_t)1 << 10) /* bytes of a passage that are shown */

static const char *mode_of(enum tars_retrieve_mode mode)
{
    switch (mode) {
    case TARS_RETRIEVE_HYBRID:
        return "hybrid";
    case TARS_RETRIEVE_WORDS:
        return "words";
    case TARS_RETRIEVE_VECTORS:
        return "vectors";
    }
    return "hybrid";
}

static void write_found(struct tars_json *json, const struct tars_found *found)
{
    size_t len = found->passage->text_len;

    if (len > PASSAGE_MAX) {
        len = PASSAGE_MAX;
        while (len && ((unsigned char)found->passage->text[len] & 0xC0U) == 0x80U)
            len--;
    }
    tars_json_object(json, NULL);
    tars_json_text(json, "id", found->passage->chunk_id);
    tars_json_fixed(json, "score", found->relevance, 4);
    tars_json_text_n(json, "content", found->passage->text, len);
    tars_json_end(json);
}

static void add_documents(struct tars_trace_span *span, struct tars_arena *arena,
                          const struct tars_retrieved *result)
{
    struct tars_json json;
    struct tars_buf out;
    char *text;

    tars_buf_init(&out, TARS_TRACE_CONTENT_MAX);
    tars_json_init(&json, &out);
    tars_json_array(&json, NULL);
    for (size_t i = 0; i < result->count && i < DOCUMENTS_MAX; i++)
        write_found(&json, &result->found[i]);
    tars_json_end(&json);
    text = out.status == TARS_OK ? tars_arena_strndup(arena, out.ptr, out.len) : NULL;
    if (text)
        tars_trace_content(span, "gen_ai.retrieval.documents", tars_span(text, out.len));
    tars_buf_release(&out);
}

void tars_retrieve_trace_end(struct tars_trace_span *span,
                             const struct tars_retrieve_request *request, struct tars_call *call,
                             const struct tars_retrieved *result, tars_status status,
                             const struct tars_err *err)
{
    if (!span->trace)
        return;
    tars_trace_text(span, "gen_ai.operation.name", "retrieval");
    tars_trace_text(span, "tars.retrieval.mode", mode_of(request->mode));
    tars_trace_int(span, "tars.retrieval.top_k", (int64_t)request->top_k);
    if (request->threshold >= 0)
        tars_trace_real(span, "tars.retrieval.threshold", request->threshold);
    tars_trace_content(span, "gen_ai.retrieval.query.text", request->query);
    if (status == TARS_OK) {
        tars_trace_int(span, "tars.retrieval.passages", (int64_t)result->count);
        tars_trace_text(span, "tars.retrieval.fusion", result->fusion_method);
        tars_trace_int(span, "tars.index.sequence", (int64_t)result->index_seq);
        tars_trace_flag(span, "tars.retrieval.degraded", result->degraded);
        tars_trace_flag(span, "tars.retrieval.kept", result->is_kept);
        tars_trace_flag(span, "tars.retrieval.reranked", result->reranked);
        if (result->embedded)
            tars_trace_flag(span, "tars.embedding.cached", result->embed_cached);
        if (tars_trace_wants_content(span->trace))
            add_documents(span, call->arena, result);
    }
    tars_trace_status(span, status, err);
    tars_trace_end(span);
}

void tars_retrieve_trace_step(struct tars_trace_span *span, const char *key, size_t count,
                              tars_status status)
{
    if (!span->trace)
        return;
    tars_trace_int(span, key, (int64_t)count);
    tars_trace_status(span, status, NULL);
    tars_trace_end(span);
}
