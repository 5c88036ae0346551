/* cite - see cite.h for the contract.
 *
 * DESIGN
 *
 *     sources ---> words by sentence (words.h), once
 *     answer  ---> sentences ---> words, once a language that the sources are in
 *
 *     sentence x source:  literal?  -> QUOTED
 *                         each sentence of the source: which terms, which numbers of the
 *                         sentence does it hold?  (two bit sets)
 *                         windows of 1..3 sentences: unions of those; the best one is judged:
 *                             numbers -> names -> alignment (exchanges, negation) -> coverage
 *
 * Terms weigh 1 + ln((n + 1) / (df + 1)) over the n sentences of all sources: a word that stands
 * everywhere in them tells little. Terms of the title, and names that stand anywhere in the
 * passage, count as held by each window, because an answer says "Napoleon" where the passage goes
 * on with "he". Numbers are never granted like that. Words about the answer itself at a sentence's
 * start ("The answer is 28 days.") weigh nothing where no source has them.
 *
 * INVARIANTS
 *
 *   1. A verdict of support has at least one entry in support; NO_CLAIM has none.
 *   2. support is sorted by score, and names each source once.
 */
#include "rag/cite.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "rag/align.h"
#include "rag/listed.h"
#include "rag/reading.h"
#include "rag/words.h"
#include "text/analyzer.h"
#include "text/sentences.h"

#define WINDOW_MAX        3    /* sentences */
#define WINDOW_PENALTY    0.03 /* for each sentence after the first */
#define OWN_BONUS         0.20 /* times the coverage without what is granted */
#define COVERAGE          0.50 /* weighted share of terms that must be found */
#define COVERAGE_SHORT    0.75 /* the same for sentences of few terms */
#define SHORT_TERMS       3
#define COVERAGE_TOGETHER 0.85 /* by two sources */
#define NAME_WEIGHT       1.5
#define FRAME_WORDS       5   /* at a sentence's start that may be words about the answer itself */
#define CLAIM_TERMS_MAX   192 /* terms looked at in one sentence */
#define CLAIM_NUMBERS_MAX 64
#define SLOTS             512 /* of the term table; more than twice CLAIM_TERMS_MAX */
#define BITS_WORDS        (CLAIM_TERMS_MAX / 64)

struct bits {
    uint64_t terms[BITS_WORDS];
    uint64_t numbers;
};

/* A source, cut up once. */
struct view {
    struct tars_span text;
    int lang;
    struct tars_sentences sentences;
    struct tars_words words; /* not to be written: others read them too */
    size_t *first;           /* (sentences.count + 1,) index of each sentence's first word */
    struct bits *held;       /* (sentences.count,) for the claim at hand */
    struct tars_words title;
    struct bits granted; /* held by every window */
};

/* The answer in one language. */
struct variant {
    int lang;
    struct tars_words words;
};

struct check {
    struct tars_analyzer *analyzer;
    struct tars_arena *arena;
    struct tars_span answer;
    struct tars_sentences sentences; /* of the answer, list marks cut off */
    struct view *views;
    size_t view_count;
    struct variant *variants;
    size_t variant_count;
    struct tars_align_scratch *scratch;
    struct claim *claim; /* scratch */
};

/* One sentence of the answer, in the language of the source at hand. */
struct claim {
    const struct tars_words *of;
    const struct tars_word *words;
    size_t count;
    uint64_t terms[CLAIM_TERMS_MAX];
    double weights[CLAIM_TERMS_MAX];
    struct bits names; /* which terms are names */
    struct bits frame; /* which only open the sentence: "The answer is" */
    bool has_matter;   /* some term does more than that */
    size_t term_count;
    const struct tars_number *numbers[CLAIM_NUMBERS_MAX];
    size_t number_count;
    double total; /* sum of weights */
    uint16_t slots[SLOTS];
};

/* What one source says to a claim. */
struct finding {
    enum tars_cite_verdict verdict;
    struct tars_cite_support support;
    struct bits held;
};

static bool is_support(enum tars_cite_verdict verdict)
{
    return verdict == TARS_CITE_QUOTED || verdict == TARS_CITE_COVERED;
}

const char *tars_cite_verdict_text(enum tars_cite_verdict verdict)
{
    switch (verdict) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_CITE_VERDICT_LIST(X)
#undef X
    }
    return "unchecked";
}

/* ------------------------------------------------------------------ set-up */

/* Where a sentence of the answer begins once "1. " or "- " is taken off. */
static size_t skip_list_mark(struct tars_span text, struct tars_range range)
{
    size_t at = range.start;
    size_t digits = 0;

    while (at < range.end && digits < 3 && text.ptr[at] >= '0' && text.ptr[at] <= '9') {
        at++;
        digits++;
    }
    if (digits && at + 1 < range.end && (text.ptr[at] == '.' || text.ptr[at] == ')') &&
        text.ptr[at + 1] == ' ')
        return at + 2;
    return range.start;
}

static tars_status split_answer(struct check *check)
{
    tars_status status =
        tars_sentences_split(check->arena, check->answer.ptr, check->answer.len, &check->sentences);

    if (status != TARS_OK)
        return status;
    if (check->sentences.count > TARS_CITE_SENTENCES_MAX)
        check->sentences.count = TARS_CITE_SENTENCES_MAX;
    return TARS_OK;
}

static tars_status make_view(struct check *check, const struct tars_cite_source *source,
                             struct view *view)
{
    struct tars_range whole = {0, source->title.len};
    struct tars_sentences title = {&whole, 1};
    const struct tars_reading *reading = NULL;
    tars_status status = tars_reading_beside(check->analyzer, check->arena, source->text,
                                             check->answer, source->reading, &reading);
    size_t word = 0;

    if (status == TARS_OK) {
        view->text = source->text;
        view->lang = reading->lang;
        view->sentences = reading->sentences;
        view->words = reading->words;
        status = tars_words_scan(check->analyzer, check->arena, view->lang, source->title, &title,
                                 &view->title);
    }
    if (status != TARS_OK)
        return status;
    view->first = tars_arena_calloc(check->arena, view->sentences.count + 1, sizeof(*view->first));
    view->held = tars_arena_calloc(check->arena, view->sentences.count + 1, sizeof(*view->held));
    if (!view->first || !view->held)
        return TARS_ENOMEM;
    for (size_t i = 0; i <= view->sentences.count; i++) {
        while (word < view->words.count && view->words.items[word].sentence < i)
            word++;
        view->first[i] = word;
    }
    return TARS_OK;
}

static struct variant *find_variant(const struct check *check, int lang)
{
    for (size_t i = 0; i < check->variant_count; i++) {
        if (check->variants[i].lang == lang)
            return &check->variants[i];
    }
    return NULL;
}

static tars_status make_variants(struct check *check)
{
    struct tars_sentences cut = check->sentences;
    tars_status status = TARS_OK;

    cut.items = tars_arena_calloc(check->arena, cut.count + 1, sizeof(*cut.items));
    check->variants =
        tars_arena_calloc(check->arena, check->view_count + 1, sizeof(*check->variants));
    if (!cut.items || !check->variants)
        return TARS_ENOMEM;
    for (size_t i = 0; i < cut.count; i++) {
        cut.items[i].start = skip_list_mark(check->answer, check->sentences.items[i]);
        cut.items[i].end = check->sentences.items[i].end;
    }
    for (size_t i = 0; i <= check->view_count && status == TARS_OK; i++) {
        struct variant *variant = &check->variants[check->variant_count];

        /* The last one, for answers without sources, is only asked whether it claims anything. */
        variant->lang = i < check->view_count ? check->views[i].lang : TARS_LANG_ENGLISH;
        if (find_variant(check, variant->lang))
            continue;
        status = tars_words_scan(check->analyzer, check->arena, variant->lang, check->answer, &cut,
                                 &variant->words);
        check->variant_count++;
    }
    return status;
}

/* ------------------------------------------------------------------- claims */

static void slice(const struct tars_words *words, size_t sentence, const struct tars_word **first,
                  size_t *count)
{
    size_t low = 0;
    size_t high = words->count;
    size_t end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (words->items[middle].sentence < sentence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    end = low;
    while (end < words->count && words->items[end].sentence == sentence)
        end++;
    *first = words->items + low;
    *count = end - low;
}

static int find_term(const struct claim *claim, uint64_t term)
{
    size_t slot = term % SLOTS;

    while (claim->slots[slot]) {
        if (claim->terms[claim->slots[slot] - 1] == term)
            return claim->slots[slot] - 1;
        slot = (slot + 1) % SLOTS;
    }
    return -1;
}

static int add_term(struct claim *claim, uint64_t term)
{
    size_t slot = term % SLOTS;
    int found = find_term(claim, term);

    if (found >= 0 || claim->term_count == CLAIM_TERMS_MAX)
        return found;
    while (claim->slots[slot])
        slot = (slot + 1) % SLOTS;
    claim->terms[claim->term_count++] = term;
    claim->slots[slot] = (uint16_t)claim->term_count;
    return (int)claim->term_count - 1;
}

static void set_bit(uint64_t *bits, size_t i)
{
    bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static bool has_bit(const uint64_t *bits, size_t i)
{
    return bits[i / 64] >> (i % 64) & 1U;
}

/* A capital says "name" except at a sentence's start, where the next word must have one as well.
 * German writes every noun so: there only exchanges in near copies tell. */
static bool is_name(const struct claim *claim, size_t i, int lang)
{
    const struct tars_word *word = &claim->words[i];
    bool next = i + 1 < claim->count && (claim->words[i + 1].flags & TARS_WORD_CAPITAL) &&
                claim->words[i + 1].start == word->end + 1;

    if (!word->term || (word->flags & (TARS_WORD_NUMBER | TARS_WORD_CASELESS)))
        return false;
    if (word->flags & TARS_WORD_MIXED)
        return true;
    if (!(word->flags & TARS_WORD_CAPITAL) || lang == TARS_LANG_GERMAN)
        return false;
    return !(word->flags & TARS_WORD_FIRST) || next;
}

/* Words of sentences about the answer itself, folded. */
static const char *const meta_words[] = {
    "answer",    "answers",     "answering", "answered",  "question",   "questions", "document",
    "documents", "source",      "sources",   "context",   "provided",   "provide",   "provides",
    "given",     "information", "mention",   "mentioned", "mentions",   "contain",   "contains",
    "passage",   "passages",    "text",      "know",      "based",      "according", "language",
    "model",     "quoted",      "quote",     "word",      "words",      "yes",       "no",
    "found",     "find",        "specified", "stated",    "available",  "cannot",    "sorry",
    "don't",     "doesn't",     "enough",    "following", "sufficient", "relevant",  "says",
};

static bool is_meta(const struct tars_word *word)
{
    for (size_t i = 0; i < sizeof(meta_words) / sizeof(meta_words[0]); i++) {
        if (tars_listed_is(word->fold, meta_words[i]))
            return true;
    }
    return false;
}

static void set_claim(struct claim *claim, const struct variant *variant, size_t sentence)
{
    memset(claim, 0, sizeof(*claim));
    claim->of = &variant->words;
    slice(&variant->words, sentence, &claim->words, &claim->count);
    for (size_t i = 0; i < claim->count; i++) {
        const struct tars_word *word = &claim->words[i];
        int term;

        if ((word->flags & TARS_WORD_NUMBER) && claim->number_count < CLAIM_NUMBERS_MAX)
            claim->numbers[claim->number_count++] = &variant->words.numbers[word->number];
        if (!word->term || (word->flags & TARS_WORD_NUMBER))
            continue;
        term = add_term(claim, word->term);
        if (term >= 0 && is_name(claim, i, variant->lang))
            set_bit(claim->names.terms, (size_t)term);
        if (term >= 0 && i < FRAME_WORDS && is_meta(word)) {
            set_bit(claim->frame.terms, (size_t)term);
        } else {
            claim->has_matter = true;
        }
    }
}

/* Nothing in the sentence can be right or wrong about the documents' matter. */
static bool claims_nothing(const struct claim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        if (claim->words[i].term && !is_meta(&claim->words[i]))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------ literal */

static bool runs_alike(const struct claim *claim, const struct view *view, size_t at)
{
    for (size_t i = 0; i < claim->count; i++) {
        const struct tars_word *mine = &claim->words[i];
        const struct tars_word *theirs = &view->words.items[at + i];

        if (mine->flags & theirs->flags & TARS_WORD_NUMBER) {
            if (!tars_number_equal(&claim->of->numbers[mine->number],
                                   &view->words.numbers[theirs->number]))
                return false;
        } else if (mine->hash != theirs->hash) {
            return false;
        }
    }
    return true;
}

/* The sentence stands in the source word for word. */
static bool find_literal(const struct claim *claim, const struct view *view, struct finding *out)
{
    const struct tars_word *words = view->words.items;

    for (size_t at = 0; at + claim->count <= view->words.count; at++) {
        if (!runs_alike(claim, view, at))
            continue;
        out->verdict = TARS_CITE_QUOTED;
        out->support.start = words[at].start;
        out->support.end = words[at + claim->count - 1].end;
        out->support.score = 1;
        return true;
    }
    return false;
}

/* ----------------------------------------------------------------- coverage */

static void hold_words(const struct claim *claim, const struct tars_words *of, size_t first,
                       size_t end, struct bits *held)
{
    for (size_t i = first; i < end; i++) {
        const struct tars_word *word = &of->items[i];
        int term = word->term ? find_term(claim, word->term) : -1;

        if (term >= 0)
            set_bit(held->terms, (size_t)term);
        if (!(word->flags & TARS_WORD_NUMBER))
            continue;
        for (size_t n = 0; n < claim->number_count; n++) {
            if (tars_number_equal(claim->numbers[n], &of->numbers[word->number]))
                set_bit(&held->numbers, n);
        }
    }
}

/* A month by name is held where a date has it as a number. */
static void hold_months(const struct claim *claim, const struct view *view, size_t first,
                        size_t end, struct bits *held)
{
    for (size_t i = 0; i < claim->count; i++) {
        const struct tars_word *word = &claim->words[i];
        int term = word->flags & TARS_WORD_MONTH ? find_term(claim, word->term) : -1;
        double month = term >= 0 ? tars_number_month_of(word->fold) : 0;

        for (size_t w = first; term >= 0 && w < end; w++) {
            if ((view->words.items[w].flags & TARS_WORD_NUMBER) &&
                view->words.numbers[view->words.items[w].number].value == month)
                set_bit(held->terms, (size_t)term);
        }
    }
}

static void join_bits(struct bits *into, const struct bits *more)
{
    for (size_t i = 0; i < BITS_WORDS; i++)
        into->terms[i] |= more->terms[i];
    into->numbers |= more->numbers;
}

static void hold_view(const struct claim *claim, struct view *view)
{
    struct bits passage = {{0}, 0};

    memset(&view->granted, 0, sizeof(view->granted));
    memset(view->held, 0, view->sentences.count * sizeof(*view->held));
    for (size_t i = 0; i < view->sentences.count; i++) {
        hold_words(claim, &view->words, view->first[i], view->first[i + 1], &view->held[i]);
        hold_months(claim, view, view->first[i], view->first[i + 1], &view->held[i]);
        join_bits(&passage, &view->held[i]);
    }
    hold_words(claim, &view->title, 0, view->title.count, &view->granted);
    for (size_t i = 0; i < BITS_WORDS; i++)
        view->granted.terms[i] |= passage.terms[i] & claim->names.terms[i];
}

static void weigh(struct claim *claim, const struct check *check)
{
    size_t sentences = 0;

    for (size_t v = 0; v < check->view_count; v++)
        sentences += check->views[v].sentences.count;
    claim->total = 0;
    for (size_t t = 0; t < claim->term_count; t++) {
        size_t holding = 0;

        for (size_t v = 0; v < check->view_count; v++) {
            for (size_t s = 0; s < check->views[v].sentences.count; s++)
                holding += has_bit(check->views[v].held[s].terms, t);
        }
        if (holding == 0 && claim->has_matter && has_bit(claim->frame.terms, t))
            continue;
        claim->weights[t] = 1 + log((double)(sentences + 1) / (double)(holding + 1));
        if (has_bit(claim->names.terms, t))
            claim->weights[t] *= NAME_WEIGHT;
        claim->total += claim->weights[t];
    }
}

static double coverage(const struct claim *claim, const struct bits *held)
{
    double sum = 0;

    for (size_t t = 0; t < claim->term_count; t++) {
        if (has_bit(held->terms, t))
            sum += claim->weights[t];
    }
    return claim->total > 0 ? sum / claim->total : 1;
}

static bool holds_numbers(const struct claim *claim, const struct bits *held)
{
    for (size_t n = 0; n < claim->number_count; n++) {
        if (!has_bit(&held->numbers, n))
            return false;
    }
    return true;
}

static bool holds_names(const struct claim *claim, const struct bits *held)
{
    for (size_t i = 0; i < BITS_WORDS; i++) {
        if (claim->names.terms[i] & ~held->terms[i])
            return false;
    }
    return true;
}

static double wanted_coverage(const struct claim *claim)
{
    return claim->term_count <= SHORT_TERMS ? COVERAGE_SHORT : COVERAGE;
}

/* ----------------------------------------------------------------- judgement */

struct window {
    size_t first;
    size_t count;
    double coverage;
    double rank;
    struct bits held;
};

/* The best window, one with the numbers first. */
static struct window best_window(const struct claim *claim, const struct view *view)
{
    struct window best = {.count = 0, .rank = -1};

    for (size_t first = 0; first < view->sentences.count; first++) {
        struct bits held = view->granted;
        struct bits own = {{0}, 0};

        for (size_t count = 1; count <= WINDOW_MAX && first + count <= view->sentences.count;
             count++) {
            struct window window = {.first = first, .count = count};

            join_bits(&held, &view->held[first + count - 1]);
            join_bits(&own, &view->held[first + count - 1]);
            window.held = held;
            window.coverage = coverage(claim, &held);
            window.rank = window.coverage + OWN_BONUS * coverage(claim, &own) -
                          WINDOW_PENALTY * (double)(count - 1);
            if (holds_numbers(claim, &held) && window.coverage >= wanted_coverage(claim))
                window.rank += 1;
            if (window.rank > best.rank)
                best = window;
        }
    }
    return best;
}

static bool denies(const struct tars_words *words, size_t first, size_t end, uint32_t flag)
{
    for (size_t i = first; i < end; i++) {
        if (words->items[i].flags & flag)
            return true;
    }
    return false;
}

static bool claim_negates(const struct claim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        if (claim->words[i].flags & TARS_WORD_NEGATION)
            return true;
    }
    return false;
}

static enum tars_cite_verdict judge_alignment(const struct check *check, const struct claim *claim,
                                              const struct view *view, const struct window *window)
{
    size_t first = view->first[window->first];
    size_t end = view->first[window->first + window->count];
    struct tars_alignment alignment =
        tars_align(check->scratch, claim->of, claim->words, claim->count, &view->words,
                   view->words.items + first, end - first);

    if (alignment.number_exchanged)
        return TARS_CITE_NUMBER;
    if (alignment.name_exchanged)
        return TARS_CITE_NAME;
    if (alignment.negation_changed ||
        (claim_negates(claim) && !denies(&view->words, first, end, TARS_WORD_DENIAL)))
        return TARS_CITE_NEGATION;
    return TARS_CITE_COVERED;
}

static void judge_source(const struct check *check, const struct claim *claim,
                         const struct view *view, struct finding *out)
{
    struct window window;

    out->verdict = TARS_CITE_WORDS;
    if (view->words.count == 0 || find_literal(claim, view, out))
        return;
    window = best_window(claim, view);
    out->held = window.held;
    out->support.score = window.coverage;
    out->support.start = view->sentences.items[window.first].start;
    out->support.end = view->sentences.items[window.first + window.count - 1].end;
    if (window.coverage < wanted_coverage(claim)) {
        out->verdict = TARS_CITE_WORDS;
    } else if (!holds_numbers(claim, &window.held)) {
        out->verdict = TARS_CITE_NUMBER;
    } else if (!holds_names(claim, &window.held)) {
        out->verdict = TARS_CITE_NAME;
    } else {
        out->verdict = judge_alignment(check, claim, view, &window);
    }
}

/* Two sources that cover the claim together: the best one, and the one that adds most. */
static size_t judge_pair(const struct claim *claim, const struct finding *findings, size_t count,
                         size_t best)
{
    double reached = COVERAGE_TOGETHER;
    size_t other = count;

    for (size_t i = 0; i < count; i++) {
        struct bits together = findings[best].held;
        double covered;

        if (i == best || findings[i].verdict == TARS_CITE_NEGATION)
            continue;
        join_bits(&together, &findings[i].held);
        covered = coverage(claim, &together);
        if (covered >= reached && holds_numbers(claim, &together) &&
            holds_names(claim, &together) && findings[i].support.score >= COVERAGE / 2) {
            reached = covered;
            other = i;
        }
    }
    return other;
}

static void sort_support(struct tars_cite_support *support, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct tars_cite_support moving = support[i];
        size_t at = i;

        while (at && support[at - 1].score < moving.score) {
            support[at] = support[at - 1];
            at--;
        }
        support[at] = moving;
    }
}

static size_t best_finding(const struct finding *findings, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (findings[i].support.score > findings[best].support.score)
            best = i;
    }
    return best;
}

/* Turn what the sources say into what is said of the sentence. */
static tars_status conclude(const struct check *check, struct finding *findings,
                            struct tars_cite_sentence *out)
{
    size_t count = check->view_count;
    size_t best = best_finding(findings, count);
    struct tars_cite_support *support;
    size_t other;

    out->verdict = findings[best].verdict;
    out->score = findings[best].support.score;
    if (!is_support(out->verdict) && out->verdict == TARS_CITE_WORDS) {
        other = judge_pair(check->claim, findings, count, best);
        if (other < count)
            findings[best].verdict = findings[other].verdict = TARS_CITE_COVERED;
    }
    support = tars_arena_calloc(check->arena, count, sizeof(*support));
    if (!support)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!is_support(findings[i].verdict))
            continue;
        if (!is_support(out->verdict) || findings[i].verdict == TARS_CITE_QUOTED)
            out->verdict = findings[i].verdict;
        support[out->support_count++] = findings[i].support;
    }
    sort_support(support, out->support_count);
    out->support = support;
    out->supported = out->support_count > 0;
    if (out->supported)
        out->score = support[0].score;
    return TARS_OK;
}

static tars_status judge_sentence(struct check *check, size_t sentence,
                                  struct tars_cite_sentence *out)
{
    struct finding *findings;
    int lang = 0;

    set_claim(check->claim, &check->variants[0], sentence);
    if (claims_nothing(check->claim)) {
        out->verdict = TARS_CITE_NO_CLAIM;
        out->supported = true;
        return TARS_OK;
    }
    out->verdict = TARS_CITE_WORDS;
    if (check->view_count == 0)
        return TARS_OK;
    findings = tars_arena_calloc(check->arena, check->view_count, sizeof(*findings));
    if (!findings)
        return TARS_ENOMEM;
    for (size_t i = 0; i < check->view_count; i++) {
        struct view *view = &check->views[i];

        if (i == 0 || view->lang != lang) {
            lang = view->lang;
            set_claim(check->claim, find_variant(check, lang), sentence);
            for (size_t v = 0; v < check->view_count; v++)
                hold_view(check->claim, &check->views[v]);
            weigh(check->claim, check);
        }
        judge_source(check, check->claim, view, &findings[i]);
        findings[i].support.source = i;
    }
    return conclude(check, findings, out);
}

/* Citation marks and rules between paragraphs: no sentences of their own. */
static bool has_no_words(const struct check *check, size_t sentence)
{
    const struct tars_word *first;
    size_t count;

    slice(&check->variants[0].words, sentence, &first, &count);
    return count == 0;
}

static void extend_last(struct tars_citations *made, size_t end)
{
    if (made->count)
        made->sentences[made->count - 1].end = end;
}

static tars_status set_up(struct check *check, const struct tars_cite_source *sources)
{
    tars_status status = split_answer(check);

    check->views = tars_arena_calloc(check->arena, check->view_count + 1, sizeof(*check->views));
    check->scratch = tars_arena_alloc(check->arena, sizeof(*check->scratch));
    check->claim = tars_arena_alloc(check->arena, sizeof(*check->claim));
    if (!check->views || !check->scratch || !check->claim)
        return TARS_ENOMEM;
    for (size_t i = 0; i < check->view_count && status == TARS_OK; i++)
        status = make_view(check, &sources[i], &check->views[i]);
    return status == TARS_OK ? make_variants(check) : status;
}

tars_status tars_cite_check(struct tars_analyzer *analyzer, struct tars_arena *arena,
                            struct tars_span answer, const struct tars_cite_source *sources,
                            size_t source_count, struct tars_citations *out)
{
    struct check check = {.analyzer = analyzer, .arena = arena, .answer = answer};
    struct tars_citations made = {NULL, 0, 0};
    tars_status status;

    check.view_count = source_count < TARS_CITE_SOURCES_MAX ? source_count : TARS_CITE_SOURCES_MAX;
    status = set_up(&check, sources);
    if (status != TARS_OK)
        return status;
    made.sentences = tars_arena_calloc(arena, check.sentences.count + 1, sizeof(*made.sentences));
    if (!made.sentences)
        return TARS_ENOMEM;
    for (size_t i = 0; i < check.sentences.count && status == TARS_OK; i++) {
        struct tars_cite_sentence *sentence = &made.sentences[made.count];

        if (has_no_words(&check, i)) {
            extend_last(&made, check.sentences.items[i].end);
            continue;
        }
        sentence->start = check.sentences.items[i].start;
        sentence->end = check.sentences.items[i].end;
        status = judge_sentence(&check, i, sentence);
        made.unsupported += !sentence->supported;
        made.count++;
    }
    if (status == TARS_OK)
        *out = made;
    return status;
}
