/* later_file - see later_file.h. */
#include "rag/later_file.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec/json_write.h"
#include "base/sys/file.h"

#define VERSION     1
#define NAME_CHARS  (TARS_LATER_NAME_BYTES - 1)
#define TIME_DIGITS 20
#define FILE_MAX    (8 * TARS_LATER_BYTES) /* every byte may become six */
#define NUMBERS     1000000U

void tars_later_file_name(char *name, int64_t now_us, unsigned number)
{
    (void)snprintf(name, TARS_LATER_NAME_BYTES, "%020lld-%06u",
                   (long long)(now_us > 0 ? now_us : 0), number % NUMBERS);
}

static bool is_name(const char *name)
{
    for (size_t i = 0; i < NAME_CHARS; i++) {
        if (i == TIME_DIGITS ? name[i] != '-' : name[i] < '0' || name[i] > '9')
            return false;
    }
    return true;
}

static bool path_of(char *path, const char *dir, const char *name)
{
    return snprintf(path, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

/* ------------------------------------------------------------------- writing */

static void write_message(struct tars_json *json, const struct tars_message *message)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "id", message->id);
    tars_json_text(json, "role", message->role);
    tars_json_text(json, "content", message->content);
    tars_json_text(json, "timestamp", message->timestamp);
    tars_json_text(json, "sources", message->sources_json);
    tars_json_text(json, "metadata", message->metadata_json);
    tars_json_end(json);
}

tars_status tars_later_file_write(const char *dir, const char *name,
                                  const struct tars_later_turn *turn, struct tars_err *err)
{
    char path[PATH_MAX];
    struct tars_buf text;
    struct tars_json json;
    tars_status status = path_of(path, dir, name) ? tars_dir_make(dir, err) : TARS_ETOOBIG;

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, FILE_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_int(&json, "version", VERSION);
    tars_json_text(&json, "tenant", turn->tenant);
    tars_json_text(&json, "client", turn->client);
    tars_json_text(&json, "conversation", turn->conversation);
    tars_json_int(&json, "now_us", turn->now_us);
    tars_json_array(&json, "messages");
    for (size_t i = 0; i < TARS_LATER_MESSAGES; i++)
        write_message(&json, &turn->messages[i]);
    tars_json_end(&json);
    tars_json_end(&json);
    status = text.status;
    if (status == TARS_OK)
        status = tars_file_replace(path, text.ptr, text.len, 0600, err);
    tars_buf_release(&text);
    return status;
}

void tars_later_file_remove(const char *dir, const char *name)
{
    char path[PATH_MAX];

    if (path_of(path, dir, name))
        (void)unlink(path);
}

/* ------------------------------------------------------------------- reading */

/* What is being read: the first fault stays. */
struct reading {
    struct tars_arena *arena;
    tars_status status;
};

/* Null stays NULL where it may be. */
static const char *take_text(struct reading *reading, const json_t *from, const char *key,
                             bool may_lack)
{
    const json_t *value = json_object_get(from, key);
    const char *text = json_string_value(value);
    const char *copied;

    if (!text) {
        if (!reading->status && !(may_lack && json_is_null(value)))
            reading->status = TARS_EFORMAT;
        return NULL;
    }
    copied = tars_arena_strdup(reading->arena, text);
    if (!copied)
        reading->status = TARS_ENOMEM;
    return copied;
}

static void take_message(struct reading *reading, const json_t *from, struct tars_message *message)
{
    *message = (struct tars_message){
        .id = take_text(reading, from, "id", false),
        .role = take_text(reading, from, "role", false),
        .content = take_text(reading, from, "content", false),
        .timestamp = take_text(reading, from, "timestamp", false),
        .sources_json = take_text(reading, from, "sources", true),
        .metadata_json = take_text(reading, from, "metadata", true),
    };
}

static tars_status take_turn(struct tars_arena *arena, const json_t *from,
                             struct tars_later_turn *turn)
{
    struct reading reading = {arena, TARS_OK};
    const json_t *messages = json_object_get(from, "messages");
    const json_t *now = json_object_get(from, "now_us");

    if (json_integer_value(json_object_get(from, "version")) != VERSION || !json_is_integer(now) ||
        json_array_size(messages) != TARS_LATER_MESSAGES)
        return TARS_EFORMAT;
    turn->tenant = take_text(&reading, from, "tenant", false);
    turn->client = take_text(&reading, from, "client", false);
    turn->conversation = take_text(&reading, from, "conversation", false);
    turn->now_us = json_integer_value(now);
    for (size_t i = 0; i < TARS_LATER_MESSAGES; i++)
        take_message(&reading, json_array_get(messages, i), &turn->messages[i]);
    return reading.status;
}

tars_status tars_later_file_read(const char *dir, const char *name, struct tars_arena *arena,
                                 struct tars_later_turn *turn, struct tars_err *err)
{
    struct tars_later_turn made = {.tenant = NULL};
    char path[PATH_MAX];
    struct tars_buf text;
    json_error_t fault;
    json_t *read;
    tars_status status;

    if (!path_of(path, dir, name))
        return tars_fail(TARS_ETOOBIG, err, "the path of a turn is too long");
    tars_buf_init(&text, FILE_MAX);
    status = tars_file_read(path, &text, err);
    if (status != TARS_OK) {
        tars_buf_release(&text);
        return status;
    }
    read = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &fault);
    tars_buf_release(&text);
    if (read) {
        status = take_turn(arena, read, &made);
    } else {
        status = json_error_code(&fault) == json_error_out_of_memory ? TARS_ENOMEM : TARS_EFORMAT;
    }
    json_decref(read);
    if (status != TARS_OK)
        return tars_fail(status, err, "%s is no turn that waits", path);
    *turn = made;
    return TARS_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* As many as there are, or have come to room; with what is left of writes removed. */
static size_t read_names(DIR *dir, char (*names)[TARS_LATER_NAME_BYTES], size_t room)
{
    const struct dirent *entry;
    size_t count = 0;

    /* One thread has this handle. */
    while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe) */
        size_t len = strlen(entry->d_name);

        if (len < NAME_CHARS || !is_name(entry->d_name))
            continue;
        if (len > NAME_CHARS) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        } else if (count < room) {
            memcpy(names[count++], entry->d_name, TARS_LATER_NAME_BYTES);
        }
    }
    return count;
}

tars_status tars_later_file_list(const char *dir, struct tars_arena *arena,
                                 char (**names)[TARS_LATER_NAME_BYTES], size_t *count,
                                 struct tars_err *err)
{
    DIR *listed = opendir(dir);
    char(*found)[TARS_LATER_NAME_BYTES];

    *count = 0;
    if (!listed) {
        return errno == ENOENT ? TARS_OK
                               : tars_fail(TARS_EIO, err, "cannot read the folder %s: %s", dir,
                                           strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
    }
    found = tars_arena_calloc(arena, TARS_LATER_TURNS, sizeof(*found));
    if (found)
        *count = read_names(listed, found, TARS_LATER_TURNS);
    (void)closedir(listed);
    if (!found)
        return tars_fail(TARS_ENOMEM, err, "no memory for turns that wait");
    qsort(found, *count, sizeof(*found), compare);
    *names = found;
    return TARS_OK;
}
