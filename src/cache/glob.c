/* glob - see glob.h for the contract. */
#include "cache/glob.h"

#include <stddef.h>

/* A member of a set, after its backslash if it has one; moves *at past it. */
static unsigned char member(const char **at)
{
    if (**at == '\\' && (*at)[1])
        ++*at;
    return (unsigned char)*(*at)++;
}

/* *at is past the '['; it is moved past the ']'. */
static bool set_has(const char **at, unsigned char c)
{
    bool negated = **at == '^';
    bool found = false;

    *at += negated;
    while (**at && **at != ']') {
        unsigned char first = member(at);
        unsigned char last = first;

        if (**at == '-' && (*at)[1] && (*at)[1] != ']') {
            ++*at;
            last = member(at);
        }
        if (first > last) {
            unsigned char swap = first;

            first = last;
            last = swap;
        }
        found = found || (c >= first && c <= last);
    }
    *at += **at == ']';
    return found != negated;
}

/* Does one piece of the pattern match c? Moves *at past the piece if so. */
static bool piece_matches(const char **at, char c)
{
    const char *next = *at;
    bool matches;

    if (*next == '?') {
        next++;
        matches = true;
    } else if (*next == '[') {
        next++;
        matches = set_has(&next, (unsigned char)c);
    } else {
        next += *next == '\\' && next[1] != '\0';
        matches = *next != '\0' && *next == c;
        next += *next != '\0';
    }
    if (matches)
        *at = next;
    return matches;
}

bool tars_glob_matches(const char *pattern, const char *text)
{
    const char *star = NULL;   /* behind the last star */
    const char *resume = NULL; /* where the text goes on when that star takes one more */

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern && piece_matches(&pattern, *text)) {
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
