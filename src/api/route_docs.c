/* route_docs - the description of the interface, for programs and for people.
 *
 * The page is of web/ and asks /openapi.json itself: nothing comes from elsewhere.
 */
#include <string.h>

#include "api/api_internal.h"

void tars_route_openapi(struct tars_exchange *ex)
{
    tars_exchange_send_bytes(ex, 200, "application/json", ex->api->openapi, ex->api->openapi_len);
}

void tars_route_docs(struct tars_exchange *ex)
{
    tars_api_send_asset(ex, tars_span_of("docs.html"));
}

/* Sign-in with a provider happens at /auth/oidc/login, not through the page of the description. */
void tars_route_docs_redirect(struct tars_exchange *ex)
{
    ex->location = "../docs";
    tars_exchange_send_bytes(ex, 303, "text/plain; charset=utf-8", "", 0);
}
