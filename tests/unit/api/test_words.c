/* Words of failures: what names other machines is not told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "api/words.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

#define STORE "The store is not reachable; try again in a moment"
#define OTHER "A server that this one needs does not answer; try again in a moment"

struct row {
    const char *name, *words, *told;
};

static const struct row rows[] = {
    {"ours", "too many questions at once", "too many questions at once"},
    {"nothing", "", ""},
    {"none", NULL, NULL},
    {"PostgreSQL", "PostgreSQL: connection to server at \"10.0.0.7\", port 5432 failed", STORE},
    {"PostgreSQL, in words of ours",
     "a conversation could not be read: PostgreSQL: the connection is lost", STORE},
    {"of PostgreSQL, but ours", "PostgreSQL has a table that is not one of T.A.R.S.",
     "PostgreSQL has a table that is not one of T.A.R.S."},
    {"a model's server", "Ollama answered 500 (http://models.internal:11434/api/generate)", OTHER},
    {"a provider", "https://login.example/token: no connection", OTHER},
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    const char *told = tars_words_told(row->words);

    if (row->told) {
        assert_string_equal(told, row->told);
    } else {
        assert_null(told);
    }
}

static void test_what_the_caller_gave_is_quoted(void **state)
{
    const struct tars_err err = {.text = "filters: http://example.org is no name"};

    (void)state;
    assert_string_equal(tars_words_of(NULL, NULL, TARS_EINVAL, &err), err.text);
    assert_string_equal(tars_words_of(NULL, NULL, TARS_EUNAVAILABLE, NULL),
                        tars_status_text(TARS_EUNAVAILABLE));
}

int main(void)
{
    struct CMUnitTest tests[ROWS(rows) + 1];
    size_t count = 0;

    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[count++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(test_what_the_caller_gave_is_quoted);
    return cmocka_run_group_tests_name("words", tests, NULL, NULL);
}
