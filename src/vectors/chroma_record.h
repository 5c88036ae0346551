/* chroma_record - what a row of a ChromaDB collection says of its chunk (wire contract,
 * section 7.2), read from its metadata. Foreign bytes: what is not as it should be is left out, or
 * is a reason to refuse the row.
 *
 * A row is of a document: metadata document_id, or else its id before "_chunk_", or else its whole
 * id; is_said tells the last case apart, in which the rows of one file have an id each. A document
 * has a path: file_path, or else source, or else none is known and the caller makes one up. A
 * file_name is none: files of many folders share it.
 */
#ifndef TARS_VECTORS_CHROMA_RECORD_H
#define TARS_VECTORS_CHROMA_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"

#define TARS_CHROMA_RECORD_SHA 64 /* hex digits of metadata hash */

/* Texts are terminated and in the arena; "" where nothing is said. */
struct tars_chroma_record {
    const char *document_id;
    bool is_said; /* it is an id that chunks share, not the row's own */
    const char *path;
    const char *file_name; /* of the path, where nothing is said */
    const char *file_type; /* without a dot, likewise */
    const char *title;
    const char *section;
    const char *hash; /* SHA-256 of the file's bytes in lower-case hex, or "" */
    int64_t chunk_index;
    int64_t file_size;
    int64_t page_count;
    int64_t page; /* of this chunk; 0: not said; like the next at most INT32_MAX */
    int64_t token_count;
    int64_t created_us, modified_us, indexed_us; /* 0: not said */
};

/* metadata: JSON object, or NULL.
 *   TARS_EFORMAT  an id that cannot be one, or no JSON (err says which), TARS_ENOMEM */
TARS_MUST_USE tars_status tars_chroma_record_read(const char *row_id, const char *metadata,
                                                  struct tars_arena *arena,
                                                  struct tars_chroma_record *out,
                                                  struct tars_err *err);

#endif
