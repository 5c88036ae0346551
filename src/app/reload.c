/* reload - see reload.h for the contract. */
#include "app/reload.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/wiring.h"
#include "net/server.h"

#define WARNINGS_MAX ((size_t)64 << 10)

struct tars_reload {
    struct tars_reload_config config;
    struct tars_settings *latest; /* NULL: those of the start are in force; owned */
};

tars_status tars_reload_new(const struct tars_reload_config *config, struct tars_reload **reload)
{
    struct tars_reload *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->config = *config;
    *reload = made;
    return TARS_OK;
}

void tars_reload_free(struct tars_reload *reload)
{
    if (!reload)
        return;
    tars_settings_free(reload->latest);
    free(reload);
}

const struct tars_settings *tars_reload_settings(const struct tars_reload *reload)
{
    return reload->latest ? reload->latest : reload->config.settings;
}

/* -------------------------------------------------------------------- reading */

static tars_status load(const struct tars_reload *reload, struct tars_settings **next,
                        struct tars_err *err)
{
    const struct tars_settings_config *sources = reload->config.sources;
    struct tars_buf warnings;
    tars_status status;

    if (reload->config.needs_file && access(sources->dotenv_path, R_OK) != 0)
        return tars_fail(TARS_EINVAL, err, "%s cannot be read", sources->dotenv_path);
    tars_buf_init(&warnings, WARNINGS_MAX);
    status = tars_settings_load(sources, next, &warnings, err);
    for (char *line = warnings.ptr; status == TARS_OK && line && *line;) {
        char *end = strchr(line, '\n');

        if (end)
            *end = '\0';
        tars_log_warning(reload->config.log, "app", "%s", line);
        line = end ? end + 1 : NULL;
    }
    tars_buf_release(&warnings);
    return status;
}

/* ------------------------------------------------------------------ comparing */

static void tell_change(struct tars_log *log, const struct tars_settings *before,
                        const struct tars_settings *next, enum tars_setting id)
{
    const struct tars_setting_info old = tars_settings_info(before, id);
    const struct tars_setting_info now = tars_settings_info(next, id);

    if (now.is_secret) {
        tars_log_info(log, "app", "%s has changed", now.name);
    } else {
        tars_log_info(log, "app", "%s is \"%s\" now (%s), and was \"%s\"", now.name, now.value,
                      tars_setting_origin_text(tars_settings_origin(next, id)), old.value);
    }
}

/* Compared with those that are in force: what is not reloaded, with those of the start. */
static size_t tell_changes(const struct tars_reload *reload, const struct tars_settings *next)
{
    const struct tars_settings *before = tars_reload_settings(reload);
    size_t count = 0;

    for (int i = 0; i < TARS_SETTING_COUNT; i++) {
        enum tars_setting id = (enum tars_setting)i;
        const struct tars_setting_info info = tars_settings_info(next, id);

        if (info.is_reloaded && !tars_settings_same(before, next, id)) {
            tell_change(reload->config.log, before, next, id);
            count++;
        } else if (!info.is_reloaded && !info.is_unused &&
                   !tars_settings_same(reload->config.settings, next, id)) {
            tars_log_warning(reload->config.log, "app", "%s has changed, and needs a restart",
                             info.name);
        }
    }
    return count;
}

/* ------------------------------------------------------------------ taking over */

/* Whether TLS is spoken at all is not changed while the server runs. */
static bool renew_certificate(const struct tars_reload *reload, const struct tars_settings *next)
{
    const char *cert = tars_settings_text(next, TARS_SET_TLS_CERT_PATH);
    const char *key = tars_settings_text(next, TARS_SET_TLS_KEY_PATH);
    bool was_tls = tars_settings_text(reload->config.settings, TARS_SET_TLS_CERT_PATH)[0] != '\0';
    struct tars_log *log = reload->config.log;
    struct tars_err err = {{0}};

    if (was_tls != (cert[0] != '\0')) {
        tars_log_warning(log, "app", "TLS_CERT_PATH: to %s TLS needs a restart",
                         was_tls ? "give up" : "speak");
        return true;
    }
    if (!was_tls)
        return true;
    if (tars_server_renew_tls(reload->config.server, cert, key, &err) != TARS_OK) {
        tars_log_error(log, "app", "the certificate of before is shown still: %s", err.text);
        return false;
    }
    tars_log_info(log, "app", "the certificate was read again from %s", cert);
    return true;
}

static tars_status take_over(const struct tars_reload *reload, const struct tars_settings *next)
{
    tars_status status = tars_wiring_change(reload->config.wiring, next);

    if (status != TARS_OK)
        return status;
    if (reload->config.connections)
        reload->config.connections(reload->config.connections_ctx, next);
    return TARS_OK;
}

static enum tars_log_level level_of(const struct tars_settings *settings)
{
    enum tars_log_level level = TARS_LOG_INFO;

    (void)tars_log_level_parse(tars_settings_text(settings, TARS_SET_LOG_LEVEL), &level);
    return level;
}

bool tars_reload_run(struct tars_reload *reload)
{
    struct tars_log *log = reload->config.log;
    struct tars_settings *next = NULL;
    struct tars_err err = {{0}};
    tars_status status = load(reload, &next, &err);
    size_t changed = 0;

    if (status == TARS_OK)
        status = take_over(reload, next);
    if (status != TARS_OK) {
        tars_log_error(log, "app", "the settings of before stay in force, all of them: %s",
                       err.text[0] ? err.text : tars_status_text(status));
        tars_settings_free(next);
        (void)renew_certificate(reload, tars_reload_settings(reload));
        return false;
    }
    /* What changed is told, whichever of the two levels lets it. */
    if (level_of(next) < level_of(tars_reload_settings(reload)))
        tars_log_set_level(log, level_of(next));
    changed = tell_changes(reload, next);
    tars_settings_free(reload->latest);
    reload->latest = next;
    tars_log_info(log, "app", "settings were read again: %zu changed", changed);
    tars_log_set_level(log, level_of(next));
    return renew_certificate(reload, next);
}
