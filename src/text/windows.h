/* windows - a chunk's text in overlapping parts that the encoder can read whole. */
#ifndef TARS_TEXT_WINDOWS_H
#define TARS_TEXT_WINDOWS_H

#include "text/chunk.h"

/* Sizes of a config with every default filled in. */
struct tars_chunk_sizes {
    size_t min_tokens;
    size_t max_tokens;
    size_t window_tokens; /* with [CLS] and [SEP] */
    size_t overlap_tokens;
};

/* Set chunk->windows, window_count and token_count from its text. title may be NULL. scratch is
 * cleared. */
TARS_MUST_USE tars_status tars_windows_cut(const struct tars_wordpiece *wordpiece,
                                           const struct tars_chunk_sizes *sizes, const char *title,
                                           struct tars_arena *scratch, struct tars_arena *arena,
                                           struct tars_chunk *chunk);

#endif
