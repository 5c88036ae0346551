/* key - see key.h for the contract. */
#include "backup/key.h"

#include <string.h>
#include <sys/stat.h>

#include <argon2.h>

#include "base/codec/hex.h"
#include "base/crypto/hmac.h"
#include "base/sys/file.h"

#define FILE_MAX       ((size_t)4096)
#define PASSPHRASE_MIN 8 /* bytes */
#define LANES          1

static tars_status check_rights(const char *path, struct tars_err *err)
{
    struct stat about;

    if (stat(path, &about) == 0 && (about.st_mode & S_IROTH)) {
        return tars_fail(TARS_EDENIED, err, "everybody may read %s: chmod 600 it", path);
    }
    return TARS_OK;
}

static bool from_hex(const char *hex, unsigned char *master)
{
    for (size_t i = 0; i < TARS_AEAD_KEY_BYTES; i++) {
        int high = tars_hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : tars_hex_value(hex[2 * i + 1]);

        if (low < 0)
            return false;
        master[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static tars_status master_of_key(const char *path, const struct tars_buf *text,
                                 unsigned char *master, struct tars_err *err)
{
    size_t len = text->len;

    if (len == TARS_AEAD_KEY_BYTES) {
        memcpy(master, text->ptr, TARS_AEAD_KEY_BYTES);
        return TARS_OK;
    }
    if (len == 2 * (size_t)TARS_AEAD_KEY_BYTES + 1 && text->ptr[len - 1] == '\n')
        len--;
    if (len == 2 * (size_t)TARS_AEAD_KEY_BYTES && from_hex(text->ptr, master))
        return TARS_OK;
    return tars_fail(TARS_EINVAL, err,
                     "%s is no key: 32 bytes or 64 hex digits are (openssl rand -hex 32)", path);
}

static tars_status master_of_passphrase(const char *path, const struct tars_buf *text,
                                        const struct tars_key_stretch *stretch,
                                        unsigned char *master, struct tars_err *err)
{
    size_t len = text->len > 0 ? strcspn(text->ptr, "\r\n") : 0;
    int code;

    if (len < PASSPHRASE_MIN) {
        return tars_fail(TARS_EINVAL, err,
                         "the first line of %s is no passphrase: %d characters "
                         "or more are",
                         path, PASSPHRASE_MIN);
    }
    code = argon2id_hash_raw(stretch->passes, stretch->memory_kib, LANES, text->ptr, len,
                             stretch->salt, sizeof(stretch->salt), master, TARS_AEAD_KEY_BYTES);
    return code == ARGON2_OK
               ? TARS_OK
               : tars_fail(code == ARGON2_MEMORY_ALLOCATION_ERROR ? TARS_ENOMEM : TARS_EINVAL, err,
                           "the passphrase cannot be stretched: %s", argon2_error_message(code));
}

static tars_status derive(const unsigned char *master, const char *purpose, unsigned char *out)
{
    return tars_hmac_sha256(tars_span((const char *)master, TARS_AEAD_KEY_BYTES),
                            tars_span_of(purpose), out);
}

static tars_status load_master(const struct tars_key_source *source,
                               const struct tars_key_stretch *stretch, unsigned char *master,
                               struct tars_err *err)
{
    const char *path = source->key_file ? source->key_file : source->passphrase_file;
    struct tars_buf text;
    tars_status status;

    if (source->key_file && source->passphrase_file)
        return tars_fail(TARS_EINVAL, err, "give a key file or a passphrase file, not both");
    tars_buf_init(&text, FILE_MAX);
    status = tars_file_read(path, &text, err);
    if (status == TARS_OK)
        status = check_rights(path, err);
    if (status == TARS_OK) {
        status = source->key_file ? master_of_key(path, &text, master, err)
                                  : master_of_passphrase(path, &text, stretch, master, err);
    }
    if (text.ptr)
        explicit_bzero(text.ptr, text.len);
    tars_buf_release(&text);
    return status;
}

tars_status tars_key_load(const struct tars_key_source *source,
                          const struct tars_key_stretch *stretch, struct tars_object_keys *keys,
                          unsigned char check[TARS_KEY_CHECK_BYTES], struct tars_err *err)
{
    unsigned char master[TARS_AEAD_KEY_BYTES];
    struct tars_object_keys made = {.is_set = true};
    tars_status status;

    if (!source->key_file && !source->passphrase_file) {
        *keys = (struct tars_object_keys){.is_set = false};
        memset(check, 0, TARS_KEY_CHECK_BYTES);
        return TARS_OK;
    }
    status = load_master(source, stretch, master, err);
    if (status == TARS_OK) {
        status = derive(master, "tars-backup seal 1", made.seal);
        if (status == TARS_OK)
            status = derive(master, "tars-backup name 1", made.name);
        if (status == TARS_OK)
            status = derive(master, "tars-backup check 1", check);
        if (status != TARS_OK)
            (void)tars_fail(status, err, "no memory for a key");
    }
    if (status == TARS_OK)
        *keys = made;
    explicit_bzero(master, sizeof(master));
    explicit_bzero(&made, sizeof(made));
    return status;
}
