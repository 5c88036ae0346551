/* chroma_list - see chroma_list.h for the contract. */
#include "app/chroma_list.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS  500
#define PAGE_BYTES ((size_t)256 << 20)

struct reading {
    struct tars_chroma *chroma;
    const struct tars_chroma_collection *collection;
    const char *name;
    const atomic_bool *stop;
    void (*tell)(void *ctx, const char *what, const char *why);
    void *ctx;
    struct tars_arena *arena;
    struct tars_chroma_list list;
    size_t chunk_cap;
};

static void tell(const struct reading *r, const char *what, const char *why)
{
    if (r->tell)
        r->tell(r->ctx, what, why);
}

/* ---------------------------------------------------------------------- pages */

/* Where no path is said, one that no file can have. A name alone may be that of many files: it is
 * one only together with the document's id, or where nothing else is known. */
static tars_status name_path(const struct reading *r, struct tars_chroma_record *record,
                             struct tars_arena *page)
{
    const char *name = record->file_name;

    if (!record->path[0]) {
        if (!name[0]) {
            record->path = tars_arena_printf(page, "chroma/%s/%s", r->name, record->document_id);
            record->file_name = record->document_id;
        } else if (record->is_said) {
            record->path =
                tars_arena_printf(page, "chroma/%s/%s/%s", r->name, record->document_id, name);
        } else {
            record->path = tars_arena_printf(page, "chroma/%s/%s", r->name, name);
        }
    }
    /* A row's own id tells nothing of what it is a part of. */
    if (record->path && !record->is_said)
        record->document_id = record->path;
    return record->path ? TARS_OK : TARS_ENOMEM;
}

/* A text of the row before it, where it is the same: most of what rows of a document say is. */
static const char *keep(struct reading *r, const char *text, const char *before)
{
    return before && strcmp(text, before) == 0 ? before : tars_arena_strdup(r->arena, text);
}

static tars_status keep_record(struct reading *r, struct tars_chroma_record *record)
{
    static const struct tars_chroma_record none;
    const struct tars_chroma_record *before =
        r->list.chunk_count ? &r->list.chunks[r->list.chunk_count - 1].record : &none;

    record->document_id = keep(r, record->document_id, before->document_id);
    record->path = keep(r, record->path, before->path);
    record->file_name = keep(r, record->file_name, before->file_name);
    record->file_type = keep(r, record->file_type, before->file_type);
    record->title = keep(r, record->title, before->title);
    record->section = keep(r, record->section, before->section);
    record->hash = keep(r, record->hash, before->hash);
    return record->document_id && record->path && record->file_name && record->file_type &&
                   record->title && record->section && record->hash
               ? TARS_OK
               : TARS_ENOMEM;
}

/* page: what need not be kept. */
static tars_status add_chunk(struct reading *r, const struct tars_chroma_row *row,
                             struct tars_arena *page)
{
    void *chunks = r->list.chunks;
    struct tars_chroma_chunk chunk = {.row_id = tars_arena_strdup(r->arena, row->id),
                                      .place = r->list.chunk_count};
    struct tars_err why = {{0}};
    tars_status status = chunk.row_id ? TARS_OK : TARS_ENOMEM;

    if (status == TARS_OK)
        status = tars_chroma_record_read(row->id, row->metadata, page, &chunk.record, &why);
    if (status == TARS_EFORMAT) {
        r->list.refused++;
        tell(r, row->id, why.text);
        return TARS_OK;
    }
    if (status == TARS_OK)
        status = name_path(r, &chunk.record, page);
    if (status == TARS_OK)
        status = keep_record(r, &chunk.record);
    if (status == TARS_OK) {
        status = tars_arena_grow(r->arena, &chunks, &r->chunk_cap, r->list.chunk_count + 1,
                                 sizeof(chunk));
    }
    if (status != TARS_OK)
        return status;
    r->list.chunks = chunks;
    r->list.chunks[r->list.chunk_count++] = chunk;
    return TARS_OK;
}

static tars_status read_page(struct reading *r, size_t offset, size_t *n, struct tars_err *err)
{
    const struct tars_chroma_wish wish = {
        .limit = PAGE_ROWS, .offset = offset, .include = TARS_CHROMA_METADATA};
    struct tars_chroma_rows rows;
    struct tars_arena page;
    tars_status status;

    tars_arena_init(&page, PAGE_BYTES);
    status = tars_chroma_get(r->chroma, r->collection->id, &wish, &page, &rows, err);
    for (size_t i = 0; status == TARS_OK && i < rows.count; i++)
        status = add_chunk(r, &rows.items[i], &page);
    if (status == TARS_OK)
        *n = rows.count;
    tars_arena_release(&page);
    return status;
}

static tars_status changed(const struct reading *r, struct tars_err *err)
{
    return tars_fail(TARS_EAGAIN, err,
                     "\"%s\" was written to while it was read: stop whoever does, and run this "
                     "again",
                     r->name);
}

static int by_text(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;

    return strcmp(*x, *y);
}

/* Pages have no order that is promised: where a row came and another went between two of them the
 * count is the same, one row is there twice and one is missing. */
static tars_status check_ids(const struct reading *r, struct tars_err *err)
{
    size_t n = r->list.chunk_count;
    const char **ids = malloc((n + 1) * sizeof(*ids));
    bool is_twice = false;

    if (!ids)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n; i++)
        ids[i] = r->list.chunks[i].row_id;
    qsort(ids, n, sizeof(*ids), by_text);
    for (size_t i = 1; i < n && !is_twice; i++)
        is_twice = strcmp(ids[i - 1], ids[i]) == 0;
    free(ids);
    return is_twice ? changed(r, err) : TARS_OK;
}

static tars_status read_pages(struct reading *r, struct tars_err *err)
{
    size_t before = 0;
    size_t after = 0;
    size_t at = 0;
    size_t n = 1;
    tars_status status = tars_chroma_count(r->chroma, r->collection->id, &before, err);

    while (status == TARS_OK && n > 0 && at < before) {
        status = read_page(r, at, &n, err);
        at += status == TARS_OK ? n : 0;
        if (status == TARS_OK && r->stop && atomic_load(r->stop))
            status = TARS_ECANCELED;
    }
    if (status == TARS_OK)
        status = tars_chroma_count(r->chroma, r->collection->id, &after, err);
    if (status == TARS_OK && (before != after || at != before))
        return changed(r, err);
    return status == TARS_OK ? check_ids(r, err) : status;
}

/* ------------------------------------------------------------------- documents */

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_place(const void *a, const void *b)
{
    const struct tars_chroma_chunk *x = a;
    const struct tars_chroma_chunk *y = b;
    int order = strcmp(x->record.path, y->record.path);

    if (order == 0)
        order = strcmp(x->record.document_id, y->record.document_id);
    if (order == 0)
        order = compare(x->record.chunk_index, y->record.chunk_index);
    if (order == 0)
        order = compare(x->record.page, y->record.page);
    return order ? order : compare((int64_t)x->place, (int64_t)y->place);
}

static bool is_same_path(const struct tars_chroma_chunk *x, const struct tars_chroma_chunk *y)
{
    return strcmp(x->record.path, y->record.path) == 0;
}

static bool is_same_document(const struct tars_chroma_chunk *x, const struct tars_chroma_chunk *y)
{
    return is_same_path(x, y) && strcmp(x->record.document_id, y->record.document_id) == 0;
}

/* One that was indexed later; of two of the same time the one with more chunks. */
static bool is_newer(const struct tars_chroma_list *list, const struct tars_chroma_document *a,
                     const struct tars_chroma_document *b)
{
    int64_t a_us = list->chunks[a->first].record.indexed_us;
    int64_t b_us = list->chunks[b->first].record.indexed_us;

    return a_us != b_us ? a_us > b_us : a->count > b->count;
}

/* Whether something says that one is older, or the same. */
static bool is_clear(const struct tars_chroma_record *a, const struct tars_chroma_record *b)
{
    return a->indexed_us != b->indexed_us || (a->hash[0] && strcmp(a->hash, b->hash) == 0);
}

static void supersede(struct reading *r, const struct tars_chroma_document *document,
                      const struct tars_chroma_document *newer)
{
    const struct tars_chroma_record *record = &r->list.chunks[document->first].record;
    bool clear = is_clear(record, &r->list.chunks[newer->first].record);

    r->list.superseded += document->count;
    r->list.unclear += clear ? 0 : document->count;
    tell(r, record->path,
         clear ? "an older version of the file is left out"
               : "another version of the file is left out; nothing says which is newer");
}

static tars_status group(struct reading *r)
{
    struct tars_chroma_list *list = &r->list;
    struct tars_chroma_chunk *chunks = list->chunks;
    size_t at = 0;

    if (list->chunk_count == 0)
        return TARS_OK;
    qsort(chunks, list->chunk_count, sizeof(*chunks), by_place);
    list->documents = tars_arena_calloc(r->arena, list->chunk_count, sizeof(*list->documents));
    if (!list->documents)
        return TARS_ENOMEM;
    while (at < list->chunk_count) {
        struct tars_chroma_document next = {.first = at};
        struct tars_chroma_document *last = &list->documents[list->document_count];

        while (at < list->chunk_count && is_same_document(&chunks[next.first], &chunks[at]))
            at++;
        next.count = at - next.first;
        if (list->document_count == 0 ||
            !is_same_path(&chunks[last[-1].first], &chunks[next.first])) {
            *last = next;
            list->document_count++;
        } else if (is_newer(list, &next, &last[-1])) {
            supersede(r, &last[-1], &next);
            last[-1] = next;
        } else {
            supersede(r, &next, &last[-1]);
        }
    }
    return TARS_OK;
}

tars_status tars_chroma_list_read(struct tars_chroma *chroma,
                                  const struct tars_chroma_collection *collection, const char *name,
                                  const atomic_bool *stop,
                                  void (*tell_fn)(void *ctx, const char *what, const char *why),
                                  void *ctx, struct tars_arena *arena, struct tars_chroma_list *out,
                                  struct tars_err *err)
{
    struct reading r = {.chroma = chroma,
                        .collection = collection,
                        .name = name,
                        .stop = stop,
                        .tell = tell_fn,
                        .ctx = ctx,
                        .arena = arena};
    tars_status status = read_pages(&r, err);

    if (status == TARS_OK)
        status = group(&r);
    if (status == TARS_OK)
        *out = r.list;
    return status;
}
