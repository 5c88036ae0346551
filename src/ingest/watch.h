/* watch - keeps the store in step with a folder: new, changed, moved and deleted files.
 *
 * inotify on every folder below path tells at once; a full scan at the start, every
 * scan_interval_ms and after an overflow of inotify's queue finds what it missed (network folders
 * tell nothing). A file is submitted when it has been quiet for quiet_ms. A folder that is away
 * (not mounted) is waited for, and nothing is forgotten meanwhile.
 *
 * Threads   One of its own. _stats() from any.
 * Bounds    TARS_WATCH_PENDING_MAX files wait to become quiet; past that the next scan finds them.
 */
#ifndef TARS_INGEST_WATCH_H
#define TARS_INGEST_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "ingest/ingest.h"

#define TARS_WATCH_QUIET_MS_DEFAULT 5000
#define TARS_WATCH_SCAN_MS_DEFAULT  3600000
#define TARS_WATCH_PENDING_MAX      65536

struct tars_watch;

struct tars_watch_config {
    struct tars_ingest *ingest; /* required; borrowed */
    const char *path;           /* folder; required */
    const char *collection;     /* NULL: TARS_COLLECTION */
    int64_t quiet_ms;           /* 0: TARS_WATCH_QUIET_MS_DEFAULT */
    int64_t scan_interval_ms;   /* 0: TARS_WATCH_SCAN_MS_DEFAULT */
    struct tars_log *log;       /* NULL: silent */
    /* Is the folder for this process to look after now? Asked on the watch's thread, often. NULL:
     * it is. From when it becomes so all is scanned; until then nothing is submitted. */
    bool (*is_ours)(void *ctx);
    void *is_ours_ctx;
};

/* As the wire contract's NAS statistics (7.10). */
struct tars_watch_stats {
    int64_t files_detected; /* submitted */
    int64_t files_indexed;  /* of those that ended; see tars_watch_note() */
    int64_t files_failed;
    int64_t files_skipped;    /* unchanged, or not a kind that is read */
    int64_t files_forgotten;  /* deleted or moved away */
    int64_t files_known;      /* were in the store already at the last scan */
    int64_t pending_files;    /* waiting to become quiet */
    int64_t processing_files; /* submitted, not ended */
    int64_t last_scan_us;     /* 0: none yet */
    int64_t started_us;
    bool available; /* the folder is there */
};

TARS_MUST_USE tars_status tars_watch_open(const struct tars_watch_config *config,
                                          struct tars_watch **watch, struct tars_err *err);
/* Joins the thread. NULL is allowed. */
void tars_watch_close(struct tars_watch *watch);
struct tars_watch_stats tars_watch_stats(struct tars_watch *watch);
/* A file has ended: counted when it lies in the folder. NULL is allowed. Any thread. */
void tars_watch_note(struct tars_watch *watch, const struct tars_ingest_event *event);

#endif
