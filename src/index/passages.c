/* passages - see passages.h. */
#include "index/passages.h"

#include <assert.h>

#define EPOCH_FIRST 1
#define STILLBORN   EPOCH_FIRST /* died: seen in no epoch */

void tars_passages_init(struct tars_passages *passages)
{
    *passages = (struct tars_passages){0};
    tars_column_init(&passages->column, sizeof(struct tars_passage), 8);
    atomic_init(&passages->published, EPOCH_FIRST);
}

void tars_passages_release(struct tars_passages *passages)
{
    tars_column_release(&passages->column);
}

void tars_passages_publish(struct tars_passages *passages)
{
    struct tars_passages_view view = tars_passages_look(passages);

    atomic_store_explicit(&passages->published,
                          (uint64_t)passages->column.count << 32 | (view.epoch + 1),
                          memory_order_release);
}

uint32_t tars_passages_lower(const struct tars_passages *passages, uint32_t count, uint64_t id)
{
    uint32_t low = 0;

    while (low < count) {
        uint32_t middle = low + (count - low) / 2;

        if (tars_passages_at(passages, middle)->id < id) {
            low = middle + 1;
        } else {
            count = middle;
        }
    }
    return low;
}

uint32_t tars_passages_find(const struct tars_passages *passages,
                            const struct tars_passages_view *view, uint64_t id)
{
    const uint64_t guess = view->count > 0 ? id - tars_passages_at(passages, 0)->id : 0;
    uint32_t at;

    /* Where no document was replaced, ids have no gaps. */
    if (guess < view->count && tars_passages_at(passages, (uint32_t)guess)->id == id &&
        tars_passages_seen(passages, view, (uint32_t)guess))
        return (uint32_t)guess;
    at = tars_passages_lower(passages, view->count, id);
    /* Slots that were given up may stand before the right one. */
    for (; at < view->count && tars_passages_at(passages, at)->id == id; at++) {
        if (tars_passages_seen(passages, view, at))
            return at;
    }
    return TARS_PASSAGES_NONE;
}

tars_status tars_passages_prepare(struct tars_passages *passages)
{
    if (passages->column.count >= TARS_PASSAGES_MAX)
        return TARS_ETOOBIG;
    return tars_column_prepare(&passages->column, 1);
}

uint32_t tars_passages_take(struct tars_passages *passages, const struct tars_index_passage *from)
{
    uint32_t ordinal = tars_column_take(&passages->column, 1);
    struct tars_passage *passage = tars_passages_at(passages, ordinal);

    assert(from->lang >= 0 && from->lang < TARS_INDEX_LANGUAGES);
    passage->id = from->id;
    passage->length = from->length;
    passage->title_length = from->title_length;
    passage->heading_length = from->heading_length;
    passage->lang = (uint8_t)from->lang;
    return ordinal;
}

void tars_passages_give_up(struct tars_passages *passages, uint32_t ordinal)
{
    atomic_store_explicit(&tars_passages_at(passages, ordinal)->died, STILLBORN,
                          memory_order_relaxed);
}

void tars_passages_accept(struct tars_passages *passages, uint32_t ordinal)
{
    const struct tars_passage *passage = tars_passages_at(passages, ordinal);

    passages->last_id = passage->id;
    atomic_fetch_add_explicit(&passages->living, 1, memory_order_relaxed);
    for (int field = 0; field < TARS_INDEX_FIELDS; field++) {
        atomic_fetch_add_explicit(&passages->lengths[field], tars_passages_length(passage, field),
                                  memory_order_relaxed);
    }
    atomic_fetch_add_explicit(&passages->by_language[passage->lang], 1, memory_order_relaxed);
}

uint64_t tars_passages_remove(struct tars_passages *passages, uint64_t first, uint64_t last)
{
    uint32_t epoch = tars_passages_look(passages).epoch + 1;
    uint32_t count = passages->column.count;
    uint64_t removed = 0;

    for (uint32_t at = tars_passages_lower(passages, count, first);
         at < count && tars_passages_at(passages, at)->id <= last; at++) {
        struct tars_passage *passage = tars_passages_at(passages, at);

        if (atomic_load_explicit(&passage->died, memory_order_relaxed) != 0)
            continue;
        atomic_store_explicit(&passage->died, epoch, memory_order_relaxed);
        removed++;
        atomic_fetch_sub_explicit(&passages->living, 1, memory_order_relaxed);
        if (passage->lang < TARS_INDEX_LANGUAGES) {
            atomic_fetch_sub_explicit(&passages->by_language[passage->lang], 1,
                                      memory_order_relaxed);
        }
    }
    return removed;
}
