/* prepare - one extracted document made ready to be embedded and stored: chunks, windows, terms,
 * language. Everything lives in the batch's arena, because the extracted document does not. */
#include <stdio.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "ingest/ingest_internal.h"

#define LANGUAGE_BYTES     16384 /* of a document, looked at to tell its language */
#define OWN_LANGUAGE_BYTES 400   /* a shorter passage is taken to be in its document's language */
#define EXTERNAL_ID_BYTES  32
#define LOOKUP_BYTES       ((size_t)1 << 24)
#define BYTES_PER_TOKEN    4 /* about, for the size of a batch */

/* ------------------------------------------------------------------ content */

static tars_status digest_blocks(struct tars_sha256 *sha, const struct tars_document *document)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < document->block_count; i++) {
        const struct tars_block *block = &document->blocks[i];

        status = tars_sha256_update(sha, block->text, block->text_len);
        if (!status)
            status = tars_sha256_update(sha, "\n", 1);
    }
    return status;
}

/* SHA-256 over title, metadata and text. out: TARS_SHA256_HEX_BYTES. */
static tars_status digest_content(const struct tars_document *document, char *out)
{
    const char *metadata = document->metadata_json ? document->metadata_json : "";
    struct tars_sha256 *sha = NULL;
    tars_status status = tars_sha256_new(&sha);

    if (status)
        return status;
    status = tars_sha256_update(sha, document->title, strlen(document->title) + 1);
    if (!status)
        status = tars_sha256_update(sha, metadata, strlen(metadata) + 1);
    if (!status)
        status = digest_blocks(sha, document);
    if (!status)
        status = tars_sha256_final_hex(sha, out);
    tars_sha256_free(sha);
    return status;
}

static int64_t count_words(const struct tars_document *document)
{
    int64_t words = 0;

    for (size_t i = 0; i < document->block_count; i++) {
        const char *text = document->blocks[i].text;
        bool inside = false;

        for (size_t k = 0; k < document->blocks[i].text_len; k++) {
            bool space = text[k] == ' ' || (text[k] >= '\t' && text[k] <= '\r');

            words += !space && !inside;
            inside = !space;
        }
    }
    return words;
}

static int detect_document(struct tars_arena *arena, const struct tars_chunks *chunks)
{
    size_t used = 0;
    char *sample = tars_arena_alloc(arena, LANGUAGE_BYTES);

    if (!sample)
        return TARS_LANG_UNKNOWN;
    for (size_t i = 0; i < chunks->count && used < LANGUAGE_BYTES; i++) {
        size_t len = chunks->items[i].text_len;

        if (len > LANGUAGE_BYTES - used)
            len = LANGUAGE_BYTES - used;
        memcpy(sample + used, chunks->items[i].text, len);
        used += len;
    }
    return tars_language_detect(sample, used);
}

static int detect_passage(const struct tars_chunk *chunk, int document_language)
{
    int language;

    if (chunk->text_len < OWN_LANGUAGE_BYTES && document_language != TARS_LANG_UNKNOWN)
        return document_language;
    language = tars_language_detect(chunk->text, chunk->text_len);
    return language == TARS_LANG_UNKNOWN ? document_language : language;
}

/* -------------------------------------------------------------------- terms */

/* What a file is called, as words: "ADOBE_2022-10K.pdf" -> "ADOBE 2022 10K". */
static char *name_as_words(struct tars_arena *arena, const char *file_name)
{
    const char *dot = strrchr(file_name, '.');
    size_t len = dot && dot != file_name ? (size_t)(dot - file_name) : strlen(file_name);
    char *words = tars_arena_strndup(arena, file_name, len);

    for (size_t i = 0; words && i < len; i++) {
        if (strchr("_-.+", words[i]))
            words[i] = ' ';
    }
    return words;
}

const char *tars_ingest_label(struct tars_arena *arena, const struct tars_store_document *document)
{
    const char *name;

    if (document->external_id && document->external_id[0])
        return document->title;
    name = name_as_words(arena, document->file_name);
    if (!name || !document->title[0])
        return name;
    return tars_arena_printf(arena, "%s %s", document->title, name);
}

/* The distinct terms of one field. */
struct counted {
    struct tars_term_count *counts; /* (count,) */
    size_t count;
    size_t words;
    uint32_t *order; /* (order_count,) */
    size_t order_count;
};

static tars_status count_field(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                               struct tars_span text, struct counted *out)
{
    struct tars_terms terms = {0};
    tars_status status = tars_analyze(analyzer, arena, lang, text.ptr, text.len, &terms);

    out->words = terms.count;
    if (!status)
        status = tars_terms_tally(arena, &terms, &out->counts, &out->count);
    return status ? status : tars_terms_order(arena, &terms, &out->order, &out->order_count);
}

static uint16_t length_of(const struct counted *field)
{
    return (uint16_t)(field->words < UINT16_MAX ? field->words : UINT16_MAX);
}

static tars_status join_fields(struct tars_arena *arena, const struct counted *fields,
                               struct tars_ingest_words *out)
{
    size_t count = 0;

    for (int i = 0; i < TARS_INDEX_FIELDS; i++)
        count += fields[i].count;
    *out = (struct tars_ingest_words){.length = (uint32_t)fields[TARS_INDEX_TEXT].words};
    out->order = fields[TARS_INDEX_TEXT].order; /* its terms come first */
    out->order_count = fields[TARS_INDEX_TEXT].order_count;
    out->title_length = length_of(&fields[TARS_INDEX_TITLE]);
    out->heading_length = length_of(&fields[TARS_INDEX_HEADING]);
    out->terms = tars_arena_calloc(arena, count ? count : 1, sizeof(*out->terms));
    if (!out->terms)
        return TARS_ENOMEM;
    for (int field = 0; field < TARS_INDEX_FIELDS; field++) {
        for (size_t i = 0; i < fields[field].count; i++) {
            const struct tars_term_count *from = &fields[field].counts[i];

            out->terms[out->count++] =
                (struct tars_index_term){from->ptr, from->len, from->tf, field};
        }
    }
    return TARS_OK;
}

tars_status tars_ingest_tally(struct tars_analyzer *analyzer, struct tars_arena *arena,
                              const char *label, const struct tars_store_passage *passage,
                              struct tars_ingest_words *out)
{
    struct tars_chunk chunk = {
        .text = passage->text, .text_len = passage->text_len, .section = passage->section};
    struct counted fields[TARS_INDEX_FIELDS] = {0};
    struct tars_span texts[TARS_INDEX_FIELDS] = {[TARS_INDEX_TITLE] = tars_span_of(label),
                                                 [TARS_INDEX_HEADING] =
                                                     tars_span_of(passage->section)};
    tars_status status = tars_chunk_terms_text(arena, label, &chunk, &texts[TARS_INDEX_TEXT]);

    for (int i = 0; !status && i < TARS_INDEX_FIELDS; i++)
        status = count_field(analyzer, arena, passage->language, texts[i], &fields[i]);
    return status ? status : join_fields(arena, fields, out);
}

/* ------------------------------------------------------------------ windows */

static tars_status add_window(struct tars_ingest_batch *batch, struct tars_ingest_run *run,
                              struct tars_span text)
{
    void *windows = batch->windows;
    tars_status status = tars_arena_grow(&batch->arena, &windows, &batch->window_cap,
                                         batch->window_count + 1, sizeof(*batch->windows));

    if (status)
        return status;
    batch->windows = windows;
    batch->windows[batch->window_count++] = (struct tars_ingest_window){text, run};
    batch->tokens += text.len / BYTES_PER_TOKEN + 1;
    return TARS_OK;
}

static tars_status add_windows(const struct tars_chunk_config *config,
                               struct tars_ingest_batch *batch, struct tars_ingest_run *run,
                               const struct tars_chunk *chunk, struct tars_store_passage *passage)
{
    struct tars_store_window *windows =
        tars_arena_calloc(&batch->arena, chunk->window_count, sizeof(*windows));
    tars_status status = windows ? TARS_OK : TARS_ENOMEM;

    for (size_t i = 0; !status && i < chunk->window_count; i++) {
        struct tars_span text;

        windows[i].start = (uint32_t)chunk->windows[i].start;
        windows[i].len = (uint32_t)chunk->windows[i].len;
        status = tars_chunk_window_text(config, &batch->arena, config->title, chunk, i, &text);
        if (!status)
            status = add_window(batch, run, text);
    }
    passage->windows = windows;
    passage->window_count = chunk->window_count;
    return status;
}

/* ----------------------------------------------------------------- passages */

static tars_status fill_passage(struct tars_ingest *ingest, const struct tars_chunk_config *config,
                                struct tars_ingest_batch *batch, struct tars_ingest_run *run,
                                const struct tars_store_document *document,
                                const struct tars_chunk *chunk, struct tars_store_passage *passage)
{
    *passage = (struct tars_store_passage){.kind = chunk->kind,
                                           .language = detect_passage(chunk, document->language),
                                           .page_first = chunk->page_first,
                                           .page_last = chunk->page_last,
                                           .token_count = chunk->token_count,
                                           .char_start = chunk->char_start,
                                           .char_end = chunk->char_end,
                                           .section = chunk->section,
                                           .text = chunk->text,
                                           .text_len = chunk->text_len};
    if (!ingest->dim)
        return TARS_OK;
    return add_windows(config, batch, run, chunk, passage);
}

static tars_status fill_passages(struct tars_ingest *ingest, struct tars_analyzer *analyzer,
                                 const struct tars_chunk_config *config,
                                 struct tars_ingest_batch *batch, struct tars_ingest_run *run,
                                 const struct tars_chunks *chunks,
                                 const struct tars_store_document *document,
                                 struct tars_store_put *put)
{
    size_t n = chunks->count;
    struct tars_store_passage *passages =
        tars_arena_calloc(&batch->arena, n ? n : 1, sizeof(*passages));
    struct tars_ingest_words *words = tars_arena_calloc(&batch->arena, n ? n : 1, sizeof(*words));
    struct tars_ingest_extra *extra = tars_arena_calloc(&batch->arena, 1, sizeof(*extra));

    if (!passages || !words || !extra)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        tars_status status =
            fill_passage(ingest, config, batch, run, document, &chunks->items[i], &passages[i]);

        if (!status) {
            status =
                tars_ingest_tally(analyzer, &batch->arena, config->title, &passages[i], &words[i]);
        }
        if (status)
            return status;
    }
    *extra = (struct tars_ingest_extra){passages, words};
    put->document = document;
    put->passages = passages;
    put->passage_count = n;
    put->tag = extra;
    return TARS_OK;
}

/* ---------------------------------------------------------------- documents */

/* The store has this document with this content already. */
static bool is_unchanged(struct tars_ingest *ingest, const struct tars_ingest_run *run,
                         const struct tars_store_document *document)
{
    struct tars_store_document held;
    struct tars_arena arena;
    bool same = false;

    if (run->job.force)
        return false;
    tars_arena_init(&arena, LOOKUP_BYTES);
    if (!tars_store_document(ingest->config.store, document->document_id, &arena, &held, NULL))
        same = strcmp(held.sha256, document->sha256) == 0;
    tars_arena_release(&arena);
    return same;
}

static const char *external_id_of(struct tars_arena *arena, const struct tars_ingest_run *run,
                                  const struct tars_document *document)
{
    if (document->external_id && document->external_id[0])
        return tars_arena_strdup(arena, document->external_id);
    if (run->read == 0 && strcmp(document->format, "jsonl") != 0)
        return "";
    return tars_arena_printf(arena, "#%llu", (unsigned long long)run->read);
}

static tars_status describe(struct tars_ingest_batch *batch, const struct tars_ingest_run *run,
                            const struct tars_document *from, struct tars_store_document *to)
{
    struct tars_arena *arena = &batch->arena;
    char *hash = tars_arena_alloc(arena, TARS_SHA256_HEX_BYTES);

    *to = (struct tars_store_document){.collection = run->file.collection,
                                       .path = run->file.path,
                                       .file_name = run->file_name,
                                       .file_type = run->file_type,
                                       .file_size = run->file.size,
                                       .created_us = run->created_us,
                                       .modified_us = run->file.modified_us,
                                       .page_count = from->page_count,
                                       .char_count = (int64_t)from->char_count,
                                       .word_count = count_words(from)};
    to->external_id = external_id_of(arena, run, from);
    to->title = tars_arena_strdup(arena, from->title);
    to->metadata_json = tars_arena_strdup(arena, from->metadata_json ? from->metadata_json : "");
    to->sha256 = hash;
    if (!hash || !to->external_id || !to->title || !to->metadata_json)
        return TARS_ENOMEM;
    if (to->external_id[0] == '\0') {
        to->sha256 = run->file.sha256;
        return tars_document_id(to->collection, to->path, "", to->document_id);
    }
    if (digest_content(from, hash))
        return TARS_ENOMEM;
    return tars_document_id(to->collection, to->path, to->external_id, to->document_id);
}

/* The next put of the newest part, zeroed; NULL when there is no memory. */
static struct tars_store_put *next_put(struct tars_ingest_batch *batch)
{
    struct tars_ingest_part *part = batch->newest;
    void *puts = part->puts;

    if (tars_arena_grow(&batch->arena, &puts, &part->put_cap, part->put_count + 1,
                        sizeof(*part->puts)))
        return NULL;
    part->puts = puts;
    memset(&part->puts[part->put_count], 0, sizeof(*part->puts));
    return &part->puts[part->put_count];
}

tars_status tars_ingest_prepare(struct tars_ingest *ingest, struct tars_analyzer *analyzer,
                                struct tars_ingest_batch *batch, struct tars_ingest_run *run,
                                const struct tars_document *document, struct tars_err *err)
{
    struct tars_store_document *kept = tars_arena_calloc(&batch->arena, 1, sizeof(*kept));
    struct tars_store_put *put = next_put(batch);
    struct tars_chunk_config config = ingest->config.chunk;
    struct tars_chunks chunks = {0};
    tars_status status = kept && put ? describe(batch, run, document, kept) : TARS_ENOMEM;

    if (status)
        return tars_fail(status, err, "no memory to read a document of %s", run->file_name);
    run->read++;
    kept->indexed_us = ingest->now_us();
    put->document = kept;
    if (kept->external_id[0] && is_unchanged(ingest, run, kept)) {
        put->unchanged = true;
        batch->newest->put_count++;
        return TARS_OK;
    }
    config.title = tars_ingest_label(&batch->arena, kept);
    if (!config.title)
        return tars_fail(TARS_ENOMEM, err, "no memory to name %s", run->file_name);
    status = tars_chunk_document(&config, document, &batch->arena, &chunks, err);
    if (status)
        return status;
    kept->language = detect_document(&batch->arena, &chunks);
    status = fill_passages(ingest, analyzer, &config, batch, run, &chunks, kept, put);
    if (status)
        return tars_fail(status, err, "no memory to cut %s into passages", run->file_name);
    batch->newest->put_count++;
    return TARS_OK;
}
