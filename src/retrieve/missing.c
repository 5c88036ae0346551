/* missing - see missing.h. */
#include "retrieve/missing.h"

#include <string.h>

#include "text/analyzer.h"
#include "text/normalize.h"

/* What is known of a term of the question. */
struct seen {
    enum { UNSEEN, HELD, MISSING } state;
    size_t word; /* of the question, for which it was looked for */
};

struct reader {
    const struct tars_wording_from *from;
    struct tars_terms asked; /* of the question: without stop words, in all languages */
    struct seen *seen;       /* (asked.count,) */
    size_t looked;
    size_t word;        /* which one of the question is taken */
    const char **words; /* room for TARS_MISSING_TERMS */
    size_t count;
};

/* ------------------------------------------------------------------- cutting */

static size_t width_at(struct tars_span text, size_t at, uint32_t *code)
{
    return tars_utf8_decode(text.ptr + at, text.len - at, code);
}

static bool is_apostrophe(uint32_t code)
{
    return code == '\'' || code == 0x2019 || code == 0x2BC;
}

static bool letter_at(struct tars_span text, size_t at)
{
    uint32_t code;

    return at < text.len && width_at(text, at, &code) > 0 && tars_char_is_alnum(code);
}

/* The next word at or behind *at, with the apostrophes inside of it; *at is then behind it. */
static bool next_word(struct tars_span text, size_t *at, struct tars_span *word)
{
    uint32_t code;
    size_t start;

    while (*at < text.len && !letter_at(text, *at))
        *at += width_at(text, *at, &code);
    start = *at;
    while (*at < text.len) {
        size_t width = width_at(text, *at, &code);

        if (!tars_char_is_alnum(code) && !(is_apostrophe(code) && letter_at(text, *at + width)))
            break;
        *at += width;
    }
    *word = tars_span(text.ptr + start, *at - start);
    return word->len > 0;
}

/* ------------------------------------------------------------------- looking */

/* Which term of the question it is; asked.count: none. */
static size_t number_of(const struct reader *reader, const struct tars_term *term)
{
    size_t i = 0;

    while (i < reader->asked.count &&
           (reader->asked.items[i].len != term->len ||
            memcmp(reader->asked.items[i].ptr, term->ptr, term->len) != 0))
        i++;
    return i;
}

/* Is there a passage for the call that has it in any field? */
static tars_status look_for(struct reader *reader, size_t number)
{
    const struct tars_term *term = &reader->asked.items[number];
    struct tars_index_query_term terms[TARS_INDEX_FIELDS];
    struct tars_index_hit hit;
    size_t found = 0;
    tars_status status;

    for (int field = 0; field < TARS_INDEX_FIELDS; field++) {
        terms[field] = (struct tars_index_query_term){
            .ptr = term->ptr, .len = term->len, .weight = 1, .field = (enum tars_index_field)field};
    }
    status = tars_index_search_words(reader->from->index, terms, TARS_INDEX_FIELDS, 1,
                                     reader->from->visible, &hit, &found);
    reader->seen[number].state = found > 0 ? HELD : MISSING;
    reader->seen[number].word = reader->word;
    reader->looked++;
    return status;
}

/* What is known of a word while its terms are looked for. */
struct finding {
    bool is_asked; /* a term of it is one of the question's: it is no stop word */
    bool is_old;   /* a term of it was looked for with an earlier word, which was named then */
    bool may_be;   /* a term of it is held, or was not looked for */
};

static tars_status take_term(struct reader *reader, const struct tars_term *term,
                             struct finding *finding)
{
    size_t number = number_of(reader, term);
    struct seen *seen = &reader->seen[number];
    tars_status status = TARS_OK;

    if (number == reader->asked.count)
        return TARS_OK;
    finding->is_asked = true;
    if (seen->state != UNSEEN) {
        finding->is_old = finding->is_old || seen->word != reader->word;
    } else if (reader->looked < TARS_MISSING_TERMS) {
        status = look_for(reader, number);
    }
    finding->may_be = finding->may_be || seen->state != MISSING;
    return status;
}

static tars_status name(struct reader *reader, struct tars_span word)
{
    size_t len = word.len > TARS_TERM_BYTES_MAX
                     ? tars_utf8_floor(word.ptr, word.len, TARS_TERM_BYTES_MAX)
                     : word.len;
    const char *made = tars_arena_strndup(reader->from->arena, word.ptr, len);

    if (!made)
        return TARS_ENOMEM;
    reader->words[reader->count++] = made;
    return TARS_OK;
}

static tars_status take_word(struct reader *reader, struct tars_span word)
{
    const struct tars_wording_from *from = reader->from;
    struct finding finding = {false, false, false};
    tars_status status = TARS_OK;

    reader->word++;
    for (size_t i = 0; i < from->lang_count && status == TARS_OK; i++) {
        struct tars_terms terms = {0};

        status =
            tars_analyze(from->analyzer, from->arena, from->langs[i], word.ptr, word.len, &terms);
        for (size_t k = 0; k < terms.count && status == TARS_OK; k++)
            status = take_term(reader, &terms.items[k], &finding);
    }
    if (status == TARS_OK && finding.is_asked && !finding.is_old && !finding.may_be)
        status = name(reader, word);
    return status;
}

/* False: every word is a stop word of one of the languages. Such questions are searched with them.
 */
static tars_status look_for_words(const struct tars_wording_from *from, struct tars_span query,
                                  bool *has_words)
{
    tars_status status = TARS_OK;

    *has_words = from->lang_count > 0;
    for (size_t i = 0; i < from->lang_count && status == TARS_OK; i++) {
        struct tars_terms terms = {0};

        status =
            tars_analyze(from->analyzer, from->arena, from->langs[i], query.ptr, query.len, &terms);
        *has_words = *has_words && terms.count > 0;
    }
    return status;
}

tars_status tars_missing_words(const struct tars_wording_from *from, struct tars_span query,
                               const char *const **words, size_t *count)
{
    struct reader reader = {.from = from};
    struct tars_span word;
    size_t at = 0;
    bool has_words;
    tars_status status = look_for_words(from, query, &has_words);

    *words = NULL;
    *count = 0;
    if (status != TARS_OK || !has_words)
        return status;
    status = tars_analyze_query(from->analyzer, from->arena, from->langs, from->lang_count,
                                query.ptr, query.len, &reader.asked);
    if (status != TARS_OK)
        return status;
    reader.seen = tars_arena_calloc(from->arena, reader.asked.count + 1, sizeof(*reader.seen));
    reader.words = tars_arena_calloc(from->arena, TARS_MISSING_TERMS, sizeof(*reader.words));
    if (!reader.seen || !reader.words)
        return TARS_ENOMEM;
    while (status == TARS_OK && reader.looked < TARS_MISSING_TERMS && next_word(query, &at, &word))
        status = take_word(&reader, word);
    *words = reader.words;
    *count = reader.count;
    return status;
}

bool tars_missing_all(const struct tars_index *index, const struct tars_index_filter *visible)
{
    struct tars_index_stats stats;
    struct tars_index_run run;

    tars_index_stats(index, &stats);
    if (stats.passages == 0)
        return true;
    return visible && visible->next && !visible->next(visible->ctx, 0, &run);
}
