/* Unit tests of analytics/journal and analytics/row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/journal.h"
#include "analytics/row.h"
#include "support/faults.h"
#include "support/files.h"
#include "support/guard.h"

#define RING ((size_t)256)

struct world {
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
};

static int set_up(void **state)
{
    static struct world world;

    files_make_dir(world.dir);
    (void)snprintf(world.path, sizeof(world.path), "%s/queue", world.dir);
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
    struct tars_err err = {.text = ""};

    if (tars_journal_open(path, RING, &journal, &err))
        fail_msg("%s", err.text);
    return journal;
}

/* The text at the head, taken out; "" when there is none. */
static const char *pop(struct tars_journal *journal)
{
    static char text[RING];
    uint64_t next;
    size_t n =
        tars_journal_read(journal, tars_journal_head(journal), text, sizeof(text) - 1, &next);

    text[n] = '\0';
    tars_journal_forget(journal, next);
    return text;
}

static size_t push(struct tars_journal *journal, const char *text)
{
    return tars_journal_put(journal, text, strlen(text), 0);
}

/* -------------------------------------------------------------------- tests */

static void first_in_first_out(void **state)
{
    struct tars_journal *journal = open_journal(NULL);

    (void)state;
    assert_string_equal(pop(journal), "");
    for (int round = 0; round < 100; round++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "row %d", round * 7919);
        assert_int_equal(push(journal, text), 0);
        assert_int_equal(push(journal, "another one"), 0);
        assert_string_equal(pop(journal), text);
        assert_string_equal(pop(journal), "another one");
    }
    tars_journal_close(journal);
}

static void the_oldest_make_room(void **state)
{
    struct tars_journal *journal = open_journal(NULL);
    size_t dropped = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%020d", i);
        dropped += push(journal, text);
    }
    assert_int_equal(dropped, 32); /* records of 32 bytes, a ring of 256 */
    assert_string_equal(pop(journal), "00000000000000000032");
    tars_journal_close(journal);
}

/* A record written in place; false where there is no room for it in one piece. */
static bool push_in_place(struct tars_journal *journal, const char *text)
{
    size_t len = strlen(text);
    size_t max;
    unsigned char *at = tars_journal_room(journal, &max);

    if (max < len)
        return false;
    for (size_t i = 0; i < len; i++)
        at[i] = (unsigned char)text[i];
    tars_journal_commit(journal, len);
    return true;
}

static void in_place_is_the_same(void **state)
{
    const struct world *world = *state;
    const char *const paths[] = {NULL, world->path};

    for (size_t i = 0; i < 2; i++) {
        struct tars_journal *journal = open_journal(paths[i]);
        size_t placed = 0;

        for (int round = 0; round < 100; round++) {
            char text[2][32];

            for (int k = 0; k < 2; k++) {
                (void)snprintf(text[k], sizeof(text[k]), "%d row %d", k, round * 7919);
                tars_journal_prepare(journal);
                if (push_in_place(journal, text[k])) {
                    placed++;
                } else {
                    assert_int_equal(push(journal, text[k]), 0);
                }
            }
            assert_string_equal(pop(journal), text[0]);
            assert_string_equal(pop(journal), text[1]);
        }
        assert_true(placed > 100 && placed < 200); /* not where the ring ends */
        tars_journal_close(journal);
    }
}

static void a_full_ring_has_no_room_in_place(void **state)
{
    struct tars_journal *journal = open_journal(NULL);
    size_t max;

    (void)state;
    for (int i = 0; i < 8; i++) {
        (void)tars_journal_room(journal, &max);
        assert_int_equal(max, i < 6 ? RING / 4 - 8 : (size_t)(8 - i) * 32 - 8);
        assert_int_equal(push(journal, "twenty bytes of text"), 0);
    }
    (void)tars_journal_room(journal, &max);
    assert_int_equal(max, 0);
    /* What is taken out has room again. */
    assert_string_equal(pop(journal), "twenty bytes of text");
    assert_true(push_in_place(journal, "twenty bytes of text"));
    assert_false(push_in_place(journal, "twenty bytes of text"));
    tars_journal_close(journal);
}

static void what_is_not_committed_was_never_there(void **state)
{
    const struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    size_t max;
    unsigned char *at;

    assert_true(push_in_place(journal, "first"));
    at = tars_journal_room(journal, &max);
    memset(at, 'x', 20);
    tars_journal_close(journal);
    journal = open_journal(world->path);
    assert_true(push_in_place(journal, "second"));
    assert_string_equal(pop(journal), "first");
    assert_string_equal(pop(journal), "second");
    assert_string_equal(pop(journal), "");
    tars_journal_close(journal);
}

/* Nothing is left of a record whose process died before its end, though it went round the ring. */
static void what_was_half_written_is_wiped(void **state)
{
    const struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    char bytes[4096 + RING];
    char junk[RING / 4];
    uint64_t offset;
    int fd;

    for (int i = 0; i < 7; i++) {
        assert_int_equal(push(journal, "twenty bytes of text"), 0);
        assert_string_equal(pop(journal), "twenty bytes of text");
    }
    assert_int_equal(push(journal, "kept"), 0);
    offset = tars_journal_tail(journal) % RING;
    assert_in_range(offset, RING - sizeof(junk) + 8, RING - 8);
    tars_journal_close(journal);
    memset(junk, 'x', sizeof(junk));
    fd = open(world->path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, RING - offset, (off_t)(4096 + offset)), RING - offset);
    assert_int_equal(pwrite(fd, junk, sizeof(junk) - (RING - offset), 4096),
                     sizeof(junk) - (RING - offset));
    journal = open_journal(world->path);
    assert_int_equal(pread(fd, bytes, sizeof(bytes), 0), sizeof(bytes));
    close(fd);
    assert_null(memmem(bytes, sizeof(bytes), "xxxx", 4));
    assert_string_equal(pop(journal), "kept");
    /* A full ring has nothing behind its tail. */
    for (int i = 0; i < 8; i++)
        assert_int_equal(push(journal, "twenty bytes of text"), 0);
    tars_journal_close(journal);
    journal = open_journal(world->path);
    for (int i = 0; i < 8; i++)
        assert_string_equal(pop(journal), "twenty bytes of text");
    tars_journal_close(journal);
}

static void what_others_hold_is_not_counted(void **state)
{
    struct tars_journal *journal = open_journal(NULL);
    uint64_t held;

    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_equal(push(journal, "twenty bytes of text"), 0);
    held = tars_journal_tail(journal);
    assert_int_equal(tars_journal_put(journal, "twenty bytes of text", 20, held), 0);
    tars_journal_close(journal);
}

static void records_last(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    uint64_t id = tars_journal_id(journal);
    uint64_t tail;

    push(journal, "one");
    push(journal, "two");
    assert_string_equal(pop(journal), "one");
    tail = tars_journal_tail(journal);
    tars_journal_close(journal);
    journal = open_journal(world->path);
    assert_int_equal(tars_journal_id(journal), id);
    assert_int_equal(tars_journal_tail(journal), tail);
    assert_string_equal(pop(journal), "two");
    assert_string_equal(pop(journal), "");
    tars_journal_close(journal);
}

/* Change one byte at a time: nothing but records that were put may come out. */
static void damage_is_found(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);

    push(journal, "the first record");
    push(journal, "the second record");
    tars_journal_close(journal);
    for (off_t at = 0; at < 4096 + 80; at++) {
        int fd = open(world->path, O_RDWR);
        unsigned char byte = 0;
        const char *text;

        if (at == 64)
            at = 4096; /* what lies between is not read */
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x40U;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        journal = open_journal(world->path);
        for (int i = 0; i < 20 && (text = pop(journal))[0]; i++) {
            if (strcmp(text, "the first record") != 0 && strcmp(text, "the second record") != 0)
                fail_msg("byte %lld: %s", (long long)at, text);
        }
        tars_journal_close(journal);
        assert_int_equal(ftruncate(fd, 0), 0);
        close(fd);
        journal = open_journal(world->path);
        push(journal, "the first record");
        push(journal, "the second record");
        tars_journal_close(journal);
    }
}

static void other_files_are_begun_anew(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    struct tars_journal *journal;
    struct stat st;

    files_write(world->dir, "queue", "no journal", 10, path);
    journal = open_journal(world->path);
    assert_string_equal(pop(journal), "");
    push(journal, "works");
    assert_string_equal(pop(journal), "works");
    tars_journal_close(journal);
    assert_int_equal(stat(world->path, &st), 0);
    assert_int_equal(st.st_size, 4096 + RING);
    assert_int_equal(tars_journal_open("/nowhere/queue", RING, &journal, NULL), TARS_EIO);
}

static struct tars_journal *open_sized(const char *path, size_t bytes)
{
    struct tars_journal *journal = NULL;
    struct tars_err err = {.text = ""};

    if (tars_journal_open(path, bytes, &journal, &err))
        fail_msg("%s", err.text);
    return journal;
}

static void another_size_keeps_what_waits(void **state)
{
    static const struct {
        const char *name;
        size_t bytes, lost;
        const char *first; /* that is left */
    } table[] = {
        {"larger", 4 * RING, 0, "row 12"},
        {"a little smaller", 96, 2, "row 14"},
        {"small", 64, 4, "row 16"},
        {"too small for any of them", 32, 8, ""},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_journal *journal;
        uint64_t head;
        uint64_t id;
        uint64_t tail;
        char text[16];

        (void)unlink(world->path);
        journal = open_sized(world->path, RING);
        /* So many that they go round the ring; each takes 16 bytes. */
        for (int row = 0; row < 20; row++) {
            (void)snprintf(text, sizeof(text), "row %d", row);
            if (row == 12)
                tars_journal_forget(journal, tars_journal_tail(journal));
            assert_int_equal(tars_journal_put(journal, text, strlen(text) + 1, 0), 0);
        }
        id = tars_journal_id(journal);
        head = tars_journal_head(journal);
        tail = tars_journal_tail(journal);
        tars_journal_close(journal);
        journal = open_sized(world->path, table[i].bytes);
        assert_int_equal(tars_journal_bytes(journal), table[i].bytes);
        if (tars_journal_lost(journal) != table[i].lost)
            fail_msg("%s: %zu lost", table[i].name, tars_journal_lost(journal));
        assert_int_equal(tars_journal_id(journal), id);
        assert_int_equal(tars_journal_tail(journal), tail);
        assert_true(tars_journal_head(journal) >= head);
        assert_string_equal(pop(journal), table[i].first);
        tars_journal_close(journal);
    }
}

/* What is taken out is in the file no more; what is not is. */
static void what_is_forgotten_is_wiped(void **state)
{
    struct world *world = *state;
    struct tars_journal *journal = open_journal(world->path);
    char bytes[4096 + RING];
    int fd;

    for (int round = 0; round < 40; round++) {
        assert_int_equal(tars_journal_put(journal, "secret", 7, 0), 0);
        tars_journal_forget(journal, tars_journal_tail(journal));
    }
    assert_int_equal(tars_journal_put(journal, "kept", 5, 0), 0);
    tars_journal_close(journal);
    fd = open(world->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, bytes, sizeof(bytes)), sizeof(bytes));
    close(fd);
    assert_null(memmem(bytes, sizeof(bytes), "secret", 6));
    assert_non_null(memmem(bytes, sizeof(bytes), "kept", 4));
}

static void open_once(void *ctx)
{
    struct world *world = ctx;
    struct tars_journal *journal = NULL;

    if (tars_journal_open(world->path, RING, &journal, NULL) == TARS_OK)
        tars_journal_close(journal);
    journal = NULL;
    if (tars_journal_open(NULL, RING, &journal, NULL) == TARS_OK)
        tars_journal_close(journal);
}

static void a_skip_goes_on_behind_it(void **state)
{
    struct world *world = *state;
    static const uint64_t jumps[] = {8, 64, 1024, 1 << 20};
    struct tars_journal *journal = NULL;
    char out[64];
    uint64_t next;

    assert_int_equal(tars_journal_open(world->path, 1024, &journal, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
        uint64_t tail;

        (void)tars_journal_put(journal, "gone", 4, 0);
        tail = tars_journal_tail(journal);
        tars_journal_skip(journal, tail);     /* not behind it */
        tars_journal_skip(journal, tail + 3); /* none */
        assert_int_equal(tars_journal_tail(journal), tail);
        tars_journal_skip(journal, tail + jumps[i]);
        assert_int_equal(tars_journal_head(journal), tail + jumps[i]);
        assert_int_equal(tars_journal_tail(journal), tail + jumps[i]);
        (void)tars_journal_put(journal, "new", 3, 0);
        tars_journal_close(journal);
        assert_int_equal(tars_journal_open(world->path, 1024, &journal, NULL), TARS_OK);
        assert_int_equal(
            tars_journal_read(journal, tars_journal_head(journal), out, sizeof(out), &next), 3);
        assert_memory_equal(out, "new", 3);
        tars_journal_forget(journal, next);
    }
    tars_journal_close(journal);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(open_once, *state) >= 3);
}

/* --------------------------------------------------------------------- rows */

static const struct tars_access_row accesses[] = {
    {"doc", "file", "chunk", "hr", 0.5, 1},
    {"doc2", "file2", NULL, NULL, 0.25, 2},
};

static const struct tars_row rows[] = {
    {.kind = TARS_ROW_QUERY,
     .as.query = {.time_us = 5,
                  .tenant = "t",
                  .client_id = "c",
                  .query_text = "q",
                  .model_used = "",
                  .total_time_ms = 1.5,
                  .used_history = true,
                  .accesses = accesses,
                  .access_count = 2}},
    {.kind = TARS_ROW_QUERY, .as.query = {.error_message = "x"}},
    {.kind = TARS_ROW_ERROR, .as.error = {.error_type = "t", .error_message = "m"}},
    {.kind = TARS_ROW_SYSTEM, .as.system = {.cpu_usage_percent = 12, .total_chunks = -1}},
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

static void rows_come_back(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 65536);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t size = tars_row_size(&rows[i]);
        unsigned char *bytes = malloc(size);
        struct tars_row row;
        struct guard copy;

        assert_non_null(bytes);
        assert_int_equal(tars_row_write(&rows[i], bytes, size), size);
        copy = guard_copy(bytes, size);
        assert_int_equal(tars_row_read((unsigned char *)copy.ptr, size, &arena, &row), TARS_OK);
        assert_int_equal(row.kind, rows[i].kind);
        assert_int_equal(tars_row_size(&row), size);
        if (i == 0) {
            assert_string_equal(row.as.query.tenant, "t");
            assert_null(row.as.query.request_id);
            assert_true(row.as.query.used_history && !row.as.query.used_reranking);
            assert_int_equal(row.as.query.access_count, 2);
            assert_string_equal(row.as.query.accesses[0].collection, "hr");
            assert_null(row.as.query.accesses[1].chunk_id);
            assert_int_equal(row.as.query.accesses[1].rank, 2);
        }
        guard_free(&copy);
        free(bytes);
    }
    tars_arena_release(&arena);
}

/* Nothing is written behind the room that there is. */
static void rows_need_their_room(void **state)
{
    static const char zeros[4096];

    (void)state;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t size = tars_row_size(&rows[i]);

        assert_true(size <= sizeof(zeros));
        for (size_t max = 0; max < size; max++) {
            struct guard room = guard_copy(zeros, max);

            assert_int_equal(tars_row_write(&rows[i], (unsigned char *)room.ptr, max), 0);
            guard_free(&room);
        }
    }
}

static void cut_rows_are_refused(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        size_t size = tars_row_size(&rows[i]);
        unsigned char *bytes = malloc(size);
        struct tars_row row;

        assert_non_null(bytes);
        assert_int_equal(tars_row_write(&rows[i], bytes, size), size);
        for (size_t len = 0; len < size; len++) {
            struct guard copy = guard_copy(bytes, len);

            assert_int_equal(tars_row_read((unsigned char *)copy.ptr, len, &arena, &row),
                             TARS_EFORMAT);
            guard_free(&copy);
        }
        bytes[0] = 99; /* another version */
        assert_int_equal(tars_row_read(bytes, size, &arena, &row), TARS_EFORMAT);
        free(bytes);
    }
    tars_arena_release(&arena);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(first_in_first_out),
        TEST(the_oldest_make_room),
        TEST(in_place_is_the_same),
        TEST(a_full_ring_has_no_room_in_place),
        TEST(what_is_not_committed_was_never_there),
        TEST(what_was_half_written_is_wiped),
        TEST(what_others_hold_is_not_counted),
        TEST(records_last),
        TEST(damage_is_found),
        TEST(other_files_are_begun_anew),
        TEST(another_size_keeps_what_waits),
        TEST(what_is_forgotten_is_wiped),
        TEST(a_skip_goes_on_behind_it),
        TEST(every_allocation_may_fail),
        TEST(rows_come_back),
        TEST(rows_need_their_room),
        TEST(cut_rows_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
