/* coverage - how much of a question's words a passage holds, weighted by how rare they are: 0..1.
 *
 *     question   "annual leave of employees"     idf^1.5   annual 5.5   leave 3.3   employee 2.2
 *     passage    "... paid annual leave ..."     (5.5 + 3.3) / (5.5 + 3.3 + 2.2) = .80
 *
 * Unlike BM25 it does not depend on the passage's length or on how often a word stands there, so it
 * means the same for a paragraph and for a page of several topics. A word that no passage holds
 * counts as the rarest possible. Variants of one word (its stems in several languages) are one
 * word.
 *
 * Costs     A look-up in the postings for each word and passage.
 */
#ifndef TARS_RETRIEVE_COVERAGE_H
#define TARS_RETRIEVE_COVERAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "index/index.h"
#include "text/analyzer.h"

struct tars_coverage;

/* For the distinct terms of one question; all of it lives in arena. index and terms are borrowed
 * for the object's life. weighed: the same terms with their idf, or NULL. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_coverage_new(struct tars_arena *arena,
                                            const struct tars_index *index,
                                            const struct tars_terms *terms,
                                            const struct tars_index_query_term *weighed,
                                            struct tars_coverage **coverage);
/* 0 for a passage that is not there, and for a question without words. */
double tars_coverage_of(const struct tars_coverage *coverage, uint64_t id);

#endif
