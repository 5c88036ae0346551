/* quote - see quote.h. */
#include "rag/quote.h"

#include <math.h>
#include <string.h>

#include "rag/reading.h"
#include "rag/words.h"
#include "text/normalize.h"
#include "text/sentences.h"

#define HEADING_BYTES_MAX 80   /* a longer line is a paragraph */
#define TERMS_MAX         64   /* of the question */
#define SOURCES_MAX       20   /* looked at */
#define RELEVANCE_SHARE   0.35 /* of a sentence's worth; the rest is overlap */
#define FAR_BEHIND        0.55 /* of the best worth */
#define SECOND_GAIN       0.15 /* a second sentence must add so much */
#define WORDS_MIN         4    /* shorter sentences are headings more often than answers */
#define SHORT_DISCOUNT    0.6

struct cut {
    struct tars_span text;
    struct tars_sentences sentences; /* of the source's reading */
    uint64_t *held;                  /* (sentences.count,) which terms of the question */
    size_t *words;                   /* (sentences.count,) */
};

struct choice {
    struct tars_arena *arena;
    struct tars_analyzer *analyzer;
    struct cut cuts[SOURCES_MAX];
    size_t count;
    uint64_t terms[TERMS_MAX];
    double weights[TERMS_MAX];
    double total;
    size_t term_count;
    bool asked[TARS_LANGUAGE_COUNT]; /* the question's terms in this language are in the list */
};

struct pick {
    size_t source;
    size_t sentence;
    size_t count; /* one or two sentences */
    double worth;
};

static int find_term(const struct choice *choice, uint64_t term)
{
    for (size_t i = 0; i < choice->term_count; i++) {
        if (choice->terms[i] == term)
            return (int)i;
    }
    return -1;
}

/* The question's terms in the language of a source; languages share the list. */
static tars_status add_terms(struct choice *choice, int lang, const char *query)
{
    struct tars_range whole = {0, strlen(query)};
    struct tars_sentences all = {&whole, 1};
    struct tars_words words;
    tars_status status;

    if (choice->asked[lang])
        return TARS_OK;
    choice->asked[lang] = true;
    status =
        tars_words_scan(choice->analyzer, choice->arena, lang, tars_span_of(query), &all, &words);
    for (size_t i = 0; status == TARS_OK && i < words.count; i++) {
        if (words.items[i].term && choice->term_count < TERMS_MAX &&
            find_term(choice, words.items[i].term) < 0)
            choice->terms[choice->term_count++] = words.items[i].term;
    }
    return status;
}

static tars_status cut_source(struct choice *choice, struct tars_rag_source *source,
                              const char *query)
{
    struct cut *cut = &choice->cuts[choice->count];
    const struct tars_words *words;
    tars_status status = TARS_OK;

    if (!source->reading) {
        status = tars_reading_new(choice->analyzer, choice->arena, source->text, TARS_LANG_ENGLISH,
                                  &source->reading);
    }
    if (status == TARS_OK)
        status = add_terms(choice, source->reading->lang, query);
    if (status != TARS_OK)
        return status;
    words = &source->reading->words;
    cut->text = source->text;
    cut->sentences = source->reading->sentences;
    cut->held = tars_arena_calloc(choice->arena, cut->sentences.count + 1, sizeof(*cut->held));
    cut->words = tars_arena_calloc(choice->arena, cut->sentences.count + 1, sizeof(*cut->words));
    if (!cut->held || !cut->words)
        return TARS_ENOMEM;
    for (size_t i = 0; i < words->count; i++) {
        const struct tars_word *word = &words->items[i];
        int term = word->term ? find_term(choice, word->term) : -1;

        cut->words[word->sentence]++;
        if (term >= 0)
            cut->held[word->sentence] |= UINT64_C(1) << (unsigned)term;
    }
    choice->count++;
    return TARS_OK;
}

static void weigh(struct choice *choice)
{
    size_t sentences = 0;

    for (size_t c = 0; c < choice->count; c++)
        sentences += choice->cuts[c].sentences.count;
    for (size_t t = 0; t < choice->term_count; t++) {
        size_t holding = 0;

        for (size_t c = 0; c < choice->count; c++) {
            for (size_t s = 0; s < choice->cuts[c].sentences.count; s++)
                holding += choice->cuts[c].held[s] >> t & 1U;
        }
        if (holding == 0)
            continue; /* a stem of another language, or a word that no source has */
        choice->weights[t] = 1 + log((double)(sentences + 1) / (double)(holding + 1));
        choice->total += choice->weights[t];
    }
}

static double overlap(const struct choice *choice, uint64_t held)
{
    double sum = 0;

    for (size_t t = 0; t < choice->term_count; t++) {
        if (held >> t & 1U)
            sum += choice->weights[t];
    }
    return choice->total > 0 ? sum / choice->total : 0;
}

static struct pick best_of(const struct choice *choice, size_t source, double relevance)
{
    const struct cut *cut = &choice->cuts[source];
    struct pick best = {.source = source, .count = 0, .worth = -1};

    for (size_t s = 0; s < cut->sentences.count; s++) {
        double alone = overlap(choice, cut->held[s]);
        double both =
            s + 1 < cut->sentences.count ? overlap(choice, cut->held[s] | cut->held[s + 1]) : 0;
        bool join = both >= alone + SECOND_GAIN;
        double worth = (1 - RELEVANCE_SHARE) * (join ? both - SECOND_GAIN / 2 : alone) +
                       RELEVANCE_SHARE * relevance;

        if (!join && cut->words[s] < WORDS_MIN)
            worth *= SHORT_DISCOUNT;
        if (worth > best.worth)
            best = (struct pick){source, s, join ? 2 : 1, worth};
    }
    return best;
}

static void sort_picks(struct pick *picks, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct pick moving = picks[i];
        size_t at = i;

        while (at && picks[at - 1].worth < moving.worth) {
            picks[at] = picks[at - 1];
            at--;
        }
        picks[at] = moving;
    }
}

struct squeezed {
    char *to;
    size_t len;
    size_t word; /* length at the end of the last whole word */
};

/* False: full. */
static bool squeeze_char(struct squeezed *out, const char *ptr, size_t bytes, uint32_t code)
{
    if (out->len + bytes > TARS_QUOTE_BYTES_MAX)
        return false;
    if (!tars_char_is_space(code)) {
        memcpy(out->to + out->len, ptr, bytes);
        out->len += bytes;
        return true;
    }
    if (out->len && out->to[out->len - 1] != ' ') {
        out->word = out->len;
        out->to[out->len++] = ' ';
    }
    return true;
}

/* A copy with single spaces, cut at a word. */
static tars_status squeeze(struct tars_arena *arena, struct tars_span text, struct tars_span *out)
{
    struct squeezed made = {tars_arena_alloc(arena, text.len + 1), 0, 0};

    if (!made.to)
        return TARS_ENOMEM;
    for (size_t i = 0; i < text.len;) {
        uint32_t code;
        size_t bytes = tars_utf8_decode(text.ptr + i, text.len - i, &code);

        if (!squeeze_char(&made, text.ptr + i, bytes, code)) {
            made.len = made.word ? made.word : made.len;
            break;
        }
        i += bytes;
    }
    while (made.len && made.to[made.len - 1] == ' ')
        made.len--;
    *out = tars_span(made.to, made.len);
    return TARS_OK;
}

static bool is_repeated(const struct tars_llm_quote *quotes, size_t count, struct tars_span text)
{
    for (size_t i = 0; i < count; i++) {
        if (tars_span_equal(quotes[i].text, text))
            return true;
    }
    return false;
}

/* Whether (text, end) reads as a heading: short, not ended like a sentence, and what follows begins
 * one. Passages join headings and paragraphs by a line feed, as text files wrap their lines. */
static bool is_heading(struct tars_span text, size_t end)
{
    unsigned char next = (unsigned char)text.ptr[end + 1];

    return end > 0 && end <= HEADING_BYTES_MAX && !strchr(".!?:;,-", text.ptr[end - 1]) &&
           (next >= 0x80 || (next >= 'A' && next <= 'Z') || (next >= '0' && next <= '9'));
}

/* A sentence without the headings that the splitter took for its beginning. */
static struct tars_span without_headings(struct tars_span text)
{
    const char *line = text.len > 1 ? memchr(text.ptr, '\n', text.len - 1) : NULL;

    while (line && is_heading(text, (size_t)(line - text.ptr))) {
        text = tars_span(line + 1, text.len - (size_t)(line + 1 - text.ptr));
        line = text.len > 1 ? memchr(text.ptr, '\n', text.len - 1) : NULL;
    }
    return text;
}

static tars_status make_quotes(struct choice *choice, const struct pick *picks, size_t pick_count,
                               struct tars_llm_quote *quotes, size_t *count)
{
    for (size_t i = 0; i < pick_count && *count < TARS_QUOTES_MAX; i++) {
        const struct cut *cut = &choice->cuts[picks[i].source];
        const struct tars_range *first = &cut->sentences.items[picks[i].sentence];
        const struct tars_range *last = first + picks[i].count - 1;
        struct tars_span text = tars_span(cut->text.ptr + first->start, last->end - first->start);

        if (picks[i].worth < FAR_BEHIND * picks[0].worth)
            break;
        if (squeeze(choice->arena, without_headings(text), &text) != TARS_OK)
            return TARS_ENOMEM;
        if (text.len == 0 || is_repeated(quotes, *count, text))
            continue;
        quotes[*count].text = text;
        quotes[*count].source = (int)picks[i].source + 1;
        (*count)++;
    }
    return TARS_OK;
}

/* Cut the sources into sentences and weigh the question's terms among them. */
static tars_status choice_new(struct tars_analyzer *analyzer, struct tars_arena *arena,
                              const char *query, struct tars_rag_source *sources,
                              size_t source_count, struct choice **choice)
{
    struct choice *made = tars_arena_calloc(arena, 1, sizeof(*made));
    tars_status status = made ? TARS_OK : TARS_ENOMEM;

    if (!made)
        return status;
    made->arena = arena;
    made->analyzer = analyzer;
    for (size_t i = 0; i < source_count && i < SOURCES_MAX && status == TARS_OK; i++)
        status = cut_source(made, &sources[i], query);
    if (status != TARS_OK)
        return status;
    weigh(made);
    *choice = made;
    return TARS_OK;
}

tars_status tars_quote_choose(struct tars_analyzer *analyzer, struct tars_arena *arena,
                              const char *query, struct tars_rag_source *sources,
                              size_t source_count, struct tars_llm_quote **quotes, size_t *count)
{
    struct tars_llm_quote *made = tars_arena_calloc(arena, TARS_QUOTES_MAX, sizeof(*made));
    struct choice *choice = NULL;
    struct pick picks[SOURCES_MAX];
    size_t pick_count = 0;
    size_t made_count = 0;
    tars_status status =
        made ? choice_new(analyzer, arena, query, sources, source_count, &choice) : TARS_ENOMEM;

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < choice->count; i++) {
        picks[pick_count] = best_of(choice, i, sources[i].similarity_score);
        pick_count += picks[pick_count].count > 0;
    }
    sort_picks(picks, pick_count);
    status = make_quotes(choice, picks, pick_count, made, &made_count);
    if (status == TARS_OK) {
        *quotes = made;
        *count = made_count;
    }
    return status;
}

/* Take in neighbours, the next one first, as long as they fit. */
static struct tars_span widen(const struct cut *cut, const struct pick *pick)
{
    const struct tars_range *items = cut->sentences.items;
    size_t first = pick->sentence;
    size_t last = pick->sentence + pick->count - 1;
    bool grew = true;

    while (grew) {
        grew = false;
        if (last + 1 < cut->sentences.count &&
            items[last + 1].end - items[first].start <= TARS_FOCUS_BYTES_MAX) {
            last++;
            grew = true;
        }
        if (first > 0 && items[last].end - items[first - 1].start <= TARS_FOCUS_BYTES_MAX) {
            first--;
            grew = true;
        }
    }
    return tars_span(cut->text.ptr + items[first].start, items[last].end - items[first].start);
}

tars_status tars_quote_focus(struct tars_analyzer *analyzer, struct tars_arena *arena,
                             const char *query, struct tars_rag_source *sources,
                             size_t source_count)
{
    struct choice *choice = NULL;
    tars_status status = choice_new(analyzer, arena, query, sources, source_count, &choice);

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < choice->count; i++) {
        struct pick best = best_of(choice, i, 0);

        if (best.count)
            sources[i].focus = widen(&choice->cuts[i], &best);
    }
    return TARS_OK;
}
