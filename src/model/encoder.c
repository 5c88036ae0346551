/* encoder - see encoder.h for the contract.
 *
 * DESIGN
 *
 * A call turns its texts into ids, then cuts them into batches of about BATCH_TOKENS tokens, texts
 * whole. A batch is the unit of work: it takes a bert_work from a small store, runs the network and
 * gives the work back. The caller takes batches one after another; with threads > 1 the pool's
 * workers are invited to take some too. A worker that finds no batch left, or no work free, goes
 * away at once, so an invitation never waits for another caller's.
 *
 *     call -> ids -> [batch][batch][batch] <- caller, worker, worker
 *
 * The store lends at most 2 * threads works: so many computations at once use the processors, and
 * their memory stays bounded. Callers beyond wait for a work, at most one batch long each.
 *
 * INVARIANTS
 *
 *   1. A caller waits for a work while it holds none; a worker never waits for one.
 *   2. A call returns only when every worker that it invited has come and gone.
 */
#include "model/encoder.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/sys/file.h"
#include "base/sys/pool.h"
#include "model/bert.h"
#include "model/config.h"
#include "model/identity.h"
#include "model/works.h"

#define BATCH_TOKENS   512
#define PATH_BYTES     4096
#define VOCAB_MAX      ((size_t)32 << 20) /* bytes of vocab.txt */
#define TEXT_BYTES_MAX ((size_t)1 << 30)
#define SPECIALS       2   /* [CLS] and [SEP] */
#define TOKEN_BYTES    32  /* of arena for each byte of text, at most */
#define BATCH_TEXTS    256 /* texts tokenised before the first is computed */

struct tars_encoder {
    struct tars_model_config config;
    struct tars_encoder_info info; /* its strings point into config and bert */
    struct tars_bert *bert;
    struct tars_wordpiece *wordpiece;
    struct tars_pool *workers; /* threads - 1 of them; NULL with one thread */
    size_t threads;
    struct tars_works works;
};

/* -------------------------------------------------------------------- calls */

/* A call under way, on its caller's stack, shared with the workers that it invited. */
struct call {
    struct tars_encoder *encoder;
    const int32_t *ids;
    const size_t *starts; /* (n + 1,) */
    size_t n;
    float *out;           /* (n, dim) */
    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t left;  /* a worker has gone */
    size_t next;          /* first text that nobody has taken */
    size_t workers;       /* invited and not gone yet */
    tars_status status;   /* the first failure */
    struct tars_err why;
};

/* The next batch: texts [*first, return). Empty when none is left or the call has failed. */
static size_t take_batch(struct call *call, size_t *first)
{
    size_t end;

    (void)pthread_mutex_lock(&call->lock);
    *first = end = call->next;
    if (call->status == TARS_OK) {
        while (end < call->n &&
               (end == *first || call->starts[end + 1] - call->starts[*first] <= BATCH_TOKENS))
            end++;
    }
    call->next = end;
    (void)pthread_mutex_unlock(&call->lock);
    return end;
}

static void fail_call(struct call *call, tars_status status, const struct tars_err *why)
{
    (void)pthread_mutex_lock(&call->lock);
    if (call->status == TARS_OK) {
        call->status = status;
        call->why = *why;
    }
    (void)pthread_mutex_unlock(&call->lock);
}

static tars_status run_batch(struct call *call, bool wait, bool *found, struct tars_err *err)
{
    struct tars_encoder *encoder = call->encoder;
    struct tars_bert_work *work = NULL;
    struct tars_bert_texts texts = {.ids = call->ids};
    size_t first = 0;
    size_t end;
    size_t tokens =
        encoder->config.max_tokens > BATCH_TOKENS ? encoder->config.max_tokens : BATCH_TOKENS;
    tars_status status = tars_works_take(&encoder->works, encoder->bert, tokens,
                                         wait ? TARS_WORKS_FOREVER : TARS_WORKS_NOW, &work, err);

    *found = false;
    if (status != TARS_OK || !work)
        return status;
    end = take_batch(call, &first);
    if (end > first) {
        *found = true;
        texts.starts = call->starts + first;
        texts.n = end - first;
        status =
            tars_bert_run(encoder->bert, work, &texts, call->out + first * encoder->info.dim, err);
    }
    tars_works_give(&encoder->works, work);
    return status;
}

static void run_batches(struct call *call, bool wait)
{
    bool found = true;

    tars_linear_one_thread();
    while (found) {
        struct tars_err why = {""};
        tars_status status = run_batch(call, wait, &found, &why);

        if (status != TARS_OK) {
            fail_call(call, status, &why);
            return;
        }
    }
}

static void work_for(void *ctx)
{
    struct call *call = ctx;

    run_batches(call, false);
    (void)pthread_mutex_lock(&call->lock);
    call->workers--;
    (void)pthread_cond_signal(&call->left);
    (void)pthread_mutex_unlock(&call->lock);
}

/* Ask as many workers as there are batches for them. */
static void invite(struct call *call)
{
    size_t batches = (call->starts[call->n] - call->starts[0]) / BATCH_TOKENS;
    size_t workers = call->encoder->threads - 1;

    for (size_t i = 0; i < workers && i < batches; i++) {
        (void)pthread_mutex_lock(&call->lock);
        call->workers++;
        (void)pthread_mutex_unlock(&call->lock);
        if (tars_pool_submit(call->encoder->workers, work_for, call) != TARS_OK) {
            (void)pthread_mutex_lock(&call->lock);
            call->workers--;
            (void)pthread_mutex_unlock(&call->lock);
            return;
        }
    }
}

static tars_status run_call(struct tars_encoder *encoder, const int32_t *ids, const size_t *starts,
                            size_t n, float *out, struct tars_err *err)
{
    struct call call = {.encoder = encoder, .ids = ids, .starts = starts, .n = n};

    call.out = out;
    if (n == 0)
        return TARS_OK;
    if (pthread_mutex_init(&call.lock, NULL) != 0)
        return TARS_ENOMEM;
    if (pthread_cond_init(&call.left, NULL) != 0) {
        (void)pthread_mutex_destroy(&call.lock);
        return TARS_ENOMEM;
    }
    invite(&call);
    run_batches(&call, true);
    (void)pthread_mutex_lock(&call.lock);
    while (call.workers > 0)
        (void)pthread_cond_wait(&call.left, &call.lock);
    (void)pthread_mutex_unlock(&call.lock);
    (void)pthread_cond_destroy(&call.left);
    (void)pthread_mutex_destroy(&call.lock);
    if (call.status != TARS_OK && call.why.text[0])
        return tars_fail(call.status, err, "%s", call.why.text);
    return call.status;
}

tars_status tars_encoder_embed_ids(struct tars_encoder *encoder, const int32_t *ids,
                                   const size_t *starts, size_t n, float *out, struct tars_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t count = starts[i + 1] - starts[i];

        if (starts[i + 1] < starts[i] || count == 0 || count > encoder->info.max_tokens) {
            return tars_fail(TARS_EINVAL, err, "text %zu has not 1 to %zu tokens", i,
                             encoder->info.max_tokens);
        }
        for (size_t t = starts[i]; t < starts[i + 1]; t++) {
            if (ids[t] < 0 || (size_t)ids[t] >= encoder->config.vocab)
                return tars_fail(TARS_EINVAL, err, "token %d is not in the vocabulary", ids[t]);
        }
    }
    return run_call(encoder, ids, starts, n, out, err);
}

/* ------------------------------------------------------------------- texts */

/* Ids of some texts, as run_call() wants them. */
struct ids {
    int32_t *ids;                   /* (BATCH_TEXTS, max_tokens), filled from the front */
    size_t starts[BATCH_TEXTS + 1]; /* of each text */
};

static tars_status add_text(const struct tars_encoder *encoder, const char *prefix,
                            struct tars_span text, struct ids *ids, size_t i)
{
    const struct tars_wordpiece_specials specials = tars_wordpiece_specials(encoder->wordpiece);
    const size_t room = encoder->config.max_tokens - SPECIALS;
    int32_t *to = ids->ids + ids->starts[i];
    struct tars_tokens tokens = {0};
    struct tars_buf whole;
    struct tars_arena arena;
    tars_status status;

    if (text.len >= TEXT_BYTES_MAX)
        return TARS_ETOOBIG;
    tars_buf_init(&whole, text.len + TARS_MODEL_PREFIX_MAX);
    tars_arena_init(&arena, (text.len + TARS_MODEL_PREFIX_MAX) * TOKEN_BYTES + ((size_t)1 << 20));
    if (prefix[0]) {
        tars_buf_append_text(&whole, prefix);
        tars_buf_append(&whole, text.ptr, text.len);
        text = tars_buf_span(&whole);
    }
    status = whole.status;
    if (status == TARS_OK) {
        status = tars_wordpiece_encode(encoder->wordpiece, &arena, text.len ? text.ptr : "",
                                       text.len, &tokens);
    }
    if (status == TARS_OK) {
        size_t count = tokens.count < room ? tokens.count : room;

        to[0] = specials.cls;
        if (count > 0)
            memcpy(to + 1, tokens.ids, count * sizeof(*to));
        to[count + 1] = specials.sep;
        ids->starts[i + 1] = ids->starts[i] + count + SPECIALS;
    }
    tars_arena_release(&arena);
    tars_buf_release(&whole);
    return status;
}

tars_status tars_encoder_embed(struct tars_encoder *encoder, enum tars_embed_kind kind,
                               const struct tars_span *texts, size_t n, float *out,
                               struct tars_err *err)
{
    const char *prefix =
        kind == TARS_EMBED_QUERY ? encoder->config.query_prefix : encoder->config.passage_prefix;
    const size_t max_step = n < BATCH_TEXTS ? n : BATCH_TEXTS;
    struct ids ids;
    tars_status status = TARS_OK;

    if (n == 0)
        return TARS_OK;
    ids.ids = malloc(max_step * encoder->config.max_tokens * sizeof(ids.ids[0]));
    if (!ids.ids)
        return TARS_ENOMEM;
    for (size_t first = 0; first < n && status == TARS_OK; first += max_step) {
        size_t step = n - first < max_step ? n - first : max_step;

        ids.starts[0] = 0;
        for (size_t i = 0; i < step && status == TARS_OK; i++)
            status = add_text(encoder, prefix, texts[first + i], &ids, i);
        if (status == TARS_ETOOBIG)
            status = tars_fail(status, err, "a text is too long to be embedded; cut it");
        if (status == TARS_OK) {
            status =
                run_call(encoder, ids.ids, ids.starts, step, out + first * encoder->info.dim, err);
        }
    }
    free(ids.ids);
    return status;
}

/* --------------------------------------------------------------- life cycle */

static tars_status path_in(const char *dir, const char *name, char *path, struct tars_err *err)
{
    int len = snprintf(path, PATH_BYTES, "%s/%s", dir, name);

    if (len < 0 || len >= PATH_BYTES)
        return tars_fail(TARS_EINVAL, err, "the path of the model folder is too long");
    return TARS_OK;
}

static tars_status open_wordpiece(struct tars_encoder *encoder, const char *path,
                                  struct tars_span vocab, struct tars_err *err)
{
    struct tars_wordpiece_config config = {.vocab_txt = vocab, .cased = encoder->config.cased};
    struct tars_err why = {""};
    tars_status status = tars_wordpiece_new(&config, &encoder->wordpiece, &why);

    if (status != TARS_OK) {
        return tars_fail(status, err, "%s: %.400s", path,
                         why.text[0] ? why.text : tars_status_text(status));
    }
    if (tars_wordpiece_vocab_size(encoder->wordpiece) > encoder->config.vocab) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s has more pieces than config.json's vocab_size; they belong to "
                         "different models",
                         path);
    }
    return TARS_OK;
}

/* Tokenizer and identity, which both need the vocabulary's bytes. */
static tars_status open_vocab(struct tars_encoder *encoder,
                              const struct tars_encoder_config *config, const char *digest,
                              struct tars_err *err)
{
    char path[PATH_BYTES];
    struct tars_buf vocab;
    tars_status status = path_in(config->dir, "vocab.txt", path, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&vocab, VOCAB_MAX);
    status = tars_file_read(path, &vocab, err);
    if (status == TARS_OK)
        status = open_wordpiece(encoder, path, tars_buf_span(&vocab), err);
    if (status == TARS_OK) {
        status = tars_model_identity(&encoder->config, digest, tars_buf_span(&vocab),
                                     encoder->info.identity);
    }
    tars_buf_release(&vocab);
    return status;
}

static tars_status open_bert(struct tars_encoder *encoder, const struct tars_encoder_config *config,
                             struct tars_err *err)
{
    static const enum tars_linear_type types[] = {[TARS_ENCODER_INT8] = TARS_LINEAR_INT8,
                                                  [TARS_ENCODER_BF16] = TARS_LINEAR_BF16,
                                                  [TARS_ENCODER_FP32] = TARS_LINEAR_FP32};
    static const enum tars_encoder_precision precisions[] = {[TARS_LINEAR_INT8] = TARS_ENCODER_INT8,
                                                             [TARS_LINEAR_BF16] = TARS_ENCODER_BF16,
                                                             [TARS_LINEAR_FP32] =
                                                                 TARS_ENCODER_FP32};
    char path[PATH_BYTES];
    char digest[TARS_SHA256_HEX_BYTES];
    const struct tars_bert_weights weights = {
        .path = path, .digest = digest, .cache_dir = config->cache_dir};
    tars_status status = path_in(config->dir, "model.safetensors", path, err);

    if (status != TARS_OK)
        return status;
    tars_linear_one_thread();
    status =
        tars_bert_open(&encoder->config, &weights, types[config->precision], &encoder->bert, err);
    if (status == TARS_ENOTFOUND) {
        return tars_fail(status, err,
                         "%s is not there; the weights are needed as safetensors (a folder with "
                         "only pytorch_model.bin must be converted first)",
                         path);
    }
    if (status != TARS_OK)
        return status;
    encoder->info.precision = precisions[tars_bert_type(encoder->bert)];
    encoder->info.implementation = tars_bert_implementation(encoder->bert);
    return open_vocab(encoder, config, digest, err);
}

static tars_status open_model(struct tars_encoder *encoder,
                              const struct tars_encoder_config *config, struct tars_err *err)
{
    struct tars_model_config *model = &encoder->config;
    tars_status status = tars_model_config_read(config->dir, model, err);

    if (status != TARS_OK)
        return status;
    if (config->max_tokens > 0 && config->max_tokens < model->max_tokens)
        model->max_tokens = config->max_tokens;
    if (model->max_tokens <= SPECIALS)
        return tars_fail(TARS_EINVAL, err, "max_tokens must be over %d", SPECIALS);
    encoder->info.dim = model->hidden;
    encoder->info.max_tokens = model->max_tokens;
    encoder->info.name = model->name;
    encoder->info.query_prefix = model->query_prefix;
    encoder->info.passage_prefix = model->passage_prefix;
    return open_bert(encoder, config, err);
}

static tars_status start_workers(struct tars_encoder *encoder)
{
    const struct tars_pool_config config = {
        .name = "tars-embed", .threads = encoder->threads - 1, .enter = tars_linear_one_thread};

    return encoder->threads > 1 ? tars_pool_new(&config, &encoder->workers) : TARS_OK;
}

tars_status tars_encoder_open(const struct tars_encoder_config *config,
                              struct tars_encoder **encoder, struct tars_err *err)
{
    struct tars_encoder *made;
    tars_status status;

    if (!config->dir || config->threads > TARS_ENCODER_THREADS_MAX ||
        config->precision > TARS_ENCODER_FP32) {
        return tars_fail(TARS_EINVAL, err, "no model folder, or threads over %d",
                         TARS_ENCODER_THREADS_MAX);
    }
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->threads = config->threads ? config->threads : 1;
    if (tars_works_init(&made->works, 2 * made->threads) != TARS_OK) {
        free(made);
        return TARS_ENOMEM;
    }
    status = open_model(made, config, err);
    if (status == TARS_OK)
        status = start_workers(made);
    if (status != TARS_OK) {
        tars_encoder_close(made);
        return status;
    }
    *encoder = made;
    return TARS_OK;
}

void tars_encoder_close(struct tars_encoder *encoder)
{
    if (!encoder)
        return;
    tars_pool_free(encoder->workers);
    tars_works_release(&encoder->works);
    tars_bert_close(encoder->bert);
    tars_wordpiece_free(encoder->wordpiece);
    free(encoder);
}

const struct tars_encoder_info *tars_encoder_info(const struct tars_encoder *encoder)
{
    return &encoder->info;
}

const struct tars_wordpiece *tars_encoder_wordpiece(const struct tars_encoder *encoder)
{
    return encoder->wordpiece;
}
