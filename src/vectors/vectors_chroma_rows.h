/* vectors_chroma_rows - passages as rows of ChromaDB, and which of them are asked for; see
 * vectors_chroma.h, of which it is a part. */
#ifndef TARS_VECTORS_VECTORS_CHROMA_ROWS_H
#define TARS_VECTORS_VECTORS_CHROMA_ROWS_H

#include "vectors/chroma.h"
#include "vectors/vectors.h"

/* Write the windows of passages (n,); those without vectors are passed over. */
TARS_MUST_USE tars_status tars_chroma_rows_add(struct tars_chroma *chroma, const char *id,
                                               const struct tars_store_passage *passages, size_t n,
                                               size_t dim, struct tars_err *err);
/* Remove the windows of the passages of runs (n,). */
TARS_MUST_USE tars_status tars_chroma_rows_remove(struct tars_chroma *chroma, const char *id,
                                                  const struct tars_index_run *runs, size_t n,
                                                  struct tars_err *err);
/* The passage of a row's id; false: it is none of ours. */
bool tars_chroma_rows_passage(const char *row, uint64_t *passage);
/* Which rows a search may find, in arena; *where NULL: all. */
TARS_MUST_USE tars_status tars_chroma_rows_where(const struct tars_vectors_ask *ask,
                                                 struct tars_arena *arena, const char **where);

#endif
