/* chunk - a document's blocks into chunks that people and models read, and windows that the encoder
 * reads.
 *
 *     document   |H|paragraph |paragraph     |H|list   |table                    |
 *     chunks     |---------- 1 -----------|---- 2 ----|-------- 3 ------|--- 4 ---|
 *     windows    |-----|                                   <= 256 tokens, overlapping
 *                    |-----| ...                  a chunk has 400 to 800 tokens
 *
 * Model     A chunk is a run of whole blocks while they fit; a block too large for one is cut
 *           between sentences, rows or lines, then words, then characters. A heading begins a new
 *           chunk once the current one has min_tokens; smaller sections share a chunk. A document
 *           of at most max_tokens is one chunk. A table that is cut repeats its header row in
 *           every piece, so there the chunk's text is not a slice of the document's. Windows
 *           overlap, begin and end between words where they can, and together cover the chunk.
 * Invariant char_start and char_end count characters in the document's text (block.h); chunks are
 *           in order, do not overlap, and every character that is not white space is in one.
 * Limits    max_tokens is a promise, except that one character is never cut.
 * Memory    All in the caller's arena: about 3 times the document's text and 12 bytes a token.
 * Threads   No state.
 * Costs     Linear: every block is tokenized once.
 */
#ifndef TARS_TEXT_CHUNK_H
#define TARS_TEXT_CHUNK_H

#include <stddef.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "text/block.h"
#include "text/wordpiece.h"

#define TARS_CHUNK_MIN_TOKENS     400 /* defaults of the fields below */
#define TARS_CHUNK_MAX_TOKENS     800
#define TARS_CHUNK_WINDOW_TOKENS  256
#define TARS_CHUNK_OVERLAP_TOKENS 48
#define TARS_CHUNK_TITLE_TOKENS   32 /* of the title before a window; longer titles are cut */

struct tars_chunk_config {
    const struct tars_wordpiece *wordpiece; /* required */
    size_t min_tokens;                      /* 0: TARS_CHUNK_MIN_TOKENS */
    size_t max_tokens;     /* 0: TARS_CHUNK_MAX_TOKENS; at least 16, and at least min_tokens */
    size_t window_tokens;  /* 0: TARS_CHUNK_WINDOW_TOKENS; counts [CLS], [SEP] and the title; at
                              least 64 */
    size_t overlap_tokens; /* 0: TARS_CHUNK_OVERLAP_TOKENS; at most a quarter of window_tokens */
    const char *title;     /* what windows will be prefixed with; NULL: the document's own title;
                              "": none */
};

/* Bytes of a chunk's text that are embedded at once. */
struct tars_window {
    size_t start; /* first byte, in the chunk's text */
    size_t len;   /* bytes */
};

struct tars_chunk {
    const char *text;    /* (text_len,) valid UTF-8, and terminated */
    size_t text_len;     /* bytes */
    const char *section; /* terminated heading path, " > " between; "" when none */
    int page_first;      /* 0 where the format has no pages */
    int page_last;
    size_t char_start;           /* characters in the document's text */
    size_t char_end;             /* one past the last */
    int token_count;             /* word pieces of text */
    enum tars_block_kind kind;   /* of most of its text */
    struct tars_window *windows; /* (window_count,) */
    size_t window_count;         /* at least 1 */
};

struct tars_chunks {
    struct tars_chunk *items; /* (count,) */
    size_t count;             /* 0 when the document has no text at all */
};

/* Cut a document; all of *out lives in arena.
 *
 *   TARS_EINVAL  no tokenizer, or sizes that contradict each other (see the fields)
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_chunk_document(const struct tars_chunk_config *config,
                                              const struct tars_document *document,
                                              struct tars_arena *arena, struct tars_chunks *out,
                                              struct tars_err *err);

/* What to embed for window i: "title\n" and its text, or the text alone where there is no title or
 * the text begins with it. title as it was when the chunk was made: config's, or the document's.
 * At most window_tokens word pieces with [CLS] and [SEP]. In arena, or lent by the chunk. */
TARS_MUST_USE tars_status tars_chunk_window_text(const struct tars_chunk_config *config,
                                                 struct tars_arena *arena, const char *title,
                                                 const struct tars_chunk *chunk, size_t i,
                                                 struct tars_span *out);

/* What the word index reads of a chunk: title, section and text, a line each, without what the text
 * repeats anyway. In arena. */
TARS_MUST_USE tars_status tars_chunk_terms_text(struct tars_arena *arena, const char *title,
                                                const struct tars_chunk *chunk,
                                                struct tars_span *out);

#endif
