/* object - bytes as a backup keeps them: named by what they are, compressed, sealed where there is
 * a key. Pure: no file is touched here.
 *
 *     0    magic "TARSBKP1"
 *     8    kind u8         enum tars_object_kind
 *     9    cipher u8       0 none, 1 AES-256-GCM
 *     10   compression u8  0 none, 1 zstd
 *     11   zero u8
 *     12   plain u32       bytes of what was given
 *     16   stored u32      bytes of it here
 *     20   nonce[12]       random; zeros without a cipher
 *     32   name[32]        SHA-256 of the kind and the SHA-256 of the plain bytes;
 *                          under a key HMAC-SHA-256 of the same
 *     64   stored bytes
 *     ..   tag[16]         with a cipher only; covers the 64 bytes before as well
 *
 * Numbers are little-endian. An object is whole when its length is what the header says, its tag is
 * right, what comes out has the length said and the name is that of what comes out: no bit of it
 * can change unseen. Under a key the name is keyed too, so that a name does not tell whether some
 * known text is in the backup.
 *
 * Bounds    TARS_OBJECT_PLAIN_MAX bytes in one; nothing larger is allocated, whatever the header
 *           says.
 * Threads   A coder is of one thread at a time.
 */
#ifndef TARS_BACKUP_OBJECT_H
#define TARS_BACKUP_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/crypto/aead.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_OBJECT_NAME_BYTES   32
#define TARS_OBJECT_HEX_BYTES    65 /* a name in hex, with its NUL */
#define TARS_OBJECT_HEADER_BYTES 64
#define TARS_OBJECT_PLAIN_MAX    ((size_t)16 << 20)
/* The longest object. */
#define TARS_OBJECT_MAX (TARS_OBJECT_HEADER_BYTES + TARS_OBJECT_PLAIN_MAX + TARS_AEAD_TAG_BYTES)

enum tars_object_kind {
    TARS_OBJECT_CHUNK = 1,    /* a piece of a file, or a list of names of pieces */
    TARS_OBJECT_MANIFEST = 2, /* what a backup consists of */
};

/* What seals; is_set false: nothing is sealed. */
struct tars_object_keys {
    bool is_set;
    unsigned char seal[TARS_AEAD_KEY_BYTES];
    unsigned char name[TARS_AEAD_KEY_BYTES];
};

struct tars_object_name {
    unsigned char bytes[TARS_OBJECT_NAME_BYTES];
};

struct tars_coder;

/* keys is copied. ENOMEM. */
TARS_MUST_USE tars_status tars_coder_new(const struct tars_object_keys *keys,
                                         struct tars_coder **coder);
/* The keys are overwritten. NULL is allowed. */
void tars_coder_free(struct tars_coder *coder);

TARS_MUST_USE tars_status tars_object_name(const struct tars_coder *coder,
                                           enum tars_object_kind kind, struct tars_span plain,
                                           struct tars_object_name *name);
/* out: TARS_OBJECT_HEX_BYTES. */
void tars_object_hex(const struct tars_object_name *name, char *out);
/* False when it is not 64 lower-case hex digits and nothing else. */
bool tars_object_from_hex(const char *hex, struct tars_object_name *name);

/* Append the object of plain, whose name it is, to out. ETOOBIG, ENOMEM. */
TARS_MUST_USE tars_status tars_object_encode(struct tars_coder *coder, enum tars_object_kind kind,
                                             const struct tars_object_name *name,
                                             struct tars_span plain, struct tars_buf *out);
/* Append what is in the object to out; name: what it must be called, NULL: whatever it says.
 *
 *   TARS_EFORMAT       none of ours, or damaged; err says in which way
 *   TARS_EDENIED       sealed under another key, or damaged, or no key is given
 *   TARS_EUNSUPPORTED  a newer program's
 */
TARS_MUST_USE tars_status tars_object_decode(struct tars_coder *coder, enum tars_object_kind kind,
                                             const struct tars_object_name *name,
                                             struct tars_span object, struct tars_buf *out,
                                             struct tars_err *err);

#endif
