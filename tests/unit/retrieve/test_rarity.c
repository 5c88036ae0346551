/* Unit tests of retrieve/rarity: the index is empty, so a term has the idf that it brings. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/index.h"
#include "retrieve/rarity.h"

#define NEAR 1e-5

static void weights_follow_the_root_of_the_idf(void **state)
{
    static const struct {
        const char *name;
        size_t count;
        double idf[3], counts[3], want[3];
    } rows[] = {
        {"none", 0, {0}, {0}, {0}},
        {"alone it weighs its count", 1, {7}, {2}, {2}},
        {"alike", 2, {3, 3}, {1, 2}, {1, 2}},
        {"rare and common", 3, {1, 4, 4}, {1, 1, 2}, {0.57735, 1.15470, 2.30940}},
    };
    const struct tars_index_config config = {0};
    struct tars_index *empty;

    (void)state;
    assert_int_equal(tars_index_open(&config, &empty, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_index_query_term terms[3] = {0};

        for (size_t k = 0; k < rows[i].count; k++) {
            terms[k] = (struct tars_index_query_term){
                .ptr = "a", .len = 1, .weight = (float)rows[i].counts[k], .idf = rows[i].idf[k]};
        }
        tars_rarity_weigh(empty, terms, rows[i].count);
        for (size_t k = 0; k < rows[i].count; k++) {
            if (fabs((double)terms[k].weight - rows[i].want[k]) > NEAR)
                fail_msg("%s, term %zu: %f", rows[i].name, k, (double)terms[k].weight);
        }
    }
    tars_index_close(empty);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_follow_the_root_of_the_idf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
