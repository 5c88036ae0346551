/* sequence - see sequence.h. */
#include "index/sequence.h"

#include <stdlib.h>

#define WORD_BYTES 5

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

size_t tars_sequence_encode(uint8_t *out, uint32_t word)
{
    uint32_t value = word + 1; /* the gap becomes 0 */
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
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
    uint8_t encoded[WORD_BYTES];
    struct tars_sequence_place *place;
    size_t len = 0;
    uint8_t *out;
    tars_status status = reach(sequence, ordinal);

    for (size_t i = 0; i < count; i++)
        len += tars_sequence_encode(encoded, words[i]);
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
    for (size_t i = 0; i < count; i++)
        out += tars_sequence_encode(out, words[i]);
    return TARS_OK;
}

struct tars_sequence_reader tars_sequence_read(const struct tars_sequence *sequence,
                                               uint32_t ordinal)
{
    struct tars_sequence_reader none = {NULL, NULL};
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
    return (struct tars_sequence_reader){at, at + place->len};
}

bool tars_sequence_next(struct tars_sequence_reader *reader, uint32_t *word)
{
    uint32_t value = 0;

    for (unsigned shift = 0; shift < 7 * WORD_BYTES && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;

        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *word = value - 1;
            return true;
        }
    }
    return false;
}
