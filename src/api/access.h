/* access - who asks, and whether they may: decided in this one place, before any route runs.
 *
 * Credentials   Authorization: Bearer first, ?token= second, Sec-WebSocket-Protocol: bearer third;
 * an access token, an API key, a provider's token. The owner of the data folder shows X-Tars-Owner
 * instead. Answers       by what the route needs (routes.def):
 *
 *                            PUBLIC   ASK                  READER, WRITER   ADMIN, SYSTEM
 *               none         goes     open: goes           403 Not authenticated
 *                                     else: 403
 *               not valid    goes     401                  401              401
 *               too little   goes     403 (no role)        403 names both   403 Admin ...
 *               enough       goes     goes                 goes             goes
 *
 *               A credential that is not valid is as good as none at a PUBLIC route, so that a
 *               client with an expired token can still ask for a new one.
 * Rate          Each caller with a valid credential has a limit of its own; all without one share
 *               that of their address, those with a bad one too. Liveness, readiness, the pages of
 *               documentation and the scrape are not counted, nor is the owner.
 * Rights        What a caller may read goes into the call, and every room below asks it there.
 * Threads       Memory alone, but for a provider's keys that are not there yet: then
 * TARS_ACCESS_WAIT says so, and the question is to be put again where it may block.
 */
#ifndef TARS_API_ACCESS_H
#define TARS_API_ACCESS_H

#include <stdbool.h>

#include "api/exchange.h"
#include "auth/directory.h"

enum tars_access_state {
    TARS_ACCESS_GO,       /* ex->caller and ex->call are set: the route may run */
    TARS_ACCESS_ANSWERED, /* refused; the exchange is given back */
    TARS_ACCESS_WAIT,     /* only when may_block is false */
};

/* Find the credential in the head and in the query. */
void tars_access_read(struct tars_exchange *ex, const struct tars_http_request *request);

/* ex->route is the one that was found, or NULL. */
enum tars_access_state tars_access_decide(struct tars_exchange *ex, bool may_block);

enum tars_access_outlook {
    TARS_ACCESS_STRANGER, /* no credential, or a bad one */
    TARS_ACCESS_KNOWN,    /* a good one, or one that only waiting can tell about */
    TARS_ACCESS_ABLE,     /* and it may do what the route needs, as far as memory tells */
};

/* Without counting or answering: who asks, and may they do what ex->route needs? */
enum tars_access_outlook tars_access_foresee(struct tars_exchange *ex);

/* For what is asked in this process: by the owner. */
TARS_MUST_USE tars_status tars_access_own(struct tars_exchange *ex);

/* For the functions of auth/directory.h; borrows ex. */
struct tars_actor tars_access_actor(const struct tars_exchange *ex);
/* Into the audit log: what was done, to what; detail is a JSON object or NULL. */
void tars_access_note(const struct tars_exchange *ex, const char *action, const char *object,
                      const char *detail, bool success);

/* 403 for who came without a credential. */
void tars_access_refuse_nobody(struct tars_exchange *ex);
/* 429 with the contract's body. */
void tars_access_refuse_often(struct tars_exchange *ex, int64_t retry_after_s, const char *message);

#endif
