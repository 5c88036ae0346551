/* sqlite_copy: one moment of a store that is written meanwhile; what is no store; a folder that
 * moved. */
#include "world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "store/sqlite_copy.h"
#include "support/faults.h"

static void put(struct world *world, const char *path)
{
    struct tars_store_passage passage = {.text = "text", .text_len = 4, .kind = 1};
    struct tars_store_file file = {.path = path, .sha256 = "00"};
    struct tars_store_document document = {.path = path, .file_name = path, .file_type = "txt"};
    struct tars_store_put one = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {
        .file = &file, .puts = &one, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;

    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
}

struct rows {
    int64_t documents, passages, jobs;
};

static void take_rows(void *ctx, const char *table, int64_t rows)
{
    struct rows *out = ctx;

    if (strcmp(table, "documents") == 0)
        out->documents = rows;
    if (strcmp(table, "passages") == 0)
        out->passages = rows;
    if (strcmp(table, "jobs") == 0)
        out->jobs = rows;
}

static void db_path(const struct world *world, char *out)
{
    (void)snprintf(out, FILES_PATH_MAX + 16, "%s/tars.db", world->dir);
}

static struct tars_sqlite_copy *begin(const char *path)
{
    struct tars_sqlite_copy *copy = NULL;
    struct tars_err err = {{0}};

    if (tars_sqlite_copy_begin(path, TARS_SQLITE_STORE, &copy, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return copy;
}

/* The bytes of fd under a name. */
static void save(int fd, const char *path)
{
    char step[8192];
    off_t at = 0;
    ssize_t n;
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(out >= 0);
    while ((n = pread(fd, step, sizeof(step), at)) > 0) {
        assert_int_equal(write(out, step, (size_t)n), n);
        at += n;
    }
    close(out);
}

static void test_a_moment(void **state)
{
    struct world *world = *state;
    struct tars_sqlite_copy *copy;
    struct rows rows = {0};
    uint64_t sequence = 0;
    char path[FILES_PATH_MAX + 16];
    char saved[FILES_PATH_MAX + 16];
    int fd = -1;

    put(world, "/a");
    put(world, "/b");
    db_path(world, path);
    copy = begin(path);
    put(world, "/c"); /* nobody is waited for */
    assert_int_equal(tars_sqlite_copy_sequence(copy, &sequence, NULL), TARS_OK);
    assert_int_equal(sequence, 2);
    assert_int_equal(tars_sqlite_copy_rows(copy, take_rows, &rows, NULL), TARS_OK);
    assert_int_equal(rows.documents, 2);
    assert_int_equal(tars_sqlite_copy_run(copy, world->dir, NULL, &fd, NULL), TARS_OK);
    put(world, "/d");
    tars_sqlite_copy_end(copy);

    (void)snprintf(saved, sizeof(saved), "%s/saved.db", world->dir);
    save(fd, saved);
    close(fd);
    copy = begin(saved);
    assert_int_equal(tars_sqlite_copy_check(copy, NULL), TARS_OK);
    assert_int_equal(tars_sqlite_copy_rows(copy, take_rows, &rows, NULL), TARS_OK);
    assert_int_equal(rows.documents, 2);
    assert_int_equal(rows.passages, 2);
    tars_sqlite_copy_end(copy);
}

static bool is_full; /* the disk, as far as anybody is told */

/* In place of the library's. */
int statvfs(const char *restrict file, struct statvfs *restrict buf)
{
    int fd = open(file, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fstatvfs(fd, buf);

    if (fd >= 0)
        close(fd);
    if (is_full)
        buf->f_bavail = 1;
    return rc;
}

static void test_no_room(void **state)
{
    struct world *world = *state;
    struct tars_sqlite_copy *copy;
    struct tars_err err = {{0}};
    char path[FILES_PATH_MAX + 16];
    int fd = -1;

    db_path(world, path);
    copy = begin(path);
    is_full = true;
    assert_int_equal(tars_sqlite_copy_run(copy, world->dir, NULL, &fd, &err), TARS_EIO);
    is_full = false;
    assert_non_null(strstr(err.text, "MB of room"));
    assert_int_equal(fd, -1);
    assert_int_equal(tars_sqlite_copy_run(copy, world->dir, NULL, &fd, &err), TARS_OK);
    close(fd);
    tars_sqlite_copy_end(copy);
}

/* Of a file whose writer is gone. */
static void test_settle(void **state)
{
    static const char *const endings[] = {"", "-wal"};
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];
    char moved[FILES_PATH_MAX + 16];
    char from[FILES_PATH_MAX + 32];
    char to[FILES_PATH_MAX + 32];
    struct rows rows = {0};
    struct tars_sqlite_copy *copy;

    put(world, "/a");
    db_path(world, path);
    (void)snprintf(moved, sizeof(moved), "%s/moved.db", world->dir);
    for (size_t i = 0; i < 2; i++) {
        int fd;

        (void)snprintf(from, sizeof(from), "%s%s", path, endings[i]);
        (void)snprintf(to, sizeof(to), "%s%s", moved, endings[i]);
        fd = open(from, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        save(fd, to);
        close(fd);
    }
    assert_int_equal(tars_sqlite_copy_settle(moved, TARS_SQLITE_STORE, NULL), TARS_OK);
    (void)unlink(to);
    copy = begin(moved);
    assert_int_equal(tars_sqlite_copy_rows(copy, take_rows, &rows, NULL), TARS_OK);
    assert_int_equal(rows.documents, 1);
    tars_sqlite_copy_end(copy);
    copy = begin(path); /* somebody reads */
    assert_int_equal(tars_sqlite_copy_settle(path, TARS_SQLITE_STORE, NULL), TARS_EBUSY);
    tars_sqlite_copy_end(copy);
}

static void test_stopped(void **state)
{
    struct world *world = *state;
    const atomic_bool stop = true;
    char path[FILES_PATH_MAX + 16];
    struct tars_sqlite_copy *copy;
    const size_t len = (size_t)12 << 20; /* more pages than one step has */
    char *text = malloc(len + 1);
    int fd = -1;

    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    assert_int_equal(tars_store_meta_set(world->store, "large", text, NULL), TARS_OK);
    free(text);
    db_path(world, path);
    copy = begin(path);
    assert_int_equal(tars_sqlite_copy_run(copy, world->dir, &stop, &fd, NULL), TARS_ECANCELED);
    assert_int_equal(fd, -1);
    tars_sqlite_copy_end(copy);
}

static void test_refused(void **state)
{
    struct world *world = *state;
    struct tars_sqlite_copy *copy = NULL;
    char path[FILES_PATH_MAX];
    char text[FILES_PATH_MAX + 16]; /* what is no database; then the path of one that is */

    (void)snprintf(path, sizeof(path), "%.4000s/none", world->dir);
    assert_int_equal(tars_sqlite_copy_begin(path, TARS_SQLITE_STORE, &copy, NULL), TARS_ENOTFOUND);
    memset(text, 'x', sizeof(text));
    files_write(world->dir, "text.db", text, sizeof(text), path);
    assert_int_equal(tars_sqlite_copy_begin(path, TARS_SQLITE_STORE, &copy, NULL), TARS_EFORMAT);
    db_path(world, text);
    assert_int_equal(tars_sqlite_copy_begin(text, TARS_SQLITE_ANALYTICS, &copy, NULL),
                     TARS_EFORMAT);
}

static bool note_spool(void *ctx, const char *spool, bool waits)
{
    char *out = ctx;

    (void)snprintf(out + strlen(out), 1024 - strlen(out), "%s%s ", spool, waits ? "*" : "");
    return true;
}

static void test_uploads_move(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[] = {
        {.kind = "ingest", .path = "a", .spool = "/old/spool/aa"},
        {.kind = "ingest", .path = "b", .spool = "/older/spool/bb"},
        {.kind = "ingest", .path = "/c"},
        {.kind = "ingest", .path = "d", .spool = "/old/spool/dd"},
    };
    struct tars_sqlite_copy *copy;
    char path[FILES_PATH_MAX + 16];
    char text[1024] = "";

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 4, NULL), TARS_OK);
    for (int i = 0; i < 4; i++) {
        struct tars_store_job job;

        assert_int_equal(tars_store_job_claim(world->store, INT64_MAX, &world->arena, &job, NULL),
                         TARS_OK);
    }
    jobs[3].state = TARS_JOB_DONE;
    assert_int_equal(tars_store_job_update(world->store, &jobs[3], NULL), TARS_OK);
    jobs[1].state = TARS_JOB_FAILED;
    assert_int_equal(tars_store_job_update(world->store, &jobs[1], NULL), TARS_OK);
    db_path(world, path);
    copy = begin(path);
    assert_int_equal(tars_sqlite_copy_spools(copy, note_spool, text, NULL), TARS_OK);
    tars_sqlite_copy_end(copy);
    assert_string_equal(text, "/old/spool/aa* /older/spool/bb ");

    assert_int_equal(tars_sqlite_copy_move(path, "/old", "/new/er", NULL), TARS_OK);
    text[0] = '\0';
    copy = begin(path);
    assert_int_equal(tars_sqlite_copy_spools(copy, note_spool, text, NULL), TARS_OK);
    tars_sqlite_copy_end(copy);
    assert_string_equal(text, "/new/er/spool/aa* /older/spool/bb ");
}

static void copy_all(void *ctx)
{
    struct world *world = ctx;
    struct tars_sqlite_copy *copy = NULL;
    char path[FILES_PATH_MAX + 16];
    int fd = -1;
    tars_status status;

    db_path(world, path);
    status = tars_sqlite_copy_begin(path, TARS_SQLITE_STORE, &copy, NULL);
    if (status == TARS_OK)
        status = tars_sqlite_copy_run(copy, world->dir, NULL, &fd, NULL);
    if (status != TARS_OK)
        assert_true(faults_happened());
    tars_sqlite_copy_end(copy);
    if (fd >= 0)
        close(fd);
}

static void test_no_memory(void **state)
{
    assert_true(faults_each(copy_all, *state) >= 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_moment), TEST(test_no_room),      TEST(test_settle),    TEST(test_stopped),
        TEST(test_refused),  TEST(test_uploads_move), TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
