/* reload - settings read again while the server runs: what SIGHUP does.
 *
 *     file and environment -> a whole new set of settings -> compared with the one in force
 *        flagged RELOAD in settings.def   taken over, and told in the log
 *        any other                        told: it needs a restart
 *     certificate and key                 read again in any case
 *
 * Failure   All or nothing: with one wrong value no setting is changed, and the log says which it
 *           is and what was expected. A certificate that cannot be used leaves the old one in
 * force. Secrets   That one has changed is told, never its value. Threads   The one that runs the
 * server.
 */
#ifndef TARS_APP_RELOAD_H
#define TARS_APP_RELOAD_H

#include "app/settings.h"
#include "base/status.h"
#include "obs/log.h"

struct tars_reload;
struct tars_server;
struct tars_wiring;

struct tars_reload_config {
    const struct tars_settings_config *sources; /* where they are read from; borrowed */
    bool needs_file;                      /* the file of sources was named: it has to be there */
    const struct tars_settings *settings; /* those of the start; borrowed */
    struct tars_wiring *wiring;           /* borrowed */
    struct tars_server *server;           /* borrowed */
    struct tars_log *log;                 /* may be NULL; borrowed */
    void (*connections)(void *ctx, const struct tars_settings *settings); /* sets their limit */
    void *connections_ctx;
};

TARS_MUST_USE tars_status tars_reload_new(const struct tars_reload_config *config,
                                          struct tars_reload **reload);
void tars_reload_free(struct tars_reload *reload);

/* Read and take over. True when all is as the sources say now, but for what needs a restart. */
bool tars_reload_run(struct tars_reload *reload);
/* Those in force. Lent until the next run. */
const struct tars_settings *tars_reload_settings(const struct tars_reload *reload);

#endif
