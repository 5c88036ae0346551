/* postings - see postings.h. */
#include "index/postings.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "index/typos.h"

#define SLOTS_FIRST  1024
#define CAP_FIRST    8   /* bytes of data in a term's first block; later ones double */
#define CAP_MAX      512 /* in the last */
#define ENCODED_MAX  10  /* bytes of a posting */
#define TF_MAX       0xffff
#define NEAR         16 /* ranges that are walked rather than skipped */
#define HEADER_UNITS (sizeof(struct tars_postings_block) / TARS_POSTINGS_UNIT)

struct tars_postings_slots {
    struct tars_postings_slots *older; /* owned */
    uint32_t mask;
    bool owned;              /* slots are on the heap */
    _Atomic uint32_t *slots; /* (mask + 1,) */
};

/* --------------------------------------------------------------- life cycle */

void tars_postings_init(struct tars_postings *postings)
{
    *postings = (struct tars_postings){.k1 = 1.2, .b = 0.75};
    tars_column_init(&postings->terms, sizeof(struct tars_postings_term), 8);
    tars_column_init(&postings->texts, 1, 12);
    tars_column_init(&postings->blocks, TARS_POSTINGS_UNIT, 10);
    tars_column_init(&postings->tails, sizeof(struct tars_postings_tail), 8);
}

tars_status tars_postings_set_slots(struct tars_postings *postings, _Atomic uint32_t *slots,
                                    uint32_t mask)
{
    struct tars_postings_slots *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    if (postings->terms.count > 0) {
        postings->tail_base = calloc(postings->terms.count, sizeof(struct tars_postings_tail));
        if (!postings->tail_base) {
            free(made);
            return TARS_ENOMEM;
        }
    }
    tars_column_set_base(&postings->tails, postings->tail_base, postings->terms.count);
    atomic_store_explicit(&postings->term_count, postings->terms.count, memory_order_relaxed);
    made->mask = mask;
    made->slots = slots;
    made->older = atomic_load_explicit(&postings->slots, memory_order_relaxed);
    atomic_store_explicit(&postings->slots, made, memory_order_release);
    return TARS_OK;
}

void tars_postings_release(struct tars_postings *postings)
{
    struct tars_postings_slots *slots =
        atomic_load_explicit(&postings->slots, memory_order_relaxed);

    while (slots) {
        struct tars_postings_slots *older = slots->older;

        if (slots->owned)
            free((void *)slots->slots);
        free(slots);
        slots = older;
    }
    tars_column_release(&postings->terms);
    tars_column_release(&postings->texts);
    tars_column_release(&postings->blocks);
    tars_column_release(&postings->tails);
    free(postings->tail_base);
    postings->tail_base = NULL;
    atomic_store_explicit(&postings->slots, NULL, memory_order_relaxed);
}

/* ----------------------------------------------------------------- the terms */

/* FNV-1a. Not keyed: colliding words cost the searcher time, bounded by the table. */
uint64_t tars_postings_hash(const char *ptr, size_t len, enum tars_index_field field)
{
    uint64_t hash = UINT64_C(14695981039346656037) + (uint64_t)field;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)ptr[i]) * UINT64_C(1099511628211);
    return hash ^ (hash >> 29);
}

const char *tars_postings_text(const struct tars_postings *postings,
                               const struct tars_postings_term *term)
{
    const struct tars_column *texts = &postings->texts;

    if (term->text < texts->base_count && term->len > texts->base_count - term->text)
        return NULL;
    return tars_column_at(texts, term->text);
}

/* A term that is sought. */
struct sought {
    const char *ptr;
    size_t len;
    enum tars_index_field field;
    uint64_t hash;
};

static bool is_term(const struct tars_postings *postings, const struct tars_postings_term *term,
                    const struct sought *sought)
{
    const char *text;

    if (term->hash != sought->hash || term->len != sought->len || term->field != sought->field)
        return false;
    text = tars_postings_text(postings, term);
    return text && memcmp(text, sought->ptr, sought->len) == 0;
}

/* The mapped part of a damaged snapshot may name texts that were never there. */
static bool is_sound(const struct tars_postings *postings, uint32_t number)
{
    return number >= postings->terms.base_count ||
           tars_postings_term_at(postings, number)->text < postings->texts.base_count;
}

static uint32_t find(const struct tars_postings *postings, const struct sought *sought)
{
    uint64_t hash = sought->hash;
    const struct tars_postings_slots *slots =
        atomic_load_explicit(&postings->slots, memory_order_acquire);

    for (uint32_t i = 0; slots && i <= slots->mask; i++) {
        uint32_t slot =
            atomic_load_explicit(&slots->slots[(hash + i) & slots->mask], memory_order_acquire);

        if (slot == 0)
            return TARS_POSTINGS_NONE;
        if (slot - 1 < atomic_load_explicit(&postings->term_count, memory_order_acquire) &&
            is_sound(postings, slot - 1) &&
            is_term(postings, tars_postings_term_at(postings, slot - 1), sought))
            return slot - 1;
    }
    return TARS_POSTINGS_NONE;
}

uint32_t tars_postings_find(const struct tars_postings *postings, const char *ptr, size_t len,
                            enum tars_index_field field)
{
    const struct sought sought = {ptr, len, field, tars_postings_hash(ptr, len, field)};

    return find(postings, &sought);
}

/* Whether the term went in; a damaged table may be full. */
static bool put_slot(const struct tars_postings_slots *slots, uint64_t hash, uint32_t number)
{
    for (uint32_t i = 0; i <= slots->mask; i++) {
        _Atomic uint32_t *slot = &slots->slots[(hash + i) & slots->mask];

        if (atomic_load_explicit(slot, memory_order_relaxed) == 0) {
            atomic_store_explicit(slot, number + 1, memory_order_release);
            return true;
        }
    }
    return false;
}

/* Make sure that one more term keeps the table at most two thirds full. */
static tars_status fit_slots(struct tars_postings *postings)
{
    struct tars_postings_slots *slots =
        atomic_load_explicit(&postings->slots, memory_order_relaxed);
    uint32_t count = postings->terms.count;
    size_t size = SLOTS_FIRST;
    struct tars_postings_slots *made;

    if (slots && (uint64_t)(count + 1) * 3 <= (uint64_t)slots->mask * 2)
        return TARS_OK;
    while (size < (size_t)count * 3)
        size *= 2;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->slots = calloc(size, sizeof(*made->slots));
    if (!made->slots) {
        free(made);
        return TARS_ENOMEM;
    }
    made->owned = true;
    made->mask = (uint32_t)(size - 1);
    made->older = slots;
    for (uint32_t i = 0; i < count; i++)
        (void)put_slot(made, tars_postings_term_at(postings, i)->hash, i);
    atomic_store_explicit(&postings->slots, made, memory_order_release);
    return TARS_OK;
}

/* A new term without postings, in no slot yet. */
static tars_status make_term(struct tars_postings *postings, const struct sought *sought,
                             uint32_t *number)
{
    struct tars_postings_term *term;
    size_t len = sought->len;
    tars_status status = fit_slots(postings);

    if (status == TARS_OK)
        status = tars_column_prepare(&postings->terms, 1);
    if (status == TARS_OK)
        status = tars_column_prepare(&postings->tails, 1);
    if (status == TARS_OK)
        status = tars_column_prepare(&postings->texts, (uint32_t)len);
    if (status != TARS_OK)
        return status;
    *number = tars_column_take(&postings->terms, 1);
    term = tars_postings_term_at(postings, *number);
    term->hash = sought->hash;
    term->text = tars_column_take(&postings->texts, (uint32_t)len);
    term->len = (uint16_t)len;
    term->field = (uint16_t)sought->field;
    term->first = TARS_POSTINGS_NONE;
    term->letters = tars_typos_letters(sought->ptr, len);
    (void)tars_column_take(&postings->tails, 1);
    memcpy(tars_column_at(&postings->texts, term->text), sought->ptr, len);
    return TARS_OK;
}

/* --------------------------------------------------------------- the blocks */

bool tars_postings_list(const struct tars_postings *postings, uint32_t number,
                        struct tars_ranges *ranges)
{
    const struct tars_column *blocks = &postings->blocks;
    uint32_t unit;

    if (number >= postings->terms.base_count)
        return false;
    unit = tars_postings_term_at(postings, number)->first;
    return unit < blocks->base_count &&
           tars_ranges_open(ranges, tars_column_at(blocks, unit),
                            (size_t)(blocks->base_count - unit) * TARS_POSTINGS_UNIT);
}

static struct tars_postings_tail *tail_at(const struct tars_postings *postings, uint32_t number)
{
    return tars_column_at(&postings->tails, number);
}

uint32_t tars_postings_bound(uint32_t bound, uint32_t tf, uint32_t length)
{
    uint32_t greatest = bound >> 16;
    uint32_t least = bound == 0 ? TF_MAX : bound & TF_MAX;

    tf = tf < TF_MAX ? tf : TF_MAX;
    length = length < TF_MAX ? length : TF_MAX;
    return (tf > greatest ? tf : greatest) << 16 | (length < least ? length : least);
}

static size_t put_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

size_t tars_postings_encode(uint8_t *out, uint32_t step, uint32_t tf)
{
    size_t n = put_varint(out, (uint64_t)step << 1 | (tf == 1));

    return tf == 1 ? n : n + put_varint(out + n, tf);
}

static tars_status make_block(struct tars_postings *postings, uint32_t older_cap, uint32_t ordinal,
                              uint32_t *unit)
{
    uint32_t cap = older_cap == 0 ? CAP_FIRST : older_cap * 2;
    struct tars_postings_block *block;
    tars_status status;

    /* The first posting of a block may need six bytes, a tf of two bytes is rare but must fit. */
    cap = cap < CAP_MAX ? cap : CAP_MAX;
    status =
        tars_column_prepare(&postings->blocks, (uint32_t)HEADER_UNITS + cap / TARS_POSTINGS_UNIT);
    if (status != TARS_OK)
        return status;
    *unit = tars_column_take(&postings->blocks, (uint32_t)HEADER_UNITS + cap / TARS_POSTINGS_UNIT);
    block = tars_column_at(&postings->blocks, *unit);
    block->first = ordinal;
    block->cap = cap;
    atomic_store_explicit(&block->next, TARS_POSTINGS_NONE, memory_order_relaxed);
    return TARS_OK;
}

/* Put the posting into the block; false when it is full. */
static bool append(struct tars_postings_block *block, uint32_t ordinal, uint32_t tf,
                   uint32_t length)
{
    uint64_t state = atomic_load_explicit(&block->state, memory_order_relaxed);
    uint32_t bound = atomic_load_explicit(&block->bound, memory_order_relaxed);
    uint32_t count = (uint32_t)state & 0xffff;
    uint32_t bytes = (uint32_t)(state >> 16) & 0xffff;
    uint32_t last = count == 0 ? block->first : (uint32_t)(state >> 32);
    uint8_t encoded[ENCODED_MAX];
    size_t n = tars_postings_encode(encoded, ordinal - last, tf);

    if (count >= TARS_POSTINGS_BLOCK || bytes > block->cap || n > block->cap - bytes)
        return false;
    memcpy(block->data + bytes, encoded, n);
    atomic_store_explicit(&block->bound, tars_postings_bound(bound, tf, length),
                          memory_order_relaxed);
    atomic_store_explicit(&block->state,
                          (uint64_t)ordinal << 32 | (uint64_t)(bytes + n) << 16 | (count + 1),
                          memory_order_release);
    return true;
}

static tars_status add_to(struct tars_postings *postings, uint32_t number, uint32_t ordinal,
                          uint32_t tf, uint32_t length)
{
    struct tars_postings_term *term = tars_postings_term_at(postings, number);
    struct tars_postings_tail *tail = tail_at(postings, number);
    struct tars_postings_block *last =
        tail->last ? tars_column_at(&postings->blocks, tail->last - 1) : NULL;
    uint32_t bound = atomic_load_explicit(&term->bound, memory_order_relaxed);
    uint32_t unit;
    tars_status status;

    /* The bounds go first: a reader must never see a posting that is over them. */
    atomic_store_explicit(&term->bound, tars_postings_bound(bound, tf, length),
                          memory_order_relaxed);
    if (!last || !append(last, ordinal, tf, length)) {
        status = make_block(postings, last ? last->cap : 0, ordinal, &unit);
        if (status != TARS_OK)
            return status;
        (void)append(tars_column_at(&postings->blocks, unit), ordinal, tf, length);
        if (last) {
            atomic_store_explicit(&last->next, unit, memory_order_release);
        } else {
            atomic_store_explicit(&tail->first, unit + 1, memory_order_release);
        }
        tail->last = unit + 1;
    }
    atomic_fetch_add_explicit(&term->df, 1, memory_order_relaxed);
    return TARS_OK;
}

tars_status tars_postings_add(struct tars_postings *postings, const struct tars_index_term *term,
                              uint32_t ordinal, uint32_t length)
{
    const struct sought sought = {term->ptr, term->len, term->field,
                                  tars_postings_hash(term->ptr, term->len, term->field)};
    uint32_t number = find(postings, &sought);
    /* So that it fits a first block of CAP_FIRST bytes. */
    uint32_t tf = term->tf < TF_MAX ? term->tf : TF_MAX;
    tars_status status;

    assert(term->len > 0 && term->len <= TARS_POSTINGS_TERM_MAX);
    if (number != TARS_POSTINGS_NONE)
        return add_to(postings, number, ordinal, tf, length);
    status = make_term(postings, &sought, &number);
    if (status != TARS_OK)
        return status;
    status = add_to(postings, number, ordinal, tf, length);
    /* Without its posting the term goes in all the same: it is empty, and its place is used. */
    atomic_store_explicit(&postings->term_count, number + 1, memory_order_release);
    (void)put_slot(atomic_load_explicit(&postings->slots, memory_order_relaxed), sought.hash,
                   number);
    return status;
}

/* ------------------------------------------------------------------ cursors */

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    uint64_t sum = 0;

    for (unsigned shift = 0; shift < 42 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;

        sum |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *value = sum;
            return true;
        }
    }
    return false;
}

static void end_here(struct tars_postings_cursor *cursor)
{
    cursor->block = NULL;
    cursor->in_tail = true;
    cursor->count = 0;
    cursor->at = 0;
    cursor->ordinal = TARS_POSTINGS_END;
    cursor->tf = 0;
}

/* Stand before a block of the tail, not decoded. What does not ascend belongs to a damaged list
 * before it: false. */
static bool load(struct tars_postings_cursor *cursor, uint32_t unit)
{
    const struct tars_postings_block *block;
    uint64_t state;

    if (unit == TARS_POSTINGS_NONE)
        return false;
    block = tars_column_at(&cursor->postings->blocks, unit);
    state = atomic_load_explicit(&block->state, memory_order_acquire);
    if ((state & 0xffff) == 0 || block->first < cursor->next_min)
        return false;
    cursor->block = block;
    cursor->state = state;
    cursor->next_min = (uint32_t)(state >> 32) + 1;
    cursor->count = 0;
    cursor->at = 0;
    return true;
}

/* The next block of the tail is at unit. */
static void enter(struct tars_postings_cursor *cursor, uint32_t unit)
{
    if (!load(cursor, unit))
        end_here(cursor);
}

static void enter_tail(struct tars_postings_cursor *cursor)
{
    uint32_t unit = atomic_load_explicit(&tail_at(cursor->postings, cursor->number)->first,
                                         memory_order_acquire);

    cursor->in_tail = true;
    enter(cursor, unit != 0 ? unit - 1 : TARS_POSTINGS_NONE);
}

static void decode(struct tars_postings_cursor *cursor)
{
    const struct tars_postings_block *block = cursor->block;
    const uint8_t *at = block->data;
    const uint8_t *end = at + ((cursor->state >> 16) & 0xffff);
    uint32_t want = (uint32_t)cursor->state & 0xffff;
    uint64_t ordinal = block->first;
    uint32_t n = 0;

    for (; n < want && n < TARS_POSTINGS_BLOCK; n++) {
        uint64_t step;
        uint64_t tf = 1;

        if (!get_varint(&at, end, &step) || (!(step & 1) && !get_varint(&at, end, &tf)))
            break;
        ordinal += step >> 1;
        cursor->ordinals[n] = (uint32_t)ordinal;
        cursor->tfs[n] = (uint32_t)tf;
    }
    cursor->count = n;
    cursor->at = 0;
}

/* Leave blocks that end before ordinal. */
static void skip(struct tars_postings_cursor *cursor, uint32_t ordinal)
{
    while (cursor->block && (uint32_t)(cursor->state >> 32) < ordinal)
        enter(cursor, atomic_load_explicit(&cursor->block->next, memory_order_acquire));
}

/* The next range of the mapped list that is not under range. */
static bool next_range(struct tars_postings_cursor *cursor, uint32_t range)
{
    if (!cursor->begun) {
        cursor->begun = true;
        return tars_ranges_seek(&cursor->ranges, range, &cursor->span);
    }
    for (int i = 0; i < NEAR; i++) {
        if (!tars_ranges_next(&cursor->ranges, &cursor->span))
            return false;
        if (cursor->span.range >= range)
            return true;
    }
    return tars_ranges_seek(&cursor->ranges, range, &cursor->span);
}

/* Decode some ranges of the mapped list, from that of ordinal on. False: there are none. */
static bool fill(struct tars_postings_cursor *cursor, uint32_t ordinal)
{
    uint32_t n = 0;

    while (n <= TARS_POSTINGS_BLOCK - TARS_RANGES_SIZE &&
           next_range(cursor, ordinal >> TARS_RANGES_LOG)) {
        struct tars_ranges_posting posting;
        uint32_t at = 0;

        for (uint32_t i = 0; i < TARS_RANGES_SIZE; i++) {
            if (!tars_ranges_posting(&cursor->span, &at, &posting) ||
                posting.ordinal < cursor->next_min)
                break;
            cursor->ordinals[n] = posting.ordinal;
            cursor->tfs[n++] = posting.tf < TF_MAX ? posting.tf : TF_MAX;
            cursor->next_min = posting.ordinal + 1;
        }
    }
    cursor->count = n;
    cursor->at = 0;
    return n > 0;
}

uint32_t tars_postings_peek(struct tars_postings_cursor *cursor, uint32_t ordinal)
{
    if (cursor->ordinal == TARS_POSTINGS_END)
        return 0;
    if (!cursor->in_tail) {
        return atomic_load_explicit(&tars_postings_term_at(cursor->postings, cursor->number)->bound,
                                    memory_order_relaxed);
    }
    skip(cursor, ordinal);
    return cursor->block ? atomic_load_explicit(&cursor->block->bound, memory_order_relaxed) : 0;
}

/* Whether one of those that are decoded is not under ordinal; the cursor stands there then. */
static bool advance(struct tars_postings_cursor *cursor, uint32_t ordinal)
{
    while (cursor->at < cursor->count && cursor->ordinals[cursor->at] < ordinal)
        cursor->at++;
    if (cursor->at == cursor->count)
        return false;
    cursor->ordinal = cursor->ordinals[cursor->at];
    cursor->tf = cursor->tfs[cursor->at];
    return true;
}

void tars_postings_seek(struct tars_postings_cursor *cursor, uint32_t ordinal)
{
    while (!cursor->in_tail) {
        if (advance(cursor, ordinal))
            return;
        if (!fill(cursor, ordinal))
            enter_tail(cursor);
    }
    while (cursor->block) {
        skip(cursor, ordinal);
        if (!cursor->block)
            return;
        if (cursor->count == 0)
            decode(cursor);
        if (advance(cursor, ordinal))
            return;
        enter(cursor, atomic_load_explicit(&cursor->block->next, memory_order_acquire));
    }
}

uint32_t tars_postings_tf(const struct tars_ranges *ranges, uint32_t ordinal)
{
    const uint32_t range = ordinal >> TARS_RANGES_LOG;
    struct tars_ranges_posting posting;
    struct tars_ranges_span span;
    uint32_t at = 0;

    if ((ranges->head.spread > 0 && !tars_ranges_has(ranges, range)) ||
        !tars_ranges_seek(ranges, range, &span) || span.range != range)
        return 0;
    for (uint32_t i = 0; i < TARS_RANGES_SIZE && tars_ranges_posting(&span, &at, &posting); i++) {
        if (posting.ordinal == ordinal)
            return posting.tf < TF_MAX ? posting.tf : TF_MAX;
    }
    return 0;
}

static void start(struct tars_postings_cursor *cursor, const struct tars_postings *postings,
                  uint32_t number)
{
    cursor->postings = postings;
    cursor->number = number;
    cursor->begun = false;
    cursor->next_min = 0;
    end_here(cursor);
}

void tars_postings_cursor_tail(struct tars_postings_cursor *cursor,
                               const struct tars_postings *postings, uint32_t number)
{
    start(cursor, postings, number);
    if (number == TARS_POSTINGS_NONE)
        return;
    cursor->ordinal = 0;
    enter_tail(cursor);
    if (cursor->block)
        tars_postings_seek(cursor, 0);
}

void tars_postings_cursor_init(struct tars_postings_cursor *cursor,
                               const struct tars_postings *postings, uint32_t number)
{
    if (number == TARS_POSTINGS_NONE || !tars_postings_list(postings, number, &cursor->ranges)) {
        tars_postings_cursor_tail(cursor, postings, number);
        return;
    }
    start(cursor, postings, number);
    cursor->in_tail = false;
    cursor->ordinal = 0;
    tars_postings_seek(cursor, 0);
}
