/* oidc - see oidc.h. This file: the object, the provider's endpoints and keys, tokens and claims;
 * oidc_page.c has the way by web page. */
#include "auth/oidc.h"

#include <stdlib.h>
#include <string.h>

#include "auth/jwt.h"
#include "auth/oidc_internal.h"
#include "base/sys/clock.h"

#define ARENA_MAX      ((size_t)256 << 10)
#define PROVIDER_MAX   ((size_t)64 << 10)
#define DISCOVERY_MAX  ((size_t)64 << 10)
#define SUBJECT_MAX    255 /* bytes (Core 1.0, section 2) */
#define TIMEOUT_MS     5000
#define NOT_BEFORE_S   60
#define EXPIRES_MAX    ((json_int_t)1 << 40)
#define FRESH_US       (3600 * TARS_OIDC_SECONDS)  /* then keys are fetched again */
#define STALE_US       (86400 * TARS_OIDC_SECONDS) /* until then they go on without the provider */
#define UNKNOWN_KEY_US (30 * TARS_OIDC_SECONDS)    /* between fetches for a key that is not there */
#define RETRY_US       (5 * TARS_OIDC_SECONDS)     /* after a fetch that failed */

/* --------------------------------------------------------------- life cycle */

static bool is_loopback_http(const char *url)
{
    static const char *const hosts[] = {"http://127.0.0.1", "http://localhost", "http://[::1]"};

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t len = strlen(hosts[i]);

        if (strncmp(url, hosts[i], len) == 0 &&
            (url[len] == ':' || url[len] == '/' || url[len] == '\0'))
            return true;
    }
    return false;
}

/* "https://host/api/auth/oidc/callback" -> "/api/auth/oidc"; "/" where there is no more. */
static const char *folder_of(struct tars_oidc *oidc, const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    size_t len = path ? strcspn(path, "?#") : 0;

    while (len > 1 && path[len - 1] != '/')
        len--;
    if (len > 1)
        len--;
    return len ? tars_arena_strndup(&oidc->arena, path, len) : tars_arena_strdup(&oidc->arena, "/");
}

/* Keys and codes must not be had by who listens on the way. */
static bool is_safe_url(const char *url)
{
    return url && (strncmp(url, "https://", 8) == 0 || is_loopback_http(url)) &&
           !strpbrk(url, " \t\r\n\"<>");
}

static const char *keep(struct tars_oidc *oidc, const char *text, const char *otherwise)
{
    return tars_arena_strdup(&oidc->arena, text && *text ? text : otherwise);
}

static tars_status copy_config(struct tars_oidc *oidc, const struct tars_oidc_config *config)
{
    struct tars_oidc_config *c = &oidc->config;

    *c = *config;
    c->issuer = keep(oidc, config->issuer, "");
    c->client_id = keep(oidc, config->client_id, "");
    c->client_secret = keep(oidc, config->client_secret, "");
    c->redirect_uri = keep(oidc, config->redirect_uri, "");
    c->scopes = keep(oidc, config->scopes, "openid profile email");
    c->audience = keep(oidc, config->audience, c->client_id ? c->client_id : "");
    c->name_claim = keep(oidc, config->name_claim, "preferred_username");
    c->role_claim = keep(oidc, config->role_claim, "");
    c->admin_values = keep(oidc, config->admin_values, "");
    c->writer_values = keep(oidc, config->writer_values, "");
    c->reader_values = keep(oidc, config->reader_values, "");
    c->tenant_claim = keep(oidc, config->tenant_claim, "");
    oidc->page = (struct tars_oidc_page){
        .cookie_path = folder_of(oidc, c->redirect_uri ? c->redirect_uri : ""),
        .page = keep(oidc, config->page, "/ui"),
        .is_https = c->redirect_uri && strncmp(c->redirect_uri, "https:", 6) == 0,
    };
    c->now_us = config->now_us ? config->now_us : tars_clock_wall_us;
    c->secret = tars_span(NULL, 0); /* only what is made of it is kept */
    if (oidc->arena.failed)
        return TARS_ENOMEM;
    return tars_seal_init(&oidc->cookie_seal, config->secret, "cookie of a sign-in by provider");
}

static tars_status check_config(const struct tars_oidc_config *config, struct tars_err *err)
{
    if (!config->issuer || !*config->issuer || !config->client_id || !*config->client_id)
        return tars_fail(TARS_EINVAL, err, "OIDC_ISSUER and OIDC_CLIENT_ID are needed");
    if (!is_safe_url(config->issuer)) {
        return tars_fail(
            TARS_EINVAL, err,
            "OIDC_ISSUER is \"%.200s\": expected an https address, or http on loopback",
            config->issuer);
    }
    if (config->redirect_uri && *config->redirect_uri && !is_safe_url(config->redirect_uri)) {
        return tars_fail(
            TARS_EINVAL, err,
            "OIDC_REDIRECT_URI is \"%.200s\": expected an https address, or http on loopback",
            config->redirect_uri);
    }
    if (config->secret.len < TARS_JWT_SECRET_MIN) {
        return tars_fail(TARS_EINVAL, err, "the secret needs at least %d bytes",
                         TARS_JWT_SECRET_MIN);
    }
    return TARS_OK;
}

tars_status tars_oidc_new(const struct tars_oidc_config *config, struct tars_oidc **oidc,
                          struct tars_err *err)
{
    const struct tars_client_config client = {
        .ca_file = config->ca_file && *config->ca_file ? config->ca_file : NULL};
    struct tars_oidc *made;
    tars_status status = check_config(config, err);

    if (status != TARS_OK)
        return status;
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the provider");
    tars_arena_init(&made->arena, ARENA_MAX);
    pthread_mutex_init(&made->fetch_lock, NULL);
    pthread_mutex_init(&made->lock, NULL);
    status = copy_config(made, config);
    if (status == TARS_OK)
        status = tars_client_new(&client, &made->client);
    if (status != TARS_OK) {
        tars_oidc_free(made);
        return tars_fail(status, err, "the provider: %s", tars_status_text(status));
    }
    *oidc = made;
    return TARS_OK;
}

void tars_oidc_free(struct tars_oidc *oidc)
{
    if (!oidc)
        return;
    tars_oidc_drop(oidc->provider);
    tars_client_free(oidc->client);
    pthread_mutex_destroy(&oidc->lock);
    pthread_mutex_destroy(&oidc->fetch_lock);
    tars_arena_release(&oidc->arena);
    free(oidc);
}

const struct tars_oidc_page *tars_oidc_page(const struct tars_oidc *oidc)
{
    return oidc->config.redirect_uri[0] ? &oidc->page : NULL;
}

enum tars_role tars_oidc_default_role(const struct tars_oidc *oidc)
{
    return oidc->config.default_role;
}

int64_t tars_oidc_now_us(const struct tars_oidc *oidc)
{
    return oidc->config.now_us();
}

/* -------------------------------------------------------------------- provider */

void tars_oidc_drop(struct tars_oidc_provider *provider)
{
    if (!provider || atomic_fetch_sub_explicit(&provider->holders, 1, memory_order_acq_rel) != 1)
        return;
    tars_jwks_free(provider->jwks);
    tars_arena_release(&provider->arena);
    free(provider);
}

/* The body of a 200, as text in body. */
static tars_status fetch(struct tars_oidc *oidc, const char *url, struct tars_buf *body,
                         struct tars_err *err)
{
    const struct tars_client_request request = {.url = url,
                                                .connect_timeout_ms = TIMEOUT_MS,
                                                .total_timeout_ms = TIMEOUT_MS,
                                                .max_body_bytes = body->max};
    struct tars_client_reply reply;
    tars_status status = tars_client_fetch_buf(oidc->client, &request, body, &reply, err);

    if (status == TARS_OK && reply.status != 200)
        return tars_fail(TARS_EUNAVAILABLE, err, "%.200s answered %d", url, reply.status);
    return status;
}

static const char *take_url(struct tars_oidc_provider *provider, const json_t *root,
                            const char *name)
{
    const char *url = json_string_value(json_object_get(root, name));

    return is_safe_url(url) ? tars_arena_strdup(&provider->arena, url) : NULL;
}

static tars_status read_discovery(const struct tars_oidc *oidc, const struct tars_buf *text,
                                  struct tars_oidc_provider *provider, struct tars_err *err)
{
    json_t *root = json_loadb(text->len ? text->ptr : "", text->len, JSON_REJECT_DUPLICATES, NULL);
    const char *issuer = json_string_value(json_object_get(root, "issuer"));
    tars_status status = TARS_OK;

    provider->authorization_endpoint = take_url(provider, root, "authorization_endpoint");
    provider->token_endpoint = take_url(provider, root, "token_endpoint");
    provider->jwks_uri = take_url(provider, root, "jwks_uri");
    if (!issuer || strcmp(issuer, oidc->config.issuer) != 0) {
        status = tars_fail(TARS_EFORMAT, err, "%.200s says that it is \"%.200s\"",
                           oidc->config.issuer, issuer ? issuer : "");
    } else if (!provider->jwks_uri) {
        status = tars_fail(TARS_EFORMAT, err, "%.200s has no jwks_uri that can be used",
                           oidc->config.issuer);
    }
    json_decref(root);
    return status;
}

static tars_status fetch_both(struct tars_oidc *oidc, struct tars_oidc_provider *provider,
                              struct tars_err *err)
{
    size_t len = strlen(oidc->config.issuer);
    const char *slash = oidc->config.issuer[len - 1] == '/' ? "" : "/";
    const char *url = tars_arena_printf(&provider->arena, "%s%s.well-known/openid-configuration",
                                        oidc->config.issuer, slash);
    struct tars_buf discovery;
    struct tars_buf keys;
    tars_status status;

    tars_buf_init(&discovery, DISCOVERY_MAX);
    tars_buf_init(&keys, TARS_JWKS_BYTES_MAX);
    status = url ? fetch(oidc, url, &discovery, err) : TARS_ENOMEM;
    if (status == TARS_OK)
        status = read_discovery(oidc, &discovery, provider, err);
    if (status == TARS_OK)
        status = fetch(oidc, provider->jwks_uri, &keys, err);
    if (status == TARS_OK) {
        status = tars_jwks_parse(tars_buf_span(&keys), &provider->jwks);
        if (status != TARS_OK)
            (void)tars_fail(status, err, "%.200s has no keys that can be used", provider->jwks_uri);
    }
    tars_buf_release(&discovery);
    tars_buf_release(&keys);
    return status;
}

static tars_status fetch_provider(struct tars_oidc *oidc, struct tars_oidc_provider **out,
                                  struct tars_err *err)
{
    struct tars_oidc_provider *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    atomic_init(&made->holders, 1);
    tars_arena_init(&made->arena, PROVIDER_MAX);
    made->fetched_us = tars_oidc_now_us(oidc);
    status = fetch_both(oidc, made, err);
    if (status != TARS_OK) {
        tars_oidc_drop(made);
        return status;
    }
    *out = made;
    return TARS_OK;
}

/* What there is, one reference more, or NULL; *tried_us is when a fetch last began. */
static struct tars_oidc_provider *peek(struct tars_oidc *oidc, int64_t *tried_us)
{
    struct tars_oidc_provider *provider;

    pthread_mutex_lock(&oidc->lock);
    provider = oidc->provider;
    if (provider)
        atomic_fetch_add_explicit(&provider->holders, 1, memory_order_relaxed);
    *tried_us = oidc->tried_us;
    pthread_mutex_unlock(&oidc->lock);
    return provider;
}

/* May what there is be used as it is? */
static bool is_enough(const struct tars_oidc_provider *provider, int64_t tried_us, int64_t now_us,
                      bool kid_missing)
{
    int64_t pause_us = kid_missing ? UNKNOWN_KEY_US : RETRY_US;

    if (!provider || now_us - provider->fetched_us >= STALE_US)
        return false;
    if (now_us - provider->fetched_us < FRESH_US && !kid_missing)
        return true;
    return now_us - tried_us < pause_us;
}

static tars_status refresh(struct tars_oidc *oidc, struct tars_err *err)
{
    struct tars_oidc_provider *fresh = NULL;
    struct tars_oidc_provider *old = NULL;
    struct tars_err why = {{0}};
    int64_t now_us = tars_oidc_now_us(oidc);
    tars_status status;

    pthread_mutex_lock(&oidc->lock);
    oidc->tried_us = now_us;
    pthread_mutex_unlock(&oidc->lock);
    status = fetch_provider(oidc, &fresh, &why);
    if (status != TARS_OK) {
        tars_log_warning(oidc->config.log, "auth", "the provider: %s",
                         why.text[0] ? why.text : tars_status_text(status));
        return tars_fail(status, err, "the provider: %s", why.text);
    }
    pthread_mutex_lock(&oidc->lock);
    old = oidc->provider;
    oidc->provider = fresh;
    pthread_mutex_unlock(&oidc->lock);
    tars_oidc_drop(old);
    return TARS_OK;
}

/* Fetch, unless somebody has while we waited for our turn, or it has just failed. */
static tars_status refresh_in_turn(struct tars_oidc *oidc, bool kid_missing, struct tars_err *err)
{
    int64_t now_us = tars_oidc_now_us(oidc);
    struct tars_oidc_provider *provider;
    tars_status status = TARS_OK;
    int64_t tried_us;

    pthread_mutex_lock(&oidc->fetch_lock);
    provider = peek(oidc, &tried_us);
    if (!is_enough(provider, tried_us, now_us, kid_missing)) {
        if (!provider && tried_us && now_us - tried_us < RETRY_US) {
            status = tars_fail(TARS_EUNAVAILABLE, err, "the provider cannot be reached");
        } else {
            status = refresh(oidc, err);
        }
    }
    pthread_mutex_unlock(&oidc->fetch_lock);
    tars_oidc_drop(provider);
    return status;
}

tars_status tars_oidc_hold(struct tars_oidc *oidc, bool may_block, bool kid_missing,
                           struct tars_oidc_provider **out, struct tars_err *err)
{
    int64_t now_us = tars_oidc_now_us(oidc);
    tars_status status = TARS_OK;
    int64_t tried_us;
    struct tars_oidc_provider *provider = peek(oidc, &tried_us);

    if (is_enough(provider, tried_us, now_us, kid_missing)) {
        *out = provider;
        return TARS_OK;
    }
    tars_oidc_drop(provider);
    if (!may_block)
        return TARS_EAGAIN;
    status = refresh_in_turn(oidc, kid_missing, err);
    provider = peek(oidc, &tried_us);
    /* The provider is away: its last keys go on for a while. */
    if (provider && now_us - provider->fetched_us < STALE_US) {
        *out = provider;
        return TARS_OK;
    }
    tars_oidc_drop(provider);
    return status == TARS_OK ? TARS_EUNAVAILABLE : status;
}

/* ---------------------------------------------------------------------- claims */

static tars_status decode(struct tars_oidc *oidc, struct tars_span token, bool may_block,
                          bool kid_missing, struct tars_buf *payload, struct tars_err *err)
{
    struct tars_oidc_provider *provider = NULL;
    tars_status status = tars_oidc_hold(oidc, may_block, kid_missing, &provider, err);

    if (status != TARS_OK)
        return status;
    status = tars_jwks_verify(provider->jwks, token, payload);
    tars_oidc_drop(provider);
    return status == TARS_EDENIED
               ? tars_fail(status, err, "the token is not signed as it should be")
               : status;
}

/* Is audience the one, or among those, that the token is meant for? */
static bool has_audience(const json_t *claims, const char *audience)
{
    const json_t *aud = json_object_get(claims, "aud");

    if (json_is_string(aud))
        return strcmp(json_string_value(aud), audience) == 0;
    for (size_t i = 0; i < json_array_size(aud); i++) {
        const char *one = json_string_value(json_array_get(aud, i));

        if (one && strcmp(one, audience) == 0)
            return true;
    }
    return false;
}

static bool time_of(const json_t *claims, const char *name, json_int_t *seconds)
{
    const json_t *value = json_object_get(claims, name);

    if (!json_is_number(value) || json_number_value(value) < 0 ||
        json_number_value(value) > (double)EXPIRES_MAX)
        return false;
    *seconds = (json_int_t)json_number_value(value);
    return true;
}

static tars_status check_times(const struct tars_oidc *oidc, const json_t *claims,
                               struct tars_err *err)
{
    json_int_t now_s = tars_oidc_now_us(oidc) / TARS_OIDC_SECONDS;
    json_int_t at;

    if (!time_of(claims, "exp", &at) || at <= now_s)
        return tars_fail(TARS_EDENIED, err, "the token has expired");
    if (json_object_get(claims, "nbf") &&
        (!time_of(claims, "nbf", &at) || at > now_s + NOT_BEFORE_S))
        return tars_fail(TARS_EDENIED, err, "the token is not valid yet");
    return TARS_OK;
}

static tars_status check_claims(const struct tars_oidc *oidc, const json_t *claims,
                                const char *audience, struct tars_err *err)
{
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const json_t *party = json_object_get(claims, "azp");
    bool is_ours = strcmp(audience, oidc->config.client_id) == 0;

    if (!issuer || strcmp(issuer, oidc->config.issuer) != 0)
        return tars_fail(TARS_EDENIED, err, "the token is another provider's");
    if (!has_audience(claims, audience))
        return tars_fail(TARS_EDENIED, err, "the token is not meant for this server");
    if (is_ours && party &&
        (!json_is_string(party) || strcmp(json_string_value(party), audience) != 0))
        return tars_fail(TARS_EDENIED, err, "the token was given to another program");
    if (!subject || !*subject || strlen(subject) > SUBJECT_MAX)
        return tars_fail(TARS_EDENIED, err, "the token does not say who it is about");
    return check_times(oidc, claims, err);
}

tars_status tars_oidc_claims(struct tars_oidc *oidc, struct tars_span token, const char *audience,
                             bool may_block, json_t **claims, struct tars_err *err)
{
    struct tars_buf payload;
    json_t *root = NULL;
    tars_status status;

    tars_buf_init(&payload, TARS_JWS_BYTES_MAX);
    status = decode(oidc, token, may_block, false, &payload, err);
    if (status == TARS_ENOTFOUND)
        status = decode(oidc, token, may_block, true, &payload, err);
    if (status == TARS_ENOTFOUND)
        status = tars_fail(TARS_EDENIED, err, "the token is signed by a key that nobody knows");
    if (status == TARS_OK) {
        root = json_loadb(payload.ptr, payload.len, JSON_REJECT_DUPLICATES, NULL);
        status = json_is_object(root) ? check_claims(oidc, root, audience, err) : TARS_EDENIED;
    }
    tars_buf_release(&payload);
    if (status != TARS_OK) {
        json_decref(root);
        return status;
    }
    *claims = root;
    return TARS_OK;
}

/* -------------------------------------------------------------------- identity */

/* The claim called path; if there is none of that very name, each dot goes into an object. */
static const json_t *find_claim(const json_t *claims, const char *path)
{
    const json_t *found = json_object_get(claims, path);
    const char *dot;

    while (!found && (dot = strchr(path, '.'))) {
        json_t *inner = json_object_getn(claims, path, (size_t)(dot - path));

        if (!inner)
            return NULL;
        claims = inner;
        path = dot + 1;
        found = json_object_get(claims, path);
    }
    return found;
}

/* Is value one of list, "a, b,c"? */
static bool is_listed(const char *list, const char *value)
{
    size_t len = strlen(value);

    while (len && *list) {
        size_t item;

        list += strspn(list, ", ");
        item = strcspn(list, ",");
        while (item && list[item - 1] == ' ')
            item--;
        if (item == len && memcmp(list, value, len) == 0)
            return true;
        list += strcspn(list, ",");
    }
    return false;
}

static enum tars_role role_of_value(const struct tars_oidc *oidc, const json_t *value)
{
    const char *text = json_string_value(value);

    if (!text)
        return TARS_ROLE_NONE;
    if (is_listed(oidc->config.admin_values, text))
        return TARS_ROLE_ADMIN;
    if (is_listed(oidc->config.writer_values, text))
        return TARS_ROLE_WRITER;
    return is_listed(oidc->config.reader_values, text) ? TARS_ROLE_READER : TARS_ROLE_NONE;
}

/* The highest of what the claim's values stand for. */
static enum tars_role role_of(const struct tars_oidc *oidc, const json_t *claims)
{
    const json_t *claim = find_claim(claims, oidc->config.role_claim);
    enum tars_role role = role_of_value(oidc, claim);

    for (size_t i = 0; i < json_array_size(claim); i++) {
        enum tars_role one = role_of_value(oidc, json_array_get(claim, i));

        role = one > role ? one : role;
    }
    return role ? role : oidc->config.default_role;
}

tars_status tars_oidc_identify(const struct tars_oidc *oidc, const json_t *claims,
                               struct tars_arena *arena, struct tars_oidc_identity *out,
                               struct tars_err *err)
{
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const char *name = json_string_value(find_claim(claims, oidc->config.name_claim));
    const json_t *tenant = NULL;
    struct tars_oidc_identity made = {.says_role = oidc->config.role_claim[0] != '\0'};
    json_int_t expires_s = 0;

    if (oidc->config.tenant_claim[0]) {
        tenant = find_claim(claims, oidc->config.tenant_claim);
        if (!json_is_string(tenant))
            return tars_fail(TARS_EDENIED, err, "the token names no tenant");
        made.tenant = tars_arena_strdup(arena, json_string_value(tenant));
    }
    (void)time_of(claims, "exp", &expires_s);
    made.expires_us = expires_s * TARS_OIDC_SECONDS;
    made.role = made.says_role ? role_of(oidc, claims) : TARS_ROLE_NONE;
    made.external = tars_arena_printf(arena, "%s %s", oidc->config.issuer, subject);
    made.name = tars_arena_strdup(arena, name && *name ? name : subject);
    if (!made.external || !made.name || (tenant && !made.tenant))
        return TARS_ENOMEM;
    *out = made;
    return TARS_OK;
}

tars_status tars_oidc_verify(struct tars_oidc *oidc, struct tars_span token, bool may_block,
                             struct tars_arena *arena, struct tars_oidc_identity *out)
{
    struct tars_err why = {{0}};
    json_t *claims = NULL;
    tars_status status =
        tars_oidc_claims(oidc, token, oidc->config.audience, may_block, &claims, &why);

    if (status == TARS_OK)
        status = tars_oidc_identify(oidc, claims, arena, out, &why);
    json_decref(claims);
    if (status == TARS_OK || status == TARS_EAGAIN || status == TARS_ENOMEM)
        return status;
    tars_log_debug(oidc->config.log, "auth", "a provider's token is refused: %s", why.text);
    return TARS_EDENIED;
}
