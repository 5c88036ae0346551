/* cmd_backup - a copy of the data folder into a folder of backups, and looking after that folder.
 *
 *     tars backup DEST [--keep N]          one more, of what has changed; then prune
 *     tars backup DEST --list | --verify | --prune keep=N
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/backup_source.h"
#include "app/backups.h"
#include "app/places.h"
#include "app/stores.h"
#include "backup/keep.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "base/version.h"

#define OUTPUT_MAX ((size_t)64 << 20)
#define LIST_ARENA ((size_t)256 << 20)
#define FILE_MODE  0600

const struct tars_option tars_options_backup[] = {
    {"list", 0, NULL, NULL, "List the backups in DEST"},
    {"verify", 0, NULL, NULL, "Read all backups in DEST and check every byte"},
    {"prune", 0, "keep=N", NULL, "Remove all backups but the newest N, and what only they need"},
    {"keep", 0, "N", NULL, "After the backup remove all but the newest N, as --prune does"},
    {"key-file", 0, "FILE", NULL, "Seal with the key in FILE: 32 bytes, or 64 hex digits"},
    {"passphrase-file", 0, "FILE", NULL, "Seal with the passphrase in the first line of FILE"},
    {"no-index", 0, NULL, NULL, "Leave the index out; it is made again from the store"},
    {NULL, 0, NULL, NULL, NULL},
};

struct backup {
    struct tars_cli *cli;
    const char *data;
    struct tars_repo *repo;
    struct tars_source source;
    struct tars_manifest manifest;
};

static void print_json(struct tars_buf *text)
{
    printf("%s\n", text->status == TARS_OK && text->ptr ? text->ptr : "{}");
    tars_buf_release(text);
}

static void time_text(int64_t time_us, char out[TARS_ISO8601_BYTES])
{
    tars_clock_iso8601(time_us / 1000000 * 1000000, out);
}

/* ------------------------------------------------------------------- backup */

static tars_status pack_parts(struct backup *backup, struct tars_err *err)
{
    struct tars_source *source = &backup->source;
    struct tars_manifest_file *files =
        tars_arena_calloc(&backup->cli->arena, source->count + 1, sizeof(*files));
    struct tars_backups_bar bar;
    struct tars_err why = {{0}};
    tars_status status = TARS_OK;

    if (!files)
        return tars_fail(TARS_ENOMEM, err, "no memory for a backup");
    tars_backups_bar_begin(&bar, backup->cli, "backing up", source->bytes);
    for (size_t i = 0; status == TARS_OK && i < source->count; i++) {
        files[i].name = source->parts[i].name;
        files[i].mode = FILE_MODE;
        status = tars_pack_put(backup->repo, source->parts[i].fd, &bar.watch, &backup->cli->arena,
                               &files[i], &why);
        backup->manifest.bytes += files[i].bytes;
    }
    tars_backups_bar_end(&bar);
    backup->manifest.files = files;
    backup->manifest.file_count = source->count;
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "%s", why.text);
}

static tars_status describe(struct backup *backup, struct tars_err *err)
{
    struct tars_manifest *manifest = &backup->manifest;
    unsigned char random[4];
    tars_status status = tars_random_bytes(random, sizeof(random));

    if (status != TARS_OK)
        return tars_fail(status, err, "no random bytes for an id");
    tars_backup_id(backup->source.time_us, random, manifest->id);
    manifest->time_us = backup->source.time_us;
    manifest->program = TARS_VERSION;
    manifest->data = backup->data;
    manifest->sequence = backup->source.sequence;
    manifest->tables = backup->source.tables;
    manifest->table_count = backup->source.table_count;
    return TARS_OK;
}

/* Order is by time: one of a clock that went back is not the newest. */
static void warn_of_newer(struct backup *backup)
{
    struct tars_source *source = &backup->source;
    const char **ids = NULL;
    size_t count = 0;
    struct tars_err why = {{0}};
    tars_status status = tars_repo_ids(backup->repo, &backup->cli->arena, &ids, &count, &why);

    if (source->warning[0])
        return;
    if (status != TARS_OK) {
        (void)snprintf(source->warning, sizeof(source->warning), "%.400s", why.text);
    } else if (count > 0 && strcmp(ids[count - 1], backup->manifest.id) > 0) {
        (void)snprintf(source->warning, sizeof(source->warning),
                       "this backup is made, but %s is newer by its time: is the clock right? A "
                       "restore takes the newest, and --prune removes the oldest",
                       ids[count - 1]);
    }
}

static tars_status make(struct backup *backup, struct tars_err *err)
{
    const struct tars_cli *cli = backup->cli;
    const char *dotenv = cli->sources.dotenv_path;
    const struct tars_source_config config = {
        .data = backup->data,
        .env_file = dotenv && access(dotenv, R_OK) == 0 ? dotenv : NULL,
        .has_index = !tars_cli_value(cli, "no-index"),
        .stop = tars_lifecycle_flag(cli->lifecycle),
    };
    int64_t begun_ms = tars_clock_mono_ms();
    tars_status status = tars_stores_check_file(cli->settings, err);

    if (status == TARS_OK)
        status = tars_source_take(&config, &backup->cli->arena, &backup->source, err);
    if (status == TARS_OK)
        status = describe(backup, err);
    if (status == TARS_OK)
        status = pack_parts(backup, err);
    if (status == TARS_OK) {
        backup->manifest.new_bytes = tars_repo_counts(backup->repo).new_bytes;
        backup->manifest.new_objects = tars_repo_counts(backup->repo).new_objects;
        backup->manifest.took_ms = tars_clock_mono_ms() - begun_ms;
        status = tars_repo_add(backup->repo, &backup->manifest, err);
        if (status == TARS_OK)
            warn_of_newer(backup);
        backup->manifest.took_ms = tars_clock_mono_ms() - begun_ms;
    }
    return status;
}

static void write_backup(struct tars_json *json, const char *key,
                         const struct tars_manifest *manifest)
{
    char time[TARS_ISO8601_BYTES];

    time_text(manifest->time_us, time);
    tars_json_object(json, key);
    tars_json_text(json, "id", manifest->id);
    tars_json_text(json, "time", time);
    tars_json_int(json, "time_us", manifest->time_us);
    tars_json_text(json, "program", manifest->program);
    tars_json_text(json, "data", manifest->data);
    tars_json_int(json, "sequence", (int64_t)manifest->sequence);
    tars_json_int(json, "files", (int64_t)manifest->file_count);
    tars_json_int(json, "bytes", (int64_t)manifest->bytes);
    tars_json_int(json, "new_bytes", (int64_t)manifest->new_bytes);
    tars_json_int(json, "new_objects", (int64_t)manifest->new_objects);
    tars_json_int(json, "took_ms", manifest->took_ms);
    tars_json_object(json, "rows");
    for (size_t i = 0; i < manifest->table_count; i++)
        tars_json_int(json, manifest->tables[i].name, manifest->tables[i].rows);
    tars_json_end(json);
    tars_json_end(json);
}

static void print_made(struct backup *backup)
{
    const struct tars_manifest *manifest = &backup->manifest;
    const char *warning = backup->source.warning;
    char time[TARS_ISO8601_BYTES];
    char all[32];
    char added[32];
    struct tars_buf text;
    struct tars_json json;

    if (backup->cli->json) {
        tars_buf_init(&text, OUTPUT_MAX);
        tars_json_init(&json, &text);
        tars_json_object(&json, NULL);
        write_backup(&json, "backup", manifest);
        tars_json_text(&json, "warning", warning[0] ? warning : NULL);
        tars_json_end(&json);
        print_json(&text);
        return;
    }
    time_text(manifest->time_us, time);
    printf("Backup %s of %s, as it was at %s UTC\n", manifest->id, backup->data, time);
    printf("%zu files, %s; %s in %llu objects are new; %.1f s%s\n", manifest->file_count,
           tars_backups_size(manifest->bytes, all), tars_backups_size(manifest->new_bytes, added),
           (unsigned long long)manifest->new_objects, (double)manifest->took_ms / 1000,
           tars_repo_is_sealed(backup->repo) ? "; sealed" : "");
}

static int run_backup(struct backup *backup, const char *folder)
{
    const struct tars_backups_note note = {
        .id = backup->manifest.id,
        .folder = tars_places_absolute(&backup->cli->arena, folder),
    };
    struct tars_backups_note told = note;
    struct tars_err err = {{0}};
    tars_status status = make(backup, &err);

    tars_source_release(&backup->source);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return tars_cli_exit(backup->cli, status == TARS_ENOTFOUND ? TARS_EIO : status);
    }
    told.time_us = backup->manifest.time_us;
    print_made(backup);
    if (tars_backups_note_write(backup->data, &told, &err) != TARS_OK)
        tars_cli_complain("the backup is made, but the data folder does not know: %s", err.text);
    if (backup->source.warning[0]) {
        tars_cli_complain("%s", backup->source.warning);
        return TARS_EXIT_PARTLY;
    }
    return TARS_EXIT_OK;
}

/* --------------------------------------------------------------------- list */

static void print_line(const struct tars_manifest *manifest)
{
    char time[TARS_ISO8601_BYTES];
    char all[32];
    char added[32];

    time_text(manifest->time_us, time);
    printf("%s  %s  %9s  %9s new  change %llu  %s\n", manifest->id, time,
           tars_backups_size(manifest->bytes, all), tars_backups_size(manifest->new_bytes, added),
           (unsigned long long)manifest->sequence, manifest->data);
}

static int run_list(struct backup *backup)
{
    struct tars_arena arena;
    struct tars_buf text;
    struct tars_json json;
    struct tars_err err = {{0}};
    const char **ids = NULL;
    size_t count = 0;
    int bad = 0;
    tars_status status = tars_repo_ids(backup->repo, &backup->cli->arena, &ids, &count, &err);

    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return TARS_EXIT_FAILED;
    }
    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_bool(&json, "sealed", tars_repo_is_sealed(backup->repo));
    tars_json_array(&json, "backups");
    tars_arena_init(&arena, LIST_ARENA);
    for (size_t i = 0; i < count; i++) {
        struct tars_manifest manifest;

        tars_arena_clear(&arena);
        if (tars_repo_manifest(backup->repo, ids[i], &arena, &manifest, &err) != TARS_OK) {
            tars_cli_complain("%s", err.text);
            bad++;
        } else if (backup->cli->json) {
            write_backup(&json, NULL, &manifest);
        } else {
            print_line(&manifest);
        }
    }
    tars_arena_release(&arena);
    tars_json_end(&json);
    tars_json_end(&json);
    if (backup->cli->json) {
        print_json(&text);
    } else {
        tars_buf_release(&text);
        printf("%zu backup%s%s\n", count, count == 1 ? "" : "s",
               tars_repo_is_sealed(backup->repo) ? ", sealed" : "");
    }
    return bad ? TARS_EXIT_PARTLY : TARS_EXIT_OK;
}

/* ------------------------------------------------------------------- verify */

/* A tars_keep_finding_fn. */
static void tell_finding(void *ctx, const char *backup, const char *words)
{
    (void)ctx;
    tars_cli_complain("backup %s: %s", backup, words);
}

static int run_verify(struct backup *backup)
{
    struct tars_keep_verified found = {0};
    struct tars_backups_bar bar;
    struct tars_err err = {{0}};
    char size[32];
    tars_status status;

    tars_backups_bar_begin(&bar, backup->cli, "verifying", 0);
    status = tars_keep_verify(backup->repo, tell_finding, NULL, &bar.watch, &found, &err);
    tars_backups_bar_end(&bar);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return tars_cli_exit(backup->cli, status);
    }
    if (backup->cli->json) {
        printf("{\"backups\":%zu,\"bad_backups\":%zu,\"objects\":%llu,\"bytes\":%llu,"
               "\"bad_objects\":%llu}\n",
               found.backups, found.bad_backups, (unsigned long long)found.objects,
               (unsigned long long)found.bytes, (unsigned long long)found.bad_objects);
    } else {
        printf("%zu backup%s, %llu objects, %s: %s\n", found.backups, found.backups == 1 ? "" : "s",
               (unsigned long long)found.objects, tars_backups_size(found.bytes, size),
               found.bad_backups ? "DAMAGED" : "all whole");
        if (found.bad_backups)
            printf("%zu of them cannot be restored as a whole\n", found.bad_backups);
    }
    return found.bad_backups ? TARS_EXIT_PARTLY : TARS_EXIT_OK;
}

/* -------------------------------------------------------------------- prune */

/* "keep=N" or "N". */
static bool read_keep(const char *text, size_t *keep)
{
    static const char prefix[] = "keep=";
    char *end = NULL;
    long value;

    if (strncmp(text, prefix, sizeof(prefix) - 1) == 0)
        text += sizeof(prefix) - 1;
    errno = 0;
    value = strtol(text, &end, 10);
    *keep = (size_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= 1000000;
}

static int run_prune(struct backup *backup, size_t keep)
{
    const struct tars_pack_watch watch = {.stop = tars_lifecycle_flag(backup->cli->lifecycle)};
    struct tars_keep_pruned done = {0};
    struct tars_err err = {{0}};
    char size[32];
    tars_status status = tars_keep_prune(backup->repo, keep, &watch, &done, &err);

    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return tars_cli_exit(backup->cli, status == TARS_ENOTFOUND ? TARS_EFORMAT : status);
    }
    if (backup->cli->json) {
        printf("{\"kept\":%zu,\"removed\":%zu,\"removed_objects\":%llu,\"freed_bytes\":%llu}\n",
               done.kept, done.removed, (unsigned long long)done.removed_objects,
               (unsigned long long)done.freed_bytes);
    } else {
        printf("%zu backup%s kept, %zu removed; %s freed\n", done.kept, done.kept == 1 ? "" : "s",
               done.removed, tars_backups_size(done.freed_bytes, size));
    }
    return TARS_EXIT_OK;
}

/* One that left something out is a backup too, and older ones go. */
static int run_backup_and_prune(struct backup *backup, const char *folder, size_t keep)
{
    int made = run_backup(backup, folder);
    int pruned;

    if (keep == 0 || (made != TARS_EXIT_OK && made != TARS_EXIT_PARTLY))
        return made;
    pruned = run_prune(backup, keep);
    return pruned == TARS_EXIT_OK ? made : pruned;
}

/* ---------------------------------------------------------------------- all */

static int run(struct backup *backup, const char *folder, size_t keep)
{
    const struct tars_cli *cli = backup->cli;
    bool reads = tars_cli_value(cli, "list") || tars_cli_value(cli, "verify");
    const struct tars_repo_config config = {
        .dir = folder,
        .key = tars_backups_key(cli),
        .makes = !reads && !tars_cli_value(cli, "prune"),
        .writes = !reads,
        .sets_aside = tars_cli_value(cli, "verify") != NULL,
    };
    struct tars_err err = {{0}};
    tars_status status = TARS_OK;

    if (config.makes &&
        strcmp(tars_settings_text(cli->settings, TARS_SET_STORE), "postgres") == 0) {
        /* A tars.db that is there was left by a move, and is older. */
        tars_cli_complain(
            "the store is in PostgreSQL (STORE) and is backed up there: docs/backup.md");
        return TARS_EXIT_USAGE;
    }
    if (config.makes)
        status = tars_places_data(cli->settings, &backup->cli->arena, &backup->data, &err);
    if (status == TARS_OK && config.makes && tars_backups_is_below(folder, backup->data)) {
        status = tars_fail(TARS_EINVAL, &err,
                           "%s is within the data folder %s and would be lost with it: choose "
                           "another, on another disk",
                           folder, backup->data);
    }
    if (status == TARS_OK)
        status = tars_repo_open(&config, &backup->repo, &err);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return status == TARS_EINVAL ? TARS_EXIT_USAGE : TARS_EXIT_FAILED;
    }
    if (tars_cli_value(cli, "list"))
        return run_list(backup);
    if (tars_cli_value(cli, "verify"))
        return run_verify(backup);
    return tars_cli_value(cli, "prune") ? run_prune(backup, keep)
                                        : run_backup_and_prune(backup, folder, keep);
}

int tars_cmd_backup(struct tars_cli *cli)
{
    struct backup backup = {.cli = cli};
    const char *prune = tars_cli_value(cli, "prune");
    const char *kept = tars_cli_value(cli, "keep");
    int verbs = (tars_cli_value(cli, "list") != NULL) + (tars_cli_value(cli, "verify") != NULL) +
                (prune != NULL) + (kept != NULL);
    size_t keep = 0;
    int code;

    if (cli->argument_count != 1 || verbs > 1) {
        tars_cli_complain(
            "usage: tars backup DEST [--keep N | --list | --verify | --prune keep=N]");
        return TARS_EXIT_USAGE;
    }
    if (prune && !read_keep(prune, &keep)) {
        tars_cli_complain("--prune is \"%s\": expected keep=N, with N from 1", prune);
        return TARS_EXIT_USAGE;
    }
    if (kept && !read_keep(kept, &keep)) {
        tars_cli_complain("--keep is \"%s\": expected a number from 1", kept);
        return TARS_EXIT_USAGE;
    }
    code = run(&backup, cli->arguments[0], keep);
    tars_repo_close(backup.repo);
    return code;
}
