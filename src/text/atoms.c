/* atoms - see atoms.h. */
#include "text/atoms.h"

#include <stdbool.h>

#include "text/normalize.h"

#define SLICE_CHARS                                                                              \
    256                 /* of a huge word; more than a word may have, so each slice is [UNK] too \
                         */
#define HUGE_BYTES 2048 /* a word of more bytes is sliced; two slices at least */

struct maker {
    const struct tars_wordpiece *wordpiece;
    struct tars_arena *arena;
    struct tars_atoms out;
    size_t cap;
    size_t cost; /* of all atoms so far */
    size_t end;  /* of the last atom */
};

static tars_status add(struct maker *to, size_t start, size_t end, size_t pieces)
{
    void *items = to->out.items;
    tars_status status =
        tars_arena_grow(to->arena, &items, &to->cap, to->out.count + 2, sizeof(*to->out.items));

    if (status != TARS_OK)
        return status;
    to->out.items = items;
    to->out.items[to->out.count++] =
        (struct tars_atom){(uint32_t)start, (uint32_t)end, (uint32_t)to->cost};
    to->cost += pieces + (end - to->end) / TARS_ATOM_BYTES;
    to->end = end;
    to->out.items[to->out.count] =
        (struct tars_atom){(uint32_t)end, (uint32_t)end, (uint32_t)to->cost};
    return TARS_OK;
}

static tars_status add_slices(struct maker *to, const char *text, size_t start, size_t end)
{
    tars_status status = TARS_OK;

    while (start < end && status == TARS_OK) {
        size_t left = end - start;
        size_t n = left;

        /* What would be left over is taken along: a short rest would not be [UNK]. */
        if (left > (size_t)2 * SLICE_CHARS * TARS_UTF8_MAX)
            n = tars_utf8_offset(text + start, left, SLICE_CHARS);
        status = add(to, start, start + n, 1);
        start += n;
    }
    return status;
}

static bool is_continued(const struct tars_wordpiece *wordpiece, const struct tars_tokens *tokens,
                         size_t i)
{
    struct tars_span piece;

    if (i >= tokens->count)
        return false;
    if (tokens->start[i] < tokens->end[i - 1])
        return true; /* both from one character */
    piece = tars_wordpiece_piece(wordpiece, tokens->ids[i]);
    return piece.len > 2 && piece.ptr[0] == '#' && piece.ptr[1] == '#';
}

tars_status tars_atoms_of(const struct tars_wordpiece *wordpiece, struct tars_arena *arena,
                          const char *text, size_t len, struct tars_atoms *out)
{
    struct maker to = {.wordpiece = wordpiece, .arena = arena};
    struct tars_tokens tokens;
    void *items = NULL;
    tars_status status = tars_wordpiece_encode(wordpiece, arena, text, len, &tokens);

    if (status == TARS_OK)
        status = tars_arena_grow(arena, &items, &to.cap, tokens.count + 2, sizeof(*to.out.items));
    if (status != TARS_OK)
        return status;
    to.out.items = items;
    to.out.items[0] = (struct tars_atom){0};
    for (size_t i = 0; i < tokens.count && status == TARS_OK;) {
        size_t first = i;
        size_t end = tokens.end[i++];

        while (is_continued(wordpiece, &tokens, i)) {
            end = tokens.end[i] > end ? tokens.end[i] : end;
            i++;
        }
        if (end - tokens.start[first] > HUGE_BYTES) {
            status = add_slices(&to, text, tokens.start[first], end);
        } else {
            status = add(&to, tokens.start[first], end, i - first);
        }
    }
    to.out.pieces = tokens.count;
    if (status == TARS_OK)
        *out = to.out;
    return status;
}

size_t tars_atoms_fit(const struct tars_atoms *atoms, size_t from, size_t budget)
{
    size_t lo = from + 1; /* fits, by decree */
    size_t hi = atoms->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo + 1) / 2;

        if (tars_atoms_cost(atoms, from, mid) <= budget) {
            lo = mid;
        } else {
            hi = mid - 1;
        }
    }
    return lo;
}
