/* store_postgres_put - documents in and out, each with its changes, in one transaction.
 *
 * Rows of passages, vectors and changes wait in buffers and go over by COPY, as bytes, when there
 * are many and at the end; what removes passages sends them first, so that it finds them.
 */
#include <string.h>

#include "base/mem/buf.h"
#include "store/store_postgres_internal.h"

#define ROWS_MAX  ((size_t)1 << 30) /* bytes that may wait */
#define ROWS_FULL ((size_t)8 << 20) /* bytes after which they are sent */

/* Rows that wait, by table. */
enum table { PASSAGES, VECTORS, CHANGES, TABLE_COUNT };

/* What one transaction carries along. */
struct work {
    struct pgs *pgs;
    struct tars_pg_conn *conn;
    const struct tars_store_batch *batch; /* NULL when forgetting */
    struct tars_arena *arena;
    struct tars_buf rows[TABLE_COUNT];
    bool has_rows;
    struct tars_store_changes changes;
    size_t change_cap;
    int64_t file_id;
    int64_t seq;          /* last one given */
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

/* ------------------------------------------------------- rows, as COPY has them */

static void add_number(struct tars_buf *buf, uint64_t value, size_t bytes)
{
    char out[sizeof(value)];

    for (size_t i = 0; i < bytes; i++)
        out[i] = (char)(value >> (8 * (bytes - 1 - i)) & 0xffU);
    tars_buf_append(buf, out, bytes);
}

static void add_bytes(struct tars_buf *buf, const void *ptr, size_t len)
{
    add_number(buf, len, 4);
    if (len > 0)
        tars_buf_append(buf, ptr, len);
}

static void add_text(struct tars_buf *buf, const char *text)
{
    add_bytes(buf, text, text ? strlen(text) : 0);
}

static void add_int8(struct tars_buf *buf, int64_t value)
{
    add_number(buf, 8, 4);
    add_number(buf, (uint64_t)value, 8);
}

static void add_int4(struct tars_buf *buf, int64_t value)
{
    add_number(buf, 4, 4);
    add_number(buf, (uint64_t)value, 4);
}

static void begin_rows(struct work *work)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0"; /* no flags, no extension */

    for (size_t i = 0; i < TABLE_COUNT; i++) {
        tars_buf_clear(&work->rows[i]);
        tars_buf_append(&work->rows[i], head, sizeof(head));
    }
    work->has_rows = false;
}

static struct tars_buf *begin_row(struct work *work, enum table table, unsigned columns)
{
    add_number(&work->rows[table], columns, 2);
    work->has_rows = true;
    return &work->rows[table];
}

static tars_status send_rows(struct work *work)
{
    static const char copy[] =
        "COPY tars.passages (id, document, chunk_index, kind, language, page_first, page_last, "
        "token_count, char_start, char_end, section, text) FROM STDIN (FORMAT binary); "
        "COPY tars.passage_vectors (passage_id, windows, vectors) FROM STDIN (FORMAT binary); "
        "COPY tars.changes (seq, op, document_id, first, last) FROM STDIN (FORMAT binary)";
    struct tars_pg_copy data[TABLE_COUNT];
    tars_status status;

    if (!work->has_rows)
        return TARS_OK;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        add_number(&work->rows[i], 0xffff, 2);
        if (work->rows[i].status)
            return tars_fail(work->rows[i].status, work->err, "no room for the rows of a document");
        data[i] = (struct tars_pg_copy){work->rows[i].ptr, work->rows[i].len};
    }
    status = tars_pg_copy(work->conn, copy, data, TABLE_COUNT, work->err);
    begin_rows(work);
    return status;
}

static tars_status send_if_full(struct work *work)
{
    size_t waiting = work->rows[PASSAGES].len + work->rows[VECTORS].len;

    return waiting < ROWS_FULL ? TARS_OK : send_rows(work);
}

/* ------------------------------------------------------------------ changes */

static tars_status add_change(struct work *work, enum tars_change_op op, const char *document_id,
                              uint64_t first, int64_t count)
{
    struct tars_buf *row = begin_row(work, CHANGES, 5);
    struct tars_store_changes *changes = &work->changes;
    void *items = changes->items;
    struct tars_store_change *change;

    if (tars_arena_grow(work->arena, &items, &work->change_cap, changes->count + 1,
                        sizeof(*change)))
        return tars_fail(TARS_ENOMEM, work->err, "no memory for the changes of a document");
    changes->items = items;
    change = &changes->items[changes->count++];
    *change = (struct tars_store_change){.seq = (uint64_t)++work->seq,
                                         .op = op,
                                         .first = first,
                                         .last = first + (uint64_t)count - 1};
    (void)snprintf(change->document_id, sizeof(change->document_id), "%s", document_id);
    add_int8(row, work->seq);
    add_int4(row, op);
    add_text(row, document_id);
    add_int8(row, (int64_t)change->first);
    add_int8(row, (int64_t)change->last);
    return TARS_OK;
}

/* Run a statement with up to two integers. */
static tars_status run_ints(struct work *work, enum pgs_sql sql, int n, int64_t a, int64_t b)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, sql);

    tars_pg_bind_int(&query, a);
    if (n > 1)
        tars_pg_bind_int(&query, b);
    return tars_pg_do(&query, work->err);
}

/* ----------------------------------------------------------------- removing */

/* Take the passages of a document away. */
static tars_status remove_passages(struct work *work, const struct place *place)
{
    int64_t first = (int64_t)place->first;
    tars_status status;

    if (place->count == 0)
        return TARS_OK;
    status = send_rows(work);
    if (!status)
        status = run_ints(work, PGS_PASSAGE_DELETE, 2, first, first + place->count - 1);
    /* Whoever has not applied the add yet need not: only the remove is of interest now. */
    if (!status)
        status = run_ints(work, PGS_CHANGE_FORGET_ADD, 1, first, 0);
    if (!status) {
        status =
            add_change(work, TARS_CHANGE_REMOVE, place->document_id, place->first, place->count);
    }
    return status;
}

static tars_status remove_document(struct work *work, const struct place *place)
{
    tars_status status = remove_passages(work, place);

    return status ? status : run_ints(work, PGS_DOCUMENT_DELETE, 1, place->id, 0);
}

/* Remove the documents of the file; those of the round of keep stay, unless it is NULL. */
static tars_status remove_documents(struct work *work, const int64_t *keep)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(work->conn, PGS_DOCUMENTS_OF_FILE, work->arena);
    struct tars_pg_query *query = &rows.query;
    struct place *place;
    tars_status status;

    tars_pg_bind_int(query, work->file_id);
    if (keep) {
        tars_pg_bind_int(query, *keep);
    } else {
        tars_pg_bind_text(query, NULL);
    }
    while ((place = tars_pg_next_row(&rows, sizeof(*place))) != NULL) {
        place->id = tars_pg_int(query);
        tars_pg_word_into(query, place->document_id, TARS_DOCUMENT_ID_BYTES);
        place->first = (uint64_t)tars_pg_int(query);
        place->count = tars_pg_int(query);
    }
    status = tars_pg_end(query, work->err);
    place = rows.items;
    for (size_t i = 0; !status && i < rows.count; i++)
        status = remove_document(work, &place[i]);
    return status;
}

static tars_status find_place(struct work *work, const char *document_id, struct place *place)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, PGS_DOCUMENT_PLACE);

    *place = (struct place){0};
    (void)snprintf(place->document_id, sizeof(place->document_id), "%s", document_id);
    tars_pg_bind_text(&query, document_id);
    if (tars_pg_step(&query)) {
        place->id = tars_pg_int(&query);
        place->first = (uint64_t)tars_pg_int(&query);
        place->count = tars_pg_int(&query);
        place->file_id = tars_pg_int(&query);
    }
    return tars_pg_end(&query, work->err);
}

/* ------------------------------------------------------------------ writing */

static tars_status write_vectors(struct work *work, int64_t id,
                                 const struct tars_store_passage *passage)
{
    size_t dim = work->batch->dim;
    struct tars_buf *row;

    if (!passage->vectors)
        return TARS_OK;
    if (dim == 0 || passage->window_count == 0)
        return tars_fail(TARS_EINVAL, work->err, "vectors without a dimension or without windows");
    row = begin_row(work, VECTORS, 3);
    add_int8(row, id);
    add_bytes(row, passage->windows, passage->window_count * sizeof(*passage->windows));
    add_bytes(row, passage->vectors, passage->window_count * dim * sizeof(float));
    return TARS_OK;
}

static tars_status write_passage(struct work *work, int64_t document, int index,
                                 const struct tars_store_passage *passage)
{
    struct tars_buf *row = begin_row(work, PASSAGES, 12);
    int64_t id = work->next_passage++;
    tars_status status;

    add_int8(row, id);
    add_int8(row, document);
    add_int4(row, index);
    add_int4(row, passage->kind);
    add_int4(row, passage->language);
    add_int4(row, passage->page_first);
    add_int4(row, passage->page_last);
    add_int4(row, passage->token_count);
    add_int8(row, (int64_t)passage->char_start);
    add_int8(row, (int64_t)passage->char_end);
    add_text(row, passage->section);
    add_bytes(row, passage->text, passage->text ? passage->text_len : 0);
    status = write_vectors(work, id, passage);
    return status ? status : send_if_full(work);
}

/* The row of a document, new or anew; *id is its row. */
static tars_status write_document(struct work *work, const struct place *place,
                                  const struct tars_store_put *put, int64_t *id)
{
    const struct tars_store_document *document = put->document;
    struct tars_pg_query query =
        tars_pg_ask(work->conn, place->id ? PGS_DOCUMENT_UPDATE : PGS_DOCUMENT_ADD);

    tars_pg_bind_text(&query, place->document_id);
    tars_pg_bind_int(&query, work->file_id);
    tars_pg_bind_word(&query, document->external_id);
    tars_pg_bind_int(&query, work->batch->round);
    tars_pg_bind_word(&query, document->file_name);
    tars_pg_bind_word(&query, document->file_type);
    tars_pg_bind_word(&query, document->title);
    tars_pg_bind_int(&query, document->language);
    tars_pg_bind_int(&query, document->file_size);
    tars_pg_bind_word(&query, document->sha256);
    tars_pg_bind_int(&query, document->created_us);
    tars_pg_bind_int(&query, document->modified_us);
    tars_pg_bind_int(&query, document->indexed_us);
    tars_pg_bind_int(&query, document->page_count);
    tars_pg_bind_int(&query, document->word_count);
    tars_pg_bind_int(&query, document->char_count);
    tars_pg_bind_word(&query, document->metadata_json);
    tars_pg_bind_int(&query, put->passage_count ? work->next_passage : 0);
    tars_pg_bind_int(&query, (int64_t)put->passage_count);
    return tars_pg_change_id(&query, "document", id, work->err);
}

static tars_status keep_document(struct work *work, const char *document_id)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, PGS_DOCUMENT_KEEP);
    int64_t changed = 0;
    tars_status status;

    tars_pg_bind_text(&query, document_id);
    tars_pg_bind_int(&query, work->batch->round);
    status = tars_pg_run(&query, &changed, work->err);
    if (!status && changed == 0) {
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

/* The file's row, or 0. */
static tars_status find_file(struct work *work, const char *collection, const char *path)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, PGS_FILE_ID);

    work->file_id = 0;
    tars_pg_bind_text(&query, pgs_collection(collection));
    tars_pg_bind_word(&query, path);
    return pgs_one_int(&query, &work->file_id, work->err);
}

static tars_status begin_file(struct work *work)
{
    const struct tars_store_file *file = work->batch->file;
    struct tars_pg_query query;
    tars_status status = find_file(work, file->collection, file->path);

    if (status)
        return status;
    if (work->file_id)
        return run_ints(work, PGS_FILE_BEGIN, 1, work->file_id, 0);
    query = tars_pg_ask(work->conn, PGS_FILE_ADD);
    tars_pg_bind_text(&query, pgs_collection(file->collection));
    tars_pg_bind_word(&query, file->path);
    return tars_pg_change_id(&query, "file", &work->file_id, work->err);
}

static tars_status finish_file(struct work *work)
{
    const struct tars_store_file *file = work->batch->file;
    struct tars_pg_query query;
    tars_status status = remove_documents(work, &work->batch->round);

    if (status)
        return status;
    query = tars_pg_ask(work->conn, PGS_FILE_FINISH);
    tars_pg_bind_int(&query, work->file_id);
    tars_pg_bind_word(&query, file->sha256);
    tars_pg_bind_int(&query, file->size);
    tars_pg_bind_int(&query, file->modified_us);
    tars_pg_bind_int(&query, file->indexed_us);
    return tars_pg_do(&query, work->err);
}

/* By what this transaction has added: a tenant whose limit was lowered may still replace a document
 * by one that is no larger. */
static tars_status check_limits(struct work *work, const struct tars_store_limits *before)
{
    struct tars_store_limits now;
    tars_status status;

    if (!before->max_documents && !before->max_bytes)
        return TARS_OK;
    status = pgs_limits(work->conn, pgs_collection(work->batch->file->collection), &now, work->err);
    if (status)
        return status;
    return tars_store_check_limits(&now, now.documents - before->documents,
                                   now.bytes - before->bytes, work->err);
}

/* Who hung, and was taken for dead, must not write on beside the one that has its job by now: each
 * would take away what the other wrote. What is found here holds until the end of the transaction,
 * as far as it matters: whoever takes the job over meanwhile writes after us. */
static tars_status check_job(struct work *work)
{
    const struct tars_store_job *job = work->batch->job;
    struct tars_pg_query query;
    bool is_ours;
    bool is_first = false;
    tars_status status;

    if (!job)
        return TARS_OK;
    query = tars_pg_ask(work->conn, PGS_JOB_HOLD);
    tars_pg_bind_int(&query, job->id);
    tars_pg_bind_text(&query, work->pgs->instance);
    tars_pg_bind_int(&query, job->attempts);
    is_ours = tars_pg_step(&query);
    if (is_ours)
        is_first = tars_pg_int(&query) != 0;
    status = tars_pg_end(&query, work->err);
    if (status || (is_ours && is_first))
        return status;
    return is_ours ? tars_fail(TARS_EBUSY, work->err, "an earlier job of the file is at work")
                   : pgs_job_is_gone(job->id, work->err);
}

static tars_status do_put(struct work *work)
{
    struct tars_store_limits limits = {.tenant = ""};
    tars_status status = check_job(work);

    if (!status) {
        status = pgs_limits(work->conn, pgs_collection(work->batch->file->collection), &limits,
                            work->err);
    }
    if (!status)
        status = begin_file(work);
    for (size_t i = 0; !status && i < work->batch->put_count; i++)
        status = put_document(work, &work->batch->puts[i]);
    if (!status && work->batch->finish)
        status = finish_file(work);
    return status ? status : check_limits(work, &limits);
}

/* -------------------------------------------------------------- transactions */

static tars_status take_counters(struct work *work)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, PGS_COUNTERS_TAKE);

    if (tars_pg_step(&query)) {
        work->seq = tars_pg_int(&query);
        work->next_passage = tars_pg_int(&query) + 1;
    }
    return tars_pg_end(&query, work->err);
}

static tars_status give_counters(struct work *work)
{
    struct tars_pg_query query = tars_pg_ask(work->conn, PGS_COUNTERS_GIVE);
    int64_t changed = 0;
    tars_status status;

    tars_pg_bind_int(&query, work->seq);
    tars_pg_bind_int(&query, work->next_passage - 1);
    tars_pg_bind_text(&query, work->pgs->instance);
    tars_pg_bind_text(&query, work->pgs->token);
    status = tars_pg_run(&query, &changed, work->err);
    if (!status && changed == 0) {
        if (!work->pgs->shared)
            atomic_store(&work->pgs->is_lost, true);
        status = tars_fail(TARS_EBUSY, work->err,
                           "the store takes this server for dead, since it did not answer for too "
                           "long: nothing was written");
    }
    return status;
}

/* One durable transaction around body, which nobody else's overlaps. */
static tars_status transact(struct tars_store *store, struct work *work,
                            tars_status (*body)(struct work *work),
                            struct tars_store_changes *changes)
{
    tars_status status;

    work->pgs = pgs_of(store);
    status = pgs_begin(work->pgs, true, &work->conn, work->err);
    if (status)
        return status;
    for (size_t i = 0; i < TABLE_COUNT; i++)
        tars_buf_init(&work->rows[i], ROWS_MAX);
    begin_rows(work);
    status = take_counters(work);
    if (!status)
        status = body(work);
    if (!status)
        status = send_rows(work);
    if (!status)
        status = give_counters(work);
    status = pgs_commit(work->pgs, work->conn, status, work->err);
    for (size_t i = 0; i < TABLE_COUNT; i++)
        tars_buf_release(&work->rows[i]);
    if (!status)
        *changes = work->changes;
    return status;
}

tars_status pgs_put(struct tars_store *store, const struct tars_store_batch *batch,
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
        status = run_ints(work, PGS_FILE_BEGIN, 1, place.file_id, 0);
    if (!status)
        status = run_ints(work, PGS_FILE_DELETE_IF_EMPTY, 1, place.file_id, 0);
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
        status = run_ints(work, PGS_FILE_DELETE, 1, work->file_id, 0);
    return status;
}

tars_status pgs_forget_document(struct tars_store *store, const char *document_id,
                                struct tars_arena *arena, struct tars_store_changes *changes,
                                struct tars_err *err)
{
    struct forget forget = {.work = {.arena = arena, .err = err}, .document_id = document_id};

    return transact(store, &forget.work, do_forget_document, changes);
}

tars_status pgs_forget_file(struct tars_store *store, const char *collection, const char *path,
                            struct tars_arena *arena, struct tars_store_changes *changes,
                            struct tars_err *err)
{
    struct forget forget = {
        .work = {.arena = arena, .err = err}, .collection = collection, .path = path};

    return transact(store, &forget.work, do_forget_file, changes);
}
