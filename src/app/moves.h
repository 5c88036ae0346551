/* moves - renames of which all happen or none.
 *
 * Each is noted, so that a failure half-way can be undone, the last one first. A kill in between is
 * for the caller to recognise.
 */
#ifndef TARS_APP_MOVES_H
#define TARS_APP_MOVES_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/status.h"

struct tars_move {
    const char *from, *to;
};

struct tars_moves {
    struct tars_arena *arena;
    struct tars_move *items; /* (count,) in the arena */
    size_t count, cap;
};

/* Rename, and note it. from and to live as long as the arena. EIO: err says what and why; ENOMEM.
 */
TARS_MUST_USE tars_status tars_moves_do(struct tars_moves *moves, const char *from, const char *to,
                                        struct tars_err *err);
/* All back where they were. EIO: some could not be moved back, err names the first. */
TARS_MUST_USE tars_status tars_moves_undo(struct tars_moves *moves, struct tars_err *err);

#endif
