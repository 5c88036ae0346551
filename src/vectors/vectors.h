/* vectors - the windows of passages, near to a question, behind one interface.
 *
 *     writer (follow.h)   state -> reset? -> apply ... -> finish?   a shadow of the store, by seq
 *     readers             search, held vectors of candidates        any thread, any time
 *
 * Model     A passage has windows, each with a vector of unit length. A result is a passage; its
 *           score is the cosine of its best window. What is there is of one store and one model,
 *           and says so, together with the last change of the store that it has as a whole.
 * Back ends `embedded` is the index of this process (index/index.h); `pgvector` and `chroma` are
 *           servers. Each is one const struct of functions, and passes one contract test
 *           (tests/unit/vectors/test_vectors_contract.c). Named by app/wiring alone.
 * Rights    A server is told which collections may be seen and searches those only; what it gives
 *           is looked at again here, by the filter of the call. What is not accepted is no hit, and
 *           takes no other's place: more are asked for until there are k, or no more.
 * Scores    A server chooses, and may keep rounded vectors. The exact vectors are the store's:
 *           _load() reads those of the candidates, and all scores are of them.
 * Strangers What is not known to be of this store and model is not searched, and each search and
 *           each batch says of which filling (generation) it is: one that somebody else has made
 *           meanwhile is neither searched nor written to.
 * Repair    A shadow that is behind is brought along from its seq. One of another store or model,
 *           one that is ahead, or that does not hold as many windows as it was given, is emptied
 *           and filled again (follow.h).
 * Filling   reset, apply ... apply, finish: what is better made of all than of one after the other
 *           (a graph) is made by finish. Until then it is not searched.
 * Threads   Readers are safe to share. state, reset, apply and finish belong to one writer at a
 * time of this process; of several processes at one server, apply lets one win (TARS_EAGAIN).
 * Failure   A server that is away fails at once while it is known to be (base/sys/breaker.h): it
 *           costs its half of a search, never the search.
 */
#ifndef TARS_VECTORS_VECTORS_H
#define TARS_VECTORS_VECTORS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"
#include "index/index.h"
#include "obs/call.h"
#include "store/store.h"

#define TARS_VECTORS_WINDOWS_MAX 20000 /* that a search asks a server for, at most */
#define TARS_VECTORS_RUNS_MAX    4096  /* that a search names to a server */
#define TARS_VECTORS_NAME_BYTES  64
#define TARS_VECTORS_MARK_BYTES  65 /* 64 hex digits and a NUL */

struct tars_vectors;

/* What the vectors are of. */
struct tars_vectors_of {
    char store[TARS_VECTORS_NAME_BYTES]; /* id of the store (meta store.id) */
    char model[TARS_STORE_SHA_BYTES];    /* identity of the model; "": none yet */
    char model_name[128];                /* for people */
    size_t dim;                          /* floats in a vector, at least 1 */
};

struct tars_vectors_state {
    struct tars_vectors_of of;          /* all "" and 0: nothing was ever written there */
    uint64_t generation;                /* another one after each reset(); 0: it is not told */
    uint64_t seq;                       /* the last change that is in it as a whole */
    char mark[TARS_VECTORS_MARK_BYTES]; /* what that change was; "": not known */
    uint64_t windows;                   /* vectors that are there */
    uint64_t expected;                  /* that should be there, as was written down beside seq */
    bool is_unfinished;                 /* a reset() came, and no finish() since */
};

/* What is to be done between two changes. No passage is in both lists. Doing one again does no
 * harm. */
struct tars_vectors_batch {
    uint64_t generation; /* that the state has, or TARS_EAGAIN; 0: any */
    uint64_t after;      /* seq that the state has, or TARS_EAGAIN */
    uint64_t upto;    /* seq that it has afterwards; after itself: a change that is not whole yet */
    const char *mark; /* of upto, to be written down beside it; "": not known */
    const struct tars_index_run *removes; /* (remove_count,) passages */
    size_t remove_count;
    /* (add_count,) each with id, document, text and vectors; those without vectors are passed
     * over. One that is there already has the same vectors, so it may stay or be written anew.
     * Ids ascend, over all batches but those that are done again. */
    const struct tars_store_passage *adds;
    size_t add_count;
};

struct tars_vectors_wish {
    const float *query; /* (dim,) of unit length */
    size_t dim;
    size_t k;
    /* What may be found, asked for each candidate; NULL: everything. */
    const struct tars_index_filter *filter;
    /* The collections that may be seen, for the server; all: no bound. Required. */
    const struct tars_visible *visible;
    /* filter demands more than the collections: fields of documents, a phrase. */
    bool is_narrow;
    int64_t until_ns;       /* of tars_clock_mono_ns(); 0: as the back end has it. All asks */
    struct tars_call *call; /* cancelled, deadline, trace; borrowed. NULL: nobody's */
    /* Set where not all was compared that the filter accepts: time was over, a later ask failed,
     * or TARS_VECTORS_WINDOWS_MAX were not enough. NULL: nobody wants to know. */
    bool *is_cut;
};

/* What a server is asked for: the windows nearest to query, of which collection and passage are
 * accepted. */
struct tars_vectors_ask {
    const struct tars_vectors_wish *wish;
    size_t limit;                      /* windows, or passages where is_by_passage */
    const struct tars_index_run *runs; /* (run_count,) ascending: only these passages; NULL: all */
    size_t run_count;
    uint64_t run_passages; /* ids in them, at most; 0 where there are no runs */
    uint64_t generation;   /* that is searched, or TARS_EAGAIN; 0: any */
};

/* A back end is one const struct of these. */
struct tars_vectors_ops {
    const char *name;   /* "pgvector" */
    bool waits;         /* for a network: searches run where waiting is allowed */
    bool is_by_passage; /* search obeys wish->filter, and gives passages with exact scores */
    /* What is there. Not counts: windows may be expected, uncounted, so that looking is cheap. A
     * server that has nothing yet: all zero. EUNAVAILABLE, ETIMEOUT, EFORMAT
     * (somebody else's tables, or another version's), EAGAIN (somebody is writing), EIO, ENOMEM. */
    tars_status (*state)(struct tars_vectors *self, bool counts, struct tars_vectors_state *state,
                         struct tars_err *err);
    /* Nothing is there any more, and what comes will be of this; seq 0. */
    tars_status (*reset)(struct tars_vectors *self, const struct tars_vectors_of *of,
                         struct tars_err *err);
    /* All that the store had when it was emptied has been written: make what makes searches quick,
     * which may take long. Done again, it is nothing. NULL: there is no such thing. Before,
     * searches may take long, but give what they should. EAGAIN: nothing of that generation is
     * there (0: any). EUNAVAILABLE, ETIMEOUT, ECANCELED, EIO, ENOMEM. */
    tars_status (*finish)(struct tars_vectors *self, uint64_t generation, struct tars_err *err);
    /* All of the batch or, where the server has no transactions, any part of it, and then not
     * upto. EAGAIN: the state is not at after (somebody else writes, too). EMISMATCH: vectors of
     * another length than there. EUNAVAILABLE, ETIMEOUT, EIO, ENOMEM. */
    tars_status (*apply)(struct tars_vectors *self, const struct tars_vectors_batch *batch,
                         size_t dim, struct tars_err *err);
    /* The windows nearest, best first: *n hits with the passage's id each, room for ask->limit.
     * Fewer than limit only when there are no more. Makes nothing there. EAGAIN: nothing of that
     * generation is there; EMISMATCH: another dim than there; EUNAVAILABLE, ETIMEOUT, ECANCELED,
     * EIO, ENOMEM. */
    tars_status (*search)(struct tars_vectors *self, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err);
    /* Exact scores without the store; NULL: the store has them. As tars_index_vector_score() and
     * tars_index_vector_add(). */
    tars_status (*score)(struct tars_vectors *self, const float *query, uint64_t id, float *score);
    tars_status (*add)(struct tars_vectors *self, const float *query, uint64_t id, double weight,
                       float *sum);
    /* Does it answer? May wait a moment. */
    tars_status (*health)(struct tars_vectors *self, struct tars_err *err);
    void (*close)(struct tars_vectors *self);
};

/* The first member of a back end's own struct. */
struct tars_vectors {
    const struct tars_vectors_ops *ops;
    /* The last change that is there, as far as is known; set by who feeds it (follow.h). */
    _Atomic uint64_t seq;
    int64_t search_ms;           /* of a search, all its asks together; 0: no end. Set by open */
    _Atomic uint64_t generation; /* that is searched; 0: any. Likewise */
    atomic_bool is_closed;       /* it is not known to be of this store and model, or unfinished.
                                    Likewise */
    atomic_bool is_doubted;      /* a search did not find that generation: to be looked at */
    atomic_bool is_stopping;     /* all but search ends (ECANCELED). Set by who feeds it */
};

/* The vectors of an index that somebody else feeds, borrowed: the default back end. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_vectors_lend(struct tars_index *index,
                                            struct tars_vectors **vectors);

/* NULL is allowed. Nobody may be at work. */
static inline void tars_vectors_close(struct tars_vectors *vectors)
{
    if (vectors)
        vectors->ops->close(vectors);
}

/* The k passages nearest to the question, best first, ties by ascending id; *n of them in hits,
 * which has room for k. Scores are the server's, which may be rounded. arena: of the call. */
TARS_MUST_USE tars_status tars_vectors_search(struct tars_vectors *vectors,
                                              const struct tars_vectors_wish *wish,
                                              struct tars_arena *arena, struct tars_index_hit *hits,
                                              size_t *n, struct tars_err *err);

/* ------------------------------------------------- exact vectors of candidates */

struct tars_vectors_held;

/* The exact vectors of passages ids (n,), any order, in arena: from the back end where it has them,
 * or with one read of the store. */
TARS_MUST_USE tars_status tars_vectors_load(struct tars_vectors *vectors, struct tars_store *store,
                                            size_t dim, const uint64_t *ids, size_t n,
                                            struct tars_arena *arena,
                                            struct tars_vectors_held **held, struct tars_err *err);
/* The exact cosine of a passage's best window. TARS_ENOTFOUND: it is gone, has no vectors, or was
 * not among ids. */
TARS_MUST_USE tars_status tars_vectors_score(const struct tars_vectors_held *held,
                                             const float *query, uint64_t id, float *score);
/* Add weight times the exact vector of the passage's best window to sum (dim,). TARS_ENOTFOUND; sum
 * is as it was. */
TARS_MUST_USE tars_status tars_vectors_add(const struct tars_vectors_held *held, const float *query,
                                           uint64_t id, double weight, float *sum);

#endif
