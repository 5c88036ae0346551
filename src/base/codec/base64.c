/* base64 - see base64.h for the contract. */
#include "base/codec/base64.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char alphabets[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void tars_base64_encode(struct tars_buf *out, enum tars_base64 kind, const void *ptr, size_t len)
{
    const char *alphabet = alphabets[kind];
    const unsigned char *in = ptr;

    for (size_t i = 0; i < len; i += 3) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        char four[4];

        if (have > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (have > 2)
            bits |= in[i + 2];
        four[0] = alphabet[bits >> 18];
        four[1] = alphabet[bits >> 12 & 63];
        four[2] = (char)(have > 1 ? alphabet[bits >> 6 & 63] : '=');
        four[3] = (char)(have > 2 ? alphabet[bits & 63] : '=');
        tars_buf_append(out, four, kind == TARS_BASE64 ? 4 : have + 1);
    }
}

tars_status tars_base64_text(enum tars_base64 kind, const void *ptr, size_t len, char *out,
                             size_t size)
{
    struct tars_buf text;
    tars_status status;

    tars_buf_init(&text, size - 1);
    tars_base64_encode(&text, kind, ptr, len);
    status = text.status;
    if (status == TARS_OK)
        (void)snprintf(out, size, "%s", text.ptr ? text.ptr : "");
    tars_buf_release(&text);
    return status;
}

static int value_of(enum tars_base64 kind, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == alphabets[kind][62])
        return 62;
    return c == alphabets[kind][63] ? 63 : -1;
}

/* Without its padding; EFORMAT if that is not what kind wants. */
static tars_status strip(enum tars_base64 kind, struct tars_span *text)
{
    size_t padding = 0;

    if (kind == TARS_BASE64) {
        if (text->len % 4)
            return TARS_EFORMAT;
        while (padding < 2 && text->len && text->ptr[text->len - 1] == '=') {
            text->len--;
            padding++;
        }
    }
    return text->len % 4 == 1 ? TARS_EFORMAT : TARS_OK;
}

/* Up to four characters into up to three bytes. Returns how many, or -1. */
static int decode_four(enum tars_base64 kind, const char *in, size_t have, char *out)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < have ? value_of(kind, in[i]) : 0;

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((have == 2 && bits & 0xFFFF) || (have == 3 && bits & 0xFF))
        return -1;
    out[0] = (char)(bits >> 16);
    out[1] = (char)(bits >> 8);
    out[2] = (char)bits;
    return (int)have - 1;
}

tars_status tars_base64_decode(struct tars_buf *out, enum tars_base64 kind, struct tars_span text)
{
    tars_status status = strip(kind, &text);
    size_t done = 0;
    char *room;

    if (status)
        return status;
    room = tars_buf_reserve(out, text.len / 4 * 3 + 3);
    if (!room)
        return out->status;
    for (size_t i = 0; i < text.len; i += 4) {
        size_t have = text.len - i < 4 ? text.len - i : 4;
        int got = decode_four(kind, text.ptr + i, have, room + done);

        if (got < 0) {
            room[0] = '\0'; /* the buffer's end is where it was */
            return TARS_EFORMAT;
        }
        done += (size_t)got;
    }
    room[done] = '\0';
    tars_buf_grew(out, done);
    return TARS_OK;
}
