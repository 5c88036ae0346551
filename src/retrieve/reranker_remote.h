/* reranker_remote - a server as a reranker.
 *
 * Model     One request a question, with all passages in it (rerank_wire.h), over the shared HTTP
 *           client; the whole has what time the question has left, connecting included. With
 *           TARS_REMOTE_RERANK_AUTO the server is asked as Cohere's are, and where it refuses that
 *           (400, 404, 405, 415, 422) as text-embeddings-inference is; what it took is remembered.
 *           Nothing else is tried twice.
 * Address   url with "/rerank" behind it, unless it ends so already.
 * Failure   Three in a row, and the server is left alone for a moment (base/sys/breaker.h): then a
 *           call fails at once. A call that was cancelled says nothing about the server.
 * Bounds    16 MiB of request, 1 MiB of reply.
 */
#ifndef TARS_RETRIEVE_RERANKER_REMOTE_H
#define TARS_RETRIEVE_RERANKER_REMOTE_H

#include "retrieve/reranker.h"

struct tars_client;

enum tars_remote_rerank_api {
    TARS_REMOTE_RERANK_AUTO,
    TARS_REMOTE_RERANK_COHERE,
    TARS_REMOTE_RERANK_TEI,
};

/* Copied; client is borrowed for the reranker's life. */
struct tars_reranker_remote_config {
    struct tars_client *client;      /* required */
    const char *url;                 /* http:// or https://; required */
    const char *api_key;             /* NULL or empty: none */
    const char *model;               /* named in the request; NULL or empty: the server's own */
    enum tars_remote_rerank_api api; /* zero: find out */
};

/* TARS_EINVAL: no http(s) address, or a key with a line break. TARS_ENOMEM. */
TARS_MUST_USE tars_status
tars_reranker_remote_open(const struct tars_reranker_remote_config *config,
                          struct tars_reranker **reranker, struct tars_err *err);

#endif
