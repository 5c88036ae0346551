/* Unit tests of retrieve/missing: the words of a question that no passage of the call holds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "retrieve/missing.h"
#include "support/faults.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)4 << 20)

static const struct {
    int lang;
    const char *text;
    const char *title;
} PASSAGES[] = {
    {TARS_LANG_ENGLISH, "The vault opens at seven.", "Strongroom"},
    {TARS_LANG_ENGLISH, "Employees get 28 days of paid leave a year.", "Handbook"},
    {TARS_LANG_GERMAN, "Die Schl\xc3\xbcssel liegen im Hafen.", "Hausordnung"},
    {TARS_LANG_CHINESE, "\xe5\xb9\xb4\xe5\x81\x87\xe6\x9c\x89\xe5\x85\xab\xe5\xa4\xa9", ""},
    {TARS_LANG_ENGLISH, "The keeper's name is O'Brien.", ""},
};
#define PASSAGE_COUNT (sizeof(PASSAGES) / sizeof(PASSAGES[0]))

static const int LANGS[] = {TARS_LANG_ENGLISH, TARS_LANG_GERMAN, TARS_LANG_CHINESE};

struct fixture {
    struct tars_arena arena;
    struct tars_analyzer *analyzer;
    struct tars_index *index;
    struct tars_wording_from from;
};

static size_t take(struct fixture *made, int lang, const char *text, enum tars_index_field field,
                   struct tars_index_term *out)
{
    struct tars_term_count *counts;
    struct tars_terms terms;
    size_t count;

    assert_int_equal(tars_analyze(made->analyzer, &made->arena, lang, text, strlen(text), &terms),
                     TARS_OK);
    assert_int_equal(tars_terms_tally(&made->arena, &terms, &counts, &count), TARS_OK);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct tars_index_term){counts[i].ptr, counts[i].len, counts[i].tf, field};
    return count;
}

static int set_up(void **state)
{
    const struct tars_index_config config = {.dim = 0};
    struct fixture *made = calloc(1, sizeof(*made));

    assert_non_null(made);
    tars_arena_init(&made->arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&made->analyzer), TARS_OK);
    assert_int_equal(tars_index_open(&config, &made->index, NULL), TARS_OK);
    for (size_t i = 0; i < PASSAGE_COUNT; i++) {
        struct tars_index_term terms[64];
        int lang = PASSAGES[i].lang;
        size_t words = take(made, lang, PASSAGES[i].text, TARS_INDEX_TEXT, terms);
        size_t title = take(made, lang, PASSAGES[i].title, TARS_INDEX_TITLE, terms + words);

        assert_int_equal(
            tars_index_add(made->index,
                           &(struct tars_index_passage){.id = i + 1,
                                                        .terms = terms,
                                                        .term_count = words + title,
                                                        .length = (uint32_t)words,
                                                        .title_length = (uint16_t)title,
                                                        .lang = lang}),
            TARS_OK);
    }
    tars_index_publish(made->index, 1);
    made->from =
        (struct tars_wording_from){&made->arena, made->analyzer, made->index, NULL, LANGS, 3};
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *made = *state;

    tars_index_close(made->index);
    tars_analyzer_free(made->analyzer);
    tars_arena_release(&made->arena);
    free(made);
    return 0;
}

/* The words, each ended by a bar. */
static void assert_missing(const struct tars_wording_from *from, const char *query,
                           const char *expected)
{
    char all[4096] = "";
    const char *const *words;
    size_t count;

    assert_int_equal(tars_missing_words(from, tars_span_of(query), &words, &count), TARS_OK);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(all);

        (void)snprintf(all + len, sizeof(all) - len, "%s|", words[i]);
    }
    assert_string_equal(all, expected);
}

static const struct {
    const char *name, *query, *missing;
} ROWS[] = {
    {"all are held", "When does the vault open?", ""},
    {"one is not", "When does the cellar open?", "cellar|"},
    {"as they stand in the question", "Who guards ZEPPELINS, airships (or vaults)?",
     "guards|ZEPPELINS|airships|"},
    {"each once", "cellar, Cellar; cellars!", "cellar|"},
    {"stems", "opening employee year", ""},
    {"numbers", "28 days or 29 days", "29|"},
    {"a title holds it", "the strongroom's handbook", ""},
    {"another language", "Wo liegen die Schl\xc3\xbcssel im Hafen?", ""},
    {"and not", "Wo liegen die Schl\xc3\xbcssel im Bahnhof?", "Bahnhof|"},
    {"stop words alone", "what is the of", ""},
    {"an apostrophe inside", "O'Brien O'Hara", "O'Hara|"},
    {"marks of their own", "vault ' ' 'vault' vault'", ""},
    {"no spaces: held", "\xe5\xb9\xb4\xe5\x81\x87", ""},
    {"no spaces: none of it is held", "\xe5\xb7\xa5\xe8\xb5\x84", "\xe5\xb7\xa5\xe8\xb5\x84|"},
    {"nothing", "", ""},
    {"no words", "?! --- \"\"", ""},
    {"bytes that are no characters", "vault \xff\xfe cellar\xc3", "cellar|"},
};

static void words_that_nothing_holds(void **state)
{
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        print_message("%s\n", ROWS[i].name);
        assert_missing(&fixture->from, ROWS[i].query, ROWS[i].missing);
    }
}

static bool not_the_first(void *ctx, uint64_t id)
{
    (void)ctx;
    return id != 1;
}

/* What hidden passages hold is not told apart from what is not there. */
static void a_hidden_word_is_missing(void **state)
{
    const struct fixture *fixture = *state;
    const struct tars_index_filter filter = {not_the_first, NULL, NULL};
    struct tars_wording_from from = fixture->from;

    from.visible = &filter;
    assert_missing(&from, "Which vault has leave days?", "vault|");
    assert_missing(&from, "Which cellar has leave days?", "cellar|");
    assert_missing(&from, "the strongroom", "strongroom|");
}

static bool next_none(void *ctx, uint64_t from, struct tars_index_run *run)
{
    (void)ctx;
    (void)from;
    (void)run;
    return false;
}

static bool next_one(void *ctx, uint64_t from, struct tars_index_run *run)
{
    (void)ctx;
    *run = (struct tars_index_run){from, from};
    return true;
}

static void no_passage_at_all(void **state)
{
    const struct fixture *fixture = *state;
    const struct tars_index_config config = {.dim = 0};
    const struct tars_index_filter none = {not_the_first, NULL, next_none};
    const struct tars_index_filter one = {not_the_first, NULL, next_one};
    const struct tars_index_filter silent = {not_the_first, NULL, NULL};
    struct tars_index *empty = NULL;

    assert_int_equal(tars_index_open(&config, &empty, NULL), TARS_OK);
    assert_true(tars_missing_all(empty, NULL));
    tars_index_close(empty);
    assert_false(tars_missing_all(fixture->index, NULL));
    assert_true(tars_missing_all(fixture->index, &none));
    assert_false(tars_missing_all(fixture->index, &one));
    assert_false(tars_missing_all(fixture->index, &silent));
}

static void what_is_removed_is_missing(void **state)
{
    const struct fixture *fixture = *state;

    tars_index_remove(fixture->index, 5, 5);
    tars_index_publish(fixture->index, 2);
    assert_missing(&fixture->from, "vault of O'Brien", "O'Brien|");
}

/* Long questions and long words: so many are looked for, and a name is cut between characters. */
static void bounds(void **state)
{
    const struct fixture *fixture = *state;
    char query[2048] = "";
    const char *const *words;
    size_t count;

    for (int i = 0; i < 100; i++) {
        size_t len = strlen(query);

        (void)snprintf(query + len, sizeof(query) - len, "wxyz%d ", i);
    }
    assert_int_equal(tars_missing_words(&fixture->from, tars_span_of(query), &words, &count),
                     TARS_OK);
    assert_int_equal(count, TARS_MISSING_TERMS);
    assert_string_equal(words[0], "wxyz0");
    query[0] = 'x';
    for (size_t i = 0; i < 500; i++)
        memcpy(query + 1 + 2 * i, "\xc3\xa9", 3);
    assert_int_equal(tars_missing_words(&fixture->from, tars_span_of(query), &words, &count),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(strlen(words[0]), TARS_TERM_BYTES_MAX - 1);
}

static void work(void *ctx)
{
    const struct fixture *fixture = ctx;
    struct tars_wording_from from = fixture->from;
    const char *const *words;
    struct tars_arena arena;
    size_t count;

    tars_arena_init(&arena, ARENA_BYTES);
    from.arena = &arena;
    (void)!tars_missing_words(&from, tars_span_of("cellar of the vault"), &words, &count);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(work, *state) > 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_that_nothing_holds),
        cmocka_unit_test(a_hidden_word_is_missing),
        cmocka_unit_test(bounds),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(no_passage_at_all),
        cmocka_unit_test(what_is_removed_is_missing),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
