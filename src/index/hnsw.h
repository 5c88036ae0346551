/* hnsw - near vectors by walking a graph of neighbours, in layers (Malkov and Yashunin, 2016).
 *
 *     layer 2        a ----------- b                 links of a node in layer 0: at most 32,
 *     layer 1        a --- c ----- b --- d           above: at most 16; chosen by the paper's
 *     layer 0        a e f c g h i b j k d l         heuristic (algorithm 4), so that they point
 *                                                    in different directions
 *
 * Model     A node is a window: int8 codes (distance.h), its owner (a passage's ordinal), links.
 *           The walk compares codes; whoever searches rescores the candidates with the exact
 *           vectors. Refused nodes (of removed passages, or filtered out) are walked, not found;
 *           a save leaves the removed ones out.
 *
 * Memory    A node with its codes begins a cache line, its links are two lines, so that looking at
 *           a node costs 7 lines at 384 dimensions, all asked for before the first is needed.
 *           448 bytes + links 128 + upper layers 4.3 = 580 a node; the exact vector, 1536, is in
 *           the snapshot file, or in memory until saved.
 *
 * Layers    The layer of a node is drawn from a hash of its owner and number: no randomness.
 *
 * Readers   A link is written by one atomic store after the node it points at is complete. A
 *           reader may see a list half old and half new: each link in it was right at some time.
 *           What a walk remembers (hnsw_internal.h) is lent from a few that are kept.
 *
 * Safety    A mapped snapshot may be damaged: every index is compared with its bound when it is
 *           read, and each node is visited once, so a walk ends and stays inside.
 *
 * Filters   A filter that refuses most would make a walk long. When few are accepted, refused
 *           neighbours are looked through at once: their accepted neighbours stand for them, and
 *           only accepted nodes are compared and expanded (as ACORN does, Patel et al., 2024).
 *
 * Bounds    2^30 nodes.
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
#include "index/hnsw_pool.h"

#define TARS_HNSW_M               16  /* links of a node in an upper layer */
#define TARS_HNSW_M0              32  /* links of a node in layer 0 */
#define TARS_HNSW_EF_CONSTRUCTION 200 /* candidates for the links of a new node */
#define TARS_HNSW_LAYERS          16  /* above layer 0, at most */
#define TARS_HNSW_NODES_MAX       ((uint32_t)TARS_POOL_NODE)
#define TARS_HNSW_NONE            UINT32_MAX /* ends a list of links that is not full */
#define TARS_HNSW_SPARES          8          /* scratches kept for the next search */

/* Stored in snapshots as they are. */
struct tars_hnsw_node {
    float scale;           /* of the codes */
    int32_t sum;           /* of the codes */
    uint32_t owner;        /* passage ordinal */
    uint32_t upper;        /* index in upper of the links in layer 1; those of layer 2 follow */
    uint32_t layer;        /* the topmost one that it is in */
    uint32_t reserved[11]; /* 0; the codes begin a cache line */
    int8_t codes[];        /* (stride,) */
};
struct tars_hnsw_links0 {
    _Atomic uint32_t ids[TARS_HNSW_M0];
};
struct tars_hnsw_links {
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
    struct tars_column marks;  /* of _Atomic uint64_t: a bit a node; see tars_hnsw_mark() */
    void *marks_base;          /* (of mapped nodes) owned */
    _Atomic uint32_t count;    /* nodes that readers may touch */
    _Atomic uint64_t entry;    /* layer << 32 | node where walks begin; valid when count > 0 */
    struct tars_hnsw_scratch *scratch; /* the writer's; owned, made when first needed */
    _Atomic(struct tars_hnsw_scratch *) spares[TARS_HNSW_SPARES]; /* of readers; owned */
};

/* Whether an owner may be found. Nodes below sure that are not marked are found unasked. */
struct tars_hnsw_accept {
    bool (*accepts)(void *ctx, uint32_t owner);
    void *ctx;
    uint32_t sure;
    bool seldom; /* few are accepted: look through the others */
};

void tars_hnsw_init(struct tars_hnsw *hnsw, size_t dim);
void tars_hnsw_release(struct tars_hnsw *hnsw);

/* Add a node with vector (dim,), finite. Writer only.
 *   TARS_ENOMEM, TARS_ETOOBIG  nothing was added
 *   TARS_EINVAL                a number is not finite */
TARS_MUST_USE tars_status tars_hnsw_add(struct tars_hnsw *hnsw, const float *vector, uint32_t owner,
                                        uint32_t number);

/* The owner of nodes first..first + count - 1 may be gone in some view: ask. Writer only. */
void tars_hnsw_mark(struct tars_hnsw *hnsw, uint32_t first, uint32_t count);
/* After nodes were lent to the columns: marks for them. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_hnsw_adopt(struct tars_hnsw *hnsw);

/* A search: begin with query (dim,), then any number of walks or scans, each of which leaves its
 * result in tars_hnsw_result(); end gives the scratch back.
 *   TARS_ENOMEM
 *   TARS_EINVAL  a number of the query is not finite */
struct tars_hnsw_scratch;
TARS_MUST_USE tars_status tars_hnsw_begin(const struct tars_hnsw *hnsw, const float *query,
                                          struct tars_hnsw_scratch **scratch);
void tars_hnsw_end(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch);

/* Find about the ef best accepted nodes; accept may be NULL. Besides the entry, the walk begins at
 * the seeds (n_seeds,), which are below count. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_hnsw_search(const struct tars_hnsw *hnsw,
                                           struct tars_hnsw_scratch *scratch, size_t ef,
                                           const struct tars_hnsw_accept *accept,
                                           const uint32_t *seeds, size_t n_seeds);
/* The same by comparing: start, then any ranges of nodes, which are cut at count; then finish. */
TARS_MUST_USE tars_status tars_hnsw_scan_start(struct tars_hnsw_scratch *scratch, size_t ef);
void tars_hnsw_scan(const struct tars_hnsw *hnsw, struct tars_hnsw_scratch *scratch, uint32_t first,
                    uint32_t count, const struct tars_hnsw_accept *accept);
void tars_hnsw_scan_finish(struct tars_hnsw_scratch *scratch);
/* What the last walk or scan found, best first; *n of them. Lent until the next one. */
const struct tars_hnsw_found *tars_hnsw_result(const struct tars_hnsw_scratch *scratch, size_t *n);

/* The cosine of the query and a node, which is below count, by codes; and how far it may be from
 * the exact one, all but surely. */
float tars_hnsw_score(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                      uint32_t node);
float tars_hnsw_margin(const struct tars_hnsw *hnsw, const struct tars_hnsw_scratch *scratch,
                       uint32_t node);
/* The exact cosine of node, which is below count; and a word that it will be asked for. */
float tars_hnsw_exact(const struct tars_hnsw *hnsw, const float *query, uint32_t node);
void tars_hnsw_expect_exact(const struct tars_hnsw *hnsw, uint32_t node);

static inline struct tars_hnsw_node *tars_hnsw_node_at(const struct tars_hnsw *hnsw, uint32_t node)
{
    return tars_column_at(&hnsw->nodes, node);
}

/* The links of node in layer: *max of them, each below limit or to be skipped, or ended earlier by
 * TARS_HNSW_NONE. NULL when the node is not in that layer. */
_Atomic uint32_t *tars_hnsw_links(const struct tars_hnsw *hnsw, uint32_t node, uint32_t layer,
                                  uint32_t *max);

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
