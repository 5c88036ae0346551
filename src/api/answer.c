/* answer - see answer.h for the contract. */
#include "api/answer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/at_once.h"
#include "auth/quota.h"
#include "api/record.h"
#include "api/words.h"
#include "base/crypto/digest.h"
#include "rag/absence.h"
#include "rag/history.h"

#define KEPT_MAX ((size_t)1 << 20) /* bytes of the sources that are kept with a turn */

void tars_answer_uuid(char *out)
{
    unsigned char b[16] = {0};

    if (tars_random_bytes(b, sizeof(b)) != TARS_OK)
        memset(b, 0, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0FU) | 0x40U);
    b[8] = (unsigned char)((b[8] & 0x3FU) | 0x80U);
    (void)snprintf(out, TARS_UUID_BYTES,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
}

/* ---------------------------------------------------------------------- JSON */

void tars_answer_write_score(struct tars_json *json, const char *key, bool known, double score)
{
    if (known && !isnan(score)) {
        tars_json_double(json, key, score);
    } else {
        tars_json_null(json, key);
    }
}

void tars_answer_write_page(struct tars_json *json, const char *key, int page)
{
    if (page > 0) {
        tars_json_int(json, key, page);
    } else {
        tars_json_null(json, key);
    }
}

static void write_source(struct tars_json *json, const struct tars_rag_source *source,
                         bool passages)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "document_id", source->document_id);
    tars_json_text(json, "chunk_id", source->chunk_id);
    tars_json_text(json, "file_name", source->file_name);
    tars_json_text(json, "file_path", source->file_path);
    tars_json_int(json, "chunk_index", source->chunk_index);
    tars_json_fixed(json, "similarity_score", source->similarity_score, 4);
    tars_json_text(json, "excerpt", source->excerpt);
    tars_answer_write_page(json, "page_number", source->page_number);
    tars_answer_write_page(json, "page_last", source->page_last);
    tars_json_text(json, "title", source->title);
    tars_json_text(json, "section", source->section);
    if (passages)
        tars_json_text_n(json, "content", source->text.ptr, source->text.len);
    tars_json_int(json, "char_start", (int64_t)source->char_start);
    tars_json_int(json, "char_end", (int64_t)source->char_end);
    tars_json_bool(json, "in_context", source->in_context);
    tars_json_object(json, "metadata");
    tars_json_bool(json, "hybrid_search", source->hybrid);
    tars_answer_write_score(json, "vector_score", source->has_vector, source->vector_score);
    tars_answer_write_score(json, "bm25_score", source->has_bm25, source->bm25_score);
    tars_json_text(json, "fusion_method", source->fusion_method);
    tars_answer_write_score(json, "original_score", true, source->original_score);
    tars_answer_write_score(json, "cross_encoder_score", source->reranked,
                            source->cross_encoder_score);
    tars_json_bool(json, "reranked", source->reranked);
    tars_json_end(json);
    tars_json_end(json);
}

void tars_answer_write_sources(struct tars_json *json, const struct tars_rag_answer *answer,
                               bool passages)
{
    tars_json_array(json, "sources");
    for (size_t i = 0; i < answer->source_count; i++)
        write_source(json, &answer->sources[i], passages);
    tars_json_end(json);
}

static void write_citation(struct tars_json *json, const struct tars_rag_answer *answer,
                           const struct tars_rag_citation *citation)
{
    tars_json_object(json, NULL);
    tars_json_int(json, "start", (int64_t)citation->char_start);
    tars_json_int(json, "end", (int64_t)citation->char_end);
    tars_json_text_n(json, "text", answer->answer + citation->start,
                     citation->end - citation->start);
    tars_json_bool(json, "supported", citation->supported);
    tars_json_text(json, "verdict", tars_cite_verdict_text(citation->verdict));
    tars_json_array(json, "sources");
    for (size_t i = 0; i < citation->source_count; i++)
        tars_json_int(json, NULL, citation->sources[i]);
    tars_json_end(json);
    tars_json_end(json);
}

void tars_answer_write_citations(struct tars_json *json, const struct tars_rag_answer *answer)
{
    tars_json_array(json, "citations");
    for (size_t i = 0; i < answer->citation_count; i++)
        write_citation(json, answer, &answer->citations[i]);
    tars_json_end(json);
    tars_json_int(json, "unsupported_count", (int64_t)answer->unsupported_count);
    tars_json_text(json, "degraded", answer->degraded);
}

static void write_nearest(struct tars_json *json, const struct tars_rag_absence *absence)
{
    if (!absence->nearest_file) {
        tars_json_null(json, "nearest");
        return;
    }
    tars_json_object(json, "nearest");
    tars_json_text(json, "document_id", absence->nearest_document);
    tars_json_text(json, "file_name", absence->nearest_file);
    tars_json_fixed(json, "similarity_score", absence->relevance, 4);
    tars_json_end(json);
}

void tars_answer_write_absence(struct tars_json *json, const struct tars_rag_answer *answer)
{
    const struct tars_rag_absence *absence = &answer->absence;

    if (answer->unmet)
        tars_json_text(json, "unmet", answer->unmet);
    if (answer->source_count > 0)
        return;
    tars_json_object(json, "absence");
    tars_json_text(json, "reason", tars_absence_reason(absence));
    tars_json_array(json, "missing_words");
    for (size_t i = 0; i < absence->missing_count; i++)
        tars_json_text(json, NULL, absence->missing[i]);
    tars_json_end(json);
    write_nearest(json, absence);
    tars_json_fixed(json, "relevance_threshold", absence->threshold, 4);
    tars_json_end(json);
}

/* ---------------------------------------------------------------------- keep */

/* The sources as the turn keeps them: as they were sent, without the passages themselves. */
static void write_kept(struct tars_buf *sources, struct tars_buf *metadata,
                       const struct tars_rag_answer *answer)
{
    struct tars_json json;

    tars_json_init(&json, sources);
    tars_json_array(&json, NULL);
    for (size_t i = 0; i < answer->source_count; i++)
        write_source(&json, &answer->sources[i], false);
    tars_json_end(&json);
    tars_json_init(&json, metadata);
    tars_json_object(&json, NULL);
    tars_json_fixed(&json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
    tars_json_fixed(&json, "generation_time_ms", answer->generation_time_ms, 2);
    tars_json_fixed(&json, "total_time_ms", answer->total_time_ms, 2);
    tars_json_text(&json, "model", answer->model ? answer->model : "");
    tars_json_end(&json);
}

void tars_answer_keep(const struct tars_api *api, const struct tars_call *call,
                      const char *conversation_id, const char *question, int64_t asked_us,
                      struct tars_rag_answer *answer)
{
    struct tars_history_turn turn = {
        .question = question, .answer = answer->answer, .asked_us = asked_us};
    struct tars_err err = {{0}};
    struct tars_buf sources;
    struct tars_buf metadata;
    tars_status status;

    tars_buf_init(&sources, KEPT_MAX);
    tars_buf_init(&metadata, KEPT_MAX);
    write_kept(&sources, &metadata, answer);
    status = metadata.status;
    if (status == TARS_OK) {
        turn.sources_json = sources.status == TARS_OK ? sources.ptr : NULL;
        turn.metadata_json = metadata.ptr;
        status = tars_history_keep(api->config.history, call, conversation_id, &turn, &err);
    }
    if (status != TARS_OK) {
        answer->degraded = status == TARS_EAGAIN ? "not yet kept in the conversation"
                                                 : "not kept in the conversation";
        tars_log_call(api->config.log, TARS_LOG_WARNING, "api", call, "a turn was not kept: %s",
                      err.text[0] ? err.text : tars_status_text(status));
    }
    tars_buf_release(&sources);
    tars_buf_release(&metadata);
}

/* ----------------------------------------------------------------------- ask */

/* Whose questions at once are counted together; the text lives as long as the call. */
static struct tars_span caller_of(const struct tars_call *call, const struct tars_asking *asking)
{
    const char *name =
        asking->address
            ? tars_arena_printf(call->arena, "address %s", asking->address)
            : tars_arena_printf(call->arena, "%s %s", call->tenant ? call->tenant : TARS_TENANT,
                                call->client_id);

    return tars_span_of(name ? name : "");
}

/* Its place among the questions at once, and one more of today. */
static tars_status admit(const struct tars_api *api, const struct tars_call *call,
                         struct tars_asking *asking, struct tars_err *err)
{
    tars_status status = tars_at_once_enter(api->at_once, caller_of(call, asking), &asking->place);

    if (status == TARS_EBUSY) {
        asking->retry_after_s = 1;
        tars_api_count_rejected(api, "at_once");
        return tars_fail(TARS_EQUOTA, err,
                         "%zu questions at once are allowed, and are being answered",
                         tars_at_once_limit(api->at_once));
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for a question");
    status = tars_quota_question(api->config.quota, call->tenant, &asking->retry_after_s, err);
    if (status == TARS_EQUOTA)
        tars_api_count_rejected(api, "quota");
    if (status != TARS_OK)
        tars_answer_leave(api, asking);
    return status;
}

void tars_answer_leave(const struct tars_api *api, struct tars_asking *asking)
{
    if (asking->place)
        tars_at_once_leave(api->at_once, asking->place);
    asking->place = 0;
}

static tars_status recall(const struct tars_api *api, struct tars_call *call,
                          struct tars_asking *asking, struct tars_err *err)
{
    struct tars_remembered before = {NULL, 0, NULL};
    struct tars_err why = {{0}};
    int64_t start_ns;
    tars_status status;

    asking->remembers = asking->remembers && asking->conversation_id &&
                        tars_history_id_is_good(asking->conversation_id);
    if (!asking->remembers)
        return TARS_OK;
    start_ns = tars_clock_mono_ns();
    status = tars_history_recall(api->config.history, call, asking->conversation_id,
                                 asking->request.query, &before, &why);
    tars_record_stage(api->config.metrics, call, "history",
                      (double)(tars_clock_mono_ns() - start_ns) / 1e6);
    if (status == TARS_EDENIED)
        return tars_fail(status, err, "Access denied");
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    if (status != TARS_OK) {
        tars_log_call(api->config.log, TARS_LOG_WARNING, "api", call,
                      "a conversation could not be read: %s", why.text);
    }
    /* What keeps it from being read costs its memory alone. */
    asking->request.history = before.turns;
    asking->request.history_count = before.count;
    asking->request.search = before.search;
    return TARS_OK;
}

tars_status tars_answer_recall(const struct tars_api *api, struct tars_call *call,
                               struct tars_asking *asking, struct tars_err *err)
{
    tars_status status = admit(api, call, asking, err);

    if (status != TARS_OK)
        return status;
    status = recall(api, call, asking, err);
    if (status != TARS_OK)
        tars_answer_leave(api, asking);
    return status;
}

/* Why it is not what it could be is told, but not where what failed is. */
static void hide_words(const struct tars_api *api, const struct tars_call *call,
                       struct tars_rag_answer *answer)
{
    const char *told = tars_words_told(answer->degraded);

    if (told != answer->degraded)
        tars_log_call(api->config.log, TARS_LOG_WARNING, "api", call, "%s", answer->degraded);
    answer->degraded = told;
}

tars_status tars_answer_ask(const struct tars_api *api, struct tars_call *call,
                            struct tars_asking *asking, const struct tars_rag_events *events,
                            struct tars_rag_answer *answer, struct tars_err *err)
{
    struct tars_answered answered = {.request = &asking->request,
                                     .conversation_id = asking->conversation_id,
                                     .operation = asking->operation,
                                     .err = err,
                                     .answer = answer};
    int64_t asked_us = tars_clock_wall_us();
    tars_status status =
        tars_rag_answer(api->config.rag, &asking->request, call, events, answer, err);

    answered.status = status;
    tars_record_answer(api, call, &answered);
    hide_words(api, call, answer);
    if (status == TARS_OK && asking->remembers) {
        tars_answer_keep(api, call, asking->conversation_id, asking->request.query, asked_us,
                         answer);
    }
    tars_answer_leave(api, asking);
    return status;
}
