/* manifest - see manifest.h for the contract. */
#include "backup/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/codec/json_write.h"
#include "base/sys/clock.h"

#define FORMAT         "tars-backup"
#define VERSION        1
#define NAME_BYTES_MAX 128 /* bytes of a file's name */
#define TEXT_MAX       4096
#define DEPTH_MAX      8

/* ---------------------------------------------------------------------- ids */

void tars_backup_id(int64_t time_us, const unsigned char *random, char *out)
{
    struct tars_civil civil;

    tars_clock_civil(time_us, &civil);
    (void)snprintf(out, TARS_BACKUP_ID_BYTES, "%04d%02d%02dT%02d%02d%02d.%06dZ-%02x%02x%02x%02x",
                   civil.year, civil.month, civil.day, civil.hour, civil.minute, civil.second,
                   (int)(time_us % 1000000), random[0], random[1], random[2], random[3]);
}

/* Like "20261126T153024.123456Z-1a2b3c4d", character by character. */
bool tars_backup_id_is_valid(const char *id)
{
    static const char like[] = "00000000T000000.000000Z-xxxxxxxx";

    if (strlen(id) != sizeof(like) - 1)
        return false;
    for (size_t i = 0; like[i]; i++) {
        bool is_digit = id[i] >= '0' && id[i] <= '9';

        if (like[i] == '0'   ? !is_digit
            : like[i] == 'x' ? !is_digit && !(id[i] >= 'a' && id[i] <= 'f')
                             : id[i] != like[i])
            return false;
    }
    return true;
}

uint64_t tars_backup_chunks(uint64_t bytes)
{
    return (bytes + TARS_CHUNK_BYTES - 1) / TARS_CHUNK_BYTES;
}

size_t tars_backup_lists(uint64_t bytes)
{
    return (size_t)((tars_backup_chunks(bytes) + TARS_LIST_NAMES - 1) / TARS_LIST_NAMES);
}

const struct tars_manifest_file *tars_manifest_file(const struct tars_manifest *manifest,
                                                    const char *name)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        if (strcmp(manifest->files[i].name, name) == 0)
            return &manifest->files[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------ writing */

static void write_file(struct tars_json *json, const struct tars_manifest_file *file)
{
    char hex[TARS_OBJECT_HEX_BYTES];

    tars_json_object(json, NULL);
    tars_json_text(json, "name", file->name);
    tars_json_int(json, "mode", file->mode);
    tars_json_int(json, "bytes", (int64_t)file->bytes);
    tars_json_text(json, "sha256", file->sha256);
    tars_json_array(json, "lists");
    for (size_t i = 0; i < file->list_count; i++) {
        tars_object_hex(&file->lists[i], hex);
        tars_json_text(json, NULL, hex);
    }
    tars_json_end(json);
    tars_json_end(json);
}

void tars_manifest_write(const struct tars_manifest *manifest, struct tars_buf *out)
{
    char time[TARS_ISO8601_BYTES];
    struct tars_json json;

    tars_clock_iso8601(manifest->time_us, time);
    tars_json_init(&json, out);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "format", FORMAT);
    tars_json_int(&json, "version", VERSION);
    tars_json_int(&json, "chunk_bytes", (int64_t)TARS_CHUNK_BYTES);
    tars_json_text(&json, "id", manifest->id);
    tars_json_text(&json, "time", time);
    tars_json_int(&json, "time_us", manifest->time_us);
    tars_json_text(&json, "program", manifest->program);
    tars_json_text(&json, "data", manifest->data);
    tars_json_int(&json, "sequence", (int64_t)manifest->sequence);
    tars_json_int(&json, "bytes", (int64_t)manifest->bytes);
    tars_json_int(&json, "new_bytes", (int64_t)manifest->new_bytes);
    tars_json_int(&json, "new_objects", (int64_t)manifest->new_objects);
    tars_json_int(&json, "took_ms", manifest->took_ms);
    tars_json_array(&json, "files");
    for (size_t i = 0; i < manifest->file_count; i++)
        write_file(&json, &manifest->files[i]);
    tars_json_end(&json);
    tars_json_array(&json, "tables");
    for (size_t i = 0; i < manifest->table_count; i++) {
        tars_json_object(&json, NULL);
        tars_json_text(&json, "file", manifest->tables[i].file);
        tars_json_text(&json, "name", manifest->tables[i].name);
        tars_json_int(&json, "rows", manifest->tables[i].rows);
        tars_json_end(&json);
    }
    tars_json_end(&json);
    tars_json_end(&json);
    tars_buf_append_char(out, '\n');
}

/* ------------------------------------------------------------------ reading */

/* Sticky: the first thing that is wrong is told. */
struct reader {
    struct tars_arena *arena;
    struct tars_err *err;
    tars_status status;
};

static void wrong(struct reader *reader, const char *what)
{
    if (reader->status == TARS_OK) {
        reader->status = tars_fail(TARS_EFORMAT, reader->err, "the manifest is damaged: %s", what);
    }
}

static void no_memory(struct reader *reader)
{
    if (reader->status == TARS_OK)
        reader->status = tars_fail(TARS_ENOMEM, reader->err, "no memory for a manifest");
}

static const char *text(struct reader *reader, const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *copy = "";

    if (!json_is_string(value) || json_string_length(value) > TEXT_MAX ||
        strlen(json_string_value(value)) != json_string_length(value)) {
        wrong(reader, key);
        return "";
    }
    copy = tars_arena_strdup(reader->arena, json_string_value(value));
    if (!copy)
        no_memory(reader);
    return copy ? copy : "";
}

/* A whole number from 0 to max. */
static uint64_t number(struct reader *reader, const json_t *object, const char *key, uint64_t max)
{
    const json_t *value = json_object_get(object, key);
    json_int_t got = json_integer_value(value);

    if (!json_is_integer(value) || got < 0 || (uint64_t)got > max) {
        wrong(reader, key);
        return 0;
    }
    return (uint64_t)got;
}

static size_t array(struct reader *reader, const json_t *object, const char *key, size_t max)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_array(value) || json_array_size(value) > max) {
        wrong(reader, key);
        return 0;
    }
    return json_array_size(value);
}

/* Letters, digits, '.', '_' and '-', not beginning with a dot; at most one '/' between two. */
static bool is_safe_name(const char *name)
{
    size_t slashes = 0;

    if (!name[0] || strlen(name) > NAME_BYTES_MAX)
        return false;
    for (const char *c = name; *c; c++) {
        bool begins = c == name || c[-1] == '/';
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || *c == '_' || *c == '-';

        slashes += *c == '/';
        if (*c == '/' ? begins || !c[1] : !plain && (*c != '.' || begins))
            return false;
    }
    return slashes <= 1;
}

static void read_lists(struct reader *reader, const json_t *object, struct tars_manifest_file *file)
{
    const json_t *lists = json_object_get(object, "lists");
    struct tars_object_name *names;

    file->list_count = array(reader, object, "lists", TARS_OBJECT_PLAIN_MAX);
    if (file->list_count != tars_backup_lists(file->bytes)) {
        wrong(reader, "a file has not as many lists as its length asks for");
        return;
    }
    names = tars_arena_calloc(reader->arena, file->list_count + 1, sizeof(*names));
    if (!names) {
        no_memory(reader);
        return;
    }
    for (size_t i = 0; i < file->list_count; i++) {
        const char *hex = json_string_value(json_array_get(lists, i));

        if (!hex || !tars_object_from_hex(hex, &names[i]))
            wrong(reader, "the name of a list");
    }
    file->lists = names;
}

static void read_file(struct reader *reader, const json_t *object, struct tars_manifest_file *file)
{
    struct tars_object_name digest;
    const char *hex = text(reader, object, "sha256");

    file->name = text(reader, object, "name");
    file->mode = (unsigned)number(reader, object, "mode", 0700);
    file->bytes = number(reader, object, "bytes", TARS_BACKUP_FILE_MAX);
    if (reader->status != TARS_OK)
        return;
    if (!is_safe_name(file->name))
        wrong(reader, "the name of a file");
    if (file->mode != 0600 && file->mode != 0400)
        wrong(reader, "mode");
    if (!tars_object_from_hex(hex, &digest)) {
        wrong(reader, "sha256");
        return;
    }
    (void)snprintf(file->sha256, sizeof(file->sha256), "%s", hex);
    read_lists(reader, object, file);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_names_differ(struct reader *reader, const struct tars_manifest *manifest)
{
    const char **names = tars_arena_calloc(reader->arena, manifest->file_count + 1, sizeof(*names));

    if (!names) {
        no_memory(reader);
        return;
    }
    for (size_t i = 0; i < manifest->file_count; i++)
        names[i] = manifest->files[i].name;
    qsort(names, manifest->file_count, sizeof(*names), by_name);
    for (size_t i = 1; i < manifest->file_count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            wrong(reader, "a file is named twice");
    }
}

static void read_files(struct reader *reader, const json_t *root, struct tars_manifest *manifest)
{
    size_t count = array(reader, root, "files", TARS_MANIFEST_FILES_MAX);
    struct tars_manifest_file *files = tars_arena_calloc(reader->arena, count + 1, sizeof(*files));

    if (!files) {
        no_memory(reader);
        return;
    }
    for (size_t i = 0; i < count && reader->status == TARS_OK; i++)
        read_file(reader, json_array_get(json_object_get(root, "files"), i), &files[i]);
    manifest->files = files;
    manifest->file_count = count;
    if (reader->status == TARS_OK)
        check_names_differ(reader, manifest);
}

static void read_tables(struct reader *reader, const json_t *root, struct tars_manifest *manifest)
{
    size_t count = array(reader, root, "tables", TARS_MANIFEST_TABLES_MAX);
    struct tars_manifest_table *tables =
        tars_arena_calloc(reader->arena, count + 1, sizeof(*tables));

    if (!tables) {
        no_memory(reader);
        return;
    }
    for (size_t i = 0; i < count && reader->status == TARS_OK; i++) {
        const json_t *object = json_array_get(json_object_get(root, "tables"), i);

        tables[i].file = text(reader, object, "file");
        tables[i].name = text(reader, object, "name");
        tables[i].rows = (int64_t)number(reader, object, "rows", INT64_MAX);
    }
    manifest->tables = tables;
    manifest->table_count = count;
}

static void read_root(struct reader *reader, const json_t *root, struct tars_manifest *manifest)
{
    const char *id = text(reader, root, "id");

    if (tars_backup_id_is_valid(id)) {
        (void)snprintf(manifest->id, sizeof(manifest->id), "%s", id);
    } else {
        wrong(reader, "id");
    }
    if (number(reader, root, "chunk_bytes", INT64_MAX) != TARS_CHUNK_BYTES)
        wrong(reader, "chunk_bytes");
    manifest->time_us = (int64_t)number(reader, root, "time_us", INT64_MAX);
    manifest->program = text(reader, root, "program");
    manifest->data = text(reader, root, "data");
    manifest->sequence = number(reader, root, "sequence", INT64_MAX);
    manifest->bytes = number(reader, root, "bytes", INT64_MAX);
    manifest->new_bytes = number(reader, root, "new_bytes", INT64_MAX);
    manifest->new_objects = number(reader, root, "new_objects", INT64_MAX);
    manifest->took_ms = (int64_t)number(reader, root, "took_ms", INT64_MAX);
    if (reader->status == TARS_OK)
        read_files(reader, root, manifest);
    if (reader->status == TARS_OK)
        read_tables(reader, root, manifest);
}

/* jansson's own depth is fixed at 2,048. */
static bool is_deep(struct tars_span text)
{
    bool is_string = false;
    int depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            is_string = !is_string;
        if (is_string) {
            i += text.ptr[i] == '\\'; /* what is escaped ends nothing */
            continue;
        }
        depth += text.ptr[i] == '[' || text.ptr[i] == '{';
        depth -= text.ptr[i] == ']' || text.ptr[i] == '}';
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

tars_status tars_manifest_parse(struct tars_span json, struct tars_arena *arena,
                                struct tars_manifest *manifest, struct tars_err *err)
{
    struct reader reader = {.arena = arena, .err = err};
    struct tars_manifest found = {.id = ""};
    json_t *root = NULL;
    const char *format;

    if (json.len > 0 && json.len <= TARS_MANIFEST_BYTES_MAX && !is_deep(json))
        root = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
    format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, FORMAT) != 0) {
        wrong(&reader, "it is no JSON of ours");
    } else if (number(&reader, root, "version", INT64_MAX) > VERSION) {
        reader.status = tars_fail(TARS_EUNSUPPORTED, err, "a newer program made this backup");
    }
    if (reader.status == TARS_OK)
        read_root(&reader, root, &found);
    json_decref(root);
    if (reader.status == TARS_OK)
        *manifest = found;
    return reader.status;
}
