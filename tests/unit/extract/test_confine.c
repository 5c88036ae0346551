/* Unit tests of extract/confine, through the program that uses it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/sys/child.h"
#include "support/files.h"

#define PROGRAM    TARS_BINARY_DIR "/tars-extract"
#define OUTPUT_MAX 8192

static struct tars_child_end run(const char *const *argv, char *output)
{
    struct tars_child_config config = {.program = PROGRAM, .argv = argv, .file_fd = -1};
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
    for (size_t i = 0; i < len; i++)
        output[i] = (char)(output[i] ? output[i] : 0x20); /* frames have zeros in them */
    output[len] = 0;
    tars_child_finish(&child, 5000, &end);
    return end;
}

/* A program that was built for sanitizers or coverage has no filter: nothing to show. */
static bool is_relaxed(void)
{
    const char *argv[] = {"tars-extract", "--limits", NULL};
    char output[OUTPUT_MAX];

    (void)run(argv, output);
    return strstr(output, "relaxed") != NULL;
}

static void everything_else_is_denied(void **state)
{
    static const char *const names[] = {"write-file",  "read-file", "socket", "fork",
                                        "signal",      "trace",     "unlink", "map-code",
                                        "raise-limit", "execute"};
    const char *argv[] = {"tars-extract", "--self-test", NULL};
    char output[OUTPUT_MAX];
    struct tars_child_end end;

    (void)state;
    if (is_relaxed())
        skip();
    end = run(argv, output);
    assert_int_equal(end.exit_code, 0);
    assert_null(strstr(output, "ALLOWED"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char line[64];

        (void)snprintf(line, sizeof(line), "denied %s\n", names[i]);
        if (!strstr(output, line)) {
            fail_msg("%s is missing in:\n%s", line, output);
        }
    }
}

static void memory_is_limited_and_told(void **state)
{
    const char *argv[] = {"tars-extract", "--memory", "120000000", "--text", NULL, NULL};
    char output[OUTPUT_MAX];
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    FILE *file;

    (void)state;
    if (is_relaxed())
        skip();
    files_make_dir(dir);
    files_write(dir, "big.html", "<html><body>", 12, path);
    file = fopen(path, "ae");
    assert_non_null(file);
    for (int i = 0; i < 600000; i++)
        (void)fputs("<p>a<b>b</b></p>", file);
    assert_int_equal(fclose(file), 0);
    argv[4] = path;
    (void)run(argv, output);
    if (!strstr(output, "more memory than is allowed")) {
        fail_msg("%s", output);
    }
    files_remove_dir(dir);
}

static void usage_is_told(void **state)
{
    const char *argv[] = {"tars-extract", "--what", NULL};
    const char *missing[] = {"tars-extract", "--text", "/nowhere/x", NULL};
    char output[OUTPUT_MAX];

    (void)state;
    assert_int_equal(run(argv, output).exit_code, 2);
    assert_int_equal(run(missing, output).exit_code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_else_is_denied),
        cmocka_unit_test(memory_is_limited_and_told),
        cmocka_unit_test(usage_is_told),
    };

    return cmocka_run_group_tests_name("extract/confine", tests, NULL, NULL);
}
