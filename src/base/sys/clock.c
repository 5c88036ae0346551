/* clock - see clock.h. */
#include "base/sys/clock.h"

#include <string.h>
#include <time.h>

#define US_PER_S  INT64_C(1000000)
#define S_PER_DAY INT64_C(86400)

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

/* The calendar repeats every 400 years, of 146,097 days. Years begin in March here, so that the
 * leap day is the last of its year, and months have 30.6 days on average from there. */
void tars_clock_civil(int64_t wall_us, struct tars_civil *out)
{
    int64_t seconds = wall_us / US_PER_S - (wall_us % US_PER_S < 0);
    int64_t days = seconds / S_PER_DAY - (seconds % S_PER_DAY < 0);
    int64_t rest = seconds - days * S_PER_DAY;
    int64_t since = days + 719468; /* from 1 March of the year 0 */
    int64_t era = (since >= 0 ? since : since - 146096) / 146097;
    int64_t of_era = since - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* 0: March */

    out->day = (int)(of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year + era * 400 + (month >= 10));
    out->hour = (int)(rest / 3600);
    out->minute = (int)(rest / 60 % 60);
    out->second = (int)(rest % 60);
    out->weekday = (int)(((days + 4) % 7 + 7) % 7);
}

char *tars_clock_digits(char *to, unsigned value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

static char *put(char *to, unsigned value, int width, char after)
{
    to = tars_clock_digits(to, value, width);
    *to = after;
    return to + 1;
}

void tars_clock_iso8601(int64_t wall_us, char *out)
{
    int64_t us = ((wall_us % US_PER_S) + US_PER_S) % US_PER_S;
    struct tars_civil at;

    tars_clock_civil(wall_us, &at);
    out = put(out, (unsigned)at.year, 4, '-');
    out = put(out, (unsigned)at.month, 2, '-');
    out = put(out, (unsigned)at.day, 2, 'T');
    out = put(out, (unsigned)at.hour, 2, ':');
    out = put(out, (unsigned)at.minute, 2, ':');
    out = put(out, (unsigned)at.second, 2, us ? '.' : '\0');
    if (us)
        (void)put(out, (unsigned)us, 6, '\0');
}

/* ------------------------------------------------------------------ reading */

/* Take exactly n digits that make a number of min..max; false leaves *at where it was. */
static bool take(const char **at, int n, int min, int max, int *value)
{
    int made = 0;

    for (int i = 0; i < n; i++) {
        if ((*at)[i] < '0' || (*at)[i] > '9')
            return false;
        made = made * 10 + ((*at)[i] - '0');
    }
    if (made < min || made > max)
        return false;
    *at += n;
    *value = made;
    return true;
}

static bool take_char(const char **at, char c)
{
    bool is_there = **at == c;

    *at += is_there;
    return is_there;
}

static bool take_fraction(const char **at, int *us)
{
    int scale = 100000;

    *us = 0;
    if (!take_char(at, '.') && !take_char(at, ','))
        return true;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9' && scale > 0; (*at)++, scale /= 10)
        *us += (**at - '0') * scale;
    return **at < '0' || **at > '9';
}

static bool take_day(const char **at, struct tm *tm)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year;
    int leap;

    if (!take(at, 4, 1, 9999, &year) || !take_char(at, '-') || !take(at, 2, 1, 12, &tm->tm_mon) ||
        !take_char(at, '-'))
        return false;
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (!take(at, 2, 1, days[tm->tm_mon - 1] + (tm->tm_mon == 2 ? leap : 0), &tm->tm_mday))
        return false;
    tm->tm_year = year - 1900;
    tm->tm_mon--;
    return true;
}

static bool take_time(const char **at, struct tm *tm, int *us)
{
    if (!take(at, 2, 0, 23, &tm->tm_hour) || !take_char(at, ':') ||
        !take(at, 2, 0, 59, &tm->tm_min))
        return false;
    if (!take_char(at, ':'))
        return true;
    return take(at, 2, 0, 59, &tm->tm_sec) && take_fraction(at, us);
}

static bool take_zone(const char **at, int *seconds)
{
    int sign = **at == '-' ? -1 : 1;
    int hours;
    int minutes;

    *seconds = 0;
    if (**at == '\0' || take_char(at, 'Z') || take_char(at, 'z'))
        return true;
    if (!strchr("+- ", **at))
        return false;
    (*at)++;
    if (!take(at, 2, 0, 23, &hours))
        return false;
    (void)take_char(at, ':');
    if (!take(at, 2, 0, 59, &minutes))
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool tars_clock_parse(const char *text, int64_t *wall_us)
{
    struct tm tm = {0};
    int zone = 0;
    int us = 0;

    if (!take_day(&text, &tm))
        return false;
    if (*text) {
        if (!take_char(&text, 'T') && !take_char(&text, 't') && !take_char(&text, ' '))
            return false;
        if (!take_time(&text, &tm, &us) || !take_zone(&text, &zone) || *text)
            return false;
    }
    *wall_us = ((int64_t)timegm(&tm) - zone) * US_PER_S + us;
    return true;
}
