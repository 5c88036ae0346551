/* secrets: whose key signs tokens, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "app/secrets.h"
#include "support/faults.h"
#include "support/files.h"

#define DOCUMENTED "your-secret-key-change-this-in-production"

struct place {
    char dir[FILES_PATH_MAX];
    struct tars_arena arena;
};

static int set_up(void **state)
{
    static struct place place;

    files_make_dir(place.dir);
    tars_arena_init(&place.arena, (size_t)1 << 20);
    *state = &place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    files_remove_dir(place->dir);
    tars_arena_release(&place->arena);
    return 0;
}

static tars_status ask(struct place *place, const char *line, bool is_loopback, const char **secret,
                       struct tars_err *err)
{
    const char *const environment[] = {line, NULL};
    const struct tars_settings_config config = {.environment = environment};
    struct tars_settings *settings;
    tars_status status;

    assert_int_equal(tars_settings_load(&config, &settings, NULL, NULL), TARS_OK);
    status = tars_secrets_signing(settings, place->dir, is_loopback, &place->arena, secret, err);
    tars_settings_free(settings);
    return status;
}

static void test_choice(void **state)
{
    static const char mine[] = "a secret of the operator, 38 bytes long";
    static const struct {
        const char *line;
        tars_status status;
        bool is_loopback;
        bool is_mine;
    } rows[] = {
        {NULL, TARS_OK, true, false},
        {NULL, TARS_OK, false, false},
        {"JWT_SECRET_KEY=", TARS_OK, true, false},
        {"JWT_SECRET_KEY=", TARS_OK, false, false},
        {"JWT_SECRET_KEY=" DOCUMENTED, TARS_OK, true, false},
        {"JWT_SECRET_KEY=" DOCUMENTED, TARS_EINVAL, false, false},
        {"JWT_SECRET_KEY=0123456789012345678901234567890", TARS_EINVAL, true, false},
        {"JWT_SECRET_KEY=0123456789012345678901234567890", TARS_EINVAL, false, false},
        {"JWT_SECRET_KEY=a secret of the operator, 38 bytes long", TARS_OK, true, true},
        {"JWT_SECRET_KEY=a secret of the operator, 38 bytes long", TARS_OK, false, true},
    };
    struct place *place = *state;
    const char *first = NULL;

    assert_int_equal(ask(place, NULL, true, &first, NULL), TARS_OK);
    assert_int_equal(strlen(first), 64);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {.text = ""};
        const char *secret = NULL;

        if (ask(place, rows[i].line, rows[i].is_loopback, &secret, &err) != rows[i].status)
            fail_msg("row %zu: %s", i, err.text);
        if (rows[i].status == TARS_OK)
            assert_string_equal(secret, rows[i].is_mine ? mine : first);
    }
}

static void test_file(void **state)
{
    struct place *place = *state;
    struct tars_err err = {.text = ""};
    const char *secret = NULL;
    char path[FILES_PATH_MAX];
    struct stat info;

    assert_int_equal(ask(place, NULL, true, &secret, NULL), TARS_OK);
    files_write(place->dir, "other", "", 0, path);
    (void)snprintf(strrchr(path, '/'), 10, "/jwt.key");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(ask(place, NULL, true, &secret, &err), TARS_EDENIED);
    assert_non_null(strstr(err.text, "chmod 600"));
    files_write(place->dir, "jwt.key", "0123\n", 5, path);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(ask(place, NULL, true, &secret, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "remove it"));
}

static void ask_once(void *ctx)
{
    struct place *place = ctx;
    struct place other;
    const char *const environment[] = {NULL};
    const struct tars_settings_config config = {.environment = environment};
    struct tars_settings *settings = NULL;
    const char *secret;
    tars_status status;

    (void)snprintf(other.dir, sizeof(other.dir), "%s", place->dir);
    tars_arena_init(&other.arena, (size_t)1 << 16);
    status = tars_settings_load(&config, &settings, NULL, NULL);
    if (status == TARS_OK)
        status = tars_secrets_signing(settings, other.dir, true, &other.arena, &secret, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_settings_free(settings);
    tars_arena_release(&other.arena);
}

static void test_memory(void **state)
{
    assert_true(faults_each(ask_once, *state) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_choice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
