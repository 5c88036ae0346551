/* sentences - see sentences.h.
 *
 * One pass. At a mark that can end a sentence the text on both sides decides: what comes before
 * (an abbreviation, an initial, a number) and what comes after (white space, then a letter that is
 * not lower case). Wrong answers are cheap here: a chunk is cut a sentence early or late.
 */
#include "text/sentences.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <utf8proc.h>

#include "text/normalize.h"

#define WORD_MAX ((size_t)16) /* bytes of the longest abbreviation looked at */

/* Lower case, without the final dot; a space at both ends of each. A sentence seldom ends here. */
static const char ABBREVIATIONS[] =
    " mr mrs ms dr prof sr jr st rev hon gen col capt lt maj sgt gov sen rep pres messrs mme mlle "
    "vs cf ca al etc approx dept est fig figs eq eqs sec ch chap vol vols nos nr p pp pg ed "
    "eds e.g i.e u.s u.k u.n a.m p.m ph.d inc ltd co corp bros univ jan feb apr jun jul aug "
    "sep sept oct nov dec ave blvd rd mt ft "
    "z.b d.h u.a o.ä bzw ca evtl ggf inkl exkl vgl usw str abs abb tel hrsg jh "
    "sra srta ud uds pág págs núm av ej p.ej ee.uu "
    "т.е т.д т.п т.к г гг ул им см стр рис руб тыс млн млрд др пр "
    "vb örn bkz yy doç alb ";

enum before { PLAIN, NEVER, UNLESS_CAPITAL };

struct cursor {
    const char *text;
    size_t len;
};

static uint32_t char_at(const struct cursor *in, size_t at, size_t *next)
{
    uint32_t code;

    if (at >= in->len) {
        *next = at;
        return 0;
    }
    *next = at + tars_utf8_decode(in->text + at, in->len - at, &code);
    return code;
}

/* Ends a sentence wherever it stands, no space needed. */
static bool is_full_stop(uint32_t code)
{
    switch (code) {
    case 0x3002: /* ideographic */
    case 0xFF0E: /* full width . */
    case 0xFF01: /* full width ! */
    case 0xFF1F: /* full width ? */
    case 0xFF61: /* half width ideographic */
    case 0x0964: /* danda */
    case 0x0965: /* double danda */
    case 0x061F: /* Arabic ? */
    case 0x06D4: /* Urdu full stop */
    case 0x1362: /* Ethiopic */
    case 0x104A: /* Myanmar */
    case 0x104B:
    case 0x17D4: /* Khmer */
    case 0x203C: /* !! */
    case 0x2047: /* ?? */
    case 0x2048:
    case 0x2049:
        return true;
    default:
        return false;
    }
}

static bool is_closing(uint32_t code)
{
    if (code < 0x80)
        return code == '"' || code == '\'' || code == ')' || code == ']' || code == '}';
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PF:
        return true;
    default:
        return false;
    }
}

static bool is_lower(uint32_t code)
{
    return code < 0x80 ? code >= 'a' && code <= 'z'
                       : utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_LL;
}

static bool is_upper(uint32_t code)
{
    return code < 0x80 ? code >= 'A' && code <= 'Z'
                       : utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_LU;
}

/* The word that ends at byte dot, dots inside included: bytes of it. */
static size_t word_before(const struct cursor *in, size_t from, size_t dot)
{
    size_t start = dot;

    while (start > from && dot - start <= 4 * WORD_MAX) {
        size_t at = tars_utf8_floor(in->text, in->len, start - 1);
        size_t next;
        uint32_t code = char_at(in, at, &next);

        if (!tars_char_is_alnum(code) && code != '.')
            break;
        start = at;
    }
    return dot - start;
}

static bool is_abbreviation(const char *word, size_t len)
{
    char key[WORD_MAX * 2 + (size_t)2 * TARS_UTF8_MAX];
    size_t to = 0;

    key[to++] = ' ';
    for (size_t i = 0; i < len && to < WORD_MAX * 2;) {
        uint32_t code;

        i += tars_utf8_decode(word + i, len - i, &code);
        to += tars_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)code), key + to);
    }
    key[to++] = ' ';
    return memmem(ABBREVIATIONS, sizeof(ABBREVIATIONS) - 1, key, to) != NULL;
}

/* What the word before a dot says about an end there. */
static enum before judge_before(const struct cursor *in, size_t from, size_t dot)
{
    size_t len = word_before(in, from, dot);
    const char *word = in->text + dot - len;
    uint32_t code;

    if (len == 0 || len > 4 * WORD_MAX)
        return PLAIN;
    if (tars_utf8_decode(word, len, &code) == len && is_upper(code) && code != 'I')
        return NEVER; /* an initial */
    if (len <= WORD_MAX && is_abbreviation(word, len))
        return NEVER;
    if (memchr(word, '.', len) && word[0] >= '0' && word[0] <= '9')
        return UNLESS_CAPITAL; /* 1.2. */
    if (dot - len == from && len <= 3 && word[0] >= '0' && word[0] <= '9')
        return NEVER; /* the number of a list item */
    return PLAIN;
}

/* Past marks and closing signs that belong to the sentence that ends before at. */
static size_t skip_closing(const struct cursor *in, size_t at)
{
    size_t next;

    for (;;) {
        uint32_t code = char_at(in, at, &next);

        if (next == at ||
            (!is_closing(code) && !is_full_stop(code) && code != '.' && code != '!' && code != '?'))
            return at;
        at = next;
    }
}

/* A dot, ! or ? at byte at, with what closes after it up to after, ends the sentence that began at
 * from. */
static bool ends_here(const struct cursor *in, size_t from, size_t at, uint32_t mark, size_t after)
{
    size_t next;
    enum before before = PLAIN;
    uint32_t code = char_at(in, after, &next);

    if (next != after && !tars_char_is_space(code) && !tars_char_is_cjk(code))
        return false;
    if (mark == '.' && after == at + 1)
        before = judge_before(in, from, at);
    while (next != after && tars_char_is_space(code)) {
        after = next;
        code = char_at(in, after, &next);
    }
    if (next != after && (before == NEVER || is_lower(code)))
        return false;
    if (next != after && before == UNLESS_CAPITAL && !is_upper(code))
        return false;
    return true;
}

/* A line that begins at byte at opens a list item: "- x", "* x", "• x", "12. x", "3) x". */
static bool is_item(const struct cursor *in, size_t at)
{
    size_t next;
    size_t digits = 0;
    uint32_t code;

    while (at < in->len && (in->text[at] == ' ' || in->text[at] == '\t'))
        at++;
    code = char_at(in, at, &next);
    if (code == '-' || code == '*' || code == '+' || code == 0x2022 || code == 0x2013)
        return next < in->len && in->text[next] == ' ';
    while (at < in->len && in->text[at] >= '0' && in->text[at] <= '9' && digits < 4) {
        at++;
        digits++;
    }
    return digits > 0 && at + 1 < in->len && (in->text[at] == '.' || in->text[at] == ')') &&
           in->text[at + 1] == ' ';
}

/* The line feed at byte at ends a sentence: an empty line or a list item follows. */
static bool breaks_line(const struct cursor *in, size_t at)
{
    size_t i = at + 1;

    while (i < in->len && (in->text[i] == ' ' || in->text[i] == '\t' || in->text[i] == '\r'))
        i++;
    return i >= in->len || in->text[i] == '\n' || is_item(in, at + 1);
}

static size_t trim_end(const struct cursor *in, size_t start, size_t end)
{
    while (end > start) {
        size_t at = tars_utf8_floor(in->text, in->len, end - 1);
        size_t next;

        if (!tars_char_is_space(char_at(in, at, &next)))
            break;
        end = at;
    }
    return end;
}

static size_t sentence_end(const struct cursor *in, size_t start)
{
    size_t next;
    size_t end;

    for (size_t at = start; at < in->len; at = next) {
        uint32_t code = char_at(in, at, &next);

        if (code == '.' || code == '!' || code == '?' || code == 0x2026) {
            end = skip_closing(in, next);
            if (ends_here(in, start, next - 1, code, end))
                return end;
            next = end; /* marks in a row are judged once: this keeps it linear */
        }
        if (is_full_stop(code))
            return skip_closing(in, next);
        if (code == '\n' && breaks_line(in, at))
            return trim_end(in, start, at);
        if (code == 0x2029 || code == '\f')
            return trim_end(in, start, at);
    }
    return trim_end(in, start, in->len);
}

size_t tars_sentences_next(const char *text, size_t len, size_t start)
{
    struct cursor in = {text, len};

    return sentence_end(&in, start);
}

tars_status tars_sentences_split(struct tars_arena *arena, const char *text, size_t len,
                                 struct tars_sentences *out)
{
    struct cursor in = {text, len};
    struct tars_sentences found = {0};
    void *items = NULL;
    size_t cap = 0;
    size_t at = 0;

    while (at < len) {
        size_t next;
        size_t end;

        if (tars_char_is_space(char_at(&in, at, &next))) {
            at = next;
            continue;
        }
        end = sentence_end(&in, at);
        if (tars_arena_grow(arena, &items, &cap, found.count + 1, sizeof(*found.items)) != TARS_OK)
            return TARS_ENOMEM;
        found.items = items;
        found.items[found.count++] = (struct tars_range){at, end};
        at = end;
    }
    *out = found;
    return TARS_OK;
}
