/* The contract of analytics/sink.h, for every back end: statistics are the same with and without
 * rollups, whatever is added, removed and changed meanwhile. */
#include "support/sinks.h"

#include <stdio.h>
#include <string.h>

#define ROWS(a)       (sizeof(a) / sizeof((a)[0]))
#define SINKS_HOUR_US INT64_C(3600000000)
#define PIECE_BYTES   64
#define STEPS         120
#define BATCH         24
#define HOURS         72 /* that rows are strewn over, from SINKS_T0 on */
#define ASKED         24
#define ASKED_WORDY   6
#define WORDY_DAYS    4
#define WORDY_TIMES   12
#define WORDY_ALONE   70 /* words of a day; more than have a place (64) */
#define WORDY_COMMON  25 /* more than are asked for */
#define WORDY_BYTES   1024

/* Numbers that are the same each time. */
static uint32_t draw(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)*seed * below) >> 32U);
}

static int64_t some_time(uint32_t *seed)
{
    int64_t hour = draw(seed, HOURS);

    /* Ends of hours and days more often than chance has it. */
    switch (draw(seed, 4)) {
    case 0:
        return SINKS_T0 / SINKS_HOUR_US * SINKS_HOUR_US + hour * SINKS_HOUR_US;
    case 1:
        return SINKS_T0 / SINKS_HOUR_US * SINKS_HOUR_US + hour * SINKS_HOUR_US - 1;
    default:
        return SINKS_T0 + hour * SINKS_HOUR_US + draw(seed, 3600) * INT64_C(1000000) +
               draw(seed, 1000000);
    }
}

static struct tars_row some_row(uint32_t *seed, char *text, struct tars_access_row *two)
{
    static const char *const tenants[] = {"default", "acme", "globex"};
    static const char *const documents[] = {"doc_a", "doc_b", "doc_c", "doc_d", "doc_e"};
    static const char *const clients[] = {"desk-1", "desk-2", "desk-3"};
    const char *tenant = tenants[draw(seed, 3)];
    struct tars_row row;

    if (draw(seed, 5) == 0) {
        row = sinks_trouble("r", tenant, some_time(seed));
        row.as.error.client_id = clients[draw(seed, 3)];
        return row;
    }
    (void)snprintf(text, PIECE_BYTES, "w%u  W%u x%u", draw(seed, 9), draw(seed, 99), draw(seed, 3));
    for (int i = 0; i < 2; i++) {
        two[i] = (struct tars_access_row){.document_id = documents[draw(seed, 5)],
                                          .file_name = draw(seed, 2) ? "old.pdf" : "new.pdf",
                                          .collection = draw(seed, 3) ? "hr" : NULL,
                                          .relevance_score = draw(seed, 1000001) / 1e6,
                                          .rank = i + 1};
    }
    row = draw(seed, 6) ? sinks_question(text, tenant, some_time(seed))
                        : sinks_failure(text, tenant, some_time(seed));
    row.as.query.client_id = clients[draw(seed, 3)];
    row.as.query.retrieval_time_ms = draw(seed, 1000000) / 777.0;
    row.as.query.generation_time_ms = draw(seed, 1000000) / 33.0;
    row.as.query.total_time_ms = draw(seed, 1000000) / 7.0;
    row.as.query.used_reranking = draw(seed, 2);
    row.as.query.used_query_expansion = draw(seed, 3) == 0;
    row.as.query.accesses = two;
    row.as.query.access_count = row.as.query.error_message ? 0 : draw(seed, 3);
    return row;
}

/* A back end that rolls up, and one of the same rows that never does. */
struct pair {
    struct tars_analytics_sink *rolled, *plain;
    uint32_t seed;
    size_t rolled_hours;
};

static void write_some(struct pair *pair)
{
    const struct tars_analytics_mark mark = {7, 100};
    struct tars_row rows[BATCH];
    char texts[BATCH][PIECE_BYTES];
    struct tars_access_row accesses_of[BATCH][2];

    for (size_t i = 0; i < BATCH; i++)
        rows[i] = some_row(&pair->seed, texts[i], accesses_of[i]);
    assert_int_equal(pair->rolled->ops->write(pair->rolled, rows, BATCH, &mark, NULL), TARS_OK);
    assert_int_equal(pair->plain->ops->write(pair->plain, rows, BATCH, &mark, NULL), TARS_OK);
}

static void import_some(struct pair *pair)
{
    struct tars_logged_query rows[BATCH];
    char texts[BATCH][PIECE_BYTES];
    struct tars_access_row none[2];
    struct tars_row row;
    size_t added[2];

    for (size_t i = 0; i < BATCH; i++) {
        rows[i] = (struct tars_logged_query){
            .query_id = draw(&pair->seed, 2) ? "q_1" : "q_2",
            .sources_count = draw(&pair->seed, 4),
            .avg_relevance_score = draw(&pair->seed, 1000) / 1e3,
        };
        do {
            row = some_row(&pair->seed, texts[i], none);
        } while (row.kind != TARS_ROW_QUERY);
        rows[i].row = row.as.query;
        rows[i].row.access_count = 0;
    }
    assert_int_equal(pair->rolled->ops->import(pair->rolled, rows, BATCH, &added[0], NULL),
                     TARS_OK);
    assert_int_equal(pair->plain->ops->import(pair->plain, rows, BATCH, &added[1], NULL), TARS_OK);
    assert_int_equal(added[0], added[1]);
}

static void remove_some_of(struct tars_analytics_sink *sink, uint32_t seed)
{
    static const char *const clients[] = {"desk-1", "desk-2", "desk-3"};
    struct tars_analytics_who who = {.tenant = draw(&seed, 2) ? "acme" : NULL,
                                     .client_id = clients[draw(&seed, 3)],
                                     .before_us = draw(&seed, 2) ? some_time(&seed) : 0};
    struct tars_analytics_changed changed;
    size_t removed;

    switch (draw(&seed, 6)) {
    case 0:
        assert_int_equal(
            sink->ops->prune(sink, SINKS_T0 + draw(&seed, 9) * SINKS_HOUR_US, 50, &removed, NULL),
            TARS_OK);
        return;
    case 1:
        assert_int_equal(sink->ops->clear(sink, "globex", 5, &removed, NULL), TARS_OK);
        return;
    case 2:
        assert_int_equal(sink->ops->erase(sink, &who, 3, &changed, NULL), TARS_OK);
        return;
    default:
        assert_int_equal(sink->ops->anonymize(sink, &who, "anon-1", 3, &changed, NULL), TARS_OK);
    }
}

static void roll_some(struct pair *pair)
{
    size_t rolled = 0;

    assert_int_equal(pair->rolled->ops->rollup(pair->rolled,
                                               some_time(&pair->seed) + 9 * SINKS_HOUR_US,
                                               1 + draw(&pair->seed, 60), &rolled, NULL),
                     TARS_OK);
    pair->rolled_hours += rolled;
}

/* Every statistic of a range, as text. */
static char *answers(struct tars_analytics_sink *sink, const struct tars_analytics_range *range,
                     struct tars_arena *arena)
{
    struct tars_query_stats stats;
    struct tars_query_patterns patterns;
    struct tars_analytics_totals totals;
    struct tars_popular_document *documents;
    size_t count;
    char *text;

    assert_int_equal(sink->ops->stats(sink, range, &stats, NULL), TARS_OK);
    assert_int_equal(sink->ops->patterns(sink, range, arena, &patterns, NULL), TARS_OK);
    assert_int_equal(sink->ops->totals(sink, range, &totals, NULL), TARS_OK);
    assert_int_equal(sink->ops->popular(sink, range, 4, arena, &documents, &count, NULL), TARS_OK);
    text = tars_arena_printf(
        arena,
        "%lld %lld %.17g %.17g %.17g %.17g %.17g %lld %lld %lld | %lld %lld %lld %.17g | "
        "%lld %lld %lld |",
        (long long)stats.total, (long long)stats.successful, stats.avg_retrieval_time_ms,
        stats.avg_generation_time_ms, stats.avg_total_time_ms, stats.avg_sources_count,
        stats.avg_relevance_score, (long long)stats.reranking, (long long)stats.hybrid_search,
        (long long)stats.query_expansion, (long long)patterns.total, (long long)patterns.min_length,
        (long long)patterns.max_length, patterns.avg_length, (long long)totals.queries,
        (long long)totals.errors, (long long)totals.documents);
    for (size_t i = 0; i < patterns.top_word_count; i++) {
        text = tars_arena_printf(arena, "%s %s=%lld", text, patterns.top_words[i].word,
                                 (long long)patterns.top_words[i].count);
    }
    for (size_t i = 0; i < ROWS(patterns.by_hour); i++)
        text = tars_arena_printf(arena, "%s %lld", text, (long long)patterns.by_hour[i]);
    for (size_t i = 0; i < count; i++) {
        text = tars_arena_printf(
            arena, "%s | %s %s %lld %lld %.17g", text, documents[i].document_id,
            documents[i].file_name, (long long)documents[i].access_count,
            (long long)documents[i].last_accessed_us, documents[i].avg_relevance_score);
    }
    return text;
}

static void compare(struct pair *pair, struct tars_arena *arena, size_t asked)
{
    static const char *const hr[] = {"hr"};
    static const struct tars_visible only_hr = {.keys = hr, .count = 1};

    for (size_t i = 0; i < asked; i++) {
        struct tars_analytics_range range = {
            .tenant = draw(&pair->seed, 3) ? NULL : "acme",
            .from_us = draw(&pair->seed, 3) ? some_time(&pair->seed) : 0,
            .to_us = draw(&pair->seed, 3) ? some_time(&pair->seed) : 0,
            .visible = draw(&pair->seed, 3) ? NULL : &only_hr,
        };

        tars_arena_clear(arena);
        assert_string_equal(answers(pair->rolled, &range, arena),
                            answers(pair->plain, &range, arena));
    }
}

static void rolled_answers_are_the_same(void **state)
{
    struct sinks_world *world = *state;
    struct pair pair = {
        .rolled = world->sink, .plain = sinks_open(world, "plain"), .seed = 20251107};

    for (int step = 0; step < STEPS; step++) {
        uint32_t seed;

        switch (draw(&pair.seed, 6)) {
        case 0:
            write_some(&pair);
            break;
        case 1:
            import_some(&pair);
            break;
        case 2:
            seed = draw(&pair.seed, UINT32_MAX);
            remove_some_of(pair.rolled, seed);
            remove_some_of(pair.plain, seed);
            break;
        default:
            roll_some(&pair);
        }
        if (step % 8 == 7)
            compare(&pair, &world->arena, ASKED);
    }
    assert_true(pair.rolled_hours > HOURS);
    pair.plain->ops->close(pair.plain);
}

/* Some days of questions with two kinds of words: more than have a place that are of that day
 * alone, and some that are of all days. */
static void write_words(struct pair *pair, size_t of_day, size_t of_all, uint64_t position)
{
    const struct tars_analytics_mark mark = {7, position};
    struct tars_row rows[2 * WORDY_TIMES];

    for (int day = 0; day < WORDY_DAYS; day++) {
        int64_t time_us = SINKS_T0 + (int64_t)day * 24 * SINKS_HOUR_US;
        char alone[WORDY_BYTES] = "";
        char common[WORDY_BYTES] = "";
        size_t used[2] = {0, 0};
        size_t n = 0;

        for (int i = 0; i < WORDY_ALONE; i++)
            used[0] += (size_t)snprintf(alone + used[0], WORDY_BYTES - used[0], "a%dof%d ", i, day);
        for (int i = 0; i < WORDY_COMMON; i++)
            used[1] += (size_t)snprintf(common + used[1], WORDY_BYTES - used[1], "c%d ", i);
        while (n < of_day)
            rows[n++] = sinks_question(alone, "default", time_us);
        while (n < of_day + of_all)
            rows[n++] = sinks_question(common, "default", time_us);
        assert_int_equal(pair->rolled->ops->write(pair->rolled, rows, n, &mark, NULL), TARS_OK);
        assert_int_equal(pair->plain->ops->write(pair->plain, rows, n, &mark, NULL), TARS_OK);
    }
}

/* The commonest words of all days need not lead on any of them. */
static void commonest_words_are_the_same(void **state)
{
    static const struct {
        size_t of_day, of_all;
    } cases[] = {{3, 2}, {1, WORDY_TIMES}};
    struct sinks_world *world = *state;
    struct pair pair = {.rolled = world->sink, .plain = sinks_open(world, "plain")};
    size_t rolled;

    for (size_t i = 0; i < ROWS(cases); i++) {
        write_words(&pair, cases[i].of_day, cases[i].of_all, 100 + i);
        do {
            assert_int_equal(pair.rolled->ops->rollup(pair.rolled, INT64_MAX, 64, &rolled, NULL),
                             TARS_OK);
        } while (rolled > 0);
        compare(&pair, &world->arena, ASKED_WORDY);
    }
    pair.plain->ops->close(pair.plain);
}

static void only_complete_hours_are_rolled(void **state)
{
    struct sinks_world *world = *state;
    const struct tars_row rows[] = {
        sinks_question("a", "default", SINKS_T0 / SINKS_HOUR_US * SINKS_HOUR_US),
        sinks_question("b", "default", SINKS_T0 / SINKS_HOUR_US * SINKS_HOUR_US + SINKS_HOUR_US)};
    size_t rolled = 9;

    sinks_write(world, rows, ROWS(rows));
    assert_int_equal(world->sink->ops->rollup(world->sink,
                                              SINKS_T0 / SINKS_HOUR_US * SINKS_HOUR_US - 1, 9,
                                              &rolled, NULL),
                     TARS_OK);
    assert_int_equal(rolled, 0);
    assert_int_equal(
        world->sink->ops->rollup(world->sink, SINKS_T0 + SINKS_HOUR_US, 9, &rolled, NULL), TARS_OK);
    assert_int_equal(rolled, 1);
    assert_int_equal(
        world->sink->ops->rollup(world->sink, SINKS_T0 + SINKS_HOUR_US, 9, &rolled, NULL), TARS_OK);
    assert_int_equal(rolled, 0);
    assert_int_equal(sinks_stats(world, &sinks_everything).total, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SINKS_TEST(rolled_answers_are_the_same),
        SINKS_TEST(commonest_words_are_the_same),
        SINKS_TEST(only_complete_hours_are_rolled),
    };

    return sinks_run(tests, ROWS(tests));
}
