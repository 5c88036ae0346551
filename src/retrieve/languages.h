/* languages - what the index holds, by language: in which ones a question is analysed, and how much
 * of it the encoder knows. */
#ifndef TARS_RETRIEVE_LANGUAGES_H
#define TARS_RETRIEVE_LANGUAGES_H

#include <stddef.h>

#include "index/index.h"

#define TARS_LANGUAGES_ASKED 4 /* languages that a question is analysed in */

/* The languages that the index holds enough of, most frequent first, in langs, shape
 * (TARS_LANGUAGES_ASKED,). Returns how many. */
size_t tars_languages_held(const struct tars_index_stats *stats, int *langs);
/* English passages among those whose language is known, 0..1; 1 for an empty index. */
double tars_languages_english_share(const struct tars_index_stats *stats);

#endif
