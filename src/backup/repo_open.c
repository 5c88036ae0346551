/* repo_open - the folder of backups: made, recognised.
 *
 * What tars-backup.json says is nowhere else: without its salt a passphrase opens nothing. So there
 * is a copy, and where both are gone nothing new is begun over backups that are there.
 *
 *     {"format": "tars-backup-folder", "version": 1, "key": null}
 *     {"format": "tars-backup-folder", "version": 1,
 *      "key": {"kind": "file", "check": "<64 hex>"}}
 *     {"format": "tars-backup-folder", "version": 1,
 *      "key": {"kind": "passphrase", "check": "<64 hex>", "salt": "<32 hex>",
 *              "memory_kib": 65536, "passes": 3}}
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "backup/repo_internal.h"
#include "base/codec/hex.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/crypto/hmac.h"
#include "base/sys/file.h"

#define FORMAT         "tars-backup-folder"
#define VERSION        1
#define ABOUT_NAME     "tars-backup.json"
#define ABOUT_COPY     "backups/" ABOUT_NAME
#define ABOUT_MAX      ((size_t)65536)
#define MEMORY_KIB_MIN 8
#define MEMORY_KIB_MAX (1U << 20)
#define PASSES_MAX     32
#define IDS_ARENA      ((size_t)64 << 20)

/* What the folder says of its key. */
struct about {
    bool has_key, is_passphrase;
    unsigned char check[TARS_KEY_CHECK_BYTES];
    struct tars_key_stretch stretch;
};

tars_status tars_repo_fail(const struct tars_repo *repo, const char *what, const char *name,
                           int code, struct tars_err *err)
{
    tars_status status = code == ENOENT                    ? TARS_ENOTFOUND
                         : code == EACCES || code == EROFS ? TARS_EDENIED
                         : code == ENOMEM                  ? TARS_ENOMEM
                                                           : TARS_EIO;

    return tars_fail(status, err, "cannot %s %s%s%s: %s%s", what, repo->dir, name[0] ? "/" : "",
                     name, strerror(code),
                     code == ENOSPC || code == EDQUOT || code == EFBIG
                         ? "; earlier backups are untouched, free some space and run it again"
                         : "");
}

/* ------------------------------------------------------------ tars-backup.json */

static bool read_hex(const json_t *object, const char *key, unsigned char *out, size_t len)
{
    const char *hex = json_string_value(json_object_get(object, key));

    if (!hex || strlen(hex) != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = tars_hex_value(hex[2 * i]);
        int low = tars_hex_value(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool read_key(const json_t *key, struct about *about)
{
    const char *kind = json_string_value(json_object_get(key, "kind"));
    json_int_t memory = json_integer_value(json_object_get(key, "memory_kib"));
    json_int_t passes = json_integer_value(json_object_get(key, "passes"));

    about->has_key = !json_is_null(key);
    if (!about->has_key)
        return true;
    if (!kind || !read_hex(key, "check", about->check, sizeof(about->check)))
        return false;
    about->is_passphrase = strcmp(kind, "passphrase") == 0;
    if (!about->is_passphrase)
        return strcmp(kind, "file") == 0;
    about->stretch.memory_kib = (uint32_t)memory;
    about->stretch.passes = (uint32_t)passes;
    return memory >= MEMORY_KIB_MIN && memory <= MEMORY_KIB_MAX && passes >= 1 &&
           passes <= PASSES_MAX &&
           read_hex(key, "salt", about->stretch.salt, sizeof(about->stretch.salt));
}

static tars_status read_about(const struct tars_repo *repo, const char *name, struct about *about,
                              struct tars_err *err)
{
    char path[PATH_MAX];
    struct tars_buf text;
    json_t *root = NULL;
    const char *format = NULL;
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/%s", repo->dir, name);
    tars_buf_init(&text, ABOUT_MAX);
    status = tars_file_read(path, &text, err);
    if (status == TARS_OK) {
        root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
        format = json_string_value(json_object_get(root, "format"));
        if (!format || strcmp(format, FORMAT) != 0) {
            status =
                tars_fail(TARS_EFORMAT, err, "%s is damaged; " ABOUT_COPY " is a copy of it", path);
        } else if (json_integer_value(json_object_get(root, "version")) != VERSION) {
            status = tars_fail(TARS_EUNSUPPORTED, err, "a newer program made %s", repo->dir);
        } else if (!json_object_get(root, "key") ||
                   !read_key(json_object_get(root, "key"), about)) {
            status = tars_fail(TARS_EFORMAT, err, "%s is damaged: what it says of the key", path);
        }
    }
    json_decref(root);
    tars_buf_release(&text);
    return status;
}

static void write_hex(struct tars_json *json, const char *key, const unsigned char *bytes,
                      size_t len)
{
    char hex[2 * TARS_KEY_CHECK_BYTES + 1] = "";

    for (size_t i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    tars_json_text(json, key, hex);
}

static tars_status write_about(const struct tars_repo *repo, const char *name,
                               const struct about *about, struct tars_err *err)
{
    char path[PATH_MAX];
    struct tars_buf text;
    struct tars_json json;
    tars_status status;

    (void)snprintf(path, sizeof(path), "%s/%s", repo->dir, name);
    tars_buf_init(&text, ABOUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "format", FORMAT);
    tars_json_int(&json, "version", VERSION);
    if (about->has_key) {
        tars_json_object(&json, "key");
        tars_json_text(&json, "kind", about->is_passphrase ? "passphrase" : "file");
        write_hex(&json, "check", about->check, sizeof(about->check));
        if (about->is_passphrase) {
            write_hex(&json, "salt", about->stretch.salt, sizeof(about->stretch.salt));
            tars_json_int(&json, "memory_kib", about->stretch.memory_kib);
            tars_json_int(&json, "passes", about->stretch.passes);
        }
        tars_json_end(&json);
    } else {
        tars_json_null(&json, "key");
    }
    tars_json_end(&json);
    tars_buf_append_char(&text, '\n');
    status = text.status == TARS_OK ? tars_file_replace(path, text.ptr, text.len, 0600, err)
                                    : tars_fail(text.status, err, "no memory for %s", path);
    tars_buf_release(&text);
    return status;
}

/* ------------------------------------------------------------------- making */

/* Ours, made before the file that says so. */
static bool is_beginning(const char *name)
{
    static const char *const names[] = {".",       "..",      "lost+found", "lock",
                                        "objects", "backups", "tmp"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return strncmp(name, ABOUT_NAME ".tmp.", sizeof(ABOUT_NAME ".tmp.") - 1) == 0;
}

static bool is_empty(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    bool empty = folder != NULL;

    if (!folder) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while (empty && (entry = readdir(folder)) != NULL)
        empty = is_beginning(entry->d_name);
    (void)closedir(folder);
    return empty;
}

static tars_status make_folders(const struct tars_repo *repo, struct tars_err *err)
{
    static const char *const names[] = {"objects", "backups", "tmp"};
    char name[sizeof("objects/00")];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (mkdirat(repo->dir_fd, names[i], 0700) != 0 && errno != EEXIST)
            return tars_repo_fail(repo, "make", names[i], errno, err);
    }
    for (unsigned i = 0; i < 256; i++) {
        (void)snprintf(name, sizeof(name), "objects/%02x", i);
        if (mkdirat(repo->dir_fd, name, 0700) != 0 && errno != EEXIST)
            return tars_repo_fail(repo, "make", name, errno, err);
    }
    return tars_repo_sync(repo, "objects", err);
}

/* Nothing new over what is there. */
static tars_status check_no_backups(struct tars_repo *repo, struct tars_err *err)
{
    struct tars_arena arena;
    const char **ids = NULL;
    size_t count = 0;
    tars_status status;

    if (faccessat(repo->dir_fd, "backups", F_OK, 0) != 0)
        return TARS_OK;
    tars_arena_init(&arena, IDS_ARENA);
    status = tars_repo_ids(repo, &arena, &ids, &count, err);
    tars_arena_release(&arena);
    if (status == TARS_OK && count > 0) {
        status = tars_fail(TARS_EFORMAT, err,
                           "%s has backups, but " ABOUT_NAME " and " ABOUT_COPY
                           " are lost: put one of them back from a copy of the folder, or choose "
                           "another folder; if they are not sealed, it is {\"format\":\"" FORMAT
                           "\",\"version\":1,\"key\":null}",
                           repo->dir);
    }
    return status;
}

static tars_status make(struct tars_repo *repo, const struct tars_repo_config *config,
                        struct tars_err *err)
{
    struct about about = {
        .has_key = config->key.key_file || config->key.passphrase_file,
        .is_passphrase = config->key.passphrase_file != NULL,
        .stretch = {.memory_kib = TARS_KEY_MEMORY_KIB, .passes = TARS_KEY_PASSES}};
    tars_status status;

    if (!is_empty(repo->dir_fd)) {
        return tars_fail(TARS_EINVAL, err,
                         "%s holds other things than backups: choose an empty folder", repo->dir);
    }
    status = check_no_backups(repo, err);
    if (status == TARS_OK && tars_random_bytes(about.stretch.salt, sizeof(about.stretch.salt)))
        status = tars_fail(TARS_EIO, err, "no random bytes for a folder of backups");
    if (status == TARS_OK)
        status = tars_key_load(&config->key, &about.stretch, &repo->keys, about.check, err);
    if (status == TARS_OK)
        status = make_folders(repo, err);
    if (status == TARS_OK)
        status = write_about(repo, ABOUT_COPY, &about, err);
    return status == TARS_OK ? write_about(repo, ABOUT_NAME, &about, err) : status;
}

static tars_status recognise(struct tars_repo *repo, const struct tars_repo_config *config,
                             const struct about *about, struct tars_err *err)
{
    bool gives_passphrase = config->key.passphrase_file != NULL;
    bool gives_key = gives_passphrase || config->key.key_file != NULL;
    unsigned char check[TARS_KEY_CHECK_BYTES];
    tars_status status;

    if (about->has_key != gives_key ||
        (about->has_key && about->is_passphrase != gives_passphrase)) {
        return tars_fail(TARS_EDENIED, err, "the backups of %s are %s", repo->dir,
                         !about->has_key        ? "not sealed: give no key"
                         : about->is_passphrase ? "sealed by a passphrase: give --passphrase-file"
                                                : "sealed by a key: give --key-file");
    }
    status = tars_key_load(&config->key, &about->stretch, &repo->keys, check, err);
    if (status == TARS_OK && !tars_equal_constant_time(check, about->check, sizeof(check))) {
        status = tars_fail(TARS_EDENIED, err,
                           "this is not the %s that the backups of %s are "
                           "sealed with",
                           about->is_passphrase ? "passphrase" : "key", repo->dir);
    }
    return status;
}

/* One of the two is lost: a folder of an earlier program has no copy. */
static tars_status keep_both(const struct tars_repo *repo, const struct about *about,
                             struct tars_err *err)
{
    static const char *const names[] = {ABOUT_NAME, ABOUT_COPY};
    tars_status status = TARS_OK;

    for (size_t i = 0; status == TARS_OK && i < sizeof(names) / sizeof(names[0]); i++) {
        if (faccessat(repo->dir_fd, names[i], F_OK, 0) != 0)
            status = write_about(repo, names[i], about, err);
    }
    return status;
}

tars_status tars_repo_identify(struct tars_repo *repo, const struct tars_repo_config *config,
                               struct tars_err *err)
{
    struct about about = {0};
    struct tars_err why = {{0}};
    tars_status status = read_about(repo, ABOUT_NAME, &about, &why);

    if (status == TARS_ENOTFOUND)
        status = read_about(repo, ABOUT_COPY, &about, &why);
    if (status == TARS_ENOTFOUND && config->makes)
        return make(repo, config, err);
    if (status == TARS_ENOTFOUND) {
        status = check_no_backups(repo, err);
        return status == TARS_OK
                   ? tars_fail(TARS_ENOTFOUND, err, "there are no backups in %s", repo->dir)
                   : status;
    }
    if (status != TARS_OK)
        return tars_fail(status, err, "%s", why.text);
    status = recognise(repo, config, &about, err);
    return status == TARS_OK && config->writes ? keep_both(repo, &about, err) : status;
}
