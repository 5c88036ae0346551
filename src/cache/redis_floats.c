/* redis_floats - see redis_floats.h for the contract.
 *
 * Both ways go through doubles and exact powers of ten. An integer below 2^53 times or divided by a
 * power of ten up to 10^22 is one rounding away from the true value (Clinger, "How to read floating
 * point numbers accurately", 1990), so that a number of up to 15 digits is read as strtod() would
 * read it; other numbers are left to strtod(). A float of nine digits differs from what it stands
 * for by at most 5e-9 of it, and half the distance of two floats is at least 2.9e-8 of it: what is
 * written reads back, and fewer digits are tried by reading them.
 */
#include "cache/redis_floats.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MIN   6
#define DIGITS_MAX   9
#define DIGITS_EXACT 15   /* 10^15 < 2^53 */
#define POWER_MAX    22   /* 10^22 is a double exactly */
#define NUMBER_BYTES 48   /* a float in %.9g, or in digits and zeros */
#define LONGEST      1024 /* characters of one number, read */

static const double powers[POWER_MAX + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* digits * 10^power, correctly rounded; -POWER_MAX <= power <= POWER_MAX. */
static double scaled(uint64_t digits, int power)
{
    return power < 0 ? (double)digits / powers[-power] : (double)digits * powers[power];
}

/* ------------------------------------------------------------------ writing */

/* value > 0. Its decimal exponent: 10^e <= value < 10^(e + 1), give or take the last digit. */
static int exponent_of(double value)
{
    int binary;
    int decimal;

    (void)frexp(value, &binary);
    decimal = (int)floor((binary - 1) * 0.30102999566398120);
    if (decimal >= -POWER_MAX && decimal < POWER_MAX && scaled(1, decimal + 1) <= value)
        decimal++;
    return decimal;
}

/* Find the fewest digits and the power of ten that make value again; false when that is not within
 * the exact powers. */
static bool shortest(double value, uint64_t *digits, int *power)
{
    int decimal = exponent_of(value);

    for (int n = DIGITS_MIN; n <= DIGITS_MAX; n++) {
        int up = n - 1 - decimal;

        if (up < -POWER_MAX || up > POWER_MAX)
            return false;
        *digits = (uint64_t)llrint(up < 0 ? value / powers[-up] : value * powers[up]);
        *power = -up;
        if ((float)scaled(*digits, *power) == (float)value)
            return true;
    }
    return false;
}

/* digits * 10^power with a point: 12345, -4 -> 1.2345; at most 9 digits and 8 zeros. */
static size_t put_plain(char *to, uint64_t digits, int power)
{
    char text[24];
    int len;
    char *at = to;

    while (digits % 10 == 0 && power < 0) {
        digits /= 10;
        power++;
    }
    len = snprintf(text, sizeof(text), "%llu", (unsigned long long)digits);
    if (-power >= len) { /* 0.00012 */
        *at++ = '0';
        *at++ = '.';
        for (int i = len; i < -power; i++)
            *at++ = '0';
        memcpy(at, text, (size_t)len);
        return (size_t)(at - to) + (size_t)len;
    }
    len += power < 0 ? power : 0;
    memcpy(at, text, (size_t)len);
    at += len;
    for (int i = 0; i < power; i++)
        *at++ = '0';
    *at++ = '.';
    if (power < 0) {
        memcpy(at, text + len, (size_t)-power);
        at += -power;
    } else {
        *at++ = '0';
    }
    return (size_t)(at - to);
}

static size_t put_float(char *to, float value)
{
    size_t at = 0;
    uint64_t digits = 0;
    int power = -1;

    if (signbit(value))
        to[at++] = '-';
    value = fabsf(value);
    if (value == 0 || (value >= 1e-7F && value < 1e9F && shortest(value, &digits, &power)))
        return at + put_plain(to + at, digits, power);
    return at + (size_t)snprintf(to + at, NUMBER_BYTES - at, "%.9g", (double)value);
}

tars_status tars_redis_floats_write(struct tars_span floats, struct tars_buf *out)
{
    size_t count = floats.len / sizeof(float);

    if (floats.len % sizeof(float) != 0 || count > TARS_REDIS_FLOATS_MAX)
        return TARS_EINVAL;
    tars_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        char *room = tars_buf_reserve(out, NUMBER_BYTES + 1);
        size_t len = 0;
        float value;

        if (!room)
            return TARS_OK;
        memcpy(&value, floats.ptr + i * sizeof(value), sizeof(value));
        if (!isfinite(value))
            return TARS_EINVAL;
        if (i > 0)
            room[len++] = ',';
        tars_buf_grew(out, len + put_float(room + len, value));
    }
    tars_buf_append_char(out, ']');
    return TARS_OK;
}

/* ------------------------------------------------------------------ reading */

struct cursor {
    const char *at, *end;
};

static void skip_space(struct cursor *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

static bool take(struct cursor *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static bool at_digit(const struct cursor *in)
{
    return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

/* What was read of a number: digits * 10^power, while it has no more than DIGITS_EXACT of them. */
struct number {
    uint64_t digits;
    int power;
    int count; /* significant digits seen */
    bool is_negative;
};

/* False where there is none. */
static bool take_digits(struct cursor *in, struct number *number, int power_each)
{
    if (!at_digit(in))
        return false;
    for (; at_digit(in); in->at++) {
        number->count += number->count > 0 || *in->at != '0';
        if (number->count <= DIGITS_EXACT)
            number->digits = number->digits * 10 + (uint64_t)(*in->at - '0');
        number->power += power_each;
    }
    return true;
}

static bool take_exponent(struct cursor *in, struct number *number)
{
    int exponent = 0;
    bool is_negative;

    if (!take(in, 'e') && !take(in, 'E'))
        return true;
    is_negative = take(in, '-');
    if (!is_negative)
        (void)take(in, '+');
    if (!at_digit(in))
        return false;
    for (; at_digit(in); in->at++) {
        if (exponent < LONGEST * 10)
            exponent = exponent * 10 + (*in->at - '0');
    }
    number->power += is_negative ? -exponent : exponent;
    return true;
}

/* From start to in->at stands a number that is not one of the easy ones. */
static bool convert(const char *start, const struct cursor *in, double *value)
{
    char text[LONGEST + 1];
    size_t len = (size_t)(in->at - start);

    if (len > LONGEST)
        return false;
    memcpy(text, start, len);
    text[len] = '\0';
    *value = strtod(text, NULL);
    return true;
}

static bool take_number(struct cursor *in, float *out)
{
    const char *start = in->at;
    struct number number = {.is_negative = take(in, '-')};
    const char *first = in->at;
    double value;

    if (!take_digits(in, &number, 0) || (*first == '0' && in->at - first > 1))
        return false;
    if (take(in, '.') && !take_digits(in, &number, -1))
        return false;
    if (!take_exponent(in, &number))
        return false;
    if (number.count <= DIGITS_EXACT && number.power >= -POWER_MAX && number.power <= POWER_MAX) {
        value = scaled(number.digits, number.power);
        value = number.is_negative ? -value : value;
    } else if (!convert(start, in, &value)) {
        return false;
    }
    *out = (float)value;
    return isfinite(*out);
}

/* An upper bound of how many numbers there are: commas and one. */
static size_t count_items(struct cursor in)
{
    size_t count = 1;

    while (in.at < in.end) {
        in.at = memchr(in.at, ',', (size_t)(in.end - in.at));
        if (!in.at)
            break;
        in.at++;
        count++;
    }
    return count;
}

static bool take_items(struct cursor *in, float *items, size_t *count)
{
    *count = 0;
    skip_space(in);
    if (take(in, ']'))
        return true;
    for (;;) {
        skip_space(in);
        if (!take_number(in, &items[*count]))
            return false;
        (*count)++;
        skip_space(in);
        if (take(in, ']'))
            return true;
        if (!take(in, ','))
            return false;
    }
}

tars_status tars_redis_floats_read(struct tars_span text, struct tars_arena *arena,
                                   struct tars_span *floats)
{
    struct cursor in = {text.ptr, text.ptr + text.len};
    size_t count;
    float *items;

    skip_space(&in);
    if (!take(&in, '['))
        return TARS_EFORMAT;
    count = count_items(in);
    if (count > TARS_REDIS_FLOATS_MAX)
        return TARS_ETOOBIG;
    items = tars_arena_alloc(arena, count * sizeof(*items));
    if (!items)
        return TARS_ENOMEM;
    if (!take_items(&in, items, &count))
        return TARS_EFORMAT;
    skip_space(&in);
    if (in.at != in.end)
        return TARS_EFORMAT;
    *floats = tars_span((const char *)items, count * sizeof(*items));
    return TARS_OK;
}
