/* Unit tests of retrieve/kin: four passages in a plane, so that who is like whom can be seen. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "index/index.h"
#include "retrieve/kin.h"

#define NEAR   1e-5
#define RADIAN (3.14159265358979323846 / 180)

/* Directions in degrees; passage i + 1 has the vectors of row i. Passage 5 has none. */
static const struct {
    size_t windows;
    double degrees[2];
} library[] = {{1, {0, 0}}, {1, {20, 0}}, {1, {90, 0}}, {2, {180, 10}}, {0, {0, 0}}};

static struct tars_index *plane;
static struct tars_vectors *lent;
static struct tars_vectors_held *held;
static struct tars_arena arena;
static const float question[2] = {1, 0};

static int set_up(void **state)
{
    const struct tars_index_config config = {.dim = 2};

    (void)state;
    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_index_open(&config, &plane, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(library) / sizeof(library[0]); i++) {
        float vectors[4];
        struct tars_index_passage passage = {
            .id = i + 1, .vectors = vectors, .vector_count = library[i].windows};

        for (size_t w = 0; w < library[i].windows; w++) {
            double angle = library[i].degrees[w] * RADIAN;

            vectors[2 * w] = (float)cos(angle);
            vectors[2 * w + 1] = (float)sin(angle);
        }
        assert_int_equal(tars_index_add(plane, &passage), TARS_OK);
    }
    tars_index_publish(plane, 1);
    assert_int_equal(tars_vectors_lend(plane, &lent), TARS_OK);
    assert_int_equal(tars_vectors_load(lent, NULL, 2, NULL, 0, &arena, &held, NULL), TARS_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tars_vectors_close(lent);
    tars_index_close(plane);
    tars_arena_release(&arena);
    return 0;
}

static void the_best_window_is_added(void **state)
{
    static const struct {
        uint64_t id;
        double degrees; /* of what is added; negative: nothing */
    } rows[] = {{1, 0}, {3, 90}, {4, 10}, {5, -1}, {6, -1}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool found = rows[i].degrees >= 0;
        double angle = rows[i].degrees * RADIAN;
        float sum[2] = {1, 2};

        assert_int_equal(tars_vectors_add(held, question, rows[i].id, 0.5, sum),
                         found ? TARS_OK : TARS_ENOTFOUND);
        assert_true(fabs((double)sum[0] - 1 - (found ? 0.5 * cos(angle) : 0)) < NEAR);
        assert_true(fabs((double)sum[1] - 2 - (found ? 0.5 * sin(angle) : 0)) < NEAR);
    }
}

static void likeness_to_the_leaders_moves_the_others(void **state)
{
    /* 2 is like the leaders 1, 4 and 3; 5 has no vector. */
    struct tars_fused fused[] = {{.id = 1, .fused = 1},
                                 {.id = 4, .fused = 0.9},
                                 {.id = 3, .fused = 0.8},
                                 {.id = 5, .fused = 0.75},
                                 {.id = 2, .fused = 0.7}};
    static const uint64_t want[] = {1, 4, 2, 3, 5};

    (void)state;
    assert_int_equal(tars_kin_mix(held, &arena, question, 2, 0.4, fused, 5), TARS_OK);
    for (size_t i = 0; i < 5; i++) {
        if (fused[i].id != want[i])
            fail_msg("place %zu: passage %d", i, (int)fused[i].id);
        assert_true(fused[i].fused >= 0 && fused[i].fused <= 1);
    }
    assert_true(fabs(fused[4].fused - 0.6 * 0.75) < NEAR);
}

static void nothing_to_be_like_changes_nothing(void **state)
{
    struct tars_fused fused[] = {{.id = 5, .fused = 0.5}, {.id = 9, .fused = 0.25}};

    (void)state;
    assert_int_equal(tars_kin_mix(held, &arena, question, 2, 0.4, fused, 2), TARS_OK);
    assert_int_equal(tars_kin_mix(held, &arena, question, 2, 0, fused, 2), TARS_OK);
    assert_int_equal(tars_kin_mix(held, &arena, question, 2, 0.4, fused, 0), TARS_OK);
    assert_true(fused[0].id == 5 && fused[0].fused == 0.5 && fused[1].fused == 0.25);
}

static void without_memory_the_order_stays(void **state)
{
    struct tars_fused fused[] = {{.id = 2, .fused = 0.5}, {.id = 1, .fused = 0.25}};
    struct tars_arena none;

    (void)state;
    tars_arena_init(&none, 0);
    assert_int_equal(tars_kin_mix(held, &none, question, 2, 0.4, fused, 2), TARS_ENOMEM);
    assert_true(fused[0].fused == 0.5 && fused[1].fused == 0.25);
    tars_arena_release(&none);
}

static void weight_follows_trust_in_the_vectors(void **state)
{
    static const struct {
        double alpha, want;
    } rows[] = {{0, 0.4}, {0.5, 0.4}, {0.75, 0.2}, {0.9, 0.08}, {1, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(fabs(tars_kin_weight(rows[i].alpha) - rows[i].want) < NEAR);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_window_is_added),
        cmocka_unit_test(likeness_to_the_leaders_moves_the_others),
        cmocka_unit_test(nothing_to_be_like_changes_nothing),
        cmocka_unit_test(without_memory_the_order_stays),
        cmocka_unit_test(weight_follows_trust_in_the_vectors),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
