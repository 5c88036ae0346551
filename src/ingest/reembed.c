/* reembed - the vectors of another model, beside the present ones until all are there.
 *
 * A passage's text is cut into windows anew, because another model has another tokenizer and
 * another limit. What a stopped run had done is kept and not done again, unless it was for another
 * model: the store remembers for which.
 */
#include <stdlib.h>
#include <string.h>

#include "ingest/ingest_internal.h"
#include "model/encoder.h"

#define PASSAGES_AT_ONCE 64
#define WINDOWS_AT_ONCE  64
#define WHOLE_TOKENS     ((size_t)1 << 24) /* a passage is never cut again */
#define BATCH_BYTES      ((size_t)1 << 30)
#define META_BYTES       ((size_t)4096)

struct reembed {
    const struct tars_reembed_config *config;
    const struct tars_encoder_info *info;
    struct tars_arena *arena; /* of one batch */
    struct tars_err *err;
};

/* The windows of a passage, as if it were a document of one block; texts to embed into *texts. */
static tars_status cut(struct reembed *work, struct tars_store_passage *passage,
                       struct tars_span **texts)
{
    struct tars_chunk_config config = work->config->chunk;
    struct tars_block block = {.kind = TARS_BLOCK_PARAGRAPH,
                               .text = passage->text,
                               .text_len = passage->text_len,
                               .headings = ""};
    struct tars_document document = {
        .title = "", .format = "txt", .blocks = &block, .block_count = 1};
    struct tars_chunks chunks = {0};
    struct tars_store_window *windows;
    tars_status status;

    config.title = tars_ingest_label(work->arena, passage->document);
    if (!config.title)
        return tars_fail(TARS_ENOMEM, work->err, "no memory to embed again");
    config.min_tokens = WHOLE_TOKENS / 2;
    config.max_tokens = WHOLE_TOKENS;
    status = tars_chunk_document(&config, &document, work->arena, &chunks, work->err);
    if (status || chunks.count == 0)
        return status;
    passage->window_count = chunks.items[0].window_count;
    windows = tars_arena_calloc(work->arena, passage->window_count, sizeof(*windows));
    *texts = tars_arena_calloc(work->arena, passage->window_count, sizeof(**texts));
    if (!windows || !*texts)
        return tars_fail(TARS_ENOMEM, work->err, "no memory to embed again");
    passage->windows = windows;
    for (size_t i = 0; !status && i < passage->window_count; i++) {
        const struct tars_window *window = &chunks.items[0].windows[i];

        windows[i] = (struct tars_store_window){(uint32_t)window->start, (uint32_t)window->len};
        status = tars_chunk_window_text(&config, work->arena, config.title, &chunks.items[0], i,
                                        &(*texts)[i]);
    }
    return status ? tars_fail(status, work->err, "no memory to embed again") : TARS_OK;
}

static tars_status embed(struct reembed *work, const struct tars_span *texts, size_t n,
                         float *vectors)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < n; i += WINDOWS_AT_ONCE) {
        size_t some = n - i < WINDOWS_AT_ONCE ? n - i : WINDOWS_AT_ONCE;

        status = tars_encoder_embed(work->config->encoder, TARS_EMBED_PASSAGE, texts + i, some,
                                    vectors + i * work->info->dim, work->err);
    }
    return status;
}

/* All windows of a batch side by side, embedded together. */
static tars_status embed_batch(struct reembed *work, struct tars_store_passages *passages)
{
    struct tars_span *all;
    struct tars_span **texts = tars_arena_calloc(work->arena, passages->count, sizeof(*texts));
    float *vectors;
    size_t total = 0;
    size_t at = 0;
    tars_status status = texts ? TARS_OK : TARS_ENOMEM;

    for (size_t i = 0; !status && i < passages->count; i++) {
        status = cut(work, &passages->items[i], &texts[i]);
        total += passages->items[i].window_count;
    }
    if (status)
        return status;
    all = tars_arena_calloc(work->arena, total + 1, sizeof(*all));
    vectors = tars_arena_calloc(work->arena, total + 1, work->info->dim * sizeof(*vectors));
    if (!all || !vectors)
        return tars_fail(TARS_ENOMEM, work->err, "no memory to embed again");
    for (size_t i = 0; i < passages->count; i++) {
        size_t n = passages->items[i].window_count;

        if (n)
            memcpy(all + at, texts[i], n * sizeof(*all));
        passages->items[i].vectors = n ? vectors + at * work->info->dim : NULL;
        at += n;
    }
    return embed(work, all, total, vectors);
}

static bool is_cancelled(const struct tars_reembed_config *config)
{
    return config->cancelled && atomic_load(config->cancelled);
}

/* One batch after passage *after, which moves on; *n of them, 0 when none is left. */
static tars_status embed_some(struct reembed *work, uint64_t *after, size_t *n)
{
    struct tars_store *store = work->config->store;
    struct tars_store_passages passages = {0};
    tars_status status;

    tars_arena_clear(work->arena);
    status = tars_store_revector_pending(store, *after, PASSAGES_AT_ONCE, work->arena, &passages,
                                         work->err);
    *n = passages.count;
    if (status || passages.count == 0) {
        return status;
    }
    *after = passages.items[passages.count - 1].id;
    status = embed_batch(work, &passages);
    if (!status) {
        status =
            tars_store_revector(store, passages.items, passages.count, work->info->dim, work->err);
    }
    if (!status) {
        status = tars_store_checkpoint(store, work->err);
    }
    return status;
}

/* Passages that lack a new vector, to the last. */
static tars_status embed_pending(struct reembed *work, int64_t total)
{
    const struct tars_reembed_config *config = work->config;
    tars_status status = TARS_OK;
    uint64_t after = 0;
    int64_t done = 0;
    size_t n = 1;

    while (!status && n > 0) {
        if (is_cancelled(config)) {
            return tars_fail(TARS_ECANCELED, work->err, "stopped; start it again to go on");
        }
        status = embed_some(work, &after, &n);
        done += (int64_t)n;
        if (!status && config->progress) {
            config->progress(config->progress_ctx, done < total ? done : total, total);
        }
    }
    return status;
}

/* Vectors of an earlier try for yet another model are of no use. */
static tars_status begin(struct reembed *work)
{
    struct tars_store *store = work->config->store;
    const char *begun = "";
    struct tars_arena arena;
    bool same;
    tars_status status;

    tars_arena_init(&arena, META_BYTES);
    status = tars_store_meta_get(store, "embed.next", &arena, &begun, NULL);
    same = !status && strcmp(begun, work->info->identity) == 0;
    tars_arena_release(&arena);
    if (same)
        return TARS_OK;
    status = tars_store_revector_drop(store, work->err);
    if (!status)
        status = tars_store_meta_set(store, "embed.next", work->info->identity, work->err);
    return status;
}

static tars_status end(struct reembed *work)
{
    struct tars_store *store = work->config->store;
    struct tars_store_model model = {.dim = (int64_t)work->info->dim};
    tars_status status;

    (void)snprintf(model.identity, sizeof(model.identity), "%s", work->info->identity);
    (void)snprintf(model.name, sizeof(model.name), "%s", work->info->name);
    status = tars_store_revector_swap(store, &model, work->err);
    if (!status)
        status = tars_store_meta_set(store, "embed.next", NULL, work->err);
    if (!status)
        status = tars_store_meta_set(store, "embed.partial", NULL, work->err);
    return status;
}

tars_status tars_ingest_reembed(const struct tars_reembed_config *config, struct tars_err *err)
{
    struct reembed work = {.config = config, .err = err};
    struct tars_store_stats stats;
    struct tars_arena arena;
    tars_status status;

    if (!config->store || !config->encoder || !config->chunk.wordpiece)
        return tars_fail(TARS_EINVAL, err, "embedding again needs store, model and tokenizer");
    work.info = tars_encoder_info(config->encoder);
    tars_arena_init(&arena, BATCH_BYTES);
    work.arena = &arena;
    status = tars_store_stats(config->store, &stats, err);
    if (!status)
        status = begin(&work);
    /* Documents may arrive meanwhile, with old vectors: the swap says so, and they follow. */
    while (!status) {
        status = embed_pending(&work, stats.passages);
        if (!status && !config->beside)
            status = end(&work);
        if (status != TARS_EAGAIN)
            break;
        status = TARS_OK;
    }
    tars_arena_release(&arena);
    return status;
}

tars_status tars_ingest_embed(struct tars_encoder *encoder, const struct tars_chunk_config *chunk,
                              struct tars_arena *arena, struct tars_store_passages *passages,
                              struct tars_err *err)
{
    const struct tars_reembed_config config = {.encoder = encoder, .chunk = *chunk};
    struct reembed work = {
        .config = &config, .info = tars_encoder_info(encoder), .arena = arena, .err = err};

    return embed_batch(&work, passages);
}
