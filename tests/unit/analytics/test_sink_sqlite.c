/* What the SQLite back end of analytics alone has: files that are damaged or of others, and no
 * memory. */
#include "support/sinks.h"

#include <stdio.h>
#include <string.h>

#include "analytics/sink_sqlite.h"
#include "store/store_sqlite.h"
#include "support/faults.h"

#define ROWS(a)    (sizeof(a) / sizeof((a)[0]))
#define PATH_BYTES (FILES_PATH_MAX + 32)

static const char *path_in(const struct sinks_world *world, const char *name)
{
    static char path[PATH_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s", world->dir, name);
    return path;
}

/* -------------------------------------------------------- each allocation */

static void use_once(void *ctx)
{
    struct sinks_world *world = ctx;
    const struct tars_row rows[] = {sinks_question("one two", "default", SINKS_T0)};
    const struct tars_analytics_mark mark = {9, 1};
    struct tars_analytics_sink *sink = NULL;
    static const struct tars_analytics_who who = {.client_id = "desk-1"};
    static const struct tars_analytics_wanted wanted = {
        .table = TARS_TABLE_QUERIES, .range = &sinks_everything, .max = 5};
    const struct tars_logged_query logged = {
        .row = {.tenant = "default", .client_id = "c", .query_text = "t", .model_used = "m"},
        .query_id = "q_1"};
    struct tars_query_patterns patterns;
    struct tars_popular_document *documents;
    struct tars_analytics_changed changed;
    struct tars_logged *page;
    struct tars_arena arena;
    const char **clients;
    size_t count;

    tars_arena_init(&arena, (size_t)1 << 20);
    if (tars_sink_sqlite_open(path_in(world, "faults.db"), &sink, NULL) == TARS_OK) {
        (void)!sink->ops->write(sink, rows, 1, &mark, NULL);
        (void)!sink->ops->patterns(sink, &sinks_everything, &arena, &patterns, NULL);
        (void)!sink->ops->popular(sink, &sinks_everything, 5, &arena, &documents, &count, NULL);
        (void)!sink->ops->rollup(sink, INT64_MAX, 9, &count, NULL);
        (void)!sink->ops->import(sink, &logged, 1, &count, NULL);
        (void)!sink->ops->read(sink, &wanted, &arena, &page, &count, NULL);
        (void)!sink->ops->clients(sink, &who, NULL, 9, &arena, &clients, &count, NULL);
        (void)!sink->ops->anonymize(sink, &who, "a", 9, &changed, NULL);
        /* As many rows each time: else each round had more allocations than the one before. */
        assert_int_equal(sink->ops->clear(sink, NULL, 100, &count, NULL), TARS_OK);
        sink->ops->close(sink);
    }
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(use_once, *state) > 5);
}

static void a_damaged_file_is_refused(void **state)
{
    struct sinks_world *world = *state;
    struct tars_analytics_sink *sink = NULL;
    char path[FILES_PATH_MAX];
    struct tars_err err = {.text = ""};

    files_write(world->dir, "damaged.db", "this is no database, but long enough for a header....",
                53, path);
    assert_int_equal(tars_sink_sqlite_open(path, &sink, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "analytics "));
    assert_non_null(strstr(err.text, "damaged"));
}

static void a_foreign_file_is_refused(void **state)
{
    const struct sinks_world *world = *state;
    const struct tars_store_sqlite_config config = {.dir = world->dir, .readers = 1};
    struct tars_analytics_sink *sink = NULL;
    struct tars_store *store;
    char path[FILES_PATH_MAX + 32];
    struct tars_err err = {.text = ""};

    assert_int_equal(tars_store_sqlite_open(&config, &store, NULL), TARS_OK);
    tars_store_close(store);
    (void)snprintf(path, sizeof(path), "%s/tars.db", world->dir);
    assert_int_equal(tars_sink_sqlite_open(path, &sink, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "not one of T.A.R.S."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SINKS_TEST(every_allocation_may_fail),
        SINKS_TEST(a_damaged_file_is_refused),
        SINKS_TEST(a_foreign_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
