/* Unit tests of index/phrases and index/sequence: words in their order, in memory and mapped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/index.h"
#include "index/sequence.h"
#include "support/faults.h"
#include "support/files.h"

#define WORDS_MAX 16

/* A text of single letters, a word each; '.' is a word that was left out. */
static const char *const TEXTS[] = {"abc", "acb", "ab.c", "xxabcabc", "cab", "a", "", "abab"};
#define TEXT_COUNT (sizeof(TEXTS) / sizeof(TEXTS[0]))

static tars_status add(struct tars_index *index, uint64_t id, const char *text)
{
    struct tars_index_term terms[WORDS_MAX + 1];
    uint32_t words[WORDS_MAX];
    struct tars_index_passage passage = {.id = id, .terms = terms, .words = words};

    for (; text[passage.word_count]; passage.word_count++) {
        const char *letter = text + passage.word_count;
        uint32_t i = 0;

        words[passage.word_count] = TARS_INDEX_GAP;
        if (*letter == '.')
            continue;
        while (i < passage.term_count && *terms[i].ptr != *letter)
            i++;
        if (i == passage.term_count)
            terms[passage.term_count++] = (struct tars_index_term){letter, 1, 0, TARS_INDEX_TEXT};
        terms[i].tf++;
        words[passage.word_count] = i;
        passage.length++;
    }
    terms[passage.term_count++] =
        (struct tars_index_term){id % 2 ? "odd" : "even", id % 2 ? 3 : 4, 1, TARS_INDEX_TITLE};
    passage.title_length = 1;
    return tars_index_add(index, &passage);
}

/* The phrase of letters, '.' leaving a place out; found as a bit an id. */
static uint32_t find(const struct tars_index *index, const char *letters)
{
    struct tars_index_phrase_word words[WORDS_MAX];
    struct tars_index_phrase phrase = {words, 0, TARS_INDEX_TEXT};
    uint64_t *ids = NULL;
    uint32_t bits = 0;
    size_t n = 0;

    for (uint32_t i = 0; letters[i]; i++) {
        if (letters[i] != '.')
            words[phrase.count++] = (struct tars_index_phrase_word){letters + i, 1, i};
    }
    assert_int_equal(tars_index_find_phrase(index, &phrase, &ids, &n), TARS_OK);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || ids[i] > ids[i - 1]);
        bits |= 1U << (ids[i] - 1);
    }
    free(ids);
    return bits;
}

static void check_all(const struct tars_index *index, uint32_t living)
{
    static const struct {
        const char *phrase;
        uint32_t found;
    } rows[] = {
        {"abc", 0x09}, {"ab", 0x9d},   {"ab.c", 0x04}, {"a", 0xbf},     {"cab", 0x18}, {"ca", 0x18},
        {"bb", 0},     {"abab", 0x80}, {"a.c", 0},     {"bcabc", 0x08}, {"z", 0},      {"az", 0},
        {"acb", 0x02}, {"", 0},        {"b.c", 0x04},  {"xx", 0x08},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (find(index, rows[i].phrase) != (rows[i].found & living))
            fail_msg("\"%s\" is found in %x", rows[i].phrase, find(index, rows[i].phrase));
    }
}

static struct tars_index *open_at(const char *dir)
{
    const struct tars_index_config config = {.dir = dir};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    return index;
}

static void words_in_their_order(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir);
    for (uint64_t i = 0; i < TEXT_COUNT / 2; i++)
        assert_int_equal(add(index, i + 1, TEXTS[i]), TARS_OK);
    assert_int_equal(find(index, "a"), 0); /* not published */
    tars_index_publish(index, 1);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    for (uint64_t i = TEXT_COUNT / 2; i < TEXT_COUNT; i++)
        assert_int_equal(add(index, i + 1, TEXTS[i]), TARS_OK);
    tars_index_publish(index, 2);
    check_all(index, 0xff); /* some mapped, some not */
    tars_index_remove(index, 4, 4);
    tars_index_publish(index, 3);
    check_all(index, 0xf7);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    check_all(index, 0xf7);
    tars_index_close(index);
    index = open_at(dir);
    check_all(index, 0xf7);
    tars_index_close(index);
    files_remove_dir(dir);
}

static void title_is_asked_apart(void **state)
{
    const struct tars_index_phrase_word odd = {"odd", 3, 0};
    const struct tars_index_phrase in_title = {&odd, 1, TARS_INDEX_TITLE};
    const struct tars_index_phrase in_text = {&odd, 1, TARS_INDEX_TEXT};
    struct tars_index *index = open_at(NULL);
    uint64_t *ids = NULL;
    size_t n = 99;

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(add(index, i + 1, TEXTS[i]), TARS_OK);
    tars_index_publish(index, 1);
    assert_int_equal(tars_index_find_phrase(index, &in_text, &ids, &n), TARS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(tars_index_find_phrase(index, &in_title, &ids, &n), TARS_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 3);
    free(ids);
    tars_index_close(index);
}

static void a_word_that_is_no_term_is_refused(void **state)
{
    const uint32_t words[] = {0, 1};
    const struct tars_index_term term = {"a", 1, 1, TARS_INDEX_TEXT};
    struct tars_index_passage passage = {
        .id = 1, .terms = &term, .term_count = 1, .words = words, .word_count = 2, .length = 2};
    struct tars_index *index = open_at(NULL);

    (void)state;
    assert_int_equal(tars_index_add(index, &passage), TARS_EINVAL);
    passage.word_count = 1;
    assert_int_equal(tars_index_add(index, &passage), TARS_OK);
    tars_index_close(index);
}

/* Places that lead behind the bytes, and words that do not end. */
static void damage_is_no_words(void **state)
{
    static const struct {
        struct tars_sequence_place place;
        size_t words;
    } rows[] = {
        {{0, 4}, 3}, {{0, 5}, 3}, {{4, 1}, 0}, {{0, 6}, 0}, {{6, 1}, 0}, {{UINT32_MAX, 2}, 0},
    };
    uint8_t bytes[5] = {0, 9, 193, 1, 255};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_sequence_place place = rows[i].place;
        struct tars_sequence sequence;
        struct tars_sequence_reader reader;
        uint32_t word;
        size_t n = 0;

        tars_sequence_init(&sequence);
        tars_column_set_base(&sequence.bytes, bytes, sizeof(bytes));
        tars_column_set_base(&sequence.places, (void *)&place, 1);
        tars_sequence_adopt(&sequence);
        reader = tars_sequence_read(&sequence, 0);
        while (tars_sequence_next(&reader, &word))
            n++;
        assert_int_equal(n, rows[i].words);
        reader = tars_sequence_read(&sequence, 1);
        assert_false(tars_sequence_next(&reader, &word));
        tars_sequence_release(&sequence);
    }
}

/* Words of every length and runs of gaps come out as they went in; gaps at the end are not told. */
static void words_come_out_as_they_went_in(void **state)
{
    static const uint32_t edges[] = {
        0, 1, 186, 187, 188, 189, 14523, 14524, 14525, 473275, 473276, 473277, UINT32_C(1) << 30};
    enum { EDGES = sizeof(edges) / sizeof(edges[0]), GAPS = 11 };
    uint32_t words[EDGES * (GAPS + 1) * 2];
    size_t count = 0;
    size_t told = 0;
    size_t n = 0;
    struct tars_sequence sequence;
    struct tars_sequence_reader reader;
    uint32_t word;

    (void)state;
    for (size_t i = 0; i < EDGES; i++) {
        words[count++] = edges[i];
        told = count;
        for (size_t gaps = 0; gaps < i % GAPS; gaps++)
            words[count++] = TARS_SEQUENCE_GAP;
    }
    tars_sequence_init(&sequence);
    assert_int_equal(tars_sequence_put(&sequence, 0, words, count), TARS_OK);
    reader = tars_sequence_read(&sequence, 0);
    while (tars_sequence_next(&reader, &word))
        assert_int_equal(word, words[n++]);
    assert_true(n >= told && n <= count);
    tars_sequence_release(&sequence);
}

static void work(void *ctx)
{
    const struct tars_index_phrase_word words[] = {{"a", 1, 0}, {"b", 1, 1}};
    const struct tars_index_phrase phrase = {words, 2, TARS_INDEX_TEXT};
    const struct tars_index_config config = {.dir = ctx};
    struct tars_index *index = NULL;
    uint64_t *ids = NULL;
    size_t n = 0;

    if (tars_index_open(&config, &index, NULL) != TARS_OK)
        return;
    if (add(index, tars_index_seq(index) + 1, "abab") == TARS_OK)
        tars_index_publish(index, tars_index_seq(index) + 1);
    if (tars_index_find_phrase(index, &phrase, &ids, &n) == TARS_OK)
        free(ids);
    (void)!tars_index_save(index, NULL);
    tars_index_close(index);
}

static void every_allocation_may_fail(void **state)
{
    char dir[FILES_PATH_MAX];

    (void)state;
    files_make_dir(dir);
    assert_true(faults_each(work, dir) > 20);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_in_their_order),
        cmocka_unit_test(title_is_asked_apart),
        cmocka_unit_test(a_word_that_is_no_term_is_refused),
        cmocka_unit_test(damage_is_no_words),
        cmocka_unit_test(words_come_out_as_they_went_in),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
