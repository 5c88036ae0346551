/* answers - does an answer hold what was expected?
 *
 * Both are made comparable first: compatibility forms folded, lower case, only letters and digits
 * kept, English articles left out, as evaluations of SQuAD do it. What was expected must then stand
 * in the answer as whole words; a script that writes no spaces between words needs none.
 */
#ifndef TARS_EVAL_ANSWERS_H
#define TARS_EVAL_ANSWERS_H

#include <stdbool.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

/* *holds: expected stands in answer. What is nothing but marks and articles stands nowhere.
 * TARS_ENOMEM. Works in arena. */
TARS_MUST_USE tars_status tars_answer_holds(struct tars_arena *arena, struct tars_span answer,
                                            struct tars_span expected, bool *holds);

#endif
