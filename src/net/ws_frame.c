/* ws_frame - see ws_frame.h for the contract. */
#include "net/ws_frame.h"

#define FINAL        0x80
#define RESERVED     0x70
#define OPCODE       0x0f
#define MASKED       0x80
#define LENGTH       0x7f
#define LENGTH_16    126
#define LENGTH_64    127
#define ASCII_STEP   8
#define NO_ASCII     0x8080808080808080ULL /* bits that eight ASCII bytes do not have */
#define CODE_NONE    1005
#define CODE_FORMAT  1002
#define CODE_BINARY  1003
#define CODE_TEXT    1007
#define CODE_TOO_BIG 1009

enum state { FIRST, SECOND, EXTENDED, KEY, PAYLOAD, BAD };

/* -------------------------------------------------------------------- UTF-8 */

/* The byte that a character begins with says how many follow, and bounds the first of them so that
 * overlong forms, surrogates and what lies beyond U+10FFFF cannot be written. */
static bool begin_character(struct tars_ws_utf8 *text, uint8_t c)
{
    static const struct {
        uint8_t first, last, left, low, high;
    } kinds[] = {
        {0x00, 0x7f, 0, 0x80, 0xbf}, {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf},
        {0xe1, 0xec, 2, 0x80, 0xbf}, {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf},
        {0xf0, 0xf0, 3, 0x90, 0xbf}, {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (c < kinds[i].first || c > kinds[i].last)
            continue;
        text->left = kinds[i].left;
        text->low = kinds[i].low;
        text->high = kinds[i].high;
        return true;
    }
    return false;
}

static bool is_ascii(const char *ptr)
{
    uint64_t eight;

    memcpy(&eight, ptr, sizeof(eight));
    return (eight & NO_ASCII) == 0;
}

bool tars_ws_utf8_feed(struct tars_ws_utf8 *text, const char *ptr, size_t len)
{
    size_t i = 0;

    while (i < len) {
        uint8_t c = (uint8_t)ptr[i];

        if (text->left == 0 && len - i >= ASCII_STEP && is_ascii(ptr + i)) {
            i += ASCII_STEP;
            continue;
        }
        i++;
        if (text->left == 0) {
            if (!begin_character(text, c))
                return false;
            continue;
        }
        if (c < text->low || c > text->high)
            return false;
        text->left--;
        text->low = 0x80;
        text->high = 0xbf;
    }
    return true;
}

/* ------------------------------------------------------------------ reading */

bool tars_ws_close_code_is_valid(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

void tars_ws_reader_init(struct tars_ws_reader *reader, size_t max_message_bytes, bool text_only)
{
    *reader = (struct tars_ws_reader){
        .max_message = max_message_bytes, .text_only = text_only, .state = FIRST};
}

static tars_status refuse(struct tars_ws_reader *reader, uint16_t code, const char *why)
{
    reader->state = BAD;
    reader->code = code;
    reader->why = why;
    return TARS_EFORMAT;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= TARS_WS_OP_CLOSE;
}

static tars_status check_data(struct tars_ws_reader *reader)
{
    if (reader->opcode == TARS_WS_OP_CONTINUATION && reader->kind)
        return TARS_OK;
    if (reader->opcode == TARS_WS_OP_CONTINUATION)
        return refuse(reader, CODE_FORMAT, "a continuation of nothing");
    if (reader->kind)
        return refuse(reader, CODE_FORMAT, "a message within a message");
    if (reader->opcode == TARS_WS_OP_BINARY && reader->text_only)
        return refuse(reader, CODE_BINARY, "only text is understood here");
    reader->kind = reader->opcode;
    reader->message = 0;
    reader->text = (struct tars_ws_utf8){0};
    return TARS_OK;
}

static tars_status read_first(struct tars_ws_reader *reader, uint8_t c)
{
    reader->is_final = c & FINAL;
    reader->opcode = c & OPCODE;
    reader->state = SECOND;
    if (c & RESERVED)
        return refuse(reader, CODE_FORMAT, "a reserved bit is set");
    if ((reader->opcode > TARS_WS_OP_BINARY && reader->opcode < TARS_WS_OP_CLOSE) ||
        reader->opcode > TARS_WS_OP_PONG)
        return refuse(reader, CODE_FORMAT, "an opcode that is reserved");
    if (!is_control(reader->opcode))
        return check_data(reader);
    return reader->is_final ? TARS_OK : refuse(reader, CODE_FORMAT, "a control frame in fragments");
}

/* The length is known: may it be so long? */
static tars_status check_length(struct tars_ws_reader *reader)
{
    reader->state = KEY;
    reader->at = 0;
    if (is_control(reader->opcode)) {
        reader->control_len = 0;
        return reader->opcode == TARS_WS_OP_CLOSE && reader->left == 1
                   ? refuse(reader, CODE_FORMAT, "a close frame with half a code")
                   : TARS_OK;
    }
    if (reader->left > reader->max_message - reader->message)
        return refuse(reader, CODE_TOO_BIG, "the message is too large");
    reader->message += reader->left;
    return TARS_OK;
}

static tars_status read_second(struct tars_ws_reader *reader, uint8_t c)
{
    uint8_t length = c & LENGTH;

    if (!(c & MASKED))
        return refuse(reader, CODE_FORMAT, "a frame without a mask");
    if (is_control(reader->opcode) && length > TARS_WS_CONTROL_MAX)
        return refuse(reader, CODE_FORMAT, "a control frame that is too long");
    reader->at = 0;
    if (length < LENGTH_16) {
        reader->left = length;
        return check_length(reader);
    }
    reader->left = 0;
    reader->length_bytes = length == LENGTH_16 ? 2 : 8;
    reader->state = EXTENDED;
    return TARS_OK;
}

static tars_status read_extended(struct tars_ws_reader *reader, uint8_t c)
{
    if (reader->at == 0 && reader->length_bytes == 8 && c & 0x80)
        return refuse(reader, CODE_FORMAT, "a length of 64 bits");
    reader->left = reader->left << 8 | c;
    if (++reader->at < reader->length_bytes)
        return TARS_OK;
    if (reader->left < (reader->length_bytes == 2 ? LENGTH_16 : 0x10000))
        return refuse(reader, CODE_FORMAT, "a length that is not in its shortest form");
    return check_length(reader);
}

static tars_status read_key(struct tars_ws_reader *reader, uint8_t c)
{
    reader->key[reader->at++] = c;
    if (reader->at == sizeof(reader->key)) {
        reader->state = PAYLOAD;
        reader->at = 0;
    }
    return TARS_OK;
}

/* One byte of a head. */
static tars_status step(struct tars_ws_reader *reader, uint8_t c)
{
    switch ((enum state)reader->state) {
    case FIRST:
        return read_first(reader, c);
    case SECOND:
        return read_second(reader, c);
    case EXTENDED:
        return read_extended(reader, c);
    default:
        return read_key(reader, c);
    }
}

/* Eight bytes at a time: the key is repeated in a word, turned to where it begins. */
static void unmask(struct tars_ws_reader *reader, char *ptr, size_t len)
{
    char turned[8];
    uint64_t key;
    size_t i = 0;

    for (size_t k = 0; k < sizeof(turned); k++)
        turned[k] = (char)reader->key[(reader->at + k) % 4];
    memcpy(&key, turned, sizeof(key));
    for (; len - i >= sizeof(key); i += sizeof(key)) {
        uint64_t eight;

        memcpy(&eight, ptr + i, sizeof(eight));
        eight ^= key;
        memcpy(ptr + i, &eight, sizeof(eight));
    }
    for (size_t k = 0; i < len; i++, k++)
        ptr[i] = (char)(ptr[i] ^ turned[k]);
    reader->at = (uint8_t)((reader->at + len) % 4);
}

/* All of a close frame has come. */
static tars_status finish_close(struct tars_ws_reader *reader, struct tars_ws_event *event)
{
    const unsigned char *bytes = (const unsigned char *)reader->control;
    struct tars_ws_utf8 text = {0};

    event->code = CODE_NONE;
    if (event->data.len == 0)
        return TARS_OK;
    event->code = (uint16_t)(bytes[0] << 8 | bytes[1]);
    event->data.ptr += 2;
    event->data.len -= 2;
    if (!tars_ws_close_code_is_valid(event->code))
        return refuse(reader, CODE_FORMAT, "a close code that may not be sent");
    if (!tars_ws_utf8_feed(&text, event->data.ptr, event->data.len) || text.left)
        return refuse(reader, CODE_TEXT, "a reason that is not UTF-8");
    return TARS_OK;
}

static tars_status take_control(struct tars_ws_reader *reader, char *ptr, size_t take,
                                struct tars_ws_event *event)
{
    if (take)
        memcpy(reader->control + reader->control_len, ptr, take);
    reader->control_len = (uint8_t)(reader->control_len + take);
    if (reader->left)
        return TARS_EAGAIN;
    reader->state = FIRST;
    *event = (struct tars_ws_event){.opcode = (enum tars_ws_opcode)reader->opcode,
                                    .data = tars_span(reader->control, reader->control_len)};
    return reader->opcode == TARS_WS_OP_CLOSE ? finish_close(reader, event) : TARS_OK;
}

static tars_status take_piece(struct tars_ws_reader *reader, char *ptr, size_t take,
                              struct tars_ws_event *event)
{
    bool is_last = reader->is_final && reader->left == 0;

    if (reader->kind == TARS_WS_OP_TEXT &&
        (!tars_ws_utf8_feed(&reader->text, ptr, take) || (is_last && reader->text.left)))
        return refuse(reader, CODE_TEXT, "text that is not UTF-8");
    *event = (struct tars_ws_event){.opcode = (enum tars_ws_opcode)reader->kind,
                                    .data = tars_span(ptr, take),
                                    .is_first = !reader->has_pieces,
                                    .is_last = is_last};
    reader->has_pieces = !is_last;
    if (reader->left == 0)
        reader->state = FIRST;
    if (is_last)
        reader->kind = 0;
    return TARS_OK;
}

/* Some payload, or the end of a frame that has none. */
static tars_status read_payload(struct tars_ws_reader *reader, char **ptr, size_t *len,
                                struct tars_ws_event *event)
{
    char *at = *ptr;
    size_t take = *len < reader->left ? *len : (size_t)reader->left;

    unmask(reader, at, take);
    *ptr += take;
    *len -= take;
    reader->left -= take;
    if (is_control(reader->opcode))
        return take_control(reader, at, take, event);
    if (take || reader->is_final)
        return take_piece(reader, at, take, event);
    reader->state = FIRST; /* an empty fragment says nothing */
    return TARS_EAGAIN;
}

tars_status tars_ws_reader_next(struct tars_ws_reader *reader, char **ptr, size_t *len,
                                struct tars_ws_event *event)
{
    if (reader->state == BAD)
        return TARS_EFORMAT;
    while (*len || (reader->state == PAYLOAD && reader->left == 0)) {
        tars_status status;

        if (reader->state == PAYLOAD) {
            status = read_payload(reader, ptr, len, event);
            if (status != TARS_EAGAIN)
                return status;
            continue;
        }
        status = step(reader, (uint8_t) * *ptr);
        (*ptr)++;
        (*len)--;
        if (status)
            return status;
    }
    return TARS_EAGAIN;
}

/* ------------------------------------------------------------------ writing */

size_t tars_ws_frame_head(char *out, enum tars_ws_opcode opcode, uint64_t length)
{
    size_t more = length < LENGTH_16 ? 0 : length <= UINT16_MAX ? 2 : 8;

    out[0] = (char)(FINAL | (unsigned)opcode);
    out[1] = (char)(more == 0 ? length : more == 2 ? LENGTH_16 : LENGTH_64);
    for (size_t i = 0; i < more; i++)
        out[2 + i] = (char)(length >> (8 * (more - 1 - i)) & 0xff);
    return 2 + more;
}
