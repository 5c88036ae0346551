/* hnsw_internal - what hnsw.c (building) and hnsw_walk.c (searching) share. */
#ifndef TARS_INDEX_HNSW_INTERNAL_H
#define TARS_INDEX_HNSW_INTERNAL_H

#include "index/hnsw.h"

/* A heap of found nodes; sign 1: the best on top, -1: the worst on top. */
struct heap {
    struct tars_hnsw_found *items; /* owned */
    size_t count;
    size_t cap;
    int sign;
};

/* What a walk remembers. */
struct tars_hnsw_scratch {
    struct heap open;  /* to be expanded, best on top */
    struct heap best;  /* found so far, worst on top */
    uint64_t *visited; /* a bit a node; owned */
    uint32_t limit;    /* nodes that visited has bits for */
    size_t words;      /* allocated in visited */
    int8_t *codes;     /* (stride,) of the query; owned */
    float scale;       /* of them */
};

TARS_MUST_USE tars_status tars_hnsw_scratch_new(const struct tars_hnsw *hnsw, size_t ef,
                                                struct tars_hnsw_scratch **scratch);
void tars_hnsw_scratch_free(struct tars_hnsw_scratch *scratch);
/* Room for ef results and count nodes. */
TARS_MUST_USE tars_status tars_hnsw_scratch_fit(struct tars_hnsw_scratch *scratch, size_t ef,
                                                uint32_t count);

float tars_hnsw_score(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                      uint32_t node);
/* From start, go to ever better nodes of layer until there is none. */
uint32_t tars_hnsw_descend(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                           uint32_t start, uint32_t layer);
/* Fill scratch->best with about ef best accepted nodes of layer, from start. Forgets visits. */
void tars_hnsw_walk(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t start,
                    uint32_t layer, size_t ef, const struct tars_hnsw_accept *accept);

#endif
