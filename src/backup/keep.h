/* keep - looking after a folder of backups: is all of it whole, and what is to go. */
#ifndef TARS_BACKUP_KEEP_H
#define TARS_BACKUP_KEEP_H

#include <stdint.h>

#include "backup/pack.h"
#include "backup/repo.h"

struct tars_keep_verified {
    size_t backups;       /* looked at */
    size_t bad_backups;   /* of them, those that cannot be restored as a whole */
    uint64_t objects;     /* read, each once */
    uint64_t bytes;       /* that they hold */
    uint64_t bad_objects; /* damaged or missing */
};

/* words: a finding for people; backup: the id it was found in. */
typedef void tars_keep_finding_fn(void *ctx, const char *backup, const char *words);

/* Read each object that some backup needs, once, and check it. TARS_OK also with findings. The
 * watch is told of plain bytes. ECANCELED, ENOMEM, EIO. */
TARS_MUST_USE tars_status tars_keep_verify(struct tars_repo *repo, tars_keep_finding_fn *finding,
                                           void *ctx, const struct tars_pack_watch *watch,
                                           struct tars_keep_verified *out, struct tars_err *err);

struct tars_keep_pruned {
    size_t kept;
    size_t removed;
    uint64_t removed_objects;
    uint64_t freed_bytes;
};

/* Remove all backups but the newest keep (at least 1), then every object that none of those needs.
 * Fails before it removes anything where a manifest or a list of one that stays cannot be read:
 * what it needs is not known then. A kill in between leaves objects that the next one removes. */
TARS_MUST_USE tars_status tars_keep_prune(struct tars_repo *repo, size_t keep,
                                          const struct tars_pack_watch *watch,
                                          struct tars_keep_pruned *out, struct tars_err *err);

#endif
