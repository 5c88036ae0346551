/* Networks in the first line, the peer in the second, lines of X-Forwarded-For after them. Who is
 * found is an address, or the peer as it was given. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/proxies.h"

#define HEADERS 8

static struct tars_span take_line(struct tars_span *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct tars_span line = tars_span(rest->ptr, len);

    *rest = tars_span(rest->ptr + len + (end != NULL), rest->len - len - (end != NULL));
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_span rest = tars_span((const char *)data, size);
    struct tars_http_header headers[HEADERS];
    struct tars_http_request request = {.headers = headers};
    struct tars_proxies *proxies = NULL;
    struct tars_span networks = take_line(&rest);
    struct tars_span peer = take_line(&rest);
    unsigned char bytes[16];
    char list[512];
    char found[TARS_HTTP_PEER_BYTES];

    if (networks.len >= sizeof(list) || peer.len >= sizeof(request.peer))
        return 0;
    if (networks.len > 0)
        memcpy(list, networks.ptr, networks.len);
    list[networks.len] = '\0';
    if (peer.len > 0)
        memcpy(request.peer, peer.ptr, peer.len);
    while (rest.len > 0 && request.header_count < HEADERS) {
        headers[request.header_count] = (struct tars_http_header){
            tars_span_of(request.header_count % 2 ? "x-forwarded-for" : "X-Forwarded-Proto"),
            take_line(&rest)};
        request.header_count++;
    }
    if (tars_proxies_new(list, &proxies, NULL) != TARS_OK)
        return 0;
    tars_proxies_client(proxies, &request, found);
    if (inet_pton(AF_INET, found, bytes) != 1 && inet_pton(AF_INET6, found, bytes) != 1 &&
        memcmp(found, request.peer, sizeof(found)) != 0)
        abort();
    (void)tars_proxies_is_https(proxies, &request);
    tars_proxies_free(proxies);
    return 0;
}
