/* wiring_access - who may ask, and who is believed on the way: the parts that decide it.
 *
 * What would make a server on a network unsafe without a word is refused at the start, with the
 * setting that says it is wanted; what may be wanted but should be known is a warning.
 */
#include <arpa/inet.h>
#include <string.h>

#include "api/proxies.h"
#include "app/stores.h"
#include "app/wiring_internal.h"
#include "auth/auth.h"
#include "auth/oidc.h"
#include "auth/quota.h"
#include "auth/rate_limit.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "store/accounts.h"
#include "store/conversations.h"

#define HOUR_S INT64_C(3600)
#define DAY_US INT64_C(86400000000)
#define ACCESS_WORDS_NO_TLS                                                                 \
    "listening on a network without TLS: tokens and documents can be read on the way; set " \
    "TLS_CERT_PATH and TLS_KEY_PATH, or name the proxy that speaks TLS in TARS_TRUSTED_PROXIES"
#define ACCESS_WORDS_OPEN \
    "TARS_AUTH is open on a network: anybody who reaches the port may read and write everything"
#define ACCESS_WORDS_PROXIED \
    "TARS_AUTH is open behind a proxy: whoever it lets through may read and write everything"
#define ACCESS_WORDS_NOBODY \
    "there is no account yet, so nobody can sign in: tars user add NAME --role admin"

const char *tars_wiring_bind(const struct tars_settings *settings)
{
    const char *bind = tars_settings_text(settings, TARS_SET_TARS_BIND);

    return strcmp(bind, "localhost") == 0 ? "127.0.0.1" : bind;
}

/* Does only this machine reach the address to listen on? */
static bool is_loopback(const struct tars_settings *settings)
{
    const char *address = tars_wiring_bind(settings);
    struct in_addr four;
    struct in6_addr six;

    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* --------------------------------------------------------------------- mode */

static enum tars_auth_mode mode_of(const struct tars_settings *settings)
{
    const char *text = tars_settings_text(settings, TARS_SET_TARS_AUTH);

    if (strcmp(text, "open") == 0)
        return TARS_AUTH_OPEN;
    if (strcmp(text, "secret") == 0)
        return TARS_AUTH_SECRET;
    if (strcmp(text, "oidc") == 0)
        return TARS_AUTH_OIDC;
    return is_loopback(settings) ? TARS_AUTH_OPEN : TARS_AUTH_SECRET;
}

static tars_status check_mode(struct tars_wiring *w, enum tars_auth_mode mode, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    bool is_proxied = tars_settings_text(s, TARS_SET_TARS_TRUSTED_PROXIES)[0] != '\0';
    bool has_tls = tars_settings_text(s, TARS_SET_TLS_CERT_PATH)[0] != '\0';

    if (is_loopback(s)) {
        if (mode == TARS_AUTH_OPEN && is_proxied)
            tars_wiring_warn(w, ACCESS_WORDS_PROXIED);
        return TARS_OK;
    }
    if (mode == TARS_AUTH_OPEN && !tars_settings_flag(s, TARS_SET_TARS_AUTH_OPEN_ANYWHERE)) {
        return tars_fail(
            TARS_EINVAL, err,
            "TARS_AUTH is \"open\" and TARS_BIND is \"%s\": expected secret or oidc on "
            "a network, for open gives a token to anybody who asks; "
            "TARS_AUTH_OPEN_ANYWHERE=true says that it is wanted",
            tars_settings_text(s, TARS_SET_TARS_BIND));
    }
    if (mode == TARS_AUTH_OPEN)
        tars_wiring_warn(w, ACCESS_WORDS_OPEN);
    if (!has_tls && !is_proxied)
        tars_wiring_warn(w, ACCESS_WORDS_NO_TLS);
    return TARS_OK;
}

/* -------------------------------------------------------------------- parts */

static tars_status open_proxies(struct tars_wiring *w, struct tars_err *err)
{
    const char *list = tars_settings_text(w->settings, TARS_SET_TARS_TRUSTED_PROXIES);
    struct tars_err why = {{0}};
    tars_status status = tars_proxies_new(list, &w->proxies, &why);

    if (status != TARS_OK)
        return tars_fail(status, err, "TARS_TRUSTED_PROXIES: %s", why.text);
    return TARS_OK;
}

static tars_status open_auth(struct tars_wiring *w, enum tars_auth_mode mode, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    const char *admins = tars_settings_text(s, TARS_SET_ADMIN_CLIENT_IDS);
    struct tars_auth_config config = {
        .store = w->store,
        .mode = mode,
        .access_seconds = tars_settings_int(s, TARS_SET_JWT_EXPIRATION_HOURS) * HOUR_S,
        .refresh_seconds = tars_settings_int(s, TARS_SET_JWT_REFRESH_EXPIRATION_DAYS) * 24 * HOUR_S,
        .admins = admins,
        .open_admin = admins[strspn(admins, ", ")] == '\0' && is_loopback(s) &&
                      !tars_settings_text(s, TARS_SET_TARS_TRUSTED_PROXIES)[0],
        .shared = tars_stores_is_shared(s),
        .log = w->log,
        .limit_seed = tars_wiring_limit_seed(w),
    };
    tars_status status = tars_wiring_secret(w, is_loopback(s), &config.secret, err);

    if (status == TARS_OK && mode == TARS_AUTH_OIDC)
        status = tars_wiring_open_oidc(w, config.secret, err);
    config.oidc = w->oidc;
    return status == TARS_OK ? tars_auth_new(&config, &w->auth, err) : status;
}

static tars_status open_rate_limit(struct tars_wiring *w, struct tars_err *err)
{
    const uint64_t *seed = tars_wiring_limit_seed(w);
    struct tars_rate_limit_config config = {
        .limit = tars_settings_int(w->settings, TARS_SET_RATE_LIMIT_PER_MINUTE),
        .is_shared = seed != NULL,
    };
    tars_status status = TARS_OK;

    if (seed) {
        memcpy(config.seed, seed, sizeof(config.seed));
    } else {
        status = tars_random_bytes(config.seed, sizeof(config.seed));
    }
    if (status == TARS_OK)
        status = tars_rate_limit_new(&config, &w->rate_limit);
    return status == TARS_OK ? status : tars_fail(status, err, "no memory for rate limits");
}

/* True when somebody could sign in. */
static bool has_account(struct tars_wiring *w)
{
    struct tars_access access = {0};
    struct tars_arena arena;
    bool has;

    tars_arena_init(&arena, (size_t)64 << 20);
    has =
        tars_accounts_load(w->store, &arena, &access, NULL) != TARS_OK || access.account_count > 0;
    tars_arena_release(&arena);
    return has;
}

static tars_status open_quota(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_quota_config config = {.store = w->store, .log = w->log};

    return tars_quota_new(&config, &w->quota, err);
}

tars_status tars_wiring_open_access(struct tars_wiring *w, bool serves, struct tars_err *err)
{
    enum tars_auth_mode mode = mode_of(w->settings);
    tars_status status = serves ? check_mode(w, mode, err) : TARS_OK;

    if (status == TARS_OK)
        status = open_proxies(w, err);
    if (status == TARS_OK)
        status = tars_wiring_open_limits(w, err);
    if (status == TARS_OK)
        status = open_auth(w, mode, err);
    if (status == TARS_OK)
        status = open_quota(w, err);
    if (status == TARS_OK && serves)
        status = open_rate_limit(w, err);
    if (status == TARS_OK)
        status = tars_wiring_start_limits(w, err);
    if (status == TARS_OK && serves && mode == TARS_AUTH_SECRET && !has_account(w))
        tars_wiring_warn(w, ACCESS_WORDS_NOBODY);
    return status;
}

/* Nothing is kept longer than the settings say; by default the audit log is kept for ever. */
static void prune_audit(struct tars_wiring *w)
{
    int64_t days = tars_settings_int(w->settings, TARS_SET_AUDIT_RETENTION_DAYS);
    struct tars_err err = {{0}};

    if (days > 0 &&
        tars_accounts_audit_prune(w->store, tars_clock_wall_us() - days * DAY_US, &err) != TARS_OK)
        tars_log_warning(w->log, "app", "old audit entries were not removed: %s", err.text);
}

void tars_wiring_tend(struct tars_wiring *w)
{
    struct tars_err err = {{0}};

    if (!tars_wiring_leads(w))
        return; /* another server does it */
    if (tars_auth_tend(w->auth, &err) != TARS_OK)
        tars_log_warning(w->log, "app", "what has expired was not forgotten: %s", err.text);
    if (tars_conversation_prune(w->store, tars_clock_wall_us(), &err) != TARS_OK)
        tars_log_warning(w->log, "app", "deleted conversations were not forgotten: %s", err.text);
    prune_audit(w);
}

void tars_wiring_close_access(struct tars_wiring *w)
{
    tars_wiring_close_limits(w);
    tars_rate_limit_free(w->rate_limit);
    tars_quota_free(w->quota);
    tars_auth_free(w->auth);
    tars_oidc_free(w->oidc);
    tars_proxies_free(w->proxies);
}

void tars_wiring_fill_access(const struct tars_wiring *w, struct tars_api_config *config)
{
    const struct tars_settings *s = w->settings;

    config->auth = w->auth;
    config->rate_limit = w->rate_limit;
    config->quota = w->quota;
    config->proxies = w->proxies;
    config->checks_hosts = tars_auth_mode(w->auth) == TARS_AUTH_OPEN;
    config->https_only = tars_settings_flag(s, TARS_SET_ENABLE_HTTPS) ||
                         tars_settings_flag(s, TARS_SET_HTTPS_ENABLED);
}
