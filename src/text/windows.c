/* windows - see windows.h; also the two texts that are made of a chunk: for the encoder and for the
 * word index (chunk.h).
 *
 * Windows are spread evenly: with the number that is needed anyway, all are full and the overlap
 * grows, which embeds better than a short last window.
 */
#include "text/windows.h"

#include <stdbool.h>
#include <string.h>

#include "text/atoms.h"

#define SPECIALS 2 /* [CLS] and [SEP] */

/* ------------------------------------------------------------------- title */

/* Bytes of the title that go before a window: whole words, TARS_CHUNK_TITLE_TOKENS at most. *cost
 * is what they take. The title's atoms stay in arena. */
static tars_status measure_title(const struct tars_wordpiece *wordpiece, struct tars_arena *arena,
                                 const char *title, size_t *len, size_t *cost)
{
    struct tars_span whole = tars_span_of(title);
    struct tars_atoms atoms;
    size_t fit;
    tars_status status;

    *len = 0;
    *cost = 0;
    if (whole.len == 0)
        return TARS_OK;
    status = tars_atoms_of(wordpiece, arena, whole.ptr, whole.len, &atoms);
    if (status != TARS_OK || atoms.count == 0)
        return status;
    fit = tars_atoms_fit(&atoms, 0, TARS_CHUNK_TITLE_TOKENS);
    *cost = tars_atoms_cost(&atoms, 0, fit);
    if (*cost > TARS_CHUNK_TITLE_TOKENS) { /* one endless word */
        *cost = 0;
        return TARS_OK;
    }
    *len = fit == atoms.count ? whole.len : atoms.items[fit - 1].end;
    return TARS_OK;
}

static bool begins_with(struct tars_span text, const char *ptr, size_t len)
{
    return len <= text.len && memcmp(text.ptr, ptr, len) == 0;
}

/* ----------------------------------------------------------------- windows */

static tars_status add_window(struct tars_chunk *chunk, struct tars_arena *arena, size_t *cap,
                              size_t start, size_t end)
{
    void *items = chunk->windows;
    tars_status status =
        tars_arena_grow(arena, &items, cap, chunk->window_count + 1, sizeof(*chunk->windows));

    if (status != TARS_OK)
        return status;
    chunk->windows = items;
    chunk->windows[chunk->window_count++] = (struct tars_window){start, end - start};
    return TARS_OK;
}

/* The atom that begins at or before cost position. */
static size_t atom_at(const struct tars_atoms *atoms, size_t from, size_t position)
{
    size_t budget = position - atoms->items[from].before;

    return atoms->items[from + 1].before > position ? from : tars_atoms_fit(atoms, from, budget);
}

static tars_status spread(const struct tars_atoms *atoms, size_t budget, size_t overlap,
                          struct tars_arena *arena, struct tars_chunk *chunk)
{
    size_t total = tars_atoms_cost(atoms, 0, atoms->count);
    size_t count = (total - overlap + budget - overlap - 1) / (budget - overlap);
    size_t step = count > 1 ? (total - budget) / (count - 1) : budget;
    size_t cap = 0;
    size_t from = 0;

    for (;;) {
        size_t end = tars_atoms_fit(atoms, from, budget);
        /* Ends of the text that are no tokens (stray accents) belong to the windows there. */
        size_t first = from ? atoms->items[from].start : 0;
        size_t last = end < atoms->count ? atoms->items[end - 1].end : chunk->text_len;
        tars_status status = add_window(chunk, arena, &cap, first, last);
        size_t next;

        if (status != TARS_OK || end == atoms->count)
            return status;
        next = atom_at(atoms, from, atoms->items[from].before + (step ? step : 1));
        from = next > from ? next : from + 1; /* forward, and no further than the end: no gap */
        from = from < end ? from : end;
    }
}

tars_status tars_windows_cut(const struct tars_wordpiece *wordpiece,
                             const struct tars_chunk_sizes *sizes, const char *title,
                             struct tars_arena *scratch, struct tars_arena *arena,
                             struct tars_chunk *chunk)
{
    size_t budget = sizes->window_tokens - SPECIALS;
    size_t cap = 0;
    size_t title_len;
    size_t title_cost;
    struct tars_atoms atoms;
    tars_status status;

    tars_arena_clear(scratch);
    status = measure_title(wordpiece, scratch, title, &title_len, &title_cost);
    if (status == TARS_OK)
        status = tars_atoms_of(wordpiece, scratch, chunk->text, chunk->text_len, &atoms);
    if (status != TARS_OK)
        return status;
    chunk->token_count = (int)atoms.pieces;
    chunk->windows = NULL;
    chunk->window_count = 0;
    if (title_len && !begins_with(tars_span(chunk->text, chunk->text_len), title, title_len))
        budget -= title_cost;
    if (tars_atoms_cost(&atoms, 0, atoms.count) <= budget)
        return add_window(chunk, arena, &cap, 0, chunk->text_len);
    if (title_len && budget == sizes->window_tokens - SPECIALS)
        budget -= title_cost; /* later windows do not begin with it */
    return spread(&atoms, budget, sizes->overlap_tokens, arena, chunk);
}

/* ------------------------------------------------------------------- texts */

tars_status tars_chunk_window_text(const struct tars_chunk_config *config, struct tars_arena *arena,
                                   const char *title, const struct tars_chunk *chunk, size_t i,
                                   struct tars_span *out)
{
    struct tars_span text = tars_span(chunk->text + chunk->windows[i].start, chunk->windows[i].len);
    size_t title_len;
    size_t cost;
    char *joined;
    tars_status status = measure_title(config->wordpiece, arena, title, &title_len, &cost);

    if (status != TARS_OK)
        return status;
    if (title_len == 0 || begins_with(text, title, title_len)) {
        *out = text;
        return TARS_OK;
    }
    joined = tars_arena_alloc(arena, title_len + 1 + text.len + 1);
    if (!joined)
        return TARS_ENOMEM;
    memcpy(joined, title, title_len);
    joined[title_len] = '\n';
    memcpy(joined + title_len + 1, text.ptr, text.len);
    joined[title_len + 1 + text.len] = '\0';
    *out = tars_span(joined, title_len + 1 + text.len);
    return TARS_OK;
}

tars_status tars_chunk_terms_text(struct tars_arena *arena, const char *title,
                                  const struct tars_chunk *chunk, struct tars_span *out)
{
    struct tars_span text = tars_span(chunk->text, chunk->text_len);
    struct tars_span first = tars_span_of(title);
    struct tars_span second = tars_span_of(chunk->section);
    char *joined;

    if (begins_with(text, first.ptr, first.len))
        first.len = 0;
    if (begins_with(text, second.ptr, second.len) || tars_span_is(first, chunk->section))
        second.len = 0;
    joined =
        tars_arena_printf(arena, "%.*s%s%.*s%s%.*s", (int)first.len, first.ptr ? first.ptr : "",
                          first.len ? "\n" : "", (int)second.len, second.ptr ? second.ptr : "",
                          second.len ? "\n" : "", (int)text.len, text.ptr);
    if (!joined)
        return TARS_ENOMEM;
    *out = tars_span(joined, strlen(joined));
    return TARS_OK;
}
