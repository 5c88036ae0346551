/* routes - which function answers which path, from the list routes.def.
 *
 * Loop threads never block, so each route says where it runs:
 *
 *     INLINE    on the loop thread: answers from memory, in microseconds
 *     COMPUTE   on the compute pool: search and answers
 *     WAIT      on the blocking pool: uploads and whatever waits for ingestion or a disk
 */
#ifndef TARS_API_ROUTES_H
#define TARS_API_ROUTES_H

#include "api/exchange.h"

enum tars_route_place { TARS_ROUTE_INLINE, TARS_ROUTE_COMPUTE, TARS_ROUTE_WAIT };
enum tars_route_auth {
    TARS_ROUTE_OPEN,  /* anybody */
    TARS_ROUTE_BEARER /* a caller with a token, once there are tokens */
};

typedef void tars_route_fn(struct tars_exchange *ex);

struct tars_route {
    enum tars_http_method method;
    const char *path; /* template; a last segment of "{id}" takes one segment */
    enum tars_route_auth auth;
    enum tars_route_place place;
    tars_route_fn *run;
    const char *summary;
};

/* All routes; *count of them. */
const struct tars_route *tars_routes(size_t *count);

enum tars_route_match {
    TARS_ROUTE_FOUND,    /* ex->route, ex->parameter are set */
    TARS_ROUTE_NONE,     /* no such path */
    TARS_ROUTE_METHOD,   /* the path is there for other methods; ex->allow lists them */
    TARS_ROUTE_TRAILING, /* the path without its last slash is there; ex->location names it */
};

/* Find the route of ex->method and ex->path. HEAD finds what GET does. */
enum tars_route_match tars_routes_match(struct tars_exchange *ex);

/* Answer on the calling thread, whatever the route's place. The exchange is given back. */
void tars_routes_run(struct tars_exchange *ex);

#define TARS_ROUTE(method, path, auth, place, handler, summary) tars_route_fn handler;
#include "api/routes.def"
#undef TARS_ROUTE

#endif
