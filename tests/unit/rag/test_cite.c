/* Unit tests of rag/cite, rag/words, rag/number and rag/align. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rag/cite.h"
#include "rag/number.h"
#include "rag/reading.h"
#include "rag/words.h"
#include "support/faults.h"
#include "support/guard.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)64 << 20U)

/* ------------------------------------------------------------------ numbers */

static const struct {
    const char *text;
    size_t bytes;
    double value;
    double other;
} number_rows[] = {
    {"42", 2, 42, 42},
    {"1234.5", 6, 1234.5, 1234.5},
    {"1,234.50", 8, 1234.5, 1234.5},
    {"1.234,50", 8, 1234.5, 1234.5},
    {"1'234", 5, 1234, 1234},
    {"1\xE2\x80\xAF"
     "234",
     7, 1234, 1234},
    {"1,234", 5, 1234, 1.234},
    {"1.234", 5, 1.234, 1234},
    {"12,34,567", 9, 1234567, 1234567},
    {"1,234,567.89", 12, 1234567.89, 1234567.89},
    {"0.05", 4, 0.05, 0.05},
    {"12.03.2020", 2, 12, 12},
    {"1.2.3", 1, 1, 1},
    {"5.", 1, 5, 5},
    {"5,x", 1, 5, 5},
    {"\xD9\xA1\xD9\xA2\xD9\xA3", 6, 123, 123},
    {"\xEF\xBC\x97", 3, 7, 7},
    {"10:30", 2, 10, 10},
};

static void numbers_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(number_rows) / sizeof(number_rows[0]); i++) {
        size_t len = strlen(number_rows[i].text);
        struct guard guard = guard_copy(number_rows[i].text, len);
        struct tars_number number;
        size_t bytes = tars_number_read(tars_span(guard.ptr, len), &number);

        if (bytes != number_rows[i].bytes || number.value != number_rows[i].value ||
            number.other != number_rows[i].other) {
            fail_msg("%s: %zu bytes, %g or %g", number_rows[i].text, bytes, number.value,
                     number.other);
        }
        guard_free(&guard);
    }
}

/* -------------------------------------------------------------------- marks */

static const struct {
    const char *text;
    size_t bytes;
} mark_rows[] = {
    {"[1]", 3},
    {"[1, 2] x", 6},
    {"[Source 2]", 10},
    {"(Source 1: a.pdf)", 17},
    {"[12", 0},
    {"[a]", 0},
    {"(1)", 0},
    {"[]", 0},
    {"\xE3\x80\x90"
     "3\xE3\x80\x91",
     7},
    {"[1234567890123]", 0},
    {"x", 0},
    {"", 0},
};

static void marks_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mark_rows) / sizeof(mark_rows[0]); i++) {
        size_t len = strlen(mark_rows[i].text);
        struct guard guard = guard_copy(mark_rows[i].text, len);
        size_t bytes = tars_words_mark(tars_span(guard.ptr, len));

        if (bytes != mark_rows[i].bytes) {
            fail_msg("%s: %zu", mark_rows[i].text, bytes);
        }
        guard_free(&guard);
    }
}

/* ----------------------------------------------------------------- verdicts */

static const char napoleon[] =
    "Napoleon Bonaparte was a French emperor who won most of his battles. He was exiled to Elba in "
    "1814 and returned to Paris in March 1815. The army lost 5,200 men at Waterloo, or 12.5% of "
    "its "
    "strength. He did not return to France after 1815. His estate was worth $3 million.";

static const char elba[] =
    "Elba is an island in the Mediterranean Sea. It lies 10 km from the coast of Tuscany.";

struct verdict_row {
    const char *name;
    const char *answer;
    enum tars_cite_verdict verdict;
};

static const struct verdict_row verdict_rows[] = {
    {"literal", "He was exiled to Elba in 1814 and returned to Paris in March 1815.",
     TARS_CITE_QUOTED},
    {"literal, white space, case and mark",
     "he was  exiled\nto **Elba** in 1814 and returned to Paris in March 1815 [1].",
     TARS_CITE_QUOTED},
    {"literal part", "The army lost 5,200 men at Waterloo", TARS_CITE_QUOTED},
    {"list item", "1. The army lost 5200 men at Waterloo.", TARS_CITE_QUOTED},
    {"subject named", "Napoleon was exiled to Elba in 1814.", TARS_CITE_COVERED},
    {"number written otherwise", "At Waterloo 5200 men of the army were lost.", TARS_CITE_COVERED},
    {"percent in words", "At Waterloo the army lost 12.5 percent of its strength.",
     TARS_CITE_COVERED},
    {"scaled number", "His estate was worth about 3,000,000 dollars.", TARS_CITE_COVERED},
    {"number altered", "He was exiled to Elba in 1813 and returned to Paris in March 1815.",
     TARS_CITE_NUMBER},
    {"number exchanged with a neighbour",
     "He was exiled to Elba in 1815 and returned to Paris in March 1815.", TARS_CITE_NUMBER},
    {"thousands altered", "The army lost 5,300 men at Waterloo.", TARS_CITE_NUMBER},
    {"unit altered", "The army lost 5,200 men at Waterloo, or $12.5 of its strength.",
     TARS_CITE_NUMBER},
    {"name altered", "He was exiled to Malta in 1814 and returned to Paris in March 1815.",
     TARS_CITE_NAME},
    {"name from the same passage",
     "He was exiled to Waterloo in 1814 and returned to Paris in "
     "March 1815.",
     TARS_CITE_NAME},
    {"name at the beginning",
     "Wellington Bonaparte was a French emperor who won most of his "
     "battles.",
     TARS_CITE_NAME},
    {"month altered", "He was exiled to Elba in 1814 and returned to Paris in April 1815.",
     TARS_CITE_NAME},
    {"negation added", "He was not exiled to Elba in 1814 and returned to Paris in March 1815.",
     TARS_CITE_NEGATION},
    {"negation dropped", "He did return to France after 1815.", TARS_CITE_NEGATION},
    {"negation contracted", "He didn't return to France after 1815.", TARS_CITE_COVERED},
    {"from elsewhere", "Photosynthesis turns light into chemical energy.", TARS_CITE_WORDS},
    {"short, from elsewhere", "He liked cheese.", TARS_CITE_WORDS},
    {"one word", "Elba.", TARS_CITE_QUOTED},
    {"admission", "The documents do not answer this question.", TARS_CITE_NO_CLAIM},
    {"yes", "Yes.", TARS_CITE_NO_CLAIM},
    {"framed", "The answer is Elba in 1814.", TARS_CITE_COVERED},
    {"framed, another number", "The answer is Elba in 1816.", TARS_CITE_NUMBER},
    {"framed, from elsewhere", "The answer is cheese.", TARS_CITE_WORDS},
    {"two sources together",
     "Napoleon was exiled to Elba, an island in the Mediterranean Sea 10 km from Tuscany.",
     TARS_CITE_COVERED},
};

static void verdicts(void **state)
{
    const struct tars_cite_source sources[] = {
        {{napoleon, sizeof(napoleon) - 1}, {"Napoleon", 8}, NULL},
        {{elba, sizeof(elba) - 1}, {"", 0}, NULL},
    };
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;
    int wrong = 0;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(verdict_rows) / sizeof(verdict_rows[0]); i++) {
        const struct verdict_row *row = &verdict_rows[i];
        struct tars_citations found;
        const struct tars_cite_sentence *sentence;

        assert_int_equal(
            tars_cite_check(analyzer, &arena, tars_span_of(row->answer), sources, 2, &found),
            TARS_OK);
        assert_int_equal(found.count, 1);
        sentence = &found.sentences[0];
        if (sentence->verdict != row->verdict) {
            print_message("%s: %s, %.2f\n", row->name, tars_cite_verdict_text(sentence->verdict),
                          sentence->score);
            wrong++;
        }
        assert_int_equal(sentence->supported, row->verdict <= TARS_CITE_NO_CLAIM);
        assert_int_equal(found.unsupported, !sentence->supported);
        assert_true(sentence->support_count == 0 || sentence->support[0].end <= sizeof(napoleon));
        tars_arena_clear(&arena);
    }
    assert_int_equal(wrong, 0);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

/* Languages without capitals or spaces, and with capitals everywhere. */
static const struct {
    const char *name;
    const char *source;
    const char *answer;
    bool supported;
} language_rows[] = {
    {"chinese, literal", "拿破仑在1814年被流放到厄尔巴岛。他后来回到了巴黎。",
     "拿破仑在1814年被流放到厄尔巴岛。", true},
    {"chinese, number", "拿破仑在1814年被流放到厄尔巴岛。他后来回到了巴黎。",
     "拿破仑在1815年被流放到厄尔巴岛。", false},
    {"chinese, name", "拿破仑在1814年被流放到厄尔巴岛。他后来回到了巴黎。",
     "拿破仑在1814年被流放到马耳他岛。", false},
    {"chinese, moved", "拿破仑在1814年被流放到厄尔巴岛。他后来回到了巴黎。",
     "光合作用把光能转化为化学能。", false},
    {"german, literal", "Napoleon wurde 1814 auf die Insel Elba verbannt. Er kehrte zurück.",
     "Napoleon wurde 1814 auf die Insel Elba verbannt.", true},
    {"german, name", "Napoleon wurde 1814 auf die Insel Elba verbannt. Er kehrte zurück.",
     "Napoleon wurde 1814 auf die Insel Malta verbannt.", false},
    {"german, decimal comma", "Der Umsatz stieg im Jahr 2020 um 1.234,5 Millionen Euro.",
     "Im Jahr 2020 stieg der Umsatz um 1234,5 Millionen Euro.", true},
    {"russian, reordered", "Наполеон был сослан на остров Эльба в 1814 году.",
     "В 1814 году Наполеон был сослан на остров Эльба.", true},
    {"russian, negation", "Наполеон был сослан на остров Эльба в 1814 году.",
     "Наполеон не был сослан на остров Эльба в 1814 году.", false},
    {"arabic, digits", "نفي نابليون إلى جزيرة إلبا في عام ١٨١٤ بعد هزيمته.",
     "نفي نابليون إلى جزيرة إلبا في عام 1814 بعد هزيمته.", true},
};

static void languages(void **state)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(language_rows) / sizeof(language_rows[0]); i++) {
        const struct tars_cite_source source = {.text = tars_span_of(language_rows[i].source)};
        struct tars_citations found;

        assert_int_equal(tars_cite_check(analyzer, &arena, tars_span_of(language_rows[i].answer),
                                         &source, 1, &found),
                         TARS_OK);
        if (found.count != 1 || found.sentences[0].supported != language_rows[i].supported) {
            fail_msg("%s: %zu, %s", language_rows[i].name, found.count,
                     tars_cite_verdict_text(found.sentences[0].verdict));
        }
    }
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void marks_join_their_sentence(void **state)
{
    static const char answer[] = "He was exiled to Elba. [1]\n\n[2]";
    const struct tars_cite_source source = {.text = {napoleon, sizeof(napoleon) - 1}};
    struct tars_analyzer *analyzer = NULL;
    struct tars_citations found;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    assert_int_equal(tars_cite_check(analyzer, &arena, tars_span_of(answer), &source, 1, &found),
                     TARS_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.sentences[0].end, sizeof(answer) - 1);
    assert_int_equal(found.sentences[0].support[0].source, 0);
    /* Without sources nothing is supported; an empty answer has no sentences. */
    assert_int_equal(tars_cite_check(analyzer, &arena, tars_span_of(answer), NULL, 0, &found),
                     TARS_OK);
    assert_int_equal(found.unsupported, 1);
    assert_int_equal(tars_cite_check(analyzer, &arena, tars_span_of(""), NULL, 0, &found), TARS_OK);
    assert_int_equal(found.count, 0);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

/* Sources of another language each are judged in their own. */
static void sources_may_differ_in_language(void **state)
{
    static const char german[] =
        "Napoleon wurde im Jahr 1814 auf die Insel Elba verbannt. Er kehrte aber bald zurück.";
    const struct tars_cite_source sources[] = {
        {.text = {napoleon, sizeof(napoleon) - 1}},
        {.text = {german, sizeof(german) - 1}},
    };
    struct tars_analyzer *analyzer = NULL;
    struct tars_citations found;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    assert_int_equal(
        tars_cite_check(analyzer, &arena,
                        tars_span_of("Er kehrte aber bald zurück. He was exiled to Elba in 1814."),
                        sources, 2, &found),
        TARS_OK);
    assert_int_equal(found.count, 2);
    assert_true(found.sentences[0].supported && found.sentences[1].supported);
    assert_int_equal(found.sentences[0].support[0].source, 1);
    assert_int_equal(found.sentences[1].support[0].source, 0);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void assert_same(const struct tars_citations *a, const struct tars_citations *b)
{
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_int_equal(a->sentences[i].verdict, b->sentences[i].verdict);
        assert_int_equal(a->sentences[i].support_count, b->sentences[i].support_count);
        assert_true(a->sentences[i].score == b->sentences[i].score);
    }
}

/* A source that was read before is not read again, and is judged as if it were; one that does not
 * tell its language is judged in the answer's, whatever it was read in. */
static void readings_change_no_verdict(void **state)
{
    static const struct {
        const char *name, *text, *answer;
        bool certain;
        int read_in;
    } rows[] = {
        {"the text tells", napoleon, "He was exiled to Elba in 1814. He lost in 1813.", true,
         TARS_LANG_GERMAN},
        {"taken for English", "1814", "Er wurde 1814 auf die Insel Elba verbannt.", false,
         TARS_LANG_ENGLISH},
        {"taken for German", "1814", "He was exiled to the island of Elba in 1814.", false,
         TARS_LANG_GERMAN},
    };
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cite_source source = {.text = tars_span_of(rows[i].text)};
        struct tars_span answer = tars_span_of(rows[i].answer);
        struct tars_citations alone;
        struct tars_citations again;

        print_message("  %s\n", rows[i].name);
        assert_int_equal(tars_cite_check(analyzer, &arena, answer, &source, 1, &alone), TARS_OK);
        assert_int_equal(
            tars_reading_new(analyzer, &arena, source.text, rows[i].read_in, &source.reading),
            TARS_OK);
        assert_int_equal(source.reading->certain, rows[i].certain);
        assert_true(rows[i].certain || source.reading->lang == rows[i].read_in);
        assert_int_equal(tars_cite_check(analyzer, &arena, answer, &source, 1, &again), TARS_OK);
        assert_same(&alone, &again);
    }
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void odd_text_is_harmless(void **state)
{
    static const char long_mark[] =
        "[Source 1: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]";
    static const char *const answers[] = {
        "...", "[1][2][3]", "\n\n\n", "5", "%",  "$",       "---",
        "n't", "'s",        "1.",     "A", "中", "(Source", long_mark,
    };
    const struct tars_cite_source source = {.text = {elba, sizeof(elba) - 1}};
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct guard guard = guard_copy(answers[i], strlen(answers[i]));
        struct tars_citations found;

        assert_int_equal(tars_cite_check(analyzer, &arena, tars_span(guard.ptr, strlen(answers[i])),
                                         &source, 1, &found),
                         TARS_OK);
        guard_free(&guard);
    }
    assert_string_equal(tars_cite_verdict_text((enum tars_cite_verdict)99), "unchecked");
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void check_once(void *ctx)
{
    const struct tars_cite_source source = {.text = {napoleon, sizeof(napoleon) - 1}};
    struct tars_analyzer *analyzer = NULL;
    struct tars_citations found = {NULL, 0, 0};
    struct tars_arena arena;
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_BYTES);
    status = tars_analyzer_new(&analyzer);
    if (status == TARS_OK) {
        status = tars_cite_check(analyzer, &arena,
                                 tars_span_of("He was exiled to Elba in 1813. He lost."), &source,
                                 1, &found);
    }
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    assert_true(status == TARS_OK || faults_happened());
    assert_int_equal(found.count, status == TARS_OK ? 2 : 0);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(check_once, NULL) >= 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(marks_are_found),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(languages),
        cmocka_unit_test(marks_join_their_sentence),
        cmocka_unit_test(sources_may_differ_in_language),
        cmocka_unit_test(readings_change_no_verdict),
        cmocka_unit_test(odd_text_is_harmless),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
