/* hex - one hexadecimal digit, in either case. */
#ifndef TARS_BASE_CODEC_HEX_H
#define TARS_BASE_CODEC_HEX_H

/* 0..15, or -1 for a character that is none. */
static inline int tars_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

#endif
