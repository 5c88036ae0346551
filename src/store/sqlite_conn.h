/* sqlite_conn - a connection to an SQLite file of ours: opening, the mark that tells our files from
 * others, numbered schema changes, and what a failure means.
 *
 * For the store and for whoever else keeps a file (analytics); what differs between files is a
 * const struct tars_sqlite_kind. Statements are in sqlite_query.h.
 *
 * Threads   A connection is of one thread at a time (SQLITE_OPEN_NOMUTEX).
 */
#ifndef TARS_STORE_SQLITE_CONN_H
#define TARS_STORE_SQLITE_CONN_H

#include <sqlite3.h>
#include <stddef.h>

#include "base/status.h"
#include "store/migrate.h"

/* What files of one sort have in common. */
struct tars_sqlite_kind {
    const char *name;        /* begins the words of failures: "store" */
    tars_status damaged;     /* what a damaged file is */
    const char *for_damaged; /* what to do about one; so for the next */
    const char *for_foreign; /* a database of another program */
    int application_id;      /* our mark in the file */
    const char *new_file;    /* pragmas for a file that is being made */
    const char *journal;     /* pragmas of the connection that writes */
    const struct tars_migration *migrations;
    const char *const *texts; /* (text_count,) SQL of the statements that are kept prepared */
    size_t text_count;
};

struct tars_sqlite_conn {
    const struct tars_sqlite_kind *kind;
    sqlite3 *db;
    sqlite3_stmt **statements;          /* (kind->text_count,) prepared when first used, or NULL */
    struct tars_sqlite_conn *next_idle; /* for whoever keeps a list of them */
};

/* Make the file at path, if it is missing, readable for its owner alone; SQLite would make it
 * readable for all, and its log takes the rights of the file. */
TARS_MUST_USE tars_status tars_sqlite_make_private(const char *path, struct tars_err *err);

/* Open a zeroed connection; vfs: NULL for the usual one. Closed by tars_sqlite_close() even when
 * this fails. */
TARS_MUST_USE tars_status tars_sqlite_open(struct tars_sqlite_conn *conn,
                                           const struct tars_sqlite_kind *kind, const char *path,
                                           const char *vfs, struct tars_err *err);
/* Leaves it as before tars_sqlite_open(); harmless when it is closed. */
void tars_sqlite_close(struct tars_sqlite_conn *conn);

/* The file is ours and of this version: mark a new one, switch its log on, change its schema.
 *
 *   TARS_EFORMAT    a database of another program
 *   TARS_EMISMATCH  a newer program made it
 */
TARS_MUST_USE tars_status tars_sqlite_make_current(struct tars_sqlite_conn *conn,
                                                   struct tars_err *err);

/* Run fixed text that is not worth keeping prepared. */
TARS_MUST_USE tars_status tars_sqlite_exec(struct tars_sqlite_conn *conn, const char *sql,
                                           struct tars_err *err);
/* Commit when status is TARS_OK, else roll back; the status of all. */
TARS_MUST_USE tars_status tars_sqlite_conclude(struct tars_sqlite_conn *conn, tars_status status,
                                               struct tars_err *err);
/* Status and words for the last failure of the connection, whose code is rc. */
tars_status tars_sqlite_fail(const struct tars_sqlite_conn *conn, int rc, struct tars_err *err);

#endif
