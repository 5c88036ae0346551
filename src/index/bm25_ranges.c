/* bm25_ranges - the best of the mapped passages, range by range.
 *
 *     bounds of the question's terms   0 .3 0 .1 0 0 ..     one byte a range of 16 passages
 *                                    + .2 .2 0 0 0 .4 ..
 *     sums                            .2 .5 0 .1 0 .4 ..    what a passage of the range can score
 *                                         ^
 *     best sums first, until k passages are found; then every range whose sum is not under the
 *     worst of them, in order.
 *
 * The sums of all ranges are made first, which costs a few bytes a range and term: a question's
 * common terms are added 16 ranges at a time. Only ranges that may hold one of the best are looked
 * into, and there every posting is scored as tars_bm25_search_all() scores it: the same bits.
 *
 * Method    Block-Max Pruning (Mallia, Suel, Tonellotto 2024) with exact scores, over ranges small
 *           enough to need no reordering of passages. Block-max WAND and MaxScore, which walk all
 *           lists side by side, were the way before: docs/internals/index.md.
 * Exact     A sum is rounded up at every step, so it is never under a score of its range. Ranges
 * are not taken in order, so ties are left to the list of the best, which knows ids. Memory    A
 * window of 65,536 ranges at a time: 128 KiB, and 16 bytes an entry of sparse lists.
 */
#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index/bm25_internal.h"

#define WINDOW    65536U /* ranges whose sums are held at a time */
#define GROUP     16     /* ranges with one maximum */
#define SUM_MAX   60000  /* greatest sum but for rounding, so that 16 bits hold it */
#define BUCKETS   256
#define SLACK_MIN 0.999999 /* bounds are summed in another order than scores */

struct work {
    struct tars_bm25_scorer *scorer;
    double scale;       /* sums a score */
    uint32_t limit;     /* mapped passages that the view has */
    uint32_t first;     /* range that the window begins at */
    uint32_t count;     /* ranges in it */
    uint16_t *sums;     /* (WINDOW,) */
    uint16_t *greatest; /* (WINDOW / GROUP,) of each group of sums */
    double floor;       /* score that a passage must not be under */
    uint32_t least;     /* sum that a range must not be under */
};

bool tars_bm25_ranges_fit(const struct tars_bm25 *bm25)
{
    return bm25->postings->base_k1 == bm25->k1 && bm25->postings->base_b == bm25->b;
}

/* ---------------------------------------------------------------------- sums */

static void add_bound(uint16_t *sum, uint32_t bound, uint32_t weight)
{
    *sum = (uint16_t)(*sum + (bound * weight >> 8) + 1);
}

/* The bounds of groups first .. first + n of a dense list, which begin at *at; it goes behind. */
static void add_groups_plain(uint16_t *sums, const struct tars_ranges *ranges, size_t first,
                             size_t n, uint32_t weight, uint32_t *at)
{
    for (size_t g = 0; g < n; g++) {
        for (uint32_t mask = ranges->masks[first + g]; mask != 0 && *at < ranges->head.count;
             mask &= mask - 1) {
            add_bound(&sums[g * GROUP + (size_t)__builtin_ctz(mask)], ranges->bounds[(*at)++],
                      weight);
        }
    }
}

/* Which of some bounds in a row belongs to each of 8 ranges, by the mask of those that have one. */
#define NO_BOUND   0x80
#define LANE(m, i) ((m) >> (i)&1 ? __builtin_popcount((m) & ((1U << (i)) - 1)) : NO_BOUND)
#define LANES(m)                                                                            \
    {                                                                                       \
        LANE(m, 0), LANE(m, 1), LANE(m, 2), LANE(m, 3), LANE(m, 4), LANE(m, 5), LANE(m, 6), \
            LANE(m, 7)                                                                      \
    }
#define LANES4(m)  LANES((m)), LANES((m) + 1U), LANES((m) + 2U), LANES((m) + 3U)
#define LANES16(m) LANES4((m)), LANES4((m) + 4U), LANES4((m) + 8U), LANES4((m) + 12U)
#define LANES64(m) LANES16((m)), LANES16((m) + 16U), LANES16((m) + 32U), LANES16((m) + 48U)

static const uint8_t lanes[256][8] = {LANES64(0U), LANES64(64U), LANES64(128U), LANES64(192U)};

__attribute__((target("avx2,popcnt"))) static void add_groups_avx2(uint16_t *sums,
                                                                   const struct tars_ranges *ranges,
                                                                   size_t first, size_t n,
                                                                   uint32_t weight, uint32_t *at)
{
    const __m256i factor = _mm256_set1_epi16((short)weight);
    const __m256i one = _mm256_set1_epi16(1);
    size_t g = 0;

    for (; g < n && *at + GROUP <= ranges->head.count; g++) {
        uint32_t mask = ranges->masks[first + g];
        const uint8_t *bounds = ranges->bounds + *at;
        const uint8_t *upper = bounds + __builtin_popcount(mask & 0xff);
        __m128i low = _mm_shuffle_epi8(_mm_loadl_epi64((const void *)bounds),
                                       _mm_loadl_epi64((const void *)lanes[mask & 0xff]));
        __m128i high = _mm_shuffle_epi8(_mm_loadl_epi64((const void *)upper),
                                        _mm_loadl_epi64((const void *)lanes[mask >> 8]));
        __m256i bound = _mm256_cvtepu8_epi16(_mm_unpacklo_epi64(low, high));
        __m256i part = _mm256_mulhi_epu16(_mm256_slli_epi16(bound, 8), factor);
        __m256i sum = _mm256_loadu_si256((const void *)(sums + g * GROUP));

        part = _mm256_add_epi16(part, _mm256_min_epu16(bound, one));
        _mm256_storeu_si256((void *)(sums + g * GROUP), _mm256_add_epi16(sum, part));
        *at += (uint32_t)__builtin_popcount(mask);
    }
    add_groups_plain(sums + g * GROUP, ranges, first + g, n - g, weight, at);
}

static void find_greatest_plain(const uint16_t *sums, uint16_t *greatest, size_t groups)
{
    for (size_t g = 0; g < groups; g++) {
        greatest[g] = 0;
        for (size_t i = 0; i < GROUP; i++) {
            if (sums[g * GROUP + i] > greatest[g])
                greatest[g] = sums[g * GROUP + i];
        }
    }
}

__attribute__((target("avx2"))) static void find_greatest_avx2(const uint16_t *sums,
                                                               uint16_t *greatest, size_t groups)
{
    const __m128i ones = _mm_set1_epi16(-1);

    for (size_t g = 0; g < groups; g++) {
        __m128i low = _mm_loadu_si128((const void *)(sums + g * GROUP));
        __m128i high = _mm_loadu_si128((const void *)(sums + g * GROUP + GROUP / 2));
        __m128i least = _mm_minpos_epu16(_mm_xor_si128(_mm_max_epu16(low, high), ones));

        greatest[g] = (uint16_t)~_mm_extract_epi16(least, 0);
    }
}

/* The rest of a sparse list that is in the window. A damaged one may have more than it says: what
 * there is no room for is walked over, so that none of it is left to a later window. */
static void add_entries(struct work *work, struct tars_bm25_list *list)
{
    list->entry_count = 0;
    while (list->more && list->span.range < work->first + work->count) {
        if (list->span.range >= work->first && list->entry_count < list->entry_cap) {
            uint32_t range = list->span.range - work->first;

            add_bound(&work->sums[range], list->span.bound, list->weight);
            list->entries[list->entry_count++] =
                (struct tars_bm25_entry){range, list->span.len, list->span.ptr};
        }
        list->more = tars_ranges_entry(&list->ranges, &list->at, &list->span);
    }
}

static void add_list(struct work *work, struct tars_bm25_list *list, bool avx2)
{
    const struct tars_ranges *ranges = &list->ranges;
    size_t first = work->first / GROUP;
    size_t groups = ((size_t)ranges->head.spread + GROUP - 1) / GROUP;
    size_t n = ((size_t)work->count + GROUP - 1) / GROUP;

    if (ranges->head.spread == 0) {
        add_entries(work, list);
        return;
    }
    if (groups <= first)
        return;
    n = groups - first < n ? groups - first : n;
    (avx2 ? add_groups_avx2 : add_groups_plain)(work->sums, ranges, first, n, list->weight,
                                                &list->at);
}

static void make_sums(struct work *work)
{
    struct tars_bm25_scorer *scorer = work->scorer;
    bool avx2 = __builtin_cpu_supports("avx2");
    size_t groups = (work->count + GROUP - 1) / GROUP;

    memset(work->sums, 0, groups * GROUP * sizeof(*work->sums));
    for (size_t i = 0; i < scorer->count; i++) {
        if (scorer->query[i]->mapped)
            add_list(work, scorer->query[i], avx2);
    }
    (avx2 ? find_greatest_avx2 : find_greatest_plain)(work->sums, work->greatest, groups);
}

/* ------------------------------------------------------------------- scoring */

static bool find_entry(const struct tars_bm25_list *list, uint32_t range,
                       struct tars_ranges_span *span)
{
    size_t low = 0;
    size_t n = list->entry_count;

    while (n > 1) {
        size_t half = n / 2;

        low = list->entries[low + half].range <= range ? low + half : low;
        n -= half;
    }
    if (list->entry_count == 0 || list->entries[low].range != range)
        return false;
    span->ptr = list->entries[low].ptr;
    span->len = list->entries[low].len;
    return true;
}

/* Where list has its postings of the window's range. */
static bool find_span(const struct work *work, const struct tars_bm25_list *list, uint32_t range,
                      struct tars_ranges_span *span)
{
    bool found;

    if (list->ranges.head.spread > 0) {
        return tars_ranges_has(&list->ranges, work->first + range) &&
               tars_ranges_seek(&list->ranges, work->first + range, span);
    }
    found = find_entry(list, range, span);
    span->range = work->first + range;
    return found;
}

/* Add what list gives to the passages of the range, of which the first n are there. */
static void add_span(const struct work *work, const struct tars_bm25_list *list,
                     const struct tars_ranges_span *span, uint32_t n, double *scores)
{
    const struct tars_passages *passages = work->scorer->bm25->passages;
    struct tars_ranges_posting posting;
    uint32_t at = 0;

    while (tars_ranges_posting(span, &at, &posting)) {
        uint32_t i = posting.ordinal % TARS_RANGES_SIZE;
        uint32_t length;

        if (i >= n)
            break;
        length = tars_passages_length(tars_passages_at(passages, posting.ordinal), list->field);
        scores[i] += tars_bm25_part(list, posting.tf, tars_bm25_norm(work->scorer, list, length));
    }
}

static void set_floor(struct work *work)
{
    double floor = tars_top_floor(&work->scorer->top);
    double least = floor * work->scale * SLACK_MIN;

    work->floor = floor;
    work->least = least > 1 ? (uint32_t)least : 1;
}

static void score_range(struct work *work, uint32_t range)
{
    struct tars_bm25_scorer *scorer = work->scorer;
    uint32_t first = (work->first + range) << TARS_RANGES_LOG;
    uint32_t n = work->limit - first < TARS_RANGES_SIZE ? work->limit - first : TARS_RANGES_SIZE;
    double scores[TARS_RANGES_SIZE] = {0};
    bool offered = false;

    for (size_t i = 0; i < scorer->count; i++) {
        const struct tars_bm25_list *list = scorer->query[i];
        struct tars_ranges_span span;

        if (list->mapped && find_span(work, list, range, &span))
            add_span(work, list, &span, n, scores);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (scores[i] > 0 && (float)scores[i] >= work->floor) {
            tars_bm25_offer(scorer, first + i, scores[i]);
            offered = true;
        }
    }
    if (offered)
        set_floor(work);
}

/* -------------------------------------------------------------------- search */

/* The upper byte of a sum over which there are about k groups. */
static uint32_t cut_of(const struct work *work, size_t groups)
{
    uint32_t counts[BUCKETS] = {0};
    size_t seen = 0;
    uint32_t cut = BUCKETS - 1;

    for (size_t g = 0; g < groups; g++)
        counts[work->greatest[g] / BUCKETS]++;
    for (; cut > 0; cut--) {
        seen += counts[cut];
        if (seen >= work->scorer->top.k)
            break;
    }
    return cut * BUCKETS;
}

/* Score the ranges whose sum is at least cut, and at least what counts. */
static void score_from(struct work *work, size_t groups, uint32_t cut)
{
    for (size_t g = 0; g < groups; g++) {
        if (work->greatest[g] < work->least || work->greatest[g] < cut)
            continue;
        for (uint32_t range = (uint32_t)g * GROUP; range < (g + 1) * GROUP && range < work->count;
             range++) {
            if (work->sums[range] < work->least || work->sums[range] < cut)
                continue;
            work->sums[range] = 0;
            score_range(work, range);
        }
    }
}

static void search_window(struct work *work)
{
    size_t groups = (work->count + GROUP - 1) / GROUP;

    make_sums(work);
    set_floor(work);
    if (work->scorer->top.count < work->scorer->top.k)
        score_from(work, groups, cut_of(work, groups));
    score_from(work, groups, 0);
}

static tars_status open_list(struct tars_bm25_list *list, const struct work *work)
{
    const struct tars_bm25 *bm25 = work->scorer->bm25;

    list->mapped = tars_postings_list(bm25->postings, list->number, &list->ranges);
    if (!list->mapped || list->ranges.head.spread > 0)
        return TARS_OK;
    list->entry_cap = list->ranges.head.count < WINDOW ? list->ranges.head.count : WINDOW;
    list->entries = malloc(list->entry_cap * sizeof(*list->entries));
    if (!list->entries)
        return TARS_ENOMEM;
    list->span.range = UINT32_MAX;
    list->more = tars_ranges_entry(&list->ranges, &list->at, &list->span);
    return TARS_OK;
}

/* How sums are scaled, and with it what a step of each list's bounds is. */
static void set_scale(struct work *work)
{
    struct tars_bm25_scorer *scorer = work->scorer;
    const struct tars_postings *postings = scorer->bm25->postings;
    double total = 0;
    double growth = 1; /* of the mean lengths since the bounds were made */

    for (size_t i = 0; i < scorer->count; i++) {
        enum tars_index_field field = scorer->query[i]->field;
        double grown = tars_bm25_mean(scorer->bm25, field) / postings->base_means[field];

        growth = grown > growth ? grown : growth;
        total += scorer->query[i]->factor;
    }
    work->scale = SUM_MAX / (total * growth);
    for (size_t i = 0; i < scorer->count; i++) {
        double weight = scorer->query[i]->factor / total * SUM_MAX * BUCKETS / UINT8_MAX;

        scorer->query[i]->weight = (uint32_t)ceil(weight);
    }
}

tars_status tars_bm25_ranges_run(struct tars_bm25_scorer *scorer)
{
    const struct tars_bm25 *bm25 = scorer->bm25;
    struct work work = {.scorer = scorer, .limit = bm25->postings->base_passages};
    uint32_t ranges;
    tars_status status = TARS_OK;

    work.limit = work.limit < bm25->view.count ? work.limit : bm25->view.count;
    ranges = (uint32_t)(((uint64_t)work.limit + TARS_RANGES_SIZE - 1) >> TARS_RANGES_LOG);
    if (ranges == 0)
        return TARS_OK;
    work.count = ranges < WINDOW ? ranges : WINDOW;
    work.sums = malloc((work.count + GROUP) * sizeof(*work.sums));
    work.greatest = malloc((work.count / GROUP + 1) * sizeof(*work.greatest));
    if (!work.sums || !work.greatest)
        status = TARS_ENOMEM;
    for (size_t i = 0; i < scorer->count && status == TARS_OK; i++)
        status = open_list(scorer->query[i], &work);
    if (status == TARS_OK) {
        set_scale(&work);
        for (; work.first < ranges; work.first += WINDOW) {
            work.count = ranges - work.first < WINDOW ? ranges - work.first : WINDOW;
            search_window(&work);
        }
    }
    free(work.sums);
    free(work.greatest);
    return status;
}
