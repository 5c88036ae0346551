/* names - a set of names of objects, each with the length of what it names.
 *
 * Open addressing; a name is a digest, so its first bytes are the hash. 48 bytes an object and half
 * of the table empty: 100 MB for a million objects, which are 64 GB of chunks.
 *
 * Threads   Not safe to share.
 */
#ifndef TARS_BACKUP_NAMES_H
#define TARS_BACKUP_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/object.h"
#include "base/status.h"

#define TARS_NAMES_MAX ((size_t)1 << 28)

struct tars_names_entry {
    struct tars_object_name name;
    bool is_used;
    bool is_bad;    /* the caller's: it is damaged */
    uint32_t bytes; /* the caller's: of what it names */
};

struct tars_names {
    struct tars_names_entry *slots; /* (cap,) owned; cap is 0 or a power of two */
    size_t cap;
    size_t count;
};

void tars_names_init(struct tars_names *names);
void tars_names_release(struct tars_names *names);
/* The entry of name, new where there was none (*is_new); lent until the next addition. ENOMEM;
 * ETOOBIG past TARS_NAMES_MAX. */
TARS_MUST_USE tars_status tars_names_add(struct tars_names *names,
                                         const struct tars_object_name *name,
                                         struct tars_names_entry **entry, bool *is_new);
/* NULL when it is not there. */
const struct tars_names_entry *tars_names_find(const struct tars_names *names,
                                               const struct tars_object_name *name);

#endif
