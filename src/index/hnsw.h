/* hnsw - near vectors by walking a graph of neighbours, in layers (Malkov and Yashunin, 2016).
 *
 *     layer 2        a ----------- b                 links of a node in layer 0: at most 32,
 *     layer 1        a --- c ----- b --- d           above: at most 16; chosen by the paper's
 *     layer 0        a e f c g h i b j k d l         heuristic (algorithm 4), so that they point
 *                                                    in different directions
 *
 * Model     A node is a window: int8 codes (distance.h), its owner (a passage's ordinal), links.
 *           The walk compares codes; whoever searches rescores the candidates with the exact
 *           vectors. Dead owners' nodes are walked but never found, until a save leaves them out.
 *
 * Layers    The layer of a node is drawn from a hash of its owner and number: no randomness.
 *
 * Readers   A link is written by one atomic store after the node it points at is complete. A
 *           reader may see a list half old and half new: each link in it was right at some time.
 *
 * Safety    A mapped snapshot may be damaged: every index is compared with its bound when it is
 *           read, and each node is visited once, so a walk ends and stays inside.
 *
 * Costs     Codes 384 + 20 + links 132 + upper layers 4.5 = 541 bytes a node at 384 dimensions;
 *           the exact vector, 1536, is in the snapshot file, or in memory until saved.
 *
 * Threads   One writer; any number of readers.
 */
#ifndef TARS_INDEX_HNSW_H
#define TARS_INDEX_HNSW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "index/column.h"
#include "index/distance.h"

#define TARS_HNSW_M               16  /* links of a node in an upper layer */
#define TARS_HNSW_M0              32  /* links of a node in layer 0 */
#define TARS_HNSW_EF_CONSTRUCTION 200 /* candidates for the links of a new node */
#define TARS_HNSW_LAYERS          16  /* above layer 0, at most */
#define TARS_HNSW_NONE            UINT32_MAX

/* Stored in snapshots as they are. */
struct tars_hnsw_node {
    float scale;    /* of the codes */
    int32_t sum;    /* of the codes */
    uint32_t owner; /* passage ordinal */
    uint32_t upper; /* index in upper of the links in layer 1; those of layer 2 follow */
    uint32_t layer; /* the topmost one that it is in */
    int8_t codes[]; /* (stride,) */
};
struct tars_hnsw_links0 {
    _Atomic uint32_t count;
    _Atomic uint32_t ids[TARS_HNSW_M0];
};
struct tars_hnsw_links {
    _Atomic uint32_t count;
    _Atomic uint32_t ids[TARS_HNSW_M];
};

struct tars_hnsw {
    size_t dim;
    size_t stride; /* bytes of codes */
    const struct tars_distance *distance;
    struct tars_column nodes;  /* of struct tars_hnsw_node with its codes */
    struct tars_column exact;  /* of float (dim,) */
    struct tars_column links0; /* of struct tars_hnsw_links0 */
    struct tars_column upper;  /* of struct tars_hnsw_links */
    _Atomic uint32_t count;    /* nodes that readers may touch */
    _Atomic uint64_t entry;    /* layer << 32 | node where walks begin; valid when count > 0 */
    struct tars_hnsw_scratch *scratch; /* the writer's; owned, made when first needed */
};

struct tars_hnsw_found {
    float score; /* approximate cosine */
    uint32_t node;
};

/* Whether an owner may be found. */
struct tars_hnsw_accept {
    bool (*accepts)(void *ctx, uint32_t owner);
    void *ctx;
};

void tars_hnsw_init(struct tars_hnsw *hnsw, size_t dim);
void tars_hnsw_release(struct tars_hnsw *hnsw);

/* Add a node with vector (dim,), finite. Writer only.
 *   TARS_ENOMEM, TARS_ETOOBIG  nothing was added
 *   TARS_EINVAL                a number is not finite */
TARS_MUST_USE tars_status tars_hnsw_add(struct tars_hnsw *hnsw, const float *vector, uint32_t owner,
                                        uint32_t number);

/* About the ef best accepted nodes, best first, in *found, which the caller frees; *n of them. */
TARS_MUST_USE tars_status tars_hnsw_search(const struct tars_hnsw *hnsw, const float *query,
                                           size_t ef, const struct tars_hnsw_accept *accept,
                                           struct tars_hnsw_found **found, size_t *n);
/* The same by comparing all nodes' codes. */
TARS_MUST_USE tars_status tars_hnsw_scan(const struct tars_hnsw *hnsw, const float *query,
                                         size_t ef, const struct tars_hnsw_accept *accept,
                                         struct tars_hnsw_found **found, size_t *n);

/* The exact cosine of node, which is below count. */
float tars_hnsw_exact(const struct tars_hnsw *hnsw, const float *query, uint32_t node);

static inline struct tars_hnsw_node *tars_hnsw_node_at(const struct tars_hnsw *hnsw, uint32_t node)
{
    return tars_column_at(&hnsw->nodes, node);
}

/* The links of node in layer: where they are, how many there may be; *count of them are set, each
 * below limit or to be skipped. NULL when the node is not in that layer. */
_Atomic uint32_t *tars_hnsw_links(const struct tars_hnsw *hnsw, uint32_t node, uint32_t layer,
                                  uint32_t *count);

/* Of n candidates, sorted best first by their likeness to one node, pick at most max that are
 * closer to it than to each other, then the best of the rest. The picked ones end up in front,
 * their number is returned. */
size_t tars_hnsw_pick(const struct tars_hnsw *hnsw, struct tars_hnsw_found *candidates, size_t n,
                      size_t max);

/* Likeness of two nodes by their codes. */
float tars_hnsw_between(const struct tars_hnsw *hnsw, uint32_t a, uint32_t b);
/* Best first; ties by ascending node. For qsort. */
int tars_hnsw_found_order(const void *a, const void *b);

#endif
