/* html_article - which part of a page is what people come for.
 *
 * Every element is measured once, from the leaves up: text, text inside links, commas. Elements
 * that by tag, role, class or id are furniture (navigation, advertisements, comments, share
 * buttons) are dropped. Then paragraphs vote: each gives points for its length and commas to its
 * parent and, less and less, to what is above; the share of text inside links takes points away.
 * The winner is the article, together with those of its neighbours that are like it. A page where
 * nobody wins clearly (a list, a form, a short notice) is read as a whole, without its furniture.
 *
 * Limits    HTML_DEPTH_MAX levels are looked at; deeper text counts as text of that level.
 * Memory    One record for each element, in the caller's arena.
 */
#ifndef TARS_EXTRACT_FORMATS_HTML_ARTICLE_H
#define TARS_EXTRACT_FORMATS_HTML_ARTICLE_H

#include <stdbool.h>
#include <stddef.h>

#include <gumbo.h>

#include "base/mem/arena.h"

#define TARS_HTML_DEPTH_MAX 300

/* What is known of an element. */
struct tars_html_note {
    const GumboNode *node;
    int parent;       /* index of its note, -1 at the root */
    int last;         /* index of the last note below it; notes are in document order */
    size_t text;      /* characters of text in it, white space runs as one */
    size_t link_text; /* of these, inside links */
    size_t commas;
    size_t paragraphs; /* elements p in it with a sentence */
    double score;      /* points of a candidate; 0: none */
    bool dropped;      /* it or something above is furniture */
    bool chosen;       /* root of a part of the article */
};

struct tars_html_page {
    struct tars_html_note *notes; /* (count,) */
    size_t count;
    size_t cap;
};

/* Measure the page and mark what is dropped and chosen. False when there is no memory. */
bool tars_html_choose(struct tars_arena *arena, const GumboNode *root, struct tars_html_page *page);

/* True for elements whose content is not text for people: scripts, controls, the head. */
bool tars_html_is_never_read(const GumboNode *node);

/* Note of an element; NULL for one that was not measured. Ascending calls are fast. */
const struct tars_html_note *tars_html_find(const struct tars_html_page *page,
                                            const GumboNode *node, size_t *hint);

#endif
