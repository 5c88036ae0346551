/* secrets - see secrets.h. */
#include "app/secrets.h"

#include <string.h>
#include <sys/stat.h>

#include "base/codec/hex.h"
#include "base/crypto/digest.h"
#include "base/sys/file.h"

#define DOCUMENTED "your-secret-key-change-this-in-production"
#define BYTES_MIN  32
#define KEY_BYTES  32
#define FILE_CHARS ((size_t)2 * KEY_BYTES)
#define FILE_MAX   ((size_t)4096)
#define OTHERS_MAY (S_IRWXG | S_IRWXO)

static tars_status check_file(const char *path, const struct tars_buf *text, struct tars_err *err)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return tars_fail(TARS_EIO, err, "%s cannot be looked at", path);
    if (info.st_mode & OTHERS_MAY) {
        return tars_fail(TARS_EDENIED, err,
                         "%s signs tokens and may be read by others: run chmod 600, or remove it "
                         "to have another one made",
                         path);
    }
    for (size_t i = 0; i < FILE_CHARS; i++) {
        if (text->len != FILE_CHARS + 1 || tars_hex_value(text->ptr[i]) < 0) {
            return tars_fail(TARS_EFORMAT, err,
                             "%s is damaged: remove it to have another one made; who has signed in "
                             "must sign in again",
                             path);
        }
    }
    return TARS_OK;
}

/* Two that start at the same moment cannot both be here: the data folder is locked. */
static tars_status make_file(const char *path, struct tars_buf *text, struct tars_err *err)
{
    char key[FILE_CHARS + 1];

    if (tars_random_hex(key, KEY_BYTES) != TARS_OK)
        return tars_fail(TARS_EIO, err, "no random bytes for a key");
    tars_buf_append(text, key, FILE_CHARS);
    tars_buf_append_char(text, '\n');
    if (text->status != TARS_OK)
        return tars_fail(text->status, err, "no memory for a key");
    return tars_file_replace(path, text->ptr, text->len, S_IRUSR | S_IWUSR, err);
}

static tars_status kept(const char *data, struct tars_arena *arena, const char **secret,
                        struct tars_err *err)
{
    const char *path = tars_arena_printf(arena, "%s/jwt.key", data);
    struct tars_err why = {{0}};
    struct tars_buf text;
    tars_status status;
    char *copy;

    if (!path)
        return tars_fail(TARS_ENOMEM, err, "no memory for a key");
    tars_buf_init(&text, FILE_MAX);
    status = tars_file_read(path, &text, &why);
    if (status == TARS_OK) {
        status = check_file(path, &text, err);
    } else if (status == TARS_ENOTFOUND) {
        status = make_file(path, &text, err);
    } else {
        status = tars_fail(status, err, "%s", why.text);
    }
    if (status == TARS_OK) {
        copy = tars_arena_strndup(arena, text.ptr, FILE_CHARS);
        status = copy ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for a key");
        if (copy)
            *secret = copy;
    }
    tars_buf_release(&text);
    return status;
}

bool tars_secrets_is_given(const struct tars_settings *settings)
{
    const char *given = tars_settings_text(settings, TARS_SET_JWT_SECRET_KEY);

    return *given && strcmp(given, DOCUMENTED) != 0;
}

tars_status tars_secrets_signing(const struct tars_settings *settings, const char *data,
                                 bool is_loopback, struct tars_arena *arena, const char **secret,
                                 struct tars_err *err)
{
    const char *given = tars_settings_text(settings, TARS_SET_JWT_SECRET_KEY);
    bool is_documented = strcmp(given, DOCUMENTED) == 0;
    char *copy;

    if (is_documented && !is_loopback &&
        tars_settings_origin(settings, TARS_SET_JWT_SECRET_KEY) != TARS_ORIGIN_DEFAULT) {
        return tars_fail(TARS_EINVAL, err,
                         "JWT_SECRET_KEY is the documented example, which everybody knows: set one "
                         "of your own, or none to have one made");
    }
    if (is_documented || !*given)
        return kept(data, arena, secret, err);
    if (strlen(given) < BYTES_MIN) {
        return tars_fail(TARS_EINVAL, err,
                         "JWT_SECRET_KEY has %zu bytes: expected at least %d, or none to have one "
                         "made",
                         strlen(given), BYTES_MIN);
    }
    copy = tars_arena_strdup(arena, given);
    if (!copy)
        return tars_fail(TARS_ENOMEM, err, "no memory for a key");
    *secret = copy;
    return TARS_OK;
}
