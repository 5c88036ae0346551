/* origin - where a request comes from, as its head says: by which name it was sent to us, from
 * which page, over TLS or not. What must not get further is answered here.
 *
 * Names     A page of a strange site that has its own name resolve to this machine (DNS rebinding)
 *           is of the same site as this server in a browser's eyes, and may read what it answers.
 *           What it lacks is a token: browsers send none by themselves, and those of our page are
 *           kept under our page's own name. So names matter only where callers without a token, or
 *           with one that anybody is given, may do something: in mode open. There a request is
 *           refused with 421 unless its Host is an address, localhost, a name of TARS_HOSTS or one
 *           of an allowed origin. This is as true of a server on a network (where the attacker is
 *           outside and the victim's browser inside) as of one on loopback.
 * Pages     CORS as in the contract (section 8). A page of an origin that is not listed may not
 *           make this server change anything: its browser would send the bytes of a form unasked.
 * TLS       With ENABLE_HTTPS, GET and HEAD over plain HTTP are sent on to https (301), all else is
 *           refused (403); but for requests to localhost, whose names never leave the machine.
 */
#ifndef TARS_API_ORIGIN_H
#define TARS_API_ORIGIN_H

#include <stdbool.h>

#include "api/exchange.h"

/* ex has its request's spans, is_https. True when the request is answered already. */
bool tars_origin_answers(struct tars_exchange *ex, const struct tars_http_request *request,
                         struct tars_http_reply *reply);

/* The part of it that is about names alone: for a port that is asked by no page. */
bool tars_origin_is_strange(struct tars_exchange *ex);

#endif
