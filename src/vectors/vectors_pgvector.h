/* vectors_pgvector - PostgreSQL with the extension vector (pgvector 0.8 or newer) as a vector back
 * end.
 *
 * Model     Schema tars_vectors of one database: a row a window, halfvec with an HNSW index by
 *           cosine; what it is of and its seq in one row beside, so that a batch is one
 *           transaction. A place that is filled from nothing gets its index at the end. Everything
 * is asked through functions of that schema: one round trip, no state in a session, so a pooler may
 * be in between. Filters   By collection and by ranges of passages, in the server. Where few are
 * accepted all of these are compared (exact); else the graph is walked on until enough were
 * accepted (iterative scans). Failure   Without the extension, or with one that is too old,
 * TARS_EUNSUPPORTED names the remedy. A server that is away is noticed by the pool's keeper
 * (store/postgres_pool.h). Threads   Safe to share.
 */
#ifndef TARS_VECTORS_VECTORS_PGVECTOR_H
#define TARS_VECTORS_VECTORS_PGVECTOR_H

#include "store/postgres_pool.h"
#include "vectors/vectors.h"

/* Texts are borrowed for its life; texts and text_count of the server are set here. */
struct tars_vectors_pgvector_config {
    struct tars_pg_pool_config pool;
    int64_t search_ms; /* a search waits for an answer, at most; 0: 2,000 */
};

/* Connects to nobody yet. TARS_ENOMEM. */
TARS_MUST_USE tars_status
tars_vectors_pgvector_open(const struct tars_vectors_pgvector_config *config,
                           struct tars_vectors **vectors, struct tars_err *err);
/* Is the database fit for it? Makes the extension and the schema where they are missing and that is
 * allowed. TARS_EUNSUPPORTED with the remedy; EUNAVAILABLE, ETIMEOUT: it is away; TARS_EFORMAT: a
 * newer program's schema. */
TARS_MUST_USE tars_status tars_vectors_pgvector_prepare(struct tars_vectors *vectors,
                                                        struct tars_err *err);

#endif
