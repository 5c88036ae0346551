/* proxies - see proxies.h for the contract. */
#include "api/proxies.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS    ", \t"
#define ADDRESS_BYTES 16
#define V4_PREFIX     12 /* bytes before the IPv4 address in its IPv6 form */
#define ENTRY_MAX     63 /* characters of an entry */

/* In IPv6 form, so that one comparison serves both families. */
struct address {
    unsigned char bytes[ADDRESS_BYTES];
};

struct network {
    struct address base;
    unsigned bits; /* of base that count, 0..128 */
};

struct tars_proxies {
    size_t count;
    struct network networks[TARS_PROXIES_MAX];
};

static const unsigned char v4_prefix[V4_PREFIX] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_four(const struct address *address)
{
    return memcmp(address->bytes, v4_prefix, V4_PREFIX) == 0;
}

/* text without port, brackets or zone. */
static bool parse_address(struct tars_span text, struct address *out)
{
    char copy[ENTRY_MAX + 1];

    if (text.len == 0 || text.len > ENTRY_MAX)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, out->bytes + V4_PREFIX) == 1) {
        memcpy(out->bytes, v4_prefix, V4_PREFIX);
        return true;
    }
    return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

static void print_address(const struct address *address, char *out)
{
    const char *done =
        is_four(address) ? inet_ntop(AF_INET, address->bytes + V4_PREFIX, out, TARS_HTTP_PEER_BYTES)
                         : inet_ntop(AF_INET6, address->bytes, out, TARS_HTTP_PEER_BYTES);

    if (!done)
        out[0] = '\0';
}

/* A number of at most max; false when text is none. */
static bool parse_bits(struct tars_span text, unsigned max, unsigned *out)
{
    unsigned value = 0;

    if (text.len == 0 || text.len > 3)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        value = value * 10 + (unsigned)(text.ptr[i] - '0');
    }
    *out = value;
    return value <= max;
}

static bool parse_network(struct tars_span text, struct network *out)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    size_t len = slash ? (size_t)(slash - text.ptr) : text.len;
    unsigned skip;

    if (!parse_address(tars_span(text.ptr, len), &out->base))
        return false;
    skip = memchr(text.ptr, ':', len) ? 0 : V4_PREFIX * 8;
    out->bits = 128;
    if (slash && !parse_bits(tars_span(slash + 1, text.len - len - 1), 128 - skip, &out->bits))
        return false;
    if (slash)
        out->bits += skip;
    return true;
}

tars_status tars_proxies_new(const char *list, struct tars_proxies **proxies, struct tars_err *err)
{
    struct tars_proxies *made = calloc(1, sizeof(*made));
    const char *at = list ? list : "";

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the proxies");
    for (;;) {
        size_t len;

        at += strspn(at, SEPARATORS);
        len = strcspn(at, SEPARATORS);
        if (len == 0)
            break;
        if (made->count == TARS_PROXIES_MAX ||
            !parse_network(tars_span(at, len), &made->networks[made->count])) {
            bool full = made->count == TARS_PROXIES_MAX;

            free(made);
            return tars_fail(TARS_EINVAL, err,
                             full ? "\"%.*s\" is one network too many (64 at most)"
                                  : "\"%.*s\" is no address or network such as 10.0.0.0/8",
                             (int)len, at);
        }
        made->count++;
        at += len;
    }
    *proxies = made;
    return TARS_OK;
}

void tars_proxies_free(struct tars_proxies *proxies)
{
    free(proxies);
}

static bool is_in(const struct network *network, const struct address *address)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    unsigned mask = 0xffU << (8 - rest) & 0xffU;

    /* "::/0" is IPv6 alone. */
    if (is_four(address) && !(network->bits >= V4_PREFIX * 8 && is_four(&network->base)))
        return false;
    if (memcmp(network->base.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->base.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

static bool trusts(const struct tars_proxies *proxies, const struct address *address)
{
    for (size_t i = 0; proxies && i < proxies->count; i++) {
        if (is_in(&proxies->networks[i], address))
            return true;
    }
    return false;
}

static bool trusts_text(const struct tars_proxies *proxies, const char *text)
{
    struct address address;

    return parse_address(tars_span_of(text), &address) && trusts(proxies, &address);
}

/* ---------------------------------------------------------- X-Forwarded-For */

static struct tars_span trimmed(struct tars_span text)
{
    while (text.len > 0 && (text.ptr[0] == ' ' || text.ptr[0] == '\t'))
        text = tars_span(text.ptr + 1, text.len - 1);
    while (text.len > 0 && (text.ptr[text.len - 1] == ' ' || text.ptr[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* Take the last entry off *list; false when it is empty. */
static bool take_last(struct tars_span *list, struct tars_span *entry)
{
    const char *comma = list->len ? memrchr(list->ptr, ',', list->len) : NULL;
    size_t start = comma ? (size_t)(comma - list->ptr) + 1 : 0;

    if (list->len == 0)
        return false;
    *entry = trimmed(tars_span(list->ptr + start, list->len - start));
    list->len = comma ? start - 1 : 0;
    return true;
}

/* "1.2.3.4", "1.2.3.4:56", "[::1]:56", "::1": some proxies write the port too. */
static bool parse_entry(struct tars_span entry, struct address *out)
{
    const char *colon;
    const char *end;

    if (entry.len > 0 && entry.ptr[0] == '[') {
        end = memchr(entry.ptr, ']', entry.len);
        return end && parse_address(tars_span(entry.ptr + 1, (size_t)(end - entry.ptr) - 1), out);
    }
    colon = entry.len ? memchr(entry.ptr, ':', entry.len) : NULL;
    if (colon && memchr(entry.ptr, '.', entry.len) && colon == memrchr(entry.ptr, ':', entry.len))
        entry.len = (size_t)(colon - entry.ptr);
    return parse_address(entry, out);
}

static bool is_named(const struct tars_http_header *header, const char *name)
{
    size_t len = strlen(name);

    return header->name.len == len && strncasecmp(header->name.ptr, name, len) == 0;
}

/* Walk one header from its right end. False: the walk ends at *client. */
static bool walk(const struct tars_proxies *proxies, struct tars_span list, struct address *client)
{
    struct tars_span entry;
    struct address found;

    while (take_last(&list, &entry)) {
        if (!parse_entry(entry, &found))
            return false;
        *client = found;
        if (!trusts(proxies, &found))
            return false;
    }
    return true;
}

void tars_proxies_client(const struct tars_proxies *proxies,
                         const struct tars_http_request *request, char *out)
{
    struct address client;

    memcpy(out, request->peer, TARS_HTTP_PEER_BYTES);
    if (!parse_address(tars_span_of(request->peer), &client))
        return;
    if (trusts(proxies, &client)) {
        /* Lines of one name are one list, in their order. */
        for (size_t i = request->header_count; i > 0; i--) {
            const struct tars_http_header *header = &request->headers[i - 1];

            if (is_named(header, "x-forwarded-for") && !walk(proxies, header->value, &client))
                break;
        }
    }
    print_address(&client, out);
}

bool tars_proxies_is_https(const struct tars_proxies *proxies,
                           const struct tars_http_request *request)
{
    struct tars_span entry;

    if (request->is_tls)
        return true;
    if (!trusts_text(proxies, request->peer))
        return false;
    /* What the nearest proxy wrote is the last entry of the last line. */
    for (size_t i = request->header_count; i > 0; i--) {
        struct tars_span list = request->headers[i - 1].value;

        if (is_named(&request->headers[i - 1], "x-forwarded-proto")) {
            return take_last(&list, &entry) && entry.len == 5 &&
                   strncasecmp(entry.ptr, "https", 5) == 0;
        }
    }
    return false;
}
