/* ws_handshake - see ws_handshake.h. */
#include "net/ws_handshake.h"

#include "base/codec/base64.h"
#include "base/crypto/digest.h"
#include "net/http1.h"

#define KEY_CHARS  24
#define KEY_DIGITS 22

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static struct tars_span trim(struct tars_span text)
{
    while (text.len && is_blank(text.ptr[0])) {
        text.ptr++;
        text.len--;
    }
    while (text.len && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* Is word in the list, case ignored? */
static bool has_word(struct tars_span list, const char *word)
{
    while (list.len) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;

        if (tars_http1_is(trim(tars_span(list.ptr, len)), word))
            return true;
        list.ptr += len + (comma ? 1 : 0);
        list.len -= len + (comma ? 1 : 0);
    }
    return false;
}

/* In any of the headers of that name. */
static bool any_has_word(const struct tars_http_request *request, const char *name,
                         const char *word)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (tars_http1_is(request->headers[i].name, name) &&
            has_word(request->headers[i].value, word))
            return true;
    }
    return false;
}

/* The value of a header that is there once. */
static bool only_header(const struct tars_http_request *request, const char *name,
                        struct tars_span *value)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++) {
        if (!tars_http1_is(request->headers[i].name, name))
            continue;
        *value = request->headers[i].value;
        count++;
    }
    return count == 1;
}

/* Sixteen bytes in base64: 22 digits, of which the last has four bits to spare, and padding. Looked
 * at in place, so that no memory is no reason to answer 400. */
static bool key_is_good(struct tars_span key)
{
    if (key.len != KEY_CHARS || memcmp(key.ptr + KEY_DIGITS, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_DIGITS; i++) {
        char c = key.ptr[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            c != '+' && c != '/')
            return false;
    }
    return strchr("AQgw", key.ptr[KEY_DIGITS - 1]) != NULL;
}

bool tars_ws_handshake_check(const struct tars_http_request *request, int *status)
{
    struct tars_span value;

    *status = 0;
    if (!any_has_word(request, "upgrade", "websocket") ||
        !any_has_word(request, "connection", "upgrade"))
        return false;
    *status = 400;
    if (request->method != TARS_HTTP_GET || request->version_minor < 1 || request->body.len)
        return false;
    if (!only_header(request, "sec-websocket-key", &value) || !key_is_good(value))
        return false;
    if (!only_header(request, "sec-websocket-version", &value))
        return false;
    if (!tars_span_is(value, "13")) {
        *status = 426;
        return false;
    }
    *status = 0;
    return true;
}

tars_status tars_ws_handshake_answer(const struct tars_http_request *request, const char *protocol,
                                     struct tars_buf *out)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[TARS_SHA1_BYTES];
    char text[KEY_CHARS + sizeof(guid)];
    struct tars_span key;
    tars_status status;

    if (!only_header(request, "sec-websocket-key", &key) || key.len != KEY_CHARS)
        return TARS_EINVAL;
    if (protocol && !tars_http1_name_is_valid(tars_span_of(protocol)))
        return TARS_EINVAL;
    memcpy(text, key.ptr, KEY_CHARS);
    memcpy(text + KEY_CHARS, guid, sizeof(guid));
    status = tars_sha1(text, KEY_CHARS + sizeof(guid) - 1, digest);
    if (status)
        return status;
    tars_buf_append_text(out,
                         "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ");
    tars_base64_encode(out, TARS_BASE64, digest, sizeof(digest));
    tars_buf_append_text(out, "\r\n");
    if (protocol)
        tars_buf_appendf(out, "sec-websocket-protocol: %s\r\n", protocol);
    return out->status;
}
