/* snapshots - one index for all who share a store: the leader puts a copy of its snapshot into a
 * folder that all see, and who comes new begins with that and replays the rest.
 *
 *     SNAPSHOT_DIR/ID/index.tars   a copy of a leader's DATA/index-ID/index.tars
 *     SNAPSHOT_DIR/ID/history      its marks (ingest/history.h): is its past the store's?
 *
 * A copy is written beside and renamed, so nobody sees half of one. Whoever takes it reads all of
 * it and compares its digest before it is used; one that is damaged, of another model, or of a past
 * that the store has given up, is refused with a warning, and the index is made from the store. It
 * is brought to the disk (fsync) when the server is up; DATA/index-ID/unsynced is there until then,
 * and a start that meets it compares the digest again.
 *
 * What changed behind the snapshot is replayed by whoever joins. So while we lead it is saved anew
 * half a minute after the last change, if 256 passages and a part of 500 of all changed, and every
 * five minutes while changes go on, if it is a part of 50.
 *
 * Threads   Adopting: before the index is opened. Publishing has a thread of its own.
 */
#ifndef TARS_APP_SNAPSHOTS_H
#define TARS_APP_SNAPSHOTS_H

#include <stdbool.h>

#include "base/status.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "obs/log.h"
#include "store/store.h"

struct tars_snapshots;

struct tars_snapshots_config {
    const char *local;  /* folder of our index; borrowed, like all */
    const char *shared; /* folder of the copy */
    struct tars_store *store;
    struct tars_log *log;
    /* The rest only for publishing. */
    struct tars_index *index;
    struct tars_ingest *ingest; /* NULL: it is not saved anew */
    bool (*leads)(void *ctx);
    void *ctx;
    int64_t look_ms;  /* between two looks whether there is a new one; 0: 5,000 */
    int64_t quiet_ms; /* without a change, before what changed is saved; 0: 30,000 */
};

/* Before the index in local is opened: remove a copy that was lost on its way to the disk. */
void tars_snapshots_check(const char *local, const struct tars_index_config *index,
                          struct tars_log *log);

/* Put the shared copy in the place of our snapshot, if it is much newer than ours. index: how it
 * will be opened. True: it was. */
bool tars_snapshots_adopt(const struct tars_snapshots_config *config,
                          const struct tars_index_config *index);

/* Publish ours from now on while we lead. */
TARS_MUST_USE tars_status tars_snapshots_open(const struct tars_snapshots_config *config,
                                              struct tars_snapshots **snapshots,
                                              struct tars_err *err);
/* NULL is allowed. */
void tars_snapshots_close(struct tars_snapshots *snapshots);

#endif
