/* typos - words of a question that no passage has, by those that are spelt nearly so.
 *
 * Such a word stays, and up to TARS_TYPOS_MAX neighbours (index/typos.h) stand beside it at the
 * same place, so that for coverage they are one word.
 */
#ifndef TARS_RETRIEVE_TYPOS_H
#define TARS_RETRIEVE_TYPOS_H

#include "base/mem/arena.h"
#include "base/status.h"
#include "index/index.h"
#include "text/analyzer.h"

#define TARS_TYPOS_MAX    3
#define TARS_TYPOS_WEIGHT 0.5F /* of a neighbour, a step */

/* Append the neighbours of terms; *own of them were there before. Those behind weigh weights[i -
 * own] of their word. In arena. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_typos_widen(struct tars_arena *arena, const struct tars_index *index,
                                           struct tars_terms *terms, size_t *own, float **weights);

#endif
