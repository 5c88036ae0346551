/* api_internal - what the files of this room share. */
#ifndef TARS_API_API_INTERNAL_H
#define TARS_API_API_INTERNAL_H

#include <stdatomic.h>

#include "api/api.h"
#include "api/exchange.h"
#include "api/live.h"
#include "api/machine.h"
#include "api/routes.h"
#include "base/sys/clock.h"

struct tars_refresh;
struct tars_tally;
struct tars_chat;
struct tars_at_once;

struct tars_api {
    struct tars_chat *chat;             /* the sockets of /ws/chat; owned */
    struct tars_live_box *live;         /* what may change of config; owned */
    struct tars_tally *tally;           /* what tally.c keeps; owned */
    struct tars_machine_watch *machine; /* owned */
    struct tars_refresh *gauges;        /* reads them before they are told; owned */
    struct tars_at_once *at_once;       /* questions of each caller; owned */
    struct tars_api_config config;      /* with every default filled in */
    atomic_bool is_draining;
    atomic_size_t max_upload_bytes; /* of one file, as it is now */
    int64_t started_us;             /* wall clock */
    int64_t started_ms;             /* monotonic */
    char *openapi;                  /* the document of openapi.h, openapi_len bytes; owned */
    size_t openapi_len;
};

#define TARS_API_STOPPING "The server is stopping; try again in a moment"

bool tars_api_is_draining(const struct tars_api *api);
/* As config.may_answer; TARS_OK where there is none. */
TARS_MUST_USE tars_status tars_api_may_answer(const struct tars_api *api, struct tars_err *err);

#define TARS_API_ID_BYTES 16 /* of a request's id; twice as many digits */

TARS_MUST_USE tars_status tars_tally_new(struct tars_tally **tally);
void tars_tally_free(struct tars_tally *tally);
/* A new one, terminated, into id (TARS_REQUEST_ID_BYTES). Any thread. */
void tars_api_new_id(const struct tars_api *api, char *id);
/* Count the reply in metrics and log it; called before it is given away. */
void tars_api_record(struct tars_exchange *ex, int status);
/* "GET". */
const char *tars_api_method_name(enum tars_http_method method);

/* A request is turned away: "rate_limit", "quota", "at_once", "busy" or "too_large". What is turned
 * away by size is known by its status, 413, and counted with the reply. */
void tars_api_count_rejected(const struct tars_api *api, const char *reason);

/* Reply for a status that a room gave. what says what was tried, for the log. */
void tars_api_reply_status(struct tars_exchange *ex, tars_status status,
                           const struct tars_err *err);

/* Answer a search from what is kept, on the loop thread; false: it has to be searched for. Never
 * waits. */
bool tars_route_rag_search_recalled(struct tars_exchange *ex);

/* The time this takes does not depend on where the texts differ. */
bool tars_api_same_secret(struct tars_span given, const char *secret);

/* "service" and "version". */
void tars_api_name_service(struct tars_exchange *ex);
int64_t tars_api_uptime_seconds(const struct tars_exchange *ex);
/* True when the part of the health registry is there and well. */
bool tars_api_is_well(const struct tars_exchange *ex, const char *part);
/* "success", "already_indexed" or "failed". */
const char *tars_api_taken_status(enum tars_taken_outcome outcome);
/* The contract's Upload, into an object that is open. */
void tars_api_write_taken(struct tars_exchange *ex, const struct tars_taken *taken);

/* "when": a time in the contract's shape. */
void tars_api_write_time(struct tars_json *json, const char *key, int64_t wall_us);

/* (ptr, len) of an embedded page of the web UI. */
struct tars_asset {
    const char *name;
    const char *content_type;
    const unsigned char *ptr;
    size_t len;
};
extern const struct tars_asset tars_assets[];
extern const size_t tars_asset_count;

/* Send the page called name, or 404. */
void tars_api_send_asset(struct tars_exchange *ex, struct tars_span name);

#endif
