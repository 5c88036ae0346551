/* Unit tests of app/trace_export: what it refuses, that it stops when nobody answers, and that no
 * allocation is needed to survive. How a batch fares is in tests/http/test_traces.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "app/trace_export.h"
#include "base/sys/clock.h"
#include "net/client.h"
#include "support/faults.h"

#define BOUND_MS \
    60000 /* of a stop, on a busy machine; a stop that waits for an answer never ends */

struct refused {
    const char *name;
    const char *endpoint;
    const char *headers;
    tars_status status;
};

static const struct refused table[] = {
    {"no endpoint", NULL, NULL, TARS_EINVAL},
    {"empty endpoint", "", NULL, TARS_EINVAL},
    {"no scheme", "localhost:4318", NULL, TARS_EINVAL},
    {"other scheme", "grpc://localhost:4317", NULL, TARS_EINVAL},
    {"a header without a value", "http://127.0.0.1:1", "a=b,c", TARS_EINVAL},
    {"a header without a name", "http://127.0.0.1:1", "=b", TARS_EINVAL},
    {"a malformed escape", "http://127.0.0.1:1", "a=%zz", TARS_EINVAL},
    {"a line break", "http://127.0.0.1:1", "a=b%0aevil:%20c", TARS_EINVAL},
    {"good headers", "https://127.0.0.1:1/base/", " a=b , c=%20d,,", TARS_OK},
};

static void endpoint_is_checked(void **state)
{
    const struct refused *row = *state;
    const struct tars_tracer_config tracing = {.ratio = 1};
    struct tars_trace_export_config config = {
        .endpoint = row->endpoint, .headers = row->headers, .service = "tars"};
    struct tars_trace_export *exporter = NULL;
    struct tars_err err = {{0}};

    assert_int_equal(tars_tracer_new(&tracing, &config.tracer), TARS_OK);
    assert_int_equal(tars_trace_export_open(&config, &exporter, &err), row->status);
    if (row->status != TARS_OK)
        assert_non_null(strstr(err.text, "OTEL_EXPORTER_OTLP"));
    tars_trace_export_close(exporter);
    tars_tracer_free(config.tracer);
}

static void record(struct tars_tracer *tracer)
{
    struct tars_trace_span span;
    struct tars_trace trace;

    tars_trace_enter_new(&trace, tracer);
    tars_trace_begin(&trace, &span, "x", TARS_SPAN_INTERNAL);
    tars_trace_end(&span);
}

/* A socket that takes connections and never says anything; *port is its. */
static int open_silent(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void stops_though_nobody_answers(void **state)
{
    const struct tars_tracer_config tracing = {.ratio = 1};
    struct tars_trace_export_config config = {
        .service = "tars", .delay_ms = 3600000, .timeout_ms = 3600000};
    struct tars_trace_export *exporter;
    struct tars_metrics *metrics;
    char endpoint[64];
    int64_t start_ms;
    int port;
    int fd = open_silent(&port);

    (void)state;
    (void)snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%d", port);
    config.endpoint = endpoint;
    assert_int_equal(tars_metrics_new(&metrics), TARS_OK);
    config.metrics = metrics;
    assert_int_equal(tars_tracer_new(&tracing, &config.tracer), TARS_OK);
    assert_int_equal(tars_trace_export_open(&config, &exporter, NULL), TARS_OK);
    for (int i = 0; i < 3; i++)
        record(config.tracer);
    start_ms = tars_clock_mono_ms();
    tars_trace_export_close(exporter);
    assert_true(tars_clock_mono_ms() - start_ms < BOUND_MS);
    assert_true(tars_metrics_total(metrics, TARS_METRIC_RAG_SPANS) == 3); /* dropped, and counted */
    tars_tracer_free(config.tracer);
    tars_metrics_free(metrics);
    close(fd);
}

/* Nobody listens, so that spans are dropped. */
static void open_and_close(void *ctx)
{
    const struct tars_tracer_config tracing = {.ratio = 1};
    struct tars_trace_export_config config = {.endpoint = "http://127.0.0.1:1",
                                              .headers = "a=b",
                                              .service = "tars",
                                              .environment = "test"};
    struct tars_trace_export *exporter = NULL;

    (void)ctx;
    if (tars_tracer_new(&tracing, &config.tracer) != TARS_OK)
        return;
    if (tars_trace_export_open(&config, &exporter, NULL) == TARS_OK)
        record(config.tracer);
    tars_trace_export_close(exporter);
    tars_tracer_free(config.tracer);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(open_and_close, NULL) >= 6);
    tars_trace_export_close(NULL);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(table) + 2];
    size_t count = 0;
    int failed;

    if (tars_client_global_init() != TARS_OK)
        return 1;
    for (size_t i = 0; i < COUNT(table); i++) {
        tests[count++] = (struct CMUnitTest){.name = table[i].name,
                                             .test_func = endpoint_is_checked,
                                             .initial_state = (void *)&table[i]};
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(stops_though_nobody_answers);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(each_allocation_may_fail);
    failed = _cmocka_run_group_tests("app/trace_export", tests, count, NULL, NULL);
    tars_client_global_cleanup();
    return failed;
}
