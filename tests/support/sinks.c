/* sinks - see sinks.h. */
#include "support/sinks.h"

#include <stdio.h>
#include <string.h>

#include "analytics/sink_postgres.h"
#include "analytics/sink_sqlite.h"
#include "support/postgres.h"

#define ROWS(a)        (sizeof(a) / sizeof((a)[0]))
#define NAME_MAX_BYTES 64

const struct tars_analytics_range sinks_everything = {0};
const struct tars_analytics_cursor sinks_first = {0, 0};

/* ---------------------------------------------------------------- back ends */

static struct tars_analytics_sink *open_sqlite(const struct sinks_world *world, const char *name)
{
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};
    char path[sizeof(world->dir) + NAME_MAX_BYTES];

    (void)snprintf(path, sizeof(path), "%s/%s.db", world->dir, name);
    if (tars_sink_sqlite_open(path, &sink, &err))
        fail_msg("%s", err.text);
    return sink;
}

static struct postgres server; /* one for all tests of the program, with a database each */
static int worlds;

static struct tars_analytics_sink *open_postgres(const struct sinks_world *world, const char *name)
{
    char database[2 * NAME_MAX_BYTES] = "";
    struct tars_sink_postgres_config config = {
        .pool = {.server = postgres_config(&server, database), .size = 2, .ping_ms = -1}};
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};

    (void)world;
    (void)snprintf(database, sizeof(database), "%s%d", name, worlds);
    /* A world is opened again by its name. */
    (void)postgres_try(&server, NULL, 0, "createdb %s", database);
    if (tars_sink_postgres_open(&config, &sink, &err) || tars_sink_postgres_prepare(sink, &err))
        fail_msg("%s", err.text);
    return sink;
}

static void start_postgres(void)
{
    postgres_open(&server, NULL, NULL);
}

static void stop_postgres(void)
{
    postgres_close(&server);
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*start)(void);
    void (*stop)(void);
    struct tars_analytics_sink *(*open)(const struct sinks_world *world, const char *name);
} back_ends[] = {
    {"sqlite", nothing, nothing, open_sqlite},
    {"postgres", start_postgres, stop_postgres, open_postgres},
};

static size_t back_end; /* which of them is tested now */

struct tars_analytics_sink *sinks_open(const struct sinks_world *world, const char *name)
{
    return back_ends[back_end].open(world, name);
}

int sinks_set_up(void **state)
{
    static struct sinks_world world;

    memset(&world, 0, sizeof(world));
    files_make_dir(world.dir);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    worlds++;
    world.sink = sinks_open(&world, "analytics");
    *state = &world;
    return 0;
}

int sinks_tear_down(void **state)
{
    struct sinks_world *world = *state;

    world->sink->ops->close(world->sink);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

int sinks_run(const struct CMUnitTest *tests, size_t count)
{
    int failed = 0;

    for (back_end = 0; back_end < ROWS(back_ends); back_end++) {
        back_ends[back_end].start();
        failed += _cmocka_run_group_tests(back_ends[back_end].name, tests, count, NULL, NULL);
        back_ends[back_end].stop();
    }
    return failed;
}

/* --------------------------------------------------------------------- rows */

static const struct tars_access_row accesses[] = {
    {"doc_a", "a.pdf", "doc_a_chunk_0", "tars_documents", 0.9, 1},
    {"doc_b", "b.pdf", "doc_b_chunk_3", "hr", 0.5, 2},
};

struct tars_row sinks_question(const char *text, const char *tenant, int64_t time_us)
{
    return (struct tars_row){.kind = TARS_ROW_QUERY,
                             .as.query = {.time_us = time_us,
                                          .tenant = tenant,
                                          .client_id = "desk-1",
                                          .query_text = text,
                                          .model_used = "m",
                                          .request_id = "r1",
                                          .retrieval_time_ms = 10,
                                          .generation_time_ms = 20,
                                          .total_time_ms = 30,
                                          .tokens_generated = 7,
                                          .used_hybrid_search = true,
                                          .accesses = accesses,
                                          .access_count = ROWS(accesses)}};
}

struct tars_row sinks_failure(const char *text, const char *tenant, int64_t time_us)
{
    return (struct tars_row){.kind = TARS_ROW_QUERY,
                             .as.query = {.time_us = time_us,
                                          .tenant = tenant,
                                          .client_id = "desk-1",
                                          .query_text = text,
                                          .model_used = "",
                                          .error_message = "it broke"}};
}

void sinks_write(struct sinks_world *world, const struct tars_row *rows, size_t n)
{
    const struct tars_analytics_mark mark = {7, 100};
    struct tars_err err = {.text = ""};

    if (world->sink->ops->write(world->sink, rows, n, &mark, &err))
        fail_msg("%s", err.text);
}

struct tars_query_stats sinks_stats(struct sinks_world *world,
                                    const struct tars_analytics_range *range)
{
    struct tars_query_stats stats;

    assert_int_equal(world->sink->ops->stats(world->sink, range, &stats, NULL), TARS_OK);
    return stats;
}

struct tars_row sinks_trouble(const char *request_id, const char *tenant, int64_t time_us)
{
    return (struct tars_row){.kind = TARS_ROW_ERROR,
                             .as.error = {.time_us = time_us,
                                          .tenant = tenant,
                                          .error_type = "TARS_EIO",
                                          .error_message = "it broke",
                                          .service = "s",
                                          .operation = "o",
                                          .client_id = "desk-1",
                                          .request_id = request_id,
                                          .severity = "ERROR"}};
}

struct tars_logged *sinks_page(struct sinks_world *world, enum tars_analytics_table table,
                               const struct tars_analytics_range *range,
                               struct tars_analytics_cursor after, size_t max, size_t *count)
{
    const struct tars_analytics_wanted wanted = {
        .table = table, .range = range, .after = after, .max = max};
    struct tars_logged *page = NULL;
    struct tars_err err = {.text = ""};

    if (world->sink->ops->read(world->sink, &wanted, &world->arena, &page, count, &err))
        fail_msg("%s", err.text);
    return page;
}
