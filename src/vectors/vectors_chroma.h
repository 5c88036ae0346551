/* vectors_chroma - a collection of ChromaDB as a vector back end.
 *
 * A row a window:
 *
 *     id        doc_0123456789abcdef_chunk_2:0:901     chunk id, window, passage
 *     vector    of the window
 *     metadata  what the wire contract keeps of a chunk (section 7.2: document_id, chunk_index,
 *               file_name, file_path, file_type, file_size, indexed_at, token_count, page_count),
 *               and passage, window, collection, by which is searched
 *
 * Texts are not there: the store has them. The collection's own metadata say whose it is
 * (tars_store, tars_model, tars_dim) and how far it is (tars_seq, tars_rows, the number of rows;
 * tars_writer while a batch is being written).
 *
 * Foreign   A collection that is not marked as ours and has rows is never written to nor removed:
 *           TARS_EFORMAT, with the way out.
 * Writers   ChromaDB has no transactions. A batch first writes down that it has begun, and by whom;
 *           then its rows; then the new seq with the number of rows. Done again it does no harm.
 * Who finds at the end that somebody else has begun meanwhile gives up (TARS_EAGAIN). Searches  By
 * collections and, where the filter is narrow, by the passages that it accepts, if they are
 * RUN_PASSAGES_MAX or a single run. More are not named: ChromaDB takes seconds for a few dozen
 * ranges, and what it gives too much is left out afterwards.
 */
#ifndef TARS_VECTORS_VECTORS_CHROMA_H
#define TARS_VECTORS_VECTORS_CHROMA_H

#include "vectors/vectors.h"

struct tars_chroma;

struct tars_vectors_chroma_config {
    struct tars_chroma *chroma; /* required; taken: freed with the back end, and by a failure */
    const char *collection;     /* its name, which is copied; required */
    const char *space; /* "cosine", "l2" or "ip", of a collection that is made; NULL: cosine */
    int64_t query_ms;  /* of a search that has no end of its own; 0: 2 s */
};

/* Sends nothing. TARS_EINVAL: no such name or space. */
TARS_MUST_USE tars_status tars_vectors_chroma_open(const struct tars_vectors_chroma_config *config,
                                                   struct tars_vectors **vectors,
                                                   struct tars_err *err);

#endif
