/* accept - which of what we have does a client want? Content negotiation (RFC 9110, 12.5.1).
 *
 * What is not well formed is passed over, item by item: a scrape must not fail for a header.
 *
 * Threads   Plain functions; nothing is allocated.
 */
#ifndef TARS_API_ACCEPT_H
#define TARS_API_ACCEPT_H

#include <stdbool.h>

#include "base/mem/span.h"

/* The quality, 0..1000, that an Accept header gives to type, "application/openmetrics-text": of the
 * item that names it most closely. version NULL: any; else an item with a parameter "version"
 * counts only if it is that one. explicitly: items with a * do not count. -1: nothing is said of
 * it. */
int tars_accept_quality(struct tars_span accept, const char *type, const char *version,
                        bool explicitly);

/* True for OpenMetrics 1.0.0: it is named, and liked no less than plain text. */
bool tars_accept_is_openmetrics(struct tars_span accept);

#endif
