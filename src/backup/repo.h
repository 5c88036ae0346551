/* repo - the folder that backups are kept in.
 *
 *     DEST/tars-backup.json        what it is, and how its key is recognised; never changed
 *     DEST/lock                    flock(2): shared by who reads, of one who writes
 *     DEST/objects/ab/ab12...      objects (object.h), by name; the same bytes are there once
 *     DEST/objects/ab/ab12....bad  one that was found damaged; no backup has it
 *     DEST/backups/ID.manifest     an object too: one for each backup (manifest.h)
 *     DEST/backups/tars-backup.json    a copy, for when the other is lost
 *     DEST/tmp/                    what is being written; emptied by the next writer
 *
 * Crash     Objects are written to tmp, in batches; a batch is synced (fsync of few,
 *           syncfs for many), then renamed; what is
 *           renamed is synced before the manifest is, which comes last. So an object under its name
 *           is whole, and a manifest names only objects that are there, whenever the power goes.
 *           What is left in tmp, or in objects without a manifest, costs room until the next prune.
 * Secrets   Folders are 0700, files 0600. With a key, objects and manifests are sealed and named by
 * a keyed digest; times and sizes of files in the folder are not hidden. Bounds    One batch:
 * TARS_REPO_BATCH objects or 32 MiB; one object in memory. Threads   Of one thread at a time.
 */
#ifndef TARS_BACKUP_REPO_H
#define TARS_BACKUP_REPO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backup/key.h"
#include "backup/manifest.h"
#include "backup/object.h"
#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/status.h"

#define TARS_REPO_BATCH 512

struct tars_repo;

struct tars_repo_config {
    const char *dir;
    struct tars_key_source key;
    bool makes;  /* make the folder where there is none */
    bool writes; /* nobody else may use it meanwhile */
    /* A damaged object that is met gets another name, so that the next backup writes it anew, which
     * mends every backup that has it; not one that merely cannot be read. */
    bool sets_aside;
};

/* What it has done since it was opened. */
struct tars_repo_counts {
    uint64_t new_objects;
    uint64_t new_bytes; /* of their files */
};

/* ENOTFOUND: no folder of backups, and none is to be made; EINVAL: the folder holds other things,
 * or the key is none; EDENIED: another key than the folder's, or none though it has one; EBUSY:
 * another process is at it; EUNSUPPORTED: a newer program's; EFORMAT, EIO, ENOMEM. */
TARS_MUST_USE tars_status tars_repo_open(const struct tars_repo_config *config,
                                         struct tars_repo **repo, struct tars_err *err);
/* NULL is allowed. What was put and not flushed is thrown away. */
void tars_repo_close(struct tars_repo *repo);
struct tars_repo_counts tars_repo_counts(const struct tars_repo *repo);
bool tars_repo_is_sealed(const struct tars_repo *repo);

/* Keep a chunk, unless it is there; its name into name. */
TARS_MUST_USE tars_status tars_repo_put(struct tars_repo *repo, struct tars_span plain,
                                        struct tars_object_name *name, struct tars_err *err);
/* Give all that was put its name, durably. */
TARS_MUST_USE tars_status tars_repo_flush(struct tars_repo *repo, struct tars_err *err);
/* Append the chunk to out. EFORMAT, EDENIED: damaged; ENOTFOUND: it is not there. err names its
 * file. */
TARS_MUST_USE tars_status tars_repo_get(struct tars_repo *repo, const struct tars_object_name *name,
                                        struct tars_buf *out, struct tars_err *err);

/* Keep the manifest of a backup, after all that it names: with it the backup exists. EFORMAT: it
 * would not be understood again. */
TARS_MUST_USE tars_status tars_repo_add(struct tars_repo *repo,
                                        const struct tars_manifest *manifest, struct tars_err *err);
/* Ids, oldest first, in the arena: all, or ETOOBIG, EIO. */
TARS_MUST_USE tars_status tars_repo_ids(struct tars_repo *repo, struct tars_arena *arena,
                                        const char ***ids, size_t *count, struct tars_err *err);
TARS_MUST_USE tars_status tars_repo_manifest(struct tars_repo *repo, const char *id,
                                             struct tars_arena *arena,
                                             struct tars_manifest *manifest, struct tars_err *err);
/* Remove a backup; its objects stay until they are swept. */
TARS_MUST_USE tars_status tars_repo_remove(struct tars_repo *repo, const char *id,
                                           struct tars_err *err);

struct tars_repo_object {
    struct tars_object_name name;
    uint64_t bytes;
    bool is_bad; /* set aside */
};

/* Calls each for every object that is there, in no order; false stops. EIO: not all were seen. */
typedef bool tars_repo_each_fn(void *ctx, const struct tars_repo_object *object);
TARS_MUST_USE tars_status tars_repo_each(struct tars_repo *repo, tars_repo_each_fn *each, void *ctx,
                                         struct tars_err *err);
bool tars_repo_has(const struct tars_repo *repo, const struct tars_object_name *name);
/* Remove an object. The caller knows that no manifest names it, or that it is a bad one. */
TARS_MUST_USE tars_status tars_repo_drop(struct tars_repo *repo,
                                         const struct tars_repo_object *object,
                                         struct tars_err *err);
/* Remove what is left of manifests that were not written to their end. */
TARS_MUST_USE tars_status tars_repo_tidy(struct tars_repo *repo, struct tars_err *err);

#endif
