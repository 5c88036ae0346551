/* cross_encoder - see cross_encoder.h for the contract.
 *
 * DESIGN
 *
 * A call writes the ids of all its pairs, one after another, then scores them in batches: it lends
 * a bert_work from a small store, runs the network, puts the head on each row of [CLS]. What a
 * token took in the batches so far, averaged over calls, says whether the next pair will be done in
 * time.
 */
#include "model/cross_encoder.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "model/bert.h"
#include "model/config.h"
#include "model/cross_head.h"
#include "model/identity.h"
#include "model/vocab.h"
#include "model/works.h"

#define BATCH_TOKENS   512
#define PATH_BYTES     4096
#define JSON_MAX       ((size_t)1 << 20) /* bytes of one JSON file */
#define TEXT_BYTES_MAX ((size_t)1 << 30)
#define SPECIALS       3  /* [CLS], and [SEP] twice */
#define TOKEN_BYTES    32 /* of arena for each byte of text, at most */

struct tars_cross_encoder {
    struct tars_model_config config;
    struct tars_cross_encoder_info info; /* its strings point into config and bert */
    struct tars_bert *bert;
    struct tars_wordpiece *wordpiece;
    struct tars_cross_head head;
    atomic_llong token_ns; /* what a token takes, about; 0: nothing was scored yet */
    struct tars_works works;
};

/* -------------------------------------------------------------------- pairs */

/* The pairs of a call as ids. */
struct pairs {
    int32_t *ids;    /* (n, max_tokens), filled from the front; owned, as the others */
    size_t *starts;  /* (n + 1,) */
    size_t *seconds; /* (n,) where the passage begins */
    float *rows;     /* (n, hidden) what the network says of [CLS] */
};

/* How much of the two is kept, as tokenizers' "longest_first" does it. */
static void cut_longest(size_t room, size_t *question, size_t *passage)
{
    size_t less = *question < *passage ? *question : *passage;
    size_t more = *question < *passage ? *passage : *question;

    if (less + more <= room)
        return;
    if (less <= room / 2) {
        more = room - less;
    } else {
        less = room / 2;
        more = less + room % 2;
    }
    *question = *question <= *passage ? less : more;
    *passage = room - *question;
}

static void put_pair(const struct tars_cross_encoder *encoder, const struct tars_tokens *question,
                     const struct tars_tokens *passage, struct pairs *pairs, size_t i)
{
    const struct tars_wordpiece_specials specials = tars_wordpiece_specials(encoder->wordpiece);
    int32_t *to = pairs->ids + pairs->starts[i];
    size_t asked = question->count;
    size_t told = passage->count;

    cut_longest(encoder->info.max_tokens - SPECIALS, &asked, &told);
    *to++ = specials.cls;
    if (asked > 0)
        memcpy(to, question->ids, asked * sizeof(*to));
    to += asked;
    *to++ = specials.sep;
    pairs->seconds[i] = (size_t)(to - pairs->ids);
    if (told > 0)
        memcpy(to, passage->ids, told * sizeof(*to));
    to += told;
    *to++ = specials.sep;
    pairs->starts[i + 1] = (size_t)(to - pairs->ids);
}

static tars_status encode(const struct tars_cross_encoder *encoder, struct tars_arena *arena,
                          struct tars_span text, struct tars_tokens *tokens)
{
    if (text.len >= TEXT_BYTES_MAX)
        return TARS_ETOOBIG;
    return tars_wordpiece_encode(encoder->wordpiece, arena, text.len ? text.ptr : "", text.len,
                                 tokens);
}

static size_t arena_for(size_t bytes)
{
    return bytes < TEXT_BYTES_MAX ? bytes * TOKEN_BYTES + ((size_t)1 << 20) : 0;
}

static tars_status write_pairs(const struct tars_cross_encoder *encoder,
                               const struct tars_cross_encoder_wish *wish, struct pairs *pairs)
{
    struct tars_tokens question = {0};
    struct tars_arena asked;
    tars_status status;

    tars_arena_init(&asked, arena_for(wish->question.len));
    status = encode(encoder, &asked, wish->question, &question);
    for (size_t i = 0; i < wish->n && status == TARS_OK; i++) {
        struct tars_tokens passage = {0};
        struct tars_arena told;

        tars_arena_init(&told, arena_for(wish->passages[i].len));
        status = encode(encoder, &told, wish->passages[i], &passage);
        if (status == TARS_OK)
            put_pair(encoder, &question, &passage, pairs, i);
        tars_arena_release(&told);
    }
    tars_arena_release(&asked);
    return status;
}

static tars_status make_pairs(const struct tars_cross_encoder *encoder, size_t n,
                              struct pairs *pairs)
{
    pairs->ids = calloc(n, encoder->info.max_tokens * sizeof(*pairs->ids));
    pairs->starts = calloc(n + 1, sizeof(*pairs->starts));
    pairs->seconds = calloc(n, sizeof(*pairs->seconds));
    pairs->rows = calloc(n, encoder->config.hidden * sizeof(*pairs->rows));
    return pairs->ids && pairs->starts && pairs->seconds && pairs->rows ? TARS_OK : TARS_ENOMEM;
}

static void free_pairs(struct pairs *pairs)
{
    free(pairs->ids);
    free(pairs->starts);
    free(pairs->seconds);
    free(pairs->rows);
}

/* ------------------------------------------------------------------ scoring */

static float activate(const struct tars_cross_encoder *encoder, float logit)
{
    return encoder->info.is_sigmoid ? 1 / (1 + expf(-logit)) : logit;
}

/* The pairs [first, return) are the next batch: at least one, unless its time is over. */
static size_t plan(const struct tars_cross_encoder *encoder,
                   const struct tars_cross_encoder_wish *wish, const struct pairs *pairs,
                   size_t first)
{
    int64_t token_ns = atomic_load_explicit(&encoder->token_ns, memory_order_relaxed);
    int64_t left_ns = wish->until_ns ? wish->until_ns - tars_clock_mono_ns() : INT64_MAX;
    size_t end = first;

    if (left_ns <= 0 ||
        (wish->cancelled && atomic_load_explicit(wish->cancelled, memory_order_relaxed)))
        return first;
    while (end < wish->n) {
        size_t tokens = pairs->starts[end + 1] - pairs->starts[first];
        bool is_late = wish->until_ns && token_ns * (int64_t)tokens > left_ns;

        if (end > first && tokens > BATCH_TOKENS)
            break;
        if (is_late && end > 0)
            break;
        end++;
        if (is_late)
            break;
    }
    return end;
}

/* A mean that forgets: three parts what was known, one part the news. */
static void learn(struct tars_cross_encoder *encoder, int64_t took_ns, size_t tokens)
{
    int64_t news = took_ns / (int64_t)tokens;
    int64_t known = atomic_load_explicit(&encoder->token_ns, memory_order_relaxed);

    if (known > 0)
        news = (3 * known + news) / 4;
    atomic_store_explicit(&encoder->token_ns, news > 0 ? news : 1, memory_order_relaxed);
}

static tars_status score_batch(struct tars_cross_encoder *encoder, struct tars_bert_work *work,
                               const struct pairs *pairs, size_t first, size_t end, float *scores,
                               struct tars_err *err)
{
    const size_t hidden = encoder->config.hidden;
    const struct tars_bert_texts texts = {.ids = pairs->ids,
                                          .starts = pairs->starts + first,
                                          .seconds = pairs->seconds + first,
                                          .n = end - first};
    int64_t start = tars_clock_mono_ns();
    tars_status status =
        tars_bert_run_first(encoder->bert, work, &texts, pairs->rows + first * hidden, err);

    for (size_t i = first; i < end && status == TARS_OK; i++) {
        scores[i] =
            activate(encoder, tars_cross_head_logit(&encoder->head, pairs->rows + i * hidden));
    }
    if (status == TARS_OK)
        learn(encoder, tars_clock_mono_ns() - start, pairs->starts[end] - pairs->starts[first]);
    return status;
}

static tars_status score_pairs(struct tars_cross_encoder *encoder,
                               const struct tars_cross_encoder_wish *wish,
                               const struct pairs *pairs, float *scores, size_t *scored,
                               struct tars_err *err)
{
    struct tars_bert_work *work = NULL;
    size_t first = 0;
    size_t end;
    size_t tokens =
        encoder->info.max_tokens > BATCH_TOKENS ? encoder->info.max_tokens : BATCH_TOKENS;
    tars_status status =
        tars_works_take(&encoder->works, encoder->bert, tokens, wish->until_ns, &work, err);

    if (!work)
        return status;
    tars_linear_one_thread();
    while (status == TARS_OK && (end = plan(encoder, wish, pairs, first)) > first) {
        status = score_batch(encoder, work, pairs, first, end, scores, err);
        first = status == TARS_OK ? end : first;
    }
    tars_works_give(&encoder->works, work);
    if (status == TARS_OK)
        *scored = first;
    return status;
}

tars_status tars_cross_encoder_score(struct tars_cross_encoder *encoder,
                                     const struct tars_cross_encoder_wish *wish, float *scores,
                                     size_t *scored, struct tars_err *err)
{
    struct pairs pairs = {0};
    tars_status status;

    *scored = 0;
    if (wish->n == 0)
        return TARS_OK;
    status = make_pairs(encoder, wish->n, &pairs);
    if (status == TARS_OK)
        status = write_pairs(encoder, wish, &pairs);
    if (status == TARS_ETOOBIG)
        status = tars_fail(status, err, "a text is too long to be scored; cut it");
    if (status == TARS_OK)
        status = score_pairs(encoder, wish, &pairs, scores, scored, err);
    free_pairs(&pairs);
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

static tars_status read_json(const char *dir, const char *name, bool optional, struct tars_buf *out,
                             struct tars_err *err)
{
    char path[PATH_BYTES];
    tars_status status = path_in(dir, name, path, err);

    if (status == TARS_OK)
        status = tars_file_read(path, out, optional ? NULL : err);
    return optional && status == TARS_ENOTFOUND ? TARS_OK : status;
}

/* Shape, activation, longest pair. */
static tars_status read_settings(struct tars_cross_encoder *encoder,
                                 const struct tars_cross_encoder_config *config,
                                 struct tars_err *err)
{
    struct tars_cross_settings said = {.is_sigmoid = true};
    struct tars_buf json;
    struct tars_buf tokenizer;
    size_t max;
    tars_status status;

    tars_buf_init(&json, JSON_MAX);
    tars_buf_init(&tokenizer, JSON_MAX);
    status = read_json(config->dir, "config.json", false, &json, err);
    if (status == TARS_OK)
        status = read_json(config->dir, "tokenizer_config.json", true, &tokenizer, err);
    if (status == TARS_OK)
        status = tars_model_config_read(config->dir, &encoder->config, err);
    if (status == TARS_OK) {
        status =
            tars_cross_settings_read(tars_buf_span(&json), tars_buf_span(&tokenizer), &said, err);
    }
    tars_buf_release(&json);
    tars_buf_release(&tokenizer);
    if (status != TARS_OK)
        return status;
    max = encoder->config.max_tokens;
    if (said.max_tokens && said.max_tokens < max)
        max = said.max_tokens;
    if (config->max_tokens && config->max_tokens < max)
        max = config->max_tokens;
    if (max <= SPECIALS + 1)
        return tars_fail(TARS_EINVAL, err, "max_tokens must be over %d", SPECIALS + 1);
    encoder->info.max_tokens = max;
    encoder->info.is_sigmoid = said.is_sigmoid;
    encoder->info.name = encoder->config.name;
    return TARS_OK;
}

static tars_status open_bert(struct tars_cross_encoder *encoder,
                             const struct tars_cross_encoder_config *config,
                             const struct tars_bert_weights *weights, struct tars_err *err)
{
    static const enum tars_linear_type types[] = {[TARS_ENCODER_INT8] = TARS_LINEAR_INT8,
                                                  [TARS_ENCODER_BF16] = TARS_LINEAR_BF16,
                                                  [TARS_ENCODER_FP32] = TARS_LINEAR_FP32};
    static const enum tars_encoder_precision precisions[] = {[TARS_LINEAR_INT8] = TARS_ENCODER_INT8,
                                                             [TARS_LINEAR_BF16] = TARS_ENCODER_BF16,
                                                             [TARS_LINEAR_FP32] =
                                                                 TARS_ENCODER_FP32};
    tars_status status;

    tars_linear_one_thread();
    status =
        tars_bert_open(&encoder->config, weights, types[config->precision], &encoder->bert, err);
    if (status == TARS_ENOTFOUND) {
        return tars_fail(status, err,
                         "%s is not there; the weights are needed as safetensors (a folder with "
                         "only pytorch_model.bin must be converted first)",
                         weights->path);
    }
    if (status != TARS_OK)
        return status;
    encoder->info.precision = precisions[tars_bert_type(encoder->bert)];
    encoder->info.implementation = tars_bert_implementation(encoder->bert);
    return tars_cross_head_init(&encoder->head, tars_bert_file(encoder->bert), weights->path,
                                encoder->config.hidden, err);
}

static tars_status open_wordpiece(struct tars_cross_encoder *encoder, const char *dir,
                                  struct tars_span vocab, bool cased, struct tars_err *err)
{
    struct tars_wordpiece_config config = {.vocab_txt = vocab, .cased = cased};
    struct tars_err why = {""};
    tars_status status = tars_wordpiece_new(&config, &encoder->wordpiece, &why);

    if (status != TARS_OK) {
        return tars_fail(status, err, "%s: the vocabulary: %.400s", dir,
                         why.text[0] ? why.text : tars_status_text(status));
    }
    if (tars_wordpiece_vocab_size(encoder->wordpiece) > encoder->config.vocab) {
        return tars_fail(TARS_EFORMAT, err,
                         "%s: the vocabulary has more pieces than config.json's vocab_size; they "
                         "belong to different models",
                         dir);
    }
    return TARS_OK;
}

static tars_status make_identity(struct tars_cross_encoder *encoder, const char *weights_digest,
                                 struct tars_span vocab, bool cased)
{
    char vocab_digest[TARS_SHA256_HEX_BYTES];
    char text[512];
    int len;
    tars_status status = tars_sha256_hex(vocab.ptr, vocab.len, vocab_digest);

    if (status != TARS_OK)
        return status;
    len = snprintf(text, sizeof(text),
                   "tars-cross-encoder 1\nweights %s\nvocab %s\nmax_tokens %zu\nsigmoid %d\n"
                   "precision %d\ncased %d\n",
                   weights_digest, vocab_digest, encoder->info.max_tokens,
                   encoder->info.is_sigmoid ? 1 : 0, (int)encoder->info.precision, cased ? 1 : 0);
    assert(len > 0 && (size_t)len < sizeof(text));
    return tars_sha256_hex(text, (size_t)len, encoder->info.identity);
}

static tars_status open_model(struct tars_cross_encoder *encoder,
                              const struct tars_cross_encoder_config *config, struct tars_err *err)
{
    char path[PATH_BYTES];
    char digest[TARS_SHA256_HEX_BYTES];
    const struct tars_bert_weights weights = {
        .path = path, .digest = digest, .cache_dir = config->cache_dir};
    struct tars_buf vocab;
    bool cased;
    tars_status status = read_settings(encoder, config, err);

    if (status != TARS_OK)
        return status;
    cased = encoder->config.cased;
    tars_buf_init(&vocab, TARS_VOCAB_BYTES_MAX);
    status = path_in(config->dir, "model.safetensors", path, err);
    if (status == TARS_OK)
        status = open_bert(encoder, config, &weights, err);
    if (status == TARS_OK)
        status = tars_vocab_read(config->dir, &vocab, &cased, err);
    if (status == TARS_OK)
        status = open_wordpiece(encoder, config->dir, tars_buf_span(&vocab), cased, err);
    if (status == TARS_OK)
        status = make_identity(encoder, digest, tars_buf_span(&vocab), cased);
    tars_buf_release(&vocab);
    return status;
}

/* Two a processor, as the encoder has two a thread. */
static size_t works_wanted(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return 2 * (processors > 0 ? (size_t)processors : 1);
}

tars_status tars_cross_encoder_open(const struct tars_cross_encoder_config *config,
                                    struct tars_cross_encoder **encoder, struct tars_err *err)
{
    struct tars_cross_encoder *made;
    tars_status status;

    if (!config->dir || config->precision > TARS_ENCODER_FP32)
        return tars_fail(TARS_EINVAL, err, "no folder of a cross-encoder");
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    if (tars_works_init(&made->works, works_wanted()) != TARS_OK) {
        free(made);
        return TARS_ENOMEM;
    }
    status = open_model(made, config, err);
    if (status != TARS_OK) {
        tars_cross_encoder_close(made);
        return status;
    }
    *encoder = made;
    return TARS_OK;
}

void tars_cross_encoder_close(struct tars_cross_encoder *encoder)
{
    if (!encoder)
        return;
    tars_works_release(&encoder->works);
    tars_cross_head_release(&encoder->head);
    tars_bert_close(encoder->bert);
    tars_wordpiece_free(encoder->wordpiece);
    free(encoder);
}

const struct tars_cross_encoder_info *
tars_cross_encoder_info(const struct tars_cross_encoder *encoder)
{
    return &encoder->info;
}
