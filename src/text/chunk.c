/* chunk - see chunk.h.
 *
 * Blocks go one after the other onto an open chunk, which is a list of slices: bytes of one block.
 * A block that fits goes whole. One that does not is cut into units (sentences of a paragraph,
 * lines of anything else), a unit that is too large between atoms. When the open chunk is closed,
 * headings at its end move to the next one: a heading belongs to what follows.
 */
#include "text/chunk.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "text/atoms.h"
#include "text/normalize.h"
#include "text/sentences.h"
#include "text/windows.h"

#define SCRATCH_MAX ((size_t)1 << 30) /* bytes; of one block's tokens */
#define STRAY_MAX   256               /* bytes after the last token that a chunk takes along */
#define KINDS       6                 /* block kinds are below this */

struct slice {
    size_t block; /* index */
    size_t start; /* bytes of its text */
    size_t end;
    size_t cost;
    size_t header_len; /* bytes of the block's beginning that are repeated before it */
};

struct chunker {
    const struct tars_wordpiece *wordpiece;
    struct tars_chunk_sizes sizes;
    const char *title;
    const struct tars_document *document;
    struct tars_arena *arena;  /* of the result */
    struct tars_arena block;   /* atoms and units of the block at hand */
    struct tars_arena windows; /* scratch of tars_windows_cut() */
    struct slice *slices;      /* (slice_count,) of the open chunk, in arena, reused */
    size_t slice_count, slice_cap;
    size_t cost;          /* of the open chunk */
    size_t chunks_cap;    /* of out */
    size_t counted_block; /* characters were counted in this block */
    size_t counted_bytes; /* up to here */
    size_t counted_chars; /* and are so many */
    struct tars_chunks out;
};

/* ------------------------------------------------------------ closing a chunk */

/* The place of a byte of a block among the document's characters. Asked in ascending order, so that
 * each byte is counted once. */
static size_t char_place(struct chunker *c, size_t block, size_t byte)
{
    const struct tars_block *of = &c->document->blocks[block];

    if (block != c->counted_block || byte < c->counted_bytes) {
        c->counted_block = block;
        c->counted_bytes = 0;
        c->counted_chars = 0;
    }
    c->counted_chars += tars_utf8_count(of->text + c->counted_bytes, byte - c->counted_bytes);
    c->counted_bytes = byte;
    return of->char_start + c->counted_chars;
}

static size_t joined_size(const struct chunker *c, size_t count)
{
    size_t size = 1;

    for (size_t i = 0; i < count; i++)
        size += c->slices[i].end - c->slices[i].start + c->slices[i].header_len + 2;
    return size;
}

/* The text of slices 0..count-1 into chunk. */
static tars_status join(struct chunker *c, size_t count, struct tars_chunk *chunk)
{
    char *text = tars_arena_alloc(c->arena, joined_size(c, count));
    size_t to = 0;

    if (!text)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct slice *slice = &c->slices[i];
        const char *from = c->document->blocks[slice->block].text;

        if (i)
            text[to++] = '\n';
        if (slice->header_len) {
            memcpy(text + to, from, slice->header_len);
            to += slice->header_len;
            text[to++] = '\n';
        }
        memcpy(text + to, from + slice->start, slice->end - slice->start);
        to += slice->end - slice->start;
    }
    text[to] = '\0';
    chunk->text = text;
    chunk->text_len = to;
    return TARS_OK;
}

static enum tars_block_kind kind_of(const struct chunker *c, const struct slice *slice)
{
    enum tars_block_kind kind = c->document->blocks[slice->block].kind;

    return kind > 0 && kind < KINDS ? kind : TARS_BLOCK_PARAGRAPH;
}

/* The slice that speaks for the chunk: the largest one, headings only among themselves. */
static const struct slice *largest(const struct chunker *c, size_t count)
{
    const struct slice *best = &c->slices[0];

    for (size_t i = 1; i < count; i++) {
        const struct slice *slice = &c->slices[i];
        bool is_text = kind_of(c, slice) != TARS_BLOCK_HEADING;
        bool has_text = kind_of(c, best) != TARS_BLOCK_HEADING;

        if (is_text == has_text ? slice->cost > best->cost : is_text)
            best = slice;
    }
    return best;
}

/* The kind of most of the text that is not headings. */
static enum tars_block_kind main_kind(const struct chunker *c, size_t count)
{
    enum tars_block_kind best = kind_of(c, largest(c, count));
    size_t cost[KINDS] = {0};

    for (size_t i = 0; i < count; i++)
        cost[kind_of(c, &c->slices[i])] += c->slices[i].cost;
    for (int kind = 1; kind < KINDS; kind++) {
        if (kind != TARS_BLOCK_HEADING && cost[kind] > cost[best] && best != TARS_BLOCK_HEADING)
            best = (enum tars_block_kind)kind;
    }
    return best;
}

static void describe(const struct chunker *c, size_t count, struct tars_chunk *chunk)
{
    for (size_t i = 0; i < count; i++) {
        int page = c->document->blocks[c->slices[i].block].page;

        if (page) {
            chunk->page_first = chunk->page_first ? chunk->page_first : page;
            chunk->page_last = page;
        }
    }
    chunk->kind = main_kind(c, count);
    chunk->section = c->document->blocks[largest(c, count)->block].headings;
}

/* A heading that stands alone is its own section. */
static tars_status name_section(struct chunker *c, struct tars_chunk *chunk)
{
    const char *path = chunk->section ? chunk->section : "";

    if (chunk->kind == TARS_BLOCK_HEADING) {
        const struct tars_block *block = &c->document->blocks[c->slices[0].block];
        int len = block->text_len < INT_MAX ? (int)block->text_len : INT_MAX;

        chunk->section = tars_arena_printf(c->arena, "%s%s%.*s", path, *path ? " > " : "", len,
                                           block->text ? block->text : "");
    } else {
        chunk->section = tars_arena_strdup(c->arena, path);
    }
    return chunk->section ? TARS_OK : TARS_ENOMEM;
}

static tars_status emit(struct chunker *c, size_t count)
{
    struct tars_chunk chunk = {0};
    const struct slice *last = &c->slices[count - 1];
    void *items = c->out.items;
    tars_status status = join(c, count, &chunk);

    if (status != TARS_OK)
        return status;
    describe(c, count, &chunk);
    chunk.char_start = char_place(c, c->slices[0].block, c->slices[0].start);
    chunk.char_end = char_place(c, last->block, last->end);
    status = name_section(c, &chunk);
    if (status == TARS_OK)
        status = tars_windows_cut(c->wordpiece, &c->sizes, c->title, &c->windows, c->arena, &chunk);
    if (status == TARS_OK)
        status = tars_arena_grow(c->arena, &items, &c->chunks_cap, c->out.count + 1, sizeof(chunk));
    if (status != TARS_OK)
        return status;
    c->out.items = items;
    c->out.items[c->out.count++] = chunk;
    return TARS_OK;
}

static bool is_heading(const struct chunker *c, size_t slice)
{
    return c->document->blocks[c->slices[slice].block].kind == TARS_BLOCK_HEADING;
}

/* End the open chunk; headings at its end stay open. At the end of the document nothing stays. */
static tars_status close_chunk(struct chunker *c, bool at_end)
{
    size_t count = c->slice_count;
    tars_status status;

    if (count == 0)
        return TARS_OK;
    while (!at_end && count > 1 && is_heading(c, count - 1))
        count--;
    if (count == 1 && is_heading(c, 0) && count < c->slice_count)
        count = c->slice_count; /* headings only: nothing to part them from */
    status = emit(c, count);
    if (status != TARS_OK)
        return status;
    memmove(c->slices, c->slices + count, (c->slice_count - count) * sizeof(*c->slices));
    c->slice_count -= count;
    c->cost = 0;
    for (size_t i = 0; i < c->slice_count; i++)
        c->cost += c->slices[i].cost;
    return TARS_OK;
}

/* ------------------------------------------------------------- adding slices */

static tars_status add_slice(struct chunker *c, const struct slice *slice)
{
    void *slices = c->slices;
    tars_status status =
        tars_arena_grow(c->arena, &slices, &c->slice_cap, c->slice_count + 1, sizeof(*slice));

    if (status != TARS_OK)
        return status;
    c->slices = slices;
    c->slices[c->slice_count++] = *slice;
    c->cost += slice->cost;
    return TARS_OK;
}

/* A block that is being cut. */
struct cut {
    size_t block;
    struct tars_atoms atoms;
    size_t header_len; /* of a table; 0: nothing to repeat */
    size_t header_cost;
    struct tars_range whole; /* bytes of the block without white space round them */
    bool open;               /* the last slice of the open chunk is of this block */
};

/* Atoms from..to-1 onto the open chunk, which has room for them. */
static tars_status put(struct chunker *c, struct cut *cut, size_t from, size_t to)
{
    const struct tars_atom *atoms = cut->atoms.items;
    size_t cost = tars_atoms_cost(&cut->atoms, from, to);
    struct slice slice = {cut->block, atoms[from].start, atoms[to - 1].end, cost, 0};

    /* Stray accents at both ends of the block are no tokens. */
    if (from == 0)
        slice.start = cut->whole.start;
    if (to == cut->atoms.count && cut->whole.end - slice.end < STRAY_MAX)
        slice.end = cut->whole.end;
    if (cut->open) {
        struct slice *last = &c->slices[c->slice_count - 1];

        last->end = slice.end;
        last->cost += cost;
        c->cost += cost;
        return TARS_OK;
    }
    if (slice.start >= cut->header_len && cut->header_len) {
        slice.header_len = cut->header_len;
        slice.cost += cut->header_cost;
    }
    cut->open = true;
    return add_slice(c, &slice);
}

static size_t room(const struct chunker *c, const struct cut *cut)
{
    size_t used = c->cost + (cut->open ? 0 : cut->header_cost);

    return used < c->sizes.max_tokens ? c->sizes.max_tokens - used : 0;
}

static tars_status close_for(struct chunker *c, struct cut *cut)
{
    cut->open = false;
    return close_chunk(c, false);
}

/* One unit, atoms from..to-1: whole where it fits, in a new chunk where it only fits there, else
 * cut between atoms. */
static tars_status put_unit(struct chunker *c, struct cut *cut, size_t from, size_t to)
{
    tars_status status = TARS_OK;

    if (tars_atoms_cost(&cut->atoms, from, to) > room(c, cut) &&
        (c->cost >= c->sizes.min_tokens ||
         tars_atoms_cost(&cut->atoms, from, to) + cut->header_cost <= c->sizes.max_tokens))
        status = close_for(c, cut);
    while (status == TARS_OK && from < to) {
        size_t fit = tars_atoms_fit(&cut->atoms, from, room(c, cut));

        fit = fit < to ? fit : to;
        if (tars_atoms_cost(&cut->atoms, from, fit) > room(c, cut) && c->slice_count) {
            size_t before = c->slice_count;

            status = close_for(c, cut);
            if (status != TARS_OK || c->slice_count < before)
                continue;
        }
        status = put(c, cut, from, fit);
        from = fit;
    }
    return status;
}

/* --------------------------------------------------------------------- units */

/* Line feeds end units of tables, lists and code. */
static tars_status split_lines(struct tars_arena *arena, const char *text, size_t len,
                               struct tars_sentences *out)
{
    struct tars_sentences lines = {0};
    void *items = NULL;
    size_t cap = 0;

    for (size_t at = 0; at < len;) {
        const char *feed = memchr(text + at, '\n', len - at);
        size_t end = feed ? (size_t)(feed - text) : len;

        if (tars_arena_grow(arena, &items, &cap, lines.count + 1, sizeof(*lines.items)) != TARS_OK)
            return TARS_ENOMEM;
        lines.items = items;
        lines.items[lines.count++] = (struct tars_range){at, end};
        at = end + 1;
    }
    *out = lines;
    return TARS_OK;
}

/* A row such as | --- | :-: |, which Markdown puts under the header. */
static bool is_rule(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!strchr("|-:+= \t\r", ptr[i]))
            return false;
    }
    return len > 0;
}

static void find_header(const struct chunker *c, struct cut *cut, const struct tars_sentences *rows)
{
    const struct tars_block *block = &c->document->blocks[cut->block];
    size_t header = 0;
    size_t atoms = 0;

    if (block->kind != TARS_BLOCK_TABLE || rows->count < 2)
        return;
    header = rows->items[0].end;
    if (is_rule(block->text + rows->items[1].start, rows->items[1].end - rows->items[1].start))
        header = rows->items[1].end;
    while (atoms < cut->atoms.count && cut->atoms.items[atoms].start < header)
        atoms++;
    if (tars_atoms_cost(&cut->atoms, 0, atoms) > c->sizes.max_tokens / 4)
        return; /* it would crowd out the rows */
    cut->header_len = header;
    cut->header_cost = tars_atoms_cost(&cut->atoms, 0, atoms);
}

static tars_status cut_block(struct chunker *c, struct cut *cut)
{
    const struct tars_block *block = &c->document->blocks[cut->block];
    struct tars_sentences units;
    size_t atom = 0;
    tars_status status;

    status = block->kind == TARS_BLOCK_PARAGRAPH || block->kind == TARS_BLOCK_HEADING
                 ? tars_sentences_split(&c->block, block->text, block->text_len, &units)
                 : split_lines(&c->block, block->text, block->text_len, &units);
    if (status != TARS_OK)
        return status;
    find_header(c, cut, &units);
    for (size_t i = 0; i < units.count && status == TARS_OK; i++) {
        size_t first = atom;

        /* The last unit takes what is left, should an atom reach over the end of another. */
        while (atom < cut->atoms.count &&
               (cut->atoms.items[atom].start < units.items[i].end || i + 1 == units.count))
            atom++;
        if (atom > first)
            status = put_unit(c, cut, first, atom);
    }
    return status;
}

/* -------------------------------------------------------------------- blocks */

/* Text without the white space round it. */
static struct tars_range trim(const struct tars_block *block)
{
    struct tars_range range = {0, block->text_len};

    while (range.start < range.end && strchr(" \t\r\n", block->text[range.start]))
        range.start++;
    while (range.end > range.start && strchr(" \t\r\n", block->text[range.end - 1]))
        range.end--;
    return range;
}

static tars_status place_block(struct chunker *c, size_t index)
{
    const struct tars_block *block = &c->document->blocks[index];
    struct tars_range range = trim(block);
    struct slice whole = {index, range.start, range.end, 0, 0};
    struct cut cut = {.block = index, .whole = range};
    tars_status status;

    if (range.start == range.end)
        return TARS_OK;
    tars_arena_clear(&c->block);
    status = tars_atoms_of(c->wordpiece, &c->block, block->text, block->text_len, &cut.atoms);
    if (status != TARS_OK)
        return status;
    if (cut.atoms.count == 0)
        return TARS_OK; /* control characters and the like */
    whole.cost = tars_atoms_cost(&cut.atoms, 0, cut.atoms.count);
    if (c->cost >= c->sizes.min_tokens &&
        (block->kind == TARS_BLOCK_HEADING || c->cost + whole.cost > c->sizes.max_tokens))
        status = close_chunk(c, false);
    if (status != TARS_OK)
        return status;
    if (c->cost + whole.cost <= c->sizes.max_tokens)
        return add_slice(c, &whole);
    return cut_block(c, &cut);
}

/* The whole document costs at most max_tokens: then it is one chunk, headings or not. Looks no
 * further than that. */
static tars_status is_short(struct chunker *c, bool *answer)
{
    size_t cost = 0;

    for (size_t i = 0; i < c->document->block_count && cost <= c->sizes.max_tokens; i++) {
        const struct tars_block *block = &c->document->blocks[i];
        size_t limit = c->sizes.max_tokens * TARS_ATOM_BYTES;
        struct tars_atoms atoms;
        tars_status status;

        if (block->text_len > limit) {
            cost = c->sizes.max_tokens + 1;
            break;
        }
        tars_arena_clear(&c->block);
        status = tars_atoms_of(c->wordpiece, &c->block, block->text, block->text_len, &atoms);
        if (status != TARS_OK)
            return status;
        cost += tars_atoms_cost(&atoms, 0, atoms.count);
    }
    *answer = cost <= c->sizes.max_tokens;
    return TARS_OK;
}

static tars_status fill_sizes(const struct tars_chunk_config *config,
                              struct tars_chunk_sizes *sizes, struct tars_err *err)
{
    sizes->min_tokens = config->min_tokens ? config->min_tokens : TARS_CHUNK_MIN_TOKENS;
    sizes->max_tokens = config->max_tokens ? config->max_tokens : TARS_CHUNK_MAX_TOKENS;
    sizes->window_tokens = config->window_tokens ? config->window_tokens : TARS_CHUNK_WINDOW_TOKENS;
    sizes->overlap_tokens =
        config->overlap_tokens ? config->overlap_tokens : TARS_CHUNK_OVERLAP_TOKENS;
    if (!config->overlap_tokens && sizes->overlap_tokens > sizes->window_tokens / 4)
        sizes->overlap_tokens = sizes->window_tokens / 4;
    if (!config->wordpiece)
        return tars_fail(TARS_EINVAL, err, "chunks cannot be cut without a tokenizer");
    if (sizes->max_tokens < 16 || sizes->max_tokens > INT_MAX / TARS_ATOM_BYTES ||
        sizes->min_tokens > sizes->max_tokens) {
        return tars_fail(TARS_EINVAL, err,
                         "chunks of %zu to %zu tokens do not go: the least must not be over the "
                         "most, and the most must be 16 or more",
                         sizes->min_tokens, sizes->max_tokens);
    }
    if (sizes->window_tokens < 64 || sizes->overlap_tokens > sizes->window_tokens / 4) {
        return tars_fail(TARS_EINVAL, err,
                         "windows of %zu tokens that overlap by %zu do not go: use 64 or more, and "
                         "overlap by a quarter at most",
                         sizes->window_tokens, sizes->overlap_tokens);
    }
    return TARS_OK;
}

static tars_status chunk_blocks(struct chunker *c)
{
    bool one = false;
    tars_status status = is_short(c, &one);

    if (one)
        c->sizes.min_tokens = c->sizes.max_tokens + 1; /* no heading closes a chunk then */
    for (size_t i = 0; i < c->document->block_count && status == TARS_OK; i++)
        status = place_block(c, i);
    return status == TARS_OK ? close_chunk(c, true) : status;
}

tars_status tars_chunk_document(const struct tars_chunk_config *config,
                                const struct tars_document *document, struct tars_arena *arena,
                                struct tars_chunks *out, struct tars_err *err)
{
    struct chunker c = {.wordpiece = config->wordpiece,
                        .title = config->title ? config->title : document->title,
                        .document = document,
                        .arena = arena,
                        .counted_block = SIZE_MAX};
    tars_status status = fill_sizes(config, &c.sizes, err);

    if (status != TARS_OK)
        return status;
    tars_arena_init(&c.block, SCRATCH_MAX);
    tars_arena_init(&c.windows, SCRATCH_MAX);
    status = chunk_blocks(&c);
    tars_arena_release(&c.block);
    tars_arena_release(&c.windows);
    if (status != TARS_OK) {
        return tars_fail(status, err, "no memory to cut \"%s\" into chunks",
                         document->title ? document->title : "");
    }
    *out = c.out;
    return TARS_OK;
}
