/* sinks - what the tests of the contract of analytics/sink.h share: a world with a back end in it,
 * and rows. A test program runs its tests once for each back end (sinks_run); a new one adds a line
 * to the list in sinks.c.
 */
#ifndef TARS_TESTS_SUPPORT_SINKS_H
#define TARS_TESTS_SUPPORT_SINKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "analytics/sink.h"
#include "support/files.h"

#define SINKS_T0      INT64_C(1762516800000001) /* 2025-11-07 12:00:00.000001 */
#define SINKS_HOUR_US INT64_C(3600000000)

struct sinks_world {
    char dir[FILES_PATH_MAX];
    struct tars_analytics_sink *sink; /* of the name "analytics" */
    struct tars_arena arena;
};

/* A test with a world of its own as its state. */
#define SINKS_TEST(name) cmocka_unit_test_setup_teardown(name, sinks_set_up, sinks_tear_down)

int sinks_set_up(void **state);
int sinks_tear_down(void **state);
/* Run (tests, count) for each back end; the sum of failures. */
int sinks_run(const struct CMUnitTest *tests, size_t count);

/* Open a back end of the world; rows of a name are apart from those of another. */
struct tars_analytics_sink *sinks_open(const struct sinks_world *world, const char *name);

extern const struct tars_analytics_range sinks_everything;
extern const struct tars_analytics_cursor sinks_first;

/* A question of desk-1 with request r1 and two sources, in tars_documents and hr; one that failed;
 * an error. */
struct tars_row sinks_question(const char *text, const char *tenant, int64_t time_us);
struct tars_row sinks_failure(const char *text, const char *tenant, int64_t time_us);
struct tars_row sinks_trouble(const char *request_id, const char *tenant, int64_t time_us);

void sinks_write(struct sinks_world *world, const struct tars_row *rows, size_t n);
struct tars_query_stats sinks_stats(struct sinks_world *world,
                                    const struct tars_analytics_range *range);
/* A page of a table. */
struct tars_logged *sinks_page(struct sinks_world *world, enum tars_analytics_table table,
                               const struct tars_analytics_range *range,
                               struct tars_analytics_cursor after, size_t max, size_t *count);

#endif
