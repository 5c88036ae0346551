/* stop_words - words that say nothing about what a text is about. */
#ifndef TARS_TEXT_STOP_WORDS_H
#define TARS_TEXT_STOP_WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* (ptr, len) is one in lang (analyzer.h); lower case. Languages without a list have none. */
bool tars_stop_word(int lang, const char *ptr, size_t len);

#endif
