/* sqlite_copy - see sqlite_copy.h for the contract. */
#include "store/sqlite_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "store/sqlite_query.h"

#define STEP_PAGES 1024 /* copied between two looks at the flag */
#define PATH_BYTES 4096
#define RESERVE    ((uint64_t)64 << 20) /* of room, for whoever goes on writing */

/* Constant texts of both files; a table that is not there yet is passed over. */
struct counted {
    const char *table;
    const char *sql;
};
static const struct counted store_rows[] = {
    {"files", "SELECT count(*) FROM files WHERE sha256 <> ''"},
    {"documents", "SELECT count(*) FROM documents"},
    {"passages", "SELECT count(*) FROM passages"},
    {"passage_vectors", "SELECT count(*) FROM passage_vectors"},
    {"changes", "SELECT count(*) FROM changes"},
    {"jobs", "SELECT count(*) FROM jobs"},
    {"tenants", "SELECT count(*) FROM tenants"},
    {"accounts", "SELECT count(*) FROM accounts"},
    {"api_keys", "SELECT count(*) FROM api_keys"},
    {"collections", "SELECT count(*) FROM collections"},
    {"grants", "SELECT count(*) FROM grants"},
    {"conversations", "SELECT count(*) FROM conversations"},
    {"messages", "SELECT count(*) FROM messages"},
    {"audit", "SELECT count(*) FROM audit"},
};
static const struct counted analytics_rows[] = {
    {"query_logs", "SELECT count(*) FROM query_logs"},
    {"document_accesses", "SELECT count(*) FROM document_accesses"},
    {"error_logs", "SELECT count(*) FROM error_logs"},
    {"system_metrics", "SELECT count(*) FROM system_metrics"},
};

/* What only opening and the words of failures need; no statement is kept, no schema changed. */
static const char *const no_texts[] = {""};

static const struct tars_sqlite_kind kinds[] = {
    [TARS_SQLITE_STORE] =
        {
            .name = "store",
            .damaged = TARS_EFORMAT,
            .for_damaged = ": the file is damaged",
            .for_foreign = "choose another data folder",
            .application_id = 0x54415253, /* "TARS" */
            .new_file = "",
            .journal = "",
            .texts = no_texts,
            .text_count = 1,
        },
    [TARS_SQLITE_ANALYTICS] =
        {
            .name = "analytics",
            .damaged = TARS_EFORMAT,
            .for_damaged = ": the file is damaged",
            .for_foreign = "move it out of the way",
            .application_id = 0x54415241, /* "TARA" */
            .new_file = "",
            .journal = "",
            .texts = no_texts,
            .text_count = 1,
        },
};

struct tars_sqlite_copy {
    struct tars_sqlite_conn conn;
    enum tars_sqlite_file kind;
};

/* A statement that is asked once. */
static struct tars_sqlite_query ask_copy(struct tars_sqlite_conn *conn, const char *sql)
{
    struct tars_sqlite_query query = {.conn = conn};

    query.rc = sqlite3_prepare_v2(conn->db, sql, -1, &query.stmt, NULL);
    return query;
}

static tars_status end_copy(struct tars_sqlite_query *query, struct tars_err *err)
{
    tars_status status = tars_sqlite_end(query, err);

    (void)sqlite3_finalize(query->stmt);
    return status;
}

static tars_status one_number(struct tars_sqlite_conn *conn, const char *sql, int64_t *value,
                              struct tars_err *err)
{
    struct tars_sqlite_query query = ask_copy(conn, sql);

    *value = tars_sqlite_step(&query) ? tars_sqlite_int(&query) : 0;
    return end_copy(&query, err);
}

/* ------------------------------------------------------------------- moment */

/* The log is left to its owner: a server may be starting beside us. */
static tars_status begin(struct tars_sqlite_copy *copy, const char *path, struct tars_err *err)
{
    int64_t id = 0;
    tars_status status = tars_sqlite_open(&copy->conn, &kinds[copy->kind], path, NULL, err);

    if (status != TARS_OK)
        return status;
    (void)sqlite3_wal_autocheckpoint(copy->conn.db, 0);
    (void)sqlite3_db_config(copy->conn.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    status = tars_sqlite_exec(&copy->conn, "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF; BEGIN",
                              err);
    /* The first read is what fixes the moment. */
    if (status == TARS_OK)
        status = one_number(&copy->conn, "SELECT count(*) FROM sqlite_schema", &id, err);
    if (status == TARS_OK)
        status = one_number(&copy->conn, "PRAGMA application_id", &id, err);
    if (status == TARS_OK && id != kinds[copy->kind].application_id) {
        status = tars_fail(TARS_EFORMAT, err, "%s is a database, but not the %s of T.A.R.S.", path,
                           kinds[copy->kind].name);
    }
    return status;
}

tars_status tars_sqlite_copy_begin(const char *path, enum tars_sqlite_file kind,
                                   struct tars_sqlite_copy **copy, struct tars_err *err)
{
    struct tars_sqlite_copy *made;
    tars_status status;

    if (access(path, F_OK) != 0)
        return tars_fail(TARS_ENOTFOUND, err, "there is no %s", path);
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for a copy of %s", path);
    made->kind = kind;
    status = begin(made, path, err);
    if (status != TARS_OK) {
        tars_sqlite_copy_end(made);
        return status;
    }
    *copy = made;
    return TARS_OK;
}

void tars_sqlite_copy_end(struct tars_sqlite_copy *copy)
{
    if (!copy)
        return;
    if (copy->conn.kind)
        tars_sqlite_close(&copy->conn);
    free(copy);
}

tars_status tars_sqlite_copy_sequence(struct tars_sqlite_copy *copy, uint64_t *sequence,
                                      struct tars_err *err)
{
    int64_t value = 0;
    tars_status status =
        one_number(&copy->conn, "SELECT coalesce(max(seq), 0) FROM changes", &value, err);

    if (status == TARS_OK)
        *sequence = (uint64_t)value;
    return status;
}

tars_status tars_sqlite_copy_spools(struct tars_sqlite_copy *copy, tars_sqlite_spool_fn *each,
                                    void *ctx, struct tars_err *err)
{
    struct tars_sqlite_query query =
        ask_copy(&copy->conn, "SELECT spool, state IN (1, 2) FROM jobs WHERE spool <> '' "
                              "AND state IN (1, 2, 4, 5)");
    char spool[PATH_BYTES];
    bool goes_on = true;

    while (goes_on && tars_sqlite_step(&query)) {
        tars_sqlite_text_into(&query, spool, sizeof(spool));
        goes_on = each(ctx, spool, tars_sqlite_int(&query) != 0);
    }
    return end_copy(&query, err);
}

tars_status tars_sqlite_copy_journal(struct tars_sqlite_copy *copy, uint64_t journal,
                                     uint64_t *position, struct tars_err *err)
{
    struct tars_sqlite_query query =
        ask_copy(&copy->conn, "SELECT position FROM journal_marks WHERE journal = ?1");
    uint64_t found = 0;
    tars_status status;

    tars_sqlite_bind_int(&query, (int64_t)journal);
    if (tars_sqlite_step(&query))
        found = (uint64_t)tars_sqlite_int(&query);
    status = end_copy(&query, err);
    if (status == TARS_OK)
        *position = found;
    return status;
}

static tars_status has_table(struct tars_sqlite_copy *copy, const char *table, bool *has,
                             struct tars_err *err)
{
    struct tars_sqlite_query query =
        ask_copy(&copy->conn, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1");

    tars_sqlite_bind_text(&query, table);
    *has = tars_sqlite_step(&query);
    return end_copy(&query, err);
}

tars_status tars_sqlite_copy_rows(struct tars_sqlite_copy *copy, tars_sqlite_rows_fn *each,
                                  void *ctx, struct tars_err *err)
{
    size_t store = sizeof(store_rows) / sizeof(store_rows[0]);
    size_t analytics = sizeof(analytics_rows) / sizeof(analytics_rows[0]);
    size_t count = copy->kind == TARS_SQLITE_STORE ? store : analytics;
    tars_status status = TARS_OK;

    for (size_t i = 0; status == TARS_OK && i < count; i++) {
        bool is_store = copy->kind == TARS_SQLITE_STORE;
        const char *table = is_store ? store_rows[i].table : analytics_rows[i].table;
        int64_t rows = 0;
        bool has = false;

        status = has_table(copy, table, &has, err);
        if (status != TARS_OK || !has)
            continue;
        status = is_store ? one_number(&copy->conn, store_rows[i].sql, &rows, err)
                          : one_number(&copy->conn, analytics_rows[i].sql, &rows, err);
        if (status == TARS_OK)
            each(ctx, table, rows);
    }
    return status;
}

/* ------------------------------------------------------------------- copying */

static tars_status copy_pages(struct tars_sqlite_conn *from, struct tars_sqlite_conn *to,
                              const atomic_bool *stop, struct tars_err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    bool is_stopped = false;
    int rc = SQLITE_OK;

    if (!backup)
        return tars_sqlite_fail(to, sqlite3_errcode(to->db), err);
    while (rc == SQLITE_OK && !is_stopped) {
        rc = sqlite3_backup_step(backup, STEP_PAGES);
        is_stopped = stop && atomic_load_explicit(stop, memory_order_relaxed);
    }
    (void)sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE)
        return TARS_OK;
    return rc == SQLITE_OK ? tars_fail(TARS_ECANCELED, err, "stopped")
                           : tars_sqlite_fail(to, rc, err);
}

/* Open a new file, for SQLite and for ourselves, and take its name away. */
static tars_status open_nameless(struct tars_sqlite_conn *to, enum tars_sqlite_file kind,
                                 const char *path, int *fd, struct tars_err *err)
{
    tars_status status;

    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*fd < 0)
        return tars_fail(TARS_EIO, err, "cannot make %s: %s", path, strerror(errno));
    status = tars_sqlite_open(to, &kinds[kind], path, NULL, err);
    /* Nobody reads it if this fails, so nothing need be undone or synced. */
    if (status == TARS_OK)
        status = tars_sqlite_exec(to, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF", err);
    (void)unlink(path);
    return status;
}

/* Before a copy fills the disk that a server writes to. A file system that does not tell is tried.
 */
static tars_status check_room(struct tars_sqlite_copy *copy, const char *folder,
                              struct tars_err *err)
{
    int64_t pages = 0;
    int64_t page_bytes = 0;
    struct statvfs about;
    uint64_t wanted;
    uint64_t is_free;
    tars_status status = one_number(&copy->conn, "PRAGMA page_count", &pages, err);

    if (status == TARS_OK)
        status = one_number(&copy->conn, "PRAGMA page_size", &page_bytes, err);
    if (status != TARS_OK || statvfs(folder, &about) != 0)
        return status;
    wanted = (uint64_t)pages * (uint64_t)page_bytes + RESERVE;
    is_free = (uint64_t)about.f_bavail * about.f_frsize;
    if (is_free >= wanted)
        return TARS_OK;
    return tars_fail(
        TARS_EIO, err,
        "a copy of the %s needs %llu MB of room in %s, and %llu MB are free: free some "
        "space and run it again",
        kinds[copy->kind].name, (unsigned long long)(wanted / 1000000), folder,
        (unsigned long long)(is_free / 1000000));
}

tars_status tars_sqlite_copy_run(struct tars_sqlite_copy *copy, const char *folder,
                                 const atomic_bool *stop, int *fd, struct tars_err *err)
{
    struct tars_sqlite_conn to = {.kind = &kinds[copy->kind]};
    char path[PATH_MAX];
    char random[17];
    int made = -1;
    tars_status status = tars_random_hex(random, sizeof(random) / 2);

    if (status != TARS_OK)
        return tars_fail(status, err, "no random name for a copy");
    if (snprintf(path, sizeof(path), "%s/copy-%s.tmp", folder, random) >= (int)sizeof(path))
        return tars_fail(TARS_EINVAL, err, "the name of the folder %s is too long", folder);
    status = check_room(copy, folder, err);
    if (status != TARS_OK)
        return status;
    status = open_nameless(&to, copy->kind, path, &made, err);
    if (status == TARS_OK)
        status = copy_pages(&copy->conn, &to, stop, err);
    tars_sqlite_close(&to);
    if (status != TARS_OK) {
        if (made >= 0)
            close(made);
        return status;
    }
    *fd = made;
    return TARS_OK;
}

/* ------------------------------------------------------------------- a copy */

tars_status tars_sqlite_copy_check(struct tars_sqlite_copy *copy, struct tars_err *err)
{
    struct tars_sqlite_query query = ask_copy(&copy->conn, "PRAGMA integrity_check(1)");
    char words[256] = "";
    tars_status status;

    if (tars_sqlite_step(&query))
        tars_sqlite_text_into(&query, words, sizeof(words));
    status = end_copy(&query, err);
    if (status == TARS_OK && strcmp(words, "ok") != 0) {
        status =
            tars_fail(TARS_EFORMAT, err, "the %s is damaged: %s", kinds[copy->kind].name, words);
    }
    return status;
}

static tars_status move(struct tars_sqlite_conn *conn, const char *from, const char *to,
                        struct tars_err *err)
{
    struct tars_sqlite_query query =
        ask_copy(conn, "UPDATE jobs SET spool = ?2 || substr(spool, length(?1) + 1) "
                       "WHERE spool <> '' AND substr(spool, 1, length(?1) + 1) = ?1 || '/'");

    tars_sqlite_bind_text(&query, from);
    tars_sqlite_bind_text(&query, to);
    (void)tars_sqlite_step(&query);
    return end_copy(&query, err);
}

tars_status tars_sqlite_copy_move(const char *path, const char *from, const char *to,
                                  struct tars_err *err)
{
    struct tars_sqlite_conn conn = {.kind = &kinds[TARS_SQLITE_STORE]};
    tars_status status = tars_sqlite_open(&conn, &kinds[TARS_SQLITE_STORE], path, NULL, err);

    if (status == TARS_OK)
        status = tars_sqlite_exec(&conn, "PRAGMA synchronous=FULL; BEGIN IMMEDIATE", err);
    if (status == TARS_OK)
        status = tars_sqlite_conclude(&conn, move(&conn, from, to, err), err);
    /* With the last connection the log goes into the file. */
    tars_sqlite_close(&conn);
    return status;
}

tars_status tars_sqlite_copy_settle(const char *path, enum tars_sqlite_file kind,
                                    struct tars_err *err)
{
    struct tars_sqlite_conn conn = {.kind = &kinds[kind]};
    char log[PATH_MAX];
    struct stat about;
    tars_status status;

    if (snprintf(log, sizeof(log), "%s-wal", path) >= (int)sizeof(log))
        return tars_fail(TARS_EINVAL, err, "the name %s is too long", path);
    if (stat(log, &about) != 0 || about.st_size == 0)
        return TARS_OK;
    status = tars_sqlite_open(&conn, &kinds[kind], path, NULL, err);
    if (status == TARS_OK)
        status = tars_sqlite_exec(&conn, "PRAGMA wal_checkpoint(TRUNCATE)", err);
    tars_sqlite_close(&conn);
    if (status == TARS_OK && stat(log, &about) == 0 && about.st_size > 0)
        status = tars_fail(TARS_EBUSY, err, "%s is in use by another process", path);
    return status;
}
