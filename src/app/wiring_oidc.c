/* wiring_oidc - the provider of identities that the settings name. */
#include "app/wiring_internal.h"
#include "auth/oidc.h"

tars_status tars_wiring_open_oidc(struct tars_wiring *w, const char *secret, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    enum tars_role role = TARS_ROLE_NONE;
    struct tars_oidc_config config = {
        .issuer = tars_settings_text(s, TARS_SET_OIDC_ISSUER),
        .client_id = tars_settings_text(s, TARS_SET_OIDC_CLIENT_ID),
        .client_secret = tars_settings_text(s, TARS_SET_OIDC_CLIENT_SECRET),
        .redirect_uri = tars_settings_text(s, TARS_SET_OIDC_REDIRECT_URI),
        .scopes = tars_settings_text(s, TARS_SET_OIDC_SCOPES),
        .audience = tars_settings_text(s, TARS_SET_OIDC_AUDIENCE),
        .name_claim = tars_settings_text(s, TARS_SET_OIDC_NAME_CLAIM),
        .role_claim = tars_settings_text(s, TARS_SET_OIDC_ROLE_CLAIM),
        .admin_values = tars_settings_text(s, TARS_SET_OIDC_ADMIN_VALUES),
        .writer_values = tars_settings_text(s, TARS_SET_OIDC_WRITER_VALUES),
        .reader_values = tars_settings_text(s, TARS_SET_OIDC_READER_VALUES),
        .tenant_claim = tars_settings_text(s, TARS_SET_OIDC_TENANT_CLAIM),
        .page = tars_settings_text(s, TARS_SET_OIDC_PAGE),
        .ca_file = tars_settings_text(s, TARS_SET_OIDC_CA_FILE),
        .secret = tars_span_of(secret),
        .log = w->log,
    };

    (void)tars_role_parse(tars_settings_text(s, TARS_SET_OIDC_DEFAULT_ROLE), &role);
    config.default_role = role;
    return tars_oidc_new(&config, &w->oidc, err);
}
