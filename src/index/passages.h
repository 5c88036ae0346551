/* passages - the passages of one view: id, windows, length, language, and whether it is still
 * there.
 *
 * A passage is known inside the index by its ordinal, its place in this table; ids ascend with
 * ordinals, so an id is found by halving. What readers may see is one number, published:
 *
 *     published = count of passages << 32 | epoch
 *
 * A reader loads it once, and sees a passage when its ordinal is below count and it had not died
 * when the epoch began. So a whole batch of additions and removals appears at once.
 *
 * Threads   One writer; any number of readers.
 */
#ifndef TARS_INDEX_PASSAGES_H
#define TARS_INDEX_PASSAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "index/column.h"
#include "index/index.h"

#define TARS_PASSAGES_MAX  (UINT32_C(1) << 31)
#define TARS_PASSAGES_NONE UINT32_MAX

/* Stored in snapshots as it is, with died 0. */
struct tars_passage {
    uint64_t id;
    uint32_t window_first; /* node of the first window */
    _Atomic uint32_t died; /* epoch in which it goes; 0: it lives */
    uint32_t length;       /* words of the text */
    uint16_t window_count;
    uint16_t title_length;
    uint16_t heading_length;
    uint8_t lang;     /* below TARS_INDEX_LANGUAGES; a damaged snapshot may say otherwise */
    uint8_t spare[5]; /* zeros */
};
_Static_assert(sizeof(struct tars_passage) == 32, "two in a cache line");

struct tars_passages {
    struct tars_column column; /* of struct tars_passage */
    _Atomic uint64_t published;
    _Atomic uint64_t living; /* passages that are published and live */
    /* Words in each field of all published passages, dead ones too, as df has them. */
    _Atomic uint64_t lengths[TARS_INDEX_FIELDS];
    _Atomic uint64_t by_language[TARS_INDEX_LANGUAGES]; /* those of living */
    uint64_t last_id;                                   /* the writer's; greatest id ever added */
};

/* What one search sees. */
struct tars_passages_view {
    uint32_t count;
    uint32_t epoch;
};

void tars_passages_init(struct tars_passages *passages);
void tars_passages_release(struct tars_passages *passages);
/* Make what the writer did visible. */
void tars_passages_publish(struct tars_passages *passages);

static inline struct tars_passages_view tars_passages_look(const struct tars_passages *passages)
{
    uint64_t published = atomic_load_explicit(&passages->published, memory_order_acquire);

    return (struct tars_passages_view){(uint32_t)(published >> 32), (uint32_t)published};
}

/* The passage with this ordinal; below view.count, or one that the writer took. */
static inline struct tars_passage *tars_passages_at(const struct tars_passages *passages,
                                                    uint32_t ordinal)
{
    return tars_column_at(&passages->column, ordinal);
}

/* Words of a field of the passage. */
static inline uint32_t tars_passages_length(const struct tars_passage *passage,
                                            enum tars_index_field field)
{
    if (field == TARS_INDEX_TEXT)
        return passage->length;
    return field == TARS_INDEX_TITLE ? passage->title_length : passage->heading_length;
}

/* The passage if the view has it, else NULL. Any ordinal. */
static inline const struct tars_passage *tars_passages_seen(const struct tars_passages *passages,
                                                            const struct tars_passages_view *view,
                                                            uint32_t ordinal)
{
    const struct tars_passage *passage;
    uint32_t died;

    if (ordinal >= view->count)
        return NULL;
    passage = tars_passages_at(passages, ordinal);
    died = atomic_load_explicit(&passage->died, memory_order_relaxed);
    return died == 0 || died > view->epoch ? passage : NULL;
}

/* The first ordinal below count whose id is not under id; count when there is none. */
uint32_t tars_passages_lower(const struct tars_passages *passages, uint32_t count, uint64_t id);
/* The ordinal of the passage with this id that the view has, or TARS_PASSAGES_NONE. */
uint32_t tars_passages_find(const struct tars_passages *passages,
                            const struct tars_passages_view *view, uint64_t id);

/* The writer: room for one more; then its slot. A slot that is given up stays, dead. */
TARS_MUST_USE tars_status tars_passages_prepare(struct tars_passages *passages);
uint32_t tars_passages_take(struct tars_passages *passages, const struct tars_index_passage *from);
void tars_passages_give_up(struct tars_passages *passages, uint32_t ordinal);
void tars_passages_accept(struct tars_passages *passages, uint32_t ordinal);
/* How many were removed by it. */
uint64_t tars_passages_remove(struct tars_passages *passages, uint64_t first, uint64_t last);

#endif
