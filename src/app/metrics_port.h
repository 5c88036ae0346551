/* metrics_port - a second listener, for who measures and nobody else (PROMETHEUS_PORT). */
#ifndef TARS_APP_METRICS_PORT_H
#define TARS_APP_METRICS_PORT_H

#include "api/api.h"
#include "app/settings.h"
#include "net/server.h"
#include "obs/log.h"

/* On the address of the server, with its certificate. *server is NULL where none is wanted: the
 * setting is 0, or PROMETHEUS_ENABLED off. TARS_EBUSY and so on as tars_server_open(). */
TARS_MUST_USE tars_status tars_metrics_port_open(const struct tars_settings *settings,
                                                 struct tars_log *log, struct tars_api *api,
                                                 struct tars_server **server, struct tars_err *err);
/* Stop and free; a scrape under way ends first. NULL is allowed. */
void tars_metrics_port_close(struct tars_server *server);

#endif
