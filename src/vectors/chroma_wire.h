/* chroma_wire - the bytes that ChromaDB takes and gives; no input or output here.
 *
 *     v2, of 1.x      /api/v2/tenants/T/databases/D/collections ...
 *     v1, of 0.5.x    /api/v1/collections ...?tenant=T&database=D
 *
 * Bodies are the same but for a new collection, whose index is described in its configuration or,
 * in v1, in its metadata. A row is an id, a vector, a text and metadata (a flat JSON object, here
 * as text); a collection has a name, an id (UUID) and metadata of its own.
 *
 * Replies are foreign bytes: what is taken has the right types, as many of each as of the others,
 * vectors of one length of finite numbers, ids that fit into a path, and no more rows than were
 * asked for; fuzzed. All that is given lives in the arena that was given.
 */
#ifndef TARS_VECTORS_CHROMA_WIRE_H
#define TARS_VECTORS_CHROMA_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_CHROMA_UUID_BYTES 37 /* 36 characters and a NUL */
#define TARS_CHROMA_DIM_MAX    16384
#define TARS_CHROMA_ROWS_MAX   100000 /* in one reply, at most */
#define TARS_CHROMA_WORD_BYTES 16     /* of a distance's name, with its NUL */

enum tars_chroma_api {
    TARS_CHROMA_V2 = 0,
    TARS_CHROMA_V1 = 1,
};

/* "v2" or "v1". */
const char *tars_chroma_api_text(enum tars_chroma_api api);

struct tars_chroma_collection {
    char id[TARS_CHROMA_UUID_BYTES];
    char space[TARS_CHROMA_WORD_BYTES]; /* "cosine", "l2", "ip"; "" when it does not say */
    size_t dim;                         /* 0: no row has been there yet */
    const char *metadata;               /* JSON object; "{}" when it has none */
};

struct tars_chroma_row {
    const char *id;       /* terminated */
    const float *vector;  /* (dim,) or NULL */
    const char *text;     /* (text_len,), terminated, or NULL; may hold NULs */
    size_t text_len;      /* bytes */
    const char *metadata; /* JSON object, terminated; NULL: none */
};

struct tars_chroma_rows {
    struct tars_chroma_row *items; /* (count,) */
    size_t count;
    size_t dim; /* 0: without vectors */
};

struct tars_chroma_hit {
    const char *id; /* terminated */
    float distance;
};

struct tars_chroma_hits {
    struct tars_chroma_hit *items; /* (count,) nearest first */
    size_t count;
};

/* What of a row is wanted; its id always is. */
enum tars_chroma_include {
    TARS_CHROMA_VECTORS = 1,
    TARS_CHROMA_TEXTS = 2,
    TARS_CHROMA_METADATA = 4,
};

/* Which rows; all, where nothing is said. */
struct tars_chroma_wish {
    const char *const *ids; /* (id_count,) or NULL */
    size_t id_count;
    const char *where; /* JSON object of Chroma's operators, or NULL */
    size_t limit;      /* 0: none */
    size_t offset;
    unsigned include; /* sum of enum tars_chroma_include */
};

/* ------------------------------------------------------------------ requests */

/* Each appends a body; look at out->status. */

/* metadata: JSON object that is not empty; space: "cosine", "l2" or "ip". */
void tars_chroma_write_collection(struct tars_buf *out, enum tars_chroma_api api, const char *name,
                                  const char *space, const char *metadata);
/* The metadata of a collection in place of what it has. */
void tars_chroma_write_metadata(struct tars_buf *out, const char *metadata);
/* rows: (n,) each with a vector of dim and metadata. Texts are left out where the first has none.
 */
void tars_chroma_write_rows(struct tars_buf *out, const struct tars_chroma_row *rows, size_t n,
                            size_t dim);
/* By ids, or by where. */
void tars_chroma_write_delete(struct tars_buf *out, const struct tars_chroma_wish *wish);
void tars_chroma_write_get(struct tars_buf *out, const struct tars_chroma_wish *wish);
/* The n rows nearest to vector (dim,); where as above, or NULL. */
void tars_chroma_write_query(struct tars_buf *out, const float *vector, size_t dim, size_t n,
                             const char *where);

/* ------------------------------------------------------------------- replies */

/* All: TARS_EFORMAT, with words, for what is no such reply; TARS_ENOMEM. */

TARS_MUST_USE tars_status tars_chroma_read_collection(struct tars_span body,
                                                      struct tars_arena *arena,
                                                      struct tars_chroma_collection *out,
                                                      struct tars_err *err);
TARS_MUST_USE tars_status tars_chroma_read_count(struct tars_span body, size_t *count,
                                                 struct tars_err *err);
/* Rows that a write may have; 0: it does not say. */
TARS_MUST_USE tars_status tars_chroma_read_limit(struct tars_span body, size_t *rows,
                                                 struct tars_err *err);
/* At most max rows; include says what they must have. A row may be without text or metadata. */
TARS_MUST_USE tars_status tars_chroma_read_rows(struct tars_span body, size_t max, unsigned include,
                                                struct tars_arena *arena,
                                                struct tars_chroma_rows *out, struct tars_err *err);
/* Of one vector. Rows without a distance are left out. */
TARS_MUST_USE tars_status tars_chroma_read_hits(struct tars_span body, size_t max,
                                                struct tars_arena *arena,
                                                struct tars_chroma_hits *out, struct tars_err *err);
/* What a refusal says, for people: (size,) terminated, one line, printable. */
void tars_chroma_read_refusal(struct tars_span body, char *text, size_t size);

#endif
