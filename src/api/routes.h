/* routes - which function answers which path, from the list routes.def.
 *
 * Loop threads never block, so each route says where it runs:
 *
 *     INLINE    on the loop thread: answers from memory, in microseconds
 *     COMPUTE   on the compute pool: search, short and busy
 *     ANSWER    on the answer pool: what may wait for a language model
 *     WAIT      on the blocking pool: uploads and whatever waits for ingestion or a disk
 *     HEALTH    on a pool of its own, which nothing else can fill: how the parts are, and the
 * scrape
 */
#ifndef TARS_API_ROUTES_H
#define TARS_API_ROUTES_H

#include "api/exchange.h"

enum tars_route_place {
    TARS_ROUTE_INLINE,
    TARS_ROUTE_COMPUTE,
    TARS_ROUTE_ANSWER,
    TARS_ROUTE_WAIT,
    TARS_ROUTE_INGEST, /* waits until files are taken in, which may be minutes */
    TARS_ROUTE_HEALTH, /* waits TARS_HEALTH_WAIT_MS at most */
};
/* Each includes those below it. Mode is TARS_AUTH. */
enum tars_route_need {
    TARS_ROUTE_PUBLIC, /* anybody */
    TARS_ROUTE_ASK,    /* anybody in mode open, else a reader */
    TARS_ROUTE_READER, /* a caller with a valid token or key */
    TARS_ROUTE_WRITER,
    TARS_ROUTE_ADMIN,  /* of the caller's tenant */
    TARS_ROUTE_SYSTEM, /* an admin of the default tenant, or the owner */
};

#define TARS_API_PREFIX "/api/v1" /* every route is there under this prefix, too */

#define TARS_ROUTE_PARAMETERS 2 /* segments of a path in braces, at most */

typedef void tars_route_fn(struct tars_exchange *ex);

struct tars_route {
    enum tars_http_method method;
    const char *path; /* template: "{name}" takes one segment */
    enum tars_route_need need;
    enum tars_route_place place;
    tars_route_fn *run;
    const char *tag; /* the rest is for /openapi.json; see routes.def */
    const char *parameters;
    const char *body;
    const char *reply;
    const char *summary;
};

/* All routes; *count of them. */
const struct tars_route *tars_routes(size_t *count);

/* Find the route of ex->method and ex->path, into ex->match. HEAD finds what GET does. */
void tars_routes_match(struct tars_exchange *ex);
/* The template that path fits, whatever the method and with a slash too many or not; NULL: none.
 */
const char *tars_routes_template(struct tars_span path);

/* Answer on the calling thread, whatever the place of the route that was matched: who asks has been
 * decided before (api/access.h). The exchange is given back. */
void tars_routes_run(struct tars_exchange *ex);

#define TARS_ROUTE(method, path, need, place, handler, tag, parameters, body, reply, summary) \
    tars_route_fn handler;
#include "api/routes.def"
#undef TARS_ROUTE

#endif
