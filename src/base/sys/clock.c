/* clock - see clock.h. */
#include "base/sys/clock.h"

#include <stdio.h>
#include <time.h>

#define US_PER_S INT64_C(1000000)

int64_t tars_clock_mono_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t tars_clock_mono_ms(void)
{
    return tars_clock_mono_ns() / INT64_C(1000000);
}

int64_t tars_clock_mono(void *ctx)
{
    (void)ctx;
    return tars_clock_mono_ms();
}

int64_t tars_clock_wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * US_PER_S + now.tv_nsec / 1000;
}

void tars_clock_iso8601(int64_t wall_us, char *out)
{
    int64_t us = ((wall_us % US_PER_S) + US_PER_S) % US_PER_S;
    time_t seconds = (time_t)((wall_us - us) / US_PER_S);
    struct tm day = {0};
    size_t len;

    (void)gmtime_r(&seconds, &day);
    len = strftime(out, TARS_ISO8601_BYTES, "%Y-%m-%dT%H:%M:%S", &day);
    if (us)
        (void)snprintf(out + len, TARS_ISO8601_BYTES - len, ".%06d", (int)us);
}
