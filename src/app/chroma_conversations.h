/* chroma_conversations - the conversations that another server of the wire contract keeps in a
 * collection of ChromaDB (section 7.8: a row is a conversation, its text the conversation as JSON),
 * into the store.
 *
 *     a page of rows -> a conversation each: messages in order, roles, times -> written, read back
 *
 * Again     May be stopped and run again. One that is here as it is there, or has gone on here, is
 *           left as it is; one that has gone on there gets what is missing; else it stays unless
 *           all is to be replaced.
 * Owner     The row's client_id, within one tenant. The title is made of the first message, as
 * there. Refused   Foreign bytes: what is no conversation, or too large for one, is named and left
 * out. Memory    A page of PAGE_ROWS rows, and one conversation.
 */
#ifndef TARS_APP_CHROMA_CONVERSATIONS_H
#define TARS_APP_CHROMA_CONVERSATIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"
#include "vectors/chroma.h"

struct tars_chroma_conversations_config {
    struct tars_chroma *chroma; /* required */
    const char *name;           /* of the collection; required */
    struct tars_store *store;   /* required; nobody else writes to it */
    const char *tenant;         /* required */
    bool dry_run;               /* nothing is written */
    bool replace;               /* also what is here otherwise */
    const atomic_bool *stop;    /* TARS_ECANCELED; or NULL */
    /* What is not taken, and why; or NULL. */
    void (*tell)(void *ctx, const char *what, const char *why);
    void *ctx;
};

struct tars_chroma_conversations_sums {
    int64_t rows;      /* that the collection has */
    int64_t imported;  /* made, replaced, or gone on with */
    int64_t unchanged; /* were here already */
    int64_t kept;      /* are here otherwise, and stay */
    int64_t refused;   /* are none, or too large */
    int64_t messages;  /* written now */
};

/* *out is written in any case, as far as it came. ENOTFOUND: there is no such collection; EAGAIN:
 * somebody wrote to it meanwhile; EFORMAT: what was read back is not what was written; ECANCELED;
 * and what ChromaDB and the store say. */
TARS_MUST_USE tars_status
tars_chroma_conversations(const struct tars_chroma_conversations_config *config,
                          struct tars_chroma_conversations_sums *out, struct tars_err *err);

#endif
