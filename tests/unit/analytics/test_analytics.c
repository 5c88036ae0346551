/* Unit tests of analytics: the queue, the writer, what survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/analytics.h"
#include "analytics/sink.h"
#include "analytics/sink_sqlite.h"
#include "base/sys/clock.h"
#include "support/faults.h"
#include "support/files.h"

#define THREADS 4
#define EACH    500

struct world {
    char dir[FILES_PATH_MAX];
    char journal[FILES_PATH_MAX + 32];
    char path[FILES_PATH_MAX + 32];
};

static int set_up(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    files_make_dir(world.dir);
    (void)snprintf(world.journal, sizeof(world.journal), "%s/queue", world.dir);
    (void)snprintf(world.path, sizeof(world.path), "%s/analytics.db", world.dir);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    files_remove_dir(((struct world *)*state)->dir);
    return 0;
}

static struct tars_analytics *open_real(struct world *world)
{
    struct tars_analytics_config config = {.journal = world->journal};
    struct tars_analytics *analytics = NULL;
    struct tars_err err = {.text = ""};

    assert_int_equal(tars_sink_sqlite_open(world->path, &config.sink, &err), TARS_OK);
    if (tars_analytics_open(&config, &analytics, &err))
        fail_msg("%s", err.text);
    return analytics;
}

static const struct tars_analytics_range everything = {0};

/* Until all that was given is written, however slow the machine; what failed is no wait. */
static void settle(struct tars_analytics *analytics)
{
    while (tars_analytics_counts(analytics).queued_bytes > 0 &&
           tars_analytics_counts(analytics).failures == 0)
        tars_analytics_flush(analytics);
}

static int64_t total(struct tars_analytics *analytics)
{
    struct tars_query_stats stats;

    settle(analytics);
    assert_int_equal(tars_analytics_stats(analytics, &everything, &stats, NULL), TARS_OK);
    return stats.total;
}

/* ------------------------------------------------------- a sink of the test's own */

struct fake {
    struct tars_analytics_sink sink;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool blocks; /* writes wait until it is false */
    bool is_writing;
    tars_status status; /* of writes */
    size_t rows, writes;
    tars_status asked; /* of position */
    uint64_t journal, position;
    char last[64]; /* text of the last question */
};

static tars_status fake_write(struct tars_analytics_sink *sink, const struct tars_row *rows,
                              size_t n, const struct tars_analytics_mark *mark,
                              struct tars_err *err)
{
    struct fake *fake = (struct fake *)sink;
    tars_status status;

    pthread_mutex_lock(&fake->lock);
    fake->is_writing = true;
    pthread_cond_broadcast(&fake->changed);
    while (fake->blocks)
        pthread_cond_wait(&fake->changed, &fake->lock);
    fake->is_writing = false;
    fake->writes++;
    status = fake->status;
    if (status == TARS_OK) {
        fake->rows += n;
        fake->journal = mark->journal;
        fake->position = mark->position;
        if (rows[n - 1].kind == TARS_ROW_QUERY)
            (void)snprintf(fake->last, sizeof(fake->last), "%s", rows[n - 1].as.query.query_text);
    }
    pthread_mutex_unlock(&fake->lock);
    return status == TARS_OK ? status : tars_fail(status, err, "no room");
}

static tars_status fake_position(struct tars_analytics_sink *sink, uint64_t journal,
                                 uint64_t *position, struct tars_err *err)
{
    struct fake *fake = (struct fake *)sink;
    tars_status status;

    pthread_mutex_lock(&fake->lock);
    *position = journal == fake->journal ? fake->position : 0;
    status = fake->asked;
    pthread_mutex_unlock(&fake->lock);
    return status == TARS_OK ? status : tars_fail(status, err, "away");
}

static void fake_close(struct tars_analytics_sink *sink)
{
}

static const struct tars_analytics_sink_ops fake_ops = {
    .name = "fake", .close = fake_close, .write = fake_write, .position = fake_position};

static void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->sink.ops = &fake_ops;
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
}

static void set_blocks(struct fake *fake, bool blocks)
{
    pthread_mutex_lock(&fake->lock);
    fake->blocks = blocks;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
}

static void set_status(struct fake *fake, tars_status status)
{
    pthread_mutex_lock(&fake->lock);
    fake->status = status;
    pthread_mutex_unlock(&fake->lock);
}

static void set_asked(struct fake *fake, tars_status asked)
{
    pthread_mutex_lock(&fake->lock);
    fake->asked = asked;
    pthread_mutex_unlock(&fake->lock);
}

static void wait_for_write(struct fake *fake)
{
    pthread_mutex_lock(&fake->lock);
    while (!fake->is_writing)
        pthread_cond_wait(&fake->changed, &fake->lock);
    pthread_mutex_unlock(&fake->lock);
}

static struct tars_analytics *open_fake(struct fake *fake, const char *journal, size_t bytes)
{
    const struct tars_analytics_config config = {
        .sink = &fake->sink, .journal = journal, .queue_bytes = bytes, .gather_ms = 1};
    struct tars_analytics *analytics = NULL;

    assert_int_equal(tars_analytics_open(&config, &analytics, NULL), TARS_OK);
    return analytics;
}

static void ask(struct tars_analytics *analytics, const char *text)
{
    const struct tars_access_row access = {"d", "f", "c", NULL, 0.5, 1};
    const struct tars_query_row row = {.query_text = text, .accesses = &access, .access_count = 1};

    tars_analytics_query(analytics, &row);
}

/* -------------------------------------------------------------------- tests */

static void nothing_does_nothing(void **state)
{
    struct tars_query_patterns patterns;
    struct tars_arena arena;

    (void)state;
    ask(NULL, "x");
    tars_analytics_flush(NULL);
    assert_int_equal(total(NULL), 0);
    assert_false(tars_analytics_is_on(NULL));
    tars_arena_init(&arena, 4096);
    assert_int_equal(tars_analytics_patterns(NULL, &everything, &arena, &patterns, NULL), TARS_OK);
    assert_int_equal(patterns.top_word_count, 0);
    assert_int_equal(tars_analytics_clear(NULL, NULL, NULL), TARS_OK);
    assert_int_equal(tars_analytics_counts(NULL).dropped, 0);
    assert_int_equal(tars_analytics_health(NULL, NULL), TARS_EUNAVAILABLE);
    tars_arena_release(&arena);
    tars_analytics_close(NULL);
}

static void what_was_given_is_counted_at_once(void **state)
{
    struct tars_analytics *analytics = open_real(*state);

    ask(analytics, "one");
    assert_int_equal(total(analytics), 1);
    ask(analytics, "two");
    assert_int_equal(total(analytics), 2);
    assert_int_equal(tars_analytics_counts(analytics).queries, 2);
    assert_int_equal(tars_analytics_counts(analytics).accesses, 2);
    assert_int_equal(tars_analytics_clear(analytics, NULL, NULL), TARS_OK);
    assert_int_equal(total(analytics), 0);
    tars_analytics_close(analytics);
}

static void closing_writes_what_waits(void **state)
{
    struct tars_analytics *analytics = open_real(*state);

    for (int i = 0; i < 1000; i++)
        ask(analytics, "a question");
    tars_analytics_close(analytics);
    analytics = open_real(*state);
    assert_int_equal(total(analytics), 1000);
    tars_analytics_close(analytics);
}

static void a_full_queue_drops_the_oldest(void **state)
{
    struct fake fake;
    struct tars_analytics *analytics;
    struct tars_analytics_counts counts;
    char text[32];

    (void)state;
    fake_init(&fake);
    fake.blocks = true;
    analytics = open_fake(&fake, NULL, 8192);
    ask(analytics, "first");
    wait_for_write(&fake);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "question %d", i);
        ask(analytics, text);
    }
    counts = tars_analytics_counts(analytics);
    assert_true(counts.dropped > 900 && counts.dropped < 1000);
    assert_true(counts.queued_bytes <= 8192);
    set_blocks(&fake, false);
    tars_analytics_flush(analytics);
    assert_string_equal(fake.last, "question 999");
    /* The first one was in the writer's hands: dropped from the queue, yet not lost. */
    assert_int_equal(fake.rows + counts.dropped, 1001);
    tars_analytics_close(analytics);
}

static void rows_wait_while_the_sink_fails(void **state)
{
    struct fake fake;
    struct tars_analytics *analytics;

    (void)state;
    fake_init(&fake);
    fake.status = TARS_EIO;
    analytics = open_fake(&fake, NULL, 0);
    ask(analytics, "one");
    tars_analytics_flush(analytics); /* comes back although nothing could be written */
    assert_int_equal(fake.rows, 0);
    assert_int_equal(tars_analytics_health(analytics, NULL), TARS_EUNAVAILABLE);
    set_status(&fake, TARS_OK);
    tars_analytics_flush(analytics);
    assert_int_equal(fake.rows, 1);
    assert_int_equal(tars_analytics_health(analytics, NULL), TARS_OK);
    assert_int_equal(tars_analytics_counts(analytics).dropped, 0);
    tars_analytics_close(analytics);
}

static void rows_that_are_never_taken_are_dropped(void **state)
{
    struct fake fake;
    struct tars_analytics *analytics;

    (void)state;
    fake_init(&fake);
    fake.status = TARS_EINVAL;
    analytics = open_fake(&fake, NULL, 0);
    ask(analytics, "poison");
    tars_analytics_flush(analytics);
    assert_int_equal(tars_analytics_counts(analytics).dropped, 1);
    assert_int_equal(tars_analytics_counts(analytics).queued_bytes, 0);
    tars_analytics_close(analytics);
}

static void rows_survive_in_the_journal(void **state)
{
    struct world *world = *state;
    struct fake fake;
    struct tars_analytics *analytics;
    size_t written;

    fake_init(&fake);
    analytics = open_fake(&fake, world->journal, 0);
    ask(analytics, "written");
    tars_analytics_flush(analytics);
    written = fake.rows;
    set_status(&fake, TARS_EIO);
    ask(analytics, "waits");
    tars_analytics_close(analytics); /* the sink is away to the end */
    assert_int_equal(fake.rows, written);

    fake.status = TARS_OK;
    analytics = open_fake(&fake, world->journal, 0);
    tars_analytics_flush(analytics);
    assert_int_equal(fake.rows, written + 1);
    assert_string_equal(fake.last, "waits");
    tars_analytics_close(analytics);
}

/* The journal is that of a backup, and the sink went on after it. */
static void a_restored_journal_goes_on_behind_the_mark(void **state)
{
    struct world *world = *state;
    struct fake fake;
    struct tars_analytics *analytics;

    fake_init(&fake);
    analytics = open_fake(&fake, world->journal, 0);
    ask(analytics, "before");
    tars_analytics_close(analytics);
    assert_int_equal(fake.rows, 1);
    fake.position += 4096;
    for (size_t i = 0; i < 2; i++) { /* the second time nothing is behind the mark */
        analytics = open_fake(&fake, world->journal, 0);
        set_status(&fake, TARS_EIO);
        ask(analytics, "waits");
        tars_analytics_close(analytics); /* as a process that dies before it can write */
        assert_int_equal(fake.rows, 1 + i);
        fake.status = TARS_OK;
        analytics = open_fake(&fake, world->journal, 0);
        tars_analytics_flush(analytics);
        assert_int_equal(fake.rows, 2 + i);
        tars_analytics_close(analytics);
    }
}

/* And the sink is away at first. */
static void a_mark_of_an_earlier_life_is_not_ours(void **state)
{
    struct world *world = *state;
    struct fake fake;
    struct tars_analytics *analytics;

    fake_init(&fake);
    analytics = open_fake(&fake, world->journal, 0);
    ask(analytics, "before");
    tars_analytics_close(analytics);
    fake.position += 4096;
    fake.asked = TARS_EUNAVAILABLE;
    analytics = open_fake(&fake, world->journal, 0);
    for (int i = 0; i < 100; i++)
        ask(analytics, "waits");
    set_asked(&fake, TARS_OK);
    tars_analytics_flush(analytics);
    assert_int_equal(fake.rows, 101);
    tars_analytics_close(analytics);
}

/* The process dies between the commit of the sink and the journal hearing of it. */
static void nothing_is_written_twice(void **state)
{
    struct world *world = *state;
    struct fake fake;
    struct tars_analytics *analytics;

    fake_init(&fake);
    fake.status = TARS_EIO;
    analytics = open_fake(&fake, world->journal, 0);
    ask(analytics, "one");
    ask(analytics, "two");
    tars_analytics_close(analytics);
    fake.status = TARS_OK;
    analytics = open_fake(&fake, world->journal, 0);
    tars_analytics_flush(analytics);
    assert_int_equal(fake.rows, 2);
    tars_analytics_close(analytics);

    /* Its mark is past what a journal of another life would say. */
    analytics = open_fake(&fake, world->journal, 0);
    tars_analytics_flush(analytics);
    assert_int_equal(fake.rows, 2);
    tars_analytics_close(analytics);
}

static void old_rows_go(void **state)
{
    struct world *world = *state;
    struct tars_analytics_config config = {.retention_days = 1, .gather_ms = 1};
    struct tars_analytics *analytics = open_real(world);
    int64_t now_us = tars_clock_wall_us();
    const struct tars_query_row old = {.query_text = "old",
                                       .time_us = now_us - INT64_C(2) * 86400 * 1000000};

    for (int i = 0; i < 700; i++)
        tars_analytics_query(analytics, &old);
    ask(analytics, "new");
    assert_int_equal(total(analytics), 701);
    tars_analytics_close(analytics);

    assert_int_equal(tars_sink_sqlite_open(world->path, &config.sink, NULL), TARS_OK);
    assert_int_equal(tars_analytics_open(&config, &analytics, NULL), TARS_OK);
    for (int i = 0; i < 1000 && total(analytics) > 1; i++)
        ;
    assert_int_equal(total(analytics), 1);
    tars_analytics_close(analytics);
}

static bool count_row(void *ctx, const struct tars_logged *row)
{
    size_t *count = ctx;

    assert_string_equal(row->as.query.row.query_text, "x");
    return ++*count < 1200;
}

static void every_row_can_be_read_back(void **state)
{
    struct tars_analytics *analytics = open_real(*state);
    size_t count = 0;

    for (int i = 0; i < 1500; i++)
        ask(analytics, "x");
    settle(analytics);
    assert_int_equal(
        tars_analytics_each(analytics, TARS_TABLE_QUERIES, &everything, count_row, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 1200);
    tars_analytics_close(analytics);
}

/* --------------------------------------------------------------- many threads */

static void *ask_often(void *ctx)
{
    for (int i = 0; i < EACH; i++) {
        ask(ctx, "from a thread");
        if (i % 100 == 0)
            (void)total(ctx);
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    struct tars_analytics *analytics = open_real(*state);
    pthread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, analytics), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(total(analytics), THREADS * EACH);
    assert_int_equal(tars_analytics_counts(analytics).dropped, 0);
    tars_analytics_close(analytics);
}

/* ------------------------------------------------------------ each allocation */

static void use_once(void *ctx)
{
    struct world *world = ctx;
    struct fake fake;
    struct tars_analytics *analytics = NULL;
    const struct tars_analytics_config config = {
        .sink = &fake.sink, .journal = world->journal, .queue_bytes = 65536, .gather_ms = 1};

    fake_init(&fake);
    if (tars_analytics_open(&config, &analytics, NULL) != TARS_OK)
        return;
    ask(analytics, "one");
    tars_analytics_flush(analytics);
    tars_analytics_close(analytics);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(use_once, *state) > 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_does_nothing),
        TEST(what_was_given_is_counted_at_once),
        TEST(closing_writes_what_waits),
        TEST(a_full_queue_drops_the_oldest),
        TEST(rows_wait_while_the_sink_fails),
        TEST(rows_that_are_never_taken_are_dropped),
        TEST(rows_survive_in_the_journal),
        TEST(a_restored_journal_goes_on_behind_the_mark),
        TEST(a_mark_of_an_earlier_life_is_not_ours),
        TEST(nothing_is_written_twice),
        TEST(old_rows_go),
        TEST(every_row_can_be_read_back),
        TEST(threads_share_it),
        TEST(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
