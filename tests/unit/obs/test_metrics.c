/* Unit tests of obs/metrics and obs/health. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "obs/health.h"
#include "obs/metrics.h"
#include "support/faults.h"

#define THREADS 4
#define ROUNDS  20000

/* The exposition, terminated; the caller releases it. */
static struct tars_buf exposition(struct tars_metrics *metrics)
{
    struct tars_buf out;

    tars_buf_init(&out, (size_t)4 << 20);
    tars_metrics_write(metrics, &out);
    assert_int_equal(out.status, TARS_OK);
    return out;
}

static void assert_has(struct tars_metrics *metrics, const char *line)
{
    struct tars_buf out = exposition(metrics);

    if (!strstr(out.ptr, line))
        print_message("missing: %s\n", line);
    assert_non_null(strstr(out.ptr, line));
    tars_buf_release(&out);
}

static void kinds_are_written(void **state)
{
    struct tars_metrics *m;

    (void)state;
    assert_int_equal(tars_metrics_new(&m), TARS_OK);
    tars_metrics_add(m, TARS_METRIC_RAG_HYBRID, 3);
    tars_series_add(tars_metrics_series(m, TARS_METRIC_HTTP_REQUESTS, "GET", "/a\"b", "200"), 2);
    tars_metrics_set(m, TARS_METRIC_DOCUMENT_QUEUE, 2.5);
    tars_metrics_move(m, TARS_METRIC_ACTIVE_CONNECTIONS, 2);
    tars_metrics_move(m, TARS_METRIC_ACTIVE_CONNECTIONS, -1);
    tars_metrics_observe(m, TARS_METRIC_RAG_QUERY_DURATION, 0.5);
    tars_metrics_observe(m, TARS_METRIC_RAG_QUERY_DURATION, 0.75);
    tars_metrics_observe(m, TARS_METRIC_RAG_QUERY_DURATION, 99);
    tars_metrics_observe(m, TARS_METRIC_RAG_QUERY_DURATION, -1);
    assert_has(m, "# TYPE tars_rag_hybrid_search_usage_total counter\n"
                  "tars_rag_hybrid_search_usage_total 3.0\n");
    assert_has(m,
               "tars_http_requests_total{method=\"GET\",endpoint=\"/a\\\"b\",status=\"200\"} 2.0");
    assert_has(m, "tars_document_queue_length 2.5\n");
    assert_has(m, "tars_active_connections 1.0\n");
    assert_has(m, "tars_rag_query_duration_seconds_bucket{le=\"0.5\"} 1.0\n");
    assert_has(m, "tars_rag_query_duration_seconds_bucket{le=\"1.0\"} 2.0\n");
    assert_has(m, "tars_rag_query_duration_seconds_bucket{le=\"+Inf\"} 3.0\n");
    assert_has(m, "tars_rag_query_duration_seconds_count 3.0\n");
    assert_has(m, "tars_rag_query_duration_seconds_sum 100.25\n");
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_HYBRID) == 3);
    tars_metrics_free(m);
}

static void label_sets_are_capped(void **state)
{
    struct tars_metrics *m;
    char tenant[32];

    (void)state;
    assert_int_equal(tars_metrics_new(&m), TARS_OK);
    for (int i = 0; i < TARS_METRICS_SERIES_MAX + 50; i++) {
        (void)snprintf(tenant, sizeof(tenant), "t%d", i);
        tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, tenant), 1);
    }
    assert_has(m, "tars_tenant_questions_total{tenant=\"other\"} 50.0\n");
    assert_has(m, "rag_metrics_overflow_total{family=\"tars_tenant_questions_total\"} 50.0\n");
    assert_true(tars_metrics_total(m, TARS_METRIC_TENANT_QUESTIONS) ==
                TARS_METRICS_SERIES_MAX + 50);
    tars_metrics_free(m);
}

static void *count(void *ctx)
{
    struct tars_metrics *m = ctx;

    for (int i = 0; i < ROUNDS; i++) {
        tars_metrics_add(m, TARS_METRIC_ERRORS, 1);
        tars_series_add(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, i % 2 ? "a" : "b"), 1);
        tars_metrics_move(m, TARS_METRIC_ACTIVE_CONNECTIONS, i % 2 ? -1 : 1);
        tars_metrics_observe(m, TARS_METRIC_RAG_SOURCES, 5);
    }
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct tars_metrics *m;
    pthread_t threads[THREADS];

    (void)state;
    assert_int_equal(tars_metrics_new(&m), TARS_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, m), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_true(tars_metrics_total(m, TARS_METRIC_ERRORS) == THREADS * ROUNDS);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_QUERIES) == THREADS * ROUNDS);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_SOURCES) == THREADS * ROUNDS);
    assert_true(tars_metrics_total(m, TARS_METRIC_ACTIVE_CONNECTIONS) == 0);
    tars_metrics_free(m);
}

static void none_is_fine(void **state)
{
    (void)state;
    tars_metrics_add(NULL, TARS_METRIC_ERRORS, 1);
    tars_metrics_set(NULL, TARS_METRIC_DOCUMENT_QUEUE, 1);
    tars_metrics_observe(NULL, TARS_METRIC_RAG_SOURCES, 1);
    tars_series_move(NULL, 1);
    assert_true(tars_metrics_total(NULL, TARS_METRIC_ERRORS) == 0);
    tars_metrics_free(NULL);
}

static void make_one(void *ctx)
{
    struct tars_metrics *m = NULL;

    (void)ctx;
    if (tars_metrics_new(&m) == TARS_OK)
        tars_metrics_free(m);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(make_one, NULL) >= 1);
}

static tars_status ill(void *ctx, struct tars_err *err)
{
    return tars_fail(TARS_EUNAVAILABLE, err, "%s", (const char *)ctx);
}

static void health_tells(void **state)
{
    char words[] = "gone fishing";
    const struct tars_health_part well = {.name = "store"};
    const struct tars_health_part bad = {
        .name = "model", .optional = true, .check = ill, .ctx = words};
    struct tars_health health = {0};
    struct tars_err err = {{0}};

    (void)state;
    assert_int_equal(tars_health_add(&health, &well), TARS_OK);
    assert_int_equal(tars_health_add(&health, &bad), TARS_OK);
    assert_int_equal(tars_health_check(&health, "store", &err), TARS_OK);
    assert_int_equal(tars_health_check(&health, "model", &err), TARS_EUNAVAILABLE);
    assert_string_equal(err.text, "gone fishing");
    assert_int_equal(tars_health_check(&health, "nobody", &err), TARS_ENOTFOUND);
    while (health.count < TARS_HEALTH_PARTS_MAX)
        assert_int_equal(tars_health_add(&health, &well), TARS_OK);
    assert_int_equal(tars_health_add(&health, &well), TARS_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_written),        cmocka_unit_test(label_sets_are_capped),
        cmocka_unit_test(threads_lose_nothing),     cmocka_unit_test(none_is_fine),
        cmocka_unit_test(each_allocation_may_fail), cmocka_unit_test(health_tells),
    };

    return cmocka_run_group_tests_name("obs/metrics", tests, NULL, NULL);
}
