/* rag - see rag.h for the contract.
 *
 * DESIGN
 *
 *     gather -> on_sources -> context within the budget -> writer -> on_token* -> citations
 *                   \-> no source: "the documents do not answer"     \-> fails before a token:
 * quotes
 *
 * One struct answering is the state of one call; struct tars_rag is constant after _new(), so calls
 * share nothing.
 */
#include "rag/rag.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "obs/trace.h"
#include "rag/absence.h"
#include "rag/gather.h"
#include "rag/prompt.h"
#include "rag/quote.h"
#include "text/analyzer.h"
#include "text/normalize.h"

#define ANSWER_SHARE_MIN 256 /* tokens of a small context that are kept for the answer */
#define PROMPT_OVERHEAD  200 /* tokens of system prompt, template and question marks */

struct tars_rag {
    struct tars_rag_config config; /* with every default filled in */
};

struct answering {
    const struct tars_rag *rag;
    const struct tars_rag_request *request;
    struct tars_call *call;
    const struct tars_rag_events *events; /* or NULL */
    struct tars_rag_answer *out;
    struct tars_analyzer *analyzer; /* owned */
    struct tars_buf text;           /* owned; the answer so far */
    int64_t start_ns;               /* when the question came */
    bool stopped;                   /* an event said stop */
};

static double ms_since(int64_t start_ns)
{
    return (double)(tars_clock_mono_ns() - start_ns) / 1e6;
}

const char *tars_rag_stage_text(enum tars_rag_stage stage)
{
    static const char *const texts[] = {
#define X(name, value, text) [name] = (text),
        TARS_RAG_STAGE_LIST(X)
#undef X
    };

    return texts[stage];
}

/* A stage has run from start_ns to now; one that ran twice is told as one. */
static void note_stage(struct answering *state, enum tars_rag_stage stage, int64_t start_ns)
{
    state->out->stage_ms[stage] += ms_since(start_ns);
}

/* --------------------------------------------------------------- life cycle */

tars_status tars_rag_new(const struct tars_rag_config *config, struct tars_rag **rag,
                         struct tars_err *err)
{
    struct tars_rag *made;

    if (!config->fetch || !config->quoter || config->max_tokens < 0)
        return tars_fail(TARS_EINVAL, err, "answers need a retriever and something that quotes");
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "answers: out of memory");
    made->config = *config;
    if (made->config.max_context_tokens == 0)
        made->config.max_context_tokens = TARS_RAG_CONTEXT_TOKENS_DEFAULT;
    *rag = made;
    return TARS_OK;
}

void tars_rag_free(struct tars_rag *rag)
{
    free(rag);
}

/* ---------------------------------------------------------------- retrieval */

static bool is_blank(const char *text)
{
    while (*text && isspace((unsigned char)*text))
        text++;
    return *text == '\0';
}

static tars_status check_request(const struct tars_rag_request *request, struct tars_err *err)
{
    if (!request->query || is_blank(request->query))
        return tars_fail(TARS_EINVAL, err, "query cannot be empty");
    if (tars_utf8_count(request->query, strlen(request->query)) > TARS_RAG_QUERY_CHARS_MAX) {
        return tars_fail(TARS_EINVAL, err, "query too long (max %d characters)",
                         TARS_RAG_QUERY_CHARS_MAX);
    }
    if (request->top_k < 0 || request->top_k > TARS_RAG_TOP_K_MAX)
        return tars_fail(TARS_EINVAL, err, "top_k must be from 1 to %d", TARS_RAG_TOP_K_MAX);
    return TARS_OK;
}

static tars_status set_excerpt(struct tars_arena *arena, struct tars_rag_source *source)
{
    struct tars_span text = source->text;
    size_t end = tars_utf8_offset(text.ptr, text.len, TARS_RAG_EXCERPT_CHARS);

    source->excerpt =
        tars_arena_printf(arena, "%.*s%s", (int)end, text.ptr, end < text.len ? "..." : "");
    return source->excerpt ? TARS_OK : TARS_ENOMEM;
}

static tars_status retrieve(struct answering *state, struct tars_err *err)
{
    struct tars_rag_answer *out = state->out;
    struct tars_rag_request request = *state->request;
    struct tars_gathered gathered;
    int64_t start_ns = tars_clock_mono_ns();
    tars_status status;

    if (request.top_k == 0)
        request.top_k = TARS_RAG_TOP_K_DEFAULT;
    status = tars_gather(&state->rag->config, &request, state->call, &gathered, err);
    out->expansions = gathered.expansions;
    out->stage_ms[TARS_RAG_STAGE_EXPAND] = gathered.expand_ms;
    if (status == TARS_OK) {
        out->sources = gathered.sources;
        out->source_count = gathered.count;
        out->cached = gathered.cached;
        out->unmet = gathered.unmet;
        out->absence = gathered.absence;
        if (gathered.degraded) {
            out->degraded =
                tars_arena_printf(state->call->arena, "searched without %s", gathered.degraded);
        }
    }
    for (size_t i = 0; i < out->source_count && status == TARS_OK; i++)
        status = set_excerpt(state->call->arena, &out->sources[i]);
    out->retrieval_time_ms = ms_since(start_ns);
    return status;
}

/* --------------------------------------------------------------- generation */

static bool hear_token(void *ctx, const char *ptr, size_t len)
{
    struct answering *state = ctx;

    if (state->text.len == 0)
        state->out->first_token_ms = ms_since(state->start_ns);
    tars_buf_append(&state->text, ptr, len);
    if (state->text.status != TARS_OK)
        return false;
    if (state->events && state->events->on_token &&
        !state->events->on_token(state->events->ctx, ptr, len))
        state->stopped = true;
    return !state->stopped;
}

static size_t count_tokens(void *ctx, const char *text, size_t len)
{
    return tars_llm_count_tokens(ctx, text, len);
}

/* Tokens for the passages: as set, but never so many that a small model has no room to answer. */
static size_t context_budget(const struct answering *state, struct tars_llm *llm)
{
    size_t set = state->rag->config.max_context_tokens;
    size_t answer = (size_t)state->rag->config.max_tokens;
    size_t taken = PROMPT_OVERHEAD +
                   tars_llm_count_tokens(llm, state->request->query, strlen(state->request->query));

    if (tars_llm_is_small(llm) && set > TARS_RAG_SMALL_CONTEXT_TOKENS)
        set = TARS_RAG_SMALL_CONTEXT_TOKENS;
    if (llm->context_tokens == 0)
        return set;
    for (size_t i = 0; i < state->request->history_count; i++) {
        const struct tars_llm_turn *turn = &state->request->history[i];

        taken += tars_llm_count_tokens(llm, turn->user, strlen(turn->user));
        taken += tars_llm_count_tokens(llm, turn->assistant, strlen(turn->assistant));
    }
    if (answer == 0 || answer > llm->context_tokens / 4) {
        answer =
            llm->context_tokens / 4 > ANSWER_SHARE_MIN ? llm->context_tokens / 4 : ANSWER_SHARE_MIN;
    }
    taken += answer;
    if (taken >= llm->context_tokens)
        return 1;
    return set < llm->context_tokens - taken ? set : llm->context_tokens - taken;
}

/* The question as one who has not heard those before it can understand it. */
static const char *whole(const struct answering *state)
{
    return state->request->search ? state->request->search : state->request->query;
}

static tars_status set_quotes(struct answering *state, struct tars_llm_request *request)
{
    struct tars_llm_quote *quotes = NULL;
    tars_status status =
        tars_quote_choose(state->analyzer, state->call->arena, whole(state), state->out->sources,
                          state->out->source_count, &quotes, &request->quote_count);

    request->quotes = quotes;
    return status;
}

/* The context that llm is given: passages, or for a small one what in them answers best. */
static tars_status set_context(struct answering *state, struct tars_llm *llm)
{
    const struct tars_prompt_budget budget = {context_budget(state, llm), count_tokens, llm};
    struct tars_rag_answer *out = state->out;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < out->source_count; i++)
        out->sources[i].focus = tars_span("", 0);
    if (tars_llm_is_small(llm)) {
        status = tars_quote_focus(state->analyzer, state->call->arena, whole(state), out->sources,
                                  out->source_count);
    }
    if (status != TARS_OK)
        return status;
    return tars_prompt_context(state->call->arena, &budget, out->sources, out->source_count,
                               &out->context_used);
}

static int answer_limit(const struct answering *state, const struct tars_llm *llm)
{
    int set = state->rag->config.max_tokens;

    if (tars_llm_is_small(llm) && (set == 0 || set > TARS_RAG_SMALL_ANSWER_TOKENS))
        return TARS_RAG_SMALL_ANSWER_TOKENS;
    return set;
}

/* The prompt for llm, and what it quotes from. */
static tars_status write_prompt(struct answering *state, struct tars_llm *llm,
                                struct tars_llm_request *request)
{
    tars_status status = set_context(state, llm);

    if (status == TARS_OK) {
        request->prompt = tars_prompt_build(state->call->arena, state->out->context_used,
                                            request->brief ? whole(state) : state->request->query);
        status = request->prompt ? TARS_OK : TARS_ENOMEM;
    }
    if (status == TARS_OK && llm->ops->needs_quotes)
        status = set_quotes(state, request);
    return status;
}

/* Let llm write. */
static tars_status write_with(struct answering *state, struct tars_llm *llm, struct tars_err *err)
{
    const struct tars_rag_config *config = &state->rag->config;
    const struct tars_llm_sink sink = {hear_token, state};
    struct tars_llm_request request = {
        .system = tars_llm_is_small(llm) ? tars_prompt_system_small : tars_prompt_system,
        .history = state->request->history,
        .history_count = state->request->history_count,
        .max_tokens = answer_limit(state, llm),
        .brief = tars_llm_is_small(llm),
        .temperature = config->temperature,
        .top_p = config->top_p,
        .top_k = config->top_k,
        .model = state->request->model,
    };
    struct tars_llm_result result = {.started = false};
    int64_t start_ns = tars_clock_mono_ns();
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&state->call->trace, &span, "write prompt", TARS_SPAN_INTERNAL);
    status = write_prompt(state, llm, &request);
    tars_trace_int(&span, "tars.prompt.bytes",
                   request.prompt ? (int64_t)strlen(request.prompt) : 0);
    tars_trace_status(&span, status, NULL);
    tars_trace_end(&span);

    note_stage(state, TARS_RAG_STAGE_PROMPT, start_ns);
    if (status != TARS_OK) {
        return tars_fail(status, err, "the prompt could not be written: %s",
                         tars_status_text(status));
    }
    start_ns = tars_clock_mono_ns();
    status = tars_llm_generate(llm, &request, state->call, &sink, &result, err);
    note_stage(state, TARS_RAG_STAGE_GENERATE, start_ns);
    state->out->total_tokens = result.tokens;
    state->out->model = tars_arena_strdup(state->call->arena, result.model);
    if (state->text.status != TARS_OK)
        status = tars_fail(state->text.status, err, "the answer is too long");
    return status == TARS_OK && !state->out->model ? TARS_ENOMEM : status;
}

static tars_status say_no_answer(struct answering *state)
{
    const struct tars_rag_config *config = &state->rag->config;
    const struct tars_llm *llm =
        config->llm && !state->request->quotes_only ? config->llm : config->quoter;

    const char *text =
        tars_absence_text(state->call->arena, &state->out->absence, state->out->unmet);

    state->out->model = tars_arena_strdup(state->call->arena, llm->model);
    if (!text || !state->out->model)
        return TARS_ENOMEM;
    return hear_token(state, text, strlen(text)) ? TARS_OK : TARS_ECANCELED;
}

static tars_status generate(struct answering *state, struct tars_err *err)
{
    const struct tars_rag_config *config = &state->rag->config;
    struct tars_err why = {.text = ""};
    tars_status status;

    if (state->out->source_count == 0)
        return say_no_answer(state);
    if (!config->llm || state->request->quotes_only)
        return write_with(state, config->quoter, err);
    status = write_with(state, config->llm, &why);
    if (status == TARS_OK)
        return TARS_OK;
    if (state->text.len || state->stopped || tars_call_is_over(state->call) ||
        status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    state->out->degraded = tars_arena_strdup(state->call->arena, why.text);
    return write_with(state, config->quoter, err);
}

/* ---------------------------------------------------------------- citations */

static tars_status fill_citation(struct answering *state, const struct tars_cite_sentence *from,
                                 struct tars_rag_citation *to)
{
    const char *answer = state->out->answer;
    int *numbers = tars_arena_calloc(state->call->arena, from->support_count + 1, sizeof(*numbers));

    if (!numbers)
        return TARS_ENOMEM;
    for (size_t i = 0; i < from->support_count; i++)
        numbers[i] = (int)from->support[i].source + 1;
    *to = (struct tars_rag_citation){
        .start = from->start,
        .end = from->end,
        .char_start = tars_utf8_count(answer, from->start),
        .char_end = tars_utf8_count(answer, from->end),
        .supported = from->supported,
        .verdict = from->verdict,
        .sources = numbers,
        .source_count = from->support_count,
        .support = from->support,
    };
    return TARS_OK;
}

static tars_status check_sentences(struct answering *state)
{
    struct tars_rag_answer *out = state->out;
    struct tars_arena *arena = state->call->arena;
    struct tars_citations found;
    struct tars_cite_source *sources =
        tars_arena_calloc(arena, out->source_count + 1, sizeof(*sources));
    tars_status status;

    if (!sources)
        return TARS_ENOMEM;
    for (size_t i = 0; i < out->source_count; i++) {
        const struct tars_rag_source *source = &out->sources[i];

        sources[i].text = source->text;
        sources[i].reading = source->reading;
        sources[i].title = tars_span_of(
            tars_arena_printf(arena, "%s. %s. %s", source->title ? source->title : "",
                              source->section ? source->section : "", source->file_name));
    }
    status = tars_cite_check(state->analyzer, arena, tars_span(out->answer, out->answer_len),
                             sources, out->source_count, &found);
    if (status != TARS_OK)
        return status;
    out->citations = tars_arena_calloc(arena, found.count + 1, sizeof(*out->citations));
    if (!out->citations)
        return TARS_ENOMEM;
    for (size_t i = 0; i < found.count && status == TARS_OK; i++)
        status = fill_citation(state, &found.sentences[i], &out->citations[i]);
    out->citation_count = status == TARS_OK ? found.count : 0;
    out->unsupported_count = found.unsupported;
    return status;
}

/* Without a source the answer is tars_absence_text(), which claims nothing of what documents say.
 */
static void acquit(struct tars_rag_answer *out)
{
    for (size_t i = 0; i < out->citation_count; i++) {
        out->citations[i].verdict = TARS_CITE_NO_CLAIM;
        out->citations[i].supported = true;
    }
    out->unsupported_count = 0;
}

/* Did the answer claim nothing at all? */
static bool claims_nothing(const struct tars_rag_answer *answer)
{
    for (size_t i = 0; i < answer->citation_count; i++) {
        if (answer->citations[i].verdict != TARS_CITE_NO_CLAIM)
            return false;
    }
    return answer->citation_count > 0;
}

static tars_status cite(struct answering *state)
{
    int64_t start_ns = tars_clock_mono_ns();
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&state->call->trace, &span, "check citations", TARS_SPAN_INTERNAL);
    status = check_sentences(state);
    if (state->out->source_count == 0)
        acquit(state->out);
    tars_trace_int(&span, "tars.citations", (int64_t)state->out->citation_count);
    tars_trace_int(&span, "tars.citations.unsupported", (int64_t)state->out->unsupported_count);
    tars_trace_status(&span, status, NULL);
    tars_trace_end(&span);
    note_stage(state, TARS_RAG_STAGE_CITE, start_ns);
    state->out->refused =
        status == TARS_OK && (state->out->source_count == 0 || claims_nothing(state->out));
    return status;
}

/* -------------------------------------------------------------------- answer */

static tars_status keep_text(struct answering *state)
{
    state->out->answer_len = state->text.len;
    state->out->answer = tars_arena_strndup(
        state->call->arena, state->text.ptr ? state->text.ptr : "", state->text.len);
    return state->out->answer ? TARS_OK : TARS_ENOMEM;
}

static tars_status answer(struct answering *state, struct tars_err *err)
{
    const struct tars_rag_events *events = state->events;
    tars_status status = retrieve(state, err);
    int64_t start_ns = tars_clock_mono_ns();
    tars_status kept;

    if (status != TARS_OK)
        return status;
    if (events && events->on_sources && !events->on_sources(events->ctx, state->out)) {
        state->stopped = true;
        return tars_fail(TARS_ECANCELED, err, "the asker went away");
    }
    status = generate(state, err);
    kept = keep_text(state);
    if (status == TARS_OK && kept == TARS_OK)
        kept = cite(state);
    state->out->generation_time_ms = ms_since(start_ns);
    if (status == TARS_OK && kept != TARS_OK) {
        status =
            tars_fail(kept, err, "the citations could not be checked: %s", tars_status_text(kept));
    }
    return status;
}

tars_status tars_rag_answer(struct tars_rag *rag, const struct tars_rag_request *request,
                            struct tars_call *call, const struct tars_rag_events *events,
                            struct tars_rag_answer *out, struct tars_err *err)
{
    struct answering state = {.rag = rag,
                              .request = request,
                              .call = call,
                              .events = events,
                              .out = out,
                              .start_ns = tars_clock_mono_ns()};
    tars_status status;

    *out = (struct tars_rag_answer){.query = request->query,
                                    .answer = "",
                                    .context_used = "",
                                    .used_history = request->history_count > 0 || request->search};
    out->model = tars_arena_strdup(call->arena, rag->config.llm ? rag->config.llm->model
                                                                : rag->config.quoter->model);
    if (!out->model) {
        out->model = "";
        return tars_fail(TARS_ENOMEM, err, "the answer does not fit into memory");
    }
    status = check_request(request, err);
    if (status != TARS_OK)
        return status;
    tars_buf_init(&state.text, TARS_LLM_OUTPUT_MAX);
    status = tars_analyzer_new(&state.analyzer);
    if (status == TARS_OK)
        status = answer(&state, err);
    out->total_time_ms = ms_since(state.start_ns);
    tars_analyzer_free(state.analyzer);
    tars_buf_release(&state.text);
    return status;
}
