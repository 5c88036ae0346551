/* Unit tests of text/analyzer and text/language: rows of a text and its terms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libstemmer.h>

#include "support/faults.h"
#include "support/guard.h"
#include "text/analyzer.h"
#include "text/normalize.h"
#include "text/stop_words.h"

#define ARENA_MAX   ((size_t)64 << 20)
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

/* Terms, a space between; with counts over 1 after a star. */
static void join(const struct tars_terms *terms, char *out, size_t size)
{
    size_t to = 0;

    out[0] = '\0';
    for (size_t i = 0; i < terms->count; i++) {
        to += (size_t)snprintf(out + to, size - to, "%s%.*s", i ? " " : "",
                               (int)terms->items[i].len, terms->items[i].ptr);
        if (terms->items[i].count > 1)
            to += (size_t)snprintf(out + to, size - to, "*%u", terms->items[i].count);
    }
}

static const struct row {
    const char *name;
    int lang;
    const char *text;
    const char *want;
} ROWS[] = {
    {"English", TARS_LANG_ENGLISH, "The foxes were jumping over 3 Dogs", "fox jump 3 dog"},
    {"apostrophes", TARS_LANG_ENGLISH, "John's dogs\xE2\x80\x99 don't O'Neill", "john dog o'neil"},
    {"numbers", TARS_LANG_ENGLISH, "version 3.14, 2021-05", "version 3 14 2021 05"},
    {"signs", TARS_LANG_ENGLISH, "snake_case x-ray C++", "snake case x ray c"},
    {"only stop words", TARS_LANG_ENGLISH, "to be or not to be", ""},
    {"bare words", TARS_LANG_UNKNOWN, "The Foxes' den", "the foxes den"},
    {"number that is none", 999, "Foxes", "foxes"},
    {"German", TARS_LANG_GERMAN,
     "Die H\xC3\xA4user stra\xC3\x9F"
     "e",
     "haus strass"},
    {"French elision", TARS_LANG_FRENCH,
     "L'homme d\xE2\x80\x99"
     "affaires",
     "homm affair"},
    {"Russian", TARS_LANG_RUSSIAN, "\xD0\x94\xD0\xBE\xD0\xBC\xD0\xB0", "\xD0\xB4\xD0\xBE\xD0\xBC"},
    {"Turkish", TARS_LANG_TURKISH, "ISI \xC4\xB0stanbul'da", "\xC4\xB1s istanbul"},
    {"Chinese", TARS_LANG_CHINESE, "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97",
     "\xE4\xB8\xAD\xE6\x96\x87 \xE6\x96\x87\xE5\xAD\x97"},
    {"a lone character", TARS_LANG_CHINESE, "\xE4\xB8\xAD\xE3\x80\x82X\xE4\xB8\xAD",
     "\xE4\xB8\xAD x \xE4\xB8\xAD"},
    {"Hangul", TARS_LANG_KOREAN, "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4 \xEC\x96\xB4",
     "\xED\x95\x9C\xEA\xB5\xAD \xEA\xB5\xAD\xEC\x96\xB4 \xEC\x96\xB4"},
    {"half width kana", TARS_LANG_JAPANESE, "\xEF\xBD\xB6\xEF\xBE\x80\xEF\xBE\x85",
     "\xE3\x82\xAB\xE3\x82\xBF \xE3\x82\xBF\xE3\x83\x8A"},
    {"full width", TARS_LANG_ENGLISH, "\xEF\xBC\xA6\xEF\xBC\xAF\xEF\xBC\xB8", "fox"},
    {"soft hyphen", TARS_LANG_ENGLISH, "jump\xC2\xADing", "jump"},
    {"stem that is no beginning", TARS_LANG_ENGLISH, "skies", "sky"},
    {"ill formed", TARS_LANG_ENGLISH, "fox\xFFhound", "fox hound"},
    {"an apostrophe at the end", TARS_LANG_ENGLISH, "dogs'", "dog"},
};

static void test_documents(void **state)
{
    struct tars_analyzer *analyzer = NULL;

    (void)state;
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        size_t len = strlen(ROWS[i].text);
        struct guard guard = guard_copy(ROWS[i].text, len);
        struct tars_arena arena;
        struct tars_terms terms;
        char got[256];

        print_message("  %s\n", ROWS[i].name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(tars_analyze(analyzer, &arena, ROWS[i].lang, guard.ptr, len, &terms),
                         TARS_OK);
        join(&terms, got, sizeof(got));
        assert_string_equal(got, ROWS[i].want);
        tars_arena_release(&arena);
        guard_free(&guard);
    }
    tars_analyzer_free(analyzer);
    tars_analyzer_free(NULL);
}

static const struct question {
    const char *name;
    int langs[3];
    size_t n;
    const char *text;
    const char *want;
} QUESTIONS[] = {
    {"one language", {TARS_LANG_ENGLISH}, 1, "What are foxes", "fox"},
    {"none", {0}, 0, "the Foxes", "the foxes"},
    {"repeats", {TARS_LANG_ENGLISH}, 1, "dogs and dogs and foxes", "dog*2 fox"},
    {"two languages",
     {TARS_LANG_ENGLISH, TARS_LANG_GERMAN},
     2,
     "What was the running of horses",
     "run hors running"},
    {"stop words of the other",
     {TARS_LANG_FRENCH, TARS_LANG_UNKNOWN, TARS_LANG_ENGLISH},
     3,
     "what is the fox of the den",
     "fox den"},
    {"only stop words", {TARS_LANG_ENGLISH}, 1, "to be or not to be", "to*2 be*2 or not"},
    {"letters of a long one",
     {TARS_LANG_ENGLISH},
     1,
     "x papers by b about fox den dog",
     "paper fox den dog"},
    {"letters of a short one", {TARS_LANG_ENGLISH}, 1, "vitamin c", "vitamin c"},
    {"bad number", {-5}, 1, "Foxes", "foxes"},
    {"nothing", {TARS_LANG_ENGLISH}, 1, " ?! ", ""},
};

static void test_questions(void **state)
{
    struct tars_analyzer *analyzer = NULL;

    (void)state;
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < COUNT_OF(QUESTIONS); i++) {
        const struct question *q = &QUESTIONS[i];
        struct tars_arena arena;
        struct tars_terms terms;
        char got[256];

        print_message("  %s\n", q->name);
        tars_arena_init(&arena, ARENA_MAX);
        assert_int_equal(
            tars_analyze_query(analyzer, &arena, q->langs, q->n, q->text, strlen(q->text), &terms),
            TARS_OK);
        join(&terms, got, sizeof(got));
        assert_string_equal(got, q->want);
        tars_arena_release(&arena);
    }
    tars_analyzer_free(analyzer);
}

static void test_positions_and_tally(void **state)
{
    const char *text = "The dog's fox, the fox";
    struct tars_analyzer *analyzer = NULL;
    struct tars_term_count *counts;
    size_t count;
    struct tars_arena arena;
    struct tars_terms terms;

    (void)state;
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    tars_arena_init(&arena, ARENA_MAX);
    assert_int_equal(tars_analyze(analyzer, &arena, TARS_LANG_ENGLISH, text, strlen(text), &terms),
                     TARS_OK);
    assert_int_equal(terms.count, 3);
    assert_int_equal(terms.items[0].position, 1);
    assert_int_equal(terms.items[1].position, 3);
    assert_int_equal(terms.items[2].position, 5);
    assert_int_equal(tars_terms_tally(&arena, &terms, &counts, &count), TARS_OK);
    assert_int_equal(count, 2);
    assert_int_equal(counts[0].tf, 1);
    assert_int_equal(counts[1].tf, 2);
    assert_memory_equal(counts[1].ptr, "fox", 3);
    tars_arena_release(&arena);
    tars_analyzer_free(analyzer);
}

/* (text, len) out of copies of unit; a rest that is shorter stays as it is. */
static void fill(char *text, size_t len, const char *unit)
{
    size_t n = strlen(unit);

    for (size_t i = 0; i < len / n * n; i++)
        text[i] = unit[i % n];
}

static void test_long_words(void **state)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;
    struct tars_terms terms;
    size_t len = 100000;
    char *text = malloc(len);

    (void)state;
    assert_non_null(text);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    tars_arena_init(&arena, ARENA_MAX);
    memset(text, 'a', len);
    assert_int_equal(tars_analyze(analyzer, &arena, TARS_LANG_ENGLISH, text, len, &terms), TARS_OK);
    assert_int_equal(terms.count, 1);
    assert_int_equal(terms.items[0].len, TARS_TERM_BYTES_MAX);
    fill(text, len, "\xD0\xB0");
    text[0] = 'a';
    text[1] = 'b';
    text[2] = 'c';
    assert_int_equal(tars_analyze(analyzer, &arena, TARS_LANG_RUSSIAN, text, len, &terms), TARS_OK);
    for (size_t i = 0; i < terms.count; i++)
        assert_true(tars_utf8_is_valid(terms.items[i].ptr, terms.items[i].len));
    tars_arena_release(&arena);
    tars_analyzer_free(analyzer);
    free(text);
}

static const struct detection {
    const char *text;
    int lang;
} DETECTIONS[] = {
    {"The quick brown fox jumps over the lazy dog and runs away from the hunters.",
     TARS_LANG_ENGLISH},
    {"Computing roots of polynomials", TARS_LANG_ENGLISH},
    {"Der schnelle braune Fuchs springt \xC3\xBC"
     "ber den faulen Hund und die Katze.",
     TARS_LANG_GERMAN},
    {"Das Haus ist gross und der Garten ist nicht klein, aber wir wohnen dort gern.",
     TARS_LANG_GERMAN},
    {"El r\xC3\xA1pido zorro marr\xC3\xB3n salta sobre el perro perezoso de la casa.",
     TARS_LANG_SPANISH},
    {"\xD0\x91\xD1\x8B\xD1\x81\xD1\x82\xD1\x80\xD0\xB0\xD1\x8F \xD0\xBB\xD0\xB8\xD1\x81\xD0\xB0",
     TARS_LANG_RUSSIAN},
    {"\xE3\x81\x93\xE3\x82\x8C\xE3\x81\xAF\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xE3\x81\xA7\xE3\x81"
     "\x99",
     TARS_LANG_JAPANESE},
    {"\xE8\xBF\x99\xE6\x98\xAF\xE4\xB8\xAD\xE6\x96\x87", TARS_LANG_CHINESE},
    {"\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4", TARS_LANG_KOREAN},
    {"\xE0\xB8\xA0\xE0\xB8\xB2\xE0\xB8\xA9\xE0\xB8\xB2\xE0\xB9\x84\xE0\xB8\x97\xE0\xB8\xA2",
     TARS_LANG_THAI},
    {"12345 67890", TARS_LANG_UNKNOWN},
    {"", TARS_LANG_UNKNOWN},
    {"abc\xFF", TARS_LANG_ENGLISH},
};

static void test_detection(void **state)
{
    char *text = malloc(200000);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(DETECTIONS); i++) {
        print_message("  %s\n", DETECTIONS[i].text);
        assert_int_equal(tars_language_detect(DETECTIONS[i].text, strlen(DETECTIONS[i].text)),
                         DETECTIONS[i].lang);
    }
    assert_non_null(text);
    fill(text, 200000, "the ");
    assert_int_equal(tars_language_detect(text, 200000), TARS_LANG_ENGLISH);
    free(text);
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < TARS_LANGUAGE_COUNT; i++)
        assert_int_equal(tars_language_of(tars_language_name(i)), i);
    assert_string_equal(tars_language_name(-1), "und");
    assert_string_equal(tars_language_name(TARS_LANGUAGE_COUNT), "und");
    assert_int_equal(tars_language_of("zh-Hant"), TARS_LANG_CHINESE);
    assert_int_equal(tars_language_of("iw"), TARS_LANG_HEBREW);
    assert_int_equal(tars_language_of("nb"), TARS_LANG_NORWEGIAN);
    assert_int_equal(tars_language_of("xx"), TARS_LANG_UNKNOWN);
}

static void test_every_language(void **state)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;
    struct tars_terms terms;

    (void)state;
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    tars_arena_init(&arena, ARENA_MAX);
    for (int i = 0; i < TARS_LANGUAGE_COUNT; i++) {
        assert_int_equal(tars_analyze(analyzer, &arena, i, "zebra 42", 8, &terms), TARS_OK);
        assert_int_equal(terms.count, 2);
    }
    assert_true(tars_stop_word(TARS_LANG_ENGLISH, "about", 5) &&
                tars_stop_word(TARS_LANG_ENGLISH, "yourselves", 10));
    assert_false(tars_stop_word(TARS_LANG_ENGLISH, "abou", 4) ||
                 tars_stop_word(TARS_LANG_THAI, "a", 1));
    tars_arena_release(&arena);
    tars_analyzer_free(analyzer);
}

/* Each algorithm of the library that is at hand serves a language; porter is English of old. */
static void test_every_stemmer(void **state)
{
    static const char *const used[] = {
#define X(name, value, code, stemmer) (stemmer),
        TARS_LANGUAGE_LIST(X)
#undef X
    };

    (void)state;
    for (const char **name = sb_stemmer_list(); *name; name++) {
        size_t i = 0;

        while (i < sizeof(used) / sizeof(used[0]) && !(used[i] && strcmp(used[i], *name) == 0))
            i++;
        if (i == sizeof(used) / sizeof(used[0]) && strcmp(*name, "porter") != 0)
            fail_msg("no language is stemmed by %s", *name);
    }
}

static void body_with_faults(void *ctx)
{
    static const int LANGS[] = {TARS_LANG_ENGLISH, TARS_LANG_FRENCH};
    struct tars_analyzer *analyzer = NULL;
    struct tars_term_count *counts;
    struct tars_arena arena;
    struct tars_terms terms;
    size_t count;
    tars_status status = tars_analyzer_new(&analyzer);

    (void)ctx;
    tars_arena_init(&arena, ARENA_MAX);
    if (status == TARS_OK) {
        status =
            tars_analyze(analyzer, &arena, TARS_LANG_ENGLISH, "L'homme skies \xC3\x89", 15, &terms);
    }
    if (status == TARS_OK)
        status = tars_terms_tally(&arena, &terms, &counts, &count);
    if (status == TARS_OK)
        status = tars_analyze_query(analyzer, &arena, LANGS, 2, "the skies", 9, &terms);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
    tars_analyzer_free(analyzer);
}

static void test_no_memory(void **state)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;
    struct tars_terms terms;
    static const char TEXT[] = "O'Neill's skies \xC3\x89toile";

    (void)state;
    assert_true(faults_each(body_with_faults, NULL) >= 2);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    /* Every place where an arena can be full. */
    for (size_t max = 64; max < 20000; max += 64) {
        tars_status status;

        tars_arena_init(&arena, max);
        status = tars_analyze(analyzer, &arena, TARS_LANG_ENGLISH, TEXT, sizeof(TEXT) - 1, &terms);
        assert_true(status == TARS_OK || status == TARS_ENOMEM);
        tars_arena_release(&arena);
    }
    tars_analyzer_free(analyzer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),           cmocka_unit_test(test_questions),
        cmocka_unit_test(test_positions_and_tally), cmocka_unit_test(test_long_words),
        cmocka_unit_test(test_detection),           cmocka_unit_test(test_names),
        cmocka_unit_test(test_every_language),      cmocka_unit_test(test_every_stemmer),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
