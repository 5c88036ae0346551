/* sqlite_texts - a copy of the texts of passages, with what is known of their documents, in a file
 * beside the index: what a server that shares a store in PostgreSQL answers searches from.
 *
 *     documents(first, ...)     by the number of their first passage
 *     passages(id, first, ...)
 *     state(filled)             all passages up to this number that there are, are here
 *     followed(seq)             number of the last change that was followed
 *
 * A shadow like the index: it may be deleted at any time, and fills itself again. It holds no
 * vectors. What was removed is wiped from the file (secure_delete), and by _tidy() from its log.
 *
 * Threads   Safe to share: one connection writes and one reads, with a lock each. each() is called
 *           under the reader's: it must not ask the texts.
 * Failure   A damaged file is made anew by _open(). Nothing is synced; after a power cut the last
 *           writes may be missing: passages are made up for, of removals followed() tells it.
 */
#ifndef TARS_STORE_SQLITE_TEXTS_H
#define TARS_STORE_SQLITE_TEXTS_H

#include <stddef.h>
#include <stdint.h>

#include "store/accounts.h"
#include "store/store.h"

struct tars_texts;

/* Made when it is missing. */
TARS_MUST_USE tars_status tars_texts_open(const char *path, struct tars_texts **texts,
                                          struct tars_err *err);
/* NULL is allowed. */
void tars_texts_close(struct tars_texts *texts);

uint64_t tars_texts_filled(struct tars_texts *texts);
/* Passages with their documents, in ascending order, and that all up to filled are here then. */
TARS_MUST_USE tars_status tars_texts_add(struct tars_texts *texts,
                                         const struct tars_store_passages *passages,
                                         uint64_t filled, struct tars_err *err);
/* Number of the last change that was followed; 0: none. */
uint64_t tars_texts_followed(struct tars_texts *texts);
/* Wipe what the changes remove, and remember seq, unless a later one is: all or nothing. */
TARS_MUST_USE tars_status tars_texts_follow(struct tars_texts *texts,
                                            const struct tars_store_changes *changes, uint64_t seq,
                                            struct tars_err *err);
/* What was removed is in the file's log no more. */
TARS_MUST_USE tars_status tars_texts_tidy(struct tars_texts *texts, struct tars_err *err);
/* Wipe passages first..last. */
TARS_MUST_USE tars_status tars_texts_remove(struct tars_texts *texts, uint64_t first, uint64_t last,
                                            struct tars_err *err);
/* Wipe all. */
TARS_MUST_USE tars_status tars_texts_clear(struct tars_texts *texts, struct tars_err *err);

/* As the functions of store.h, of what is here; of passages the texts are always loaded. */
TARS_MUST_USE tars_status tars_texts_passages(struct tars_texts *texts, const uint64_t *ids,
                                              size_t n, struct tars_arena *arena,
                                              struct tars_store_passages *out,
                                              struct tars_err *err);
TARS_MUST_USE tars_status tars_texts_documents(struct tars_texts *texts,
                                               const struct tars_store_document_filter *filter,
                                               tars_store_document_fn *each, void *ctx,
                                               struct tars_err *err);
TARS_MUST_USE tars_status tars_texts_runs(struct tars_texts *texts, uint64_t after,
                                          tars_store_run_fn *each, void *ctx, struct tars_err *err);
/* Of documents as if each were a file. */
TARS_MUST_USE tars_status tars_texts_sizes(struct tars_texts *texts, struct tars_arena *arena,
                                           struct tars_collection_size **sizes, size_t *count,
                                           struct tars_err *err);

#endif
