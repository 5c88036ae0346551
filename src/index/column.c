/* column - see column.h. */
#include "index/column.h"

#include <stdlib.h>

#define LINE 64 /* bytes of a cache line */

/* The segment that holds element at of the part behind the base, and where it begins and ends. */
static uint32_t segment_of(const struct tars_column *column, uint64_t at, uint64_t *start,
                           uint64_t *end)
{
    uint32_t segment = 0;

    *start = 0;
    *end = UINT64_C(1) << column->first_log;
    while (at >= *end) {
        *start = *end;
        *end *= 2;
        segment++;
    }
    return segment;
}

void tars_column_init(struct tars_column *column, size_t elem, uint32_t first_log)
{
    *column = (struct tars_column){.elem = elem, .first_log = first_log};
}

void tars_column_set_base(struct tars_column *column, void *base, uint32_t count)
{
    assert(column->count == 0);
    column->base = base;
    column->base_count = count;
    column->count = count;
}

void tars_column_release(struct tars_column *column)
{
    for (size_t i = 0; i < TARS_COLUMN_SEGMENTS; i++)
        free(column->owned[i]);
    tars_column_init(column, column->elem, column->first_log);
}

/* Where n elements in a row begin at the earliest, as an element behind the base. */
static uint64_t place(const struct tars_column *column, uint32_t n, uint32_t *segment)
{
    uint64_t at = (uint64_t)(column->count - column->base_count);
    uint64_t start;
    uint64_t end;

    *segment = segment_of(column, at, &start, &end);
    while (end - at < n) {
        at = end;
        *segment = segment_of(column, at, &start, &end);
    }
    return at;
}

tars_status tars_column_prepare(struct tars_column *column, uint32_t n)
{
    uint32_t segment;
    uint64_t at = place(column, n, &segment);
    uint64_t size = UINT64_C(1) << (column->first_log + (segment > 0 ? segment - 1 : 0));
    unsigned char *made;

    if (at + n + column->base_count > TARS_COLUMN_MAX || segment >= TARS_COLUMN_SEGMENTS)
        return TARS_ETOOBIG;
    if (atomic_load_explicit(&column->segments[segment], memory_order_relaxed))
        return TARS_OK;
    /* Zeroed memory that begins a line: by hand, so that pages not in use stay untouched. */
    made = calloc(1, size * column->elem + LINE);
    if (!made)
        return TARS_ENOMEM;
    column->owned[segment] = made;
    made += LINE - (uintptr_t)made % LINE;
    column->bytes += size * column->elem;
    atomic_store_explicit(&column->segments[segment], made, memory_order_release);
    return TARS_OK;
}

uint32_t tars_column_take(struct tars_column *column, uint32_t n)
{
    uint32_t segment;
    uint64_t at = place(column, n, &segment);
    uint32_t index = column->base_count + (uint32_t)at;

    assert(atomic_load_explicit(&column->segments[segment], memory_order_relaxed));
    column->count = index + n;
    return index;
}

uint32_t tars_column_run(const struct tars_column *column, uint32_t index)
{
    uint64_t start;
    uint64_t end;

    if (index < column->base_count)
        return column->base_count - index;
    (void)segment_of(column, index - column->base_count, &start, &end);
    end += column->base_count;
    return (uint32_t)(end < column->count ? end : column->count) - index;
}
