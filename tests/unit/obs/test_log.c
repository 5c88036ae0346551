/* Unit tests of obs/log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "obs/call.h"
#include "obs/log.h"
#include "support/faults.h"

#define NOON INT64_C(1762516800000001) /* 2025-11-07T12:00:00.000001 */

static int64_t noon(void)
{
    return NOON;
}

/* What log wrote into the pipe so far, terminated. */
static void drain(const int pipe_ends[2], char *text, size_t size)
{
    ssize_t n;

    close(pipe_ends[1]);
    n = read(pipe_ends[0], text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(pipe_ends[0]);
}

struct shape {
    const char *name;
    bool text;
    enum tars_log_level level; /* of the line */
    const char *request_id;
    const char *message;
    const char *expected;
};

static const struct shape shapes[] = {
    {"json", false, TARS_LOG_INFO, NULL, "up",
     "{\"timestamp\": \"2025-11-07T12:00:00.000001\", \"level\": \"INFO\", \"room\": \"net\", "
     "\"message\": \"up\"}\n"},
    {"json with request", false, TARS_LOG_ERROR, "ab12", "a \"b\"\n",
     "{\"timestamp\": \"2025-11-07T12:00:00.000001\", \"level\": \"ERROR\", \"room\": \"net\", "
     "\"request_id\": \"ab12\", \"message\": \"a \\\"b\\\"\\n\"}\n"},
    {"json is ascii", false, TARS_LOG_INFO, NULL, "\xC3\xA9",
     "{\"timestamp\": \"2025-11-07T12:00:00.000001\", \"level\": \"INFO\", \"room\": \"net\", "
     "\"message\": \"\\u00e9\"}\n"},
    {"text", true, TARS_LOG_WARNING, NULL, "slow", "2025-11-07T12:00:00 WARNING  net: slow\n"},
    {"text keeps to one line", true, TARS_LOG_INFO, "ab", "a\nb\x1b",
     "2025-11-07T12:00:00 INFO     net: a b  [ab]\n"},
    {"below the level", true, TARS_LOG_DEBUG, NULL, "x", ""},
};

static void line_has_shape(void **state)
{
    const struct shape *shape = *state;
    struct tars_log_config config = {.text = shape->text, .now_us = noon};
    struct tars_log *log;
    int ends[2];
    char text[4096];

    assert_int_equal(pipe(ends), 0);
    config.fd = ends[1];
    assert_int_equal(tars_log_new(&config, &log), TARS_OK);
    tars_log_write(log, shape->level, "net", shape->request_id, "%s", shape->message);
    tars_log_free(log);
    drain(ends, text, sizeof(text));
    assert_string_equal(text, shape->expected);
}

static void call_names_its_trace(void **state)
{
    struct tars_call call = {.request_id = "ab",
                             .trace = {.id = "0af7651916cd43dd8448eb211c80319c"}};
    struct tars_log_config config = {.now_us = noon};
    struct tars_log *log;
    int ends[2];
    char text[4096];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    config.fd = ends[1];
    assert_int_equal(tars_log_new(&config, &log), TARS_OK);
    tars_log_call(log, TARS_LOG_INFO, "api", &call, "%d", 1);
    tars_log_call(log, TARS_LOG_DEBUG, "api", &call, "below the level");
    tars_log_free(log);
    config.text = true;
    assert_int_equal(tars_log_new(&config, &log), TARS_OK);
    tars_log_call(log, TARS_LOG_INFO, "api", &call, "%d", 2);
    tars_log_free(log);
    drain(ends, text, sizeof(text));
    assert_string_equal(
        text,
        "{\"timestamp\": \"2025-11-07T12:00:00.000001\", \"level\": \"INFO\", \"room\": "
        "\"api\", \"request_id\": \"ab\", \"trace_id\": "
        "\"0af7651916cd43dd8448eb211c80319c\", \"message\": \"1\"}\n"
        "2025-11-07T12:00:00 INFO     api: 2 [ab] [trace 0af7651916cd43dd8448eb211c80319c]\n");
    tars_log_call(NULL, TARS_LOG_ERROR, "api", &call, "no log is fine");
}

static void flood_is_held_back(void **state)
{
    struct tars_log_config config = {.text = true, .now_us = noon, .max_per_second = 3};
    struct tars_log *log;
    int ends[2];
    char text[4096];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    config.fd = ends[1];
    assert_int_equal(tars_log_new(&config, &log), TARS_OK);
    for (int i = 0; i < 10; i++)
        tars_log_info(log, "net", "line %d", i);
    tars_log_error(log, "net", "errors have their own allowance");
    assert_int_equal(tars_log_dropped(log), 7);
    tars_log_free(log);
    drain(ends, text, sizeof(text));
    assert_non_null(strstr(text, "line 2"));
    assert_null(strstr(text, "line 3"));
    assert_non_null(strstr(text, "allowance (7 lines held back before)"));
}

static void levels_parse(void **state)
{
    enum tars_log_level level;

    (void)state;
    assert_true(tars_log_level_parse("warn", &level));
    assert_int_equal(level, TARS_LOG_WARNING);
    assert_true(tars_log_level_parse("Critical", &level));
    assert_int_equal(level, TARS_LOG_CRITICAL);
    assert_false(tars_log_level_parse("loud", &level));
}

static void survives_without_memory(void *ctx)
{
    struct tars_log_config config = {.fd = *(int *)ctx, .text = true};
    struct tars_log *log = NULL;

    if (tars_log_new(&config, &log) == TARS_OK)
        tars_log_info(log, "net", "x");
    tars_log_free(log);
}

static void each_allocation_may_fail(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(faults_each(survives_without_memory, &ends[1]) >= 2);
    close(ends[0]);
    close(ends[1]);
    tars_log_info(NULL, "net", "no log is fine");
    assert_int_equal(tars_log_dropped(NULL), 0);
}

int main(void)
{
    struct CMUnitTest tests[sizeof(shapes) / sizeof(shapes[0]) + 4];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        tests[n++] =
            (struct CMUnitTest){shapes[i].name, line_has_shape, NULL, NULL, (void *)&shapes[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(call_names_its_trace);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(flood_is_held_back);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(levels_parse);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(each_allocation_may_fail);
    return _cmocka_run_group_tests("obs/log", tests, n, NULL, NULL);
}
