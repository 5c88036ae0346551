/* chat_answer - what clients of the chat say, and the answers: chat.h, chat_internal.h.
 *
 *     message -> parsed, checked (loop thread) -> job, in the session's list -> answer pool
 *     job     -> who is it now? -> what was said before -> rag, or the language model alone
 *             -> messages as the words come -> the turn is kept -> the last message
 */
#include <stdlib.h>
#include <string.h>

#include "api/api_internal.h"
#include "api/chat_internal.h"
#include "api/reader.h"
#include "api/record.h"
#include "api/traced.h"
#include "api/words.h"
#include "auth/rate_limit.h"
#include "base/sys/clock.h"
#include "rag/history.h"

#define JOB_BYTES       ((size_t)16 << 20) /* of one answer's memory */
#define INLINE_MAX      ((size_t)16 << 10) /* larger messages are not parsed on a loop thread */
#define TEMPERATURE_MAX 2
#define TOKENS_MAX      131072

#define CODE_JSON      "INVALID_JSON"
#define CODE_MESSAGE   "INVALID_MESSAGE"
#define CODE_PLAIN     "GENERATION_ERROR"
#define CODE_RAG       "RAG_GENERATION_ERROR"
#define CODE_CANCELLED "CANCELLED"

/* A chat message, checked. */
struct said {
    const char *content;
    const char *conversation_id; /* or NULL */
    const char *model;           /* or NULL */
    double temperature;          /* negative: the set one */
    int64_t max_tokens;          /* 0: the set one */
    bool use_rag;
    int64_t top_k;    /* 0: the set one */
    double threshold; /* 0: the set one */
};

/* An answer under way. */
struct tars_chat_job {
    struct tars_chat_job *prev, *next; /* under session->lock */
    struct tars_chat_session *session; /* a reference */
    struct tars_arena arena;
    struct tars_span raw; /* a large message as it came, in arena; empty: said is set already */
    struct said said;     /* in arena; under session->lock while raw is not understood */
    struct tars_call call;
    struct tars_principal caller;
    struct tars_buf out;
    struct tars_json json;
    struct tars_buf text; /* of a plain answer */
    int64_t tokens;       /* messages with words that were sent */
    int64_t started_ms;
    bool has_sources;
};

/* ------------------------------------------------------------------------- jobs */

static const char *code_of(const struct said *said)
{
    return said->use_rag ? CODE_RAG : CODE_PLAIN;
}

static void complain(struct tars_chat_session *session, const struct said *said, const char *why)
{
    struct tars_buf text;

    tars_buf_init(&text, TARS_CHAT_MESSAGE_MAX);
    tars_buf_append_text(&text, said->use_rag ? "RAG generation failed: " : "Generation failed: ");
    tars_buf_append_text(&text, why);
    tars_chat_send_error(session, said->conversation_id, code_of(said),
                         text.status == TARS_OK ? text.ptr : "Generation failed: out of memory");
    tars_buf_release(&text);
}

static void free_job(struct tars_chat_job *job)
{
    tars_buf_release(&job->out);
    tars_buf_release(&job->text);
    tars_arena_release(&job->arena);
    free(job);
}

static bool link_in(struct tars_chat_job *job)
{
    struct tars_chat_session *session = job->session;
    bool good;

    pthread_mutex_lock(&session->lock);
    good = !atomic_load(&session->is_gone) && !atomic_load(&session->is_ending) &&
           session->job_count < TARS_CHAT_PARALLEL;
    if (good) {
        job->next = session->jobs;
        if (session->jobs)
            session->jobs->prev = job;
        session->jobs = job;
        session->job_count++;
        atomic_fetch_add(&session->refs, 1);
    }
    pthread_mutex_unlock(&session->lock);
    return good;
}

static void link_out(struct tars_chat_job *job)
{
    struct tars_chat_session *session = job->session;

    pthread_mutex_lock(&session->lock);
    if (job->prev) {
        job->prev->next = job->next;
    } else {
        session->jobs = job->next;
    }
    if (job->next)
        job->next->prev = job->prev;
    session->job_count--;
    pthread_mutex_unlock(&session->lock);
    /* The time that it took is no silence of the client's. */
    atomic_store(&session->heard_ms, tars_clock_mono_ms());
}

static bool is_meant(const struct tars_chat_job *job, const char *conversation_id)
{
    const char *of = job->said.conversation_id;

    return !conversation_id || (of && strcmp(of, conversation_id) == 0);
}

void tars_chat_cancel(struct tars_chat_session *session, const char *conversation_id)
{
    pthread_mutex_lock(&session->lock);
    for (struct tars_chat_job *job = session->jobs; job; job = job->next) {
        if (is_meant(job, conversation_id))
            atomic_store(&job->call.cancelled, true);
    }
    pthread_mutex_unlock(&session->lock);
}

/* ----------------------------------------------------------------------- plain */

static void begin(struct tars_chat_job *job, const char *type)
{
    tars_chat_begin(&job->json, &job->out, type);
}

static bool send_token(struct tars_chat_job *job, const char *type, const char *ptr, size_t len)
{
    begin(job, type);
    tars_json_text_n(&job->json, "token", ptr, len);
    tars_json_text(&job->json, "conversation_id", job->said.conversation_id);
    if (job->said.use_rag)
        tars_json_bool(&job->json, "has_sources", job->has_sources);
    if (tars_chat_send(job->session, &job->json, true) != TARS_OK)
        return false;
    job->tokens++;
    atomic_fetch_add(&job->session->tokens, 1);
    atomic_fetch_add(&job->session->chat->total_tokens, 1);
    return true;
}

static bool on_plain(void *ctx, const char *ptr, size_t len)
{
    struct tars_chat_job *job = ctx;

    if (job->text.len == 0) {
        tars_metrics_observe(job->session->chat->api->config.metrics, TARS_METRIC_RAG_FIRST_TOKEN,
                             (double)(tars_clock_mono_ms() - job->started_ms) / 1000);
    }
    tars_buf_append(&job->text, ptr, len);
    return job->text.status == TARS_OK && send_token(job, "token", ptr, len);
}

/* As tars_answer_recall(), for words that are no question to the documents. */
static tars_status recall_plain(struct tars_chat_job *job, struct tars_llm_request *request,
                                struct tars_asking *asking, struct tars_err *err)
{
    tars_status status;

    *asking = (struct tars_asking){.request = {.query = job->said.content},
                                   .conversation_id = job->said.conversation_id,
                                   .remembers = true};
    status = tars_answer_recall(job->session->chat->api, &job->call, asking, err);
    request->history = asking->request.history;
    request->history_count = asking->request.history_count;
    return status;
}

static void fill_request(const struct tars_chat_job *job, struct tars_llm_request *request)
{
    const struct tars_api_config *config = &job->session->chat->api->config;
    const struct said *said = &job->said;

    *request = (struct tars_llm_request){
        .prompt = said->content,
        .max_tokens = config->max_tokens,
        .temperature = said->temperature < 0 ? config->temperature : (float)said->temperature,
        .top_p = config->top_p,
        .top_k = config->top_k,
        .model = said->model,
        .free_text = true,
    };
    if (said->max_tokens && (request->max_tokens == 0 || said->max_tokens < request->max_tokens))
        request->max_tokens = (int)said->max_tokens;
}

static void complete_plain(struct tars_chat_job *job, const char *degraded)
{
    begin(job, "complete");
    tars_json_text(&job->json, "conversation_id", job->said.conversation_id);
    tars_json_int(&job->json, "total_tokens", job->tokens);
    tars_json_fixed(&job->json, "latency_ms", (double)(tars_clock_mono_ms() - job->started_ms), 2);
    if (degraded)
        tars_json_text(&job->json, "degraded", degraded);
    (void)!tars_chat_send(job->session, &job->json, true);
}

static tars_status answer_plain(struct tars_chat_job *job, struct tars_err *err)
{
    const struct tars_api *api = job->session->chat->api;
    const struct tars_llm_sink sink = {on_plain, job};
    struct tars_llm_result result = {.started = false};
    struct tars_llm_request request;
    struct tars_rag_answer kept = {.answer = ""};
    int64_t asked_us = tars_clock_wall_us();
    struct tars_asking asking;
    tars_status status;

    if (!api->config.llm)
        return tars_fail(TARS_EUNAVAILABLE, err, "no language model is available");
    fill_request(job, &request);
    status = recall_plain(job, &request, &asking, err);
    if (status == TARS_OK)
        status = tars_llm_generate(api->config.llm, &request, &job->call, &sink, &result, err);
    tars_answer_leave(api, &asking);
    kept.total_time_ms = kept.generation_time_ms = (double)(tars_clock_mono_ms() - job->started_ms);
    if (status != TARS_OK)
        return status;
    kept.answer = job->text.ptr ? job->text.ptr : "";
    kept.model = result.model;
    if (asking.remembers) {
        tars_answer_keep(api, &job->call, job->said.conversation_id, job->said.content, asked_us,
                         &kept);
    }
    complete_plain(job, kept.degraded);
    return TARS_OK;
}

/* ------------------------------------------------------------------------- rag */

/* Whole passages make a long message; who cannot be sent that gets it without them. */
static bool on_sources(void *ctx, const struct tars_rag_answer *answer)
{
    struct tars_chat_job *job = ctx;
    tars_status status = TARS_ETOOBIG;

    job->has_sources = answer->source_count > 0;
    if (!job->has_sources)
        return true;
    for (int passages = 1; passages >= 0 && status == TARS_ETOOBIG; passages--) {
        begin(job, "rag_sources");
        tars_json_text(&job->json, "conversation_id", job->said.conversation_id);
        tars_answer_write_sources(&job->json, answer, passages == 1);
        tars_json_fixed(&job->json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
        status = tars_chat_send(job->session, &job->json, true);
    }
    return status == TARS_OK;
}

static bool on_token(void *ctx, const char *ptr, size_t len)
{
    return send_token(ctx, "rag_token", ptr, len);
}

static void complete_rag(struct tars_chat_job *job, const struct tars_rag_answer *answer)
{
    begin(job, "rag_complete");
    tars_json_text(&job->json, "conversation_id", job->said.conversation_id);
    tars_json_int(&job->json, "total_tokens", (int64_t)answer->total_tokens);
    tars_json_fixed(&job->json, "retrieval_time_ms", answer->retrieval_time_ms, 2);
    tars_json_fixed(&job->json, "generation_time_ms", answer->generation_time_ms, 2);
    tars_json_fixed(&job->json, "total_time_ms", answer->total_time_ms, 2);
    tars_json_int(&job->json, "sources_count", (int64_t)answer->source_count);
    tars_json_text(&job->json, "model", answer->model ? answer->model : "");
    tars_answer_write_citations(&job->json, answer);
    tars_answer_write_absence(&job->json, answer);
    (void)!tars_chat_send(job->session, &job->json, true);
}

static tars_status check_numbers(const struct said *said, struct tars_err *err)
{
    if (said->top_k < 0 || said->top_k > TARS_RAG_TOP_K_MAX)
        return tars_fail(TARS_EINVAL, err, "rag_top_k must be from 1 to %d", TARS_RAG_TOP_K_MAX);
    if (!(said->threshold >= 0 && said->threshold <= 1))
        return tars_fail(TARS_EINVAL, err, "rag_threshold must be from 0 to 1");
    return TARS_OK;
}

static tars_status answer_rag(struct tars_chat_job *job, struct tars_err *err)
{
    const struct tars_api *api = job->session->chat->api;
    const struct tars_api_config *config = &api->config;
    const struct tars_rag_events events = {on_sources, on_token, job};
    const struct said *said = &job->said;
    struct tars_rag_answer answer = {0};
    struct tars_asking asking = {
        .request = {.query = said->content,
                    .top_k = said->top_k ? (int)said->top_k : config->default_top_k,
                    .relevance_threshold =
                        said->threshold > 0 ? said->threshold : config->default_threshold,
                    .rerank = config->rerank},
        .conversation_id = said->conversation_id,
        .operation = "chat",
        .remembers = true,
    };
    tars_status status = check_numbers(said, err);

    if (status == TARS_OK)
        status = tars_answer_recall(api, &job->call, &asking, err);
    if (status == TARS_OK)
        status = tars_answer_ask(api, &job->call, &asking, &events, &answer, err);
    if (status == TARS_OK)
        complete_rag(job, &answer);
    return status;
}

/* ------------------------------------------------------------------------- run */

static bool understand_late(struct tars_chat_job *job);

/* Who asks now, and within their limit? */
static tars_status admit(struct tars_chat_job *job, struct tars_err *err)
{
    struct tars_chat_session *session = job->session;
    char key[TARS_RATE_KEY_BYTES];
    const char *why = TARS_AUTH_INVALID;
    struct tars_rate rate;
    tars_status status = tars_chat_identify(session, true, &job->arena, &job->caller, &why);

    if (status == TARS_EDENIED) {
        tars_ws_close(session->ws, 1008, why);
        return tars_fail(TARS_ECANCELED, err, "%s", why);
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "the credential could not be checked");
    job->call.client_id = job->caller.client_id;
    job->call.tenant = job->caller.tenant;
    job->call.visible = &job->caller.visible;
    if (session->is_owner)
        return TARS_OK;
    rate = tars_rate_limit_take(session->chat->api->config.rate_limit,
                                tars_rate_key_of(&job->caller, key), tars_clock_mono_ms());
    if (!rate.allowed) {
        tars_api_count_rejected(session->chat->api, "rate_limit");
        return tars_fail(TARS_EAGAIN, err, "Rate limit exceeded, try again in %lld s",
                         (long long)rate.retry_after_s);
    }
    return TARS_OK;
}

/* Who is gone needs no last words. */
static void tell(struct tars_chat_job *job, tars_status status, const struct tars_err *err)
{
    if (status == TARS_OK || !tars_ws_is_open(job->session->ws))
        return;
    if (status == TARS_ECANCELED && tars_api_is_draining(job->session->chat->api)) {
        complain(job->session, &job->said, TARS_API_STOPPING);
    } else if (status == TARS_ECANCELED) {
        tars_chat_send_error(job->session, job->said.conversation_id, CODE_CANCELLED,
                             "Generation cancelled");
    } else {
        complain(job->session, &job->said,
                 tars_words_of(job->session->chat->api, &job->call, status, err));
    }
}

static tars_status answer(struct tars_chat_job *job, struct tars_err *err)
{
    tars_status status = TARS_ECANCELED;
    bool is_chat = true;

    if (!atomic_load(&job->call.cancelled))
        status = admit(job, err);
    if (status == TARS_OK && job->raw.len)
        is_chat = understand_late(job);
    if (status != TARS_OK || !is_chat)
        return status;
    return job->said.use_rag ? answer_rag(job, err) : answer_plain(job, err);
}

/* A message of a socket is a trace of its own: sockets live for hours. */
static void begin_span(struct tars_chat_job *job, struct tars_trace_span *span)
{
    struct tars_trace *trace = &job->call.trace;

    tars_trace_enter(trace, job->session->chat->api->config.tracer);
    tars_trace_begin(trace, span, "MESSAGE /ws/chat", TARS_SPAN_SERVER);
    tars_trace_text(span, "http.route", "/ws/chat");
    tars_trace_text(span, "network.protocol.name", "websocket");
    tars_trace_text(span, "tars.request.id", job->call.request_id);
}

static void end_span(struct tars_chat_job *job, struct tars_trace_span *span, tars_status status,
                     const struct tars_err *err)
{
    tars_trace_text(span, "tars.tenant", job->call.tenant);
    tars_trace_text(span, "gen_ai.conversation.id", job->said.conversation_id);
    tars_trace_flag(span, "tars.chat.use_rag", job->said.use_rag);
    tars_trace_status(span, status, err);
    tars_trace_end(span);
}

/* An answer without documents leaves no row of questions; its failure is one all the same. */
static void record_plain(const struct tars_chat_job *job, tars_status status,
                         const struct tars_err *err)
{
    if (job->said.use_rag || status == TARS_OK || status == TARS_ECANCELED || status == TARS_EINVAL)
        return;
    tars_record_error(job->session->chat->api, &job->call, tars_record_type(status), "chat",
                      err->text[0] ? err->text : tars_status_text(status));
}

static void run(void *ctx)
{
    struct tars_chat_job *job = ctx;
    struct tars_chat_session *session = job->session;
    struct tars_err err = {{0}};
    struct tars_trace_span span;
    tars_status status;

    job->started_ms = tars_clock_mono_ms();
    job->call.deadline_ms = job->started_ms + session->chat->api->config.query_timeout_ms;
    begin_span(job, &span);
    status = answer(job, &err);
    end_span(job, &span, status, &err);
    record_plain(job, status, &err);
    tell(job, status, &err);
    link_out(job);
    if (atomic_load(&session->is_ending))
        tars_chat_end(session);
    free_job(job);
    tars_chat_session_unref(session);
}

/* -------------------------------------------------------------------- messages */

static struct tars_chat_job *new_job(struct tars_chat_session *session)
{
    struct tars_chat_job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->session = session;
    tars_arena_init(&job->arena, JOB_BYTES);
    tars_buf_init(&job->out, TARS_CHAT_QUEUE_BYTES);
    tars_buf_init(&job->text, TARS_LLM_OUTPUT_MAX);
    job->call.arena = &job->arena;
    job->call.client_id = "anonymous"; /* until it is known who asks; sees nothing */
    atomic_init(&job->call.cancelled, false);
    tars_api_new_id(session->chat->api, job->call.request_id);
    tars_traced_init(&job->call);
    return job;
}

static void read_said(struct tars_reader *reader, struct said *said)
{
    tars_reader_drop_nulls(reader);
    said->content = tars_reader_text(reader, "content", TARS_READER_REQUIRED);
    said->conversation_id = tars_reader_text(reader, "conversation_id", TARS_READER_OPTIONAL);
    said->model = tars_reader_text(reader, "model", TARS_READER_OPTIONAL);
    said->temperature = tars_reader_real(reader, "temperature", -1, 0, TEMPERATURE_MAX);
    said->max_tokens = tars_reader_int(reader, "max_tokens", 0, 1, TOKENS_MAX);
    said->use_rag = tars_reader_flag(reader, "use_rag", false);
    said->top_k = tars_reader_int(reader, "rag_top_k", 0, INT32_MIN, INT32_MAX);
    said->threshold = tars_reader_real(reader, "rag_threshold", 0, -1e9, 1e9);
    (void)tars_reader_text(reader, "timestamp", TARS_READER_OPTIONAL);
}

static void refuse_message(struct tars_chat_session *session, struct tars_reader *reader)
{
    const char *text =
        tars_arena_printf(reader->arena, "Invalid message format: %s", tars_reader_words(reader));

    tars_chat_send_error(session, NULL, CODE_MESSAGE, text ? text : "Invalid message format: ");
}

static void submit(struct tars_chat_job *job)
{
    struct tars_chat_session *session = job->session;
    struct tars_pool *pool = session->chat->api->config.answer;

    if (!link_in(job)) {
        tars_api_count_rejected(session->chat->api, "busy");
        complain(session, &job->said,
                 atomic_load(&session->is_ending)
                     ? TARS_API_STOPPING
                     : "too many questions at once on this connection");
        free_job(job);
    } else if (!pool) {
        run(job);
    } else if (tars_pool_submit(pool, run, job) != TARS_OK) {
        link_out(job);
        tars_api_count_rejected(session->chat->api, "busy");
        complain(session, &job->said, "the server is busy, try again in a moment");
        free_job(job);
        tars_chat_session_unref(session);
    }
}

static void cancel(struct tars_chat_session *session, struct tars_reader *reader)
{
    const char *conversation_id = tars_reader_text(reader, "conversation_id", TARS_READER_OPTIONAL);

    if (!tars_reader_is_bad(reader))
        tars_chat_cancel(session, conversation_id);
}

/* Do what a message says; true when it is a chat, whose texts are in arena then. */
static bool understand(struct tars_chat_session *session, struct tars_arena *arena,
                       struct tars_span message, struct said *said)
{
    struct tars_reader reader;
    const char *type;
    bool is_chat;

    tars_reader_init(&reader, arena, message, tars_span(NULL, 0));
    type = tars_reader_is_bad(&reader) ? NULL
                                       : json_string_value(json_object_get(reader.root, "type"));
    is_chat = type && strcmp(type, "chat") == 0;
    if (is_chat) {
        read_said(&reader, said);
    } else if (type && strcmp(type, "cancel") == 0) {
        cancel(session, &reader);
    }
    if (!reader.is_json) {
        tars_chat_send_error(session, NULL, CODE_JSON, "Invalid JSON format");
    } else if (tars_reader_is_bad(&reader)) {
        refuse_message(session, &reader);
    }
    is_chat = is_chat && !tars_reader_is_bad(&reader);
    tars_reader_release(&reader);
    return is_chat;
}

static bool understand_late(struct tars_chat_job *job)
{
    struct said said = {.content = ""};
    bool is_chat = understand(job->session, &job->arena, job->raw, &said);

    pthread_mutex_lock(&job->session->lock);
    job->said = said;
    pthread_mutex_unlock(&job->session->lock);
    return is_chat;
}

void tars_chat_take(struct tars_chat_session *session, const char *ptr, size_t len)
{
    struct tars_chat_job *job = new_job(session);
    const char *copy = NULL;

    if (job && len > INLINE_MAX) {
        copy = tars_arena_strndup(&job->arena, ptr, len);
        job->raw = tars_span(copy, copy ? len : 0);
    }
    if (!job || (len > INLINE_MAX && !copy)) {
        tars_ws_close(session->ws, 1011, "out of memory");
        if (job)
            free_job(job);
    } else if (copy || understand(session, &job->arena, tars_span(ptr, len), &job->said)) {
        submit(job);
    } else {
        free_job(job);
    }
}
