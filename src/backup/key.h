/* key - from what an operator keeps to what seals: a file of 32 random bytes, or of a passphrase.
 *
 *     key file         32 bytes, or 64 hex digits and at most a line feed
 *     passphrase file  the first line; stretched by Argon2id with the salt of the backup folder
 *
 *     master key -> HMAC(master, "tars-backup seal 1")   seals objects
 *                -> HMAC(master, "tars-backup name 1")   names them
 *                -> HMAC(master, "tars-backup check 1")  kept in the folder: tells a wrong key
 *
 * Neither is ever an argument of a command, where other users of the machine would see it. A file
 * that everybody may read is refused.
 */
#ifndef TARS_BACKUP_KEY_H
#define TARS_BACKUP_KEY_H

#include <stdint.h>

#include "backup/object.h"
#include "base/status.h"

#define TARS_KEY_SALT_BYTES  16
#define TARS_KEY_CHECK_BYTES 32
#define TARS_KEY_MEMORY_KIB  65536 /* of Argon2id; one lane */
#define TARS_KEY_PASSES      3

/* How a passphrase is stretched. */
struct tars_key_stretch {
    unsigned char salt[TARS_KEY_SALT_BYTES];
    uint32_t memory_kib; /* 8 .. 1 GiB */
    uint32_t passes;     /* 1 .. 32 */
};

/* Which file; both NULL: none. */
struct tars_key_source {
    const char *key_file;
    const char *passphrase_file;
};

/* keys.is_set is false without a source. stretch is used with a passphrase only.
 *
 *   TARS_EINVAL    both files are given, or what is in one is no key
 *   TARS_EDENIED   everybody may read it
 *   TARS_ENOTFOUND, TARS_EIO, TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_key_load(const struct tars_key_source *source,
                                        const struct tars_key_stretch *stretch,
                                        struct tars_object_keys *keys,
                                        unsigned char check[TARS_KEY_CHECK_BYTES],
                                        struct tars_err *err);

#endif
