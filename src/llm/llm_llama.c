/* llm_llama - see llm_llama.h for the contract.
 *
 * DESIGN
 *
 * One model (weights mapped from the file) and one context (its key-value memory). A turnstile
 * lets one generation in at a time. What the context holds from the last prompt is remembered as
 * tokens: the next prompt keeps the common beginning (system prompt, earlier turns) and computes
 * only the rest.
 *
 *     kept:   [system][turn 1][answer 1]
 *     prompt: [system][turn 1][answer 1][turn 2]
 *             `--------- common --------' `-- decoded now
 *
 * The model's own chat template is applied to place holders, not to the messages: the text between
 * place holders is cut into tokens with the control tokens that templates consist of, the messages
 * are cut as plain text. So a document that contains "<|im_end|>" cannot close the user's turn.
 *
 * Against going round in circles, long repetitions are made unlikely ("DRY"): not single tokens,
 * since a penalty on those alters the digits of numbers, "2024" to "2023".
 *
 * A generation ends with the model's end token, or before an empty line where the request is brief,
 * or after max_tokens; in the last quarter of them at the first sentence's end.
 *
 * INVARIANTS
 *
 *   1. kept lists exactly the tokens in the context's memory, or is empty and so is the memory.
 *   2. model and vocab are set once, under loading, and never change before _free().
 *   3. context, kept and what the functions "in_turn" do belong to whoever is inside the turnstile.
 *
 * LIMITS   The answer ends where the context is full.
 * COSTS    SmolLM2-135M, 4096 tokens of context: 94 MB of key-value memory beside the weights.
 */
#include "llm/llm_llama.h"

#include <assert.h>
#include <ggml-cpu.h>
#include <llama.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "llm/emit.h"
#include "llm/turnstile.h"

#define CONTEXT_MIN       256
#define CONTEXT_MAX       131072
#define ANSWER_MIN        16    /* tokens that must be left for an answer */
#define BATCH_TOKENS      512   /* of a prompt at a time */
#define PIECE_BYTES       256   /* longest text of one token */
#define DRY_MULTIPLIER    0.8F  /* penalty of a repetition one longer than allowed ... */
#define DRY_BASE          1.75F /* ... times this for each further token */
#define DRY_ALLOWED       8     /* tokens that may be repeated; longer than numbers and names */
#define DRY_LAST          512   /* tokens looked back at */
#define PROMPT_BYTES_MAX  ((size_t)4 << 20U)
#define MESSAGES_MAX      130 /* system, 64 turns of two, question */
#define PLACEHOLDER_BYTES 24

struct llama_llm {
    struct tars_llm base;
    struct tars_turnstile turnstile;
    pthread_mutex_t loading;             /* guards the setting of model and vocab */
    _Atomic(struct llama_model *) model; /* owned; NULL until loaded */
    struct llama_context *context;       /* owned; NULL until the first turn */
    struct ggml_threadpool *pool;        /* owned; with context if threads > 1 */
    llama_token *kept;                   /* (base.context_tokens,) owned, with context */
    size_t kept_count;
    int threads;
    char *path; /* owned */
};

/* One prompt as tokens. */
struct prompt {
    llama_token *tokens; /* owned */
    size_t count;
    size_t cap;
};

static struct llama_llm *llama_of(struct tars_llm *llm)
{
    _Static_assert(offsetof(struct llama_llm, base) == 0, "a back end begins with its base");
    return (struct llama_llm *)llm;
}

static void say_nothing(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)level;
    (void)text;
    (void)ctx;
}

/* ------------------------------------------------------------------ loading */

static tars_status unreadable(const char *path, struct tars_err *err)
{
    return tars_fail(TARS_EFORMAT, err,
                     "%s: not a language model that can be read; give a GGUF file (LLM_MODEL_PATH)",
                     path);
}

/* Read all but the weights: the file is good, and the context is no longer than the model's. */
static tars_status probe(struct llama_llm *me, struct tars_err *err)
{
    struct llama_model_params params = llama_model_default_params();
    struct llama_model *model;
    int32_t trained;

    params.load_mode = LLAMA_LOAD_MODE_MMAP;
    params.vocab_only = true;
    model = llama_model_load_from_file(me->path, params);
    if (!model)
        return unreadable(me->path, err);
    trained = llama_model_n_ctx_train(model);
    me->base.parameters = llama_model_n_params(model);
    llama_model_free(model);
    if (trained >= CONTEXT_MIN && (size_t)trained < me->base.context_tokens)
        me->base.context_tokens = (size_t)trained;
    return TARS_OK;
}

static tars_status load(struct llama_llm *me, struct tars_err *err)
{
    struct llama_model_params params = llama_model_default_params();
    tars_status status = TARS_OK;

    pthread_mutex_lock(&me->loading);
    if (!atomic_load(&me->model)) {
        params.load_mode = LLAMA_LOAD_MODE_MMAP;
        params.n_gpu_layers = 0;
        atomic_store(&me->model, llama_model_load_from_file(me->path, params));
        if (!atomic_load(&me->model))
            status = unreadable(me->path, err);
    }
    pthread_mutex_unlock(&me->loading);
    return status;
}

/* Threads that sleep between tokens: the library's own would be started for each token, and poll.
 * Without memory the library goes on with its own. */
static void make_pool(struct llama_llm *me)
{
    struct ggml_threadpool_params params = ggml_threadpool_params_default(me->threads);

    if (me->threads < 2)
        return;
    params.poll = 0;
    me->pool = ggml_threadpool_new(&params);
    if (me->pool)
        llama_attach_threadpool(me->context, me->pool, me->pool);
}

static tars_status make_context(struct llama_llm *me, struct tars_err *err)
{
    struct llama_context_params params = llama_context_default_params();

    if (me->context)
        return TARS_OK;
    params.n_ctx = (uint32_t)me->base.context_tokens;
    params.n_batch = BATCH_TOKENS;
    params.n_ubatch = BATCH_TOKENS;
    params.n_threads = me->threads;
    params.n_threads_batch = me->threads;
    params.no_perf = true;
    me->kept = calloc(me->base.context_tokens, sizeof(*me->kept));
    if (me->kept)
        me->context = llama_init_from_model(atomic_load(&me->model), params);
    if (me->context) {
        make_pool(me);
        return TARS_OK;
    }
    free(me->kept);
    me->kept = NULL;
    return tars_fail(TARS_ENOMEM, err, "%s: no memory for a context of %zu tokens", me->path,
                     me->base.context_tokens);
}

/* ------------------------------------------------------------------- prompt */

static tars_status prompt_reserve(struct prompt *prompt, size_t extra)
{
    size_t need = prompt->count + extra;
    llama_token *grown;

    if (need <= prompt->cap)
        return TARS_OK;
    need += need / 2;
    grown = realloc(prompt->tokens, need * sizeof(*grown));
    if (!grown)
        return TARS_ENOMEM;
    prompt->tokens = grown;
    prompt->cap = need;
    return TARS_OK;
}

/* Append text as tokens; only a template's text may contain control tokens. */
static tars_status prompt_add(struct prompt *prompt, const struct llama_vocab *vocab,
                              struct tars_span text, bool is_template)
{
    bool first = prompt->count == 0;
    int32_t made;

    if (text.len == 0)
        return TARS_OK;
    if (prompt_reserve(prompt, text.len + 2) != TARS_OK)
        return TARS_ENOMEM;
    made = llama_tokenize(vocab, text.ptr, (int32_t)text.len, prompt->tokens + prompt->count,
                          (int32_t)(prompt->cap - prompt->count), first, is_template);
    if (made < 0)
        return TARS_EFORMAT;
    prompt->count += (size_t)made;
    return TARS_OK;
}

struct messages {
    struct llama_chat_message chat[MESSAGES_MAX]; /* content: place holders */
    const char *content[MESSAGES_MAX];            /* what they stand for */
    char placeholders[MESSAGES_MAX][PLACEHOLDER_BYTES];
    size_t count;
};

static void messages_add(struct messages *messages, const char *role, const char *content)
{
    size_t i = messages->count;

    if (i == MESSAGES_MAX || !content || !*content)
        return;
    (void)snprintf(messages->placeholders[i], PLACEHOLDER_BYTES, "\x02message-%zu\x03", i);
    messages->chat[i] = (struct llama_chat_message){role, messages->placeholders[i]};
    messages->content[i] = content;
    messages->count++;
}

static void messages_fill(struct messages *messages, const struct tars_llm_request *request)
{
    size_t turns = request->history_count;
    size_t skip = turns > (MESSAGES_MAX - 2) / 2 ? turns - (MESSAGES_MAX - 2) / 2 : 0;

    messages->count = 0;
    messages_add(messages, "system", request->system);
    for (size_t i = skip; i < turns; i++) {
        messages_add(messages, "user", request->history[i].user);
        messages_add(messages, "assistant", request->history[i].assistant);
    }
    messages_add(messages, "user", request->prompt);
}

/* The chat as the model's template writes it, place holders inside; a model without a template
 * gets the messages one after the other. */
static tars_status render(const struct llama_model *model, const struct messages *messages,
                          struct tars_buf *out)
{
    const char *template = llama_model_chat_template(model, NULL);
    int32_t cap = (int32_t)(messages->count * (PLACEHOLDER_BYTES + 64) + 1024);
    char *room = tars_buf_reserve(out, (size_t)cap);
    int32_t len = -1;

    if (!room)
        return out->status;
    if (template)
        len = llama_chat_apply_template(template, messages->chat, messages->count, true, room, cap);
    if (len > 0 && len <= cap) {
        tars_buf_grew(out, (size_t)len);
        return TARS_OK;
    }
    for (size_t i = 0; i < messages->count; i++) {
        tars_buf_append_text(out, messages->chat[i].content);
        tars_buf_append_text(out, i + 1 == messages->count ? "\n" : "\n\n");
    }
    return out->status;
}

static tars_status prompt_build(struct prompt *prompt, const struct llama_model *model,
                                const struct tars_llm_request *request)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    struct messages *messages = calloc(1, sizeof(*messages));
    struct tars_buf text;
    tars_status status = TARS_ENOMEM;
    const char *at;

    tars_buf_init(&text, PROMPT_BYTES_MAX);
    if (!messages)
        goto out;
    messages_fill(messages, request);
    status = render(model, messages, &text);
    at = text.ptr;
    for (size_t i = 0; i < messages->count && status == TARS_OK; i++) {
        const char *found = strstr(at, messages->placeholders[i]);

        if (!found) /* some templates refuse a role (system): it goes without */
            continue;
        status = prompt_add(prompt, vocab, tars_span(at, (size_t)(found - at)), true);
        if (status == TARS_OK)
            status = prompt_add(prompt, vocab, tars_span_of(messages->content[i]), false);
        at = found + strlen(messages->placeholders[i]);
    }
    if (status == TARS_OK)
        status = prompt_add(prompt, vocab, tars_span_of(at), true);
out:
    tars_buf_release(&text);
    free(messages);
    return status;
}

/* ------------------------------------------------------------------ writing */

static bool should_abort(void *ctx)
{
    return ctx && tars_call_is_over(ctx);
}

static void forget_kept(struct llama_llm *me)
{
    llama_memory_clear(llama_get_memory(me->context), true);
    me->kept_count = 0;
}

/* Compute tokens behind what is kept. On failure nothing is kept. */
static tars_status decode_in_turn(struct llama_llm *me, struct tars_call *call, llama_token *tokens,
                                  size_t count, struct tars_err *err)
{
    while (count) {
        size_t batch = count < BATCH_TOKENS ? count : BATCH_TOKENS;
        tars_status status = tars_emit_call_status(call);

        assert(me->kept_count + batch <= me->base.context_tokens);
        if (status == TARS_OK &&
            llama_decode(me->context, llama_batch_get_one(tokens, (int32_t)batch)) != 0) {
            status = tars_emit_call_status(call);
            if (status == TARS_OK)
                status = TARS_EIO;
        }
        if (status != TARS_OK) {
            forget_kept(me);
            return tars_fail(status, err, "the language model stopped: %s",
                             tars_status_text(status));
        }
        memcpy(me->kept + me->kept_count, tokens, batch * sizeof(*tokens));
        me->kept_count += batch;
        tokens += batch;
        count -= batch;
    }
    return TARS_OK;
}

/* Keep the common beginning of memory and prompt; at least the prompt's last token is computed
 * again, because its scores are what the answer begins with. Returns how many are kept. */
static size_t keep_common_in_turn(struct llama_llm *me, const struct prompt *prompt)
{
    size_t common = 0;

    while (common + 1 < prompt->count && common < me->kept_count &&
           me->kept[common] == prompt->tokens[common])
        common++;
    if (common == 0 ||
        !llama_memory_seq_rm(llama_get_memory(me->context), 0, (llama_pos)common, -1)) {
        forget_kept(me);
        return 0;
    }
    me->kept_count = common;
    return common;
}

/* Top k first: the steps after it look at those candidates only. */
static struct llama_sampler *sampler_new(const struct llama_llm *me,
                                         const struct tars_llm_request *request)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(atomic_load(&me->model));
    float unset = tars_llm_is_small(&me->base) ? 0.0F : TARS_LLM_TEMPERATURE_DEFAULT;
    float temperature = request->temperature < 0.0F ? unset : request->temperature;
    float top_p = request->top_p > 0.0F ? request->top_p : TARS_LLM_TOP_P_DEFAULT;
    int top_k = request->top_k ? request->top_k : TARS_LLM_TOP_K_DEFAULT;
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());

    if (!chain)
        return NULL;
    llama_sampler_chain_add(chain, llama_sampler_init_top_k(top_k));
    llama_sampler_chain_add(chain, llama_sampler_init_dry(vocab, DRY_MULTIPLIER, DRY_BASE,
                                                          DRY_ALLOWED, DRY_LAST, NULL, 0));
    if (temperature == 0.0F) {
        llama_sampler_chain_add(chain, llama_sampler_init_greedy());
        return chain;
    }
    llama_sampler_chain_add(chain, llama_sampler_init_top_p(top_p, 1));
    llama_sampler_chain_add(chain, llama_sampler_init_temp(temperature));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(request->seed));
    return chain;
}

/* What is on its way to the sink: white space waits until it is known that the text goes on. */
struct writing {
    struct tars_emit *emit;
    bool brief;
    bool late; /* in the last quarter of the tokens: a sentence's end will do */
    bool done; /* the text ends here */
    size_t held_len;
    char held[PIECE_BYTES];
};

static bool is_space(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (ptr[i] != ' ' && ptr[i] != '\n' && ptr[i] != '\r' && ptr[i] != '\t')
            return false;
    }
    return true;
}

static size_t count_breaks(const char *ptr, size_t len)
{
    size_t breaks = 0;

    for (size_t i = 0; i < len; i++)
        breaks += ptr[i] == '\n';
    return breaks;
}

static bool ends_sentence(const char *piece, size_t len)
{
    return len && (piece[len - 1] == '\n' || strchr(".!?", piece[len - 1]) ||
                   (len >= 3 && memcmp(piece + len - 3, "\xE3\x80\x82", 3) == 0));
}

static tars_status write_piece(struct writing *writing, const char *piece, size_t len)
{
    tars_status status = TARS_OK;

    if (writing->brief && is_space(piece, len) &&
        writing->held_len + len <= sizeof(writing->held)) {
        memcpy(writing->held + writing->held_len, piece, len);
        writing->held_len += len;
        writing->done =
            writing->emit->result->started && count_breaks(writing->held, writing->held_len) > 1;
        return TARS_OK;
    }
    if (writing->held_len && writing->emit->result->started)
        status = tars_emit_push(writing->emit, writing->held, writing->held_len);
    writing->held_len = 0;
    writing->done = writing->late && ends_sentence(piece, len);
    return status == TARS_OK ? tars_emit_push(writing->emit, piece, len) : status;
}

static tars_status write_in_turn(struct llama_llm *me, const struct tars_llm_request *request,
                                 struct tars_emit *emit, struct llama_sampler *sampler,
                                 struct tars_err *err)
{
    const struct llama_vocab *vocab = llama_model_get_vocab(atomic_load(&me->model));
    size_t room = me->base.context_tokens - me->kept_count;
    size_t limit = request->max_tokens ? (size_t)request->max_tokens : TARS_LLM_MAX_TOKENS_DEFAULT;
    struct writing writing = {.emit = emit, .brief = request->brief};
    tars_status status = TARS_OK;
    char piece[PIECE_BYTES];

    if (limit > room)
        limit = room;
    for (size_t i = 0; i < limit && status == TARS_OK; i++) {
        llama_token token = llama_sampler_sample(sampler, me->context, -1);
        int32_t len;

        if (llama_vocab_is_eog(vocab, token))
            break;
        len = llama_token_to_piece(vocab, token, piece, sizeof(piece), 0, false);
        writing.late = i >= limit - limit / 4;
        if (len > 0)
            status = write_piece(&writing, piece, (size_t)len);
        if (writing.done)
            break;
        if (status == TARS_OK && i + 1 < limit)
            status = decode_in_turn(me, emit->call, &token, 1, err);
    }
    return status == TARS_OK ? tars_emit_finish(emit) : status;
}

static tars_status answer_in_turn(struct llama_llm *me, const struct tars_llm_request *request,
                                  struct tars_emit *emit, struct tars_err *err)
{
    struct llama_model *model = atomic_load(&me->model);
    struct llama_sampler *sampler = sampler_new(me, request);
    struct prompt prompt = {NULL, 0, 0};
    tars_status status = TARS_ENOMEM;
    size_t common;

    if (!sampler)
        goto out;
    status = prompt_build(&prompt, model, request);
    if (status != TARS_OK)
        goto out;
    emit->result->prompt_tokens = prompt.count;
    if (prompt.count == 0 || prompt.count + ANSWER_MIN > me->base.context_tokens) {
        status = tars_fail(TARS_ETOOBIG, err, "the prompt has %zu tokens, the model's context %zu",
                           prompt.count, me->base.context_tokens);
        goto out;
    }
    llama_set_abort_callback(me->context, should_abort, emit->call);
    common = keep_common_in_turn(me, &prompt);
    status = decode_in_turn(me, emit->call, prompt.tokens + common, prompt.count - common, err);
    if (status == TARS_OK)
        status = write_in_turn(me, request, emit, sampler, err);
    llama_set_abort_callback(me->context, NULL, NULL);
out:
    free(prompt.tokens);
    if (sampler)
        llama_sampler_free(sampler);
    return status;
}

/* --------------------------------------------------------------- operations */

static tars_status generate(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err)
{
    struct llama_llm *me = llama_of(llm);
    struct tars_emit emit;
    tars_status status = load(me, err);

    if (status != TARS_OK)
        return status;
    status = tars_turnstile_enter(&me->turnstile, call);
    if (status != TARS_OK) {
        return tars_fail(status, err, "waited for the language model: %s",
                         tars_status_text(status));
    }
    tars_emit_init(&emit, sink, call, result);
    status = make_context(me, err);
    if (status == TARS_OK)
        status = answer_in_turn(me, request, &emit, err);
    tars_turnstile_leave(&me->turnstile);
    return status;
}

/* The file is there and begins like a GGUF. */
static tars_status look_at_file(const char *path, struct tars_err *err)
{
    char magic[4] = {0};
    FILE *file = fopen(path, "rbe");
    size_t got;

    if (!file)
        return tars_fail(TARS_ENOTFOUND, err, "%s: the language model cannot be opened (%m)", path);
    got = fread(magic, 1, sizeof(magic), file);
    (void)fclose(file);
    if (got != sizeof(magic) || memcmp(magic, "GGUF", sizeof(magic)) != 0) {
        return tars_fail(TARS_EFORMAT, err, "%s: not a GGUF file, which LLM_MODEL_PATH has to name",
                         path);
    }
    return TARS_OK;
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    struct llama_llm *me = llama_of(llm);

    (void)call;
    return atomic_load(&me->model) ? TARS_OK : look_at_file(me->path, err);
}

static size_t count_tokens(struct tars_llm *llm, const char *text, size_t len)
{
    struct llama_llm *me = llama_of(llm);
    int32_t made;

    if (len == 0 || len > PROMPT_BYTES_MAX || load(me, NULL) != TARS_OK)
        return 0;
    made = llama_tokenize(llama_model_get_vocab(atomic_load(&me->model)), text, (int32_t)len, NULL,
                          0, false, false);
    return made < 0 && made != INT32_MIN ? (size_t)-made : 0;
}

static void release(struct tars_llm *llm)
{
    struct llama_llm *me = llama_of(llm);

    if (me->context)
        llama_free(me->context);
    if (me->pool)
        ggml_threadpool_free(me->pool);
    if (atomic_load(&me->model))
        llama_model_free(atomic_load(&me->model));
    free(me->kept);
    free(me->path);
    pthread_mutex_destroy(&me->loading);
    tars_turnstile_release(&me->turnstile);
    free(me);
}

static const struct tars_llm_ops ops = {
    .name = "llama",
    .provider = "llama.cpp",
    .generate = generate,
    .health = health,
    .count_tokens = count_tokens,
    .free = release,
};

static void name_after_file(struct tars_llm *llm)
{
    const char *slash = strrchr(llama_of(llm)->path, '/');
    size_t len;

    tars_llm_set_model(llm->model, slash ? slash + 1 : llama_of(llm)->path);
    len = strlen(llm->model);
    if (len > 5 && strcmp(llm->model + len - 5, ".gguf") == 0)
        memset(llm->model + len - 5, 0, 5);
}

static int threads_of(int wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted)
        return wanted;
    if (processors / 2 > TARS_LLM_LLAMA_THREADS_MAX)
        return TARS_LLM_LLAMA_THREADS_MAX;
    return processors < 4 ? 1 : (int)(processors / 2);
}

static tars_status make(const struct tars_llm_llama_config *config, struct llama_llm **made)
{
    struct llama_llm *me = calloc(1, sizeof(*me));
    tars_status status = TARS_ENOMEM;

    if (!me)
        return TARS_ENOMEM;
    me->path = strdup(config->path);
    if (me->path && pthread_mutex_init(&me->loading, NULL) == 0) {
        status = tars_turnstile_init(&me->turnstile);
        if (status != TARS_OK)
            pthread_mutex_destroy(&me->loading);
    }
    if (status != TARS_OK) {
        free(me->path);
        free(me);
        return status;
    }
    me->base.ops = &ops;
    me->base.context_tokens =
        config->context_tokens ? (size_t)config->context_tokens : TARS_LLM_LLAMA_CONTEXT_DEFAULT;
    me->threads = threads_of(config->threads);
    name_after_file(&me->base);
    *made = me;
    return TARS_OK;
}

tars_status tars_llm_llama_open(const struct tars_llm_llama_config *config, struct tars_llm **llm,
                                struct tars_err *err)
{
    struct llama_llm *me;
    tars_status status;

    if (config->context_tokens &&
        (config->context_tokens < CONTEXT_MIN || config->context_tokens > CONTEXT_MAX)) {
        return tars_fail(TARS_EINVAL, err, "a language model's context has %d to %d tokens, not %d",
                         CONTEXT_MIN, CONTEXT_MAX, config->context_tokens);
    }
    if (config->threads < 0 || config->threads > 512) {
        return tars_fail(TARS_EINVAL, err, "a language model has 1 to 512 threads, not %d",
                         config->threads);
    }
    status = look_at_file(config->path, err);
    if (status != TARS_OK)
        return status;
    llama_log_set(say_nothing, NULL);
    llama_backend_init();
    status = make(config, &me);
    if (status != TARS_OK)
        return tars_fail(status, err, "%s: %s", config->path, tars_status_text(status));
    status = probe(me, err);
    if (status == TARS_OK && config->load_at_start)
        status = load(me, err);
    if (status != TARS_OK) {
        release(&me->base);
        return status;
    }
    *llm = &me->base;
    return TARS_OK;
}
