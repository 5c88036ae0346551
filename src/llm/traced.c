/* traced - see traced.h for the contract. */
#include "llm/traced.h"

#include <string.h>

#include "base/codec/json_write.h"

#define TEXT_MAX     ((size_t)8 << 10) /* bytes of a message */
#define SAID_MAX     ((size_t)16 << 10)
#define MESSAGES_MAX TARS_TRACE_CONTENT_MAX
#define TURNS_MAX    4 /* earlier ones that are shown */

/* ------------------------------------------------------------------------ request */

static float temperature_of(const struct tars_llm *llm, const struct tars_llm_request *request)
{
    if (request->temperature >= 0)
        return request->temperature;
    return tars_llm_is_small(llm) ? 0 : TARS_LLM_TEMPERATURE_DEFAULT;
}

static int limit_of(const struct tars_llm_request *request)
{
    return request->max_tokens ? request->max_tokens : TARS_LLM_MAX_TOKENS_DEFAULT;
}

static void describe(struct tars_trace_span *span, const struct tars_llm *llm,
                     const struct tars_llm_request *request)
{
    const char *model = request->model && request->model[0] ? request->model : llm->model;

    tars_trace_subject(span, model);
    tars_trace_text(span, "gen_ai.operation.name", "chat");
    tars_trace_text(span, "gen_ai.provider.name", llm->ops->provider);
    tars_trace_text(span, "gen_ai.request.model", model);
    tars_trace_text(span, "gen_ai.output.type", "text");
    tars_trace_int(span, "gen_ai.request.max_tokens", limit_of(request));
    tars_trace_real(span, "gen_ai.request.temperature", (double)temperature_of(llm, request));
    tars_trace_real(span, "gen_ai.request.top_p",
                    (double)(request->top_p > 0 ? request->top_p : TARS_LLM_TOP_P_DEFAULT));
    tars_trace_real(span, "gen_ai.request.top_k",
                    request->top_k ? request->top_k : TARS_LLM_TOP_K_DEFAULT);
    if (request->seed)
        tars_trace_int(span, "gen_ai.request.seed", request->seed);
    if (llm->address[0]) {
        tars_trace_text(span, "server.address", llm->address);
        tars_trace_int(span, "server.port", llm->port);
    }
}

/* ------------------------------------------------------------------------ content */

static void write_text(struct tars_json *json, const char *text, size_t len)
{
    if (len > TEXT_MAX) {
        len = TEXT_MAX;
        while (len && ((unsigned char)text[len] & 0xC0U) == 0x80U)
            len--;
    }
    tars_json_object(json, NULL);
    tars_json_text(json, "type", "text");
    tars_json_text_n(json, "content", text, len);
    tars_json_end(json);
}

static void write_message(struct tars_json *json, const char *role, const char *text)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "role", role);
    tars_json_array(json, "parts");
    write_text(json, text, strlen(text));
    tars_json_end(json);
    tars_json_end(json);
}

/* What is in out as content; out is cleared. */
static void add_content(struct tars_llm_traced *traced, const char *key, struct tars_buf *out)
{
    char *text = out->status == TARS_OK && out->len
                     ? tars_arena_strndup(traced->arena, out->ptr, out->len)
                     : NULL;

    if (text)
        tars_trace_content(&traced->span, key, tars_span(text, out->len));
    tars_buf_clear(out);
}

/* gen_ai.system_instructions and gen_ai.input.messages: a list of parts, and one of messages. */
static void add_input(struct tars_llm_traced *traced)
{
    const struct tars_llm_request *request = traced->request;
    size_t from = request->history_count > TURNS_MAX ? request->history_count - TURNS_MAX : 0;
    struct tars_json json;
    struct tars_buf out;

    tars_buf_init(&out, MESSAGES_MAX);
    if (request->system) {
        tars_json_init(&json, &out);
        tars_json_array(&json, NULL);
        write_text(&json, request->system, strlen(request->system));
        tars_json_end(&json);
        add_content(traced, "gen_ai.system_instructions", &out);
    }
    tars_json_init(&json, &out);
    tars_json_array(&json, NULL);
    for (size_t i = from; i < request->history_count; i++) {
        write_message(&json, "user", request->history[i].user);
        write_message(&json, "assistant", request->history[i].assistant);
    }
    write_message(&json, "user", request->prompt);
    tars_json_end(&json);
    add_content(traced, "gen_ai.input.messages", &out);
    tars_buf_release(&out);
}

static void add_output(struct tars_llm_traced *traced, const char *reason)
{
    struct tars_json json;
    struct tars_buf out;

    tars_buf_init(&out, MESSAGES_MAX);
    tars_json_init(&json, &out);
    tars_json_array(&json, NULL);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "role", "assistant");
    tars_json_array(&json, "parts");
    write_text(&json, traced->said.ptr ? traced->said.ptr : "", traced->said.len);
    tars_json_end(&json);
    tars_json_text(&json, "finish_reason", reason);
    tars_json_end(&json);
    tars_json_end(&json);
    add_content(traced, "gen_ai.output.messages", &out);
    tars_buf_release(&out);
}

/* -------------------------------------------------------------------------- span */

static bool hear(void *ctx, const char *ptr, size_t len)
{
    struct tars_llm_traced *traced = ctx;

    if (!traced->first_ns)
        traced->first_ns = tars_trace_now(traced->span.trace);
    if (traced->said.max && traced->said.len + len <= SAID_MAX)
        tars_buf_append(&traced->said, ptr, len);
    return traced->to->token(traced->to->ctx, ptr, len);
}

void tars_llm_trace_begin(struct tars_llm_traced *traced, const struct tars_llm *llm,
                          const struct tars_llm_request *request, struct tars_call *call,
                          const struct tars_llm_sink *sink)
{
    struct tars_trace_span *span = &traced->span;
    bool is_model = llm->ops->provider != NULL;

    traced->sink = *sink;
    tars_trace_begin(call ? &call->trace : NULL, span, is_model ? "chat" : "write",
                     llm->address[0] ? TARS_SPAN_CLIENT : TARS_SPAN_INTERNAL);
    if (!span->trace)
        return;
    traced->request = request;
    traced->arena = call->arena;
    traced->first_ns = 0;
    tars_buf_init(&traced->said, 0);
    tars_trace_text(span, "tars.writer", llm->ops->name);
    if (!is_model)
        return;
    traced->to = sink;
    traced->sink = (struct tars_llm_sink){hear, traced};
    describe(span, llm, request);
    if (tars_trace_wants_content(span->trace) && traced->arena) {
        tars_buf_init(&traced->said, SAID_MAX);
        add_input(traced);
    }
}

void tars_llm_trace_end(struct tars_llm_traced *traced, const struct tars_llm_result *result,
                        tars_status status, const struct tars_err *err)
{
    struct tars_trace_span *span = &traced->span;
    const char *reason;

    if (!span->trace)
        return;
    if (traced->sink.ctx == traced) {
        reason = result->tokens >= (size_t)limit_of(traced->request) ? "length" : "stop";
        if (status != TARS_OK)
            reason = "error";
        tars_trace_text(span, "gen_ai.response.model", result->model);
        tars_trace_list(span, "gen_ai.response.finish_reasons", reason);
        if (result->prompt_tokens)
            tars_trace_int(span, "gen_ai.usage.input_tokens", (int64_t)result->prompt_tokens);
        tars_trace_int(span, "gen_ai.usage.output_tokens", (int64_t)result->tokens);
        if (traced->first_ns) {
            tars_trace_real(span, "gen_ai.response.time_to_first_chunk",
                            (double)(traced->first_ns - span->start_ns) / 1e9);
        }
        if (traced->said.max)
            add_output(traced, reason);
    }
    tars_trace_status(span, status, err);
    tars_trace_end(span);
    tars_buf_release(&traced->said);
}
