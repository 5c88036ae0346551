/* traced - the trace that a request belongs to, and the span of the request itself.
 *
 * Every request has a trace's id: that of the caller's traceparent, else one of its own, which is
 * that of the request where nobody gave one either. Log lines carry it, and exemplars.
 *
 * Threads   As the exchange.
 */
#ifndef TARS_API_TRACED_H
#define TARS_API_TRACED_H

#include "api/exchange.h"

/* A trace of the call's own, from its request id as it was made here. */
void tars_traced_init(struct tars_call *call);

/* Go on with the caller's trace, if the request names a good one, and begin the request's span, if
 * it is recorded. request NULL: asked in this process, and never recorded. */
void tars_traced_begin(struct tars_exchange *ex, const struct tars_http_request *request);

/* The reply has this status; 0: the asker went away before there was one. Ends the span. */
void tars_traced_end(struct tars_exchange *ex, int status);

#endif
