/* chroma_import - see chroma_import.h for the contract. */
#include "app/chroma_import.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "app/chroma_list.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "ingest/ingest.h"
#include "model/encoder.h"
#include "text/analyzer.h"
#include "text/block.h"

#define SAMPLE         32
#define SAME_COSINE    0.999
#define SAME_PART      10 /* one in so many may differ */
#define ROWS_AT_ONCE   100
#define LIST_BYTES     ((size_t)8 << 30)
#define DOCUMENT_BYTES ((size_t)1 << 30)
#define LARGE_PART     4 /* of the arena; what is asked of it at a time is less */
#define METADATA_MAX   ((size_t)64 << 10)
#define READ_PASSAGES  256
#define LENGTH_LEAST   1e-6

struct import {
    const struct tars_chroma_import_config *config;
    struct tars_chroma_import_sums *sums;
    struct tars_chroma_collection collection;
    struct tars_chroma_list list;
    struct tars_arena kept;  /* the list, and what is to be compared at the end */
    struct tars_arena arena; /* of a document */
    size_t dim;
    bool takes; /* vectors as they are */
    int64_t round;
    char (*digests)[TARS_SHA256_HEX_BYTES]; /* of each document that was written; "" else */
};

static bool is_stopped(const struct import *w)
{
    return w->config->stop && atomic_load(w->config->stop);
}

static void tell(const struct import *w, const char *what, const char *why)
{
    if (w->config->tell)
        w->config->tell(w->config->ctx, what, why);
}

/* ------------------------------------------------------------------- rows in */

static tars_status changed(const struct import *w, struct tars_err *err)
{
    return tars_fail(
        TARS_EAGAIN, err,
        "\"%s\" was written to while it was read: stop whoever does, and run this again",
        w->config->name);
}

/* The rows of chunks (n,), in their order, in arena. */
static tars_status fetch(struct import *w, const struct tars_chroma_chunk *chunks, size_t n,
                         unsigned include, struct tars_chroma_row *out, struct tars_err *err)
{
    const char *ids[ROWS_AT_ONCE];
    const struct tars_chroma_wish wish = {
        .ids = ids, .id_count = n, .limit = n, .include = include};
    struct tars_chroma_rows rows;
    tars_status status;

    for (size_t i = 0; i < n; i++)
        ids[i] = chunks[i].row_id;
    status = tars_chroma_get(w->config->chroma, w->collection.id, &wish, &w->arena, &rows, err);
    if (status != TARS_OK)
        return status == TARS_ENOTFOUND ? changed(w, err) : status;
    if (rows.count != n || (rows.dim && rows.dim != w->collection.dim))
        return changed(w, err);
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;

        while (at < n && strcmp(rows.items[at].id, ids[i]) != 0)
            at++;
        if (at == n)
            return changed(w, err);
        out[i] = rows.items[at];
    }
    return TARS_OK;
}

static unsigned wanted(const struct import *w)
{
    return TARS_CHROMA_TEXTS | (w->takes ? TARS_CHROMA_VECTORS : 0);
}

/* ------------------------------------------------------------- the same model? */

static double cosine(const float *a, const float *b, size_t dim)
{
    double dot = 0;
    double length = 0;

    for (size_t i = 0; i < dim; i++) {
        dot += (double)a[i] * (double)b[i];
        length += (double)b[i] * (double)b[i];
    }
    return length > 0 ? dot / sqrt(length) : 0;
}

/* Into its place among n that ascend. */
static void insert(double *sorted, size_t n, double value)
{
    while (n > 0 && sorted[n - 1] > value) {
        sorted[n] = sorted[n - 1];
        n--;
    }
    sorted[n] = value;
}

/* chunks (n,), n <= SAMPLE. Gives (n,) or fewer cosines, ascending. */
static tars_status compare(struct import *w, const struct tars_chroma_chunk *chunks, size_t n,
                           double *cosines, size_t *count, struct tars_err *err)
{
    struct tars_chroma_row rows[SAMPLE] = {{0}};
    struct tars_span texts[SAMPLE];
    const float *theirs[SAMPLE];
    float *ours = tars_arena_calloc(&w->arena, n + 1, w->dim * sizeof(*ours));
    size_t some = 0;
    tars_status status = ours ? TARS_OK : TARS_ENOMEM;

    if (status == TARS_OK)
        status = fetch(w, chunks, n, TARS_CHROMA_TEXTS | TARS_CHROMA_VECTORS, rows, err);
    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        if (rows[i].text_len > 0 && rows[i].vector) {
            theirs[some] = rows[i].vector;
            texts[some++] = tars_span(rows[i].text, rows[i].text_len);
        }
    }
    if (status == TARS_OK && some > 0)
        status = tars_encoder_embed(w->config->encoder, TARS_EMBED_PASSAGE, texts, some, ours, err);
    for (size_t i = 0; i < some && status == TARS_OK; i++)
        insert(cosines, i, cosine(ours + i * w->dim, theirs[i], w->dim));
    if (status != TARS_OK)
        return status;
    *count = some;
    return TARS_OK;
}

static tars_status judge_model(struct import *w, struct tars_err *err)
{
    const struct tars_chroma_list *list = &w->list;
    struct tars_chroma_chunk sample[SAMPLE];
    double cosines[SAMPLE] = {0};
    size_t n = list->chunk_count < SAMPLE ? list->chunk_count : SAMPLE;
    size_t count = 0;
    tars_status status;

    w->sums->cosine = NAN;
    if (n == 0 || w->collection.dim != w->dim)
        return TARS_OK;
    for (size_t i = 0; i < n; i++)
        sample[i] = list->chunks[i * list->chunk_count / n];
    status = compare(w, sample, n, cosines, &count, err);
    tars_arena_clear(&w->arena);
    if (status != TARS_OK || count == 0)
        return status;
    w->sums->cosine = cosines[count / SAME_PART];
    w->sums->is_same_model = w->sums->cosine >= SAME_COSINE;
    w->takes = w->sums->is_same_model && !w->config->embed;
    return TARS_OK;
}

/* ------------------------------------------------------------------ a document */

/* What was read of one. */
struct found {
    const struct tars_chroma_record *record; /* of its first chunk */
    struct tars_store_document document;
    struct tars_store_passage *passages; /* (count,) */
    size_t count;
    char sha256[TARS_SHA256_HEX_BYTES];
};

/* A NUL would end a text early. */
static const char *clean(struct import *w, const struct tars_chroma_row *row)
{
    char *text = tars_arena_strndup(&w->arena, row->text, row->text_len);

    for (size_t i = 0; text && i < row->text_len; i++) {
        if (text[i] == '\0')
            text[i] = ' ';
    }
    return text;
}

static bool is_blank(const struct tars_chroma_row *row)
{
    for (size_t i = 0; i < row->text_len; i++) {
        if (row->text[i] != '\0' && !strchr(" \t\r\n", row->text[i]))
            return false;
    }
    return true;
}

/* The vector of a row at unit length, as the passage's only window. Nothing where it has none. */
static tars_status take_vector(struct import *w, const struct tars_chroma_row *row,
                               struct tars_store_passage *passage)
{
    struct tars_store_window *window;
    double length = 0;
    float *vector;

    for (size_t i = 0; row->vector && i < w->dim; i++)
        length += (double)row->vector[i] * (double)row->vector[i];
    length = sqrt(length);
    if (!row->vector || length < LENGTH_LEAST)
        return TARS_OK;
    window = tars_arena_calloc(&w->arena, 1, sizeof(*window));
    vector = tars_arena_calloc(&w->arena, w->dim, sizeof(*vector));
    if (!window || !vector)
        return TARS_ENOMEM;
    if (fabs(length - 1) < LENGTH_LEAST)
        length = 1; /* as it is, to the bit */
    for (size_t i = 0; i < w->dim; i++)
        vector[i] = (float)((double)row->vector[i] / length);
    window->len = (uint32_t)row->text_len;
    passage->windows = window;
    passage->vectors = vector;
    passage->window_count = 1;
    return TARS_OK;
}

static size_t characters(const char *text, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

static int64_t words(const char *text, size_t len)
{
    int64_t count = 0;

    for (size_t i = 0; i < len; i++) {
        bool is_gap = text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r');
        bool was_gap = i == 0 || text[i - 1] == ' ' || (text[i - 1] >= '\t' && text[i - 1] <= '\r');

        count += !is_gap && was_gap;
    }
    return count;
}

static tars_status add_passage(struct import *w, struct found *found,
                               const struct tars_chroma_chunk *chunk,
                               const struct tars_chroma_row *row)
{
    const struct tars_chroma_record *record = &chunk->record;
    struct tars_store_passage *passage = &found->passages[found->count];

    if (is_blank(row)) {
        w->sums->refused++;
        tell(w, chunk->row_id, "a row without a text");
        return TARS_OK;
    }
    *passage = (struct tars_store_passage){.document = &found->document,
                                           .kind = TARS_BLOCK_PARAGRAPH,
                                           .page_first = (int)record->page,
                                           .page_last = (int)record->page,
                                           .token_count = (int)record->token_count,
                                           .section = record->section,
                                           .text_len = row->text_len};
    passage->text = clean(w, row);
    if (!passage->text)
        return TARS_ENOMEM;
    passage->language = tars_language_detect(passage->text, passage->text_len);
    passage->char_start = (size_t)found->document.char_count;
    found->document.char_count += (int64_t)characters(passage->text, passage->text_len);
    found->document.word_count += words(passage->text, passage->text_len);
    passage->char_end = (size_t)found->document.char_count;
    if (found->document.language == TARS_LANG_UNKNOWN)
        found->document.language = passage->language;
    found->count++;
    return w->takes ? take_vector(w, row, passage) : TARS_OK;
}

static tars_status read_rows(struct import *w, const struct tars_chroma_document *from,
                             struct found *found, struct tars_err *err)
{
    const struct tars_chroma_chunk *chunks = w->list.chunks + from->first;
    tars_status status = TARS_OK;

    for (size_t at = 0; at < from->count && status == TARS_OK; at += ROWS_AT_ONCE) {
        size_t n = from->count - at < ROWS_AT_ONCE ? from->count - at : ROWS_AT_ONCE;
        struct tars_chroma_row rows[ROWS_AT_ONCE];

        status = fetch(w, chunks + at, n, wanted(w), rows, err);
        for (size_t i = 0; i < n && status == TARS_OK; i++)
            status = add_passage(w, found, &chunks[at + i], &rows[i]);
    }
    return status;
}

/* Where it is from. */
static tars_status describe(struct import *w, struct found *found)
{
    struct tars_buf text;
    struct tars_json json;
    char indexed[TARS_ISO8601_BYTES];
    tars_status status;

    tars_clock_iso8601(found->record->indexed_us, indexed);
    tars_buf_init(&text, METADATA_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "imported_from", "chroma");
    tars_json_text(&json, "imported_collection", w->config->name);
    tars_json_text(&json, "imported_document_id", found->record->document_id);
    if (found->record->indexed_us)
        tars_json_text(&json, "imported_indexed_at", indexed);
    tars_json_end(&json);
    status = text.status;
    if (status == TARS_OK) {
        found->document.metadata_json = tars_arena_strndup(&w->arena, text.ptr, text.len);
        status = found->document.metadata_json ? TARS_OK : TARS_ENOMEM;
    }
    tars_buf_release(&text);
    return status;
}

/* Of the file where that is known, else of the texts. */
static tars_status digest_texts(struct found *found)
{
    struct tars_sha256 *sha = NULL;
    tars_status status;

    if (found->record->hash[0]) {
        memcpy(found->sha256, found->record->hash, TARS_SHA256_HEX_BYTES);
        return TARS_OK;
    }
    status = tars_sha256_new(&sha);
    for (size_t i = 0; i < found->count && status == TARS_OK; i++)
        status = tars_sha256_update(sha, found->passages[i].text, found->passages[i].text_len + 1);
    if (status == TARS_OK)
        status = tars_sha256_final_hex(sha, found->sha256);
    tars_sha256_free(sha);
    return status;
}

static tars_status read_document(struct import *w, const struct tars_chroma_document *from,
                                 struct found *found, struct tars_err *err)
{
    const struct tars_chroma_record *record = &w->list.chunks[from->first].record;
    int64_t now_us = tars_clock_wall_us();
    tars_status status;

    *found = (struct found){
        .record = record,
        .document = {.collection = w->config->into,
                     .path = record->path,
                     .file_name = record->file_name,
                     .file_type = record->file_type,
                     .title = record->title,
                     .file_size = record->file_size,
                     .sha256 = found->sha256,
                     .language = TARS_LANG_UNKNOWN,
                     .created_us = record->created_us ? record->created_us : record->indexed_us,
                     .modified_us = record->modified_us ? record->modified_us : record->indexed_us,
                     .indexed_us = now_us,
                     .page_count = record->page_count}};
    found->passages = tars_arena_calloc(&w->arena, from->count, sizeof(*found->passages));
    if (!found->passages)
        return TARS_ENOMEM;
    status = read_rows(w, from, found, err);
    if (status == TARS_OK)
        status = describe(w, found);
    return status ? status : digest_texts(found);
}

/* Windows and vectors for the passages that have none. */
static tars_status embed(struct import *w, struct found *found, struct tars_err *err)
{
    struct tars_store_passages bare = {0};
    size_t at = 0;
    tars_status status;

    bare.items = tars_arena_calloc(&w->arena, found->count + 1, sizeof(*bare.items));
    if (!bare.items)
        return TARS_ENOMEM;
    for (size_t i = 0; i < found->count; i++) {
        if (!found->passages[i].vectors)
            bare.items[bare.count++] = found->passages[i];
    }
    status = bare.count
                 ? tars_ingest_embed(w->config->encoder, w->config->chunk, &w->arena, &bare, err)
                 : TARS_OK;
    for (size_t i = 0; i < found->count && status == TARS_OK; i++) {
        bool is_made = !found->passages[i].vectors;

        if (is_made)
            found->passages[i] = bare.items[at++];
        *(is_made ? &w->sums->made : &w->sums->taken) += (int64_t)found->passages[i].window_count;
    }
    return status;
}

/* ---------------------------------------------------------------------- writes */

static tars_status digest_passages(struct tars_sha256 *sha,
                                   const struct tars_store_passage *passages, size_t n, size_t dim)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        const struct tars_store_passage *passage = &passages[i];

        status = tars_sha256_update(sha, passage->text, passage->text_len + 1);
        if (status == TARS_OK && passage->vectors) {
            status = tars_sha256_update(sha, passage->vectors,
                                        passage->window_count * dim * sizeof(*passage->vectors));
        }
    }
    return status;
}

static tars_status note_digest(struct import *w, size_t at, const struct found *found)
{
    struct tars_sha256 *sha = NULL;
    tars_status status = tars_sha256_new(&sha);

    if (status == TARS_OK)
        status = digest_passages(sha, found->passages, found->count, w->dim);
    if (status == TARS_OK)
        status = tars_sha256_final_hex(sha, w->digests[at]);
    tars_sha256_free(sha);
    return status;
}

static tars_status put(struct import *w, const struct found *found, struct tars_err *err)
{
    const struct tars_store_document *document = &found->document;
    const struct tars_store_file file = {.collection = document->collection,
                                         .path = document->path,
                                         .sha256 = found->sha256,
                                         .size = document->file_size,
                                         .modified_us = document->modified_us,
                                         .indexed_us = document->indexed_us};
    const struct tars_store_put one = {
        .document = document, .passages = found->passages, .passage_count = found->count};
    const struct tars_store_batch batch = {.file = &file,
                                           .puts = &one,
                                           .put_count = 1,
                                           .round = w->round,
                                           .finish = true,
                                           .dim = w->dim};
    struct tars_store_changes changes;

    return tars_store_put(w->config->store, &batch, &w->arena, &changes, err);
}

/* Whether the store wants it. */
static tars_status look(struct import *w, const struct found *found, bool *wants,
                        struct tars_err *err)
{
    struct tars_store_file held;
    bool is_same;
    tars_status status = tars_store_file(w->config->store, w->config->into, found->document.path,
                                         &w->arena, &held, err);

    *wants = status == TARS_ENOTFOUND;
    if (status != TARS_OK)
        return status == TARS_ENOTFOUND ? TARS_OK : status;
    is_same = strcmp(held.sha256, found->sha256) == 0;
    /* Also what is the same, for its vectors. */
    if (w->config->replace && (!is_same || w->config->embed)) {
        *wants = true;
    } else if (is_same) {
        w->sums->unchanged++;
    } else {
        w->sums->kept++;
        tell(w, found->document.path, "another version is here already, and stays (--replace)");
    }
    return TARS_OK;
}

/* Whoever watches a folder forgets what is not there. */
static void warn_absent(struct import *w, const char *path)
{
    const char *folder = w->config->watched;
    size_t len = folder ? strlen(folder) : 0;
    struct stat st;

    while (len > 0 && folder[len - 1] == '/')
        len--;
    if (len == 0 || strncmp(path, folder, len) != 0 || path[len] != '/' || lstat(path, &st) == 0)
        return;
    w->sums->absent++;
    tell(w, path, "there is no such file: the next scan of NAS_MOUNT_POINT forgets it");
}

static tars_status take_document(struct import *w, size_t at, struct tars_err *err)
{
    struct found found;
    bool wants = false;
    tars_status status = read_document(w, &w->list.documents[at], &found, err);

    if (status != TARS_OK || found.count == 0)
        return status;
    if (!tars_store_takes_path(w->config->store, found.document.path)) {
        w->sums->refused += (int64_t)found.count;
        tell(w, found.document.path, "the store cannot hold such a path");
        return TARS_OK;
    }
    status = look(w, &found, &wants, err);
    if (status != TARS_OK || !wants)
        return status;
    if (!w->config->dry_run) {
        status = embed(w, &found, err);
        if (status == TARS_OK)
            status = put(w, &found, err);
        if (status == TARS_OK)
            status = note_digest(w, at, &found);
    }
    if (status != TARS_OK)
        return status;
    warn_absent(w, found.document.path);
    w->sums->imported++;
    w->sums->passages += (int64_t)found.count;
    return TARS_OK;
}

/* It is the document that is too large, not the memory that is short otherwise. */
static bool is_too_large(const struct import *w, tars_status status)
{
    return status == TARS_ETOOBIG ||
           (status == TARS_ENOMEM && w->arena.failed && w->arena.used >= w->arena.max / LARGE_PART);
}

/* One that is too large is left out, and costs no other. */
static tars_status take_or_refuse(struct import *w, size_t at, struct tars_err *err)
{
    const struct tars_chroma_document *from = &w->list.documents[at];
    const struct tars_chroma_import_sums before = *w->sums;
    tars_status status = take_document(w, at, err);

    if (!is_too_large(w, status))
        return status;
    w->digests[at][0] = '\0';
    *w->sums = before;
    w->sums->refused += (int64_t)from->count;
    tell(w, w->list.chunks[from->first].record.path, "the document is too large and is left out");
    if (err)
        err->text[0] = '\0';
    return TARS_OK;
}

static tars_status take_documents(struct import *w, struct tars_err *err)
{
    size_t total = w->list.document_count;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < total && status == TARS_OK; i++) {
        if (is_stopped(w))
            return tars_fail(TARS_ECANCELED, err, "stopped; run it again to go on");
        status = take_or_refuse(w, i, err);
        tars_arena_clear(&w->arena);
        if (status == TARS_OK && w->config->progress)
            w->config->progress(w->config->ctx, (int64_t)i + 1, (int64_t)total);
    }
    return status;
}

/* ----------------------------------------------------------------------- proof */

static tars_status digest_stored(struct import *w, const char *path, char *out,
                                 struct tars_err *err)
{
    struct tars_store_document document;
    struct tars_sha256 *sha = NULL;
    char id[TARS_DOCUMENT_ID_BYTES];
    uint64_t next = 1;
    tars_status status = tars_document_id(w->config->into, path, "", id);

    if (status == TARS_OK)
        status = tars_store_document(w->config->store, id, &w->arena, &document, err);
    if (status == TARS_OK)
        status = tars_sha256_new(&sha);
    next = status == TARS_OK ? document.passage_first : 0;
    while (status == TARS_OK && next < document.passage_first + (uint64_t)document.chunk_count) {
        struct tars_store_passages some = {0};

        status = tars_store_passage_range(
            w->config->store, next, document.passage_first + (uint64_t)document.chunk_count - 1,
            READ_PASSAGES, TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &w->arena, &some, err);
        if (status == TARS_OK && some.count == 0)
            break;
        if (status == TARS_OK)
            status = digest_passages(sha, some.items, some.count, w->dim);
        next = status == TARS_OK ? some.items[some.count - 1].id + 1 : next;
    }
    if (status == TARS_OK)
        status = tars_sha256_final_hex(sha, out);
    tars_sha256_free(sha);
    return status;
}

static tars_status prove_document(struct import *w, size_t at, struct tars_sha256 *all,
                                  struct tars_err *err)
{
    const char *path = w->list.chunks[w->list.documents[at].first].record.path;
    char stored[TARS_SHA256_HEX_BYTES] = "";
    tars_status status = digest_stored(w, path, stored, err);

    tars_arena_clear(&w->arena);
    if (status == TARS_OK && strcmp(stored, w->digests[at]) != 0)
        return tars_fail(TARS_EFORMAT, err, "%s is not in the store as it was read", path);
    return status ? status : tars_sha256_update(all, stored, sizeof(stored));
}

static tars_status prove(struct import *w, struct tars_err *err)
{
    struct tars_sha256 *all = NULL;
    tars_status status = tars_sha256_new(&all);

    for (size_t i = 0; i < w->list.document_count && status == TARS_OK; i++) {
        if (w->digests[i][0])
            status = prove_document(w, i, all, err);
    }
    if (status == TARS_OK && w->sums->imported > 0 && !w->config->dry_run)
        status = tars_sha256_final_hex(all, w->sums->sha256);
    tars_sha256_free(all);
    return status;
}

/* ----------------------------------------------------------------------- whole */

static tars_status claim_model(struct import *w, struct tars_err *err)
{
    const struct tars_encoder_info *info = tars_encoder_info(w->config->encoder);
    struct tars_store_model model = {.dim = (int64_t)info->dim};

    (void)snprintf(model.identity, sizeof(model.identity), "%s", info->identity);
    (void)snprintf(model.name, sizeof(model.name), "%s", info->name);
    return w->config->dry_run ? TARS_OK : tars_store_model_claim(w->config->store, &model, err);
}

static tars_status find_collection(struct import *w, struct tars_err *err)
{
    struct tars_chroma_info info;
    tars_status status = tars_chroma_ping(w->config->chroma, &info, err);

    if (status == TARS_OK) {
        w->sums->api = info.api;
        status =
            tars_chroma_find(w->config->chroma, w->config->name, &w->kept, &w->collection, err);
    }
    if (status == TARS_OK && strstr(w->collection.metadata, "\"tars_format\"")) {
        return tars_fail(
            TARS_EINVAL, err,
            "\"%s\" is where this program keeps its own vectors (VECTOR_BACKEND=chroma): "
            "its documents are in the store",
            w->config->name);
    }
    return status;
}

static tars_status run(struct import *w, struct tars_err *err)
{
    const struct tars_chroma_import_config *config = w->config;
    tars_status status = find_collection(w, err);

    if (status == TARS_OK) {
        status = tars_chroma_list_read(config->chroma, &w->collection, config->name, config->stop,
                                       config->tell, config->ctx, &w->kept, &w->list, err);
    }
    if (status != TARS_OK)
        return status;
    w->sums->rows = (int64_t)(w->list.chunk_count + w->list.refused);
    w->sums->documents = (int64_t)w->list.document_count;
    w->sums->superseded = (int64_t)w->list.superseded;
    w->sums->unclear = (int64_t)w->list.unclear;
    w->sums->refused = (int64_t)w->list.refused;
    w->digests = tars_arena_calloc(&w->kept, w->list.document_count + 1, sizeof(*w->digests));
    status = w->digests ? judge_model(w, err) : TARS_ENOMEM;
    if (status == TARS_OK)
        status = claim_model(w, err);
    if (status == TARS_OK)
        status = take_documents(w, err);
    return status ? status : prove(w, err);
}

tars_status tars_chroma_import(const struct tars_chroma_import_config *config,
                               struct tars_chroma_import_sums *out, struct tars_err *err)
{
    struct import w = {.config = config, .sums = out, .round = tars_clock_wall_us()};
    tars_status status;

    memset(out, 0, sizeof(*out));
    w.dim = tars_encoder_info(config->encoder)->dim;
    tars_arena_init(&w.kept, LIST_BYTES);
    tars_arena_init(&w.arena, config->document_bytes ? config->document_bytes : DOCUMENT_BYTES);
    status = run(&w, err);
    tars_arena_release(&w.arena);
    tars_arena_release(&w.kept);
    return status;
}
