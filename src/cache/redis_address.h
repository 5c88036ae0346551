/* redis_address - where a server of Redis is, as people and servers of Redis write it. */
#ifndef TARS_CACHE_REDIS_ADDRESS_H
#define TARS_CACHE_REDIS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_REDIS_HOST_BYTES    256
#define TARS_REDIS_PORT_DEFAULT  6379
#define TARS_REDIS_PORT_SENTINEL 26379

struct tars_redis_address {
    char host[TARS_REDIS_HOST_BYTES]; /* terminated; without brackets */
    int port;                         /* 1..65535 */
};

/* host must fit and must not be empty. */
TARS_MUST_USE tars_status tars_redis_address_set(struct tars_redis_address *address,
                                                 struct tars_span host, int port);
/* "host", "host:port", "[::1]:port". port_default where it has none; 0: it must have one. An empty
 * host is fine where host_default is not NULL, and is that one. */
TARS_MUST_USE tars_status tars_redis_address_parse(struct tars_span text, const char *host_default,
                                                   int port_default,
                                                   struct tars_redis_address *address);
/* As many as are joined by commas in text, at most max; blanks around them are skipped. */
TARS_MUST_USE tars_status tars_redis_address_list(const char *text, int port_default,
                                                  struct tars_redis_address *addresses, size_t max,
                                                  size_t *count, struct tars_err *err);
bool tars_redis_address_equal(const struct tars_redis_address *a,
                              const struct tars_redis_address *b);

#endif
