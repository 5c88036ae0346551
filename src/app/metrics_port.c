/* metrics_port - see metrics_port.h for the contract. */
#include "app/metrics_port.h"

#include "app/wiring.h"

#define CONNECTIONS_MAX 64
#define BODY_MAX        1024 /* nobody who measures sends one */
#define GRACE_MS        2000

static const char *text_or_null(const struct tars_settings *settings, enum tars_setting id)
{
    const char *text = tars_settings_text(settings, id);

    return text[0] ? text : NULL;
}

tars_status tars_metrics_port_open(const struct tars_settings *settings, struct tars_log *log,
                                   struct tars_api *api, struct tars_server **server,
                                   struct tars_err *err)
{
    int64_t port = tars_settings_int(settings, TARS_SET_PROMETHEUS_PORT);
    const struct tars_server_config config = {
        .bind = tars_wiring_bind(settings),
        .port = (uint16_t)port,
        .threads = 1,
        .tls_cert = text_or_null(settings, TARS_SET_TLS_CERT_PATH),
        .tls_key = text_or_null(settings, TARS_SET_TLS_KEY_PATH),
        .handler = tars_api_handle_metrics,
        .ctx = api,
        .max_connections = CONNECTIONS_MAX,
        .max_body_bytes = BODY_MAX,
        .max_bodies_bytes = (size_t)CONNECTIONS_MAX * BODY_MAX,
    };
    tars_status status;

    *server = NULL;
    if (port == 0 || !tars_settings_flag(settings, TARS_SET_PROMETHEUS_ENABLED))
        return TARS_OK;
    status = tars_server_open(&config, server, err);
    if (status == TARS_OK) {
        tars_log_info(log, "app", "metrics alone at %s port %u", config.bind,
                      (unsigned)tars_server_port(*server));
    }
    return status;
}

void tars_metrics_port_close(struct tars_server *server)
{
    if (!server)
        return;
    (void)!tars_server_stop(server, GRACE_MS); /* what does not end is dropped */
    tars_server_close(server);
}
