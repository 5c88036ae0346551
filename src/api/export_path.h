/* export_path - where a client may have the server write a file: inside one folder, and nowhere
 * else whatever it names.
 *
 *     "report.csv"              a bare name
 *     "2026/january.json"       a path inside; folders are made
 *     "/srv/exports/a.csv"      an absolute one, where the folder is /srv/exports
 *
 * Refused (EINVAL, with words for the client): "..", paths outside, anything but .csv and .json.
 * The way down is walked folder by folder without following links, so neither a link inside the
 * folder nor one put there meanwhile leads out of it.
 *
 * A file appears whole or not at all: it is written under another name and renamed.
 */
#ifndef TARS_API_EXPORT_PATH_H
#define TARS_API_EXPORT_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"

/* A file under way. */
struct tars_export {
    int folder;       /* descriptor, or -1 */
    int fd;           /* to write to, or -1 */
    const char *name; /* in folder; in the arena */
    const char *temporary;
    const char *path; /* absolute, for people; in the arena */
    bool is_json;
};

/* Begin a file that wanted names, inside folder root, which is made if it is not there. */
TARS_MUST_USE tars_status tars_export_begin(const char *root, const char *wanted,
                                            struct tars_arena *arena, struct tars_export *file,
                                            struct tars_err *err);
TARS_MUST_USE tars_status tars_export_write(struct tars_export *file, const char *ptr, size_t len,
                                            struct tars_err *err);
/* Give it its name when status is TARS_OK, else remove it; the status of all. */
TARS_MUST_USE tars_status tars_export_end(struct tars_export *file, tars_status status,
                                          struct tars_err *err);

/* Remove a folder with all that was exported into it; links are removed, not followed. One that is
 * not there is fine. */
TARS_MUST_USE tars_status tars_export_forget(const char *folder, struct tars_err *err);

#endif
