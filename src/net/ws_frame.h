/* ws_frame - the frames of a WebSocket (RFC 6455, 5), read and written; the server's side.
 *
 *     while ((status = tars_ws_reader_next(&reader, &ptr, &len, &event)) == TARS_OK)
 *         a piece of a message, or a control frame
 *     TARS_EAGAIN: feed more; else close with reader.code and reader.why
 *
 *      0               1               2 ...
 *     +-+-+-+-+-------+-+-------------+------------------+----------+---------
 *     |F|R|R|R| opcode|M| length < 126| or 126 + 16 bits | key,     | payload
 *     |I|S|S|S|       |A| 126, 127    | or 127 + 64 bits | 4 bytes  | xor key
 *     |N|V|V|V|       |S|             | the shortest     | client's | again
 *     +-+-+-+-+-------+-+-------------+------------------+----------+---------
 *
 * Model     Pure: no allocation. Payload of messages is unmasked where it lies, in the caller's
 *           bytes; that of a control frame, which may come in pieces, is collected in the reader.
 *           What messages and control frames come out does not depend on how the bytes are cut.
 * Strict    RSV bits, reserved opcodes, frames without a mask, control frames that are fragmented
 *           or longer than 125, lengths that are not the shortest form or have 64 bits, a message
 *           begun within another: 1002. Text that is not UTF-8 is refused at its first wrong byte,
 *           not at its end: 1007. A message that is going to be too large is refused at the header
 *           that says so: 1009.
 * Cost      A reader is 184 bytes and keeps nothing of a message.
 */
#ifndef TARS_NET_WS_FRAME_H
#define TARS_NET_WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"

#define TARS_WS_CONTROL_MAX 125 /* bytes of a control frame's payload */
#define TARS_WS_REASON_MAX  123 /* bytes of a close frame's reason */
#define TARS_WS_HEAD_MAX    10  /* bytes of a head that we write */

enum tars_ws_opcode {
    TARS_WS_OP_CONTINUATION = 0,
    TARS_WS_OP_TEXT = 1,
    TARS_WS_OP_BINARY = 2,
    TARS_WS_OP_CLOSE = 8,
    TARS_WS_OP_PING = 9,
    TARS_WS_OP_PONG = 10,
};

/* What is known of a text that comes in pieces; all zero at its beginning. */
struct tars_ws_utf8 {
    uint8_t left;      /* bytes that the character under way still wants */
    uint8_t low, high; /* bounds of the next one, while left > 0 */
};

/* Open: _init() sets the first group; after a failure code and why are read. */
struct tars_ws_reader {
    size_t max_message; /* bytes */
    bool text_only;     /* binary messages: 1003 */

    uint8_t state;            /* private, and so is all down to code */
    uint8_t opcode;           /* of the frame at hand */
    bool is_final;            /* of the frame at hand */
    uint8_t kind;             /* TEXT or BINARY while a message is under way, else 0 */
    bool has_pieces;          /* of it, some were given */
    uint8_t key[4];           /* mask */
    uint8_t at;               /* bytes of the length or key read so far; then place in the key */
    uint8_t length_bytes;     /* 0, 2 or 8 bytes of length after the second byte */
    struct tars_ws_utf8 text; /* of the message under way */
    uint64_t left;            /* bytes of payload that are not read yet */
    uint64_t message;         /* bytes of the message, as far as its frames' heads have said */
    uint8_t control_len;      /* bytes in control */
    char control[TARS_WS_CONTROL_MAX];

    uint16_t code;   /* after a failure: what to close with */
    const char *why; /* and static words for it */
};

/* What _next() found. */
struct tars_ws_event {
    enum tars_ws_opcode opcode; /* TEXT or BINARY for a piece of a message, of whichever frame */
    struct tars_span data; /* piece: in the caller's bytes; control: in the reader, until _next() */
    bool is_first, is_last; /* piece: of its message; a last one may be empty */
    uint16_t code;          /* CLOSE: its code, 1005 if it has none; data is the reason then */
};

void tars_ws_reader_init(struct tars_ws_reader *reader, size_t max_message_bytes, bool text_only);

/* Take what is known off (*ptr, *len), which is changed where it is masked.
 *
 *   TARS_OK      *event is the next piece or control frame
 *   TARS_EAGAIN  the bytes are used up
 *   TARS_EFORMAT refused, for good: see code and why
 */
TARS_MUST_USE tars_status tars_ws_reader_next(struct tars_ws_reader *reader, char **ptr,
                                              size_t *len, struct tars_ws_event *event);

/* Write the head of an unmasked, final frame with length bytes of payload. Returns its bytes; out
 * has TARS_WS_HEAD_MAX. */
size_t tars_ws_frame_head(char *out, enum tars_ws_opcode opcode, uint64_t length);

/* Go on with a text: false at the first byte that no UTF-8 text can have there. It is complete when
 * left is 0. */
bool tars_ws_utf8_feed(struct tars_ws_utf8 *text, const char *ptr, size_t len);
/* May a close frame carry it? 1000 to 1003, 1007 to 1014, 3000 to 4999. */
bool tars_ws_close_code_is_valid(uint16_t code);

#endif
