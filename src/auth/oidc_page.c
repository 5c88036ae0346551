/* oidc_page - the part of oidc.h by which a person signs in with a browser: the authorisation-code
 * flow with PKCE (RFC 7636), state and nonce.
 *
 *     cookie   state . nonce . verifier . expires . MAC
 *
 * The browser may read its own cookie: what protects the code is that only we hold the client's
 * secret or, for a public client, that the verifier never leaves this browser.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/oidc_internal.h"
#include "auth/seal.h"
#include "base/codec/base64.h"
#include "base/codec/url.h"
#include "base/crypto/digest.h"

#define RANDOM_BYTES 32 /* of state, nonce and verifier */
#define RANDOM_CHARS 43
#define COOKIE_PARTS 4
#define TEXT_MAX     ((size_t)16 << 10)
#define ANSWER_MAX   ((size_t)64 << 10)
#define TIMEOUT_MS   10000
#define ERROR_MAX    64 /* characters of a provider's word that are told */

/* ---------------------------------------------------------------------- begin */

static tars_status random_text(char *out)
{
    unsigned char bytes[RANDOM_BYTES];
    tars_status status = tars_random_bytes(bytes, sizeof(bytes));

    return status ? status
                  : tars_base64_text(TARS_BASE64_URL, bytes, sizeof(bytes), out, RANDOM_CHARS + 1);
}

static void add_parameter(struct tars_buf *out, const char *name, const char *value)
{
    tars_buf_append_char(out, '&');
    tars_buf_append_text(out, name);
    tars_buf_append_char(out, '=');
    tars_url_encode(out, tars_span_of(value));
}

static void write_url(struct tars_buf *out, const struct tars_oidc *oidc, const char *endpoint,
                      const char *state, const char *nonce, const unsigned char *challenge)
{
    tars_buf_append_text(out, endpoint);
    tars_buf_append_char(out, strchr(endpoint, '?') ? '&' : '?');
    tars_buf_append_text(out, "response_type=code");
    add_parameter(out, "client_id", oidc->config.client_id);
    add_parameter(out, "redirect_uri", oidc->config.redirect_uri);
    add_parameter(out, "scope", oidc->config.scopes);
    add_parameter(out, "state", state);
    add_parameter(out, "nonce", nonce);
    tars_buf_append_text(out, "&code_challenge_method=S256&code_challenge=");
    tars_base64_encode(out, TARS_BASE64_URL, challenge, TARS_SHA256_BYTES);
}

static tars_status make_url(const struct tars_oidc *oidc, const char *endpoint, const char *state,
                            const char *nonce, const char *verifier, struct tars_arena *arena,
                            const char **url)
{
    unsigned char challenge[TARS_SHA256_BYTES];
    struct tars_buf text;
    tars_status status = tars_sha256(verifier, strlen(verifier), challenge);
    const char *copy;

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, TEXT_MAX);
    write_url(&text, oidc, endpoint, state, nonce, challenge);
    status = text.status;
    if (status == TARS_OK) {
        copy = tars_arena_strndup(arena, text.ptr, text.len);
        status = copy ? TARS_OK : TARS_ENOMEM;
        if (copy)
            *url = copy;
    }
    tars_buf_release(&text);
    return status;
}

static tars_status make_begun(const struct tars_oidc *oidc, const char *endpoint,
                              struct tars_arena *arena, struct tars_oidc_begun *out)
{
    char texts[3][RANDOM_CHARS + 1]; /* state, nonce, verifier */
    int64_t expires_s = tars_oidc_now_us(oidc) / TARS_OIDC_SECONDS + TARS_OIDC_COOKIE_SECONDS;
    struct tars_oidc_begun made = {0};
    const char *inner;
    tars_status status = TARS_OK;

    for (size_t i = 0; i < 3 && status == TARS_OK; i++)
        status = random_text(texts[i]);
    if (status == TARS_OK)
        status = make_url(oidc, endpoint, texts[0], texts[1], texts[2], arena, &made.url);
    if (status != TARS_OK)
        return status;
    inner = tars_arena_printf(arena, "%s.%s.%s.%lld", texts[0], texts[1], texts[2],
                              (long long)expires_s);
    status = inner ? tars_seal_close(&oidc->cookie_seal, inner, arena, &made.cookie) : TARS_ENOMEM;
    if (status == TARS_OK)
        *out = made;
    return status;
}

tars_status tars_oidc_begin(struct tars_oidc *oidc, struct tars_arena *arena,
                            struct tars_oidc_begun *out, struct tars_err *err)
{
    struct tars_oidc_provider *provider = NULL;
    tars_status status = tars_oidc_hold(oidc, true, false, &provider, err);

    if (status != TARS_OK)
        return status;
    if (!tars_oidc_page(oidc) || !provider->authorization_endpoint || !provider->token_endpoint) {
        status = tars_fail(TARS_EUNAVAILABLE, err, "no sign-in by web page with this provider");
    } else {
        status = make_begun(oidc, provider->authorization_endpoint, arena, out);
    }
    tars_oidc_drop(provider);
    return status;
}

/* --------------------------------------------------------------------- finish */

/* What the browser kept. */
struct kept {
    struct tars_span state, nonce, verifier;
    int64_t expires_s;
};

static tars_status read_cookie(const struct tars_oidc *oidc, struct tars_span cookie,
                               struct kept *kept, struct tars_err *err)
{
    struct tars_span parts[COOKIE_PARTS];
    struct tars_span rest;
    tars_status status = tars_seal_open(&oidc->cookie_seal, cookie, &rest);

    if (status == TARS_EDENIED)
        return tars_fail(status, err, "This browser has not begun to sign in here");
    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < COOKIE_PARTS; i++) {
        const char *dot = rest.len ? memchr(rest.ptr, '.', rest.len) : NULL;
        size_t len = dot ? (size_t)(dot - rest.ptr) : rest.len;

        parts[i] = tars_span(rest.ptr, len);
        rest = tars_span(rest.ptr + len + (dot ? 1 : 0), rest.len - len - (dot ? 1 : 0));
    }
    *kept = (struct kept){parts[0], parts[1], parts[2], 0};
    for (size_t i = 0; i < parts[3].len; i++)
        kept->expires_s = kept->expires_s * 10 + (parts[3].ptr[i] - '0');
    if (kept->expires_s <= tars_oidc_now_us(oidc) / TARS_OIDC_SECONDS)
        return tars_fail(TARS_EDENIED, err, "Signing in took too long; begin again");
    return TARS_OK;
}

/* The decoded value of a parameter; empty when there is none or it cannot be read. */
static struct tars_span parameter(struct tars_arena *arena, struct tars_span query,
                                  const char *name)
{
    struct tars_span value = {NULL, 0};

    if (tars_url_query_get(arena, query, name, &value) != TARS_OK)
        return tars_span("", 0);
    return value;
}

static bool same(struct tars_span a, struct tars_span b)
{
    return a.len == b.len && a.len && tars_equal_constant_time(a.ptr, b.ptr, a.len);
}

/* A word of the provider's, fit for people and logs. */
static void tell_error(struct tars_span word, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < word.len && n < ERROR_MAX; i++) {
        char c = word.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
            out[n++] = c;
    }
    out[n] = '\0';
}

static tars_status read_query(const struct tars_oidc *oidc, struct tars_span query,
                              const struct kept *kept, struct tars_arena *arena,
                              struct tars_span *code, struct tars_err *err)
{
    struct tars_span error = parameter(arena, query, "error");
    struct tars_span issuer = parameter(arena, query, "iss");
    char word[ERROR_MAX + 1];

    if (!same(parameter(arena, query, "state"), kept->state))
        return tars_fail(TARS_EDENIED, err, "This browser has not begun to sign in here");
    if (issuer.len && !tars_span_is(issuer, oidc->config.issuer))
        return tars_fail(TARS_EDENIED, err, "The answer is another provider's");
    if (error.len) {
        tell_error(error, word);
        return tars_fail(TARS_EDENIED, err, "The provider says no: %s", word);
    }
    *code = parameter(arena, query, "code");
    if (!code->len)
        return tars_fail(TARS_EDENIED, err, "The provider has sent no code");
    return TARS_OK;
}

static void write_form(struct tars_buf *out, const struct tars_oidc *oidc, struct tars_span code,
                       struct tars_span verifier)
{
    tars_buf_append_text(out, "grant_type=authorization_code&code=");
    tars_url_encode(out, code);
    tars_buf_append_text(out, "&code_verifier=");
    tars_url_encode(out, verifier);
    add_parameter(out, "redirect_uri", oidc->config.redirect_uri);
    add_parameter(out, "client_id", oidc->config.client_id);
}

/* "Authorization: Basic ...", both halves encoded as in a form (RFC 6749, 2.3.1). */
static void write_basic(struct tars_buf *out, const struct tars_oidc *oidc)
{
    struct tars_buf both;

    tars_buf_init(&both, TEXT_MAX);
    tars_url_encode(&both, tars_span_of(oidc->config.client_id));
    tars_buf_append_char(&both, ':');
    tars_url_encode(&both, tars_span_of(oidc->config.client_secret));
    tars_buf_append_text(out, "authorization: Basic ");
    if (both.status == TARS_OK) {
        tars_base64_encode(out, TARS_BASE64, both.ptr, both.len);
    } else {
        out->status = both.status;
    }
    tars_buf_release(&both);
}

static tars_status post(struct tars_oidc *oidc, const char *endpoint, const struct tars_buf *form,
                        const struct tars_buf *basic, struct tars_buf *answer, struct tars_err *err)
{
    const char *const headers[] = {"content-type: application/x-www-form-urlencoded",
                                   "accept: application/json", basic->ptr};
    const struct tars_client_request request = {.url = endpoint,
                                                .headers = headers,
                                                .header_count = basic->len ? 3 : 2,
                                                .body = tars_buf_span(form),
                                                .connect_timeout_ms = TIMEOUT_MS,
                                                .total_timeout_ms = TIMEOUT_MS,
                                                .max_body_bytes = ANSWER_MAX};
    struct tars_client_reply reply;
    tars_status status = tars_client_fetch_buf(oidc->client, &request, answer, &reply, err);

    if (status == TARS_OK && reply.status != 200) {
        tars_log_warning(oidc->config.log, "auth", "the provider gave no token for a code: %d",
                         reply.status);
        return tars_fail(TARS_EDENIED, err, "The provider gives no token for this code");
    }
    return status;
}

/* The ID token that code is good for, in the arena. */
static tars_status redeem(struct tars_oidc *oidc, struct tars_span code, struct tars_span verifier,
                          struct tars_arena *arena, const char **id_token, struct tars_err *err)
{
    struct tars_oidc_provider *provider = NULL;
    json_t *root = NULL;
    struct tars_buf form;
    struct tars_buf basic;
    struct tars_buf answer;
    const char *token;
    tars_status status = tars_oidc_hold(oidc, true, false, &provider, err);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&form, TEXT_MAX);
    tars_buf_init(&basic, TEXT_MAX);
    tars_buf_init(&answer, ANSWER_MAX);
    write_form(&form, oidc, code, verifier);
    if (oidc->config.client_secret[0])
        write_basic(&basic, oidc);
    status = form.status != TARS_OK ? form.status : basic.status;
    if (status == TARS_OK && !provider->token_endpoint)
        status = TARS_EUNAVAILABLE;
    if (status == TARS_OK)
        status = post(oidc, provider->token_endpoint, &form, &basic, &answer, err);
    if (status != TARS_OK)
        goto out;
    root = json_loadb(answer.len ? answer.ptr : "", answer.len, JSON_REJECT_DUPLICATES, NULL);
    token = json_string_value(json_object_get(root, "id_token"));
    *id_token = token ? tars_arena_strdup(arena, token) : NULL;
    if (!token) {
        status = tars_fail(TARS_EDENIED, err, "The provider has sent no ID token");
    } else if (!*id_token) {
        status = TARS_ENOMEM;
    }
out:
    json_decref(root);
    tars_buf_release(&form);
    tars_buf_release(&basic);
    tars_buf_release(&answer);
    tars_oidc_drop(provider);
    return status;
}

static tars_status read_id_token(struct tars_oidc *oidc, const char *id_token,
                                 struct tars_span nonce, struct tars_arena *arena,
                                 struct tars_oidc_identity *out, struct tars_err *err)
{
    json_t *claims = NULL;
    tars_status status =
        tars_oidc_claims(oidc, tars_span_of(id_token), oidc->config.client_id, true, &claims, err);

    if (status != TARS_OK)
        return status;
    if (same(tars_span_of(json_string_value(json_object_get(claims, "nonce"))), nonce)) {
        status = tars_oidc_identify(oidc, claims, arena, out, err);
    } else {
        status = tars_fail(TARS_EDENIED, err, "The ID token is not for this sign-in");
    }
    json_decref(claims);
    return status;
}

tars_status tars_oidc_finish(struct tars_oidc *oidc, struct tars_span query,
                             struct tars_span cookie, struct tars_arena *arena,
                             struct tars_oidc_identity *out, struct tars_err *err)
{
    const char *id_token = NULL;
    struct tars_span code = {NULL, 0};
    struct kept kept = {.expires_s = 0};
    tars_status status = read_cookie(oidc, cookie, &kept, err);

    if (status == TARS_OK)
        status = read_query(oidc, query, &kept, arena, &code, err);
    if (status == TARS_OK)
        status = redeem(oidc, code, kept.verifier, arena, &id_token, err);
    return status == TARS_OK ? read_id_token(oidc, id_token, kept.nonce, arena, out, err) : status;
}
