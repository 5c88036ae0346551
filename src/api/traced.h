/* traced - the trace that a request belongs to.
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

/* Go on with the caller's trace, if the request names a good one. */
void tars_traced_begin(struct tars_exchange *ex, const struct tars_http_request *request);

#endif
