/* chunked - see chunked.h for the contract.
 *
 *     1f;name=value CRLF  31 bytes CRLF  0 CRLF  trailer: x CRLF  CRLF
 *     SIZE EXTENSION  LF  DATA DATA_CR,  SIZE    TRAILER_NAME,    TRAILER_START,
 *                              DATA_LF           TRAILER_VALUE,   END_LF
 *                                                TRAILER_LF
 */
#include "net/chunked.h"

#include "base/codec/hex.h"
#include "net/http1.h"

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
    BAD,
    BAD_SIZE,
};

#define SIZE_DIGITS_MAX 15 /* hex digits: no sum of sizes that fit in memory overflows */

void tars_chunked_init(struct tars_chunked *chunked)
{
    *chunked = (struct tars_chunked){.state = SIZE};
}

static enum state size_step(struct tars_chunked *chunked, char c)
{
    int value = tars_hex_value(c);

    if (value >= 0 && chunked->digits < SIZE_DIGITS_MAX) {
        chunked->left = chunked->left * 16 + (uint64_t)value;
        chunked->digits++;
        return SIZE;
    }
    if (chunked->digits == 0)
        return BAD;
    if (c == '\r')
        return SIZE_LF;
    return c == ';' ? EXTENSION : BAD;
}

static enum state size_end(struct tars_chunked *chunked, char c)
{
    if (c != '\n')
        return BAD;
    chunked->digits = 0;
    if (chunked->left)
        return DATA;
    chunked->waste = 0;
    return TRAILER_START;
}

static enum state text_step(enum state here, enum state after_cr, char c)
{
    if (c == '\r')
        return after_cr;
    return tars_http1_value_is_valid(tars_span(&c, 1)) ? here : BAD;
}

static enum state name_step(char c)
{
    if (c == ':')
        return TRAILER_VALUE;
    return tars_http1_name_is_valid(tars_span(&c, 1)) ? TRAILER_NAME : BAD;
}

/* One byte of framing. */
static enum state step(struct tars_chunked *chunked, char c)
{
    switch ((enum state)chunked->state) {
    case SIZE:
        return size_step(chunked, c);
    case EXTENSION:
        return text_step(EXTENSION, SIZE_LF, c);
    case SIZE_LF:
        return size_end(chunked, c);
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return c == '\n' ? SIZE : BAD;
    case TRAILER_START:
        if (c == '\r')
            return END_LF;
        return c == ':' ? BAD : name_step(c);
    case TRAILER_NAME:
        return name_step(c);
    case TRAILER_VALUE:
        return text_step(TRAILER_VALUE, TRAILER_LF, c);
    case TRAILER_LF:
        return c == '\n' ? TRAILER_START : BAD;
    case END_LF:
        return c == '\n' ? END : BAD;
    default:
        return BAD;
    }
}

static bool is_waste(enum state state)
{
    return state == EXTENSION || (state >= TRAILER_NAME && state <= TRAILER_LF);
}

tars_status tars_chunked_next(struct tars_chunked *chunked, struct tars_span *in,
                              struct tars_span *data)
{
    while (chunked->state < END && in->len) {
        if (chunked->state == DATA) {
            size_t take = in->len < chunked->left ? in->len : (size_t)chunked->left;

            *data = tars_span(in->ptr, take);
            in->ptr += take;
            in->len -= take;
            chunked->left -= take;
            if (chunked->left == 0)
                chunked->state = DATA_CR;
            return TARS_OK;
        }
        chunked->state = (uint8_t)step(chunked, in->ptr[0]);
        in->ptr++;
        in->len--;
        if (is_waste(chunked->state) && ++chunked->waste > TARS_CHUNKED_WASTE_MAX)
            chunked->state = BAD_SIZE;
    }
    switch ((enum state)chunked->state) {
    case END:
        return TARS_ENOTFOUND;
    case BAD:
        return TARS_EFORMAT;
    case BAD_SIZE:
        return TARS_ETOOBIG;
    default:
        return TARS_EAGAIN;
    }
}
