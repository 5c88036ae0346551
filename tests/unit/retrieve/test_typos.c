/* Unit tests of retrieve/typos: the words beside a misspelt one, and what they weigh. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "index/index.h"
#include "retrieve/typos.h"
#include "support/faults.h"

#define ARENA_BYTES ((size_t)1 << 20)
#define WORDS_MAX   4

static struct tars_index *make_index(void)
{
    /* peach is in two passages; lighthouses is within two steps of lighthouse misspelt once. */
    static const char *const words[] = {"harbor", "peace", "peach", "peach", "lighthouse", "pears"};
    const struct tars_index_config config = {0};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct tars_index_term term = {words[i], (uint32_t)strlen(words[i]), 1,
                                             TARS_INDEX_TEXT};

        assert_int_equal(tars_index_add(index, &(struct tars_index_passage){.id = i + 1,
                                                                            .terms = &term,
                                                                            .term_count = 1,
                                                                            .length = 1}),
                         TARS_OK);
    }
    tars_index_publish(index, 1);
    return index;
}

static struct tars_terms terms_of(struct tars_arena *arena, const char *const *words)
{
    struct tars_terms terms = {tars_arena_calloc(arena, WORDS_MAX, sizeof(*terms.items)), 0};

    assert_non_null(terms.items);
    for (; terms.count < WORDS_MAX && words[terms.count]; terms.count++) {
        terms.items[terms.count] = (struct tars_term){.ptr = words[terms.count],
                                                      .len = (uint32_t)strlen(words[terms.count]),
                                                      .position = (uint32_t)terms.count * 10,
                                                      .count = 1};
    }
    return terms;
}

static void neighbours_stand_beside(void **state)
{
    static const struct {
        const char *words[WORDS_MAX];
        const char *want; /* of the neighbours: word, place, weight */
    } rows[] = {
        {{NULL}, ""},
        {{"harbor", "peace"}, ""},
        {{"harbour"}, "harbor@0*0.50"},
        {{"harbor", "lihgthuose"}, "lighthouse@10*0.25"},
        {{"peacf", "harbot"}, "peach@0*0.50 peace@0*0.50 harbor@10*0.50"},
        {{"pea", "nothing"}, ""},
    };
    struct tars_index *index = make_index();
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_terms terms = terms_of(&arena, rows[i].words);
        const struct tars_terms before = terms;
        char told[256] = "";
        float *weights = NULL;
        size_t own = 99;

        assert_int_equal(tars_typos_widen(&arena, index, &terms, &own, &weights), TARS_OK);
        assert_int_equal(own, before.count);
        for (size_t k = 0; k < own; k++)
            assert_memory_equal(&terms.items[k], &before.items[k], sizeof(before.items[k]));
        for (size_t k = own; k < terms.count; k++) {
            size_t used = strlen(told);

            (void)snprintf(told + used, sizeof(told) - used, "%s%.*s@%u*%.2f", k > own ? " " : "",
                           (int)terms.items[k].len, terms.items[k].ptr, terms.items[k].position,
                           (double)weights[k - own]);
        }
        assert_string_equal(told, rows[i].want);
    }
    tars_arena_release(&arena);
    tars_index_close(index);
}

static void work(void *ctx)
{
    static const char *const words[WORDS_MAX] = {"harbour", "peacf"};
    struct tars_arena arena;
    struct tars_terms terms;
    float *weights = NULL;
    size_t own = 0;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    terms.items = tars_arena_calloc(&arena, WORDS_MAX, sizeof(*terms.items));
    if (terms.items) {
        tars_arena_clear(&arena);
        terms = terms_of(&arena, words);
        status = tars_typos_widen(&arena, ctx, &terms, &own, &weights);
        assert_int_equal(terms.count, status == TARS_OK ? 5 : 2);
    }
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    struct tars_index *index = make_index();

    (void)state;
    assert_true(faults_each(work, index) > 0);
    tars_index_close(index);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_stand_beside),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
