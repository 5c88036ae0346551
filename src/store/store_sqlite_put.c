/* store_sqlite_put - documents in and out, each with its changes, in one transaction. */
#include <string.h>

#include "store/store_sqlite_internal.h"

/* What one transaction carries along. */
struct work {
    struct tars_sqlite_conn *conn;
    const struct tars_store_batch *batch; /* NULL when forgetting */
    struct tars_arena *arena;
    struct tars_store_changes changes;
    size_t change_cap;
    int64_t file_id;
    int64_t next_passage; /* id of the next passage that is written */
    struct tars_err *err;
};

/* Where a document is. */
struct place {
    int64_t id; /* row; 0: not there */
    char document_id[TARS_DOCUMENT_ID_BYTES];
    uint64_t first;
    int64_t count;
    int64_t file_id;
};

static const char *collection_of(const char *collection)
{
    return collection && collection[0] ? collection : TARS_COLLECTION;
}

static int64_t last_id(const struct work *work)
{
    return sqlite3_last_insert_rowid(work->conn->db);
}

static tars_status add_change(struct work *work, enum tars_change_op op, const char *document_id,
                              uint64_t first, int64_t count)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_CHANGE_ADD);
    struct tars_store_changes *changes = &work->changes;
    void *items = changes->items;
    struct tars_store_change *change;
    tars_status status;

    tars_sqlite_bind_int(&query, op);
    tars_sqlite_bind_text(&query, document_id);
    tars_sqlite_bind_int(&query, (int64_t)first);
    tars_sqlite_bind_int(&query, (int64_t)first + count - 1);
    status = tars_sqlite_run(&query, work->err);
    if (status)
        return status;
    if (tars_arena_grow(work->arena, &items, &work->change_cap, changes->count + 1,
                        sizeof(*change)))
        return tars_fail(TARS_ENOMEM, work->err, "no memory for the changes of a document");
    changes->items = items;
    change = &changes->items[changes->count++];
    *change = (struct tars_store_change){.seq = (uint64_t)last_id(work),
                                         .op = op,
                                         .first = first,
                                         .last = first + (uint64_t)count - 1};
    (void)snprintf(change->document_id, sizeof(change->document_id), "%s", document_id);
    return TARS_OK;
}

/* Run a statement with up to two integers. */
static tars_status run_ints(struct work *work, enum tars_sql sql, int n, int64_t a, int64_t b)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, sql);

    tars_sqlite_bind_int(&query, a);
    if (n > 1)
        tars_sqlite_bind_int(&query, b);
    return tars_sqlite_run(&query, work->err);
}

/* Take the passages of a document away. */
static tars_status remove_passages(struct work *work, const struct place *place)
{
    int64_t first = (int64_t)place->first;
    tars_status status;

    if (place->count == 0)
        return TARS_OK;
    status = run_ints(work, TARS_SQL_PASSAGE_DELETE, 2, first, first + place->count - 1);
    /* Whoever has not applied the add yet need not: only the remove is of interest now. */
    if (!status)
        status = run_ints(work, TARS_SQL_CHANGE_FORGET_ADD, 1, first, 0);
    if (!status) {
        status =
            add_change(work, TARS_CHANGE_REMOVE, place->document_id, place->first, place->count);
    }
    return status;
}

static tars_status remove_document(struct work *work, const struct place *place)
{
    tars_status status = remove_passages(work, place);

    return status ? status : run_ints(work, TARS_SQL_DOCUMENT_DELETE, 1, place->id, 0);
}

/* Remove the documents of the file; those of the round of keep stay, unless it is NULL. */
static tars_status remove_documents(struct work *work, const int64_t *keep)
{
    struct tars_sqlite_rows rows =
        tars_sqlite_ask_rows(work->conn, TARS_SQL_DOCUMENTS_OF_FILE, work->arena);
    struct tars_sqlite_query *query = &rows.query;
    struct place *place;
    tars_status status;

    tars_sqlite_bind_int(query, work->file_id);
    if (keep)
        tars_sqlite_bind_int(query, *keep);
    while ((place = tars_sqlite_next_row(&rows, sizeof(*place))) != NULL) {
        place->id = tars_sqlite_int(query);
        tars_sqlite_text_into(query, place->document_id, TARS_DOCUMENT_ID_BYTES);
        place->first = (uint64_t)tars_sqlite_int(query);
        place->count = tars_sqlite_int(query);
    }
    status = tars_sqlite_end(query, work->err);
    place = rows.items;
    for (size_t i = 0; !status && i < rows.count; i++)
        status = remove_document(work, &place[i]);
    return status;
}

static tars_status find_place(struct work *work, const char *document_id, struct place *place)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_DOCUMENT_PLACE);

    *place = (struct place){0};
    (void)snprintf(place->document_id, sizeof(place->document_id), "%s", document_id);
    tars_sqlite_bind_text(&query, document_id);
    if (tars_sqlite_step(&query)) {
        place->id = tars_sqlite_int(&query);
        place->first = (uint64_t)tars_sqlite_int(&query);
        place->count = tars_sqlite_int(&query);
        place->file_id = tars_sqlite_int(&query);
    }
    return tars_sqlite_end(&query, work->err);
}

static tars_status write_vectors(struct work *work, uint64_t id,
                                 const struct tars_store_passage *passage)
{
    struct tars_sqlite_query query;
    size_t dim = work->batch->dim;

    if (!passage->vectors)
        return TARS_OK;
    if (dim == 0 || passage->window_count == 0)
        return tars_fail(TARS_EINVAL, work->err, "vectors without a dimension or without windows");
    query = tars_sqlite_ask(work->conn, TARS_SQL_VECTOR_ADD);
    tars_sqlite_bind_int(&query, (int64_t)id);
    tars_sqlite_bind_blob(&query, passage->windows,
                          passage->window_count * sizeof(*passage->windows));
    tars_sqlite_bind_blob(&query, passage->vectors, passage->window_count * dim * sizeof(float));
    return tars_sqlite_run(&query, work->err);
}

static tars_status write_passage(struct work *work, int64_t document, int index,
                                 const struct tars_store_passage *passage)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_PASSAGE_ADD);
    int64_t id = work->next_passage++;
    tars_status status;

    tars_sqlite_bind_int(&query, id);
    tars_sqlite_bind_int(&query, document);
    tars_sqlite_bind_int(&query, index);
    tars_sqlite_bind_int(&query, passage->kind);
    tars_sqlite_bind_int(&query, passage->language);
    tars_sqlite_bind_int(&query, passage->page_first);
    tars_sqlite_bind_int(&query, passage->page_last);
    tars_sqlite_bind_int(&query, passage->token_count);
    tars_sqlite_bind_int(&query, (int64_t)passage->char_start);
    tars_sqlite_bind_int(&query, (int64_t)passage->char_end);
    tars_sqlite_bind_text(&query, passage->section);
    tars_sqlite_bind_text_n(&query, passage->text, passage->text_len);
    status = tars_sqlite_run(&query, work->err);
    return status ? status : write_vectors(work, (uint64_t)id, passage);
}

/* The row of a document, new or anew; *id is its row. */
static tars_status write_document(struct work *work, const struct place *place,
                                  const struct tars_store_put *put, int64_t *id)
{
    const struct tars_store_document *document = put->document;
    struct tars_sqlite_query query =
        tars_sqlite_ask(work->conn, place->id ? TARS_SQL_DOCUMENT_UPDATE : TARS_SQL_DOCUMENT_ADD);
    tars_status status;

    tars_sqlite_bind_text(&query, place->document_id);
    tars_sqlite_bind_int(&query, work->file_id);
    tars_sqlite_bind_text(&query, document->external_id);
    tars_sqlite_bind_int(&query, work->batch->round);
    tars_sqlite_bind_text(&query, document->file_name);
    tars_sqlite_bind_text(&query, document->file_type);
    tars_sqlite_bind_text(&query, document->title);
    tars_sqlite_bind_int(&query, document->language);
    tars_sqlite_bind_int(&query, document->file_size);
    tars_sqlite_bind_text(&query, document->sha256);
    tars_sqlite_bind_int(&query, document->created_us);
    tars_sqlite_bind_int(&query, document->modified_us);
    tars_sqlite_bind_int(&query, document->indexed_us);
    tars_sqlite_bind_int(&query, document->page_count);
    tars_sqlite_bind_int(&query, document->word_count);
    tars_sqlite_bind_int(&query, document->char_count);
    tars_sqlite_bind_text(&query, document->metadata_json);
    tars_sqlite_bind_int(&query, put->passage_count ? work->next_passage : 0);
    tars_sqlite_bind_int(&query, (int64_t)put->passage_count);
    status = tars_sqlite_run(&query, work->err);
    if (!status)
        *id = place->id ? place->id : last_id(work);
    return status;
}

static tars_status keep_document(struct work *work, const char *document_id)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_DOCUMENT_KEEP);
    tars_status status;

    tars_sqlite_bind_text(&query, document_id);
    tars_sqlite_bind_int(&query, work->batch->round);
    status = tars_sqlite_run(&query, work->err);
    if (!status && sqlite3_changes(work->conn->db) == 0) {
        status =
            tars_fail(TARS_EINVAL, work->err, "document %s is not there to be kept", document_id);
    }
    return status;
}

static tars_status put_document(struct work *work, const struct tars_store_put *put)
{
    const struct tars_store_file *file = work->batch->file;
    char document_id[TARS_DOCUMENT_ID_BYTES];
    struct place place;
    uint64_t first = (uint64_t)work->next_passage;
    int64_t id = 0;
    tars_status status =
        tars_document_id(file->collection, file->path, put->document->external_id, document_id);

    if (status)
        return status;
    if (put->unchanged)
        return keep_document(work, document_id);
    status = find_place(work, document_id, &place);
    if (!status && place.id)
        status = remove_passages(work, &place);
    if (!status)
        status = write_document(work, &place, put, &id);
    for (size_t i = 0; !status && i < put->passage_count; i++)
        status = write_passage(work, id, (int)i, &put->passages[i]);
    if (!status && put->passage_count)
        status = add_change(work, TARS_CHANGE_ADD, document_id, first, (int64_t)put->passage_count);
    return status;
}

static tars_status one_int(struct work *work, struct tars_sqlite_query *query, int64_t *value)
{
    if (tars_sqlite_step(query))
        *value = tars_sqlite_int(query);
    return tars_sqlite_end(query, work->err);
}

/* The file's row, or 0. */
static tars_status find_file(struct work *work, const char *collection, const char *path)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_FILE_ID);

    work->file_id = 0;
    tars_sqlite_bind_text(&query, collection_of(collection));
    tars_sqlite_bind_text(&query, path);
    return one_int(work, &query, &work->file_id);
}

static tars_status begin_file(struct work *work)
{
    const struct tars_store_file *file = work->batch->file;
    struct tars_sqlite_query query;
    tars_status status = find_file(work, file->collection, file->path);

    if (status)
        return status;
    if (work->file_id)
        return run_ints(work, TARS_SQL_FILE_BEGIN, 1, work->file_id, 0);
    query = tars_sqlite_ask(work->conn, TARS_SQL_FILE_ADD);
    tars_sqlite_bind_text(&query, collection_of(file->collection));
    tars_sqlite_bind_text(&query, file->path);
    status = tars_sqlite_run(&query, work->err);
    if (!status)
        work->file_id = last_id(work);
    return status;
}

static tars_status finish_file(struct work *work)
{
    const struct tars_store_file *file = work->batch->file;
    struct tars_sqlite_query query;
    tars_status status = remove_documents(work, &work->batch->round);

    if (status)
        return status;
    query = tars_sqlite_ask(work->conn, TARS_SQL_FILE_FINISH);
    tars_sqlite_bind_int(&query, work->file_id);
    tars_sqlite_bind_text(&query, file->sha256);
    tars_sqlite_bind_int(&query, file->size);
    tars_sqlite_bind_int(&query, file->modified_us);
    tars_sqlite_bind_int(&query, file->indexed_us);
    return tars_sqlite_run(&query, work->err);
}

/* By what this transaction has added: a tenant whose limit was lowered may still replace a document
 * by one that is no larger. */
static tars_status check_limits(struct work *work, const struct tars_store_limits *before)
{
    struct tars_store_limits now;
    tars_status status;

    if (!before->max_documents && !before->max_bytes)
        return TARS_OK;
    status = tars_sqlite_limits(work->conn, collection_of(work->batch->file->collection), &now,
                                work->err);
    if (status)
        return status;
    return tars_store_check_limits(&now, now.documents - before->documents,
                                   now.bytes - before->bytes, work->err);
}

static tars_status do_put(struct work *work)
{
    struct tars_sqlite_query query = tars_sqlite_ask(work->conn, TARS_SQL_PASSAGE_NEXT);
    struct tars_store_limits limits = {.tenant = ""};
    tars_status status = one_int(work, &query, &work->next_passage);

    work->next_passage++;
    if (!status) {
        status = tars_sqlite_limits(work->conn, collection_of(work->batch->file->collection),
                                    &limits, work->err);
    }
    if (!status)
        status = begin_file(work);
    for (size_t i = 0; !status && i < work->batch->put_count; i++)
        status = put_document(work, &work->batch->puts[i]);
    if (!status && work->batch->finish)
        status = finish_file(work);
    return status ? status : check_limits(work, &limits);
}

/* One durable transaction around body. */
static tars_status transact(struct tars_store *store, struct work *work,
                            tars_status (*body)(struct work *work),
                            struct tars_store_changes *changes)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    tars_status status = tars_sqlite_begin(sqlite, true, &work->conn, work->err);

    if (status)
        return status;
    status = tars_sqlite_commit(sqlite, body(work), work->err);
    if (!status)
        *changes = work->changes;
    return status;
}

tars_status tars_sqlite_put(struct tars_store *store, const struct tars_store_batch *batch,
                            struct tars_arena *arena, struct tars_store_changes *changes,
                            struct tars_err *err)
{
    struct work work = {.batch = batch, .arena = arena, .err = err};

    return transact(store, &work, do_put, changes);
}

/* ---------------------------------------------------------------- forgetting */

/* What to forget; the work comes first, so that body can find it. */
struct forget {
    struct work work;
    const char *document_id; /* or NULL: the file */
    const char *collection;
    const char *path;
};

static tars_status do_forget_document(struct work *work)
{
    const struct forget *forget = (const struct forget *)work;
    struct place place;
    tars_status status = find_place(work, forget->document_id, &place);

    if (!status && !place.id) {
        status =
            tars_fail(TARS_ENOTFOUND, work->err, "there is no document %s", forget->document_id);
    }
    if (!status)
        status = remove_document(work, &place);
    /* The file's hash no longer says what is in the store: its next arrival must be read. */
    if (!status)
        status = run_ints(work, TARS_SQL_FILE_BEGIN, 1, place.file_id, 0);
    if (!status)
        status = run_ints(work, TARS_SQL_FILE_DELETE_IF_EMPTY, 1, place.file_id, 0);
    return status;
}

static tars_status do_forget_file(struct work *work)
{
    const struct forget *forget = (const struct forget *)work;
    tars_status status = find_file(work, forget->collection, forget->path);

    if (!status && !work->file_id)
        status = tars_fail(TARS_ENOTFOUND, work->err, "there is no file %s", forget->path);
    if (!status)
        status = remove_documents(work, NULL);
    if (!status)
        status = run_ints(work, TARS_SQL_FILE_DELETE, 1, work->file_id, 0);
    return status;
}

tars_status tars_sqlite_forget_document(struct tars_store *store, const char *document_id,
                                        struct tars_arena *arena,
                                        struct tars_store_changes *changes, struct tars_err *err)
{
    struct forget forget = {.work = {.arena = arena, .err = err}, .document_id = document_id};

    return transact(store, &forget.work, do_forget_document, changes);
}

tars_status tars_sqlite_forget_file(struct tars_store *store, const char *collection,
                                    const char *path, struct tars_arena *arena,
                                    struct tars_store_changes *changes, struct tars_err *err)
{
    struct forget forget = {
        .work = {.arena = arena, .err = err}, .collection = collection, .path = path};

    return transact(store, &forget.work, do_forget_file, changes);
}
