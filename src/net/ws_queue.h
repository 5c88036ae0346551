/* ws_queue - what a WebSocket has to send, taken slice by slice.
 *
 *     _add() ---> frame -> frame -> frame ---- _take() ----> a slice: in flight until _landed()
 *     _pong(), _ping() ------------------------/   /
 *     _close() ---------- after all frames -------/
 *
 * Model     Pure but for memory: no lock, no clock, no connection.
 * Order     Frames leave as they came. A ping or pong waits for the end of the frame whose
 * beginning was taken, no longer. The close frame is the last: it needs no memory of its own, so
 *           that closing cannot fail, and after it nothing is taken.
 * Bounds    max_messages and max_bytes, heads and what is in flight included; one pong, the newest;
 *           one ping. An empty queue owns nothing.
 */
#ifndef TARS_NET_WS_QUEUE_H
#define TARS_NET_WS_QUEUE_H

#include "net/ws_frame.h"

struct tars_ws_frame;

/* Open for reading; only this module writes it. */
struct tars_ws_queue {
    size_t max_messages, max_bytes;
    struct tars_ws_frame *first, *last;   /* owned */
    size_t messages, bytes;               /* in the list */
    size_t flying_messages, flying_bytes; /* taken and not landed */
    unsigned slices;                      /* that landed; a waiting sender sees progress in it */
    bool has_ping, has_pong;
    bool is_closing;     /* no frame is added any more */
    bool is_close_taken; /* and all is said */
    uint16_t code;       /* of the close frame; 1005: it has none */
    uint8_t pong_len;    /* bytes */
    char pong[TARS_WS_CONTROL_MAX];
    char reason[TARS_WS_REASON_MAX + 1]; /* terminated */
};

void tars_ws_queue_init(struct tars_ws_queue *queue, size_t max_messages, size_t max_bytes);
void tars_ws_queue_release(struct tars_ws_queue *queue);

/* A whole message as a frame; NULL: no memory. */
struct tars_ws_frame *tars_ws_frame_new(enum tars_ws_opcode opcode, const char *ptr, size_t len);
void tars_ws_frame_free(struct tars_ws_frame *frame); /* NULL is allowed */

/* Is there room for it? A frame always fits into an empty queue. */
bool tars_ws_queue_has_room(const struct tars_ws_queue *queue, const struct tars_ws_frame *frame);
/* Takes frame, whatever the room. */
void tars_ws_queue_add(struct tars_ws_queue *queue, struct tars_ws_frame *frame);
void tars_ws_queue_ping(struct tars_ws_queue *queue);
void tars_ws_queue_pong(struct tars_ws_queue *queue, struct tars_span payload);
/* Close after what is there; the first code and reason count. reason may be NULL; it is cut at a
 * character. */
void tars_ws_queue_close(struct tars_ws_queue *queue, int code, const char *reason);
/* Forget the frames, but for the rest of one whose beginning was taken. */
void tars_ws_queue_drop(struct tars_ws_queue *queue);

/* The next slice: at most max_bytes of frames, and control frames. *bytes is the caller's to free.
 * TARS_ENOTFOUND: nothing to send; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_ws_queue_take(struct tars_ws_queue *queue, size_t max_bytes,
                                             char **bytes, size_t *len);
/* What was taken has been sent. */
void tars_ws_queue_landed(struct tars_ws_queue *queue);

#endif
