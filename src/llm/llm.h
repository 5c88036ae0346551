/* llm - one interface, many writers of text.
 *
 * A back end is one const struct of functions (struct tars_llm_ops) and an object that begins with
 * struct tars_llm. Only app/wiring names back ends; everyone else holds a struct tars_llm *.
 *
 *     llm_llama    a GGUF file, in this process (built only where llama.cpp is given)
 *     llm_ollama   an Ollama server, POST /api/generate
 *     llm_openai   any server with POST /v1/chat/completions
 *     llm_extract  no model at all: writes out the quotations that the request carries
 *
 * Contract of generate(), the same for all:
 *   1. Text comes through sink->token in whole UTF-8 characters, in order, never empty.
 *   2. result->started says whether any text was given. A failure before that is free to be
 *      answered by another back end; after it, the reader has seen text and must be told.
 *   3. It stops within a second of the call's end (cancelled, deadline) or of token() saying false.
 *      The first two give TARS_ECANCELED and TARS_ETIMEOUT, the last one TARS_ECANCELED.
 *   4. It may be called from several threads at once; it queues where it must, no longer than the
 *      call's deadline.
 */
#ifndef TARS_LLM_LLM_H
#define TARS_LLM_LLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "base/sys/breaker.h"
#include "obs/call.h"

#define TARS_LLM_MAX_TOKENS_DEFAULT  512  /* when max_tokens is 0 */
#define TARS_LLM_TEMPERATURE_DEFAULT 0.7F /* contract 6: MODEL_TEMPERATURE */
#define TARS_LLM_TOP_P_DEFAULT       0.9F /* MODEL_TOP_P */
#define TARS_LLM_TOP_K_DEFAULT       40   /* MODEL_TOP_K */
#define TARS_LLM_SMALL_PARAMETERS    UINT64_C(1000000000)
#define TARS_LLM_NAME_BYTES          128 /* a model's name and its NUL; cut if longer */
#define TARS_LLM_ADDRESS_BYTES       256
#define TARS_LLM_OUTPUT_MAX          ((size_t)1 << 20U) /* bytes of text of one generation */

/* A sentence quoted from a source, for back ends that only quote. */
struct tars_llm_quote {
    struct tars_span text; /* literal, not terminated */
    int source;            /* the source's number, from 1 */
};

/* One earlier turn of the conversation, oldest first. */
struct tars_llm_turn {
    const char *user;      /* terminated; what was asked */
    const char *assistant; /* terminated; what was answered */
};

/* What to write. All pointers are borrowed for the call. */
struct tars_llm_request {
    const char *system; /* terminated, or NULL: none */
    const char *prompt; /* terminated; the user's message, context included; required */
    const struct tars_llm_turn *history; /* (history_count,), or NULL */
    size_t history_count;
    int max_tokens;    /* of the answer; 0: TARS_LLM_MAX_TOKENS_DEFAULT */
    float temperature; /* 0: greedy; below 0: TARS_LLM_TEMPERATURE_DEFAULT, but greedy where
                          tars_llm_is_small: what a small model draws at random is nonsense */
    float top_p;       /* 0: TARS_LLM_TOP_P_DEFAULT */
    int top_k;         /* 0: TARS_LLM_TOP_K_DEFAULT */
    bool free_text;    /* no answer from documents: back ends that only quote refuse it */
    bool brief;        /* a paragraph is wanted: llm_llama ends before an empty line */
    uint32_t seed;     /* the same seed, request and model give the same text in llm_llama */
    const char *model; /* another model's name where the server has several; NULL: the set one */
    const struct tars_llm_quote *quotes; /* (quote_count,), best first; only llm_extract reads it */
    size_t quote_count;
};

/* Takes the next text, valid UTF-8, not terminated. False: stop writing. */
typedef bool tars_llm_token_fn(void *ctx, const char *ptr, size_t len);

struct tars_llm_sink {
    tars_llm_token_fn *token; /* required */
    void *ctx;
};

/* Filled also on failure. */
struct tars_llm_result {
    bool started;                    /* some text was given to the sink */
    size_t tokens;                   /* the generator's own pieces; where a server does not count,
                                        the pieces that arrived */
    size_t prompt_tokens;            /* 0 where unknown */
    char model[TARS_LLM_NAME_BYTES]; /* what wrote it */
};

struct tars_llm;

/* A generation that has ended. */
struct tars_llm_ended {
    const struct tars_llm *llm;
    const struct tars_llm_result *result;
    tars_status status;
    double ms;
};
typedef void tars_llm_observe_fn(void *ctx, const struct tars_llm_ended *ended);

struct tars_llm_ops {
    const char *name;     /* "llama", "ollama", "openai", "extract"; static */
    const char *provider; /* gen_ai.provider.name in traces; NULL: not a model itself */
    bool needs_quotes;    /* reads request->quotes */
    /* EUNAVAILABLE: away or refused; EUNSUPPORTED: free text from one that only quotes; ETIMEOUT,
     * ECANCELED: see above; EFORMAT: it talks nonsense; ETOOBIG: the prompt does not fit the
     * model's context. */
    tars_status (*generate)(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err);
    /* TARS_OK when a generation could start now; 5 seconds at most. */
    tars_status (*health)(struct tars_llm *llm, struct tars_call *call, struct tars_err *err);
    /* The breaker before a server; NULL: there is none. */
    enum tars_breaker_state (*breaker)(const struct tars_llm *llm);
    /* Pieces of text as this back end counts them; 0 where it cannot tell. */
    size_t (*count_tokens)(struct tars_llm *llm, const char *text, size_t len);
    void (*free)(struct tars_llm *llm);
};

/* First member of every back end's object. */
struct tars_llm {
    const struct tars_llm_ops *ops;
    char model[TARS_LLM_NAME_BYTES];      /* shown as the answer's model; constant after opening */
    size_t context_tokens;                /* prompt and answer together; 0: unknown. Constant too */
    uint64_t parameters;                  /* weights of the model; 0: unknown. Constant too */
    char address[TARS_LLM_ADDRESS_BYTES]; /* host of the server; "": this process. Constant too */
    int port;                             /* of it; 0: this process. Constant too */
    tars_llm_observe_fn *observe; /* hears of each end, on the caller's thread; NULL: nobody.
                                     Set before the object is shared */
    void *observe_ctx;
};

TARS_MUST_USE tars_status tars_llm_generate(struct tars_llm *llm,
                                            const struct tars_llm_request *request,
                                            struct tars_call *call,
                                            const struct tars_llm_sink *sink,
                                            struct tars_llm_result *result, struct tars_err *err);
TARS_MUST_USE tars_status tars_llm_health(struct tars_llm *llm, struct tars_call *call,
                                          struct tars_err *err);
/* Closed where there is no server. */
enum tars_breaker_state tars_llm_breaker(const struct tars_llm *llm);
/* As the op; about a token per four bytes where the back end cannot tell. */
size_t tars_llm_count_tokens(struct tars_llm *llm, const char *text, size_t len);
/* Known to have fewer parameters than TARS_LLM_SMALL_PARAMETERS: wants short prompts. */
bool tars_llm_is_small(const struct tars_llm *llm);
/* NULL is allowed. */
void tars_llm_free(struct tars_llm *llm);

/* For back ends: copy a model's name into TARS_LLM_NAME_BYTES, cut at a character. */
void tars_llm_set_model(char *to, const char *name);

#endif
