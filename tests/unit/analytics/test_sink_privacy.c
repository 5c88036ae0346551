/* The contract of analytics/sink.h, for every back end: importing, erasing, making anonymous. */
#include "support/sinks.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))
/* -------------------------------------------------------- importing, erasing */

static size_t import_ok(struct sinks_world *world, const struct tars_logged_query *rows, size_t n)
{
    struct tars_err err = {.text = ""};
    size_t added = 99;

    if (world->sink->ops->import(world->sink, rows, n, &added, &err))
        fail_msg("%s", err.text);
    return added;
}

static struct tars_logged_query logged(const char *query_id, const char *text, const char *tenant)
{
    return (struct tars_logged_query){.row = {.time_us = SINKS_T0,
                                              .tenant = tenant,
                                              .client_id = "anonymous",
                                              .query_text = text,
                                              .model_used = "m",
                                              .total_time_ms = 30,
                                              .used_reranking = true},
                                      .query_length = 40,
                                      .sources_count = 5,
                                      .avg_relevance_score = 0.5,
                                      .max_relevance_score = 0.75,
                                      .query_id = query_id};
}

static void importing_makes_no_doubles(void **state)
{
    struct sinks_world *world = *state;
    struct tars_logged_query rows[] = {
        logged("q_1", "one", "default"), logged("q_1", "two", "default"),
        logged("q_2", "one", "default"), logged("q_1", "one", "acme"),
        logged("q_1", "one", "default"),
    };
    struct tars_logged *page;
    size_t count;

    rows[1].row.error_message = "it broke";
    assert_int_equal(import_ok(world, rows, 2), 2);
    assert_int_equal(import_ok(world, rows, ROWS(rows)), 2);
    assert_int_equal(import_ok(world, rows, ROWS(rows)), 0);
    page = sinks_page(world, TARS_TABLE_QUERIES, &sinks_everything, sinks_first, 9, &count);
    assert_int_equal(count, 4);
    assert_string_equal(page[0].as.query.query_id, "q_1");
    assert_int_equal(page[0].as.query.row.time_us, SINKS_T0);
    assert_int_equal(page[0].as.query.sources_count, 5);
    assert_true(fabs(page[0].as.query.avg_relevance_score - 0.5) < 1e-9);
    assert_true(fabs(page[0].as.query.max_relevance_score - 0.75) < 1e-9);
    assert_true(page[0].as.query.row.used_reranking);
    assert_null(page[0].as.query.row.error_message);
    assert_string_equal(page[1].as.query.row.error_message, "it broke");
}

static struct tars_row of_client(struct tars_row row, const char *client_id)
{
    if (row.kind == TARS_ROW_QUERY) {
        row.as.query.client_id = client_id;
    } else {
        row.as.error.client_id = client_id;
    }
    return row;
}

static void write_people(struct sinks_world *world)
{
    const struct tars_row rows[] = {
        of_client(sinks_question("secret one", "default", SINKS_T0), "ann"),
        of_client(sinks_question("secret two", "default", SINKS_T0 + 1), "ann"),
        of_client(sinks_failure("secret three", "default", SINKS_T0 + 2), "ann"),
        of_client(sinks_trouble("r3", "default", SINKS_T0 + 2), "ann"),
        of_client(sinks_question("secret four", "acme", SINKS_T0), "ann"),
        of_client(sinks_question("other", "default", SINKS_T0), "bob"),
        of_client(sinks_trouble("r4", "default", SINKS_T0), "bob"),
    };

    sinks_write(world, rows, ROWS(rows));
}

static void erasing_takes_one_client(void **state)
{
    static const struct {
        const char *name;
        struct tars_analytics_who who;
        struct tars_analytics_changed expected;
    } table[] = {
        {"nobody", {.tenant = "default", .client_id = "eve"}, {0, 0, 0}},
        {"of a time",
         {.tenant = "default", .client_id = "ann", .before_us = SINKS_T0 + 1},
         {1, 2, 0}},
        {"of a tenant", {.tenant = "default", .client_id = "ann"}, {2, 2, 1}},
        {"of all tenants", {.client_id = "ann"}, {1, 2, 0}},
        {"again", {.client_id = "ann"}, {0, 0, 0}},
        {"everybody", {.before_us = SINKS_T0 + 9}, {1, 2, 1}},
    };
    struct sinks_world *world = *state;

    write_people(world);
    for (size_t i = 0; i < ROWS(table); i++) {
        struct tars_analytics_changed total = {0, 0, 0};
        struct tars_analytics_changed removed;

        do {
            assert_int_equal(world->sink->ops->erase(world->sink, &table[i].who, 1, &removed, NULL),
                             TARS_OK);
            assert_true(removed.queries <= 1 && removed.errors <= 1);
            total.queries += removed.queries;
            total.accesses += removed.accesses;
            total.errors += removed.errors;
        } while (removed.queries + removed.errors > 0);
        if (memcmp(&total, &table[i].expected, sizeof(total)) != 0) {
            fail_msg("%s: %lld %lld %lld", table[i].name, (long long)total.queries,
                     (long long)total.accesses, (long long)total.errors);
        }
    }
    assert_int_equal(sinks_stats(world, &sinks_everything).total, 0);
}

static void anonymizing_keeps_the_counts(void **state)
{
    static const struct tars_analytics_who ann = {.tenant = "default", .client_id = "ann"};
    struct sinks_world *world = *state;
    struct tars_query_stats before;
    struct tars_query_stats after;
    struct tars_query_patterns patterns;
    struct tars_analytics_changed changed;
    struct tars_logged *page;
    size_t named = 0;
    size_t count;

    write_people(world);
    before = sinks_stats(world, &sinks_everything);
    assert_int_equal(world->sink->ops->anonymize(world->sink, &ann, "anon-1", 2, &changed, NULL),
                     TARS_OK);
    assert_int_equal(changed.queries, 2);
    assert_int_equal(changed.errors, 1);
    assert_int_equal(world->sink->ops->anonymize(world->sink, &ann, "anon-1", 2, &changed, NULL),
                     TARS_OK);
    assert_int_equal(changed.queries, 1);
    assert_int_equal(world->sink->ops->anonymize(world->sink, &ann, "anon-1", 2, &changed, NULL),
                     TARS_OK);
    assert_int_equal(changed.queries + changed.errors, 0);
    after = sinks_stats(world, &sinks_everything);
    assert_memory_equal(&before, &after, sizeof(before));
    page = sinks_page(world, TARS_TABLE_QUERIES, &sinks_everything, sinks_first, 9, &count);
    assert_int_equal(count, 5);
    for (size_t i = 0; i < count; i++) {
        const struct tars_query_row *row = &page[i].as.query.row;

        if (strcmp(row->client_id, "anon-1") != 0)
            continue;
        named++;
        assert_string_equal(row->query_text, "");
        assert_null(row->request_id);
        assert_null(row->conversation_id);
        assert_true(!row->error_message || !row->error_message[0]);
    }
    assert_int_equal(named, 3);
    page = sinks_page(world, TARS_TABLE_ERRORS, &sinks_everything, sinks_first, 9, &count);
    assert_int_equal(count, 2);
    assert_string_equal(page[1].as.error.row.client_id, "anon-1");
    assert_string_equal(page[1].as.error.row.error_message, "");
    assert_string_equal(page[1].as.error.row.error_type, "TARS_EIO");
    assert_null(page[1].as.error.row.request_id);
    assert_int_equal(
        world->sink->ops->patterns(world->sink, &sinks_everything, &world->arena, &patterns, NULL),
        TARS_OK);
    assert_int_equal(patterns.total, 5);
    assert_int_equal(patterns.min_length, 5);
    assert_int_equal(patterns.max_length, 11);
}

static void clients_that_are_not_anonymous_yet(void **state)
{
    static const struct tars_analytics_who ann = {.tenant = "default", .client_id = "ann"};
    static const struct tars_analytics_who all = {.before_us = SINKS_T0 + 9};
    static const struct tars_analytics_who none = {.before_us = SINKS_T0};
    struct sinks_world *world = *state;
    struct tars_analytics_changed changed;
    const char **clients = NULL;
    size_t count;

    write_people(world);
    assert_int_equal(world->sink->ops->clients(world->sink, &all, NULL, 9, &world->arena, &clients,
                                               &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(clients[0], "ann");
    assert_string_equal(clients[1], "bob");
    assert_int_equal(world->sink->ops->clients(world->sink, &all, "ann", 9, &world->arena, &clients,
                                               &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(clients[0], "bob");
    assert_int_equal(world->sink->ops->clients(world->sink, &all, NULL, 1, &world->arena, &clients,
                                               &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(clients[0], "ann");
    assert_int_equal(world->sink->ops->clients(world->sink, &none, NULL, 9, &world->arena, &clients,
                                               &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(world->sink->ops->anonymize(world->sink, &ann, "anon-1", 9, &changed, NULL),
                     TARS_OK);
    assert_int_equal(world->sink->ops->clients(world->sink, &ann, NULL, 9, &world->arena, &clients,
                                               &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SINKS_TEST(importing_makes_no_doubles),
        SINKS_TEST(erasing_takes_one_client),
        SINKS_TEST(anonymizing_keeps_the_counts),
        SINKS_TEST(clients_that_are_not_anonymous_yet),
    };

    return sinks_run(tests, ROWS(tests));
}
