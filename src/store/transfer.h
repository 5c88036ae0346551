/* transfer - all of one store into another, of whatever back end, and the proof that it is there.
 *
 * What      Tenants, accounts, keys, collections, grants, revoked tokens, the audit log, files with
 *           documents, passages and vectors, conversations. Numbers that a store gives (of
 *           passages, accounts, changes) are new ones; document ids stay. Not taken along: jobs,
 *           which must have ended, what is left of a file that was being taken in, and how many
 *           questions a tenant has asked today. A conversation of which the first messages are gone
 *           is called by the first that it has.
 * Again     May be stopped and begun again: what is there already is left as it is. Nothing else
 *           uses either store meanwhile. The target was empty when it first began, and notes which
 *           store it is filled from: no other is moved into it, it is not served until all is
 *           there, and from then on it is compared and never written again.
 * Proof     tars_store_sums() of both is the same in every number and in a digest over all
 *           documents, passages, vectors and messages, and over all that decides about rights, but
 *           for numbers that a store gives, and times of use.
 * Memory    A batch of documents (BATCH_BYTES, or one document), and the whole of accounts and
 *           audit log.
 */
#ifndef TARS_STORE_TRANSFER_H
#define TARS_STORE_TRANSFER_H

#include <stdatomic.h>

#include "store/store.h"

/* In meta: which store it is; and which one was moved into it, so that what was made of that one
 * elsewhere (vectors in a server) is this one's. */
#define TARS_STORE_ID_KEY     "store.id"
#define TARS_STORE_BEFORE_KEY "store.before"

struct tars_store_sums {
    int64_t tenants, accounts, keys, collections, grants, revoked, audit;
    int64_t files, documents, passages, vectors;
    int64_t conversations, messages;
    char sha256[TARS_STORE_SHA_BYTES]; /* over all of it */
};

struct tars_transfer_config {
    struct tars_store *from, *to;
    int64_t now_us;          /* a number that no other run has */
    const atomic_bool *stop; /* ends it after a batch, with TARS_ECANCELED; or NULL */
    void (*progress)(void *ctx, int64_t files, int64_t total); /* or NULL */
    /* to may be written to from now on; or NULL. */
    tars_status (*begin)(void *ctx, struct tars_err *err);
    void *ctx;
};

/* Reads everything: slow. */
TARS_MUST_USE tars_status tars_store_sums(struct tars_store *store, struct tars_store_sums *out,
                                          struct tars_err *err);

/* Copy, then compare; *out is of both.
 *
 *   TARS_EBUSY     jobs wait in from
 *   TARS_EEXIST    to holds something that is not of an earlier run from the same store
 *   TARS_EINVAL    a path that to cannot hold
 *   TARS_EFORMAT   they differ at the end
 *   TARS_ECANCELED, and what the stores say
 */
TARS_MUST_USE tars_status tars_store_transfer(const struct tars_transfer_config *config,
                                              struct tars_store_sums *out, struct tars_err *err);

/* TARS_EMISMATCH: it is being filled, and not all is there yet. */
TARS_MUST_USE tars_status tars_store_check_moved(struct tars_store *store, struct tars_err *err);

#endif
