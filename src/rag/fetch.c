/* fetch - see fetch.h. Everything found lives in the call's arena already, so strings are lent. */
#include "rag/fetch.h"

#include <math.h>
#include <string.h>

#include "retrieve/retrieve.h"
#include "store/store.h"

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

static void fill(const struct tars_found *found, const char *method, struct tars_rag_source *out)
{
    const struct tars_store_passage *passage = found->passage;
    const struct tars_store_document *document = passage->document;

    *out = (struct tars_rag_source){
        .document_id = document->document_id,
        .chunk_id = passage->chunk_id,
        .collection = text_or_empty(document->collection),
        .file_name = text_or_empty(document->file_name),
        .file_path = text_or_empty(document->path),
        .chunk_index = passage->chunk_index,
        .similarity_score = found->relevance,
        .page_number = passage->page_first,
        .page_last = passage->page_last,
        .text = tars_span(passage->text, passage->text_len),
        .title = text_or_empty(document->title),
        .section = text_or_empty(passage->section),
        .char_start = passage->char_start,
        .char_end = passage->char_end,
        .token_count = passage->token_count,
        .hybrid = strcmp(method, "linear") == 0 || strcmp(method, "rrf") == 0,
        .has_vector = !isnan(found->vector_score),
        .has_bm25 = found->bm25_score > 0,
        .original_score = found->fused,
        .fusion_method = method,
        .reranked = !isnan(found->rerank_score),
    };
    out->vector_score = out->has_vector ? found->vector_score : 0;
    out->bm25_score = out->has_bm25 ? found->bm25_score : 0;
    out->cross_encoder_score = out->reranked ? found->rerank_score : 0;
}

static struct tars_rag_absence absence_of(const struct tars_rag_request *request,
                                          const struct tars_retrieved *found)
{
    const struct tars_retrieve_absence *from = &found->absence;
    struct tars_rag_absence absence = {
        .missing = from->missing,
        .missing_count = from->missing_count,
        .relevance = from->relevance,
        .threshold = request->relevance_threshold,
        .searched = found->searched && !from->is_empty,
        .narrowed = request->filters_json || request->collection,
    };

    if (from->nearest) {
        absence.nearest_file = text_or_empty(from->nearest->document->file_name);
        absence.nearest_document = from->nearest->document->document_id;
    }
    return absence;
}

tars_status tars_rag_fetch(void *ctx, const struct tars_rag_request *request,
                           struct tars_call *call, struct tars_rag_fetched *out,
                           struct tars_err *err)
{
    const struct tars_retrieve_request wanted = {
        .query = tars_span_of(request->query),
        .top_k = (size_t)request->top_k,
        .threshold = request->relevance_threshold,
        .filters_json = request->filters_json,
        .collection = request->collection,
        .rerank = request->rerank,
        .explain = true,
    };
    struct tars_retrieved found;
    struct tars_rag_source *made;
    tars_status status = tars_retrieve(ctx, &wanted, call, &found, err);

    if (status != TARS_OK)
        return status;
    made = tars_arena_calloc(call->arena, found.count + 1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "the passages found do not fit into memory");
    for (size_t i = 0; i < found.count; i++)
        fill(&found.found[i], found.fusion_method, &made[i]);
    *out = (struct tars_rag_fetched){
        .sources = made,
        .count = found.count,
        .degraded = found.degraded ? text_or_empty(found.degraded_part) : NULL,
        .cached = found.is_kept,
        .unmet = found.unmet,
    };
    if (found.count == 0)
        out->absence = absence_of(request, &found);
    return TARS_OK;
}
