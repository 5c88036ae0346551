/* store_postgres_read - what is there: passages, documents, files, changes, counts, settings. */
#include <string.h>

#include "base/mem/buf.h"
#include "store/store_postgres_internal.h"

#define IDS_MAX        ((size_t)64 << 20) /* bytes of the ids of one question */
#define DOCUMENT_BYTES ((size_t)64 << 20) /* of one document's row */
#define KEY_BYTES      1024               /* of a collection */

/* --------------------------------------------------------------- documents */

static void read_document(struct tars_pg_query *query, struct tars_arena *arena,
                          struct tars_store_document *out)
{
    tars_pg_word_into(query, out->document_id, sizeof(out->document_id));
    out->collection = tars_pg_word(query, arena, NULL);
    out->path = tars_pg_word(query, arena, NULL);
    out->external_id = tars_pg_word(query, arena, NULL);
    out->file_name = tars_pg_word(query, arena, NULL);
    out->file_type = tars_pg_word(query, arena, NULL);
    out->title = tars_pg_word(query, arena, NULL);
    out->language = (int)tars_pg_int(query);
    out->file_size = tars_pg_int(query);
    out->sha256 = tars_pg_word(query, arena, NULL);
    out->created_us = tars_pg_int(query);
    out->modified_us = tars_pg_int(query);
    out->indexed_us = tars_pg_int(query);
    out->page_count = tars_pg_int(query);
    out->word_count = tars_pg_int(query);
    out->char_count = tars_pg_int(query);
    out->metadata_json = tars_pg_word(query, arena, NULL);
    out->passage_first = (uint64_t)tars_pg_int(query);
    out->chunk_count = tars_pg_int(query);
}

tars_status pgs_document(struct tars_store *store, const char *document_id,
                         struct tars_arena *arena, struct tars_store_document *out,
                         struct tars_err *err)
{
    struct tars_pg_query query;
    bool found;
    tars_status status = pgs_read_ask(store, PGS_DOCUMENT_GET, &query, err);

    if (status)
        return status;
    tars_pg_bind_word(&query, document_id);
    found = tars_pg_step(&query);
    if (found)
        read_document(&query, arena, out);
    status = pgs_read_done(store, &query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no document %s", document_id);
    return status;
}

/* A folder's name without the slashes at its end, so that "/a/" and "/a" are one. NULL also when
 * there is no memory. */
static const char *folder_name(struct tars_arena *arena, const char *under)
{
    size_t len = under ? strlen(under) : 0;

    while (len > 0 && under[len - 1] == '/')
        len--;
    return under ? tars_arena_strndup(arena, under, len) : NULL;
}

struct listing {
    tars_store_document_fn *each;
    void *ctx;
    struct tars_arena row; /* of one document */
};

static bool tell_document(void *ctx, struct tars_pg_query *query)
{
    struct listing *listing = ctx;
    struct tars_store_document document;

    tars_arena_clear(&listing->row);
    read_document(query, &listing->row, &document);
    return !query->status && listing->each(listing->ctx, &document);
}

static tars_status list_documents(struct tars_pg_conn *conn,
                                  const struct tars_store_document_filter *by, const char *under,
                                  struct listing *listing, struct tars_err *err)
{
    struct tars_pg_query query =
        tars_pg_ask(conn, by->after_passage ? PGS_DOCUMENT_LIST_AFTER : PGS_DOCUMENT_LIST);

    tars_pg_bind_text(&query, by->collection);
    tars_pg_bind_text(&query, by->path);
    tars_pg_bind_text(&query, under);
    tars_pg_bind_text(&query, by->sha256);
    if (by->limit) {
        tars_pg_bind_int(&query, (int64_t)by->limit);
    } else {
        tars_pg_bind_text(&query, NULL);
    }
    tars_pg_bind_int(&query, (int64_t)by->offset);
    if (by->after_passage)
        tars_pg_bind_int(&query, (int64_t)by->after_passage);
    return pgs_list(&query, tell_document, listing, err);
}

tars_status pgs_documents(struct tars_store *store, const struct tars_store_document_filter *filter,
                          tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    static const struct tars_store_document_filter all;
    const struct tars_store_document_filter *by = filter ? filter : &all;
    struct listing listing = {.each = each, .ctx = ctx};
    struct tars_arena names;
    struct tars_pg_conn *conn;
    const char *under;
    tars_status status = pgs_read_begin(pgs_of(store), &conn, err);

    if (status)
        return status;
    tars_arena_init(&listing.row, DOCUMENT_BYTES);
    tars_arena_init(&names, DOCUMENT_BYTES);
    under = folder_name(&names, by->under);
    if (by->under && !under) {
        status = tars_fail(TARS_ENOMEM, err, "no memory for a list of documents");
    } else {
        status = list_documents(conn, by, under, &listing, err);
    }
    pgs_read_end(pgs_of(store), conn);
    tars_arena_release(&listing.row);
    tars_arena_release(&names);
    return status;
}

/* ---------------------------------------------------------------- passages */

/* Passages as they are read, row after row. */
struct gather {
    struct tars_arena *arena;
    struct tars_store_document *document; /* of the last passage, or NULL */
    int64_t document_key;                 /* its row */
};

/* The document in row key: that of the passage before, or the rest of this row. */
static const struct tars_store_document *document_of(struct gather *gather,
                                                     struct tars_pg_query *query, int64_t key)
{
    struct tars_store_document *document;

    if (gather->document && key == gather->document_key)
        return gather->document;
    document = tars_arena_calloc(gather->arena, 1, sizeof(*document));
    if (!document) {
        tars_pg_lack_memory(query);
        return NULL;
    }
    read_document(query, gather->arena, document);
    gather->document_key = key;
    gather->document = document;
    return document;
}

/* The row that query is at. */
static void read_passage(struct gather *gather, struct tars_pg_query *query,
                         struct tars_store_passage *out)
{
    size_t windows_len = 0;
    size_t vectors_len = 0;
    int64_t key;

    out->id = (uint64_t)tars_pg_int(query);
    key = tars_pg_int(query);
    out->chunk_index = (int)tars_pg_int(query);
    out->kind = (int)tars_pg_int(query);
    out->language = (int)tars_pg_int(query);
    out->page_first = (int)tars_pg_int(query);
    out->page_last = (int)tars_pg_int(query);
    out->token_count = (int)tars_pg_int(query);
    out->char_start = (size_t)tars_pg_int(query);
    out->char_end = (size_t)tars_pg_int(query);
    out->section = tars_pg_word(query, gather->arena, NULL);
    out->text = tars_pg_word(query, gather->arena, &out->text_len);
    out->windows = tars_pg_bytes(query, gather->arena, &windows_len);
    out->vectors = tars_pg_bytes(query, gather->arena, &vectors_len);
    out->window_count = windows_len / sizeof(*out->windows);
    tars_store_measure(out, vectors_len);
    out->document = document_of(gather, query, key);
    if (out->document) {
        (void)snprintf(out->chunk_id, sizeof(out->chunk_id), "%s_chunk_%d",
                       out->document->document_id, out->chunk_index);
    }
}

/* A statement with PASSAGE_COLUMNS; what is not theirs is bound afterwards. */
static tars_status ask_passages(struct tars_store *store, enum pgs_sql sql, unsigned load,
                                struct tars_arena *arena, struct tars_pg_rows *rows,
                                struct tars_err *err)
{
    struct tars_pg_conn *conn = NULL;
    tars_status status = tars_pg_take(pgs_of(store)->pool, &conn, err);

    if (status)
        return status;
    *rows = tars_pg_ask_rows(conn, sql, arena);
    rows->query.is_binary = true;
    tars_pg_bind_int(&rows->query, (load & TARS_LOAD_TEXT) != 0);
    tars_pg_bind_int(&rows->query, (load & TARS_LOAD_VECTORS) != 0);
    return TARS_OK;
}

static tars_status read_passages(struct tars_store *store, struct tars_pg_rows *rows,
                                 struct tars_store_passages *out, struct tars_err *err)
{
    struct gather gather = {.arena = rows->arena};
    struct tars_store_passage *passage;
    tars_status status;

    while ((passage = tars_pg_next_row(rows, sizeof(*passage))) != NULL)
        read_passage(&gather, &rows->query, passage);
    status = pgs_read_done(store, &rows->query, err);
    if (!status)
        *out = (struct tars_store_passages){rows->items, rows->count};
    return status;
}

/* "{1,2,3}": an array of numbers, as a value. */
static void write_ids(struct tars_buf *out, const uint64_t *ids, size_t n)
{
    tars_buf_append_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            tars_buf_append_char(out, ',');
        tars_buf_append_uint(out, ids[i] > INT64_MAX ? INT64_MAX : ids[i]);
    }
    tars_buf_append_char(out, '}');
}

tars_status pgs_passages(struct tars_store *store, const uint64_t *ids, size_t n, unsigned load,
                         struct tars_arena *arena, struct tars_store_passages *out,
                         struct tars_err *err)
{
    struct tars_pg_rows rows;
    struct tars_buf text;
    tars_status status;

    tars_buf_init(&text, IDS_MAX);
    write_ids(&text, ids, n);
    status = text.status ? tars_fail(text.status, err, "no memory to ask for passages")
                         : ask_passages(store, PGS_PASSAGES, load, arena, &rows, err);
    if (!status) {
        tars_pg_bind_text(&rows.query, text.ptr);
        status = read_passages(store, &rows, out, err);
    }
    tars_buf_release(&text);
    return status;
}

tars_status pgs_passage_range(struct tars_store *store, uint64_t first, uint64_t last, size_t max,
                              unsigned load, struct tars_arena *arena,
                              struct tars_store_passages *out, struct tars_err *err)
{
    struct tars_pg_rows rows;
    tars_status status = ask_passages(store, PGS_PASSAGE_RANGE, load, arena, &rows, err);

    if (status)
        return status;
    tars_pg_bind_int(&rows.query, (int64_t)first);
    tars_pg_bind_int(&rows.query, last > INT64_MAX ? INT64_MAX : (int64_t)last);
    tars_pg_bind_int(&rows.query, (int64_t)max);
    return read_passages(store, &rows, out, err);
}

tars_status pgs_revector_pending(struct tars_store *store, uint64_t after, size_t max,
                                 struct tars_arena *arena, struct tars_store_passages *out,
                                 struct tars_err *err)
{
    struct tars_pg_rows rows;
    tars_status status = ask_passages(store, PGS_NEXT_PENDING, TARS_LOAD_TEXT, arena, &rows, err);

    if (status)
        return status;
    tars_pg_bind_int(&rows.query, (int64_t)after);
    tars_pg_bind_int(&rows.query, (int64_t)max);
    return read_passages(store, &rows, out, err);
}

struct running {
    tars_store_run_fn *each;
    void *ctx;
};

static bool tell_run(void *ctx, struct tars_pg_query *query)
{
    const struct running *running = ctx;
    char key[KEY_BYTES];
    struct tars_store_run run = {.collection = key};

    run.first = (uint64_t)tars_pg_int(query);
    run.last = (uint64_t)tars_pg_int(query);
    tars_pg_word_into(query, key, sizeof(key));
    return running->each(running->ctx, &run);
}

tars_status pgs_runs(struct tars_store *store, uint64_t after, tars_store_run_fn *each, void *ctx,
                     struct tars_err *err)
{
    struct running running = {each, ctx};
    struct tars_pg_query query;
    struct tars_pg_conn *conn;
    tars_status status = pgs_read_begin(pgs_of(store), &conn, err);

    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_RUNS);
    tars_pg_bind_int(&query, (int64_t)after);
    status = pgs_list(&query, tell_run, &running, err);
    pgs_read_end(pgs_of(store), conn);
    return status;
}

/* ------------------------------------------------------------------- files */

static void read_file(struct tars_pg_query *query, struct tars_arena *arena,
                      struct tars_store_file *out)
{
    out->collection = tars_pg_word(query, arena, NULL);
    out->path = tars_pg_word(query, arena, NULL);
    out->sha256 = tars_pg_word(query, arena, NULL);
    out->size = tars_pg_int(query);
    out->modified_us = tars_pg_int(query);
    out->indexed_us = tars_pg_int(query);
    out->document_count = tars_pg_int(query);
    out->chunk_count = tars_pg_int(query);
}

tars_status pgs_file(struct tars_store *store, const char *collection, const char *path,
                     struct tars_arena *arena, struct tars_store_file *out, struct tars_err *err)
{
    struct tars_pg_query query;
    bool found;
    tars_status status = pgs_read_ask(store, PGS_FILE_GET, &query, err);

    if (status)
        return status;
    tars_pg_bind_text(&query, pgs_collection(collection));
    tars_pg_bind_word(&query, path);
    found = tars_pg_step(&query);
    if (found)
        read_file(&query, arena, out);
    status = pgs_read_done(store, &query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no file %s", path);
    return status;
}

tars_status pgs_files(struct tars_store *store, const char *collection, const char *under,
                      struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                      struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    struct tars_store_file *file;
    const char *folder = folder_name(arena, under);
    tars_status status;

    if (under && !folder)
        return tars_fail(TARS_ENOMEM, err, "no memory for a list of files");
    status = pgs_read_ask(store, PGS_FILE_LIST, &rows.query, err);

    if (status)
        return status;
    tars_pg_bind_text(&rows.query, collection);
    tars_pg_bind_text(&rows.query, folder);
    while ((file = tars_pg_next_row(&rows, sizeof(*file))) != NULL)
        read_file(&rows.query, arena, file);
    status = pgs_read_done(store, &rows.query, err);
    if (status)
        return status;
    *out = rows.items;
    *count = rows.count;
    return TARS_OK;
}

/* ----------------------------------------------------------------- changes */

tars_status pgs_changes(struct tars_store *store, uint64_t after, size_t max,
                        struct tars_arena *arena, struct tars_store_changes *out,
                        struct tars_err *err)
{
    struct tars_pg_rows rows = {.arena = arena};
    struct tars_pg_query *query = &rows.query;
    struct tars_store_change *change;
    tars_status status = pgs_read_ask(store, PGS_CHANGE_LIST, query, err);

    if (status)
        return status;
    tars_pg_bind_int(query, (int64_t)after);
    tars_pg_bind_int(query, (int64_t)max);
    while ((change = tars_pg_next_row(&rows, sizeof(*change))) != NULL) {
        change->seq = (uint64_t)tars_pg_int(query);
        change->op = (enum tars_change_op)tars_pg_int(query);
        tars_pg_word_into(query, change->document_id, sizeof(change->document_id));
        change->first = (uint64_t)tars_pg_int(query);
        change->last = (uint64_t)tars_pg_int(query);
    }
    status = pgs_read_done(store, query, err);
    if (!status)
        *out = (struct tars_store_changes){rows.items, rows.count};
    return status;
}

/* --------------------------------------------------------- counts, settings */

tars_status pgs_stats(struct tars_store *store, struct tars_store_stats *out, struct tars_err *err)
{
    struct tars_store_stats stats = {0};
    struct tars_pg_query query;
    /* They are of another server's store by now, and by them ours is told to be well. */
    tars_status status = pgs_check_lost(pgs_of(store), err);

    if (!status)
        status = pgs_read_ask(store, PGS_STATS, &query, err);
    if (status)
        return status;
    if (tars_pg_step(&query)) {
        stats.files = tars_pg_int(&query);
        stats.documents = tars_pg_int(&query);
        stats.passages = tars_pg_int(&query);
        stats.file_bytes = tars_pg_int(&query);
        stats.store_bytes = tars_pg_int(&query);
        stats.last_indexed_us = tars_pg_int(&query);
        stats.seq = (uint64_t)tars_pg_int(&query);
        stats.jobs_queued = tars_pg_int(&query);
        stats.jobs_running = tars_pg_int(&query);
        stats.jobs_failed = tars_pg_int(&query);
    }
    status = pgs_read_done(store, &query, err);
    if (!status)
        *out = stats;
    return status;
}

tars_status pgs_meta_get(struct tars_store *store, const char *key, struct tars_arena *arena,
                         const char **value, struct tars_err *err)
{
    struct tars_pg_query query;
    const char *found = NULL;
    tars_status status = pgs_read_ask(store, PGS_META_GET, &query, err);

    if (status)
        return status;
    tars_pg_bind_word(&query, key);
    if (tars_pg_step(&query))
        found = tars_pg_word(&query, arena, NULL);
    status = pgs_read_done(store, &query, err);
    if (!status && !found)
        status = tars_fail(TARS_ENOTFOUND, err, "the store has no setting %s", key);
    if (!status)
        *value = found;
    return status;
}

tars_status pgs_meta_write(struct tars_pg_conn *conn, const char *key, const char *value,
                           struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, value ? PGS_META_SET : PGS_META_DELETE);

    tars_pg_bind_word(&query, key);
    if (value)
        tars_pg_bind_word(&query, value);
    return tars_pg_do(&query, err);
}

tars_status pgs_meta_set(struct tars_store *store, const char *key, const char *value,
                         struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    return pgs_commit(pgs, conn, pgs_meta_write(conn, key, value, err), err);
}
