/* sink_postgres_setup - the tables brought up to date, once, by whoever first reaches the database.
 */
#include <string.h>

#include "analytics/sink_postgres_internal.h"
#include "store/migrate.h"

/* The table of versions is there. */
static tars_status read_version(struct tars_pg_conn *conn, int *version, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_VERSION);

    *version = 0;
    if (tars_pg_step(&query))
        *version = (int)tars_pg_int(&query);
    return tars_pg_end(&query, err);
}

/* 0 where there is no table of versions. */
static tars_status look_for_version(struct tars_pg_conn *conn, int *version, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_HAS_VERSIONS);
    bool is_there = tars_pg_step(&query) && tars_pg_int(&query) != 0;
    tars_status status = tars_pg_end(&query, err);

    *version = 0;
    return status == TARS_OK && is_there ? read_version(conn, version, err) : status;
}

/* Tables of these names that are another's are not touched. */
static tars_status check_shape(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_MISFITS);
    struct tars_arena arena;
    tars_status status = TARS_OK;

    tars_arena_init(&arena, (size_t)64 << 10);
    if (tars_pg_step(&query)) {
        const char *table = tars_pg_text(&query, &arena);
        const char *column = tars_pg_text(&query, &arena);
        const char *what = tars_pg_text(&query, &arena);

        status = tars_fail(TARS_EFORMAT, err,
                           "PostgreSQL has a table %s that is not one of T.A.R.S.: %s%s%s; use "
                           "another database (POSTGRES_DB)",
                           table ? table : "", column ? column : "",
                           column && column[0] ? " " : "it ", what ? what : "");
    }
    tars_arena_release(&arena);
    if (status == TARS_OK)
        return tars_pg_end(&query, err);
    tars_pg_drop(&query);
    return status;
}

static tars_status migrate_one(void *ctx, const struct tars_migration *migration,
                               struct tars_err *err)
{
    struct tars_pg_conn *conn = ctx;
    struct tars_pg_query query;
    tars_status status = tars_pg_exec(conn, migration->sql, err);

    if (status != TARS_OK)
        return status;
    query = tars_pg_ask(conn, PG_SQL_VERSION_ADD);
    tars_pg_bind_int(&query, migration->version);
    tars_pg_bind_text(&query, migration->name);
    return tars_pg_run(&query, NULL, err);
}

/* In a transaction that holds the lock. */
static tars_status bring_up(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                            struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_LOCK);
    tars_status status = tars_pg_run(&query, NULL, err);
    int version = 0;

    /* This first: it makes the session notice what others made while it waited for the lock. */
    if (status == TARS_OK) {
        status = tars_pg_exec(conn,
                              "CREATE TABLE IF NOT EXISTS tars_migrations (version integer PRIMARY "
                              "KEY, name text NOT NULL, applied_at timestamp NOT NULL DEFAULT "
                              "(now() AT TIME ZONE 'utc'))",
                              err);
    }
    if (status == TARS_OK)
        status = read_version(conn, &version, err);
    if (status == TARS_OK && version == 0)
        status = check_shape(conn, err);
    if (status == TARS_OK) {
        query = tars_pg_ask(conn, PG_SQL_PARTITION);
        tars_pg_bind_text(&query, postgres->partition ? "on" : "off");
        status = tars_pg_run(&query, NULL, err);
    }
    if (status == TARS_OK)
        status = tars_migrate(tars_migrations_postgres_analytics, version, migrate_one, conn, err);
    return status;
}

static tars_status read_shape(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                              struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_SHAPE);
    int64_t partitioned = 0;
    tars_status status;

    if (tars_pg_step(&query)) {
        partitioned = tars_pg_int(&query);
        postgres->lowers_beyond_ascii = tars_pg_int(&query) != 0;
        postgres->has_icu = tars_pg_int(&query) != 0;
    }
    status = tars_pg_end(&query, err);
    postgres->is_partitioned = partitioned > 0;
    if (status == TARS_OK && postgres->partition && partitioned < 4) {
        tars_log_warning(postgres->log, "analytics",
                         "ANALYTICS_PARTITION: %lld of 4 tables are partitioned; those that were "
                         "there before stay as they are",
                         (long long)partitioned);
    }
    return status;
}

static tars_status read_rights(struct tars_pg_conn *conn, struct tars_arena *arena,
                               struct tars_sink_postgres_look *out, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PG_SQL_RIGHTS);

    if (tars_pg_step(&query)) {
        out->database = tars_pg_text(&query, arena);
        out->user = tars_pg_text(&query, arena);
        out->may_make = tars_pg_int(&query) != 0;
        out->foreign = tars_pg_int(&query);
        out->is_read_only = tars_pg_int(&query) != 0;
    }
    return tars_pg_end(&query, err);
}

tars_status tars_sink_postgres_look(const struct tars_pg_config *server, struct tars_arena *arena,
                                    struct tars_sink_postgres_look *out, struct tars_err *err)
{
    struct tars_sink_postgres_look seen = {
        .latest = tars_migrate_latest(tars_migrations_postgres_analytics)};
    struct tars_pg_config config = *server;
    struct tars_pg_conn conn;
    tars_status status;

    pg_give_texts(&config);
    status = tars_pg_open(&conn, &config, NULL, err);
    if (status != TARS_OK)
        return status;
    seen.server_version = tars_pg_server_version(&conn);
    seen.encoding = tars_arena_strdup(arena, tars_pg_reported(&conn, "server_encoding"));
    status = seen.encoding ? read_rights(&conn, arena, &seen, err)
                           : tars_fail(TARS_ENOMEM, err, "no memory for analytics");
    /* Whose tables they are not may not read the version either. */
    if (status == TARS_OK && look_for_version(&conn, &seen.version, err) != TARS_OK) {
        status = seen.foreign > 0 && !conn.is_broken ? TARS_OK : TARS_EUNAVAILABLE;
        seen.version = 0;
    }
    tars_pg_close(&conn);
    if (status == TARS_OK)
        *out = seen;
    return status;
}

/* A database that lacks characters would lose questions, one by one: none goes in. */
static tars_status check_encoding(struct tars_pg_conn *conn, struct tars_err *err)
{
    const char *encoding = tars_pg_reported(conn, "server_encoding");

    if (strcmp(encoding, "UTF8") == 0)
        return TARS_OK;
    return tars_fail(TARS_EFORMAT, err,
                     "the database has encoding %s, which lacks characters that questions have: "
                     "make one by CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and name "
                     "it in POSTGRES_DB",
                     encoding);
}

tars_status pg_make_current(struct sink_postgres *postgres, struct tars_pg_conn *conn,
                            struct tars_err *err)
{
    int latest = tars_migrate_latest(tars_migrations_postgres_analytics);
    int version = 0;
    tars_status status = check_encoding(conn, err);

    if (status == TARS_OK)
        status = look_for_version(conn, &version, err);
    if (status == TARS_OK && version > latest) {
        return tars_fail(TARS_EMISMATCH, err,
                         "the database has schema %d and this program knows %d: use the newer "
                         "program",
                         version, latest);
    }
    if (status == TARS_OK && version < latest) {
        status = tars_pg_exec(conn, "BEGIN", err);
        if (status == TARS_OK)
            status = tars_pg_conclude(conn, bring_up(postgres, conn, err), err);
    }
    return status == TARS_OK ? read_shape(postgres, conn, err) : status;
}
