/* Unit tests of base/mem/arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem/arena.h"
#include "support/faults.h"

static void allocations_are_aligned_and_apart(void **state)
{
    struct tars_arena arena;
    char *last = NULL;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t size = 0; size < 200; size++) {
        char *at = tars_arena_alloc(&arena, size);

        assert_non_null(at);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        memset(at, (int)size, size);
        if (last && size > 1)
            assert_int_equal((unsigned char)last[0], (unsigned char)(size - 1));
        last = at;
    }
    tars_arena_release(&arena);
}

static void strings_are_copied(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1 << 16);
    assert_string_equal(tars_arena_strdup(&arena, "abc"), "abc");
    assert_string_equal(tars_arena_strndup(&arena, "abcdef", 2), "ab");
    assert_string_equal(tars_arena_strndup(&arena, NULL, 0), "");
    assert_string_equal(tars_arena_printf(&arena, "%d/%s", 5, "x"), "5/x");
    tars_arena_release(&arena);
}

static void ceiling_holds(void **state)
{
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, 1000);
    assert_non_null(tars_arena_alloc(&arena, 900));
    assert_null(tars_arena_alloc(&arena, 200));
    assert_true(arena.failed);
    assert_null(tars_arena_alloc(&arena, SIZE_MAX));
    assert_null(tars_arena_calloc(&arena, SIZE_MAX / 4, 8));
    tars_arena_clear(&arena);
    assert_false(arena.failed);
    assert_non_null(tars_arena_alloc(&arena, 800));
    tars_arena_release(&arena);
    tars_arena_clear(&arena);
}

static void arrays_grow_and_keep(void **state)
{
    struct tars_arena arena;
    int *numbers = NULL;
    size_t cap = 0;

    (void)state;
    tars_arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(tars_arena_grow(&arena, (void **)&numbers, &cap, i + 1, sizeof(*numbers)),
                         TARS_OK);
        numbers[i] = (int)i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], i);
    assert_int_equal(tars_arena_grow(&arena, (void **)&numbers, &cap, SIZE_MAX / 2, 4),
                     TARS_ETOOBIG);
    assert_int_equal(tars_arena_grow(&arena, (void **)&numbers, &cap, 1 << 20, 4), TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void use_once(void *ctx)
{
    struct tars_arena arena;
    bool complete;

    (void)ctx;
    tars_arena_init(&arena, 1 << 20);
    complete = tars_arena_alloc(&arena, 10000) && tars_arena_calloc(&arena, 10, 2000) &&
               tars_arena_strdup(&arena, "x");
    assert_int_equal(complete, !faults_happened());
    assert_int_equal(arena.failed, faults_happened());
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(use_once, NULL), 3);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(ceiling_holds),
        cmocka_unit_test(arrays_grow_and_keep),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
