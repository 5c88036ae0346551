/* rag - answers a question from the documents: retrieve, prompt, generate, check the citations.
 *
 * The answer's parts are those of the wire contract (section 1.3), as plain values; api and app
 * write them as JSON. Everything in an answer lives in the call's arena.
 *
 * What happens when a part is away:
 *   no passage passes the threshold   the answer says that the documents do not answer, and why
 *                                     (absence.h); nothing is generated, model is that of the back
 *                                     end
 *   the writer fails before a token   the best passages are quoted, model is "extract", degraded
 *                                     says why
 *   the writer is small               it gets the sentences around the best one of each passage,
 * and writes one paragraph: long prompts confuse it the writer fails after a token    the status of
 * the failure; answer holds what was written
 *
 * Threads   Safe to share; each call has its own struct tars_call and arena.
 */
#ifndef TARS_RAG_RAG_H
#define TARS_RAG_RAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "llm/llm.h"
#include "obs/call.h"
#include "rag/cite.h"

#define TARS_RAG_EXCERPT_CHARS          200  /* code points of an excerpt, before "..." */
#define TARS_RAG_CONTEXT_TOKENS_DEFAULT 2048 /* RAG_MAX_CONTEXT_TOKENS */
#define TARS_RAG_SMALL_CONTEXT_TOKENS   512  /* at most, for a small writer (tars_llm_is_small) */
#define TARS_RAG_SMALL_ANSWER_TOKENS    160  /* likewise */
#define TARS_RAG_TOP_K_DEFAULT          5    /* RAG_TOP_K */
#define TARS_RAG_TOP_K_MAX              20
#define TARS_RAG_QUERY_CHARS_MAX        10000

struct tars_reading; /* rag/reading.h */

/* A passage that the retriever found; the contract's Source and more. Strings are terminated. */
struct tars_rag_source {
    const char *document_id;
    const char *chunk_id;
    const char *collection; /* its key in the store, or NULL */
    const char *file_name;
    const char *file_path;
    int64_t chunk_index;     /* from 0 */
    double similarity_score; /* calibrated relevance, 0..1 */
    const char *excerpt;     /* set by tars_rag_answer */
    int page_number;         /* first page of the passage, from 1; 0: no pages (null) */
    int page_last;           /* last page; 0: no pages */
    struct tars_span text;   /* the whole passage */
    struct tars_span focus;  /* what of text a small writer is given; empty: all */
    const char *title;       /* of the document, or "" */
    const char *section;     /* headings above it, outermost first, " > " between, or "" */
    size_t char_start;       /* characters in the document's text */
    size_t char_end;
    int token_count;     /* of text, word pieces; 0: unknown */
    bool in_context;     /* given to the writer; false: left out by the budget */
    bool hybrid;         /* both searches took part */
    bool has_vector;     /* vector_score is known */
    bool has_bm25;       /* bm25_score is known */
    bool reranked;       /* a cross-encoder took part */
    double vector_score; /* cosine */
    double bm25_score;
    double original_score;              /* after fusion, before calibration */
    double cross_encoder_score;         /* when reranked */
    const char *fusion_method;          /* "weighted", "rrf", "vector", "bm25" or "" */
    const struct tars_reading *reading; /* of text, once it was needed; in the call's arena */
};

struct tars_rag_request {
    const char *query;                   /* terminated, not blank; required */
    double relevance_threshold;          /* below 0: none */
    const char *filters_json;            /* terminated JSON object, or NULL */
    const char *collection;              /* key: only this one; NULL: all that the call may read */
    const struct tars_llm_turn *history; /* (history_count,) oldest first, or NULL */
    size_t history_count;
    const char *search; /* to be looked for besides query: it made whole (history.h); or NULL */
    const char *model;  /* asks for another model of the back end; NULL: the set one */
    int top_k;          /* 0: TARS_RAG_TOP_K_DEFAULT */
    bool rerank;        /* the asker allows reranking */
    bool quotes_only;   /* answer by quotation even where a model is there */
};

/* Why there is no source; strings are terminated. */
struct tars_rag_absence {
    const char *const *missing; /* (missing_count,) words of the question that no passage holds */
    size_t missing_count;
    const char *nearest_file; /* of the best passage below the threshold; NULL: there is none */
    const char *nearest_document;
    double relevance; /* of it */
    double threshold; /* what was asked for */
    bool searched;    /* there are passages that may be found */
    bool narrowed;    /* of these not all, as was asked: filters, one collection */
};

/* What was found, in the call's arena. */
struct tars_rag_fetched {
    struct tars_rag_source *sources; /* (count,) best first */
    size_t count;
    const char *degraded;            /* which part of the search was away, static; or NULL */
    bool cached;                     /* what was found was kept from an earlier question */
    const char *unmet;               /* what the question demands and no passage has, or NULL */
    struct tars_rag_absence absence; /* where count is 0 */
};

/* Finds passages, best first: the real one is rag/fetch over retrieve. */
typedef tars_status tars_rag_fetch_fn(void *ctx, const struct tars_rag_request *request,
                                      struct tars_call *call, struct tars_rag_fetched *found,
                                      struct tars_err *err);

/* A sentence of the answer with what supports it. */
struct tars_rag_citation {
    size_t start; /* bytes in answer */
    size_t end;
    size_t char_start; /* the same place in characters, for clients */
    size_t char_end;
    bool supported;
    enum tars_cite_verdict verdict;
    const int *sources; /* (source_count,) numbers from 1, best first */
    size_t source_count;
    const struct tars_cite_support *support; /* (source_count,) where in each source, bytes */
};

/* Stages of an answer, in their order; what is between the first two, retrieve tells of. */
#define TARS_RAG_STAGE_LIST(X)                \
    X(TARS_RAG_STAGE_EXPAND, 0, "expand")     \
    X(TARS_RAG_STAGE_PROMPT, 1, "prompt")     \
    X(TARS_RAG_STAGE_GENERATE, 2, "generate") \
    X(TARS_RAG_STAGE_CITE, 3, "cite")

enum tars_rag_stage {
#define X(name, value, text) name = (value),
    TARS_RAG_STAGE_LIST(X)
#undef X
        TARS_RAG_STAGES
};
const char *tars_rag_stage_text(enum tars_rag_stage stage);

struct tars_rag_answer {
    const char *query;
    const char *answer; /* terminated */
    size_t answer_len;
    struct tars_rag_source *sources; /* (source_count,); source number i + 1 */
    size_t source_count;
    const char *context_used; /* terminated; "" without passages */
    size_t total_tokens;      /* generator pieces */
    double retrieval_time_ms;
    double generation_time_ms;
    double total_time_ms;
    const char *model;
    bool cached;          /* all that was found was kept from earlier; the answer never is */
    bool used_history;    /* earlier turns were in the prompt, or in the search */
    size_t expansions;    /* variants of the question that were searched for; 0: not expanded */
    const char *degraded; /* why the answer is less than asked for, or NULL */
    const char *unmet;    /* a phrase or field of the question that no passage has; its words were
                             looked for instead; or NULL */
    struct tars_rag_absence absence;     /* where source_count is 0 */
    struct tars_rag_citation *citations; /* (citation_count,), in the order of the answer */
    size_t citation_count;
    size_t unsupported_count;         /* citations that are not supported */
    bool refused;                     /* it says no more than that the documents do not answer */
    double first_token_ms;            /* from the question to its first piece; 0: none came */
    double stage_ms[TARS_RAG_STAGES]; /* 0: it did not run */
};

/* What the asker hears while the answer is made; each may be NULL. False: stop. */
struct tars_rag_events {
    /* Once, after retrieval, also with no source; answer has query, sources and retrieval time. */
    bool (*on_sources)(void *ctx, const struct tars_rag_answer *answer);
    /* The next text of the answer, whole UTF-8 characters. */
    bool (*on_token)(void *ctx, const char *ptr, size_t len);
    void *ctx;
};

struct tars_rag;
struct tars_expander; /* rag/expand.h */

struct tars_rag_config {
    tars_rag_fetch_fn *fetch; /* required */
    void *fetch_ctx;
    struct tars_llm *llm;           /* borrowed; NULL: quotations only */
    struct tars_expander *expander; /* borrowed; NULL: questions are not expanded */
    struct tars_llm *quoter;        /* borrowed; answers where llm cannot: llm_extract; required */
    size_t max_context_tokens;      /* 0: TARS_RAG_CONTEXT_TOKENS_DEFAULT */
    int max_tokens;                 /* of an answer; 0: the writer's default */
    float temperature;              /* as in struct tars_llm_request */
    float top_p;
    int top_k;
};

TARS_MUST_USE tars_status tars_rag_new(const struct tars_rag_config *config, struct tars_rag **rag,
                                       struct tars_err *err);
/* NULL is allowed. */
void tars_rag_free(struct tars_rag *rag);

/* Answer request. events may be NULL. *out is filled as far as things went, also on failure:
 *
 *   TARS_EINVAL       blank or overlong query, top_k out of range
 *   TARS_ECANCELED    the call was cancelled or an event said stop
 *   TARS_ETIMEOUT     the call's deadline
 *   others            what retrieval, or the writer after its first token, failed with
 */
TARS_MUST_USE tars_status tars_rag_answer(struct tars_rag *rag,
                                          const struct tars_rag_request *request,
                                          struct tars_call *call,
                                          const struct tars_rag_events *events,
                                          struct tars_rag_answer *out, struct tars_err *err);

#endif
