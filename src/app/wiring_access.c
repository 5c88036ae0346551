/* wiring_access - who may ask, and who is believed on the way: the parts that decide it. */
#include "api/proxies.h"
#include "app/wiring_internal.h"

tars_status tars_wiring_open_access(struct tars_wiring *w, struct tars_err *err)
{
    const char *list = tars_settings_text(w->settings, TARS_SET_TARS_TRUSTED_PROXIES);
    struct tars_err why = {{0}};
    tars_status status = tars_proxies_new(list, &w->proxies, &why);

    if (status != TARS_OK)
        return tars_fail(status, err, "TARS_TRUSTED_PROXIES: %s", why.text);
    return TARS_OK;
}

void tars_wiring_close_access(struct tars_wiring *w)
{
    tars_proxies_free(w->proxies);
}

void tars_wiring_fill_access(const struct tars_wiring *w, struct tars_api_config *config)
{
    const struct tars_settings *s = w->settings;

    config->proxies = w->proxies;
    config->hosts = tars_settings_text(s, TARS_SET_TARS_HOSTS);
    config->checks_hosts = true;
    config->https_only = tars_settings_flag(s, TARS_SET_ENABLE_HTTPS) ||
                         tars_settings_flag(s, TARS_SET_HTTPS_ENABLED);
}
