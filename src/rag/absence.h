/* absence - why the documents do not answer: the reason as a value, and in words.
 *
 *     nothing may be searched              -> there is no document
 *     words that no passage holds          -> they are named
 *     all words occur, no passage passes   -> the nearest one is named, and how near it is
 *
 * All of it is of what the call may find alone (retrieve.h): a word that hidden passages hold is
 * one that no passage holds.
 */
#ifndef TARS_RAG_ABSENCE_H
#define TARS_RAG_ABSENCE_H

#include "base/mem/arena.h"
#include "rag/rag.h"

/* "missing_words", "too_far", "nothing_searched" or "nothing_found". Static. */
const char *tars_absence_reason(const struct tars_rag_absence *absence);
/* What the answer says, in arena; NULL without memory. unmet: as in the answer, or NULL. */
const char *tars_absence_text(struct tars_arena *arena, const struct tars_rag_absence *absence,
                              const char *unmet);
/* Keep of two wordings of a question the nearest passage, and what the first one misses. */
void tars_absence_join(struct tars_rag_absence *absence, const struct tars_rag_absence *other);

#endif
