/* top - the k best hits of many: highest score first, ties by ascending id. */
#ifndef TARS_INDEX_TOP_H
#define TARS_INDEX_TOP_H

#include <stddef.h>
#include <stdint.h>

#include "index/index.h"

/* A heap with the worst kept hit on top. */
struct tars_top {
    struct tars_index_hit *hits; /* (k + 1,) owned */
    size_t count;
    size_t k;
};

/* TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_top_init(struct tars_top *top, size_t k);
void tars_top_release(struct tars_top *top);
/* Keep the hit if it is among the k best so far. */
void tars_top_offer(struct tars_top *top, uint64_t id, float score);
/* A later hit with a greater id must score over this; -1 while there is room. */
double tars_top_floor(const struct tars_top *top);
/* Write the hits, best first, and return how many; top is empty then. */
size_t tars_top_sorted(struct tars_top *top, struct tars_index_hit *hits);

#endif
