/* record - what becomes of a question once it is answered: metrics, a row of analytics, a row of
 * errors. Every path that answers questions ends here: HTTP, streams, WebSocket, commands.
 *
 * Threads   Any. Costs a copy into a queue (analytics/analytics.h); never blocks and never fails.
 */
#ifndef TARS_API_RECORD_H
#define TARS_API_RECORD_H

#include "api/api.h"
#include "obs/metrics.h"
#include "rag/rag.h"

/* How a question ended. All is borrowed for the call. */
struct tars_answered {
    const struct tars_rag_request *request;
    const char *conversation_id; /* or NULL */
    const char *operation;       /* "rag_query", "rag_stream", "chat"; static */
    tars_status status;
    const struct tars_err *err;           /* words of a failure; may be NULL */
    const struct tars_rag_answer *answer; /* as far as things went */
};

/* Questions that were refused as wrong (TARS_EINVAL) leave no trace: they were never asked. */
void tars_record_answer(const struct tars_api *api, const struct tars_call *call,
                        const struct tars_answered *answered);

/* A failure that is no question's, for error_logs: operation is what was tried, "POST /rag/upload".
 * call may be NULL. */
void tars_record_error(const struct tars_api *api, const struct tars_call *call, const char *type,
                       const char *operation, const char *words);

/* A stage of a question took so long: "history", "search", those of rag/rag.h. */
void tars_record_stage(struct tars_metrics *metrics, const struct tars_call *call,
                       const char *stage, double ms);

/* A search or question got so many passages, all of them from the cache or not. One that got none
 * is not counted: that there is nothing is not kept for each way to ask. */
void tars_record_found(struct tars_metrics *metrics, size_t count, bool cached);

/* "TARS_EIO": for error_type. */
const char *tars_record_type(tars_status status);

#endif
