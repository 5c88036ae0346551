/* ranges - see ranges.h. */
#include "index/ranges.h"

#include <string.h>

#define DENSE_PART  8  /* a list that so many-th part of all ranges has is dense */
#define POSTING_MAX 6  /* bytes of a posting */
#define TF_CODES    15 /* greatest tf that a posting's first byte holds */
#define UNIT        ((size_t)8)

static size_t groups_of(uint32_t spread)
{
    return ((size_t)spread + TARS_RANGES_GROUP - 1) / TARS_RANGES_GROUP;
}

static size_t skips_of(uint32_t count)
{
    return ((size_t)count + TARS_RANGES_SKIP - 1) / TARS_RANGES_SKIP;
}

bool tars_ranges_open(struct tars_ranges *ranges, const void *ptr, size_t len)
{
    const uint8_t *at = (const uint8_t *)ptr + sizeof(ranges->head);
    uint64_t before;

    if (len < sizeof(ranges->head))
        return false;
    memset(ranges, 0, sizeof(*ranges));
    memcpy(&ranges->head, ptr, sizeof(ranges->head));
    before =
        ranges->head.spread > 0
            ? groups_of(ranges->head.spread) * sizeof(uint32_t) + 2 * (uint64_t)ranges->head.spread
            : skips_of(ranges->head.count) * sizeof(struct tars_ranges_skip);
    if (ranges->head.count == 0 || ranges->head.spread > UINT32_MAX / 2 ||
        before + ranges->head.bytes > len - sizeof(ranges->head))
        return false;
    if (ranges->head.spread > 0) {
        ranges->starts = (const uint32_t *)(const void *)at;
        ranges->bounds = at + groups_of(ranges->head.spread) * sizeof(uint32_t);
        ranges->sizes = ranges->bounds + ranges->head.spread;
    } else {
        ranges->skips = (const struct tars_ranges_skip *)(const void *)at;
    }
    ranges->data = at + before;
    return true;
}

/* ------------------------------------------------------------------- reading */

static bool dense_at(const struct tars_ranges *ranges, uint32_t range,
                     struct tars_ranges_span *span)
{
    uint32_t first = range / TARS_RANGES_GROUP * TARS_RANGES_GROUP;
    uint64_t at = ranges->starts[range / TARS_RANGES_GROUP];

    for (uint32_t i = first; i < range; i++)
        at += ranges->sizes[i];
    if (at + ranges->sizes[range] > ranges->head.bytes)
        return false;
    *span = (struct tars_ranges_span){.range = range,
                                      .bound = ranges->bounds[range],
                                      .ptr = ranges->data + at,
                                      .len = ranges->sizes[range]};
    return true;
}

static bool dense_from(const struct tars_ranges *ranges, uint32_t range,
                       struct tars_ranges_span *span)
{
    while (range < ranges->head.spread && ranges->bounds[range] == 0)
        range++;
    return range < ranges->head.spread && dense_at(ranges, range, span);
}

bool tars_ranges_next(const struct tars_ranges *ranges, struct tars_ranges_span *span)
{
    uint32_t at = span->next;

    if (ranges->head.spread > 0)
        return dense_from(ranges, span->range + 1, span);
    return tars_ranges_entry(ranges, &at, span);
}

bool tars_ranges_seek(const struct tars_ranges *ranges, uint32_t range,
                      struct tars_ranges_span *span)
{
    size_t low = 0;
    size_t high = skips_of(ranges->head.count);
    uint32_t at = 0;

    if (ranges->head.spread > 0)
        return dense_from(ranges, range, span);
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;

        if (ranges->skips[middle].range <= range) {
            low = middle;
        } else {
            high = middle;
        }
    }
    span->range = UINT32_MAX;
    if (low > 0) {
        /* The entry there has a step from the range before it, which is not known; it is not
         * needed: the skip says where it leads. */
        if (ranges->skips[low].at >= ranges->head.bytes)
            return false;
        at = ranges->skips[low].at;
        span->range = 0;
        if (!tars_ranges_entry(ranges, &at, span))
            return false;
        span->range = ranges->skips[low].range;
    } else if (!tars_ranges_entry(ranges, &at, span)) {
        return false;
    }
    while (span->range < range) {
        if (!tars_ranges_entry(ranges, &at, span))
            return false;
    }
    return true;
}

bool tars_ranges_posting(const struct tars_ranges_span *span, uint32_t *at,
                         struct tars_ranges_posting *out)
{
    uint32_t i = *at;

    if (i >= span->len)
        return false;
    out->ordinal = span->range << TARS_RANGES_LOG | span->ptr[i] >> 4;
    out->tf = span->ptr[i] & 0xf;
    i++;
    if (out->tf == 0) {
        for (unsigned shift = 0; i < span->len && shift < 32; shift += 7) {
            out->tf |= (uint32_t)(span->ptr[i] & 0x7f) << shift;
            if (span->ptr[i++] < 0x80)
                break;
        }
    }
    *at = i;
    return out->tf > 0;
}

/* ------------------------------------------------------------------- writing */

static size_t put_varint(uint8_t *out, uint32_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

static size_t put_posting(uint8_t *out, struct tars_ranges_posting posting)
{
    uint8_t high = (uint8_t)((posting.ordinal % TARS_RANGES_SIZE) << 4);

    if (posting.tf <= TF_CODES) {
        out[0] = (uint8_t)(high | posting.tf);
        return 1;
    }
    out[0] = high;
    return 1 + put_varint(out + 1, posting.tf);
}

/* How many postings from the first on are in its range; *bound: the greatest of theirs. */
static size_t run_of(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                     size_t count, uint8_t *bound)
{
    size_t n = 0;

    *bound = 1;
    for (; n < count &&
           postings[n].ordinal >> TARS_RANGES_LOG == postings[0].ordinal >> TARS_RANGES_LOG;
         n++)
        *bound = bounds[n] > *bound ? bounds[n] : *bound;
    return n;
}

static uint32_t count_ranges(const struct tars_ranges_posting *postings, size_t count)
{
    uint32_t ranges = 0;

    for (size_t i = 0; i < count; i++) {
        ranges += i == 0 || postings[i].ordinal >> TARS_RANGES_LOG !=
                                postings[i - 1].ordinal >> TARS_RANGES_LOG;
    }
    return ranges;
}

size_t tars_ranges_room(size_t count, uint32_t passages)
{
    uint32_t spread = (passages >> TARS_RANGES_LOG) + 1;

    return sizeof(struct tars_ranges_head) + 2 * UNIT + count * (size_t)(POSTING_MAX + 7) +
           skips_of((uint32_t)count) * sizeof(struct tars_ranges_skip) +
           ((size_t)count * DENSE_PART > spread
                ? 2 * (size_t)spread + groups_of(spread) * sizeof(uint32_t)
                : 0);
}

static size_t make_dense(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                         size_t count, struct tars_ranges_head *head, uint8_t *out)
{
    uint8_t *starts = out;
    uint8_t *top = out + groups_of(head->spread) * sizeof(uint32_t);
    uint8_t *sizes = top + head->spread;
    uint8_t *data = sizes + head->spread;
    uint32_t bytes = 0;
    size_t at = 0;

    memset(out, 0, (size_t)(data - out));
    for (uint32_t range = 0; range < head->spread; range++) {
        uint32_t before = bytes;
        size_t n;

        if (range % TARS_RANGES_GROUP == 0)
            memcpy(starts + range / TARS_RANGES_GROUP * sizeof(bytes), &bytes, sizeof(bytes));
        if (at == count || postings[at].ordinal >> TARS_RANGES_LOG != range)
            continue;
        n = run_of(postings + at, bounds + at, count - at, &top[range]);
        for (size_t i = 0; i < n; i++)
            bytes += (uint32_t)put_posting(data + bytes, postings[at + i]);
        sizes[range] = (uint8_t)(bytes - before);
        at += n;
    }
    head->bytes = bytes;
    return (size_t)(data - out) + bytes;
}

static size_t make_sparse(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                          size_t count, struct tars_ranges_head *head, uint8_t *out)
{
    uint8_t *data = out + skips_of(head->count) * sizeof(struct tars_ranges_skip);
    uint32_t before = UINT32_MAX;
    uint32_t bytes = 0;
    uint32_t entry = 0;

    for (size_t at = 0; at < count; entry++) {
        uint8_t packed[TARS_RANGES_SIZE * POSTING_MAX];
        struct tars_ranges_skip skip = {postings[at].ordinal >> TARS_RANGES_LOG, bytes};
        uint32_t step = skip.range - before;
        size_t len = 0;
        uint8_t bound;
        size_t n = run_of(postings + at, bounds + at, count - at, &bound);

        if (entry % TARS_RANGES_SKIP == 0)
            memcpy(out + entry / TARS_RANGES_SKIP * sizeof(skip), &skip, sizeof(skip));
        for (size_t i = 0; i < n; i++)
            len += put_posting(packed + len, postings[at + i]);
        bytes += (uint32_t)put_varint(data + bytes, step << 1 | (len == 1));
        data[bytes++] = bound;
        if (len != 1)
            data[bytes++] = (uint8_t)len;
        memcpy(data + bytes, packed, len);
        bytes += (uint32_t)len;
        before = skip.range;
        at += n;
    }
    head->bytes = bytes;
    return (size_t)(data - out) + bytes;
}

size_t tars_ranges_make(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                        size_t count, uint32_t passages, uint8_t *out)
{
    struct tars_ranges_head head = {.count = count_ranges(postings, count),
                                    .last = postings[count - 1].ordinal};
    uint32_t all = (passages >> TARS_RANGES_LOG) + 1;
    size_t len;

    if ((uint64_t)head.count * DENSE_PART > all)
        head.spread = (head.last >> TARS_RANGES_LOG) + 1;
    len = head.spread > 0 ? make_dense(postings, bounds, count, &head, out + sizeof(head))
                          : make_sparse(postings, bounds, count, &head, out + sizeof(head));
    memcpy(out, &head, sizeof(head));
    len += sizeof(head);
    while (len % UNIT != 0)
        out[len++] = 0;
    return len;
}
