/* store_sqlite_upkeep - vectors of another model, checkpoints, backups, checks.
 *
 * New vectors go into a table of their own, made when the first arrives; the swap drops the old
 * table and renames the new one, in one transaction, so its cost does not grow with the vectors.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "store/store_sqlite_internal.h"

#define CHECKPOINT_PAGES 1000 /* of the log; less is not worth two syncs */
#define BACKUP_PAGES     1024 /* copied between two looks */

static const char make_next[] =
    "CREATE TABLE IF NOT EXISTS passage_vectors_next ("
    " passage_id INTEGER PRIMARY KEY REFERENCES passages (id) ON DELETE CASCADE,"
    " windows BLOB NOT NULL, vectors BLOB NOT NULL) STRICT";

/* --------------------------------------------------------------- new vectors */

/* A statement on the table of new vectors, which may not be there when others are prepared. */
static struct tars_sqlite_query ask_once(struct tars_sqlite_conn *conn, const char *sql)
{
    struct tars_sqlite_query query = {.conn = conn};

    query.rc = sqlite3_prepare_v2(conn->db, sql, -1, &query.stmt, NULL);
    return query;
}

static tars_status end_once(struct tars_sqlite_query *query, struct tars_err *err)
{
    tars_status status = tars_sqlite_end(query, err);

    (void)sqlite3_finalize(query->stmt);
    return status;
}

static tars_status add_next(struct tars_sqlite_conn *conn,
                            const struct tars_store_passage *passages, size_t n, size_t dim,
                            struct tars_err *err)
{
    tars_status status = tars_sqlite_exec(conn, make_next, err);

    for (size_t i = 0; !status && i < n; i++) {
        struct tars_sqlite_query query =
            ask_once(conn, "INSERT OR REPLACE INTO passage_vectors_next "
                           "SELECT id, ?2, ?3 FROM passages WHERE id = ?1");
        size_t windows = passages[i].window_count;

        tars_sqlite_bind_int(&query, (int64_t)passages[i].id);
        tars_sqlite_bind_blob(&query, passages[i].windows, windows * sizeof(*passages[i].windows));
        tars_sqlite_bind_blob(&query, passages[i].vectors, windows * dim * sizeof(float));
        (void)tars_sqlite_step(&query);
        status = end_once(&query, err);
    }
    return status;
}

tars_status tars_sqlite_revector(struct tars_store *store,
                                 const struct tars_store_passage *passages, size_t n, size_t dim,
                                 struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    return tars_sqlite_commit(sqlite, add_next(conn, passages, n, dim, err), err);
}

tars_status tars_sqlite_revector_pending(struct tars_store *store, uint64_t after, size_t max,
                                         struct tars_arena *arena, struct tars_store_passages *out,
                                         struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_gather gather = {.load = TARS_LOAD_TEXT, .arena = arena};
    struct tars_sqlite_conn *conn;
    struct tars_sqlite_query query;
    tars_status status = tars_sqlite_begin(sqlite, false, &conn, err);

    if (status)
        return status;
    status = tars_sqlite_exec(conn, make_next, err);
    if (!status) {
        query = ask_once(conn, "SELECT p.id, p.document, p.chunk_index, p.kind, p.language, "
                               "p.page_first, p.page_last, p.token_count, p.char_start, "
                               "p.char_end, p.section, p.text FROM passages p WHERE p.id > ?1 "
                               "AND NOT EXISTS (SELECT 1 FROM passage_vectors_next n "
                               "WHERE n.passage_id = p.id) ORDER BY p.id LIMIT ?2");
        tars_sqlite_bind_int(&query, (int64_t)after);
        tars_sqlite_bind_int(&query, (int64_t)max);
        tars_sqlite_collect(&gather, &query);
        status = end_once(&query, err);
    }
    status = tars_sqlite_commit(sqlite, status, err);
    if (!status)
        *out = gather.found;
    return status;
}

static tars_status swap(struct tars_sqlite_conn *conn, const struct tars_store_model *model,
                        struct tars_err *err)
{
    struct tars_sqlite_query query;
    char dim[32];
    bool lacks;
    tars_status status = tars_sqlite_exec(conn, make_next, err);

    if (status)
        return status;
    query = ask_once(conn, "SELECT 1 FROM passages p WHERE NOT EXISTS (SELECT 1 FROM "
                           "passage_vectors_next n WHERE n.passage_id = p.id) LIMIT 1");
    lacks = tars_sqlite_step(&query);
    status = end_once(&query, err);
    if (!status && lacks)
        return tars_fail(TARS_EAGAIN, err, "some passages are not embedded again yet");
    if (!status) {
        status = tars_sqlite_exec(conn,
                                  "DROP TABLE passage_vectors; "
                                  "ALTER TABLE passage_vectors_next RENAME TO passage_vectors",
                                  err);
    }
    (void)snprintf(dim, sizeof(dim), "%lld", (long long)model->dim);
    if (!status)
        status = tars_sqlite_meta_write(conn, "embed.identity", model->identity, err);
    if (!status)
        status = tars_sqlite_meta_write(conn, "embed.name", model->name, err);
    if (!status)
        status = tars_sqlite_meta_write(conn, "embed.dim", dim, err);
    return status;
}

tars_status tars_sqlite_revector_swap(struct tars_store *store,
                                      const struct tars_store_model *model, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    return tars_sqlite_commit(sqlite, swap(conn, model, err), err);
}

tars_status tars_sqlite_revector_drop(struct tars_store *store, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_begin(sqlite, true, &conn, err);

    if (status)
        return status;
    status = tars_sqlite_exec(conn, "DROP TABLE IF EXISTS passage_vectors_next", err);
    return tars_sqlite_commit(sqlite, status, err);
}

/* ---------------------------------------------------------------- checkpoint */

tars_status tars_sqlite_checkpoint(struct tars_store *store, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    int in_log = 0;
    int copied = 0;
    int rc;
    tars_status status = TARS_OK;

    if (atomic_load_explicit(&sqlite->wal_pages, memory_order_relaxed) < CHECKPOINT_PAGES)
        return TARS_OK;
    pthread_mutex_lock(&sqlite->checkpoint_lock);
    rc = sqlite3_wal_checkpoint_v2(sqlite->checkpointer.db, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                   &in_log, &copied);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY)
        status = tars_sqlite_fail(&sqlite->checkpointer, rc, err);
    pthread_mutex_unlock(&sqlite->checkpoint_lock);
    return status;
}

/* --------------------------------------------------------------------- scrub */

/* VACUUM writes every page anew; what it no longer holds is in the log until that is cut. Its own
 * connection keeps the copy in a file and not in memory. */
static tars_status rewrite(struct tars_sqlite *sqlite, struct tars_err *err)
{
    struct tars_sqlite_conn conn = {0};
    int in_log = 0;
    int copied = 0;
    int rc = SQLITE_OK;
    tars_status status = tars_sqlite_connect(sqlite, false, &conn, err);

    if (!status)
        status = tars_sqlite_exec(&conn, "PRAGMA temp_store=FILE; VACUUM", err);
    if (!status) {
        rc = sqlite3_wal_checkpoint_v2(conn.db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &in_log, &copied);
        if (rc != SQLITE_OK)
            status = tars_sqlite_fail(&conn, rc, err);
    }
    tars_sqlite_close(&conn);
    return status;
}

tars_status tars_sqlite_scrub(struct tars_store *store, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    tars_status status;

    pthread_mutex_lock(&sqlite->write_lock);
    pthread_mutex_lock(&sqlite->checkpoint_lock);
    status = rewrite(sqlite, err);
    pthread_mutex_unlock(&sqlite->checkpoint_lock);
    pthread_mutex_unlock(&sqlite->write_lock);
    return status;
}

/* -------------------------------------------------------------------- backup */

static tars_status copy_all(struct tars_sqlite_conn *from, struct tars_sqlite_conn *to,
                            struct tars_err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    int rc = SQLITE_OK;

    if (!backup)
        return tars_sqlite_fail(to, sqlite3_errcode(to->db), err);
    while (rc == SQLITE_OK)
        rc = sqlite3_backup_step(backup, BACKUP_PAGES);
    (void)sqlite3_backup_finish(backup);
    return rc == SQLITE_DONE ? TARS_OK : tars_sqlite_fail(to, rc, err);
}

/* The folder of path, so that the new name lasts. */
static tars_status sync_folder(const char *path, struct tars_err *err)
{
    char *folder = strdup(path);
    char *slash;
    tars_status status;

    if (!folder)
        return tars_fail(TARS_ENOMEM, err, "no memory for a backup");
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    status = tars_dir_sync(slash ? folder : ".", err);
    free(folder);
    return status;
}

tars_status tars_sqlite_backup(struct tars_store *store, const char *path, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *from;
    struct tars_sqlite_conn to = {.kind = &tars_sqlite_store_kind};
    tars_status status;
    int rc;

    if (access(path, F_OK) == 0)
        return tars_fail(TARS_EEXIST, err, "%s is there already: choose another name", path);
    status = tars_sqlite_read_begin(sqlite, &from, err);
    if (status)
        return status;
    rc = sqlite3_open_v2(path, &to.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, sqlite->vfs);
    status = rc == SQLITE_OK ? copy_all(from, &to, err) : tars_sqlite_fail(&to, rc, err);
    tars_sqlite_read_end(sqlite, from);
    tars_sqlite_close(&to);
    if (!status)
        status = sync_folder(path, err);
    if (status)
        (void)unlink(path);
    return status;
}

/* --------------------------------------------------------------------- check */

/* Each asks for what must not be there; the words say what it would mean. */
static const struct {
    const char *sql;
    const char *words;
} findings[] = {
    {"SELECT 1 FROM pragma_foreign_key_check() LIMIT 1", "a record refers to one that is gone"},
    {"SELECT 1 FROM documents d WHERE d.chunk_count <> (SELECT count(*) FROM passages p WHERE "
     "p.document = d.id) LIMIT 1",
     "a document has lost passages"},
    {"SELECT 1 FROM passages p JOIN documents d ON d.id = p.document WHERE p.id <> "
     "d.passage_first + p.chunk_index LIMIT 1",
     "the passages of a document are not in a row"},
    {"SELECT 1 FROM documents d WHERE d.chunk_count > 0 AND NOT EXISTS (SELECT 1 FROM changes c "
     "WHERE c.first = d.passage_first AND c.op = 1 AND c.last = d.passage_first + d.chunk_count "
     "- 1) LIMIT 1",
     "a document is missing from the log of changes"},
    {"SELECT 1 FROM changes GROUP BY first, op HAVING count(*) > 1 LIMIT 1",
     "passages are added or removed twice in the log of changes"},
    {"SELECT 1 FROM files f WHERE NOT EXISTS (SELECT 1 FROM collections c WHERE c.key = "
     "f.collection) LIMIT 1",
     "a file is of a collection that is not there"},
    {"SELECT 1 FROM collection_sizes s WHERE s.files <> (SELECT count(*) FROM files f WHERE "
     "f.collection = s.key AND f.indexed_us > 0) OR s.bytes <> (SELECT coalesce(sum(f.size), 0) "
     "FROM files f WHERE f.collection = s.key) OR (s.documents, s.passages) <> (SELECT count(*), "
     "coalesce(sum(d.chunk_count), 0) FROM files f CROSS JOIN documents d ON d.file_id = f.id "
     "WHERE f.collection = s.key) LIMIT 1",
     "the size of a collection is not what it holds"},
    {"SELECT 1 FROM grants g JOIN accounts a ON a.id = g.account JOIN collections c ON c.id = "
     "g.collection WHERE a.tenant <> c.tenant LIMIT 1",
     "an account has a right in another tenant"},
    {"SELECT 1 FROM tenants t WHERE NOT EXISTS (SELECT 1 FROM collections c WHERE c.tenant = t.id "
     "AND c.name = 'default') LIMIT 1",
     "a tenant lacks its default collection"},
    {"SELECT 1 FROM conversations c WHERE c.message_count <> (SELECT count(*) FROM messages m "
     "WHERE m.conversation = c.id) LIMIT 1",
     "a conversation has lost messages"},
};

static tars_status check_file(struct tars_sqlite_conn *conn, struct tars_err *err)
{
    struct tars_sqlite_query query = ask_once(conn, "PRAGMA integrity_check(1)");
    char words[256] = "";
    tars_status status;

    if (tars_sqlite_step(&query))
        tars_sqlite_text_into(&query, words, sizeof(words));
    status = end_once(&query, err);
    if (!status && strcmp(words, "ok") != 0)
        status = tars_fail(TARS_EFORMAT, err, "the store is damaged: %s", words);
    return status;
}

tars_status tars_sqlite_check(struct tars_store *store, struct tars_err *err)
{
    struct tars_sqlite *sqlite = tars_sqlite_of(store);
    struct tars_sqlite_conn *conn;
    tars_status status = tars_sqlite_read_begin(sqlite, &conn, err);

    if (status)
        return status;
    status = check_file(conn, err);
    for (size_t i = 0; !status && i < sizeof(findings) / sizeof(findings[0]); i++) {
        struct tars_sqlite_query query = ask_once(conn, findings[i].sql);
        bool found = tars_sqlite_step(&query);

        status = end_once(&query, err);
        if (!status && found) {
            status =
                tars_fail(TARS_EFORMAT, err, "the store contradicts itself: %s", findings[i].words);
        }
    }
    tars_sqlite_read_end(sqlite, conn);
    return status;
}
