/* store_postgres_upkeep - vectors of another model, tables written anew, checks.
 *
 * New vectors go into a table of their own; the swap drops the old table and renames the new one,
 * in one transaction, so its cost does not grow with the vectors.
 */
#include <string.h>

#include "store/store_postgres_internal.h"

/* --------------------------------------------------------------- new vectors */

static tars_status add_next(struct tars_pg_conn *conn, const struct tars_store_passage *passages,
                            size_t n, size_t dim, struct tars_err *err)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < n; i++) {
        struct tars_pg_query query = tars_pg_ask(conn, PGS_NEXT_ADD);
        size_t windows = passages[i].window_count;

        tars_pg_bind_int(&query, (int64_t)passages[i].id);
        tars_pg_bind_bytes(&query, passages[i].windows, windows * sizeof(*passages[i].windows));
        tars_pg_bind_bytes(&query, passages[i].vectors, windows * dim * sizeof(float));
        status = tars_pg_do(&query, err);
    }
    return status;
}

tars_status pgs_revector(struct tars_store *store, const struct tars_store_passage *passages,
                         size_t n, size_t dim, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, false, &conn, err);

    if (status)
        return status;
    return pgs_commit(pgs, conn, add_next(conn, passages, n, dim, err), err);
}

/* Who shares the store goes on with the model that it began with: its vectors would be put among
 * those of another. Who comes now waits for the counters, and finds the new one. */
static tars_status check_alone(const struct pgs *pgs, struct tars_pg_conn *conn,
                               struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_INSTANCE_COUNT);
    int64_t others = 0;
    tars_status status;

    tars_pg_bind_text(&query, pgs->instance);
    status = pgs_one_int(&query, &others, err);
    if (!status && others) {
        status = tars_fail(TARS_EBUSY, err,
                           "the vectors are of a new model, and other servers still use the one "
                           "before: stop all of them, then start them with the new one");
    }
    return status;
}

/* Nobody puts documents in meanwhile, so none can come to lack a vector. */
static tars_status check_next(const struct pgs *pgs, struct tars_pg_conn *conn,
                              struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_COUNTERS_TAKE);
    int64_t lacks = 0;
    tars_status status = tars_pg_do(&query, err);

    if (!status)
        status = check_alone(pgs, conn, err);
    if (!status) {
        query = tars_pg_ask(conn, PGS_NEXT_LACKS);
        status = pgs_one_int(&query, &lacks, err);
    }
    if (!status && lacks)
        status = tars_fail(TARS_EAGAIN, err, "some passages are not embedded again yet");
    return status;
}

static tars_status swap(const struct pgs *pgs, struct tars_pg_conn *conn,
                        const struct tars_store_model *model, struct tars_err *err)
{
    char dim[TARS_PG_NUMBER_BYTES];
    tars_status status = check_next(pgs, conn, err);

    if (!status) {
        status = tars_pg_exec(
            conn,
            "DROP TABLE tars.passage_vectors; "
            "ALTER TABLE tars.passage_vectors_next RENAME TO passage_vectors; "
            "CREATE TABLE tars.passage_vectors_next (passage_id bigint PRIMARY KEY REFERENCES "
            "tars.passages (id) ON DELETE CASCADE, windows bytea NOT NULL, "
            "vectors bytea NOT NULL); "
            "ALTER TABLE tars.passage_vectors_next ALTER COLUMN vectors SET STORAGE EXTERNAL",
            err);
    }
    (void)snprintf(dim, sizeof(dim), "%lld", (long long)model->dim);
    if (!status)
        status = pgs_meta_write(conn, "embed.identity", model->identity, err);
    if (!status)
        status = pgs_meta_write(conn, "embed.name", model->name, err);
    if (!status)
        status = pgs_meta_write(conn, "embed.dim", dim, err);
    return status;
}

tars_status pgs_revector_swap(struct tars_store *store, const struct tars_store_model *model,
                              struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    status = pgs_take_time(conn, err);
    if (!status)
        status = swap(pgs, conn, model, err);
    return pgs_commit(pgs, conn, status, err);
}

tars_status pgs_revector_drop(struct tars_store *store, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    status = tars_pg_exec(conn, "TRUNCATE tars.passage_vectors_next", err);
    return pgs_commit(pgs, conn, status, err);
}

/* -------------------------------------------------------------------- files */

tars_status pgs_checkpoint(struct tars_store *store, struct tars_err *err)
{
    (void)store;
    (void)err;
    return TARS_OK; /* the server's own */
}

tars_status pgs_backup(struct tars_store *store, const char *path, struct tars_err *err)
{
    (void)store;
    (void)path;
    return tars_fail(TARS_EUNSUPPORTED, err,
                     "documents are in PostgreSQL: copy them by pg_dump --schema=tars, or by the "
                     "server's own archive");
}

/* A statement each, since VACUUM runs in no transaction; the tables that what was removed may be
 * in. */
tars_status pgs_scrub(struct tars_store *store, struct tars_err *err)
{
    static const struct {
        const char *sql;
    } steps[] = {
        {"VACUUM (FULL) tars.passage_vectors"}, {"VACUUM (FULL) tars.passage_vectors_next"},
        {"VACUUM (FULL) tars.passages"},        {"VACUUM (FULL) tars.documents"},
        {"VACUUM (FULL) tars.files"},           {"VACUUM (FULL) tars.jobs"},
        {"VACUUM (FULL) tars.messages"},        {"VACUUM (FULL) tars.conversations"},
        {"VACUUM (FULL) tars.accounts"},        {"VACUUM (FULL) tars.api_keys"},
        {"VACUUM (FULL) tars.audit"},           {"VACUUM (FULL) tars.conversations_deleted"},
    };
    struct tars_pg_config config;
    struct tars_pg_conn conn;
    tars_status status = pgs_connect(pgs_of(store), &config, &conn, err);

    if (status)
        return status;
    for (size_t i = 0; !status && i < sizeof(steps) / sizeof(steps[0]); i++)
        status = tars_pg_exec(&conn, steps[i].sql, err);
    tars_pg_close(&conn);
    return status;
}

/* --------------------------------------------------------------------- check */

/* Each asks for what must not be there; the words say what it would mean. What refers to another
 * row is checked by the server itself, at all times. */
static const struct {
    enum pgs_sql sql;
    const char *words;
} findings[] = {
    {PGS_CHECK_COUNT, "a document has lost passages"},
    {PGS_CHECK_ROW, "the passages of a document are not in a row"},
    {PGS_CHECK_LOG, "a document is missing from the log of changes"},
    {PGS_CHECK_TWICE, "passages are added or removed twice in the log of changes"},
    {PGS_CHECK_AHEAD, "a change or a passage has a number that was never given"},
    {PGS_CHECK_COLLECTION, "a file is of a collection that is not there"},
    {PGS_CHECK_SIZE, "the size of a collection is not what it holds"},
    {PGS_CHECK_GRANT, "an account has a right in another tenant"},
    {PGS_CHECK_DEFAULT, "a tenant lacks its default collection"},
    {PGS_CHECK_MESSAGES, "a conversation has lost messages"},
};

static tars_status check(struct tars_pg_conn *conn, struct tars_err *err)
{
    tars_status status = tars_pg_exec(conn, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);

    for (size_t i = 0; !status && i < sizeof(findings) / sizeof(findings[0]); i++) {
        struct tars_pg_query query = tars_pg_ask(conn, findings[i].sql);
        int64_t found = 0;

        status = pgs_one_int(&query, &found, err);
        if (!status && found) {
            status =
                tars_fail(TARS_EFORMAT, err, "the store contradicts itself: %s", findings[i].words);
        }
    }
    return status;
}

tars_status pgs_check(struct tars_store *store, struct tars_err *err)
{
    struct tars_pg_config config;
    struct tars_pg_conn conn;
    tars_status status = pgs_connect(pgs_of(store), &config, &conn, err);

    if (status)
        return status;
    status = check(&conn, err);
    tars_pg_close(&conn);
    return status;
}
