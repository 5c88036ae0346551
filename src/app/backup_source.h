/* backup_source - what a data folder consists of at one moment, while a server may be writing it.
 *
 *     index/index.tars   opened first: it knows no change that the store does not have (optional)
 *     tars.db            the moment; copied page by page
 *     spool/...          opened within the store's moment: what its jobs will still read
 *     analytics.queue    rows that wait, taken after the moment, so that those are in that were
 *                        acknowledged before it; and before analytics.db, which settles them
 *     analytics.db       the same moment but for microseconds
 *     jwt.key            so that tokens stay good
 *     settings.env       the file of settings in use, if there is one
 *
 *     not: lock, server.json, exports/, models/, reranker/, weights.digest (made again, or the
 * operator's)
 *
 * An upload that was accepted is either in the store or in the spool: an upload whose file is gone
 * before it can be opened has ended meanwhile, so the moment is taken again.
 *
 * Bounds    A descriptor for each part; the limit of the process is raised as far as it may be.
 *           Room in the data folder for a copy of the databases, in files without a name.
 */
#ifndef TARS_APP_BACKUP_SOURCE_H
#define TARS_APP_BACKUP_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "backup/manifest.h"
#include "base/mem/arena.h"
#include "base/status.h"

struct tars_source_config {
    const char *data;        /* the data folder */
    const char *env_file;    /* NULL: none */
    bool has_index;          /* take the index too, if it is there */
    const atomic_bool *stop; /* set: ECANCELED */
};

struct tars_source_part {
    const char *name; /* as in the manifest */
    int fd;
    uint64_t bytes;
};

struct tars_source {
    struct tars_arena *arena;
    struct tars_source_part *parts; /* (count,) */
    size_t count, cap;
    struct tars_manifest_table *tables; /* (table_count,) */
    size_t table_count, table_cap;
    int64_t time_us;                 /* what was acknowledged before it is in */
    uint64_t sequence;               /* of the store */
    uint64_t bytes;                  /* of all parts */
    char warning[TARS_ERR_TEXT_MAX]; /* a part that is left out because it is damaged; "" else */
};

/* ENOTFOUND: there is no store in the folder; EIO, EFORMAT, ECANCELED, ENOMEM. Everything lives in
 * the arena, but for the descriptors. */
TARS_MUST_USE tars_status tars_source_take(const struct tars_source_config *config,
                                           struct tars_arena *arena, struct tars_source *source,
                                           struct tars_err *err);
/* Close what is open; also after a failure. */
void tars_source_release(struct tars_source *source);

#endif
