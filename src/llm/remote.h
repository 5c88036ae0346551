/* remote - what the back ends that ask another server have in common: send, read lines, try again.
 *
 * A request is POSTed; the answer's lines go to the back end's parser, which pushes text into the
 * emitter. Trying again happens only before the first text, only for failures that may pass (no
 * connection, 429, 5xx), and only while the call has time.
 *
 * A server that fails three attempts in a row is left alone for a while (base/sys/breaker.h): then
 * a generation fails at once, and its reader gets quotations instead. Before the next attempt one
 * caller sees whether the server answers at all, for at most TARS_REMOTE_PROBE_MS.
 *
 * Threads   Each generation has its own stream; struct tars_remote is constant after opening, but
 *           for its breaker, which any thread may use.
 */
#ifndef TARS_LLM_REMOTE_H
#define TARS_LLM_REMOTE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/sys/breaker.h"
#include "llm/emit.h"
#include "llm/lines.h"
#include "llm/llm.h"
#include "net/client.h"

#define TARS_REMOTE_LINE_MAX    ((size_t)1 << 20U)  /* bytes of one line of an answer */
#define TARS_REMOTE_BODY_MAX    ((size_t)64 << 20U) /* bytes of an answer */
#define TARS_REMOTE_REQUEST_MAX ((size_t)16 << 20U)
#define TARS_REMOTE_HEALTH_MS   5000
#define TARS_REMOTE_PROBE_MS    3000

struct tars_remote {
    struct tars_client *client; /* borrowed */
    const char *who;            /* static, for messages: "Ollama" */
    char *generate_url;         /* owned */
    char *health_url;           /* owned */
    char *authorization;        /* owned header line, or NULL */
    int64_t timeout_ms;
    int64_t retry_wait_ms;
    int attempts;
    struct tars_breaker breaker;
};

/* One line of an answer, as its parser understood it. */
struct tars_remote_line {
    struct tars_span text;  /* to be given on; lends until the parser is called again */
    bool done;              /* the answer is complete */
    size_t tokens;          /* 0: not said */
    size_t prompt_tokens;   /* 0: not said */
    struct tars_span error; /* the server's words; empty: none */
};

/* Understand a line. arena-like lifetime: *hold is an object of the parser (a JSON value) that the
 * spans point into; the caller hands it to release_line. TARS_EFORMAT: not what the protocol has.
 */
typedef tars_status tars_remote_parse_fn(struct tars_span line, struct tars_remote_line *out,
                                         void **hold);

struct tars_remote_config {
    struct tars_client *client;
    const char *who;
    const char *base_url;
    const char *strip;         /* an ending of base_url that is left out ("/v1"), or NULL */
    const char *generate_path; /* "/api/generate" */
    const char *health_path;
    const char *api_key; /* or NULL */
    int64_t timeout_ms;
    int64_t retry_wait_ms;
    int attempts;
};

TARS_MUST_USE tars_status tars_remote_init(struct tars_remote *remote,
                                           const struct tars_remote_config *config,
                                           struct tars_err *err);
void tars_remote_release(struct tars_remote *remote);

TARS_MUST_USE tars_status tars_remote_generate(struct tars_remote *remote, struct tars_span body,
                                               tars_remote_parse_fn *parse, struct tars_call *call,
                                               const struct tars_llm_sink *sink,
                                               struct tars_llm_result *result,
                                               struct tars_err *err);
TARS_MUST_USE tars_status tars_remote_health(const struct tars_remote *remote,
                                             struct tars_call *call, struct tars_err *err);

/* Host and port of an address that _init() has taken; host is cut to size, with its NUL. */
void tars_remote_place(const char *base_url, char *host, size_t size, int *port);

/* For parsers. */
void tars_remote_drop(void *hold);

#endif
