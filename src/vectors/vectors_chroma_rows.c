/* vectors_chroma_rows - see vectors_chroma_rows.h for the contract. */
#include "vectors/vectors_chroma_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec/json_write.h"
#include "base/sys/clock.h"

#define IDS_AT_ONCE      1000 /* passages named in one condition */
#define RUN_PASSAGES_MAX 2000 /* of a search */
#define ROWS_AT_ONCE     512  /* made before they are sent */
#define WHERE_MAX        ((size_t)4 << 20)
#define ROW_MAX          ((size_t)64 << 10)
#define ARENA_MAX        ((size_t)256 << 20)
#define ID_DIGITS_MAX    20

/* ---------------------------------------------------------------------- ids */

static const char *row_id(struct tars_arena *arena, const struct tars_store_passage *passage,
                          size_t window)
{
    return tars_arena_printf(arena, "%s:%zu:%" PRIu64, passage->chunk_id, window, passage->id);
}

bool tars_chroma_rows_passage(const char *row, uint64_t *passage)
{
    const char *colon = strrchr(row, ':');
    uint64_t id = 0;
    size_t digits = 0;

    if (!colon || strncmp(row, "doc_", 4) != 0)
        return false;
    for (const char *c = colon + 1; *c; c++, digits++) {
        if (*c < '0' || *c > '9' || digits == ID_DIGITS_MAX || id > (UINT64_MAX - 9) / 10)
            return false;
        id = id * 10 + (uint64_t)(*c - '0');
    }
    *passage = id;
    return digits > 0;
}

/* --------------------------------------------------------------------- where */

/* {"passage":{"$gte":first}} and the like. */
static void write_bound(struct tars_json *json, const char *operator, uint64_t value)
{
    tars_json_object(json, NULL);
    tars_json_object(json, "passage");
    tars_json_int(json, operator, value> INT64_MAX ? INT64_MAX : (int64_t)value);
    tars_json_end(json);
    tars_json_end(json);
}

/* Both bounds, as two members of an array of conditions. */
static void write_run(struct tars_json *json, const struct tars_index_run *run)
{
    write_bound(json, "$gte", run->first);
    write_bound(json, "$lte", run->last);
}

/* {"passage":{"$in":[...]}}, all ids of the runs. */
static void write_ids(struct tars_json *json, const struct tars_index_run *runs, size_t n)
{
    tars_json_object(json, NULL);
    tars_json_object(json, "passage");
    tars_json_array(json, "$in");
    for (size_t i = 0; i < n; i++) {
        for (uint64_t id = runs[i].first; id >= runs[i].first && id <= runs[i].last; id++)
            tars_json_int(json, NULL, (int64_t)id);
    }
    tars_json_end(json);
    tars_json_end(json);
    tars_json_end(json);
}

static void write_collections(struct tars_json *json, const struct tars_visible *visible)
{
    tars_json_object(json, NULL);
    tars_json_object(json, "collection");
    tars_json_array(json, "$in");
    for (size_t i = 0; i < visible->count; i++)
        tars_json_text(json, NULL, visible->keys[i]);
    tars_json_end(json);
    tars_json_end(json);
    tars_json_end(json);
}

static tars_status keep(struct tars_buf *text, struct tars_arena *arena, const char **out)
{
    tars_status status = text->status;

    if (status == TARS_OK) {
        *out = tars_arena_strndup(arena, text->ptr, text->len);
        status = *out ? TARS_OK : TARS_ENOMEM;
    }
    tars_buf_release(text);
    return status;
}

tars_status tars_chroma_rows_where(const struct tars_vectors_ask *ask, struct tars_arena *arena,
                                   const char **where)
{
    bool is_run = ask->runs && ask->run_count == 1;
    bool is_few = ask->runs && !is_run && ask->run_passages <= RUN_PASSAGES_MAX;
    bool is_bound = !ask->wish->visible->all;
    bool is_list = is_run || (is_few && is_bound);
    struct tars_buf text;
    struct tars_json json;

    *where = NULL;
    if (!is_run && !is_few && !is_bound)
        return TARS_OK;
    tars_buf_init(&text, WHERE_MAX);
    tars_json_init(&json, &text);
    if (is_list) {
        tars_json_object(&json, NULL);
        tars_json_array(&json, "$and");
    }
    if (is_bound)
        write_collections(&json, ask->wish->visible);
    if (is_run) {
        write_run(&json, ask->runs);
    } else if (is_few) {
        write_ids(&json, ask->runs, ask->run_count);
    }
    while (is_list && json.depth > 0)
        tars_json_end(&json);
    return keep(&text, arena, where);
}

/* -------------------------------------------------------------------- removes */

static tars_status remove_where(struct tars_chroma *chroma, const char *id,
                                const struct tars_index_run *runs, size_t n, bool is_range,
                                struct tars_err *err)
{
    const char *where = NULL;
    struct tars_arena arena;
    struct tars_buf text;
    struct tars_json json;
    tars_status status;

    tars_arena_init(&arena, WHERE_MAX);
    tars_buf_init(&text, WHERE_MAX);
    tars_json_init(&json, &text);
    if (is_range) {
        tars_json_object(&json, NULL);
        tars_json_array(&json, "$and");
        write_run(&json, runs);
        tars_json_end(&json);
        tars_json_end(&json);
    } else {
        write_ids(&json, runs, n);
    }
    status = keep(&text, &arena, &where);
    if (status == TARS_OK)
        status = tars_chroma_delete(chroma, id, where, err);
    tars_arena_release(&arena);
    return status;
}

static uint64_t length_of(const struct tars_index_run *run)
{
    return run->last - run->first + 1;
}

/* Long runs one by one; short ones together, as lists. */
tars_status tars_chroma_rows_remove(struct tars_chroma *chroma, const char *id,
                                    const struct tars_index_run *runs, size_t n,
                                    struct tars_err *err)
{
    tars_status status = TARS_OK;
    size_t at = 0;

    while (at < n && status == TARS_OK) {
        uint64_t passages = 0;
        size_t count = 0;

        while (at + count < n && length_of(&runs[at + count]) <= IDS_AT_ONCE - passages)
            passages += length_of(&runs[at + count++]);
        status = remove_where(chroma, id, runs + at, count, count == 0, err);
        at += count ? count : 1;
    }
    return status;
}

/* ----------------------------------------------------------------------- adds */

/* Rows that are made and not sent yet. */
struct batch {
    struct tars_chroma *chroma;
    const char *id;
    size_t dim;
    struct tars_arena arena; /* of the rows */
    struct tars_chroma_row rows[ROWS_AT_ONCE];
    size_t count;
};

/* All that is the same for the windows of a passage, without the closing brace. */
static tars_status write_metadata(const struct tars_store_passage *passage, struct tars_buf *text)
{
    const struct tars_store_document *document = passage->document;
    char indexed[TARS_ISO8601_BYTES];
    struct tars_json json;

    tars_clock_iso8601(document->indexed_us, indexed);
    tars_buf_init(text, ROW_MAX);
    tars_json_init(&json, text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "document_id", document->document_id);
    tars_json_int(&json, "chunk_index", passage->chunk_index);
    tars_json_text(&json, "file_name", document->file_name);
    tars_json_text(&json, "file_path", document->path);
    tars_json_text(&json, "file_type", document->file_type);
    tars_json_int(&json, "file_size", document->file_size);
    tars_json_text(&json, "indexed_at", indexed);
    tars_json_int(&json, "token_count", passage->token_count);
    tars_json_int(&json, "page_count", document->page_count);
    tars_json_text(&json, "collection", document->collection);
    tars_json_int(&json, "passage", (int64_t)passage->id);
    return text->status;
}

static tars_status send(struct batch *batch, struct tars_err *err)
{
    tars_status status =
        tars_chroma_upsert(batch->chroma, batch->id, batch->rows, batch->count, batch->dim, err);

    batch->count = 0;
    tars_arena_clear(&batch->arena);
    return status;
}

static tars_status add_window(struct batch *batch, const struct tars_store_passage *passage,
                              const struct tars_buf *metadata, size_t window)
{
    struct tars_chroma_row *row = &batch->rows[batch->count];

    *row = (struct tars_chroma_row){.id = row_id(&batch->arena, passage, window),
                                    .vector = passage->vectors + window * batch->dim};
    row->metadata = tars_arena_printf(&batch->arena, "%s,\"window\":%zu}", metadata->ptr, window);
    if (!row->id || !row->metadata)
        return TARS_ENOMEM;
    batch->count++;
    return TARS_OK;
}

static tars_status add_passage(struct batch *batch, const struct tars_store_passage *passage,
                               struct tars_err *err)
{
    struct tars_buf metadata;
    tars_status status = write_metadata(passage, &metadata);

    for (size_t w = 0; w < passage->window_count && status == TARS_OK; w++) {
        if (batch->count == ROWS_AT_ONCE)
            status = send(batch, err);
        if (status == TARS_OK)
            status = add_window(batch, passage, &metadata, w);
    }
    tars_buf_release(&metadata);
    return status;
}

tars_status tars_chroma_rows_add(struct tars_chroma *chroma, const char *id,
                                 const struct tars_store_passage *passages, size_t n, size_t dim,
                                 struct tars_err *err)
{
    struct batch batch = {.chroma = chroma, .id = id, .dim = dim};
    tars_status status = TARS_OK;

    tars_arena_init(&batch.arena, ARENA_MAX);
    for (size_t i = 0; i < n && status == TARS_OK; i++) {
        if (passages[i].vectors && passages[i].window_count > 0)
            status = add_passage(&batch, &passages[i], err);
    }
    if (status == TARS_OK)
        status = send(&batch, err);
    tars_arena_release(&batch.arena);
    return status;
}
