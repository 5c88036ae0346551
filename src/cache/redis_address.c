/* redis_address - see redis_address.h for the contract. */
#include "cache/redis_address.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535

tars_status tars_redis_address_set(struct tars_redis_address *address, struct tars_span host,
                                   int port)
{
    if (host.len == 0 || host.len >= sizeof(address->host) || memchr(host.ptr, 0, host.len) ||
        port < 1 || port > PORT_MAX)
        return TARS_EINVAL;
    memset(address->host, 0, sizeof(address->host));
    memcpy(address->host, host.ptr, host.len);
    address->port = port;
    return TARS_OK;
}

/* -1 where text is none. */
static int parse_port(struct tars_span text)
{
    int port = 0;

    if (text.len == 0 || text.len > 5)
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return -1;
        port = port * 10 + (text.ptr[i] - '0');
    }
    return port;
}

/* The colon before the port, or the end. An address of IPv6 without brackets has several and no
 * port, but for those that servers of Redis write: there the last one is taken. */
static size_t find_colon(struct tars_span text, bool needs_port)
{
    const char *last = text.len ? memrchr(text.ptr, ':', text.len) : NULL;
    const char *bracket = text.len ? memrchr(text.ptr, ']', text.len) : NULL;

    if (!last || (bracket && bracket > last))
        return text.len;
    if (!bracket && !needs_port && memchr(text.ptr, ':', text.len) != last)
        return text.len;
    return (size_t)(last - text.ptr);
}

tars_status tars_redis_address_parse(struct tars_span text, const char *host_default,
                                     int port_default, struct tars_redis_address *address)
{
    size_t colon = find_colon(text, port_default == 0);
    struct tars_span host = tars_span(text.ptr, colon);
    int port = port_default;

    if (colon < text.len)
        port = parse_port(tars_span(text.ptr + colon + 1, text.len - colon - 1));
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = tars_span(host.ptr + 1, host.len - 2);
    if (host.len == 0 && host_default)
        host = tars_span_of(host_default);
    return tars_redis_address_set(address, host, port);
}

static struct tars_span trimmed(const char *ptr, size_t len)
{
    while (len && (*ptr == ' ' || *ptr == '\t')) {
        ptr++;
        len--;
    }
    while (len && (ptr[len - 1] == ' ' || ptr[len - 1] == '\t'))
        len--;
    return tars_span(ptr, len);
}

tars_status tars_redis_address_list(const char *text, int port_default,
                                    struct tars_redis_address *addresses, size_t max, size_t *count,
                                    struct tars_err *err)
{
    size_t n = 0;

    while (*text) {
        size_t len = strcspn(text, ",");
        struct tars_span one = trimmed(text, len);

        if (n == max)
            return tars_fail(TARS_EINVAL, err, "there are over %zu addresses", max);
        if (tars_redis_address_parse(one, NULL, port_default, &addresses[n]) != TARS_OK) {
            return tars_fail(TARS_EINVAL, err, "\"%.*s\" is not a host:port", (int)one.len,
                             one.ptr);
        }
        n++;
        text += len + (text[len] == ',');
    }
    if (n == 0)
        return tars_fail(TARS_EINVAL, err, "there is no address");
    *count = n;
    return TARS_OK;
}

bool tars_redis_address_equal(const struct tars_redis_address *a,
                              const struct tars_redis_address *b)
{
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
