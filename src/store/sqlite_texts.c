/* sqlite_texts - see sqlite_texts.h. */
#include "store/sqlite_texts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/migrate.h"
#include "store/sqlite_conn.h"
#include "store/sqlite_query.h"

#define PATH_BYTES     4096
#define DOCUMENT_BYTES ((size_t)1 << 30)
#define KEY_BYTES      256
#define READERS        4 /* that read at once */

enum text_sql {
    SQL_FILLED,
    SQL_FILLED_SET,
    SQL_FOLLOWED,
    SQL_FOLLOWED_SET,
    SQL_DOCUMENT_ADD,
    SQL_PASSAGE_ADD,
    SQL_PASSAGES_REMOVE,
    SQL_DOCUMENTS_REMOVE,
    SQL_PASSAGE,
    SQL_DOCUMENTS,
    SQL_RUNS,
    SQL_SIZES,
    SQL_COUNT
};

#define DOCUMENT_COLUMNS                                                                      \
    "d.document_id, d.collection, d.path, d.external_id, d.file_name, d.file_type, d.title, " \
    "d.language, d.file_size, d.sha256, d.created_us, d.modified_us, d.indexed_us, "          \
    "d.page_count, d.word_count, d.char_count, d.metadata, d.first, d.chunk_count "

static const char *const texts_sql[] = {
    [SQL_FILLED] = "SELECT filled FROM state",
    [SQL_FILLED_SET] = "UPDATE state SET filled = ?1",
    [SQL_FOLLOWED] = "SELECT seq FROM followed",
    [SQL_FOLLOWED_SET] = "UPDATE followed SET seq = max(seq, ?1)",
    [SQL_DOCUMENT_ADD] =
        "INSERT OR REPLACE INTO documents (document_id, collection, path, external_id, file_name, "
        "file_type, title, language, file_size, sha256, created_us, modified_us, indexed_us, "
        "page_count, word_count, char_count, metadata, first, chunk_count) VALUES (?1, ?2, ?3, ?4, "
        "?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)",
    [SQL_PASSAGE_ADD] =
        "INSERT OR REPLACE INTO passages (id, first, chunk_index, kind, language, page_first, "
        "page_last, token_count, char_start, char_end, section, text) VALUES (?1, ?2, ?3, ?4, ?5, "
        "?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    [SQL_PASSAGES_REMOVE] = "DELETE FROM passages WHERE id BETWEEN ?1 AND ?2",
    [SQL_DOCUMENTS_REMOVE] = "DELETE FROM documents WHERE first BETWEEN ?1 AND ?2",
    [SQL_PASSAGE] = "SELECT p.id, p.chunk_index, p.kind, p.language, p.page_first, p.page_last, "
                    "p.token_count, p.char_start, p.char_end, p.section, p.text, " DOCUMENT_COLUMNS
                    "FROM passages p JOIN documents d ON d.first = p.first WHERE p.id = ?1",
    [SQL_DOCUMENTS] =
        "SELECT " DOCUMENT_COLUMNS "FROM documents d WHERE (?1 IS NULL OR d.collection = ?1) AND "
        "(?2 IS NULL OR d.path = ?2) AND (?3 IS NULL OR d.path = ?3 OR (d.path > ?3 || '/' AND "
        "d.path < ?3 || '0')) AND (?4 IS NULL OR d.sha256 = ?4) AND d.first > ?5 "
        "ORDER BY d.collection, d.path, d.external_id LIMIT ?6 OFFSET ?7",
    [SQL_RUNS] = "SELECT first, first + chunk_count - 1, collection FROM documents "
                 "WHERE first > ?1 ORDER BY first",
    [SQL_SIZES] = "SELECT collection, count(*), coalesce(sum(chunk_count), 0), "
                  "coalesce(sum(file_size), 0), max(indexed_us) FROM documents "
                  "GROUP BY collection ORDER BY collection",
};

static const struct tars_migration none[] = {{0, NULL, NULL}};

static const struct tars_sqlite_kind kind = {
    .name = "texts",
    .damaged = TARS_EFORMAT,
    .for_damaged = ": it is made again",
    .for_foreign = "remove it",
    .application_id = 0x54415254, /* "TART" */
    .new_file = "PRAGMA page_size=8192",
    .journal = "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864;"
               "PRAGMA synchronous=OFF; PRAGMA secure_delete=ON",
    .migrations = none,
    .texts = texts_sql,
    .text_count = SQL_COUNT,
};

struct reader {
    pthread_mutex_t lock; /* guards conn */
    struct tars_sqlite_conn conn;
};

struct tars_texts {
    char path[PATH_BYTES];
    pthread_mutex_t write_lock; /* guards writer; taken before those of readers */
    struct tars_sqlite_conn writer;
    struct reader readers[READERS];
    atomic_uint turn; /* whose the next reader is, where all are in use */
};

/* ------------------------------------------------------------------- opening */

static tars_status connect_both(struct tars_texts *texts, struct tars_err *err)
{
    tars_status status = tars_sqlite_make_private(texts->path, err);

    if (!status)
        status = tars_sqlite_open(&texts->writer, &kind, texts->path, NULL, err);
    if (!status)
        status = tars_sqlite_make_current(&texts->writer, err);
    if (!status) {
        status = tars_sqlite_exec(
            &texts->writer,
            "CREATE TABLE IF NOT EXISTS state (one INTEGER PRIMARY KEY CHECK (one = 1), filled "
            "INTEGER NOT NULL); INSERT OR IGNORE INTO state (one, filled) VALUES (1, 0);"
            "CREATE TABLE IF NOT EXISTS followed (one INTEGER PRIMARY KEY CHECK (one = 1), seq "
            "INTEGER NOT NULL); INSERT OR IGNORE INTO followed (one, seq) VALUES (1, 0);"
            "CREATE TABLE IF NOT EXISTS documents (first INTEGER PRIMARY KEY, document_id TEXT, "
            "collection TEXT, path TEXT, external_id TEXT, file_name TEXT, file_type TEXT, title "
            "TEXT, language INTEGER, file_size INTEGER, sha256 TEXT, created_us INTEGER, "
            "modified_us INTEGER, indexed_us INTEGER, page_count INTEGER, word_count INTEGER, "
            "char_count INTEGER, metadata TEXT, chunk_count INTEGER);"
            "CREATE TABLE IF NOT EXISTS passages (id INTEGER PRIMARY KEY, first INTEGER, "
            "chunk_index INTEGER, kind INTEGER, language INTEGER, page_first INTEGER, page_last "
            "INTEGER, token_count INTEGER, char_start INTEGER, char_end INTEGER, section TEXT, "
            "text TEXT)",
            err);
    }
    for (size_t i = 0; !status && i < READERS; i++)
        status = tars_sqlite_open(&texts->readers[i].conn, &kind, texts->path, NULL, err);
    return status;
}

static void disconnect(struct tars_texts *texts)
{
    for (size_t i = 0; i < READERS; i++)
        tars_sqlite_close(&texts->readers[i].conn);
    tars_sqlite_close(&texts->writer);
}

static void remove_file(const struct tars_texts *texts)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    char path[PATH_BYTES + 8];

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s%s", texts->path, endings[i]);
        (void)unlink(path);
    }
}

tars_status tars_texts_open(const char *path, struct tars_texts **texts, struct tars_err *err)
{
    struct tars_texts *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the texts of passages");
    pthread_mutex_init(&made->write_lock, NULL);
    for (size_t i = 0; i < READERS; i++)
        pthread_mutex_init(&made->readers[i].lock, NULL);
    if (snprintf(made->path, sizeof(made->path), "%s", path) >= (int)sizeof(made->path)) {
        tars_texts_close(made);
        return tars_fail(TARS_EINVAL, err, "the path of the data folder is too long");
    }
    status = connect_both(made, err);
    if (status == TARS_EFORMAT || status == TARS_EMISMATCH) {
        disconnect(made);
        remove_file(made);
        status = connect_both(made, err);
    }
    if (status) {
        tars_texts_close(made);
        return status;
    }
    *texts = made;
    return TARS_OK;
}

void tars_texts_close(struct tars_texts *texts)
{
    if (!texts)
        return;
    disconnect(texts);
    pthread_mutex_destroy(&texts->write_lock);
    for (size_t i = 0; i < READERS; i++)
        pthread_mutex_destroy(&texts->readers[i].lock);
    free(texts);
}

/* ------------------------------------------------------------------- writing */

static uint64_t read_number(struct tars_texts *texts, enum text_sql sql)
{
    struct tars_sqlite_query query;
    uint64_t number = 0;

    pthread_mutex_lock(&texts->write_lock);
    query = tars_sqlite_ask(&texts->writer, sql);
    if (tars_sqlite_step(&query))
        number = (uint64_t)tars_sqlite_int(&query);
    (void)!tars_sqlite_end(&query, NULL);
    pthread_mutex_unlock(&texts->write_lock);
    return number;
}

uint64_t tars_texts_filled(struct tars_texts *texts)
{
    return read_number(texts, SQL_FILLED);
}

uint64_t tars_texts_followed(struct tars_texts *texts)
{
    return read_number(texts, SQL_FOLLOWED);
}

static tars_status add_document(struct tars_sqlite_conn *conn,
                                const struct tars_store_document *document, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SQL_DOCUMENT_ADD);

    tars_sqlite_bind_text(&query, document->document_id);
    tars_sqlite_bind_text(&query, document->collection);
    tars_sqlite_bind_text(&query, document->path);
    tars_sqlite_bind_text(&query, document->external_id);
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
    tars_sqlite_bind_int(&query, (int64_t)document->passage_first);
    tars_sqlite_bind_int(&query, document->chunk_count);
    return tars_sqlite_run(&query, err);
}

static tars_status add_passage(struct tars_sqlite_conn *conn,
                               const struct tars_store_passage *passage, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, SQL_PASSAGE_ADD);

    tars_sqlite_bind_int(&query, (int64_t)passage->id);
    tars_sqlite_bind_int(&query, (int64_t)passage->document->passage_first);
    tars_sqlite_bind_int(&query, passage->chunk_index);
    tars_sqlite_bind_int(&query, passage->kind);
    tars_sqlite_bind_int(&query, passage->language);
    tars_sqlite_bind_int(&query, passage->page_first);
    tars_sqlite_bind_int(&query, passage->page_last);
    tars_sqlite_bind_int(&query, passage->token_count);
    tars_sqlite_bind_int(&query, (int64_t)passage->char_start);
    tars_sqlite_bind_int(&query, (int64_t)passage->char_end);
    tars_sqlite_bind_text(&query, passage->section);
    tars_sqlite_bind_text_n(&query, passage->text, passage->text_len);
    return tars_sqlite_run(&query, err);
}

static tars_status set_number(struct tars_sqlite_conn *conn, enum text_sql sql, uint64_t number,
                              struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);

    tars_sqlite_bind_int(&query, (int64_t)number);
    return tars_sqlite_run(&query, err);
}

static tars_status add_all(struct tars_sqlite_conn *conn,
                           const struct tars_store_passages *passages, uint64_t filled,
                           struct tars_err *err)
{
    const struct tars_store_document *last = NULL;
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < passages->count; i++) {
        const struct tars_store_passage *passage = &passages->items[i];

        if (i == 0 || passage->document != last)
            status = add_document(conn, passage->document, err);
        last = passage->document;
        if (!status)
            status = add_passage(conn, passage, err);
    }
    return status ? status : set_number(conn, SQL_FILLED_SET, filled, err);
}

tars_status tars_texts_add(struct tars_texts *texts, const struct tars_store_passages *passages,
                           uint64_t filled, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&texts->write_lock);
    status = tars_sqlite_exec(&texts->writer, "BEGIN IMMEDIATE", err);
    if (!status) {
        status = tars_sqlite_conclude(&texts->writer,
                                      add_all(&texts->writer, passages, filled, err), err);
    }
    pthread_mutex_unlock(&texts->write_lock);
    return status;
}

static tars_status remove_by(struct tars_sqlite_conn *conn, enum text_sql sql, uint64_t first,
                             uint64_t last, struct tars_err *err)
{
    struct tars_sqlite_query query = tars_sqlite_ask(conn, sql);

    tars_sqlite_bind_int(&query, (int64_t)first);
    tars_sqlite_bind_int(&query, (int64_t)last);
    return tars_sqlite_run(&query, err);
}

tars_status tars_texts_remove(struct tars_texts *texts, uint64_t first, uint64_t last,
                              struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&texts->write_lock);
    status = remove_by(&texts->writer, SQL_PASSAGES_REMOVE, first, last, err);
    if (!status)
        status = remove_by(&texts->writer, SQL_DOCUMENTS_REMOVE, first, last, err);
    pthread_mutex_unlock(&texts->write_lock);
    return status;
}

static tars_status follow_all(struct tars_sqlite_conn *conn,
                              const struct tars_store_changes *changes, uint64_t seq,
                              struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < changes->count; i++) {
        const struct tars_store_change *change = &changes->items[i];

        if (change->op != TARS_CHANGE_REMOVE)
            continue;
        status = remove_by(conn, SQL_PASSAGES_REMOVE, change->first, change->last, err);
        if (!status)
            status = remove_by(conn, SQL_DOCUMENTS_REMOVE, change->first, change->last, err);
    }
    return status ? status : set_number(conn, SQL_FOLLOWED_SET, seq, err);
}

tars_status tars_texts_follow(struct tars_texts *texts, const struct tars_store_changes *changes,
                              uint64_t seq, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&texts->write_lock);
    status = tars_sqlite_exec(&texts->writer, "BEGIN IMMEDIATE", err);
    if (!status) {
        status = tars_sqlite_conclude(&texts->writer, follow_all(&texts->writer, changes, seq, err),
                                      err);
    }
    pthread_mutex_unlock(&texts->write_lock);
    return status;
}

tars_status tars_texts_tidy(struct tars_texts *texts, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&texts->write_lock);
    for (size_t i = 0; i < READERS; i++)
        pthread_mutex_lock(&texts->readers[i].lock); /* a reader would keep it from it */
    status = tars_sqlite_exec(&texts->writer, "PRAGMA wal_checkpoint(TRUNCATE)", err);
    for (size_t i = 0; i < READERS; i++)
        pthread_mutex_unlock(&texts->readers[i].lock);
    pthread_mutex_unlock(&texts->write_lock);
    return status;
}

tars_status tars_texts_clear(struct tars_texts *texts, struct tars_err *err)
{
    tars_status status;

    pthread_mutex_lock(&texts->write_lock);
    status = tars_sqlite_exec(&texts->writer, "BEGIN IMMEDIATE", err);
    if (!status) {
        status = tars_sqlite_exec(&texts->writer,
                                  "DELETE FROM passages; DELETE FROM documents; "
                                  "UPDATE state SET filled = 0",
                                  err);
        status = tars_sqlite_conclude(&texts->writer, status, err);
    }
    pthread_mutex_unlock(&texts->write_lock);
    return status;
}

/* ------------------------------------------------------------------- reading */

/* With its lock: one that nobody has, else the one whose turn it is. */
static struct reader *take_reader(struct tars_texts *texts)
{
    unsigned turn = atomic_fetch_add(&texts->turn, 1);

    for (unsigned i = 0; i < READERS; i++) {
        struct reader *reader = &texts->readers[(turn + i) % READERS];

        if (pthread_mutex_trylock(&reader->lock) == 0)
            return reader;
    }
    pthread_mutex_lock(&texts->readers[turn % READERS].lock);
    return &texts->readers[turn % READERS];
}

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

static void read_passage(struct tars_sqlite_query *query, struct tars_arena *arena,
                         struct tars_store_document *document, struct tars_store_passage *out)
{
    out->id = (uint64_t)tars_sqlite_int(query);
    out->chunk_index = (int)tars_sqlite_int(query);
    out->kind = (int)tars_sqlite_int(query);
    out->language = (int)tars_sqlite_int(query);
    out->page_first = (int)tars_sqlite_int(query);
    out->page_last = (int)tars_sqlite_int(query);
    out->token_count = (int)tars_sqlite_int(query);
    out->char_start = (size_t)tars_sqlite_int(query);
    out->char_end = (size_t)tars_sqlite_int(query);
    out->section = tars_sqlite_text(query, arena, NULL);
    out->text = tars_sqlite_text(query, arena, &out->text_len);
    read_document(query, arena, document);
    out->document = document;
    (void)snprintf(out->chunk_id, sizeof(out->chunk_id), "%s_chunk_%d", document->document_id,
                   out->chunk_index);
}

/* *found: it is here. */
static tars_status one_passage(struct tars_sqlite_conn *conn, uint64_t id, struct tars_arena *arena,
                               struct tars_store_passage *out, bool *found, struct tars_err *err)
{
    struct tars_store_document *document = tars_arena_calloc(arena, 1, sizeof(*document));
    struct tars_sqlite_query query;

    if (!document)
        return tars_fail(TARS_ENOMEM, err, "no memory for passages");
    query = tars_sqlite_ask(conn, SQL_PASSAGE);
    tars_sqlite_bind_int(&query, (int64_t)id);
    *found = tars_sqlite_step(&query);
    if (*found)
        read_passage(&query, arena, document, out);
    return tars_sqlite_end(&query, err);
}

tars_status tars_texts_passages(struct tars_texts *texts, const uint64_t *ids, size_t n,
                                struct tars_arena *arena, struct tars_store_passages *out,
                                struct tars_err *err)
{
    struct tars_store_passage *items = tars_arena_calloc(arena, n + 1, sizeof(*items));
    tars_status status = TARS_OK;
    struct reader *reader;
    size_t count = 0;

    if (!items)
        return tars_fail(TARS_ENOMEM, err, "no memory for passages");
    reader = take_reader(texts);
    for (size_t i = 0; !status && i < n; i++) {
        bool found = false;

        if (ids[i] > INT64_MAX)
            continue;
        status = one_passage(&reader->conn, ids[i], arena, &items[count], &found, err);
        count += found;
    }
    pthread_mutex_unlock(&reader->lock);
    if (!status)
        *out = (struct tars_store_passages){items, count};
    return status;
}

/* Only as long as one row of these. */
static void bind_filter(struct tars_sqlite_query *query,
                        const struct tars_store_document_filter *by)
{
    tars_sqlite_bind_text_or_null(query, by->collection);
    tars_sqlite_bind_text_or_null(query, by->path);
    tars_sqlite_bind_text_or_null(query, by->under);
    tars_sqlite_bind_text_or_null(query, by->sha256);
    tars_sqlite_bind_int(query, (int64_t)by->after_passage);
    tars_sqlite_bind_int(query, by->limit ? (int64_t)by->limit : -1);
    tars_sqlite_bind_int(query, (int64_t)by->offset);
}

tars_status tars_texts_documents(struct tars_texts *texts,
                                 const struct tars_store_document_filter *filter,
                                 tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    static const struct tars_store_document_filter all;
    struct tars_sqlite_query query;
    struct tars_arena arena;
    struct reader *reader;
    bool go_on = true;
    tars_status status;

    tars_arena_init(&arena, DOCUMENT_BYTES);
    reader = take_reader(texts);
    query = tars_sqlite_ask(&reader->conn, SQL_DOCUMENTS);
    bind_filter(&query, filter ? filter : &all);
    while (go_on && tars_sqlite_step(&query)) {
        struct tars_store_document document = {.document_id = ""};

        tars_arena_clear(&arena);
        read_document(&query, &arena, &document);
        go_on = !query.no_memory && each(ctx, &document);
    }
    status = tars_sqlite_end(&query, err);
    pthread_mutex_unlock(&reader->lock);
    tars_arena_release(&arena);
    return status;
}

tars_status tars_texts_runs(struct tars_texts *texts, uint64_t after, tars_store_run_fn *each,
                            void *ctx, struct tars_err *err)
{
    struct tars_sqlite_query query;
    char key[KEY_BYTES];
    struct reader *reader;
    bool go_on = true;
    tars_status status;

    reader = take_reader(texts);
    query = tars_sqlite_ask(&reader->conn, SQL_RUNS);
    tars_sqlite_bind_int(&query, (int64_t)after);
    while (go_on && tars_sqlite_step(&query)) {
        struct tars_store_run run = {.collection = key};

        run.first = (uint64_t)tars_sqlite_int(&query);
        run.last = (uint64_t)tars_sqlite_int(&query);
        tars_sqlite_text_into(&query, key, sizeof(key));
        go_on = each(ctx, &run);
    }
    status = tars_sqlite_end(&query, err);
    pthread_mutex_unlock(&reader->lock);
    return status;
}

tars_status tars_texts_sizes(struct tars_texts *texts, struct tars_arena *arena,
                             struct tars_collection_size **sizes, size_t *count,
                             struct tars_err *err)
{
    struct tars_sqlite_rows rows;
    struct tars_collection_size *row;
    struct reader *reader;
    tars_status status;

    reader = take_reader(texts);
    rows = tars_sqlite_ask_rows(&reader->conn, SQL_SIZES, arena);
    while ((row = tars_sqlite_next_row(&rows, sizeof(*row))) != NULL) {
        row->key = tars_sqlite_text(&rows.query, arena, NULL);
        row->documents = row->files = tars_sqlite_int(&rows.query);
        row->passages = tars_sqlite_int(&rows.query);
        row->bytes = tars_sqlite_int(&rows.query);
        row->last_indexed_us = tars_sqlite_int(&rows.query);
    }
    status = tars_sqlite_end(&rows.query, err);
    pthread_mutex_unlock(&reader->lock);
    if (status)
        return status;
    *sizes = rows.items;
    *count = rows.count;
    return TARS_OK;
}
