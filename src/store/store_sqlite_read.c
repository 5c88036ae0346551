/* store_sqlite_read - what is there: passages, documents, files, changes, counts, settings. */
#include <string.h>

#include "store/store_sqlite_internal.h"

/* --------------------------------------------------------------- documents */

static void read_document(struct tars_sqlite_query *query, struct tars_arena *arena,
                          struct tars_store_document *out)
{
    tars_sqlite_text_into(query, out->document_id, sizeof(out->document_id));
    out->collection = tars_sqlite_text(query, arena, NULL);
    out->path = tars_sqlite_text(query, arena, NULL);
    out->external_id = tars_sqlite_text(query, arena, NULL);
    out->file_name = tars_sqlite_text(query, arena, NULL);
    out->file_type = tars_sqlite_text(query, arena, NULL);
    out->title = tars_sqlite_text(query, arena, NULL);
    out->language = (int)tars_sqlite_int(query);
    out->file_size = tars_sqlite_int(query);
    out->sha256 = tars_sqlite_text(query, arena, NULL);
    out->created_us = tars_sqlite_int(query);
    out->modified_us = tars_sqlite_int(query);
    out->indexed_us = tars_sqlite_int(query);
    out->page_count = tars_sqlite_int(query);
    out->word_count = tars_sqlite_int(query);
    out->char_count = tars_sqlite_int(query);
    out->metadata_json = tars_sqlite_text(query, arena, NULL);
    out->passage_first = (uint64_t)tars_sqlite_int(query);
    out->chunk_count = tars_sqlite_int(query);
}

/* The one row of query, or ENOTFOUND with words. */
static tars_status one_document(struct tars_sqlite_query *query, struct tars_arena *arena,
                                struct tars_store_document *out, const char *name,
                                struct tars_err *err)
{
    bool found = tars_sqlite_step(query);
    tars_status status;

    if (found)
        read_document(query, arena, out);
    status = tars_sqlite_end(query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no document %s", name);
    return status;
}

tars_status tars_sqlite_document(struct tars_store *store, const char *document_id,
                                 struct tars_arena *arena, struct tars_store_document *out,
                                 struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    query = tars_sqlite_ask(conn, TARS_SQL_DOCUMENT_GET);
    tars_sqlite_bind_text(&query, document_id);
    status = one_document(&query, arena, out, document_id, err);
    tars_sqlite_read_end(sqlite, conn);
    return status;
}

/* A folder's name without the slashes at its end, so that "/a/" and "/a" are one. */
static const char *folder_name(struct tars_arena *arena, const char *under, bool *no_memory)
{
    size_t len = under ? strlen(under) : 0;
    const char *name;

    if (!under)
        return NULL;
    while (len > 0 && under[len - 1] == '/')
        len--;
    name = tars_arena_strndup(arena, under, len);
    *no_memory = !name;
    return name;
}

static tars_status each_document(struct tars_sqlite_query *query, struct tars_arena *arena,
                                 tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    struct tars_store_document document;
    bool go_on = true;

    while (go_on && tars_sqlite_step(query)) {
        tars_arena_clear(arena);
        read_document(query, arena, &document);
        go_on = !query->no_memory && each(ctx, &document);
    }
    return tars_sqlite_end(query, err);
}

#define DOCUMENT_BYTES ((size_t)64 << 20) /* of one document's row */

tars_status tars_sqlite_documents(struct tars_store *store,
                                  const struct tars_store_document_filter *filter,
                                  tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    static const struct tars_store_document_filter all;
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    const struct tars_store_document_filter *by = filter ? filter : &all;
    struct tars_arena arena;
    struct tars_arena name_arena;
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    const char *under;
    bool no_memory = false;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    tars_arena_init(&arena, DOCUMENT_BYTES);
    tars_arena_init(&name_arena, DOCUMENT_BYTES);
    under = folder_name(&name_arena, by->under, &no_memory);
    query = tars_sqlite_ask(conn, by->after_passage ? TARS_SQL_DOCUMENT_LIST_AFTER
                                                    : TARS_SQL_DOCUMENT_LIST);
    query.no_memory = no_memory;
    tars_sqlite_bind_text_or_null(&query, by->collection);
    tars_sqlite_bind_text_or_null(&query, by->path);
    tars_sqlite_bind_text_or_null(&query, under);
    tars_sqlite_bind_text_or_null(&query, by->sha256);
    tars_sqlite_bind_int(&query, by->limit ? (int64_t)by->limit : -1);
    tars_sqlite_bind_int(&query, (int64_t)by->offset);
    if (by->after_passage)
        tars_sqlite_bind_int(&query, (int64_t)by->after_passage);
    status = each_document(&query, &arena, each, ctx, err);
    tars_sqlite_read_end(sqlite, conn);
    tars_arena_release(&arena);
    tars_arena_release(&name_arena);
    return status;
}

/* ---------------------------------------------------------------- passages */

/* The document in row key: that of the passage before, or asked for. */
static const struct tars_store_document *document_of(struct tars_sqlite_gather *gather,
                                                     struct tars_sqlite_query *passage, int64_t key)
{
    struct tars_store_document *document;
    struct tars_sqlite_query query;

    if (gather->document && key == gather->document_key)
        return gather->document;
    document = tars_arena_calloc(gather->arena, 1, sizeof(*document));
    if (!document) {
        passage->no_memory = true;
        return NULL;
    }
    query = tars_sqlite_ask(passage->conn, TARS_SQL_DOCUMENT_BY_KEY);
    tars_sqlite_bind_int(&query, key);
    if (one_document(&query, gather->arena, document, "of the passage", NULL))
        passage->no_memory = true;
    gather->document_key = key;
    gather->document = document;
    return document;
}

static void read_vectors(struct tars_sqlite_query *passage, struct tars_arena *arena,
                         struct tars_store_passage *out)
{
    struct tars_sqlite_query query = tars_sqlite_ask(passage->conn, TARS_SQL_VECTOR_GET);
    size_t windows_len = 0;
    size_t vectors_len = 0;

    tars_sqlite_bind_int(&query, (int64_t)out->id);
    if (tars_sqlite_step(&query)) {
        out->windows = tars_sqlite_blob(&query, arena, &windows_len);
        out->vectors = tars_sqlite_blob(&query, arena, &vectors_len);
        out->window_count = windows_len / sizeof(*out->windows);
        tars_store_measure(out, vectors_len);
    }
    if (tars_sqlite_end(&query, NULL))
        passage->no_memory = true;
}

/* The row that query is at. */
static void read_passage(struct tars_sqlite_gather *gather, struct tars_sqlite_query *query,
                         struct tars_store_passage *out)
{
    int64_t key;

    *out = (struct tars_store_passage){.section = "", .text = ""};
    out->id = (uint64_t)tars_sqlite_int(query);
    key = tars_sqlite_int(query);
    out->chunk_index = (int)tars_sqlite_int(query);
    out->kind = (int)tars_sqlite_int(query);
    out->language = (int)tars_sqlite_int(query);
    out->page_first = (int)tars_sqlite_int(query);
    out->page_last = (int)tars_sqlite_int(query);
    out->token_count = (int)tars_sqlite_int(query);
    out->char_start = (size_t)tars_sqlite_int(query);
    out->char_end = (size_t)tars_sqlite_int(query);
    if (gather->load & TARS_LOAD_TEXT) {
        out->section = tars_sqlite_text(query, gather->arena, NULL);
        out->text = tars_sqlite_text(query, gather->arena, &out->text_len);
    }
    out->document = document_of(gather, query, key);
    if (out->document) {
        (void)snprintf(out->chunk_id, sizeof(out->chunk_id), "%s_chunk_%d",
                       out->document->document_id, out->chunk_index);
    }
    if (gather->load & TARS_LOAD_VECTORS)
        read_vectors(query, gather->arena, out);
}

void tars_sqlite_collect(struct tars_sqlite_gather *gather, struct tars_sqlite_query *query)
{
    struct tars_store_passages *found = &gather->found;

    while (tars_sqlite_step(query)) {
        void *items = found->items;

        if (tars_arena_grow(gather->arena, &items, &gather->cap, found->count + 1,
                            sizeof(*found->items))) {
            query->no_memory = true;
            return;
        }
        found->items = items;
        read_passage(gather, query, &found->items[found->count++]);
    }
}

tars_status tars_sqlite_passages(struct tars_store *store, const uint64_t *ids, size_t n,
                                 unsigned load, struct tars_arena *arena,
                                 struct tars_store_passages *out, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_gather gather = {.load = load, .arena = arena};
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    for (size_t i = 0; !status && i < n; i++) {
        struct tars_sqlite_query query = tars_sqlite_ask(conn, TARS_SQL_PASSAGE_GET);

        tars_sqlite_bind_int(&query, (int64_t)ids[i]);
        tars_sqlite_collect(&gather, &query);
        status = tars_sqlite_end(&query, err);
    }
    tars_sqlite_read_end(sqlite, conn);
    if (!status)
        *out = gather.found;
    return status;
}

tars_status tars_sqlite_passage_range(struct tars_store *store, uint64_t first, uint64_t last,
                                      size_t max, unsigned load, struct tars_arena *arena,
                                      struct tars_store_passages *out, struct tars_err *err)
{
    struct tars_sqlite_gather gather = {.load = load, .arena = arena};
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_PASSAGE_RANGE, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, (int64_t)first);
    tars_sqlite_bind_int(&query, last > INT64_MAX ? INT64_MAX : (int64_t)last);
    tars_sqlite_bind_int(&query, (int64_t)max);
    tars_sqlite_collect(&gather, &query);
    status = tars_sqlite_read_done(store, &query, err);
    if (!status)
        *out = gather.found;
    return status;
}

#define KEY_BYTES 1024 /* of a collection */

tars_status tars_sqlite_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                             void *ctx, struct tars_err *err)
{
    char key[KEY_BYTES];
    struct tars_store_run run = {.collection = key};
    struct tars_sqlite_query query;
    bool go_on = true;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_RUNS, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(&query, (int64_t)after);
    while (go_on && tars_sqlite_step(&query)) {
        run.first = (uint64_t)tars_sqlite_int(&query);
        run.last = (uint64_t)tars_sqlite_int(&query);
        tars_sqlite_text_into(&query, key, sizeof(key));
        go_on = each(ctx, &run);
    }
    status = tars_sqlite_read_done(store, &query, err);
    return status;
}

/* ------------------------------------------------------------------- files */

static void read_file(struct tars_sqlite_query *query, struct tars_arena *arena,
                      struct tars_store_file *out)
{
    out->collection = tars_sqlite_text(query, arena, NULL);
    out->path = tars_sqlite_text(query, arena, NULL);
    out->sha256 = tars_sqlite_text(query, arena, NULL);
    out->size = tars_sqlite_int(query);
    out->modified_us = tars_sqlite_int(query);
    out->indexed_us = tars_sqlite_int(query);
    out->document_count = tars_sqlite_int(query);
    out->chunk_count = tars_sqlite_int(query);
}

tars_status tars_sqlite_file(struct tars_store *store, const char *collection, const char *path,
                             struct tars_arena *arena, struct tars_store_file *out,
                             struct tars_err *err)
{
    struct tars_sqlite_query query;
    bool found;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_FILE_GET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_text(&query, collection && collection[0] ? collection : TARS_COLLECTION);
    tars_sqlite_bind_text(&query, path);
    found = tars_sqlite_step(&query);
    if (found)
        read_file(&query, arena, out);
    status = tars_sqlite_read_done(store, &query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no file %s", path);
    return status;
}

tars_status tars_sqlite_files(struct tars_store *store, const char *collection, const char *under,
                              struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                              struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    struct tars_store_file *file;
    bool no_memory = false;
    const char *folder = folder_name(arena, under, &no_memory);
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_FILE_LIST, &rows.query, err);

    if (status)
        return status;
    rows.query.no_memory = no_memory;
    tars_sqlite_bind_text_or_null(&rows.query, collection);
    tars_sqlite_bind_text_or_null(&rows.query, folder);
    while ((file = tars_sqlite_next_row(&rows, sizeof(*file))) != NULL)
        read_file(&rows.query, arena, file);
    status = tars_sqlite_read_done(store, &rows.query, err);
    if (status)
        return status;
    *out = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* ----------------------------------------------------------------- changes */

tars_status tars_sqlite_changes(struct tars_store *store, uint64_t after, size_t max,
                                struct tars_arena *arena, struct tars_store_changes *out,
                                struct tars_err *err)
{
    struct tars_sqlite_rows rows = {.arena = arena};
    struct tars_sqlite_query *query = &rows.query;
    struct tars_store_change *change;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_CHANGE_LIST, query, err);

    if (status)
        return status;
    tars_sqlite_bind_int(query, (int64_t)after);
    tars_sqlite_bind_int(query, (int64_t)max);
    while ((change = tars_sqlite_next_row(&rows, sizeof(*change))) != NULL) {
        change->seq = (uint64_t)tars_sqlite_int(query);
        change->op = (enum tars_change_op)tars_sqlite_int(query);
        tars_sqlite_text_into(query, change->document_id, sizeof(change->document_id));
        change->first = (uint64_t)tars_sqlite_int(query);
        change->last = (uint64_t)tars_sqlite_int(query);
    }
    status = tars_sqlite_read_done(store, query, err);
    if (!status)
        *out = (struct tars_store_changes){rows.items, rows.count};
    return status;
}

/* --------------------------------------------------------- counts, settings */

tars_status tars_sqlite_stats(struct tars_store *store, struct tars_store_stats *out,
                              struct tars_err *err)
{
    struct tars_store_stats stats = {0};
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_STATS, &query, err);

    if (status)
        return status;
    if (tars_sqlite_step(&query)) {
        stats.files = tars_sqlite_int(&query);
        stats.documents = tars_sqlite_int(&query);
        stats.passages = tars_sqlite_int(&query);
        stats.file_bytes = tars_sqlite_int(&query);
        stats.store_bytes = tars_sqlite_int(&query);
        stats.last_indexed_us = tars_sqlite_int(&query);
        stats.seq = (uint64_t)tars_sqlite_int(&query);
        stats.jobs_queued = tars_sqlite_int(&query);
        stats.jobs_running = tars_sqlite_int(&query);
        stats.jobs_failed = tars_sqlite_int(&query);
    }
    status = tars_sqlite_read_done(store, &query, err);
    if (!status)
        *out = stats;
    return status;
}

tars_status tars_sqlite_meta_get(struct tars_store *store, const char *key,
                                 struct tars_arena *arena, const char **value, struct tars_err *err)
{
    struct tars_sqlite_query query;
    const char *found = NULL;
    tars_status status = tars_sqlite_read_ask(store, TARS_SQL_META_GET, &query, err);

    if (status)
        return status;
    tars_sqlite_bind_text(&query, key);
    if (tars_sqlite_step(&query))
        found = tars_sqlite_text(&query, arena, NULL);
    status = tars_sqlite_read_done(store, &query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "the store has no setting %s", key);
    if (!status)
        *value = found;
    return status;
}

tars_status tars_sqlite_meta_write(struct tars_sqlite_conn *conn, const char *key,
                                   const char *value, struct tars_err *err)
{
    struct tars_sqlite_query query =
        tars_sqlite_ask(conn, value ? TARS_SQL_META_SET : TARS_SQL_META_DELETE);

    tars_sqlite_bind_text(&query, key);
    if (value)
        tars_sqlite_bind_text(&query, value);
    return tars_sqlite_run(&query, err);
}

tars_status tars_sqlite_meta_set(struct tars_store *store, const char *key, const char *value,
                                 struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    return tars_sqlite_commit(sqlite, tars_sqlite_meta_write(conn, key, value, err), err);
}
