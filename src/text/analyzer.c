/* analyzer - see analyzer.h.
 *
 * The text is normalised once, as a whole; words are spans of that copy. A stem is nearly always
 * the beginning of its word, so the term then points at the word itself and only other stems are
 * copied.
 */
#include "text/analyzer.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libstemmer.h>

#include "text/normalize.h"
#include "text/stop_words.h"

static const char *const STEMMERS[TARS_LANGUAGE_COUNT] = {
#define X(name, value, code, stemmer) [value] = (stemmer),
    TARS_LANGUAGE_LIST(X)
#undef X
};

struct tars_analyzer {
    struct sb_stemmer *stemmers[TARS_LANGUAGE_COUNT]; /* owned; NULL until first used */
};

tars_status tars_analyzer_new(struct tars_analyzer **analyzer)
{
    struct tars_analyzer *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    *analyzer = made;
    return TARS_OK;
}

void tars_analyzer_free(struct tars_analyzer *analyzer)
{
    if (!analyzer)
        return;
    for (int i = 0; i < TARS_LANGUAGE_COUNT; i++)
        sb_stemmer_delete(analyzer->stemmers[i]);
    free(analyzer);
}

/* One text on its way to terms. */
struct run {
    struct tars_arena *arena;
    struct sb_stemmer *stemmer; /* NULL: words stay as they are */
    int lang;
    int asked_in; /* its stop words are dropped too: the language of a question, else lang */
    bool keep_stop_words;
    size_t stop_words; /* of lang, that were met */
    struct tars_terms out;
    size_t cap;
    uint32_t position;  /* of the next word */
    tars_status status; /* sticky */
};

/* ------------------------------------------------------------------- terms */

static void add_term(struct run *run, const char *ptr, size_t len, uint32_t position)
{
    void *items = run->out.items;

    if (len > TARS_TERM_BYTES_MAX)
        len = tars_utf8_floor(ptr, len, TARS_TERM_BYTES_MAX);
    if (len == 0 || run->status != TARS_OK)
        return;
    run->status =
        tars_arena_grow(run->arena, &items, &run->cap, run->out.count + 1, sizeof(*run->out.items));
    if (run->status != TARS_OK)
        return;
    run->out.items = items;
    run->out.items[run->out.count++] = (struct tars_term){ptr, (uint32_t)len, position, 1};
}

/* Letters that make a stem worth having: a stemmer given digits only wastes time. */
static bool has_letter(const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((ptr[i] & 0x80) || (ptr[i] >= 'a' && ptr[i] <= 'z'))
            return true;
    }
    return false;
}

static void add_stem(struct run *run, const char *ptr, size_t len)
{
    const char *stem;
    size_t stem_len;

    if (!run->stemmer || len > TARS_TERM_BYTES_MAX || !has_letter(ptr, len)) {
        add_term(run, ptr, len, run->position);
        return;
    }
    stem = (const char *)sb_stemmer_stem(run->stemmer, (const sb_symbol *)ptr, (int)len);
    if (!stem) {
        run->status = TARS_ENOMEM;
        return;
    }
    stem_len = (size_t)sb_stemmer_length(run->stemmer);
    if (stem_len > len || memcmp(stem, ptr, stem_len) != 0) {
        ptr = tars_arena_strndup(run->arena, stem, stem_len);
        if (!ptr) {
            run->status = TARS_ENOMEM;
            return;
        }
    }
    add_term(run, ptr, stem_len, run->position);
}

/* ------------------------------------------------------------------- words */

enum kind { GAP, WORD, PAIRED };

static bool is_hangul(uint32_t code)
{
    return code >= 0xAC00 && code <= 0xD7A3;
}

static enum kind kind_of(uint32_t code)
{
    if (!tars_char_is_alnum(code))
        return GAP;
    return tars_char_is_cjk(code) || is_hangul(code) ? PAIRED : WORD;
}

/* Every two neighbours of a run without spaces; a lone character by itself. */
static void add_pairs(struct run *run, const char *ptr, size_t len)
{
    uint32_t code;
    size_t first = tars_utf8_decode(ptr, len, &code);

    if (first == len)
        add_term(run, ptr, len, run->position++);
    for (size_t at = 0; at + first < len; run->position++) {
        size_t second = tars_utf8_decode(ptr + at + first, len - at - first, &code);

        add_term(run, ptr + at, first + second, run->position);
        at += first;
        first = second;
    }
}

static void add_word(struct run *run, const char *ptr, size_t len)
{
    bool stops = tars_stop_word(run->lang, ptr, len);

    run->stop_words += stops;
    if (!stops && run->asked_in != run->lang)
        stops = tars_stop_word(run->asked_in, ptr, len);
    if (run->keep_stop_words || !stops)
        add_stem(run, ptr, len);
    run->position++;
}

static bool is_apostrophe(uint32_t code)
{
    return code == '\'' || code == 0x2019 || code == 0x2BC;
}

/* A word with an apostrophe at byte cut, which is width bytes long. English keeps both parts as one
 * word (the stemmer knows 's), Turkish keeps the first (the rest is endings), others have two. */
static void add_joined(struct run *run, const char *ptr, size_t len, size_t cut, size_t width)
{
    if (run->lang == TARS_LANG_ENGLISH) {
        char *word = tars_arena_alloc(run->arena, len);

        if (!word) {
            run->status = TARS_ENOMEM;
            return;
        }
        memcpy(word, ptr, cut);
        word[cut] = '\'';
        memcpy(word + cut + 1, ptr + cut + width, len - cut - width);
        add_word(run, word, len - width + 1);
        run->position++;
        return;
    }
    add_word(run, ptr, cut);
    if (run->lang == TARS_LANG_TURKISH) {
        run->position++;
    } else {
        add_word(run, ptr + cut + width, len - cut - width);
    }
}

/* The end of the run of characters of one kind that begins at byte at. */
static size_t run_end(struct tars_span text, size_t at, enum kind kind)
{
    while (at < text.len) {
        uint32_t code;
        size_t n = tars_utf8_decode(text.ptr + at, text.len - at, &code);

        if (kind_of(code) != kind)
            break;
        at += n;
    }
    return at;
}

/* A word that begins at byte at, perhaps with one apostrophe inside; returns where it ends. */
static size_t take_word(struct run *run, struct tars_span text, size_t at)
{
    size_t end = run_end(text, at, WORD);
    uint32_t code = 0;
    size_t width = 0;
    size_t second = end;

    if (end < text.len) {
        width = tars_utf8_decode(text.ptr + end, text.len - end, &code);
        if (is_apostrophe(code))
            second = run_end(text, end + width, WORD);
    }
    if (second <= end + width) {
        add_word(run, text.ptr + at, end - at);
        return end;
    }
    add_joined(run, text.ptr + at, second - at, end - at, width);
    return second;
}

static void take_text(struct run *run, struct tars_span text)
{
    for (size_t at = 0; at < text.len && run->status == TARS_OK;) {
        uint32_t code;
        size_t n = tars_utf8_decode(text.ptr + at, text.len - at, &code);
        enum kind kind = kind_of(code);
        size_t end;

        if (kind == GAP) {
            at += n;
        } else if (kind == WORD) {
            at = take_word(run, text, at);
        } else {
            end = run_end(text, at, PAIRED);
            add_pairs(run, text.ptr + at, end - at);
            at = end;
        }
    }
}

/* ----------------------------------------------------------------- entries */

static tars_status stemmer_of(struct tars_analyzer *analyzer, int lang, struct sb_stemmer **out)
{
    if (STEMMERS[lang] && !analyzer->stemmers[lang]) {
        analyzer->stemmers[lang] = sb_stemmer_new(STEMMERS[lang], NULL);
        if (!analyzer->stemmers[lang])
            return TARS_ENOMEM;
    }
    *out = analyzer->stemmers[lang];
    return TARS_OK;
}

/* Which way a text is taken. */
struct way {
    int lang;
    int asked_in;
    bool keep_stop_words;
};

static tars_status fold(struct tars_arena *arena, int lang, struct tars_span text,
                        struct tars_span *out)
{
    enum tars_normal_form form = lang == TARS_LANG_TURKISH ? TARS_NFKC_LOW_TURKISH : TARS_NFKC_LOW;
    tars_status status = tars_normalize(arena, form, text.ptr, text.len, out);

    if (status != TARS_OK || out->len == 0 || out->ptr != text.ptr)
        return status;
    /* Lent back, but terms must live as long as the arena. */
    out->ptr = tars_arena_strndup(arena, text.ptr, text.len);
    return out->ptr ? TARS_OK : TARS_ENOMEM;
}

/* *stop_words may be NULL. */
static tars_status analyze(struct tars_analyzer *analyzer, struct tars_arena *arena, struct way way,
                           struct tars_span text, struct tars_terms *out, size_t *stop_words)
{
    struct run run = {.arena = arena,
                      .lang = way.lang,
                      .asked_in = way.asked_in,
                      .keep_stop_words = way.keep_stop_words};
    struct tars_span folded;
    tars_status status = stemmer_of(analyzer, run.lang, &run.stemmer);

    if (status == TARS_OK)
        status = fold(arena, run.lang, text, &folded);
    if (status != TARS_OK)
        return status;
    take_text(&run, folded);
    if (run.status != TARS_OK)
        return run.status;
    *out = run.out;
    if (stop_words)
        *stop_words = run.stop_words;
    return TARS_OK;
}

static int known(int lang)
{
    return lang >= 0 && lang < TARS_LANGUAGE_COUNT ? lang : TARS_LANG_UNKNOWN;
}

tars_status tars_analyze(struct tars_analyzer *analyzer, struct tars_arena *arena, int lang,
                         const char *text, size_t len, struct tars_terms *out)
{
    struct way way = {known(lang), known(lang), false};

    return analyze(analyzer, arena, way, tars_span(text, len), out, NULL);
}

static uint64_t hash_term(const char *ptr, size_t len)
{
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)ptr[i]) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

/* Open addressing over the distinct terms found so far; an entry is an index + 1, 0 is free. */
struct tally {
    struct tars_term *terms; /* (count,); count of each is that of the tally */
    size_t count;
    uint32_t *slots; /* (mask + 1,) */
    size_t mask;
};

static tars_status tally_init(struct tally *tally, struct tars_arena *arena, size_t terms)
{
    size_t slots = 16;

    while (slots < terms * 2)
        slots *= 2;
    tally->terms = tars_arena_calloc(arena, terms + 1, sizeof(*tally->terms));
    tally->slots = tars_arena_calloc(arena, slots, sizeof(*tally->slots));
    tally->mask = slots - 1;
    tally->count = 0;
    return tally->terms && tally->slots ? TARS_OK : TARS_ENOMEM;
}

/* The entry of a term; a new one has count 0. */
static struct tars_term *tally_find(struct tally *tally, const struct tars_term *term)
{
    size_t slot = hash_term(term->ptr, term->len) & tally->mask;
    struct tars_term *found;

    for (; tally->slots[slot]; slot = (slot + 1) & tally->mask) {
        found = &tally->terms[tally->slots[slot] - 1];
        if (found->len == term->len && memcmp(found->ptr, term->ptr, term->len) == 0)
            return found;
    }
    found = &tally->terms[tally->count];
    *found = *term;
    found->count = 0;
    tally->slots[slot] = (uint32_t)++tally->count;
    return found;
}

static tars_status tally_all(struct tally *tally, struct tars_arena *arena,
                             const struct tars_terms *terms)
{
    if (tally_init(tally, arena, terms->count) != TARS_OK)
        return TARS_ENOMEM;
    for (size_t i = 0; i < terms->count; i++)
        tally_find(tally, &terms->items[i])->count++;
    return TARS_OK;
}

tars_status tars_terms_tally(struct tars_arena *arena, const struct tars_terms *terms,
                             struct tars_term_count **out, size_t *count_out)
{
    struct tars_term_count *counts = tars_arena_calloc(arena, terms->count + 1, sizeof(*counts));
    struct tally tally;

    if (!counts || tally_all(&tally, arena, terms) != TARS_OK)
        return TARS_ENOMEM;
    for (size_t i = 0; i < tally.count; i++) {
        counts[i] =
            (struct tars_term_count){tally.terms[i].ptr, tally.terms[i].len, tally.terms[i].count};
    }
    *out = counts;
    *count_out = tally.count;
    return TARS_OK;
}

tars_status tars_terms_order(struct tars_arena *arena, const struct tars_terms *terms,
                             uint32_t **out, size_t *count_out)
{
    size_t places = terms->count ? (size_t)terms->items[terms->count - 1].position + 1 : 0;
    uint32_t *order = tars_arena_alloc(arena, (places + 1) * sizeof(*order));
    struct tally tally;

    if (!order || tally_init(&tally, arena, terms->count) != TARS_OK)
        return TARS_ENOMEM;
    for (size_t i = 0; i < places; i++)
        order[i] = UINT32_MAX;
    for (size_t i = 0; i < terms->count; i++) {
        const struct tars_term *term = tally_find(&tally, &terms->items[i]);

        order[terms->items[i].position] = (uint32_t)(term - tally.terms);
    }
    *out = order;
    *count_out = places;
    return TARS_OK;
}

/* Distinct terms of n lists, each with its highest count in any of them. */
static tars_status distinct(struct tars_arena *arena, const struct tars_terms *each, size_t n,
                            struct tars_terms *out)
{
    struct tally all;
    size_t total = 0;

    for (size_t i = 0; i < n; i++)
        total += each[i].count;
    if (tally_init(&all, arena, total) != TARS_OK)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct tally one;

        if (tally_all(&one, arena, &each[i]) != TARS_OK)
            return TARS_ENOMEM;
        for (size_t k = 0; k < one.count; k++) {
            struct tars_term *term = tally_find(&all, &one.terms[k]);

            if (one.terms[k].count > term->count)
                term->count = one.terms[k].count;
        }
    }
    *out = (struct tars_terms){all.terms, all.count};
    return TARS_OK;
}

static bool is_letter(const struct tars_term *term)
{
    return term->len == 1 && term->ptr[0] >= 'a' && term->ptr[0] <= 'z';
}

/* Initials and enumerations lead a long question astray; a short one ("vitamin C") needs them. */
static void drop_letters(struct tars_terms *terms)
{
    size_t letters = 0;
    size_t to = 0;

    for (size_t i = 0; i < terms->count; i++)
        letters += is_letter(&terms->items[i]);
    if (terms->count - letters < TARS_QUESTION_LONG)
        return;
    for (size_t i = 0; i < terms->count; i++) {
        if (!is_letter(&terms->items[i]))
            terms->items[to++] = terms->items[i];
    }
    terms->count = to;
}

/* A question in every language of the index. */
struct question {
    struct tars_analyzer *analyzer;
    struct tars_arena *arena;
    const int *langs; /* (n,) */
    size_t n;
    struct tars_span text;
    struct tars_terms *each; /* (n,) in the arena */
};

/* The language most of whose stop words the question holds: a better sign in a short text than
 * letters are. TARS_LANG_UNKNOWN when it has none. Without it the "the" of an English question
 * would count as a rare word of the two French documents that the index also has. */
static tars_status find_asked_in(struct question *question, int *asked_in)
{
    size_t best = 0;

    *asked_in = TARS_LANG_UNKNOWN;
    for (size_t i = 0; i < question->n; i++) {
        int lang = known(question->langs[i]);
        struct way way = {lang, lang, true};
        size_t stop_words;
        tars_status status = analyze(question->analyzer, question->arena, way, question->text,
                                     &question->each[i], &stop_words);

        if (status != TARS_OK)
            return status;
        if (stop_words > best) {
            best = stop_words;
            *asked_in = lang;
        }
    }
    return TARS_OK;
}

static tars_status analyze_each(struct question *question, int asked_in)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < question->n && status == TARS_OK; i++) {
        struct way way = {known(question->langs[i]), asked_in, false};

        status = analyze(question->analyzer, question->arena, way, question->text,
                         &question->each[i], NULL);
    }
    return status;
}

tars_status tars_analyze_query(struct tars_analyzer *analyzer, struct tars_arena *arena,
                               const int *langs, size_t n_langs, const char *text, size_t len,
                               struct tars_terms *out)
{
    static const int UNKNOWN[] = {TARS_LANG_UNKNOWN};
    struct question question = {
        analyzer, arena, n_langs ? langs : UNKNOWN, n_langs ? n_langs : 1, tars_span(text, len),
        NULL};
    struct tars_terms with_stop_words;
    struct tars_terms found;
    int asked_in;
    tars_status status;

    question.each = tars_arena_calloc(arena, question.n, sizeof(*question.each));
    if (!question.each)
        return TARS_ENOMEM;
    status = find_asked_in(&question, &asked_in);
    if (status == TARS_OK)
        status = distinct(arena, question.each, question.n, &with_stop_words);
    if (status == TARS_OK)
        status = analyze_each(&question, asked_in);
    if (status == TARS_OK)
        status = distinct(arena, question.each, question.n, &found);
    if (status != TARS_OK)
        return status;
    *out = found.count ? found : with_stop_words;
    drop_letters(out);
    return TARS_OK;
}
