/* chroma_import - the documents of a ChromaDB collection of another server of the wire contract
 * (section 7.2) into the store.
 *
 *     rows' metadata -> documents, newest version of each path -> texts and vectors, a document at
 * a time -> one transaction each -> read back and compared
 *
 * Vectors   Taken as they are if they are of the model of EMBED_MODEL: as long as its own, and of
 *           SAMPLE texts spread over the collection, embedded here in full precision, nine in ten
 *           have a cosine of SAME_COSINE to what is there. Else all texts are embedded anew.
 * Again     May be stopped and begun again: a document that is there with the same content is left
 *           as it is (unless all is to be embedded anew and replaced), and so is one that came from
 *           the file itself (it is newer, or better cut).
 * Proof     At the end every document that was written is read back, and a digest of its texts and
 *           vectors compared with that of what was read from ChromaDB; passages are counted.
 * Memory    For the list some 400 bytes a row, and what documents say of themselves once each,
 * LIST_BYTES at most (TARS_ENOMEM before anything was written); and one document, document_bytes at
 * most: one that is larger is left out, and named.
 */
#ifndef TARS_APP_CHROMA_IMPORT_H
#define TARS_APP_CHROMA_IMPORT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "text/chunk.h"
#include "vectors/chroma.h"

struct tars_encoder;

struct tars_chroma_import_sums {
    enum tars_chroma_api api;
    int64_t rows;       /* that the collection has */
    int64_t documents;  /* that they are of: the newest of each path */
    int64_t imported;   /* written now */
    int64_t unchanged;  /* were there already */
    int64_t kept;       /* left alone, since another version of the path is there */
    int64_t passages;   /* written now */
    int64_t superseded; /* rows of older versions of a path */
    int64_t unclear;    /* of these, rows of which nothing says that they are older */
    int64_t absent;     /* documents of files that a scan of the watched folder would miss */
    int64_t refused; /* rows without a text, that are none of a chunk, or of too large a document */
    int64_t taken;   /* vectors taken as they are */
    int64_t made;    /* vectors made here */
    bool is_same_model; /* as far as was looked at */
    double cosine; /* the least of the best nine tenths of the sample; NaN: nothing to compare */
    char sha256[TARS_STORE_SHA_BYTES]; /* over what was imported now; "" for none */
};

struct tars_chroma_import_config {
    struct tars_chroma *chroma;            /* required */
    const char *name;                      /* of the collection; required */
    struct tars_store *store;              /* required; nobody else writes to it */
    struct tars_encoder *encoder;          /* required, in full precision */
    const struct tars_chunk_config *chunk; /* of this encoder; required */
    const char *into;                      /* collection of the store; required */
    const char *watched;                   /* folder that servers scan; or NULL */
    bool dry_run;                          /* nothing is written */
    bool embed;                            /* anew, whatever the model */
    bool replace;                          /* also what is there in another version */
    size_t document_bytes;                 /* of one, with its vectors; 0: a gigabyte */
    const atomic_bool *stop; /* ends it after a document, with TARS_ECANCELED; or NULL */
    void (*progress)(void *ctx, int64_t done, int64_t total); /* documents; or NULL */
    /* What is not taken, and why; or NULL. */
    void (*tell)(void *ctx, const char *what, const char *why);
    void *ctx;
};

/* *out is written in any case, as far as it came.
 *
 *   TARS_ENOTFOUND  there is no such collection, here or there
 *   TARS_EINVAL     the collection is one of our own vectors (VECTOR_BACKEND=chroma)
 *   TARS_EMISMATCH  the store has vectors of another model
 *   TARS_EAGAIN     somebody wrote to the collection meanwhile: run it again
 *   TARS_EFORMAT    what was read back is not what was written
 *   TARS_ECANCELED, and what ChromaDB and the store say
 */
TARS_MUST_USE tars_status tars_chroma_import(const struct tars_chroma_import_config *config,
                                             struct tars_chroma_import_sums *out,
                                             struct tars_err *err);

#endif
