/* Unit tests of index/bm25 and index/postings: MaxScore against looking at everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "index/bm25.h"
#include "index/snapshot.h"
#include "support/files.h"

#define VOCABULARY 2000
#define APART      60 /* passages scored apart */
#define TWICE      ((size_t)2 * APART)
#define APART_MAX  5000 /* more than there are */
#define TOP        20
#define WORDS_MAX  200

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A word's number: all alike, or word i with a chance of about 1 / i. */
static uint32_t draw(uint64_t *state, bool zipf)
{
    double u = (double)(next_random(state) >> 11) / 9007199254740992.0;

    return zipf ? (uint32_t)(exp(u * log(VOCABULARY)) - 0.5) : (uint32_t)(u * VOCABULARY);
}

static void put(struct tars_passages *passages, struct tars_postings *postings, uint64_t id,
                uint64_t *random, bool zipf, uint64_t longer)
{
    uint32_t tfs[VOCABULARY] = {0};
    struct tars_index_passage passage = {
        .id = id, .length = 5 + (uint32_t)(longer + next_random(random) % WORDS_MAX)};
    uint32_t ordinal;

    for (uint32_t i = 0; i < passage.length; i++)
        tfs[draw(random, zipf)]++;
    assert_int_equal(tars_passages_prepare(passages), TARS_OK);
    ordinal = tars_passages_take(passages, &passage);
    for (uint32_t i = 0; i < VOCABULARY; i++) {
        char word[16];

        if (tfs[i] == 0)
            continue;
        (void)snprintf(word, sizeof(word), "word%u", i);
        assert_int_equal(tars_postings_add(postings,
                                           &(struct tars_index_term){word, (uint32_t)strlen(word),
                                                                     tfs[i], TARS_INDEX_TEXT},
                                           ordinal, passage.length),
                         TARS_OK);
    }
    tars_passages_accept(passages, ordinal);
}

static bool accept_odd(void *ctx, uint64_t id)
{
    (void)ctx;
    return id % 2 == 1;
}

static float score_in(const struct tars_index_hit *hits, size_t n, uint64_t id)
{
    for (size_t i = 0; i < n; i++) {
        if (hits[i].id == id)
            return hits[i].score;
    }
    return 0;
}

/* Scores of given passages, up and down, are those of the search of all; one that is none has none.
 * A passage holds the terms that score there alone. */
static void compare_apart(const struct tars_bm25 *bm25, const struct tars_index_query_term *terms,
                          size_t n_terms)
{
    static struct tars_index_hit all[APART_MAX];
    uint32_t ordinals[TWICE + 1];
    float scores[TWICE + 1];
    size_t n = 0;

    assert_int_equal(tars_bm25_search_all(bm25, terms, n_terms, APART_MAX, NULL, all, &n), TARS_OK);
    for (uint32_t i = 0; i < APART; i++)
        ordinals[i] = ordinals[TWICE - 1 - i] = i * (bm25->view.count - 1) / (APART - 1);
    ordinals[TWICE] = TARS_PASSAGES_NONE;
    assert_int_equal(tars_bm25_scores(bm25, terms, n_terms, ordinals, TWICE + 1, scores), TARS_OK);
    assert_true(isnan(scores[TWICE]));
    for (size_t i = 0; i < TWICE; i++) {
        const struct tars_passage *passage =
            tars_passages_seen(bm25->passages, &bm25->view, ordinals[i]);
        bool held[12];

        if (!passage)
            continue;
        assert_true(scores[i] == score_in(all, n, passage->id));
        tars_bm25_held(bm25, terms, n_terms, ordinals[i], held);
        for (size_t t = 0; t < n_terms; t++) {
            float alone;

            assert_int_equal(tars_bm25_scores(bm25, &terms[t], 1, &ordinals[i], 1, &alone),
                             TARS_OK);
            assert_int_equal(held[t], alone > 0);
        }
    }
}

static void compare(const struct tars_bm25 *bm25, uint64_t *random, bool zipf,
                    const struct tars_index_filter *filter)
{
    char words[12][16];
    struct tars_index_query_term terms[12];
    struct tars_index_hit fast[TOP];
    struct tars_index_hit slow[TOP];
    size_t n_terms = 1 + next_random(random) % 12;
    size_t k = 1 + next_random(random) % TOP;
    size_t n_fast = 99;
    size_t n_slow = 98;

    for (size_t i = 0; i < n_terms; i++) {
        (void)snprintf(words[i], sizeof(words[i]), "word%u", draw(random, zipf) + (i == 5) * 5000);
        terms[i] = (struct tars_index_query_term){words[i], (uint32_t)strlen(words[i]),
                                                  i % 4 == 3 ? 0.5F : 1.0F, 0, TARS_INDEX_TEXT};
        if (filter && k % 2 == 0)
            terms[i].idf = tars_bm25_idf(bm25, &terms[i], filter, 2000);
    }
    assert_int_equal(tars_bm25_search(bm25, terms, n_terms, k, filter, fast, &n_fast), TARS_OK);
    assert_int_equal(tars_bm25_search_all(bm25, terms, n_terms, k, filter, slow, &n_slow), TARS_OK);
    assert_int_equal(n_fast, n_slow);
    for (size_t i = 0; i < n_fast; i++) {
        float score = -1;
        uint32_t ordinal = tars_passages_find(bm25->passages, &bm25->view, fast[i].id);

        assert_int_equal(fast[i].id, slow[i].id);
        assert_true(fast[i].score == slow[i].score);
        assert_int_equal(tars_bm25_scores(bm25, terms, n_terms, &ordinal, 1, &score), TARS_OK);
        assert_true(score == fast[i].score);
        assert_true(score <= tars_bm25_ceiling(bm25, terms, n_terms));
    }
    if (!filter && k % 4 == 0)
        compare_apart(bm25, terms, n_terms);
}

/* Of those that are accepted and not removed, whatever the others have; common words apart. */
static void idf_of_what_is_seen(void **state)
{
    const struct tars_index_filter filter = {accept_odd, NULL, NULL};
    const struct tars_index_query_term rare = {"rare", 4, 1, 0, TARS_INDEX_TEXT};
    const struct tars_index_query_term common = {"common", 6, 1, 0, TARS_INDEX_TEXT};
    const struct tars_index_query_term none = {"none", 4, 1, 0, TARS_INDEX_TEXT};
    struct tars_passages passages;
    struct tars_postings postings;
    struct tars_bm25 bm25;
    double n = 3000;

    (void)state;
    tars_passages_init(&passages);
    tars_postings_init(&postings);
    for (uint32_t id = 0; id < 3000; id++) {
        struct tars_index_passage passage = {.id = id, .length = 4};
        uint32_t ordinal;

        assert_int_equal(tars_passages_prepare(&passages), TARS_OK);
        ordinal = tars_passages_take(&passages, &passage);
        if (id < 100 && (id % 2 == 0 || id < 10)) {
            assert_int_equal(
                tars_postings_add(&postings,
                                  &(struct tars_index_term){"rare", 4, 1, TARS_INDEX_TEXT}, ordinal,
                                  4),
                TARS_OK);
        }
        if (id < 2000) {
            assert_int_equal(
                tars_postings_add(&postings,
                                  &(struct tars_index_term){"common", 6, 1, TARS_INDEX_TEXT},
                                  ordinal, 4),
                TARS_OK);
        }
        tars_passages_accept(&passages, ordinal);
    }
    (void)tars_passages_remove(&passages, 1, 1);
    tars_passages_publish(&passages);
    bm25 = (struct tars_bm25){&postings, &passages, tars_passages_look(&passages), 1.2, 0.75};
    assert_true(tars_bm25_idf(&bm25, &rare, NULL, 0) == log(1 + (n - 55 + 0.5) / (55 + 0.5)));
    assert_true(tars_bm25_idf(&bm25, &rare, &filter, 1499) ==
                log(1 + (1499 - 4 + 0.5) / (4 + 0.5)));
    assert_true(tars_bm25_idf(&bm25, &common, &filter, 1499) == log(1 + (n - 2000 + 0.5) / 2000.5));
    assert_true(tars_bm25_idf(&bm25, &none, &filter, 1499) == log(1 + (1499 + 0.5) / 0.5));
    tars_postings_release(&postings);
    tars_passages_release(&passages);
}

static void compare_many(const struct tars_shadow *shadow, uint64_t *random, bool zipf, double k1)
{
    const struct tars_index_filter filter = {accept_odd, NULL, NULL};

    for (int i = 0; i < 150; i++) {
        struct tars_bm25 bm25 = {&shadow->postings, &shadow->passages,
                                 tars_passages_look(&shadow->passages), k1, 0.75};

        compare(&bm25, random, zipf, i % 3 == 2 ? &filter : NULL);
    }
}

/* In memory; mapped; mapped with more behind it, some removed; mapped for another k1. */
static void same_as_exhaustive(void **state)
{
    bool zipf = *(const bool *)*state;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    struct tars_shadow *shadow = NULL;
    struct tars_shadow *mapped = NULL;
    struct tars_snapshot_mark mark;
    uint64_t random = 88172645463325252U;
    uint64_t seq;

    files_make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    assert_int_equal(tars_shadow_new(0, &shadow), TARS_OK);
    for (uint64_t id = 1; id <= 4000; id++)
        put(&shadow->passages, &shadow->postings, id * 3, &random, zipf, 0);
    (void)tars_passages_remove(&shadow->passages, 300, 900);
    tars_passages_publish(&shadow->passages);
    compare_many(shadow, &random, zipf, 1.2);
    mark = tars_snapshot_mark(shadow, 1);
    assert_int_equal(tars_snapshot_write(shadow, &mark, path, "", NULL), TARS_OK);
    tars_shadow_free(shadow);
    assert_int_equal(tars_snapshot_open(path, 0, "", true, &mapped, &seq, NULL), TARS_OK);
    compare_many(mapped, &random, zipf, 1.2);
    for (uint64_t id = 4001; id <= 4600; id++)
        put(&mapped->passages, &mapped->postings, id * 3, &random, zipf, id % 200);
    (void)tars_passages_remove(&mapped->passages, 3000, 4000);
    (void)tars_passages_remove(&mapped->passages, 12600, 12900);
    tars_passages_publish(&mapped->passages);
    compare_many(mapped, &random, zipf, 1.2);
    compare_many(mapped, &random, zipf, 0.9);
    tars_shadow_free(mapped);
    files_remove_dir(dir);
}

/* ------------------------------------------------------------ windows of ranges */

#define WINDOW_PASSAGES (65536U * TARS_RANGES_SIZE) /* of one window of bm25_ranges.c */
#define MANY            (WINDOW_PASSAGES + 1000)

/* MANY passages, ids their ordinals, of which some have "rare"; mapped. */
static struct tars_shadow *map_many(const char *path, const uint32_t *rare, size_t rare_count)
{
    const struct tars_index_term term = {"rare", 4, 1, TARS_INDEX_TEXT};
    struct tars_shadow *shadow = NULL;
    struct tars_shadow *mapped = NULL;
    struct tars_snapshot_mark mark;
    uint64_t seq;
    size_t at = 0;

    assert_int_equal(tars_shadow_new(0, &shadow), TARS_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        struct tars_index_passage passage = {.id = i + 1, .length = 4};

        assert_int_equal(tars_passages_prepare(&shadow->passages), TARS_OK);
        assert_int_equal(tars_passages_take(&shadow->passages, &passage), i);
        if (at < rare_count && rare[at] == i) {
            assert_int_equal(tars_postings_add(&shadow->postings, &term, i, 4), TARS_OK);
            at++;
        }
        tars_passages_accept(&shadow->passages, i);
    }
    mark = tars_snapshot_mark(shadow, 1);
    assert_int_equal(tars_snapshot_write(shadow, &mark, path, "", NULL), TARS_OK);
    tars_shadow_free(shadow);
    assert_int_equal(tars_snapshot_open(path, 0, "", false, &mapped, &seq, NULL), TARS_OK);
    return mapped;
}

static size_t find_rare(const struct tars_shadow *shadow, struct tars_index_hit *hits)
{
    const struct tars_index_query_term term = {"rare", 4, 1, 0, TARS_INDEX_TEXT};
    const struct tars_bm25 bm25 = {&shadow->postings, &shadow->passages,
                                   tars_passages_look(&shadow->passages), 1.2, 0.75};
    size_t n = 0;

    assert_int_equal(tars_bm25_search(&bm25, &term, 1, TOP, NULL, hits, &n), TARS_OK);
    return n;
}

/* A list that has more entries in a window than it says leads nowhere in the next one. */
static void more_than_one_window(void **state)
{
    static const uint32_t rare[] = {3, 100, 5000, WINDOW_PASSAGES + 20, WINDOW_PASSAGES + 900};
    const size_t count = sizeof(rare) / sizeof(rare[0]);
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    struct tars_index_hit hits[TOP];
    struct tars_ranges_head *head;
    struct tars_shadow *mapped;
    uint32_t number;

    (void)state;
    files_make_dir(dir);
    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    mapped = map_many(path, rare, count);
    assert_int_equal(find_rare(mapped, hits), count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(hits[i].id, rare[i] + 1);
    number = tars_postings_find(&mapped->postings, "rare", 4, TARS_INDEX_TEXT);
    assert_int_not_equal(number, TARS_POSTINGS_NONE);
    head = tars_column_at(&mapped->postings.blocks,
                          tars_postings_term_at(&mapped->postings, number)->first);
    assert_int_equal(head->count, count);
    assert_int_equal(head->spread, 0);
    for (head->count = 1; head->count < count; head->count++)
        assert_in_range(find_rare(mapped, hits), 1, count);
    tars_shadow_free(mapped);
    files_remove_dir(dir);
}

/* By hand: N 3, mean length 4, "a" in two of them. */
static void formula(void **state)
{
    struct tars_passages passages;
    struct tars_postings postings;
    const struct tars_index_query_term term = {"a", 1, 1, 0, TARS_INDEX_TEXT};
    const uint32_t lengths[3] = {2, 4, 6};
    const uint32_t tfs[3] = {1, 3, 0};
    struct tars_index_hit hits[3];
    double idf = log(1 + (3 - 2 + 0.5) / (2 + 0.5));
    size_t n;

    (void)state;
    tars_passages_init(&passages);
    tars_postings_init(&postings);
    for (uint32_t i = 0; i < 3; i++) {
        struct tars_index_passage passage = {.id = 10 + i, .length = lengths[i]};

        assert_int_equal(tars_passages_prepare(&passages), TARS_OK);
        assert_int_equal(tars_passages_take(&passages, &passage), i);
        if (tfs[i] > 0) {
            assert_int_equal(
                tars_postings_add(&postings,
                                  &(struct tars_index_term){"a", 1, tfs[i], TARS_INDEX_TEXT}, i,
                                  lengths[i]),
                TARS_OK);
        }
        tars_passages_accept(&passages, i);
    }
    tars_passages_publish(&passages);
    {
        struct tars_bm25 bm25 = {&postings, &passages, tars_passages_look(&passages), 1.2, 0.75};

        assert_int_equal(tars_bm25_search(&bm25, &term, 1, 3, NULL, hits, &n), TARS_OK);
    }
    assert_int_equal(n, 2);
    assert_int_equal(hits[0].id, 11);
    assert_true(fabs(hits[0].score - idf * 3 * 2.2 / (3 + 1.2)) < 1e-6);
    assert_true(fabs(hits[1].score - idf * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 2 / 4))) < 1e-6);
    tars_postings_release(&postings);
    tars_passages_release(&passages);
}

int main(void)
{
    static bool even = false;
    static bool zipf = true;
    const struct CMUnitTest tests[] = {
        {"same_as_exhaustive(even)", same_as_exhaustive, NULL, NULL, &even},
        {"same_as_exhaustive(zipf)", same_as_exhaustive, NULL, NULL, &zipf},
        cmocka_unit_test(more_than_one_window),
        cmocka_unit_test(formula),
        cmocka_unit_test(idf_of_what_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
