/* ranges - see ranges.h. */
#include "index/ranges.h"

#include <immintrin.h>
#include <string.h>

#define DENSE_PART  8    /* a list that so many-th part of all ranges has is dense */
#define POSTING_MAX 7    /* bytes of a posting */
#define TF_CODES    7    /* greatest tf that a posting's first byte holds */
#define FIRST       0x80 /* the first posting of a range */
#define MORE        0x40 /* of the bytes of a tf: more follow */
#define CHUNK       16   /* bytes looked at at once */
#define UNIT        ((size_t)8)

static size_t groups_of(uint32_t spread)
{
    return ((size_t)spread + TARS_RANGES_GROUP - 1) / TARS_RANGES_GROUP;
}

static size_t skips_of(uint32_t count)
{
    return ((size_t)count + TARS_RANGES_SKIP - 1) / TARS_RANGES_SKIP;
}

static size_t bases_of(uint32_t spread)
{
    return (groups_of(spread) + TARS_RANGES_BASE - 1) / TARS_RANGES_BASE;
}

/* Bytes between the head and data. */
static uint64_t before_data(const struct tars_ranges_head *head)
{
    if (head->spread == 0)
        return skips_of(head->count) * sizeof(struct tars_ranges_skip);
    return bases_of(head->spread) * sizeof(uint32_t) +
           groups_of(head->spread) * 2 * sizeof(uint16_t) + head->count;
}

bool tars_ranges_open(struct tars_ranges *ranges, const void *ptr, size_t len)
{
    const uint8_t *at = (const uint8_t *)ptr + sizeof(ranges->head);
    const struct tars_ranges_head *head = &ranges->head;

    if (len < sizeof(*head))
        return false;
    memset(ranges, 0, sizeof(*ranges));
    memcpy(&ranges->head, ptr, sizeof(*head));
    if (head->count == 0 || head->spread > UINT32_MAX / 2 ||
        before_data(head) + head->bytes > len - sizeof(*head))
        return false;
    if (head->spread > 0) {
        ranges->bases = (const uint32_t *)(const void *)at;
        ranges->starts = (const uint16_t *)(const void *)(ranges->bases + bases_of(head->spread));
        ranges->masks = ranges->starts + groups_of(head->spread);
        ranges->bounds = (const uint8_t *)(ranges->masks + groups_of(head->spread));
    } else {
        ranges->skips = (const struct tars_ranges_skip *)(const void *)at;
    }
    ranges->data = at + before_data(head);
    return true;
}

/* ------------------------------------------------------------------- reading */

/* Where the n-th range, from 0, of those that begin in ptr .. end does; end: there are fewer. */
static const uint8_t *find_first(const uint8_t *ptr, const uint8_t *end, uint32_t n)
{
    for (; end - ptr >= CHUNK; ptr += CHUNK) {
        uint32_t firsts =
            (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)ptr));
        uint32_t count = (uint32_t)__builtin_popcount(firsts);

        if (n < count) {
            for (; n > 0; n--)
                firsts &= firsts - 1;
            return ptr + __builtin_ctz(firsts);
        }
        n -= count;
    }
    for (; ptr < end; ptr++) {
        if ((*ptr & FIRST) && n-- == 0)
            return ptr;
    }
    return end;
}

/* Where the postings of a group begin. */
static const uint8_t *group_at(const struct tars_ranges *ranges, uint32_t group)
{
    uint64_t at = group < groups_of(ranges->head.spread)
                      ? (uint64_t)ranges->bases[group / TARS_RANGES_BASE] + ranges->starts[group]
                      : ranges->head.bytes;

    return ranges->data + (at < ranges->head.bytes ? at : ranges->head.bytes);
}

/* The range's postings begin at ptr. False: damaged. */
static bool dense_span(uint32_t range, const uint8_t *ptr, const uint8_t *end,
                       struct tars_ranges_span *span)
{
    if (ptr >= end)
        return false;
    *span = (struct tars_ranges_span){.range = range, .ptr = ptr};
    span->len = (uint32_t)(find_first(ptr + 1, end, 0) - ptr);
    return true;
}

/* The range is the n-th of its group. */
static bool dense_at(const struct tars_ranges *ranges, uint32_t range, uint32_t n,
                     struct tars_ranges_span *span)
{
    const uint8_t *ptr = group_at(ranges, range / TARS_RANGES_GROUP);
    const uint8_t *end = group_at(ranges, range / TARS_RANGES_GROUP + 1);

    return ptr < end && dense_span(range, find_first(ptr, end, n), end, span);
}

static bool dense_from(const struct tars_ranges *ranges, uint32_t range,
                       struct tars_ranges_span *span)
{
    uint32_t group = range / TARS_RANGES_GROUP;
    uint32_t before = (1U << range % TARS_RANGES_GROUP) - 1;
    uint32_t mask;

    for (; group < groups_of(ranges->head.spread); group++, before = 0) {
        mask = ranges->masks[group];
        if ((mask & ~before) != 0) {
            range = group * TARS_RANGES_GROUP + (uint32_t)__builtin_ctz(mask & ~before);
            return dense_at(ranges, range, (uint32_t)__builtin_popcount(mask & before), span);
        }
    }
    return false;
}

/* The one behind span is in its group, or a later one has it. */
static bool dense_next(const struct tars_ranges *ranges, struct tars_ranges_span *span)
{
    uint32_t group = span->range / TARS_RANGES_GROUP;
    uint32_t later = ranges->masks[group] & ~((2U << span->range % TARS_RANGES_GROUP) - 1);

    if (later == 0)
        return dense_from(ranges, (group + 1) * TARS_RANGES_GROUP, span);
    return dense_span(group * TARS_RANGES_GROUP + (uint32_t)__builtin_ctz(later),
                      span->ptr + span->len, group_at(ranges, group + 1), span);
}

bool tars_ranges_next(const struct tars_ranges *ranges, struct tars_ranges_span *span)
{
    uint32_t at = span->next;

    if (ranges->head.spread > 0)
        return dense_next(ranges, span);
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
    out->ordinal = span->range << TARS_RANGES_LOG | (span->ptr[i] >> 3 & 0xf);
    out->tf = span->ptr[i] & TF_CODES;
    i++;
    if (out->tf == 0) {
        for (unsigned shift = 0; i < span->len && shift < 32; shift += 6) {
            out->tf |= (uint32_t)(span->ptr[i] & 0x3f) << shift;
            if (!(span->ptr[i++] & MORE))
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

static size_t put_posting(uint8_t *out, struct tars_ranges_posting posting, bool first)
{
    uint8_t high = (uint8_t)((first ? FIRST : 0) | (posting.ordinal % TARS_RANGES_SIZE) << 3);
    uint32_t tf = posting.tf;
    size_t n = 1;

    out[0] = (uint8_t)(high | (tf <= TF_CODES ? tf : 0));
    if (tf <= TF_CODES)
        return n;
    for (; tf >= MORE; tf >>= 6)
        out[n++] = (uint8_t)(MORE | (tf & 0x3f));
    out[n++] = (uint8_t)tf;
    return n;
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
    const struct tars_ranges_head dense = {.count = (uint32_t)count,
                                           .spread = (passages >> TARS_RANGES_LOG) + 1};

    return sizeof(dense) + 2 * UNIT + count * (size_t)(POSTING_MAX + 7) +
           skips_of((uint32_t)count) * sizeof(struct tars_ranges_skip) +
           (count * DENSE_PART > dense.spread ? (size_t)before_data(&dense) : 0);
}

static size_t make_dense(const struct tars_ranges_posting *postings, const uint8_t *bounds,
                         size_t count, struct tars_ranges_head *head, uint8_t *out)
{
    uint32_t *bases = (uint32_t *)(void *)out;
    uint16_t *starts = (uint16_t *)(void *)(bases + bases_of(head->spread));
    uint16_t *masks = starts + groups_of(head->spread);
    uint8_t *bound = (uint8_t *)(masks + groups_of(head->spread));
    uint8_t *data = bound + head->count;
    uint32_t bytes = 0;
    size_t at = 0;

    for (uint32_t group = 0; group < groups_of(head->spread); group++) {
        if (group % TARS_RANGES_BASE == 0)
            bases[group / TARS_RANGES_BASE] = bytes;
        starts[group] = (uint16_t)(bytes - bases[group / TARS_RANGES_BASE]);
        masks[group] = 0;
        while (at < count &&
               postings[at].ordinal >> TARS_RANGES_LOG < (group + 1) * TARS_RANGES_GROUP) {
            size_t n = run_of(postings + at, bounds + at, count - at, bound++);

            masks[group] |=
                (uint16_t)(1U << (postings[at].ordinal >> TARS_RANGES_LOG) % TARS_RANGES_GROUP);
            for (size_t i = 0; i < n; i++)
                bytes += (uint32_t)put_posting(data + bytes, postings[at + i], i == 0);
            at += n;
        }
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
            len += put_posting(packed + len, postings[at + i], i == 0);
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
