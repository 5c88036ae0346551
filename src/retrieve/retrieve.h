/* retrieve - a question into a ranked list of passages.
 *
 *     question -> vector  -> near windows   -+
 *             \-> terms   -> matching words -+-> fuse -> order -> rerank -> relevance -> threshold
 *
 * Both lists are cut at TARS_RETRIEVE_POOL candidates, and each score is scaled to 0..1 by the
 * least and the greatest of its own list (min-max); the fused score is the weighted sum, alpha on
 * the words, a passage that is missing from a list counting 0 there. Reciprocal rank fusion
 * (Cormack, Clarke and Buettcher 2009, k = 60) by setting. Where the language of the question is
 *           not one that the encoder was made for, alpha grows (fuse.h).
 *
 * In hybrid mode, likeness to the best of the candidates is then mixed in (kin.h); a search by
 * vectors alone, by words alone or by reciprocal ranks is left as it is. Words weigh idf^1.5.
 *
 * similarity_score of the wire contract is relevance: a calibrated chance in 0..1 that the passage
 * answers the question, less where a better passage stands among the first five (relevance.h).
 * Order is by the fused score; the threshold applies to relevance.
 *
 * Kept      What was found for a question, passages and scores, is kept under a key of all that it
 *           depends on (kept.h): the state of the documents, the rights of the call, the request,
 *           the settings. The text is read from the store each time, so what was deleted cannot be
 *           shown; if a passage is gone, the question is searched again. Many who ask the same at
 *           once wait for one search (cache/fetch.h).
 * Rights    call->visible is obeyed inside both searches (scope.h): a passage of a collection that
 *           the call may not read is never a candidate. NULL finds nothing.
 * Threads   Safe to share once open. Readers of the index take no lock; the store is asked once a
 *           call, for the text of the winners.
 * Elsewhere Vectors may be in a server; then index has words only, and who searches waits for a
 *           network (vectors->ops->waits).
 * Failure   A part that is away (no encoder, vectors of another model, their server) costs its half
 * of the fusion, never the call; degraded says so.
 */
#ifndef TARS_RETRIEVE_RETRIEVE_H
#define TARS_RETRIEVE_RETRIEVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "obs/call.h"
#include "retrieve/rerank.h"

#define TARS_RETRIEVE_POOL    100 /* candidates taken from each side */
#define TARS_RETRIEVE_TOP_MAX 1000

struct tars_store;
struct tars_store_passage; /* store/store.h: text, place, its document */
struct tars_index;
struct tars_encoder;
struct tars_cache;
struct tars_vectors;
struct tars_epoch;
struct tars_retriever;

enum tars_retrieve_mode {
    TARS_RETRIEVE_HYBRID = 0, /* both sides; the default */
    TARS_RETRIEVE_WORDS = 1,
    TARS_RETRIEVE_VECTORS = 2,
};

enum tars_fusion {
    TARS_FUSION_LINEAR = 0, /* min-max weighted sum */
    TARS_FUSION_RRF = 1,    /* reciprocal rank, k = 60 */
};

struct tars_retrieved;

/* All pointers are borrowed for the retriever's life. */
struct tars_retriever_config {
    struct tars_store *store;     /* required */
    struct tars_index *index;     /* required */
    struct tars_vectors *vectors; /* near windows (vectors/vectors.h); NULL: those of index */
    struct tars_encoder *encoder; /* NULL: words only */
    struct tars_cache *cache;     /* vectors of questions, and what was found; NULL: none */
    /* What was found is kept only where both are given: the states of store, and what the order
     * depends on besides (settings, identity of the model), as text. */
    const struct tars_epoch *epoch;
    const char *ranking;
    double alpha;                     /* weight of the words, 0..1; negative: 0.5 */
    enum tars_fusion fusion;          /* how the sides are joined */
    struct tars_rerank_config rerank; /* who reads the first candidates once more; zero: nobody */
    bool typos; /* words that no passage has are looked for as nearly spelt ones */
    /* Hears of every search that ended well, for the metrics; NULL: nobody. */
    void (*observe)(void *ctx, const struct tars_retrieved *result);
    void *observe_ctx;
};

TARS_MUST_USE tars_status tars_retriever_new(const struct tars_retriever_config *config,
                                             struct tars_retriever **retriever);
void tars_retriever_free(struct tars_retriever *retriever);

struct tars_retrieve_request {
    struct tars_span query;       /* UTF-8; blank finds nothing; may make demands (wording.h) */
    size_t top_k;                 /* 1..TARS_RETRIEVE_TOP_MAX; 0: 10 */
    double threshold;             /* least relevance, 0..1; negative: none */
    const char *filters_json;     /* terminated JSON object (contract 1.3, 7.3), or NULL */
    const char *collection;       /* key (store/accounts.h): only this one; NULL: all visible */
    enum tars_retrieve_mode mode; /* zero: hybrid */
    bool distinct_documents; /* one passage a document, its best; top_k then counts documents */
    bool rerank;             /* let the reranker read the first candidates, where there is one */
    bool explain;            /* where nothing is found, tell why; such a result is not kept */
};

struct tars_found {
    uint64_t passage_id;
    const struct tars_store_passage *passage; /* in the call's arena */
    double relevance;                         /* calibrated, 0..1 */
    double fused;                             /* what the order is by */
    double vector_score; /* cosine of the best window; NaN where there is none */
    double bm25_score;   /* BM25; 0 where no word matches */
    double coverage;     /* words of the question that the passage holds, by rarity, 0..1 */
    double rerank_score; /* of the reranker, 0..1; NaN: it has not read this one */
};

/* Why nothing was found: words and passages of what the call may find alone. */
struct tars_retrieve_absence {
    bool is_empty;              /* there is no passage that may be found */
    const char *const *missing; /* (missing_count,) words that no passage holds (missing.h) */
    size_t missing_count;
    const struct tars_store_passage *nearest; /* the best of those below the threshold, or NULL */
    double relevance;                         /* of it */
};

struct tars_retrieved {
    struct tars_found *found; /* (count,) best first, in the call's arena */
    size_t count;
    const char *fusion_method; /* static: "linear", "rrf", "words", "vectors" */
    uint64_t index_seq;        /* state of the index that answered */
    bool degraded;             /* a part was away; words says which */
    const char *degraded_part; /* static, or NULL */
    bool is_behind;            /* vectors of what is found are still being written elsewhere */
    const char *unmet;         /* a phrase of the question that no passage holds, so that its words
                                  were looked for; or NULL (wording.h) */
    struct tars_retrieve_absence absence; /* set where count is 0 and explain was asked for */
    bool is_kept;                         /* all but the text was kept from an earlier question */
    bool embed_cached;                    /* the vector of the question was kept from earlier */
    bool embedded;                        /* the vector of the question was wanted: made, or kept */
    bool searched;          /* what was asked has words, and there is what may be found */
    bool by_vector;         /* the vectors were searched */
    bool reranked;          /* the reranker has put the first ones in order */
    bool rerank_is_partial; /* some of them it did not come to in its time */
    double embed_ms, search_ms, fetch_ms;
    double rerank_ms; /* 0: it was not asked */
    double vector_ms; /* of search_ms: the vectors alone */
};

/* Everything in *result lives in call->arena.
 *
 *   TARS_EINVAL    top_k or threshold out of range, filters that are not understood (err says
 * which) TARS_ECANCELED, TARS_ETIMEOUT   the call was over first
 */
TARS_MUST_USE tars_status tars_retrieve(struct tars_retriever *retriever,
                                        const struct tars_retrieve_request *request,
                                        struct tars_call *call, struct tars_retrieved *result,
                                        struct tars_err *err);

#endif
