/* collect - blocks, as they come, into a document with heading paths and character offsets.
 *
 *     tars_collect_init(&collect, max_bytes)
 *     tars_collect_block(&collect, &block) ...
 *     tars_collect_document(&collect, &frame, &document)   lent until the next _clear()
 *     tars_collect_clear(&collect)
 *
 * Invariant  char_start of a block = char_end of the one before it, plus one for the line feed.
 * Bounds     max_bytes of text and bookkeeping in one document; a heading counts in paths with its
 *            first COLLECT_HEADING_BYTES bytes.
 * Threads    Not safe to share.
 */
#ifndef TARS_EXTRACT_COLLECT_H
#define TARS_EXTRACT_COLLECT_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "extract/protocol.h"
#include "text/block.h"

struct tars_collect {
    struct tars_arena arena;
    struct tars_block *blocks; /* (count,) in arena */
    size_t count;
    size_t cap;
    size_t bytes; /* counted against max_bytes */
    size_t max_bytes;
    size_t char_count;                            /* of the text so far */
    const char *open[TARS_HEADING_LEVEL_MAX + 1]; /* heading above by level, or NULL */
    const char *path;                             /* of open[], joined; in arena or static */
};

void tars_collect_init(struct tars_collect *collect, size_t max_bytes);
void tars_collect_release(struct tars_collect *collect);
void tars_collect_clear(struct tars_collect *collect);

/* TARS_ETOOBIG past max_bytes, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_collect_block(struct tars_collect *collect,
                                             const struct tars_protocol_block *block);

/* The blocks so far as a document with the frame's attributes; it lives in collect's arena.
 * TARS_EFORMAT for metadata that is no JSON object, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_collect_document(struct tars_collect *collect,
                                                const struct tars_protocol_document *frame,
                                                struct tars_document *document);

#endif
