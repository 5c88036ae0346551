/* route_rag - questions, searches and the state of the collection. */
#include <math.h>
#include <string.h>

#include "api/answer.h"
#include "api/access.h"
#include "api/api_internal.h"
#include "api/reader.h"
#include "api/record.h"
#include "api/rights.h"
#include "api/words.h"
#include "base/crypto/digest.h"
#include "rag/rag.h"
#include "retrieve/filter.h"

#define QUERY_CHARS_MAX  10000
#define SEARCH_TOP_MAX   100
#define SEARCH_OWNER_MAX 1000               /* evaluation runs ask for long lists */
#define RECALL_BODY_MAX  ((size_t)16 << 10) /* larger ones are not parsed on a loop thread */

/* ------------------------------------------------------------------------------- the question
 * asked */

struct question {
    struct tars_asking asking;
    const char *conversation_id; /* echoed, or made up */
    bool include_sources;
};

static size_t count_chars(const char *text)
{
    size_t count = 0;

    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0U) != 0x80;
    return count;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* text without white space at its ends, terminated. */
static const char *trim(struct tars_arena *arena, const char *text)
{
    size_t len;

    while (is_space(*text))
        text++;
    len = strlen(text);
    while (len > 0 && is_space(text[len - 1]))
        len--;
    return tars_arena_strndup(arena, text, len);
}

static const char *read_query(struct tars_exchange *ex, struct tars_reader *reader)
{
    const char *raw = tars_reader_text(reader, "query", TARS_READER_REQUIRED);
    const char *query = raw ? trim(ex->call.arena, raw) : NULL;

    if (!query)
        return "";
    if (query[0] == '\0') {
        tars_reader_refuse(reader, "query", "query cannot be empty");
    } else if (count_chars(query) > QUERY_CHARS_MAX) {
        tars_reader_refuse(reader, "query", "query too long (max 10000 characters)");
    }
    return query;
}

/* A filter that is not understood is the body's fault, and told before anything is begun. */
static const char *read_filters(struct tars_reader *reader)
{
    const char *filters = tars_reader_object(reader, "filters");
    struct tars_filter *parsed = NULL;
    struct tars_err err = {{0}};
    tars_status status = filters ? tars_filter_parse(filters, &parsed, &err) : TARS_OK;

    tars_filter_free(parsed);
    if (status != TARS_OK)
        tars_reader_refuse(reader, "filters", err.text[0] ? err.text : tars_status_text(status));
    return filters;
}

/* False when the reply is given: the conversation is another client's. */
static bool recall(struct tars_exchange *ex, struct question *question)
{
    struct tars_err err = {{0}};
    tars_status status = tars_answer_recall(ex->api, &ex->call, &question->asking, &err);

    if (status == TARS_EQUOTA) {
        tars_access_refuse_often(ex, question->asking.retry_after_s, err.text);
    } else if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
    }
    return status == TARS_OK;
}

/* Read the Query of the contract. False when the reply is given. */
static bool read_question(struct tars_exchange *ex, struct question *question)
{
    const struct tars_api_config *config = &ex->api->config;
    const char *collection;
    struct tars_reader reader;
    bool good;

    *question = (struct question){0};
    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    question->asking.request.query = read_query(ex, &reader);
    question->conversation_id = tars_reader_text(&reader, "conversation_id", TARS_READER_OPTIONAL);
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    question->asking.request.top_k =
        (int)tars_reader_int(&reader, "top_k", config->default_top_k, 1, 20);
    question->asking.request.relevance_threshold =
        tars_reader_real(&reader, "relevance_threshold", config->default_threshold, 0, 1);
    question->include_sources =
        tars_reader_flag(&reader, "include_sources", config->include_sources);
    question->asking.request.rerank = tars_reader_flag(&reader, "rerank", true) && config->rerank;
    question->asking.request.filters_json = read_filters(&reader);
    question->asking.request.quotes_only = tars_reader_flag(&reader, "quotes_only", false);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    good = good && tars_api_narrow(ex, collection, &question->asking.request.collection);
    question->asking.conversation_id = question->conversation_id;
    question->asking.remembers = ex->caller.credential != TARS_CREDENTIAL_NONE;
    question->asking.address = ex->caller.credential == TARS_CREDENTIAL_NONE ? ex->address : NULL;
    if (good && !question->conversation_id) {
        char *made = tars_arena_alloc(ex->call.arena, TARS_UUID_BYTES);

        if (made)
            tars_answer_uuid(made);
        question->conversation_id = made;
    }
    if (good)
        ex->call.deadline_ms = tars_clock_mono_ms() + config->query_timeout_ms;
    return good && recall(ex, question);
}

/* ------------------------------------------------------- the answer written */

static void write_answer(struct tars_exchange *ex, const struct question *question,
                         const struct tars_rag_answer *answer)
{
    struct tars_json *json = &ex->json;

    tars_exchange_json(ex);
    tars_json_text(json, "query", answer->query ? answer->query : question->asking.request.query);
    tars_json_text(json, "answer", answer->answer ? answer->answer : "");
    if (question->include_sources) {
        tars_answer_write_sources(json, answer, true);
    } else {
        tars_json_array(json, "sources");
        tars_json_end(json);
    }
    tars_json_text(json, "context_used", answer->context_used ? answer->context_used : "");
    tars_json_int(json, "total_tokens", (int64_t)answer->total_tokens);
    tars_json_fixed(json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
    tars_json_fixed(json, "generation_time_ms", answer->generation_time_ms, 2);
    tars_json_fixed(json, "total_time_ms", answer->total_time_ms, 2);
    tars_json_text(json, "model", answer->model ? answer->model : "");
    tars_json_array(json, "relevance_scores");
    for (size_t i = 0; i < answer->source_count; i++)
        tars_json_fixed(json, NULL, answer->sources[i].similarity_score, 4);
    tars_json_end(json);
    tars_json_bool(json, "cached", answer->cached);
    tars_json_text(json, "conversation_id", question->conversation_id);
    tars_answer_write_citations(json, answer);
    tars_answer_write_absence(json, answer);
}

static void invalid_field(struct tars_exchange *ex, const char *field, const char *words)
{
    struct tars_reader reader;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    tars_reader_refuse(&reader, field, words);
    tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
}

void tars_route_rag_query(struct tars_exchange *ex)
{
    struct tars_rag_answer answer = {0};
    struct tars_err err = {{0}};
    struct question question;
    tars_status status;

    if (!read_question(ex, &question))
        return;
    question.asking.operation = "rag_query";
    status = tars_answer_ask(ex->api, &ex->call, &question.asking, NULL, &answer, &err);
    if (status == TARS_EINVAL) {
        invalid_field(ex, question.asking.request.filters_json ? "filters" : "query", err.text);
    } else if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
    } else {
        write_answer(ex, &question, &answer);
        tars_exchange_send(ex, 200);
    }
}

/* ----------------------------------------------------------------- streamed */

struct stream {
    struct tars_exchange *ex;
    const struct question *question;
    bool has_sources;
};

static void begin_line(struct stream *stream, const char *type)
{
    tars_exchange_line(stream->ex);
    tars_json_text(&stream->ex->json, "type", type);
}

static bool on_sources(void *ctx, const struct tars_rag_answer *answer)
{
    struct stream *stream = ctx;
    struct tars_json *json = &stream->ex->json;

    stream->has_sources = answer->source_count > 0;
    if (!stream->question->include_sources || !stream->has_sources)
        return true;
    begin_line(stream, "rag_sources");
    tars_json_text(json, "conversation_id", stream->question->conversation_id);
    tars_answer_write_sources(json, answer, true);
    tars_json_fixed(json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
    tars_exchange_time(stream->ex, "timestamp");
    return tars_exchange_flush(stream->ex) == TARS_OK;
}

static bool on_token(void *ctx, const char *ptr, size_t len)
{
    struct stream *stream = ctx;
    struct tars_json *json = &stream->ex->json;

    begin_line(stream, "rag_token");
    tars_json_text_n(json, "token", ptr, len);
    tars_json_text(json, "conversation_id", stream->question->conversation_id);
    tars_json_bool(json, "has_sources", stream->has_sources);
    tars_exchange_time(stream->ex, "timestamp");
    return tars_exchange_flush(stream->ex) == TARS_OK;
}

static tars_status write_complete(struct stream *stream, const struct tars_rag_answer *answer)
{
    struct tars_json *json = &stream->ex->json;

    begin_line(stream, "rag_complete");
    tars_json_text(json, "conversation_id", stream->question->conversation_id);
    tars_json_int(json, "total_tokens", (int64_t)answer->total_tokens);
    tars_json_fixed(json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
    tars_json_fixed(json, "generation_time_ms", answer->generation_time_ms, 2);
    tars_json_fixed(json, "total_time_ms", answer->total_time_ms, 2);
    tars_json_int(json, "sources_count", (int64_t)answer->source_count);
    tars_exchange_time(stream->ex, "timestamp");
    tars_json_text(json, "model", answer->model ? answer->model : "");
    tars_answer_write_citations(json, answer);
    tars_answer_write_absence(json, answer);
    return tars_exchange_flush(stream->ex);
}

static tars_status write_error(struct stream *stream, const char *words)
{
    begin_line(stream, "error");
    tars_json_text(&stream->ex->json, "error", words);
    return tars_exchange_flush(stream->ex);
}

void tars_route_rag_stream(struct tars_exchange *ex)
{
    struct question question;
    struct stream stream = {.ex = ex, .question = &question};
    const struct tars_rag_events events = {on_sources, on_token, &stream};
    struct tars_rag_answer answer = {0};
    struct tars_err err = {{0}};
    tars_status status;

    if (!read_question(ex, &question))
        return;
    if (tars_exchange_start(ex, "application/x-ndjson") != TARS_OK) {
        tars_answer_leave(ex->api, &question.asking);
        tars_exchange_end(ex);
        return;
    }
    question.asking.operation = "rag_stream";
    status = tars_answer_ask(ex->api, &ex->call, &question.asking, &events, &answer, &err);
    /* Who is gone needs no last line; that it cannot be written is no news then. */
    if (status == TARS_OK) {
        status = write_complete(&stream, &answer);
    } else if (status != TARS_ECANCELED) {
        status = write_error(&stream, tars_words_of(ex->api, &ex->call, status, &err));
    } else if (tars_api_is_draining(ex->api)) {
        status = write_error(&stream, TARS_API_STOPPING);
    }
    (void)status;
    tars_exchange_end(ex);
}

/* ------------------------------------------------------------------- search */

static enum tars_search_mode read_mode(struct tars_reader *reader)
{
    const char *mode = tars_reader_text(reader, "mode", TARS_READER_OPTIONAL);

    if (!mode || strcmp(mode, "hybrid") == 0)
        return TARS_SEARCH_HYBRID;
    if (strcmp(mode, "words") == 0)
        return TARS_SEARCH_WORDS;
    if (strcmp(mode, "vectors") != 0)
        tars_reader_refuse(reader, "mode", "mode is one of hybrid, words, vectors");
    return TARS_SEARCH_VECTORS;
}

static bool read_search(struct tars_exchange *ex, struct tars_search_request *search)
{
    const char *collection;
    struct tars_reader reader;
    int64_t max = ex->is_owner ? SEARCH_OWNER_MAX : SEARCH_TOP_MAX;
    bool good;

    *search = (struct tars_search_request){0};
    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    search->query = tars_reader_text(&reader, "query", TARS_READER_REQUIRED);
    search->top_k = (size_t)tars_reader_int(&reader, "top_k", 10, 1, max);
    search->filters_json = tars_reader_object(&reader, "filters");
    collection = tars_reader_text(&reader, "collection", TARS_READER_OPTIONAL);
    search->threshold = tars_reader_real(&reader, "relevance_threshold", -1, 0, 1);
    search->mode = read_mode(&reader);
    search->distinct_documents = tars_reader_flag(&reader, "distinct_documents", false);
    search->include_content = tars_reader_flag(&reader, "include_content", true);
    search->rerank = tars_reader_flag(&reader, "rerank", true) && ex->api->config.rerank;
    if (search->query && count_chars(search->query) > QUERY_CHARS_MAX)
        tars_reader_refuse(&reader, "query", "query too long (max 10000 characters)");
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    good = good && tars_api_narrow(ex, collection, &search->collection);
    if (good)
        ex->call.deadline_ms = tars_clock_mono_ms() + ex->api->config.query_timeout_ms;
    return good;
}

static void write_hit_metadata(struct tars_exchange *ex, const struct tars_hit *hit,
                               const char *fusion_method)
{
    struct tars_json *json = &ex->json;

    tars_json_object(json, "metadata");
    tars_json_text(json, "collection", tars_api_collection_name(ex, hit->collection));
    tars_json_text(json, "file_path", hit->file_path);
    tars_json_text(json, "file_name", hit->file_name);
    tars_json_text(json, "file_type", hit->file_type);
    tars_json_int(json, "file_size", hit->file_size);
    tars_api_write_time(json, "created_at", hit->created_us);
    tars_api_write_time(json, "modified_at", hit->modified_us);
    tars_api_write_time(json, "indexed_at", hit->indexed_us);
    tars_json_text(json, "encoding", "utf-8");
    tars_answer_write_page(json, "page_count", (int)hit->page_count);
    tars_json_int(json, "word_count", hit->word_count);
    tars_json_int(json, "chunk_count", 0);
    tars_json_text(json, "hash", hit->sha256);
    tars_json_text(json, "title", hit->title);
    tars_json_text(json, "section", hit->section);
    tars_json_text(json, "external_id", hit->external_id[0] ? hit->external_id : NULL);
    tars_answer_write_page(json, "page_number", hit->page_first);
    tars_answer_write_page(json, "page_last", hit->page_last);
    tars_json_int(json, "char_start", (int64_t)hit->char_start);
    tars_json_int(json, "char_end", (int64_t)hit->char_end);
    tars_answer_write_score(json, "vector_score", true, hit->vector_score);
    tars_answer_write_score(json, "bm25_score", true, hit->bm25_score);
    tars_answer_write_score(json, "coverage", true, hit->coverage);
    tars_answer_write_score(json, "original_score", true, hit->fused);
    tars_json_text(json, "fusion_method", fusion_method);
    tars_answer_write_score(json, "cross_encoder_score", true, hit->rerank_score);
    tars_json_bool(json, "reranked", !isnan(hit->rerank_score));
    if (hit->metadata_json[0])
        tars_json_raw(json, "fields", hit->metadata_json, strlen(hit->metadata_json));
    tars_json_end(json);
}

static void write_hit(struct tars_exchange *ex, const struct tars_hit *hit,
                      const char *fusion_method, bool include_content)
{
    struct tars_json *json = &ex->json;

    tars_json_object(json, NULL);
    tars_json_text(json, "chunk_id", hit->chunk_id);
    tars_json_text(json, "document_id", hit->document_id);
    if (include_content) {
        tars_json_text_n(json, "content", hit->content.ptr, hit->content.len);
    } else {
        tars_json_text(json, "content", "");
    }
    tars_json_int(json, "chunk_index", hit->chunk_index);
    tars_json_int(json, "token_count", hit->token_count);
    write_hit_metadata(ex, hit, fusion_method);
    tars_json_null(json, "embedding");
    tars_json_fixed(json, "similarity_score", hit->relevance, 4);
    tars_json_end(json);
}

/* What follows the results. */
static void write_found(struct tars_exchange *ex, int64_t count, bool cached)
{
    tars_json_int(&ex->json, "total_results", count);
    tars_json_fixed(&ex->json, "search_time_ms", tars_exchange_elapsed_ms(ex), 2);
    tars_json_bool(&ex->json, "cached", cached);
    tars_record_found(ex->api->config.metrics, (size_t)count, cached);
}

bool tars_route_rag_search_recalled(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_search_request request;
    struct tars_recalled recalled;

    if (ex->body.len > RECALL_BODY_MAX)
        return false;
    if (!read_search(ex, &request))
        return true;
    if (config->service->recall(config->service_ctx, &request, &ex->call, &recalled) != TARS_OK)
        return false;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "query", request.query);
    tars_json_raw(&ex->json, "results", recalled.results.ptr, recalled.results.len);
    write_found(ex, recalled.count, true);
    tars_exchange_send(ex, 200);
    return true;
}

/* Write the results; returns their JSON, lent until more is written. */
static struct tars_span write_results(struct tars_exchange *ex,
                                      const struct tars_search_request *request,
                                      const struct tars_search_reply *reply)
{
    static const char key[] = ",\"results\":";
    size_t start = ex->out.len + sizeof(key) - 1;

    tars_json_array(&ex->json, "results");
    for (size_t i = 0; i < reply->count; i++)
        write_hit(ex, &reply->hits[i], reply->fusion_method, request->include_content);
    tars_json_end(&ex->json);
    if (ex->out.status != TARS_OK)
        return tars_span(NULL, 0);
    return tars_span(ex->out.ptr + start, ex->out.len - start);
}

void tars_route_rag_search(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_search_reply reply = {0};
    struct tars_err err = {{0}};
    struct tars_search_request request;
    struct tars_span results;
    tars_status status;

    if (!read_search(ex, &request))
        return;
    status = config->service->search(config->service_ctx, &request, &ex->call, &reply, &err);
    if (status == TARS_EINVAL) {
        invalid_field(ex, "filters", err.text);
        return;
    }
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "query", request.query);
    results = write_results(ex, &request, &reply);
    if (results.len > 0)
        config->service->keep(config->service_ctx, &request, &ex->call, &reply, results);
    write_found(ex, (int64_t)reply.count, reply.is_kept);
    if (reply.degraded)
        tars_json_text(&ex->json, "degraded", reply.degraded);
    if (reply.unmet)
        tars_json_text(&ex->json, "unmet", reply.unmet);
    tars_exchange_send(ex, 200);
}

/* --------------------------------------------------------------- collection */

static void write_stats(struct tars_exchange *ex, const struct tars_collection_stats *stats)
{
    struct tars_json *json = &ex->json;

    tars_json_text(json, "collection_name", ex->api->config.collection_name);
    tars_json_int(json, "total_documents", stats->documents);
    tars_json_int(json, "total_chunks", stats->chunks);
    tars_json_fixed(json, "total_size_mb", (double)stats->bytes / 1048576, 2);
    tars_exchange_time(ex, "last_updated");
    tars_json_int(json, "embedding_dimension", stats->dimension);
    tars_json_int(json, "document_count", stats->documents);
    tars_json_int(json, "chunk_count", stats->chunks);
    tars_json_int(json, "total_size", stats->bytes);
    tars_json_int(json, "file_count", stats->files);
    tars_api_write_time(json, "last_indexed", stats->last_indexed_us);
    tars_json_text(json, "embedding_model", stats->embedding_model);
    tars_json_text(json, "language_model", stats->language_model);
    tars_json_text(json, "reranker", stats->reranker);
    tars_json_object(json, "jobs");
    tars_json_int(json, "queued", stats->jobs_queued);
    tars_json_int(json, "running", stats->jobs_running);
    tars_json_int(json, "failed", stats->jobs_failed);
    tars_json_end(json);
}

/* The watched folder; its path is for those who may put documents in. */
static void write_nas(struct tars_exchange *ex)
{
    struct tars_json *json = &ex->json;
    struct tars_nas_view nas;

    tars_api_watched(ex, &nas);
    tars_json_object(json, "nas");
    tars_json_bool(json, "enabled", nas.enabled);
    tars_json_text(json, "watch_path",
                   ex->is_owner || ex->caller.role >= TARS_ROLE_WRITER ? nas.watch_path : NULL);
    tars_json_int(json, "files_detected", nas.files_detected);
    tars_json_int(json, "files_indexed", nas.files_indexed);
    tars_json_int(json, "files_failed", nas.files_failed);
    tars_json_int(json, "files_skipped", nas.files_skipped);
    tars_json_int(json, "pending_files", nas.pending_files);
    tars_json_int(json, "processing_files", nas.processing_files);
    tars_json_int(json, "indexed_hashes", nas.indexed_files);
    tars_api_write_time(json, "last_scan", nas.last_scan_us);
    tars_api_write_time(json, "started_at", nas.started_us);
    tars_json_end(json);
}

/* False when the reply is given. */
static bool get_stats(struct tars_exchange *ex, struct tars_collection_stats *stats)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_err err = {{0}};
    tars_status status = config->service->stats(config->service_ctx, tars_api_visible(ex),
                                                ex->call.arena, stats, &err);

    if (status != TARS_OK)
        tars_api_reply_status(ex, status, &err);
    return status == TARS_OK;
}

/* What each collection holds that the caller may read. */
static void write_collections(struct tars_exchange *ex, const struct tars_collection_view *views,
                              size_t count)
{
    struct tars_json *json = &ex->json;

    tars_json_array(json, "collections");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(json, NULL);
        tars_json_text(json, "collection", tars_api_collection_name(ex, views[i].key));
        tars_json_int(json, "total_documents", views[i].documents);
        tars_json_int(json, "total_chunks", views[i].chunks);
        tars_json_int(json, "total_size", views[i].bytes);
        tars_json_int(json, "file_count", views[i].files);
        tars_api_write_time(json, "last_indexed", views[i].last_indexed_us);
        tars_json_end(json);
    }
    tars_json_end(json);
}

void tars_route_rag_stats(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_collection_stats stats = {0};
    struct tars_collection_view *views = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    tars_status status;

    if (!get_stats(ex, &stats))
        return;
    status = config->service->collections(config->service_ctx, tars_api_visible(ex), ex->call.arena,
                                          &views, &count, &err);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    write_stats(ex, &stats);
    write_collections(ex, views, count);
    write_nas(ex);
    tars_exchange_send(ex, 200);
}

void tars_route_rag_health(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;
    bool store = tars_health_check(health, "store", NULL) == TARS_OK;
    bool model = tars_health_check(health, "embedding_model", NULL) == TARS_OK;
    tars_status server = tars_health_check(health, "vectors", NULL); /* ENOTFOUND: there is none */
    bool vectors = store && (server == TARS_OK || server == TARS_ENOTFOUND);
    struct tars_collection_stats stats = {0};

    if (!get_stats(ex, &stats))
        return;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", vectors && model ? "healthy" : "degraded");
    tars_json_text(&ex->json, "chromadb_status", vectors ? "healthy" : "unhealthy");
    tars_json_text(&ex->json, "embedding_model_status", model ? "healthy" : "unhealthy");
    tars_json_object(&ex->json, "collections");
    tars_json_object(&ex->json, ex->api->config.collection_name);
    write_stats(ex, &stats);
    tars_json_end(&ex->json);
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total_documents", stats.documents);
    tars_json_int(&ex->json, "total_chunks", stats.chunks);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}
