/* backups - see backups.h for the contract. */
#include "app/backups.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"

#define DRAW_MS   100
#define NOTE_NAME "backup.last"
#define NOTE_MAX  ((size_t)16384)

struct tars_key_source tars_backups_key(const struct tars_cli *cli)
{
    return (struct tars_key_source){.key_file = tars_cli_value(cli, "key-file"),
                                    .passphrase_file = tars_cli_value(cli, "passphrase-file")};
}

/* ----------------------------------------------------------------- names */

bool tars_backups_is_part(const char *name)
{
    static const char *const names[] = {"tars.db", "analytics.db", "analytics.queue",
                                        "jwt.key", "settings.env", "index/index.tars"};
    static const char spool[] = "spool/";
    const char *id = name + sizeof(spool) - 1;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return strncmp(name, spool, sizeof(spool) - 1) == 0 && strlen(id) == 32 &&
           strspn(id, "0123456789abcdef") == 32;
}

bool tars_backups_is_below(const char *path, const char *root)
{
    char within[PATH_MAX];
    char above[PATH_MAX];
    char left[PATH_MAX];
    char *slash;

    if (!realpath(root, above) || snprintf(left, sizeof(left), "%s", path) >= (int)sizeof(left))
        return false;
    while (!realpath(left, within)) { /* the longest beginning that is there */
        slash = strrchr(left, '/');
        if (!slash)
            return realpath(".", within) && tars_path_is_below(within, above);
        slash[slash == left] = '\0';
    }
    return tars_path_is_below(within, above);
}

/* ---------------------------------------------------------------------- bar */

const char *tars_backups_size(uint64_t bytes, char *out)
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;

    while (value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, 32, "%.*f %s", unit == 0 || value >= 100 ? 0 : 1, value, units[unit]);
    return out;
}

static void step(void *ctx, uint64_t bytes)
{
    struct tars_backups_bar *bar = ctx;
    int64_t now_ms = tars_clock_mono_ms();
    char done[32];
    char total[32];

    bar->done += bytes;
    if (!bar->is_drawn || now_ms - bar->drawn_ms < DRAW_MS)
        return;
    bar->drawn_ms = now_ms;
    if (bar->total > 0) {
        (void)fprintf(stderr, "\r\033[K%s %3.0f %%  %s of %s, %.0f MB/s", bar->doing,
                      100.0 * (double)bar->done / (double)bar->total,
                      tars_backups_size(bar->done, done), tars_backups_size(bar->total, total),
                      (double)bar->done / 1000.0 / (double)(now_ms - bar->begun_ms + 1));
    } else {
        (void)fprintf(stderr, "\r\033[K%s  %s", bar->doing, tars_backups_size(bar->done, done));
    }
}

void tars_backups_bar_begin(struct tars_backups_bar *bar, const struct tars_cli *cli,
                            const char *doing, uint64_t total)
{
    *bar = (struct tars_backups_bar){
        .watch = {.stop = tars_lifecycle_flag(cli->lifecycle), .step = step, .ctx = bar},
        .doing = doing,
        .total = total,
        .begun_ms = tars_clock_mono_ms(),
        .is_drawn = !cli->json && isatty(STDERR_FILENO),
    };
}

void tars_backups_bar_end(struct tars_backups_bar *bar)
{
    if (bar->is_drawn)
        (void)fputs("\r\033[K", stderr);
}

/* --------------------------------------------------------------------- note */

tars_status tars_backups_note_write(const char *data, const struct tars_backups_note *note,
                                    struct tars_err *err)
{
    char path[PATH_MAX];
    struct tars_buf text;
    struct tars_json json;
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/" NOTE_NAME, data);
    tars_buf_init(&text, NOTE_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "id", note->id);
    tars_json_int(&json, "time_us", note->time_us);
    tars_json_text(&json, "folder", note->folder);
    tars_json_end(&json);
    tars_buf_append_char(&text, '\n');
    status = text.status == TARS_OK ? tars_file_replace(path, text.ptr, text.len, 0600, err)
                                    : tars_fail(text.status, err, "%s does not fit", path);
    tars_buf_release(&text);
    return status;
}

tars_status tars_backups_note_read(const char *data, struct tars_arena *arena,
                                   struct tars_backups_note *note)
{
    char path[PATH_MAX];
    struct tars_buf text;
    json_t *root = NULL;
    const char *id;
    const char *folder;
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/" NOTE_NAME, data);
    tars_buf_init(&text, NOTE_MAX);
    status = tars_file_read(path, &text, NULL);
    if (status == TARS_OK)
        root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
    id = json_string_value(json_object_get(root, "id"));
    folder = json_string_value(json_object_get(root, "folder"));
    if (status == TARS_OK && (!id || !folder))
        status = TARS_ENOTFOUND;
    if (status == TARS_OK) {
        note->id = tars_arena_strdup(arena, id);
        note->folder = tars_arena_strdup(arena, folder);
        note->time_us = json_integer_value(json_object_get(root, "time_us"));
        status = note->id && note->folder ? TARS_OK : TARS_ENOMEM;
    }
    json_decref(root);
    tars_buf_release(&text);
    return status;
}
