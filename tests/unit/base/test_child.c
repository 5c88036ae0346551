/* Unit tests of base/sys/child. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys/child.h"
#include "base/sys/clock.h"

#define OUTPUT_MAX 4096

/* Runs a shell command to its end; output is terminated. */
static struct tars_child_end run(const char *command, int file_fd, char *output)
{
    const char *argv[] = {"sh", "-c", command, NULL};
    struct tars_child_config config = {.program = "/bin/sh", .argv = argv, .file_fd = file_fd};
    struct tars_child child;
    struct tars_child_end end = {0};
    tars_status status;
    size_t len = 0;
    size_t n = 0;

    assert_int_equal(tars_child_start(&config, &child, NULL), TARS_OK);
    do {
        status = tars_child_read(&child, output + len, OUTPUT_MAX - 1 - len, 100, &n);
        len += status == TARS_OK ? n : 0;
    } while (status == TARS_OK || status == TARS_EAGAIN);
    assert_int_equal(status, TARS_ENOTFOUND);
    output[len] = '\0';
    tars_child_finish(&child, 5000, &end);
    tars_child_finish(&child, 5000, NULL);
    return end;
}

static void output_and_exit_code_come_back(void **state)
{
    char output[OUTPUT_MAX];
    struct tars_child_end end = run("echo hello; echo away >&2; exit 7", -1, output);

    (void)state;
    assert_string_equal(output, "hello\n");
    assert_int_equal(end.exit_code, 7);
    assert_int_equal(end.signal, 0);
    assert_false(end.killed);
    assert_true(end.peak_bytes > 0);
}

static void the_file_is_descriptor_three_and_nothing_else_is_open(void **state)
{
    char output[OUTPUT_MAX];
    int fd = memfd_create("given", 0); /* not closed on exec: must be closed all the same */
    int other = memfd_create("other", 0);

    (void)state;
    assert_int_equal(write(fd, "bytes", 5), 5);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)run("cat <&3; echo; for i in 4 5 6 7 8 9 10 11 12; do [ -e /proc/$$/fd/$i ] && echo $i; "
              "done; true",
              fd, output);
    assert_int_equal(strncmp(output, "bytes\n", 6), 0);
    /* The shell itself may hold a copy at 10. */
    assert_null(strstr(output, "4\n"));
    assert_null(strstr(output, "5\n"));
    (void)close(fd);
    (void)close(other);
}

static void environment_is_empty_by_default(void **state)
{
    char output[OUTPUT_MAX];

    (void)state;
    (void)run("echo \"[$HOME]\"", -1, output);
    assert_string_equal(output, "[]\n");
}

static void a_signal_is_told(void **state)
{
    char output[OUTPUT_MAX];
    struct tars_child_end end = run("kill -SEGV $$", -1, output);

    (void)state;
    assert_int_equal(end.signal, SIGSEGV);
    assert_int_equal(end.exit_code, -1);
    assert_false(end.killed);
}

static void who_does_not_go_is_killed(void **state)
{
    const char *argv[] = {"sleep", "60", NULL};
    struct tars_child_config config = {.program = "/bin/sleep", .argv = argv, .file_fd = -1};
    struct tars_child child;
    struct tars_child_end end = {0};
    int64_t began = tars_clock_mono_ms();
    char byte;
    size_t n = 0;

    (void)state;
    assert_int_equal(tars_child_start(&config, &child, NULL), TARS_OK);
    assert_int_equal(tars_child_read(&child, &byte, 1, 10, &n), TARS_EAGAIN);
    tars_child_finish(&child, 20, &end);
    assert_int_equal(end.signal, SIGKILL);
    assert_true(end.killed);
    assert_true(tars_clock_mono_ms() - began < 30000);
    assert_int_equal(kill(child.pid == 0 ? getpid() : child.pid, 0), 0);
}

static void a_missing_program_is_told(void **state)
{
    const char *argv[] = {"nobody", NULL};
    struct tars_child_config config = {.program = "/nowhere/nobody", .argv = argv, .file_fd = -1};
    struct tars_child child;
    struct tars_err err = {{0}};

    (void)state;
    assert_int_equal(tars_child_start(&config, &child, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "/nowhere/nobody"));
}

static void a_bad_descriptor_is_refused(void **state)
{
    const char *argv[] = {"true", NULL};
    struct tars_child_config config = {.program = "/bin/true", .argv = argv, .file_fd = 9999};
    struct tars_child child;

    (void)state;
    assert_int_equal(tars_child_start(&config, &child, NULL), TARS_EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output_and_exit_code_come_back),
        cmocka_unit_test(the_file_is_descriptor_three_and_nothing_else_is_open),
        cmocka_unit_test(environment_is_empty_by_default),
        cmocka_unit_test(a_signal_is_told),
        cmocka_unit_test(who_does_not_go_is_killed),
        cmocka_unit_test(a_missing_program_is_told),
        cmocka_unit_test(a_bad_descriptor_is_refused),
    };

    return cmocka_run_group_tests_name("base/sys/child", tests, NULL, NULL);
}
