/* words - see words.h.
 *
 * DESIGN
 *
 * Two passes. The first cuts and classifies; the second asks the analyzer for the stem of each
 * distinct word once (a hash table of the words of this text), because stemming costs a hundred
 * times more than looking up.
 */
#include "rag/words.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "rag/listed.h"
#include "text/normalize.h"

#define MARK_BYTES_MAX 64 /* a citation mark is shorter */

/* Lower-case words that turn a statement round, over the languages of the analyzer. */
static const char *const negations[] = {
    "not",    "no",     "never",  "none",   "nobody",  "nothing", "neither", "nor",    "without",
    "cannot", "nicht",  "kein",   "keine",  "keinen",  "keinem",  "keiner",  "nie",    "niemals",
    "ohne",   "nunca",  "sin",    "ningún", "ninguna", "jamás",   "ne",      "jamais", "sans",
    "aucun",  "aucune", "не",     "нет",    "без",     "никогда", "değil",   "yok",    "yoktur",
    "لا",     "لم",     "لن",     "ليس",    "ليست",    "नहीं",     "न",       "niet",   "geen",
    "nooit",  "non",    "não",    "inte",   "ikke",    "不",      "没",      "無",     "无",
    "非",     "未",     "ません",
};

/* Lower-case words that say a negation in other words. */
static const char *const denials[] = {
    "lack",    "lacks",  "lacked",  "lacking", "fail",   "fails",  "failed",
    "failure", "unable", "absence", "absent",  "hardly", "rarely", "seldom",
    "despite", "unlike", "rather",  "instead", "except", "unless", "although",
    "ohne",    "weder",  "sans",    "few",     "little", "unless", "impossible",
};

struct scan {
    struct tars_arena *arena;
    struct tars_span text;
    struct tars_words *out;
    size_t word_cap;
    size_t number_cap;
    uint32_t sentence;
    bool first; /* the next word begins a sentence */
};

uint64_t tars_words_hash(struct tars_span text)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * UINT64_C(1099511628211);
    return hash ? hash : 1;
}

/* ------------------------------------------------------------ citation marks */

static size_t skip_spaces(struct tars_span text, size_t at)
{
    while (at < text.len && text.ptr[at] == ' ')
        at++;
    return at;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "Source ", any case. */
static size_t skip_source_word(struct tars_span text, size_t at)
{
    static const char word[] = "source";

    for (size_t i = 0; i < sizeof(word) - 1; i++) {
        if (at + i >= text.len ||
            ((unsigned char)text.ptr[at + i] | 0x20U) != (unsigned char)word[i])
            return at;
    }
    return skip_spaces(text, at + sizeof(word) - 1);
}

static size_t skip_numbers(struct tars_span text, size_t at)
{
    size_t digits = 0;

    while (at < text.len &&
           (is_digit(text.ptr[at]) || text.ptr[at] == ',' || text.ptr[at] == ' ')) {
        digits += is_digit(text.ptr[at]);
        at++;
    }
    return digits && digits <= 9 ? at : 0;
}

/* ": file name" inside a mark that names its source. */
static size_t skip_name(struct tars_span text, size_t at)
{
    if (at >= text.len || text.ptr[at] != ':')
        return at;
    while (at < text.len && at < MARK_BYTES_MAX && text.ptr[at] != ']' && text.ptr[at] != ')')
        at++;
    return at;
}

static size_t skip_bracket(struct tars_span text, size_t at, const char *bracket)
{
    size_t len = strlen(bracket);

    return at + len <= text.len && memcmp(text.ptr + at, bracket, len) == 0 ? at + len : 0;
}

size_t tars_words_mark(struct tars_span text)
{
    static const struct {
        const char *open;
        const char *close;
        bool must_name; /* "(1)" is no mark, "(Source 1)" is */
    } kinds[] = {{"[", "]", false}, {"(", ")", true}, {"\xE3\x80\x90", "\xE3\x80\x91", false}};

    if (text.len == 0 || !strchr("[(\xE3", text.ptr[0]) || text.ptr[0] == '\0')
        return 0; /* nearly every character */
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t inside = skip_bracket(text, 0, kinds[i].open);
        size_t source = inside ? skip_source_word(text, inside) : 0;
        size_t at = source ? skip_numbers(text, source) : 0;

        if (at == 0 || (kinds[i].must_name && source == inside))
            continue;
        if (source != inside)
            at = skip_name(text, at);
        return skip_bracket(text, at, kinds[i].close);
    }
    return 0;
}

/* -------------------------------------------------------------- first pass */

static bool is_upper(uint32_t code)
{
    if (code < 0xC0)
        return code >= 'A' && code <= 'Z';
    if (code < 0x100)
        return code <= 0xDE && code != 0xD7;
    if (code < 0x180 || (code >= 0x1E00 && code < 0x1F00))
        return code % 2 == 0;
    return (code >= 0x386 && code <= 0x3AB && code != 0x390) || (code >= 0x400 && code <= 0x42F);
}

/* Letters without capitals: past Armenian and short of the Latin and Greek additions. */
static bool is_caseless(uint32_t code)
{
    return code >= 0x590 && (code < 0x1E00 || code >= 0x2000) && tars_digit_value(code) < 0;
}

static struct tars_word *add_word(struct scan *scan, size_t start, size_t end)
{
    struct tars_words *out = scan->out;
    struct tars_word *word;

    if (tars_arena_grow(scan->arena, (void **)&out->items, &scan->word_cap, out->count + 1,
                        sizeof(*out->items)) != TARS_OK)
        return NULL;
    word = &out->items[out->count++];
    *word = (struct tars_word){.start = start, .end = end, .sentence = scan->sentence};
    if (scan->first)
        word->flags |= (uint32_t)TARS_WORD_FIRST;
    scan->first = false;
    return word;
}

static tars_status attach_number(struct scan *scan, struct tars_word *word,
                                 const struct tars_number *number)
{
    struct tars_words *out = scan->out;
    double value = number->value * number->scale;

    if (tars_arena_grow(scan->arena, (void **)&out->numbers, &scan->number_cap,
                        out->number_count + 1, sizeof(*out->numbers)) != TARS_OK)
        return TARS_ENOMEM;
    word->flags |= TARS_WORD_NUMBER;
    word->number = (uint32_t)out->number_count;
    word->hash = tars_words_hash(tars_span((const char *)&value, sizeof(value)));
    word->term = word->hash;
    out->numbers[out->number_count++] = *number;
    return TARS_OK;
}

static bool is_among(const char *const *table, size_t count, struct tars_span fold)
{
    for (size_t i = 0; i < count; i++) {
        if (tars_listed_is(fold, table[i]))
            return true;
    }
    return false;
}

static bool is_negation(struct tars_span fold)
{
    if (is_among(negations, sizeof(negations) / sizeof(negations[0]), fold))
        return true;
    return fold.len > 3 && (memcmp(fold.ptr + fold.len - 3, "n't", 3) == 0);
}

static tars_status fold_word(struct scan *scan, struct tars_word *word)
{
    const char *ptr = scan->text.ptr + word->start;
    double value;
    tars_status status =
        tars_normalize(scan->arena, TARS_NFKC_LOW, ptr, word->end - word->start, &word->fold);

    if (status != TARS_OK)
        return status;
    word->hash = tars_words_hash(word->fold);
    if (is_negation(word->fold)) {
        word->flags |= TARS_WORD_NEGATION | TARS_WORD_DENIAL;
    } else if (is_among(denials, sizeof(denials) / sizeof(denials[0]), word->fold)) {
        word->flags |= TARS_WORD_DENIAL;
    }
    if ((word->flags & TARS_WORD_CAPITAL) && tars_number_month_of(word->fold))
        word->flags |= TARS_WORD_MONTH;
    if (tars_number_of_word(word->fold, &value)) {
        struct tars_number number = {.value = value, .other = value, .scale = 1};

        return attach_number(scan, word, &number);
    }
    return TARS_OK;
}

/* The end of the word of letters that begins at at, and what it looks like. */
static size_t letters_end(struct tars_span text, size_t at, size_t end, uint32_t *flags)
{
    size_t letters = 0;

    while (at < end) {
        uint32_t code;
        size_t len = tars_utf8_decode(text.ptr + at, end - at, &code);

        if (!tars_char_is_alnum(code) || tars_char_is_cjk(code))
            break;
        if (is_upper(code))
            *flags |= letters ? TARS_WORD_MIXED : TARS_WORD_CAPITAL;
        if (is_caseless(code))
            *flags |= TARS_WORD_CASELESS;
        if (tars_digit_value(code) >= 0)
            *flags |= TARS_WORD_MIXED;
        letters++;
        at += len;
    }
    return at;
}

/* Bytes of an apostrophe at at, 0 if there is none. */
static size_t apostrophe(struct tars_span text, size_t at, size_t end)
{
    if (at < end && text.ptr[at] == '\'')
        return 1;
    return at + 3 <= end && memcmp(text.ptr + at, "\xE2\x80\x99", 3) == 0 ? 3 : 0;
}

static bool ends_word(struct tars_span text, size_t at, size_t end)
{
    uint32_t code;

    if (at >= end)
        return true;
    (void)tars_utf8_decode(text.ptr + at, end - at, &code);
    return !tars_char_is_alnum(code);
}

/* n't belongs to the word, the s of a genitive to nothing. Returns where to go on; *word_end is the
 * word's end. */
static size_t take_apostrophe(struct tars_span text, size_t at, size_t end, size_t *word_end)
{
    size_t mark = apostrophe(text, at, end);
    int next = mark && at + mark < end ? text.ptr[at + mark] : 0;

    *word_end = at;
    if ((next != 's' && next != 't') || !ends_word(text, at + mark + 1, end))
        return at;
    if (next == 't')
        *word_end = at + mark + 1;
    return at + mark + 1;
}

static tars_status take_letters(struct scan *scan, size_t *at, size_t end)
{
    uint32_t flags = 0;
    size_t word_end = letters_end(scan->text, *at, end, &flags);
    size_t start = *at;
    struct tars_word *word;

    *at = take_apostrophe(scan->text, word_end, end, &word_end);
    word = add_word(scan, start, word_end);
    if (!word)
        return TARS_ENOMEM;
    word->flags |= flags;
    return fold_word(scan, word);
}

static tars_status take_ideograph(struct scan *scan, size_t *at, size_t len)
{
    struct tars_word *word = add_word(scan, *at, *at + len);

    if (!word)
        return TARS_ENOMEM;
    *at += len;
    word->flags |= TARS_WORD_CJK | TARS_WORD_CASELESS;
    return fold_word(scan, word);
}

static tars_status take_number(struct scan *scan, size_t *at, size_t end)
{
    struct tars_number number;
    size_t len = tars_number_read(tars_span(scan->text.ptr + *at, end - *at), &number);
    struct tars_word *word = add_word(scan, *at, *at + len);

    if (!word)
        return TARS_ENOMEM;
    word->fold = tars_span(scan->text.ptr + *at, len);
    *at += len;
    return attach_number(scan, word, &number);
}

/* The unit that a character says: $, %, ... */
static enum tars_unit sign_at(struct tars_span text, size_t at, size_t len)
{
    return tars_number_unit_of(tars_span(text.ptr + at, len));
}

/* The word behind word in its sentence, close enough to belong to it; NULL if there is none. */
static struct tars_word *follower(const struct tars_words *words, const struct tars_word *word)
{
    struct tars_word *next = words->items + (word - words->items) + 1;

    if (next >= words->items + words->count || next->sentence != word->sentence ||
        next->start - word->end > 3)
        return NULL;
    return next;
}

static void set_scale(struct tars_word *word, struct tars_number *number, double scale)
{
    double value = number->value * scale;

    number->scale = scale;
    word->hash = tars_words_hash(tars_span((const char *)&value, sizeof(value)));
    word->term = word->hash;
}

/* What follows a number may be its scale or unit: "5 million", "5 percent", "500万". Such words
 * then say nothing of their own. */
static void finish_numbers(struct tars_words *words)
{
    for (size_t i = 0; i < words->count; i++) {
        struct tars_word *word = &words->items[i];
        struct tars_word *next = word->flags & TARS_WORD_NUMBER ? follower(words, word) : NULL;
        enum tars_unit unit;

        if (next && tars_number_scale_of(next->fold) > 0) {
            set_scale(word, &words->numbers[word->number], tars_number_scale_of(next->fold));
            next->term = 0;
            next = follower(words, next);
        }
        unit = next ? tars_number_unit_of(next->fold) : TARS_UNIT_NONE;
        if (unit) {
            words->numbers[word->number].unit = unit;
            next->term = 0;
        }
    }
}

/* A sign that stands between words: it may open a sentence or be a unit. */
static void note_sign(struct scan *scan, size_t at, size_t len, enum tars_unit *before)
{
    struct tars_words *out = scan->out;
    struct tars_word *last = out->count ? &out->items[out->count - 1] : NULL;
    enum tars_unit unit;

    if (scan->text.ptr[at] == ' ')
        return; /* by far the most frequent one: no sign */
    unit = sign_at(scan->text, at, len);
    if (unit == TARS_UNIT_NONE) {
        if (scan->text.ptr[at] == ':' || scan->text.ptr[at] == '"')
            scan->first = true;
        return;
    }
    if (last && (last->flags & TARS_WORD_NUMBER) && at - last->end <= 3 &&
        (unit == TARS_UNIT_PERCENT || unit == TARS_UNIT_EURO))
        out->numbers[last->number].unit = unit;
    *before = unit;
}

static tars_status take_word(struct scan *scan, uint32_t code, size_t *at, size_t len, size_t end,
                             enum tars_unit *before)
{
    tars_status status;

    if (tars_digit_value(code) >= 0) {
        status = take_number(scan, at, end);
        if (status == TARS_OK && *before > TARS_UNIT_PERCENT)
            scan->out->numbers[scan->out->number_count - 1].unit = *before;
    } else if (tars_char_is_cjk(code)) {
        status = take_ideograph(scan, at, len);
    } else {
        status = take_letters(scan, at, end);
    }
    *before = TARS_UNIT_NONE;
    return status;
}

static tars_status scan_sentence(struct scan *scan, struct tars_range range)
{
    enum tars_unit before = TARS_UNIT_NONE;
    tars_status status = TARS_OK;
    size_t at = range.start;

    scan->first = true;
    while (at < range.end && status == TARS_OK) {
        uint32_t code;
        size_t mark = tars_words_mark(tars_span(scan->text.ptr + at, range.end - at));
        size_t len = tars_utf8_decode(scan->text.ptr + at, range.end - at, &code);

        if (mark) {
            at += mark;
        } else if (tars_char_is_alnum(code)) {
            status = take_word(scan, code, &at, len, range.end, &before);
        } else {
            note_sign(scan, at, len, &before);
            at += len;
        }
    }
    return status;
}

/* ------------------------------------------------------------- second pass */

/* Open addressing; a slot is an index of a word plus one, 0 when empty. */
struct stems {
    uint32_t *slots;
    size_t mask;
};

static tars_status stem_of(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                           struct tars_word *word)
{
    struct tars_terms terms;
    tars_status status =
        tars_analyze(analyzer, arena, lang, word->fold.ptr, word->fold.len, &terms);

    if (status == TARS_OK && terms.count)
        word->term = tars_words_hash(tars_span(terms.items[0].ptr, terms.items[0].len));
    return status;
}

static tars_status stem_once(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                             struct stems *stems, struct tars_words *words, size_t i)
{
    struct tars_word *word = &words->items[i];
    size_t slot = word->hash & stems->mask;

    while (stems->slots[slot]) {
        const struct tars_word *other = &words->items[stems->slots[slot] - 1];

        if (other->hash == word->hash) {
            word->term = other->term;
            return TARS_OK;
        }
        slot = (slot + 1) & stems->mask;
    }
    stems->slots[slot] = (uint32_t)i + 1;
    return stem_of(analyzer, arena, lang, word);
}

/* An ideograph's term is the pair with the next one; the last of a run has none, unless it is the
 * whole run. */
static void pair_ideographs(struct tars_words *words)
{
    const struct tars_word *behind = NULL; /* the word after, if it is an ideograph */

    for (size_t i = words->count; words->items && i > 0; i--) {
        struct tars_word *word = &words->items[i - 1];
        const struct tars_word *next = behind;

        behind = word->flags & TARS_WORD_CJK ? word : NULL;
        if (!behind)
            continue;
        if (next && next->start == word->end) {
            word->term = (word->hash * UINT64_C(0x9E3779B97F4A7C15)) ^ next->hash;
            continue;
        }
        word->term = word->hash;
        if (i > 1 && (words->items[i - 2].flags & TARS_WORD_CJK) &&
            words->items[i - 2].end == word->start)
            word->term = 0;
    }
}

static tars_status stem_all(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                            struct tars_words *words)
{
    struct stems stems = {NULL, 1};
    tars_status status = TARS_OK;

    while (stems.mask < words->count * 2)
        stems.mask *= 2;
    stems.slots = tars_arena_calloc(arena, stems.mask, sizeof(*stems.slots));
    if (!stems.slots)
        return TARS_ENOMEM;
    stems.mask--;
    for (size_t i = 0; i < words->count && status == TARS_OK; i++) {
        if (!(words->items[i].flags & (TARS_WORD_CJK | TARS_WORD_NUMBER)))
            status = stem_once(analyzer, arena, lang, &stems, words, i);
    }
    pair_ideographs(words);
    return status;
}

tars_status tars_words_scan(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                            struct tars_span text, const struct tars_sentences *sentences,
                            struct tars_words *out)
{
    struct scan scan = {.arena = arena, .text = text, .out = out};
    tars_status status = TARS_OK;

    *out = (struct tars_words){NULL, 0, NULL, 0};
    for (size_t i = 0; i < sentences->count && status == TARS_OK; i++) {
        scan.sentence = (uint32_t)i;
        status = scan_sentence(&scan, sentences->items[i]);
    }
    if (status != TARS_OK)
        return status;
    status = stem_all(analyzer, arena, lang, out);
    finish_numbers(out);
    return status;
}
