/* moves - see moves.h for the contract. */
#include "app/moves.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

tars_status tars_moves_do(struct tars_moves *moves, const char *from, const char *to,
                          struct tars_err *err)
{
    if (tars_arena_grow(moves->arena, (void **)&moves->items, &moves->cap, moves->count + 1,
                        sizeof(*moves->items)) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    if (rename(from, to) != 0)
        return tars_fail(TARS_EIO, err, "cannot move %s to %s: %s", from, to, strerror(errno));
    moves->items[moves->count++] = (struct tars_move){from, to};
    return TARS_OK;
}

tars_status tars_moves_undo(struct tars_moves *moves, struct tars_err *err)
{
    tars_status status = TARS_OK;

    while (moves->count > 0) {
        const struct tars_move *move = &moves->items[--moves->count];

        if (rename(move->to, move->from) != 0 && status == TARS_OK) {
            status = tars_fail(TARS_EIO, err, "cannot move %s back to %s: %s", move->to, move->from,
                               strerror(errno));
        }
    }
    return status;
}
