/* The contract of analytics/sink.h, for every back end: a new one adds a way to open it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analytics/sink.h"
#include "analytics/sink_sqlite.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define DAY_US  (INT64_C(86400) * 1000000)
#define T0      INT64_C(1762516800000001) /* 2025-11-07 12:00:00.000001 */

struct world {
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 32];
    struct tars_analytics_sink *sink;
    struct tars_arena arena;
};

/* ---------------------------------------------------------------- back ends */

static struct tars_analytics_sink *open_sqlite(const struct world *world)
{
    struct tars_analytics_sink *sink = NULL;
    struct tars_err err = {.text = ""};

    if (tars_sink_sqlite_open(world->path, &sink, &err))
        fail_msg("%s", err.text);
    return sink;
}

static struct tars_analytics_sink *(*const open_sink)(const struct world *world) = open_sqlite;

static int set_up(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof(world));
    files_make_dir(world.dir);
    (void)snprintf(world.path, sizeof(world.path), "%s/analytics.db", world.dir);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    world.sink = open_sink(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    world->sink->ops->close(world->sink);
    tars_arena_release(&world->arena);
    files_remove_dir(world->dir);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

static const struct tars_access_row accesses[] = {
    {"doc_a", "a.pdf", "doc_a_chunk_0", "tars_documents", 0.9, 1},
    {"doc_b", "b.pdf", "doc_b_chunk_3", "hr", 0.5, 2},
};

static struct tars_row question(const char *text, const char *tenant, int64_t time_us)
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

static struct tars_row failure(const char *text, const char *tenant, int64_t time_us)
{
    return (struct tars_row){.kind = TARS_ROW_QUERY,
                             .as.query = {.time_us = time_us,
                                          .tenant = tenant,
                                          .client_id = "desk-1",
                                          .query_text = text,
                                          .model_used = "",
                                          .error_message = "it broke"}};
}

static void write_ok(struct world *world, const struct tars_row *rows, size_t n)
{
    const struct tars_analytics_mark mark = {7, 100};
    struct tars_err err = {.text = ""};

    if (world->sink->ops->write(world->sink, rows, n, &mark, &err))
        fail_msg("%s", err.text);
}

static struct tars_query_stats stats_of(struct world *world,
                                        const struct tars_analytics_range *range)
{
    struct tars_query_stats stats;

    assert_int_equal(world->sink->ops->stats(world->sink, range, &stats, NULL), TARS_OK);
    return stats;
}

/* A page of a table behind a row of it (NULL: from the first). */
static struct tars_logged *page_of(struct world *world, enum tars_analytics_table table,
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

/* -------------------------------------------------------------------- tests */

static const struct tars_analytics_range everything = {0};
static const struct tars_analytics_cursor first = {0, 0};

static void empty_gives_zeros(void **state)
{
    struct world *world = *state;
    struct tars_query_stats stats = stats_of(world, &everything);
    struct tars_popular_document *documents;
    struct tars_query_patterns patterns;
    struct tars_analytics_totals totals;
    struct tars_system_row *samples;
    uint64_t position = 99;
    size_t count = 99;

    assert_int_equal(stats.total, 0);
    assert_true(stats.avg_total_time_ms == 0 && stats.avg_relevance_score == 0);
    assert_int_equal(world->sink->ops->popular(world->sink, &everything, 10, &world->arena,
                                               &documents, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.total + patterns.min_length + patterns.max_length, 0);
    assert_int_equal(patterns.top_word_count, 0);
    assert_int_equal(world->sink->ops->totals(world->sink, &everything, &totals, NULL), TARS_OK);
    assert_int_equal(totals.queries + totals.errors + totals.documents, 0);
    assert_int_equal(world->sink->ops->history(world->sink, &everything, 60, &world->arena,
                                               &samples, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    for (int table = TARS_TABLE_QUERIES; table <= TARS_TABLE_SYSTEM; table++) {
        (void)page_of(world, (enum tars_analytics_table)table, &everything, first, 10, &count);
        assert_int_equal(count, 0);
    }
    assert_int_equal(world->sink->ops->position(world->sink, 7, &position, NULL), TARS_OK);
    assert_int_equal(position, 0);
}

static void statistics_count_failures_too(void **state)
{
    struct world *world = *state;
    const struct tars_row rows[] = {question("What is RAG?", "default", T0),
                                    failure("What?", "default", T0 + 1)};
    struct tars_query_stats stats;

    write_ok(world, rows, ROWS(rows));
    stats = stats_of(world, &everything);
    assert_int_equal(stats.total, 2);
    assert_int_equal(stats.successful, 1);
    assert_true(fabs(stats.avg_retrieval_time_ms - 5) < 1e-9);
    assert_true(fabs(stats.avg_generation_time_ms - 10) < 1e-9);
    assert_true(fabs(stats.avg_total_time_ms - 15) < 1e-9);
    assert_true(fabs(stats.avg_sources_count - 1) < 1e-9);
    assert_true(fabs(stats.avg_relevance_score - 0.35) < 1e-9);
    assert_int_equal(stats.reranking, 0);
    assert_int_equal(stats.hybrid_search, 1);
    assert_int_equal(stats.query_expansion, 0);
}

static void ranges_include_both_ends(void **state)
{
    static const struct {
        const char *name;
        int64_t from, to;
        int64_t expected;
    } table[] = {
        {"open", 0, 0, 3},
        {"from the second", T0 + 1000000, 0, 2},
        {"to the second", 0, T0 + 1000000, 2},
        {"the second alone", T0 + 1000000, T0 + 1000000, 1},
        {"just after the second", T0 + 1000001, T0 + 1999999, 0},
        {"upside down", T0 + 2000000, T0, 0},
    };
    struct world *world = *state;
    const struct tars_row rows[] = {question("a", "default", T0),
                                    question("b", "default", T0 + 1000000),
                                    question("c", "default", T0 + 2000000)};

    write_ok(world, rows, ROWS(rows));
    for (size_t i = 0; i < ROWS(table); i++) {
        const struct tars_analytics_range range = {.from_us = table[i].from, .to_us = table[i].to};

        if (stats_of(world, &range).total != table[i].expected)
            fail_msg("%s", table[i].name);
    }
}

static void tenants_and_collections_are_apart(void **state)
{
    static const char *const hr[] = {"hr"};
    static const struct tars_visible only_hr = {.keys = hr, .count = 1};
    static const struct tars_visible nothing = {.count = 0};
    struct world *world = *state;
    const struct tars_row rows[] = {question("a", "default", T0), question("b", "acme", T0)};
    const struct tars_analytics_range acme = {.tenant = "acme"};
    const struct tars_analytics_range hr_of_acme = {.tenant = "acme", .visible = &only_hr};
    const struct tars_analytics_range none_of_acme = {.tenant = "acme", .visible = &nothing};
    struct tars_popular_document *documents;
    struct tars_analytics_totals totals;
    size_t count;

    write_ok(world, rows, ROWS(rows));
    assert_int_equal(stats_of(world, &everything).total, 2);
    assert_int_equal(stats_of(world, &acme).total, 1);
    assert_int_equal(world->sink->ops->popular(world->sink, &hr_of_acme, 10, &world->arena,
                                               &documents, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(documents[0].document_id, "doc_b");
    assert_int_equal(world->sink->ops->totals(world->sink, &none_of_acme, &totals, NULL), TARS_OK);
    assert_int_equal(totals.queries, 1);
    assert_int_equal(totals.documents, 0);
}

static void popular_documents_come_first(void **state)
{
    struct world *world = *state;
    struct tars_row rows[] = {question("a", "default", T0), question("b", "default", T0 + 5)};
    struct tars_popular_document *documents;
    size_t count;

    rows[1].as.query.access_count = 1;
    write_ok(world, rows, ROWS(rows));
    assert_int_equal(world->sink->ops->popular(world->sink, &everything, 1, &world->arena,
                                               &documents, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(documents[0].document_id, "doc_a");
    assert_string_equal(documents[0].file_name, "a.pdf");
    assert_int_equal(documents[0].access_count, 2);
    assert_int_equal(documents[0].last_accessed_us, T0 + 5);
    assert_true(fabs(documents[0].avg_relevance_score - 0.9) < 1e-9);
}

static void patterns_are_of_words_and_hours(void **state)
{
    struct world *world = *state;
    const struct tars_row rows[] = {question("The \xc3\x9c"
                                             "BER the",
                                             "default", T0),
                                    question("\xc3\xbc"
                                             "ber\tthe  end",
                                             "default", T0 + DAY_US),
                                    question("", "default", T0 + INT64_C(3600000000))};
    struct tars_query_patterns patterns;

    write_ok(world, rows, ROWS(rows));
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.total, 3);
    assert_int_equal(patterns.min_length, 0);
    assert_int_equal(patterns.max_length, 13);
    assert_true(fabs(patterns.avg_length - 25.0 / 3) < 1e-9);
    assert_int_equal(patterns.by_hour[12], 2);
    assert_int_equal(patterns.by_hour[13], 1);
    assert_int_equal(patterns.top_word_count, 3);
    assert_string_equal(patterns.top_words[0].word, "the");
    assert_int_equal(patterns.top_words[0].count, 3);
    assert_string_equal(patterns.top_words[1].word, "\xc3\xbc"
                                                    "ber");
    assert_int_equal(patterns.top_words[1].count, 2);
    assert_string_equal(patterns.top_words[2].word, "end");
}

static void at_most_twenty_words(void **state)
{
    struct world *world = *state;
    const struct tars_row row =
        question("a b c d e f g h i j k l m n o p q r s t u v w x y z", "default", T0);
    struct tars_query_patterns patterns;

    write_ok(world, &row, 1);
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.top_word_count, TARS_ANALYTICS_WORDS_MAX);
    assert_string_equal(patterns.top_words[0].word, "a");
}

static void samples_are_averaged_over_steps(void **state)
{
    struct world *world = *state;
    struct tars_row rows[3];
    struct tars_system_row *samples;
    size_t count;

    for (size_t i = 0; i < ROWS(rows); i++) {
        rows[i] = (struct tars_row){
            .kind = TARS_ROW_SYSTEM,
            .as.system = {.time_us = INT64_C(1762516800000000) + (int64_t)i * 40000000,
                          .cpu_usage_percent = 10.0 * (double)(i + 1),
                          .memory_usage_percent = 50,
                          .gpu_usage_percent = NAN,
                          .gpu_memory_usage_percent = NAN,
                          .cache_hit_rate = NAN,
                          .active_connections = -1,
                          .total_documents = 3,
                          .total_chunks = 5}};
    }
    write_ok(world, rows, ROWS(rows));
    assert_int_equal(world->sink->ops->history(world->sink, &everything, 60, &world->arena,
                                               &samples, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(samples[0].time_us, INT64_C(1762516800000000));
    assert_true(fabs(samples[0].cpu_usage_percent - 15) < 1e-9);
    assert_true(fabs(samples[1].cpu_usage_percent - 30) < 1e-9);
    assert_true(isnan(samples[0].gpu_usage_percent));
    assert_int_equal(samples[0].active_connections, -1);
    assert_int_equal(samples[0].total_chunks, 5);
}

static void pages_go_through_all(void **state)
{
    struct world *world = *state;
    const struct tars_row rows[] = {question("one", "default", T0),
                                    question("three", "default", T0 + 2),
                                    failure("two", "acme", T0 + 1)};
    struct tars_logged *page;
    size_t count;

    write_ok(world, rows, ROWS(rows));
    page = page_of(world, TARS_TABLE_QUERIES, &everything, first, 2, &count);
    assert_int_equal(count, 2);
    assert_int_equal(page[0].table, TARS_TABLE_QUERIES);
    assert_string_equal(page[0].as.query.row.query_text, "one");
    assert_int_equal(page[0].as.query.row.time_us, T0);
    assert_int_equal(page[0].as.query.query_length, 3);
    assert_int_equal(page[0].as.query.sources_count, 2);
    assert_true(fabs(page[0].as.query.avg_relevance_score - 0.7) < 1e-9);
    assert_true(fabs(page[0].as.query.max_relevance_score - 0.9) < 1e-9);
    assert_null(page[0].as.query.row.error_message);
    assert_string_equal(page[0].as.query.row.request_id, "r1");
    assert_string_equal(page[1].as.query.row.error_message, "it broke");
    assert_true(page[1].as.query.avg_relevance_score == 0);
    page = page_of(world, TARS_TABLE_QUERIES, &everything,
                   (struct tars_analytics_cursor){T0 + 1, page[1].as.query.id}, 2, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.query.row.query_text, "three");
}

/* Many rows of one time, and times that are not in the order of the ids. */
static void pages_lose_and_repeat_nothing(void **state)
{
    static const int order[] = {5, 1, 1, 1, 4, 0, 1, 3, 3, 2, 0};
    struct world *world = *state;
    struct tars_row rows[ROWS(order)];

    for (size_t i = 0; i < ROWS(order); i++)
        rows[i] = question("q", i == 3 ? "acme" : "default", T0 + order[i]);
    write_ok(world, rows, ROWS(rows));
    for (int downwards = 0; downwards < 2; downwards++) {
        const struct tars_analytics_range range = {
            .tenant = "default", .from_us = T0 + 1, .to_us = T0 + 4};
        struct tars_analytics_wanted wanted = {
            .table = TARS_TABLE_QUERIES, .range = &range, .newest_first = downwards, .max = 2};
        struct tars_analytics_cursor last = {downwards ? INT64_MAX : 0, downwards ? INT64_MAX : 0};
        size_t total = 0;
        size_t count = 2;

        while (count == 2) {
            struct tars_logged *page = NULL;

            assert_int_equal(
                world->sink->ops->read(world->sink, &wanted, &world->arena, &page, &count, NULL),
                TARS_OK);
            for (size_t i = 0; i < count; i++) {
                const struct tars_logged_query *query = &page[i].as.query;
                bool is_behind = query->row.time_us > last.time_us ||
                                 (query->row.time_us == last.time_us && query->id > last.id);

                assert_true(is_behind == !downwards);
                last = (struct tars_analytics_cursor){query->row.time_us, query->id};
            }
            total += count;
            wanted.after = last;
        }
        assert_int_equal(total, 7);
    }
}

static struct tars_row trouble(const char *request_id, const char *tenant, int64_t time_us)
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

static void every_table_has_pages(void **state)
{
    static const char *const hr[] = {"hr"};
    static const struct tars_visible only_hr = {.keys = hr, .count = 1};
    struct world *world = *state;
    const struct tars_row rows[] = {question("one", "default", T0),
                                    trouble("r1", "default", T0 + 1),
                                    {.kind = TARS_ROW_SYSTEM,
                                     .as.system = {.time_us = T0 + 2,
                                                   .cpu_usage_percent = 12.5,
                                                   .memory_usage_percent = NAN,
                                                   .active_connections = 3,
                                                   .total_documents = -1}}};
    const struct tars_analytics_range of_hr = {.tenant = "default", .visible = &only_hr};
    struct tars_logged *page;
    int64_t query_id;
    size_t count;

    write_ok(world, rows, ROWS(rows));
    query_id = page_of(world, TARS_TABLE_QUERIES, &everything, first, 9, &count)[0].as.query.id;
    page = page_of(world, TARS_TABLE_ACCESSES, &everything, first, 9, &count);
    assert_int_equal(count, 2);
    assert_int_equal(page[0].as.access.query_id, query_id);
    assert_int_equal(page[0].as.access.time_us, T0);
    assert_string_equal(page[0].as.access.tenant, "default");
    assert_string_equal(page[0].as.access.row.document_id, "doc_a");
    assert_string_equal(page[0].as.access.row.file_name, "a.pdf");
    assert_string_equal(page[0].as.access.row.chunk_id, "doc_a_chunk_0");
    assert_string_equal(page[0].as.access.row.collection, "tars_documents");
    assert_true(fabs(page[0].as.access.row.relevance_score - 0.9) < 1e-9);
    assert_int_equal(page[1].as.access.row.rank, 2);
    page = page_of(world, TARS_TABLE_ACCESSES, &of_hr, first, 9, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.access.row.document_id, "doc_b");
    page = page_of(world, TARS_TABLE_ERRORS, &of_hr, first, 9, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.error.row.error_type, "TARS_EIO");
    assert_string_equal(page[0].as.error.row.request_id, "r1");
    assert_string_equal(page[0].as.error.row.client_id, "desk-1");
    assert_null(page[0].as.error.query);
    page = page_of(world, TARS_TABLE_SYSTEM, &everything, first, 9, &count);
    assert_int_equal(count, 1);
    assert_int_equal(page[0].as.system.row.time_us, T0 + 2);
    assert_true(fabs(page[0].as.system.row.cpu_usage_percent - 12.5) < 1e-9);
    assert_true(isnan(page[0].as.system.row.memory_usage_percent));
    assert_int_equal(page[0].as.system.row.active_connections, 3);
    assert_int_equal(page[0].as.system.row.total_documents, -1);
}

static void an_error_finds_its_question(void **state)
{
    struct world *world = *state;
    struct tars_row rows[] = {question("ours", "default", T0), question("theirs", "acme", T0 + 1),
                              trouble("r1", "acme", T0 + 2), trouble("r2", "default", T0 + 3),
                              trouble(NULL, "default", T0 + 4)};
    struct tars_analytics_wanted wanted = {.table = TARS_TABLE_ERRORS,
                                           .range = &everything,
                                           .newest_first = true,
                                           .with_query = true,
                                           .max = 9};
    struct tars_logged *page = NULL;
    size_t count;

    write_ok(world, rows, ROWS(rows));
    assert_int_equal(
        world->sink->ops->read(world->sink, &wanted, &world->arena, &page, &count, NULL), TARS_OK);
    assert_int_equal(count, 3);
    assert_null(page[0].as.error.query);
    assert_null(page[0].as.error.row.request_id);
    assert_null(page[1].as.error.query);
    assert_string_equal(page[2].as.error.query->row.query_text, "theirs");
    wanted.request_id = "r2";
    assert_int_equal(
        world->sink->ops->read(world->sink, &wanted, &world->arena, &page, &count, NULL), TARS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(page[0].as.error.row.time_us, T0 + 3);
    wanted.table = TARS_TABLE_QUERIES;
    wanted.request_id = "r1";
    wanted.newest_first = false;
    assert_int_equal(
        world->sink->ops->read(world->sink, &wanted, &world->arena, &page, &count, NULL), TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(page[0].as.query.row.query_text, "ours");
}

static size_t repeat_clear(struct world *world, const char *tenant)
{
    size_t rounds = 0;
    size_t removed;

    do {
        assert_int_equal(world->sink->ops->clear(world->sink, tenant, 1, &removed, NULL), TARS_OK);
        rounds++;
    } while (removed > 0);
    return rounds;
}

static void clearing_takes_one_tenant(void **state)
{
    struct world *world = *state;
    const struct tars_row rows[] = {question("one", "acme", T0),
                                    question("two", "acme", T0),
                                    question("three", "default", T0),
                                    {.kind = TARS_ROW_ERROR,
                                     .as.error = {.time_us = T0,
                                                  .tenant = "acme",
                                                  .error_type = "t",
                                                  .error_message = "m",
                                                  .severity = "ERROR"}}};
    struct tars_analytics_totals totals;

    write_ok(world, rows, ROWS(rows));
    assert_true(repeat_clear(world, "acme") > 2);
    assert_int_equal(world->sink->ops->totals(world->sink, &everything, &totals, NULL), TARS_OK);
    assert_int_equal(totals.queries, 1);
    assert_int_equal(totals.errors, 0);
    assert_int_equal(totals.documents, 2);
    (void)repeat_clear(world, NULL);
    assert_int_equal(world->sink->ops->totals(world->sink, &everything, &totals, NULL), TARS_OK);
    assert_int_equal(totals.queries + totals.documents, 0);
}

static void pruning_takes_the_old(void **state)
{
    struct world *world = *state;
    struct tars_row rows[20];
    size_t removed;
    size_t total = 0;

    for (size_t i = 0; i < ROWS(rows); i++)
        rows[i] = question("q", "default", T0 + (int64_t)i);
    write_ok(world, rows, ROWS(rows));
    do {
        assert_int_equal(world->sink->ops->prune(world->sink, T0 + 15, 4, &removed, NULL), TARS_OK);
        total += removed;
    } while (removed > 0);
    assert_true(total >= 15);
    assert_int_equal(stats_of(world, &everything).total, 5);
}

static void a_mark_lasts(void **state)
{
    struct world *world = *state;
    const struct tars_row row = question("one", "default", T0);
    uint64_t position;

    write_ok(world, &row, 1);
    world->sink->ops->close(world->sink);
    world->sink = open_sink(world);
    assert_int_equal(world->sink->ops->position(world->sink, 7, &position, NULL), TARS_OK);
    assert_int_equal(position, 100);
    assert_int_equal(world->sink->ops->position(world->sink, 8, &position, NULL), TARS_OK);
    assert_int_equal(position, 0);
}

static void all_rows_or_none(void **state)
{
    struct world *world = *state;
    const struct tars_row rows[] = {question("one", "default", T0),
                                    {.kind = (enum tars_row_kind)99}};
    const struct tars_analytics_mark mark = {7, 100};

    assert_int_equal(world->sink->ops->write(world->sink, rows, 2, &mark, NULL), TARS_EINVAL);
    assert_int_equal(stats_of(world, &everything).total, 0);
}

static void hostile_texts_are_data(void **state)
{
    static const char hostile[] = "'); DROP TABLE query_logs; -- \" %s [] {}";
    struct world *world = *state;
    struct tars_row row = question(hostile, hostile, T0);
    const struct tars_analytics_range range = {.tenant = hostile};
    struct tars_logged *page;
    size_t count;

    row.as.query.client_id = hostile;
    row.as.query.error_message = hostile;
    write_ok(world, &row, 1);
    assert_int_equal(stats_of(world, &range).total, 1);
    page = page_of(world, TARS_TABLE_QUERIES, &range, first, 2, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.query.row.query_text, hostile);
    assert_string_equal(page[0].as.query.row.client_id, hostile);
}

/* -------------------------------------------------------- each allocation */

static void use_once(void *ctx)
{
    struct world *world = ctx;
    const struct tars_row rows[] = {question("one two", "default", T0)};
    const struct tars_analytics_mark mark = {9, 1};
    struct tars_analytics_sink *sink = NULL;
    struct tars_query_patterns patterns;
    struct tars_popular_document *documents;
    struct tars_arena arena;
    size_t count;

    tars_arena_init(&arena, (size_t)1 << 20);
    if (tars_sink_sqlite_open(world->path, &sink, NULL) == TARS_OK) {
        (void)!sink->ops->write(sink, rows, 1, &mark, NULL);
        (void)!sink->ops->patterns(sink, &everything, &arena, &patterns, NULL);
        (void)!sink->ops->popular(sink, &everything, 5, &arena, &documents, &count, NULL);
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
    struct world *world = *state;
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
    const struct world *world = *state;
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(empty_gives_zeros),
        TEST(statistics_count_failures_too),
        TEST(ranges_include_both_ends),
        TEST(tenants_and_collections_are_apart),
        TEST(popular_documents_come_first),
        TEST(patterns_are_of_words_and_hours),
        TEST(at_most_twenty_words),
        TEST(samples_are_averaged_over_steps),
        TEST(pages_go_through_all),
        TEST(pages_lose_and_repeat_nothing),
        TEST(every_table_has_pages),
        TEST(an_error_finds_its_question),
        TEST(clearing_takes_one_tenant),
        TEST(pruning_takes_the_old),
        TEST(a_mark_lasts),
        TEST(all_rows_or_none),
        TEST(hostile_texts_are_data),
        TEST(every_allocation_may_fail),
        TEST(a_damaged_file_is_refused),
        TEST(a_foreign_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
