/* reranker - how well passages answer a question, as who reads both at once sees it.
 *
 * Back ends   reranker_local: a cross-encoder in this process (model/cross_encoder.h);
 *             reranker_remote: a server that speaks Cohere's and Jina's interface or that of
 *             text-embeddings-inference. Named by app/wiring alone.
 * Threads     Safe to share. A remote one waits for a network: `waits` says so, and such a search
 * runs where waiting is allowed.
 */
#ifndef TARS_RETRIEVE_RERANKER_H
#define TARS_RETRIEVE_RERANKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

struct tars_call;
struct tars_reranker;

struct tars_reranker_wish {
    struct tars_span question;
    const struct tars_span *passages; /* (n,) */
    size_t n;                         /* at least 1 */
    int64_t until_ns;                 /* of tars_clock_mono_ns() */
    struct tars_call *call;           /* cancelled, and the trace; borrowed */
};

struct tars_reranker_ops {
    /* scores: (n,), each 0..1, of which the first *scored are written.
     *
     *   TARS_EUNAVAILABLE, TARS_ETIMEOUT, TARS_EFORMAT, TARS_EDENIED   a remote one failed
     *   TARS_ENOMEM, TARS_EIO, TARS_ECANCELED
     */
    tars_status (*score)(struct tars_reranker *self, const struct tars_reranker_wish *wish,
                         float *scores, size_t *scored, struct tars_err *err);
    /* Can it be asked? What is known, without asking it. */
    tars_status (*health)(struct tars_reranker *self, struct tars_err *err);
    void (*close)(struct tars_reranker *self);
};

/* The first member of a back end's own struct. */
struct tars_reranker {
    const struct tars_reranker_ops *ops;
    const char *kind;     /* static: "cross-encoder" or "remote" */
    const char *model;    /* its name; lent */
    const char *identity; /* all that scores depend on, for keys of kept scores; lent */
    bool waits;           /* for a network */
};

static inline tars_status tars_reranker_score(struct tars_reranker *reranker,
                                              const struct tars_reranker_wish *wish, float *scores,
                                              size_t *scored, struct tars_err *err)
{
    return reranker->ops->score(reranker, wish, scores, scored, err);
}

/* Nobody may be scoring. NULL is allowed. */
static inline void tars_reranker_close(struct tars_reranker *reranker)
{
    if (reranker)
        reranker->ops->close(reranker);
}

#endif
