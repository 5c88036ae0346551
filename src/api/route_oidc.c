/* route_oidc - signing in with a provider by web page.
 *
 *     GET  /auth/oidc/login     302 to the provider; cookie tars_oidc binds the browser
 *     GET  /auth/oidc/callback  302 to the page; cookie tars_ticket, for a minute
 *     POST /auth/oidc/token     the page asks: tokens in the body, the ticket is used up
 *
 * Tokens behind the '#' of an address would be simpler, but addresses are kept: in the history, by
 * extensions, in what a person copies. A cookie that no script can read (HttpOnly), that no other
 * site can send (SameSite=Strict) and that is good once gives nothing to keep. The first cookie
 * must come along when the provider sends the browser back, so it is SameSite=Lax.
 */
#include <string.h>

#include "api/api_internal.h"
#include "auth/oidc.h"

#define STATE_COOKIE  "tars_oidc"
#define TICKET_COOKIE "tars_ticket"

/* The value of a cookie; empty when there is none. */
static struct tars_span cookie(const struct tars_exchange *ex, const char *name)
{
    struct tars_span rest = ex->cookie;
    size_t name_len = strlen(name);

    while (rest.len) {
        const char *end = memchr(rest.ptr, ';', rest.len);
        size_t len = end ? (size_t)(end - rest.ptr) : rest.len;
        struct tars_span pair = tars_span(rest.ptr, len);

        rest = end ? tars_span(end + 1, rest.len - len - 1) : tars_span(NULL, 0);
        while (pair.len && pair.ptr[0] == ' ')
            pair = tars_span(pair.ptr + 1, pair.len - 1);
        if (pair.len > name_len && memcmp(pair.ptr, name, name_len) == 0 &&
            pair.ptr[name_len] == '=')
            return tars_span(pair.ptr + name_len + 1, pair.len - name_len - 1);
    }
    return tars_span(NULL, 0);
}

/* value "" takes the cookie away. False without memory. */
static bool set_cookie(struct tars_exchange *ex, size_t slot, const char *name, const char *value,
                       int seconds, const char *same_site)
{
    const struct tars_oidc_page *page = tars_auth_page(ex->api->config.auth);

    ex->set_cookies[slot] =
        tars_arena_printf(ex->call.arena, "%s=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=%s%s",
                          name, value, page ? page->cookie_path : "/", seconds, same_site,
                          page && page->is_https ? "; Secure" : "");
    return ex->set_cookies[slot] != NULL;
}

static void redirect(struct tars_exchange *ex, const char *location)
{
    ex->location = location;
    ex->is_secret = true;
    tars_exchange_send_bytes(ex, 302, "text/plain; charset=utf-8", "", 0);
}

static void refuse(struct tars_exchange *ex, tars_status status, const struct tars_err *err)
{
    const char *words = err->text[0] ? err->text : tars_status_text(status);

    switch (status) {
    case TARS_EDENIED:
        tars_exchange_fail(ex, 401, words);
        break;
    case TARS_EUNAVAILABLE:
        if (!tars_auth_page(ex->api->config.auth)) {
            tars_exchange_not_found(ex, words);
            break;
        }
        tars_exchange_fail(ex, 502, "The provider cannot be reached");
        break;
    case TARS_ETIMEOUT:
    case TARS_EFORMAT:
    case TARS_ETOOBIG:
        tars_exchange_fail(ex, 502, "The provider cannot be reached");
        break;
    default:
        tars_exchange_broken(ex, words);
        break;
    }
}

void tars_route_oidc_login(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};
    const char *url = NULL;
    const char *kept = NULL;
    tars_status status =
        tars_auth_page_begin(ex->api->config.auth, ex->call.arena, &url, &kept, &err);

    if (status == TARS_OK &&
        !set_cookie(ex, 0, STATE_COOKIE, kept, TARS_OIDC_COOKIE_SECONDS, "Lax"))
        status = TARS_ENOMEM;
    if (status == TARS_OK) {
        redirect(ex, url);
    } else {
        refuse(ex, status, &err);
    }
}

void tars_route_oidc_callback(struct tars_exchange *ex)
{
    const struct tars_oidc_page *page = tars_auth_page(ex->api->config.auth);
    struct tars_err err = {{0}};
    const char *ticket = NULL;
    const char *location = NULL;
    tars_status status =
        tars_auth_page_finish(ex->api->config.auth, ex->query, cookie(ex, STATE_COOKIE),
                              ex->address, ex->call.request_id, ex->call.arena, &ticket, &err);

    if (status == TARS_OK) {
        location = tars_arena_printf(ex->call.arena, "%s#signed-in", page->page);
        if (!location || !set_cookie(ex, 0, STATE_COOKIE, "", 0, "Lax") ||
            !set_cookie(ex, 1, TICKET_COOKIE, ticket, TARS_TICKET_SECONDS, "Strict"))
            status = TARS_ENOMEM;
    }
    if (status == TARS_OK) {
        redirect(ex, location);
    } else {
        refuse(ex, status, &err);
    }
}

void tars_route_oidc_token(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};
    struct tars_token_pair pair;
    tars_status status = tars_auth_page_redeem(ex->api->config.auth, cookie(ex, TICKET_COOKIE),
                                               ex->call.arena, &pair, &err);

    if (status == TARS_OK && !set_cookie(ex, 0, TICKET_COOKIE, "", 0, "Strict"))
        status = TARS_ENOMEM;
    if (status != TARS_OK) {
        refuse(ex, status, &err);
        return;
    }
    ex->is_secret = true;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "access_token", pair.access);
    tars_json_text(&ex->json, "refresh_token", pair.refresh);
    tars_json_text(&ex->json, "token_type", "bearer");
    tars_json_int(&ex->json, "expires_in", pair.expires_in);
    tars_exchange_send(ex, 200);
}
