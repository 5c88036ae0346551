/* Unit tests of obs/gpu, with a library that stands in for the driver's (support/fake_nvml.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/gpu.h"
#include "support/faults.h"

#define FAKE TARS_BINARY_DIR "/fake_nvml.so"
#define GIB  1073741824.0

static void set(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static int reset(void **state)
{
    (void)state;
    set("FAKE_NVML_COUNT", NULL);
    set("FAKE_NVML_FAILS", NULL);
    return 0;
}

/* ------------------------------------------------------------------ opening */

struct opening {
    const char *name;
    const char *library, *count, *fails;
    tars_status status;
    const char *words; /* in the error */
};

static const struct opening openings[] = {
    {"there is one", FAKE, "1", NULL, TARS_OK, ""},
    {"the library is away", "libtars-no-such-library.so.1", NULL, NULL, TARS_EUNAVAILABLE, "away"},
    {"it is no library", TARS_SOURCE_DIR "/VERSION", NULL, NULL, TARS_EUNAVAILABLE, "away"},
    {"it lacks a function", TARS_BINARY_DIR "/fake_nvml_old.so", NULL, NULL, TARS_EUNSUPPORTED,
     "nvmlDeviceGetTemperature"},
    {"the driver does not answer", FAKE, NULL, "init", TARS_EUNAVAILABLE, "driver"},
    {"no processor", FAKE, "0", NULL, TARS_EUNAVAILABLE, "none"},
    {"the processors cannot be counted", FAKE, NULL, "count", TARS_EUNAVAILABLE, "none"},
    {"no processor answers", FAKE, "2", "handle0,handle1", TARS_EUNAVAILABLE, "none"},
    {"one that tells nothing", FAKE, "1", "utilization,memory,temperature", TARS_EUNAVAILABLE,
     "none"},
};

static void opens(void **state)
{
    const struct opening *row = *state;
    struct tars_err err = {{0}};
    struct tars_gpu *gpu = NULL;

    set("FAKE_NVML_COUNT", row->count);
    set("FAKE_NVML_FAILS", row->fails);
    assert_int_equal(tars_gpu_open(row->library, &gpu, &err), row->status);
    assert_non_null(strstr(err.text, row->words));
    assert_int_equal(gpu != NULL, row->status == TARS_OK);
    tars_gpu_close(gpu);
}

/* ------------------------------------------------------------------ reading */

struct reading {
    const char *label;
    const char *count, *fails;
    const char *name;
    double percent, used, temperature;
};

static const struct reading readings[] = {
    {"one", "1", NULL, "Fake GPU 0", 10, GIB, 40},
    {"the last of several", "3", NULL, "Fake GPU 2", 12, 3 * GIB, 42},
    {"the last that answers", "3", "handle2", "Fake GPU 1", 11, 2 * GIB, 41},
    {"no more than so many are asked", "20", "handle19,handle18", "Fake GPU 17", 27, 18 * GIB, 57},
    {"without use", "1", "utilization", "Fake GPU 0", NAN, GIB, 40},
    {"without memory", "1", "memory", "Fake GPU 0", 10, NAN, 40},
    {"without temperature", "1", "temperature", "Fake GPU 0", 10, GIB, NAN},
    {"without a name", "1", "name", "", 10, GIB, 40},
};

static void assert_same(double given, double expected)
{
    assert_int_equal(isnan(given) != 0, isnan(expected) != 0);
    if (!isnan(expected))
        assert_true(fabs(given - expected) < 1e-9);
}

static void reads(void **state)
{
    const struct reading *row = *state;
    struct tars_gpu_use use;
    struct tars_gpu *gpu = NULL;

    set("FAKE_NVML_COUNT", row->count);
    set("FAKE_NVML_FAILS", row->fails);
    assert_int_equal(tars_gpu_open(FAKE, &gpu, NULL), TARS_OK);
    assert_true(tars_gpu_last(gpu, &use));
    assert_string_equal(use.name, row->name);
    assert_same(use.percent, row->percent);
    assert_same(use.memory_used, row->used);
    assert_same(use.memory_percent, 100 * row->used / (8 * GIB));
    assert_same(use.temperature_c, row->temperature);
    tars_gpu_close(gpu);
}

static void falls_away_and_returns(void **state)
{
    struct tars_gpu_use use;
    struct tars_gpu *gpu = NULL;

    (void)state;
    set("FAKE_NVML_COUNT", "2");
    assert_int_equal(tars_gpu_open(FAKE, &gpu, NULL), TARS_OK);
    set("FAKE_NVML_FAILS", "count");
    assert_true(tars_gpu_last(gpu, &use)); /* what was read stays until it is read again */
    tars_gpu_refresh(gpu);
    assert_false(tars_gpu_last(gpu, &use));
    set("FAKE_NVML_FAILS", NULL);
    set("FAKE_NVML_COUNT", "1");
    tars_gpu_refresh(gpu);
    assert_true(tars_gpu_last(gpu, &use));
    assert_string_equal(use.name, "Fake GPU 0");
    tars_gpu_close(gpu);
}

static void asks_so_many_at_most(void **state)
{
    char fails[512] = "";
    struct tars_gpu *gpu = NULL;

    (void)state;
    set("FAKE_NVML_COUNT", "40");
    for (int i = 39; i > 39 - TARS_GPU_MAX; i--)
        (void)snprintf(fails + strlen(fails), sizeof(fails) - strlen(fails), "handle%d,", i);
    set("FAKE_NVML_FAILS", fails);
    assert_int_equal(tars_gpu_open(FAKE, &gpu, NULL), TARS_EUNAVAILABLE);
    assert_null(gpu);
}

static void none_is_allowed(void **state)
{
    struct tars_gpu_use use;

    (void)state;
    tars_gpu_refresh(NULL);
    assert_false(tars_gpu_last(NULL, &use));
    tars_gpu_close(NULL);
}

static void *refresh_often(void *ctx)
{
    for (int i = 0; i < 1000; i++)
        tars_gpu_refresh(ctx);
    return NULL;
}

static void is_read_while_it_is_refreshed(void **state)
{
    struct tars_gpu *gpu = NULL;
    pthread_t thread;

    (void)state;
    assert_int_equal(tars_gpu_open(FAKE, &gpu, NULL), TARS_OK);
    assert_int_equal(pthread_create(&thread, NULL, refresh_often, gpu), 0);
    for (int i = 0; i < 1000; i++) {
        struct tars_gpu_use use;

        assert_true(tars_gpu_last(gpu, &use));
        assert_string_equal(use.name, "Fake GPU 1");
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    tars_gpu_close(gpu);
}

static void open_and_close(void *ctx)
{
    struct tars_gpu *gpu = NULL;
    tars_status status = tars_gpu_open(FAKE, &gpu, NULL);

    (void)ctx;
    assert_true(status == TARS_OK || (status == TARS_ENOMEM && faults_happened()));
    assert_int_equal(gpu != NULL, status == TARS_OK);
    tars_gpu_close(gpu);
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(faults_each(open_and_close, NULL) >= 1);
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(openings) + COUNT(readings) + 5];
    size_t n = 0;

    for (size_t i = 0; i < COUNT(openings); i++) {
        tests[n++] =
            (struct CMUnitTest){openings[i].name, opens, reset, reset, (void *)&openings[i]};
    }
    for (size_t i = 0; i < COUNT(readings); i++) {
        tests[n++] =
            (struct CMUnitTest){readings[i].label, reads, reset, reset, (void *)&readings[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(falls_away_and_returns, reset);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(asks_so_many_at_most, reset);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(none_is_allowed, reset);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(is_read_while_it_is_refreshed, reset);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(without_memory, reset);
    return cmocka_run_group_tests_name("gpu", tests, NULL, reset);
}
