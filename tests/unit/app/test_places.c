/* Unit tests of app/places and app/lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/lines.h"
#include "app/places.h"
#include "support/files.h"

struct place {
    char dir[FILES_PATH_MAX];
    struct tars_arena arena;
};

static int set_up(void **state)
{
    struct place *place = malloc(sizeof(*place));

    files_make_dir(place->dir);
    tars_arena_init(&place->arena, 1 << 20);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    files_remove_dir(place->dir);
    tars_arena_release(&place->arena);
    free(place);
    return 0;
}

static struct tars_settings *settings_with(const char *a, const char *b)
{
    const char *const environment[] = {a, b, NULL};
    const struct tars_settings_config config = {.environment = environment};
    struct tars_settings *settings;

    assert_int_equal(tars_settings_load(&config, &settings, NULL, NULL), TARS_OK);
    return settings;
}

static void data_folder_is_found(void **state)
{
    struct place *place = *state;
    struct tars_settings *given = settings_with("TARS_DATA=/nonexistent/x", NULL);
    struct tars_settings *none = settings_with("TARS_DATA=", NULL);
    const char *dir;

    assert_int_equal(tars_places_data(given, &place->arena, &dir, NULL), TARS_OK);
    assert_string_equal(dir, "/nonexistent/x");
    assert_int_equal(setenv("XDG_DATA_HOME", "/xdg", 1), 0);
    assert_int_equal(tars_places_data(none, &place->arena, &dir, NULL), TARS_OK);
    assert_string_equal(dir, "/xdg/tars");
    assert_int_equal(unsetenv("XDG_DATA_HOME"), 0);
    assert_int_equal(setenv("HOME", "/home/u", 1), 0);
    assert_int_equal(tars_places_data(none, &place->arena, &dir, NULL), TARS_OK);
    assert_string_equal(dir, "/home/u/.local/share/tars");
    assert_int_equal(unsetenv("HOME"), 0);
    assert_int_equal(tars_places_data(none, &place->arena, &dir, NULL), TARS_EINVAL);
    tars_settings_free(given);
    tars_settings_free(none);
}

static void model_is_found(void **state)
{
    struct place *place = *state;
    char model[FILES_PATH_MAX + 64];
    char variable[FILES_PATH_MAX + 128];
    struct tars_settings *s;
    struct tars_err err = {{0}};
    const char *dir;

    (void)snprintf(model, sizeof(model), "%s/models", place->dir);
    assert_int_equal(mkdir(model, 0700), 0);
    (void)snprintf(model, sizeof(model), "%s/models/tiny", place->dir);
    assert_int_equal(mkdir(model, 0700), 0);
    s = settings_with("EMBED_MODEL=somebody/tiny", NULL);
    assert_int_equal(tars_places_model(s, place->dir, &place->arena, &dir, &err), TARS_OK);
    assert_string_equal(dir, model);
    assert_int_equal(tars_places_model(s, "/nonexistent", &place->arena, &dir, &err),
                     TARS_ENOTFOUND);
    assert_non_null(strstr(err.text, "tiny"));
    tars_settings_free(s);
    (void)snprintf(variable, sizeof(variable), "TARS_MODELS=/nonexistent:%s/models", place->dir);
    s = settings_with("EMBED_MODEL=tiny", variable);
    assert_int_equal(tars_places_model(s, "/nonexistent", &place->arena, &dir, &err), TARS_OK);
    assert_string_equal(dir, model);
    tars_settings_free(s);
    (void)snprintf(variable, sizeof(variable), "EMBED_MODEL=%s", model);
    s = settings_with(variable, NULL);
    assert_int_equal(tars_places_model(s, "/nonexistent", &place->arena, &dir, &err), TARS_OK);
    assert_string_equal(dir, model);
    tars_settings_free(s);
}

static void note_comes_back(void **state)
{
    struct place *place = *state;
    struct tars_server_note note = {"http://127.0.0.1:1", "secret", getpid()};
    struct tars_server_note back;
    struct stat about;
    char path[FILES_PATH_MAX];

    assert_int_equal(tars_note_read(place->dir, &place->arena, &back, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_note_write(place->dir, &note, NULL), TARS_OK);
    assert_int_equal(tars_note_read(place->dir, &place->arena, &back, NULL), TARS_OK);
    assert_string_equal(back.url, note.url);
    assert_string_equal(back.token, note.token);
    (void)snprintf(path, sizeof(path), "%.4000s/server.json", place->dir);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    files_write(place->dir, "server.json", "{\"pid\":", 7, path);
    assert_int_equal(tars_note_read(place->dir, &place->arena, &back, NULL), TARS_EFORMAT);
    note.pid = 999999999; /* no such process */
    assert_int_equal(tars_note_write(place->dir, &note, NULL), TARS_OK);
    assert_int_equal(tars_note_read(place->dir, &place->arena, &back, NULL), TARS_ENOTFOUND);
    tars_note_remove(place->dir);
    tars_note_remove(place->dir);
}

/* ------------------------------------------------------------------- lines */

static bool add_name(void *ctx, json_t *object)
{
    char *seen = ctx;
    size_t used = strlen(seen);

    (void)snprintf(seen + used, 64 - used, "%s,", tars_object_text(object, "a"));
    return strcmp(tars_object_text(object, "a"), "stop") != 0;
}

struct cut {
    const char *name;
    const char *text;
    size_t piece; /* bytes handed over at a time */
    bool goes_on;
    const char *seen;
};

static const struct cut cuts[] = {
    {"one piece", "{\"a\":\"1\"}\n{\"a\":\"2\"}\n", 100, true, "1,2,"},
    {"byte by byte", "{\"a\":\"1\"}\n{\"a\":\"2\"}\n", 1, true, "1,2,"},
    {"blank lines and noise", "\n\nnoise\n{\"a\":\"1\"}\n\n", 3, true, "1,"},
    {"an unfinished line", "{\"a\":\"1\"}\n{\"a\"", 4, true, "1,"},
    {"told to stop", "{\"a\":\"stop\"}\n{\"a\":\"2\"}\n", 100, false, "stop,"},
};

static void lines_are_cut(void **state)
{
    const struct cut *row = *state;
    struct tars_object_lines lines;
    char seen[64] = "";
    size_t len = strlen(row->text);
    bool go_on = true;

    tars_object_lines_init(&lines, add_name, seen);
    for (size_t at = 0; at < len && go_on; at += row->piece) {
        go_on = tars_object_lines_take(&lines, 200, row->text + at,
                                       len - at < row->piece ? len - at : row->piece);
    }
    assert_int_equal(go_on, row->goes_on);
    assert_string_equal(seen, row->seen);
    tars_object_lines_release(&lines);
}

static void error_bodies_are_kept(void **state)
{
    struct tars_object_lines lines;
    char seen[64] = "";

    (void)state;
    tars_object_lines_init(&lines, add_name, seen);
    assert_true(tars_object_lines_take(&lines, 422, "{\"a\":1}\n", 8));
    assert_string_equal(seen, "");
    assert_int_equal(lines.rest.len, 8);
    tars_object_lines_release(&lines);
}

int main(void)
{
    struct CMUnitTest tests[sizeof(cuts) / sizeof(cuts[0]) + 4];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        tests[n++] = (struct CMUnitTest){cuts[i].name, lines_are_cut, NULL, NULL, (void *)&cuts[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(error_bodies_are_kept);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test_setup_teardown(model_is_found, set_up, tear_down);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test_setup_teardown(note_comes_back, set_up, tear_down);
    tests[n++] =
        (struct CMUnitTest)cmocka_unit_test_setup_teardown(data_folder_is_found, set_up, tear_down);
    return _cmocka_run_group_tests("app/places", tests, n, NULL, NULL);
}
