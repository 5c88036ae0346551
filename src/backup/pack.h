/* pack - a file into chunks and lists in a repo, and out of them again.
 *
 *     file    |  64 KiB  |  64 KiB  | ... |  rest |
 *                 v          v                v
 *     list    |  name    |  name    | ... 2048 |   | name ... |
 *                 v                                    v
 *     manifest    name of a list                       name of a list
 *
 * Runs of zeros come back as holes.
 *
 * Bounds    One chunk and one list in memory, whatever the file's size.
 */
#ifndef TARS_BACKUP_PACK_H
#define TARS_BACKUP_PACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "backup/repo.h"

/* Told after each chunk, and asked whether to go on. */
struct tars_pack_watch {
    const atomic_bool *stop;                 /* set: ECANCELED; NULL: never */
    void (*step)(void *ctx, uint64_t bytes); /* so many bytes more; NULL: nobody is told */
    void *ctx;
};

/* Keep all that can be read from fd, from its beginning on. Of file, name and mode are read and the
 * rest is set, in the arena. EIO, ECANCELED, ENOMEM, ETOOBIG. */
TARS_MUST_USE tars_status tars_pack_put(struct tars_repo *repo, int fd,
                                        const struct tars_pack_watch *watch,
                                        struct tars_arena *arena, struct tars_manifest_file *file,
                                        struct tars_err *err);
/* Write the file to fd, which is empty, and check it against its digest. What tars_repo_get()
 * fails with; EFORMAT also when all objects are whole and the file is not; EIO. */
TARS_MUST_USE tars_status tars_pack_get(struct tars_repo *repo,
                                        const struct tars_manifest_file *file, int fd,
                                        const struct tars_pack_watch *watch, struct tars_err *err);

/* Calls each(ctx, name, bytes) for the lists and chunks of a file, in order; bytes are those that
 * the object must have. Reads the lists only. A failure of each ends it and is returned. */
typedef tars_status tars_pack_each_fn(void *ctx, const struct tars_object_name *name, size_t bytes,
                                      struct tars_err *err);
TARS_MUST_USE tars_status tars_pack_each(struct tars_repo *repo,
                                         const struct tars_manifest_file *file,
                                         tars_pack_each_fn *each, void *ctx, struct tars_err *err);

#endif
