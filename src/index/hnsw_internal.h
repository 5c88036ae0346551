/* hnsw_internal - what hnsw.c (building) and hnsw_walk.c (searching) share. */
#ifndef TARS_INDEX_HNSW_INTERNAL_H
#define TARS_INDEX_HNSW_INTERNAL_H

#include "index/hnsw.h"
#include "index/hnsw_pool.h"

/* What a walk remembers. */
struct tars_hnsw_scratch {
    struct tars_hnsw_pool pool;
    uint64_t *visited; /* (words,) a bit a node, all zero between walks; owned */
    uint64_t *bridges; /* (words,) likewise: refused, and not looked through yet; owned */
    uint32_t *touched; /* (words,) which of visited are not zero; owned */
    size_t touched_count;
    size_t words;
    uint32_t limit; /* nodes that there are bits for */
    int8_t *codes;  /* (stride,) of the query; owned */
    float scale;    /* of them */
};

TARS_MUST_USE tars_status tars_hnsw_scratch_new(const struct tars_hnsw *hnsw,
                                                struct tars_hnsw_scratch **scratch);
void tars_hnsw_scratch_free(struct tars_hnsw_scratch *scratch);
/* Bits for count nodes. */
TARS_MUST_USE tars_status tars_hnsw_scratch_fit(struct tars_hnsw_scratch *scratch, uint32_t count);

/* From start, go to ever better nodes of layer until there is none. */
uint32_t tars_hnsw_descend(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                           uint32_t start, uint32_t layer);
/* Fill the pool, which was started, with about ef best accepted nodes of layer, from what is in it
 * and start. */
void tars_hnsw_walk(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t start,
                    uint32_t layer, const struct tars_hnsw_accept *accept);

#endif
