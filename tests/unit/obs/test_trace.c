/* Unit tests of obs/trace and obs/trace_json: sampling, nesting, pages, JSON to the letter. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "obs/trace.h"
#include "obs/trace_json.h"
#include "support/faults.h"

#define TRACE   "0af7651916cd43dd8448eb211c80319c"
#define THREADS 4
#define ROUNDS  2000

static const unsigned char seed[16] = "0123456789abcde";

/* A clock that the tests own; one thread. */
static int64_t now_ns;

static int64_t mono_ns(void)
{
    return now_ns;
}

static int64_t wall_us(void)
{
    return INT64_C(1762516800000000);
}

static struct tars_tracer *tracer_with(double ratio, bool content, size_t page_bytes,
                                       struct tars_series *dropped)
{
    const struct tars_tracer_config config = {.ratio = ratio,
                                              .content = content,
                                              .page_bytes = page_bytes,
                                              .dropped = dropped,
                                              .mono_ns = mono_ns,
                                              .wall_us = wall_us,
                                              .seed = seed};
    struct tars_tracer *tracer;

    now_ns = 1000;
    assert_int_equal(tars_tracer_new(&config, &tracer), TARS_OK);
    return tracer;
}

static struct tars_trace callers(bool sampled)
{
    return (struct tars_trace){.id = TRACE, .span = 0x1234, .sampled = sampled, .is_remote = true};
}

/* The text of what was recorded, terminated; the caller releases it. */
static struct tars_buf written(struct tars_tracer *tracer, size_t expected)
{
    const struct tars_trace_attribute name = {"service.name", TARS_TRACE_TEXT, {.text = {"t", 1}}};
    const struct tars_trace_resource resource = {&name, 1};
    struct tars_span page;
    struct tars_buf out;
    size_t count;

    page = tars_tracer_take(tracer, &count);
    assert_int_equal(count, expected);
    tars_buf_init(&out, (size_t)4 << 20);
    assert_int_equal(tars_trace_write(&out, &resource, &page, SIZE_MAX), expected);
    assert_int_equal(page.len, 0);
    assert_int_equal(out.status, TARS_OK);
    return out;
}

static void assert_has(const struct tars_buf *out, const char *part)
{
    if (!strstr(out->ptr, part))
        print_message("%s\nis not in\n%s\n", part, out->ptr);
    assert_non_null(strstr(out->ptr, part));
}

/* -------------------------------------------------------------------------- JSON */

#define START                                                                       \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\"," \
    "\"value\":{\"stringValue\":\"t\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"tars\","

static void json_is_exact(void **state)
{
    struct tars_tracer *tracer = tracer_with(1, false, 0, NULL);
    struct tars_trace trace = callers(true);
    const struct tars_err err = {.text = "quotes a question"};
    struct tars_trace_span outer;
    struct tars_trace_span inner;
    struct tars_buf out;

    (void)state;
    trace.state = tars_span_of("a=1");
    tars_trace_enter(&trace, tracer);
    tars_trace_begin(&trace, &outer, "GET", TARS_SPAN_SERVER);
    now_ns += 500;
    tars_trace_begin(&trace, &inner, "chat", TARS_SPAN_CLIENT);
    tars_trace_subject(&inner, "m\"1");
    tars_trace_text(&inner, "text", "a\xC3\xA9");
    tars_trace_text(&inner, "none", NULL);
    tars_trace_int(&inner, "int", INT64_MIN);
    tars_trace_real(&inner, "real", 0.5);
    tars_trace_real(&inner, "nan", NAN);
    tars_trace_real(&inner, "inf", -INFINITY);
    tars_trace_flag(&inner, "flag", true);
    tars_trace_list(&inner, "list", "stop");
    tars_trace_content(&inner, "said", tars_span_of("a secret"));
    tars_trace_status(&inner, TARS_EIO, &err);
    now_ns += 250;
    tars_trace_end(&inner);
    now_ns += 250;
    tars_trace_end(&outer);
    assert_int_equal(trace.span, 0x1234);

    out = written(tracer, 2);
    assert_memory_equal(out.ptr, START, strlen(START));
    assert_has(&out, "\"spans\":[{\"traceId\":\"" TRACE "\",\"spanId\":\"");
    assert_has(
        &out,
        "\",\"traceState\":\"a=1\",\"parentSpanId\":\"0000000000001234\",\"flags\":769,\"name\":"
        "\"GET\",\"kind\":2,\"startTimeUnixNano\":\"1762516800000000000\",\"endTimeUnixNano\":"
        "\"1762516800000001000\"}],\"schemaUrl\":\"" TARS_TRACE_SCHEMA "\"}]}]}");
    assert_has(
        &out,
        "\"flags\":257,\"name\":\"chat m\\\"1\",\"kind\":3,\"startTimeUnixNano\":"
        "\"1762516800000000500\",\"endTimeUnixNano\":\"1762516800000000750\",\"attributes\":["
        "{\"key\":\"text\",\"value\":{\"stringValue\":\"a\xC3\xA9\"}},"
        "{\"key\":\"int\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
        "{\"key\":\"real\",\"value\":{\"doubleValue\":0.5}},"
        "{\"key\":\"nan\",\"value\":{\"doubleValue\":\"NaN\"}},"
        "{\"key\":\"inf\",\"value\":{\"doubleValue\":\"-Infinity\"}},"
        "{\"key\":\"flag\",\"value\":{\"boolValue\":true}},"
        "{\"key\":\"list\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"stop\"}]}}},"
        "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"TARS_EIO\"}}],"
        "\"events\":[{\"timeUnixNano\":\"1762516800000000750\",\"name\":\"exception\","
        "\"attributes\":[{\"key\":\"exception.type\",\"value\":{\"stringValue\":\"TARS_EIO\"}},"
        "{\"key\":\"exception.message\",\"value\":{\"stringValue\":\"input or output failed\"}}]}],"
        "\"status\":{\"code\":2,\"message\":\"input or output failed\"}}");
    assert_null(strstr(out.ptr, "secret"));
    assert_null(strstr(out.ptr, "quotes"));
    tars_buf_release(&out);
    tars_tracer_free(tracer);
}

static void content_is_there_once_wanted(void **state)
{
    struct tars_tracer *tracer = tracer_with(1, true, 0, NULL);
    struct tars_trace trace = callers(true);
    const struct tars_err err = {.text = "quotes a question"};
    struct tars_trace_span span;
    struct tars_buf out;

    (void)state;
    tars_trace_enter(&trace, tracer);
    assert_true(tars_trace_wants_content(&trace));
    tars_trace_begin(&trace, &span, "chat", TARS_SPAN_CLIENT);
    tars_trace_content(&span, "said", tars_span_of("a secret"));
    tars_trace_status(&span, TARS_EIO, &err);
    tars_trace_end(&span);
    out = written(tracer, 1);
    assert_has(&out, "{\"key\":\"said\",\"value\":{\"stringValue\":\"a secret\"}}");
    assert_has(&out,
               "{\"key\":\"exception.message\",\"value\":{\"stringValue\":\"quotes a question\"}}");
    tars_buf_release(&out);
    tars_tracer_free(tracer);
}

struct ending {
    const char *name;
    tars_status status;
    const char *failed; /* for tars_trace_failed(); or NULL */
    const char *has;
    const char *has_not;
};

static const struct ending endings[] = {
    {"well", TARS_OK, NULL, "\"endTimeUnixNano\":\"1762516800000000000\"}", "status"},
    {"cancelled", TARS_ECANCELED, NULL,
     "{\"key\":\"tars.cancelled\",\"value\":{\"boolValue\":true}}", "status"},
    {"timed out", TARS_ETIMEOUT, NULL, "\"status\":{\"code\":2,\"message\":\"took too long\"}",
     "xx"},
    {"500", TARS_OK, "500", "\"status\":{\"code\":2}}", "events"},
};

static void ends_say_what_happened(void **state)
{
    const struct ending *ending = *state;
    struct tars_tracer *tracer = tracer_with(1, false, 0, NULL);
    struct tars_trace trace = callers(true);
    struct tars_trace_span span;
    struct tars_buf out;

    tars_trace_enter(&trace, tracer);
    tars_trace_begin(&trace, &span, "x", TARS_SPAN_INTERNAL);
    tars_trace_status(&span, ending->status, NULL);
    if (ending->failed)
        tars_trace_failed(&span, ending->failed);
    tars_trace_end(&span);
    out = written(tracer, 1);
    assert_has(&out, ending->has);
    assert_null(strstr(out.ptr, ending->has_not));
    tars_buf_release(&out);
    tars_tracer_free(tracer);
}

/* ---------------------------------------------------------------------- sampling */

static void callers_decide(void **state)
{
    struct tars_tracer *none = tracer_with(0, false, 0, NULL);
    struct tars_tracer *all = tracer_with(1, false, 0, NULL);
    struct tars_trace trace = callers(true);
    char out[TARS_TRACEPARENT_BYTES];

    (void)state;
    tars_trace_enter(&trace, none);
    assert_ptr_equal(trace.tracer, none);
    trace = callers(false);
    tars_trace_enter(&trace, all);
    assert_null(trace.tracer);
    assert_int_equal(trace.span, 0x1234); /* given on as it came */
    assert_true(tars_traceparent_write(&trace, out));
    assert_string_equal(out, "00-" TRACE "-0000000000001234-00");
    tars_tracer_free(none);
    tars_tracer_free(all);
}

static void off_has_ids_to_give_on(void **state)
{
    struct tars_trace trace = {.id = TRACE};
    struct tars_trace_span span;

    (void)state;
    tars_trace_enter(&trace, NULL);
    assert_null(trace.tracer);
    assert_false(trace.sampled);
    assert_int_equal(trace.span, UINT64_C(0x0af7651916cd43dd));
    tars_trace_begin(&trace, &span, "x", TARS_SPAN_INTERNAL);
    assert_null(span.trace);
    tars_trace_int(&span, "a", 1);
    tars_trace_text(&span, "a", "b");
    tars_trace_status(&span, TARS_EIO, NULL);
    tars_trace_failed(&span, "x");
    tars_trace_end(&span);
    tars_trace_begin(NULL, &span, "x", TARS_SPAN_INTERNAL);
    assert_null(span.trace);
    trace = (struct tars_trace){.span = 0};
    tars_trace_enter(&trace, NULL);
    assert_int_equal(trace.span, 0);
    tars_trace_enter_new(&trace, NULL);
    assert_string_equal(trace.id, "");
}

/* Shares of traces with ids of their own: within five standard deviations, and the seed is fixed.
 */
static void share_is_kept(void **state)
{
    static const double ratios[] = {0, 0.01, 0.1, 0.5, 0.9, 1};

    (void)state;
    for (size_t i = 0; i < sizeof(ratios) / sizeof(ratios[0]); i++) {
        struct tars_tracer *tracer = tracer_with(ratios[i], false, 0, NULL);
        const int traces = 20000;
        double expected = ratios[i] * traces;
        int sampled = 0;

        for (int k = 0; k < traces; k++) {
            struct tars_trace trace;

            tars_trace_enter_new(&trace, tracer);
            assert_int_equal(strlen(trace.id), 32);
            assert_int_equal(trace.sampled, trace.tracer != NULL);
            sampled += trace.sampled;
        }
        assert_true(fabs(sampled - expected) <= 5 * sqrt(expected * (1 - ratios[i])));
        tars_tracer_free(tracer);
    }
}

/* As every other implementation decides: by the last 8 bytes of the id, its lowest bit left out. */
static void share_is_by_the_id(void **state)
{
    struct tars_tracer *tracer = tracer_with(0.5, false, 0, NULL);
    struct tars_trace trace = {.id = "ffffffffffffffff7fffffffffffffff"};

    (void)state;
    tars_trace_enter(&trace, tracer);
    assert_true(trace.sampled);
    trace = (struct tars_trace){.id = "00000000000000008000000000000000"};
    tars_trace_enter(&trace, tracer);
    assert_false(trace.sampled);
    tars_tracer_free(tracer);
}

/* ------------------------------------------------------------------------- pages */

static void record_one(struct tars_tracer *tracer, const char *text)
{
    struct tars_trace trace = callers(true);
    struct tars_trace_span span;

    tars_trace_enter(&trace, tracer);
    tars_trace_begin(&trace, &span, "x", TARS_SPAN_INTERNAL);
    tars_trace_text(&span, "text", text);
    tars_trace_end(&span);
}

static void full_pages_drop(void **state)
{
    struct tars_metrics *metrics;
    struct tars_series *dropped;
    struct tars_tracer *tracer;
    struct tars_buf out;
    size_t first;
    size_t count;

    (void)state;
    assert_int_equal(tars_metrics_new(&metrics), TARS_OK);
    dropped = tars_metrics_series(metrics, TARS_METRIC_RAG_SPANS, "dropped");
    tracer = tracer_with(1, false, (size_t)64 << 10, dropped);
    for (int i = 0; i < 1000; i++)
        record_one(tracer, "some text");
    (void)tars_tracer_take(tracer, &first);
    assert_in_range(first, 200, 999);
    assert_true(tars_metrics_total(metrics, TARS_METRIC_RAG_SPANS) == (double)(1000 - first));
    /* The page is there again, and so is the other one. */
    record_one(tracer, "after");
    out = written(tracer, 1);
    assert_has(&out, "after");
    tars_buf_release(&out);
    (void)tars_tracer_take(tracer, &count);
    assert_int_equal(count, 0);
    tars_tracer_free(tracer);
    tars_metrics_free(metrics);
}

static void texts_and_attributes_have_bounds(void **state)
{
    struct tars_tracer *tracer = tracer_with(1, true, 0, NULL);
    struct tars_trace trace = callers(true);
    struct tars_trace_record record;
    struct tars_trace_span span;
    static char text[TARS_TRACE_CONTENT_MAX + 100];
    struct tars_span page;
    size_t count;

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[TARS_TRACE_TEXT_MAX - 1] = '\xC3'; /* the cut would go through a character */
    text[TARS_TRACE_TEXT_MAX] = '\xA9';
    tars_trace_enter(&trace, tracer);
    tars_trace_begin(&trace, &span, text, TARS_SPAN_INTERNAL);
    tars_trace_subject(&span, text);
    tars_trace_content(&span, "said", tars_span_of(text));
    for (int i = 0; i < TARS_TRACE_ATTRIBUTES_MAX + 2; i++)
        tars_trace_text(&span, "text", text);
    tars_trace_end(&span);
    page = tars_tracer_take(tracer, &count);
    assert_true(tars_trace_next(&page, &record));
    assert_int_equal(record.name.len, 193);
    assert_int_equal(record.attribute_count, TARS_TRACE_ATTRIBUTES_MAX);
    assert_int_equal(record.attributes_dropped, 3);
    assert_int_equal(record.attributes[0].value.text.len, TARS_TRACE_CONTENT_MAX);
    assert_int_equal(record.attributes[1].value.text.len, TARS_TRACE_TEXT_MAX - 1);
    assert_false(tars_trace_next(&page, &record));
    tars_tracer_free(tracer);
}

static void batches_go_on_where_the_last_ended(void **state)
{
    struct tars_tracer *tracer = tracer_with(1, false, 0, NULL);
    const struct tars_trace_resource resource = {NULL, 0};
    struct tars_span page;
    struct tars_buf out;
    size_t count;

    (void)state;
    for (int i = 0; i < 5; i++)
        record_one(tracer, "t");
    page = tars_tracer_take(tracer, &count);
    assert_int_equal(count, 5);
    tars_buf_init(&out, (size_t)1 << 20);
    assert_int_equal(tars_trace_write(&out, &resource, &page, 2), 2);
    assert_int_equal(tars_trace_write(&out, &resource, &page, 2), 2);
    assert_int_equal(tars_trace_write(&out, &resource, &page, 2), 1);
    assert_int_equal(tars_trace_write(&out, &resource, &page, 2), 0);
    tars_buf_release(&out);
    tars_tracer_free(tracer);
}

/* ----------------------------------------------------------------------- threads */

static void *record_many(void *ctx)
{
    for (int i = 0; i < ROUNDS; i++)
        record_one(ctx, "some text");
    return NULL;
}

/* Nothing is lost between those who record and the one who takes, but for what is counted. */
static void threads_share_a_tracer(void **state)
{
    struct tars_metrics *metrics;
    struct tars_tracer *tracer;
    struct tars_tracer_config config = {.ratio = 1, .page_bytes = (size_t)256 << 10};
    pthread_t threads[THREADS];
    double total = 0;
    size_t count;

    (void)state;
    assert_int_equal(tars_metrics_new(&metrics), TARS_OK);
    config.dropped = tars_metrics_series(metrics, TARS_METRIC_RAG_SPANS, "dropped");
    assert_int_equal(tars_tracer_new(&config, &tracer), TARS_OK);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, tracer), 0);
    for (int i = 0; i < 100; i++) {
        struct tars_trace_record record;
        struct tars_span page;
        size_t seen = 0;

        tars_tracer_wait(tracer, 1);
        page = tars_tracer_take(tracer, &count);
        while (tars_trace_next(&page, &record))
            seen++;
        assert_int_equal(seen, count);
        total += (double)count;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    (void)tars_tracer_take(tracer, &count);
    total += (double)count;
    assert_true(total + tars_metrics_total(metrics, TARS_METRIC_RAG_SPANS) == THREADS * ROUNDS);
    tars_tracer_free(tracer);
    tars_metrics_free(metrics);
}

static void a_wake_is_not_lost(void **state)
{
    struct tars_tracer *tracer = tracer_with(1, false, (size_t)64 << 10, NULL);

    (void)state;
    tars_tracer_wake(tracer);
    tars_tracer_wait(tracer, 3600000); /* comes back at once, or the test never ends */
    for (int i = 0; i < 300; i++)
        record_one(tracer, "half a page wakes, too");
    tars_tracer_wait(tracer, 3600000);
    tars_tracer_free(tracer);
}

static void make(void *ctx)
{
    const struct tars_tracer_config config = {.ratio = 1};
    struct tars_tracer *tracer = NULL;

    (void)ctx;
    if (tars_tracer_new(&config, &tracer) == TARS_OK)
        record_one(tracer, "x");
    tars_tracer_free(tracer);
}

static void each_allocation_may_fail(void **state)
{
    const struct tars_tracer_config small = {.page_bytes = 1000};
    struct tars_tracer *tracer;

    (void)state;
    assert_true(faults_each(make, NULL) >= 3);
    assert_int_equal(tars_tracer_new(&small, &tracer), TARS_EINVAL);
    tars_tracer_free(NULL);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    const struct CMUnitTest others[] = {
        cmocka_unit_test(json_is_exact),
        cmocka_unit_test(content_is_there_once_wanted),
        cmocka_unit_test(callers_decide),
        cmocka_unit_test(off_has_ids_to_give_on),
        cmocka_unit_test(share_is_kept),
        cmocka_unit_test(share_is_by_the_id),
        cmocka_unit_test(full_pages_drop),
        cmocka_unit_test(texts_and_attributes_have_bounds),
        cmocka_unit_test(batches_go_on_where_the_last_ended),
        cmocka_unit_test(threads_share_a_tracer),
        cmocka_unit_test(a_wake_is_not_lost),
        cmocka_unit_test(each_allocation_may_fail),
    };
    struct CMUnitTest tests[COUNT(endings) + COUNT(others)];
    size_t count = 0;

    for (size_t i = 0; i < COUNT(endings); i++) {
        tests[count++] = (struct CMUnitTest){.name = endings[i].name,
                                             .test_func = ends_say_what_happened,
                                             .initial_state = (void *)&endings[i]};
    }
    for (size_t i = 0; i < COUNT(others); i++)
        tests[count++] = others[i];
    return _cmocka_run_group_tests("obs/trace", tests, count, NULL, NULL);
}
