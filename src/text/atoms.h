/* atoms - a text as the smallest parts that it may be cut between without changing their word
 * pieces.
 *
 *     text     un affable  ,  1 MB of letters .......................
 *     pieces   un ##aff ##able  ,  [UNK]
 *     atoms    |--------------|,|----|----|----|----|----|---        a word, a sign, an ideograph;
 *                                                                    a huge word in slices
 *
 * Cost of an atom: its word pieces, and one more for every TARS_ATOM_BYTES bytes that it and the
 * gap before it span, so that text that is hardly any word pieces (blanks, endless words) is cut
 * too.
 */
#ifndef TARS_TEXT_ATOMS_H
#define TARS_TEXT_ATOMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "text/wordpiece.h"

#define TARS_ATOM_BYTES 32 /* bytes that cost one token more */

struct tars_atom {
    uint32_t start; /* bytes of the text */
    uint32_t end;
    uint32_t before; /* sum of the costs of the atoms before this one */
};

struct tars_atoms {
    struct tars_atom *items; /* (count + 1,); the last is empty and holds the sum of all */
    size_t count;
    size_t pieces; /* word pieces of the whole text */
};

/* The atoms of valid UTF-8, in arena. TARS_ENOMEM, TARS_ETOOBIG as for the tokenizer. */
TARS_MUST_USE tars_status tars_atoms_of(const struct tars_wordpiece *wordpiece,
                                        struct tars_arena *arena, const char *text, size_t len,
                                        struct tars_atoms *out);

/* Cost of atoms from..to-1. */
static inline size_t tars_atoms_cost(const struct tars_atoms *atoms, size_t from, size_t to)
{
    return atoms->items[to].before - atoms->items[from].before;
}

/* The largest end > from such that atoms from..end-1 cost at most budget; at least one atom, at
 * most count. */
size_t tars_atoms_fit(const struct tars_atoms *atoms, size_t from, size_t budget);

#endif
