/* ws_queue - see ws_queue.h. */
#include "net/ws_queue.h"

#include <stdlib.h>

#define CONTROL_ROOM ((size_t)3 * (2 + TARS_WS_CONTROL_MAX)) /* pong, ping, close */
#define CODE_NONE    1005

struct tars_ws_frame {
    struct tars_ws_frame *next;
    size_t len, taken; /* bytes; taken < len while it waits */
    char bytes[];      /* (len,) head and payload */
};

struct tars_ws_frame *tars_ws_frame_new(enum tars_ws_opcode opcode, const char *ptr, size_t len)
{
    struct tars_ws_frame *frame;
    size_t head;

    if (len > SIZE_MAX - sizeof(*frame) - TARS_WS_HEAD_MAX)
        return NULL;
    frame = malloc(sizeof(*frame) + TARS_WS_HEAD_MAX + len);
    if (!frame)
        return NULL;
    head = tars_ws_frame_head(frame->bytes, opcode, len);
    if (len)
        memcpy(frame->bytes + head, ptr, len);
    frame->next = NULL;
    frame->taken = 0;
    frame->len = head + len;
    return frame;
}

void tars_ws_frame_free(struct tars_ws_frame *frame)
{
    free(frame);
}

void tars_ws_queue_init(struct tars_ws_queue *queue, size_t max_messages, size_t max_bytes)
{
    *queue = (struct tars_ws_queue){.max_messages = max_messages, .max_bytes = max_bytes};
}

static void free_list(struct tars_ws_frame *frame)
{
    while (frame) {
        struct tars_ws_frame *next = frame->next;

        free(frame);
        frame = next;
    }
}

void tars_ws_queue_release(struct tars_ws_queue *queue)
{
    free_list(queue->first);
    queue->first = queue->last = NULL;
    queue->messages = queue->bytes = 0;
}

void tars_ws_queue_drop(struct tars_ws_queue *queue)
{
    struct tars_ws_frame *begun = queue->first;

    if (!begun || begun->taken == 0) {
        tars_ws_queue_release(queue);
        return;
    }
    free_list(begun->next);
    begun->next = NULL;
    queue->last = begun;
    queue->messages = 1;
    queue->bytes = begun->len - begun->taken;
}

/* ------------------------------------------------------------------- adding */

bool tars_ws_queue_has_room(const struct tars_ws_queue *queue, const struct tars_ws_frame *frame)
{
    size_t messages = queue->messages + queue->flying_messages;
    size_t bytes = queue->bytes + queue->flying_bytes;

    if (bytes == 0)
        return true;
    return messages < queue->max_messages && bytes < queue->max_bytes &&
           frame->len <= queue->max_bytes - bytes;
}

void tars_ws_queue_add(struct tars_ws_queue *queue, struct tars_ws_frame *frame)
{
    if (queue->last) {
        queue->last->next = frame;
    } else {
        queue->first = frame;
    }
    queue->last = frame;
    queue->messages++;
    queue->bytes += frame->len;
}

void tars_ws_queue_ping(struct tars_ws_queue *queue)
{
    queue->has_ping = true;
}

void tars_ws_queue_pong(struct tars_ws_queue *queue, struct tars_span payload)
{
    if (payload.len)
        memcpy(queue->pong, payload.ptr, payload.len);
    queue->pong_len = (uint8_t)payload.len;
    queue->has_pong = true;
}

/* Bytes of text that are at most max and end at a character. */
static size_t cut(const char *text, size_t max)
{
    size_t len = strlen(text);

    if (len <= max)
        return len;
    len = max;
    while (len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void tars_ws_queue_close(struct tars_ws_queue *queue, int code, const char *reason)
{
    size_t len = reason ? cut(reason, TARS_WS_REASON_MAX) : 0;

    if (queue->is_closing)
        return;
    queue->is_closing = true;
    queue->code = (uint16_t)code;
    if (len)
        memcpy(queue->reason, reason, len);
    queue->reason[len] = '\0';
}

/* ------------------------------------------------------------------- taking */

static size_t put_control(char *out, enum tars_ws_opcode opcode, const char *ptr, size_t len)
{
    size_t head = tars_ws_frame_head(out, opcode, len);

    if (len)
        memcpy(out + head, ptr, len);
    return head + len;
}

static size_t put_pings(struct tars_ws_queue *queue, char *out)
{
    size_t at = 0;

    if (queue->has_pong)
        at += put_control(out, TARS_WS_OP_PONG, queue->pong, queue->pong_len);
    if (queue->has_ping)
        at += put_control(out + at, TARS_WS_OP_PING, "", 0);
    queue->has_pong = queue->has_ping = false;
    return at;
}

static size_t put_close(struct tars_ws_queue *queue, char *out)
{
    char payload[TARS_WS_CONTROL_MAX];
    size_t len = strlen(queue->reason);

    queue->is_close_taken = true;
    if (queue->code == CODE_NONE)
        return put_control(out, TARS_WS_OP_CLOSE, "", 0);
    payload[0] = (char)(queue->code >> 8);
    payload[1] = (char)(queue->code & 0xff);
    memcpy(payload + 2, queue->reason, len);
    return put_control(out, TARS_WS_OP_CLOSE, payload, 2 + len);
}

/* Some of the first frame, at most max bytes. */
static size_t put_frame(struct tars_ws_queue *queue, char *out, size_t max)
{
    struct tars_ws_frame *frame = queue->first;
    size_t left = frame->len - frame->taken;
    size_t take = left < max ? left : max;

    memcpy(out, frame->bytes + frame->taken, take);
    frame->taken += take;
    queue->bytes -= take;
    if (take < left)
        return take;
    queue->first = frame->next;
    if (!queue->first)
        queue->last = NULL;
    queue->messages--;
    queue->flying_messages++;
    free(frame);
    return take;
}

static size_t fill(struct tars_ws_queue *queue, char *out, size_t max)
{
    size_t at = 0;

    if (!queue->first || queue->first->taken == 0)
        at = put_pings(queue, out);
    for (size_t room = max; queue->first && room;) {
        size_t took = put_frame(queue, out + at, room);

        at += took;
        room -= took;
    }
    if (!queue->first && queue->is_closing)
        at += put_close(queue, out + at);
    return at;
}

tars_status tars_ws_queue_take(struct tars_ws_queue *queue, size_t max_bytes, char **bytes,
                               size_t *len)
{
    size_t max = queue->bytes < max_bytes ? queue->bytes : max_bytes;
    bool has_control = queue->has_pong || queue->has_ping || queue->is_closing;
    char *out;

    if (queue->is_close_taken || (!queue->first && !has_control))
        return TARS_ENOTFOUND;
    out = malloc(max + CONTROL_ROOM);
    if (!out)
        return TARS_ENOMEM;
    *len = fill(queue, out, max);
    *bytes = out;
    queue->flying_bytes += *len;
    return TARS_OK;
}

void tars_ws_queue_landed(struct tars_ws_queue *queue)
{
    if (queue->flying_bytes)
        queue->slices++;
    queue->flying_messages = queue->flying_bytes = 0;
}
