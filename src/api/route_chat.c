/* route_chat - the way to a chat socket, and what is told about them: contract 1.7, 2. */
#include "api/access.h"
#include "api/api_internal.h"
#include "api/chat.h"

/* The contract wants 403 for whatever is wrong with the credential. */
static void refuse(struct tars_exchange *ex)
{
    if (ex->refused) {
        tars_exchange_fail(ex, 403, ex->refused);
    } else {
        tars_access_refuse_nobody(ex);
    }
}

void tars_route_chat(struct tars_exchange *ex)
{
    int status = 0;

    if (!ex->request || !tars_ws_is_upgrade(ex->request, &status)) {
        ex->wants_upgrade = true;
        tars_exchange_fail(ex, status == 400 ? 400 : 426,
                           status == 400 ? "Bad WebSocket handshake" : "Upgrade Required");
    } else if (ex->refused || ex->caller.credential == TARS_CREDENTIAL_NONE) {
        refuse(ex);
    } else if (ex->caller.role < TARS_ROLE_READER) {
        tars_exchange_fail(ex, 403, "This operation needs the role reader");
    } else {
        tars_chat_open(ex->api->chat, ex);
    }
}

void tars_route_chat_health(struct tars_exchange *ex)
{
    struct tars_json *json = &ex->json;
    bool well = tars_health_check(ex->api->config.health, "language_model", NULL) == TARS_OK;
    struct tars_chat_stats stats;

    tars_chat_stats(ex->api->chat, &stats);
    tars_exchange_json(ex);
    tars_json_text(json, "status", "healthy");
    tars_json_text(json, "service", "websocket");
    tars_exchange_time(ex, "timestamp");
    tars_json_text(json, "ollama_status", well ? "healthy" : "unhealthy");
    tars_json_object(json, "metrics");
    tars_json_int(json, "active_connections", stats.active_connections);
    tars_json_int(json, "unique_clients", stats.unique_clients);
    tars_json_int(json, "total_connections", stats.total_connections);
    tars_json_int(json, "total_messages", stats.total_messages);
    tars_json_int(json, "total_tokens", stats.total_tokens);
    tars_json_int(json, "total_errors", stats.total_errors);
    tars_json_int(json, "max_connections", stats.max_connections);
    tars_json_end(json);
    tars_exchange_send(ex, 200);
}

/* In mode open the contract leaves it open; but addresses are for admins. */
void tars_route_chat_sessions(struct tars_exchange *ex)
{
    bool is_admin = ex->caller.role >= TARS_ROLE_ADMIN;

    if (!is_admin && tars_auth_mode(ex->api->config.auth) != TARS_AUTH_OPEN) {
        tars_exchange_fail(ex, 403, "Admin privileges required for this operation");
        return;
    }
    tars_exchange_json(ex);
    tars_chat_write_sessions(ex->api->chat, &ex->json,
                             ex->caller.is_system ? NULL : ex->caller.tenant, is_admin);
    tars_exchange_time(ex, "timestamp");
    tars_exchange_send(ex, 200);
}
