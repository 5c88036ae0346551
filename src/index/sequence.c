/* sequence - see sequence.h. */
#include "index/sequence.h"

#include <stdlib.h>

#define ONE_FROM   TARS_SEQUENCE_RUN /* first bytes of terms that take one byte, two, ... */
#define TWO_FROM   192
#define THREE_FROM 248
#define FIVE       255
#define TWO_TERM   (TWO_FROM - ONE_FROM) /* first terms likewise */
#define THREE_TERM (TWO_TERM + ((THREE_FROM - TWO_FROM) << 8))
#define FIVE_TERM  (THREE_TERM + ((FIVE - THREE_FROM) << 16))

void tars_sequence_init(struct tars_sequence *sequence)
{
    *sequence = (struct tars_sequence){0};
    tars_column_init(&sequence->bytes, 1, 14);
    tars_column_init(&sequence->places, sizeof(struct tars_sequence_place), 8);
}

void tars_sequence_release(struct tars_sequence *sequence)
{
    tars_column_release(&sequence->bytes);
    tars_column_release(&sequence->places);
}

void tars_sequence_adopt(struct tars_sequence *sequence)
{
    atomic_store_explicit(&sequence->count, sequence->places.base_count, memory_order_relaxed);
}

/* The term's number has n bytes behind the first one. */
static size_t put_term(uint8_t *out, uint32_t first, uint32_t value, size_t n)
{
    out[0] = (uint8_t)(first + (n < 4 ? value >> 8 * n : 0));
    for (size_t i = 1; i <= n; i++)
        out[i] = (uint8_t)(value >> 8 * (n - i));
    return n + 1;
}

size_t tars_sequence_encode(uint8_t *out, uint32_t *gaps, uint32_t word)
{
    size_t n = 0;

    if (word == TARS_SEQUENCE_GAP)
        (*gaps)++;
    if (*gaps > 0 && (word != TARS_SEQUENCE_GAP || *gaps == TARS_SEQUENCE_RUN)) {
        out[n++] = (uint8_t)(*gaps - 1);
        *gaps = 0;
    }
    if (word == TARS_SEQUENCE_GAP)
        return n;
    if (word < TWO_TERM)
        return n + put_term(out + n, ONE_FROM, word, 0);
    if (word < THREE_TERM)
        return n + put_term(out + n, TWO_FROM, word - TWO_TERM, 1);
    if (word < FIVE_TERM)
        return n + put_term(out + n, THREE_FROM, word - THREE_TERM, 2);
    return n + put_term(out + n, FIVE, word, 4);
}

/* Make places up to that of ordinal; passages without words have empty ones. */
static tars_status reach(struct tars_sequence *sequence, uint32_t ordinal)
{
    while (sequence->places.count <= ordinal) {
        tars_status status = tars_column_prepare(&sequence->places, 1);

        if (status != TARS_OK)
            return status;
        (void)tars_column_take(&sequence->places, 1);
        atomic_store_explicit(&sequence->count, sequence->places.count, memory_order_release);
    }
    return TARS_OK;
}

tars_status tars_sequence_put(struct tars_sequence *sequence, uint32_t ordinal,
                              const uint32_t *words, size_t count)
{
    uint8_t encoded[TARS_SEQUENCE_BYTES];
    struct tars_sequence_place *place;
    uint32_t gaps = 0;
    size_t len = 0;
    uint8_t *out;
    tars_status status = reach(sequence, ordinal);

    for (size_t i = 0; i < count; i++)
        len += tars_sequence_encode(encoded, &gaps, words[i]);
    if (status != TARS_OK || len == 0)
        return status;
    if (len > UINT32_MAX / 2)
        return TARS_ETOOBIG;
    status = tars_column_prepare(&sequence->bytes, (uint32_t)len);
    if (status != TARS_OK)
        return status;
    place = tars_column_at(&sequence->places, ordinal);
    place->at = tars_column_take(&sequence->bytes, (uint32_t)len);
    place->len = (uint32_t)len;
    out = tars_column_at(&sequence->bytes, place->at);
    gaps = 0;
    for (size_t i = 0; i < count; i++)
        out += tars_sequence_encode(out, &gaps, words[i]);
    return TARS_OK;
}

struct tars_sequence_reader tars_sequence_read(const struct tars_sequence *sequence,
                                               uint32_t ordinal)
{
    struct tars_sequence_reader none = {NULL, NULL, 0};
    const struct tars_column *bytes = &sequence->bytes;
    const struct tars_sequence_place *place;
    const uint8_t *at;

    if (ordinal >= atomic_load_explicit(&sequence->count, memory_order_acquire))
        return none;
    place = tars_column_at(&sequence->places, ordinal);
    if (place->len == 0)
        return none;
    /* Only a damaged place of the mapped ones leads behind the mapped bytes. */
    if (ordinal < sequence->places.base_count &&
        (place->at >= bytes->base_count || place->len > bytes->base_count - place->at))
        return none;
    at = tars_column_at(bytes, place->at);
    return (struct tars_sequence_reader){at, at + place->len, 0};
}

/* The term that begins with a byte and has value in those behind it. */
static uint32_t number_of(uint32_t first, uint32_t value)
{
    if (first < TWO_FROM)
        return first - ONE_FROM;
    if (first < THREE_FROM)
        return TWO_TERM + ((first - TWO_FROM) << 8 | value);
    if (first < FIVE)
        return THREE_TERM + ((first - THREE_FROM) << 16 | value);
    return value;
}

/* Bytes behind the first one of a term. */
static ptrdiff_t more_of(uint32_t first)
{
    if (first < TWO_FROM)
        return 0;
    if (first < THREE_FROM)
        return 1;
    return first < FIVE ? 2 : 4;
}

bool tars_sequence_next(struct tars_sequence_reader *reader, uint32_t *word)
{
    uint32_t value = 0;
    uint32_t first;
    ptrdiff_t more;

    if (reader->gaps == 0 && reader->at < reader->end && *reader->at < ONE_FROM)
        reader->gaps = *reader->at++ + 1U;
    if (reader->gaps > 0) {
        reader->gaps--;
        *word = TARS_SEQUENCE_GAP;
        return true;
    }
    if (reader->at == reader->end)
        return false;
    first = *reader->at++;
    more = more_of(first);
    if (more > reader->end - reader->at)
        return false;
    for (ptrdiff_t i = 0; i < more; i++)
        value = value << 8 | *reader->at++;
    *word = number_of(first, value);
    return true;
}
