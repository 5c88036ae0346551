/* The contract of analytics/sink.h, for every back end (support/sinks.h): what is written can be
 * read and asked about. */
#include "support/sinks.h"

#include <math.h>
#include <string.h>

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
#define DAY_US  (INT64_C(86400) * 1000000)

/* -------------------------------------------------------------------- tests */

static void empty_gives_zeros(void **state)
{
    struct sinks_world *world = *state;
    struct tars_query_stats stats = sinks_stats(world, &sinks_everything);
    struct tars_popular_document *documents;
    struct tars_query_patterns patterns;
    struct tars_analytics_totals totals;
    struct tars_system_row *samples;
    uint64_t position = 99;
    size_t count = 99;

    assert_int_equal(stats.total, 0);
    assert_true(stats.avg_total_time_ms == 0 && stats.avg_relevance_score == 0);
    assert_int_equal(world->sink->ops->popular(world->sink, &sinks_everything, 10, &world->arena,
                                               &documents, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &sinks_everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.total + patterns.min_length + patterns.max_length, 0);
    assert_int_equal(patterns.top_word_count, 0);
    assert_int_equal(world->sink->ops->totals(world->sink, &sinks_everything, &totals, NULL),
                     TARS_OK);
    assert_int_equal(totals.queries + totals.errors + totals.documents, 0);
    assert_int_equal(world->sink->ops->history(world->sink, &sinks_everything, 60, &world->arena,
                                               &samples, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    for (int table = TARS_TABLE_QUERIES; table <= TARS_TABLE_SYSTEM; table++) {
        (void)sinks_page(world, (enum tars_analytics_table)table, &sinks_everything, sinks_first,
                         10, &count);
        assert_int_equal(count, 0);
    }
    assert_int_equal(world->sink->ops->position(world->sink, 7, &position, NULL), TARS_OK);
    assert_int_equal(position, 0);
}

static void statistics_count_failures_too(void **state)
{
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("What is RAG?", "default", SINKS_T0),
                                    sinks_failure("What?", "default", SINKS_T0 + 1)};
    struct tars_query_stats stats;

    sinks_write(world, rows, ROWS(rows));
    stats = sinks_stats(world, &sinks_everything);
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
        {"from the second", SINKS_T0 + 1000000, 0, 2},
        {"to the second", 0, SINKS_T0 + 1000000, 2},
        {"the second alone", SINKS_T0 + 1000000, SINKS_T0 + 1000000, 1},
        {"just after the second", SINKS_T0 + 1000001, SINKS_T0 + 1999999, 0},
        {"upside down", SINKS_T0 + 2000000, SINKS_T0, 0},
    };
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("a", "default", SINKS_T0),
                                    sinks_question("b", "default", SINKS_T0 + 1000000),
                                    sinks_question("c", "default", SINKS_T0 + 2000000)};

    sinks_write(world, rows, ROWS(rows));
    for (size_t i = 0; i < ROWS(table); i++) {
        const struct tars_analytics_range range = {.from_us = table[i].from, .to_us = table[i].to};

        if (sinks_stats(world, &range).total != table[i].expected)
            fail_msg("%s", table[i].name);
    }
}

static void tenants_and_collections_are_apart(void **state)
{
    static const char *const hr[] = {"hr"};
    static const struct tars_visible only_hr = {.keys = hr, .count = 1};
    static const struct tars_visible nothing = {.count = 0};
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("a", "default", SINKS_T0),
                                    sinks_question("b", "acme", SINKS_T0)};
    const struct tars_analytics_range acme = {.tenant = "acme"};
    const struct tars_analytics_range hr_of_acme = {.tenant = "acme", .visible = &only_hr};
    const struct tars_analytics_range none_of_acme = {.tenant = "acme", .visible = &nothing};
    struct tars_popular_document *documents;
    struct tars_analytics_totals totals;
    size_t count;

    sinks_write(world, rows, ROWS(rows));
    assert_int_equal(sinks_stats(world, &sinks_everything).total, 2);
    assert_int_equal(sinks_stats(world, &acme).total, 1);
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
    struct sinks_world *world = *state;
    struct tars_row rows[] = {sinks_question("a", "default", SINKS_T0),
                              sinks_question("b", "default", SINKS_T0 + 5)};
    struct tars_popular_document *documents;
    size_t count;

    rows[1].as.query.access_count = 1;
    sinks_write(world, rows, ROWS(rows));
    assert_int_equal(world->sink->ops->popular(world->sink, &sinks_everything, 1, &world->arena,
                                               &documents, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(documents[0].document_id, "doc_a");
    assert_string_equal(documents[0].file_name, "a.pdf");
    assert_int_equal(documents[0].access_count, 2);
    assert_int_equal(documents[0].last_accessed_us, SINKS_T0 + 5);
    assert_true(fabs(documents[0].avg_relevance_score - 0.9) < 1e-9);
}

static void patterns_are_of_words_and_hours(void **state)
{
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("The \xc3\x9c"
                                                   "BER the",
                                                   "default", SINKS_T0),
                                    sinks_question("\xc3\xbc"
                                                   "ber\tthe  end",
                                                   "default", SINKS_T0 + DAY_US),
                                    sinks_question("", "default", SINKS_T0 + INT64_C(3600000000))};
    struct tars_query_patterns patterns;

    sinks_write(world, rows, ROWS(rows));
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &sinks_everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.total, 3);
    assert_int_equal(patterns.min_length, 12); /* of those that have a text */
    assert_int_equal(patterns.max_length, 13);
    assert_true(fabs(patterns.avg_length - 12.5) < 1e-9);
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
    struct sinks_world *world = *state;
    const struct tars_row row =
        sinks_question("a b c d e f g h i j k l m n o p q r s t u v w x y z", "default", SINKS_T0);
    struct tars_query_patterns patterns;

    sinks_write(world, &row, 1);
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &sinks_everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.top_word_count, TARS_ANALYTICS_WORDS_MAX);
    assert_string_equal(patterns.top_words[0].word, "a");
}

static void samples_are_averaged_over_steps(void **state)
{
    struct sinks_world *world = *state;
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
    sinks_write(world, rows, ROWS(rows));
    assert_int_equal(world->sink->ops->history(world->sink, &sinks_everything, 60, &world->arena,
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
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("one", "default", SINKS_T0),
                                    sinks_question("three", "default", SINKS_T0 + 2),
                                    sinks_failure("two", "acme", SINKS_T0 + 1)};
    struct tars_logged *page;
    size_t count;

    sinks_write(world, rows, ROWS(rows));
    page = sinks_page(world, TARS_TABLE_QUERIES, &sinks_everything, sinks_first, 2, &count);
    assert_int_equal(count, 2);
    assert_int_equal(page[0].table, TARS_TABLE_QUERIES);
    assert_string_equal(page[0].as.query.row.query_text, "one");
    assert_int_equal(page[0].as.query.row.time_us, SINKS_T0);
    assert_int_equal(page[0].as.query.query_length, 3);
    assert_int_equal(page[0].as.query.sources_count, 2);
    assert_true(fabs(page[0].as.query.avg_relevance_score - 0.7) < 1e-9);
    assert_true(fabs(page[0].as.query.max_relevance_score - 0.9) < 1e-9);
    assert_null(page[0].as.query.row.error_message);
    assert_string_equal(page[0].as.query.row.request_id, "r1");
    assert_string_equal(page[1].as.query.row.error_message, "it broke");
    assert_true(page[1].as.query.avg_relevance_score == 0);
    page = sinks_page(world, TARS_TABLE_QUERIES, &sinks_everything,
                      (struct tars_analytics_cursor){SINKS_T0 + 1, page[1].as.query.id}, 2, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.query.row.query_text, "three");
}

/* Many rows of one time, and times that are not in the order of the ids. */
static void pages_lose_and_repeat_nothing(void **state)
{
    static const int order[] = {5, 1, 1, 1, 4, 0, 1, 3, 3, 2, 0};
    struct sinks_world *world = *state;
    struct tars_row rows[ROWS(order)];

    for (size_t i = 0; i < ROWS(order); i++)
        rows[i] = sinks_question("q", i == 3 ? "acme" : "default", SINKS_T0 + order[i]);
    sinks_write(world, rows, ROWS(rows));
    for (int downwards = 0; downwards < 2; downwards++) {
        const struct tars_analytics_range range = {
            .tenant = "default", .from_us = SINKS_T0 + 1, .to_us = SINKS_T0 + 4};
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

static void every_table_has_pages(void **state)
{
    static const char *const hr[] = {"hr"};
    static const struct tars_visible only_hr = {.keys = hr, .count = 1};
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("one", "default", SINKS_T0),
                                    sinks_trouble("r1", "default", SINKS_T0 + 1),
                                    {.kind = TARS_ROW_SYSTEM,
                                     .as.system = {.time_us = SINKS_T0 + 2,
                                                   .cpu_usage_percent = 12.5,
                                                   .memory_usage_percent = NAN,
                                                   .active_connections = 3,
                                                   .total_documents = -1}}};
    const struct tars_analytics_range of_hr = {.tenant = "default", .visible = &only_hr};
    struct tars_logged *page;
    int64_t query_id;
    size_t count;

    sinks_write(world, rows, ROWS(rows));
    query_id = sinks_page(world, TARS_TABLE_QUERIES, &sinks_everything, sinks_first, 9, &count)[0]
                   .as.query.id;
    page = sinks_page(world, TARS_TABLE_ACCESSES, &sinks_everything, sinks_first, 9, &count);
    assert_int_equal(count, 2);
    assert_int_equal(page[0].as.access.query_id, query_id);
    assert_int_equal(page[0].as.access.time_us, SINKS_T0);
    assert_string_equal(page[0].as.access.tenant, "default");
    assert_string_equal(page[0].as.access.row.document_id, "doc_a");
    assert_string_equal(page[0].as.access.row.file_name, "a.pdf");
    assert_string_equal(page[0].as.access.row.chunk_id, "doc_a_chunk_0");
    assert_string_equal(page[0].as.access.row.collection, "tars_documents");
    assert_true(fabs(page[0].as.access.row.relevance_score - 0.9) < 1e-9);
    assert_int_equal(page[1].as.access.row.rank, 2);
    page = sinks_page(world, TARS_TABLE_ACCESSES, &of_hr, sinks_first, 9, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.access.row.document_id, "doc_b");
    page = sinks_page(world, TARS_TABLE_ERRORS, &of_hr, sinks_first, 9, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.error.row.error_type, "TARS_EIO");
    assert_string_equal(page[0].as.error.row.request_id, "r1");
    assert_string_equal(page[0].as.error.row.client_id, "desk-1");
    assert_null(page[0].as.error.query);
    page = sinks_page(world, TARS_TABLE_SYSTEM, &sinks_everything, sinks_first, 9, &count);
    assert_int_equal(count, 1);
    assert_int_equal(page[0].as.system.row.time_us, SINKS_T0 + 2);
    assert_true(fabs(page[0].as.system.row.cpu_usage_percent - 12.5) < 1e-9);
    assert_true(isnan(page[0].as.system.row.memory_usage_percent));
    assert_int_equal(page[0].as.system.row.active_connections, 3);
    assert_int_equal(page[0].as.system.row.total_documents, -1);
}

static void an_error_finds_its_question(void **state)
{
    struct sinks_world *world = *state;
    struct tars_row rows[] = {
        sinks_question("ours", "default", SINKS_T0), sinks_question("theirs", "acme", SINKS_T0 + 1),
        sinks_trouble("r1", "acme", SINKS_T0 + 2), sinks_trouble("r2", "default", SINKS_T0 + 3),
        sinks_trouble(NULL, "default", SINKS_T0 + 4)};
    struct tars_analytics_wanted wanted = {.table = TARS_TABLE_ERRORS,
                                           .range = &sinks_everything,
                                           .newest_first = true,
                                           .with_query = true,
                                           .max = 9};
    struct tars_logged *page = NULL;
    size_t count;

    sinks_write(world, rows, ROWS(rows));
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
    assert_int_equal(page[0].as.error.row.time_us, SINKS_T0 + 3);
    wanted.table = TARS_TABLE_QUERIES;
    wanted.request_id = "r1";
    wanted.newest_first = false;
    assert_int_equal(
        world->sink->ops->read(world->sink, &wanted, &world->arena, &page, &count, NULL), TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(page[0].as.query.row.query_text, "ours");
}

static size_t repeat_clear(struct sinks_world *world, const char *tenant)
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
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("one", "acme", SINKS_T0),
                                    sinks_question("two", "acme", SINKS_T0),
                                    sinks_question("three", "default", SINKS_T0),
                                    {.kind = TARS_ROW_ERROR,
                                     .as.error = {.time_us = SINKS_T0,
                                                  .tenant = "acme",
                                                  .error_type = "t",
                                                  .error_message = "m",
                                                  .severity = "ERROR"}}};
    struct tars_analytics_totals totals;

    sinks_write(world, rows, ROWS(rows));
    assert_true(repeat_clear(world, "acme") > 2);
    assert_int_equal(world->sink->ops->totals(world->sink, &sinks_everything, &totals, NULL),
                     TARS_OK);
    assert_int_equal(totals.queries, 1);
    assert_int_equal(totals.errors, 0);
    assert_int_equal(totals.documents, 2);
    (void)repeat_clear(world, NULL);
    assert_int_equal(world->sink->ops->totals(world->sink, &sinks_everything, &totals, NULL),
                     TARS_OK);
    assert_int_equal(totals.queries + totals.documents, 0);
}

static void pruning_takes_the_old(void **state)
{
    struct sinks_world *world = *state;
    struct tars_row rows[20];
    size_t removed;
    size_t total = 0;

    for (size_t i = 0; i < ROWS(rows); i++)
        rows[i] = sinks_question("q", "default", SINKS_T0 + (int64_t)i);
    sinks_write(world, rows, ROWS(rows));
    do {
        assert_int_equal(world->sink->ops->prune(world->sink, SINKS_T0 + 15, 4, &removed, NULL),
                         TARS_OK);
        total += removed;
    } while (removed > 0);
    assert_true(total >= 15);
    assert_int_equal(sinks_stats(world, &sinks_everything).total, 5);
}

static void a_mark_lasts(void **state)
{
    struct sinks_world *world = *state;
    const struct tars_row row = sinks_question("one", "default", SINKS_T0);
    uint64_t position;

    sinks_write(world, &row, 1);
    world->sink->ops->close(world->sink);
    world->sink = sinks_open(world, "analytics");
    assert_int_equal(world->sink->ops->position(world->sink, 7, &position, NULL), TARS_OK);
    assert_int_equal(position, 100);
    assert_int_equal(world->sink->ops->position(world->sink, 8, &position, NULL), TARS_OK);
    assert_int_equal(position, 0);
}

static void all_rows_or_none(void **state)
{
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {sinks_question("one", "default", SINKS_T0),
                                    {.kind = (enum tars_row_kind)99}};
    const struct tars_analytics_mark mark = {7, 100};

    assert_int_equal(world->sink->ops->write(world->sink, rows, 2, &mark, NULL), TARS_EINVAL);
    assert_int_equal(sinks_stats(world, &sinks_everything).total, 0);
}

static void hostile_texts_are_data(void **state)
{
    static const char hostile[] = "'); DROP TABLE query_logs; -- \" %s [] {}";
    struct sinks_world *world = *state;
    struct tars_row row = sinks_question(hostile, hostile, SINKS_T0);
    const struct tars_analytics_range range = {.tenant = hostile};
    struct tars_logged *page;
    size_t count;

    row.as.query.client_id = hostile;
    row.as.query.error_message = hostile;
    sinks_write(world, &row, 1);
    assert_int_equal(sinks_stats(world, &range).total, 1);
    page = sinks_page(world, TARS_TABLE_QUERIES, &range, sinks_first, 2, &count);
    assert_int_equal(count, 1);
    assert_string_equal(page[0].as.query.row.query_text, hostile);
    assert_string_equal(page[0].as.query.row.client_id, hostile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SINKS_TEST(empty_gives_zeros),
        SINKS_TEST(statistics_count_failures_too),
        SINKS_TEST(ranges_include_both_ends),
        SINKS_TEST(tenants_and_collections_are_apart),
        SINKS_TEST(popular_documents_come_first),
        SINKS_TEST(patterns_are_of_words_and_hours),
        SINKS_TEST(at_most_twenty_words),
        SINKS_TEST(samples_are_averaged_over_steps),
        SINKS_TEST(pages_go_through_all),
        SINKS_TEST(pages_lose_and_repeat_nothing),
        SINKS_TEST(every_table_has_pages),
        SINKS_TEST(an_error_finds_its_question),
        SINKS_TEST(clearing_takes_one_tenant),
        SINKS_TEST(pruning_takes_the_old),
        SINKS_TEST(a_mark_lasts),
        SINKS_TEST(all_rows_or_none),
        SINKS_TEST(hostile_texts_are_data),
    };

    return sinks_run(tests, ROWS(tests));
}
