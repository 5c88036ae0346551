/* journal_copy: rows that wait are copied once, whatever leaves meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/journal.h"
#include "analytics/journal_copy.h"
#include "support/faults.h"
#include "support/files.h"

#define RING ((size_t)256)

struct world {
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    char copy[FILES_PATH_MAX + 16];
};

static int set_up(void **state)
{
    static struct world world;

    files_make_dir(world.dir);
    (void)snprintf(world.path, sizeof(world.path), "%s/queue", world.dir);
    (void)snprintf(world.copy, sizeof(world.copy), "%s/copy", world.dir);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    files_remove_dir(((struct world *)*state)->dir);
    return 0;
}

static struct tars_journal *open_journal(const char *path)
{
    struct tars_journal *journal = NULL;

    assert_int_equal(tars_journal_open(path, RING, &journal, NULL), TARS_OK);
    return journal;
}

static uint64_t push(struct tars_journal *journal, const char *text)
{
    (void)tars_journal_put(journal, text, strlen(text), 0);
    return tars_journal_tail(journal);
}

/* All that waits, with a space behind each, in out. */
static void read_all(const char *path, char *out, size_t size)
{
    struct tars_journal *journal = open_journal(path);
    uint64_t at = tars_journal_head(journal);
    char text[RING];
    size_t len;

    out[0] = '\0';
    while ((len = tars_journal_read(journal, at, text, sizeof(text), &at)) > 0) {
        (void)snprintf(out + strlen(out), size - strlen(out), "%.*s ", (int)len, text);
    }
    tars_journal_close(journal);
}

static int take(const struct world *world, uint64_t *id)
{
    int fd = open(world->copy, O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(tars_journal_take(world->path, fd, id, NULL), TARS_OK);
    return fd;
}

static void test_what_waits(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    uint64_t id = 0;
    uint64_t ends[4];
    char text[512];

    /* Round the ring more than once. */
    for (int i = 0; i < 20; i++)
        tars_journal_forget(journal, push(journal, "rows that were written"));
    ends[0] = push(journal, "one");
    ends[1] = push(journal, "two");
    ends[2] = push(journal, "three");
    close(take(world, &id));
    assert_int_equal(id, tars_journal_id(journal));
    ends[3] = push(journal, "four");
    read_all(world->copy, text, sizeof(text));
    assert_string_equal(text, "one two three ");

    /* The sink knows one, two, three of them, and one that the copy has too. */
    for (int i = 0; i < 4; i++) {
        static const char *const left[] = {"two three four ", "three four ", "four ", ""};
        struct tars_journal *copy;
        int fd = take(world, &id);

        assert_int_equal(tars_journal_settle(fd, 0, NULL), TARS_OK);
        assert_int_equal(tars_journal_settle(fd, ends[i], NULL), TARS_OK);
        close(fd);
        read_all(world->copy, text, sizeof(text));
        assert_string_equal(text, left[i]);
        /* No position that the sink knows is given again. */
        copy = open_journal(world->copy);
        assert_true(push(copy, "new") > ends[3]);
        assert_int_equal(tars_journal_id(copy), id);
        tars_journal_close(copy);
    }
    tars_journal_close(journal);
}

static void test_sink_ahead_of_the_copy(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    struct tars_journal *copy;
    uint64_t id = 0;
    uint64_t later;
    char text[512];
    int fd;

    (void)push(journal, "one");
    fd = take(world, &id);
    later = push(journal, "two");
    tars_journal_close(journal);
    assert_int_equal(tars_journal_settle(fd, later, NULL), TARS_OK);
    close(fd);
    copy = open_journal(world->copy);
    assert_int_equal(tars_journal_head(copy), later);
    assert_int_equal(tars_journal_tail(copy), later);
    (void)push(copy, "three");
    tars_journal_close(copy);
    read_all(world->copy, text, sizeof(text));
    assert_string_equal(text, "three ");
}

/* What was written is not in the copy, not even as bytes nobody reads. */
static void test_nothing_else_is_copied(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    char bytes[4096 + RING];
    uint64_t id = 0;
    uint64_t end = push(journal, "SECRET");
    int fd;

    (void)push(journal, "rest");
    fd = take(world, &id);
    assert_int_equal(tars_journal_settle(fd, end, NULL), TARS_OK);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_null(memmem(bytes, sizeof(bytes), "SECRET", 6));
    assert_non_null(memmem(bytes, sizeof(bytes), "rest", 4));
    close(fd);
    tars_journal_close(journal);
}

static void test_refused(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name, *bytes;
        size_t len;
        tars_status status;
    } rows[] = {
        {"empty", "", 0, TARS_EFORMAT},
        {"short", "TARSJRN1", 8, TARS_EFORMAT},
        {"others", "0123456789012345678901234567890123456789012345678901234567890123", 64,
         TARS_EFORMAT},
    };
    uint64_t id = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[FILES_PATH_MAX];
        int fd = open(world->copy, O_RDWR | O_CREAT | O_TRUNC, 0600);

        files_write(world->dir, "queue", rows[i].bytes, rows[i].len, path);
        assert_int_equal(tars_journal_take(path, fd, &id, NULL), rows[i].status);
        close(fd);
    }
    (void)unlink(world->path);
    assert_int_equal(tars_journal_take(world->path, 0, &id, NULL), TARS_ENOTFOUND);
}

static void take_one(void *ctx)
{
    const struct world *world = ctx;
    uint64_t id = 0;
    int fd = open(world->copy, O_RDWR | O_CREAT | O_TRUNC, 0600);

    if (tars_journal_take(world->path, fd, &id, NULL) != TARS_OK ||
        tars_journal_settle(fd, 8, NULL) != TARS_OK)
        assert_true(faults_happened());
    close(fd);
}

static void test_no_memory(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);

    (void)push(journal, "one");
    assert_true(faults_each(take_one, world) >= 2);
    tars_journal_close(journal);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_what_waits),
        TEST(test_sink_ahead_of_the_copy),
        TEST(test_nothing_else_is_copied),
        TEST(test_refused),
        TEST(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
