/* Unit tests of base/sys/machine: what /proc tells is plausible, and differences are right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/sys/machine.h"

static const struct {
    const char *name;
    struct tars_cpu_ticks before, after;
    double expected;
} table[] = {
    {"half", {100, 200}, {150, 300}, 50}, {"idle", {100, 200}, {100, 300}, 0},
    {"busy", {0, 0}, {10, 10}, 100},      {"no time", {5, 9}, {5, 9}, 0},
    {"backwards", {5, 9}, {4, 8}, 0},
};

static void use_is_a_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        double percent = tars_cpu_percent(table[i].before, table[i].after);

        if (percent < table[i].expected - 1e-9 || percent > table[i].expected + 1e-9)
            fail_msg("%s", table[i].name);
    }
}

static void the_machine_tells(void **state)
{
    struct tars_cpu_ticks ticks;
    struct tars_memory_use use;
    struct tars_disk_use disk;

    (void)state;
    assert_int_equal(tars_cpu_read(&ticks), TARS_OK);
    assert_true(ticks.total >= ticks.busy && ticks.total > 0);
    assert_int_equal(tars_memory_read(&use), TARS_OK);
    assert_true(use.total_mb > 16 && use.used_mb > 0 && use.used_mb <= use.total_mb);
    assert_true(use.percent > 0 && use.percent <= 100);
    assert_int_equal(tars_disk_read("/", &disk), TARS_OK);
    assert_true(disk.total_bytes > 1e6 && disk.free_bytes >= 0 &&
                disk.free_bytes <= disk.total_bytes);
    assert_int_equal(tars_disk_read("/no/such/folder", &disk), TARS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(use_is_a_difference),
        cmocka_unit_test(the_machine_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
