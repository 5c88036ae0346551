/* wording - what a question asks of passages beyond its words.
 *
 *     "exact words"          the passage holds these words in this order
 *     title:word             its document's title holds the word; title:"two words" both
 *     heading:word           a heading that it stands under does
 *
 * All of them must be met, so they say which passages may be found; what is asked of these is the
 * text without the marks. Words are compared as the index has them: stems, stop words left out.
 *
 * Quotes    also stand in ordinary questions (Who wrote "War and Peace"?), whose answer need not
 *           repeat them. So where three or more words stand outside of them, one of these a stop
 *           word, or where a question mark does, quotes ask for nothing and the question is left as
 *           it is.
 * Unmet     Words that no passage of the call holds so ask for nothing either; unmet names them.
 */
#ifndef TARS_RETRIEVE_WORDING_H
#define TARS_RETRIEVE_WORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"
#include "index/index.h"

#define TARS_WORDING_MAX 16 /* demands of a question; more are words */

struct tars_analyzer;

struct tars_wording {
    struct tars_span text; /* what is asked; the question itself where it demands nothing */
    bool binds;            /* ids are what may be found */
    const uint64_t *ids;   /* (count,) ascending, in the call's arena */
    size_t count;
    const char *unmet; /* what no passage holds so, or NULL */
    /* Of tars_wording_filter(). */
    const struct tars_index_filter *scope;
    struct tars_index_filter filter;
};

/* What a question is read against. */
struct tars_wording_from {
    struct tars_arena *arena;
    struct tars_analyzer *analyzer;
    const struct tars_index *index;
    const struct tars_index_filter *visible; /* NULL: all */
    const int *langs;                        /* (lang_count,) that the index holds */
    size_t lang_count;
};

/* Text and ids live in the arena, or are those of query. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_wording_read(const struct tars_wording_from *from,
                                            struct tars_span query, struct tars_wording *out);
/* What meets the demands, of what scope accepts (NULL: all); scope itself where none binds. Lent by
 * wording until the next call. */
const struct tars_index_filter *tars_wording_filter(struct tars_wording *wording,
                                                    const struct tars_index_filter *scope);
/* Where query wants the words of unmet to stand: "passage", "title" or "heading". Static. */
const char *tars_wording_place(struct tars_span query, const char *unmet);
/* Whether the passage is one of them. */
bool tars_wording_accepts(const struct tars_wording *wording, uint64_t id);

#endif
