/* client - documents out of a file, read by a confined child process.
 *
 * Model     Each call starts tars-extract, hands it the open file as descriptor 3 and reads frames
 *           (extract/protocol.h) from a pipe. The child is taken for hostile: every length, number
 *           and character that it sends is checked, and headings and offsets are worked out here.
 * Bounds    memory_bytes and processor time in the child, timeout_ms of waiting for one document,
 *           max_document_bytes of text in one document, max_documents in one file.
 * Life      The child is killed and reaped before the call returns, whatever happened.
 * Threads   A client is immutable: share it; each call has its own child.
 *
 *     TARS_OK           at least one document with text was handed over
 *     TARS_EPASSWORD    encrypted, needs a password
 *     TARS_ENOTEXT      nothing to read: a scan without text layer, an empty file
 *     TARS_EFORMAT      damaged; or the child broke the protocol or died of a signal
 *     TARS_EUNSUPPORTED a kind of file that is not read here
 *     TARS_ETOOBIG      over a limit above, out of memory inside the child included
 *     TARS_ETIMEOUT     took too long
 *     TARS_ECANCELED    *cancelled was set
 *     TARS_EUNAVAILABLE the program could not be started
 *     TARS_ENOMEM, TARS_EIO, or what each() returned
 */
#ifndef TARS_EXTRACT_CLIENT_H
#define TARS_EXTRACT_CLIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/block.h"

#define TARS_EXTRACT_MEMORY_DEFAULT    ((size_t)1024 * 1024 * 1024) /* bytes of address space */
#define TARS_EXTRACT_TIMEOUT_DEFAULT   25000                        /* milliseconds */
#define TARS_EXTRACT_DOCUMENT_DEFAULT  ((size_t)64 * 1024 * 1024)   /* bytes of text */
#define TARS_EXTRACT_DOCUMENTS_DEFAULT ((uint64_t)10000000)         /* in one file */
#define TARS_EXTRACT_FORMAT_BYTES      16  /* a format's name and its NUL */
#define TARS_EXTRACT_ERROR_BYTES       256 /* first_error and its NUL */

struct tars_extract;

/* Zero is the default everywhere. Copied by tars_extract_open(). */
struct tars_extract_config {
    const char *program;       /* NULL or "": tars-extract beside this binary, then in PATH */
    size_t memory_bytes;       /* address space of the child */
    int64_t timeout_ms;        /* waiting for one document; time inside each() does not count */
    size_t max_document_bytes; /* text of one document */
    uint64_t max_documents;    /* in one file */
};

/* What one file held. */
struct tars_extract_outcome {
    uint64_t documents;                         /* handed to each() */
    uint64_t errors;                            /* lines of a JSONL file that could not be read */
    char first_error[TARS_EXTRACT_ERROR_BYTES]; /* terminated; about the first of them, or "" */
    char format[TARS_EXTRACT_FORMAT_BYTES];     /* as in struct tars_document; "" if unknown */
    uint64_t child_peak_bytes;                  /* largest resident set of the child */
};

/* Takes one document, which lives until it returns. Anything but TARS_OK stops the extraction and
 * is returned by tars_extract_file(); err is never NULL here. */
typedef tars_status tars_extract_document_fn(void *ctx, const struct tars_document *document,
                                             struct tars_err *err);

/* TARS_EUNAVAILABLE when there is no such program, TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_extract_open(const struct tars_extract_config *config,
                                            struct tars_extract **extract, struct tars_err *err);
void tars_extract_close(struct tars_extract *extract);

/* Read the file open at fd (for reading; its offset is not used) and hand over its documents in
 * order. file_name is a hint for its kind and appears in messages. cancelled may be NULL. outcome
 * may be NULL; it is filled whatever is returned. */
TARS_MUST_USE tars_status tars_extract_file(struct tars_extract *extract, int fd,
                                            const char *file_name, atomic_bool *cancelled,
                                            tars_extract_document_fn *each, void *ctx,
                                            struct tars_extract_outcome *outcome,
                                            struct tars_err *err);

/* True when the name ends in an extension that is read here: worth trying on a walk of a folder. */
bool tars_extract_supports(const char *file_name);

#endif
