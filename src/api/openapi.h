/* openapi - the description of this interface (OpenAPI 3.1), made from the list of routes.
 *
 *     routes.def      methods, paths, tags, summaries, rights, names of parameters and schemas
 *     openapi.json    what those names mean; embedded by the build
 *
 * Paths, operation ids, security and error replies follow from a route's line: what needs a token
 * can answer 401 and 403, what has a body 413 and 422, what runs on a pool 503, and so on. So a
 * route is described as soon as it is there, and a unit test fails on a name that says nothing.
 *
 * What openapi.json holds beside "components", which goes into the document as it is:
 *
 *     "parameters"  by "METHOD /path name", or by name for all routes: description, schema
 *     "replies"     by "METHOD /path": more replies than the route's line and its rights tell, by
 *                   status; an empty object stands for the error reply of that status
 *     "lines"       by "METHOD /path": schema of a line, where the reply is a stream of them
 *
 * Threads   Building touches nothing shared.
 */
#ifndef TARS_API_OPENAPI_H
#define TARS_API_OPENAPI_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* What the build has embedded: src/api/openapi.json. */
extern const unsigned char tars_openapi_source[];
extern const size_t tars_openapi_source_len;

/* The document as compact JSON, terminated; the caller frees it with free(). is_open: routes with
 * need ASK can be called without credentials. What openapi.json lacks is left blank, or named all
 * the same: a test finds it, and no server stays away for it. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_openapi_build(bool is_open, char **text, size_t *len,
                                             struct tars_err *err);

#endif
