/* sqlite_conn - see sqlite_conn.h for the contract. */
#include "store/sqlite_conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUSY_MS        10000
#define SQL_TEXT_BYTES 64

/* ----------------------------------------------------------------- failures */

static tars_status status_of(const struct tars_sqlite_kind *kind, int rc)
{
    if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
        return TARS_EEXIST;
    switch (rc & 0xff) {
    case SQLITE_NOMEM:
        return TARS_ENOMEM;
    case SQLITE_TOOBIG:
        return TARS_ETOOBIG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TARS_EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return kind->damaged;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return TARS_EDENIED;
    case SQLITE_INTERRUPT:
        return TARS_ECANCELED;
    case SQLITE_CONSTRAINT:
        return TARS_EINVAL;
    default:
        return TARS_EIO;
    }
}

static const char *remedy_of(const struct tars_sqlite_kind *kind, int rc)
{
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return ": the disk is full; free some space";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return kind->for_damaged;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return ": check the rights of the data folder";
    default:
        return "";
    }
}

tars_status tars_sqlite_fail(const struct tars_sqlite_conn *conn, int rc, struct tars_err *err)
{
    const char *path = conn->db ? sqlite3_db_filename(conn->db, "main") : NULL;
    const char *words = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);

    return tars_fail(status_of(conn->kind, rc), err, "%s %s: %s%s", conn->kind->name,
                     path ? path : "", words, remedy_of(conn->kind, rc));
}

tars_status tars_sqlite_exec(struct tars_sqlite_conn *conn, const char *sql, struct tars_err *err)
{
    int rc = sqlite3_exec(conn->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? TARS_OK : tars_sqlite_fail(conn, rc, err);
}

tars_status tars_sqlite_conclude(struct tars_sqlite_conn *conn, tars_status status,
                                 struct tars_err *err)
{
    if (!status)
        status = tars_sqlite_exec(conn, "COMMIT", err);
    /* A failure may have rolled back already; a second time is refused and harmless. */
    if (status && !sqlite3_get_autocommit(conn->db))
        (void)sqlite3_exec(conn->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

/* ------------------------------------------------------------------ opening */

tars_status tars_sqlite_make_private(const char *path, struct tars_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0) {
        return tars_fail(errno == EACCES || errno == EROFS ? TARS_EDENIED : TARS_EIO, err,
                         "cannot open %s: %s", path, strerror(errno));
    }
    close(fd);
    return TARS_OK;
}

tars_status tars_sqlite_open(struct tars_sqlite_conn *conn, const struct tars_sqlite_kind *kind,
                             const char *path, const char *vfs, struct tars_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc;

    conn->kind = kind;
    conn->statements = calloc(kind->text_count, sizeof(*conn->statements));
    if (!conn->statements)
        return tars_fail(TARS_ENOMEM, err, "no memory for a connection to the %s", kind->name);
    rc = sqlite3_open_v2(path, &conn->db, flags, vfs);
    if (rc != SQLITE_OK)
        return tars_sqlite_fail(conn, rc, err);
    (void)sqlite3_extended_result_codes(conn->db, 1);
    (void)sqlite3_busy_timeout(conn->db, BUSY_MS);
    (void)sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return TARS_OK;
}

void tars_sqlite_close(struct tars_sqlite_conn *conn)
{
    for (size_t i = 0; conn->statements && i < conn->kind->text_count; i++)
        (void)sqlite3_finalize(conn->statements[i]);
    free(conn->statements);
    conn->statements = NULL;
    (void)sqlite3_close(conn->db);
    conn->db = NULL;
}

static tars_status pragma_int(struct tars_sqlite_conn *conn, const char *sql, int *value,
                              struct tars_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *value = sqlite3_column_int(stmt, 0);
    (void)sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? TARS_OK : tars_sqlite_fail(conn, rc, err);
}

/* A new file gets our mark; an old one must have it. */
static tars_status identify(struct tars_sqlite_conn *conn, struct tars_err *err)
{
    char sql[SQL_TEXT_BYTES];
    int id = 0;
    int pages = 0;
    tars_status status = pragma_int(conn, "PRAGMA application_id", &id, err);

    if (!status)
        status = pragma_int(conn, "PRAGMA page_count", &pages, err);
    if (status || id == conn->kind->application_id)
        return status;
    if (pages > 0) {
        return tars_fail(TARS_EFORMAT, err, "%s is a database, but not one of T.A.R.S.: %s",
                         sqlite3_db_filename(conn->db, "main"), conn->kind->for_foreign);
    }
    status = tars_sqlite_exec(conn, conn->kind->new_file, err);
    (void)snprintf(sql, sizeof(sql), "PRAGMA application_id=%d", conn->kind->application_id);
    return status ? status : tars_sqlite_exec(conn, sql, err);
}

static tars_status run_migration(void *ctx, const struct tars_migration *migration,
                                 struct tars_err *err)
{
    struct tars_sqlite_conn *conn = ctx;
    char sql[SQL_TEXT_BYTES];
    tars_status status = tars_sqlite_exec(conn, "BEGIN IMMEDIATE", err);

    if (status)
        return status;
    status = tars_sqlite_exec(conn, migration->sql, err);
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", migration->version);
    if (!status)
        status = tars_sqlite_exec(conn, sql, err);
    return tars_sqlite_conclude(conn, status, err);
}

tars_status tars_sqlite_make_current(struct tars_sqlite_conn *conn, struct tars_err *err)
{
    int version = 0;
    tars_status status = identify(conn, err);

    if (!status)
        status = tars_sqlite_exec(conn, conn->kind->journal, err);
    if (!status)
        status = pragma_int(conn, "PRAGMA user_version", &version, err);
    if (!status)
        status = tars_migrate(conn->kind->migrations, version, run_migration, conn, err);
    return status;
}
