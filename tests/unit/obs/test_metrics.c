/* Unit tests of obs/metrics: what each kind looks like in both formats, to the byte; that nothing
 * that is counted is lost, by whatever threads; that nobody can make it grow. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "obs/metrics.h"
#include "support/faults.h"

#define THREADS  8
#define ROUNDS   5000
#define CROWD    (TARS_METRICS_THREADS_MAX + 16) /* more than have cells of their own */
#define STRANGER 1000000                         /* label values that somebody makes up */
#define TRACE    "0af7651916cd43dd8448eb211c80319c"
#define TOO_LONG "0af7651916cd43dd8448eb211c80319c0"
#define AT       "1700000000.123456"

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

static int64_t still(void *ctx)
{
    (void)ctx;
    return INT64_C(1700000000123456);
}

static struct tars_metrics *make(void)
{
    struct tars_metrics *m;

    assert_int_equal(tars_metrics_new_at(still, NULL, &m), TARS_OK);
    return m;
}

/* The whole exposition, terminated; the caller releases it. */
static struct tars_buf exposition(struct tars_metrics *m, enum tars_metrics_format format)
{
    struct tars_buf out;

    tars_buf_init(&out, (size_t)16 << 20);
    tars_metrics_render(m, format, TARS_METRIC_COUNT, &out);
    assert_int_equal(out.status, TARS_OK);
    return out;
}

/* ---------------------------------------------------------------- rendering */

struct row {
    const char *name;
    void (*count)(struct tars_metrics *m);
    const char *family[2]; /* its name in text and OpenMetrics */
    const char *shown[2];  /* all of it behind HELP */
};

static void count_nothing(struct tars_metrics *m)
{
    (void)m;
}

static void count_counter(struct tars_metrics *m)
{
    tars_metrics_add(m, TARS_METRIC_ERRORS, 2);
    tars_metrics_add(m, TARS_METRIC_ERRORS, 1);
}

static void count_traced(struct tars_metrics *m)
{
    tars_series_add_traced(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "failed"), 1, TRACE);
    tars_series_add(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "success"), 3);
}

static void count_bad_traces(struct tars_metrics *m)
{
    static const char *const bad[] = {NULL, "", "xyz", "0AF7", TOO_LONG, "0af7\"}", "0af7\n"};
    struct tars_series *failed = tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "failed");

    for (size_t i = 0; i < ROWS(bad); i++)
        tars_series_add_traced(failed, 1, bad[i]);
}

static void set_total(struct tars_metrics *m)
{
    tars_metrics_set(m, TARS_METRIC_PROCESS_CPU, 1.25);
}

static void set_gauge(struct tars_metrics *m)
{
    tars_metrics_set(m, TARS_METRIC_CACHE_BYTES, 2.5);
    tars_metrics_move(m, TARS_METRIC_CACHE_BYTES, -4);
}

static void set_gauge_nan(struct tars_metrics *m)
{
    tars_metrics_set(m, TARS_METRIC_CACHE_BYTES, NAN);
}

static void set_gauge_large(struct tars_metrics *m)
{
    tars_metrics_set(m, TARS_METRIC_CACHE_BYTES, 1e20);
}

static void set_gauge_endless(struct tars_metrics *m)
{
    tars_metrics_set(m, TARS_METRIC_CACHE_BYTES, -INFINITY);
}

static void set_info(struct tars_metrics *m)
{
    tars_series_set(
        tars_metrics_series(m, TARS_METRIC_APPLICATION_INFO, "v1", "a\\b\"c\nd", "\xc3\xa4"), 1);
}

static void set_bad_text(struct tars_metrics *m)
{
    static const char *const bad[] = {
        "\xff",     "\xc3",         "\xed\xa0\x80",    "\xf4\x90\x80\x80",
        "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\x80"};

    for (size_t i = 0; i < ROWS(bad); i++)
        tars_series_set(tars_metrics_series(m, TARS_METRIC_RAG_OUTLIER, bad[i]), 1);
    tars_series_set(tars_metrics_series(m, TARS_METRIC_RAG_OUTLIER, "\xf0\x9f\x98\x80"), 1);
}

static void observe_plain(struct tars_metrics *m)
{
    static const double values[] = {0.5, 0.75, 99, -1, NAN, 0.0000004};

    for (size_t i = 0; i < ROWS(values); i++)
        tars_metrics_observe(m, TARS_METRIC_RAG_GENERATION_DURATION, values[i]);
}

static void observe_traced(struct tars_metrics *m)
{
    struct tars_series *s = tars_metrics_series(m, TARS_METRIC_LLM_INFERENCE_DURATION, "m");

    tars_series_observe_traced(s, 0.25, "00ff");
    tars_series_observe_traced(s, 0.5, TRACE);
    tars_series_observe_traced(s, 31, "1");
    tars_series_observe_traced(s, -1, "2");
}

static void observe_endless(struct tars_metrics *m)
{
    tars_metrics_observe(m, TARS_METRIC_RAG_GENERATION_DURATION, INFINITY);
}

#define GENERATION "tars_rag_generation_duration_seconds"
#define INFERENCE  "tars_llm_inference_duration_seconds"
#define BUCKETS_OF(name, labels, a, b, c, d, e, f, g, h, x)                                        \
    name "_bucket{" labels "le=\"0.5\"} " a "\n" name "_bucket{" labels "le=\"1.0\"} " b "\n" name \
         "_bucket{" labels "le=\"2.0\"} " c "\n" name "_bucket{" labels "le=\"5.0\"} " d "\n" name \
         "_bucket{" labels "le=\"10.0\"} " e "\n" name "_bucket{" labels "le=\"20.0\"} " f         \
         "\n" name "_bucket{" labels "le=\"30.0\"} " g "\n" name "_bucket{" labels                 \
         "le=\"+Inf\"} " h "\n" x

static const struct row rows[] = {
    {"counter",
     count_counter,
     {"tars_errors_total", "tars_errors"},
     {"# TYPE tars_errors_total counter\ntars_errors_total 3.0\n",
      "# TYPE tars_errors counter\ntars_errors_total 3.0\ntars_errors_created " AT "\n"}},
    {"counter that has a label and was never counted",
     count_nothing,
     {"tars_rag_queries_total", "tars_rag_queries"},
     {"# TYPE tars_rag_queries_total counter\n", "# TYPE tars_rag_queries counter\n"}},
    {"counter with an exemplar",
     count_traced,
     {"tars_rag_queries_total", "tars_rag_queries"},
     {"# TYPE tars_rag_queries_total counter\n"
      "tars_rag_queries_total{status=\"failed\"} 1.0\n"
      "tars_rag_queries_total{status=\"success\"} 3.0\n",
      "# TYPE tars_rag_queries counter\n"
      "tars_rag_queries_total{status=\"failed\"} 1.0 # {trace_id=\"" TRACE "\"} 1.0 " AT "\n"
      "tars_rag_queries_created{status=\"failed\"} " AT "\n"
      "tars_rag_queries_total{status=\"success\"} 3.0\n"
      "tars_rag_queries_created{status=\"success\"} " AT "\n"}},
    {"trace ids that are none",
     count_bad_traces,
     {"tars_rag_queries_total", "tars_rag_queries"},
     {"# TYPE tars_rag_queries_total counter\n"
      "tars_rag_queries_total{status=\"failed\"} 7.0\n",
      "# TYPE tars_rag_queries counter\n"
      "tars_rag_queries_total{status=\"failed\"} 7.0\n"
      "tars_rag_queries_created{status=\"failed\"} " AT "\n"}},
    {"counter whose total is kept elsewhere",
     set_total,
     {"process_cpu_seconds_total", "process_cpu_seconds"},
     {"# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total 1.25\n",
      "# TYPE process_cpu_seconds counter\n# UNIT process_cpu_seconds seconds\n"
      "process_cpu_seconds_total 1.25\nprocess_cpu_seconds_created " AT "\n"}},
    {"gauge",
     set_gauge,
     {"tars_cache_bytes", "tars_cache_bytes"},
     {"# TYPE tars_cache_bytes gauge\ntars_cache_bytes -1.5\n",
      "# TYPE tars_cache_bytes gauge\n# UNIT tars_cache_bytes bytes\ntars_cache_bytes -1.5\n"}},
    {"gauge that is no number",
     set_gauge_nan,
     {"tars_cache_bytes", "tars_cache_bytes"},
     {"# TYPE tars_cache_bytes gauge\ntars_cache_bytes NaN\n",
      "# TYPE tars_cache_bytes gauge\n# UNIT tars_cache_bytes bytes\ntars_cache_bytes NaN\n"}},
    {"gauge without end",
     set_gauge_endless,
     {"tars_cache_bytes", "tars_cache_bytes"},
     {"# TYPE tars_cache_bytes gauge\ntars_cache_bytes -Inf\n",
      "# TYPE tars_cache_bytes gauge\n# UNIT tars_cache_bytes bytes\ntars_cache_bytes -Inf\n"}},
    {"gauge past all integers",
     set_gauge_large,
     {"tars_cache_bytes", "tars_cache_bytes"},
     {"# TYPE tars_cache_bytes gauge\ntars_cache_bytes 1e+20\n",
      "# TYPE tars_cache_bytes gauge\n# UNIT tars_cache_bytes bytes\ntars_cache_bytes 1e+20\n"}},
    {"info, and what is escaped",
     set_info,
     {"tars_application_info", "tars_application"},
     {"# TYPE tars_application_info gauge\ntars_application_info{version=\"v1\",environment="
      "\"a\\\\b\\\"c\\nd\",model=\"\xc3\xa4\"} 1.0\n",
      "# TYPE tars_application info\ntars_application_info{version=\"v1\",environment="
      "\"a\\\\b\\\"c\\nd\",model=\"\xc3\xa4\"} 1.0\n"}},
    {"bytes that are no UTF-8",
     set_bad_text,
     {"rag_system_outlier", "rag_system_outlier"},
     {"# TYPE rag_system_outlier gauge\nrag_system_outlier{metric=\"?\"} 1.0\n"
      "rag_system_outlier{metric=\"???\"} 1.0\nrag_system_outlier{metric=\"????\"} 1.0\n"
      "rag_system_outlier{metric=\"??\"} 1.0\nrag_system_outlier{metric=\"\xf0\x9f\x98\x80\"} "
      "1.0\n",
      "# TYPE rag_system_outlier gauge\nrag_system_outlier{metric=\"?\"} 1.0\n"
      "rag_system_outlier{metric=\"???\"} 1.0\nrag_system_outlier{metric=\"????\"} 1.0\n"
      "rag_system_outlier{metric=\"??\"} 1.0\nrag_system_outlier{metric=\"\xf0\x9f\x98\x80\"} "
      "1.0\n"}},
    {"histogram",
     observe_plain,
     {GENERATION, GENERATION},
     {"# TYPE " GENERATION
      " histogram\n" BUCKETS_OF(GENERATION, "", "2.0", "3.0", "3.0", "3.0", "3.0", "3.0", "3.0",
                                "4.0", GENERATION "_count 4.0\n" GENERATION "_sum 100.25\n"),
      "# TYPE " GENERATION " histogram\n# UNIT " GENERATION " seconds\n" BUCKETS_OF(
          GENERATION, "", "2.0", "3.0", "3.0", "3.0", "3.0", "3.0", "3.0", "4.0",
          GENERATION "_count 4.0\n" GENERATION "_sum 100.25\n" GENERATION "_created " AT "\n")}},
    {"histogram of what has no end",
     observe_endless,
     {GENERATION, GENERATION},
     {"# TYPE " GENERATION " histogram\n" BUCKETS_OF(
          GENERATION, "", "0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "1.0",
          GENERATION "_count 1.0\n" GENERATION "_sum 1000000000000.0\n"),
      "# TYPE " GENERATION " histogram\n# UNIT " GENERATION " seconds\n" BUCKETS_OF(
          GENERATION, "", "0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "0.0", "1.0",
          GENERATION "_count 1.0\n" GENERATION "_sum 1000000000000.0\n" GENERATION "_created " AT
                     "\n")}},
    {"histogram with exemplars",
     observe_traced,
     {INFERENCE, INFERENCE},
     {"# TYPE " INFERENCE " histogram\n" BUCKETS_OF(
          INFERENCE, "model=\"m\",", "2.0", "2.0", "2.0", "2.0", "2.0", "2.0", "2.0", "3.0",
          INFERENCE "_count{model=\"m\"} 3.0\n" INFERENCE "_sum{model=\"m\"} 31.75\n"),
      "# TYPE " INFERENCE " histogram\n# UNIT " INFERENCE " seconds\n" BUCKETS_OF(
          INFERENCE, "model=\"m\",", "2.0 # {trace_id=\"" TRACE "\"} 0.5 " AT, "2.0", "2.0", "2.0",
          "2.0", "2.0", "2.0", "3.0 # {trace_id=\"1\"} 31.0 " AT,
          INFERENCE "_count{model=\"m\"} 3.0\n" INFERENCE "_sum{model=\"m\"} 31.75\n" INFERENCE
                    "_created{model=\"m\"} " AT "\n")}},
    {"family of its own overflow",
     count_nothing,
     {"rag_metrics_overflow_total", "rag_metrics_overflow"},
     {"# TYPE rag_metrics_overflow_total counter\n", "# TYPE rag_metrics_overflow counter\n"}},
};

/* The lines of a family, cut out of text in place. */
static char *family_of(char *text, const char *name)
{
    char head[128];
    char *start;
    char *end;

    (void)snprintf(head, sizeof(head), "# HELP %s ", name);
    start = strstr(text, head);
    assert_non_null(start);
    end = strstr(start + 1, "# HELP ");
    if (!end)
        end = strstr(start, "# EOF\n");
    if (end)
        *end = '\0';
    return strchr(start, '\n') + 1;
}

static void row_holds(void **state)
{
    const struct row *row = *state;

    for (int format = TARS_METRICS_TEXT; format <= TARS_METRICS_OPENMETRICS; format++) {
        struct tars_metrics *m = make();
        struct tars_buf out;

        row->count(m);
        out = exposition(m, (enum tars_metrics_format)format);
        assert_string_equal(family_of(out.ptr, row->family[format]), row->shown[format]);
        tars_buf_release(&out);
        tars_metrics_free(m);
    }
}

static void the_end_is_marked(void **state)
{
    struct tars_metrics *m = make();
    struct tars_buf text = exposition(m, TARS_METRICS_TEXT);
    struct tars_buf open = exposition(m, TARS_METRICS_OPENMETRICS);

    (void)state;
    assert_null(strstr(text.ptr, "# EOF"));
    assert_null(strstr(text.ptr, "# UNIT"));
    assert_null(strstr(text.ptr, "tars_errors_created"));
    assert_string_equal(open.ptr + open.len - 6, "# EOF\n");
    assert_true(strstr(open.ptr, "# EOF") == open.ptr + open.len - 6);
    assert_non_null(strstr(text.ptr, "series \"other\""));
    assert_non_null(strstr(open.ptr, "series \\\"other\\\""));
    tars_buf_release(&text);
    tars_buf_release(&open);
    tars_metrics_free(m);
}

static void a_family_can_be_left_out(void **state)
{
    struct tars_metrics *m = make();
    struct tars_buf out;

    (void)state;
    tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "acme"), 1);
    tars_buf_init(&out, (size_t)16 << 20);
    tars_metrics_render(m, TARS_METRICS_TEXT, TARS_METRIC_TENANT_QUESTIONS, &out);
    assert_non_null(strstr(out.ptr, "# TYPE tars_tenant_questions_total"));
    assert_null(strstr(out.ptr, "acme"));
    tars_buf_release(&out);
    tars_metrics_free(m);
}

/* Names that Prometheus' conventions ask for. */
static void names_are_right(void **state)
{
    static const struct {
        const char *kind, *name;
    } families[] = {
#define TARS_METRIC(id, kind, name, labels, buckets, help) {#kind, name},
#include "obs/metrics.def"
#undef TARS_METRIC
    };

    (void)state;
    for (size_t i = 0; i < ROWS(families); i++) {
        const char *name = families[i].name;
        size_t len = strlen(name);
        bool is_total = len > 6 && strcmp(name + len - 6, "_total") == 0;

        /* The one exception is of the contract: documents come and go. */
        if (strcmp(name, "tars_vector_store_documents_total") != 0)
            assert_int_equal(is_total, strcmp(families[i].kind, "COUNTER") == 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(name, families[j].name);
    }
}

/* ------------------------------------------------------------------- bounds */

static double resident_mb(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";
    char *at = line;

    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    (void)fclose(file);
    (void)strtol(at, &at, 10);
    return (double)strtol(at, NULL, 10) * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void ask_as_stranger(struct tars_metrics *m, int first, int last)
{
    char value[64];

    for (int i = first; i < last; i++) {
        (void)snprintf(value, sizeof(value), "%s%d", i % 3 ? "tenant-" : "\xff-", i);
        tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, value), 1);
        tars_series_observe_traced(tars_metrics_series(m, TARS_METRIC_HTTP_DURATION, "GET", value),
                                   0.1, TRACE);
    }
}

static void strangers_cost_nothing(void **state)
{
    const int full = 2 * TARS_METRICS_SERIES_MAX;
    struct tars_metrics *m = make();
    struct tars_buf out;
    double before;
    char *line;

    (void)state;
    ask_as_stranger(m, 0, full);
    before = resident_mb();
    ask_as_stranger(m, full, STRANGER);
    assert_true(resident_mb() - before < 2);
    assert_true(tars_metrics_total(m, TARS_METRIC_TENANT_QUESTIONS) == STRANGER);
    assert_true(tars_metrics_total(m, TARS_METRIC_HTTP_DURATION) == STRANGER);
    out = exposition(m, TARS_METRICS_TEXT);
    assert_true(out.len < (size_t)1 << 20);
    line = strstr(out.ptr, "tars_tenant_questions_total{tenant=\"other\"} 999744.0\n");
    assert_non_null(line);
    assert_non_null(strstr(
        out.ptr, "rag_metrics_overflow_total{family=\"tars_tenant_questions_total\"} 999744.0\n"));
    assert_non_null(strstr(
        out.ptr,
        "rag_metrics_overflow_total{family=\"tars_http_request_duration_seconds\"} 999744.0\n"));
    tars_buf_release(&out);
    tars_metrics_free(m);
}

static void other_may_be_there_before(void **state)
{
    struct tars_metrics *m = make();
    char value[32];

    (void)state;
    tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "other"), 1);
    for (int i = 0; i < TARS_METRICS_SERIES_MAX + 9; i++) {
        (void)snprintf(value, sizeof(value), "%d", i);
        tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, value), 1);
    }
    assert_true(tars_series_value(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "other")) ==
                11);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_METRICS_OVERFLOW) == 10);
    tars_metrics_free(m);
}

static void long_values_are_cut(void **state)
{
    struct tars_metrics *m = make();
    char value[4 * TARS_METRICS_VALUE_MAX];
    struct tars_series *series;

    (void)state;
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    series = tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, value);
    value[TARS_METRICS_VALUE_MAX] = 'y';
    assert_ptr_equal(series, tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, value));
    value[TARS_METRICS_VALUE_MAX - 1] = '\0';
    assert_ptr_equal(series, tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, value));
    /* A character that does not fit is left out as a whole. */
    memcpy(value + TARS_METRICS_VALUE_MAX - 2, "\xc3\xa4", 3);
    series = tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, value);
    value[TARS_METRICS_VALUE_MAX - 2] = '\0';
    assert_ptr_equal(series, tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, value));
    tars_metrics_free(m);
}

static void series_are_kept_apart(void **state)
{
    struct tars_metrics *m = make();

    (void)state;
    assert_ptr_not_equal(tars_metrics_series(m, TARS_METRIC_CACHE_OPERATIONS, "ab", "c"),
                         tars_metrics_series(m, TARS_METRIC_CACHE_OPERATIONS, "a", "bc"));
    assert_ptr_equal(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "a"),
                     tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "a"));
    /* A kind is not taken for another. */
    tars_series_observe(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, "a"), 1);
    tars_metrics_add(m, TARS_METRIC_RAG_SOURCES, 1);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_QUERIES) == 0);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_SOURCES) == 0);
    tars_metrics_observe(m, TARS_METRIC_RAG_SOURCES, 5);
    assert_true(tars_metrics_sum(m, TARS_METRIC_RAG_SOURCES) == 5);
    assert_true(tars_metrics_sum(m, TARS_METRIC_ERRORS) == 0);
    tars_metrics_free(m);
}

/* ------------------------------------------------------------------ threads */

static void *count(void *ctx)
{
    struct tars_metrics *m = ctx;
    char value[32];

    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(value, sizeof(value), "%d", i % 400); /* more than there is room for */
        tars_metrics_add(m, TARS_METRIC_ERRORS, 1);
        tars_series_add_traced(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, value), 1,
                               TRACE);
        tars_metrics_move(m, TARS_METRIC_ACTIVE_CONNECTIONS, i % 2 ? -1 : 1);
        tars_metrics_observe_traced(m, TARS_METRIC_RAG_SOURCES, 5, i % 2 ? TRACE : "ff");
    }
    return NULL;
}

static void *scrape(void *ctx)
{
    struct tars_metrics *m = ctx;

    for (int i = 0; i < 20; i++) {
        struct tars_buf out = exposition(m, i % 2 ? TARS_METRICS_OPENMETRICS : TARS_METRICS_TEXT);

        tars_buf_release(&out);
    }
    return NULL;
}

static void assert_counted(struct tars_metrics *m, int threads)
{
    const double all = (double)threads * ROUNDS;

    assert_true(tars_metrics_total(m, TARS_METRIC_ERRORS) == all);
    assert_true(tars_metrics_total(m, TARS_METRIC_TENANT_QUESTIONS) == all);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_SOURCES) == all);
    assert_true(tars_metrics_sum(m, TARS_METRIC_RAG_SOURCES) == 5 * all);
    assert_true(tars_metrics_total(m, TARS_METRIC_ACTIVE_CONNECTIONS) == 0);
    /* Each stranger's is known exactly: 400 values, of which as many as fit were first. */
    assert_true(tars_series_value(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "other")) ==
                tars_metrics_total(m, TARS_METRIC_RAG_METRICS_OVERFLOW));
}

static void threads_lose_nothing(void **state)
{
    struct tars_metrics *m = make();
    pthread_t threads[THREADS + 2];

    (void)state;
    for (int i = 0; i < THREADS + 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < THREADS ? count : scrape, m), 0);
    for (int i = 0; i < THREADS + 2; i++)
        pthread_join(threads[i], NULL);
    assert_counted(m, THREADS);
    tars_metrics_free(m);
}

/* One thread after the other: each goes on where the one before stopped. */
static void cells_outlive_their_thread(void **state)
{
    struct tars_metrics *m = make();
    double before = 0;

    (void)state;
    for (int i = 0; i < 3 * TARS_METRICS_THREADS_MAX; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, count, m), 0);
        pthread_join(thread, NULL);
        if (i == 8)
            before = resident_mb();
    }
    assert_counted(m, 3 * TARS_METRICS_THREADS_MAX);
    assert_true(resident_mb() - before < 4);
    tars_metrics_free(m);
}

struct crowd {
    struct tars_metrics *m;
    pthread_barrier_t gate;
};

static void *count_in_crowd(void *ctx)
{
    struct crowd *crowd = ctx;

    tars_metrics_add(crowd->m, TARS_METRIC_ERRORS, 1); /* takes cells */
    pthread_barrier_wait(&crowd->gate);                /* all have theirs */
    for (int i = 0; i < 999; i++)
        tars_metrics_add(crowd->m, TARS_METRIC_ERRORS, 1);
    pthread_barrier_wait(&crowd->gate);
    return NULL;
}

static void a_crowd_shares(void **state)
{
    static pthread_t threads[CROWD];
    struct crowd crowd = {.m = make()};

    (void)state;
    pthread_barrier_init(&crowd.gate, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_crowd, &crowd), 0);
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
    assert_true(tars_metrics_total(crowd.m, TARS_METRIC_ERRORS) == 1000.0 * CROWD);
    pthread_barrier_destroy(&crowd.gate);
    tars_metrics_free(crowd.m);
}

/* ----------------------------------------------------------------- failures */

static void none_is_fine(void **state)
{
    struct tars_buf out;

    (void)state;
    tars_metrics_add(NULL, TARS_METRIC_ERRORS, 1);
    tars_metrics_set(NULL, TARS_METRIC_DOCUMENT_QUEUE, 1);
    tars_metrics_observe(NULL, TARS_METRIC_RAG_SOURCES, 1);
    tars_metrics_observe_traced(NULL, TARS_METRIC_RAG_SOURCES, 1, TRACE);
    tars_series_move(NULL, 1);
    tars_series_add_traced(NULL, 1, TRACE);
    assert_true(tars_series_value(NULL) == 0);
    assert_true(tars_metrics_total(NULL, TARS_METRIC_ERRORS) == 0);
    tars_buf_init(&out, 1024);
    tars_metrics_write(NULL, &out);
    assert_int_equal(out.len, 0);
    tars_buf_release(&out);
    tars_metrics_free(NULL);
}

static void use_all(void *ctx)
{
    struct tars_metrics *m = NULL;
    struct tars_buf out;

    (void)ctx;
    if (tars_metrics_new(&m) != TARS_OK)
        return;
    tars_metrics_add(m, TARS_METRIC_ERRORS, 1);
    for (int i = 0; i < 2; i++)
        tars_series_add(tars_metrics_series(m, TARS_METRIC_RAG_QUERIES, i ? "a" : "b"), 1);
    tars_buf_init(&out, (size_t)16 << 20);
    tars_metrics_write(m, &out);
    if (out.status == TARS_OK)
        assert_non_null(strstr(out.ptr, "\ntars_errors_total 1.0\n"));
    tars_buf_release(&out);
    tars_metrics_free(m);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(use_all, NULL) > 50);
}

/* The family is full, and there is no memory for "other", or for what counts it. */
static void overflow_without_memory(void **state)
{
    struct tars_metrics *m = make();
    char value[32];

    (void)state;
    for (int i = 0; i < TARS_METRICS_SERIES_MAX; i++) {
        (void)snprintf(value, sizeof(value), "%d", i);
        tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, value), 1);
    }
    for (int n = 0; n < 2; n++) {
        faults_fail_after(n);
        assert_null(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "late"));
        assert_true(faults_happened());
    }
    faults_fail_after(-1);
    tars_series_add(tars_metrics_series(m, TARS_METRIC_TENANT_QUESTIONS, "late"), 1);
    assert_true(tars_metrics_total(m, TARS_METRIC_RAG_METRICS_OVERFLOW) == 1);
    tars_metrics_free(m);
}

/* Without memory for the sums the scrape is slower, and the same. */
static void sums_without_memory(void **state)
{
    struct tars_metrics *m = make();
    struct tars_buf whole;
    struct tars_buf out;

    (void)state;
    count_traced(m);
    observe_traced(m);
    whole = exposition(m, TARS_METRICS_OPENMETRICS);
    tars_buf_init(&out, (size_t)16 << 20);
    faults_fail_after(0);
    tars_metrics_render(m, TARS_METRICS_OPENMETRICS, TARS_METRIC_COUNT, &out);
    assert_true(faults_happened());
    faults_fail_after(-1);
    assert_int_equal(out.status, TARS_OK);
    assert_string_equal(out.ptr, whole.ptr);
    tars_buf_release(&whole);
    tars_buf_release(&out);
    tars_metrics_free(m);
}

static void a_scrape_is_bounded(void **state)
{
    struct tars_metrics *m = make();
    struct tars_buf out;

    (void)state;
    tars_buf_init(&out, 1000);
    tars_metrics_write(m, &out);
    assert_int_equal(out.status, TARS_ETOOBIG);
    tars_buf_release(&out);
    tars_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(the_end_is_marked),
        cmocka_unit_test(a_family_can_be_left_out),
        cmocka_unit_test(names_are_right),
        cmocka_unit_test(strangers_cost_nothing),
        cmocka_unit_test(other_may_be_there_before),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(series_are_kept_apart),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(cells_outlive_their_thread),
        cmocka_unit_test(a_crowd_shares),
        cmocka_unit_test(none_is_fine),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(overflow_without_memory),
        cmocka_unit_test(sums_without_memory),
        cmocka_unit_test(a_scrape_is_bounded),
    };
    struct CMUnitTest tests[ROWS(rows) + ROWS(others)];
    size_t n = 0;

    for (size_t i = 0; i < ROWS(rows); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    for (size_t i = 0; i < ROWS(others); i++)
        tests[n++] = others[i];
    return _cmocka_run_group_tests("obs/metrics", tests, n, NULL, NULL);
}
