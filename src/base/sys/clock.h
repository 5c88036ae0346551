/* clock - time, for those who may read it.
 *
 * Modules take a tars_clock_fn and never read a clock themselves, so that tests own the time; these
 * are the real clocks that app wires in, and the exceptions say why.
 */
#ifndef TARS_BASE_SYS_CLOCK_H
#define TARS_BASE_SYS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define TARS_ISO8601_BYTES 32 /* longest text and its NUL */

/* Milliseconds on a clock that never goes back. ctx is passed through untouched. */
typedef int64_t tars_clock_fn(void *ctx);

int64_t tars_clock_mono_ms(void);
int64_t tars_clock_mono_ns(void);
/* CLOCK_MONOTONIC in the shape of tars_clock_fn; ctx is not used. */
int64_t tars_clock_mono(void *ctx);
/* Microseconds since 1970-01-01T00:00:00Z. */
int64_t tars_clock_wall_us(void);

/* A time of the Gregorian calendar, UTC. */
struct tars_civil {
    int year, month, day; /* month and day from 1 */
    int hour, minute, second;
    int weekday; /* 0: Sunday */
};

/* For years 0 to 9999; takes no lock, as gmtime_r does. */
void tars_clock_civil(int64_t wall_us, struct tars_civil *out);

/* value in width decimal digits, zeros in front; returns the place after them. */
char *tars_clock_digits(char *to, unsigned value, int width);

/* "2025-11-07T12:00:00.000001", UTC, no zone; the fraction is left out when it is zero, as the wire
 * contract (section 1.0) has it. out has TARS_ISO8601_BYTES. */
void tars_clock_iso8601(int64_t wall_us, char *out);

/* A time that a client wrote: "2025-11-07", then 'T' or a space and "12:00" or more of it, up to
 * six digits of a fraction, then nothing (UTC), 'Z' or an offset as "+02:00". A space stands for
 * the '+' too, as it does in a URL. False when it is none, or outside the years 1 to 9999. */
bool tars_clock_parse(const char *text, int64_t *wall_us);

#endif
