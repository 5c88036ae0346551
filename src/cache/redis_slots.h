/* redis_slots - which slot of a cluster a key has, and what a cluster says about its slots.
 *
 * A cluster divides keys over TARS_REDIS_SLOTS slots by CRC-16 (XMODEM) of the key, or of what
 * stands between its first "{" and the next "}", if that is not nothing (Redis cluster
 * specification).
 */
#ifndef TARS_CACHE_REDIS_SLOTS_H
#define TARS_CACHE_REDIS_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "cache/redis_address.h"
#include "cache/redis_wire.h"

#define TARS_REDIS_SLOTS 16384

uint16_t tars_redis_slot(struct tars_span key);

/* The slots first..last are at master. Stops and returns what is not TARS_OK. */
typedef tars_status tars_redis_slots_fn(void *ctx, const struct tars_redis_address *master,
                                        int first, int last);
/* Read the reply of CLUSTER SLOTS; asked is the server that gave it, for hosts that it leaves out.
 * Ranges that make no sense are passed over. TARS_EFORMAT: it is no such reply. */
TARS_MUST_USE tars_status tars_redis_slots_read(const struct tars_redis_reply *reply,
                                                const struct tars_redis_address *asked,
                                                tars_redis_slots_fn *each, void *ctx);

/* An error "MOVED 866 10.0.0.1:6379" or "ASK ...". False where the reply is neither. */
bool tars_redis_redirect_read(const struct tars_redis_reply *reply, const char *host_asked,
                              struct tars_redis_address *address, uint16_t *slot, bool *is_ask);

#endif
