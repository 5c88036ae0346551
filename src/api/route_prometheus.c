/* route_prometheus - measurements for Prometheus (contract section 3), and who may read them.
 *
 * Guard     With METRICS_TOKEN a scrape shows it as a bearer token; an administrator of the server
 *           and the owner need not. Without one everybody may, as the contract has it.
 * Stalls    Runs on a pool that nothing else fills; what may have to be waited for is read on a
 *           thread of its own (refresh.h), so the answer comes within a second or so.
 */
#include "api/accept.h"
#include "api/api_internal.h"
#include "api/refresh.h"
#include "api/rights.h"

/* -------------------------------------------------------------------- guard */

enum guard { OPEN, SHOWN, SHUT };

static enum guard look_at_token(const struct tars_exchange *ex)
{
    const struct tars_live_texts *live = tars_live_take(ex->api->live);
    const char *token = live->metrics_token;
    enum guard guard = SHUT;

    if (!token[0]) {
        guard = OPEN;
    } else if (ex->credential.len > 0 && tars_api_same_secret(ex->credential, token)) {
        guard = SHOWN;
    }
    tars_live_give(live);
    return guard;
}

/* An administrator of the default tenant, who showed that; in no mode is that nobody. */
static bool is_operator(const struct tars_exchange *ex)
{
    return ex->is_owner || (ex->caller.credential != TARS_CREDENTIAL_NONE && ex->caller.is_system);
}

/* False when the answer is given. */
static bool may_scrape(struct tars_exchange *ex)
{
    if (look_at_token(ex) != SHUT || is_operator(ex))
        return true;
    tars_exchange_fail(ex, 401, "Could not validate credentials");
    return false;
}

/* --------------------------------------------------------------- exposition */

void tars_route_prometheus(struct tars_exchange *ex)
{
    const struct tars_api_config *config = &ex->api->config;
    bool is_open = tars_accept_is_openmetrics(ex->accept);
    bool sees_tenants;

    if (!config->prometheus) {
        tars_exchange_not_found(ex, NULL);
        return;
    }
    if (!may_scrape(ex))
        return;
    if (!tars_refresh_now(ex->api->gauges)) {
        tars_log_warning(config->log, "api",
                         "gauges could not be read in %d ms: the scrape has those of before",
                         TARS_REFRESH_WAIT_MS);
    }
    /* Whose tenants there are is nothing for a stranger who scrapes. */
    sees_tenants = tars_api_sees_server(ex) || look_at_token(ex) == SHOWN;
    tars_buf_clear(&ex->out);
    tars_metrics_render(config->metrics, is_open ? TARS_METRICS_OPENMETRICS : TARS_METRICS_TEXT,
                        sees_tenants ? TARS_METRIC_COUNT : TARS_METRIC_TENANT_QUESTIONS, &ex->out);
    if (ex->out.status != TARS_OK) {
        tars_exchange_broken(ex, "the exposition did not fit");
        return;
    }
    tars_exchange_send_bytes(ex, 200,
                             is_open ? TARS_METRICS_OPENMETRICS_TYPE : TARS_METRICS_TEXT_TYPE,
                             ex->out.ptr, ex->out.len);
}
