/* answer - a question asked within its conversation, and the parts of its answer as JSON. Every
 * path that answers questions goes through here: HTTP, streams, WebSocket, commands.
 *
 *     recall what was said before -> rag -> record (metrics, analytics) -> keep the turn
 *
 * The turn is kept before the caller writes its last words, so that who has read them finds the
 * answer in the conversation. A turn that failed or was cancelled is not kept.
 *
 * Failure   A conversation that cannot be read or written costs the memory, never the answer; one
 *           that is another client's is TARS_EDENIED, "Access denied".
 * Threads   Any; blocks.
 */
#ifndef TARS_API_ANSWER_H
#define TARS_API_ANSWER_H

#include "api/api.h"
#include "rag/rag.h"

#define TARS_UUID_BYTES 37 /* with its NUL */

struct tars_asking {
    struct tars_rag_request request; /* history and search are filled in */
    const char *conversation_id;     /* NULL: it belongs to none */
    const char *operation;           /* for the records: "rag_query"; static */
    const char *address;             /* of who has shown no credential; else NULL */
    int64_t retry_after_s;           /* set with TARS_EQUOTA */
    uint64_t place;                  /* among the questions at once (at_once.h); 0: none */
    bool remembers; /* the caller has shown who it is: the conversation is read and kept */
};

/* First: count the question, and fill in what was said before. TARS_EQUOTA: today's questions, or
 * those at once; TARS_EDENIED, TARS_ENOMEM. After TARS_OK come tars_answer_ask() or
 * tars_answer_leave(). */
TARS_MUST_USE tars_status tars_answer_recall(const struct tars_api *api, struct tars_call *call,
                                             struct tars_asking *asking, struct tars_err *err);
/* Then, as tars_rag_answer(). */
TARS_MUST_USE tars_status tars_answer_ask(const struct tars_api *api, struct tars_call *call,
                                          struct tars_asking *asking,
                                          const struct tars_rag_events *events,
                                          struct tars_rag_answer *answer, struct tars_err *err);

/* What was recalled is not asked, or has been: its place is free. Again is fine. */
void tars_answer_leave(const struct tars_api *api, struct tars_asking *asking);

/* Keep a turn. One that cannot be kept was answered all the same; answer->degraded then says so. */
void tars_answer_keep(const struct tars_api *api, const struct tars_call *call,
                      const char *conversation_id, const char *question, int64_t asked_us,
                      struct tars_rag_answer *answer);

/* "sources": the contract's Source[]; with passages also the whole text of each. */
void tars_answer_write_sources(struct tars_json *json, const struct tars_rag_answer *answer,
                               bool passages);
/* "citations", "unsupported_count", "degraded". */
void tars_answer_write_citations(struct tars_json *json, const struct tars_rag_answer *answer);
/* "unmet", where a demand was not met, and "absence", where there is no source. */
void tars_answer_write_absence(struct tars_json *json, const struct tars_rag_answer *answer);
/* NaN, or not known: null. */
void tars_answer_write_score(struct tars_json *json, const char *key, bool known, double score);
/* From 1; 0: null. */
void tars_answer_write_page(struct tars_json *json, const char *key, int page);

/* A random UUID, version 4; out has TARS_UUID_BYTES. */
void tars_answer_uuid(char *out);

#endif
