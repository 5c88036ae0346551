/* glob - patterns of names, as Redis has them: * any text, ? one byte, [a-z] and [^a-z] a set, and
 * a backslash before what is meant as it is. An unclosed set ends with the pattern.
 *
 * Time is at most the product of both lengths, whatever the pattern: only the last star is ever
 * tried again, because an earlier one can take nothing that the last one could not.
 */
#ifndef TARS_CACHE_GLOB_H
#define TARS_CACHE_GLOB_H

#include <stdbool.h>

/* Both are terminated. */
bool tars_glob_matches(const char *pattern, const char *text);

#endif
