/* Frames of a WebSocket: whole and cut must give the same messages, control frames and verdict. The
 * first byte of the input says how large the pieces are, and whether only text is allowed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/ws_frame.h"

#define MAX_MESSAGE 300

struct result {
    tars_status status;
    uint16_t code;
    uint64_t sum; /* of all that came out */
    size_t messages, controls;
};

static void check(bool fine)
{
    if (!fine)
        abort();
}

static void add(struct result *result, uint64_t value)
{
    result->sum = result->sum * 1099511628211ULL + value + 1;
}

static void add_bytes(struct result *result, const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++)
        add(result, (unsigned char)ptr[i]);
}

struct message {
    char bytes[MAX_MESSAGE];
    size_t len;
};

static void take(struct result *result, struct message *message, const struct tars_ws_event *event)
{
    struct tars_ws_utf8 text = {0};

    if (event->opcode >= TARS_WS_OP_CLOSE) {
        check(event->data.len <= TARS_WS_CONTROL_MAX);
        add(result, event->opcode);
        add(result, event->code);
        add_bytes(result, event->data.ptr, event->data.len);
        result->controls++;
        return;
    }
    check(!event->is_first || message->len == 0);
    check(event->data.len <= MAX_MESSAGE - message->len);
    if (event->data.len)
        memcpy(message->bytes + message->len, event->data.ptr, event->data.len);
    message->len += event->data.len;
    if (!event->is_last)
        return;
    check(event->opcode != TARS_WS_OP_TEXT ||
          (tars_ws_utf8_feed(&text, message->bytes, message->len) && text.left == 0));
    add(result, event->opcode);
    add_bytes(result, message->bytes, message->len);
    message->len = 0;
    result->messages++;
}

static struct result read_all(const char *ptr, size_t len, size_t step, bool text_only)
{
    struct tars_ws_reader reader;
    struct message message = {.len = 0};
    struct result result;

    memset(&result, 0, sizeof(result));
    result.status = TARS_EAGAIN;
    tars_ws_reader_init(&reader, MAX_MESSAGE, text_only);
    for (size_t at = 0; at < len && result.status == TARS_EAGAIN; at += step) {
        size_t n = step < len - at ? step : len - at;
        char *exact = malloc(n); /* what is read past it is found */
        char *rest = exact;
        struct tars_ws_event event;

        memcpy(exact, ptr + at, n);
        while ((result.status = tars_ws_reader_next(&reader, &rest, &n, &event)) == TARS_OK)
            take(&result, &message, &event);
        check(result.status != TARS_EAGAIN || n == 0);
        free(exact);
    }
    check((result.status == TARS_EFORMAT) == (reader.code != 0));
    result.code = reader.code;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole, cut;
    const char *ptr;
    size_t step;
    bool text_only;

    if (size < 2 || size > 4096)
        return 0;
    ptr = (const char *)data + 1;
    step = (size_t)data[0] % 64 + 1;
    text_only = data[0] & 0x80;
    whole = read_all(ptr, size - 1, size, text_only);
    cut = read_all(ptr, size - 1, step, text_only);
    check(memcmp(&whole, &cut, sizeof(whole)) == 0);
    return 0;
}
