/* alike - the settings that servers on one store are to have alike, since documents depend on them:
 * how exactly they are embedded, and how they are cut. Each server says its own in the store; who
 * comes to others that differ says so, and is not refused, so that a setting can be changed on one
 * server after the other.
 *
 *     NAME=value\n ...    what is in force: sizes of the one way of cutting, not of the other
 *
 * Threads   No state.
 */
#ifndef TARS_APP_ALIKE_H
#define TARS_APP_ALIKE_H

#include "app/settings.h"
#include "base/mem/arena.h"
#include "base/status.h"

struct tars_store;

/* As it is said to the others, in the arena; NULL without memory. */
const char *tars_alike_text(const struct tars_settings *settings, struct tars_arena *arena);

/* "CHUNK_SIZE is 512 on HOST and 256 here, ...", of what both say; "": all is alike. In the arena;
 * NULL without memory. */
const char *tars_alike_differences(const char *ours, const char *theirs, const char *host,
                                   struct tars_arena *arena);

/* In what the servers that are alive differ from these settings, in the arena; "": in nothing, or
 * there are none. */
TARS_MUST_USE tars_status tars_alike_check(const struct tars_settings *settings,
                                           struct tars_store *store, struct tars_arena *arena,
                                           const char **differences, struct tars_err *err);

#endif
