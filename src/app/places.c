/* places - see places.h for the contract. */
#include "app/places.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/codec/json_write.h"
#include "base/mem/buf.h"
#include "base/sys/file.h"

#define NOTE_NAME "server.json"
#define NOTE_MAX  4096

/* A folder of the XDG convention below which ours are; NULL when no home is known. */
static const char *xdg(struct tars_arena *arena, const char *variable, const char *below_home)
{
    const char *value = getenv(variable);
    const char *home = getenv("HOME");

    if (value && value[0] == '/')
        return tars_arena_printf(arena, "%s/tars", value);
    if (home && home[0] == '/')
        return tars_arena_printf(arena, "%s/%s/tars", home, below_home);
    return NULL;
}

tars_status tars_places_data(const struct tars_settings *settings, struct tars_arena *arena,
                             const char **dir, struct tars_err *err)
{
    const char *given = tars_settings_text(settings, TARS_SET_TARS_DATA);
    const char *found =
        given[0] ? tars_places_absolute(arena, given) : xdg(arena, "XDG_DATA_HOME", ".local/share");

    if (!found) {
        return tars_fail(TARS_EINVAL, err,
                         "no data folder: HOME is not set; give one with --data or TARS_DATA");
    }
    *dir = found;
    return TARS_OK;
}

const char *tars_places_absolute(struct tars_arena *arena, const char *path)
{
    char resolved[PATH_MAX];

    if (realpath(path, resolved))
        return tars_arena_strdup(arena, resolved);
    if (path[0] == '/' || !getcwd(resolved, sizeof(resolved)))
        return tars_arena_strdup(arena, path);
    return tars_arena_printf(arena, "%s/%s", resolved, path);
}

static bool is_folder(const char *path)
{
    struct stat about;

    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* One of folders, which colons join, that holds name. */
static const char *look_in(struct tars_arena *arena, const char *folders, const char *name)
{
    while (folders && *folders) {
        size_t len = strcspn(folders, ":");
        const char *path = tars_arena_printf(arena, "%.*s/%s", (int)len, folders, name);

        if (len > 0 && path && is_folder(path))
            return path;
        folders += len + (folders[len] == ':');
    }
    return NULL;
}

/* The folder that the setting names: itself, or its last part in one of the usual places. */
static tars_status find_model(const struct tars_settings *settings, enum tars_setting setting,
                              const char *what, const char *data, struct tars_arena *arena,
                              const char **dir, struct tars_err *err)
{
    const char *wanted = tars_settings_text(settings, setting);
    const char *slash = strrchr(wanted, '/');
    const char *name = slash ? slash + 1 : wanted;
    const char *cache = xdg(arena, "XDG_CACHE_HOME", ".cache");
    const char *folders = tars_arena_printf(arena, "%s:%s/models:/usr/share/tars/models:%s/models",
                                            tars_settings_text(settings, TARS_SET_TARS_MODELS),
                                            data, cache ? cache : "/nonexistent");
    const char *found =
        is_folder(wanted) ? tars_places_absolute(arena, wanted) : look_in(arena, folders, name);

    if (!found) {
        return tars_fail(TARS_ENOTFOUND, err, "no %s %s in %s; %s or TARS_MODELS", what, name,
                         folders ? folders + (folders[0] == ':') : "",
                         setting == TARS_SET_EMBED_MODEL
                             ? "run scripts/deps, or set EMBED_MODEL"
                             : "put its folder there, or set RERANK_MODEL");
    }
    *dir = found;
    return TARS_OK;
}

tars_status tars_places_model(const struct tars_settings *settings, const char *data,
                              struct tars_arena *arena, const char **dir, struct tars_err *err)
{
    return find_model(settings, TARS_SET_EMBED_MODEL, "embedding model", data, arena, dir, err);
}

tars_status tars_places_reranker(const struct tars_settings *settings, const char *data,
                                 struct tars_arena *arena, const char **dir, struct tars_err *err)
{
    return find_model(settings, TARS_SET_RERANK_MODEL, "reranker", data, arena, dir, err);
}

/* -------------------------------------------------------------- server.json */

tars_status tars_note_write(const char *data, const struct tars_server_note *note,
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
    tars_json_int(&json, "pid", note->pid);
    tars_json_text(&json, "url", note->url);
    tars_json_text(&json, "token", note->token);
    tars_json_end(&json);
    tars_buf_append_char(&text, '\n');
    status = text.status == TARS_OK ? tars_file_replace(path, text.ptr, text.len, 0600, err)
                                    : tars_fail(text.status, err, "%s does not fit", path);
    tars_buf_release(&text);
    return status;
}

static tars_status note_parse(const struct tars_buf *text, struct tars_arena *arena,
                              struct tars_server_note *note)
{
    json_t *root = json_loadb(text->ptr, text->len, 0, NULL);
    const char *url = json_string_value(json_object_get(root, "url"));
    const char *token = json_string_value(json_object_get(root, "token"));
    tars_status status = TARS_EFORMAT;

    if (url && token) {
        note->pid = json_integer_value(json_object_get(root, "pid"));
        note->url = tars_arena_strdup(arena, url);
        note->token = tars_arena_strdup(arena, token);
        status = note->url && note->token ? TARS_OK : TARS_ENOMEM;
    }
    json_decref(root);
    return status;
}

tars_status tars_note_read(const char *data, struct tars_arena *arena,
                           struct tars_server_note *note, struct tars_err *err)
{
    char path[PATH_MAX];
    struct tars_buf text;
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/" NOTE_NAME, data);
    tars_buf_init(&text, NOTE_MAX);
    status = tars_file_read(path, &text, err);
    if (status == TARS_OK)
        status = note_parse(&text, arena, note);
    tars_buf_release(&text);
    if (status == TARS_OK && note->pid > 0 && kill((pid_t)note->pid, 0) != 0 && errno == ESRCH)
        return tars_fail(TARS_ENOTFOUND, err, "the server of %s is gone", data);
    return status;
}

void tars_note_remove(const char *data)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/" NOTE_NAME, data);
    (void)unlink(path);
}
