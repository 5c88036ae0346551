/* chroma - a client of ChromaDB: collections, and rows in and out of them.
 *
 * Model     No call keeps anything between calls but which API the server speaks: 0.5.x answers
 *           under /api/v1 and is asked there, 1.x answers there that it is gone and is asked under
 *           /api/v2. Looked at before the first call, and again after the server was away. A
 *           collection is found by its name; all else goes by its id, which a collection that is
 *           made anew does not have (TARS_ENOTFOUND).
 * Bounds    Rows of a write: what was configured, or what the server allows where that is less.
 *           Bytes of requests and replies; time of each.
 * Breaker   A server that did not answer three times is left alone for a moment (sys/breaker.h),
 * and calls fail at once meanwhile. Threads   Safe to share.
 *
 * All that waits can fail with TARS_EUNAVAILABLE (away, or it says that it cannot), TARS_ETIMEOUT,
 * TARS_ECANCELED, TARS_EDENIED (a token is wanted, or TLS is not trusted), TARS_EINVAL (it refuses
 * the request), TARS_ETOOBIG, TARS_EFORMAT (it is no ChromaDB, or a strange one) and TARS_ENOMEM.
 */
#ifndef TARS_VECTORS_CHROMA_H
#define TARS_VECTORS_CHROMA_H

#include <stdatomic.h>
#include <stdint.h>

#include "vectors/chroma_wire.h"

#define TARS_CHROMA_BATCH_DEFAULT 100
#define TARS_CHROMA_VERSION_BYTES 32
#define TARS_CHROMA_NAME_MAX      512 /* bytes of a collection's name */

struct tars_client;
struct tars_chroma;

/* Texts are copied; client is borrowed for the object's life. */
struct tars_chroma_config {
    struct tars_client *client; /* NULL: one of its own */
    const char *url;            /* "http://chromadb:8000", or "chromadb:8000"; required */
    const char *token;          /* sent as a bearer token and as x-chroma-token; NULL or "": none */
    size_t batch_rows;          /* rows of a write, at most; 0: TARS_CHROMA_BATCH_DEFAULT */
    int64_t read_ms;            /* time of a query or a look; 0: 5 s */
    int64_t write_ms;           /* time of a write, or of a page of rows; 0: 60 s */
    unsigned breaker_failures;  /* in a row; 0: 3 */
};

/* How long a call may wait, if not as configured. */
struct tars_chroma_wait {
    int64_t ms;                   /* 0: as configured */
    bool is_short;                /* a timeout says nothing of the server */
    const atomic_bool *cancelled; /* or NULL */
};

/* What answers. */
struct tars_chroma_info {
    enum tars_chroma_api api;
    char version[TARS_CHROMA_VERSION_BYTES]; /* as it says; "" when it does not */
};

/* TARS_EINVAL: no address, or a line break in the settings. Nothing is sent. */
TARS_MUST_USE tars_status tars_chroma_new(const struct tars_chroma_config *config,
                                          struct tars_chroma **chroma, struct tars_err *err);
/* NULL is allowed. */
void tars_chroma_free(struct tars_chroma *chroma);
/* From now on *stop ends all calls that have no flag of their own (TARS_ECANCELED). Lent; before
 * others use it. */
void tars_chroma_stop_by(struct tars_chroma *chroma, const atomic_bool *stop);
/* The address, as it is asked; lent. */
const char *tars_chroma_url(const struct tars_chroma *chroma);

/* Does it answer, and how? Asks, whatever the breaker says. */
TARS_MUST_USE tars_status tars_chroma_ping(struct tars_chroma *chroma,
                                           struct tars_chroma_info *info, struct tars_err *err);

/* The collection of this name. ENOTFOUND. */
TARS_MUST_USE tars_status tars_chroma_find(struct tars_chroma *chroma, const char *name,
                                           struct tars_arena *arena,
                                           struct tars_chroma_collection *out,
                                           struct tars_err *err);
/* The same, made first where there is none: with this metadata (a JSON object that is not empty)
 * and this space. */
TARS_MUST_USE tars_status tars_chroma_make(struct tars_chroma *chroma, const char *name,
                                           const char *space, const char *metadata,
                                           struct tars_arena *arena,
                                           struct tars_chroma_collection *out,
                                           struct tars_err *err);
/* Remove a collection with all that is in it. ENOTFOUND. */
TARS_MUST_USE tars_status tars_chroma_drop(struct tars_chroma *chroma, const char *name,
                                           struct tars_err *err);

/* Below, id is that of a collection (ENOTFOUND when there is none of this id). */

TARS_MUST_USE tars_status tars_chroma_describe(struct tars_chroma *chroma, const char *id,
                                               const char *metadata, struct tars_err *err);
TARS_MUST_USE tars_status tars_chroma_count(struct tars_chroma *chroma, const char *id,
                                            size_t *count, struct tars_err *err);
/* Add rows (n,), or replace those of the same ids: in batches, of which the first ones are in when
 * a later one fails. */
TARS_MUST_USE tars_status tars_chroma_upsert(struct tars_chroma *chroma, const char *id,
                                             const struct tars_chroma_row *rows, size_t n,
                                             size_t dim, struct tars_err *err);
/* Remove the rows of these ids (n,), in batches; others are left. */
TARS_MUST_USE tars_status tars_chroma_delete_ids(struct tars_chroma *chroma, const char *id,
                                                 const char *const *ids, size_t n,
                                                 struct tars_err *err);
/* Remove all rows that where (a JSON object) accepts, in batches. EIO: they do not go. */
TARS_MUST_USE tars_status tars_chroma_delete(struct tars_chroma *chroma, const char *id,
                                             const char *where, struct tars_err *err);
/* Rows, at most wish->limit, which is 1..TARS_CHROMA_ROWS_MAX. The order of pages is the server's:
 * the same for as long as nothing is written. */
TARS_MUST_USE tars_status tars_chroma_get(struct tars_chroma *chroma, const char *id,
                                          const struct tars_chroma_wish *wish,
                                          struct tars_arena *arena, struct tars_chroma_rows *out,
                                          struct tars_err *err);
/* The n rows nearest to vector (dim,), best first; fewer only where there are no more. wait may be
 * NULL. EMISMATCH: rows are of another dim. */
TARS_MUST_USE tars_status tars_chroma_query(struct tars_chroma *chroma, const char *id,
                                            const float *vector, size_t dim, size_t n,
                                            const char *where, const struct tars_chroma_wait *wait,
                                            struct tars_arena *arena, struct tars_chroma_hits *out,
                                            struct tars_err *err);

#endif
