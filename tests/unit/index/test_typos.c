/* Unit tests of index/typos: which words are spelt nearly so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "support/files.h"

#define FOUND_MAX 3

static const char *const WORDS[] = {"harbour", "harbor", "harbours", "lighthouse", "keeper",
                                    "keep",    "peace",  "peach",    "peaceful",   "tide"};

static void check_all(const struct tars_index *index)
{
    static const struct {
        const char *word;
        const char *found; /* joined by spaces, in order */
    } rows[] = {
        {"harbuor", "harbor harbour"}, /* one too many; two that changed places */
        {"harbou", "harbor harbour"},  /* one less: both are one step, the frequent one first */
        {"harbour", ""},               /* is a term */
        {"lihgthouse", "lighthouse"},  /* from nine bytes on */
        {"lihgthuose", "lighthouse"},  /* two steps */
        {"lihgthuosx", ""},            /* three */
        {"keepr", "keeper keep"},      /* one missing; one too many */
        {"peacf", "peach peace"},      /* both; peach is in more passages */
        {"tidx", ""},                  /* too short */
        {"zzzzzz", ""},
        {"", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_index_similar found[FOUND_MAX];
        char joined[256] = "";
        size_t n =
            tars_index_similar_terms(index, rows[i].word, strlen(rows[i].word), found, FOUND_MAX);

        for (size_t k = 0; k < n; k++) {
            size_t used = strlen(joined);

            (void)snprintf(joined + used, sizeof(joined) - used, "%s%.*s", k ? " " : "",
                           (int)found[k].len, found[k].text);
        }
        print_message("%s: %s\n", rows[i].word, joined);
        assert_string_equal(joined, rows[i].found);
    }
}

static void add_word(struct tars_index *index, uint64_t id, const char *word,
                     enum tars_index_field field)
{
    const struct tars_index_term term = {word, (uint32_t)strlen(word), 1, field};

    assert_int_equal(tars_index_add(index, &(struct tars_index_passage){.id = id,
                                                                        .terms = &term,
                                                                        .term_count = 1,
                                                                        .length = 1,
                                                                        .title_length = 1}),
                     TARS_OK);
}

static void nearly_spelt(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index_config config = {.dir = dir};
    struct tars_index *index = NULL;
    uint64_t id = 0;

    (void)state;
    files_make_dir(dir);
    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++)
        add_word(index, ++id, WORDS[i], TARS_INDEX_TEXT);
    add_word(index, ++id, "harbor", TARS_INDEX_TEXT);
    add_word(index, ++id, "peach", TARS_INDEX_TEXT);
    add_word(index, ++id, "zzzzzy", TARS_INDEX_TITLE); /* of another field */
    tars_index_publish(index, 1);
    check_all(index);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    check_all(index);
    tars_index_close(index);
    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    check_all(index);
    tars_index_close(index);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearly_spelt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
