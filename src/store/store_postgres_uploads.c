/* store_postgres_uploads - the bytes of uploads in the store, where several servers share it: the
 * one that takes a job need not be the one that was sent the file, which may be gone by then. A
 * part is a row, so neither side holds more than PGS_UPLOAD_PART of a file. They are there until
 * the job has ended well, or is forgotten. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/file.h"
#include "store/store_postgres_internal.h"

#define LONELY_BYTES ((size_t)16 << 20)

/* Up to n bytes; fewer only at the end. -1: errno says why. */
static ssize_t read_up_to(int fd, char *into, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = read(fd, into + have, n - have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

static tars_status add_part(struct tars_pg_conn *conn, int64_t job, int part, const char *ptr,
                            size_t len, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_UPLOAD_ADD);

    tars_pg_bind_int(&query, job);
    tars_pg_bind_int(&query, part);
    tars_pg_bind_bytes(&query, ptr, len);
    return tars_pg_do(&query, err);
}

tars_status pgs_upload_add(struct tars_pg_conn *conn, const struct tars_store_job *job,
                           struct tars_err *err)
{
    char *bytes = malloc(PGS_UPLOAD_PART);
    int fd = open(job->spool, O_RDONLY | O_CLOEXEC);
    tars_status status = TARS_OK;
    int part = 0;

    if (!bytes)
        status = tars_fail(TARS_ENOMEM, err, "no memory for an upload");
    while (!status) {
        ssize_t n = fd < 0 ? -1 : read_up_to(fd, bytes, PGS_UPLOAD_PART);

        if (n < 0)
            status = tars_fail(TARS_EIO, err, "cannot read %s: %s", job->spool, strerror(errno));
        if (!status && (n > 0 || part == 0))
            status = add_part(conn, job->id, part++, bytes, (size_t)n, err);
        if (n < (ssize_t)PGS_UPLOAD_PART)
            break;
    }
    if (fd >= 0)
        (void)close(fd);
    free(bytes);
    return status;
}

static tars_status find_lonely(struct pgs *pgs, int64_t after, struct tars_pg_rows *rows)
{
    struct tars_store_job *job;
    tars_status status = pgs_read_ask(&pgs->store, PGS_UPLOAD_LONELY, &rows->query, NULL);

    if (status)
        return status;
    tars_pg_bind_int(&rows->query, after);
    while ((job = tars_pg_next_row(rows, sizeof(*job))) != NULL) {
        job->id = tars_pg_int(&rows->query);
        job->spool = tars_pg_word(&rows->query, rows->arena, NULL);
    }
    return pgs_read_done(&pgs->store, &rows->query, NULL);
}

static void adopt(struct pgs *pgs, const struct tars_store_job *job)
{
    struct tars_pg_conn *conn;

    if (access(job->spool, R_OK) || pgs_begin(pgs, true, &conn, NULL))
        return;
    if (!pgs_commit(pgs, conn, pgs_upload_add(conn, job, NULL), NULL))
        (void)unlink(job->spool);
}

void pgs_uploads_adopt(struct pgs *pgs)
{
    struct tars_pg_rows rows;
    struct tars_arena arena;
    int64_t after = 0;
    bool is_end = false;

    tars_arena_init(&arena, LONELY_BYTES);
    while (!is_end) {
        const struct tars_store_job *jobs;

        rows = (struct tars_pg_rows){.arena = &arena};
        is_end = find_lonely(pgs, after, &rows) || rows.count == 0;
        jobs = rows.items;
        for (size_t i = 0; !is_end && i < rows.count; i++) {
            adopt(pgs, &jobs[i]);
            after = jobs[i].id;
        }
        tars_arena_clear(&arena);
    }
    tars_arena_release(&arena);
}

/* ------------------------------------------------------------------ fetching */

static tars_status write_all(int fd, const char *path, const char *ptr, size_t len,
                             struct tars_err *err)
{
    while (len > 0) {
        ssize_t n = write(fd, ptr, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tars_fail(TARS_EIO, err, "cannot write %s: %s", path, strerror(errno));
        ptr += n;
        len -= (size_t)n;
    }
    return TARS_OK;
}

/* *found: there is such a part. */
static tars_status write_part(struct pgs *pgs, const struct tars_store_job *job, int part, int fd,
                              bool *found, struct tars_err *err)
{
    struct tars_arena arena;
    struct tars_pg_query query;
    const char *bytes = NULL;
    size_t len = 0;
    tars_status status = pgs_read_ask(&pgs->store, PGS_UPLOAD_PART_OF, &query, err);

    if (status)
        return status;
    tars_arena_init(&arena, 2 * PGS_UPLOAD_PART);
    query.is_binary = true;
    tars_pg_bind_int(&query, job->id);
    tars_pg_bind_int(&query, part);
    *found = tars_pg_step(&query);
    if (*found)
        bytes = tars_pg_bytes(&query, &arena, &len);
    status = pgs_read_done(&pgs->store, &query, err);
    if (!status && bytes)
        status = write_all(fd, job->spool, bytes, len, err);
    tars_arena_release(&arena);
    return status;
}

static tars_status write_parts(struct pgs *pgs, const struct tars_store_job *job, int fd,
                               struct tars_err *err)
{
    tars_status status = TARS_OK;
    bool found = true;

    for (int part = 0; !status && found; part++)
        status = write_part(pgs, job, part, fd, &found, err);
    return status;
}

static tars_status count_parts(struct pgs *pgs, int64_t job, int64_t *parts, struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = pgs_read_ask(&pgs->store, PGS_UPLOAD_COUNT, &query, err);

    if (status)
        return status;
    tars_pg_bind_int(&query, job);
    if (tars_pg_step(&query))
        *parts = tars_pg_int(&query);
    return pgs_read_done(&pgs->store, &query, err);
}

tars_status pgs_upload_fetch(struct pgs *pgs, struct tars_store_job *job, struct tars_arena *arena,
                             struct tars_err *err)
{
    const char *slash = strrchr(job->spool, '/');
    const char *folder;
    int64_t parts = 0;
    tars_status status = TARS_OK;
    int fd;

    if (pgs->dir)
        status = count_parts(pgs, job->id, &parts, err);
    /* One of a store that is not shared lies where it was sent to. */
    if (status || parts == 0)
        return status;
    folder = tars_arena_printf(arena, "%s/spool", pgs->dir);
    /* Of this attempt: an earlier one that was taken from us may not have ended yet. */
    job->spool = tars_arena_printf(arena, "%s/spool/%s.%d", pgs->dir,
                                   slash ? slash + 1 : job->spool, job->attempts);
    if (!folder || !job->spool)
        return tars_fail(TARS_ENOMEM, err, "no memory for an upload");
    status = tars_dir_make(folder, err);
    if (status)
        return status;
    fd = open(job->spool, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return tars_fail(TARS_EIO, err, "cannot write %s: %s", job->spool, strerror(errno));
    status = write_parts(pgs, job, fd, err);
    (void)close(fd);
    if (status)
        (void)unlink(job->spool);
    job->is_copy = true;
    return status;
}
