/* Unit tests of index/ranges: lists go in and come out; damaged ones lead nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "index/ranges.h"
#include "support/guard.h"

#define PASSAGES 20000

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Postings of about one passage in every, in runs of run passages. */
struct shape {
    const char *name;
    uint32_t every;
    uint32_t run;
    uint32_t tf_max;
    bool dense;
};

static const struct shape SHAPES[] = {
    {"every passage", 1, 1, 3, true},
    {"a quarter, alone", 4, 1, 40, true},
    {"one in 2,000, alone", 2000, 1, 3, false},
    {"one in 100, in runs", 100, 30, 70000, false},
    {"one in 300, alone, long", 300, 1, 65535, false},
};

struct list {
    struct tars_ranges_posting postings[PASSAGES];
    uint8_t bounds[PASSAGES];
    size_t count;
    uint8_t *bytes; /* (len,) owned, 8-byte aligned */
    size_t len;
};

static struct list *make_list(const struct shape *shape)
{
    struct list *list = calloc(1, sizeof(*list));
    uint64_t random = 88172645463325252U;

    assert_non_null(list);
    for (uint32_t ordinal = 0; ordinal < PASSAGES; ordinal++) {
        if (next_random(&random) % ((uint64_t)shape->every * shape->run) != 0)
            continue;
        for (uint32_t end = ordinal + shape->run; ordinal < end && ordinal < PASSAGES; ordinal++) {
            list->postings[list->count] = (struct tars_ranges_posting){
                ordinal, 1 + (uint32_t)(next_random(&random) % shape->tf_max)};
            list->bounds[list->count++] = (uint8_t)(1 + next_random(&random) % 255);
        }
        ordinal--;
    }
    assert_true(list->count > 0);
    list->bytes = calloc(1, tars_ranges_room(list->count, PASSAGES));
    assert_non_null(list->bytes);
    list->len = tars_ranges_make(list->postings, list->bounds, list->count, PASSAGES, list->bytes);
    assert_int_equal(list->len % 8, 0);
    assert_true(list->len <= tars_ranges_room(list->count, PASSAGES));
    return list;
}

static void free_list(struct list *list)
{
    free(list->bytes);
    free(list);
}

static uint32_t bound_of(const struct tars_ranges *ranges, const struct tars_ranges_span *span)
{
    uint32_t before = 0;

    if (ranges->head.spread == 0)
        return span->bound;
    assert_true(tars_ranges_has(ranges, span->range));
    for (uint32_t range = 0; range < span->range; range++)
        before += tars_ranges_has(ranges, range);
    return ranges->bounds[before];
}

/* The postings of span are those of list from at on; returns how many. */
static size_t check_span(const struct list *list, const struct tars_ranges *ranges, size_t at,
                         const struct tars_ranges_span *span)
{
    struct tars_ranges_posting posting;
    uint32_t greatest = 0;
    uint32_t offset = 0;
    size_t n = 0;

    while (tars_ranges_posting(span, &offset, &posting)) {
        assert_int_equal(posting.ordinal, list->postings[at + n].ordinal);
        assert_int_equal(posting.tf, list->postings[at + n].tf);
        greatest = list->bounds[at + n] > greatest ? list->bounds[at + n] : greatest;
        n++;
    }
    assert_int_equal(bound_of(ranges, span), greatest);
    assert_true(n > 0);
    return n;
}

static void comes_out_as_it_went_in(void **state)
{
    const struct shape *shape = *state;
    struct list *list = make_list(shape);
    struct tars_ranges ranges;
    struct tars_ranges_span span;
    size_t at = 0;

    assert_true(tars_ranges_open(&ranges, list->bytes, list->len));
    assert_int_equal(ranges.head.spread > 0, shape->dense);
    for (bool more = tars_ranges_seek(&ranges, 0, &span); more;
         more = tars_ranges_next(&ranges, &span))
        at += check_span(list, &ranges, at, &span);
    assert_int_equal(at, list->count);
    free_list(list);
}

static void any_range_is_found(void **state)
{
    struct list *list = make_list(*state);
    struct tars_ranges ranges;
    size_t at = 0;

    assert_true(tars_ranges_open(&ranges, list->bytes, list->len));
    for (uint32_t range = 0; range <= (PASSAGES >> TARS_RANGES_LOG) + 1; range++) {
        struct tars_ranges_span span;

        while (at < list->count && list->postings[at].ordinal >> TARS_RANGES_LOG < range)
            at++;
        assert_int_equal(tars_ranges_seek(&ranges, range, &span), at < list->count);
        if (at == list->count)
            continue;
        assert_int_equal(span.range, list->postings[at].ordinal >> TARS_RANGES_LOG);
        (void)check_span(list, &ranges, at, &span);
    }
    free_list(list);
}

static void walk(const void *ptr, size_t len)
{
    struct tars_ranges ranges;
    struct tars_ranges_span span;

    if (!tars_ranges_open(&ranges, ptr, len))
        return;
    for (uint32_t range = 0; range < 2000; range += 7) {
        struct tars_ranges_posting posting;
        uint32_t at = 0;

        if (!tars_ranges_seek(&ranges, range, &span))
            continue;
        while (tars_ranges_posting(&span, &at, &posting))
            assert_true(posting.tf > 0);
        (void)tars_ranges_next(&ranges, &span);
    }
}

/* Cut short and with bytes turned over, in front of a page that nobody may touch. */
static void damage_stays_inside(void **state)
{
    struct list *list = make_list(*state);
    uint64_t random = 2463534242U;

    for (size_t cut = 0; cut < 64 && cut * 8 < list->len; cut++) {
        struct guard guard = guard_copy(list->bytes, cut * 8);

        walk(guard.ptr, cut * 8);
        guard_free(&guard);
    }
    for (int i = 0; i < 300; i++) {
        struct guard guard = guard_copy(list->bytes, list->len);
        size_t near = i % 2 ? sizeof(struct tars_ranges_head) + 64 : list->len;

        assert_true(list->len > sizeof(struct tars_ranges_head));
        near = near < list->len ? near : list->len;
        near = near > 0 ? near : 1;
        for (int k = 0; k < 4; k++) {
            unsigned char *at = (unsigned char *)guard.ptr + next_random(&random) % near;

            *at = (unsigned char)(*at ^ (1 + next_random(&random) % 255));
        }
        walk(guard.ptr, list->len);
        guard_free(&guard);
    }
    free_list(list);
}

int main(void)
{
    struct CMUnitTest tests[3 * (sizeof(SHAPES) / sizeof(SHAPES[0]))];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(SHAPES) / sizeof(SHAPES[0]); i++) {
        void *shape = (void *)&SHAPES[i];

        tests[n++] =
            (struct CMUnitTest){SHAPES[i].name, comes_out_as_it_went_in, NULL, NULL, shape};
        tests[n++] = (struct CMUnitTest){SHAPES[i].name, any_range_is_found, NULL, NULL, shape};
        tests[n++] = (struct CMUnitTest){SHAPES[i].name, damage_stays_inside, NULL, NULL, shape};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
