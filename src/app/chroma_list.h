/* chroma_list - which documents a ChromaDB collection holds: all rows' ids and metadata, read in
 * pages, by path, document and number of the chunk; of each path the newest version.
 *
 *     rows' ids name documents     a version of a file is a document; the newest is taken
 *     each row has its own id      the rows of a path are one document, in the order of their
 *                                  numbers and pages, and else as ChromaDB gives them
 */
#ifndef TARS_APP_CHROMA_LIST_H
#define TARS_APP_CHROMA_LIST_H

#include <stddef.h>

#include "vectors/chroma_record.h"
#include "vectors/chroma.h"

/* A chunk: where it is and what it says of itself. */
struct tars_chroma_chunk {
    const char *row_id;
    size_t place; /* among the rows as they were read */
    struct tars_chroma_record record;
};

/* Chunks first .. first + count - 1 are a document's, in their order. */
struct tars_chroma_document {
    size_t first;
    size_t count;
};

/* All texts are in the arena that was given. */
struct tars_chroma_list {
    struct tars_chroma_chunk *chunks; /* (chunk_count,) */
    size_t chunk_count;
    struct tars_chroma_document *documents; /* (document_count,) by path */
    size_t document_count;
    size_t superseded; /* chunks of older versions; they are in no document */
    size_t unclear;    /* of these, chunks of which nothing says that they are older */
    size_t refused;    /* rows that are not chunks; they are not in chunks */
};

/* tell: of each row that is refused, and each older version; or NULL. TARS_EAGAIN: rows came or
 * went meanwhile; and what tars_chroma_get() says. */
TARS_MUST_USE tars_status tars_chroma_list_read(
    struct tars_chroma *chroma, const struct tars_chroma_collection *collection, const char *name,
    const atomic_bool *stop, void (*tell)(void *ctx, const char *what, const char *why), void *ctx,
    struct tars_arena *arena, struct tars_chroma_list *out, struct tars_err *err);

#endif
